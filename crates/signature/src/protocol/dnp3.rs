//! DNP3: each application message is a transaction of its direction (IEEE 1815).

use infraspectre_core::app::bytes::{drain, has_port, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How DNP3 is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Dnp3,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Dnp3::default()),
    describe,
};

const PORT: u16 = 20_000;
const START: [u8; 2] = [0x05, 0x64];
/// Bytes of the link header, with its checksum.
const LINK_BYTES: usize = 10;
/// Bytes of user data between two checksums.
const BLOCK: usize = 16;
/// Longest application message that is put together.
const MAX_MESSAGE: usize = 1 << 16;
/// More requests in a row without a response are a flood (Suricata's default of `max-tx`).
const MAX_UNANSWERED: u32 = 32;
/// Objects, and points of all objects, of one message.
const MAX_OBJECTS: usize = 2048;
const MAX_POINTS: u64 = 16_384;

const FROM_MASTER: u8 = 0x80;
const FINAL: u8 = 0x80;
const FIRST: u8 = 0x40;
const RESPONSE: u8 = 129;
const UNSOLICITED: u8 = 130;

/// Computes the checksum of a block (IEEE 1815, 9.2.4.1.7).
fn checksum(block: &[u8]) -> u16 {
    !block.iter().fold(0, |sum: u16, byte| {
        (0..8).fold(sum ^ u16::from(*byte), |sum, _| if sum & 1 == 1 { sum >> 1 ^ 0xa6bc } else { sum >> 1 })
    })
}

/// A link frame: its control byte, bytes in all, and user data without checksums.
struct Frame {
    control: u8,
    span: usize,
    data: Vec<u8>,
    has_bad_data: bool,
}

/// Why a link header is refused: the event's name.
fn link_fault(header: &[u8; LINK_BYTES]) -> Option<&'static str> {
    let (body, sum) = header.split_at(LINK_BYTES - 2);
    match (header[2], sum) {
        (..=4, _) => Some("len_too_small"),
        (_, sum) if sum != checksum(body).to_le_bytes() => Some("bad_link_crc"),
        _ => None,
    }
}

fn parse_frame(data: &[u8]) -> Result<Frame, Stop> {
    let header = data.first_chunk::<LINK_BYTES>().ok_or(Stop::Incomplete)?;
    if !header.starts_with(&START) {
        return Err(Stop::Malformed("dnp3 start"));
    }
    if let Some(fault) = link_fault(header) {
        return Err(Stop::Malformed(fault));
    }
    let length = usize::from(header[2]) - 5;
    let span = LINK_BYTES + length + length.div_ceil(BLOCK) * 2;
    let blocks = data.get(LINK_BYTES..span).ok_or(Stop::Incomplete)?;
    let (mut user, mut has_bad_data) = (Vec::with_capacity(length), false);
    for block in blocks.chunks(BLOCK + 2) {
        let (bytes, sum) = block.split_at(block.len().saturating_sub(2));
        has_bad_data |= sum != checksum(bytes).to_le_bytes();
        user.extend_from_slice(bytes);
    }
    Ok(Frame { control: header[3], span, data: user, has_bad_data })
}

