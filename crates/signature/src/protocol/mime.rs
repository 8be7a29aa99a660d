//! Mail messages line by line (RFC 5322, RFC 2045 to 2047, RFC 2231): headers, attachments as files, and links.

use infraspectre_core::app::{tls::hex, Direction};
use md5::{Digest, Md5};

use crate::field::{Field, BODY};
use crate::transaction::Transaction;

/// Bytes of one header, its continuations included.
const MAX_HEADER: usize = 16 * 1024;
/// Multiparts within multiparts.
const MAX_DEPTH: usize = 32;
const MAX_FILE_NAME: usize = 255;
const MAX_BOUNDARY: usize = 254;
/// Longest line, encoded line and header name that are no event (RFC 5322, 2.1.1; RFC 2045, 6.7 and 6.8).
const MAX_LINE: usize = 998;
const MAX_ENCODED_LINE: usize = 76;
/// Bytes of decoded text that are held to find links in.
const MAX_TEXT: usize = 4096;
/// Links of a message.
const MAX_LINKS: usize = 256;

/// The side that sends mail.
const SENDER: Direction = Direction::Orig;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Header,
    Body,
    /// After the last part of a multipart.
    Epilogue,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Encoding {
    #[default]
    Plain,
    Base64,
    QuotedPrintable,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Content {
    /// Text, also by default (RFC 2045, 5.2).
    #[default]
    Text,
    Message,
    Other,
}

/// What the headers say of the part that is being read.
#[derive(Debug, Default)]
struct Part {
    encoding: Encoding,
    content: Content,
    name: Vec<u8>,
    /// Index of the file in the transaction.
    file: Option<usize>,
}

/// A message that is being read.
#[derive(Default)]
pub struct Mime {
    stage: Stage,
    /// The header that is being read, unfolded.
    header: Vec<u8>,
    /// Whether the message's own headers are complete.
    introduced: bool,
    boundaries: Vec<Vec<u8>>,
    part: Part,
    /// End of the last line, which belongs to the content only if more follows.
    ending: Vec<u8>,
    /// Base64 digits that do not make three bytes yet.
    digits: Vec<u8>,
    /// Decoded text whose line is not complete.
    text: Vec<u8>,
    links: usize,
    body: Option<Md5>,
}

impl Mime {
    /// Reads one line, without and with its end.
    pub fn line(&mut self, line: &[u8], ending: &[u8], transaction: &mut Transaction) {
        if line.len() > MAX_LINE {
            transaction.event(SENDER, "mime_long_line");
        }
        if let Some(body) = &mut self.body {
            body.update(line);
            body.update(ending);
        }
        match self.stage {
            Stage::Header if line.is_empty() => self.end_headers(transaction),
            Stage::Header => self.header_line(line, transaction),
            Stage::Body | Stage::Epilogue => {
                if !self.boundary(line, transaction) {
                    self.body_line(line, ending, transaction);
                }
            }
        }
    }

    /// Ends the message.
    pub fn finish(&mut self, transaction: &mut Transaction) {
        if self.stage == Stage::Header {
            self.end_header(transaction);
        }
        self.end_part(transaction);
        if let Some(body) = self.body.take() {
            transaction.put(SENDER, Field::EmailBodyMd5, hex(&body.finalize()).as_bytes());
        }
    }

    fn header_line(&mut self, line: &[u8], transaction: &mut Transaction) {
        let continues = matches!(line.first(), Some(b' ' | b'\t'));
        if !continues {
            self.end_header(transaction);
        }
        let room = MAX_HEADER.saturating_sub(self.header.len());
        self.header.extend_from_slice(line.get(..room).unwrap_or(line));
    }

    fn end_header(&mut self, transaction: &mut Transaction) {
        let header = std::mem::take(&mut self.header);
        let Some(colon) = memchr::memchr(b':', &header) else { return };
        let (name, value) = header.split_at(colon);
        let (name, value) = (name.trim_ascii().to_ascii_lowercase(), value.get(1..).unwrap_or_default().trim_ascii());
        if !self.introduced {
            put_header(&name, value, transaction);
        }
        self.note_header(&name, value, transaction);
    }

    fn note_header(&mut self, name: &[u8], value: &[u8], transaction: &mut Transaction) {
        match name {
            b"content-disposition" => self.name_file(value, b"filename", transaction),
            b"content-transfer-encoding" => self.part.encoding = encoding(value),
            b"content-type" => {
                self.name_file(value, b"name", transaction);
                self.note_type(value, transaction);
            }
            _ => {}
        }
    }

    fn name_file(&mut self, value: &[u8], parameter: &[u8], transaction: &mut Transaction) {
        if !self.part.name.is_empty() {
            return;
        }
        let Some(mut name) = find_parameter(value, parameter) else { return };
        if name.len() > MAX_FILE_NAME {
            transaction.event(SENDER, "mime_long_filename");
            name.truncate(MAX_FILE_NAME);
        }
        self.part.name = name;
    }

    fn note_type(&mut self, value: &[u8], transaction: &mut Transaction) {
        let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
        self.part.content = match &kind[..] {
            b"text/plain" | b"text/html" => Content::Text,
            kind if kind.starts_with(b"message/") => Content::Message,
            _ => Content::Other,
        };
        let Some(boundary) = find_parameter(value, b"boundary") else { return };
        if boundary.len() > MAX_BOUNDARY {
            transaction.event(SENDER, "mime_long_boundary");
        }
        if self.boundaries.len() < MAX_DEPTH {
            self.boundaries.push([b"--", &boundary[..]].concat());
        }
    }

    /// Goes on with the content, which may be a message with headers of its own.
    fn end_headers(&mut self, transaction: &mut Transaction) {
        self.end_header(transaction);
        if !self.introduced {
            self.introduced = true;
            self.body = transaction.wants(Field::EmailBodyMd5).then(Md5::new);
        }
        if self.part.content == Content::Message {
            self.part = Part::default();
            return;
        }
        self.stage = Stage::Body;
        if !self.part.name.is_empty() {
            let name = std::mem::take(&mut self.part.name);
            transaction.put(SENDER, Field::EmailAttachment, &name);
            self.part.file = transaction.add_file(SENDER, &name);
            transaction.advance(SENDER, BODY);
        }
    }

    /// Tells whether a line is one of the boundaries, and acts on it.
    fn boundary(&mut self, line: &[u8], transaction: &mut Transaction) -> bool {
        if !line.starts_with(b"--") {
            return false;
        }
        let Some(at) = self.boundaries.iter().rposition(|boundary| line.starts_with(boundary)) else { return false };
        let is_last = self
            .boundaries
            .get(at)
            .is_some_and(|boundary| line.get(boundary.len()..).is_some_and(|rest| rest.starts_with(b"--")));
        self.end_part(transaction);
        self.boundaries.truncate(if is_last { at } else { at + 1 });
        self.stage = if is_last { Stage::Epilogue } else { Stage::Header };
        true
    }

    fn end_part(&mut self, transaction: &mut Transaction) {
        if self.part.encoding == Encoding::Base64 {
            self.decode_rest(transaction);
        }
        self.find_links(transaction);
        if let Some(file) = self.part.file.and_then(|at| transaction.files.get_mut(at)) {
            file.body.complete = true;
        }
        self.part = Part::default();
        self.ending.clear();
        self.digits.clear();
    }

    fn body_line(&mut self, line: &[u8], ending: &[u8], transaction: &mut Transaction) {
        if self.part.encoding != Encoding::Plain && line.len() > MAX_ENCODED_LINE {
            transaction.event(SENDER, "mime_long_enc_line");
        }
        match self.part.encoding {
            _ if self.stage == Stage::Epilogue => {}
            Encoding::Base64 => self.base64(line, transaction),
            Encoding::QuotedPrintable => self.quoted(line, ending, transaction),
            Encoding::Plain => self.plain(line, ending, transaction),
        }
    }

    fn plain(&mut self, line: &[u8], ending: &[u8], transaction: &mut Transaction) {
        let before = std::mem::replace(&mut self.ending, ending.to_vec());
        self.emit(&before, transaction);
        self.emit(line, transaction);
    }

    fn quoted(&mut self, line: &[u8], ending: &[u8], transaction: &mut Transaction) {
        let line = line.trim_ascii_end();
        let (line, ending) = match line.strip_suffix(b"=") {
            Some(continued) => (continued, &b""[..]),
            None => (line, ending),
        };
        let (decoded, is_valid) = decode_quoted(line);
        if !is_valid {
            transaction.event(SENDER, "mime_invalid_qp");
        }
        self.plain(&decoded, ending, transaction);
    }

    fn base64(&mut self, line: &[u8], transaction: &mut Transaction) {
        let mut decoded = Vec::with_capacity(line.len() * 3 / 4 + 3);
        for byte in line.iter().filter(|byte| !byte.is_ascii_whitespace()) {
            match base64_value(*byte) {
                Some(value) => self.digits.push(value),
                None if *byte == b'=' => {}
                None => transaction.event(SENDER, "mime_invalid_base64"),
            }
            if let [a, b, c, d] = self.digits[..] {
                decoded.extend([a << 2 | b >> 4, b << 4 | c >> 2, c << 6 | d]);
                self.digits.clear();
            }
        }
        self.emit(&decoded, transaction);
    }

    /// Decodes the two or three digits that end Base64.
    fn decode_rest(&mut self, transaction: &mut Transaction) {
        match self.digits[..] {
            [a, b] => self.emit(&[a << 2 | b >> 4], transaction),
            [a, b, c] => self.emit(&[a << 2 | b >> 4, b << 4 | c >> 2], transaction),
            _ => {}
        }
    }

    /// Takes decoded content.
    fn emit(&mut self, bytes: &[u8], transaction: &mut Transaction) {
        if let Some(file) = self.part.file.and_then(|at| transaction.files.get_mut(at)) {
            file.append(bytes);
        }
        if self.part.content != Content::Text || !transaction.wants(Field::EmailUrl) {
            return;
        }
        self.text.extend_from_slice(bytes);
        if bytes.contains(&b'\n') || self.text.len() > MAX_TEXT {
            self.find_links(transaction);
        }
    }

    /// Puts the links of the text that is held, the last one first.
    fn find_links(&mut self, transaction: &mut Transaction) {
        const SCHEME: &[u8] = b"http://";
        let text = std::mem::take(&mut self.text).to_ascii_lowercase();
        let starts: Vec<usize> = memchr::memmem::find_iter(&text, SCHEME).collect();
        for start in starts.into_iter().rev().take(MAX_LINKS.saturating_sub(self.links)) {
            let rest = text.get(start + SCHEME.len()..).unwrap_or_default();
            let end = rest.iter().position(|byte| !is_of_link(*byte)).unwrap_or(rest.len());
            if let Some(link) = rest.get(..end).filter(|link| !link.is_empty()) {
                self.links += 1;
                transaction.put(SENDER, Field::EmailUrl, link);
            }
        }
    }
}

fn is_of_link(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'<' | b'>' | b'`' | b'{' | b'}' | b'|' | b'\\' | b'^')
}

