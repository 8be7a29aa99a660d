//! One direction of a TCP connection: the bytes in order, what was read and inspected of them, and what is disputed.
//!
//! A buffer holds the bytes from the oldest one that somebody still needs to the first one that is missing; what comes
//! too early waits in pieces. Nothing is read before it is acknowledged, so that overlapping segments that differ can
//! still be resolved as the receiver does (see [`super::dispute`]).

use std::collections::VecDeque;

use infraspectre_core::wire::overlap::Policy;

use super::dispute::{Disputes, Span, View};
use super::Window;

/// Bytes that make a window due, and that a window repeats of what was inspected before.
pub const WINDOW: u64 = 2560;
/// Bytes that are shown again before those that a packet appends.
pub const REPEATED: usize = 32;
/// Bytes and pieces that wait for earlier ones.
const MAX_WAITING: usize = 1 << 18;
const MAX_PIECES: usize = 1024;
/// Bytes that are kept although nobody acknowledges them.
const MAX_UNACKNOWLEDGED: u64 = 1 << 21;
/// Segments whose extents are remembered until they are acknowledged.
const MAX_SPANS: usize = 256;
/// Urgent bytes that are remembered.
const MAX_URGENT: usize = 64;
/// Bytes that nobody needs any more before the buffer is moved up.
const SLACK: usize = 4096;

/// Bytes that came too early.
#[derive(Debug)]
struct Waiting {
    start: u64,
    data: Vec<u8>,
}

impl Waiting {
    fn end(&self) -> u64 {
        self.start + self.data.len() as u64
    }
}

/// Bytes before a gap that still have to be inspected.
#[derive(Debug)]
struct Cut {
    start: u64,
    data: Vec<u8>,
    new: usize,
}

impl Cut {
    fn window(&self) -> Window<'_> {
        Window { offset: self.start, data: &self.data, new: self.new, ambiguous: false }
    }
}

/// What became of a segment's data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Inserted {
    /// Some of it contradicts what came before.
    pub differs: bool,
    /// All of it lies before what is kept.
    pub is_old: bool,
    /// It went beyond the depth for the first time.
    pub reaches_depth: bool,
    /// So much waits for missing bytes that these are given up: what is there has to be read.
    pub is_crowded: bool,
    /// All of it came in its turn and stands at the end of what is in order.
    pub is_appended: bool,
}

impl Inserted {
    /// Joins what became of two parts.
    pub fn and(self, other: Inserted) -> Inserted {
        Inserted {
            differs: self.differs || other.differs,
            is_old: self.is_old && other.is_old,
            reaches_depth: self.reaches_depth || other.reaches_depth,
            is_crowded: self.is_crowded || other.is_crowded,
            is_appended: false,
        }
    }
}

/// One direction that has sent data.
#[derive(Debug, Default)]
pub struct Stream {
    /// Sequence number of the first byte.
    origin: u32,
    /// Sequence number of the first byte that is missing, and its place in the stream.
    next: u32,
    ready: u64,
    /// The bytes before it, from `base` on.
    buffer: Vec<u8>,
    base: u64,
    acknowledged: u64,
    read: u64,
    inspected: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    /// Segments that are not acknowledged, in the order in which they came.
    spans: VecDeque<Span>,
    arrivals: u32,
    disputes: Option<Box<Disputes>>,
    cuts: Vec<Cut>,
    /// Urgent bytes that were taken out, with their places.
    urgent: Vec<(u64, u8)>,
    /// What is there is to be inspected, however little it is.
    pub is_due: bool,
    pub has_reached_depth: bool,
}

impl Stream {
    /// Makes one that begins at a sequence number.
    pub fn new(first_byte: u32) -> Stream {
        Stream { origin: first_byte, next: first_byte, ..Stream::default() }
    }

