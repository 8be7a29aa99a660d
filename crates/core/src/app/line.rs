//! Lines and replies, as FTP (RFC 959) and SMTP (RFC 5321) share them.

use super::{Direction, Parsed, Stop};

/// Splits off one line, without its CRLF or LF; a line longer than `limit` bytes is malformed.
pub fn split_line(data: &[u8], limit: usize) -> Parsed<'_, &[u8]> {
    let window = data.get(..limit).unwrap_or(data);
    let Some(end) = memchr::memchr(b'\n', window) else {
        return Err(if data.len() < limit { Stop::Incomplete } else { Stop::Malformed("line length") });
    };
    let (line, rest) = (data.get(..end).unwrap_or(data), data.get(end + 1..).unwrap_or_default());
    Ok((rest, line.strip_suffix(b"\r").unwrap_or(line)))
}

/// Splits a command line into its verb and its argument.
pub fn split_command(line: &[u8]) -> (&[u8], &[u8]) {
    let line = line.trim_ascii();
    match memchr::memchr2(b' ', b'\t', line) {
        Some(end) => (line.get(..end).unwrap_or(line), line.get(end + 1..).unwrap_or_default().trim_ascii()),
        None => (line, &[]),
    }
}

/// Reads the three digits of a reply line and the byte after them (space if there is none).
pub fn reply_code(line: &[u8]) -> Option<(u16, u8)> {
    let (digits, rest) = line.split_first_chunk::<3>()?;
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let code = digits.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
    match rest.first().copied().unwrap_or(b' ') {
        mark @ (b' ' | b'-') => Some((code, mark)),
        _ => None,
    }
}

/// Tells whether a text holds a word, ignoring ASCII case.
pub fn holds_word(text: &[u8], word: &[u8]) -> bool {
    text.windows(word.len().max(1)).any(|window| window.eq_ignore_ascii_case(word))
}

/// Which side answers with replies; known from the first line of either side.
#[derive(Clone, Copy, Debug, Default)]
pub struct Roles {
    server: Option<Direction>,
}

impl Roles {
    /// Tells whether a line is the server's; the first line decides: only servers begin with a reply.
    pub fn is_server(&mut self, direction: Direction, line: &[u8]) -> bool {
        let first_is_server = || if reply_code(line).is_some() { direction } else { direction.opposite() };
        *self.server.get_or_insert_with(first_is_server) == direction
    }

    /// Tells whether a line has already shown that this side is the client.
    pub fn is_known_client(&self, direction: Direction) -> bool {
        self.server == Some(direction.opposite())
    }
}

/// Tells whether bytes begin a TLS handshake record (RFC 8446, 5.1).
pub fn starts_tls(data: &[u8]) -> bool {
    matches!(data, [22, 3, ..])
}

/// One complete reply: its code and its last line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply<'a> {
    pub code: u16,
    pub line: &'a [u8],
}

/// Joins the lines of multi-line replies (RFC 959, 4.2).
#[derive(Clone, Copy, Debug, Default)]
pub struct Replies {
    open: Option<u16>,
}

impl Replies {
    /// Reads one line and returns the reply that it completes; lines that are no reply are skipped.
    pub fn line<'a>(&mut self, line: &'a [u8]) -> Option<Reply<'a>> {
        let (code, mark) = reply_code(line)?;
        if mark == b'-' {
            self.open = self.open.or(Some(code));
            return None;
        }
        if self.open.is_some_and(|open| open != code) {
            return None;
        }
        self.open = None;
        Some(Reply { code, line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_crlf_or_lf_and_are_bounded() {
        assert_eq!(split_line(b"a\r\nb", 9), Ok((&b"b"[..], &b"a"[..])));
        assert_eq!(split_line(b"a\nb", 9), Ok((&b"b"[..], &b"a"[..])));
        assert_eq!(split_line(b"abc", 9), Err(Stop::Incomplete));
        assert_eq!(split_line(b"abcdefghij", 9), Err(Stop::Malformed("line length")));
    }

    #[test]
    fn commands_split_at_the_first_blank() {
        assert_eq!(split_command(b"MAIL  FROM:<a@b> "), (&b"MAIL"[..], &b"FROM:<a@b>"[..]));
        assert_eq!(split_command(b"QUIT"), (&b"QUIT"[..], &b""[..]));
    }

    #[test]
    fn a_multi_line_reply_ends_with_its_own_code() {
        let mut replies = Replies::default();
        for line in [&b"211-Features"[..], b" MDTM", b"220 inside", b"211-more"] {
            assert_eq!(replies.line(line), None);
        }
        assert_eq!(replies.line(b"211 End"), Some(Reply { code: 211, line: b"211 End" }));
        assert_eq!(replies.line(b"no reply"), None);
    }
}
