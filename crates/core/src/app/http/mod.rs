//! HTTP/1 (RFC 9110, RFC 9112): requests, responses, and the types of their bodies.

mod message;
mod mime;

use std::collections::VecDeque;

pub use message::*;
pub use mime::{sniff, Coding, MAX_SNIFFED};

use super::field::MAX_LIST;
use super::{Consumed, Direction, Field, Fields, Next, Probe, Stop, Transport};

/// Most requests remembered while their responses are awaited.
const MAX_PENDING: usize = 1024;
/// Longest line that gives the size of a chunk.
const MAX_CHUNK_LINE: usize = 4096;

/// Methods after which a target decides at once (RFC 9110, RFC 5789, RFC 4918).
const METHODS: &[&[u8]] = &[
    b"GET ",
    b"POST ",
    b"HEAD ",
    b"PUT ",
    b"DELETE ",
    b"OPTIONS ",
    b"PATCH ",
    b"TRACE ",
    b"CONNECT ",
    b"PROPFIND ",
    b"PROPPATCH ",
    b"MKCOL ",
    b"COPY ",
    b"MOVE ",
    b"LOCK ",
    b"UNLOCK ",
    b"SEARCH ",
    b"REPORT ",
];

/// Recognises the start of a request or of a response.
pub fn probe(transport: Transport, _: Direction, data: &[u8], _: (u16, u16)) -> Probe {
    let first = data.first().copied().unwrap_or(b'\n');
    if transport == Transport::Datagram || !(is_token(first) || matches!(first, b'\r' | b'\n')) {
        return Probe::NotForUs;
    }
    let data = skip_empty_lines(data);
    if data.starts_with(b"HTTP/") {
        return probe_status(data);
    }
    if METHODS.iter().any(|method| data.strip_prefix(*method).is_some_and(|target| target.starts_with(b"/"))) {
        return probe_request(data, Probe::Certain);
    }
    probe_request(data, Probe::Unsure)
}

