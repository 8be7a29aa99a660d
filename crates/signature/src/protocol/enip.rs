//! EtherNet/IP with CIP: each message is a transaction of its direction (ODVA, The EtherNet/IP Specification).
//!
//! [`Field::CipService`] holds the service code, and the parts of its path told apart by the upper 32 bits:
//! `1 << 32 | class` and `2 << 32 | attribute`.

use infraspectre_core::app::bytes::{datagram, drain, has_port, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How EtherNet/IP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Enip,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| Box::new(Enip { transport }),
    describe,
};

const PORT: u16 = 44_818;
/// Most items of a message, and of segments of a path.
const MAX_ITEMS: u16 = 32;

/// Commands of the encapsulation.
const COMMANDS: [u16; 10] = [0, 1, 4, 0x63, 0x64, 0x65, 0x66, 0x6f, 0x70, 0x72];
const SEND_RR_DATA: u16 = 0x6f;
const SEND_UNIT_DATA: u16 = 0x70;
/// Items with a CIP message; that of a connection begins with a sequence number.
const CONNECTED: u16 = 0xb1;
const UNCONNECTED: u16 = 0xb2;

const CLASS: u64 = 1 << 32;
const ATTRIBUTE: u64 = 2 << 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message<'a> {
    command: u16,
    data: &'a [u8],
}

fn parse_message(data: &[u8]) -> Result<(usize, Message<'_>), Stop> {
    let mut reader = Reader::new(data);
    let (command, length) = (reader.u16_le()?, usize::from(reader.u16_le()?));
    if !COMMANDS.contains(&command) {
        return Err(Stop::Malformed("enip command"));
    }
    let _session_status_context_options = reader.take(20)?;
    Ok((24 + length, Message { command, data: reader.take(length)? }))
}

/// Recognises a message on the well-known port.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match parse_message(data) {
        _ if !has_port(ports, PORT) => Probe::NotForUs,
        Ok(_) => Probe::Certain,
        Err(Stop::Incomplete) if transport == Transport::Stream => Probe::Unsure,
        Err(_) => Probe::NotForUs,
    }
}

struct Enip {
    transport: Transport,
}

impl Enip {
    fn step(direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let (used, message) = parse_message(data)?;
        let transaction = output.message(direction);
        transaction.put_number(direction, Field::EnipCommand, u64::from(message.command));
        if matches!(message.command, SEND_RR_DATA | SEND_UNIT_DATA) {
            // What cannot be read leaves the service out.
            let _ = items(message.data, direction, transaction);
        }
        transaction.complete(direction);
        Ok((used, Next::More))
    }
}

fn items(data: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    let mut reader = Reader::new(data);
    let _interface_and_timeout = reader.take(6)?;
    for _ in 0..reader.u16_le()?.min(MAX_ITEMS) {
        let (kind, length) = (reader.u16_le()?, usize::from(reader.u16_le()?));
        let mut item = Reader::new(reader.take(length)?);
        match kind {
            CONNECTED => {
                let _sequence = item.u16_le()?;
                service(item, direction, transaction)?;
            }
            UNCONNECTED => service(item, direction, transaction)?,
            _ => {}
        }
    }
    Ok(())
}

/// Reads a service; a request has a path of segments of 8 or 16 bits (CIP, volume 1, appendix C).
fn service(mut reader: Reader<'_>, direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    let code = reader.u8()?;
    let mut put = |value: u64| transaction.put_number(direction, Field::CipService, value);
    put(u64::from(code & 0x7f));
    if code & 0x80 != 0 {
        return Ok(());
    }
    let words = usize::from(reader.u8()?);
    let mut path = Reader::new(reader.take(words * 2)?);
    for _ in 0..MAX_ITEMS {
        if path.is_empty() {
            break;
        }
        let kind = path.u8()?;
        let value = match kind & 3 {
            0 => u64::from(path.u8()?),
            1 => {
                let _padding = path.u8()?;
                u64::from(path.u16_le()?)
            }
            _ => return Ok(()),
        };
        match kind & 0xfc {
            0x20 => put(CLASS | value),
            0x30 => put(ATTRIBUTE | value),
            _ => {}
        }
    }
    Ok(())
}

impl Session for Enip {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        match self.transport {
            Transport::Stream => drain(data, |rest| Enip::step(direction, rest, output)),
            Transport::Datagram => datagram(data, Enip::step(direction, data, output).map(|_| ())),
        }
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let command = number(transaction, Field::EnipCommand);
    event
        .insert("enip".into(), json!({"command": command, "cip": {"service": number(transaction, Field::CipService)}}));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, numbers, stream};
    use super::*;

    fn message(command: u16, data: &[u8]) -> Vec<u8> {
        [&command.to_le_bytes()[..], &(data.len() as u16).to_le_bytes(), &[0; 20], data].concat()
    }

    #[test]
    fn a_service_and_its_path_are_reported() {
        let data = b"\0\0\0\0\0\0\x02\0\0\0\0\0\xb2\0\x08\0\x0e\x03\x20\x01\x24\x01\x30\x07";
        let bytes = message(SEND_RR_DATA, data);
        for found in [datagrams(&ENTRY, &[(Direction::Orig, &bytes)]), stream(&ENTRY, &[(Direction::Orig, &bytes)])] {
            assert_eq!(numbers(&found[0], Direction::Orig, Field::EnipCommand), [0x6f]);
            assert_eq!(numbers(&found[0], Direction::Orig, Field::CipService), [14, CLASS | 1, ATTRIBUTE | 7]);
        }
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Orig, &bytes)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            assert_any_bytes_are_safe(&ENTRY, &message(SEND_UNIT_DATA, &data), 2);
            assert_any_bytes_are_safe(&ENTRY, &data, 1);
        }
    }
}
