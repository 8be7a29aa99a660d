//! Reassembly of IP datagrams (RFC 791, RFC 8200): bounded in memory and time, and the first bytes win.

use std::collections::{BTreeMap, VecDeque};
use std::ops::Range;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::overlap::{assemble, POLICIES};
use super::span::Span;
use super::transport::Transport;
use super::{Segment, Tcp};

/// How long fragments wait for the rest (RFC 8200, 4.5 says 60 s; Linux waits for 30 s).
const TIMEOUT_NS: i64 = 30_000_000_000;
/// Memory for incomplete datagrams in bytes; the oldest give way.
const MEMORY_BYTES: usize = 32 << 20;
/// What a datagram and what a fragment cost beyond their bytes, about.
const DATAGRAM_OVERHEAD: usize = 512;
const PIECE_OVERHEAD: usize = 64;
/// Fragments of a datagram that are kept because they contradict one another.
const MAX_COPIES: usize = 64;
/// Longest payload of an IP datagram.
const MAX_DATAGRAM: u32 = 65_535;

/// What a header says about a fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fragment {
    pub(super) id: u32,
    /// Protocol of the datagram's payload.
    pub(super) protocol: u8,
    /// Position of the fragment's payload in the datagram's.
    pub(super) offset: u32,
    pub(super) more: bool,
}

/// What became of a fragment.
pub(super) enum Added {
    Held,
    Complete(Assembled),
    Refused(&'static str),
}

/// The payload of a reassembled datagram.
pub(super) struct Assembled {
    pub(super) protocol: u8,
    /// What was stored, up to the first byte that a snap length cut off.
    pub(super) bytes: Vec<u8>,
    pub(super) len: usize,
    /// What other kinds of receivers make of fragments that contradict one another.
    pub(super) views: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    src: [u8; 16],
    dst: [u8; 16],
    id: u32,
    context: u32,
    ip_version: u8,
    /// Part of the identity in IPv4 only.
    protocol: u8,
}

/// A stretch of a datagram; stretches do not overlap.
struct Piece {
    start: u32,
    end: u32,
    /// Its first bytes; fewer than its length where a snap length cut them.
    stored: Box<[u8]>,
}

struct Datagram {
    serial: u64,
    first_at: i64,
    protocol: u8,
    /// Sums over the fragments so far; addresses of the first one to arrive.
    segment: Segment<'static>,
    /// In order of their position.
    pieces: Vec<Piece>,
    /// Once any contradict one another, all fragments in the order in which they came.
    copies: Vec<(Range<u64>, Box<[u8]>)>,
    /// Length of the payload, known from the last fragment.
    len: Option<u32>,
    covered: u32,
    memory: usize,
}

/// All incomplete datagrams.
#[derive(Default)]
pub(super) struct Fragments {
    datagrams: HashMap<Key, Datagram, RandomState>,
    by_age: BTreeMap<u64, Key>,
    serial: u64,
    memory: usize,
    evicted: VecDeque<Segment<'static>>,
    ambiguous_bytes: u64,
    evicted_for_room: u64,
}

impl Fragments {
    pub(super) fn ambiguous_bytes(&self) -> u64 {
        self.ambiguous_bytes
    }

    /// Counts incomplete datagrams given up because the memory for fragments was used up.
    pub(super) fn evicted_for_room(&self) -> u64 {
        self.evicted_for_room
    }

    pub(super) fn pop_evicted(&mut self) -> Option<Segment<'static>> {
        self.evicted.pop_front()
    }

    /// Adds a fragment; when it completes its datagram, the segment takes over the sums of all fragments.
    pub(super) fn add(
        &mut self,
        segment: &mut Segment<'_>,
        fragment: Fragment,
        span: Span<'_>,
        oddities: &mut Vec<&'static str>,
    ) -> Added {
        // a fragment with others behind it counts in units of 8 bytes; what is beyond is left off, as Linux does
        let len = if fragment.more { span.len & !7 } else { span.len };
        let span = span.take(len);
        let end = fragment.offset.saturating_add(u32::try_from(len).unwrap_or(u32::MAX));
        if end > MAX_DATAGRAM {
            return Added::Refused("fragment-offset");
        }
        let key = Key::of(segment, fragment);
        self.evict_stale(key, segment.at);
        let mut datagram = self.take(key, segment, fragment);
        datagram.count(segment);
        if datagram.overlaps(fragment.offset, end) {
            oddities.push("fragment-overlap");
        }
        self.ambiguous_bytes += datagram.add(fragment, end, span.stored);
        match datagram.assemble() {
            Some(assembled) => {
                datagram.hand_over(segment);
                Added::Complete(assembled)
            }
            None => {
                self.keep(key, datagram);
                Added::Held
            }
        }
    }