fn encoding(value: &[u8]) -> Encoding {
    match &value.to_ascii_lowercase()[..] {
        b"base64" => Encoding::Base64,
        b"quoted-printable" => Encoding::QuotedPrintable,
        _ => Encoding::Plain,
    }
}

fn put_header(name: &[u8], value: &[u8], transaction: &mut Transaction) {
    let field = match name {
        b"from" => Field::EmailFrom,
        b"to" => Field::EmailTo,
        b"cc" => Field::EmailCc,
        b"subject" => Field::EmailSubject,
        b"date" => Field::EmailDate,
        b"message-id" => Field::EmailMessageId,
        b"x-mailer" => Field::EmailXMailer,
        b"received" => Field::EmailReceived,
        _ => return,
    };
    transaction.put(SENDER, field, &decode_words(value));
}

/// Returns the six bits that a character of base64 stands for (RFC 4648, 4).
pub(crate) fn base64_value(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

fn decode_base64(text: &[u8]) -> Vec<u8> {
    let (mut out, mut held, mut bits) = (Vec::with_capacity(text.len()), 0_u32, 0);
    for value in text.iter().filter_map(|byte| base64_value(*byte)) {
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            out.push((held >> bits) as u8);
        }
    }
    out
}

/// Reads two hexadecimal digits.
fn hex_pair(digits: &[u8]) -> Option<u8> {
    let [high, low] = digits.first_chunk::<2>()?.map(|digit| char::from(digit).to_digit(16));
    u8::try_from(high? << 4 | low?).ok()
}

