//! HTTP/2 as rules see it (RFC 9113): each stream is a transaction with the fields of HTTP.

mod hpack;

use std::collections::BTreeMap;

use infraspectre_core::app::bytes::{drain, Reader};
use infraspectre_core::app::{Consumed, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use self::hpack::{Block, Decoder};
use super::http::body::{Files, Sink};
use super::http::describe;
use super::http::headers::{Header, Headers};
use super::http::multipart::file_name;
use super::http::uri::{normalise_host, split_port};
use super::{Entry, Output, Protocol};
use crate::field::{Field, BODY, HEADERS};
use crate::transaction::{index, Direction, Transaction};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Longest frame, other than of data, that is read; longer ones are passed over.
const MAX_FRAME: usize = 128 * 1024;
/// Longest block of headers over several frames.
const MAX_BLOCK: usize = 256 * 1024;
/// Streams that are remembered at a time.
const MAX_STREAMS: usize = 1024;

/// HTTP/2 over TCP.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Http2,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Session::default()),
    describe: describe_event,
};

mod kind {
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
}

mod flag {
    pub const END_STREAM: u8 = 0x01;
    pub const END_HEADERS: u8 = 0x04;
    pub const PADDED: u8 = 0x08;
    pub const PRIORITY: u8 = 0x20;
}

/// Recognises the preface of a client, or the settings that a server begins with.
fn probe(_: Transport, direction: Direction, data: &[u8], _: (u16, u16)) -> Probe {
    match direction {
        Direction::Orig if data.starts_with(PREFACE) => Probe::Certain,
        Direction::Orig if PREFACE.starts_with(data) => Probe::Unsure,
        Direction::Orig => Probe::NotForUs,
        Direction::Resp => match data {
            [0, _, length, kind::SETTINGS, 0 | 1, 0, 0, 0, 0, ..] if length % 6 == 0 => Probe::Certain,
            [] | [0] | [0, _] | [0, _, _] => Probe::Unsure,
            [0, _, _, kind::SETTINGS, ..] if data.len() < 9 => Probe::Unsure,
            _ => Probe::NotForUs,
        },
    }
}

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    length: usize,
    kind: u8,
    flags: u8,
    stream: u32,
}

impl Frame {
    const BYTES: usize = 9;

    fn read(data: &[u8]) -> Result<Frame, Stop> {
        let mut reader = Reader::new(data);
        let length = reader.u24()? as usize;
        Ok(Frame { length, kind: reader.u8()?, flags: reader.u8()?, stream: reader.u32()? & 0x7fff_ffff })
    }

    fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// One stream.
#[derive(Default)]
struct Stream {
    number: u64,
    target: Vec<u8>,
    is_upload: bool,
    sinks: [Sink; 2],
    has_headers: [bool; 2],
}

/// Headers that go on in further frames.
struct Unfinished {
    stream: u32,
    ends_stream: bool,
    /// They are of a request that the server answers unasked.
    is_promise: bool,
    block: Vec<u8>,
}

/// Bytes of a frame that are taken as they come.
#[derive(Clone, Copy)]
struct Running {
    stream: u32,
    data: usize,
    /// What follows the data: padding.
    rest: usize,
    ends_stream: bool,
}

/// What is kept of one direction.
#[derive(Default)]
struct Side {
    is_begun: bool,
    decoder: Decoder,
    unfinished: Option<Unfinished>,
    running: Option<Running>,
}

/// Reads HTTP/2 of one flow.
#[derive(Default)]
pub struct Session {
    sides: [Side; 2],
    streams: BTreeMap<u32, Stream>,
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output).map(|used| (used, Next::More)))
    }

    fn gap(&mut self, direction: Direction, missing: u32, output: &mut Output<'_>) -> bool {
        let missing = missing as usize;
        let Some(running) = &mut self.sides[index(direction)].running else { return false };
        if missing > running.data {
            return false;
        }
        running.data -= missing;
        let running = *running;
        if let Some(stream) = self.streams.get_mut(&running.stream) {
            if let Some(transaction) = output.get(stream.number) {
                stream.sinks[index(direction)].skip(transaction);
            }
        }
        self.end_running(direction, running, output);
        true
    }

    fn end(&mut self, direction: Direction, output: &mut Output<'_>) {
        let open: Vec<u32> = self.streams.keys().copied().collect();
        open.into_iter().for_each(|stream| self.end_stream(stream, direction, true, output));
    }
}

