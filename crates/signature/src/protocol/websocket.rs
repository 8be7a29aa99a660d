//! WebSocket as rules see it (RFC 6455): each frame is a transaction of one direction.

use infraspectre_core::app::bytes::{drain, Reader};
use infraspectre_core::app::{Consumed, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::frame::{WEBSOCKET_DATA, WEBSOCKET_HEADER, WEBSOCKET_MESSAGE};
use super::{Entry, Output, Protocol};
use crate::field::Field;
use crate::transaction::{index, Direction, Transaction};

/// Bytes of a frame's payload that are kept.
const MAX_PAYLOAD: usize = 64 * 1024;

/// WebSocket after an upgrade of HTTP.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Websocket,
    transports: &[Transport::Stream],
    // Nothing in its frames tells it from other protocols: only an upgrade does.
    probe: |_, _, _, _| Probe::NotForUs,
    session: |_| Box::new(Session::default()),
    describe,
};

/// Reads the frames of one flow.
#[derive(Default)]
pub struct Session {
    /// Bytes of a long frame that are still to be passed over, by direction.
    skipped: [u64; 2],
}

/// The header of a frame.
#[derive(Clone, Copy, Debug)]
struct Frame {
    /// The final bit and the reserved ones, as they stand.
    flags: u8,
    opcode: u8,
    mask: Option<u32>,
    length: u64,
    bytes: usize,
}

impl Frame {
    fn read(data: &[u8]) -> Result<Frame, Stop> {
        let mut reader = Reader::new(data);
        let [first, second] = reader.array()?;
        let length = match second & 0x7f {
            126 => u64::from(reader.u16()?),
            127 => u64::from_be_bytes(reader.array()?),
            short => u64::from(short),
        };
        let mask = if second & 0x80 == 0 { None } else { Some(reader.u32()?) };
        let bytes = data.len() - reader.rest().len();
        Ok(Frame { flags: first & 0xf0, opcode: first & 0x0f, mask, length, bytes })
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output).map(|used| (used, Next::More)))
    }

    fn gap(&mut self, direction: Direction, missing: u32, _: &mut Output<'_>) -> bool {
        let skipped = &mut self.skipped[index(direction)];
        let rest = skipped.checked_sub(missing.into());
        *skipped = rest.unwrap_or_default();
        rest.is_some()
    }
}

impl Session {
    fn step(&mut self, direction: Direction, rest: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        let skipped = &mut self.skipped[index(direction)];
        if *skipped > 0 {
            let count = usize::try_from(*skipped).unwrap_or(usize::MAX).min(rest.len());
            *skipped -= count as u64;
            return Ok(count);
        }
        let frame = Frame::read(rest)?;
        let kept = usize::try_from(frame.length).unwrap_or(usize::MAX).min(MAX_PAYLOAD);
        let payload = rest.get(frame.bytes..frame.bytes + kept).ok_or(Stop::Incomplete)?;
        *skipped = frame.length - kept as u64;
        report(direction, frame, payload, output.message(direction));
        let transaction = output.last_number();
        let whole = rest.get(..frame.bytes + kept).unwrap_or(rest);
        output.frame(direction, WEBSOCKET_HEADER, rest.get(..frame.bytes).unwrap_or(rest), transaction);
        output.frame(direction, WEBSOCKET_MESSAGE, whole, transaction);
        output.frame(direction, WEBSOCKET_DATA, payload, transaction);
        Ok(frame.bytes + kept)
    }
}

fn report(direction: Direction, frame: Frame, payload: &[u8], transaction: &mut Transaction) {
    transaction.put_number(direction, Field::WebsocketOpcode, frame.opcode.into());
    transaction.put_number(direction, Field::WebsocketFlags, frame.flags.into());
    if let Some(mask) = frame.mask {
        transaction.put_number(direction, Field::WebsocketMask, mask.into());
    }
    if transaction.wants(Field::WebsocketPayload) {
        let key = frame.mask.unwrap_or_default().to_be_bytes();
        let plain: Vec<u8> = payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key).collect();
        transaction.put(direction, Field::WebsocketPayload, &plain);
    }
    transaction.complete(direction);
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut socket = Map::new();
    for direction in [Direction::Orig, Direction::Resp] {
        let number = |field| transaction.numbers(direction, field).next();
        let Some(opcode) = number(Field::WebsocketOpcode) else { continue };
        socket.insert("fin".to_owned(), json!(number(Field::WebsocketFlags).is_some_and(|flags| flags & 0x80 != 0)));
        if let Some(mask) = number(Field::WebsocketMask) {
            socket.insert("mask".to_owned(), json!(mask));
        }
        socket.insert("opcode".to_owned(), json!(opcode_name(opcode)));
    }
    event.insert("websocket".to_owned(), Value::Object(socket));
}

/// Returns the name of an opcode (RFC 6455, 11.8), or its number.
fn opcode_name(opcode: u64) -> String {
    let name = match opcode {
        0 => "continuation",
        1 => "text",
        2 => "binary",
        8 => "connection_close",
        9 => "ping",
        10 => "pong",
        other => return format!("unknown-{other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::super::conversation::feed;
    use super::*;

    fn read(data: &[u8], step: usize) -> VecDeque<Transaction> {
        feed(&ENTRY, data.chunks(step).map(|piece| (Direction::Orig, piece))).transactions
    }

    #[test]
    fn frames_are_unmasked_however_they_are_cut() {
        // The example of RFC 6455, 5.7, then a long frame and a ping.
        let masked = b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";
        let data = [&masked[..], b"\x02\x7f\0\0\0\0\0\x01\x11\x70", &[7; 70_000], b"\x89\x00"].concat();
        for step in [1, 3, 1000, data.len()] {
            let frames = read(&data, step);
            let number = |at: usize, field| frames[at].numbers(Direction::Orig, field).next();
            assert_eq!(frames.len(), 3);
            assert_eq!(frames[0].value(Direction::Orig, Field::WebsocketPayload), Some(&b"Hello"[..]));
            assert_eq!(number(0, Field::WebsocketMask), Some(0x37fa_213d));
            assert_eq!(number(0, Field::WebsocketFlags), Some(0x80));
            assert_eq!(frames[1].value(Direction::Orig, Field::WebsocketPayload).map(<[u8]>::len), Some(MAX_PAYLOAD));
            assert_eq!((number(2, Field::WebsocketOpcode), number(2, Field::WebsocketMask)), (Some(9), None));
        }
    }
}
