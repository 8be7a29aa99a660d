//! FTP's control connection: a transaction for each command with its replies, and the data connections that it announces.

use std::collections::VecDeque;

use infraspectre_core::app::bytes::{drain, has_port};
use infraspectre_core::app::ftp::{parse_address, parse_extended_address};
use infraspectre_core::app::line::{reply_code, split_command};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{lossy, Entry, Expectation, Output, Protocol, Session};
use crate::field::{Field, DONE};
use crate::transaction::Transaction;

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Ftp,
    transports: &[Transport::Stream],
    probe: |_, direction, data, ports| probe(direction, data, ports),
    session: |_| Box::new(Ftp::default()),
    describe,
};

/// Longest line that is kept whole.
const MAX_LINE: usize = 4096;
/// Transactions that may be open unless the settings say otherwise.
const MAX_OPEN: usize = 1024;
/// Commands whose names are told.
const COMMANDS: [&[u8]; 51] = [
    b"PORT", b"EPRT", b"PASV", b"EPSV", b"RETR", b"STOR", b"ABOR", b"ACCT", b"ALLO", b"APPE", b"AUTH", b"CDUP",
    b"CHMOD", b"CWD", b"DELE", b"FEAT", b"HELP", b"IDLE", b"LIST", b"MAIL", b"MDTM", b"MKD", b"MLFL", b"MODE", b"MRCP",
    b"MRSQ", b"MSAM", b"MSND", b"MSOM", b"NLST", b"NOOP", b"PASS", b"PWD", b"QUIT", b"REIN", b"REST", b"RMD", b"RNFR",
    b"RNTO", b"SITE", b"SIZE", b"SMNT", b"STAT", b"STOU", b"STRU", b"SYST", b"TYPE", b"UMASK", b"USER", b"OPTS",
    b"MLSD",
];

/// Ports of FTP, on which a greeting tells it, and of POP3, which also has the commands below.
const PORT: u16 = 21;
const POP3: u16 = 110;

fn probe(direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    const WORDS: [&[u8]; 5] = [b"USER ", b"PASS ", b"PORT ", b"AUTH TLS", b"AUTH SSL"];
    let begins = |word: &[u8]| data.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
    let may_begin = |word: &[u8]| word.get(..data.len()).is_some_and(|start| start.eq_ignore_ascii_case(data));
    match direction {
        _ if has_port(ports, POP3) => Probe::NotForUs,
        Direction::Orig if WORDS.into_iter().any(begins) => Probe::Certain,
        Direction::Orig if WORDS.into_iter().any(may_begin) => Probe::Unsure,
        Direction::Resp if has_port(ports, PORT) && (begins(b"220 ") || begins(b"220-")) => Probe::Certain,
        Direction::Resp if begins(b"220 (") => Probe::Certain,
        Direction::Resp if may_begin(b"220 (") => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// What a command's reply may bring.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    Other,
    /// `PORT` or `EPRT` with the port that the client listens on.
    Active(u16),
    Passive,
    ExtendedPassive,
    Tls,
}

/// A command whose replies are still to come.
struct Open {
    number: u64,
    purpose: Purpose,
}

/// A data connection to come: who listens, and where.
#[derive(Clone, Copy)]
struct Channel {
    listener: Direction,
    port: u16,
}

#[derive(Default)]
struct Ftp {
    open: VecDeque<Open>,
    /// The last transaction, to which further replies belong.
    last: Option<u64>,
    channel: Option<Channel>,
    /// The rest of a line of which a piece was read.
    in_line: [bool; 2],
}

impl Session for Ftp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output))
    }

    fn end(&mut self, _: Direction, output: &mut Output<'_>) {
        while let Some(open) = self.open.pop_front() {
            if let Some(transaction) = output.get(open.number) {
                if transaction.value(Direction::Resp, Field::FtpReplyReceived).is_none() {
                    transaction.put(Direction::Resp, Field::FtpReplyReceived, b"no");
                }
                complete(transaction);
            }
        }
    }
}

