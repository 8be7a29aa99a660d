//! FTP control connections: commands, replies and the addresses of data connections (RFC 959, RFC 2428).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::bytes::{drain, has_port};
use super::line::{holds_word, reply_code, split_command, split_line, starts_tls, Replies, Reply, Roles};
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Longest line read.
pub const MAX_LINE: usize = 8192;

const PORT: u16 = 21;
/// Commands that no other protocol opens with.
const OPENING_VERBS: [&[u8]; 10] =
    [b"FEAT", b"PASV", b"EPSV", b"PORT", b"EPRT", b"CWD", b"SYST", b"OPTS", b"MLSD", b"CLNT"];
/// Ports of protocols that share USER and PASS: POP3 and IRC.
const OTHER_PORTS: [u16; 4] = [110, 6666, 6667, 6668];

/// A command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command<'a> {
    pub verb: &'a [u8],
    pub argument: &'a [u8],
}

impl Command<'_> {
    fn is(&self, verb: &[u8]) -> bool {
        self.verb.eq_ignore_ascii_case(verb)
    }

    /// Writes the command with an upper-case verb and without the password.
    fn shown(&self) -> Vec<u8> {
        let mut text = self.verb.to_ascii_uppercase();
        if !self.argument.is_empty() {
            text.push(b' ');
            text.extend_from_slice(if self.is(b"PASS") { b"****" } else { self.argument });
        }
        text
    }
}

/// Reads one command line.
pub fn parse_command(data: &[u8]) -> Parsed<'_, Command<'_>> {
    let (rest, line) = split_line(data, MAX_LINE)?;
    let (verb, argument) = split_command(line);
    Ok((rest, Command { verb, argument }))
}

/// Reads `h1,h2,h3,h4,p1,p2` from the first digit on, as in PORT and in the reply to PASV (RFC 1123, 4.1.2.6).
pub fn parse_address(text: &[u8]) -> Option<SocketAddr> {
    let start = text.iter().position(u8::is_ascii_digit)?;
    let text = text.get(start..)?;
    let end = text.iter().position(|byte| !byte.is_ascii_digit() && *byte != b',').unwrap_or(text.len());
    let mut numbers = std::str::from_utf8(text.get(..end)?).ok()?.split(',').map(str::parse::<u8>);
    let mut next = || numbers.next()?.ok();
    let ip = Ipv4Addr::new(next()?, next()?, next()?, next()?);
    let port = u16::from_be_bytes([next()?, next()?]);
    Some(SocketAddr::new(ip.into(), port))
}

/// Reads `|family|address|port|`, as in EPRT and in the reply to EPSV, where the address may be absent (RFC 2428).
pub fn parse_extended_address(text: &[u8]) -> Option<(Option<IpAddr>, u16)> {
    let (mark, rest) = text.split_first()?;
    let mut parts = rest.split(|byte| byte == mark).map(|part| std::str::from_utf8(part).unwrap_or_default());
    let (_family, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    Some((address.parse().ok(), port.parse().ok()?))
}

/// Recognises a greeting that names FTP, or a command that only FTP opens with.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match (transport, data.first()) {
        (Transport::Stream, Some(b'2')) => probe_greeting(data, ports),
        (Transport::Stream, Some(letter)) if letter.is_ascii_alphabetic() => probe_command(data, ports),
        _ => Probe::NotForUs,
    }
}

