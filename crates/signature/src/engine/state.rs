//! What rules remember: of a flow, of its transactions, and of hosts.

use std::collections::VecDeque;

use hashbrown::HashMap;

use crate::flow::WINDOW;
use crate::protocol::Protocol;
use crate::rule::{BitTest, IntCompare, Track};

use super::compile::Id;
use super::inspect::Capture;

/// Bits and numbers of one flow that rules may set.
const MAX_NAMES: usize = 256;
/// Rules met in one direction of a stream that are remembered until it is looked at.
const MAX_HITS: usize = 256;
/// Bits of hosts that are kept; beyond it those that have run out are dropped, then no more are set.
const MAX_HOST_BITS: usize = 1 << 20;

/// What rules remember of a flow.
#[derive(Debug, Default)]
pub struct FlowState {
    /// None as long as there is nothing to remember.
    notes: Option<Box<Notes>>,
    /// Whether a rule let the flow pass, or dropped it.
    pub passed: bool,
    pub dropped: bool,
    /// Whether the flow was let through when it was last looked at.
    pub bypassed: bool,
    /// Whether the flow was encrypted when it was last looked at.
    pub encrypted: bool,
    /// Directions whose addresses were looked at.
    pub addresses_seen: [bool; 2],
    /// Protocol rules that have matched: to the server, to the client.
    pub recognised: [bool; 2],
    /// What was met in each direction's stream; None before there are bytes.
    pub streams: Option<Box<[StreamState; 2]>>,
    /// Which edition of the rules the numbers of rules are of, and which revision of the streams their places.
    edition: u32,
    revision: u32,
}

/// What rules leave with a flow that has transactions, or in which they have matched.
#[derive(Debug, Default)]
struct Notes {
    transactions: VecDeque<TransactionState>,
    bits: Vec<Box<str>>,
    integers: Vec<(Box<str>, u32)>,
    captures: Vec<Capture>,
    /// Rules that have alerted, as many as are remembered.
    alerted: Vec<Id>,
}

/// What was met in the bytes of a stream when they came, for the windows in which they are looked at later.
#[derive(Debug, Default)]
pub struct StreamState {
    /// Byte of the stream before which everything was searched, for rules of a protocol.
    pub searched: u64,
    protocol: Option<Protocol>,
    /// Rules that were met, with the end of the bytes in which they were.
    hits: Vec<(Id, u64)>,
}

impl StreamState {
    /// Remembers a rule that is worth a look where bytes before an end are looked at.
    #[inline]
    pub fn note(&mut self, id: Id, end: u64) {
        self.hits.push((id, end));
    }

    /// Begins anew where another protocol was recognised, for other rules concern it.
    #[inline]
    pub fn enter(&mut self, protocol: Option<Protocol>) {
        if self.protocol != protocol {
            *self = StreamState { protocol, ..StreamState::default() };
        }
    }

    /// Takes bytes before an end as searched, unless too much was met to be remembered.
    #[inline]
    pub fn note_searched(&mut self, end: u64) {
        if self.hits.len() > MAX_HITS {
            *self = StreamState { protocol: self.protocol, ..StreamState::default() };
        } else {
            self.searched = end;
        }
    }

    /// Returns the rules that were met behind a byte of the stream.
    pub fn hits(&self, from: u64) -> impl Iterator<Item = Id> + '_ {
        self.hits.iter().filter(move |hit| hit.1 > from).map(|hit| hit.0)
    }

    /// Takes bytes before an end as looked at: only some of them are shown again.
    pub fn note_shown(&mut self, end: u64) {
        self.note_searched(self.searched.max(end));
        self.hits.retain(|hit| hit.1 > end.saturating_sub(WINDOW));
    }
}

/// What rules remember of a transaction.
#[derive(Debug, Default)]
pub struct TransactionState {
    pub number: u64,
    pub sides: [SideState; 2],
}

