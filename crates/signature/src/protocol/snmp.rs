//! SNMP: each message is a transaction of its direction (RFC 1157, RFC 3416, RFC 3412).

use infraspectre_core::app::bytes::{datagram, has_port};
use infraspectre_core::app::der::{elements, expect, Element, INTEGER, SEQUENCE};
use infraspectre_core::app::{Consumed, Direction, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How SNMP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Snmp,
    transports: &[Transport::Datagram],
    probe,
    session: |_| Box::new(Snmp),
    describe,
};

const PORTS: [u16; 2] = [161, 162];
const OCTETS: u8 = 0x04;
/// The user-based security model (RFC 3414).
const USER_MODEL: i32 = 3;

/// What a message says in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message<'a> {
    /// 1 to 3.
    version: u8,
    community: Option<&'a [u8]>,
    user: Option<&'a [u8]>,
    /// Number of the kind of message; none if it is encrypted.
    pdu: Option<u8>,
}

fn parse_message(data: &[u8]) -> Result<Message<'_>, Stop> {
    let malformed = Stop::Malformed("snmp message");
    let mut parts = elements(expect(data, SEQUENCE).ok_or(malformed)?);
    let version = parts.next().filter(|part| part.tag == INTEGER).and_then(Element::integer).ok_or(malformed)?;
    let second = parts.next().ok_or(malformed)?;
    let third = parts.next().ok_or(malformed)?;
    match version {
        0 | 1 if second.tag == OCTETS && third.tag & 0xe0 == 0xa0 => Ok(Message {
            version: version as u8 + 1,
            community: Some(second.content),
            user: None,
            pdu: Some(third.tag & 0x1f),
        }),
        3 if second.tag == SEQUENCE && third.tag == OCTETS => {
            let model = elements(second.content).nth(3).and_then(Element::integer);
            let user = expect(third.content, SEQUENCE).filter(|_| model == Some(USER_MODEL));
            let user = user.and_then(|security| elements(security).nth(3)).map(|part| part.content);
            let scoped = parts.next().filter(|part| part.tag == SEQUENCE);
            let pdu = scoped.and_then(|scoped| elements(scoped.content).nth(2)).map(|pdu| pdu.tag & 0x1f);
            Ok(Message { version: 3, community: None, user, pdu })
        }
        _ => Err(malformed),
    }
}

/// Recognises a message on the well-known ports.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    let on_port = PORTS.iter().any(|port| has_port(ports, *port));
    match on_port && transport == Transport::Datagram && parse_message(data).is_ok() {
        true => Probe::Certain,
        false => Probe::NotForUs,
    }
}

struct Snmp;

impl Session for Snmp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let parsed = parse_message(data);
        let consumed = datagram(data, parsed.map(|message| report(&message, direction, output.message(direction))));
        output.note_malformed(consumed, direction, "malformed_data")
    }
}

fn report(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    transaction.put_number(direction, Field::SnmpVersion, u64::from(message.version));
    if let Some(community) = message.community {
        transaction.put(direction, Field::SnmpCommunity, community);
    }
    if let Some(user) = message.user {
        transaction.put(direction, Field::SnmpUsm, user);
    }
    if let Some(pdu) = message.pdu {
        transaction.put_number(direction, Field::SnmpPduType, u64::from(pdu));
    }
    transaction.complete(direction);
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    if let Some(version) = number(transaction, Field::SnmpVersion) {
        object.insert("version".into(), json!(version));
    }
    for (name, field) in [("community", Field::SnmpCommunity), ("usm", Field::SnmpUsm)] {
        if let Some(value) = text(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    let pdus = [
        "get_request",
        "get_next_request",
        "response",
        "set_request",
        "trap_v1",
        "get_bulk_request",
        "inform_request",
        "trap_v2",
        "report",
    ];
    if let Some(name) = number(transaction, Field::SnmpPduType).and_then(|pdu| pdus.get(pdu as usize)) {
        object.insert("pdu_type".into(), json!(name));
    }
    event.insert("snmp".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, datagrams, described, numbers, texts};
    use super::*;

    const GET: &[u8] = b"0\x18\x02\x01\x01\x04\x06public\xa0\x0b\x02\x01\x05\x02\x01\0\x02\x01\0\x30\0";
    const SEALED: &[u8] = b"0\x30\x02\x01\x030\x0d\x02\x01\x01\x02\x02\x08\0\x04\x01\x07\x02\x01\x03\x04\x13\
        0\x11\x04\0\x02\x01\0\x02\x01\0\x04\x05admin\x04\0\x04\x04\x07secret!";

    #[test]
    fn communities_and_users_are_found() {
        let found = datagrams(&ENTRY, &[(Direction::Orig, GET), (Direction::Orig, SEALED)]);
        assert_eq!(numbers(&found[0], Direction::Orig, Field::SnmpVersion), [2]);
        assert_eq!(texts(&found[0], Direction::Orig, Field::SnmpCommunity), ["public"]);
        assert_eq!(numbers(&found[0], Direction::Orig, Field::SnmpPduType), [0]);
        assert_eq!(numbers(&found[1], Direction::Orig, Field::SnmpVersion), [3]);
        assert_eq!(texts(&found[1], Direction::Orig, Field::SnmpUsm), ["admin"]);
        assert!(described(&ENTRY, &found[0]).contains("get_request"));
        assert_eq!(probe(Transport::Datagram, Direction::Orig, GET, (1, 161)), Probe::Certain);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, b"0\x03\x02\x01\x01", (1, 161)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..30_usize) {
            let mut bytes = SEALED.to_vec();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 1);
            assert_any_bytes_are_safe(&ENTRY, &data, 1);
        }
    }
}
