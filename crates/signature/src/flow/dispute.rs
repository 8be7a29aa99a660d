//! Bytes of a stream that came more than once and differ: what each kind of receiver makes of them.

use std::ops::Range;

use infraspectre_core::wire::overlap::{assemble, Policy, POLICIES};

use super::stream::{part, WINDOW};
use super::Window;

/// Bytes and segments that are set aside in one direction.
const MAX_BYTES: usize = 1 << 14;
const MAX_SEGMENTS: usize = 64;

/// The extent of a segment in its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: u64,
    pub end: u64,
    /// Counts the segments in the order in which they came.
    pub order: u32,
    /// The receiver may not have got it: it has fewer hops left than the others.
    pub is_doubtful: bool,
}

impl Span {
    fn place(&self) -> Range<u64> {
        self.start..self.end
    }

    /// Tells whether both have a byte in common.
    pub fn overlaps(&self, other: &Span) -> bool {
        self.start < other.end && other.start < self.end
    }
}

/// Tells whether a segment that comes later replaces the bytes of an earlier one; doubt decides first.
fn prefers(policy: Policy, new: &Span, old: &Span) -> bool {
    match (new.is_doubtful, old.is_doubtful) {
        (true, false) => false,
        (false, true) => true,
        _ => replaces(policy, new, old),
    }
}

fn replaces(policy: Policy, new: &Span, old: &Span) -> bool {
    policy.replaces(&new.place(), &old.place())
}

/// Another view of a part of a stream.
#[derive(Debug)]
pub struct View {
    pub offset: u64,
    pub data: Vec<u8>,
    /// Bytes at the end that are to be inspected.
    pub new: usize,
}

impl View {
    /// Returns it as a window.
    pub fn window(&self) -> Window<'_> {
        Window { offset: self.offset, data: &self.data, new: self.new, ambiguous: true }
    }
}

#[derive(Debug)]
struct Segment {
    span: Span,
    data: Vec<u8>,
}

/// The segments of a direction that contradict one another.
#[derive(Debug, Default)]
pub struct Disputes {
    segments: Vec<Segment>,
    bytes: usize,
    /// How far the stream was when the views were last given out.
    shown: u64,
}

impl Disputes {
    /// Sets a segment aside; the oldest ones make room.
    pub fn add(&mut self, span: Span, data: &[u8]) {
        if data.is_empty() || data.len() > MAX_BYTES || self.segments.iter().any(|known| known.span == span) {
            return;
        }
        while self.bytes + data.len() > MAX_BYTES || self.segments.len() >= MAX_SEGMENTS {
            self.bytes -= self.segments.remove(0).data.len();
        }
        let at = self.segments.partition_point(|known| known.span.order <= span.order);
        self.segments.insert(at, Segment { span, data: data.to_vec() });
        self.bytes += data.len();
        self.shown = 0;
    }

    /// Tells whether nothing is disputed any more.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Returns the disputed stretches as the receiver sees them.
    pub fn resolved(&self, policy: Policy) -> Vec<(u64, Vec<u8>)> {
        self.stretches()
            .into_iter()
            .map(|(start, end)| (start, self.assemble(start, end, |new, old| prefers(policy, new, old))))
            .collect()
    }

    /// Returns stretches that segments cover without a hole, in order.
    fn stretches(&self) -> Vec<(u64, u64)> {
        let mut spans: Vec<(u64, u64)> = self.segments.iter().map(|one| (one.span.start, one.span.end)).collect();
        spans.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (start, end) in spans {
            match joined.last_mut().filter(|last| start <= last.1) {
                Some(last) => last.1 = last.1.max(end),
                None => joined.push((start, end)),
            }
        }
        joined
    }

    fn assemble(&self, start: u64, end: u64, replaces: impl Fn(&Span, &Span) -> bool) -> Vec<u8> {
        let segments = self.segments.iter().map(|segment| (segment.span, &segment.data[..]));
        assemble(start..end, segments, Span::place, replaces)
    }

    /// Returns every view that differs from the stream before `limit`, with its surroundings; what the stream has left
    /// behind is forgotten.
    pub fn views(&mut self, buffer: &[u8], base: u64, limit: u64) -> Vec<View> {
        let mut views = Vec::new();
        if limit <= self.shown {
            return views;
        }
        for (start, end) in self.stretches() {
            if end <= limit {
                self.views_of((start, end), buffer, base, limit, &mut views);
            }
        }
        self.shown = limit;
        self.segments.retain(|segment| segment.span.end + WINDOW > limit);
        self.bytes = self.segments.iter().map(|segment| segment.data.len()).sum();
        views
    }

    fn views_of(&self, (start, end): (u64, u64), buffer: &[u8], base: u64, limit: u64, views: &mut Vec<View>) {
        let from = start.saturating_sub(WINDOW).max(base);
        let until = limit.min(end + WINDOW);
        let plain = part(buffer, base, from, until);
        for policy in POLICIES {
            let seen = self.assemble(start, end, |new, old| replaces(policy, new, old));
            let before = part(buffer, base, from, start);
            let view = [before, part(&seen, start, start.max(base), end), part(buffer, base, end, until)].concat();
            let new = view.len() - before.len();
            if view != plain && views.iter().all(|known| known.data != view) {
                views.push(View { offset: from, data: view, new });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(start: u64, data: &[u8], order: u32) -> Span {
        Span { start, end: start + data.len() as u64, order, is_doubtful: false }
    }

    #[test]
    fn views_show_each_difference_once_with_what_surrounds_it() {
        let mut disputes = Disputes::default();
        for (order, data) in [b"decoy", b"other"].into_iter().enumerate() {
            disputes.add(span(4, data, order as u32), data);
        }
        let stream = b"has decoy here";
        assert!(disputes.views(stream, 0, 6).is_empty(), "not all of it is due");
        let views = disputes.views(stream, 0, 14);
        assert_eq!(views.iter().map(|view| &view.data[..]).collect::<Vec<_>>(), [b"has other here"]);
        assert_eq!((views[0].offset, views[0].new), (0, 10));
        assert!(disputes.views(stream, 0, 14).is_empty(), "shown already");
        let longer = [&stream[..], &[b'.'; 2 * WINDOW as usize]].concat();
        disputes.views(&longer, 0, longer.len() as u64);
        assert!(disputes.is_empty(), "the stream has left it behind");
    }

    #[test]
    fn what_is_doubtful_gives_way_whenever_it_comes() {
        let mut disputes = Disputes::default();
        let doubtful = |order| Span { is_doubtful: true, ..span(0, b"aaaa", order) };
        disputes.add(doubtful(0), b"aaaa");
        disputes.add(span(2, b"bb", 1), b"bb");
        disputes.add(doubtful(2), b"cccc");
        assert_eq!(disputes.resolved(Policy::First), [(0, b"aabb".to_vec())]);
        assert_eq!(disputes.resolved(Policy::Last), [(0, b"ccbb".to_vec())]);
    }

    #[test]
    fn what_is_set_aside_is_bounded() {
        let mut disputes = Disputes::default();
        for order in 0..1000 {
            disputes.add(span(order.into(), &[0; 5000], order), &[0; 5000]);
            assert!(disputes.bytes <= MAX_BYTES && disputes.segments.len() <= MAX_SEGMENTS);
        }
    }
}