fn probe_status(data: &[u8]) -> Probe {
    match data.get(5..8) {
        Some([b'0' | b'1', b'.', b'0'..=b'9']) => Probe::Certain,
        None => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// Judges a request line by its version, or as told while its end is missing.
fn probe_request(data: &[u8], unfinished: Probe) -> Probe {
    let Some((text, _)) = line(data) else {
        let method = data.split(|byte| *byte == b' ').next().unwrap_or_default();
        let fits = method.len() <= MAX_METHOD && method.iter().all(|byte| is_token(*byte)) && data.len() <= MAX_HEAD;
        return if fits { unfinished } else { Probe::NotForUs };
    };
    match parse_request(&[text, b"\n\n"].concat()) {
        Ok((_, request)) if request.version.starts_with(b"1.") || request.version.starts_with(b"0.") => Probe::Certain,
        // HTTP/0.9; other protocols with such request lines name their version.
        Ok((_, request)) if request.version.is_empty() && !has_version(text) => unfinished,
        _ => Probe::NotForUs,
    }
}

/// Tells whether a line ends with the version of another protocol, such as RTSP or SIP.
fn has_version(line: &[u8]) -> bool {
    let last = line.rsplit(|byte| *byte == b' ').next().unwrap_or_default();
    let upper = last.iter().take_while(|byte| byte.is_ascii_uppercase()).count();
    upper > 0 && last.get(upper) == Some(&b'/')
}

/// What a side's next bytes are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Head,
    /// Bytes of a body of known length that are still to come.
    Counted(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    Trailers,
    UntilClose,
}

/// What about a request decides how its response is framed (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asked {
    #[default]
    Other,
    Head,
    Connect,
    /// By HTTP/0.9, which answers with a body alone.
    Simple,
}

/// The beginning of the response body that is being received.
#[derive(Clone, Debug, Default)]
struct Sniffer {
    /// Place in the list of types; none if the list is full or the type is settled.
    index: Option<usize>,
    coding: Coding,
    seen: Vec<u8>,
    /// How often the bytes were looked at, and how many there must be for the next time.
    looks: u32,
    due: usize,
}

/// Looks at a body piece by piece; after them, only when it has doubled, for each look decodes it from its beginning.
const EAGER_LOOKS: u32 = 8;

impl Sniffer {
    /// Looks at further bytes of the body and reports the type as known so far.
    fn look(&mut self, piece: &[u8], fields: &mut Fields) {
        let Some(index) = self.index else { return };
        let room = MAX_SNIFFED - self.seen.len().min(MAX_SNIFFED);
        self.seen.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if self.seen.len() < self.due {
            return;
        }
        self.looks += 1;
        self.due = if self.looks < EAGER_LOOKS { 0 } else { (2 * self.seen.len()).min(MAX_SNIFFED) };
        let kind = sniff(&self.seen, self.coding);
        fields.amend(Field::HttpMimeTypes, index, kind.as_bytes());
        let settled = !matches!(kind, "" | mime::PLAIN);
        if settled || self.seen.len() >= MAX_SNIFFED {
            *self = Self::default();
        }
    }
}

/// The HTTP/1 messages of one connection.
#[derive(Clone, Debug)]
pub struct Session {
    client: Option<Direction>,
    request: State,
    response: State,
    pending: VecDeque<Asked>,
    responses: usize,
    sniffer: Sniffer,
}

impl Session {
    /// Starts a session; HTTP/1 runs over streams alone.
    pub fn new(_: Transport) -> Self {
        Self {
            client: None,
            request: State::Head,
            response: State::Head,
            pending: VecDeque::new(),
            responses: 0,
            sniffer: Sniffer::default(),
        }
    }

    /// Finds out who asks, by whether the first bytes are a status line; `None` while they are too few.
    fn is_client(&mut self, direction: Direction, data: &[u8]) -> Option<bool> {
        if let Some(client) = self.client {
            return Some(client == direction);
        }
        let start = skip_empty_lines(data);
        if start.len() < 5 && b"HTTP/".starts_with(start) {
            return None;
        }
        let is_client = !start.starts_with(b"HTTP/");
        let other = if direction == Direction::Orig { Direction::Resp } else { Direction::Orig };
        self.client = Some(if is_client { direction } else { other });
        Some(is_client)
    }

    fn state(&mut self, is_client: bool) -> &mut State {
        if is_client {
            &mut self.request
        } else {
            &mut self.response
        }
    }

    /// Reads one piece of a message and returns the bytes after it; the flag tells that HTTP ends here.
    fn step<'a>(&mut self, is_client: bool, data: &'a [u8], fields: &mut Fields) -> Result<(&'a [u8], bool), Stop> {
        let state = *self.state(is_client);
        match state {
            State::Head if is_client => Ok((self.request_head(data, fields)?, false)),
            State::Head => self.response_head(data, fields),
            State::Counted(left) => {
                let (rest, taken) = self.body(is_client, left, data, fields);
                *self.state(is_client) = if taken < left { State::Counted(left - taken) } else { State::Head };
                Ok((rest, false))
            }
            State::Chunk(left) => {
                let (rest, taken) = self.body(is_client, left, data, fields);
                *self.state(is_client) = if taken < left { State::Chunk(left - taken) } else { State::ChunkEnd };
                Ok((rest, false))
            }
            State::UntilClose => Ok((self.body(is_client, u64::MAX, data, fields).0, false)),
            State::ChunkSize | State::ChunkEnd | State::Trailers => {
                let (text, rest) = chunk_line(data)?;
                *self.state(is_client) = after_line(state, text)?;
                Ok((rest, false))
            }
        }
    }

    /// Takes up to `left` bytes of a body.
    fn body<'a>(&mut self, is_client: bool, left: u64, data: &'a [u8], fields: &mut Fields) -> (&'a [u8], u64) {
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(data.len());
        let (piece, rest) = data.split_at_checked(count).unwrap_or((data, &[]));
        if is_client {
            fields.number(Field::HttpRequestBodyBytes, piece.len() as u64);
        } else {
            fields.number(Field::HttpResponseBodyBytes, piece.len() as u64);
            self.sniffer.look(piece, fields);
        }
        (rest, piece.len() as u64)
    }

    fn request_head<'a>(&mut self, data: &'a [u8], fields: &mut Fields) -> Result<&'a [u8], Stop> {
        let (rest, request) = parse_request(data)?;
        report_request(&request, fields);
        if self.pending.len() < MAX_PENDING {
            self.pending.push_back(match request.method {
                b"HEAD" => Asked::Head,
                b"CONNECT" => Asked::Connect,
                _ if request.version.is_empty() => Asked::Simple,
                _ => Asked::Other,
            });
        }
        self.request = framing(&request.headers, State::Head);
        Ok(rest)
    }

    fn response_head<'a>(&mut self, data: &'a [u8], fields: &mut Fields) -> Result<(&'a [u8], bool), Stop> {
        let simple = self.pending.front() == Some(&Asked::Simple) && !b"HTTP/".starts_with(first_bytes(data, 5));
        let (rest, response) = if simple { (data, Response::default()) } else { parse_response(data)? };
        report_response(&response, fields);
        let index = self.responses;
        self.responses = index.saturating_add(1);
        let interim = (100..200).contains(&response.status);
        let asked = if interim { Asked::Other } else { self.pending.pop_front().unwrap_or_default() };
        let tunnel = response.status == 101 || (asked == Asked::Connect && (200..300).contains(&response.status));
        let no_body = interim || asked == Asked::Head || matches!(response.status, 204 | 304);
        self.response = if no_body { State::Head } else { framing(&response.headers, State::UntilClose) };
        self.sniffer = Sniffer {
            index: (index < MAX_LIST).then_some(index),
            coding: Coding::new(response.headers.get("content-encoding")),
            ..Sniffer::default()
        };
        Ok((rest, tunnel))
    }
}