    fn evict_stale(&mut self, key: Key, now: i64) {
        if self.datagrams.get(&key).is_some_and(|datagram| datagram.is_stale(now)) {
            self.evict(key);
        }
    }

    fn take(&mut self, key: Key, segment: &Segment<'_>, fragment: Fragment) -> Datagram {
        if let Some(datagram) = self.datagrams.remove(&key) {
            self.by_age.remove(&datagram.serial);
            self.memory -= datagram.memory;
            return datagram;
        }
        self.serial += 1;
        Datagram::new(self.serial, segment, fragment.protocol)
    }

    fn keep(&mut self, key: Key, datagram: Datagram) {
        self.memory += datagram.memory;
        self.by_age.insert(datagram.serial, key);
        self.datagrams.insert(key, datagram);
        while self.memory > MEMORY_BYTES {
            let Some((_, &oldest)) = self.by_age.first_key_value() else { return };
            self.evicted_for_room += 1;
            self.evict(oldest);
        }
    }

    /// Gives up every datagram that has waited too long.
    pub(super) fn expire(&mut self, now: i64) {
        while let Some((_, &oldest)) = self.by_age.first_key_value() {
            if !self.datagrams.get(&oldest).is_some_and(|datagram| datagram.is_stale(now)) {
                return;
            }
            self.evict(oldest);
        }
    }

    fn evict(&mut self, key: Key) {
        let Some(datagram) = self.datagrams.remove(&key) else { return };
        self.by_age.remove(&datagram.serial);
        self.memory -= datagram.memory;
        self.evicted.push_back(datagram.give_up());
    }
}

impl Key {
    fn of(segment: &Segment<'_>, fragment: Fragment) -> Key {
        let &Segment { src, dst, context, ip_version, .. } = segment;
        let protocol = if ip_version == 4 { fragment.protocol } else { 0 };
        Key { src, dst, id: fragment.id, context, ip_version, protocol }
    }
}

impl Datagram {
    fn new(serial: u64, segment: &Segment<'_>, protocol: u8) -> Datagram {
        let mut segment = segment.without_payload();
        (segment.packets, segment.ip_bytes, segment.ip_payload_bytes) = (0, 0, 0);
        Datagram {
            serial,
            first_at: segment.at,
            protocol,
            segment,
            pieces: Vec::new(),
            copies: Vec::new(),
            len: None,
            covered: 0,
            memory: DATAGRAM_OVERHEAD,
        }
    }

    fn is_stale(&self, now: i64) -> bool {
        now.saturating_sub(self.first_at) >= TIMEOUT_NS
    }

    fn count(&mut self, segment: &Segment<'_>) {
        let sums = &mut self.segment;
        (sums.at, sums.number) = (segment.at, segment.number);
        sums.packets = sums.packets.saturating_add(segment.packets);
        sums.ip_bytes = sums.ip_bytes.saturating_add(segment.ip_bytes);
        sums.ip_payload_bytes = sums.ip_payload_bytes.saturating_add(segment.ip_payload_bytes);
    }

    fn hand_over(&self, segment: &mut Segment<'_>) {
        let Segment { packets, ip_bytes, ip_payload_bytes, ttl, .. } = self.segment;
        (segment.packets, segment.ip_bytes, segment.ip_payload_bytes) = (packets, ip_bytes, ip_payload_bytes);
        segment.ttl = ttl;
    }

    /// Takes a fragment and returns how many of its bytes contradict earlier ones.
    fn add(&mut self, fragment: Fragment, end: u32, stored: &[u8]) -> u64 {
        if self.copies.is_empty() && self.is_contradicted(fragment.offset, stored) {
            let copy = |piece: &Piece| (piece.start.into()..piece.end.into(), piece.stored.clone());
            self.copies = self.pieces.iter().take(MAX_COPIES).map(copy).collect();
            self.memory += self.copies.iter().map(|(_, stored)| PIECE_OVERHEAD + stored.len()).sum::<usize>();
        }
        if !self.copies.is_empty() && self.copies.len() < MAX_COPIES {
            self.memory += PIECE_OVERHEAD + stored.len();
            self.copies.push((fragment.offset.into()..end.into(), stored.into()));
        }
        self.insert(fragment, end, stored)
    }

    /// Tells whether something of a range is there already.
    fn overlaps(&self, start: u32, end: u32) -> bool {
        let from = self.pieces.partition_point(|piece| piece.end <= start);
        self.pieces.get(from).is_some_and(|piece| piece.start < end)
    }

