//! NTP: each message is a transaction of its direction (RFC 5905).

use infraspectre_core::app::bytes::{datagram, has_port};
use infraspectre_core::app::ntp::{parse_message, Body, Message, PORT};
use infraspectre_core::app::{Consumed, Direction, Probe, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How NTP is recognised and read.
pub const ENTRY: Entry =
    Entry { protocol: Protocol::Ntp, transports: &[Transport::Datagram], probe, session: |_| Box::new(Ntp), describe };

/// Recognises a message of the versions in use on the well-known port.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if !has_port(ports, PORT) || transport != Transport::Datagram {
        return Probe::NotForUs;
    }
    match parse_message(data) {
        Ok((_, message)) if matches!(message.version, 3 | 4) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

struct Ntp;

impl Session for Ntp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let parsed = parse_message(data);
        let consumed =
            datagram(data, parsed.map(|(_, message)| report(&message, direction, output.message(direction))));
        output.note_malformed(consumed, direction, "malformed_data")
    }
}

fn report(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    transaction.put_number(direction, Field::NtpVersion, u64::from(message.version));
    transaction.put_number(direction, Field::NtpMode, u64::from(message.mode));
    if let Body::Time(time) = message.body {
        transaction.put_number(direction, Field::NtpStratum, u64::from(time.stratum));
        transaction.put(direction, Field::NtpReferenceId, &time.reference);
    }
    transaction.complete(direction);
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    for (name, field) in [("version", Field::NtpVersion), ("mode", Field::NtpMode), ("stratum", Field::NtpStratum)] {
        if let Some(value) = number(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    let sides = [Direction::Orig, Direction::Resp];
    if let Some(id) = sides.into_iter().find_map(|side| transaction.value(side, Field::NtpReferenceId)) {
        let bytes: Vec<String> = id.iter().map(|byte| format!("{byte:02x}")).collect();
        object.insert("reference_id".into(), json!(bytes.join(":")));
    }
    event.insert("ntp".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, datagrams, described, numbers};
    use super::*;

    #[test]
    fn an_answer_is_reported() {
        let mut bytes = vec![0x24, 2];
        bytes.resize(48, 0);
        bytes[12..16].copy_from_slice(b"LOCL");
        let found = datagrams(&ENTRY, &[(Direction::Resp, &bytes)]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::NtpStratum), [2]);
        assert_eq!(
            described(&ENTRY, &found[0]),
            r#"{"ntp":{"mode":4,"reference_id":"4c:4f:43:4c","stratum":2,"version":4}}"#
        );
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &bytes, (1, 2)), Probe::NotForUs);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &bytes, (1, PORT)), Probe::Certain);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            assert_any_bytes_are_safe(&ENTRY, &data, 1);
        }
    }
}