impl Session {
    fn step(&mut self, direction: Direction, rest: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        let side = &mut self.sides[index(direction)];
        if let Some(running) = side.running {
            return Ok(self.run(direction, running, rest, output));
        }
        if !side.is_begun
            && direction == Direction::Orig
            && PREFACE.starts_with(rest.get(..PREFACE.len()).unwrap_or(rest))
        {
            if rest.len() < PREFACE.len() {
                return Err(Stop::Incomplete);
            }
            side.is_begun = true;
            return Ok(PREFACE.len());
        }
        side.is_begun = true;
        let frame = Frame::read(rest)?;
        if frame.kind == kind::DATA {
            return self.begin_data(direction, frame, rest, output);
        }
        if frame.length > MAX_FRAME {
            side.running = Some(Running { stream: 0, data: 0, rest: frame.length, ends_stream: false });
            return Ok(Frame::BYTES);
        }
        let payload = rest.get(Frame::BYTES..Frame::BYTES + frame.length).ok_or(Stop::Incomplete)?;
        self.frame(direction, frame, payload, output);
        Ok(Frame::BYTES + frame.length)
    }

    fn begin_data(
        &mut self,
        direction: Direction,
        frame: Frame,
        rest: &[u8],
        output: &mut Output<'_>,
    ) -> Result<usize, Stop> {
        let padding = match frame.has(flag::PADDED) && frame.length > 0 {
            true => usize::from(*rest.get(Frame::BYTES).ok_or(Stop::Incomplete)?) + 1,
            false => 0,
        };
        let data = frame.length.saturating_sub(padding);
        let taken = padding.min(1);
        let rest = frame.length - data - taken;
        let running = Running { stream: frame.stream, data, rest, ends_stream: frame.has(flag::END_STREAM) };
        self.note(direction, frame, output);
        self.sides[index(direction)].running = Some(running);
        self.end_running(direction, running, output);
        Ok(Frame::BYTES + taken)
    }

    /// Takes bytes of a frame that may be long.
    fn run(&mut self, direction: Direction, running: Running, rest: &[u8], output: &mut Output<'_>) -> usize {
        let count = running.data.min(rest.len());
        let padding = running.rest.min(rest.len() - count);
        if count > 0 {
            self.push(running.stream, direction, rest.get(..count).unwrap_or(rest), output);
        }
        let left = Running { data: running.data - count, rest: running.rest - padding, ..running };
        self.sides[index(direction)].running = Some(left);
        self.end_running(direction, left, output);
        count + padding
    }

    fn end_running(&mut self, direction: Direction, running: Running, output: &mut Output<'_>) {
        if running.data == 0 && running.rest == 0 {
            self.sides[index(direction)].running = None;
            if running.ends_stream {
                self.end_stream(running.stream, direction, false, output);
            }
        }
    }

    fn push(&mut self, stream: u32, direction: Direction, data: &[u8], output: &mut Output<'_>) {
        let limit = match direction {
            Direction::Orig => output.settings.request_body_limit,
            Direction::Resp => output.settings.response_body_limit,
        };
        if let Some(stream) = self.streams.get_mut(&stream) {
            if let Some(transaction) = output.get(stream.number) {
                stream.sinks[index(direction)].push(data, limit as u64, direction, transaction);
            }
        }
    }

    /// Returns the transaction of a stream; stream 0 has one for each frame.
    fn stream<'a>(&mut self, stream: u32, output: &'a mut Output<'_>) -> Option<&'a mut Transaction> {
        if stream == 0 {
            let transaction = output.begin();
            transaction.complete(Direction::Orig);
            transaction.complete(Direction::Resp);
            return Some(transaction);
        }
        if let Some(known) = self.streams.get(&stream) {
            return output.get(known.number);
        }
        if self.streams.len() >= MAX_STREAMS {
            if let Some((_, oldest)) = self.streams.pop_first() {
                if let Some(transaction) = output.get(oldest.number) {
                    transaction.complete(Direction::Orig);
                    transaction.complete(Direction::Resp);
                }
            }
        }
        let transaction = output.begin();
        self.streams.insert(stream, Stream { number: transaction.number, ..Stream::default() });
        Some(transaction)
    }

