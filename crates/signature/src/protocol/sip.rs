//! SIP: requests and responses of telephony, with the session descriptions that they carry (RFC 3261, RFC 8866).

use infraspectre_core::app::bytes::drain;
use infraspectre_core::app::line::split_line;
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How SIP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Sip,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| Box::new(Sip { transport }),
    describe,
};

/// Longest line; a longer one is no SIP.
const MAX_LINE: usize = 8192;
/// Most headers of one message.
const MAX_HEADERS: usize = 256;
/// Longest head and body of a message that are waited for on a stream.
const MAX_MESSAGE: usize = 65_536;

const VERSION: &[u8] = b"SIP/";
const METHODS: [&[u8]; 14] = [
    b"REGISTER ",
    b"INVITE ",
    b"ACK ",
    b"BYE ",
    b"CANCEL ",
    b"UPDATE ",
    b"REFER ",
    b"PRACK ",
    b"SUBSCRIBE ",
    b"NOTIFY ",
    b"PUBLISH ",
    b"MESSAGE ",
    b"INFO ",
    b"OPTIONS ",
];

/// Headers that rules look at: full name, compact form (RFC 3261, 7.3.3), field.
const HEADERS: [(&[u8], &[u8], Field); 6] = [
    (b"from", b"f", Field::SipFrom),
    (b"to", b"t", Field::SipTo),
    (b"via", b"v", Field::SipVia),
    (b"user-agent", b"", Field::SipUserAgent),
    (b"content-type", b"c", Field::SipContentType),
    (b"content-length", b"l", Field::SipContentLength),
];

/// Lines of a session description before its first media line, by type (RFC 8866, 5).
const DESCRIPTION: [(u8, Field); 13] = [
    (b's', Field::SdpSessionName),
    (b'o', Field::SdpOrigin),
    (b'm', Field::SdpMedia),
    (b'c', Field::SdpConnection),
    (b'a', Field::SdpAttribute),
    (b't', Field::SdpTime),
    (b'b', Field::SdpBandwidth),
    (b'u', Field::SdpUri),
    (b'e', Field::SdpEmail),
    (b'p', Field::SdpPhone),
    (b'i', Field::SdpSessionInfo),
    (b'r', Field::SdpRepeatTime),
    (b'z', Field::SdpTimezone),
];

/// The first line of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Start<'a> {
    Request { method: &'a [u8], uri: &'a [u8], version: &'a [u8] },
    Response { version: &'a [u8], code: &'a [u8], reason: &'a [u8] },
}

/// One message.
struct Message<'a> {
    line: &'a [u8],
    start: Start<'a>,
    headers: Vec<(&'a [u8], &'a [u8])>,
    body: &'a [u8],
}

fn parse_start(line: &[u8]) -> Option<Start<'_>> {
    let mut parts = line.splitn(3, |byte| *byte == b' ');
    let (first, second, third) = (parts.next()?, parts.next()?, parts.next());
    if first.starts_with(VERSION) {
        let is_code = second.len() == 3 && second.iter().all(u8::is_ascii_digit);
        return is_code.then_some(Start::Response { version: first, code: second, reason: third.unwrap_or_default() });
    }
    let is_request = !first.is_empty() && first.iter().all(u8::is_ascii_alphabetic) && !second.is_empty();
    let version = third.filter(|version| is_request && version.starts_with(VERSION))?;
    Some(Start::Request { method: first, uri: second, version })
}

/// Reads a message; on a datagram, the body is what is left.
fn parse_message(data: &[u8], transport: Transport) -> Result<(usize, Message<'_>), Stop> {
    let (mut rest, line) = split_line(data, MAX_LINE)?;
    let start = parse_start(line).ok_or(Stop::Malformed("sip start line"))?;
    let mut headers = Vec::new();
    loop {
        let (after, line) = match split_line(rest, MAX_LINE) {
            Err(Stop::Incomplete) if data.len() > MAX_MESSAGE => return Err(Stop::Malformed("sip headers")),
            other => other?,
        };
        rest = after;
        if line.is_empty() {
            break;
        }
        let colon = memchr::memchr(b':', line).ok_or(Stop::Malformed("sip header"))?;
        let (name, value) = line.split_at(colon);
        if headers.len() < MAX_HEADERS {
            headers.push((name.trim_ascii_end(), value.get(1..).unwrap_or_default().trim_ascii()));
        }
    }
    let length = match transport {
        Transport::Datagram => rest.len(),
        Transport::Stream => content_length(&headers).min(MAX_MESSAGE),
    };
    let body = rest.get(..length).ok_or(Stop::Incomplete)?;
    Ok((data.len() - rest.len() + length, Message { line, start, headers, body }))
}

fn content_length(headers: &[(&[u8], &[u8])]) -> usize {
    let value =
        headers.iter().find(|(name, _)| field_of(name) == Some(Field::SipContentLength)).map(|(_, value)| *value);
    value.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok()).unwrap_or(0)
}

fn field_of(name: &[u8]) -> Option<Field> {
    let known = |(full, compact, _): &&(&[u8], &[u8], Field)| {
        name.eq_ignore_ascii_case(full) || !compact.is_empty() && name.eq_ignore_ascii_case(compact)
    };
    HEADERS.iter().find(known).map(|(_, _, field)| *field)
}