fn complete(transaction: &mut Transaction) {
    transaction.complete(Direction::Orig);
    transaction.complete(Direction::Resp);
}

impl Ftp {
    /// Reads one line; of a long one the first piece counts.
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let shown = data.get(..MAX_LINE).unwrap_or(data);
        let end = memchr::memchr(b'\n', shown);
        if end.is_none() && data.len() < MAX_LINE {
            return Err(Stop::Incomplete);
        }
        let used = end.map_or(shown.len(), |end| end + 1);
        let in_line = &mut self.in_line[crate::transaction::index(direction)];
        if std::mem::replace(in_line, end.is_none()) {
            return Ok((used, Next::More));
        }
        let line = shown.get(..end.unwrap_or(used)).unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let next = match direction {
            Direction::Orig => self.command(line, end.is_none(), output),
            Direction::Resp => self.reply(line, end.is_none(), output),
        };
        Ok((used, next))
    }

    fn command(&mut self, line: &[u8], is_cut: bool, output: &mut Output<'_>) -> Next {
        let limit = output.settings.get("app-layer.protocols.ftp.max-tx").and_then(|limit| limit.parse().ok());
        if self.last.is_some() && self.open.len() + 1 > limit.unwrap_or(MAX_OPEN) {
            self.note_too_many(output);
            return Next::More;
        }
        let (verb, argument) = split_command(line);
        let verb = verb.to_ascii_uppercase();
        let transaction = output.begin();
        put_command(&verb, argument, transaction);
        if is_cut {
            transaction.event(Direction::Orig, "request_command_too_long");
        }
        let number = transaction.number;
        self.last = Some(number);
        self.open.push_back(Open { number, purpose: purpose(&verb, argument) });
        match &verb[..] {
            b"RETR" | b"STOR" => self.expect(&verb, argument, output),
            b"LIST" | b"NLST" | b"MLSD" | b"APPE" | b"STOU" => self.expect(b"", b"", output),
            _ => {}
        }
        Next::More
    }

    fn note_too_many(&self, output: &mut Output<'_>) {
        if let Some(transaction) = self.last.and_then(|number| output.get(number)) {
            transaction.event(Direction::Orig, "too_many_transactions");
        }
    }

    /// Announces the data connection that the last `PORT` or `PASV` has arranged.
    fn expect(&mut self, verb: &[u8], file_name: &[u8], output: &mut Output<'_>) {
        if let Some(channel) = self.channel.take() {
            output.requests.expect.push(Expectation {
                protocol: Protocol::FtpData,
                listener: channel.listener,
                port: channel.port,
                command: verb.to_vec(),
                file_name: file_name.to_vec(),
            });
        }
    }

    fn reply(&mut self, line: &[u8], is_cut: bool, output: &mut Output<'_>) -> Next {
        let number = self.open.front().map(|open| open.number).or(self.last);
        let number = number.unwrap_or_else(|| output.begin().number);
        self.last = self.last.or(Some(number));
        let code = reply_code(line).map_or(0, |(code, _)| code);
        let purpose = self.open.front().map_or(Purpose::Other, |open| open.purpose.clone());
        let channel = arranged(&purpose, code, line);
        self.channel = channel.or(self.channel);
        let is_preliminary = (100..200).contains(&code);
        if !is_preliminary {
            self.open.pop_front();
        }
        if let Some(transaction) = output.get(number) {
            put_reply(line, is_cut, transaction);
            if let Some(channel) = channel {
                put_channel(channel, transaction);
            }
            if !is_preliminary {
                complete(transaction);
            }
        }
        if purpose == Purpose::Tls && code == 234 {
            output.requests.switch_to = Some(Protocol::Tls);
            return Next::Done;
        }
        Next::More
    }
}

