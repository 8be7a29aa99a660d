//! The flow table: finds the flow of each segment, feeds its statistics and its inspector, and ends flows in time.

use std::collections::VecDeque;
use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

use super::inspection;
use super::key::{direction, FlowKey};
use super::record::{Arrival, Detail, EndReason, Flow};
use super::slots::Slots;
use super::tcp::Step;
use super::wheel::{Timer, Wheel};
use crate::app::Direction;
use crate::feature::damped::Entities;
use crate::wire::{protocol, tcp_flag, Segment};

/// Pairs of hardware addresses remembered; flows beyond that have none.
const MAC_PAIRS: usize = 65_536;
/// Timers looked at to find a flow that is really idle, before the next best has to go.
const EVICTION_TRIES: usize = 64;
/// Marks a flow without hardware addresses.
const NO_MACS: u32 = u32::MAX;
const SECOND: i64 = 1_000_000_000;
/// Packets of a flow after which its early rows are made.
pub const EARLY_AFTER: [u64; 4] = [1, 4, 16, 64];
/// How far time may go back before it is taken for a clock that was set, and not for packets that came late.
const LATE_NS: i64 = 60 * SECOND;

/// Limits of the flow table; times in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub tcp_idle_ns: i64,
    /// For TCP flows of which only opening SYN segments were seen.
    pub tcp_half_open_idle_ns: i64,
    pub udp_idle_ns: i64,
    pub other_idle_ns: i64,
    /// How long a closed TCP flow waits for stragglers.
    pub linger_ns: i64,
    /// A flow longer than this is reported and begun anew.
    pub active_ns: i64,
    /// Flows in the table; when it is full, the flow whose idle timeout comes first is ended.
    pub max_flows: usize,
    /// Bytes held for reassembly and payload samples; beyond it, no further streams are inspected.
    pub max_buffered_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            tcp_idle_ns: 300 * SECOND,
            tcp_half_open_idle_ns: 60 * SECOND,
            udp_idle_ns: 60 * SECOND,
            other_idle_ns: 60 * SECOND,
            linger_ns: 5 * SECOND,
            active_ns: 1800 * SECOND,
            max_flows: 1 << 20,
            max_buffered_bytes: 64 << 20,
        }
    }
}

impl Limits {
    fn idle_ns(&self, flow: &Flow) -> i64 {
        match flow.key.protocol {
            protocol::TCP if flow.closed().is_some() => self.linger_ns,
            protocol::TCP if flow.is_half_open() => self.tcp_half_open_idle_ns,
            protocol::TCP => self.tcp_idle_ns,
            protocol::UDP => self.udp_idle_ns,
            _ => self.other_idle_ns,
        }
    }

    fn longest_idle_s(&self) -> usize {
        let longest = self.tcp_idle_ns.max(self.udp_idle_ns).max(self.other_idle_ns).max(self.linger_ns);
        usize::try_from(longest / SECOND + 1).unwrap_or(1).min(86_400)
    }
}

/// A flow that ended.
#[derive(Debug)]
pub struct Finished {
    pub flow: Flow,
    pub detail: Box<Detail>,
    pub reason: EndReason,
    pub macs: Option<[[u8; 6]; 2]>,
}

/// What the table gave up, by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shed {
    /// Flows ended early because the table was full.
    pub flows_evicted: u64,
    /// Packets whose payload was not inspected because the memory for buffers was used up.
    pub payloads_not_inspected: u64,
}

/// The table of live flows.
pub struct FlowTable {
    limits: Limits,
    flows: Slots,
    index: HashTable<u32>,
    /// A random seed: nothing in the output depends on it, and collisions cannot be prepared.
    hasher: RandomState,
    wheel: Wheel,
    due: Vec<Timer>,
    /// Flows that ended and wait to be taken; no longer in the index.
    ended: VecDeque<(u32, EndReason)>,
    clock: i64,
    generation: u16,
    entities: Entities,
    macs: MacPairs,
    buffered: usize,
    /// Flows as they were after some of their packets, if anybody wants them.
    early: Option<VecDeque<Finished>>,
    pub shed: Shed,
}

