//! Reassembly of one direction of a TCP connection, in bounded memory.
//!
//! Overlap policy: the first copy of a byte wins. A later copy is compared with the first one while that is remembered,
//! which is until the receiver acknowledged it or [`RECENT_BYTES`] more followed; differing bytes are counted.

use std::collections::VecDeque;

/// Bytes held out of order for one direction.
const PENDING_BYTES: usize = 128 * 1024;
/// Pieces held out of order for one direction.
const PENDING_PIECES: usize = 256;
/// Delivered bytes remembered for comparison.
const RECENT_BYTES: usize = 32 * 1024;
/// A segment this far ahead of the stream is outside any window and is not held.
const MAX_AHEAD: i32 = 1 << 24;

/// What the stream hands to the reader, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    Bytes(&'a [u8]),
    /// This many bytes are missing here and will not come.
    Gap(u32),
}

#[derive(Debug)]
struct Pending {
    seq: u32,
    data: Vec<u8>,
}

/// Reassembles one direction.
#[derive(Debug, Default)]
pub struct Stream {
    started: bool,
    next: u32,
    /// Segments ahead of `next`, in sequence order, without overlaps.
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    recent: Vec<u8>,
    ambiguous: u64,
}

impl Stream {
    /// Sets where the stream starts: after the SYN.
    pub fn open(&mut self, seq: u32) {
        if !self.started {
            self.started = true;
            self.next = seq;
        }
    }

