//! What is remembered of one flow: a compact head for its first packet, and the detail that a second packet or a payload adds.

use super::key::FlowKey;
use super::stream::Stream;
use super::tcp::{Connection, Step as TcpStep};
use crate::app::{Direction, Inspector};
use crate::feature::damped::{Damped, Fading};
use crate::feature::moments::{Described, Spread};
use crate::feature::payload::Sample;
use crate::feature::sequence::{Sequence, Step};
use crate::wire::{protocol, tcp_flag, Segment};

/// Silence that separates an active period from the next, as in CICFlowMeter (5 s).
const ACTIVITY_GAP_NS: i64 = 5_000_000_000;
/// Silence that separates subflows and bulk transfers, as in CICFlowMeter (1 s).
const BULK_GAP_NS: i64 = 1_000_000_000;
/// Data packets in a row that make a bulk transfer, as in CICFlowMeter.
const BULK_PACKETS: u32 = 4;

/// Why a flow ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    Fin,
    Rst,
    Idle,
    Active,
    Evicted,
    EndOfCapture,
    /// It did not: the row tells of its first packets.
    Early,
}

impl EndReason {
    /// Names the reason as the `end_reason` column does.
    pub const fn name(self) -> &'static str {
        match self {
            EndReason::Fin => "fin",
            EndReason::Rst => "rst",
            EndReason::Idle => "idle",
            EndReason::Active => "active",
            EndReason::Evicted => "evicted",
            EndReason::EndOfCapture => "end_of_capture",
            EndReason::Early => "early",
        }
    }
}

/// The part of a packet that statistics need.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    pub at: i64,
    pub number: u64,
    pub direction: Direction,
    pub packets: u32,
    pub ip_bytes: u32,
    pub ip_payload_bytes: u32,
    pub payload_bytes: u32,
    pub flags: u8,
    pub window: u16,
    pub ttl: u8,
}

impl Arrival {
    /// Takes from a segment what statistics need.
    #[inline(always)]
    pub fn of(segment: &Segment<'_>, direction: Direction) -> Arrival {
        Arrival {
            at: segment.at,
            number: segment.number,
            direction,
            packets: segment.packets,
            ip_bytes: segment.ip_bytes,
            ip_payload_bytes: segment.ip_payload_bytes,
            payload_bytes: segment.payload_bytes,
            flags: segment.tcp.flags,
            window: segment.tcp.window,
            ttl: segment.ttl,
        }
    }
}

/// A flow in the table: all that a one-packet flow without payload needs (120 bytes), and the detail of a longer one.
#[derive(Debug)]
pub struct Flow {
    pub key: FlowKey,
    pub first_at: i64,
    pub first_number: u64,
    pub detail: Option<Box<Detail>>,
    /// Index of the pair of hardware addresses.
    pub macs: u32,
    seq: u32,
    ip_bytes: u16,
    window: u16,
    /// Maximum segment size option, 0 for none.
    mss: u16,
    /// Tells stale timers from current ones after the slot was reused.
    pub generation: u16,
    /// Damped statistics of the sender and of the pair as of the first packet.
    host: Damped,
    pair: Damped,
    ip_header_bytes: u8,
    flags: u8,
    ttl: u8,
    pub orig_is_low: bool,
}

impl Flow {
    /// Starts a flow from its first packet; a packet with payload or of unusual size needs the detail at once.
    pub fn start(key: FlowKey, orig_is_low: bool, segment: &Segment<'_>, macs: u32, generation: u16) -> Flow {
        let first = Arrival::of(segment, Direction::Orig);
        let step = TcpStep::of(segment);
        let mut flow = Flow {
            key,
            first_at: first.at,
            first_number: first.number,
            detail: None,
            macs,
            seq: step.seq,
            ip_bytes: u16::try_from(first.ip_bytes).unwrap_or(u16::MAX),
            window: first.window,
            mss: step.mss.unwrap_or(0),
            generation,
            host: Damped::default(),
            pair: Damped::default(),
            ip_header_bytes: u8::try_from(first.ip_bytes.saturating_sub(first.ip_payload_bytes)).unwrap_or(u8::MAX),
            flags: first.flags,
            ttl: first.ttl,
            orig_is_low,
        };
        let compact = first.payload_bytes == 0 && first.packets == 1 && first.ip_bytes < u32::from(u16::MAX);
        if !compact {
            flow.detail = Some(Detail::start(key.protocol, &first, &step));
        }
        flow
    }

