//! What every session test shares: a small dispatcher that buffers what a session leaves unread.

use super::{Direction, Field, Fields, Next, Session, Value};

/// One piece of a conversation.
pub type Piece<'a> = (Direction, &'a [u8]);

/// Feeds a conversation and returns the fields found and how the session ended.
pub fn feed<'a>(session: &mut impl Session, pieces: impl IntoIterator<Item = Piece<'a>>) -> (Fields, Next) {
    let mut fields = Fields::default();
    let mut waiting = [Vec::new(), Vec::new()];
    for (direction, piece) in pieces {
        let buffer = &mut waiting[direction as usize];
        buffer.extend_from_slice(piece);
        let consumed = session.read(direction, buffer, &mut fields);
        assert!(consumed.bytes <= buffer.len(), "consumed more than was shown");
        buffer.drain(..consumed.bytes);
        if consumed.next != Next::More {
            return (fields, consumed.next);
        }
    }
    (fields, Next::More)
}

/// Feeds each message as one datagram.
pub fn feed_datagrams(session: &mut impl Session, pieces: &[Piece<'_>]) -> Fields {
    let mut fields = Fields::default();
    for (direction, piece) in pieces {
        session.read(*direction, piece, &mut fields);
    }
    fields
}

/// Asserts that the way a conversation is cut does not change what is found.
pub fn assert_cuts_do_not_matter<S: Session>(new: impl Fn() -> S, conversation: &[Piece<'_>]) {
    let whole = format!("{:?}", feed(&mut new(), conversation.iter().copied()).0);
    let longest = conversation.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    for cut in 0..longest {
        let halves = conversation.iter().flat_map(|(direction, bytes)| {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            [(*direction, head), (*direction, tail)]
        });
        assert_eq!(format!("{:?}", feed(&mut new(), halves).0), whole, "cut at {cut}");
    }
    let single = conversation.iter().flat_map(|(direction, bytes)| bytes.chunks(1).map(|byte| (*direction, byte)));
    assert_eq!(format!("{:?}", feed(&mut new(), single).0), whole, "byte by byte");
}

/// Shows arbitrary bytes to a session from both sides; it must neither panic nor claim bytes it was not shown.
pub fn assert_any_bytes_are_safe(session: &mut impl Session, data: &[u8], pieces: usize) {
    let directions = [Direction::Orig, Direction::Resp].into_iter().cycle();
    feed(session, directions.zip(data.chunks(data.len() / pieces.max(1) + 1)));
}

/// Returns the texts that a field holds.
pub fn texts(fields: &Fields, field: Field) -> Vec<&str> {
    match fields.get(field) {
        Some(Value::Text(text)) => vec![text],
        Some(Value::TextList(list)) => list.iter().map(|text| &**text).collect(),
        _ => Vec::new(),
    }
}

/// Returns the numbers that a field holds.
pub fn numbers(fields: &Fields, field: Field) -> Vec<u64> {
    match fields.get(field) {
        Some(Value::Number(number)) => vec![*number],
        Some(Value::NumberList(list)) => list.clone(),
        _ => Vec::new(),
    }
}
