//! Modbus: a request and its response are one transaction (Modbus Application Protocol 1.1b3, Messaging on TCP/IP 1.0b).
//!
//! [`Field::ModbusFunction`] holds numbers of several kinds, told apart by the upper 32 bits (see [`part`]), so that
//! each part of the `modbus` keyword is one comparison: the function code, `subfunction` with its function in the
//! third byte, bits of the category and of the access, unit, addresses and values.

use std::collections::VecDeque;

use infraspectre_core::app::bytes::{drain, has_port, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How Modbus is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Modbus,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Modbus::default()),
    describe,
};

const PORT: u16 = 502;
const HEADER_BYTES: usize = 7;
/// Longest message after its header's length.
const MAX_LENGTH: usize = 254;
/// Requests that wait for responses.
const MAX_WAITING: usize = 500;
/// Addresses and values reported of one request.
const MAX_PLACES: u16 = 256;

/// What the upper 32 bits of a number of [`Field::ModbusFunction`] say.
pub mod part {
    pub const FUNCTION: u64 = 0;
    /// `function << 16 | subfunction`.
    pub const SUBFUNCTION: u64 = 1 << 32;
    /// Bits: public_assigned 1, public_unassigned 2, user 4, reserved 8.
    pub const CATEGORY: u64 = 2 << 32;
    pub const UNIT: u64 = 3 << 32;
    /// Bits: read 1, write 2, discretes 4, coils 8, input 16, holding 32.
    pub const ACCESS: u64 = 4 << 32;
    /// One number for each address that is read or written.
    pub const ADDRESS: u64 = 5 << 32;
    /// `address << 16 | value`, one number for each value that is written.
    pub const VALUE: u64 = 6 << 32;
}

const READ: u64 = 1;
const WRITE: u64 = 2;
const DISCRETES: u64 = 4;
const COILS: u64 = 8;
const INPUT: u64 = 16;
const HOLDING: u64 = 32;

/// Returns the category of a function code (Application Protocol, 5).
const fn category(function: u8) -> u64 {
    match function {
        1..=8 | 11 | 12 | 15..=17 | 20..=24 | 43 => 1,
        9 | 10 | 13 | 14 | 41 | 42 | 90 | 91 | 125..=127 => 8,
        65..=72 | 100..=110 => 4,
        _ => 2,
    }
}

const fn access(function: u8) -> u64 {
    match function {
        1 => READ | COILS,
        2 => READ | DISCRETES,
        3 => READ | HOLDING,
        4 => READ | INPUT,
        5 | 15 => WRITE | COILS,
        6 | 16 | 22 => WRITE | HOLDING,
        23 => READ | WRITE | HOLDING,
        _ => 0,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Message<'a> {
    id: u16,
    unit: u8,
    function: u8,
    data: &'a [u8],
}

fn parse_message(data: &[u8]) -> Result<(usize, Message<'_>), Stop> {
    let mut reader = Reader::new(data);
    let (id, protocol, length) = (reader.u16()?, reader.u16()?, usize::from(reader.u16()?));
    if protocol != 0 || !(2..=MAX_LENGTH).contains(&length) {
        return Err(Stop::Malformed("modbus header"));
    }
    let mut reader = Reader::new(reader.take(length)?);
    let [unit, function] = reader.array()?;
    Ok((HEADER_BYTES - 1 + length, Message { id, unit, function, data: reader.rest() }))
}

/// Recognises a message on the well-known port.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram || !has_port(ports, PORT) {
        return Probe::NotForUs;
    }
    match parse_message(data) {
        Ok((_, message)) if message.function != 0 => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

#[derive(Default)]
struct Modbus {
    waiting: VecDeque<(u16, u64)>,
}

impl Modbus {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let (used, message) = parse_message(data)?;
        match direction {
            Direction::Orig => self.request(&message, output),
            Direction::Resp => self.response(&message, output),
        }
        Ok((used, Next::More))
    }

    fn request(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        let is_flood = self.waiting.len() >= MAX_WAITING;
        if is_flood {
            self.waiting.pop_front();
        }
        let transaction = output.begin();
        if is_flood {
            transaction.event(Direction::Orig, "flooded");
        }
        report(message, transaction);
        transaction.complete(Direction::Orig);
        self.waiting.push_back((message.id, transaction.number));
    }

    fn response(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        let at = self.waiting.iter().position(|(id, _)| *id == message.id);
        let known = at.and_then(|at| self.waiting.remove(at)).and_then(|(_, number)| output.get(number));
        match known {
            Some(transaction) => transaction.complete(Direction::Resp),
            None => {
                let transaction = output.message(Direction::Resp);
                transaction.event(Direction::Resp, "unsolicited_response");
                transaction.complete(Direction::Resp);
            }
        }
    }
}

