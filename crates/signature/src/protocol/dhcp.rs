//! DHCP: each message is a transaction of its direction (RFC 2131).

use std::net::Ipv4Addr;

use infraspectre_core::app::bytes::{datagram, has_port};
use infraspectre_core::app::dhcp::{self, parse_message, Message};
use infraspectre_core::app::{Consumed, Direction, Probe, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How DHCP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Dhcp,
    transports: &[Transport::Datagram],
    probe,
    session: |_| Box::new(Dhcp),
    describe,
};

/// Times in seconds: option code (RFC 2132), name in EVE, field.
const TIMES: [(u8, &str, Field); 3] = [
    (51, "lease_time", Field::DhcpLeaseTime),
    (58, "renewal_time", Field::DhcpRenewalTime),
    (59, "rebinding_time", Field::DhcpRebindingTime),
];

/// Recognises a message on the well-known ports.
fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match has_port(ports, 67) || has_port(ports, 68) {
        true => dhcp::probe(transport, direction, data, ports),
        false => Probe::NotForUs,
    }
}

struct Dhcp;

impl Session for Dhcp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let parsed = parse_message(data);
        let consumed =
            datagram(data, parsed.map(|(_, message)| report(&message, direction, output.message(direction))));
        output.note_malformed(consumed, direction, "malformed_options")
    }
}

fn report(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    for (code, _, field) in TIMES {
        if let Some(seconds) = message.option(code).and_then(|value| value.first_chunk().copied()) {
            transaction.put_number(direction, field, u64::from(u32::from_be_bytes(seconds)));
        }
    }
    let mut note = |name: &str, value: Value| transaction.details.insert(name.into(), value);
    note("type", json!(if message.operation == 1 { "request" } else { "reply" }));
    note("id", json!(message.transaction));
    let mac: Vec<String> = message.hardware_address.iter().map(|byte| format!("{byte:02x}")).collect();
    note("client_mac", json!(mac.join(":")));
    note("assigned_ip", json!(message.your_address.to_string()));
    if let Some(kind) = message.message_type() {
        note("dhcp_type", json!(kind_name(kind)));
    }
    if let Some(name) = message.host_name() {
        note("hostname", json!(String::from_utf8_lossy(&name)));
    }
    if let Some(asked) = message.option(dhcp::option::REQUESTED_ADDRESS).and_then(|value| value.first_chunk::<4>()) {
        note("requested_ip", json!(Ipv4Addr::from(*asked).to_string()));
    }
    transaction.complete(direction);
}

fn kind_name(kind: u8) -> &'static str {
    let names = ["discover", "offer", "request", "decline", "ack", "nak", "release", "inform"];
    names.get(usize::from(kind).wrapping_sub(1)).copied().unwrap_or("unknown")
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = transaction.details.clone();
    for (_, name, field) in TIMES {
        if let Some(seconds) = number(transaction, field) {
            object.insert(name.into(), json!(seconds));
        }
    }
    event.insert("dhcp".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, datagrams, described, numbers};
    use super::*;

    fn message(options: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 236];
        bytes[..3].copy_from_slice(&[2, 1, 6]);
        bytes.extend(dhcp::MAGIC_COOKIE);
        bytes.extend(options);
        bytes
    }

    #[test]
    fn a_lease_has_its_times() {
        let bytes = message(b"\x35\x01\x05\x33\x04\0\0\x0e\x10\x3b\x04\0\0\x0c\x4e\xff");
        let found = datagrams(&ENTRY, &[(Direction::Resp, &bytes)]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::DhcpLeaseTime), [3600]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::DhcpRebindingTime), [3150]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::DhcpRenewalTime), [0; 0]);
        assert!(described(&ENTRY, &found[0]).contains(r#""dhcp_type":"ack""#));
        assert_eq!(probe(Transport::Datagram, Direction::Resp, &bytes, (68, 67)), Probe::Certain);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(options in proptest::collection::vec(any::<u8>(), 0..100)) {
            assert_any_bytes_are_safe(&ENTRY, &message(&options), 1);
            assert_any_bytes_are_safe(&ENTRY, &options, 1);
        }
    }
}