    /// Notes that a frame was there.
    fn note<'a>(
        &mut self,
        direction: Direction,
        frame: Frame,
        output: &'a mut Output<'_>,
    ) -> Option<&'a mut Transaction> {
        let transaction = self.stream(frame.stream, output)?;
        if frame.stream == 0 {
            transaction.only = Some(direction);
        }
        transaction.put_number(direction, Field::Http2FrameType, frame.kind.into());
        Some(transaction)
    }

    fn frame(&mut self, direction: Direction, frame: Frame, payload: &[u8], output: &mut Output<'_>) {
        let payload = match matches!(frame.kind, kind::HEADERS | kind::PUSH_PROMISE) && frame.has(flag::PADDED) {
            true => unpad(payload),
            false => payload,
        };
        let mut reader = Reader::new(payload);
        match frame.kind {
            // Empty settings change nothing: they begin a connection or acknowledge those of the other side.
            kind::SETTINGS if payload.is_empty() => {}
            kind::HEADERS => self.headers(direction, frame, payload, output),
            kind::PUSH_PROMISE => {
                if let Ok(promised) = reader.u32() {
                    let frame = Frame { stream: promised & 0x7fff_ffff, ..frame };
                    self.note(direction, frame, output);
                    self.begin_block(direction, frame, reader.rest(), output);
                }
            }
            kind::CONTINUATION => self.continuation(direction, frame, payload, output),
            _ => self.control(direction, frame, reader, output),
        }
    }

    /// Takes a frame that carries numbers.
    fn control(&mut self, direction: Direction, frame: Frame, mut reader: Reader<'_>, output: &mut Output<'_>) {
        let Some(transaction) = self.note(direction, frame, output) else { return };
        let mut put = |field, value: Result<u64, Stop>| {
            if let Ok(value) = value {
                transaction.put_number(direction, field, value);
            }
        };
        match frame.kind {
            kind::SETTINGS => {
                while let (Ok(name), Ok(value)) = (reader.u16(), reader.u32()) {
                    put(Field::Http2Settings, Ok(u64::from(name) << 32 | u64::from(value)));
                }
            }
            kind::PRIORITY => put(Field::Http2Priority, priority(&mut reader)),
            kind::RST_STREAM => {
                put(Field::Http2ErrorCode, reader.u32().map(u64::from));
                self.end_stream(frame.stream, Direction::Orig, true, output);
                self.end_stream(frame.stream, Direction::Resp, true, output);
            }
            kind::GOAWAY => put(Field::Http2ErrorCode, reader.u32().and_then(|_| reader.u32()).map(u64::from)),
            kind::WINDOW_UPDATE => put(Field::Http2Window, reader.u32().map(|size| u64::from(size & 0x7fff_ffff))),
            _ => {}
        }
    }

    fn headers(&mut self, direction: Direction, frame: Frame, payload: &[u8], output: &mut Output<'_>) {
        let mut reader = Reader::new(payload);
        let Some(transaction) = self.note(direction, frame, output) else { return };
        if frame.has(flag::PRIORITY) {
            if let Ok(weight) = priority(&mut reader) {
                transaction.put_number(direction, Field::Http2Priority, weight);
            }
        }
        self.begin_block(direction, frame, reader.rest(), output);
    }

    fn begin_block(&mut self, direction: Direction, frame: Frame, block: &[u8], output: &mut Output<'_>) {
        let is_promise = frame.kind == kind::PUSH_PROMISE;
        let ends_stream = frame.has(flag::END_STREAM) && !is_promise;
        let unfinished = Unfinished { stream: frame.stream, ends_stream, is_promise, block: block.to_vec() };
        self.go_on(direction, frame, unfinished, output);
    }

    fn continuation(&mut self, direction: Direction, frame: Frame, payload: &[u8], output: &mut Output<'_>) {
        self.note(direction, frame, output);
        if let Some(mut unfinished) = self.sides[index(direction)].unfinished.take() {
            if unfinished.block.len() < MAX_BLOCK {
                unfinished.block.extend_from_slice(payload);
            }
            self.go_on(direction, frame, unfinished, output);
        }
    }

    fn go_on(&mut self, direction: Direction, frame: Frame, unfinished: Unfinished, output: &mut Output<'_>) {
        if !frame.has(flag::END_HEADERS) {
            self.sides[index(direction)].unfinished = Some(unfinished);
            return;
        }
        let mut block = Block::default();
        let outcome = self.sides[index(direction)].decoder.decode(&unfinished.block, &mut block);
        if let Some(transaction) = self.streams.get(&unfinished.stream).and_then(|stream| output.get(stream.number)) {
            if outcome.is_err() {
                transaction.event(direction, "invalid_header");
            }
            for size in &block.size_updates {
                transaction.put_number(direction, Field::Http2SizeUpdate, *size);
            }
        }
        match unfinished.is_promise {
            true => self.promise(unfinished.stream, block),
            false => self.report(unfinished.stream, direction, block, output),
        }
        if unfinished.ends_stream {
            self.end_stream(unfinished.stream, direction, false, output);
        }
    }

    /// Remembers what a promised response answers.
    fn promise(&mut self, number: u32, block: Block) {
        if let Some(stream) = self.streams.get_mut(&number) {
            stream.target = Headers::of_fields(block.fields).get(":path").unwrap_or_default().to_vec();
        }
    }

    /// Puts the fields of a block of headers; those of a trailer are no more looked at.
    fn report(&mut self, number: u32, direction: Direction, block: Block, output: &mut Output<'_>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let settings = output.settings;
        let Some(transaction) = output.get(stream.number) else { return };
        for (name, _) in &block.fields {
            transaction.put(direction, Field::Http2HeaderName, name);
        }
        if std::mem::replace(&mut stream.has_headers[index(direction)], true) {
            return;
        }
        let headers = Headers::of_fields(block.fields);
        report_pseudo(direction, &headers, transaction);
        headers.report(direction, b"", transaction);
        if direction == Direction::Orig {
            stream.target = headers.get(":path").unwrap_or_default().to_vec();
            stream.is_upload = matches!(headers.get(":method"), Some(b"POST" | b"PUT"));
        }
        let named = headers.get("content-disposition").and_then(file_name).map(<[u8]>::to_vec);
        let files = match (direction, stream.is_upload) {
            (Direction::Orig, false) => Files::None,
            _ => Files::Whole(named.unwrap_or_else(|| stream.target.clone())),
        };
        let mut events = Vec::new();
        stream.sinks[index(direction)] =
            Sink::new(files, headers.get("content-encoding"), Protocol::Http2, settings, &mut events);
        transaction.advance(direction, HEADERS);
        transaction.advance(direction, BODY);
    }

    fn end_stream(&mut self, number: u32, direction: Direction, is_cut: bool, output: &mut Output<'_>) {
        let Some(stream) = self.streams.get_mut(&number) else { return };
        let Some(transaction) = output.get(stream.number) else {
            self.streams.remove(&number);
            return;
        };
        stream.sinks[index(direction)].finish(is_cut, direction, transaction);
        transaction.complete(direction);
        if transaction.is_done() {
            self.streams.remove(&number);
        }
    }
}

