//! One flow under way: its packets go through connection, streams and reader, and give occasions.

use infraspectre_core::app::Direction;
use infraspectre_core::flow::key::FlowKey;
use infraspectre_core::wire::{protocol, tcp_flag, Segment};

use super::channel::Channel;
use super::checksum;
use super::reader::{Reader, Reading, Surroundings};
use super::recognition::Recognition;
use super::stream::Stream;
use super::tcp::{Connection, Events, Readable, State, Step, Verdict};
use super::{Flow, Occasion, Packet, Window};
use crate::field::{FieldSet, DONE};
use crate::protocol::Expectation;
use crate::settings::Settings;
use crate::transaction::{index, Transaction};

/// Transactions that are kept although one of the sides says nothing.
const MAX_TRANSACTIONS: usize = 2048;
const BOTH: [Direction; 2] = [Direction::Orig, Direction::Resp];

/// What a packet is worked on with, and what it brings besides its occasion.
pub struct Work<'a> {
    pub settings: &'a Settings,
    pub recognition: &'a Recognition,
    pub wanted: FieldSet,
    /// There is memory for more of the streams.
    pub has_room: bool,
    pub events: Events,
    /// Connections that were announced.
    pub expected: Vec<Expectation>,
    pub shed_bytes: u64,
}

/// A flow and all that is kept for it.
pub struct Tracked<S> {
    /// Index of the VLAN and tunnel context.
    context: u16,
    pub orig_is_low: bool,
    pub generation: u16,
    pub flow: Flow<S>,
    channel: Option<Box<Channel>>,
    /// None before there is data.
    reader: Option<Box<Reader>>,
    /// Directions whose session was told that they have come to their end.
    has_ended: [bool; 2],
    /// Whether windows of the stream are no longer given.
    is_hidden: bool,
}

impl<S> Tracked<S> {
    /// Begins a flow.
    pub fn new(key: &FlowKey, orig_is_low: bool, generation: u16, flow: Flow<S>, settings: &Settings) -> Tracked<S> {
        let channel = (key.protocol == protocol::TCP).then(|| Box::new(Channel::new(settings)));
        Tracked {
            context: key.context,
            orig_is_low,
            generation,
            flow,
            channel,
            reader: None,
            has_ended: [false; 2],
            is_hidden: false,
        }
    }

    /// Returns what the table finds it by.
    #[inline]
    pub fn key(&self) -> FlowKey {
        let flow = &self.flow;
        let (low, high) = if self.orig_is_low { (flow.orig, flow.resp) } else { (flow.resp, flow.orig) };
        FlowKey { low, high, context: self.context, protocol: flow.transport, ip_version: flow.ip_version }
    }

    /// Returns the state of the TCP connection; other flows have none.
    #[inline]
    pub fn state(&self) -> State {
        self.connection().map_or(State::None, |connection| connection.state)
    }

    /// Returns what a side has sent over TCP, if anything.
    fn stream(&self, direction: Direction) -> Option<&Stream> {
        self.channel.as_deref()?.stream(direction)
    }

    fn connection(&self) -> Option<&Connection> {
        self.channel.as_ref().map(|channel| &channel.connection)
    }

    /// Tells whether a packet begins another connection between the same ports.
    #[inline]
    pub fn is_reopened_by(&self, segment: &Segment<'_>, direction: Direction, settings: &Settings) -> bool {
        segment.tcp.flags & tcp_flag::SYN != 0
            && self
                .connection()
                .is_some_and(|connection| connection.is_reopened_by(&Step::of(segment, direction, 0), settings))
    }

    /// Tells whether an announced connection may be this one.
    pub fn is_fresh(&self) -> bool {
        self.channel.is_some() && self.reader.as_deref().is_none_or(Reader::is_fresh)
    }

    /// Counts bytes of memory held for streams.
    #[inline]
    pub fn buffered(&self) -> usize {
        self.channel.as_ref().map_or(0, |channel| channel.held())
    }

    /// Makes the flow one that a control connection has announced.
    pub fn expect(&mut self, expectation: Expectation, work: &mut Work<'_>) {
        let (reader, mut around) = self.split(work);
        reader.expect(expectation, &mut around);
    }

