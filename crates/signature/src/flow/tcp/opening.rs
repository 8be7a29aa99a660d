//! How a connection opens: the handshake, simultaneous opening, fast open, and picking up what is under way.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::tcp_flag;

use super::{before, reaches, refuse, Connection, Events, Offer, Side, State, Step, Verdict, MAX_SCALE};
use crate::settings::Settings;

/// Differing SYN/ACKs, and SYNs, that are remembered (`stream.max-synack-queued`, `stream.max-syn-queued`).
const MAX_SYN_ACKS: usize = 5;
const MAX_SYNS: usize = 10;

impl Offer {
    fn of(step: &Step) -> Offer {
        Offer {
            seq: step.seq,
            ack: step.ack,
            window: step.window,
            window_scale: step.options.window_scale,
            timestamp: step.options.timestamp.map(|(timestamp, _)| timestamp),
            seconds: step.seconds,
        }
    }

    /// Tells whether a client's segment acknowledges this SYN/ACK.
    fn is_answered_by(&self, step: &Step) -> bool {
        step.ack.wrapping_sub(1) == self.seq && step.seq == self.ack
    }

    fn is_same(&self, other: &Offer) -> bool {
        Offer { seconds: 0, ..*self } == Offer { seconds: 0, ..*other }
    }
}

impl Side {
    fn open(&mut self, seq: u32) {
        self.initial = seq;
        self.next = seq.wrapping_add(1);
    }

    fn stamp(&mut self, timestamp: u32, seconds: u32) {
        self.timestamp = timestamp;
        self.stamped_at = seconds;
        self.has_timestamp = true;
        self.began_at_zero = timestamp == 0;
    }
}

impl Connection {
    /// Returns the SYNs, then SYN/ACKs, that differ from the one in use.
    fn offers(&self) -> &[Offer] {
        self.others.as_deref().map_or(&[], |others| &others.offers)
    }

    fn remember(&mut self, offer: Offer) {
        self.others.get_or_insert_default().offers.push(offer);
    }

    /// Forgets what was offered besides what is in use.
    pub(super) fn forget_offers(&mut self) {
        if let Some(others) = &mut self.others {
            others.offers = Vec::new();
        }
    }

    /// Begins a connection with its first segment, where that can be one.
    pub(super) fn begin(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let is_permitted = matches!(settings.midstream_policy.as_deref(), None | Some("ignore" | "pass-flow"));
        let picks_up = settings.midstream && is_permitted;
        if step.has(tcp_flag::RST) {
            return refuse(events, "stream.rst_but_no_session");
        }
        if step.has(tcp_flag::FIN) {
            if !picks_up || step.length == 0 {
                return refuse(events, "stream.fin_but_no_session");
            }
            return self.pick_up(step, State::FinWait1, settings);
        }
        match (step.has(tcp_flag::SYN), step.has(tcp_flag::ACK)) {
            (true, true) if is_permitted && (settings.midstream || settings.async_oneside) => {
                self.pick_up_at_syn_ack(step, settings)
            }
            (true, false) => self.open(step, settings),
            (false, true) if picks_up => self.pick_up(step, State::Established, settings),
            _ => Verdict::Passed,
        }
    }

    fn open(&mut self, step: &Step, settings: &Settings) -> Verdict {
        self.enter(State::SynSent);
        self.is_one_sided = settings.async_oneside;
        self.use_syn(&Offer::of(step));
        self.has_fast_open = step.options.has_fast_open;
        if step.length == 0 {
            return Verdict::Passed;
        }
        // Without fast open most receivers forget the data, and some keep it: it is sent again if it was forgotten.
        if self.has_fast_open {
            self.expect(Direction::Orig, step.end().wrapping_add(1));
        }
        self.take(step)
    }

    /// Takes from a SYN what the client offers.
    fn use_syn(&mut self, syn: &Offer) {
        let [client, server] = &mut self.sides;
        client.open(syn.seq);
        if let Some(timestamp) = syn.timestamp {
            client.stamp(timestamp, syn.seconds);
        }
        server.window = syn.window.into();
        server.window_scale = syn.window_scale.unwrap_or(0);
        self.offers_scale = syn.window_scale.is_some();
    }