/// Decodes bytes written as a mark and two digits; tells whether each mark had its digits.
fn decode_marked(text: &[u8], mark: u8) -> (Vec<u8>, bool) {
    let (mut out, mut rest, mut is_valid) = (Vec::with_capacity(text.len()), text, true);
    while let Some((first, after)) = rest.split_first() {
        let decoded = (*first == mark).then(|| hex_pair(after)).flatten();
        is_valid &= *first != mark || decoded.is_some();
        out.push(decoded.unwrap_or(*first));
        rest = if decoded.is_some() { after.get(2..).unwrap_or_default() } else { after };
    }
    (out, is_valid)
}

fn decode_quoted(line: &[u8]) -> (Vec<u8>, bool) {
    decode_marked(line, b'=')
}

/// Decodes the encoded words of a header (RFC 2047); blanks between two of them vanish.
fn decode_words(value: &[u8]) -> Vec<u8> {
    let (mut out, mut rest, mut after_word) = (Vec::new(), value, false);
    while let Some(start) = memchr::memmem::find(rest, b"=?") {
        let (before, word) = rest.split_at(start);
        let Some((decoded, after)) = decode_word(word) else {
            out.extend_from_slice(before);
            out.extend_from_slice(b"=?");
            (rest, after_word) = (word.get(2..).unwrap_or_default(), false);
            continue;
        };
        if !(after_word && before.iter().all(u8::is_ascii_whitespace)) {
            out.extend_from_slice(before);
        }
        out.extend(decoded);
        (rest, after_word) = (after, true);
    }
    out.extend_from_slice(rest);
    out
}

