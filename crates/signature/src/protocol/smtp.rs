//! SMTP: a transaction for each mail, its attachments as files, and the change to TLS.

use std::collections::VecDeque;

use infraspectre_core::app::line::{holds_word, reply_code, split_line};
use infraspectre_core::app::{bytes::drain, Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::frame::{SMTP_COMMAND, SMTP_DATA, SMTP_RESPONSE};
use super::mime::Mime;
use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Smtp,
    transports: &[Transport::Stream],
    probe: |_, direction, data, ports| probe(direction, data, ports),
    session: |_| Box::new(Smtp::default()),
    describe,
};

/// Ports on which a greeting alone tells the protocol.
const PORTS: [u16; 2] = [25, 465];
/// Longest line that is kept whole; longer ones come in pieces.
const MAX_LINE: usize = 4096;
/// Longest command and reply that are no event (RFC 5321, 4.5.3.1).
const MAX_COMMAND: usize = 510;
/// Bytes of a mail that are kept for rules that ask for it as it came.
const MAX_MAIL: usize = 1 << 16;
/// Commands that wait for their replies.
const MAX_PENDING: usize = 4096;

fn probe(direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    const WORDS: [&[u8]; 3] = [b"EHLO", b"HELO", b"QUIT"];
    let start = data.get(..4).unwrap_or(data).to_ascii_uppercase();
    let is_known = PORTS.contains(&ports.0) || PORTS.contains(&ports.1);
    match direction {
        Direction::Orig if WORDS.contains(&&start[..]) => Probe::Certain,
        Direction::Orig if start.len() < 4 && WORDS.iter().any(|word| word.starts_with(&start)) => Probe::Unsure,
        Direction::Resp if is_known && start.starts_with(b"220") => Probe::Certain,
        Direction::Resp if is_known && b"220".starts_with(&start) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// What the client's bytes are.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Commands,
    Data,
    /// This many bytes of a `BDAT` chunk are still to come.
    Chunk(usize),
}

/// A command that waits for its reply.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Command {
    Hello,
    StartTls,
    Data,
    EndOfData,
    Other,
}

#[derive(Default)]
struct Smtp {
    /// The mail that is being sent.
    current: Option<u64>,
    is_done: bool,
    helo: Vec<u8>,
    mode: Mode,
    mime: Option<Mime>,
    /// The mail as it came, where rules ask for it.
    mail: Vec<u8>,
    pending: VecDeque<Command>,
    pipelining: bool,
    greeted: bool,
    /// The rest of a line of which a piece was read.
    in_line: bool,
}

impl Session for Smtp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| match direction {
            Direction::Orig => self.client(rest, output),
            Direction::Resp => self.server(rest, output),
        })
    }

    fn end(&mut self, direction: Direction, output: &mut Output<'_>) {
        if direction == Direction::Orig {
            self.end_of_mail(output);
        }
        self.change(output, |transaction| transaction.complete(direction));
    }
}

/// One line or, of a long one, a piece.
struct Line<'a> {
    content: &'a [u8],
    ending: &'a [u8],
}

fn next_line(data: &[u8]) -> Result<Line<'_>, Stop> {
    let Some(end) = memchr::memchr(b'\n', data.get(..MAX_LINE).unwrap_or(data)) else {
        let content = data.get(..MAX_LINE).ok_or(Stop::Incomplete)?;
        return Ok(Line { content, ending: b"" });
    };
    let (line, _) = data.split_at_checked(end + 1).ok_or(Stop::Incomplete)?;
    let content = line.strip_suffix(b"\r\n").or(line.strip_suffix(b"\n")).unwrap_or(line);
    let (content, ending) = line.split_at(content.len());
    Ok(Line { content, ending })
}

impl Smtp {
    fn change(&mut self, output: &mut Output<'_>, act: impl FnOnce(&mut Transaction)) {
        if let Some(transaction) = self.current.and_then(|number| output.get(number)) {
            act(transaction);
        }
    }

    fn note(&mut self, direction: Direction, event: &'static str, output: &mut Output<'_>) {
        self.change(output, |transaction| transaction.event(direction, event));
    }

    fn client(&mut self, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        if let Mode::Chunk(left) = self.mode {
            let used = left.min(data.len());
            self.mode = if used < left { Mode::Chunk(left - used) } else { Mode::Commands };
            return Ok((used, Next::More));
        }
        let line = next_line(data)?;
        let used = line.content.len() + line.ending.len();
        let continues = std::mem::replace(&mut self.in_line, line.ending.is_empty());
        match self.mode {
            Mode::Data => self.data_line(&line, continues, output),
            _ if continues => {}
            _ => {
                self.command(line.content, output);
                // Rules are written with the end of the line and without it.
                output.frame(Direction::Orig, SMTP_COMMAND, data.get(..used).unwrap_or(data), self.current);
                output.frame(Direction::Orig, SMTP_COMMAND, line.content, None);
            }
        }
        Ok((used, Next::More))
    }