fn purpose(verb: &[u8], argument: &[u8]) -> Purpose {
    match verb {
        b"PORT" => parse_address(argument).map_or(Purpose::Other, |address| Purpose::Active(address.port())),
        b"EPRT" => parse_extended_address(argument).map_or(Purpose::Other, |(_, port)| Purpose::Active(port)),
        b"PASV" => Purpose::Passive,
        b"EPSV" => Purpose::ExtendedPassive,
        b"AUTH" if argument.eq_ignore_ascii_case(b"TLS") => Purpose::Tls,
        _ => Purpose::Other,
    }
}

/// Returns the data connection that a command and its reply arrange.
fn arranged(purpose: &Purpose, code: u16, line: &[u8]) -> Option<Channel> {
    let inner = || line.split(|byte| *byte == b'(').nth(1)?.split(|byte| *byte == b')').next();
    let (listener, port) = match (purpose, code) {
        (Purpose::Active(port), _) => (Direction::Orig, *port),
        (Purpose::Passive, 227) => (Direction::Resp, parse_address(inner()?)?.port()),
        (Purpose::ExtendedPassive, 229) => (Direction::Resp, parse_extended_address(inner()?)?.1),
        _ => return None,
    };
    (port != 0).then_some(Channel { listener, port })
}

fn put_command(verb: &[u8], argument: &[u8], transaction: &mut Transaction) {
    if COMMANDS.contains(&verb) {
        transaction.put(Direction::Orig, Field::FtpCommand, verb);
        if !argument.is_empty() {
            transaction.put(Direction::Orig, Field::FtpCommandData, argument);
        }
    }
}

fn put_reply(line: &[u8], is_cut: bool, transaction: &mut Transaction) {
    if is_cut {
        transaction.event(Direction::Resp, "response_command_too_long");
    }
    let (code, text) = match reply_code(line) {
        Some(_) => (line.get(..3).unwrap_or_default(), line.get(4..).unwrap_or_default()),
        None => (&b""[..], line),
    };
    if !code.is_empty() {
        transaction.put(Direction::Resp, Field::FtpCompletionCode, code);
    }
    transaction.put(Direction::Resp, Field::FtpReply, text);
    if transaction.value(Direction::Resp, Field::FtpReplyReceived).is_none() {
        transaction.put(Direction::Resp, Field::FtpReplyReceived, b"yes");
    }
}

fn put_channel(channel: Channel, transaction: &mut Transaction) {
    let mode: &[u8] = if channel.listener == Direction::Orig { b"active" } else { b"passive" };
    for direction in [Direction::Orig, Direction::Resp] {
        transaction.put(direction, Field::FtpMode, mode);
        transaction.put_number(direction, Field::FtpDynamicPort, channel.port.into());
    }
}