/// Recognises a request by its method and a response by its version.
fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    let on_stream = transport == Transport::Stream;
    let begins = |word: &&[u8]| data.starts_with(word) || on_stream && word.starts_with(data);
    if !METHODS.iter().chain(&[&b"SIP/2.0"[..]]).any(begins) {
        return Probe::NotForUs;
    }
    match split_line(data, MAX_LINE) {
        Ok((_, line)) if parse_start(line).is_some() => Probe::Certain,
        Err(Stop::Incomplete) if on_stream => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// Makes a transaction of each message, as the sides need not take turns.
struct Sip {
    transport: Transport,
}

impl Sip {
    fn step(&self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let breaks = data.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        if breaks > 0 {
            return Ok((breaks, Next::More)); // keeps the connection alive (RFC 5626, 3.5.1)
        }
        let (used, message) = parse_message(data, self.transport)?;
        report(&message, direction, output.message(direction));
        Ok((used, Next::More))
    }
}

impl Session for Sip {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        if let (Next::Malformed(_), Some(last)) = (consumed.next, output.transactions.back_mut()) {
            last.event(direction, "invalid_data");
        }
        consumed
    }
}

fn report(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    match message.start {
        Start::Request { method, uri, version } => {
            transaction.put(direction, Field::SipMethod, method);
            transaction.put(direction, Field::SipUri, uri);
            transaction.put(direction, Field::SipProtocol, version);
            transaction.put(direction, Field::SipRequestLine, message.line);
        }
        Start::Response { version, code, reason } => {
            transaction.put(direction, Field::SipProtocol, version);
            transaction.put(direction, Field::SipStatusCode, code);
            transaction.put(direction, Field::SipStatusMessage, reason);
            transaction.put(direction, Field::SipResponseLine, message.line);
        }
    }
    for (name, value) in &message.headers {
        if let Some(field) = field_of(name) {
            transaction.put(direction, field, value);
        }
    }
    report_description(message, direction, transaction);
    transaction.complete(direction);
}

/// Reports the session's own lines and those that open a medium; what belongs to one medium is left out.
fn report_description(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    if !message.body.starts_with(b"v=0") {
        return;
    }
    let mut in_media = false;
    for line in message.body.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end) {
        let Some((&[kind, b'='], value)) = line.split_first_chunk() else { continue };
        in_media |= kind == b'm';
        let field = DESCRIPTION.iter().find(|(known, _)| *known == kind).map(|(_, field)| *field);
        if let Some(field) = field.filter(|_| !in_media || kind == b'm') {
            transaction.put(direction, field, value);
        }
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let names = [
        ("method", Field::SipMethod),
        ("uri", Field::SipUri),
        ("version", Field::SipProtocol),
        ("request_line", Field::SipRequestLine),
        ("code", Field::SipStatusCode),
        ("reason", Field::SipStatusMessage),
        ("response_line", Field::SipResponseLine),
    ];
    let object = names.iter().filter_map(|(name, field)| Some((*name, text(transaction, *field)?)));
    event.insert("sip".into(), json!(object.collect::<std::collections::BTreeMap<_, _>>()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, stream, texts};
    use super::*;

    const INVITE: &[u8] = b"INVITE sip:bob@example.org SIP/2.0\r\nVia: SIP/2.0/TCP a\r\nf: <sip:a@b>\r\nTo: one\r\nTo: two\r\n\
        Content-Type: application/sdp\r\nContent-Length: 44\r\n\r\nv=0\r\ns=call\r\nm=audio 1 RTP/AVP 0\r\na=sendrecv\r\n";
    const TRYING: &[u8] = b"SIP/2.0 100 Trying it\r\nVia: x\r\nContent-Length: 0\r\n\r\n";

    #[test]
    fn each_message_is_a_transaction() {
        let pieces = [(Direction::Orig, INVITE), (Direction::Resp, TRYING)];
        for found in [datagrams(&ENTRY, &pieces), stream(&ENTRY, &pieces)] {
            let of = |at: usize, field| texts(&found[at], [Direction::Orig, Direction::Resp][at], field);
            assert_eq!(of(0, Field::SipRequestLine), ["INVITE sip:bob@example.org SIP/2.0"]);
            assert_eq!(of(0, Field::SipTo), ["one", "two"]);
            assert_eq!(of(0, Field::SipFrom), ["<sip:a@b>"]);
            assert_eq!(of(0, Field::SdpMedia), ["audio 1 RTP/AVP 0"]);
            assert_eq!(of(0, Field::SdpAttribute), [""; 0]);
            assert_eq!(of(1, Field::SipStatusMessage), ["Trying it"]);
            assert_eq!(found.len(), 2);
        }
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    #[test]
    fn the_first_line_decides() {
        let on = |data: &[u8]| probe(Transport::Stream, Direction::Orig, data, (1, 2));
        assert_eq!(on(INVITE), Probe::Certain);
        assert_eq!(on(b"INV"), Probe::Unsure);
        assert_eq!(on(b"OPTIONS / HTTP/1.1\r\n"), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..100), at in 0..300_usize) {
            let mut bytes = [INVITE, TRYING].concat();
            let at = at % bytes.len();
            bytes.splice(at..at, data.iter().copied());
            assert_any_bytes_are_safe(&ENTRY, &bytes, 3);
            assert_any_bytes_are_safe(&ENTRY, &data, 2);
        }
    }
}