    /// Takes a packet into the flow and gives its occasion.
    #[inline]
    pub fn observe(
        &mut self,
        packet: &mut Packet<'_>,
        direction: Direction,
        work: &mut Work<'_>,
        each: &mut impl FnMut(Occasion<'_, S>),
    ) {
        self.count(packet, direction);
        let was_established = self.flow.established;
        self.flow.is_exempt |= self.channel.is_some() && self.is_excepted(packet.segment, work.settings);
        packet.dropped = work.settings.checksums && !checksum::are_right(packet.segment);
        let direction = self.take_in(packet, direction, work);
        self.note_established(was_established, packet.segment.payload_bytes > 0);
        self.give(Some(packet), direction, packet.segment.at, work, each);
        self.flow.established |= was_established || self.connection().is_some_and(Connection::is_established);
    }

    /// Tells whether a connection begins in its middle, and a policy says not to look at such.
    fn is_excepted(&self, segment: &Segment<'_>, settings: &Settings) -> bool {
        let is_first = self.flow.packets.iter().sum::<u64>() == u64::from(segment.packets);
        let opens = segment.tcp.flags & (tcp_flag::SYN | tcp_flag::ACK) == tcp_flag::SYN;
        is_first && !opens && segment.tcp.flags & tcp_flag::RST == 0 && settings.excepts_midstream()
    }

    fn count(&mut self, packet: &Packet<'_>, direction: Direction) {
        let flow = &mut self.flow;
        flow.last = flow.last.max(packet.segment.at);
        flow.packets[index(direction)] += u64::from(packet.segment.packets);
        flow.bytes[index(direction)] += if packet.ambiguous { 0 } else { packet.length.into() };
    }

    /// Reads a packet; returns its direction, which the packet itself may show to be the other one.
    #[inline]
    fn take_in(&mut self, packet: &mut Packet<'_>, direction: Direction, work: &mut Work<'_>) -> Direction {
        let segment = packet.segment;
        if self.flow.bypassed || self.flow.is_exempt {
            return direction;
        }
        if self.channel.is_some() {
            return if packet.dropped { direction } else { self.take_segment(packet, direction, work) };
        }
        // A datagram with a wrong checksum is read, as Suricata does: it hides none of the others.
        if segment.protocol == protocol::UDP && !segment.payload.is_empty() {
            return self.take_datagram(segment, direction, work);
        }
        direction
    }

    /// The packet that completes a handshake is not yet one of an established connection, unless it carries data.
    fn note_established(&mut self, was_established: bool, has_data: bool) {
        self.flow.established = match self.connection() {
            Some(connection) => connection.is_established() && (was_established || has_data),
            None => self.flow.packets.iter().all(|count| *count > 0),
        };
        if let Some(reader) = &self.reader {
            self.flow.encrypted = reader.is_encrypted;
            self.flow.bypassed |= reader.is_bypassed;
        }
    }

    fn split<'a>(&'a mut self, work: &'a mut Work<'_>) -> (&'a mut Reader, Surroundings<'a>) {
        let connection = self.channel.as_ref().map(|channel| &channel.connection);
        (self.reader.get_or_insert_default(), surroundings(&mut self.flow, connection, work))
    }

    fn take_datagram(&mut self, segment: &Segment<'_>, direction: Direction, work: &mut Work<'_>) -> Direction {
        let (reader, mut around) = self.split(work);
        let before = reader.next_number();
        let mut direction = direction;
        if reader.datagram(direction, segment.payload, &mut around) == Reading::Turn {
            self.turn();
            direction = direction.opposite();
            let (reader, mut around) = self.split(work);
            reader.datagram(direction, segment.payload, &mut around);
        }
        if segment.packets == 0 {
            let new = self.flow.transactions.iter_mut().filter(|one| one.number >= before);
            new.for_each(|transaction| transaction.is_ambiguous = true);
        }
        direction
    }

