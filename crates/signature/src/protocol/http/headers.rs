//! Header lines: how they are read, joined and shown to rules.

use super::lines::{chomp, is_fold, is_space, trim, trim_end, word};
use crate::field::Field;
use crate::transaction::{Direction, Transaction};

/// Headers of a message that are kept.
const MAX_HEADERS: usize = 1024;
/// Lines of a repeated header that are joined.
const MAX_REPEATED: usize = 64;
/// Bytes of the headers as sent that are kept.
const MAX_RAW: usize = 1 << 18;

/// A header; one that was repeated has all values with ", " between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    pub name: Vec<u8>,
    pub value: Vec<u8>,
    pub repeated: usize,
}

/// What is wrong with a header line, by the event's name after the direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    MissingColon,
    InvalidName,
    Repeated,
    DuplicateLength,
    InvalidFolding,
}

impl Flaw {
    /// Returns the event's name.
    pub const fn event(self, direction: Direction) -> &'static str {
        match (self, direction) {
            (Flaw::MissingColon, Direction::Orig) => "request_field_missing_colon",
            (Flaw::MissingColon, Direction::Resp) => "response_field_missing_colon",
            (Flaw::InvalidName, Direction::Orig) => "request_header_invalid",
            (Flaw::InvalidName, Direction::Resp) => "response_header_invalid",
            (Flaw::Repeated, Direction::Orig) => "request_header_repetition",
            (Flaw::Repeated, Direction::Resp) => "response_header_repetition",
            (Flaw::DuplicateLength, Direction::Orig) => "duplicate_content_length_field_in_request",
            (Flaw::DuplicateLength, Direction::Resp) => "duplicate_content_length_field_in_response",
            (Flaw::InvalidFolding, Direction::Orig) => "invalid_request_field_folding",
            (Flaw::InvalidFolding, Direction::Resp) => "invalid_response_field_folding",
        }
    }
}

/// The headers of one message.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    pub list: Vec<Header>,
    /// The lines as sent, the empty one at the end included.
    pub raw: Vec<u8>,
    /// A line that the next one may go on.
    unfinished: Option<Vec<u8>>,
    flaws: Vec<Flaw>,
}

impl Headers {
    /// Returns the value of a header by its name in lower case; NUL bytes in names do not matter to browsers.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.list.iter().find(|header| is_named(&header.name, name.as_bytes()));
        found.map(|header| header.value.as_slice())
    }

    /// Keeps bytes as sent.
    pub fn keep_raw(&mut self, line: &[u8]) {
        let room = MAX_RAW.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(line.get(..room).unwrap_or(line));
    }

    /// Takes a line; one that begins with white space goes on the one before.
    pub fn take_line(&mut self, line: &[u8], folds_headers: bool) {
        let line = chomp(line);
        let is_folded = line.first().is_some_and(|byte| is_fold(*byte));
        match &mut self.unfinished {
            Some(before) if is_folded && (folds_headers || !line.contains(&b':') || !before.contains(&b':')) => {
                let added = trim(line);
                if !added.is_empty() && before.len() < MAX_RAW {
                    if !before.ends_with(b":") {
                        before.push(b' ');
                    }
                    before.extend_from_slice(added);
                }
            }
            _ => {
                self.finish_line();
                if line.is_empty() {
                    return;
                }
                if is_folded {
                    self.flaws.push(Flaw::InvalidFolding);
                }
                self.unfinished = Some(line.to_vec());
            }
        }
    }

    /// Takes the last line as complete.
    pub fn finish_line(&mut self) {
        if let Some(line) = self.unfinished.take() {
            self.add(&line);
        }
    }

    fn add(&mut self, line: &[u8]) {
        let (name, rest) = word(line, |byte| byte == b':');
        match rest.split_first() {
            None => {
                self.flaw(Flaw::MissingColon);
                self.insert(b"", trim(line));
            }
            Some((_, value)) => {
                let name = trim_name(name);
                if name.is_empty() || !name.iter().all(|byte| is_token(*byte)) {
                    self.flaw(Flaw::InvalidName);
                }
                self.insert(name, trim(value));
            }
        }
    }

    fn flaw(&mut self, flaw: Flaw) {
        if !self.flaws.contains(&flaw) {
            self.flaws.push(flaw);
        }
    }

    fn insert(&mut self, name: &[u8], value: &[u8]) {
        let Some(old) = self.list.iter_mut().find(|header| header.name.eq_ignore_ascii_case(name)) else {
            if self.list.len() < MAX_HEADERS {
                self.list.push(Header { name: name.to_vec(), value: value.to_vec(), repeated: 0 });
            }
            return;
        };
        old.repeated += 1;
        if name.eq_ignore_ascii_case(b"content-length") {
            self.flaw(Flaw::DuplicateLength);
        } else if old.repeated <= MAX_REPEATED {
            old.value.extend_from_slice(b", ");
            old.value.extend_from_slice(value);
        }
        self.flaw(Flaw::Repeated);
    }

    /// Puts all fields made of headers into the transaction; `line` is the request or status line.
    pub fn report(&self, direction: Direction, line: &[u8], transaction: &mut Transaction) {
        for flaw in &self.flaws {
            transaction.event(direction, flaw.event(direction));
        }
        self.report_buffers(direction, line, transaction);
        self.report_each(direction, transaction);
        for (name, field, sent) in FIELDS {
            if sent.is_none_or(|sent| sent == direction) {
                if let Some(value) = self.get(name) {
                    transaction.put(direction, *field, value);
                }
            }
        }
    }

    fn report_buffers(&self, direction: Direction, line: &[u8], transaction: &mut Transaction) {
        if self.list.is_empty() {
            return;
        }
        transaction.put(direction, Field::HttpHeaderRaw, &self.raw);
        if transaction.wants(Field::HttpHeader) || transaction.wants(Field::HttpStart) {
            let shown = self.normalised(direction);
            if !shown.is_empty() {
                transaction.put(direction, Field::HttpHeader, &shown);
            }
            transaction.put(direction, Field::HttpStart, &[line, b"\r\n", &shown, b"\r\n"].concat());
        }
        if transaction.wants(Field::HttpHeaderNames) {
            let names: Vec<&[u8]> = self.list.iter().map(|header| header.name.as_slice()).collect();
            let names = [b"\r\n", names.join(&b"\r\n"[..]).as_slice(), b"\r\n\r\n"].concat();
            transaction.put(direction, Field::HttpHeaderNames, &names);
        }
    }

    fn report_each(&self, direction: Direction, transaction: &mut Transaction) {
        let field = match direction {
            Direction::Orig => Field::HttpRequestHeader,
            Direction::Resp => Field::HttpResponseHeader,
        };
        if transaction.wants(field) {
            for header in &self.list {
                transaction.put(direction, field, &[&header.name[..], b": ", &header.value].concat());
            }
        }
    }

    /// Returns the headers one after the other without cookies, which have a field of their own.
    fn normalised(&self, direction: Direction) -> Vec<u8> {
        let cookie: &[u8] = match direction {
            Direction::Orig => b"cookie",
            Direction::Resp => b"set-cookie",
        };
        let shown = self.list.iter().filter(|header| !header.name.eq_ignore_ascii_case(cookie));
        shown.flat_map(|header| [&header.name[..], b": ", &header.value, b"\r\n"].concat()).collect()
    }
}

