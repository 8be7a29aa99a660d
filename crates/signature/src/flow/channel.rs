//! A TCP connection with the streams of both directions.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::overlap::Policy;
use infraspectre_core::wire::{tcp_flag, Segment};

use super::stream::{Inserted, Stream};
use super::tcp::{Connection, Events, State, Step, Verdict};
use super::Packet;
use crate::settings::Settings;
use crate::transaction::index;

/// A segment with so many hops fewer than its sender's first one does not come from where that came from.
const HOPS_IN_DOUBT: u8 = 2;

/// A connection and its streams.
pub struct Channel {
    pub connection: Connection,
    /// None of a side that has sent no data.
    streams: [Option<Box<Stream>>; 2],
    /// Hops left of each side's first segment.
    hops: [Option<u8>; 2],
    /// It was closed by a reset that may not have reached its receiver.
    has_doubtful_reset: bool,
    /// It was closed when memory was last given back.
    is_closed: bool,
}

impl Channel {
    /// Makes one that nothing was seen of.
    pub fn new(settings: &Settings) -> Channel {
        let connection = Connection::new(settings);
        Channel {
            connection,
            streams: Default::default(),
            hops: [None; 2],
            has_doubtful_reset: false,
            is_closed: false,
        }
    }

    /// Returns the stream of what a side sends.
    #[inline]
    pub fn stream(&self, direction: Direction) -> Option<&Stream> {
        self.streams[index(direction)].as_deref()
    }

    /// Returns the stream of what a side sends for change.
    #[inline]
    pub fn stream_mut(&mut self, direction: Direction) -> Option<&mut Stream> {
        self.streams[index(direction)].as_deref_mut()
    }

    /// Returns both streams for change, as far as there are any.
    #[inline]
    pub fn streams_mut(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.streams.iter_mut().flatten().map(Box::as_mut)
    }

    /// Returns the stream for more data of a side.
    #[inline]
    fn open(&mut self, direction: Direction) -> &mut Stream {
        let first_byte = self.connection.first_byte(direction);
        let stream = self.streams[index(direction)].get_or_insert_with(|| Box::new(Stream::new(first_byte)));
        stream.move_to(first_byte);
        stream
    }

    /// Follows a segment; tells what its receiver makes of it, and whether it may not have got that far.
    #[inline]
    pub fn follow(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        settings: &Settings,
        events: &mut Events,
    ) -> (Verdict, bool) {
        let kept_from = self.stream(direction).map(Stream::kept_from);
        let step = Step::of(segment, direction, kept_from.unwrap_or_else(|| self.connection.first_byte(direction)));
        let hops = *self.hops[index(direction)].get_or_insert(segment.ttl);
        let is_far = segment.ttl.saturating_add(HOPS_IN_DOUBT) <= hops;
        if self.has_doubtful_reset && self.connection.is_reset && self.connection.goes_on(&step) {
            self.connection.revive();
        }
        let verdict = self.connection.follow(&step, settings, events);
        self.has_doubtful_reset |= is_far && step.has(tcp_flag::RST) && self.connection.is_reset;
        if verdict == Verdict::Turned {
            self.hops.swap(0, 1);
        }
        (verdict, is_far || step.has(tcp_flag::SYN) && !self.connection.has_fast_open())
    }

    /// Puts the data of a segment into its stream, unless that has come to its end for us; tells what became of it.
    #[inline]
    pub fn insert(
        &mut self,
        packet: &mut Packet<'_>,
        direction: Direction,
        is_doubtful: bool,
        settings: &Settings,
        events: &mut Events,
    ) -> Inserted {
        if self.stream(direction).is_some_and(|stream| stream.has_reached_depth) {
            return Inserted::default();
        }
        let stream = self.open(direction);
        let segment = packet.segment;
        let seq = segment.tcp.seq.wrapping_add(u32::from(segment.tcp.flags & tcp_flag::SYN != 0));
        // The kinds of receivers that Suricata's own configuration file and its code assume.
        let policy = if segment.ip_version == 4 { Policy::Windows } else { Policy::Bsd };
        let (before, urgent, after) = urgent_parts(segment, settings);
        let mut inserted = stream.insert(seq, before, settings.depth, is_doubtful, policy);
        if let Some(urgent) = urgent {
            let seq = seq.wrapping_add(before.len() as u32);
            stream.take_out(seq, urgent);
            let rest = stream.insert(seq.wrapping_add(1), after, settings.depth, is_doubtful, policy);
            inserted = inserted.and(rest);
        }
        packet.in_stream = true;
        packet.is_appended = inserted.is_appended;
        for (happened, event) in [
            (inserted.is_old, "stream.reassembly_segment_before_base_seq"),
            (inserted.differs, "stream.reassembly_overlap_different_data"),
            (inserted.reaches_depth, "stream.reassembly_depth_reached"),
        ] {
            if happened {
                events.push(event);
            }
        }
        inserted
    }

    /// Lets everything that was acknowledged be read.
    #[inline]
    pub fn acknowledge(&mut self, direction: Direction) {
        let acknowledged = self.connection.acknowledged(direction);
        if let Some(stream) = self.stream_mut(direction) {
            stream.acknowledge(acknowledged);
        }
    }

    /// Exchanges the sides.
    pub fn turn(&mut self) {
        self.connection.turn();
        self.streams.swap(0, 1);
        self.hops.swap(0, 1);
    }

    /// Counts the bytes of memory held.
    #[inline]
    pub fn held(&self) -> usize {
        self.streams.iter().flatten().map(|stream| stream.held()).sum()
    }

    /// Lets go of bytes that nobody needs, and of memory once the connection is closed.
    #[inline]
    pub fn trim(&mut self, is_hidden: bool) {
        let is_closed = self.connection.state == State::Closed;
        let has_closed = is_closed && !std::mem::replace(&mut self.is_closed, is_closed);
        for stream in self.streams_mut() {
            stream.trim(is_hidden);
            if has_closed {
                stream.shrink();
            }
        }
    }
}

/// Returns a segment's data without its urgent byte, which is no part of the stream for most receivers (RFC 6093), as
/// Suricata's `stream.reassembly.urgent.policy: oob` has it.
#[inline]
fn urgent_parts<'a>(segment: &Segment<'a>, settings: &Settings) -> (&'a [u8], Option<u8>, &'a [u8]) {
    let whole = (segment.payload, None, &[][..]);
    if segment.tcp.flags & tcp_flag::URG == 0 || settings.get("stream.reassembly.urgent.policy") == Some("inline") {
        return whole;
    }
    let Some(&[high, low]) = segment.transport.get(18..20) else { return whole };
    let Some(place) = usize::from(u16::from_be_bytes([high, low])).checked_sub(1) else { return whole };
    match segment.payload.split_at_checked(place).map(|(before, rest)| (before, rest.split_first())) {
        Some((before, Some((urgent, after)))) => (before, Some(*urgent), after),
        _ => whole,
    }
}