    #[inline]
    fn take_segment(&mut self, packet: &mut Packet<'_>, mut direction: Direction, work: &mut Work<'_>) -> Direction {
        let Some(channel) = self.channel.as_deref_mut() else { return direction };
        let (verdict, is_doubtful) = channel.follow(packet.segment, direction, work.settings, &mut work.events);
        match verdict {
            Verdict::Passed => {}
            Verdict::Refused => packet.dropped = true,
            Verdict::Turned => {
                self.flip();
                direction = direction.opposite();
            }
            Verdict::Taken(readable) => {
                if readable != Readable::Own && self.read(direction.opposite(), false, work) {
                    direction = direction.opposite();
                }
                if readable != Readable::Own {
                    self.end_stream(direction.opposite(), work);
                }
                let is_full = self.insert(packet, direction, is_doubtful, work);
                let is_own = readable != Readable::Acknowledged || is_full;
                if is_own && self.read(direction, work.settings.inline, work) {
                    direction = direction.opposite();
                }
                if readable != Readable::Acknowledged {
                    self.end_stream(direction, work);
                }
            }
        }
        if let Some(channel) = &self.channel {
            let sent = |side| u64::from(channel.connection.sent(side));
            self.flow.stream_bytes = [sent(Direction::Orig), sent(Direction::Resp)];
        }
        direction
    }

    /// Puts a segment's data into its stream; tells whether that must be read now, acknowledged or not.
    #[inline]
    fn insert(
        &mut self,
        packet: &mut Packet<'_>,
        direction: Direction,
        is_doubtful: bool,
        work: &mut Work<'_>,
    ) -> bool {
        let length = packet.segment.payload.len();
        // What comes with a reset says why it was sent, and is no part of the stream (RFC 9293, 3.5.3).
        let has_data = length > 0 && packet.segment.tcp.flags & tcp_flag::RST == 0;
        let Some(channel) = self.channel.as_deref_mut().filter(|_| has_data) else { return false };
        if !work.has_room {
            work.shed_bytes += length as u64;
            return false;
        }
        self.reader.get_or_insert_default().note_data(direction);
        let inserted = channel.insert(packet, direction, is_doubtful, work.settings, &mut work.events);
        self.flow.revision += u32::from(inserted.differs);
        inserted.reaches_depth || inserted.is_crowded
    }

    /// Lets the session read what is readable of a direction; tells whether the sides turned out to be exchanged.
    #[inline]
    fn read(&mut self, mut direction: Direction, all: bool, work: &mut Work<'_>) -> bool {
        let mut has_turned = false;
        if let Some(channel) = self.channel.as_deref_mut() {
            channel.acknowledge(direction);
        }
        loop {
            match self.read_once(direction, all, work) {
                Some(Reading::Used(0)) | None if self.pass_gap(direction, all, work) => {}
                Some(Reading::Used(0)) | None => break,
                Some(Reading::Used(_)) => {}
                Some(Reading::OtherFirst) => self.read_other_first(direction.opposite(), all, work),
                Some(Reading::Turn) => {
                    self.turn();
                    direction = direction.opposite();
                    has_turned = true;
                }
            }
        }
        self.note_news(direction);
        has_turned
    }

    /// Tells the session that a direction has come to its end, where both sides are closing and all of it was read; a
    /// reset is no such end, for it may be forged.
    fn end_stream(&mut self, direction: Direction, work: &mut Work<'_>) {
        let is_closed = self.state() >= State::Closing && self.connection().is_some_and(|own| !own.is_reset);
        let is_over = is_closed && self.flow.application.protocol.is_some();
        let is_read = self.stream(direction).is_none_or(|stream| stream.unread() == 0);
        if is_over && is_read && !std::mem::replace(&mut self.has_ended[index(direction)], true) {
            let (reader, mut around) = self.split(work);
            reader.end(direction, &mut around);
            self.note_news(direction);
        }
    }

    /// Lets the stream be inspected where its session has news.
    fn note_news(&mut self, direction: Direction) {
        if self.reader.as_deref_mut().is_some_and(|reader| std::mem::take(&mut reader.has_news)) {
            if let Some(stream) = self.channel.as_deref_mut().and_then(|channel| channel.stream_mut(direction)) {
                stream.is_due = true;
            }
        }
    }