/// Headers that are fields of their own.
const FIELDS: &[(&str, Field, Option<Direction>)] = &[
    ("user-agent", Field::HttpUserAgent, Some(Direction::Orig)),
    ("referer", Field::HttpReferer, Some(Direction::Orig)),
    ("accept", Field::HttpAccept, Some(Direction::Orig)),
    ("accept-encoding", Field::HttpAcceptEncoding, Some(Direction::Orig)),
    ("accept-language", Field::HttpAcceptLanguage, Some(Direction::Orig)),
    ("cookie", Field::HttpCookie, Some(Direction::Orig)),
    ("set-cookie", Field::HttpCookie, Some(Direction::Resp)),
    ("server", Field::HttpServer, Some(Direction::Resp)),
    ("location", Field::HttpLocation, Some(Direction::Resp)),
    ("connection", Field::HttpConnection, None),
    ("content-type", Field::HttpContentType, None),
    ("content-length", Field::HttpContentLength, None),
];

fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    name.eq_ignore_ascii_case(wanted)
        || name.contains(&0)
            && name.iter().filter(|byte| **byte != 0).map(u8::to_ascii_lowercase).eq(wanted.iter().copied())
}

fn trim_name(name: &[u8]) -> &[u8] {
    trim_end(name.iter().position(|byte| !is_space(*byte)).and_then(|start| name.get(start..)).unwrap_or_default())
}

fn is_token(byte: u8) -> bool {
    infraspectre_core::app::http::is_token(byte)
}

/// Reads a declared length: the first number in the value, as long as it is one.
pub fn content_length(value: &[u8]) -> Option<u64> {
    let (_, rest) = word(value, |byte| byte.is_ascii_digit());
    let (digits, _) = word(rest, |byte| !byte.is_ascii_digit());
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldSet;
    use crate::protocol::Protocol;

    fn headers(lines: &[&[u8]]) -> Headers {
        let mut headers = Headers::default();
        lines.iter().for_each(|line| headers.take_line(line, true));
        headers.finish_line();
        headers
    }

    #[test]
    fn headers_are_joined_and_shown_as_rules_expect() {
        let headers = headers(&[b"A : 1\r\n", b"Cookie: c\r\n", b"a: 2\r\n", b"B:x\r\n", b"\ty \r\n", b"oops\r\n"]);
        let mut transaction = Transaction::new(Protocol::Http, 0, FieldSet::all());
        headers.report(Direction::Orig, b"GET / HTTP/1.1", &mut transaction);
        let value = |field| String::from_utf8_lossy(transaction.value(Direction::Orig, field).unwrap()).into_owned();
        assert_eq!(value(Field::HttpHeader), "A: 1, 2\r\nB: x y\r\n: oops\r\n");
        assert_eq!(value(Field::HttpHeaderNames), "\r\nA\r\nCookie\r\nB\r\n\r\n\r\n");
        assert_eq!(value(Field::HttpStart), "GET / HTTP/1.1\r\nA: 1, 2\r\nB: x y\r\n: oops\r\n\r\n");
        assert_eq!(value(Field::HttpCookie), "c");
        let each: Vec<_> = transaction.values(Direction::Orig, Field::HttpRequestHeader).collect();
        assert_eq!(each, [&b"A: 1, 2"[..], b"Cookie: c", b"B: x y", b": oops"]);
        assert!(transaction.events.contains(&(Direction::Orig, "request_field_missing_colon")));
    }

    #[test]
    fn lengths_are_read_with_junk_around() {
        assert_eq!(content_length(b" x12 34"), Some(12));
        assert_eq!((content_length(b"none"), content_length(b"99999999999999999999999")), (None, None));
    }
}
