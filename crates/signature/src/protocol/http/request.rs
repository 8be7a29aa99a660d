//! Requests: their lines, their headers, and what they ask for.

use infraspectre_core::app::Next;

use super::body::{Files, Sink};
use super::headers::content_length;
use super::lines::{self, chomp, contains, is_space, lowercase_of, trim, word, End, MAX_LINE};
use super::message::{State, Step};
use super::multipart::Multipart;
use super::uri::{normalise_host, split_port, Uri};
use super::{Exchange, Session};
use crate::field::{Field, HEADERS, LINE};
use crate::protocol::{Output, Protocol};
use crate::transaction::{Direction, Transaction};

const SIDE: Direction = Direction::Orig;
/// Requests that wait for their responses.
const MAX_PENDING: usize = 512;

/// Methods that servers know.
pub const METHODS: &[&[u8]] = &[
    b"GET",
    b"PUT",
    b"POST",
    b"HEAD",
    b"TRACE",
    b"OPTIONS",
    b"CONNECT",
    b"DELETE",
    b"PATCH",
    b"PROPFIND",
    b"PROPPATCH",
    b"MKCOL",
    b"COPY",
    b"MOVE",
    b"LOCK",
    b"UNLOCK",
    b"CHECKOUT",
    b"UNCHECKOUT",
    b"CHECKIN",
    b"UPDATE",
    b"LABEL",
    b"REPORT",
    b"MKWORKSPACE",
    b"MKACTIVITY",
    b"MERGE",
    b"INVALID",
    b"VERSION-CONTROL",
    b"BASELINE-CONTROL",
];

/// The parts of a request line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestLine<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    /// Empty in HTTP/0.9.
    pub protocol: &'a [u8],
    pub events: Vec<&'static str>,
}

impl<'a> RequestLine<'a> {
    /// Splits a line; the target may hold spaces, as the protocol is the last word.
    pub fn parse(line: &'a [u8]) -> RequestLine<'a> {
        let mut events = Vec::new();
        let start = line.iter().position(|byte| !is_space(*byte)).unwrap_or(line.len());
        if start > 0 {
            events.push("request_line_leading_whitespace");
        }
        let (method, rest) = word(line.get(start..).unwrap_or_default(), is_space);
        let (gap, rest) = word(rest, |byte| !is_space(byte));
        let is_odd = gap.iter().any(|byte| *byte != b' ');
        if is_odd {
            events.push("method_delim_non_compliant");
        }
        let rest = lines::trim_end(rest);
        let last = memchr::memrchr(b' ', rest);
        let split = match last {
            None if is_odd => rest.iter().rposition(|byte| is_space(*byte)),
            _ => last,
        };
        let Some(split) = split else { return RequestLine { method, target: rest, protocol: &[], events } };
        let (target, protocol) = rest.split_at_checked(split).unwrap_or((rest, &[]));
        RequestLine { method, target: lines::trim_end(target), protocol: trim(protocol), events }
    }
}

/// Tells whether a protocol is one that is known: its version as a number, such as 11 for `HTTP/1.1`.
pub fn version_of(protocol: &[u8]) -> Option<u8> {
    let rest = protocol.get(4..).filter(|_| lines::starts_with(protocol, b"HTTP"))?;
    let version = trim(trim(rest).strip_prefix(b"/")?);
    let zeros = version.iter().take_while(|byte| **byte == b'0').count();
    match version.get(zeros..)? {
        b".9" => Some(9),
        b"1.0" => Some(10),
        b"1.1" => Some(11),
        _ => None,
    }
}

impl Session {
    /// Takes one step through what the client sends.
    pub(super) fn request_step(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        match self.request.state {
            State::Idle | State::Ignored if data.is_empty() => Step::Wait,
            State::Idle => self.begin_request(data, is_closed, output),
            State::Tunnel => Step::Wait,
            State::Ignored => Step::Took(data.len()),
            State::Finalise => self.end_request(data, is_closed, output),
            _ if data.is_empty() && is_closed => self.cut_request(output),
            State::Protocol => self.request_protocol(data),
            _ if data.is_empty() => Step::Wait,
            State::Line => self.request_line(data, is_closed, output),
            State::Headers | State::Trailers => self.request_header(data, is_closed, output),
            _ => self.request.body_step(data, SIDE, output),
        }
    }

