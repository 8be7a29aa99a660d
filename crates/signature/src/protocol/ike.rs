//! IKE 1 and 2: each message is a transaction of its direction (RFC 2408, RFC 2409, RFC 7296).

use infraspectre_core::app::bytes::{datagram, has_port, Reader};
use infraspectre_core::app::{Consumed, Direction, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How IKE is recognised and read.
pub const ENTRY: Entry =
    Entry { protocol: Protocol::Ike, transports: &[Transport::Datagram], probe, session: |_| Box::new(Ike), describe };

const PORTS: [u16; 2] = [500, 4500];
const HEADER_BYTES: usize = 28;
/// What tells IKE from ESP on port 4500 (RFC 3948, 2.2).
const NON_ESP: [u8; 4] = [0; 4];
/// Payloads of a message, transforms of a proposal and attributes of a transform.
const MAX_PARTS: usize = 64;
/// Flag of version 1: what follows the header is encrypted.
const ENCRYPTED: u8 = 1;

/// Types of payloads (RFC 2408, 3.1; RFC 7296, 3.2).
mod payload {
    pub const SECURITY_1: u8 = 1;
    pub const KEY_1: u8 = 4;
    pub const NONCE_1: u8 = 10;
    pub const VENDOR_1: u8 = 13;
    pub const SECURITY_2: u8 = 33;
    pub const KEY_2: u8 = 34;
    pub const NONCE_2: u8 = 40;
    pub const VENDOR_2: u8 = 43;
    pub const ENCRYPTED_2: u8 = 46;
}

/// Kinds of transforms of version 2 (RFC 7296, 3.3.2).
mod transform {
    pub const ENCRYPTION: u8 = 1;
    pub const PSEUDORANDOM: u8 = 2;
    pub const INTEGRITY: u8 = 3;
    pub const GROUP: u8 = 4;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header<'a> {
    initiator: &'a [u8],
    responder: &'a [u8],
    next: u8,
    major: u8,
    exchange: u8,
    flags: u8,
    length: usize,
}

fn parse_header(data: &[u8]) -> Result<(Header<'_>, &[u8]), Stop> {
    let mut reader = Reader::new(data.strip_prefix(&NON_ESP).unwrap_or(data));
    let (initiator, responder) = (reader.take(8)?, reader.take(8)?);
    let [next, version, exchange, flags] = reader.array()?;
    let _message = reader.take(4)?;
    let length = reader.u32()? as usize;
    let major = version >> 4;
    if !matches!(major, 1 | 2) {
        return Err(Stop::Malformed("ike version"));
    }
    Ok((Header { initiator, responder, next, major, exchange, flags, length }, reader.rest()))
}

/// Recognises the header on the well-known ports.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    let on_port = PORTS.iter().any(|port| has_port(ports, *port));
    if !on_port || transport != Transport::Datagram {
        return Probe::NotForUs;
    }
    let is_known = |header: &Header<'_>, body: &[u8]| match header.major {
        1 => true,
        _ => matches!(header.exchange, 34..=37) && header.length == HEADER_BYTES + body.len(),
    };
    match parse_header(data) {
        Ok((header, body)) if is_known(&header, body) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

struct Ike;

impl Session for Ike {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let parsed = parse_header(data);
        let consumed = datagram(
            data,
            parsed.and_then(|(header, body)| report(&header, body, direction, output.message(direction))),
        );
        output.note_malformed(consumed, direction, "malformed_data")
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn report(header: &Header<'_>, body: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    transaction.put_number(direction, Field::IkeExchangeType, u64::from(header.exchange));
    let (field, spi) = match direction {
        Direction::Orig => (Field::IkeInitSpi, header.initiator),
        Direction::Resp => (Field::IkeRespSpi, header.responder),
    };
    transaction.put(direction, field, hexadecimal(spi).as_bytes());
    transaction.details.insert("version_major".into(), json!(header.major));
    if header.major == 2 || header.flags & ENCRYPTED == 0 {
        report_payloads(header.next, body, direction, transaction);
    }
    transaction.complete(direction);
    Ok(())
}

/// Follows the chain of payloads as far as it can be read.
fn report_payloads(first: u8, body: &[u8], direction: Direction, transaction: &mut Transaction) {
    let (mut kind, mut reader) = (first, Reader::new(body));
    for _ in 0..MAX_PARTS {
        if kind == 0 || kind == payload::ENCRYPTED_2 {
            return;
        }
        let Ok([next, _, high, low]) = reader.array() else { return };
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(4);
        let Some(content) = length.and_then(|length| reader.take(length).ok()) else {
            return transaction.event(direction, "malformed_data");
        };
        report_payload(kind, content, direction, transaction);
        kind = next;
    }
}

fn report_payload(kind: u8, content: &[u8], direction: Direction, transaction: &mut Transaction) {
    match kind {
        payload::SECURITY_1 => _ = associations_1(content, direction, transaction),
        payload::SECURITY_2 => _ = associations_2(content, direction, transaction),
        payload::KEY_1 => {
            put_sized(direction, transaction, Field::IkeKeyExchange, Field::IkeKeyExchangeLength, content)
        }
        payload::KEY_2 => {
            let key = content.get(4..).unwrap_or_default();
            put_sized(direction, transaction, Field::IkeKeyExchange, Field::IkeKeyExchangeLength, key);
        }
        payload::NONCE_1 | payload::NONCE_2 => {
            put_sized(direction, transaction, Field::IkeNonce, Field::IkeNonceLength, content);
        }
        payload::VENDOR_1 | payload::VENDOR_2 if direction == Direction::Orig => {
            transaction.put(direction, Field::IkeVendor, hexadecimal(content).as_bytes());
        }
        _ => {}
    }
}

fn put_sized(direction: Direction, transaction: &mut Transaction, field: Field, length: Field, content: &[u8]) {
    transaction.put(direction, field, content);
    transaction.put_number(direction, length, content.len() as u64);
}

/// Reads the attributes that the responder has chosen (RFC 2408, 3.4 to 3.6; RFC 2409, appendix A).
fn associations_1(content: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    let mut reader = Reader::new(content);
    let _domain_and_situation = reader.take(8)?;
    let [_next, _, _, _, _number, _protocol, spi, transforms] = reader.array()?;
    let _spi = reader.take(usize::from(spi))?;
    for _ in 0..transforms {
        let [_next, _, high, low] = reader.array()?;
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(4).ok_or(Stop::Incomplete)?;
        let attributes = reader.take(length)?.get(4..).ok_or(Stop::Incomplete)?;
        if direction == Direction::Resp {
            report_attributes(attributes, transaction)?;
        }
    }
    Ok(())
}

fn report_attributes(attributes: &[u8], transaction: &mut Transaction) -> Result<(), Stop> {
    let mut reader = Reader::new(attributes);
    for _ in 0..MAX_PARTS {
        if reader.is_empty() {
            break;
        }
        let kind = reader.u16()?;
        let value = if kind & 0x8000 != 0 {
            u32::from(reader.u16()?)
        } else {
            let long = reader.prefixed16()?;
            long.iter().take(4).fold(0, |value, byte| value << 8 | u32::from(*byte))
        };
        let chosen = u64::from(kind & 0x7fff) << 32 | u64::from(value);
        transaction.put_number(Direction::Resp, Field::IkeChosenAttribute, chosen);
    }
    Ok(())
}

/// Looks for weak cryptography in proposals (RFC 7296, 3.3).
fn associations_2(content: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    let mut proposals = Reader::new(content);
    for _ in 0..MAX_PARTS {
        if proposals.is_empty() {
            break;
        }
        let [_last, _, high, low] = proposals.array()?;
        let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(4).ok_or(Stop::Incomplete)?;
        let mut reader = Reader::new(proposals.take(length)?);
        let [_number, _protocol, spi, transforms] = reader.array()?;
        let _spi = reader.take(usize::from(spi))?;
        for _ in 0..usize::from(transforms).min(MAX_PARTS) {
            let [_last, _, high, low] = reader.array()?;
            let length = usize::from(u16::from_be_bytes([high, low])).checked_sub(4).ok_or(Stop::Incomplete)?;
            let [kind, _, high, low] = Reader::new(reader.take(length)?).array()?;
            judge(kind, u16::from_be_bytes([high, low]), direction, transaction);
        }
    }
    Ok(())
}

/// Adds an event for a weak transform (RFC 8247 says which are).
fn judge(kind: u8, id: u16, direction: Direction, transaction: &mut Transaction) {
    let event = match (kind, id) {
        (transform::ENCRYPTION, 11) => "no_encryption",
        (transform::ENCRYPTION, 1..=10) => "weak_crypto_enc",
        (transform::PSEUDORANDOM, 1 | 2) => "weak_crypto_prf",
        (transform::INTEGRITY, 0) => "weak_crypto_no_auth",
        (transform::INTEGRITY, 1..=4) => "weak_crypto_auth",
        (transform::GROUP, 0) => "weak_crypto_no_dh",
        (transform::GROUP, 1 | 2 | 5 | 22) => "weak_crypto_dh",
        _ => return,
    };
    if !transaction.events.contains(&(direction, event)) {
        transaction.event(direction, event);
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = transaction.details.clone();
    for (name, field) in [("init_spi", Field::IkeInitSpi), ("resp_spi", Field::IkeRespSpi)] {
        if let Some(value) = text(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    if let Some(exchange) = number(transaction, Field::IkeExchangeType) {
        object.insert("exchange_type".into(), json!(exchange));
    }
    event.insert("ike".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, datagrams, numbers, texts};
    use super::*;

    fn message(version: u8, exchange: u8, payloads: &[(u8, &[u8])]) -> Vec<u8> {
        let mut body = Vec::new();
        for (at, (_, content)) in payloads.iter().enumerate() {
            let next = payloads.get(at + 1).map_or(0, |(kind, _)| *kind);
            body.extend([next, 0, 0, content.len() as u8 + 4]);
            body.extend(*content);
        }
        let mut bytes = [&[0xab; 8][..], &[0xcd; 8], &[payloads[0].0, version, exchange, 0, 0, 0, 0, 0]].concat();
        bytes.extend(((HEADER_BYTES + body.len()) as u32).to_be_bytes());
        [bytes, body].concat()
    }

    #[test]
    fn version_1_has_keys_nonces_and_a_choice() {
        let chosen: &[u8] =
            b"\0\0\0\x01\0\0\0\x01\0\0\0\x18\x01\x01\0\x01\0\0\0\x10\x01\x01\0\0\x80\x01\0\x07\x80\x0e\0\x80";
        let bytes =
            message(0x10, 2, &[(payload::SECURITY_1, chosen), (payload::KEY_1, b"key"), (payload::NONCE_1, b"no")]);
        let found = datagrams(&ENTRY, &[(Direction::Resp, &bytes)]);
        let chosen = [1 << 32 | 7, 14 << 32 | 128];
        assert_eq!(numbers(&found[0], Direction::Resp, Field::IkeChosenAttribute), chosen);
        assert_eq!(texts(&found[0], Direction::Resp, Field::IkeKeyExchange), ["key"]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::IkeNonceLength), [2]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::IkeRespSpi), ["cdcdcdcdcdcdcdcd"]);
    }

    #[test]
    fn weak_proposals_of_version_2_are_events() {
        let proposal: &[u8] = b"\0\0\0\x18\x01\x01\0\x02\x03\0\0\x08\x01\0\0\x14\0\0\0\x08\x04\0\0\x02";
        let bytes = message(0x20, 34, &[(payload::SECURITY_2, proposal)]);
        let found = datagrams(&ENTRY, &[(Direction::Orig, &bytes)]);
        assert_eq!(found[0].events, [(Direction::Orig, "weak_crypto_dh")]);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &bytes, (500, 500)), Probe::Certain);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &bytes[1..], (500, 500)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let content = &data[..];
            let payloads = [(payload::SECURITY_1, content), (payload::SECURITY_2, content), (payload::KEY_2, content)];
            assert_any_bytes_are_safe(&ENTRY, &message(0x10, 2, &payloads), 1);
            assert_any_bytes_are_safe(&ENTRY, content, 1);
        }
    }
}