    /// Returns the detail, making it from the compact head if needed.
    #[inline]
    pub fn detail_mut(&mut self) -> &mut Detail {
        if self.detail.is_none() {
            self.detail = Some(self.expand());
        }
        self.detail.get_or_insert_with(Box::default)
    }

    /// Returns the damped statistics of sender, pair and socket as of the last packet from orig.
    pub fn damped(&self, detail: &Detail) -> [Damped; 3] {
        let (host, pair) = match &detail.entities {
            Some((host, pair)) => (host.describe(), pair.describe()),
            None => (self.host, self.pair),
        };
        [host, pair, detail.socket.describe()]
    }

    fn expand(&self) -> Box<Detail> {
        let ip_bytes = u32::from(self.ip_bytes);
        let first = Arrival {
            at: self.first_at,
            number: self.first_number,
            direction: Direction::Orig,
            packets: 1,
            ip_bytes,
            ip_payload_bytes: ip_bytes - u32::from(self.ip_header_bytes).min(ip_bytes),
            payload_bytes: 0,
            flags: self.flags,
            window: self.window,
            ttl: self.ttl,
        };
        let mss = (self.mss > 0).then_some(self.mss);
        let step = TcpStep { at: self.first_at, seq: self.seq, flags: self.flags, payload_bytes: 0, mss };
        Detail::start(self.key.protocol, &first, &step)
    }

    /// Notes the damped statistics of the sender and of the pair as of a packet from orig.
    #[inline(always)]
    pub fn note_entities(&mut self, host: &Fading, pair: &Fading) {
        match &mut self.detail {
            Some(detail) => detail.entities = Some((*host, *pair)),
            None => (self.host, self.pair) = (host.describe(), pair.describe()),
        }
    }

    /// Takes the detail out of a finished flow, making it from the compact head if needed.
    pub fn take_detail(&mut self) -> Box<Detail> {
        self.detail.take().unwrap_or_else(|| self.expand())
    }

    /// Returns a copy of the flow as it is now, with its detail, for a row before its end.
    pub fn snapshot(&self) -> (Flow, Box<Detail>) {
        let detail = self.detail.as_ref().map_or_else(|| self.expand(), |detail| Box::new(detail.snapshot()));
        (Flow { detail: None, ..*self }, detail)
    }

    /// Counts the packets so far; a reassembled datagram is one.
    #[inline]
    pub fn arrivals(&self) -> u64 {
        self.detail.as_ref().map_or(1, |detail| detail.arrivals())
    }

    /// Returns the time of the latest packet.
    #[inline(always)]
    pub fn last_at(&self) -> i64 {
        self.detail.as_ref().map_or(self.first_at, |detail| detail.last_at)
    }

    /// Tells whether a TCP flow saw nothing but opening segments of its originator.
    pub fn is_half_open(&self) -> bool {
        match &self.detail {
            None => self.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN,
            Some(detail) => detail.connection.as_ref().is_some_and(|connection| connection.is_half_open()),
        }
    }

    /// Tells how a TCP flow was closed, if it was.
    pub fn closed(&self) -> Option<EndReason> {
        match &self.detail {
            None => (self.key.protocol == protocol::TCP && self.flags & tcp_flag::RST != 0).then_some(EndReason::Rst),
            Some(detail) => detail.connection.as_ref().and_then(|connection| connection.closed()),
        }
    }
}