/// What rules remember of one direction of a transaction.
#[derive(Debug, Default)]
pub struct SideState {
    pub begun: bool,
    /// Progress up to which complete fields were searched.
    pub progress: u8,
    /// How much there was at the last look: a change is worth another one.
    pub seen: u64,
    /// How much was searched so far, by channel and body: bytes, or instances of a field that has no end.
    searched: Vec<(u32, u32, u64)>,
    pub pending: Vec<Pending>,
    /// Signatures that have matched, which do so once.
    pub matched: Vec<Id>,
}

/// A signature that waits for more of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    pub id: Id,
    /// Bits of the tests that hold already.
    pub passed: u64,
}

impl FlowState {
    fn notes(&mut self) -> &mut Notes {
        self.notes.get_or_insert_default()
    }

    /// Tests a bit.
    pub fn bit(&self, name: &str) -> bool {
        self.bits().iter().any(|own| **own == *name)
    }

    /// Sets a bit.
    pub fn set_bit(&mut self, name: &str) {
        if !self.bit(name) && self.bits().len() < MAX_NAMES {
            self.notes().bits.push(name.into());
        }
    }

    /// Clears a bit.
    pub fn clear_bit(&mut self, name: &str) {
        if let Some(notes) = &mut self.notes {
            notes.bits.retain(|own| **own != *name);
        }
    }

    /// Returns the names of all bits, in the order in which they were set.
    pub fn bits(&self) -> &[Box<str>] {
        self.notes.as_deref().map_or(&[], |notes| &notes.bits)
    }

    /// Returns all numbers.
    pub fn integers(&self) -> &[(Box<str>, u32)] {
        self.notes.as_deref().map_or(&[], |notes| &notes.integers)
    }

    /// Returns a number, if it was ever set.
    pub fn integer(&self, name: &str) -> Option<u32> {
        self.integers().iter().find(|own| *own.0 == *name).map(|own| own.1)
    }

    /// Sets a number.
    pub fn set_integer(&mut self, name: &str, value: u32) {
        let integers = &mut self.notes().integers;
        let has_room = integers.len() < MAX_NAMES;
        match integers.iter_mut().find(|own| *own.0 == *name) {
            Some(own) => own.1 = value,
            None if has_room => integers.push((name.into(), value)),
            None => {}
        }
    }

    /// Forgets what is said of single rules where they are of another edition, or of other bytes.
    #[inline]
    pub fn enter(&mut self, edition: u32, revision: u32) {
        if (self.edition, self.revision) != (edition, revision) {
            self.revision = revision;
            self.streams = None;
        }
        if self.edition != edition {
            self.edition = edition;
            if let Some(notes) = &mut self.notes {
                notes.forget_rules();
            }
        }
    }

    /// Tells whether a rule has alerted in this flow.
    pub fn has_alerted(&self, id: Id) -> bool {
        self.notes.as_deref().is_some_and(|notes| notes.alerted.contains(&id))
    }

    /// Remembers that a rule has alerted.
    pub fn note_alert(&mut self, id: Id) {
        let alerted = &mut self.notes().alerted;
        if alerted.len() < MAX_NAMES && !alerted.contains(&id) {
            alerted.push(id);
        }
    }

    /// Keeps what an expression has captured; a later capture of the same name replaces it.
    pub fn capture(&mut self, capture: Capture) {
        let captures = &mut self.notes().captures;
        let has_room = captures.len() < MAX_NAMES;
        match captures.iter_mut().find(|own| own.name == capture.name) {
            Some(own) => *own = capture,
            None if has_room => captures.push(capture),
            None => {}
        }
    }

    /// Returns all captures.
    pub fn captures(&self) -> &[Capture] {
        self.notes.as_deref().map_or(&[], |notes| &notes.captures)
    }

    /// Returns what is remembered of a transaction.
    pub fn transaction(&mut self, number: u64) -> &mut TransactionState {
        let transactions = &mut self.notes().transactions;
        // They are in the order of their numbers.
        let at = transactions.binary_search_by_key(&number, |own| own.number).unwrap_or_else(|at| {
            transactions.insert(at, TransactionState { number, ..TransactionState::default() });
            at
        });
        &mut transactions[at]
    }