/// Reads a dependency and returns the weight.
fn priority(reader: &mut Reader<'_>) -> Result<u64, Stop> {
    reader.u32()?;
    reader.u8().map(u64::from)
}

fn unpad(payload: &[u8]) -> &[u8] {
    let Some((padding, rest)) = payload.split_first() else { return payload };
    rest.get(..rest.len().saturating_sub(usize::from(*padding))).unwrap_or_default()
}

fn report_pseudo(direction: Direction, headers: &Headers, transaction: &mut Transaction) {
    let mut put = |field, name| {
        if let Some(value) = headers.get(name) {
            transaction.put(direction, field, value);
        }
    };
    match direction {
        Direction::Orig => {
            put(Field::HttpUri, ":path");
            put(Field::HttpUriRaw, ":path");
            put(Field::HttpMethod, ":method");
            report_host(headers, transaction);
        }
        Direction::Resp => put(Field::HttpStatusCode, ":status"),
    }
    transaction.put(direction, Field::HttpProtocol, b"HTTP/2");
}

fn report_host(headers: &Headers, transaction: &mut Transaction) {
    let (authority, host) = (headers.get(":authority"), headers.get("host"));
    if let Some(raw) = authority.or(host) {
        transaction.put(Direction::Orig, Field::HttpHostRaw, raw);
        transaction.put(Direction::Orig, Field::HttpHost, &normalise_host(split_port(raw).0));
    }
    if authority.zip(host).is_some_and(|(one, other)| !one.eq_ignore_ascii_case(other)) {
        transaction.event(Direction::Orig, "authority_host_mismatch");
    }
}

impl Headers {
    /// Takes headers as they are, with their pseudo-headers; cookies are joined.
    fn of_fields(fields: Vec<hpack::Field>) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.keep_raw(&[&name[..], b": ", &value, b"\r\n"].concat());
            let cookie = headers.list.iter_mut().find(|header| name == b"cookie" && header.name == b"cookie");
            match cookie {
                Some(cookie) => cookie.value.extend_from_slice(&[b"; ", &value[..]].concat()),
                None => headers.list.push(Header { name, value, repeated: 0 }),
            }
        }
        headers
    }
}

/// Adds the `http` object with its `http2` part.
fn describe_event(transaction: &Transaction, event: &mut Map<String, Value>) {
    describe::describe(transaction, event);
    let Some(http) = event.get_mut("http").and_then(Value::as_object_mut) else { return };
    http.insert("version".to_owned(), json!("2"));
    http.remove("protocol");
    let side = |direction| {
        let mut said = Map::new();
        if let Some(weight) = transaction.numbers(direction, Field::Http2Priority).next() {
            said.insert("priority".to_owned(), json!(weight));
        }
        if let Some(code) = transaction.numbers(direction, Field::Http2ErrorCode).next() {
            said.insert("error_code".to_owned(), json!(code));
        }
        Value::Object(said)
    };
    http.insert("http2".to_owned(), json!({ "request": side(Direction::Orig), "response": side(Direction::Resp) }));
}

#[cfg(test)]
mod tests;