fn first_bytes(data: &[u8], count: usize) -> &[u8] {
    data.get(..count).unwrap_or(data)
}

/// Tells how the body is framed, or what follows without a declared one (RFC 9112, 6.3).
fn framing(headers: &Headers<'_>, undeclared: State) -> State {
    if headers.is_chunked() {
        return State::ChunkSize;
    }
    match headers.content_length() {
        Some(0) => State::Head,
        Some(length) => State::Counted(length),
        None => undeclared,
    }
}

/// Splits off a line of chunked framing.
fn chunk_line(data: &[u8]) -> Result<(&[u8], &[u8]), Stop> {
    let too_long = Stop::Malformed("chunk line too long");
    line(data).ok_or(if data.len() > MAX_CHUNK_LINE { too_long } else { Stop::Incomplete })
}

/// Tells what follows a line of chunked framing (RFC 9112, 7.1).
fn after_line(state: State, text: &[u8]) -> Result<State, Stop> {
    match state {
        State::ChunkSize => match chunk_size(text).ok_or(Stop::Malformed("chunk size"))? {
            0 => Ok(State::Trailers),
            size => Ok(State::Chunk(size)),
        },
        State::Trailers if !text.is_empty() => Ok(State::Trailers),
        State::Trailers => Ok(State::Head),
        _ if text.is_empty() => Ok(State::ChunkSize),
        _ => Err(Stop::Malformed("chunk end")),
    }
}

