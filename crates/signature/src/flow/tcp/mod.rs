//! A TCP connection: which segments its receivers take, and what is odd about the others.
//!
//! States, checks and the names of events are those of Suricata 8 (user guide; `stream-tcp.c`), whose states are those
//! of RFC 9293 as an observer between both hosts can tell them: [`State::CloseWait`] and [`State::LastAck`] follow a
//! FIN of the client, [`State::FinWait1`] one of the server.

mod closing;
mod opening;
mod options;
#[cfg(test)]
mod tests;
mod validity;

use infraspectre_core::app::Direction;
use infraspectre_core::wire::{tcp_flag, Segment};

pub use self::options::Options;
use self::options::MAX_SCALE;
use crate::settings::Settings;
use crate::transaction::index;

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// No connection is followed: nothing has opened one.
    #[default]
    None,
    SynSent,
    SynReceived,
    Established,
    FinWait1,
    FinWait2,
    TimeWait,
    LastAck,
    CloseWait,
    Closing,
    Closed,
}

/// Whose data has become readable by a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readable {
    /// What the other side has sent, for the segment acknowledges it.
    Acknowledged,
    /// What the sender has sent, for nothing will be acknowledged any more.
    Own,
    Both,
}

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Its data goes into the stream.
    Taken(Readable),
    /// It changes nothing that a stream could see.
    Passed,
    /// The receiver drops it.
    Refused,
    /// It shows that the sides are the other way round: its sender is the server.
    Turned,
}

/// Names of events of one packet.
pub type Events = Vec<&'static str>;

/// What the connection needs to know of one segment.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub direction: Direction,
    /// Capture time in seconds since the Unix epoch, which 32 bits hold until 2106.
    pub seconds: u32,
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    /// Bytes of payload.
    pub length: u32,
    pub options: Options,
    /// Sequence number of the first byte of the sender that is still kept.
    pub kept_from: u32,
}

impl Step {
    /// Takes from a segment what the connection needs.
    #[inline]
    pub fn of(segment: &Segment<'_>, direction: Direction, kept_from: u32) -> Step {
        Step {
            direction,
            seconds: segment.at.div_euclid(1_000_000_000).clamp(0, u32::MAX.into()) as u32,
            seq: segment.tcp.seq,
            ack: segment.tcp.ack,
            flags: segment.tcp.flags,
            window: segment.tcp.window,
            length: segment.payload_bytes,
            options: Options::read(segment.tcp.options),
            kept_from,
        }
    }

    /// Tells whether all of some flags are set.
    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// Returns the sequence number after the payload.
    #[inline]
    fn end(&self) -> u32 {
        self.seq.wrapping_add(self.length)
    }

    fn is_plain(&self) -> bool {
        self.flags & (tcp_flag::SYN | tcp_flag::FIN | tcp_flag::RST) == 0
    }

    fn is_to_server(&self) -> bool {
        self.direction == Direction::Orig
    }
}

/// One side of a connection as a sender.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// Initial sequence number.
    initial: u32,
    /// Sequence number expected next.
    next: u32,
    /// What the other side has acknowledged last.
    acknowledged: u32,
    /// What the other side's window allows to send.
    window: u32,
    window_scale: u8,
    /// End of what the largest window has allowed so far.
    limit: u32,
    /// Last timestamp and when it came, in seconds.
    timestamp: u32,
    stamped_at: u32,
    has_timestamp: bool,
    began_at_zero: bool,
    /// It sent a segment that keeps the connection alive, which waits for an answer.
    keeps_alive: bool,
    /// It was told of a reset that nobody but it can judge.
    reset_in_doubt: bool,
    /// It probes a window of nothing.
    probes: bool,
    has_spoken: bool,
}

/// A SYN/ACK, or what of a SYN is used when its SYN/ACK comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Offer {
    seq: u32,
    ack: u32,
    window: u16,
    window_scale: Option<u8>,
    timestamp: Option<u32>,
    seconds: u32,
}

/// What was offered besides the SYN or SYN/ACK in use.
#[derive(Debug, Default)]
struct Others {
    /// A SYN/ACK whose timestamp is wrong, which the client may take nevertheless.
    doubted: Option<Offer>,
    /// SYNs, then SYN/ACKs, that differ from the one in use.
    offers: Vec<Offer>,
}

