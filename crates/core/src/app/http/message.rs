//! Heads of HTTP/1 messages (RFC 9112), read as tolerantly as servers and browsers do.

use memchr::{memchr, memrchr};

use super::super::{Parsed, Stop};

/// Longest head in bytes.
pub const MAX_HEAD: usize = 64 * 1024;
/// Most header lines of one head.
pub const MAX_HEADERS: usize = 256;
/// Longest method in bytes.
pub const MAX_METHOD: usize = 32;

/// A header line; a folded value keeps its line breaks (RFC 9112, 5.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    pub name: &'a [u8],
    pub value: &'a [u8],
}

/// The header lines of a message in the order sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers<'a> {
    pub lines: Vec<Header<'a>>,
}

impl<'a> Headers<'a> {
    /// Returns the value of the first header of that name, in any case.
    pub fn get(&self, name: &str) -> Option<&'a [u8]> {
        let found = self.lines.iter().find(|header| header.name.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|header| header.value)
    }

    /// Returns the names as sent, with commas between them.
    pub fn names(&self) -> Vec<u8> {
        let mut names = Vec::with_capacity(self.lines.len() * 16);
        for header in &self.lines {
            if !names.is_empty() {
                names.push(b',');
            }
            names.extend_from_slice(header.name);
        }
        names
    }

    /// Returns the length that the body is declared to have.
    pub fn content_length(&self) -> Option<u64> {
        let value = self.get("content-length")?;
        let digits = value.split(|byte| *byte == b',').next()?.trim_ascii();
        std::str::from_utf8(digits).ok()?.parse().ok()
    }

    /// Tells whether the body comes in chunks (RFC 9112, 7.1).
    pub fn is_chunked(&self) -> bool {
        let mut codings = self.lines.iter().filter(|header| header.name.eq_ignore_ascii_case(b"transfer-encoding"));
        codings.any(|header| {
            let mut parts = header.value.split(|byte| *byte == b',');
            parts.any(|coding| coding.trim_ascii().eq_ignore_ascii_case(b"chunked"))
        })
    }
}

/// The head of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    pub method: &'a [u8],
    /// The request target as sent.
    pub target: &'a [u8],
    /// What follows `HTTP/`; empty in HTTP/0.9.
    pub version: &'a [u8],
    pub headers: Headers<'a>,
}

/// The head of a response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response<'a> {
    /// What follows `HTTP/`.
    pub version: &'a [u8],
    /// Zero for the answer of HTTP/0.9, which has no head.
    pub status: u16,
    pub reason: &'a [u8],
    pub headers: Headers<'a>,
}

/// Splits off a line that ends with CRLF or LF alone, without its end.
pub fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr(b'\n', bytes)?)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Some((line, rest.get(1..)?))
}

/// Passes over empty lines, which may stand before a message (RFC 9112, 2.2).
pub fn skip_empty_lines(bytes: &[u8]) -> &[u8] {
    let text = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n'));
    bytes.get(text.unwrap_or(bytes.len())..).unwrap_or_default()
}

/// Parses the head of a request.
pub fn parse_request(bytes: &[u8]) -> Parsed<'_, Request<'_>> {
    let bytes = skip_empty_lines(bytes);
    let (start, rest) = start_line(bytes)?;
    let (method, target, version) = request_line(start).ok_or(Stop::Malformed("request line"))?;
    if version.is_empty() {
        return Ok((rest, Request { method, target, version, headers: Headers::default() }));
    }
    let (rest, headers) = parse_headers(rest)?;
    Ok((rest, Request { method, target, version, headers }))
}

/// Parses the head of a response.
pub fn parse_response(bytes: &[u8]) -> Parsed<'_, Response<'_>> {
    let bytes = skip_empty_lines(bytes);
    let (start, rest) = start_line(bytes)?;
    let (version, status, reason) = status_line(start).ok_or(Stop::Malformed("status line"))?;
    let (rest, headers) = parse_headers(rest)?;
    Ok((rest, Response { version, status, reason, headers }))
}

fn start_line(bytes: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    line(bytes).ok_or(if bytes.len() > MAX_HEAD { Stop::Malformed("head too long") } else { Stop::Incomplete })
}

/// Splits a request line into method, target and version; the target may hold spaces, and HTTP/0.9 has GET alone.
fn request_line(line: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (method, rest) = split_space(line)?;
    if method.is_empty() || method.len() > MAX_METHOD || !method.iter().all(|byte| is_token(*byte)) {
        return None;
    }
    let rest = rest.trim_ascii();
    let last = memrchr(b' ', rest).map_or(0, |space| space + 1);
    match rest.get(last..).and_then(|word| word.strip_prefix(b"HTTP/")) {
        Some(version) => Some((method, rest.get(..last)?.trim_ascii_end(), version)),
        None if method == b"GET" => Some((method, rest, &[])),
        None => None,
    }
}