    fn data_line(&mut self, line: &Line<'_>, continues: bool, output: &mut Output<'_>) {
        if line.content == b"." && !continues {
            self.mode = Mode::Commands;
            self.push(Command::EndOfData, output);
            return self.end_of_mail(output);
        }
        let content = match line.content {
            [b'.', rest @ ..] if !continues => rest,
            whole => whole,
        };
        if output.wants_frames() && self.mail.len() < MAX_MAIL {
            self.mail.extend_from_slice(line.content);
            self.mail.extend_from_slice(line.ending);
        }
        let Some(mut mime) = self.mime.take() else { return };
        self.change(output, |transaction| mime.line(content, line.ending, transaction));
        self.mime = Some(mime);
    }

    fn end_of_mail(&mut self, output: &mut Output<'_>) {
        if let Some(mut mime) = self.mime.take() {
            self.change(output, |transaction| mime.finish(transaction));
            output.frame(Direction::Orig, SMTP_DATA, &std::mem::take(&mut self.mail), self.current);
            self.complete(output);
        }
    }

    fn complete(&mut self, output: &mut Output<'_>) {
        self.is_done = true;
        self.change(output, |transaction| {
            transaction.complete(Direction::Orig);
            transaction.complete(Direction::Resp);
        });
    }

    fn push(&mut self, command: Command, output: &mut Output<'_>) {
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(command);
        } else {
            self.note(Direction::Orig, "invalid_pipelined_sequence", output);
        }
    }

    fn command(&mut self, line: &[u8], output: &mut Output<'_>) {
        let starts = |word: &[u8]| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        if self.current.is_none() || self.is_done && !starts(b"RSET") && !starts(b"QUIT") {
            self.begin(output);
        }
        if line.len() > MAX_COMMAND {
            self.note(Direction::Orig, "max_command_line_len_exceeded", output);
        }
        let command = if starts(b"STARTTLS") {
            Command::StartTls
        } else if starts(b"DATA") {
            self.begin_data(output);
            Command::Data
        } else if starts(b"BDAT") {
            self.begin_chunk(line);
            Command::Other
        } else if starts(b"HELO") || starts(b"EHLO") {
            self.hello(line, output);
            Command::Hello
        } else {
            self.address(line, output);
            if starts(b"RSET") {
                self.complete(output);
            }
            Command::Other
        };
        self.push(command, output);
    }

    fn begin(&mut self, output: &mut Output<'_>) {
        let transaction = output.begin();
        if !self.helo.is_empty() {
            transaction.put(Direction::Orig, Field::SmtpHelo, &self.helo);
        }
        (self.current, self.is_done) = (Some(transaction.number), false);
    }

    fn begin_data(&mut self, output: &mut Output<'_>) {
        if self.mime.is_some() {
            self.note(Direction::Orig, "unparsable_content", output);
        }
        self.mime = Some(Mime::default());
        if self.pipelining {
            self.mode = Mode::Data;
        }
    }

    fn begin_chunk(&mut self, line: &[u8]) {
        let size = line.get(4..).unwrap_or_default().trim_ascii_start();
        let digits = size.split(|byte| *byte == b' ').next().unwrap_or_default();
        let size = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        if size > 0 {
            self.mode = Mode::Chunk(size);
        }
    }

    fn hello(&mut self, line: &[u8], output: &mut Output<'_>) {
        if !self.helo.is_empty() {
            return self.note(Direction::Orig, "duplicate_fields", output);
        }
        self.helo = parameter(line, 4).to_vec();
        let helo = std::mem::take(&mut self.helo);
        self.change(output, |transaction| transaction.put(Direction::Orig, Field::SmtpHelo, &helo));
        self.helo = helo;
    }

    fn address(&mut self, line: &[u8], output: &mut Output<'_>) {
        const COMMANDS: [(&[u8], Field); 2] = [(b"MAIL FROM", Field::SmtpMailFrom), (b"RCPT TO", Field::SmtpRcptTo)];
        let is_it = |word: &[u8]| line.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        let Some((word, field)) = COMMANDS.into_iter().find(|(word, _)| is_it(word)) else { return };
        let value = parameter(line, word.len());
        self.change(output, |transaction| {
            if field == Field::SmtpMailFrom && transaction.value(Direction::Orig, field).is_some() {
                return transaction.event(Direction::Orig, "duplicate_fields");
            }
            transaction.put(Direction::Orig, field, value);
        });
    }

    fn server(&mut self, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let (line, used) = match split_line(data, MAX_LINE) {
            Ok((rest, line)) => (line, data.len() - rest.len()),
            Err(Stop::Incomplete) => return Err(Stop::Incomplete),
            Err(_) => (data, data.len()),
        };
        output.frame(Direction::Resp, SMTP_RESPONSE, data.get(..used).unwrap_or(data), self.current);
        if line.len() > MAX_COMMAND {
            self.note(Direction::Resp, "max_reply_line_len_exceeded", output);
        }
        let next = match reply_code(line) {
            Some((code, mark)) => self.reply(code, mark, line, output),
            None => {
                self.note(Direction::Resp, "invalid_reply", output);
                Next::More
            }
        };
        Ok((used, next))
    }

    fn reply(&mut self, code: u16, mark: u8, line: &[u8], output: &mut Output<'_>) -> Next {
        if self.pending.front() == Some(&Command::Hello) && holds_word(line, b"PIPELINING") {
            self.pipelining = true;
        }
        if mark == b'-' {
            return Next::More;
        }
        if self.pending.is_empty() && !std::mem::replace(&mut self.greeted, true) {
            if !matches!(code, 220 | 421 | 554) {
                self.note(Direction::Resp, "no_server_welcome_message", output);
            }
            return Next::More;
        }
        match (self.pending.pop_front(), code) {
            (Some(Command::StartTls), 220) => {
                output.requests.switch_to = Some(Protocol::Tls);
                self.complete(output);
                return Next::Done;
            }
            (Some(Command::StartTls), _) => self.note(Direction::Resp, "tls_rejected", output),
            (Some(Command::Data), 354) => self.mode = Mode::Data,
            (Some(Command::Data), _) => self.reject_data(output),
            (None, 421) | (Some(_), _) => {}
            (None, _) => self.note(Direction::Resp, "unable_to_match_reply_with_request", output),
        }
        Next::More
    }

    fn reject_data(&mut self, output: &mut Output<'_>) {
        if self.pipelining {
            return;
        }
        self.mime = None;
        self.mode = Mode::Commands;
        self.note(Direction::Resp, "data_command_rejected", output);
    }
}