/// Adds the `ftp` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    const TEXTS: [(&str, Direction, Field); 3] = [
        ("command", Direction::Orig, Field::FtpCommand),
        ("command_data", Direction::Orig, Field::FtpCommandData),
        ("mode", Direction::Orig, Field::FtpMode),
    ];
    let mut ftp = Map::new();
    for (name, direction, field) in TEXTS {
        if let Some(value) = transaction.value(direction, field) {
            ftp.insert(name.into(), lossy(value));
        }
    }
    for (name, field) in [("completion_code", Field::FtpCompletionCode), ("reply", Field::FtpReply)] {
        let values: Vec<Value> = transaction.values(Direction::Resp, field).map(lossy).collect();
        if !values.is_empty() {
            ftp.insert(name.into(), values.into());
        }
    }
    if let Some(port) = transaction.numbers(Direction::Orig, Field::FtpDynamicPort).next() {
        ftp.insert("dynamic_port".into(), json!(port));
    }
    let is_replied = transaction.progress(Direction::Resp) == DONE
        && transaction.value(Direction::Resp, Field::FtpReplyReceived) == Some(b"yes");
    ftp.insert("reply_received".into(), json!(if is_replied { "yes" } else { "no" }));
    event.insert("ftp".into(), ftp.into());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, capture, feed, Conversation, Piece,
    };
    use super::*;

    const ORIG: Direction = Direction::Orig;
    const RESP: Direction = Direction::Resp;

    const TALK: [Piece<'_>; 9] = [
        (RESP, b"220-Hello\r\n220 there\r\n"),
        (ORIG, b"user me\r\n"),
        (RESP, b"331 who?\r\n"),
        (ORIG, b"PASV\r\n"),
        (RESP, b"227 Entering (127,0,0,1,4,1)\r\n"),
        (ORIG, b"RETR a b.txt\r\n"),
        (RESP, b"150 here\r\n226 done\r\n"),
        (ORIG, b"XYZ\r\nQUIT\r\n"),
        (RESP, b"500 what?\r\n221 bye\r\n"),
    ];

    #[test]
    fn commands_have_their_replies() {
        let conversation = feed(&ENTRY, TALK);
        assert_eq!(conversation.texts(Field::FtpCommand), ["USER", "PASV", "RETR", "QUIT"]);
        assert_eq!(conversation.texts(Field::FtpCommandData), ["me", "a b.txt"]);
        let [greeting, _, passive, retrieve, ..] = &conversation.described()[..] else { panic!("few") };
        assert_eq!(greeting["ftp"]["reply"], json!(["Hello", "there"]));
        assert_eq!((&passive["ftp"]["mode"], &passive["ftp"]["dynamic_port"]), (&json!("passive"), &json!(1025)));
        assert_eq!(retrieve["ftp"]["completion_code"], json!(["150", "226"]));
        let [expected] = &conversation.requests.expect[..] else { panic!("one") };
        assert_eq!((expected.listener, expected.port, &expected.file_name[..]), (RESP, 1025, &b"a b.txt"[..]));
    }

    #[test]
    fn active_mode_names_the_clients_port() {
        let talk: [Piece<'_>; 3] = [(ORIG, b"EPRT |1|1.2.3.4|99|\r\n"), (RESP, b"200 ok\r\n"), (ORIG, b"STOR f\r\n")];
        let conversation = feed(&ENTRY, talk);
        assert_eq!(conversation.texts(Field::FtpMode), ["active", "active"]);
        assert_eq!(conversation.requests.expect[0].listener, ORIG);
    }

    #[test]
    fn a_reply_of_234_hands_the_flow_to_tls() {
        let talk: [Piece<'_>; 2] = [(ORIG, b"AUTH TLS\r\n"), (RESP, b"234 go\r\n")];
        assert_eq!(feed(&ENTRY, talk).protocol, Protocol::Tls);
    }

    #[test]
    fn too_many_commands_without_replies_are_an_event() {
        let mut conversation = Conversation::new(&ENTRY, Transport::Stream, (1, 21));
        conversation.settings.given.insert("app-layer.protocols.ftp.max-tx".into(), "1".into());
        conversation.stream(RESP, b"220 hi\r\n");
        conversation.stream(ORIG, b"PWD\r\nPWD\r\nPWD\r\n");
        assert_eq!(conversation.events(), ["too_many_transactions"]);
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        assert_cuts_do_not_matter(&ENTRY, &TALK);
    }

    #[test]
    fn captures_give_what_rules_ask_for() {
        let Some(flows) = capture("tests/bug-3519/input.pcap") else { return };
        let commands = ["USER", "PASS", "PORT", "NLST", "PORT", "RETR", "QUIT"];
        assert_eq!(flows[0].texts(Field::FtpCommand), commands);
        let Some(flows) = capture("tests/ftp-epsv/input.pcap") else { return };
        assert!(flows[0].described().iter().any(|event| event["ftp"]["dynamic_port"] == json!(58612)));
        let Some(flows) = capture("tests/detect-ftp/ftp-active-dynamic_port-02/ftp-active-dynamic_port.pcap") else {
            return;
        };
        assert!(flows[0].described().iter().any(|event| event["ftp"]["dynamic_port"] == json!(34325)));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..150, pieces in 1usize..4) {
            let mut hostile: Vec<u8> = TALK.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
        }
    }
}