/// The state of a TCP connection.
#[derive(Debug, Default)]
pub struct Connection {
    pub state: State,
    /// Data is read before it is acknowledged.
    is_inline: bool,
    before: State,
    /// By direction of what they send.
    sides: [Side; 2],
    /// Both sides use timestamps.
    is_stamped: bool,
    is_midstream: bool,
    /// It was picked up at a SYN/ACK.
    from_syn_ack: bool,
    /// The server has said nothing since a pick-up.
    lacks_server_window: bool,
    /// Only one side is seen.
    is_one_sided: bool,
    is_crossed: bool,
    has_fast_open: bool,
    fast_open_ignored: bool,
    /// The SYN in use offers to scale windows.
    offers_scale: bool,
    /// The server has answered after the handshake.
    is_confirmed: bool,
    pub is_reset: bool,
    /// Both sides as they were before a reset.
    before_reset: Option<Box<[Side; 2]>>,
    /// What was offered besides the SYN or SYN/ACK in use, if anything.
    others: Option<Box<Others>>,
}

/// Tells whether a sequence number comes before another.
#[inline]
pub(super) fn before(one: u32, other: u32) -> bool {
    (one.wrapping_sub(other) as i32) < 0
}

/// Tells whether a sequence number is at or after another.
#[inline]
pub(super) fn reaches(one: u32, other: u32) -> bool {
    !before(one, other)
}

impl Connection {
    /// Makes one that nothing was seen of.
    pub fn new(settings: &Settings) -> Connection {
        Connection { is_inline: settings.inline, ..Connection::default() }
    }

    /// Follows one segment, and says what its receiver makes of it.
    #[inline]
    pub fn follow(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        self.note_speaker(step);
        if !step.has(tcp_flag::ACK) && step.ack != 0 {
            events.push("stream.pkt_broken_ack");
        }
        if self.state == State::None {
            return self.begin(step, settings, events);
        }
        let verdict = if self.is_idle_talk(step, events) {
            Verdict::Passed
        } else {
            self.dispatch(self.state, step, settings, events)
        };
        if verdict != Verdict::Refused {
            self.doubt_reset(step, events);
        }
        verdict
    }

    fn note_speaker(&mut self, step: &Step) {
        self.side_mut(step.direction).has_spoken = true;
        if self.is_one_sided && self.sides.iter().all(|side| side.has_spoken) {
            self.is_one_sided = false;
        }
    }

    fn dispatch(&mut self, state: State, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        match state {
            State::None => Verdict::Passed,
            State::SynSent => self.syn_sent(step, settings, events),
            State::SynReceived => self.syn_received(step, settings, events),
            State::Established => self.established(step, settings, events),
            State::Closed => self.closed(step, settings, events),
            _ => self.shut_down(state, step, events),
        }
    }

    /// Goes on after a reset that its receiver may have dropped.
    fn closed(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        let is_doubtful = !step.has(tcp_flag::RST) && !own.reset_in_doubt && other.reset_in_doubt;
        if !is_doubtful || self.before == State::Closed {
            return Verdict::Passed;
        }
        let verdict = self.dispatch(self.before, step, settings, events);
        if self.state == State::Closed {
            self.state = self.before;
        }
        verdict
    }

    fn doubt_reset(&mut self, step: &Step, events: &mut Events) {
        if !step.has(tcp_flag::RST) {
            let receiver = self.side_mut(step.direction.opposite());
            if std::mem::take(&mut receiver.reset_in_doubt) {
                self.is_reset = false;
                events.push("stream.suspected_rst_inject");
            }
        }
    }

    /// Returns the sequence number of the first byte of a direction's stream.
    pub fn first_byte(&self, direction: Direction) -> u32 {
        self.side(direction).initial.wrapping_add(1)
    }

    /// Returns what has been acknowledged of a direction's stream; a FIN is not part of it.
    pub fn acknowledged(&self, direction: Direction) -> u32 {
        self.side(direction).acknowledged
    }

    /// Returns the sequence number expected next in a direction.
    #[cfg(test)]
    fn next(&self, direction: Direction) -> u32 {
        self.side(direction).next
    }

    /// Tells whether a segment's data goes on where its sender had stopped before a reset.
    pub fn goes_on(&self, step: &Step) -> bool {
        let sides = self.before_reset.as_deref().unwrap_or(&self.sides);
        let next = sides[index(step.direction)].next;
        step.length > 0 && step.flags & (tcp_flag::SYN | tcp_flag::RST) == 0 && step.seq == next
    }

