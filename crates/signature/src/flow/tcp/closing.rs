//! How a connection closes: from the first FIN to the last acknowledgement.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::tcp_flag;

use super::{before, reaches, refuse, Connection, Events, State, Step, Verdict};

impl Connection {
    /// Follows a segment after the first FIN.
    pub(super) fn shut_down(&mut self, state: State, step: &Step, events: &mut Events) -> Verdict {
        if step.has(tcp_flag::RST) {
            return self.reset(step, events);
        }
        let is_fin = step.has(tcp_flag::FIN) && state != State::Closing;
        if !is_fin && step.has(tcp_flag::SYN) {
            return refuse(events, "stream.shutdown_syn_resend");
        }
        if is_fin && matches!(state, State::LastAck | State::TimeWait) || !is_fin && !step.has(tcp_flag::ACK) {
            return Verdict::Passed;
        }
        if !self.has_valid_timestamp(step, events) {
            return Verdict::Refused;
        }
        match state {
            State::FinWait1 if is_fin => self.fin_wait1_fin(step, events),
            State::FinWait1 => self.fin_wait1(step, events),
            State::FinWait2 if is_fin => self.fin_wait2_fin(step, events),
            State::FinWait2 => self.fin_wait2(step, events),
            State::CloseWait if is_fin => self.close_wait_fin(step, events),
            State::CloseWait => self.close_wait(step, events),
            State::Closing => self.closing(step, events),
            State::LastAck => self.last_ack(step, events),
            _ => self.time_wait(step, events),
        }
    }

    /// Takes the first FIN.
    pub(super) fn finish(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if !self.has_valid_timestamp(step, events) {
            return Verdict::Refused;
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.fin_invalid_ack");
        }
        let own = self.side(step.direction);
        if before(step.seq, own.acknowledged) || before(own.limit, step.end()) {
            return refuse(events, "stream.fin_out_of_window");
        }
        if step.is_to_server() && step.has(tcp_flag::SYN) {
            return refuse(events, "stream.fin_syn");
        }
        self.enter(if step.is_to_server() { State::CloseWait } else { State::FinWait1 });
        self.side_mut(step.direction).next = step.end().wrapping_add(u32::from(!step.is_to_server()));
        self.announce(step);
        self.settle(step, 0)
    }

    /// Takes a segment: the other side has got what it acknowledges, even if nobody saw it.
    fn settle(&mut self, step: &Step, fin: u32) -> Verdict {
        self.note_timestamp(step);
        let other = self.side_mut(step.direction.opposite());
        if step.has(tcp_flag::ACK) && before(other.next.wrapping_sub(fin), step.ack) {
            other.next = step.ack;
        }
        self.acknowledge(step);
        self.take(step)
    }

    fn advance(&mut self, step: &Step, fin: u32) {
        if self.side(step.direction).next.wrapping_sub(fin) == step.seq {
            self.expect(step.direction, step.end());
        }
    }

    fn lies_before_window_end(&self, step: &Step) -> bool {
        self.is_lenient() || reaches(self.side(step.direction).limit, step.end())
    }

    fn begins_beyond_window(&self, step: &Step) -> bool {
        let own = self.side(step.direction);
        before(own.acknowledged.wrapping_add(own.window), step.seq)
    }