    /// Begins a request; empty lines before it are passed over.
    fn begin_request(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        match data {
            [b'\n', ..] => return Step::Took(1),
            [b'\r', b'\n', ..] => return Step::Took(2),
            [b'\r'] if !is_closed => return Step::Wait,
            [b'\r'] => return Step::Took(1),
            _ => {}
        }
        self.request.number = Some(output.begin().number);
        self.request.limit = output.settings.request_body_limit as u64;
        self.request.state = State::Line;
        self.exchange = Exchange::default();
        Step::Again
    }

    fn request_line(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        let length = match lines::request_line(data) {
            End::At(length, _) => length,
            End::Missing if is_closed => data.len(),
            End::Missing if data.len() > MAX_LINE => {
                self.request.event(SIDE, "request_field_too_long", output);
                return Step::Stop(Next::Malformed("request line too long"));
            }
            End::Missing => return Step::Wait,
        };
        let line = chomp(data.get(..length).unwrap_or(data));
        if line.is_empty() {
            return Step::Took(length);
        }
        let parsed = RequestLine::parse(line);
        self.exchange.number = self.request.number.unwrap_or_default();
        self.exchange.is_head = parsed.method == b"HEAD";
        self.exchange.is_connect = parsed.method == b"CONNECT";
        self.exchange.is_simple = parsed.protocol.is_empty() || version_of(parsed.protocol) == Some(9);
        self.exchange.target = parsed.target.to_vec();
        self.exchange.is_upload = matches!(parsed.method, b"POST" | b"PUT");
        self.exchange.is_form = parsed.method == b"POST";
        self.exchange.version = version_of(parsed.protocol);
        self.request.line = line.to_vec();
        self.request.state = if self.exchange.is_simple { State::Protocol } else { State::Headers };
        if let Some(transaction) = self.request.transaction(output) {
            report_line(line, &parsed, self.exchange.is_connect, transaction);
        }
        if self.pending.len() >= MAX_PENDING {
            return Step::Stop(Next::Malformed("too many requests without a response"));
        }
        self.pending.push_back(self.exchange.clone());
        Step::Took(length)
    }

    /// Tells a request of HTTP/0.9 from one that only lacks its protocol, by what follows: a header, or a word alone.
    fn request_protocol(&mut self, data: &[u8]) -> Step {
        let (name, after) = word(data, |byte| byte == b':' || is_space(byte));
        let (_, end) = word(after, |byte| !matches!(byte, b' ' | b'\t'));
        let is_header = !name.is_empty() && matches!(end.first(), Some(b':' | b'\r' | b'\n'));
        self.request.state = if is_header { State::Headers } else { State::Finalise };
        if is_header {
            if let Some(last) = self.pending.back_mut() {
                last.is_simple = false;
            }
            self.exchange.is_simple = false;
            self.exchange.lacks_protocol = true;
        }
        Step::Again
    }

    fn request_header(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        let length = match lines::request_line(data) {
            End::At(length, _) => length,
            End::Missing if is_closed => data.len(),
            End::Missing if data.len() > MAX_LINE => {
                self.request.event(SIDE, "request_field_too_long", output);
                return Step::Stop(Next::Malformed("request header too long"));
            }
            End::Missing => return Step::Wait,
        };
        let line = data.get(..length).unwrap_or(data);
        self.request.headers.keep_raw(line);
        if matches!(line, b"\n" | b"\r\n") {
            self.request.headers.finish_line();
            if self.request.state == State::Trailers {
                self.request.end_trailer(SIDE, output);
            } else {
                self.end_request_headers(output);
            }
        } else {
            self.request.headers.take_line(line, true);
        }
        Step::Took(length)
    }