/// Recognises a link header on the well-known port.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram || !has_port(ports, PORT) {
        return Probe::NotForUs;
    }
    match data.first_chunk::<LINK_BYTES>() {
        Some(header) if header.starts_with(&START) => Probe::Certain,
        None if START.starts_with(data.get(..2).unwrap_or(data)) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

#[derive(Default)]
struct Dnp3 {
    /// Application messages that are being put together, for each direction.
    open: [Vec<u8>; 2],
    unanswered: u32,
    is_flooded: bool,
}

impl Dnp3 {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let frame = parse_frame(data)?;
        let Some((header, user)) = frame.data.split_first() else { return Ok((frame.span, Next::More)) };
        if frame.has_bad_data {
            let transaction = output.message(direction);
            transaction.event(direction, "bad_transport_crc");
            transaction.complete(direction);
            return Ok((frame.span, Next::More));
        }
        let open = &mut self.open[index(direction)];
        if header & FIRST != 0 {
            open.clear();
        }
        let room = MAX_MESSAGE.saturating_sub(open.len());
        open.extend_from_slice(user.get(..room).unwrap_or(user));
        if header & FINAL != 0 {
            let message = std::mem::take(open);
            self.message(direction, frame.control, &message, output);
        }
        Ok((frame.span, Next::More))
    }

    fn message(&mut self, direction: Direction, control: u8, message: &[u8], output: &mut Output<'_>) {
        let transaction = output.message(direction);
        if control & FROM_MASTER == 0 {
            self.unanswered = 0;
        } else {
            self.unanswered += 1;
        }
        if self.unanswered > MAX_UNANSWERED && !std::mem::replace(&mut self.is_flooded, true) {
            transaction.event(direction, "flooded");
        }
        transaction.put(direction, Field::Dnp3Data, message);
        if let Err(fault) = report(message, direction, transaction) {
            transaction.event(direction, fault);
        }
        transaction.complete(direction);
    }
}

/// Reports function, indications and the objects, and returns the name of an event if they cannot be read.
fn report(message: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), &'static str> {
    let cut = |_| "malformed";
    let mut reader = Reader::new(message);
    let [_control, function] = reader.array().map_err(cut)?;
    transaction.put_number(direction, Field::Dnp3Function, u64::from(function));
    if matches!(function, RESPONSE | UNSOLICITED) {
        let indications = reader.u16().map_err(cut)?;
        transaction.put_number(direction, Field::Dnp3Indications, u64::from(indications));
    }
    let has_points = !matches!(function, 1 | 7..=10 | 22);
    let (mut objects, mut points) = (0, 0);
    while !reader.is_empty() {
        objects += 1;
        if objects > MAX_OBJECTS {
            return Err("too_many_objects");
        }
        let [group, variation, qualifier] = reader.array().map_err(cut)?;
        transaction.put_number(direction, Field::Dnp3Object, u64::from(group) << 8 | u64::from(variation));
        let count = count(qualifier, &mut reader).map_err(cut)?;
        points += count;
        if points > MAX_POINTS {
            return Err("too_many_points");
        }
        if has_points {
            skip_points(group, variation, qualifier, count, &mut reader)?;
        }
    }
    Ok(())
}

/// Reads a range or a count and returns the number of points (IEEE 1815, 4.2.2.7).
fn count(qualifier: u8, reader: &mut Reader<'_>) -> Result<u64, Stop> {
    let mut sized = |bytes: u8| match bytes {
        1 => reader.u8().map(u64::from),
        2 => reader.u16_le().map(u64::from),
        _ => reader.u32_le().map(u64::from),
    };
    match qualifier & 0x0f {
        code @ 0..=2 => {
            let (first, last) = (sized(1 << code)?, sized(1 << code)?);
            Ok((last + 1).saturating_sub(first))
        }
        code @ 7..=9 => sized(1 << (code - 7)),
        _ => Ok(0),
    }
}

/// Passes over the points of an object; the sizes of those that are not known end the reading.
fn skip_points(
    group: u8,
    variation: u8,
    qualifier: u8,
    count: u64,
    reader: &mut Reader<'_>,
) -> Result<(), &'static str> {
    let prefix_bytes = match qualifier >> 4 & 7 {
        0 => 0,
        code @ 1..=3 => 1 << (code - 1),
        _ => return Err("unknown_object"),
    };
    let bytes = match bits(group, variation) {
        Some(bits) if bits < 8 => (count * bits).div_ceil(8) + count * prefix_bytes,
        Some(bits) => count * (bits / 8 + prefix_bytes),
        None => return Err("unknown_object"),
    };
    reader.take(bytes as usize).map(|_| ()).map_err(|_| "malformed")
}