    /// Begins at another number while the connection opens; what was read stays as it is.
    #[inline]
    pub fn move_to(&mut self, first_byte: u32) {
        if self.origin != first_byte && self.read == 0 && self.inspected == 0 {
            *self = Stream::new(first_byte);
        }
    }

    /// Returns the sequence number of the first byte that is still kept for reading or inspecting.
    #[inline]
    pub fn kept_from(&self) -> u32 {
        let kept = self.read.min(self.inspected).min(self.ready);
        self.next.wrapping_sub((self.ready - kept) as u32)
    }

    /// Adds the data of a segment; `depth` is where the stream ends for us, 0 for nowhere.
    #[inline]
    pub fn insert(&mut self, seq: u32, data: &[u8], depth: u64, is_doubtful: bool, policy: Policy) -> Inserted {
        let ahead = i64::from(seq.wrapping_sub(self.next) as i32);
        let Some(start) = self.ready.checked_add_signed(ahead) else {
            return Inserted { is_old: true, ..Inserted::default() };
        };
        let length = data.len();
        let (data, reaches_depth) = self.within_depth(start, data, depth);
        let is_next = ahead == 0 && self.waiting.is_empty();
        let inserted = match (data.is_empty(), is_next) {
            (true, _) => Inserted::default(),
            (false, true) => {
                self.note_span(start, data.len(), is_doubtful);
                self.append(data);
                Inserted { is_appended: data.len() == length, ..Inserted::default() }
            }
            (false, false) => self.insert_disordered(start, data, is_doubtful, policy),
        };
        Inserted { reaches_depth, ..inserted }
    }