    /// Returns what is remembered of the transaction with the lowest number.
    pub fn first_transaction(&self) -> Option<&TransactionState> {
        self.notes.as_deref()?.transactions.front()
    }

    /// Forgets the transaction with the lowest number.
    pub fn forget_first_transaction(&mut self) {
        if let Some(notes) = &mut self.notes {
            notes.transactions.pop_front();
        }
    }
}

impl Notes {
    /// Forgets single rules.
    fn forget_rules(&mut self) {
        self.alerted.clear();
        self.transactions.iter_mut().flat_map(|own| &mut own.sides).for_each(SideState::forget_rules);
    }
}

impl SideState {
    /// Forgets single rules, and what was searched for them; what is complete is not looked at again.
    fn forget_rules(&mut self) {
        self.pending.clear();
        self.matched.clear();
        self.searched.clear();
    }

    /// Returns how much of a body (or of the instances of a field) a channel has searched.
    pub fn searched(&mut self, channel: u32, body: u32) -> &mut u64 {
        let known = self.searched.iter().position(|own| (own.0, own.1) == (channel, body));
        let at = known.unwrap_or_else(|| {
            self.searched.push((channel, body, 0));
            self.searched.len() - 1
        });
        &mut self.searched[at].2
    }
}

/// Compares two numbers.
pub fn compare(how: IntCompare, left: u32, right: u32) -> bool {
    match how {
        IntCompare::Equal => left == right,
        IntCompare::NotEqual => left != right,
        IntCompare::Less => left < right,
        IntCompare::LessOrEqual => left <= right,
        IntCompare::Greater => left > right,
        IntCompare::GreaterOrEqual => left >= right,
    }
}

/// Who a bit or a count belongs to: addresses, and what else the tracking names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    pub first: u128,
    pub second: u128,
    pub flow: u64,
}

impl Owner {
    /// Returns the owner by what is tracked.
    pub fn of(track: Track, source: u128, destination: u128, flow: u64) -> Owner {
        let (first, second, flow) = match track {
            Track::Source => (source, 0, 0),
            Track::Destination => (destination, 0, 0),
            Track::Pair => (source.min(destination), source.max(destination), 0),
            Track::Rule => (0, 0, 0),
            Track::Flow | Track::Transaction => (0, 0, flow),
        };
        Owner { first, second, flow }
    }
}

/// Bits of hosts and pairs of hosts (`xbits`, `hostbits`).
#[derive(Debug, Default)]
pub struct HostBits {
    /// When each runs out, in nanoseconds of capture time.
    bits: HashMap<(Owner, Box<str>), i64>,
}

impl HostBits {
    /// Tests a bit.
    pub fn test(&self, owner: Owner, name: &str, mode: BitTest, at: i64) -> bool {
        let is_set = self.bits.get(&(owner, name.into())).is_some_and(|end| *end > at);
        is_set == (mode == BitTest::IsSet)
    }

    /// Sets a bit for some seconds.
    pub fn set(&mut self, owner: Owner, name: &str, seconds: u32, at: i64) {
        if self.bits.len() >= MAX_HOST_BITS {
            self.bits.retain(|_, end| *end > at);
        }
        if self.bits.len() < MAX_HOST_BITS {
            let end = at.saturating_add(i64::from(seconds).saturating_mul(1_000_000_000));
            self.bits.insert((owner, name.into()), end);
        }
    }

    /// Clears a bit.
    pub fn clear(&mut self, owner: Owner, name: &str) {
        self.bits.remove(&(owner, name.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_of_hosts_run_out() {
        let mut bits = HostBits::default();
        let owner = Owner::of(Track::Pair, 2, 1, 9);
        assert_eq!(owner, Owner::of(Track::Pair, 1, 2, 8));
        bits.set(owner, "seen", 10, 0);
        assert!(bits.test(owner, "seen", BitTest::IsSet, 9_999_999_999));
        assert!(bits.test(owner, "seen", BitTest::IsNotSet, 10_000_000_000));
        bits.clear(owner, "seen");
        assert!(!bits.test(owner, "seen", BitTest::IsSet, 0));
    }
}