/// Returns what follows a command's word and the byte after it, up to a blank.
fn parameter(line: &[u8], word: usize) -> &[u8] {
    let rest = line.get(word + 1..).unwrap_or_default();
    let blanks = rest.iter().take_while(|byte| **byte == b' ').count();
    rest.get(blanks..).unwrap_or_default().split(|byte| *byte == b' ').next().unwrap_or_default()
}

/// Adds the `smtp` and `email` objects.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut smtp = Map::new();
    for (name, field) in [("helo", Field::SmtpHelo), ("mail_from", Field::SmtpMailFrom)] {
        if let Some(value) = transaction.value(Direction::Orig, field) {
            smtp.insert(name.into(), lossy(value));
        }
    }
    insert_list(&mut smtp, "rcpt_to", transaction.values(Direction::Orig, Field::SmtpRcptTo).map(lossy).collect());
    event.insert("smtp".into(), smtp.into());
    let email = email(transaction);
    if !email.is_empty() {
        event.insert("email".into(), email.into());
    }
}

fn insert_list(object: &mut Map<String, Value>, name: &str, values: Vec<Value>) {
    if !values.is_empty() {
        object.insert(name.into(), values.into());
    }
}

fn email(transaction: &Transaction) -> Map<String, Value> {
    const TEXTS: [(&str, Field); 6] = [
        ("from", Field::EmailFrom),
        ("subject", Field::EmailSubject),
        ("date", Field::EmailDate),
        ("message_id", Field::EmailMessageId),
        ("x_mailer", Field::EmailXMailer),
        ("body_md5", Field::EmailBodyMd5),
    ];
    let mut email = Map::new();
    for (name, field) in TEXTS {
        if let Some(value) = transaction.value(Direction::Orig, field) {
            email.insert(name.into(), lossy(value));
        }
    }
    for (name, field) in [("to", Field::EmailTo), ("cc", Field::EmailCc)] {
        let addresses = transaction.values(Direction::Orig, field).flat_map(|value| value.split(|byte| *byte == b','));
        insert_list(&mut email, name, addresses.map(|address| lossy(address.trim_ascii())).collect());
    }
    let lists = [("attachment", Field::EmailAttachment), ("url", Field::EmailUrl), ("received", Field::EmailReceived)];
    for (name, field) in lists {
        insert_list(&mut email, name, transaction.values(Direction::Orig, field).map(lossy).collect());
    }
    if !email.is_empty() {
        let is_done = transaction.progress(Direction::Orig) == crate::field::DONE;
        email.insert("status".into(), json!(if is_done { "PARSE_DONE" } else { "BODY_STARTED" }));
    }
    email
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, capture, feed, Piece};
    use super::*;

    const ORIG: Direction = Direction::Orig;
    const RESP: Direction = Direction::Resp;

    const MAIL: [Piece<'_>; 10] = [
        (RESP, b"220 mx\r\n"),
        (ORIG, b"EHLO me\r\n"),
        (RESP, b"250-mx\r\n250 SIZE\r\n"),
        (ORIG, b"MAIL FROM: <a@b> SIZE=3\r\n"),
        (RESP, b"250 ok\r\n"),
        (ORIG, b"RCPT TO:<c@d>\r\nDATA\r\n"),
        (RESP, b"250 ok\r\n354 go\r\n"),
        (ORIG, b"Subject: hi\r\nContent-Disposition: x; filename=f\r\n\r\n..one\r\ntwo\r\n.\r\nMAIL FROM:<e@f>\r\nQUIT\r\n"),
        (RESP, b"250 ok\r\n250 ok\r\n"),
        (RESP, b"221 bye\r\n"),
    ];

    #[test]
    fn each_mail_is_a_transaction() {
        let conversation = feed(&ENTRY, MAIL);
        assert_eq!(conversation.texts(Field::SmtpMailFrom), ["<a@b>", "<e@f>"]);
        assert_eq!(conversation.texts(Field::SmtpHelo), ["me", "me"]);
        assert_eq!(conversation.texts(Field::SmtpRcptTo), ["<c@d>"]);
        assert_eq!(conversation.transactions[0].files[0].body.data, b".one\r\ntwo");
        let described = &conversation.described()[0];
        assert_eq!((&described["email"]["subject"], &described["smtp"]["helo"]), (&json!("hi"), &json!("me")));
        assert!(conversation.events().is_empty());
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        assert_cuts_do_not_matter(&ENTRY, &MAIL);
    }

    #[test]
    fn starttls_hands_the_flow_to_tls() {
        let mail: [Piece<'_>; 4] =
            [(RESP, b"220 mx\r\n"), (ORIG, b"STARTTLS\r\n"), (RESP, b"220 go\r\n"), (ORIG, &[22, 3, 1])];
        assert_eq!(feed(&ENTRY, mail).protocol, Protocol::Tls);
        let refused: [Piece<'_>; 3] = [(RESP, b"220 mx\r\n"), (ORIG, b"STARTTLS\r\n"), (RESP, b"502 no\r\n")];
        assert_eq!(feed(&ENTRY, refused).events(), ["tls_rejected"]);
    }

    #[test]
    fn chunks_are_passed_over() {
        let mail: [Piece<'_>; 2] =
            [(ORIG, b"EHLO a\r\nBDAT 6 LAST\r\nQUIT\r\nMAIL FROM:<x>\r\n"), (RESP, b"220 hi\r\n")];
        assert_eq!(feed(&ENTRY, mail).texts(Field::SmtpMailFrom), ["<x>"]);
    }

    #[test]
    fn captures_give_what_rules_ask_for() {
        let links = "tests/smtp-extract-url-schemes/input.pcap";
        let Some(flows) = capture(links) else { return };
        assert_eq!(flows[0].texts(Field::EmailUrl), ["test-site.org/blah/123/", "google.com"]);
        let Some(flows) = capture("tests/detect-email-received/input.pcap") else { return };
        assert_eq!(flows[0].texts(Field::EmailReceived).len(), 3);
        for (path, name) in [("baseline", "malware.exe"), ("combined", "malware.exe")] {
            let Some(flows) = capture(&format!("tests/mime/smtp-mime-encap-8649-{path}/input.pcap")) else { return };
            let file = &flows[0].transactions[0].files[0];
            assert_eq!(
                (&file.name[..], &file.body.data[..]),
                (name.as_bytes(), &b"EICAR-MIME-BYPASS-TEST-PAYLOAD"[..])
            );
        }
        let Some(flows) = capture("tests/smtp-long-DATA-line/input.pcap") else { return };
        let described = &flows[0].described()[0];
        assert_eq!(
            (&described["smtp"]["helo"], &described["email"]["attachment"][0]),
            (&json!("Percival"), &json!("winmail.dat"))
        );
        let Some(flows) = capture("tests/smtp-rset/input.pcap") else { return };
        assert!(flows[0].events().is_empty());
    }

    #[test]
    fn an_attachment_has_the_hash_that_the_rule_lists() {
        use md5::{Digest, Md5};
        let Some(list) = super::super::conversation::test_data("tests/smtp-attachment-md5/target.md5") else { return };
        let Some(flows) = capture("tests/smtp-attachment-md5/input.pcap") else { return };
        let found = infraspectre_core::app::tls::hex(&Md5::digest(&flows[0].transactions[0].files[0].body.data));
        assert!(std::fs::read_to_string(list).unwrap().contains(&found));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200, pieces in 1usize..4) {
            let mut hostile = MAIL.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect::<Vec<u8>>();
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
        }
    }
}