    /// Adds a segment and hands over what became readable. `missing` bytes at its end were not captured.
    #[inline]
    pub fn add(&mut self, seq: u32, data: &[u8], missing: u32, sink: &mut dyn FnMut(Piece<'_>)) {
        self.open(seq);
        let ahead = seq.wrapping_sub(self.next) as i32;
        if ahead == 0 && self.pending.is_empty() {
            self.deliver(data, sink);
        } else {
            self.add_disordered(seq, ahead, data, sink);
        }
        if missing > 0 && self.next == seq.wrapping_add(data.len() as u32) {
            self.skip(missing, sink);
        }
    }

    fn add_disordered(&mut self, seq: u32, ahead: i32, data: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        if ahead >= MAX_AHEAD || ahead <= -MAX_AHEAD {
            return;
        }
        if ahead > 0 {
            self.hold(seq, data);
        } else {
            let old = (ahead.unsigned_abs() as usize).min(data.len());
            let (old_bytes, new_bytes) = data.split_at(old);
            self.compare_delivered(ahead.unsigned_abs() as usize, old_bytes);
            self.hold(seq.wrapping_add(old as u32), new_bytes);
        }
        self.release(sink);
        if self.pending_bytes > PENDING_BYTES || self.pending.len() > PENDING_PIECES {
            self.give_up_hole(sink);
        }
    }

    /// Notes that the receiver has everything before `ack`: holes before it will not be filled.
    #[inline]
    pub fn acknowledge(&mut self, ack: u32, sink: &mut dyn FnMut(Piece<'_>)) {
        if !self.started {
            return;
        }
        let unacknowledged = self.next.wrapping_sub(ack) as i32;
        if unacknowledged <= 0 {
            self.recent.clear();
        }
        if unacknowledged < 0 && self.pending.front().is_some_and(|first| (ack.wrapping_sub(first.seq) as i32) > 0) {
            self.give_up_hole(sink);
        }
    }

    /// Hands over everything held, with gaps; the stream has ended.
    pub fn finish(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        while !self.pending.is_empty() {
            self.give_up_hole(sink);
        }
    }

    /// Returns the count of differing bytes since the last call.
    pub fn take_ambiguous(&mut self) -> u64 {
        std::mem::take(&mut self.ambiguous)
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        self.pending_bytes + self.pending.capacity() * size_of::<Pending>() + self.recent.capacity()
    }

    fn deliver(&mut self, data: &[u8], sink: &mut dyn FnMut(Piece<'_>)) {
        if data.is_empty() {
            return;
        }
        self.next = self.next.wrapping_add(data.len() as u32);
        self.remember(data);
        sink(Piece::Bytes(data));
    }

    fn remember(&mut self, data: &[u8]) {
        if self.recent.len() + data.len() > RECENT_BYTES {
            let keep = RECENT_BYTES / 2;
            let drop = self.recent.len().saturating_sub(keep);
            self.recent.drain(..drop);
        }
        let kept = data.get(data.len().saturating_sub(RECENT_BYTES / 2)..).unwrap_or(data);
        if kept.len() < data.len() {
            self.recent.clear();
        }
        self.recent.extend_from_slice(kept);
    }

    /// Compares a second copy of bytes that start `back` bytes before the stream's position.
    fn compare_delivered(&mut self, back: usize, copy: &[u8]) {
        let forgotten = back.saturating_sub(self.recent.len());
        let from = self.recent.len() - (back - forgotten);
        let known = self.recent.get(from..).unwrap_or_default();
        let copy = copy.get(forgotten..).unwrap_or_default();
        self.ambiguous += differing(known, copy);
    }

    /// Keeps the parts of a segment that no held piece covers, and compares the rest.
    fn hold(&mut self, mut seq: u32, mut data: &[u8]) {
        let mut index = 0;
        while !data.is_empty() {
            let Some(piece) = self.pending.get(index) else { break };
            let before = piece.seq.wrapping_sub(seq) as i32;
            if before > 0 {
                let free = (before as usize).min(data.len());
                let (head, rest) = data.split_at(free);
                self.insert(index, seq, head);
                index += 1;
                seq = seq.wrapping_add(free as u32);
                data = rest;
                continue;
            }
            let offset = before.unsigned_abs() as usize;
            let known = piece.data.get(offset..).unwrap_or_default();
            let covered = known.len().min(data.len());
            self.ambiguous += differing(known, data);
            seq = seq.wrapping_add(covered as u32);
            data = data.get(covered..).unwrap_or_default();
            index += 1;
        }
        let end = self.pending.len().min(index);
        self.insert(end, seq, data);
    }

    fn insert(&mut self, index: usize, seq: u32, data: &[u8]) {
        if !data.is_empty() {
            self.pending_bytes += data.len();
            self.pending.insert(index, Pending { seq, data: data.to_vec() });
        }
    }

    fn release(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        while self.pending.front().is_some_and(|first| first.seq.wrapping_sub(self.next) as i32 <= 0) {
            if let Some(piece) = self.pending.pop_front() {
                self.pending_bytes -= piece.data.len();
                // bytes that were not captured may have been skipped although a piece held some of them
                let skipped = self.next.wrapping_sub(piece.seq) as usize;
                self.deliver(piece.data.get(skipped..).unwrap_or_default(), sink);
            }
        }
    }

    fn give_up_hole(&mut self, sink: &mut dyn FnMut(Piece<'_>)) {
        if let Some(first) = self.pending.front() {
            let missing = first.seq.wrapping_sub(self.next);
            self.skip(missing, sink);
            self.release(sink);
        }
    }

    fn skip(&mut self, missing: u32, sink: &mut dyn FnMut(Piece<'_>)) {
        self.next = self.next.wrapping_add(missing);
        self.recent.clear();
        sink(Piece::Gap(missing));
        self.release(sink);
    }
}

fn differing(known: &[u8], copy: &[u8]) -> u64 {
    known.iter().zip(copy).filter(|(a, b)| a != b).count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collect(segments: &[(u32, &[u8])]) -> (Vec<u8>, u32, u64) {
        let mut stream = Stream::default();
        let (mut bytes, mut gaps) = (Vec::new(), 0);
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Bytes(data) => bytes.extend_from_slice(data),
            Piece::Gap(missing) => gaps += missing,
        };
        stream.open(100);
        for (seq, data) in segments {
            stream.add(*seq, data, 0, &mut sink);
        }
        stream.finish(&mut sink);
        (bytes, gaps, stream.take_ambiguous())
    }

    #[test]
    fn order_does_not_matter() {
        assert_eq!(collect(&[(100, b"abc"), (103, b"def")]), (b"abcdef".to_vec(), 0, 0));
        assert_eq!(collect(&[(103, b"def"), (100, b"abc")]), (b"abcdef".to_vec(), 0, 0));
        assert_eq!(collect(&[(106, b"g"), (103, b"def"), (100, b"abc")]), (b"abcdefg".to_vec(), 0, 0));
    }

    #[test]
    fn first_copy_wins_and_differences_are_counted() {
        assert_eq!(collect(&[(100, b"abcd"), (102, b"XYef")]), (b"abcdef".to_vec(), 0, 2));
        assert_eq!(collect(&[(102, b"cd"), (101, b"bXY"), (100, b"a")]), (b"abcd".to_vec(), 0, 2));
        assert_eq!(collect(&[(102, b"cd"), (100, b"abZde")]), (b"abcde".to_vec(), 0, 1));
    }

    #[test]
    fn a_hole_that_stays_is_a_gap() {
        assert_eq!(collect(&[(100, b"ab"), (105, b"f")]), (b"abf".to_vec(), 3, 0));
    }

    #[test]
    fn what_is_held_where_bytes_were_not_captured_is_read_once() {
        let mut stream = Stream::default();
        let (mut bytes, mut gaps) = (Vec::new(), Vec::new());
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Bytes(data) => bytes.extend_from_slice(data),
            Piece::Gap(missing) => gaps.push(missing),
        };
        stream.open(100);
        stream.add(105, b"fgh", 0, &mut sink);
        stream.add(100, b"ab", 4, &mut sink);
        stream.add(108, b"i", 0, &mut sink);
        stream.finish(&mut sink);
        assert_eq!((bytes, gaps), (b"abghi".to_vec(), vec![4]));
        assert_eq!(stream.pending_bytes, 0);
    }

    /// Every other byte first, backwards, then one segment that fills all holes.
    #[test]
    fn many_holes_are_filled_in_bounded_time_and_memory() {
        let mut stream = Stream::default();
        stream.open(0);
        let mut read = 0;
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Bytes(data) => read += data.len(),
            Piece::Gap(missing) => read += missing as usize,
        };
        let text = vec![7; 2 * PENDING_PIECES];
        for round in 0..200u32 {
            let start = round * text.len() as u32;
            for hole in (0..PENDING_PIECES as u32).rev() {
                stream.add(start + 2 * hole + 1, b"\x07", 0, &mut sink);
                assert!(stream.pending.len() <= PENDING_PIECES);
            }
            stream.add(start, &text, 0, &mut sink);
            assert!(stream.pending.len() <= 2 * PENDING_PIECES);
        }
        stream.finish(&mut sink);
        assert_eq!(read, 200 * text.len());
        assert_eq!(stream.take_ambiguous(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut stream = Stream::default();
        stream.open(0);
        for piece in 1..2000u32 {
            stream.add(piece * 2000, &[0; 1000], 0, &mut |_| {});
            assert!(
                stream.buffered() <= PENDING_BYTES + 2 * PENDING_PIECES * size_of::<Pending>() + RECENT_BYTES + 2000
            );
        }
    }

    proptest::proptest! {
        #[test]
        fn any_arrival_order_gives_the_same_stream(order in proptest::sample::subsequence((0..40usize).collect::<Vec<_>>(), 40), seed in 0u64..1000) {
            let text: Vec<u8> = (0..200u8).collect();
            let mut pieces: Vec<(u32, &[u8])> = order.iter().map(|i| (100 + *i as u32 * 5, &text[i * 5..i * 5 + 5])).collect();
            let mut state = seed;
            for i in (1..pieces.len()).rev() {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                pieces.swap(i, (state >> 33) as usize % (i + 1));
            }
            let (bytes, gaps, ambiguous) = collect(&pieces);
            proptest::prop_assert_eq!((bytes, gaps, ambiguous), (text, 0, 0));
        }
    }
}