    /// Picks up a connection whose opening was not seen; windows are assumed to be as wide as can be.
    fn pick_up(&mut self, step: &Step, state: State, settings: &Settings) -> Verdict {
        self.enter(state);
        self.is_midstream = true;
        self.lacks_server_window = true;
        self.is_one_sided = settings.async_oneside;
        let (own, other) = self.both(step.direction);
        own.window_scale = MAX_SCALE;
        other.window_scale = MAX_SCALE;
        own.open(step.seq.wrapping_sub(1));
        own.next = step.end().wrapping_add(u32::from(step.has(tcp_flag::FIN)));
        own.window = u32::from(step.window) << MAX_SCALE;
        own.acknowledged = step.seq;
        own.allow_anew();
        other.open(step.ack.wrapping_sub(1));
        other.acknowledged = step.ack;
        other.limit = step.ack;
        if let Some((timestamp, echo)) = step.options.timestamp {
            own.stamp(timestamp, step.seconds);
            (other.timestamp, other.began_at_zero) = (echo, echo == 0);
            self.is_stamped = true;
        }
        self.take(step)
    }

    fn pick_up_at_syn_ack(&mut self, step: &Step, settings: &Settings) -> Verdict {
        self.enter(State::SynReceived);
        self.is_midstream = true;
        self.from_syn_ack = true;
        self.is_one_sided = settings.async_oneside;
        let [client, server] = &mut self.sides;
        server.open(step.seq);
        server.window = step.window.into();
        server.acknowledged = step.seq;
        server.allow_anew();
        client.open(step.ack.wrapping_sub(1));
        client.acknowledged = step.ack;
        if let Some(scale) = step.options.window_scale {
            client.window_scale = scale;
            server.window_scale = MAX_SCALE;
        }
        if let Some((timestamp, echo)) = step.options.timestamp {
            server.stamp(timestamp, step.seconds);
            (client.timestamp, client.began_at_zero) = (echo, echo == 0);
            self.is_stamped = true;
        }
        // Who speaks is told by the segment's direction, which is the other one from here on.
        server.has_spoken = true;
        client.has_spoken = false;
        Verdict::Turned
    }

    pub(super) fn syn_sent(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        if step.has(tcp_flag::SYN | tcp_flag::ACK) {
            return match step.direction {
                Direction::Resp => self.answer_syn(step, events),
                Direction::Orig => self.cross_syn_ack(step, events),
            };
        }
        if !self.echoes_syn(step) {
            return refuse(events, "stream.pkt_invalid_timestamp");
        }
        if step.has(tcp_flag::RST) {
            return self.refuse_syn(step, events);
        }
        if step.has(tcp_flag::FIN) {
            return Verdict::Passed;
        }
        if step.has(tcp_flag::SYN) {
            match step.direction {
                Direction::Resp => self.cross_syn(step),
                Direction::Orig => self.repeat_syn(step, settings, events),
            }
            return Verdict::Passed;
        }
        if !step.has(tcp_flag::ACK) {
            return Verdict::Passed;
        }
        let is_answered = |offer: &Offer| step.is_to_server() && offer.is_answered_by(step);
        match self.others.as_deref().and_then(|others| others.doubted).filter(is_answered) {
            Some(offer) => {
                self.use_syn_ack(&offer);
                self.syn_received(step, settings, events)
            }
            None if settings.async_oneside => self.see_one_side(step, events),
            None => Verdict::Passed,
        }
    }