/// Reports a request; parts that cannot be read are left out.
fn report(message: &Message<'_>, transaction: &mut Transaction) {
    let function = message.function;
    let mut put = |value: u64| transaction.put_number(Direction::Orig, Field::ModbusFunction, value);
    put(part::FUNCTION | u64::from(function));
    put(part::CATEGORY | category(function));
    put(part::UNIT | u64::from(message.unit));
    if access(function) != 0 {
        put(part::ACCESS | access(function));
    }
    let word = |at: usize| message.data.get(at..).and_then(|rest| rest.first_chunk().copied()).map(u16::from_be_bytes);
    if let (8, Some(subfunction)) = (function, word(0)) {
        put(part::SUBFUNCTION | u64::from(function) << 16 | u64::from(subfunction));
    }
    let Some(first) = word(0).filter(|_| access(function) != 0) else { return };
    let count = match function {
        5 | 6 | 22 => 1,
        _ => word(2).unwrap_or(1).min(MAX_PLACES),
    };
    for address in (0..count).map(|at| first.wrapping_add(at)) {
        put(part::ADDRESS | u64::from(address));
    }
    let values = match function {
        5 | 6 => 2..4,
        16 => 5..message.data.len(),
        _ => return,
    };
    let written = message.data.get(values).unwrap_or_default().chunks_exact(2).take(MAX_PLACES.into());
    for (at, pair) in written.enumerate() {
        let value = pair.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        put(part::VALUE | u64::from(first.wrapping_add(at as u16)) << 16 | value);
    }
}

impl Session for Modbus {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        output.note_malformed(consumed, direction, "invalid_protocol_id")
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let function = number(transaction, Field::ModbusFunction);
    event.insert("modbus".into(), json!({"id": transaction.number, "request": {"function_raw": function}}));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, numbers, stream};
    use super::*;

    const WRITE_TWO: &[u8] = b"\0\x01\0\0\0\x0b\x11\x10\0\x01\0\x02\x04\0\x0a\x01\x02";
    const WRITTEN: &[u8] = b"\0\x01\0\0\0\x06\x11\x10\0\x01\0\x02";

    #[test]
    fn parts_are_numbered() {
        let pieces = [(Direction::Orig, WRITE_TWO), (Direction::Resp, WRITTEN), (Direction::Resp, WRITTEN)];
        let found = stream(&ENTRY, &pieces);
        let expected = [
            16,
            part::CATEGORY | 1,
            part::UNIT | 17,
            part::ACCESS | WRITE | HOLDING,
            part::ADDRESS | 1,
            part::ADDRESS | 2,
            part::VALUE | 1 << 16 | 10,
            part::VALUE | 2 << 16 | 258,
        ];
        assert_eq!(numbers(&found[0], Direction::Orig, Field::ModbusFunction), expected);
        assert!(found[0].is_done());
        assert_eq!(found[1].events, [(Direction::Resp, "unsolicited_response")]);
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..40)) {
            let mut bytes = vec![0, 1, 0, 0, 0, data.len() as u8];
            bytes.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &bytes, 2);
        }
    }
}
