//! One flow under way: its packets go through connection, streams and reader, and give occasions.

use infraspectre_core::app::Direction;
use infraspectre_core::flow::key::FlowKey;
use infraspectre_core::wire::{protocol, tcp_flag, Segment};

use super::checksum;
use super::dispute::Policy;
use super::reader::{Reader, Reading, Surroundings};
use super::recognition::Recognition;
use super::stream::Stream;
use super::tcp::{Connection, Events, Readable, State, Step, Verdict};
use super::{Flow, Occasion, Packet};
use crate::field::FieldSet;
use crate::protocol::Expectation;
use crate::settings::Settings;
use crate::transaction::{index, Transaction};

/// A segment with so many hops fewer than its sender's first one does not come from where that came from.
const HOPS_IN_DOUBT: u8 = 2;
const BOTH: [Direction; 2] = [Direction::Orig, Direction::Resp];

/// What all flows share.
pub struct Shared<'a> {
    pub settings: &'a Settings,
    pub recognition: &'a Recognition,
    pub wanted: FieldSet,
}

/// What one packet brought besides its occasion.
#[derive(Default)]
pub struct Brought {
    pub expected: Vec<Expectation>,
    pub shed_bytes: u64,
}

/// A TCP connection with its streams.
struct Tcp {
    connection: Connection,
    streams: [Stream; 2],
    /// Hops left of each side's first segment.
    hops: [Option<u8>; 2],
    /// It was closed by a reset that may not have reached its receiver.
    has_doubtful_reset: bool,
}

/// A flow and all that is kept for it.
pub struct Tracked<S> {
    pub key: FlowKey,
    pub orig_is_low: bool,
    pub generation: u16,
    pub flow: Flow<S>,
    tcp: Option<Box<Tcp>>,
    reader: Reader,
    /// Numbers below which transactions were complete at an occasion of each direction.
    shown_complete: [u64; 2],
    /// Bytes that the table has counted for it.
    pub held: usize,
}

impl<S> Tracked<S> {
    /// Begins a flow.
    pub fn new(key: FlowKey, orig_is_low: bool, generation: u16, flow: Flow<S>, settings: &Settings) -> Tracked<S> {
        let tcp = (key.protocol == protocol::TCP).then(|| {
            let connection = Connection::new(settings);
            Box::new(Tcp { connection, streams: Default::default(), hops: [None; 2], has_doubtful_reset: false })
        });
        let reader = Reader::default();
        Tracked { key, orig_is_low, generation, flow, tcp, reader, shown_complete: [0; 2], held: 0 }
    }

    /// Returns the state of the TCP connection; other flows have none.
    pub fn state(&self) -> State {
        self.tcp.as_ref().map_or(State::None, |tcp| tcp.connection.state)
    }

    /// Tells whether a packet begins another connection between the same ports.
    pub fn is_reopened_by(&self, segment: &Segment<'_>, direction: Direction, settings: &Settings) -> bool {
        let Some(tcp) = self.tcp.as_ref().filter(|_| segment.tcp.flags & tcp_flag::SYN != 0) else { return false };
        tcp.connection.is_reopened_by(&Step::of(segment, direction, 0), settings)
    }

    /// Tells whether an announced connection may be this one.
    pub fn is_fresh(&self) -> bool {
        self.tcp.is_some() && self.reader.is_fresh()
    }

    /// Counts bytes of memory held for streams.
    pub fn buffered(&self) -> usize {
        self.tcp.as_ref().map_or(0, |tcp| tcp.streams.iter().map(Stream::held).sum())
    }

