//! Checks that segments pass before they change a connection: acknowledgements, timestamps, resets and idle talk.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::tcp_flag;

use super::{before, reaches, Connection, Events, State, Step, Verdict};

/// How long a timestamp may be compared, in seconds: 24 days (RFC 7323, 5.5).
const TIMESTAMP_LIFE: u32 = 24 * 24 * 3600;
/// A window that shrinks by no more than this beyond what was acknowledged is an honest one.
const SHRINK_MARGIN: u32 = 32;
const SMALL_WINDOW: u32 = 1024;

impl Connection {
    /// Tells whether an acknowledgement lies in the window of the other side.
    #[inline]
    pub(super) fn has_valid_ack(&self, step: &Step, events: &mut Events) -> bool {
        let other = self.side(step.direction.opposite());
        if !step.has(tcp_flag::ACK) || step.ack == other.acknowledged {
            return true;
        }
        let is_valid = if before(step.ack, other.acknowledged) {
            other.window == 0 || reaches(step.ack, other.acknowledged.wrapping_sub(other.window))
        } else if self.is_one_sided || self.state > State::SynSent && reaches(other.limit, step.ack) {
            true
        } else {
            let refuses_syn = self.state == State::SynSent && !step.is_to_server() && step.has(tcp_flag::RST);
            refuses_syn && step.ack == other.initial.wrapping_add(1)
        };
        if !is_valid {
            events.push("stream.pkt_invalid_ack");
        }
        is_valid
    }

    /// Tells whether a timestamp goes on from the last one (RFC 7323, 5), with one tick of tolerance.
    #[inline]
    pub(super) fn has_valid_timestamp(&self, step: &Step, events: &mut Events) -> bool {
        let Some((timestamp, _)) = step.options.timestamp.filter(|_| self.is_stamped) else { return true };
        let is_valid = self.goes_on_in_time(step, timestamp);
        if !is_valid {
            events.push("stream.pkt_invalid_timestamp");
        }
        is_valid
    }

    #[inline]
    fn goes_on_in_time(&self, step: &Step, timestamp: u32) -> bool {
        let own = self.side(step.direction);
        let is_old = step.seconds > self.last_stamped_at(step).saturating_add(TIMESTAMP_LIFE);
        let is_next = own.next == step.seq;
        if own.began_at_zero && is_next {
            return true;
        }
        let goes_back = (timestamp.wrapping_sub(own.timestamp).wrapping_add(1) as i32) < 0;
        let is_in_time = !(goes_back || own.timestamp != 0 && is_old);
        is_in_time || is_next && is_old
    }

    /// Returns when the sender's last timestamp came; a connection that was picked up has none at first.
    fn last_stamped_at(&self, step: &Step) -> u32 {
        match self.side(step.direction).stamped_at {
            0 if self.is_midstream => step.seconds,
            at => at,
        }
    }

    /// Remembers the timestamp of a segment that was taken.
    #[inline]
    pub(super) fn note_timestamp(&mut self, step: &Step) {
        let Some((timestamp, _)) = step.options.timestamp.filter(|_| self.is_stamped) else { return };
        if !self.goes_on_in_time(step, timestamp) {
            return;
        }
        let own = self.side_mut(step.direction);
        if own.next == step.seq || own.next == step.end() {
            own.timestamp = timestamp;
            own.began_at_zero = false;
        }
        own.stamped_at = step.seconds;
    }

    /// Tells whether the receiver of a reset takes it.
    pub(super) fn has_valid_reset(&mut self, step: &Step, events: &mut Events) -> bool {
        if !self.has_valid_timestamp(step, events) {
            return false;
        }
        if step.length > 0 {
            events.push("stream.rst_with_data");
        }
        if step.ack != 0 && !self.has_valid_ack(step, events) {
            events.push("stream.rst_invalid_ack");
            return false;
        }
        self.side_mut(step.direction.opposite()).reset_in_doubt |= step.options.is_signed;
        let next = self.side(step.direction).next;
        step.seq == next || self.is_one_sided && reaches(step.seq, next)
    }

    /// Closes the connection by a reset, where its receiver takes it.
    pub(super) fn reset(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if !self.has_valid_reset(step, events) {
            return Verdict::Refused;
        }
        let was_established = self.state == State::Established;
        self.close_by_reset();
        if was_established {
            let (own, other) = self.both(step.direction);
            other.next = step.ack;
            own.next = step.end().wrapping_add(u32::from(!step.is_to_server()));
            own.window = u32::from(step.window) << own.window_scale;
        }
        if self.has_valid_ack(step, &mut Events::new()) {
            self.acknowledge(step);
        }
        self.side_mut(step.direction).acknowledge(step.seq);
        self.note_timestamp(step);
        self.take(step)
    }

    /// Notes that a reset has ended the connection.
    pub(super) fn close_by_reset(&mut self) {
        self.is_reset = true;
        self.before_reset = Some(Box::new(self.sides));
        self.forget_offers();
        self.enter(State::Closed);
    }