    fn read_other_first(&mut self, other: Direction, all: bool, work: &mut Work<'_>) {
        if let Some(channel) = self.channel.as_deref_mut() {
            channel.acknowledge(other);
        }
        while let Some(Reading::Used(1..)) = self.read_once(other, all, work) {}
        self.reader.get_or_insert_default().go_on_without_other();
    }

    #[inline]
    fn read_once(&mut self, direction: Direction, all: bool, work: &mut Work<'_>) -> Option<Reading> {
        let channel = self.channel.as_deref_mut()?;
        let data = channel.stream(direction)?.readable(all);
        if data.is_empty() {
            return None;
        }
        let has_other = channel.stream(direction.opposite()).is_some_and(|other| other.unread() > 0);
        let mut around = surroundings(&mut self.flow, Some(&channel.connection), work);
        let reading = self.reader.get_or_insert_default().stream(direction, data, has_other, &mut around);
        if let Reading::Used(count) = reading {
            channel.stream_mut(direction)?.consume(count);
        }
        Some(reading)
    }

    /// Goes on behind bytes that are missing and will not come.
    fn pass_gap(&mut self, direction: Direction, all: bool, work: &mut Work<'_>) -> bool {
        let Some(stream) = self.channel.as_deref_mut().and_then(|channel| channel.stream_mut(direction)) else {
            return false;
        };
        let Some(end) = stream.gap_end(all) else { return false };
        let missing = stream.skip_to(end);
        if !all {
            work.events.push("stream.reassembly_seq_gap");
        }
        let (reader, mut around) = self.split(work);
        reader.gap(direction, missing, &mut around);
        true
    }

    /// Exchanges the sides of the flow and of its connection.
    fn turn(&mut self) {
        self.flip();
        if let Some(channel) = self.channel.as_deref_mut() {
            channel.turn();
        }
    }

    fn flip(&mut self) {
        self.orig_is_low = !self.orig_is_low;
        let flow = &mut self.flow;
        flow.revision += 1;
        std::mem::swap(&mut flow.orig, &mut flow.resp);
        flow.packets.swap(0, 1);
        flow.bytes.swap(0, 1);
        if let Some(reader) = &mut self.reader {
            reader.turn(&mut flow.application);
        }
    }

