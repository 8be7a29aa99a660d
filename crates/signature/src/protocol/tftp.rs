//! TFTP (RFC 1350): each request is a transaction.

use infraspectre_core::app::{Consumed, Direction, Next, Probe, Transport};
use serde_json::{json, Map, Value};

use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Tftp,
    transports: &[Transport::Datagram],
    probe: |_, direction, data, ports| probe(direction, data, ports),
    session: |_| Box::new(Tftp),
    describe,
};

const PORT: u16 = 69;
/// Names of the packets that have any, by their number; those of data and acknowledgements follow.
const PACKETS: [&str; 5] = ["read", "write", "data", "ack", "error"];
const MODES: [&[u8]; 3] = [b"netascii", b"mail", b"octet"];

fn probe(direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    let to_server = direction == Direction::Orig && ports.1 == PORT;
    match data {
        [0, 1..=5, _, _, ..] if to_server || ports.0 == PORT => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

struct Tftp;

impl Session for Tftp {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        if let [0, kind @ 1..=5, rest @ ..] = data {
            put(direction, *kind, rest, output);
        }
        Consumed { bytes: data.len(), next: Next::More }
    }
}

fn put(direction: Direction, kind: u8, rest: &[u8], output: &mut Output<'_>) {
    let mut texts = rest.split(|byte| *byte == 0);
    let request = match kind {
        1 | 2 => texts.next().zip(texts.next()).filter(|(_, mode)| is_mode(mode)),
        _ => None,
    };
    if matches!(kind, 1 | 2) && request.is_none() {
        return;
    }
    let transaction = output.begin();
    transaction.put_number(direction, Field::TftpPacket, kind.into());
    if let Some((file, mode)) = request {
        transaction.put(direction, Field::TftpFile, file);
        transaction.put(direction, Field::TftpMode, mode);
    }
    transaction.complete(Direction::Orig);
    transaction.complete(Direction::Resp);
}

fn is_mode(text: &[u8]) -> bool {
    MODES.iter().any(|mode| mode.eq_ignore_ascii_case(text))
}

/// Adds the `tftp` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut tftp = Map::new();
    let kind = transaction.numbers(Direction::Orig, Field::TftpPacket).next();
    let name = kind.and_then(|kind| PACKETS.get(usize::try_from(kind).ok()?.checked_sub(1)?));
    if let Some(name) = name {
        tftp.insert("packet".into(), json!(name));
    }
    for (name, field) in [("file", Field::TftpFile), ("mode", Field::TftpMode)] {
        if let Some(value) = transaction.value(Direction::Orig, field) {
            tftp.insert(name.into(), lossy(value));
        }
    }
    event.insert("tftp".into(), tftp.into());
}

#[cfg(test)]
mod tests {
    use super::super::conversation::{assert_any_bytes_are_safe, capture, Conversation};
    use super::*;

    #[test]
    fn a_request_names_file_and_mode() {
        let mut conversation = Conversation::new(&ENTRY, Transport::Datagram, (1, PORT));
        conversation.datagram(Direction::Orig, b"\0\x02a.txt\0octet\0");
        conversation.datagram(Direction::Orig, b"\0\x01a.txt\0other\0");
        assert_eq!(conversation.described(), [json!({"tftp": {"packet": "write", "file": "a.txt", "mode": "octet"}})]);
        assert_any_bytes_are_safe(&ENTRY, b"\0\x01\0\0\0\x04\0", 3);
    }

    #[test]
    fn a_capture_gives_what_its_rule_asks_for() {
        let Some(flows) = capture("tests/output-eve-tftp-01/input.pcap") else { return };
        assert_eq!(flows[0].described()[0]["tftp"]["packet"], "read");
    }
}
