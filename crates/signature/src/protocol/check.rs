//! What the tests of sessions ask of a conversation: its transactions as text, at every cut, and on any bytes.

use std::collections::VecDeque;

use infraspectre_core::app::{Direction, Next, Transport};

use super::conversation::{Conversation, Piece};
use super::Entry;
use crate::field::Field;
use crate::transaction::Transaction;

/// Feeds a conversation and returns its transactions and how the session ended.
pub fn feed<'a>(
    entry: &Entry,
    transport: Transport,
    ports: (u16, u16),
    pieces: impl IntoIterator<Item = Piece<'a>>,
) -> (VecDeque<Transaction>, Next) {
    let mut conversation = Conversation::new(entry, transport, ports);
    for (direction, piece) in pieces {
        match transport {
            Transport::Stream => conversation.stream(direction, piece),
            Transport::Datagram => conversation.datagram(direction, piece),
        }
        if conversation.next != Next::More {
            break;
        }
    }
    (conversation.transactions, conversation.next)
}

/// Feeds a conversation over a stream.
pub fn stream(entry: &Entry, pieces: &[Piece<'_>]) -> VecDeque<Transaction> {
    feed(entry, Transport::Stream, (40_000, 0), pieces.iter().copied()).0
}

/// Feeds each message as one datagram.
pub fn datagrams(entry: &Entry, pieces: &[Piece<'_>]) -> VecDeque<Transaction> {
    feed(entry, Transport::Datagram, (40_000, 0), pieces.iter().copied()).0
}

/// Returns the texts that a field of a transaction holds in one direction.
pub fn texts(transaction: &Transaction, direction: Direction, field: Field) -> Vec<String> {
    transaction.values(direction, field).map(|value| value.escape_ascii().to_string()).collect()
}

/// Returns the numbers that a field of a transaction holds in one direction.
pub fn numbers(transaction: &Transaction, direction: Direction, field: Field) -> Vec<u64> {
    transaction.numbers(direction, field).collect()
}

/// Returns the object that a transaction adds to an event.
pub fn described(entry: &Entry, transaction: &Transaction) -> String {
    let mut event = serde_json::Map::new();
    (entry.describe)(transaction, &mut event);
    serde_json::Value::Object(event).to_string()
}

/// Asserts that the way a conversation is cut does not change what is found.
pub fn assert_cuts_do_not_matter(entry: &Entry, conversation: &[Piece<'_>]) {
    let whole = summary(&stream(entry, conversation));
    let longest = conversation.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    let cut_at = |cut: usize| {
        let halves = conversation.iter().flat_map(|(direction, bytes)| {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            [(*direction, head), (*direction, tail)]
        });
        summary(&feed(entry, Transport::Stream, (40_000, 0), halves).0)
    };
    for cut in (0..longest).step_by(1 + longest / 512) {
        assert_eq!(cut_at(cut), whole, "cut at {cut}");
    }
    let single = conversation.iter().flat_map(|(direction, bytes)| bytes.chunks(1).map(|byte| (*direction, byte)));
    assert_eq!(summary(&feed(entry, Transport::Stream, (40_000, 0), single).0), whole, "byte by byte");
}

/// Shows arbitrary bytes to a session from both sides; it must neither panic nor claim bytes it was not shown.
pub fn assert_any_bytes_are_safe(entry: &Entry, data: &[u8], pieces: usize) {
    for &transport in entry.transports {
        for first in [Direction::Orig, Direction::Resp] {
            let _ = (entry.probe)(transport, first, data, (40_000, 0));
            let directions = [first, first.opposite()].into_iter().cycle();
            let chunks = data.chunks(data.len() / pieces.max(1) + 1);
            let (transactions, _) = feed(entry, transport, (40_000, 0), directions.zip(chunks));
            for transaction in &transactions {
                described(entry, transaction);
            }
        }
    }
}

fn summary(transactions: &VecDeque<Transaction>) -> Vec<String> {
    transactions.iter().map(describe).collect()
}

fn describe(transaction: &Transaction) -> String {
    let mut text = format!("{} {:?} {:?}", transaction.number, transaction.only, transaction.events);
    for direction in [Direction::Orig, Direction::Resp] {
        text += &format!(" {direction:?} {}", transaction.progress(direction));
        for &field in Field::ALL {
            let (texts, numbers) = (texts(transaction, direction, field), numbers(transaction, direction, field));
            if !texts.is_empty() || !numbers.is_empty() {
                text += &format!(" {field:?} {texts:?} {numbers:?}");
            }
        }
    }
    for file in &transaction.files {
        text += &format!(" {:?} {:?} {} {:?}", file.name.escape_ascii(), file.direction, file.size, file.body);
    }
    text
}