/// Counts and statistics of one direction.
#[derive(Clone, Debug)]
pub struct Side {
    pub ip_bytes: u64,
    pub ip_payload_bytes: u64,
    pub payload_bytes: u64,
    pub packets: u32,
    pub data_packets: u32,
    /// FIN, SYN, RST, PSH, ACK, URG, ECE, CWR, in the order of the bits.
    pub flags: [u32; 8],
    /// Packets given to the statistics: a reassembled datagram is one.
    arrivals: u32,
    first_at: i64,
    last_at: i64,
    packet: Spread,
    segment: Spread,
    gap: Spread,
    pub min_header_bytes: u16,
    pub initial_window: u16,
    pub ttl_min: u8,
    pub ttl_max: u8,
    bulk_run: u32,
    bulk_run_bytes: u32,
    bulk_start: i64,
    bulk_last: i64,
    pub bulk: Bulk,
    pub sample: Sample,
}

impl Default for Side {
    fn default() -> Self {
        Side {
            ip_bytes: 0,
            ip_payload_bytes: 0,
            payload_bytes: 0,
            packets: 0,
            data_packets: 0,
            flags: [0; 8],
            arrivals: 0,
            first_at: 0,
            last_at: 0,
            packet: Spread::default(),
            segment: Spread::default(),
            gap: Spread::default(),
            min_header_bytes: u16::MAX,
            initial_window: 0,
            ttl_min: u8::MAX,
            ttl_max: 0,
            bulk_run: 0,
            bulk_run_bytes: 0,
            bulk_start: 0,
            bulk_last: 0,
            bulk: Bulk::default(),
            sample: Sample::Empty,
        }
    }
}

/// Bulk transfers of one direction: at least four data packets, none more than a second after the one before.
#[derive(Clone, Copy, Debug, Default)]
pub struct Bulk {
    pub transfers: u32,
    pub packets: u32,
    pub bytes: u64,
    pub duration_ns: i64,
}

impl Side {
    #[inline(always)]
    fn add(&mut self, arrival: &Arrival) {
        self.packets += arrival.packets;
        self.ip_bytes += u64::from(arrival.ip_bytes);
        self.ip_payload_bytes += u64::from(arrival.ip_payload_bytes);
        self.payload_bytes += u64::from(arrival.payload_bytes);
        self.data_packets += u32::from(arrival.payload_bytes > 0);
        self.packet.add(f64::from(arrival.ip_bytes));
        self.segment.add(f64::from(arrival.payload_bytes));
        let header = arrival.ip_payload_bytes.saturating_sub(arrival.payload_bytes).min(u32::from(u16::MAX)) as u16;
        self.min_header_bytes = self.min_header_bytes.min(header);
        self.ttl_min = self.ttl_min.min(arrival.ttl);
        self.ttl_max = self.ttl_max.max(arrival.ttl);
        self.count_flags(arrival.flags);
        if self.arrivals == 0 {
            self.first_at = arrival.at;
            self.initial_window = arrival.window;
        } else {
            self.gap.add((arrival.at - self.last_at).max(0) as f64);
        }
        self.arrivals += 1;
        self.last_at = self.last_at.max(arrival.at);
    }