    fn answer_syn(&mut self, step: &Step, events: &mut Events) -> Verdict {
        self.choose_syn(step);
        let client = *self.side(Direction::Orig);
        let answers_syn = step.ack == client.initial.wrapping_add(1);
        let uses_fast_open = step.options.has_fast_open || self.has_fast_open;
        if !(answers_syn || uses_fast_open && step.ack == client.next) {
            return refuse(events, "stream.3whs_synack_with_wrong_ack");
        }
        if uses_fast_open {
            if step.ack != client.next {
                self.side_mut(Direction::Orig).next = client.initial;
                self.fast_open_ignored = true;
                events.push("stream.3whs_synack_tfo_data_ignored");
            }
            self.has_fast_open = true;
            self.enter(State::Established);
        }
        if !self.echoes_syn(step) {
            self.others.get_or_insert_default().doubted = Some(Offer::of(step));
            return refuse(events, "stream.pkt_invalid_timestamp");
        }
        self.forget_offers();
        self.use_syn_ack(&Offer::of(step));
        Verdict::Passed
    }

    /// Goes back to the SYN that a SYN/ACK answers, if it is not the last one.
    fn choose_syn(&mut self, step: &Step) {
        let echo = step.options.timestamp.map(|(_, echo)| echo);
        let answered = step.ack.wrapping_sub(1);
        let is_last = answered == self.side(Direction::Orig).initial && self.echoes_syn(step);
        let fits = |offer: &&Offer| offer.seq == answered && (offer.timestamp.is_none() || offer.timestamp == echo);
        if let Some(syn) = self.offers().iter().find(fits).copied().filter(|_| !is_last) {
            self.use_syn(&syn);
        }
    }

    fn use_syn_ack(&mut self, offer: &Offer) {
        self.enter(State::SynReceived);
        let has_scale = self.offers_scale;
        let [client, server] = &mut self.sides;
        server.open(offer.seq);
        client.window = offer.window.into();
        match offer.timestamp.filter(|_| client.has_timestamp) {
            Some(timestamp) => {
                server.stamp(timestamp, offer.seconds);
                self.is_stamped = true;
            }
            None => {
                (client.timestamp, server.timestamp) = (0, 0);
                client.began_at_zero = false;
            }
        }
        client.acknowledged = offer.ack;
        server.acknowledged = server.initial.wrapping_add(1);
        client.window_scale = offer.window_scale.filter(|_| has_scale).unwrap_or(0);
        if offer.window_scale.is_none() {
            server.window_scale = 0;
        }
        server.allow_anew();
        client.allow_anew();
        self.is_crossed = false;
    }

    /// Follows a SYN/ACK of the client, which answers a SYN of the server.
    fn cross_syn_ack(&mut self, step: &Step, events: &mut Events) -> Verdict {
        let [client, server] = &self.sides;
        if !self.is_crossed {
            return refuse(events, "stream.3whs_synack_in_wrong_direction");
        }
        if step.ack != server.initial.wrapping_add(1) {
            return refuse(events, "stream.4whs_synack_with_wrong_ack");
        }
        if step.seq != client.initial {
            return refuse(events, "stream.4whs_synack_with_wrong_syn");
        }
        self.enter(State::SynReceived);
        let has_scale = self.offers_scale;
        let [client, server] = &mut self.sides;
        client.open(step.seq);
        server.window = step.window.into();
        match step.options.timestamp.filter(|_| server.has_timestamp) {
            Some((timestamp, _)) => {
                client.stamp(timestamp, step.seconds);
                self.is_stamped = true;
            }
            None => {
                (client.timestamp, server.timestamp) = (0, 0);
                server.began_at_zero = false;
            }
        }
        server.acknowledged = step.ack;
        client.acknowledged = client.initial.wrapping_add(1);
        server.window_scale = step.options.window_scale.filter(|_| has_scale).unwrap_or(0);
        client.allow_anew();
        server.allow_anew();
        Verdict::Passed
    }

    /// Follows a SYN of the server: both open at once (RFC 9293, 3.5).
    fn cross_syn(&mut self, step: &Step) {
        self.is_crossed = true;
        self.offers_scale = step.options.window_scale.is_some();
        let server = self.side_mut(Direction::Resp);
        server.open(step.seq);
        if let Some((timestamp, _)) = step.options.timestamp {
            server.stamp(timestamp, step.seconds);
        }
        server.window = step.window.into();
        server.window_scale = step.options.window_scale.unwrap_or(0);
    }