    fn fin_wait1(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.fin1_invalid_ack");
        }
        let (own, other) = (*self.side(step.direction), *self.side(step.direction.opposite()));
        let is_judged = !step.is_to_server() || step.ack == other.next;
        if !is_repeated && is_judged {
            if !self.lies_before_window_end(step) {
                return refuse(events, "stream.fin1_ack_wrong_seq");
            }
            let expected = if step.is_to_server() { own.next } else { own.next.wrapping_sub(1) };
            if step.seq == expected {
                self.enter(State::FinWait2);
            }
            self.announce(step);
        }
        self.advance(step, u32::from(!step.is_to_server()));
        let verdict = self.settle(step, 1);
        self.side_mut(step.direction.opposite()).allow();
        verdict
    }

    fn fin_wait1_fin(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let (own, other) = (*self.side(step.direction), *self.side(step.direction.opposite()));
        let has_ack = step.has(tcp_flag::ACK);
        let is_same_fin =
            has_ack && !step.is_to_server() && step.seq == own.next.wrapping_sub(1) && step.ack == other.acknowledged;
        let is_repeated = self.is_repeated(step, events) || is_same_fin;
        if !is_repeated && (before(step.seq, own.next.wrapping_sub(1)) || self.begins_beyond_window(step)) {
            return refuse(events, "stream.fin1_fin_wrong_seq");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.fin1_invalid_ack");
        }
        if !is_repeated {
            self.enter(if has_ack { State::TimeWait } else { State::Closing });
            self.announce(step);
        }
        self.advance(step, u32::from(!(has_ack && step.is_to_server())));
        self.settle(step, 1)
    }

    fn fin_wait2(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.fin2_invalid_ack");
        }
        if !is_repeated {
            if !self.lies_before_window_end(step) {
                return refuse(events, "stream.fin2_ack_wrong_seq");
            }
            self.announce(step);
        }
        self.advance(step, 0);
        self.note_timestamp(step);
        self.acknowledge(step);
        self.side_mut(step.direction.opposite()).allow();
        self.take(step)
    }

    fn fin_wait2_fin(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let (own, other) = (*self.side(step.direction), *self.side(step.direction.opposite()));
        let is_same_fin = step.seq == own.next.wrapping_sub(1) && step.ack == other.acknowledged;
        let is_repeated = is_same_fin || self.is_repeated(step, events);
        if !is_repeated && (before(step.seq, own.next) || self.begins_beyond_window(step)) {
            return refuse(events, "stream.fin2_fin_wrong_seq");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.fin2_invalid_ack");
        }
        if !is_repeated {
            self.enter(State::TimeWait);
            if step.is_to_server() {
                self.advance(step, 0);
            }
            self.announce(step);
        }
        self.settle(step, 0)
    }

    fn closing(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        if step.seq != self.side(step.direction).next {
            return refuse(events, "stream.closing_ack_wrong_seq");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.closing_invalid_ack");
        }
        if !is_repeated {
            self.enter(State::TimeWait);
            self.announce(step);
        }
        self.settle(step, 0)
    }

    fn close_wait(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        if step.length > 0 && reaches(self.side(step.direction).acknowledged, step.end()) {
            return refuse(events, "stream.closewait_pkt_before_last_ack");
        }
        if self.begins_beyond_window(step) {
            return refuse(events, "stream.closewait_ack_out_of_window");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.closewait_invalid_ack");
        }
        if !is_repeated {
            self.announce(step);
        }
        self.advance(step, 0);
        self.settle(step, 0)
    }

    fn close_wait_fin(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        let is_early = before(step.seq, self.side(step.direction).next);
        if !is_repeated && (is_early || self.begins_beyond_window(step)) {
            return refuse(events, "stream.closewait_fin_out_of_window");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.closewait_invalid_ack");
        }
        if !is_repeated {
            if step.direction == Direction::Resp {
                self.enter(State::LastAck);
            }
            self.announce(step);
        }
        self.settle(step, 0)
    }

    fn last_ack(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if !step.is_to_server() {
            return Verdict::Passed;
        }
        let is_repeated = self.is_repeated(step, events);
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.lastack_invalid_ack");
        }
        let next = self.side(Direction::Orig).next;
        if !is_repeated {
            if reaches(step.seq, next) {
                if step.seq != next && step.seq != next.wrapping_add(1) {
                    return refuse(events, "stream.lastack_ack_wrong_seq");
                }
                self.enter(State::Closed);
            }
            self.announce(step);
        }
        self.settle(step, 0)
    }

    fn time_wait(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let is_repeated = self.is_repeated(step, events);
        let next = self.side(step.direction).next;
        // A server's FIN is counted in what is expected next, a client's is not.
        let fin = if step.is_to_server() { next.wrapping_add(1) } else { next.wrapping_sub(1) };
        if !is_repeated && step.seq != next && step.seq != fin {
            if !step.is_to_server() && step.length > 0 && step.seq == self.side(step.direction).acknowledged {
                return Verdict::Passed;
            }
            return refuse(events, "stream.timewait_ack_wrong_seq");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.timewait_invalid_ack");
        }
        if !is_repeated {
            self.enter(State::Closed);
            self.announce(step);
        }
        self.settle(step, 0)
    }
}