    #[inline(always)]
    fn count_flags(&mut self, flags: u8) {
        const BITS: [u32; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
        for (count, bit) in self.flags.iter_mut().zip(BITS) {
            *count += u32::from(u32::from(flags) & bit != 0);
        }
    }

    /// Follows runs of data packets; `interrupted` when the other side sent data since this run began.
    #[inline]
    fn follow_bulk(&mut self, arrival: &Arrival, interrupted: bool) {
        let since = arrival.at - self.bulk_last;
        if self.bulk_run == 0 || interrupted || since > BULK_GAP_NS {
            self.bulk_run = 1;
            self.bulk_run_bytes = arrival.payload_bytes;
            self.bulk_start = arrival.at;
        } else {
            self.bulk_run += 1;
            if self.bulk_run == BULK_PACKETS {
                self.bulk.transfers += 1;
                self.bulk.packets += BULK_PACKETS;
                self.bulk.bytes += u64::from(self.bulk_run_bytes) + u64::from(arrival.payload_bytes);
                self.bulk.duration_ns += (arrival.at - self.bulk_start).max(0);
            } else if self.bulk_run > BULK_PACKETS {
                self.bulk.packets += 1;
                self.bulk.bytes += u64::from(arrival.payload_bytes);
                self.bulk.duration_ns += since.max(0);
            } else {
                self.bulk_run_bytes = self.bulk_run_bytes.saturating_add(arrival.payload_bytes);
            }
        }
        self.bulk_last = arrival.at;
    }

    /// Describes IP packet lengths in bytes.
    pub fn packet_bytes(&self) -> Option<Described> {
        self.packet.describe(u64::from(self.arrivals), self.ip_bytes as f64)
    }

    /// Describes transport payload lengths in bytes.
    pub fn segment_bytes(&self) -> Option<Described> {
        self.segment.describe(u64::from(self.arrivals), self.payload_bytes as f64)
    }

    /// Describes the gaps between packets in nanoseconds.
    pub fn gaps_ns(&self) -> Option<Described> {
        self.gap.describe(u64::from(self.arrivals.saturating_sub(1)), self.gap_sum())
    }

    /// Returns the time from the first to the last packet in nanoseconds.
    pub fn gap_sum(&self) -> f64 {
        (self.last_at - self.first_at) as f64
    }
}

/// Active and idle periods of a flow that fell silent for more than five seconds.
#[derive(Clone, Debug, Default)]
pub struct Periods {
    pub active: Spread,
    pub active_count: u64,
    pub active_sum: f64,
    pub idle: Spread,
    pub idle_count: u64,
    pub idle_sum: f64,
    /// End of the latest silence.
    resumed_at: i64,
}

impl Periods {
    fn note_silence(&mut self, first_at: i64, silent_from: i64, until: i64) {
        let began = if self.idle_count == 0 { first_at } else { self.resumed_at };
        self.add_active((silent_from - began) as f64);
        self.idle.add((until - silent_from) as f64);
        self.idle_sum += (until - silent_from) as f64;
        self.idle_count += 1;
        self.resumed_at = until;
    }

    fn add_active(&mut self, length: f64) {
        self.active.add(length);
        self.active_sum += length;
        self.active_count += 1;
    }

    /// Returns the periods with the one that was running at the flow's end.
    pub fn closed_at(&self, last_at: i64) -> Periods {
        let mut closed = self.clone();
        closed.add_active((last_at - self.resumed_at) as f64);
        closed
    }
}

/// Statistics of a flow with more than its first packet.
#[derive(Debug, Default)]
pub struct Detail {
    pub last_at: i64,
    pub last_number: u64,
    pub orig: Side,
    pub resp: Side,
    gap: Spread,
    pub socket: Fading,
    /// Damped statistics of the sender and of the pair as of the latest packet from orig; none if that was the first packet.
    pub entities: Option<(Fading, Fading)>,
    /// Gaps of more than a second: where one subflow ends and the next begins.
    pub subflow_gaps: u32,
    pub truncated_packets: u32,
    pub fragments: u32,
    last_data: Option<Direction>,
    pub sequence: Sequence,
    pub periods: Option<Box<Periods>>,
    pub connection: Option<Box<Connection>>,
    /// Reassembly of orig and resp, while the inspector wants more.
    pub streams: Option<Box<[Stream; 2]>>,
    pub inspector: Option<Box<Inspector>>,
    /// Bytes held for this flow's reassembly and samples, as last accounted.
    pub buffered: usize,
}

impl Detail {
    /// Makes the detail of a flow from its first packet.
    fn start(ip_protocol: u8, first: &Arrival, step: &TcpStep) -> Box<Detail> {
        let mut detail = Box::<Detail>::default();
        detail.add(first, first.at);
        if ip_protocol == protocol::TCP {
            let mut connection = Box::<Connection>::default();
            connection.add(step, Direction::Orig);
            detail.connection = Some(connection);
        }
        detail
    }

