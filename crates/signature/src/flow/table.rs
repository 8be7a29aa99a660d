//! The table of flows: finds the flow of each packet, and ends flows in time.

use std::collections::BTreeMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use infraspectre_core::app::Direction;
use infraspectre_core::flow::community_id;
use infraspectre_core::flow::identity::flow_id;
use infraspectre_core::flow::key::{direction, FlowKey};
use infraspectre_core::flow::wheel::{Timer, Wheel};
use infraspectre_core::wire::{protocol, Segment};

use super::recognition::Recognition;
use super::tcp::{Events, State};
use super::tracked::{Tracked, Work};
use super::{Application, Flow, Limits, Occasion, Packet, PacketKind};
use crate::field::FieldSet;
use crate::protocol::Expectation;
use crate::settings::Settings;

const SECOND: i64 = 1_000_000_000;
/// Connections that are expected at a time, and how long each is.
const MAX_EXPECTED: usize = 1024;
const EXPECTED_FOR: i64 = 30 * SECOND;
/// Timers looked at to find a flow that is really idle, before the next best has to go.
const EVICTION_TRIES: usize = 64;

/// A connection that a flow has announced.
struct Expected {
    /// Address of the host that listens, and of the other one.
    listener: [u8; 16],
    peer: [u8; 16],
    until: i64,
    expectation: Expectation,
}

/// The table of live flows; `S` is what its user keeps with each.
pub struct FlowTable<S> {
    settings: Arc<Settings>,
    recognition: Recognition,
    limits: Limits,
    timeouts: Timeouts,
    /// Fields that sessions keep.
    pub wanted: FieldSet,
    /// Flows in different VLANs are different flows (`vlan.use-for-tracking`).
    tracks_contexts: bool,
    slots: Vec<Option<Box<Tracked<S>>>>,
    free: Vec<u32>,
    index: HashTable<u32>,
    /// A random seed: nothing in the output depends on it, and collisions cannot be prepared.
    hasher: RandomState,
    wheel: Wheel,
    due: Vec<Timer>,
    clock: i64,
    generation: u16,
    expected: Vec<Expected>,
    events: Events,
    held: usize,
    flows_begun: u64,
    flows_evicted: u64,
    bytes_not_reassembled: u64,
}

/// How long flows may be silent (`flow-timeouts` of Suricata's configuration file).
#[derive(Clone, Copy, Debug)]
struct Timeouts {
    tcp_new: i64,
    tcp_established: i64,
    tcp_closed: i64,
    new: i64,
    established: i64,
}

impl Timeouts {
    fn new(settings: &Settings) -> Timeouts {
        let read = |name: &str, default: i64| {
            let given = settings.get(&format!("flow-timeouts.{name}")).and_then(|value| value.parse().ok());
            given.unwrap_or(default).clamp(0, 86_400) * SECOND
        };
        Timeouts {
            tcp_new: read("tcp.new", 60),
            tcp_established: read("tcp.established", 600),
            tcp_closed: read("tcp.closed", 60),
            new: read("udp.new", 30),
            established: read("udp.established", 300),
        }
    }

    fn longest_s(&self) -> usize {
        let all = [self.tcp_new, self.tcp_established, self.tcp_closed, self.new, self.established];
        usize::try_from(all.into_iter().max().unwrap_or(0) / SECOND + 1).unwrap_or(1)
    }

    fn of<S>(&self, tracked: &Tracked<S>) -> i64 {
        match (tracked.flow.transport, tracked.state()) {
            (protocol::TCP, State::Closed) => self.tcp_closed,
            (protocol::TCP, State::None | State::SynSent | State::SynReceived) => self.tcp_new,
            (protocol::TCP, _) => self.tcp_established,
            _ if tracked.flow.established => self.established,
            _ => self.new,
        }
    }
}