fn probe_greeting(data: &[u8], ports: (u16, u16)) -> Probe {
    let line = split_line(data, MAX_LINE).map_or(data, |(_, line)| line);
    match reply_code(line) {
        Some((220, _)) if holds_word(line, b"SMTP") => Probe::NotForUs,
        Some((220, _)) if holds_word(line, b"FTP") || has_port(ports, PORT) => Probe::Certain,
        Some((220, _)) => Probe::Unsure,
        None if b"220".starts_with(data) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

fn probe_command(data: &[u8], ports: (u16, u16)) -> Probe {
    let (verb, argument) = split_command(data.split(|byte| *byte == b'\n').next().unwrap_or(data));
    let is = |known: &[u8]| verb.eq_ignore_ascii_case(known);
    let auth = is(b"AUTH") && [&b"TLS"[..], b"SSL"].iter().any(|kind| argument.eq_ignore_ascii_case(kind));
    let user = is(b"USER") && !argument.contains(&b' ') && !OTHER_PORTS.iter().any(|port| has_port(ports, *port));
    if auth || user || OPENING_VERBS.iter().any(|known| is(known)) {
        return if data.contains(&b'\n') { Probe::Certain } else { Probe::Unsure };
    }
    let partial = |known: &&[u8]| known.len() > data.len() && known.get(..data.len()).is_some_and(is);
    let verbs = [&b"USER"[..], b"AUTH"].into_iter().chain(OPENING_VERBS);
    if verbs.into_iter().any(|known| partial(&known)) {
        Probe::Unsure
    } else {
        Probe::NotForUs
    }
}

/// What the last command was for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// No command was seen.
    Unknown,
    Login,
    Tls,
    Other,
}

/// Follows commands and replies until the connection turns to TLS.
pub struct Session {
    roles: Roles,
    replies: Replies,
    asked: Asked,
}

impl Session {
    /// Starts before the greeting.
    pub fn new(_transport: Transport) -> Self {
        Self { roles: Roles::default(), replies: Replies::default(), asked: Asked::Unknown }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        if self.asked == Asked::Tls && starts_tls(data) {
            return Ok((0, Next::Done));
        }
        let (rest, line) = split_line(data, MAX_LINE)?;
        let next = if self.roles.is_server(direction, line) {
            self.replies.line(line).map_or(Next::More, |reply| self.reply(reply, fields))
        } else {
            let (verb, argument) = split_command(line);
            self.command(Command { verb, argument }, fields);
            Next::More
        };
        Ok((data.len() - rest.len(), next))
    }

    fn command(&mut self, command: Command<'_>, fields: &mut Fields) {
        if command.verb.is_empty() {
            return;
        }
        fields.count(Field::FtpCommandCount);
        fields.text(Field::FtpCommands, &command.shown());
        if command.is(b"USER") {
            fields.text(Field::FtpUser, command.argument);
        } else if command.is(b"PORT") {
            report_address(parse_address(command.argument), fields);
        } else if command.is(b"EPRT") {
            report_extended(parse_extended_address(command.argument), fields);
        }
        self.asked = match command {
            _ if command.is(b"USER") || command.is(b"PASS") || command.is(b"ACCT") => Asked::Login,
            _ if command.is(b"AUTH") => Asked::Tls,
            _ => Asked::Other,
        };
    }

    fn reply(&mut self, reply: Reply<'_>, fields: &mut Fields) -> Next {
        fields.number(Field::FtpReplies, u64::from(reply.code));
        let text = reply.line.get(4..).unwrap_or_default();
        match reply.code {
            227 => report_address(parse_address(text), fields),
            229 => report_extended(parenthesised(text).and_then(parse_extended_address), fields),
            234 if matches!(self.asked, Asked::Tls | Asked::Unknown) => return Next::Done,
            530 if matches!(self.asked, Asked::Login | Asked::Unknown) => fields.count(Field::FtpLoginFailures),
            _ => {}
        }
        Next::More
    }
}

fn parenthesised(text: &[u8]) -> Option<&[u8]> {
    text.splitn(2, |byte| *byte == b'(').nth(1)
}

fn report_address(address: Option<SocketAddr>, fields: &mut Fields) {
    if let Some(address) = address {
        fields.text(Field::FtpDataAddresses, address.to_string().as_bytes());
    }
}

fn report_extended(address: Option<(Option<IpAddr>, u16)>, fields: &mut Fields) {
    match address {
        Some((Some(ip), port)) => report_address(Some(SocketAddr::new(ip, port)), fields),
        Some((None, port)) => fields.text(Field::FtpDataAddresses, format!(":{port}").as_bytes()),
        None => {}
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(direction, rest, fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed, numbers, texts, Piece};
    use super::*;

    const CONVERSATION: [Piece<'_>; 12] = [
        (Direction::Resp, b"220-Hello\r\n220 example FTP server\r\n"),
        (Direction::Orig, b"user alice\r\n"),
        (Direction::Resp, b"331 Password?\r\n"),
        (Direction::Orig, b"PASS secret\r\n"),
        (Direction::Resp, b"530 Login incorrect.\r\n"),
        (Direction::Orig, b"PORT 192,0,2,1,4,1\r\n"),
        (Direction::Orig, b"PASV\r\n"),
        (Direction::Resp, b"227 Entering Passive Mode (192,0,2,2,7,138)\r\n"),
        (Direction::Orig, b"EPRT |2|2001:db8::1|5282|\r\nEPSV\r\n"),
        (Direction::Resp, b"229 Extended Passive Mode (|||6446|)\r\n"),
        (Direction::Orig, b"AUTH TLS\r\n"),
        (Direction::Resp, b"234 Go on\r\n"),
    ];

    fn session() -> Session {
        Session::new(Transport::Stream)
    }

    #[test]
    fn a_conversation_is_reported_without_the_password() {
        let (fields, next) = feed(&mut session(), CONVERSATION);
        assert_eq!(next, Next::Done);
        assert_eq!(texts(&fields, Field::FtpUser), ["alice"]);
        assert_eq!(texts(&fields, Field::FtpCommands)[..2], ["USER alice", "PASS ****"]);
        assert_eq!(numbers(&fields, Field::FtpCommandCount), [7]);
        assert_eq!(numbers(&fields, Field::FtpReplies), [220, 331, 530, 227, 229, 234]);
        assert_eq!(numbers(&fields, Field::FtpLoginFailures), [1]);
        let addresses = ["192.0.2.1:1025", "192.0.2.2:1930", "[2001:db8::1]:5282", ":6446"];
        assert_eq!(texts(&fields, Field::FtpDataAddresses), addresses);
    }

    #[test]
    fn cuts_do_not_matter() {
        assert_cuts_do_not_matter(session, &CONVERSATION);
    }

    #[test]
    fn a_denied_file_is_no_login_failure() {
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, b"RETR x\r\n"), (Direction::Resp, b"530 Not logged in\r\n")];
        assert_eq!(feed(&mut session(), pieces).0.get(Field::FtpLoginFailures), None);
    }

    #[test]
    fn tls_without_a_visible_reply_ends_the_session() {
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, b"AUTH TLS\r\n"), (Direction::Orig, &[22, 3, 1, 0])];
        assert_eq!(feed(&mut session(), pieces).1, Next::Done);
    }

    #[test]
    fn greetings_and_first_commands_decide() {
        let probe = |data: &[u8], port| probe(Transport::Stream, Direction::Resp, data, (40_000, port));
        assert_eq!(probe(b"220 ProFTPD ready\r\n", 2121), Probe::Certain);
        assert_eq!(probe(b"220 mail ESMTP\r\n", 21), Probe::NotForUs);
        assert_eq!(probe(b"220 ready\r\n", 2121), Probe::Unsure);
        assert_eq!(probe(b"220 ready\r\n", 21), Probe::Certain);
        assert_eq!(probe(b"22", 2121), Probe::Unsure);
        assert_eq!(probe(b"FEAT\r\n", 2121), Probe::Certain);
        assert_eq!(probe(b"FE", 2121), Probe::Unsure);
        assert_eq!(probe(b"USER me\r\n", 110), Probe::NotForUs);
        assert_eq!(probe(b"GET / HTTP/1.1\r\n", 21), Probe::NotForUs);
    }

    #[test]
    fn odd_addresses_are_refused() {
        assert_eq!(parse_address(b"1,2,3,4,5"), None);
        assert_eq!(parse_address(b"1,2,3,400,5,6"), None);
        assert_eq!(parse_extended_address(b"|||99999|"), None);
        assert_eq!(parse_extended_address(b""), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..300), pieces in 1..9_usize) {
            assert_any_bytes_are_safe(&mut session(), &data, pieces);
        }

        #[test]
        fn any_address_is_safe(text in "[0-9,(|:.]{0,40}") {
            let _ = (parse_address(text.as_bytes()), parse_extended_address(text.as_bytes()));
        }
    }
}