    /// Uses the last of several SYNs, but remembers the others: the server may answer any.
    fn repeat_syn(&mut self, step: &Step, settings: &Settings, events: &mut Events) {
        let [client, server] = &self.sides;
        let former = Offer {
            seq: client.initial,
            ack: 0,
            window: u16::try_from(server.window).unwrap_or(u16::MAX),
            window_scale: self.offers_scale.then_some(server.window_scale),
            timestamp: client.has_timestamp.then_some(client.timestamp),
            seconds: client.stamped_at,
        };
        let syn = Offer::of(step);
        let is_known = |offer: &Offer| (offer.seq, offer.timestamp) == (former.seq, former.timestamp);
        if !(Offer { ack: 0, ..syn }).is_same(&former) && !self.offers().iter().any(is_known) {
            if self.offers().len() >= queue_limit(settings, "stream.max-syn-queued", MAX_SYNS) {
                events.push("stream.3whs_syn_flood");
            } else {
                self.remember(former);
            }
        }
        self.use_syn(&syn);
    }

    fn refuse_syn(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if !self.has_valid_reset_of_syn(step, events) {
            return Verdict::Refused;
        }
        let client = *self.side(Direction::Orig);
        let is_own_reset = step.seq == client.initial && step.window == 0 && step.ack == client.initial.wrapping_add(1);
        if !step.is_to_server() || is_own_reset {
            self.side_mut(step.direction.opposite()).reset_in_doubt = true;
            self.close_by_reset();
        }
        Verdict::Passed
    }

    /// Tells whether a reset answers a SYN; nothing of the server is known yet.
    fn has_valid_reset_of_syn(&mut self, step: &Step, events: &mut Events) -> bool {
        if step.is_to_server() {
            return self.has_valid_reset(step, events);
        }
        if step.length > 0 {
            events.push("stream.rst_with_data");
        }
        if step.ack != 0 && !self.has_valid_ack(step, events) {
            events.push("stream.rst_invalid_ack");
            return false;
        }
        step.seq == self.side(Direction::Resp).next
    }

    /// Goes on without the server's SYN/ACK, which is not seen.
    fn see_one_side(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if step.seq != self.side(Direction::Orig).next {
            return refuse(events, "stream.3whs_async_wrong_seq");
        }
        self.is_one_sided = true;
        self.enter(State::Established);
        self.forget_offers();
        let has_scale = self.offers_scale;
        let [client, server] = &mut self.sides;
        client.window = step.window.into();
        client.acknowledged = step.seq;
        client.allow_anew();
        server.open(step.ack.wrapping_sub(1));
        server.acknowledged = server.next;
        server.limit = server.next;
        if has_scale {
            client.window_scale = MAX_SCALE;
        }
        self.is_stamped = client.has_timestamp && step.options.timestamp.is_some();
        self.expect(Direction::Orig, step.end());
        self.take(step)
    }

    pub(super) fn syn_received(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        if step.has(tcp_flag::RST) {
            if !self.has_valid_reset(step, events) {
                return Verdict::Refused;
            }
            // Linux and Solaris go on after a false acknowledgement that others answer by a reset; Windows does not.
            self.close_by_reset();
            return Verdict::Passed;
        }
        if step.has(tcp_flag::FIN) {
            return self.finish(step, events);
        }
        if step.has(tcp_flag::SYN) {
            return self.repeat_opening(step, settings, events);
        }
        if !step.has(tcp_flag::ACK) {
            return Verdict::Passed;
        }
        if let Some(offer) = self.offers().iter().find(|offer| offer.is_answered_by(step)).copied() {
            self.use_syn_ack(&offer);
        }
        if !self.has_valid_timestamp(step, events) {
            return Verdict::Refused;
        }
        if self.is_crossed && !step.is_to_server() {
            return self.complete_crossed(step, events);
        }
        self.complete(step, settings, events)
    }