    /// Tells whether bytes differ from those that are there already.
    fn is_contradicted(&self, start: u32, stored: &[u8]) -> bool {
        let end = start.saturating_add(u32::try_from(stored.len()).unwrap_or(u32::MAX));
        let from = self.pieces.partition_point(|piece| piece.end <= start);
        self.pieces.iter().skip(from).take_while(|piece| piece.start < end).any(|piece| {
            let (low, high) = (piece.start.max(start), piece.end.min(end));
            let (old, new) = (part(&piece.stored, piece.start, low, high), part(stored, start, low, high));
            old.iter().zip(new).any(|(old, new)| old != new)
        })
    }

    /// Returns what other kinds of receivers make of contradicting fragments, where nothing was cut off.
    fn views(&self, plain: &[u8], len: u32) -> Vec<Vec<u8>> {
        let mut views: Vec<Vec<u8>> = Vec::new();
        if self.copies.is_empty() || plain.len() < len as usize {
            return views;
        }
        for policy in POLICIES {
            let copies = self.copies.iter().map(|(place, stored)| (place.clone(), &stored[..]));
            let view = assemble(0..len.into(), copies, Range::clone, |new, old| policy.replaces(new, old));
            if view != plain && !views.contains(&view) {
                views.push(view);
            }
        }
        views
    }

    /// Fills the gaps that a fragment covers and returns how many of its bytes contradict earlier ones.
    fn insert(&mut self, fragment: Fragment, end: u32, stored: &[u8]) -> u64 {
        if !fragment.more && self.len.is_none() {
            self.len = Some(end);
        }
        if fragment.offset == 0 {
            self.protocol = fragment.protocol;
        }
        let mut ambiguous = 0;
        let mut start = fragment.offset;
        let mut index = self.pieces.partition_point(|piece| piece.end <= start);
        while start < end {
            let next = self.pieces.get(index).map_or(end, |piece| piece.start.min(end));
            if start < next {
                self.add_piece(index, start, next, part(stored, fragment.offset, start, next));
                index += 1;
                start = next;
            }
            let Some(piece) = self.pieces.get(index).filter(|piece| piece.start <= start) else { continue };
            let shared = piece.end.min(end);
            let (old, new) =
                (part(&piece.stored, piece.start, start, shared), part(stored, fragment.offset, start, shared));
            ambiguous += old.iter().zip(new).filter(|(old, new)| old != new).count() as u64;
            start = shared;
            index += 1;
        }
        ambiguous
    }

    fn add_piece(&mut self, index: usize, start: u32, end: u32, stored: &[u8]) {
        self.covered += end - start;
        self.memory += PIECE_OVERHEAD + stored.len();
        self.pieces.insert(index, Piece { start, end, stored: stored.into() });
    }

    /// Joins the pieces when nothing is missing.
    fn assemble(&self) -> Option<Assembled> {
        let len = self.len?;
        let mut bytes = Vec::new();
        if self.covered < len || self.reach() < len {
            return None;
        }
        for piece in &self.pieces {
            bytes.extend_from_slice(&piece.stored);
            if piece.stored.len() < (piece.end - piece.start) as usize {
                break;
            }
        }
        bytes.truncate(len as usize);
        let views = self.views(&bytes, len);
        Some(Assembled { protocol: self.protocol, bytes, len: len as usize, views })
    }

    /// How far the datagram is complete from its beginning.
    fn reach(&self) -> u32 {
        let mut reach = 0;
        for piece in &self.pieces {
            if piece.start != reach {
                break;
            }
            reach = piece.end;
        }
        reach
    }

    /// Makes the most of an incomplete datagram: sums, and ports if the first fragment is there.
    fn give_up(self) -> Segment<'static> {
        let Datagram { pieces, mut segment, protocol, .. } = self;
        segment.protocol = protocol;
        if let Some(first) = pieces.first().filter(|piece| piece.start == 0) {
            let span = Span::new(&first.stored, MAX_DATAGRAM as usize);
            if let Ok(transport) = Transport::read(protocol, span) {
                (segment.src_port, segment.dst_port) = (transport.src_port, transport.dst_port);
                segment.tcp = Tcp { options: &[], ..transport.tcp };
            }
        }
        segment
    }
}

/// The bytes of `stored`, which begins at `origin`, from `start` to `end`, as far as there are.
fn part(stored: &[u8], origin: u32, start: u32, end: u32) -> &[u8] {
    let rest = stored.get((start - origin) as usize..).unwrap_or_default();
    rest.get(..(end - start) as usize).unwrap_or(rest)
}