    #[inline]
    fn within_depth<'d>(&mut self, start: u64, data: &'d [u8], depth: u64) -> (&'d [u8], bool) {
        if depth == 0 || start + data.len() as u64 <= depth {
            return (data, false);
        }
        let reaches = !std::mem::replace(&mut self.has_reached_depth, true);
        let room = usize::try_from(depth.saturating_sub(start)).unwrap_or(usize::MAX);
        (data.get(..room).unwrap_or(data), reaches)
    }

    #[inline]
    fn append(&mut self, data: &[u8]) {
        self.buffer.extend_from_slice(data);
        self.ready += data.len() as u64;
        self.next = self.next.wrapping_add(data.len() as u32);
    }

    #[inline]
    fn note_span(&mut self, start: u64, length: usize, is_doubtful: bool) {
        if self.spans.len() >= MAX_SPANS {
            self.spans.pop_front();
        }
        let order = self.arrivals;
        self.arrivals = self.arrivals.wrapping_add(1);
        self.spans.push_back(Span { start, end: start + length as u64, order, is_doubtful });
    }

    fn insert_disordered(&mut self, start: u64, data: &[u8], is_doubtful: bool, policy: Policy) -> Inserted {
        let forgotten = usize::try_from(self.base.saturating_sub(start)).unwrap_or(usize::MAX);
        let Some(data) = data.get(forgotten..).filter(|rest| !rest.is_empty()) else {
            return Inserted { is_old: true, ..Inserted::default() };
        };
        let start = start.max(self.base);
        let is_crowded = self.waiting_bytes + data.len() > MAX_WAITING || self.waiting.len() >= MAX_PIECES;
        if let Some(first) = self.waiting.front().filter(|_| is_crowded) {
            self.acknowledged = self.acknowledged.max(first.start);
        }
        let differs = self.differs(start, data);
        let span = Span { start, end: start + data.len() as u64, order: self.arrivals, is_doubtful };
        if differs {
            self.dispute(span, data);
        }
        self.note_span(start, data.len(), is_doubtful);
        self.fill(start, data);
        if differs {
            self.resolve(policy);
        }
        Inserted { differs, is_crowded, ..Inserted::default() }
    }

    /// Calls for each stretch of stored bytes in a range, with its place.
    fn stored(&self, start: u64, end: u64) -> impl Iterator<Item = (u64, &[u8])> {
        let buffer = std::iter::once((self.base, &self.buffer[..]));
        let waiting = self.waiting.iter().map(|piece| (piece.start, &piece.data[..]));
        buffer.chain(waiting).filter_map(move |(at, bytes)| {
            let from = start.max(at);
            let part = part(bytes, at, from, end);
            (!part.is_empty()).then_some((from, part))
        })
    }

    fn differs(&self, start: u64, data: &[u8]) -> bool {
        let end = start + data.len() as u64;
        self.stored(start, end).any(|(at, bytes)| part(data, start, at, at + bytes.len() as u64) != bytes)
    }

    /// Sets bytes aside that contradict one another, with all that overlaps the new ones.
    fn dispute(&mut self, span: Span, data: &[u8]) {
        let mut disputes = self.disputes.take().unwrap_or_default();
        let overlapped = self.spans.iter().filter(|other| other.overlaps(&span)).copied();
        // Acknowledged bytes have no span any more: they count as one segment that came before all others.
        let settled = self.spans.iter().map(|other| other.start).min().unwrap_or(self.ready).min(self.acknowledged);
        let old = Span { start: span.start, end: settled.min(span.end), order: 0, is_doubtful: false };
        for one in overlapped.chain((old.start < old.end).then_some(old)) {
            let mut at = one.start.max(self.base);
            let mut bytes = Vec::new();
            for (from, stored) in self.stored(one.start, one.end) {
                if from != at + bytes.len() as u64 {
                    (at, bytes) = (from, Vec::new());
                }
                bytes.extend_from_slice(stored);
            }
            disputes.add(Span { start: at, end: at + bytes.len() as u64, ..one }, &bytes);
        }
        disputes.add(span, data);
        self.disputes = Some(disputes);
    }

    /// Puts new bytes where there are none, and joins what has become contiguous.
    fn fill(&mut self, start: u64, data: &[u8]) {
        let end = start + data.len() as u64;
        let mut at = start.max(self.ready);
        let mut index = 0;
        while at < end {
            match self.waiting.get(index) {
                Some(piece) if piece.end() <= at => index += 1,
                Some(piece) if piece.start <= at => at = piece.end(),
                next => {
                    let until = next.map_or(end, |piece| piece.start.min(end));
                    let data = part(data, start, at, until).to_vec();
                    self.waiting_bytes += data.len();
                    self.waiting.insert(index, Waiting { start: at, data });
                    at = until;
                }
            }
        }
        self.join();
    }

    fn join(&mut self) {
        while self.waiting.front().is_some_and(|first| first.start <= self.ready) {
            let Some(first) = self.waiting.pop_front() else { return };
            self.waiting_bytes -= first.data.len();
            let known = usize::try_from(self.ready - first.start).unwrap_or(usize::MAX);
            self.append(first.data.get(known..).unwrap_or_default());
        }
    }

    /// Writes disputed bytes as the receiver sees them, as far as nobody has read them.
    fn resolve(&mut self, policy: Policy) {
        let Some(disputes) = self.disputes.take() else { return };
        let from = self.read.max(self.acknowledged);
        for (start, bytes) in disputes.resolved(policy) {
            let at = start.max(from);
            let bytes = part(&bytes, start, at, u64::MAX);
            let buffers = std::iter::once((self.base, &mut self.buffer));
            let waiting = self.waiting.iter_mut().map(|piece| (piece.start, &mut piece.data));
            for (place, stored) in buffers.chain(waiting) {
                overwrite(stored, place, bytes, at);
            }
        }
        self.disputes = Some(disputes);
    }

    /// Notes that the receiver has everything before a sequence number.
    #[inline]
    pub fn acknowledge(&mut self, ack: u32) {
        let ahead = i64::from(ack.wrapping_sub(self.next) as i32);
        let place = self.ready.saturating_add_signed(ahead);
        if place > self.acknowledged {
            self.acknowledged = place;
            while self.spans.front().is_some_and(|span| span.end <= place) {
                self.spans.pop_front();
            }
        }
    }

    /// Returns where the bytes end that may be read: what is acknowledged, or all there is.
    fn limit(&self, all: bool) -> u64 {
        if all || self.ready - self.acknowledged.min(self.ready) > MAX_UNACKNOWLEDGED {
            self.ready
        } else {
            self.acknowledged.min(self.ready)
        }
    }

    /// Returns the bytes that wait to be read.
    #[inline]
    pub fn readable(&self, all: bool) -> &[u8] {
        part(&self.buffer, self.base, self.read, self.limit(all))
    }

    /// Counts the bytes in order that nobody has read.
    pub fn unread(&self) -> u64 {
        self.ready - self.read
    }

    /// Notes that bytes were read.
    #[inline]
    pub fn consume(&mut self, count: usize) {
        self.read = (self.read + count as u64).min(self.ready);
    }

    /// Returns the place at which the stream goes on behind bytes that are missing and will not come.
    pub fn gap_end(&self, all: bool) -> Option<u64> {
        let first = self.waiting.front()?;
        let end = if all { first.start } else { first.start.min(self.acknowledged) };
        (end > self.ready).then_some(end)
    }

    /// Passes over missing bytes, and unread ones before them; returns how many were not read. What is before them is
    /// inspected by itself.
    pub fn skip_to(&mut self, end: u64) -> u64 {
        let missing = end - self.ready;
        let unread = end - self.read;
        let start = self.inspected.saturating_sub(WINDOW).max(self.base);
        if self.inspected < self.ready {
            let new = usize::try_from(self.ready - self.inspected).unwrap_or(usize::MAX);
            self.cuts.push(Cut { start, data: part(&self.buffer, self.base, start, self.ready).to_vec(), new });
        }
        self.ready += missing;
        self.next = self.next.wrapping_add(missing as u32);
        (self.base, self.read, self.inspected) = (self.ready, self.ready, self.ready);
        self.buffer.clear();
        self.join();
        unread
    }

    /// Tells whether any bytes lie beyond those that were inspected.
    pub fn has_uninspected(&self) -> bool {
        self.inspected < self.ready || !self.waiting.is_empty() || !self.cuts.is_empty()
    }

    /// Tells whether a window is due.
    #[inline]
    pub fn is_window_due(&self, all: bool) -> bool {
        let unseen = self.limit(all).saturating_sub(self.inspected);
        !self.cuts.is_empty() || unseen >= WINDOW || unseen > 0 && (all || self.is_due || self.has_reached_depth)
    }

    /// Returns the one window that is due where nothing is missing before it.
    #[inline]
    pub fn only_window(&self, all: bool) -> Option<Window<'_>> {
        self.plain_window(all).filter(|_| self.cuts.is_empty())
    }

    /// Returns the window of what is in order.
    #[inline]
    fn plain_window(&self, all: bool) -> Option<Window<'_>> {
        let start = self.inspected.saturating_sub(WINDOW).max(self.base);
        let data = part(&self.buffer, self.base, start, self.limit(all));
        let new = usize::try_from(self.limit(all).saturating_sub(self.inspected)).unwrap_or(usize::MAX);
        (new > 0).then_some(Window { offset: start, data, new, ambiguous: false })
    }

    /// Returns the last bytes in order as those that were just appended, behind some of those before.
    #[inline]
    pub fn appended(&self, new: usize) -> Window<'_> {
        let offset = self.ready.saturating_sub((new + REPEATED) as u64).max(self.base);
        Window { offset, data: part(&self.buffer, self.base, offset, self.ready), new, ambiguous: false }
    }

    /// Returns all windows that are due, those before gaps first.
    pub fn windows<'s>(&'s self, all: bool, views: &'s [View]) -> Vec<Window<'s>> {
        let cuts = self.cuts.iter().map(Cut::window);
        cuts.chain(self.plain_window(all)).chain(views.iter().map(View::window)).collect()
    }

    /// Returns the other ways to see the bytes that are due.
    pub fn views(&mut self, all: bool) -> Vec<View> {
        let limit = self.limit(all);
        let mut views = Vec::new();
        if let Some(disputes) = self.disputes.as_deref_mut() {
            views = disputes.views(&self.buffer, self.base, limit);
            if disputes.is_empty() {
                self.disputes = None;
            }
        }
        if !self.urgent.is_empty() {
            views.push(self.view_with_urgent(limit));
        }
        views
    }

    /// Takes an urgent byte out of the stream where that has come to it; elsewhere it stays missing until it is
    /// acknowledged.
    pub fn take_out(&mut self, seq: u32, urgent: u8) {
        if seq == self.next && self.urgent.len() < MAX_URGENT {
            self.urgent.push((self.ready, urgent));
            self.next = self.next.wrapping_add(1);
        }
    }

    /// Returns the stream as receivers see it that leave urgent bytes where they are.
    fn view_with_urgent(&mut self, limit: u64) -> View {
        let first = self.urgent.first().map_or(limit, |(place, _)| *place);
        let offset = first.saturating_sub(WINDOW).max(self.base);
        let mut data = Vec::new();
        let mut at = offset;
        for (place, byte) in self.urgent.iter().filter(|(place, _)| (offset..=limit).contains(place)) {
            data.extend_from_slice(part(&self.buffer, self.base, at, *place));
            data.push(*byte);
            at = *place;
        }
        data.extend_from_slice(part(&self.buffer, self.base, at, limit));
        self.urgent.retain(|(place, _)| place + WINDOW > limit);
        View { offset, new: data.len(), data }
    }

    /// Notes that what was due has been inspected.
    #[inline]
    pub fn note_inspected(&mut self, all: bool) {
        self.inspected = self.inspected.max(self.limit(all));
        self.cuts.clear();
        self.is_due = false;
    }

    /// Lets go of bytes that nobody needs; of those that are hidden no window repeats any.
    #[inline]
    pub fn trim(&mut self, is_hidden: bool) {
        let kept = self.read.min(if is_hidden { self.inspected } else { self.inspected.saturating_sub(WINDOW) });
        if kept == self.ready {
            self.buffer.clear();
            self.base = kept;
        }
        let dead = usize::try_from(kept.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.buffer.len());
        if dead >= SLACK.max(self.buffer.len() - dead) {
            self.buffer.drain(..dead);
            self.base += dead as u64;
        }
    }

    /// Gives memory back that is hardly needed any more, since hardly anything follows.
    pub fn shrink(&mut self) {
        self.buffer.shrink_to_fit();
        self.spans.shrink_to_fit();
    }

    /// Counts the bytes of memory held.
    #[inline]
    pub fn held(&self) -> usize {
        self.buffer.capacity() + self.waiting_bytes + self.spans.capacity() * size_of::<Span>()
    }
}

/// Returns what of bytes that begin at `origin` lies from `start` to `end`.
pub(super) fn part(bytes: &[u8], origin: u64, start: u64, end: u64) -> &[u8] {
    let place = |at: u64| usize::try_from(at.saturating_sub(origin)).unwrap_or(usize::MAX).min(bytes.len());
    bytes.get(place(start)..place(end)).unwrap_or_default()
}

/// Writes bytes over those stored at the same places.
fn overwrite(stored: &mut [u8], origin: u64, bytes: &[u8], start: u64) {
    let skipped = usize::try_from(origin.saturating_sub(start)).unwrap_or(usize::MAX);
    let at = usize::try_from(start.saturating_sub(origin)).unwrap_or(usize::MAX);
    let (Some(bytes), Some(stored)) = (bytes.get(skipped..), stored.get_mut(at..)) else { return };
    for (old, new) in stored.iter_mut().zip(bytes) {
        *old = *new;
    }
}