    /// Gives the occasion of a packet, or of the end.
    #[inline]
    fn give(
        &mut self,
        packet: Option<&Packet<'_>>,
        direction: Direction,
        at: i64,
        work: &mut Work<'_>,
        each: &mut impl FnMut(Occasion<'_, S>),
    ) {
        let all = packet.is_none_or(|packet| packet.in_stream && work.settings.inline);
        let was_hidden = std::mem::replace(&mut self.is_hidden, self.flow.encrypted || self.flow.bypassed);
        // What came before the bytes that are hidden from now on is looked at now, and the rest is not kept.
        let all = all || !was_hidden && self.is_hidden;
        if let Some(channel) = self.channel.as_deref_mut().filter(|_| was_hidden) {
            channel.streams_mut().for_each(|stream| stream.note_inspected(true));
        }
        // What the receiver drops is not the time to look at what others have brought.
        let is_dropped = packet.is_some_and(|packet| packet.dropped);
        let channel = self.channel.as_deref_mut().filter(|_| !is_dropped);
        let stream = channel.and_then(|channel| channel.stream_mut(direction));
        let new = packet.filter(|packet| packet.is_appended && !was_hidden).map(|packet| packet.segment.payload.len());
        match stream {
            None => {
                let (flow, events) = (&mut self.flow, &work.events);
                each(Occasion { packet, flow, direction, at, windows: &[], appended: None, events });
            }
            Some(stream) if !stream.is_window_due(all) => {
                let (flow, events, appended) = (&mut self.flow, &work.events, new.map(|new| stream.appended(new)));
                each(Occasion { packet, flow, direction, at, windows: &[], appended, events });
            }
            Some(stream) => {
                let views = stream.views(all);
                for view in views.iter().filter(|view| view.offset == 0) {
                    let reader = self.reader.get_or_insert_default();
                    reader.read_view(direction, &view.data, &mut surroundings(&mut self.flow, None, work));
                }
                let (flow, events) = (&mut self.flow, &work.events);
                let appended = new.map(|new| stream.appended(new));
                let mut show = |windows: &[Window<'_>]| {
                    each(Occasion { packet, flow: &mut *flow, direction, at, windows, appended, events });
                };
                match stream.only_window(all).filter(|_| views.is_empty()) {
                    Some(window) => show(&[window]),
                    None => show(&stream.windows(all, &views)),
                }
                stream.note_inspected(all);
            }
        }
        if let Some(channel) = self.channel.as_deref_mut() {
            channel.trim(self.is_hidden);
        }
        if !is_dropped {
            self.forget_transactions(direction);
        }
    }

    /// Lets go of transactions that were complete at an occasion of each of their directions.
    #[inline]
    fn forget_transactions(&mut self, direction: Direction) {
        let transactions = &mut self.flow.transactions;
        let Some(reader) = self.reader.as_deref_mut().filter(|_| !transactions.is_empty()) else { return };
        let shown = &mut reader.shown_complete;
        let first = transactions.front().map_or(0, |one| one.number);
        let from = usize::try_from(shown[index(direction)].saturating_sub(first)).unwrap_or(usize::MAX);
        let fresh = transactions.range(from.min(transactions.len())..);
        if let Some(last) = fresh.take_while(|one| is_complete(one, direction)).last() {
            shown[index(direction)] = last.number + 1;
        }
        while transactions.len() > MAX_TRANSACTIONS
            || transactions.front().is_some_and(|first| BOTH.iter().all(|side| is_shown(first, *side, shown)))
        {
            transactions.pop_front();
        }
    }

    /// Ends the flow: what is left is read and inspected.
    pub fn end(mut self, at: i64, work: &mut Work<'_>, each: &mut impl FnMut(Occasion<'_, S>)) {
        if self.channel.is_none() {
            return;
        }
        let is_open = !matches!(self.state(), State::None | State::SynSent | State::SynReceived | State::Closed);
        self.flow.established = true;
        for direction in BOTH {
            self.read(direction, true, work);
            if !self.has_ended[index(direction)] {
                let (reader, mut around) = self.split(work);
                reader.end(direction, &mut around);
            }
            let reader = self.reader.get_or_insert_default();
            self.flow.encrypted = reader.is_encrypted;
            let shown = reader.shown_complete;
            let has_news = self.flow.transactions.iter().any(|one| !is_shown(one, direction, &shown));
            self.flow.transactions.iter_mut().for_each(|transaction| transaction.complete(direction));
            let has_bytes = self.stream(direction).is_some_and(Stream::has_uninspected);
            if is_open || has_bytes || has_news {
                self.give(None, direction, at, work, each);
                work.events.clear();
            }
        }
    }
}

fn surroundings<'a, S>(
    flow: &'a mut Flow<S>,
    connection: Option<&Connection>,
    work: &'a mut Work<'_>,
) -> Surroundings<'a> {
    Surroundings {
        settings: work.settings,
        recognition: work.recognition,
        wanted: work.wanted,
        application: &mut flow.application,
        transactions: &mut flow.transactions,
        frames: &mut flow.frames,
        events: &mut work.events,
        expected: &mut work.expected,
        ports: (flow.orig.port, flow.resp.port),
        at: flow.last,
        is_turnable: connection.is_some_and(Connection::is_turnable),
        is_midstream: connection.is_some_and(Connection::is_midstream),
    }
}

/// Tells whether a transaction is complete in a direction, as far as it is of that.
fn is_complete(transaction: &Transaction, direction: Direction) -> bool {
    transaction.only.is_some_and(|only| only != direction) || transaction.progress(direction) == DONE
}

/// Tells whether a transaction was complete at an occasion of a direction, or is not of that direction.
fn is_shown(transaction: &Transaction, direction: Direction, shown: &[u64; 2]) -> bool {
    transaction.only.is_some_and(|only| only != direction) || transaction.number < shown[index(direction)]
}