    /// Returns how many bytes a side has sent by its sequence numbers.
    pub fn sent(&self, direction: Direction) -> u32 {
        let side = self.side(direction);
        side.next.wrapping_sub(side.initial)
    }

    /// Tells whether the handshake is complete.
    pub fn is_established(&self) -> bool {
        self.state >= State::Established
    }

    /// Tells whether data in a SYN counts (RFC 7413).
    pub fn has_fast_open(&self) -> bool {
        self.has_fast_open
    }

    /// Tells whether the opening was not seen.
    pub fn is_midstream(&self) -> bool {
        self.is_midstream
    }

    /// Goes on as if a reset had not come.
    pub fn revive(&mut self) {
        self.is_reset = false;
        self.state = self.before;
        if let Some(sides) = self.before_reset.take() {
            self.sides = *sides;
        }
    }

    /// Tells whether the sides could be the other way round, because nobody saw the opening.
    pub fn is_turnable(&self) -> bool {
        self.is_midstream && !self.from_syn_ack
    }

    /// Exchanges the sides.
    pub fn turn(&mut self) {
        self.sides.swap(0, 1);
    }

    /// Tells whether a segment opens another connection between the same ports, so that this one is over.
    pub fn is_reopened_by(&self, step: &Step, settings: &Settings) -> bool {
        let opening = step.flags & (tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST | tcp_flag::FIN);
        let from_middle = settings.midstream || settings.async_oneside;
        let expected = match opening {
            tcp_flag::SYN => Direction::Orig,
            bits if bits == tcp_flag::SYN | tcp_flag::ACK && from_middle => Direction::Resp,
            _ => return false,
        };
        let is_repeated = step.direction == expected && self.side(expected).initial == step.seq;
        match self.state {
            State::None => expected == Direction::Orig || step.direction != expected,
            _ if self.fast_open_ignored && expected == step.direction => true,
            state => state >= State::LastAck && !is_repeated,
        }
    }

    fn side(&self, direction: Direction) -> &Side {
        &self.sides[index(direction)]
    }

    fn side_mut(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[index(direction)]
    }

    /// Returns the sender's side and the receiver's.
    #[inline]
    fn both(&mut self, direction: Direction) -> (&mut Side, &mut Side) {
        let [orig, resp] = &mut self.sides;
        match direction {
            Direction::Orig => (orig, resp),
            Direction::Resp => (resp, orig),
        }
    }

    /// Moves on; the state before is remembered for resets that turn out to be forged.
    fn enter(&mut self, state: State) {
        if state != self.state {
            self.before = self.state;
            self.state = state;
        }
    }

    fn is_lenient(&self) -> bool {
        self.is_midstream || self.is_one_sided
    }

    /// Sets what is expected next; where only one side is seen, nobody else says that it has arrived.
    #[inline]
    fn expect(&mut self, direction: Direction, next: u32) {
        let is_one_sided = self.is_one_sided;
        let side = self.side_mut(direction);
        side.next = next;
        if is_one_sided && before(side.acknowledged, next) {
            side.acknowledged = next;
        }
    }

    /// Notes what the sender acknowledges and how much it has room for.
    #[inline]
    fn acknowledge(&mut self, step: &Step) {
        if step.has(tcp_flag::ACK) {
            self.side_mut(step.direction.opposite()).acknowledge(step.ack);
        }
    }

    /// Takes over the window that the sender announces.
    fn announce(&mut self, step: &Step) {
        let other = self.side_mut(step.direction.opposite());
        other.window = u32::from(step.window) << other.window_scale;
    }

    /// Says which data is readable after a segment was taken.
    #[inline]
    fn take(&self, step: &Step) -> Verdict {
        let readable = if self.is_inline || self.is_one_sided || step.has(tcp_flag::RST) {
            Readable::Own
        } else if step.has(tcp_flag::FIN) && self.state > State::TimeWait {
            if step.has(tcp_flag::ACK) {
                Readable::Both
            } else {
                Readable::Own
            }
        } else if self.state == State::Closed {
            Readable::Both
        } else {
            Readable::Acknowledged
        };
        Verdict::Taken(readable)
    }