    /// Takes a packet into the flow and gives its occasion.
    #[inline]
    pub fn observe(
        &mut self,
        packet: &mut Packet<'_>,
        mut direction: Direction,
        has_room: bool,
        expectation: Option<Expectation>,
        shared: &Shared<'_>,
        events: &mut Events,
        each: &mut impl FnMut(Occasion<'_, S>),
    ) -> Brought {
        let mut brought = Brought::default();
        let segment = packet.segment;
        self.count(packet, direction);
        let was_established = self.flow.established;
        packet.dropped = shared.settings.checksums && !checksum::are_right(&segment);
        if let Some(expectation) = expectation {
            let (reader, mut around) = self.split(shared, events, &mut brought.expected);
            reader.expect(expectation, &mut around);
        }
        if !self.flow.bypassed {
            if self.tcp.is_some() && !packet.dropped {
                direction = self.observe_tcp(packet, direction, has_room, shared, events, &mut brought);
            } else if segment.protocol == protocol::UDP && !segment.payload.is_empty() {
                // As Suricata does: a false datagram hides none of the others.
                direction = self.observe_datagram(&segment, direction, shared, events, &mut brought);
            }
        }
        self.note_established(was_established, segment.payload_bytes > 0);
        self.note_reader();
        self.give(Some(packet), direction, false, segment.at, events, each);
        self.settle(was_established);
        brought
    }

    fn count(&mut self, packet: &Packet<'_>, direction: Direction) {
        let flow = &mut self.flow;
        flow.last = flow.last.max(packet.segment.at);
        flow.packets[index(direction)] += u64::from(packet.segment.packets);
        flow.bytes[index(direction)] += u64::from(packet.length);
    }

    /// The packet that completes a handshake is not yet one of an established connection, unless it carries data.
    fn note_established(&mut self, was_established: bool, has_data: bool) {
        let is_now = match &self.tcp {
            Some(tcp) => tcp.connection.is_established(),
            None => self.flow.packets.iter().all(|count| *count > 0),
        };
        self.flow.established = is_now && (was_established || has_data || self.tcp.is_none());
    }

    fn settle(&mut self, was_established: bool) {
        let is_now = self.tcp.as_ref().is_some_and(|tcp| tcp.connection.is_established());
        self.flow.established |= was_established || is_now;
    }

    fn note_reader(&mut self) {
        self.flow.encrypted = self.reader.is_encrypted;
        self.flow.bypassed |= self.reader.is_bypassed;
    }

    fn split<'a>(
        &'a mut self,
        shared: &Shared<'a>,
        events: &'a mut Events,
        expected: &'a mut Vec<Expectation>,
    ) -> (&'a mut Reader, Surroundings<'a>) {
        let Flow { application, transactions, orig, resp, last, .. } = &mut self.flow;
        let connection = self.tcp.as_ref().map(|tcp| &tcp.connection);
        let around = Surroundings {
            settings: shared.settings,
            recognition: shared.recognition,
            wanted: shared.wanted,
            application,
            transactions,
            events,
            expected,
            ports: (orig.port, resp.port),
            at: *last,
            is_turnable: connection.is_some_and(Connection::is_turnable),
            is_midstream: connection.is_some_and(Connection::is_midstream),
        };
        (&mut self.reader, around)
    }

    fn observe_datagram(
        &mut self,
        segment: &Segment<'_>,
        direction: Direction,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) -> Direction {
        let (reader, mut around) = self.split(shared, events, &mut brought.expected);
        if reader.datagram(direction, segment.payload, &mut around) != Reading::Turn {
            return direction;
        }
        self.turn();
        let (reader, mut around) = self.split(shared, events, &mut brought.expected);
        reader.datagram(direction.opposite(), segment.payload, &mut around);
        direction.opposite()
    }

    fn observe_tcp(
        &mut self,
        packet: &mut Packet<'_>,
        mut direction: Direction,
        has_room: bool,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) -> Direction {
        let segment = packet.segment;
        let Some(tcp) = self.tcp.as_deref_mut() else { return direction };
        let first_byte = tcp.connection.first_byte(direction);
        let step = Step::of(&segment, direction, tcp.streams[index(direction)].kept_from(first_byte));
        let hops = *tcp.hops[index(direction)].get_or_insert(segment.ttl);
        let is_doubtful = segment.ttl.saturating_add(HOPS_IN_DOUBT) <= hops;
        if tcp.has_doubtful_reset && tcp.connection.is_reset && tcp.connection.goes_on(&step) {
            tcp.connection.revive();
        }
        let verdict = tcp.connection.follow(&step, shared.settings, events);
        tcp.has_doubtful_reset |= is_doubtful && step.has(tcp_flag::RST) && tcp.connection.is_reset;
        let is_doubtful = is_doubtful || step.has(tcp_flag::SYN) && !tcp.connection.has_fast_open();
        match verdict {
            Verdict::Passed => {}
            Verdict::Refused => packet.dropped = true,
            Verdict::Turned => {
                tcp.hops.swap(0, 1);
                self.flip();
                direction = direction.opposite();
            }
            Verdict::Taken(readable) => {
                if matches!(readable, Readable::Acknowledged | Readable::Both) {
                    let acknowledged = direction.opposite();
                    if self.read(acknowledged, false, shared, events, brought) {
                        direction = direction.opposite();
                    }
                }
                self.insert(packet, direction, is_doubtful, has_room, shared, events, brought);
                let reaches_depth = self.has_just_reached_depth(direction, events);
                if matches!(readable, Readable::Own | Readable::Both) || reaches_depth {
                    let all = shared.settings.inline;
                    if self.read(direction, all, shared, events, brought) {
                        direction = direction.opposite();
                    }
                }
            }
        }
        self.note_sizes();
        direction
    }

    fn has_just_reached_depth(&self, direction: Direction, events: &Events) -> bool {
        let reached = |tcp: &Tcp| tcp.streams[index(direction)].has_reached_depth;
        self.tcp.as_deref().is_some_and(reached) && events.contains(&"stream.reassembly_depth_reached")
    }