    /// Judges a SYN or SYN/ACK that comes again.
    fn repeat_opening(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let [client, server] = &self.sides;
        match (step.has(tcp_flag::ACK), step.direction) {
            (true, Direction::Orig) => refuse(events, "stream.3whs_synack_toserver_on_syn_recv"),
            (true, Direction::Resp) if step.ack != client.acknowledged => {
                refuse(events, "stream.3whs_synack_resend_with_different_ack")
            }
            (true, Direction::Resp) if step.seq != server.initial => self.remember_syn_ack(step, settings, events),
            (false, Direction::Resp) => refuse(events, "stream.3whs_syn_toclient_on_syn_recv"),
            (false, Direction::Orig) if step.seq != client.initial => {
                refuse(events, "stream.3whs_syn_resend_diff_seq_on_syn_recv")
            }
            _ => Verdict::Passed,
        }
    }

    fn remember_syn_ack(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let offer = Offer::of(step);
        if self.offers().iter().any(|known| known.is_same(&offer)) {
            return Verdict::Passed;
        }
        if self.offers().len() >= queue_limit(settings, "stream.max-synack-queued", MAX_SYN_ACKS) {
            return refuse(events, "stream.3whs_synack_flood");
        }
        self.remember(offer);
        Verdict::Passed
    }

    fn complete_crossed(&mut self, step: &Step, events: &mut Events) -> Verdict {
        if step.seq != self.side(Direction::Resp).next {
            return refuse(events, "stream.4whs_wrong_seq");
        }
        if !self.has_valid_ack(step, events) {
            return refuse(events, "stream.4whs_invalid_ack");
        }
        self.accept_last(step)
    }

    /// Judges the last segment of the handshake, or what comes in its place where it was lost.
    fn complete(&mut self, step: &Step, settings: &Settings, events: &mut Events) -> Verdict {
        let (client, server) = (*self.side(Direction::Orig), *self.side(Direction::Resp));
        let is_misplaced = !step.is_to_server() && !self.from_syn_ack && !self.has_fast_open;
        if is_misplaced && settings.inline {
            let injects = step.length > 0 && step.ack == client.acknowledged && step.seq == server.next;
            let event = if injects { "stream.3whs_ack_data_inject" } else { "stream.3whs_ack_in_wrong_dir" };
            return refuse(events, event);
        }
        let is_next_of_server = step.ack == client.acknowledged && step.seq == server.next;
        if step.seq == client.next && step.ack == server.next {
            if self.is_midstream {
                self.side_mut(Direction::Orig).window = u32::from(step.window) << client.window_scale;
                self.side_mut(Direction::Orig).allow_anew();
            }
            return self.accept_last(step);
        }
        if settings.async_oneside && step.seq == server.next {
            self.is_one_sided = true;
            self.expect(Direction::Resp, step.end());
            self.side_mut(Direction::Orig).acknowledge(step.ack);
            self.enter(State::Established);
            return self.take(step);
        }
        if step.seq == client.next {
            return refuse(events, "stream.3whs_right_seq_wrong_ack_evasion");
        }
        let misses_of_server = !step.is_to_server()
            && !settings.inline
            && before(client.next, step.seq)
            && before(client.acknowledged, step.ack);
        let misses_of_client =
            before(client.next, step.seq) && reaches(client.limit, step.seq) && step.ack == server.next;
        if misses_of_server || misses_of_client || (is_misplaced || self.has_fast_open) && is_next_of_server {
            return self.accept_last(step);
        }
        refuse(events, "stream.3whs_wrong_seq_wrong_ack")
    }

    fn accept_last(&mut self, step: &Step) -> Verdict {
        self.note_timestamp(step);
        self.acknowledge(step);
        self.expect(step.direction, step.end());
        self.announce(step);
        self.side_mut(step.direction.opposite()).allow_anew();
        self.enter(State::Established);
        self.take(step)
    }
}

fn queue_limit(settings: &Settings, name: &str, default: usize) -> usize {
    settings.get(name).and_then(|value| value.parse().ok()).unwrap_or(default)
}