impl<S: Default> FlowTable<S> {
    /// Makes an empty table.
    pub fn new(settings: Arc<Settings>, limits: Limits, wanted: FieldSet) -> Self {
        let timeouts = Timeouts::new(&settings);
        FlowTable {
            recognition: Recognition::new(&settings),
            tracks_contexts: settings.is_on("vlan.use-for-tracking", true),
            settings,
            limits,
            timeouts,
            wanted,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashTable::new(),
            hasher: RandomState::default(),
            wheel: Wheel::new(timeouts.longest_s()),
            due: Vec::new(),
            clock: i64::MIN,
            generation: 0,
            expected: Vec::new(),
            events: Events::new(),
            held: 0,
            flows_begun: 0,
            flows_evicted: 0,
            bytes_not_reassembled: 0,
        }
    }

    /// Counts live flows.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Tells whether no flow is live.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Counts the flows that have begun.
    pub fn flows(&self) -> u64 {
        self.flows_begun
    }

    /// Counts what was given up for lack of room, by kind.
    pub fn shed(&self) -> BTreeMap<&'static str, u64> {
        let counts =
            [("flows_evicted", self.flows_evicted), ("stream_bytes_not_reassembled", self.bytes_not_reassembled)];
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }

    /// Takes one packet into its flow, and gives its occasion after those of flows that are over.
    ///
    /// `extra_events` are events of the decoder; `vlans` are the ids around the packet, outermost first.
    #[inline]
    pub fn observe(
        &mut self,
        segment: &Segment<'_>,
        length_on_wire: u32,
        vlans: &[u16],
        extra_events: &[&'static str],
        each: &mut impl FnMut(Occasion<'_, S>),
    ) {
        if segment.at > self.clock {
            self.clock = segment.at;
            self.expire(each);
        }
        let (mut key, from_low) = FlowKey::of(segment);
        key.context = if self.tracks_contexts { key.context } else { 0 };
        let hash = self.hasher.hash_one(key);
        let slots = &self.slots;
        let known = |slot: &u32| get(slots, *slot).is_some_and(|tracked| tracked.key() == key);
        let mut found = self.index.find(hash, known).copied();
        if let Some(slot) = found.filter(|slot| self.is_over_before(*slot, segment, from_low)) {
            self.end(slot, each);
            found = None;
        }
        let slot = match found {
            Some(slot) => slot,
            None => self.start(key, hash, from_low, segment, vlans, each),
        };
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        events.extend_from_slice(extra_events);
        let packet = Packet {
            from_fragments: segment.packets != 1,
            // The decoder's other views of a datagram stand for no packet.
            ambiguous: segment.packets == 0,
            ..Packet::new(segment, length_on_wire, PacketKind::InFlow)
        };
        self.events = self.observe_in(slot, packet, from_low, events, each);
    }

    /// Gives a packet an occasion of its own, with a flow that is forgotten at once, to be looked at alone.
    pub fn observe_alone(
        &self,
        segment: &Segment<'_>,
        length_on_wire: u32,
        vlans: &[u16],
        kind: PacketKind,
        events: &[&'static str],
        each: &mut impl FnMut(Occasion<'_, S>),
    ) {
        let (key, from_low) = FlowKey::of(segment);
        let mut flow = new_flow(&key, from_low, segment, vlans);
        flow.packets[0] = 1;
        flow.bytes[0] = length_on_wire.into();
        let packet = Packet::new(segment, length_on_wire, kind);
        let (flow, at, direction) = (&mut flow, segment.at, Direction::Orig);
        each(Occasion { packet: Some(&packet), flow, direction, at, windows: &[], appended: None, events });
    }

    #[inline]
    fn observe_in(
        &mut self,
        slot: u32,
        mut packet: Packet<'_>,
        from_low: bool,
        events: Events,
        each: &mut impl FnMut(Occasion<'_, S>),
    ) -> Events {
        let has_room = self.held < self.limits.bytes;
        let mut work = work(&self.settings, &self.recognition, self.wanted, has_room, events);
        let Some(tracked) = self.slots.get_mut(slot as usize).and_then(Option::as_deref_mut) else {
            return work.events;
        };
        let side = direction(tracked.orig_is_low, from_low);
        if !self.expected.is_empty() && !packet.segment.payload.is_empty() && tracked.is_fresh() {
            if let Some(expectation) = claim(&mut self.expected, packet.segment) {
                tracked.expect(expectation, &mut work);
            }
        }
        let (timeout, held) = (self.timeouts.of(tracked), tracked.buffered());
        tracked.observe(&mut packet, side, &mut work, each);
        self.held = (self.held + tracked.buffered()).saturating_sub(held);
        // A timer that fires too early is set again; one that would fire too late needs another before it.
        let shorter = self.timeouts.of(tracked);
        if shorter < timeout {
            let timer = Timer { slot, generation: tracked.generation };
            self.wheel.set(timer, tracked.flow.last.saturating_add(shorter));
        }
        let Work { events, expected, shed_bytes, .. } = work;
        let ends = (tracked.flow.orig.address, tracked.flow.resp.address);
        self.take_in(expected, shed_bytes, ends);
        events
    }

    /// Remembers what a flow has announced, and counts what it lost.
    #[inline]
    fn take_in(&mut self, expected: Vec<Expectation>, shed_bytes: u64, (orig, resp): ([u8; 16], [u8; 16])) {
        self.bytes_not_reassembled += shed_bytes;
        if expected.is_empty() {
            return;
        }
        let clock = self.clock;
        self.expected.retain(|one| one.until >= clock);
        for expectation in expected {
            if self.expected.len() >= MAX_EXPECTED {
                self.expected.remove(0);
            }
            let (listener, peer) = match expectation.listener {
                Direction::Orig => (orig, resp),
                Direction::Resp => (resp, orig),
            };
            let until = clock.saturating_add(EXPECTED_FOR);
            self.expected.push(Expected { listener, peer, until, expectation });
        }
    }

    /// Tells whether the flow in a slot is over before a packet.
    #[inline]
    fn is_over_before(&self, slot: u32, segment: &Segment<'_>, from_low: bool) -> bool {
        let Some(tracked) = get(&self.slots, slot) else { return false };
        let silence = segment.at.saturating_sub(tracked.flow.last);
        let side = direction(tracked.orig_is_low, from_low);
        silence > SECOND && silence > self.timeouts.of(tracked) || tracked.is_reopened_by(segment, side, &self.settings)
    }

    fn start(
        &mut self,
        key: FlowKey,
        hash: u64,
        from_low: bool,
        segment: &Segment<'_>,
        vlans: &[u16],
        each: &mut impl FnMut(Occasion<'_, S>),
    ) -> u32 {
        if self.index.len() >= self.limits.flows.max(1) {
            self.evict(each);
        }
        self.generation = self.generation.wrapping_add(1);
        self.flows_begun += 1;
        let flow = new_flow(&key, from_low, segment, vlans);
        let tracked = Box::new(Tracked::new(&key, from_low, self.generation, flow, &self.settings));
        let deadline = segment.at.saturating_add(self.timeouts.of(&tracked));
        let slot = self.place(tracked);
        let (slots, hasher) = (&self.slots, &self.hasher);
        let rehash = |slot: &u32| get(slots, *slot).map_or(0, |tracked| hasher.hash_one(tracked.key()));
        self.index.insert_unique(hash, slot, rehash);
        self.wheel.set(Timer { slot, generation: self.generation }, deadline);
        slot
    }

    fn place(&mut self, tracked: Box<Tracked<S>>) -> u32 {
        match self.free.pop() {
            Some(slot) => {
                if let Some(place) = self.slots.get_mut(slot as usize) {
                    *place = Some(tracked);
                }
                slot
            }
            None => {
                self.slots.push(Some(tracked));
                (self.slots.len() - 1) as u32
            }
        }
    }

    /// Ends the flows whose time is over.
    #[inline]
    fn expire(&mut self, each: &mut impl FnMut(Occasion<'_, S>)) {
        self.wheel.advance(self.clock, &mut self.due);
        if !self.due.is_empty() {
            self.expire_due(each);
        }
    }

    #[cold]
    fn expire_due(&mut self, each: &mut impl FnMut(Occasion<'_, S>)) {
        let mut due = std::mem::take(&mut self.due);
        let mut over = Vec::new();
        for timer in due.drain(..) {
            let Some(deadline) = self.deadline(timer) else { continue };
            if deadline < self.clock {
                over.push(timer.slot);
            } else {
                self.wheel.set(timer, deadline);
            }
        }
        self.due = due;
        self.end_in_order(over, each);
    }

    /// Returns when the flow of a timer becomes idle, unless the timer is stale.
    fn deadline(&self, timer: Timer) -> Option<i64> {
        let tracked = get(&self.slots, timer.slot)?;
        (tracked.generation == timer.generation).then(|| tracked.flow.last.saturating_add(self.timeouts.of(tracked)))
    }

    fn evict(&mut self, each: &mut impl FnMut(Occasion<'_, S>)) {
        for attempt in 0.. {
            let Some(timer) = self.wheel.pop_first() else { return };
            let Some(deadline) = self.deadline(timer) else { continue };
            if deadline > self.clock.saturating_add(SECOND) && attempt < EVICTION_TRIES {
                self.wheel.set(timer, deadline);
                continue;
            }
            self.flows_evicted += 1;
            return self.end(timer.slot, each);
        }
    }

    fn end(&mut self, slot: u32, each: &mut impl FnMut(Occasion<'_, S>)) {
        let Some(tracked) = self.slots.get_mut(slot as usize).and_then(Option::take) else { return };
        let hash = self.hasher.hash_one(tracked.key());
        if let Ok(entry) = self.index.find_entry(hash, |known| *known == slot) {
            entry.remove();
        }
        self.free.push(slot);
        self.held = self.held.saturating_sub(tracked.buffered());
        let ends = (tracked.flow.orig.address, tracked.flow.resp.address);
        let mut work = work(&self.settings, &self.recognition, self.wanted, true, Events::new());
        tracked.end(self.clock, &mut work, each);
        let Work { expected, shed_bytes, .. } = work;
        self.take_in(expected, shed_bytes, ends);
    }

    fn end_in_order(&mut self, mut over: Vec<u32>, each: &mut impl FnMut(Occasion<'_, S>)) {
        over.sort_unstable_by_key(|slot| get(&self.slots, *slot).map(|tracked| (tracked.flow.start, tracked.flow.id)));
        over.dedup();
        for slot in over {
            self.end(slot, each);
        }
    }

    /// Ends every flow, in the order in which they began.
    pub fn finish(&mut self, each: &mut impl FnMut(Occasion<'_, S>)) {
        let live = self.index.iter().copied().collect();
        self.end_in_order(live, each);
    }
}

/// Begins a flow with its first packet.
fn new_flow<S: Default>(key: &FlowKey, from_low: bool, segment: &Segment<'_>, vlans: &[u16]) -> Flow<S> {
    let (orig, resp) = key.endpoints(from_low);
    let community = community_id::digest(orig, resp, key.protocol, key.ip_version);
    Flow {
        id: flow_id(&community, key.context, segment.at, segment.number),
        orig,
        resp,
        ip_version: segment.ip_version,
        transport: segment.protocol,
        vlans: vlans.into(),
        start: segment.at,
        last: segment.at,
        packets: [0; 2],
        bytes: [0; 2],
        stream_bytes: [0; 2],
        established: false,
        application: Application::default(),
        transactions: Default::default(),
        frames: Vec::new(),
        bypassed: false,
        is_exempt: false,
        encrypted: false,
        revision: 0,
        state: S::default(),
    }
}

fn work<'a>(
    settings: &'a Settings,
    recognition: &'a Recognition,
    wanted: FieldSet,
    has_room: bool,
    events: Events,
) -> Work<'a> {
    Work { settings, recognition, wanted, has_room, events, expected: Vec::new(), shed_bytes: 0 }
}

#[inline]
fn get<S>(slots: &[Option<Box<Tracked<S>>>], slot: u32) -> Option<&Tracked<S>> {
    slots.get(slot as usize)?.as_deref()
}

/// Takes out what was announced of the connection that a packet belongs to.
fn claim(expected: &mut Vec<Expected>, segment: &Segment<'_>) -> Option<Expectation> {
    let fits = |one: &Expected| {
        let to_listener = segment.dst == one.listener && segment.src == one.peer;
        let from_listener = segment.src == one.listener && segment.dst == one.peer;
        one.until >= segment.at
            && (to_listener && segment.dst_port == one.expectation.port
                || from_listener && segment.src_port == one.expectation.port)
    };
    let at = expected.iter().position(fits)?;
    Some(expected.remove(at).expectation)
}
