//! Request targets: their parts, and the normalised form that rules look at.

use super::lines::lowercase_of;

/// Parts of a request target, as sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uri<'a> {
    pub host: Option<&'a [u8]>,
    pub port: Option<&'a [u8]>,
    pub path: Option<&'a [u8]>,
    pub query: Option<&'a [u8]>,
    pub fragment: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// Splits a request target; that of `CONNECT` is a host with a port.
    pub fn parse(target: &'a [u8], is_connect: bool) -> Uri<'a> {
        if is_connect {
            let (host, port) = split_port(target);
            return Uri { host: Some(host), port, ..Uri::default() };
        }
        let (rest, fragment) = split_at(target, b'#');
        let (rest, query) = split_at(rest, b'?');
        let (authority, path) = split_authority(rest);
        let (host, port) = authority.map(split_port).map_or((None, None), |(host, port)| (Some(host), port));
        Uri { host, port, path: Some(path).filter(|path| !path.is_empty()), query, fragment }
    }

    /// Returns the normalised path, with the decoded query and the fragment as it is.
    pub fn normalised(&self) -> Vec<u8> {
        let mut whole = self.path.map(normalise_path).unwrap_or_default();
        if let Some(query) = self.query {
            whole.push(b'?');
            whole.extend(decoded(query));
        }
        if let Some(fragment) = self.fragment {
            whole.push(b'#');
            whole.extend_from_slice(fragment);
        }
        whole
    }
}

fn split_at(bytes: &[u8], mark: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(mark, bytes).and_then(|at| bytes.split_at_checked(at)) {
        Some((before, after)) => (before, after.get(1..)),
        None => (bytes, None),
    }
}

/// Splits `scheme://authority/path`; a target without a scheme is all path.
fn split_authority(target: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let no_scheme = (None, target);
    if target.first() == Some(&b'/') {
        return no_scheme;
    }
    let (_, Some(rest)) = split_at(target, b':') else { return no_scheme };
    let Some(rest) = rest.strip_prefix(b"//").filter(|rest| rest.first() != Some(&b'/')) else { return (None, rest) };
    let end = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, &[]));
    let user = memchr::memrchr(b'@', authority).map_or(0, |at| at + 1);
    (authority.get(user..), path)
}

/// Splits a port off a host, which may be an IPv6 address in brackets.
pub fn split_port(authority: &[u8]) -> (&[u8], Option<&[u8]>) {
    let inner = memchr::memchr(b']', authority).filter(|_| authority.first() == Some(&b'['));
    let from = inner.map_or(0, |at| at + 1);
    match authority.get(from..).and_then(|rest| memchr::memchr(b':', rest)) {
        Some(at) => (authority.get(..from + at).unwrap_or_default(), authority.get(from + at + 1..)),
        None => (authority, None),
    }
}

/// Returns a host in lower case without the dots at its end.
pub fn normalise_host(host: &[u8]) -> Vec<u8> {
    let mut host = lowercase_of(host);
    while host.last() == Some(&b'.') {
        host.pop();
    }
    host
}

/// Decodes a path as a tolerant server does: `%xx` and `%uxxxx`, backslashes as slashes, no repeated slashes, no dots.
pub fn normalise_path(path: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(path.len());
    for byte in decoded(path) {
        let byte = if byte == b'\\' { b'/' } else { byte };
        if byte != b'/' || plain.last() != Some(&b'/') {
            plain.push(byte);
        }
    }
    remove_dots(&plain)
}

/// Decodes `%xx` and `%uxxxx`.
fn decoded(bytes: &[u8]) -> impl Iterator<Item = u8> + '_ {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (byte, used) = next_byte(rest)?;
        rest = rest.get(used..).unwrap_or_default();
        Some(byte)
    })
}

/// Decodes the first byte; a `%` without digits stands for itself.
fn next_byte(bytes: &[u8]) -> Option<(u8, usize)> {
    let first = *bytes.first()?;
    let decoded = match bytes {
        [b'%', b'u' | b'U', a, b, c, d, ..] => hex(*a, *b).zip(hex(*c, *d)).map(|(high, low)| (best_fit(high, low), 6)),
        [b'%', a, b, ..] => hex(*a, *b).map(|byte| (byte, 3)),
        _ => None,
    };
    Some(decoded.unwrap_or((first, 1)))
}

fn hex(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    Some((digit(high)? * 16 + digit(low)?) as u8)
}

/// Returns the byte that servers take for a UTF-16 unit: itself, its narrow form, or `?`.
fn best_fit(high: u8, low: u8) -> u8 {
    match (high, low) {
        (0, low) => low,
        (0xff, 0x01..=0x5e) => low + 0x20,
        _ => b'?',
    }
}

/// Removes dot segments (RFC 3986, 5.2.4).
fn remove_dots(path: &[u8]) -> Vec<u8> {
    if !path.contains(&b'.') {
        return path.to_vec();
    }
    let mut output: Vec<u8> = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some(first) = rest.first() {
        let end = rest.iter().skip(1).position(|byte| *byte == b'/').map_or(rest.len(), |at| at + 1);
        let (segment, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = after;
        match segment {
            b"." | b".." => rest = after.strip_prefix(b"/").unwrap_or(after),
            b"/." | b"/.." => {
                if segment.len() == 3 {
                    let parent = memchr::memrchr(b'/', &output).unwrap_or(0);
                    output.truncate(parent);
                }
                if after.is_empty() {
                    output.push(*first);
                }
            }
            _ => output.extend_from_slice(segment),
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_split() {
        let uri = Uri::parse(b"http://u:p@Host:80/a?b=c#d", false);
        assert_eq!((uri.host, uri.port, uri.path), (Some(&b"Host"[..]), Some(&b"80"[..]), Some(&b"/a"[..])));
        assert_eq!((uri.query, uri.fragment), (Some(&b"b=c"[..]), Some(&b"d"[..])));
        assert_eq!(Uri::parse(b"[::1]:443", true).host, Some(&b"[::1]"[..]));
        assert_eq!(Uri::parse(b"//a/b", false).path, Some(&b"//a/b"[..]));
    }

    #[test]
    fn paths_are_normalised_and_queries_are_decoded() {
        let normal = |target: &[u8]| String::from_utf8(Uri::parse(target, false).normalised()).unwrap();
        assert_eq!(normal(b"/a/./b/../c//d%2fe\\f%zz?x=%41//"), "/a/c/d/e/f%zz?x=A//");
        assert_eq!(normal(b"/a?b=%2e%2e%2f\\+%u0041#%41"), "/a?b=../\\+A#%41");
        assert_eq!(normal(b"/%u0041%uff21%u4e00/.."), "/");
        assert_eq!(normal(b"/../../etc/passwd"), "/etc/passwd");
        assert_eq!(normal(b"http://h"), "");
    }
}
