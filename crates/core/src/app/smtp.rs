//! SMTP: commands, replies and the size and subject of each mail (RFC 5321, RFC 3030).

use super::bytes::{drain, has_port};
use super::field::MAX_TEXT;
use super::line::{holds_word, reply_code, split_command, split_line, starts_tls, Replies, Reply, Roles};
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Longest command or reply line read.
pub const MAX_LINE: usize = 8192;

/// Ports that decide on a greeting without words: SMTP, submission, and its common substitute.
const PORTS: [u16; 3] = [25, 587, 2525];

/// A command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// HELO, EHLO or LHLO (RFC 2033) with the client's name.
    Hello(&'a [u8]),
    /// MAIL FROM with the address, without brackets.
    Mail(&'a [u8]),
    /// RCPT TO with the address, without brackets.
    Recipient(&'a [u8]),
    Data,
    /// BDAT with the chunk's size in bytes.
    Chunk {
        size: u64,
        last: bool,
    },
    Auth(&'a [u8]),
    StartTls,
    Other {
        verb: &'a [u8],
        argument: &'a [u8],
    },
}

/// Reads one command line.
pub fn parse_command(data: &[u8]) -> Parsed<'_, Command<'_>> {
    let (rest, line) = split_line(data, MAX_LINE)?;
    Ok((rest, command(line)))
}

fn command(line: &[u8]) -> Command<'_> {
    let (verb, argument) = split_command(line);
    match &*verb.to_ascii_uppercase() {
        b"HELO" | b"EHLO" | b"LHLO" => Command::Hello(argument),
        b"MAIL" => Command::Mail(address(argument)),
        b"RCPT" => Command::Recipient(address(argument)),
        b"DATA" => Command::Data,
        b"BDAT" => chunk(argument).unwrap_or(Command::Other { verb, argument }),
        b"AUTH" => Command::Auth(argument),
        b"STARTTLS" | b"X-ANONYMOUSTLS" => Command::StartTls,
        _ => Command::Other { verb, argument },
    }
}

/// Reads the address of `FROM:<address> parameters`, tolerating missing brackets.
fn address(argument: &[u8]) -> &[u8] {
    let path = argument.splitn(2, |byte| *byte == b':').nth(1).unwrap_or_default().trim_ascii();
    match path.strip_prefix(b"<") {
        Some(inside) => inside.split(|byte| *byte == b'>').next().unwrap_or(inside),
        None => split_command(path).0,
    }
}

fn chunk(argument: &[u8]) -> Option<Command<'static>> {
    let (size, rest) = split_command(argument);
    let size = std::str::from_utf8(size).ok()?.parse().ok()?;
    Some(Command::Chunk { size, last: rest.eq_ignore_ascii_case(b"LAST") })
}

/// Recognises a greeting that names SMTP, or a client's HELO, EHLO or MAIL FROM.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match (transport, data.first()) {
        (Transport::Stream, Some(b'2')) => probe_greeting(data, ports),
        (Transport::Stream, Some(letter)) if letter.is_ascii_alphabetic() => probe_command(data),
        _ => Probe::NotForUs,
    }
}

