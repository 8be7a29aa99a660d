//! Kerberos 5: each message is a transaction of its direction (RFC 4120).

use infraspectre_core::app::bytes::{datagram, drain, has_port, pass_over, Reader};
use infraspectre_core::app::kerberos::{self, kind, parse_message, Message, Principal};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How Kerberos is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Kerberos,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| Box::new(Kerberos { transport, skip: [0; 2] }),
    describe,
};

const PORT: u16 = 88;
/// Longest message that a stream may announce.
const MAX_CLAIM: usize = 1 << 24;

/// Encryption types that are not weak (RFC 3961 registry): AES and Camellia.
const STRONG: [i32; 6] = [17, 18, 19, 20, 25, 26];

/// Recognises the outer tags and the version, on the well-known port.
fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match has_port(ports, PORT) {
        true => kerberos::probe(transport, direction, data, ports),
        false => Probe::NotForUs,
    }
}

struct Kerberos {
    transport: Transport,
    /// Bytes of an overlong message still to pass over, for each direction.
    skip: [usize; 2],
}

impl Kerberos {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let skip = &mut self.skip[index(direction)];
        if let Some(used) = pass_over(skip, data) {
            return Ok((used, Next::More));
        }
        let mut reader = Reader::new(data);
        let length = reader.u32()? as usize;
        if length > MAX_CLAIM {
            return Err(Stop::Malformed("kerberos length"));
        }
        if length > kerberos::MAX_MESSAGE {
            *skip = length;
            return Ok((4, Next::More));
        }
        let (_, message) = parse_message(reader.take(length)?).map_err(|_| Stop::Malformed("kerberos message"))?;
        report(&message, direction, output.message(direction));
        Ok((4 + length, Next::More))
    }
}

impl Session for Kerberos {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = match self.transport {
            Transport::Stream => drain(data, |rest| self.step(direction, rest, output)),
            Transport::Datagram => {
                let parsed = parse_message(data);
                datagram(data, parsed.map(|(_, message)| report(&message, direction, output.message(direction))))
            }
        };
        output.note_malformed(consumed, direction, "malformed_data")
    }
}

/// Tells whether an encryption type is weak.
fn is_weak(cipher: i32) -> bool {
    !STRONG.contains(&cipher)
}

fn report(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    transaction.put_number(direction, Field::KrbMessageType, u64::from(message.kind));
    for (field, principal) in [
        (Field::KrbClientName, message.client),
        (Field::KrbServerName, message.service.or(message.ticket.and_then(|ticket| ticket.service))),
    ] {
        for part in principal.iter().flat_map(Principal::parts) {
            transaction.put(direction, field, part);
        }
    }
    if let Some(error) = message.error {
        transaction.put_number(direction, Field::KrbErrorCode, unsigned(error));
    }
    let is_reply = matches!(message.kind, kind::AS_REP | kind::TGS_REP);
    if let Some(cipher) = message.ticket.filter(|_| is_reply).and_then(|ticket| ticket.cipher) {
        transaction.put_number(direction, Field::KrbTicketEncryption, unsigned(cipher));
        transaction.put_number(direction, Field::KrbWeakEncryption, u64::from(is_weak(cipher)));
    }
    if message.reply_cipher.is_some_and(is_weak) {
        transaction.event(direction, "weak_encryption");
    }
    transaction.complete(direction);
}

/// Keeps the bits of private, negative numbers.
fn unsigned(number: i32) -> u64 {
    u64::from(u32::from_ne_bytes(number.to_ne_bytes()))
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    if let Some(kind) = number(transaction, Field::KrbMessageType) {
        object.insert("msg_type".into(), json!(kind_name(kind)));
    }
    for (name, field) in [("cname", Field::KrbClientName), ("sname", Field::KrbServerName)] {
        if let Some(value) = text(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    if let Some(error) = number(transaction, Field::KrbErrorCode) {
        object.insert("error_code".into(), json!(error));
    }
    if let Some(cipher) = number(transaction, Field::KrbTicketEncryption) {
        object.insert("ticket_encryption".into(), json!(cipher));
        let is_weak = number(transaction, Field::KrbWeakEncryption) == Some(1);
        object.insert("ticket_weak_encryption".into(), json!(is_weak));
    }
    event.insert("krb5".into(), Value::Object(object));
}

/// Names a message type as EVE does: `KRB_AS_REQ`.
fn kind_name(code: u64) -> String {
    let known = u8::try_from(code).ok().and_then(kerberos::kind_name).unwrap_or("UNKNOWN");
    format!("KRB_{}", known.trim_start_matches("KRB-").replace('-', "_"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, described, numbers, stream, texts,
    };
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, 0x82, (content.len() >> 8) as u8, content.len() as u8], content].concat()
    }

    fn reply(cipher: u8) -> Vec<u8> {
        let sealed = element(0x30, &element(0xa0, &[2, 1, cipher]));
        let name = |parts: &[&[u8]]| {
            let parts: Vec<u8> = parts.iter().flat_map(|part| element(0x1b, part)).collect();
            element(0x30, &[element(0xa0, &[2, 1, 1]), element(0xa1, &element(0x30, &parts))].concat())
        };
        let ticket = [element(0xa2, &name(&[b"cifs", b"host"])), element(0xa3, &sealed)].concat();
        let ticket = element(0x61, &element(0x30, &ticket));
        let members = [
            element(0xa0, &[2, 1, 5]),
            element(0xa4, &name(&[b"alice"])),
            element(0xa5, &ticket),
            element(0xa6, &sealed),
        ];
        element(0x6d, &element(0x30, &members.concat()))
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    #[test]
    fn weak_tickets_are_told() {
        let found = datagrams(&ENTRY, &[(Direction::Resp, &reply(23)), (Direction::Resp, &reply(18))]);
        let number = |at: usize, field| numbers(&found[at], Direction::Resp, field);
        assert_eq!((number(0, Field::KrbTicketEncryption), number(0, Field::KrbWeakEncryption)), (vec![23], vec![1]));
        assert_eq!((number(1, Field::KrbTicketEncryption), number(1, Field::KrbWeakEncryption)), (vec![18], vec![0]));
        assert_eq!(texts(&found[0], Direction::Resp, Field::KrbServerName), ["cifs", "host"]);
        assert_eq!(found[0].events, [(Direction::Resp, "weak_encryption")]);
        assert!(described(&ENTRY, &found[0]).contains("KRB_TGS_REP"));
    }

    #[test]
    fn cuts_do_not_matter() {
        let both = [framed(&reply(17)), framed(&reply(3))].concat();
        assert_eq!(stream(&ENTRY, &[(Direction::Resp, &both)]).len(), 2);
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Resp, &both)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..200_usize) {
            let mut bytes = reply(23);
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 1);
            assert_any_bytes_are_safe(&ENTRY, &framed(&bytes), 2);
        }
    }
}