/// Decodes one word, `=?charset?encoding?text?=`, and returns what follows it.
fn decode_word(word: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let inner = word.strip_prefix(b"=?")?;
    let charset = memchr::memchr(b'?', inner).filter(|at| *at < 64)?;
    let [kind, b'?', rest @ ..] = inner.get(charset + 1..)? else { return None };
    let end = memchr::memmem::find(rest.get(..rest.len().min(MAX_LINE))?, b"?=")?;
    let (text, after) = (rest.get(..end)?, rest.get(end + 2..)?);
    let decoded = match kind {
        b'b' | b'B' => decode_base64(text),
        b'q' | b'Q' => {
            let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'_' { b' ' } else { *byte }).collect();
            decode_quoted(&spaced).0
        }
        _ => return None,
    };
    Some((decoded, after))
}

/// Finds a parameter of a structured header, in one piece or in numbered ones (RFC 2231).
fn find_parameter(value: &[u8], wanted: &[u8]) -> Option<Vec<u8>> {
    let mut sections = Vec::new();
    for (name, text) in Parameters(value.get(memchr::memchr(b';', value)? + 1..)?) {
        let Some(mark) = strip_name(&name, wanted) else { continue };
        match mark {
            b"" => return Some(decode_words(&text)),
            b"*" => return Some(decode_extended(&text)),
            [b'*', digits @ ..] => sections.push(section(digits, &text)?),
            _ => {}
        }
    }
    sections.sort_by_key(|(number, _)| *number);
    (!sections.is_empty()).then(|| sections.into_iter().flat_map(|(_, text)| text).collect())
}

fn strip_name<'a>(name: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let (start, mark) = name.split_at_checked(wanted.len())?;
    start.eq_ignore_ascii_case(wanted).then_some(mark)
}

/// Reads one piece of a parameter: its number, and whether it is encoded.
fn section(digits: &[u8], text: &[u8]) -> Option<(u16, Vec<u8>)> {
    let (digits, is_encoded) = match digits.strip_suffix(b"*") {
        Some(digits) => (digits, true),
        None => (digits, false),
    };
    let number = std::str::from_utf8(digits).ok()?.parse().ok()?;
    let decoded = match (is_encoded, number) {
        (true, 0) => decode_extended(text),
        (true, _) => decode_marked(text, b'%').0,
        (false, _) => text.to_vec(),
    };
    Some((number, decoded))
}

/// Decodes `charset'language'text`.
fn decode_extended(text: &[u8]) -> Vec<u8> {
    let plain = text.splitn(3, |byte| *byte == b'\'').nth(2).unwrap_or(text);
    decode_marked(plain, b'%').0
}

