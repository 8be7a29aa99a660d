//! Multipart bodies of requests (RFC 7578): the files that a form uploads.

use memchr::{memchr, memmem};

use super::lines::{chomp, starts_with, trim, word};

/// Longest line of a part's header, and longest boundary.
const MAX_LINE: usize = 8 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first boundary, or on the line of one.
    Boundary,
    Headers,
    Body,
    End,
}

/// What a multipart body says.
#[derive(Debug, PartialEq, Eq)]
pub enum Part<'a> {
    /// A file begins, with its name.
    Begin(&'a [u8]),
    Data(&'a [u8]),
    End,
}

/// Reads one multipart body as it arrives.
#[derive(Debug)]
pub struct Multipart {
    delimiter: Vec<u8>,
    state: State,
    name: Option<Vec<u8>>,
    pending: Vec<u8>,
}

impl Multipart {
    /// Begins where the content type names a boundary.
    pub fn new(content_type: &[u8]) -> Option<Multipart> {
        if !starts_with(trim(content_type), b"multipart/form-data") {
            return None;
        }
        let boundary = parameter(content_type, b"boundary")?;
        let fits = !boundary.is_empty() && boundary.len() < MAX_LINE;
        fits.then(|| Multipart {
            delimiter: [b"--", boundary].concat(),
            state: State::Boundary,
            name: None,
            pending: Vec::new(),
        })
    }

    /// Reads what has arrived.
    pub fn feed(&mut self, data: &[u8], sink: &mut dyn FnMut(Part<'_>)) {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend_from_slice(data);
        let mut rest = pending.as_slice();
        while let Some(used) = self.step(rest, sink) {
            rest = rest.get(used..).unwrap_or_default();
        }
        self.pending = rest.to_vec();
    }

    /// Ends the body: what was undecided belongs to the file.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Part<'_>)) {
        if self.state == State::Body && self.name.is_some() {
            sink(Part::Data(&self.pending));
            sink(Part::End);
        }
        self.state = State::End;
        self.pending.clear();
    }

    /// Takes the next piece; none if more bytes are needed.
    fn step(&mut self, rest: &[u8], sink: &mut dyn FnMut(Part<'_>)) -> Option<usize> {
        match self.state {
            State::End => (!rest.is_empty()).then_some(rest.len()),
            State::Boundary => self.boundary(rest),
            State::Headers => self.header(rest, sink),
            State::Body => self.body(rest, sink),
        }
    }

    fn boundary(&mut self, rest: &[u8]) -> Option<usize> {
        let Some(at) = memmem::find(rest, &self.delimiter) else {
            let useless = rest.len().saturating_sub(self.delimiter.len());
            return (useless > 0).then_some(useless);
        };
        let after = at + self.delimiter.len();
        let line = rest.get(after..)?;
        if line.starts_with(b"--") {
            self.state = State::End;
            return Some(after + 2);
        }
        let end = memchr(b'\n', line).or_else(|| (line.len() > MAX_LINE).then_some(MAX_LINE))?;
        self.state = State::Headers;
        self.name = None;
        Some(after + end + 1)
    }

    fn header(&mut self, rest: &[u8], sink: &mut dyn FnMut(Part<'_>)) -> Option<usize> {
        let end = memchr(b'\n', rest).or_else(|| (rest.len() > MAX_LINE).then_some(MAX_LINE))?;
        let line = chomp(rest.get(..=end).unwrap_or(rest));
        if line.is_empty() {
            self.state = State::Body;
            if let Some(name) = &self.name {
                sink(Part::Begin(name));
            }
        } else if starts_with(line, b"content-disposition") {
            self.name = file_name(line).map(<[u8]>::to_vec);
        }
        Some(end + 1)
    }

    fn body(&mut self, rest: &[u8], sink: &mut dyn FnMut(Part<'_>)) -> Option<usize> {
        let end = memmem::find(rest, &self.delimiter);
        let used = end.unwrap_or_else(|| rest.len().saturating_sub(self.delimiter.len() + 2));
        let mut data = rest.get(..used).unwrap_or_default();
        if end.is_some() {
            data = data.strip_suffix(b"\n").unwrap_or(data);
            data = data.strip_suffix(b"\r").unwrap_or(data);
            self.state = State::Boundary;
        }
        if self.name.is_some() {
            if !data.is_empty() {
                sink(Part::Data(data));
            }
            if end.is_some() {
                sink(Part::End);
            }
        }
        (used > 0 || end.is_some()).then_some(used)
    }
}

/// Returns the file name of a `Content-Disposition`.
pub fn file_name(value: &[u8]) -> Option<&[u8]> {
    parameter(value, b"filename").filter(|name| !name.is_empty())
}

/// Returns a parameter of a header's value, without its quotes.
fn parameter<'a>(value: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut rest = value;
    loop {
        rest = word(rest, |byte| byte == b';').1.get(1..)?;
        let (key, text) = word(rest, |byte| byte == b'=');
        if trim(key).eq_ignore_ascii_case(name) {
            let text = trim(text.get(1..)?);
            return Some(match text.strip_prefix(b"\"") {
                Some(quoted) => word(quoted, |byte| byte == b'"').0,
                None => trim(word(text, |byte| byte == b';').0),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &[u8] = b"--xx\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nno file\r\n--xx\r\n\
        Content-Disposition: form-data; name=\"f\"; filename=\"a;b.txt\"\r\nContent-Type: text/plain\r\n\r\n\
        one\r\n--x\r\ntwo\r\n--xx--\r\n";

    fn read(step: usize) -> (Vec<u8>, Vec<u8>, usize) {
        let mut multipart = Multipart::new(b"multipart/form-data; boundary=xx").unwrap();
        let (mut name, mut data, mut ends) = (Vec::new(), Vec::new(), 0);
        for piece in BODY.chunks(step) {
            multipart.feed(piece, &mut |part| match part {
                Part::Begin(text) => name.extend_from_slice(text),
                Part::Data(bytes) => data.extend_from_slice(bytes),
                Part::End => ends += 1,
            });
        }
        (name, data, ends)
    }

    #[test]
    fn files_are_found_however_the_body_is_cut() {
        for step in 1..BODY.len() {
            assert_eq!(read(step), (b"a;b.txt".to_vec(), b"one\r\n--x\r\ntwo".to_vec(), 1), "{step}");
        }
    }

    #[test]
    fn names_come_with_and_without_quotes() {
        assert_eq!(file_name(b"attachment; filename=a.txt; x=1"), Some(&b"a.txt"[..]));
        assert_eq!(file_name(b"attachment; name=a.txt"), None);
        assert!(Multipart::new(b"text/plain; boundary=a").is_none());
    }
}