    fn note_sizes(&mut self) {
        if let Some(tcp) = &self.tcp {
            self.flow.stream_bytes = BOTH.map(|side| u64::from(tcp.connection.sent(side)));
        }
    }

    /// Puts a segment's data into its stream.
    fn insert(
        &mut self,
        packet: &mut Packet<'_>,
        direction: Direction,
        is_doubtful: bool,
        has_room: bool,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) {
        let segment = &packet.segment;
        let Some(tcp) = self.tcp.as_deref_mut().filter(|_| segment.payload_bytes > 0) else { return };
        let first_byte = tcp.connection.first_byte(direction);
        let stream = &mut tcp.streams[index(direction)];
        if stream.is_closed() {
            return;
        }
        if !has_room {
            brought.shed_bytes += segment.payload.len() as u64;
            return;
        }
        self.reader.note_data(direction);
        stream.open(first_byte);
        let seq = segment.tcp.seq.wrapping_add(u32::from(segment.tcp.flags & tcp_flag::SYN != 0));
        let policy = if segment.ip_version == 4 { Policy::Windows } else { Policy::Bsd };
        let inserted = stream.insert(seq, segment.payload, shared.settings.depth, is_doubtful, policy);
        packet.in_stream = true;
        for (happened, event) in [
            (inserted.is_old, "stream.reassembly_segment_before_base_seq"),
            (inserted.differs, "stream.reassembly_overlap_different_data"),
            (inserted.reaches_depth, "stream.reassembly_depth_reached"),
            (inserted.is_shed, "stream.reassembly_no_segment"),
        ] {
            if happened {
                events.push(event);
            }
        }
        brought.shed_bytes += if inserted.is_shed { segment.payload.len() as u64 } else { 0 };
    }

    /// Lets the session read what is readable of a direction; tells whether the sides turned out to be exchanged.
    fn read(
        &mut self,
        mut direction: Direction,
        all: bool,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) -> bool {
        let mut has_turned = false;
        self.acknowledge(direction);
        loop {
            match self.read_once(direction, all, shared, events, brought) {
                Some(Reading::Used(0)) | None => {
                    if !self.pass_gap(direction, all, shared, events, brought) {
                        break;
                    }
                }
                Some(Reading::Used(_)) => {}
                Some(Reading::OtherFirst) => {
                    self.acknowledge(direction.opposite());
                    while let Some(Reading::Used(1..)) =
                        self.read_once(direction.opposite(), all, shared, events, brought)
                    {}
                    let (reader, _) = self.split(shared, events, &mut brought.expected);
                    reader.go_on_without_other();
                }
                Some(Reading::Turn) => {
                    self.turn();
                    direction = direction.opposite();
                    has_turned = true;
                }
            }
        }
        if std::mem::take(&mut self.reader.has_switched) {
            if let Some(tcp) = self.tcp.as_deref_mut() {
                tcp.streams[index(direction)].is_due = true;
            }
        }
        has_turned
    }

    fn acknowledge(&mut self, direction: Direction) {
        if let Some(tcp) = self.tcp.as_deref_mut() {
            let acknowledged = tcp.connection.acknowledged(direction);
            tcp.streams[index(direction)].acknowledge(acknowledged);
        }
    }

    fn read_once(
        &mut self,
        direction: Direction,
        all: bool,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) -> Option<Reading> {
        let Some(tcp) = self.tcp.as_deref_mut() else { return None };
        let has_other = tcp.streams[index(direction.opposite())].unread() > 0;
        let stream = &mut tcp.streams[index(direction)];
        let data = stream.readable(all);
        if data.is_empty() {
            return None;
        }
        let Flow { application, transactions, orig, resp, last, .. } = &mut self.flow;
        let mut around = Surroundings {
            settings: shared.settings,
            recognition: shared.recognition,
            wanted: shared.wanted,
            application,
            transactions,
            events,
            expected: &mut brought.expected,
            ports: (orig.port, resp.port),
            at: *last,
            is_turnable: tcp.connection.is_turnable(),
            is_midstream: tcp.connection.is_midstream(),
        };
        let reading = self.reader.stream(direction, data, has_other, &mut around);
        if let Reading::Used(count) = reading {
            stream.consume(count);
        }
        Some(reading)
    }