/// The parameters after a header's first semicolon.
struct Parameters<'a>(&'a [u8]);

impl Iterator for Parameters<'_> {
    type Item = (Vec<u8>, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let equals = memchr::memchr(b'=', self.0)?;
        let (name, rest) = self.0.split_at(equals);
        let name = name.rsplit(|byte| *byte == b';').next().unwrap_or_default().trim_ascii().to_vec();
        let rest = rest.get(1..)?.trim_ascii_start();
        let (text, after) = if let Some(quoted) = rest.strip_prefix(b"\"") {
            unquote(quoted)
        } else {
            let end = memchr::memchr(b';', rest).unwrap_or(rest.len());
            let (text, after) = rest.split_at(end);
            (text.trim_ascii().to_vec(), after)
        };
        self.0 = after;
        Some((name, text))
    }
}

/// Reads up to the closing quote and returns what follows it.
fn unquote(quoted: &[u8]) -> (Vec<u8>, &[u8]) {
    let (mut text, mut rest) = (Vec::new(), quoted);
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match (first, after.split_first()) {
            (b'"', _) => break,
            (b'\\', Some((escaped, after))) => {
                text.push(*escaped);
                rest = after;
            }
            _ => text.push(*first),
        }
    }
    (text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::FieldSet;
    use crate::protocol::Protocol;

    fn read(message: &str) -> Transaction {
        let mut transaction = Transaction::new(Protocol::Smtp, 0, FieldSet::all());
        let mut mime = Mime::default();
        message.split_terminator('\n').for_each(|line| mime.line(line.as_bytes(), b"\r\n", &mut transaction));
        mime.finish(&mut transaction);
        transaction
    }

    fn files(transaction: &Transaction) -> Vec<(&str, &str)> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        transaction.files.iter().map(|file| (text(&file.name[..]), text(&file.body.data[..]))).collect()
    }

    #[test]
    fn parts_with_names_become_files() {
        let message = "From: a\nContent-Type: multipart/mixed; boundary=\"x\"\n\npreamble\n--x\n\nsee http://A.b/c d\n\
            --x\nContent-Type: text/plain; name=a.txt\nContent-Transfer-Encoding: base64\n\naGVs\nbG8=\n\
            --x\nContent-Disposition: attachment;\n filename*0=\"long \";\n filename*1=name\n\nline\n\n--x--\nafter\n";
        let transaction = read(message);
        assert_eq!(files(&transaction), [("a.txt", "hello"), ("long name", "line\r\n")]);
        assert_eq!(transaction.value(SENDER, Field::EmailUrl), Some(&b"a.b/c"[..]));
        assert!(transaction.files.iter().all(|file| file.body.complete));
    }

    #[test]
    fn a_message_within_a_message_starts_anew() {
        let message = "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\nSubject: outer\n\n\
            Subject: inner\nContent-Disposition: attachment; filename=\"in\"\n\nplain\n";
        let transaction = read(message);
        assert_eq!(files(&transaction), [("in", "plain")]);
        assert_eq!(transaction.values(SENDER, Field::EmailSubject).collect::<Vec<_>>(), [b"outer"]);
    }

    #[test]
    fn encoded_words_and_parameters_are_decoded() {
        assert_eq!(decode_words(b"a =?utf-8?B?aGk=?= =?utf-8?q?_=41?= b =?x"), b"a hi A b =?x");
        assert_eq!(find_parameter(b"x; filename*=UTF-8''a%20b", b"filename"), Some(b"a b".to_vec()));
        assert_eq!(find_parameter(b"x; name=\"a\\\"b;c\"; q=1", b"name"), Some(b"a\"b;c".to_vec()));
        assert_eq!(find_parameter(b"x; filename=a.b ; q", b"name"), None);
    }

    #[test]
    fn soft_breaks_join_lines() {
        let transaction =
            read("Content-Type: a/b; name=f\nContent-Transfer-Encoding: quoted-printable\n\na=3D=\nb\nc=zz\n");
        assert_eq!(files(&transaction), [("f", "a=b\r\nc=zz")]);
        assert_eq!(transaction.events, [(SENDER, "mime_invalid_qp")]);
    }
}