    fn end_request_headers(&mut self, output: &mut Output<'_>) {
        let Session { request, exchange, .. } = self;
        let mut events = Vec::new();
        let headers = &request.headers;
        let (state, has_body) = framing(headers, exchange.version, &mut events);
        let files = match headers.get("content-type").and_then(Multipart::new).filter(|_| exchange.is_form) {
            Some(multipart) => Files::Parts(multipart),
            None if exchange.is_upload => Files::Whole(exchange.file_name()),
            None => Files::None,
        };
        if has_body {
            request.sink =
                Sink::new(files, headers.get("content-encoding"), Protocol::Http, output.settings, &mut events);
        }
        if exchange.lacks_protocol {
            events.push("request_line_missing_protocol");
        }
        if let Some(transaction) = request.number.and_then(|number| output.get(number)) {
            report_host(headers, exchange, &mut events, transaction);
            check_authorization(headers.get("authorization"), &mut events);
            headers.report(SIDE, &request.line, transaction);
            events.iter().for_each(|event| transaction.event(SIDE, event));
            transaction.advance(SIDE, HEADERS);
        }
        request.state = if exchange.is_connect { State::Tunnel } else { state };
    }

    /// Ends a request, unless what follows it begins with no known method: then it belongs to the body.
    fn end_request(&mut self, data: &[u8], is_closed: bool, output: &mut Output<'_>) -> Step {
        if !data.is_empty() && self.exchange.is_simple {
            self.request.complete(false, SIDE, output);
            self.request.state = State::Ignored;
            return Step::Again;
        }
        let line = match memchr::memchr(b'\n', data) {
            Some(at) => data.get(..=at).unwrap_or(data),
            None if data.is_empty() || is_closed || data.len() > MAX_LINE => data,
            None => return Step::Wait,
        };
        let method = word(trim(line), is_space).0;
        if !method.is_empty() && !METHODS.contains(&method) {
            self.request.event(SIDE, "request_body_unexpected", output);
            self.request.push(line, SIDE, output);
            return Step::Took(line.len());
        }
        self.request.complete(false, SIDE, output);
        Step::Again
    }

    /// Ends a request of which the rest will not come.
    fn cut_request(&mut self, output: &mut Output<'_>) -> Step {
        match self.request.state {
            State::Headers => {
                self.request.headers.finish_line();
                self.end_request_headers(output);
                self.request.complete(true, SIDE, output);
            }
            state => self.request.complete(!matches!(state, State::UntilClose | State::Protocol), SIDE, output),
        }
        Step::Again
    }