fn chunk_size(text: &[u8]) -> Option<u64> {
    let digits = text.split(|byte| *byte == b';').next()?.trim_ascii();
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

fn report_request(request: &Request<'_>, fields: &mut Fields) {
    let header = |name| request.headers.get(name).unwrap_or_default();
    fields.count(Field::HttpRequestCount);
    fields.text(Field::HttpMethods, request.method);
    fields.text(Field::HttpHosts, header("host"));
    fields.text(Field::HttpUris, request.target);
    fields.text(Field::HttpUserAgents, header("user-agent"));
    fields.text(Field::HttpReferrers, header("referer"));
    fields.text(Field::HttpRequestHeaders, &request.headers.names());
    fields.number(Field::HttpRequestBodyBytes, 0);
}

fn report_response(response: &Response<'_>, fields: &mut Fields) {
    let header = |name| response.headers.get(name).unwrap_or_default();
    fields.number(Field::HttpStatuses, response.status.into());
    fields.text(Field::HttpContentTypes, header("content-type"));
    fields.text(Field::HttpServers, header("server"));
    fields.text(Field::HttpResponseHeaders, &response.headers.names());
    fields.text(Field::HttpMimeTypes, b"");
    fields.number(Field::HttpResponseBodyBytes, 0);
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        let Some(is_client) = self.is_client(direction, data) else {
            return Consumed { bytes: 0, next: Next::More };
        };
        let mut rest = data;
        let next = loop {
            // Empty lines alone are no start of a message.
            if *self.state(is_client) == State::Head {
                rest = skip_empty_lines(rest);
            }
            if rest.is_empty() {
                break Next::More;
            }
            match self.step(is_client, rest, fields) {
                Ok((after, false)) => rest = after,
                Ok((after, true)) => {
                    rest = after;
                    break Next::Done;
                }
                Err(Stop::Incomplete) => break Next::More,
                Err(Stop::Malformed(why)) => break Next::Malformed(why),
            }
        };
        Consumed { bytes: data.len() - rest.len(), next }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Value;
    use super::super::Session as _;
    use super::*;
    use proptest::prelude::*;

    const REQUESTS: &[u8] =
        b"POST /up?a=1 HTTP/1.1\r\nHost: h.example\r\nUser-Agent: x/1\r\nContent-Length: 5\r\n\r\nhello\
        HEAD / HTTP/1.1\r\nHost: h.example\r\nReferer: r\r\n\r\nGET /page HTTP/1.1\n\n";
    const RESPONSES: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 200 OK\r\nServer: s\r\nContent-Type: text/html\r\nTransfer-Encoding: chunked\r\n\r\n\
        6;x=y\r\n<html>\r\n3\r\nabc\r\n0\r\nTrailer: 1\r\n\r\n\
        HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n\
        HTTP/1.1 404 Not Found\r\n\r\n%PDF-1.7";

    fn texts(fields: &Fields, field: Field) -> Vec<String> {
        match fields.get(field) {
            Some(Value::TextList(list)) => list.iter().map(|text| text.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    fn feed(session: &mut Session, direction: Direction, pieces: [&[u8]; 2], fields: &mut Fields) -> Next {
        let (mut tail, mut next) = (Vec::new(), Next::More);
        for piece in pieces {
            tail.extend_from_slice(piece);
            let consumed = session.read(direction, &tail, fields);
            tail.drain(..consumed.bytes);
            next = consumed.next;
            if next != Next::More {
                break;
            }
        }
        next
    }

    fn exchange(requests: &[u8], responses: &[u8]) -> (Fields, Next) {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        feed(&mut session, Direction::Orig, [requests, b""], &mut fields);
        let next = feed(&mut session, Direction::Resp, [responses, b""], &mut fields);
        (fields, next)
    }

    #[test]
    fn pipelined_messages_are_paired() {
        let (fields, next) = exchange(REQUESTS, RESPONSES);
        assert_eq!(next, Next::More);
        assert_eq!(texts(&fields, Field::HttpMethods), ["POST", "HEAD", "GET"]);
        assert_eq!(texts(&fields, Field::HttpUris), ["/up?a=1", "/", "/page"]);
        assert_eq!(texts(&fields, Field::HttpHosts), ["h.example", "h.example", ""]);
        assert_eq!(texts(&fields, Field::HttpRequestHeaders)[0], "Host,User-Agent,Content-Length");
        assert_eq!(fields.get(Field::HttpStatuses), Some(&Value::NumberList(vec![100, 200, 200, 404])));
        assert_eq!(texts(&fields, Field::HttpMimeTypes), ["", "text/html", "", "application/pdf"]);
        assert_eq!(fields.get(Field::HttpRequestBodyBytes), Some(&Value::Number(5)));
        assert_eq!(fields.get(Field::HttpResponseBodyBytes), Some(&Value::Number(17)));
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        let run = |request_cut: usize, response_cut: usize| {
            let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
            feed(&mut session, Direction::Orig, REQUESTS.split_at(request_cut).into(), &mut fields);
            feed(&mut session, Direction::Resp, RESPONSES.split_at(response_cut).into(), &mut fields);
            fields.iter().cloned().collect::<Vec<_>>()
        };
        let whole = run(0, 0);
        assert!((0..REQUESTS.len()).all(|cut| run(cut, 0) == whole));
        assert!((0..RESPONSES.len()).all(|cut| run(0, cut) == whole));
    }

    #[test]
    fn tunnels_and_upgrades_end_http() {
        let (_, next) = exchange(b"CONNECT a:443 HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01");
        assert_eq!(next, Next::Done);
        let (_, next) = exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        assert_eq!(next, Next::Done);
    }

    #[test]
    fn the_side_that_answers_is_the_server_even_if_it_came_first() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        feed(&mut session, Direction::Orig, [b"HT", b"TP/1.1 204 No Content\r\n\r\n"], &mut fields);
        feed(&mut session, Direction::Resp, [b"GET / HTTP/1.1\r\n\r\n", b""], &mut fields);
        assert_eq!(fields.get(Field::HttpStatuses), Some(&Value::NumberList(vec![204])));
        assert_eq!(texts(&fields, Field::HttpMethods), ["GET"]);
    }

    #[test]
    fn a_simple_request_is_answered_by_a_body() {
        let (fields, next) = exchange(b"GET /\r\n", b"<html>");
        assert_eq!((next, texts(&fields, Field::HttpMimeTypes)), (Next::More, vec!["text/html".to_owned()]));
        assert_eq!(fields.get(Field::HttpStatuses), Some(&Value::NumberList(vec![0])));
    }

    #[test]
    fn broken_framing_is_malformed() {
        let (_, next) =
            exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
        assert_eq!(next, Next::Malformed("chunk size"));
        let (_, next) = exchange(b"GET / HTTP/1.1\r\n\r\n", b"no status line\r\n");
        assert_eq!(next, Next::Malformed("status line"));
    }

    #[test]
    fn probes_tell_http_from_its_likes() {
        let judge = |data: &[u8]| probe(Transport::Stream, Direction::Orig, data, (1, 2));
        assert_eq!(judge(b"GET /"), Probe::Certain);
        assert_eq!(judge(b"HTTP/1.1 200"), Probe::Certain);
        assert_eq!(judge(b"ODD x HTTP/1.0\r\n"), Probe::Certain);
        assert_eq!(judge(b"ODD x"), Probe::Unsure);
        assert_eq!(judge(b"OPTIONS sip:a SIP/2.0\r\n"), Probe::NotForUs);
        assert_eq!(judge(b"GET /media RTSP/1.0\r\n"), Probe::NotForUs);
        assert_eq!(judge(b"PRI * HTTP/2.0\r\n"), Probe::NotForUs);
        assert_eq!(judge(b"SSH-2.0-x\r\n"), Probe::NotForUs);
        assert_eq!(judge(b"\x16\x03\x01"), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..400) {
            let hostile = |valid: &[u8]| [&valid[..at.min(valid.len())], &data].concat();
            let (requests, responses) = (hostile(REQUESTS), hostile(RESPONSES));
            exchange(&data, &data);
            exchange(&requests, &responses);
            exchange(&responses, &requests);
            probe(Transport::Stream, Direction::Orig, &requests, (80, 80));
        }
    }
}