fn status_line(line: &[u8]) -> Option<(&[u8], u16, &[u8])> {
    let (version, rest) = split_space(line.strip_prefix(b"HTTP/")?).unwrap_or((line, &[]));
    let (code, reason) = split_space(rest.trim_ascii_start()).unwrap_or((rest, &[]));
    Some((version, std::str::from_utf8(code.trim_ascii()).ok()?.parse().ok()?, reason))
}

fn split_space(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = bytes.split_at_checked(memchr(b' ', bytes)?)?;
    Some((word, rest.get(1..)?))
}

/// Tells whether a byte may stand in a method or header name (RFC 9110, 5.6.2).
pub const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
        )
}

/// Parses header lines up to the empty line that ends them.
pub fn parse_headers(bytes: &[u8]) -> Parsed<'_, Headers<'_>> {
    let too_long = Stop::Malformed("head too long");
    let missing = if bytes.len() > MAX_HEAD { too_long } else { Stop::Incomplete };
    let mut lines = Vec::with_capacity(16);
    let mut rest = bytes;
    loop {
        let (first, after) = line(rest).ok_or(missing)?;
        if first.is_empty() {
            return Ok((after, Headers { lines }));
        }
        if lines.len() == MAX_HEADERS {
            return Err(Stop::Malformed("too many headers"));
        }
        let after = skip_folds(after).ok_or(missing)?;
        lines.push(header(rest.get(..rest.len() - after.len()).unwrap_or(first)));
        rest = after;
    }
}

/// Passes over the lines that continue a header, which begin with white space.
fn skip_folds(mut bytes: &[u8]) -> Option<&[u8]> {
    while matches!(bytes.first()?, b' ' | b'\t') {
        (_, bytes) = line(bytes)?;
    }
    Some(bytes)
}

/// Splits a header line; one without a colon is a name without a value.
fn header(text: &[u8]) -> Header<'_> {
    let colon = memchr(b':', text).unwrap_or(text.len());
    let (name, value) = text.split_at_checked(colon).unwrap_or((text, &[]));
    Header { name: name.trim_ascii(), value: value.strip_prefix(b":").unwrap_or(value).trim_ascii() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_split() {
        let bytes = b"\r\nGET http://a/b c HTTP/1.1\r\nHost: a\nX-Fold: one\r\n two\r\nNoColon\r\n\r\nrest";
        let (rest, request) = parse_request(bytes).unwrap();
        assert_eq!((rest, request.method, request.target), (&b"rest"[..], &b"GET"[..], &b"http://a/b c"[..]));
        assert_eq!((request.version, request.headers.get("HOST")), (&b"1.1"[..], Some(&b"a"[..])));
        assert_eq!(request.headers.get("x-fold"), Some(&b"one\r\n two"[..]));
        assert_eq!(request.headers.names(), b"Host,X-Fold,NoColon");
    }

    #[test]
    fn a_request_without_version_has_no_headers() {
        let (rest, request) = parse_request(b"GET /\r\nnext").unwrap();
        assert_eq!((rest, request.target, request.version), (&b"next"[..], &b"/"[..], &b""[..]));
    }

    #[test]
    fn a_response_is_split() {
        let (_, response) = parse_response(b"HTTP/1.0 404 Not Found\n\n").unwrap();
        assert_eq!((response.version, response.status, response.reason), (&b"1.0"[..], 404, &b"Not Found"[..]));
        assert_eq!(parse_response(b"HTTP/1.1 200\r\n\r\n").unwrap().1.status, 200);
    }

    #[test]
    fn incomplete_is_not_malformed() {
        let bytes = b"POST /x HTTP/1.1\r\nA: b\r\n\r\n";
        assert!((0..bytes.len()).all(|cut| parse_request(&bytes[..cut]) == Err(Stop::Incomplete)));
        assert_eq!(parse_request(b"\x16\x03 x\n"), Err(Stop::Malformed("request line")));
    }

    #[test]
    fn heads_are_bounded() {
        let many = [b"GET / HTTP/1.1\r\n".to_vec(), b"a: b\r\n".repeat(MAX_HEADERS + 1), b"\r\n".to_vec()].concat();
        assert_eq!(parse_request(&many), Err(Stop::Malformed("too many headers")));
        let long = [b"GET / HTTP/1.1\r\na: ".to_vec(), vec![b'x'; MAX_HEAD + 1]].concat();
        assert_eq!(parse_request(&long), Err(Stop::Malformed("head too long")));
    }

    #[test]
    fn lengths_and_codings_are_read_tolerantly() {
        let headers = |text: &'static [u8]| parse_headers(text).unwrap().1;
        assert_eq!(headers(b"content-length: 007, 7\n\n").content_length(), Some(7));
        assert_eq!(headers(b"Content-Length: -1\n\n").content_length(), None);
        assert!(headers(b"Transfer-Encoding: gzip, Chunked\n\n").is_chunked());
    }
}