    /// Goes on after the response to a request for a tunnel; true if there is one now.
    pub(super) fn open_tunnel(&mut self, is_open: bool, output: &mut Output<'_>) {
        if self.request.state == State::Tunnel {
            self.request.complete(false, SIDE, output);
            self.request.state = if is_open { State::Ignored } else { State::Idle };
        }
    }
}

fn report_line(line: &[u8], parsed: &RequestLine<'_>, is_connect: bool, transaction: &mut Transaction) {
    transaction.put(SIDE, Field::HttpRequestLine, line);
    transaction.put(SIDE, Field::HttpMethod, parsed.method);
    if !parsed.target.is_empty() {
        transaction.put(SIDE, Field::HttpUriRaw, parsed.target);
        if transaction.wants(Field::HttpUri) {
            let normalised = Uri::parse(parsed.target, is_connect).normalised();
            if !normalised.is_empty() {
                transaction.put(SIDE, Field::HttpUri, &normalised);
            }
        }
    }
    if !parsed.protocol.is_empty() {
        transaction.put(SIDE, Field::HttpProtocol, parsed.protocol);
        if version_of(parsed.protocol).is_none() {
            transaction.event(SIDE, "request_invalid_protocol");
        }
    }
    parsed.events.iter().for_each(|event| transaction.event(SIDE, event));
    transaction.advance(SIDE, LINE);
}

/// Tells how the body is framed, and whether there is one.
fn framing(headers: &super::headers::Headers, version: Option<u8>, events: &mut Vec<&'static str>) -> (State, bool) {
    if let Some(coding) = headers.get("transfer-encoding") {
        if contains(coding, b"chunked") {
            if version.is_some_and(|version| version < 11) {
                events.push("invalid_transfer_encoding_value_in_request");
            }
            return (State::ChunkLength, true);
        }
        events.push("invalid_transfer_encoding_value_in_request");
        return (State::Finalise, true);
    }
    match headers.get("content-length").map(content_length) {
        Some(None) => {
            events.push("invalid_content_length_field_in_request");
            (State::Finalise, true)
        }
        Some(Some(0)) => (State::Finalise, true),
        Some(Some(length)) => (State::Counted(length), true),
        None => (State::Finalise, true),
    }
}

fn report_host(
    headers: &super::headers::Headers,
    exchange: &Exchange,
    events: &mut Vec<&'static str>,
    transaction: &mut Transaction,
) {
    let said = headers.get("host");
    let target = Uri::parse(&exchange.target, exchange.is_connect);
    let said_host = said.map(|said| split_port(trim(said)));
    match (said_host, target.host) {
        (None, None) if exchange.version == Some(11) => events.push("missing_host_header"),
        (Some((host, _)), Some(other)) if normalise_host(host) != normalise_host(other) => {
            events.push("host_header_ambiguous");
        }
        _ => {}
    }
    if said_host.is_some_and(|(host, port)| !is_host(host) || port.is_some_and(|port| !is_port(port))) {
        events.push("request_header_host_invalid");
    }
    if let Some(raw) = target.host.or(said) {
        transaction.put(SIDE, Field::HttpHostRaw, raw);
    }
    if let Some(host) = target.host.or(said_host.map(|(host, _)| host)) {
        transaction.put(SIDE, Field::HttpHost, &normalise_host(host));
    }
}

fn is_port(port: &[u8]) -> bool {
    std::str::from_utf8(port).ok().and_then(|text| text.parse::<u16>().ok()).is_some_and(|port| port > 0)
}

/// Tells whether a host is a name of sound labels or an address in brackets.
fn is_host(host: &[u8]) -> bool {
    if let Some(inner) = host.strip_prefix(b"[") {
        return inner
            .strip_suffix(b"]")
            .and_then(|text| std::str::from_utf8(text).ok())
            .is_some_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok());
    }
    let labels = host.strip_suffix(b".").unwrap_or(host);
    let sound = |label: &[u8]| {
        !label.is_empty()
            && label.len() < 64
            && label.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() < 256 && labels.split(|byte| *byte == b'.').all(sound)
}

/// Checks the scheme of credentials: those that are not read are noted.
fn check_authorization(value: Option<&[u8]>, events: &mut Vec<&'static str>) {
    let Some(value) = value else { return };
    let scheme = lowercase_of(word(trim(value), is_space).0);
    if !matches!(scheme.as_slice(), b"basic" | b"digest" | b"bearer") {
        events.push("request_auth_unrecognized");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_lines_are_split_tolerantly() {
        let parse = |line| {
            let parsed = RequestLine::parse(line);
            (parsed.method, parsed.target, parsed.protocol)
        };
        assert_eq!(parse(b"GET /a b HTTP/1.1"), (&b"GET"[..], &b"/a b"[..], &b"HTTP/1.1"[..]));
        assert_eq!(parse(b" GET\t/a\tHTTP/1.1 "), (&b"GET"[..], &b"/a"[..], &b"HTTP/1.1"[..]));
        assert_eq!(parse(b"GET /a"), (&b"GET"[..], &b"/a"[..], &b""[..]));
        assert_eq!(parse(b"GET"), (&b"GET"[..], &b""[..], &b""[..]));
    }

    #[test]
    fn versions_are_known_by_their_numbers() {
        let versions = [&b"HTTP/1.1"[..], b"http / 01.0", b"HTTP/0.9", b"HTTP/2.0", b"HTTP/1.1x", b"X"];
        assert_eq!(versions.map(version_of), [Some(11), Some(10), Some(9), None, None, None]);
    }

    #[test]
    fn hosts_are_checked() {
        assert!(is_host(b"a.b-c.example.") && is_host(b"[::1]"));
        assert!(!is_host(b"a..b") && !is_host(b"a b") && !is_host(b"") && !is_host(b"[x]"));
    }
}