impl FlowTable {
    /// Makes an empty table.
    pub fn new(limits: Limits) -> FlowTable {
        FlowTable {
            flows: Slots::default(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            wheel: Wheel::new(limits.longest_idle_s()),
            due: Vec::new(),
            ended: VecDeque::new(),
            clock: i64::MIN,
            generation: 0,
            entities: Entities::default(),
            macs: MacPairs::default(),
            buffered: 0,
            early: None,
            shed: Shed::default(),
            limits,
        }
    }

    /// Keeps flows as they are after their first packets, for [`FlowTable::take_early`].
    pub fn show_early(&mut self) {
        self.early = Some(VecDeque::new());
    }

    /// Counts live flows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Tells whether no flow is live.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Takes one segment into its flow; flows that ended meanwhile wait for [`FlowTable::take_ended`].
    #[inline]
    pub fn observe(&mut self, segment: &Segment<'_>) {
        self.tick(segment.at);
        let slot = self.take_in(segment);
        if self.early.is_some() {
            self.note_early(slot);
        }
    }

    /// Keeps the flow in a slot as it is, if it has come to one of the numbers of packets that matter.
    fn note_early(&mut self, slot: u32) {
        let (Some(early), Some(flow)) = (&mut self.early, self.flows.get(slot)) else { return };
        if EARLY_AFTER.contains(&flow.arrivals()) {
            let macs = self.macs.get(flow.macs);
            let (flow, detail) = flow.snapshot();
            early.push_back(Finished { flow, detail, reason: EndReason::Early, macs });
        }
    }

    /// Takes the next flow that was kept as it was after its first packets.
    pub fn take_early(&mut self) -> Option<Finished> {
        self.early.as_mut()?.pop_front()
    }

    /// Adds a segment to its flow and returns the slot of the flow.
    #[inline(always)]
    fn take_in(&mut self, segment: &Segment<'_>) -> u32 {
        let (key, from_low) = FlowKey::of(segment);
        let hash = self.hasher.hash_one(key);
        let (host, pair) = self.entities.add(&segment.src, &segment.dst, segment.at, segment.ip_bytes as f32);
        let flows = &self.flows;
        let known = |slot: &u32| flows.get(*slot).is_some_and(|flow| flow.key == key);
        let mut found = self.index.find(hash, known).copied();
        if let Some((slot, reason)) = found.and_then(|slot| Some((slot, self.ends_before(slot, segment, from_low)?))) {
            self.end(slot, reason);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None => self.start(key, hash, from_low, segment),
        };
        let Some(flow) = self.flows.get_mut(slot) else { return slot };
        let side = direction(flow.orig_is_low, from_low);
        if found.is_some() {
            let first_at = flow.first_at;
            flow.detail_mut().add(&Arrival::of(segment, side), first_at);
        }
        if side == Direction::Orig {
            flow.note_entities(&host, &pair);
        }
        if flow.detail.is_some() {
            self.observe_content(slot, segment, side, found.is_none());
        }
        slot
    }

    /// Notes that the time has come to `now`, and ends the flows whose idle timeout passed; time never goes back.
    #[inline]
    pub fn tick(&mut self, now: i64) {
        if now > self.clock {
            self.clock = now;
            self.expire();
        }
    }

    /// Tells whether the clock was set back, so that the time of flows would not pass for long.
    pub fn is_ahead_of(&self, now: i64) -> bool {
        self.clock > now.saturating_add(LATE_NS)
    }

    /// Ends all flows and forgets what time it is, because the clock was set back.
    pub fn restart(&mut self) {
        for slot in self.live() {
            let closed = self.flows.get(slot).and_then(Flow::closed);
            self.end(slot, closed.unwrap_or(EndReason::Active));
        }
        self.wheel = Wheel::new(self.limits.longest_idle_s());
        self.entities = Entities::default();
        self.clock = i64::MIN;
    }

    /// Returns the slots of live flows in the order of their last packets.
    fn live(&self) -> Vec<u32> {
        let flows = &self.flows;
        let last_at = |slot: &u32| flows.get(*slot).map(|flow| (flow.last_at(), *slot));
        let mut live: Vec<(i64, u32)> = self.index.iter().filter_map(last_at).collect();
        let first_number = |slot| flows.get(slot).map(|flow| flow.first_number);
        live.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| first_number(one.1).cmp(&first_number(other.1)))
        });
        live.into_iter().map(|(_, slot)| slot).collect()
    }

    /// Follows what only flows with a detail have: connection state and payload.
    #[inline]
    fn observe_content(&mut self, slot: u32, segment: &Segment<'_>, side: Direction, is_first: bool) {
        let Some(flow) = self.flows.get_mut(slot) else { return };
        let ports = flow.key.endpoints(flow.orig_is_low);
        let ports = (ports.0.port, ports.1.port);
        let generation = flow.generation;
        let ip_protocol = flow.key.protocol;
        let Some(detail) = flow.detail.as_deref_mut() else { return };
        detail.truncated_packets += u32::from(segment.payload.len() < segment.payload_bytes as usize);
        let ends = segment.tcp.flags & (tcp_flag::FIN | tcp_flag::RST) != 0;
        let mut expected = None;
        if let Some(connection) = detail.connection.as_deref_mut() {
            let was_closed = ends && connection.closed().is_some();
            if !is_first {
                expected = connection.half_mut(side).expected();
                connection.add(&Step::of(segment), side);
            }
            if ends && !was_closed && connection.closed().is_some() {
                self.wheel.set(Timer { slot, generation }, segment.at + self.limits.linger_ns);
            }
        }
        if segment.payload_bytes > 0 || detail.streams.is_some() {
            let has_room = self.buffered < self.limits.max_buffered_bytes;
            self.shed.payloads_not_inspected += u64::from(!has_room);
            if has_room {
                inspection::inspect(detail, segment, side, ip_protocol, ports, expected);
            }
            let held = inspection::buffered(detail);
            self.buffered = (self.buffered + held).saturating_sub(detail.buffered);
            detail.buffered = held;
        }
    }

    /// Tells why the flow in a slot is over before this segment, if it is.
    #[inline]
    fn ends_before(&self, slot: u32, segment: &Segment<'_>, from_low: bool) -> Option<EndReason> {
        let flow = self.flows.get(slot)?;
        let silence = segment.at - flow.last_at();
        if silence > self.limits.linger_ns && silence > self.limits.idle_ns(flow) {
            return Some(flow.closed().unwrap_or(EndReason::Idle));
        }
        if segment.at - flow.first_at > self.limits.active_ns {
            return Some(flow.closed().unwrap_or(EndReason::Active));
        }
        let opens =
            segment.protocol == protocol::TCP && segment.tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        if !opens {
            return None;
        }
        let connection = flow.detail.as_deref().and_then(|detail| detail.connection.as_deref());
        let side = direction(flow.orig_is_low, from_low);
        let reopened = connection.is_some_and(|connection| connection.is_reopened_by(segment.tcp.seq, side));
        (reopened || flow.detail.is_none() && flow.closed().is_some()).then(|| flow.closed().unwrap_or(EndReason::Fin))
    }

    fn start(&mut self, key: FlowKey, hash: u64, from_low: bool, segment: &Segment<'_>) -> u32 {
        if self.index.len() >= self.limits.max_flows {
            self.evict();
        }
        self.generation = self.generation.wrapping_add(1);
        let macs = self.macs.intern(segment);
        let flow = Flow::start(key, from_low, segment, macs, self.generation);
        let deadline = segment.at + self.limits.idle_ns(&flow);
        let slot = self.flows.insert(flow);
        let (flows, hasher) = (&self.flows, &self.hasher);
        let rehash = |slot: &u32| flows.get(*slot).map_or(0, |flow| hasher.hash_one(flow.key));
        self.index.insert_unique(hash, slot, rehash);
        self.wheel.set(Timer { slot, generation: self.generation }, deadline);
        slot
    }

    #[inline]
    fn expire(&mut self) {
        self.wheel.advance(self.clock, &mut self.due);
        if !self.due.is_empty() {
            self.expire_due();
        }
    }

    fn expire_due(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        for timer in due.drain(..) {
            let Some(deadline) = self.deadline(timer) else { continue };
            if deadline < self.clock {
                self.end_idle(timer.slot);
            } else {
                self.wheel.set(timer, deadline);
            }
        }
        self.due = due;
    }

    /// Returns when the flow of a timer becomes idle, unless the timer is stale.
    fn deadline(&self, timer: Timer) -> Option<i64> {
        let flow = self.flows.get(timer.slot)?;
        (flow.generation == timer.generation).then(|| flow.last_at() + self.limits.idle_ns(flow))
    }

    fn end_idle(&mut self, slot: u32) {
        let Some(flow) = self.flows.get(slot) else { return };
        let closed = flow.closed();
        self.end(slot, closed.unwrap_or(EndReason::Idle));
    }

    fn evict(&mut self) {
        for attempt in 0.. {
            let Some(timer) = self.wheel.pop_first() else { return };
            let Some(deadline) = self.deadline(timer) else { continue };
            let renewed = deadline > self.clock.saturating_add(SECOND) && attempt < EVICTION_TRIES;
            if renewed {
                self.wheel.set(timer, deadline);
                continue;
            }
            self.shed.flows_evicted += 1;
            self.end(timer.slot, EndReason::Evicted);
            return;
        }
    }

    fn end(&mut self, slot: u32, reason: EndReason) {
        let Some(flow) = self.flows.get_mut(slot) else { return };
        // A later timer of this slot must not find the flow while it waits to be taken.
        flow.generation = flow.generation.wrapping_sub(1 << 15);
        let hash = self.hasher.hash_one(flow.key);
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == slot) {
            entry.remove();
            self.ended.push_back((slot, reason));
        }
    }

    /// Ends all flows, in the order of their last packets.
    pub fn finish(&mut self) {
        let live = self.live();
        // What only further packets would need is freed first: the last flows need not wait beside it.
        self.index = HashTable::new();
        self.wheel = Wheel::new(1);
        self.entities = Entities::default();
        self.ended.reserve_exact(live.len());
        for slot in live {
            let closed = self.flows.get(slot).and_then(Flow::closed);
            self.ended.push_back((slot, closed.unwrap_or(EndReason::EndOfCapture)));
        }
        self.flows.close();
    }

    /// Takes the next flow that ended, in order of their ends.
    pub fn take_ended(&mut self) -> Option<Finished> {
        let (slot, reason) = self.ended.pop_front()?;
        let mut flow = self.flows.take(slot)?;
        let mut detail = flow.take_detail();
        inspection::finish(&mut detail);
        self.buffered = self.buffered.saturating_sub(detail.buffered);
        let macs = self.macs.get(flow.macs);
        Some(Finished { flow, detail, reason, macs })
    }

    /// Counts flows that wait to be taken.
    pub fn ended(&self) -> usize {
        self.ended.len()
    }
}