fn probe_greeting(data: &[u8], ports: (u16, u16)) -> Probe {
    let line = split_line(data, MAX_LINE).map_or(data, |(_, line)| line);
    match reply_code(line) {
        Some((220, _)) if holds_word(line, b"SMTP") => Probe::Certain,
        Some((220, _)) if holds_word(line, b"FTP") => Probe::NotForUs,
        Some((220, _)) if PORTS.iter().any(|port| has_port(ports, *port)) => Probe::Certain,
        Some((220, _)) => Probe::Unsure,
        None if b"220".starts_with(data) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

fn probe_command(data: &[u8]) -> Probe {
    const OPENINGS: [&[u8]; 4] = [b"HELO ", b"EHLO ", b"LHLO ", b"MAIL FROM:"];
    let begins = |opening: &&[u8]| {
        let common = opening.len().min(data.len());
        data.get(..common).zip(opening.get(..common)).is_some_and(|(ours, known)| ours.eq_ignore_ascii_case(known))
    };
    match OPENINGS.iter().find(|opening| begins(opening)) {
        Some(opening) if data.len() >= opening.len() => Probe::Certain,
        Some(_) => Probe::Unsure,
        None => Probe::NotForUs,
    }
}

/// What the client's next bytes are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Commands,
    /// One line that answers a challenge of AUTH.
    Credentials,
    /// Mail up to the line with a single dot; whether the next byte starts a line.
    Data {
        line_start: bool,
    },
    /// Mail of this many bytes.
    Chunk {
        left: u64,
        last: bool,
    },
}

/// Follows one session until it turns to TLS.
pub struct Session {
    roles: Roles,
    replies: Replies,
    phase: Phase,
    mail: Mail,
    tls_asked: bool,
}

impl Session {
    /// Starts before the greeting.
    pub fn new(_transport: Transport) -> Self {
        Self {
            roles: Roles::default(),
            replies: Replies::default(),
            phase: Phase::Commands,
            mail: Mail::default(),
            tls_asked: false,
        }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        if self.tls_asked && starts_tls(data) {
            return Ok((0, turn_to_tls(fields)));
        }
        let client = self.roles.is_known_client(direction);
        match self.phase {
            Phase::Data { line_start } if client => Ok((self.data(line_start, data, fields)?, Next::More)),
            Phase::Chunk { left, last } if client => Ok((self.chunk(left, last, data, fields), Next::More)),
            _ => {
                let (rest, line) = split_line(data, MAX_LINE)?;
                let server = self.roles.is_server(direction, line);
                let next = if server { self.reply_line(line, fields) } else { self.client_line(line, fields) };
                Ok((data.len() - rest.len(), next))
            }
        }
    }

    /// Reads mail after DATA: to the end of a line, or as much of it as there is.
    fn data(&mut self, line_start: bool, data: &[u8], fields: &mut Fields) -> Result<usize, Stop> {
        if line_start {
            match data {
                [b'.', b'\n', ..] => return Ok(self.end_of_mail(2, fields)),
                [b'.', b'\r', b'\n', ..] => return Ok(self.end_of_mail(3, fields)),
                [b'.'] | [b'.', b'\r'] => return Err(Stop::Incomplete),
                [b'.', ..] => {
                    self.phase = Phase::Data { line_start: false };
                    return Ok(1);
                }
                _ => {}
            }
        }
        let end = memchr::memchr(b'\n', data).map(|end| end + 1);
        let used = end.unwrap_or(data.len());
        self.mail.push(data.get(..used).unwrap_or(data), fields);
        self.phase = Phase::Data { line_start: end.is_some() };
        Ok(used)
    }

    fn chunk(&mut self, left: u64, last: bool, data: &[u8], fields: &mut Fields) -> usize {
        let used = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        self.mail.push(data.get(..used).unwrap_or(data), fields);
        self.start_chunk(left - used as u64, last, fields);
        used
    }

    fn start_chunk(&mut self, left: u64, last: bool, fields: &mut Fields) {
        self.phase = if left > 0 { Phase::Chunk { left, last } } else { Phase::Commands };
        if left == 0 && last {
            self.mail.finish(fields);
        }
    }

    fn end_of_mail(&mut self, used: usize, fields: &mut Fields) -> usize {
        self.mail.finish(fields);
        self.phase = Phase::Commands;
        used
    }

    fn client_line(&mut self, line: &[u8], fields: &mut Fields) -> Next {
        if self.phase == Phase::Credentials {
            self.phase = Phase::Commands;
            return Next::More;
        }
        self.tls_asked = false;
        match command(line) {
            Command::Hello(name) => fields.text(Field::SmtpHelo, name),
            Command::Mail(address) => {
                self.mail = Mail::default();
                fields.text(Field::SmtpFrom, address);
            }
            Command::Recipient(address) => fields.text(Field::SmtpTo, address),
            Command::Data => self.phase = Phase::Data { line_start: true },
            Command::Chunk { size, last } => self.start_chunk(size, last, fields),
            Command::StartTls => self.tls_asked = true,
            Command::Auth(_) | Command::Other { .. } => {}
        }
        Next::More
    }

    fn reply_line(&mut self, line: &[u8], fields: &mut Fields) -> Next {
        self.replies.line(line).map_or(Next::More, |reply| self.reply(reply, fields))
    }

    fn reply(&mut self, reply: Reply<'_>, fields: &mut Fields) -> Next {
        fields.number(Field::SmtpReplies, u64::from(reply.code));
        match reply.code {
            220 if self.tls_asked => return turn_to_tls(fields),
            334 => self.phase = Phase::Credentials,
            535 => fields.count(Field::SmtpLoginFailures),
            354 if self.phase == Phase::Commands && self.mail.bytes == 0 => {
                self.phase = Phase::Data { line_start: true };
            }
            // DATA was refused: what follows are commands, not mail.
            400.. if matches!(self.phase, Phase::Data { .. }) && self.mail.bytes == 0 => self.phase = Phase::Commands,
            _ => {}
        }
        Next::More
    }
}

fn turn_to_tls(fields: &mut Fields) -> Next {
    fields.number(Field::SmtpStartTls, 1);
    Next::Done
}

/// One mail in transfer: its size, and its header as far as the subject needs it.
#[derive(Default)]
struct Mail {
    bytes: u64,
    /// The header line in progress, at most [`MAX_TEXT`] bytes.
    line: Vec<u8>,
    /// The unfolded subject, at most [`MAX_TEXT`] bytes.
    subject: Option<Vec<u8>>,
    /// Whether the line before belongs to the subject.
    in_subject: bool,
    header_done: bool,
}

impl Mail {
    fn push(&mut self, data: &[u8], fields: &mut Fields) {
        self.bytes += data.len() as u64;
        fields.number(Field::SmtpMailBytes, data.len() as u64);
        for line in data.split_inclusive(|byte| *byte == b'\n') {
            if self.header_done {
                break;
            }
            append(&mut self.line, line);
            if line.ends_with(b"\n") {
                self.header_line(fields);
            }
        }
    }

    fn header_line(&mut self, fields: &mut Fields) {
        let line = std::mem::take(&mut self.line);
        let text = line.trim_ascii_end();
        if text.is_empty() {
            self.header_done = true;
            self.report(fields);
        } else if line.starts_with(b" ") || line.starts_with(b"\t") {
            if let Some(subject) = self.subject.as_mut().filter(|_| self.in_subject) {
                append(subject, text);
            }
        } else {
            let value = text.split_at_checked(8).filter(|(name, _)| name.eq_ignore_ascii_case(b"Subject:"));
            self.in_subject = value.is_some() && self.subject.is_none();
            if let Some((_, value)) = value.filter(|_| self.in_subject) {
                self.subject = Some(value.trim_ascii().to_vec());
            }
        }
    }

    /// Ends the mail, whose header may have ended with it.
    fn finish(&mut self, fields: &mut Fields) {
        if !self.header_done && !self.line.is_empty() {
            self.header_line(fields);
        }
        self.report(fields);
        *self = Self::default();
    }

    fn report(&mut self, fields: &mut Fields) {
        if let Some(subject) = self.subject.take() {
            fields.text(Field::SmtpSubjects, &subject);
        }
    }
}

/// Appends as much as [`MAX_TEXT`] allows.
fn append(text: &mut Vec<u8>, more: &[u8]) {
    let room = MAX_TEXT.saturating_sub(text.len());
    text.extend(more.iter().take(room));
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
        (Direction::Resp, b"220 mx.example ESMTP\r\n"),
        (Direction::Orig, b"EHLO client.example\r\n"),
        (Direction::Resp, b"250-mx.example\r\n250 PIPELINING\r\n"),
        (Direction::Orig, b"AUTH LOGIN\r\n"),
        (Direction::Resp, b"334 VXNlcm5hbWU6\r\n"),
        (Direction::Orig, b"REFUQQ==\r\n"),
        (Direction::Resp, b"535 no\r\n"),
        (Direction::Orig, b"MAIL FROM:<a@example> SIZE=9\r\nRCPT TO: <b@example>\r\nrcpt to:c@example\r\nDATA\r\n"),
        (Direction::Resp, b"250 ok\r\n250 ok\r\n550 no such user\r\n354 go\r\n"),
        (
            Direction::Orig,
            b"To: b\r\nSubject: one\r\n two\r\nX: y\r\n z\r\n\r\nSubject: body\r\n..dot\r\n.\r\nQUIT\r\n",
        ),
        (Direction::Resp, b"250 queued\r\n"),
        (Direction::Resp, b"221 bye\r\n"),
    ];

    fn session() -> Session {
        Session::new(Transport::Stream)
    }

    #[test]
    fn a_mail_is_reported() {
        let (fields, next) = feed(&mut session(), CONVERSATION);
        assert_eq!(next, Next::More);
        assert_eq!(texts(&fields, Field::SmtpHelo), ["client.example"]);
        assert_eq!(texts(&fields, Field::SmtpFrom), ["a@example"]);
        assert_eq!(texts(&fields, Field::SmtpTo), ["b@example", "c@example"]);
        assert_eq!(texts(&fields, Field::SmtpSubjects), ["one two"]);
        assert_eq!(numbers(&fields, Field::SmtpReplies), [220, 250, 334, 535, 250, 250, 550, 354, 250, 221]);
        assert_eq!(numbers(&fields, Field::SmtpLoginFailures), [1]);
        let mail = b"To: b\r\nSubject: one\r\n two\r\nX: y\r\n z\r\n\r\nSubject: body\r\n.dot\r\n";
        assert_eq!(numbers(&fields, Field::SmtpMailBytes), [mail.len() as u64]);
    }

    #[test]
    fn cuts_do_not_matter() {
        assert_cuts_do_not_matter(session, &CONVERSATION);
    }

    #[test]
    fn chunks_are_counted_and_their_headers_read() {
        let pieces: [Piece<'_>; 2] = [
            (Direction::Orig, b"MAIL FROM:<a@b>\r\nBDAT 12\r\nSubject: lon"),
            (Direction::Orig, b"BDAT 5 LAST\r\nger\r\nBDAT 99999999999999999999\r\nQUIT\r\n"),
        ];
        let (fields, _) = feed(&mut session(), pieces);
        assert_eq!(texts(&fields, Field::SmtpSubjects), ["longer"]);
        assert_eq!(numbers(&fields, Field::SmtpMailBytes), [17]);
        assert_cuts_do_not_matter(session, &pieces);
    }

    #[test]
    fn refused_data_is_followed_by_commands() {
        let pieces: [Piece<'_>; 3] = [
            (Direction::Orig, b"DATA\r\n"),
            (Direction::Resp, b"503 no recipients\r\n"),
            (Direction::Orig, b"HELO again\r\n"),
        ];
        assert_eq!(texts(&feed(&mut session(), pieces).0, Field::SmtpHelo), ["again"]);
    }

    #[test]
    fn starttls_ends_the_session() {
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, b"STARTTLS\r\n"), (Direction::Resp, b"220 go\r\n")];
        let (fields, next) = feed(&mut session(), pieces);
        assert_eq!((numbers(&fields, Field::SmtpStartTls), next), (vec![1], Next::Done));
        let one_side: [Piece<'_>; 2] = [(Direction::Orig, b"STARTTLS\r\n"), (Direction::Orig, &[22, 3, 1])];
        assert_eq!(feed(&mut session(), one_side).1, Next::Done);
    }

    #[test]
    fn greetings_and_first_commands_decide() {
        let probe = |data: &[u8], port| probe(Transport::Stream, Direction::Resp, data, (40_000, port));
        assert_eq!(probe(b"220 mx ESMTP Postfix\r\n", 9), Probe::Certain);
        assert_eq!(probe(b"220 vsFTPd\r\n", 25), Probe::NotForUs);
        assert_eq!(probe(b"220 hello\r\n", 9), Probe::Unsure);
        assert_eq!(probe(b"220 hello\r\n", 587), Probe::Certain);
        assert_eq!(probe(b"ehlo x\r\n", 9), Probe::Certain);
        assert_eq!(probe(b"EH", 9), Probe::Unsure);
        assert_eq!(probe(b"HEAD / HTTP/1.0\r\n", 25), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..300), pieces in 1..9_usize) {
            assert_any_bytes_are_safe(&mut session(), &data, pieces);
            let mail = [b"DATA\r\n", &data[..]].concat();
            assert_any_bytes_are_safe(&mut session(), &mail, 1);
        }
    }
}