    fn established(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        if step.is_plain() {
            if !step.has(tcp_flag::ACK) {
                return Verdict::Passed;
            }
            self.is_confirmed |= !step.is_to_server();
            if !self.has_valid_timestamp(step, events) {
                return Verdict::Refused;
            }
            return self.carry(step, settings, events);
        }
        if step.has(tcp_flag::RST) {
            return self.reset(step, events);
        }
        if step.has(tcp_flag::FIN) {
            return self.finish(step, events);
        }
        self.reopened(step, events)
    }

    /// Judges a SYN or SYN/ACK in an established connection.
    fn reopened(&self, step: &Step, events: &mut Events) -> Verdict {
        let [client, server] = &self.sides;
        let event = if step.has(tcp_flag::ACK) {
            match step.direction {
                Direction::Orig => "stream.est_synack_toserver",
                Direction::Resp if step.ack != client.acknowledged => "stream.est_synack_resend_with_different_ack",
                Direction::Resp if step.seq != server.initial => "stream.est_synack_resend_with_diff_seq",
                Direction::Resp if self.is_confirmed => "stream.est_synack_resend",
                // The server has not got the last ACK of the handshake.
                Direction::Resp => return Verdict::Passed,
            }
        } else {
            match step.direction {
                Direction::Resp => "stream.est_syn_toclient",
                Direction::Orig if step.seq != client.initial => "stream.est_syn_resend_diff_seq",
                Direction::Orig => "stream.est_syn_resend",
            }
        };
        refuse(events, event)
    }

    /// Takes a segment of an established connection, or finds that it lies out of the window.
    #[inline]
    fn carry(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let direction = step.direction;
        let (_, other) = self.both(direction);
        if other.probes && step.ack == other.next.wrapping_add(1) {
            events.push("stream.est_ack_zwp_data");
        } else if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.est_invalid_ack");
        }
        self.learn_server_window(step);
        if self.is_before_acknowledged(step, settings) {
            return refuse(events, "stream.est_pkt_before_last_ack");
        }
        let own = self.side(direction);
        let is_probe = step.length == 1 && step.seq == own.next && own.window == 0;
        if is_probe {
            self.side_mut(direction).probes = true;
            return self.take(step);
        }
        if reaches(step.end(), own.next) {
            self.expect(direction, step.end());
        }
        if before(self.side(direction).limit, step.end()) && !self.is_lenient() {
            return refuse(events, "stream.est_packet_out_of_window");
        }
        self.announce(step);
        self.acknowledge(step);
        self.note_timestamp(step);
        self.side_mut(direction.opposite()).allow();
        self.take(step)
    }

    /// Learns after a pick-up how much the server may send, from its first segment.
    fn learn_server_window(&mut self, step: &Step) {
        if self.lacks_server_window && !step.is_to_server() {
            self.lacks_server_window = false;
            let server = self.side_mut(Direction::Resp);
            server.window = u32::from(step.window) << server.window_scale;
            server.limit = server.acknowledged.wrapping_add(server.window);
        }
    }

    /// Tells whether all of a segment was acknowledged before, and was seen.
    fn is_before_acknowledged(&mut self, step: &Step, settings: &Settings) -> bool {
        let own = *self.side(step.direction);
        let keeps_alive = step.length <= 1 && step.seq == own.next.wrapping_sub(1);
        if keeps_alive || reaches(step.end(), own.acknowledged) {
            return false;
        }
        let is_picked_up = settings.async_oneside && self.is_midstream && step.is_to_server();
        if self.is_one_sided
            || is_picked_up && (own.next == step.seq || own.acknowledged == own.initial.wrapping_add(1))
        {
            self.is_one_sided = true;
            self.side_mut(step.direction).acknowledge(step.seq);
            return false;
        }
        // What was acknowledged and not seen may still come.
        !(before(own.next, own.acknowledged) && before(own.next, step.end()))
    }
}

impl Side {
    #[inline]
    fn acknowledge(&mut self, ack: u32) {
        if before(self.acknowledged, ack) {
            self.acknowledged = ack;
        }
    }

    /// Lets the side send up to the end of its window.
    #[inline]
    fn allow(&mut self) {
        let limit = self.acknowledged.wrapping_add(self.window);
        if before(self.limit, limit) {
            self.limit = limit;
        }
    }

    /// Sets the end of the window anew.
    fn allow_anew(&mut self) {
        self.limit = self.acknowledged.wrapping_add(self.window);
    }
}

/// Refuses a segment for a reason.
fn refuse(events: &mut Events, event: &'static str) -> Verdict {
    events.push(event);
    Verdict::Refused
}