    /// Returns a copy that shows what is known now and reads no further payload.
    fn snapshot(&self) -> Detail {
        Detail {
            orig: self.orig.clone(),
            resp: self.resp.clone(),
            sequence: self.sequence.clone(),
            periods: self.periods.clone(),
            connection: self.connection.clone(),
            streams: None,
            inspector: self.inspector.as_ref().map(|inspector| Box::new(inspector.snapshot())),
            ..*self
        }
    }

    /// Adds one packet to all statistics; `first_at` is the time of the flow's first packet.
    #[inline]
    pub fn add(&mut self, arrival: &Arrival, first_at: i64) {
        let is_first = self.orig.arrivals + self.resp.arrivals == 0;
        let gap = if is_first { 0 } else { (arrival.at - self.last_at).max(0) };
        if !is_first {
            self.gap.add(gap as f64);
            if gap > BULK_GAP_NS {
                self.note_gap(gap, arrival.at, first_at);
            }
        }
        self.socket.add(gap, arrival.ip_bytes as f32);
        self.sequence.add(Step {
            gap_us: u32::try_from(gap / 1000).unwrap_or(u32::MAX),
            bytes: u16::try_from(arrival.ip_bytes).unwrap_or(u16::MAX),
            flags: arrival.flags,
            from_orig: arrival.direction == Direction::Orig,
        });
        self.fragments += if arrival.packets > 1 { arrival.packets } else { 0 };
        self.last_at = if is_first { arrival.at } else { self.last_at.max(arrival.at) };
        self.last_number = arrival.number;
        let interrupted = self.last_data != Some(arrival.direction);
        let side = self.side_mut(arrival.direction);
        side.add(arrival);
        if arrival.payload_bytes > 0 {
            side.follow_bulk(arrival, interrupted);
            self.last_data = Some(arrival.direction);
        }
    }

    #[cold]
    fn note_gap(&mut self, gap: i64, at: i64, first_at: i64) {
        self.subflow_gaps += 1;
        if gap > ACTIVITY_GAP_NS {
            self.periods.get_or_insert_with(Box::default).note_silence(first_at, self.last_at, at);
        }
    }

    /// Returns one direction.
    pub fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Orig => &self.orig,
            Direction::Resp => &self.resp,
        }
    }

    /// Returns one direction for change.
    #[inline(always)]
    pub fn side_mut(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Orig => &mut self.orig,
            Direction::Resp => &mut self.resp,
        }
    }

    /// Counts packets of both directions.
    pub fn packets(&self) -> u64 {
        u64::from(self.orig.packets) + u64::from(self.resp.packets)
    }

    /// Counts IP bytes of both directions.
    pub fn ip_bytes(&self) -> u64 {
        self.orig.ip_bytes + self.resp.ip_bytes
    }

    fn arrivals(&self) -> u64 {
        u64::from(self.orig.arrivals) + u64::from(self.resp.arrivals)
    }

    /// Describes IP packet lengths of both directions in bytes.
    pub fn packet_bytes(&self) -> Option<Described> {
        self.orig.packet.merged(&self.resp.packet).describe(self.arrivals(), self.ip_bytes() as f64)
    }

    /// Describes transport payload lengths of both directions in bytes.
    pub fn segment_bytes(&self) -> Option<Described> {
        let sum = self.orig.payload_bytes + self.resp.payload_bytes;
        self.orig.segment.merged(&self.resp.segment).describe(self.arrivals(), sum as f64)
    }

    /// Describes the gaps between packets of either direction in nanoseconds.
    pub fn gaps_ns(&self, first_at: i64) -> Option<Described> {
        self.gap.describe(self.arrivals().saturating_sub(1), (self.last_at - first_at) as f64)
    }
}
