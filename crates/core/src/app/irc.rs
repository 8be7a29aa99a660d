//! Internet relay chat: who a client says it is, which channels it joins, and what is said there (RFC 2812).

use super::bytes::drain;
use super::line::{split_command, split_line};
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Longest line read: a message has at most 512 bytes, tags before it 8,191 (IRCv3 message tags).
pub const MAX_LINE: usize = 8192 + 512;

/// A message without its tags and prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Whether it says who sent it, as those of servers do.
    pub has_prefix: bool,
    pub command: &'a [u8],
    /// All parameters, the colon before the last one included.
    pub parameters: &'a [u8],
}

impl<'a> Message<'a> {
    fn is(&self, command: &[u8]) -> bool {
        self.command.eq_ignore_ascii_case(command)
    }

    fn first(&self) -> &'a [u8] {
        let word = split_command(self.parameters).0;
        word.strip_prefix(b":").unwrap_or(word)
    }

    /// Returns the last parameter, which may hold blanks.
    fn text(&self) -> &'a [u8] {
        match self.parameters.windows(2).position(|pair| pair == b" :") {
            Some(at) => self.parameters.get(at + 2..).unwrap_or_default(),
            None => split_command(self.parameters).1,
        }
    }

    fn names_channel(&self) -> bool {
        matches!(self.first().first(), Some(b'#' | b'&' | b'+' | b'!'))
    }
}

/// Reads one message.
pub fn parse_message(data: &[u8]) -> Parsed<'_, Message<'_>> {
    let (rest, line) = split_line(data, MAX_LINE)?;
    Ok((rest, message(line)))
}

fn message(line: &[u8]) -> Message<'_> {
    let skip = |line: &'_ [u8], mark: u8| line.first() == Some(&mark);
    let untagged = if skip(line, b'@') { split_command(line).1 } else { line };
    let has_prefix = skip(untagged, b':');
    let (command, parameters) = split_command(if has_prefix { split_command(untagged).1 } else { untagged });
    Message { has_prefix, command, parameters }
}

/// Recognises a registration (NICK, USER with four parameters, CAP), talk on a channel, or a server's greeting.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    let may_begin = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b':' | b'@');
    if transport != Transport::Stream || !data.first().is_some_and(may_begin) {
        return Probe::NotForUs;
    }
    match parse_message(data) {
        Ok((rest, first)) if first.is(b"PASS") && !first.has_prefix => probe_after_password(rest),
        Ok((_, first)) if is_telling(&first) => Probe::Certain,
        Err(Stop::Incomplete) if data.len() < MAX_LINE => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// POP3 has PASS, too, but not as its first command, and NICK never.
fn probe_after_password(data: &[u8]) -> Probe {
    match parse_message(data) {
        Ok((_, second)) if is_telling(&second) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

fn is_telling(message: &Message<'_>) -> bool {
    let parameters = message.parameters.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count();
    let is_number = message.command.len() == 3 && message.command.iter().all(u8::is_ascii_digit);
    let is = |commands: &[&[u8]]| commands.iter().any(|command| message.is(command));
    is(&[b"NICK"]) && matches!(parameters, 1 | 2)
        || is(&[b"USER"]) && parameters >= 4
        || is(&[b"CAP"]) && [&b"LS"[..], b"REQ"].contains(&message.first())
        || is(&[b"JOIN", b"PRIVMSG", b"TOPIC"]) && message.names_channel()
        || message.has_prefix && (is_number || is(&[b"NOTICE"])) && parameters >= 2
        || is(&[b"NOTICE"]) && message.first().eq_ignore_ascii_case(b"AUTH")
}

/// Follows the messages of both sides.
pub struct Session;

impl Session {
    /// Starts before the registration.
    pub fn new(_transport: Transport) -> Self {
        Self
    }

    fn step(&mut self, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        let (rest, message) = parse_message(data)?;
        report(&message, fields);
        Ok((data.len() - rest.len(), Next::More))
    }
}

fn report(message: &Message<'_>, fields: &mut Fields) {
    let is = |command: &[u8]| message.is(command);
    if !message.has_prefix && is(b"NICK") {
        fields.text(Field::IrcNick, message.first());
    } else if !message.has_prefix && is(b"USER") {
        fields.text(Field::IrcUser, message.parameters);
    } else if !message.has_prefix && is(b"JOIN") {
        fields.text(Field::IrcChannels, message.first());
    } else if is(b"PRIVMSG") || is(b"TOPIC") || is(b"332") {
        fields.text(Field::IrcTexts, message.text());
    }
}

impl super::Session for Session {
    fn read(&mut self, _direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(rest, fields))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed, texts};
    use proptest::prelude::*;

    const CLIENT: &[u8] = b"NICK bot123\r\nUSER bot 0 * :real name\r\nJOIN #lair key\r\nPRIVMSG #lair :done here\r\n";
    const SERVER: &[u8] = b":irc.example 001 bot123 :Welcome\r\n:irc.example 332 bot123 #lair :.update now\r\n\
        @time=1 :boss!b@h PRIVMSG #lair :.flood 1.2.3.4\r\n:boss!b@h NICK :other\r\n";
    const TALK: &[(Direction, &[u8])] = &[(Direction::Orig, CLIENT), (Direction::Resp, SERVER)];

    fn probe_of(data: &[u8]) -> Probe {
        probe(Transport::Stream, Direction::Orig, data, (40_000, 6_667))
    }

    #[test]
    fn a_client_is_known_by_its_names_and_channels_and_what_is_said() {
        let (fields, next) = feed(&mut Session, TALK.iter().copied());
        assert_eq!(next, Next::More);
        assert_eq!(texts(&fields, Field::IrcNick), ["bot123"]);
        assert_eq!(texts(&fields, Field::IrcUser), ["bot 0 * :real name"]);
        assert_eq!(texts(&fields, Field::IrcChannels), ["#lair"]);
        assert_eq!(texts(&fields, Field::IrcTexts), ["done here", ".update now", ".flood 1.2.3.4"]);
    }

    #[test]
    fn cuts_do_not_matter() {
        assert_cuts_do_not_matter(|| Session, TALK);
    }

    #[test]
    fn registrations_and_greetings_are_recognised_and_other_lines_are_not() {
        for known in [
            &b"NICK x\r\n"[..],
            b"USER a b c :d\n",
            b"PASS secret\r\nNICK x\r\n",
            b"CAP LS 302\r\n",
            b":irc.example NOTICE * :*** Looking up your hostname\r\n",
            b"NOTICE AUTH :*** hello\r\n",
        ] {
            assert_eq!(probe_of(known), Probe::Certain, "{}", known.escape_ascii());
        }
        for unknown in
            [&b"USER name\r\n"[..], b"PASS secret\r\nSTAT\r\n", b"GET / HTTP/1.1\r\n", b"EHLO x\r\n", b"\x16\x03"]
        {
            assert_eq!(probe_of(unknown), Probe::NotForUs, "{}", unknown.escape_ascii());
        }
        assert_eq!(probe_of(b"NICK"), Probe::Unsure);
        assert_eq!(probe_of(b"PASS x\r\nNI"), Probe::Unsure);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in prop::collection::vec(any::<u8>(), 0..300), pieces in 1..9usize) {
            assert_any_bytes_are_safe(&mut Session, &data, pieces);
            probe_of(&data);
        }
    }
}
