//! Lines of HTTP/1: what ends them, and which bytes count as space.

use memchr::memchr;

/// Longest line; a longer one ends the session.
pub const MAX_LINE: usize = 18_000;

/// Tells whether a byte is white space as servers see it, vertical tab and form feed included.
pub const fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x0b | 0x0c)
}

/// Tells whether a byte at the start of a line makes it go on with the header before.
pub const fn is_fold(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | 0)
}

/// Returns the bytes in lower case.
pub fn lowercase_of(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

/// Removes white space on both sides.
pub fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_space(*first) {
            break;
        }
        bytes = rest;
    }
    trim_end(bytes)
}

/// Removes white space at the end.
pub fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes {
        if !is_space(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}

/// Removes line ends.
pub fn chomp(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., b'\r' | b'\n'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Splits off the first word, which ends at a byte that fits, from what follows it with that byte.
pub fn word(bytes: &[u8], is_end: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| is_end(*byte)).unwrap_or(bytes.len());
    bytes.split_at_checked(end).unwrap_or((bytes, &[]))
}

/// Tells whether the bytes begin with a word in any case.
pub fn starts_with(bytes: &[u8], word: &[u8]) -> bool {
    bytes.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word))
}

/// Finds a lower-case word in any case.
pub fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word))
}

/// Where a line ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Length of the line with its end, and of what is to be passed over behind it.
    At(usize, usize),
    Missing,
}

/// Finds the end of a line in a request: a line feed.
pub fn request_line(data: &[u8]) -> End {
    memchr(b'\n', data).map_or(End::Missing, |at| End::At(at + 1, 0))
}

/// Finds the end of a status or header line in a response: CR, LF, CRLF or LFCR; `is_closed` if nothing will follow.
pub fn response_line(data: &[u8], is_closed: bool, after_lf_cr: bool) -> End {
    let mut from = 0;
    while let Some(at) = data.get(from..).and_then(|rest| memchr::memchr2(b'\r', b'\n', rest)).map(|at| from + at) {
        let next = data.get(at + 1).copied();
        match (data.get(at), next) {
            (Some(b'\r'), None) if !is_closed => return End::Missing,
            (Some(b'\r'), Some(b'\r')) => from = at + 1,
            (Some(b'\r'), Some(b'\n')) => {
                let doubled = after_lf_cr && data.get(at + 2..at + 4) == Some(b"\r\n");
                return End::At(at + 2, if doubled { 2 } else { 0 });
            }
            (Some(b'\n'), Some(b'\r')) if at > 0 => return End::At(at + 2, 0),
            (Some(b'\n'), None) if at > 0 && !is_closed => return End::Missing,
            _ => return End::At(at + 1, 0),
        }
    }
    End::Missing
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_responses_end_in_many_ways() {
        let end = |data: &[u8]| response_line(data, false, false);
        assert_eq!(end(b"ab\r\nc"), End::At(4, 0));
        assert_eq!(end(b"ab\rc"), End::At(3, 0));
        assert_eq!(end(b"ab\nc"), End::At(3, 0));
        assert_eq!(end(b"ab\n\rc"), End::At(4, 0));
        assert_eq!(end(b"ab\r\r\nc"), End::At(5, 0));
        assert_eq!((end(b"ab"), end(b"ab\r"), end(b"ab\n")), (End::Missing, End::Missing, End::Missing));
        assert_eq!((end(b"\n\rc"), response_line(b"ab\r", true, false)), (End::At(1, 0), End::At(3, 0)));
        assert_eq!(response_line(b"\r\n\r\nx", false, true), End::At(2, 2));
    }

    #[test]
    fn words_and_space_are_told_apart() {
        assert_eq!(trim(b" \x0b a b\t\r\n"), b"a b");
        assert_eq!(chomp(b"a \r\r\n"), b"a ");
        assert_eq!(word(b"GET /", is_space), (&b"GET"[..], &b" /"[..]));
        assert!(contains(b"x Chunked", b"chunked") && !contains(b"x", b"chunked"));
    }
}