/// Returns the bits of one point (IEEE 1815, annex A).
const fn bits(group: u8, variation: u8) -> Option<u64> {
    Some(match (group, variation) {
        (60, 1..=4) | (_, 0) => 0,
        (1 | 10 | 80, 1) => 1,
        (3, 1) => 2,
        (1 | 3 | 10, 2) | (2 | 4 | 11, 1) => 8,
        (2 | 4 | 11, 2) => 56,
        (2 | 4, 3) => 24,
        (12, 1) => 88,
        (20, 5) | (30, 3) => 32,
        (20, 6) | (30, 4) => 16,
        (20 | 22, 1) | (30 | 32, 1) | (40, 1) | (41, 1) | (30, 5) | (32, 5) => 40,
        (20 | 22, 2) | (30 | 32, 2) | (40, 2) | (41, 2) => 24,
        (40 | 41, 3) => 40,
        (32, 3) | (22, 5) => 88,
        (32, 4) | (22, 6) => 72,
        (50, 1) | (51, 1 | 2) => 48,
        (52, 1 | 2) => 16,
        _ => return None,
    })
}

impl Session for Dnp3 {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        if let Next::Malformed(reason) = consumed.next {
            let transaction = output.message(direction);
            transaction.event(direction, if reason == "dnp3 start" { "malformed" } else { reason });
            transaction.complete(direction);
        }
        consumed
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    let kind = if transaction.only == Some(Direction::Orig) { "request" } else { "response" };
    object.insert("type".into(), json!(kind));
    if let Some(function) = number(transaction, Field::Dnp3Function) {
        object.insert("application".into(), json!({"function_code": function}));
    }
    event.insert("dnp3".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, numbers, stream, texts};
    use super::*;

    fn frame(control: u8, user: &[u8]) -> Vec<u8> {
        let mut bytes = vec![5, 0x64, user.len() as u8 + 5, control, 1, 0, 2, 0];
        bytes.extend(checksum(&bytes).to_le_bytes());
        for block in user.chunks(BLOCK) {
            bytes.extend(block);
            bytes.extend(checksum(block).to_le_bytes());
        }
        bytes
    }

    #[test]
    fn the_checksum_is_that_of_the_standard() {
        assert_eq!(checksum(b"123456789"), 0xea82);
    }

    #[test]
    fn a_message_is_put_together() {
        let first = frame(0xc4, &[&[FIRST, 0xc0, RESPONSE, 0x90, 0x01, 30, 2, 0, 0, 1][..], &[0; 6]].concat());
        let asked = [first, frame(0xc4, &[FINAL | 1])].concat();
        let found = stream(&ENTRY, &[(Direction::Resp, &asked)]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::Dnp3Function), [129]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::Dnp3Indications), [0x9001]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::Dnp3Object), [30 << 8 | 2]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::Dnp3Data).len(), 1);
        assert_eq!(found[0].events, []);
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Resp, &asked)]);
    }

    #[test]
    fn floods_and_wrong_sums_are_events() {
        let read = frame(0xc4, &[FIRST | FINAL, 0xc0, 1, 60, 2, 6]);
        let found = stream(&ENTRY, &[(Direction::Orig, &read.repeat(34))]);
        let events: Vec<_> = found.iter().flat_map(|one| &one.events).collect();
        assert_eq!(events, [&(Direction::Orig, "flooded")]);
        let mut wrong = read.clone();
        wrong[9] ^= 1;
        assert_eq!(stream(&ENTRY, &[(Direction::Orig, &wrong)])[0].events, [(Direction::Orig, "bad_link_crc")]);
        let many = frame(0xc4, &[FIRST | FINAL, 0xc0, 2, 1, 1, 1, 0, 0, 0xfe, 0xff]);
        assert_eq!(stream(&ENTRY, &[(Direction::Orig, &many)])[0].events, [(Direction::Orig, "too_many_points")]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            let user = [&[FIRST | FINAL, 0xc0][..], &data].concat();
            assert_any_bytes_are_safe(&ENTRY, &frame(0xc4, &user), 2);
            assert_any_bytes_are_safe(&ENTRY, &[&START[..], &data].concat(), 2);
        }
    }
}