/// Interned pairs of hardware addresses (source, destination of a flow's first packet).
struct MacPairs {
    pairs: Vec<[[u8; 6]; 2]>,
    index: HashTable<u32>,
    hasher: RandomState,
    last: ([[u8; 6]; 2], u32),
}

impl Default for MacPairs {
    fn default() -> Self {
        MacPairs {
            pairs: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            last: ([[0; 6]; 2], NO_MACS),
        }
    }
}

impl MacPairs {
    fn intern(&mut self, segment: &Segment<'_>) -> u32 {
        let (Some(src), Some(dst)) = (segment.src_mac, segment.dst_mac) else { return NO_MACS };
        let pair = [src, dst];
        if self.last.0 == pair {
            return self.last.1;
        }
        let slot = self.find_or_add(pair);
        self.last = (pair, slot);
        slot
    }

    fn find_or_add(&mut self, pair: [[u8; 6]; 2]) -> u32 {
        let hash = self.hasher.hash_one(pair);
        let pairs = &self.pairs;
        if let Some(slot) = self.index.find(hash, |slot| pairs.get(*slot as usize) == Some(&pair)) {
            return *slot;
        }
        if self.pairs.len() >= MAC_PAIRS {
            return NO_MACS;
        }
        let slot = self.pairs.len() as u32;
        self.pairs.push(pair);
        let (pairs, hasher) = (&self.pairs, &self.hasher);
        self.index.insert_unique(hash, slot, |slot| pairs.get(*slot as usize).map_or(0, |pair| hasher.hash_one(pair)));
        slot
    }

    fn get(&self, slot: u32) -> Option<[[u8; 6]; 2]> {
        self.pairs.get(slot as usize).copied()
    }
}
