//! RDP: the connection request and its answer (MS-RDPBCGR).

use infraspectre_core::app::bytes::drain;
use infraspectre_core::app::rdp::{self, parse_connection, Connection};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How RDP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Rdp,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Rdp::default()),
    describe,
};

fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    rdp::probe(transport, direction, data, ports)
}

/// Reads the first message of each side; what follows is encrypted or not of interest.
#[derive(Default)]
struct Rdp {
    is_read: [bool; 2],
}

impl Rdp {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let is_read = &mut self.is_read[crate::transaction::index(direction)];
        if *is_read {
            return Ok((data.len(), Next::More));
        }
        let (rest, connection) = parse_connection(data)?;
        *is_read = true;
        report(&connection, direction, output.message(direction));
        let is_over = self.is_read == [true; 2];
        Ok((data.len() - rest.len(), if is_over { Next::Done } else { Next::More }))
    }
}

impl Session for Rdp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output))
    }
}

fn report(connection: &Connection<'_>, direction: Direction, transaction: &mut Transaction) {
    if let Some(user) = connection.user() {
        transaction.put(direction, Field::RdpCookie, user);
    }
    if let Some(security) = connection.security() {
        transaction.details.insert("protocol".into(), json!(security));
    }
    let kind = if connection.is_confirm { "initial_response" } else { "initial_request" };
    transaction.details.insert("event_type".into(), json!(kind));
    transaction.complete(direction);
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = transaction.details.clone();
    if let Some(cookie) = text(transaction, Field::RdpCookie) {
        object.insert("cookie".into(), json!(cookie));
    }
    event.insert("rdp".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, described, stream, texts};
    use super::*;

    const REQUEST: &[u8] = b"\x03\0\0\x2c\x27\xe0\0\0\0\0\0Cookie: mstshash=admin\r\n\x01\0\x08\0\x0b\0\0\0\x00";
    const CONFIRM: &[u8] = b"\x03\0\0\x13\x0e\xd0\0\0\x12\x34\0\x02\x1f\x08\0\x02\0\0\0";

    #[test]
    fn cookie_and_security_are_reported() {
        let pieces = [(Direction::Orig, REQUEST), (Direction::Resp, CONFIRM)];
        let found = stream(&ENTRY, &pieces);
        assert_eq!(texts(&found[0], Direction::Orig, Field::RdpCookie), ["admin"]);
        assert!(described(&ENTRY, &found[1]).contains("CredSSP"));
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            assert_any_bytes_are_safe(&ENTRY, &[&REQUEST[..4], &data].concat(), 2);
        }
    }
}