    /// Tells whether data was sent before; the events say so, too.
    pub(super) fn is_repeated(&self, step: &Step, events: &mut Events) -> bool {
        let own = self.side(step.direction);
        let is_repeated = step.length > 0
            && (before(step.seq, own.acknowledged) && before(own.acknowledged, step.end())
                || reaches(own.acknowledged, step.end())
                || reaches(own.next, step.end()));
        if is_repeated {
            events.push("stream.pkt_retransmission");
        }
        is_repeated
    }

    /// Tells whether a segment only keeps the connection alive, or is old, or shrinks a window unduly.
    #[inline]
    pub(super) fn is_idle_talk(&mut self, step: &Step, events: &mut Events) -> bool {
        if self.keeps_alive(step) {
            return true;
        }
        let answers_probe = self.answers_probe(step);
        self.side_mut(step.direction.opposite()).probes = false;
        if answers_probe {
            return true;
        }
        if step.is_plain() && !self.ends_shutdown(step) && !self.updates_window(step) {
            if self.shrinks_window(step) {
                events.push("stream.pkt_bad_window_update");
                return true;
            }
            if self.is_outdated(step) {
                return true;
            }
        }
        self.is_spurious(step, events)
    }

    /// Follows what keeps a connection alive and its answer (RFC 9293, 3.8.4).
    fn keeps_alive(&mut self, step: &Step) -> bool {
        if !step.is_plain() {
            self.side_mut(step.direction).keeps_alive = false;
            return false;
        }
        let (own, other) = self.both(step.direction);
        let is_settled = step.ack == other.acknowledged;
        if is_settled && step.length <= 1 && step.seq == own.next.wrapping_sub(1) {
            own.keeps_alive = true;
            return true;
        }
        own.keeps_alive = false;
        let window = u32::from(step.window) << other.window_scale;
        let answers = other.keeps_alive && step.length == 0 && step.window != 0 && window == other.window;
        if answers && is_settled && step.seq == own.next {
            other.keeps_alive = false;
            return true;
        }
        false
    }

    fn answers_probe(&self, step: &Step) -> bool {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        self.state >= State::Established
            && other.probes
            && step.length == 0
            && step.is_plain()
            && step.has(tcp_flag::ACK)
            && step.window == 0
            && other.window == 0
            && step.seq == own.next
            && step.ack == other.acknowledged
    }

    fn ends_shutdown(&self, step: &Step) -> bool {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        matches!(self.state, State::TimeWait | State::CloseWait | State::LastAck)
            && step.flags == tcp_flag::ACK
            && step.length == 0
            && step.seq == own.next.wrapping_add(1)
            && step.ack == other.next.wrapping_add(1)
    }

    fn updates_window(&self, step: &Step) -> bool {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        self.state >= State::Established
            && step.length == 0
            && step.window != 0
            && u32::from(step.window) << other.window_scale != other.window
            && step.ack == other.acknowledged
            && step.seq == own.next
    }

    /// Tells whether a segment out of the blue would shrink the window so that the expected ones lie out of it.
    fn shrinks_window(&self, step: &Step) -> bool {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        let window = u32::from(step.window) << other.window_scale;
        if self.state < State::Established || self.state == State::Closed || window >= other.window {
            return false;
        }
        let shrinks_by = other.window - window;
        let is_ahead = before(other.next, step.ack) && before(own.next, step.seq);
        let advance = step.ack.wrapping_sub(other.acknowledged);
        let margin = if window > SMALL_WINDOW { SHRINK_MARGIN } else { 0 };
        is_ahead && shrinks_by > step.length && shrinks_by > advance.saturating_add(margin)
    }

    fn is_outdated(&self, step: &Step) -> bool {
        let (own, other) = (self.side(step.direction), self.side(step.direction.opposite()));
        self.state >= State::Established
            && step.length == 0
            && step.has(tcp_flag::ACK)
            && step.seq == own.next
            && before(step.ack, other.acknowledged)
            && !step.options.has_selective_acks
    }

    /// Tells whether data comes again of which nothing is kept; what is kept is only reported.
    fn is_spurious(&self, step: &Step, events: &mut Events) -> bool {
        if step.length == 0 {
            return false;
        }
        let is_forgotten = reaches(step.kept_from, step.end());
        if is_forgotten || reaches(self.side(step.direction).acknowledged, step.end()) {
            events.push("stream.pkt_spurious_retransmission");
        }
        is_forgotten
    }

    /// Tells whether a SYN/ACK or ACK to a client echoes the timestamp of its SYN.
    pub(super) fn echoes_syn(&self, step: &Step) -> bool {
        let client = self.side(Direction::Orig);
        match step.options.timestamp {
            Some((_, echo)) if !step.is_to_server() && echo != 0 => {
                if client.has_timestamp {
                    client.timestamp == 0 || client.timestamp == echo
                } else {
                    client.timestamp != 0
                }
            }
            _ => true,
        }
    }
}