    /// Goes on behind bytes that are missing and will not come.
    fn pass_gap(
        &mut self,
        direction: Direction,
        all: bool,
        shared: &Shared<'_>,
        events: &mut Events,
        brought: &mut Brought,
    ) -> bool {
        let missing = self.tcp.as_deref().and_then(|tcp| tcp.streams[index(direction)].missing(all));
        let Some(missing) = missing else { return false };
        if !all {
            events.push("stream.reassembly_seq_gap");
        }
        let (reader, mut around) = self.split(shared, events, &mut brought.expected);
        reader.gap(direction, missing, &mut around);
        if let Some(tcp) = self.tcp.as_deref_mut() {
            tcp.streams[index(direction)].skip(missing);
        }
        true
    }

    /// Exchanges the sides of the flow and of its connection.
    fn turn(&mut self) {
        self.flip();
        if let Some(tcp) = self.tcp.as_deref_mut() {
            tcp.connection.turn();
            tcp.streams.swap(0, 1);
            tcp.hops.swap(0, 1);
        }
    }

    fn flip(&mut self) {
        self.orig_is_low = !self.orig_is_low;
        let flow = &mut self.flow;
        std::mem::swap(&mut flow.orig, &mut flow.resp);
        flow.packets.swap(0, 1);
        flow.bytes.swap(0, 1);
        self.reader.turn(&mut flow.application);
    }

    /// Gives the occasion of a packet, or of the end.
    fn give(
        &mut self,
        packet: Option<&Packet<'_>>,
        direction: Direction,
        is_end: bool,
        at: i64,
        events: &Events,
        each: &mut impl FnMut(Occasion<'_, S>),
    ) {
        let all = is_end || packet.is_some_and(|packet| packet.in_stream) && self.is_inline();
        let flow = &mut self.flow;
        let is_hidden = flow.encrypted || flow.bypassed;
        let stream = self.tcp.as_deref_mut().map(|tcp| &mut tcp.streams[index(direction)]);
        match stream.filter(|stream| !is_hidden && stream.is_window_due(all)) {
            None => each(Occasion { packet, flow, direction, at, windows: &[], events }),
            Some(stream) => {
                let views = stream.views(all);
                let windows = stream.windows(all, &views);
                each(Occasion { packet, flow, direction, at, windows: &windows, events });
                stream.note_inspected(all);
            }
        }
        self.forget(direction);
    }

    fn is_inline(&self) -> bool {
        self.tcp.as_deref().is_some_and(|tcp| tcp.connection.is_inline())
    }

    /// Lets go of bytes and transactions that nobody needs any more.
    fn forget(&mut self, direction: Direction) {
        if let Some(tcp) = self.tcp.as_deref_mut() {
            tcp.streams.iter_mut().for_each(Stream::trim);
        }
        let transactions = &mut self.flow.transactions;
        if transactions.is_empty() {
            return;
        }
        let from = self.shown_complete[index(direction)];
        let fresh = transactions.iter().skip_while(|one| one.number < from);
        let open = fresh.take_while(|one| is_complete(one)).last();
        if let Some(last) = open {
            self.shown_complete[index(direction)] = last.number + 1;
        }
        while let Some(first) = transactions.front() {
            let [orig, resp] = self.shown_complete.map(|number| number > first.number);
            let is_shown = match first.only {
                Some(Direction::Orig) => orig,
                Some(Direction::Resp) => resp,
                None => orig && resp,
            };
            if !is_shown {
                return;
            }
            transactions.pop_front();
        }
    }

    /// Ends the flow: what is left is read and inspected.
    pub fn end(mut self, at: i64, shared: &Shared<'_>, each: &mut impl FnMut(Occasion<'_, S>)) -> Brought {
        let mut brought = Brought::default();
        let mut events = Events::new();
        if self.tcp.is_none() {
            return brought;
        }
        for direction in BOTH {
            self.read(direction, true, shared, &mut events, &mut brought);
        }
        for direction in BOTH {
            let (reader, mut around) = self.split(shared, &mut events, &mut brought.expected);
            reader.end(direction, &mut around);
        }
        self.note_reader();
        let mut completes = [false; 2];
        for transaction in &mut self.flow.transactions {
            for direction in BOTH {
                completes[index(direction)] |= !is_shown_complete(transaction, direction, &self.shown_complete);
                transaction.complete(direction);
            }
        }
        for direction in BOTH {
            let has_bytes = self.tcp.as_deref().is_some_and(|tcp| tcp.streams[index(direction)].has_uninspected());
            if has_bytes || completes[index(direction)] {
                self.flow.established = true;
                self.give(None, direction, true, at, &events, each);
                events.clear();
            }
        }
        brought
    }
}

fn is_complete(transaction: &Transaction) -> bool {
    match transaction.only {
        Some(direction) => transaction.progress(direction) == crate::field::DONE,
        None => transaction.is_done(),
    }
}

fn is_shown_complete(transaction: &Transaction, direction: Direction, shown: &[u64; 2]) -> bool {
    transaction.only.is_some_and(|only| only != direction) || transaction.number < shown[index(direction)]
}
