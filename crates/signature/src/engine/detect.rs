//! Rules tried on what a packet, a stream and its transactions hold.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Instant;

use infraspectre_core::app::Direction;
use infraspectre_core::wire::protocol as ip;

use crate::field::{Kind, DONE, NONE};
use crate::flow::{Flow, Occasion, PacketKind, Window};
use crate::matcher::Found;
use crate::protocol::frame::Frame;
use crate::rule::{Action, Effect, Hook, Scope, ThresholdKind};
use crate::settings::Settings;
use crate::transaction::{index, Transaction};

use super::announce::{Modes, PatternIndex, PayloadIndex, MOST};
use super::compile::{Channel, FrameCheck, Id, Program, Signature};
use super::group::{Carrier, MergedIndexes};
use super::inspect::{Buffer, Capture, Findings};
use super::packet::{self, View};
use super::profile::{Cost, Profile};
use super::state::{FlowState, HostBits, Owner, Pending, SideState, StreamState};
use super::threshold::{Thresholds, Verdict};
use super::transform;
use super::trial::{bodies, file_property, has_event, is_ready, Outcome, Trial};

/// Bit of [`Pending::passed`] that says that header and packet were tested.
const HEADER_PASSED: u64 = 1 << 63;
/// Bit that says that the payload passed.
const PAYLOAD_PASSED: u64 = 1 << 62;
/// Bytes of a body or stream before those that are new, which are searched again.
const OVERLAP: usize = 256;

/// A rule that has matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    pub id: Id,
    /// The transaction, if the rule is about one.
    pub transaction: Option<u64>,
    /// What is asked for, after a `rate_filter`.
    pub action: Action,
    /// What becomes of the packet: it passes, or is dropped, or neither.
    pub verdict: Action,
    /// Whether the payload was found in the stream.
    pub in_stream: bool,
    /// Whether only one of several plausible views of the bytes holds it.
    pub ambiguous: bool,
    /// The frame that the rule is about, by its place in the flow's.
    pub frame: Option<usize>,
}

/// Runs rules over the occasions of flows.
pub struct Detector {
    program: Arc<Program>,
    settings: Arc<Settings>,
    hosts: HostBits,
    thresholds: Thresholds,
    found: Found,
    marks: Marks,
    merged: MergedIndexes,
    candidates: Vec<Id>,
    /// Room for the rules that are tried on a transaction.
    pending: Vec<Pending>,
    alerts: Vec<Alert>,
    /// Transactions whose files rules ask for.
    kept: Vec<u64>,
    /// What rules take, where the setting `profiling` asks for it.
    profile: Option<Profile>,
    /// Alerts beyond the most that one packet may give.
    pub surplus: u64,
    /// Buffers on which the tests of a rule ended for having taken as much as they may.
    pub given_up: Cell<u64>,
    /// Counts how often the rules were replaced.
    edition: u32,
}

/// Which rules were noted already.
#[derive(Default)]
struct Marks {
    epoch: u32,
    seen: Vec<u32>,
}

impl Marks {
    fn begin(&mut self, count: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 || self.seen.len() < count {
            self.seen.clear();
            self.seen.resize(count, 0);
            self.epoch = 1;
        }
    }

    /// Notes a rule; true if it was not noted before.
    #[inline]
    fn note(&mut self, id: Id) -> bool {
        let epoch = self.epoch;
        self.seen.get_mut(id as usize).is_some_and(|seen| std::mem::replace(seen, epoch) != epoch)
    }
}

/// Where a payload was found.
#[derive(Clone, Default)]
struct Hit {
    in_stream: bool,
    ambiguous: bool,
    /// The frame in which it was, by its place in the flow's.
    frame: Option<usize>,
    /// What groups of expressions have captured, by name.
    captures: Vec<Capture>,
}

impl Detector {
    /// Takes rules to be run.
    pub fn new(program: Arc<Program>, settings: Arc<Settings>) -> Detector {
        let profile = settings.is_on("profiling", false).then(|| Profile::new(program.signatures.len()));
        Detector {
            profile,
            program,
            settings,
            hosts: HostBits::default(),
            thresholds: Thresholds::default(),
            found: Found::default(),
            marks: Marks::default(),
            merged: MergedIndexes::default(),
            candidates: Vec::new(),
            pending: Vec::new(),
            alerts: Vec::new(),
            kept: Vec::new(),
            surplus: 0,
            given_up: Cell::new(0),
            edition: 0,
        }
    }

    /// Goes on with other rules from the next packet on; what flows and hosts have done is kept, thresholds count anew.
    pub fn reload(&mut self, program: Arc<Program>) {
        self.profile = self.profile.is_some().then(|| Profile::new(program.signatures.len()));
        self.thresholds = Thresholds::default();
        self.marks = Marks::default();
        self.merged = MergedIndexes::default();
        self.edition = self.edition.wrapping_add(1);
        self.program = program;
    }

    /// Returns the rules that were tried and what each took; none without the setting `profiling`.
    pub fn costs(&self) -> impl Iterator<Item = (&Signature, &Cost)> {
        let costs = self.profile.as_ref().map_or(&[][..], Profile::costs);
        self.program.signatures.iter().zip(costs).filter(|(_, cost)| cost.checks > 0)
    }

    /// Tries a rule and notes what that takes, where it is wished.
    #[inline]
    fn tried<T>(&mut self, id: Id, test: impl FnOnce(&Self) -> T, has_matched: impl FnOnce(&T) -> bool) -> T {
        if self.profile.is_none() {
            return test(self);
        }
        let begun = Instant::now();
        let result = test(self);
        if let Some(profile) = &mut self.profile {
            profile.note(id, begun.elapsed(), has_matched(&result));
        }
        result
    }

    /// Tries all rules on an occasion and reports the alerts, in the order of the rules.
    pub fn look(
        &mut self,
        occasion: Occasion<'_, FlowState>,
        mut report: impl FnMut(&Signature, &Alert, &Occasion<'_, FlowState>),
    ) {
        self.alerts.clear();
        let mut state = std::mem::take(&mut occasion.flow.state);
        let program = Arc::clone(&self.program);
        state.enter(self.edition, occasion.flow.revision);
        if !(state.passed || state.dropped || occasion.flow.is_exempt) {
            // The packet with which encryption begins is looked at.
            let is_hidden = std::mem::replace(&mut state.encrypted, occasion.flow.encrypted);
            let view = view(&occasion, is_hidden);
            // What is let through is seen once more, with the packet that decides it; its transactions are read on.
            let kind = occasion.packet.map_or(PacketKind::InFlow, |packet| packet.kind);
            if matches!(kind, PacketKind::Odd | PacketKind::Malformed) {
                self.look_at_each(&program.oddities, &program, &view, &mut state);
            }
            if kind != PacketKind::Odd && !std::mem::replace(&mut state.bypassed, occasion.flow.bypassed) {
                self.look_at_addresses(&program, &view, &mut state);
                self.look_at_packet(&program, &view, &mut state);
                self.look_at_recognition(&program, &view, &mut state);
            }
            // What the receiver drops is not the time to look at what others have brought.
            if !view.is_dropped_segment() {
                self.look_at_transactions(&program, &view, &mut state);
                self.look_at_frames(&program, &view, &mut state);
            }
            self.settle(&program, &view, &mut state);
        }
        occasion.flow.state = state;
        for number in self.kept.drain(..) {
            let mut transactions = occasion.flow.transactions.iter_mut();
            if let Some(transaction) = transactions.find(|transaction| transaction.number == number) {
                transaction.keeps_files = true;
            }
        }
        for alert in &self.alerts {
            if let Some(signature) = program.signatures.get(alert.id as usize) {
                report(signature, alert, &occasion);
            }
        }
        let direction = occasion.direction;
        occasion.flow.frames.retain(|frame| frame.direction != direction);
        prune(occasion.flow, &program);
    }

    fn look_at_addresses(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        let side = view.side();
        if view.packet.is_none() || std::mem::replace(&mut state.addresses_seen[side], true) {
            return;
        }
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.clear();
        program.addresses.find(view.source, view.destination, |id| candidates.push(id));
        candidates.sort_unstable();
        self.look_at_each(&candidates, program, view, state);
        self.candidates = candidates;
    }

    fn look_at_packet(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        self.begin_candidates(program);
        let protocol = view.flow.application.protocol;
        let mut streams = std::mem::take(&mut state.streams);
        let mut none = StreamState::default();
        let is_of_stream = view.appended.is_some() || !view.windows.is_empty();
        let stream = if is_of_stream { &mut streams.get_or_insert_default()[view.side()] } else { &mut none };
        stream.enter(protocol);
        let appended = view.appended.filter(|appended| appended.end() - appended.new as u64 == stream.searched);
        let mut merged = std::mem::take(&mut self.merged);
        let class = (Carrier::of(view.flow.transport), view.side());
        let indexes = merged.of(&program.packets, class, view.ports, protocol);
        for index in indexes.clone() {
            if !view.payload.is_empty() {
                self.search_payload(index.payload(&program.packets), view, appended.as_ref(), stream);
            }
            self.candidates.extend_from_slice(&index.always);
        }
        if let Some(appended) = appended {
            stream.note_searched(appended.end());
        }
        for window in view.windows {
            for index in indexes.clone() {
                self.search_window(index.payload(&program.packets), window, stream);
            }
            if !window.ambiguous {
                stream.note_shown(window.end());
            }
        }
        drop(indexes);
        self.merged = merged;
        state.streams = streams;
        self.candidates.sort_unstable();
        let candidates = std::mem::take(&mut self.candidates);
        self.look_at_each(&candidates, program, view, state);
        self.candidates = candidates;
    }

    fn begin_candidates(&mut self, program: &Program) {
        self.marks.begin(program.signatures.len());
        self.candidates.clear();
    }

    /// Adds the rules that the payload of a packet makes worth a look, and remembers those of the stream: bytes that stand
    /// in both are searched once.
    fn search_payload(
        &mut self,
        index: &PayloadIndex,
        view: &View<'_>,
        appended: Option<&Window<'_>>,
        stream: &mut StreamState,
    ) {
        let in_stream = view.packet.is_some_and(|packet| packet.in_stream);
        let wanted = Modes::PACKETS.and(Modes::STREAM.when(!in_stream));
        let (found, marks, candidates) = (&mut self.found, &mut self.marks, &mut self.candidates);
        let mut report = |id: Id, own: Modes| {
            if own.meets(wanted) && marks.note(id) {
                candidates.push(id);
            }
        };
        index.search_placed(view.payload, 0, wanted, found, &mut report);
        let Some(appended) = appended else {
            return index.search_floating(view.payload, wanted, found, &mut report);
        };
        index.search_floating(appended.data, Modes::ALL, found, &mut |id, own| {
            report(id, own);
            if own.meets(Modes::STREAM) {
                stream.note(id, appended.end());
            }
        });
    }

    /// Adds the rules that a piece of the stream makes worth a look: what was met when it came, and the rest.
    fn search_window(&mut self, index: &PayloadIndex, window: &Window<'_>, stream: &mut StreamState) {
        let (found, marks, candidates) = (&mut self.found, &mut self.marks, &mut self.candidates);
        let mut report = |id: Id, _: Modes| {
            if marks.note(id) {
                candidates.push(id);
            }
        };
        index.search_placed(window.data, window.offset, Modes::STREAM, found, &mut report);
        if window.ambiguous {
            return index.search_floating(window.data, Modes::STREAM, found, &mut report);
        }
        stream.hits(window.offset).for_each(|id| report(id, Modes::STREAM));
        if stream.searched < window.end() {
            let from = stream.searched.saturating_sub(MOST as u64).saturating_sub(window.offset);
            let rest = usize::try_from(from).ok().and_then(|from| window.data.get(from..));
            index.search_floating(rest.unwrap_or_default(), Modes::STREAM, found, &mut |id, own| {
                report(id, own);
                stream.note(id, window.end());
            });
        }
    }

    /// Adds the rules that a piece of data makes worth a look.
    #[inline]
    fn search(&mut self, index: &PatternIndex, data: &[u8]) {
        let (marks, candidates) = (&mut self.marks, &mut self.candidates);
        index.search(data, Modes::ALL, &mut self.found, &mut |id, _| {
            if marks.note(id) {
                candidates.push(id);
            }
        });
    }

    fn packet_rule_holds(&self, signature: &Signature, view: &View<'_>, state: &FlowState) -> Option<Hit> {
        let rule = &signature.rule;
        let side = view.side();
        let application = &view.flow.application;
        let mut findings = Findings::counting(&self.given_up);
        let holds = packet::header_holds(rule, view)
            && packet::protocol_holds(rule, view)
            && rule.app_protocols.iter().all(|test| packet::app_protocol_holds(test, application, side))
            && rule.events.iter().all(|event| has_event(event, view.events))
            && packet::tests_hold(signature, view, state, &self.hosts, &mut findings);
        // The end of a flow is no packet: only rules about the application protocol look at it.
        if !holds || signature.payload.is_empty() && view.packet.is_none() && rule.header.protocol.app.is_none() {
            return None;
        }
        let hit = payload_holds(signature, view, &mut findings)?;
        Some(Hit { captures: findings.captures, ..hit })
    }

    fn look_at_recognition(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        let (side, application) = (view.side(), &view.flow.application);
        let is_known = application.sides[side].is_some() || application.failed[side];
        if !is_known || program.recognition.is_empty() || std::mem::replace(&mut state.recognised[side], true) {
            return;
        }
        self.look_at_each(&program.recognition, program, view, state);
    }

    /// Tries rules on a packet.
    fn look_at_each(&mut self, ids: &[Id], program: &Program, view: &View<'_>, state: &mut FlowState) {
        for id in ids {
            let Some(signature) = program.signatures.get(*id as usize) else { continue };
            let tried = self.tried(*id, |own| own.packet_rule_holds(signature, view, state), Option::is_some);
            if let Some(hit) = tried {
                self.matched(*id, signature, None, hit, view, state);
            }
        }
    }

    fn look_at_transactions(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        for transaction in &view.flow.transactions {
            let is_other_way = transaction.only.is_some_and(|only| only != view.direction);
            if is_other_way || !program.has_rules(transaction.protocol, view.side()) {
                continue;
            }
            let Some(group) = program.transaction_group(transaction.protocol, view.side()) else { continue };
            let own = state.transaction(transaction.number);
            let side = &mut own.sides[view.side()];
            let (progress, extent) = (transaction.progress(view.direction), transaction.extent());
            if side.begun && side.progress == progress && side.seen == extent {
                continue;
            }
            let mut side = std::mem::take(side);
            self.begin_candidates(program);
            if !side.begun {
                self.candidates.extend_from_slice(&group.always);
            }
            for at in &group.channels {
                if let Some(channel) = program.channels[view.side()].get(*at as usize) {
                    self.search_channel(*at, channel, transaction, view.direction, progress, &mut side);
                }
            }
            self.try_transaction(program, transaction, progress, &mut side, view, state);
            (side.begun, side.progress, side.seen) = (true, progress, extent);
            state.transaction(transaction.number).sides[view.side()] = side;
        }
    }

    fn look_at_frames(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        let frames = view.flow.frames.iter().enumerate().filter(|(_, frame)| frame.direction == view.direction);
        for (at, frame) in frames {
            for id in &program.frames {
                let Some(signature) = program.signatures.get(*id as usize) else { continue };
                if self.tried(*id, |own| own.frame_rule_holds(signature, frame, view, state), |holds| *holds) {
                    let hit = Hit { frame: Some(at), ..Hit::default() };
                    self.matched(*id, signature, frame.transaction, hit, view, state);
                }
            }
        }
    }

    fn frame_rule_holds(&self, signature: &Signature, frame: &Frame, view: &View<'_>, state: &FlowState) -> bool {
        let mut findings = Findings::counting(&self.given_up);
        let holds = |check: &FrameCheck, findings: &mut Findings| {
            let data = transform::apply(&check.steps, &frame.data, findings.given_up);
            *check.name == *frame.name && check.tests.hold(Buffer::whole(&data), findings)
        };
        packet::header_holds(&signature.rule, view)
            && packet::protocol_holds(&signature.rule, view)
            && packet::tests_hold(signature, view, state, &self.hosts, &mut findings)
            && signature.frames.iter().all(|check| holds(check, &mut findings))
    }

    fn search_channel(
        &mut self,
        number: u32,
        channel: &Channel,
        transaction: &Transaction,
        direction: Direction,
        progress: u8,
        side: &mut SideState,
    ) {
        let field = channel.field;
        match field.kind() {
            Kind::Body => self.search_bodies(number, channel, transaction, direction, side),
            Kind::File => {
                for file in transaction.files.iter().filter(|file| file.direction == direction) {
                    self.search_value(channel, file_property(field, &file.name));
                }
            }
            Kind::Bytes if field.progress() > NONE => {
                if side.progress < field.progress() && field.progress() <= progress {
                    for value in transaction.values(direction, field) {
                        self.search_value(channel, value);
                    }
                }
            }
            Kind::Bytes | Kind::Number if transaction.value(direction, field).is_none() => {}
            Kind::Bytes | Kind::Number => {
                let searched = side.searched(number, 0);
                for value in transaction.values(direction, field).skip(*searched as usize) {
                    *searched += 1;
                    self.search_value(channel, value);
                }
            }
        }
    }

    fn search_value(&mut self, channel: &Channel, value: &[u8]) {
        if channel.steps.is_empty() {
            self.search(&channel.index, value);
        } else {
            let data = transform::apply(&channel.steps, value, Some(&self.given_up));
            self.search(&channel.index, &data);
        }
    }

    fn search_bodies(
        &mut self,
        number: u32,
        channel: &Channel,
        transaction: &Transaction,
        direction: Direction,
        side: &mut SideState,
    ) {
        for (which, body) in bodies(transaction, channel.field, direction).enumerate() {
            if body.is_empty() || !is_ready(&self.settings, transaction, body, direction) {
                continue;
            }
            let searched = side.searched(number, which as u32);
            if body.len() == *searched {
                continue;
            }
            let known = usize::try_from(searched.saturating_sub(body.dropped)).unwrap_or(0);
            let start = if channel.steps.is_empty() { known.saturating_sub(OVERLAP) } else { 0 };
            *searched = body.len();
            self.search_value(channel, body.data.get(start..).unwrap_or_default());
        }
    }

    fn try_transaction(
        &mut self,
        program: &Program,
        transaction: &Transaction,
        progress: u8,
        side: &mut SideState,
        view: &View<'_>,
        state: &mut FlowState,
    ) {
        let waiting = side.pending.len();
        if self.candidates.is_empty() && waiting == 0 {
            return;
        }
        let settings = Arc::clone(&self.settings);
        let trial = Trial { settings: &settings, transaction, direction: view.direction, progress };
        let mut pending = std::mem::take(&mut self.pending);
        pending.append(&mut side.pending);
        for id in &self.candidates {
            let is_waiting = pending.iter().take(waiting).any(|own| own.id == *id);
            if !is_waiting && !side.matched.contains(id) {
                pending.push(Pending { id: *id, passed: 0 });
            }
        }
        if pending.len() > waiting {
            pending.sort_unstable_by_key(|own| own.id);
        }
        pending.retain_mut(|own| {
            let Some(signature) = program.signatures.get(own.id as usize) else { return false };
            let id = own.id;
            let tried = self.tried(
                id,
                |detector| detector.transaction_rule(signature, own, &trial, view, state),
                |(outcome, _)| *outcome == Outcome::Holds,
            );
            match tried {
                (Outcome::Waits, _) => trial.progress < DONE,
                (Outcome::Fails, _) => false,
                (Outcome::Holds, hit) => {
                    side.matched.push(id);
                    self.matched(id, signature, Some(transaction.number), hit, view, state);
                    false
                }
            }
        });
        // Little waits for more: what does is kept, the room for what is tried serves the next transaction.
        side.pending.extend_from_slice(&pending);
        pending.clear();
        self.pending = pending;
    }

    /// Tries a rule on a transaction: what its tests have come to, and where its payload was found.
    fn transaction_rule(
        &self,
        signature: &Signature,
        pending: &mut Pending,
        trial: &Trial<'_>,
        view: &View<'_>,
        state: &FlowState,
    ) -> (Outcome, Hit) {
        let mut hit = Hit { ambiguous: trial.transaction.is_ambiguous, ..Hit::default() };
        let rule = &signature.rule;
        let mut findings = Findings::counting(&self.given_up);
        if pending.passed & HEADER_PASSED == 0 {
            let holds = signature.is_of_protocol(trial.transaction.protocol)
                && packet::header_holds(rule, view)
                && packet::tests_hold(signature, view, state, &self.hosts, &mut findings);
            if !holds {
                return (Outcome::Fails, hit);
            }
            pending.passed |= HEADER_PASSED;
        }
        if matches!(rule.header.protocol.hook, Some(Hook::Progress { progress, .. }) if !trial.has_come_to(progress)) {
            return (Outcome::Waits, hit);
        }
        if !signature.payload.is_empty() && pending.passed & PAYLOAD_PASSED == 0 {
            match payload_holds(signature, view, &mut findings) {
                Some(found) => {
                    hit.in_stream = found.in_stream;
                    hit.ambiguous |= found.ambiguous;
                    pending.passed |= PAYLOAD_PASSED;
                }
                None => return (Outcome::Waits, hit),
            }
        }
        let mut waits = false;
        for number in 0..signature.checks() {
            let bit = 1 << number;
            if pending.passed & bit != 0 {
                continue;
            }
            match trial.check(signature, number, view, &mut findings) {
                Outcome::Holds => pending.passed |= bit,
                Outcome::Waits => waits = true,
                Outcome::Fails => return (Outcome::Fails, hit),
            }
        }
        hit.captures.append(&mut findings.captures);
        (if waits { Outcome::Waits } else { Outcome::Holds }, hit)
    }

    /// Notes a match and does at once what rules that follow may depend on.
    fn matched(
        &mut self,
        id: Id,
        signature: &Signature,
        transaction: Option<u64>,
        hit: Hit,
        view: &View<'_>,
        state: &mut FlowState,
    ) {
        for effect in &signature.rule.effects {
            self.apply(effect, view, state);
        }
        hit.captures.into_iter().for_each(|capture| state.capture(capture));
        self.kept.extend(transaction.filter(|_| signature.keeps_files()));
        let action = signature.rule.action;
        let ambiguous = hit.ambiguous || view.packet.is_some_and(|packet| packet.ambiguous);
        let verdict = Action::Alert;
        let (in_stream, frame) = (hit.in_stream, hit.frame);
        self.alerts.push(Alert { id, transaction, action, verdict, in_stream, ambiguous, frame });
    }

    fn apply(&mut self, effect: &Effect, view: &View<'_>, state: &mut FlowState) {
        let owner = |track| Owner::of(track, view.source, view.destination, view.flow.id);
        match effect {
            Effect::FlowbitSet(name) => state.set_bit(name),
            Effect::FlowbitUnset(name) => state.clear_bit(name),
            Effect::FlowbitToggle(name) if state.bit(name) => state.clear_bit(name),
            Effect::FlowbitToggle(name) => state.set_bit(name),
            Effect::XbitSet { name, track, seconds } | Effect::HostbitSet { name, track, seconds } => {
                self.hosts.set(owner(*track), name, *seconds, view.at);
            }
            Effect::XbitUnset { name, track } | Effect::HostbitUnset { name, track } => {
                self.hosts.clear(owner(*track), name);
            }
            Effect::XbitToggle { name, track, seconds } | Effect::HostbitToggle { name, track, seconds } => {
                let owner = owner(*track);
                if self.hosts.test(owner, name, crate::rule::BitTest::IsSet, view.at) {
                    self.hosts.clear(owner, name);
                } else {
                    self.hosts.set(owner, name, *seconds, view.at);
                }
            }
            Effect::FlowintSet { name, value } => {
                if let Some(value) = packet::operand_value(value, state) {
                    state.set_integer(name, value);
                }
            }
            Effect::FlowintAdd { name, value } => self.add(name, packet::operand_value(value, state), true, state),
            Effect::FlowintSubtract { name, value } => {
                self.add(name, packet::operand_value(value, state), false, state)
            }
            Effect::Bypass => state.passed = true,
            Effect::Tag => {}
        }
    }

    fn add(&self, name: &str, value: Option<u32>, adds: bool, state: &mut FlowState) {
        let Some(value) = value else { return };
        let own = state.integer(name).unwrap_or(0);
        state.set_integer(name, if adds { own.wrapping_add(value) } else { own.wrapping_sub(value) });
    }

    /// Turns matches into alerts: thresholds, what rules do to the packet and its flow, and the most that one packet may
    /// give.
    fn settle(&mut self, program: &Program, view: &View<'_>, state: &mut FlowState) {
        if self.alerts.is_empty() {
            return;
        }
        let mut alerts = std::mem::take(&mut self.alerts);
        alerts.sort_by_key(|alert| (alert.id, alert.transaction));
        let mut kept = Vec::with_capacity(alerts.len());
        let mut verdict = Action::Alert;
        for mut alert in alerts {
            let Some(signature) = program.signatures.get(alert.id as usize) else { continue };
            // What the likeliest receiver reads says it already; other views add nothing.
            let is_repeated = alert.ambiguous && state.has_alerted(alert.id);
            if is_repeated || !self.is_within_thresholds(signature, &mut alert, view) {
                continue;
            }
            let of_flow = alert.in_stream || signature.is_of_flow();
            match alert.action {
                Action::Drop | Action::Reject => {
                    verdict = Action::Drop;
                    state.dropped |= of_flow;
                }
                Action::Pass if verdict != Action::Drop => {
                    verdict = Action::Pass;
                    state.passed |= of_flow;
                }
                _ => {}
            }
            let is_turned_off = alert.action == Action::Pass && signature.rule.action != Action::Pass;
            match signature.rule.noalert || is_turned_off {
                true => {}
                false if kept.len() < self.settings.packet_alert_max => kept.push(alert),
                false => self.surplus += 1,
            }
            if alert.action == Action::Pass {
                break;
            }
        }
        for alert in &mut kept {
            alert.verdict = verdict;
            state.note_alert(alert.id);
        }
        self.alerts = kept;
    }

    fn is_within_thresholds(&mut self, signature: &Signature, alert: &mut Alert, view: &View<'_>) -> bool {
        if signature.is_suppressed(view.source, view.destination) {
            return false;
        }
        for (number, threshold) in signature.thresholds().enumerate() {
            let owner = Owner::of(threshold.track, view.source, view.destination, view.flow.id);
            let rule = u64::from(alert.id) << 8 | number as u64;
            match self.thresholds.judge(rule, threshold, owner, view.at) {
                Verdict::Alert => {}
                Verdict::Silent => return false,
                Verdict::Instead => {
                    if let ThresholdKind::Rate { action, .. } = threshold.kind {
                        alert.action = action;
                    }
                }
            }
        }
        true
    }
}

fn payload_holds(signature: &Signature, view: &View<'_>, findings: &mut Findings) -> Option<Hit> {
    if signature.payload.is_empty() {
        return Some(Hit::default());
    }
    let mut ambiguous = None;
    if signature.on_stream {
        for window in view.windows.iter().filter(|window| window_holds(signature, window, findings)) {
            if !window.ambiguous {
                return Some(Hit { in_stream: true, ..Hit::default() });
            }
            ambiguous = Some(Hit { in_stream: true, ambiguous: true, ..Hit::default() });
        }
    }
    if ambiguous.is_some() {
        return ambiguous;
    }
    let payload = view.payload;
    let in_stream = view.packet.is_some_and(|packet| packet.in_stream);
    let is_of_stream = signature.rule.flow.only_stream || signature.rule.header.protocol.scope == Scope::Stream;
    let looks = signature.on_packets || signature.on_stream && !in_stream && !is_of_stream;
    (looks && !payload.is_empty() && signature.payload.hold(Buffer::whole(payload), findings)).then(Hit::default)
}

/// Tells whether a window holds a payload that ends in what is new in it; an old one does not hide a new one.
fn window_holds(signature: &Signature, window: &Window<'_>, findings: &mut Findings) -> bool {
    let old = window.data.len().saturating_sub(window.new);
    let mut holds_from = |start: usize| {
        let data = window.data.get(start..).unwrap_or_default();
        let buffer = Buffer { data, offset: window.offset + start as u64, little: false, open: false };
        signature.payload.hold(buffer, findings).then_some(findings.end)
    };
    match holds_from(0) {
        Some(end) if end == 0 || end > old => true,
        Some(_) => holds_from(old).is_some(),
        None => false,
    }
}

/// Returns what rules look at.
fn view<'a>(occasion: &'a Occasion<'_, FlowState>, is_hidden: bool) -> View<'a> {
    let flow = &*occasion.flow;
    let (source, destination) = match occasion.direction {
        Direction::Orig => (flow.orig, flow.resp),
        Direction::Resp => (flow.resp, flow.orig),
    };
    let has_ports = matches!(flow.transport, ip::TCP | ip::UDP | ip::SCTP);
    View {
        packet: occasion.packet,
        payload: occasion.packet.filter(|_| !is_hidden).map_or(&[], |packet| packet.segment.payload),
        flow,
        direction: occasion.direction,
        at: occasion.at,
        windows: occasion.windows,
        appended: occasion.appended,
        events: occasion.events,
        source: u128::from_be_bytes(source.address),
        destination: u128::from_be_bytes(destination.address),
        ports: if has_ports { (source.port, destination.port) } else { (0, 0) },
    }
}

/// Drops transactions that are complete and were looked at in both directions, with all their frames.
fn prune(flow: &mut Flow<FlowState>, program: &Program) {
    while let Some(first) = flow.transactions.front() {
        let state = &flow.state;
        let own = state.first_transaction().filter(|own| own.number == first.number);
        let is_over = |direction: Direction| {
            let is_other_way = first.only.is_some_and(|only| only != direction);
            let is_seen = state.passed
                || state.dropped
                || flow.is_exempt
                || !program.has_rules(first.protocol, index(direction))
                || own.is_some_and(|own| own.sides[index(direction)].progress == DONE);
            is_other_way || first.progress(direction) == DONE && is_seen
        };
        let has_frames = flow.frames.iter().any(|frame| frame.transaction == Some(first.number));
        if has_frames || !(is_over(Direction::Orig) && is_over(Direction::Resp)) {
            break;
        }
        if own.is_some() {
            flow.state.forget_first_transaction();
        }
        flow.transactions.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::field::FieldSet;
    use crate::flow::fixture::Host::{Client, Server};
    use crate::flow::fixture::{Packet, Talk, LIMITS};
    use crate::flow::FlowTable;
    use crate::rule::parse::{read, Source};

    /// Returns the packets, by their numbers, with which each rule alerts; 0 stands for the end of the flow.
    fn alerts(rules: &str, packets: &[Packet]) -> Vec<(u32, u64)> {
        alerts_in_order("pass drop reject alert", rules, packets)
    }

    fn alerts_in_order(order: &str, rules: &str, packets: &[Packet]) -> Vec<(u32, u64)> {
        let given = [("action-order".to_owned(), order.to_owned())];
        let settings = Arc::new(Settings::new(given.into()));
        let parsed = read(&[Source { name: "test", text: rules.as_bytes() }], &settings).unwrap();
        assert_eq!(parsed.refused, []);
        let mut detector = Detector::new(Arc::new(Program::new(parsed.rules, &settings)), Arc::clone(&settings));
        let mut table = FlowTable::new(settings, LIMITS, FieldSet::all());
        let mut found = Vec::new();
        let mut each = |occasion: Occasion<'_, FlowState>| {
            detector.look(occasion, |signature, _, occasion| {
                found.push((signature.rule.sid, occasion.packet.map_or(0, |packet| packet.segment.number)));
            });
        };
        for (number, packet) in (1..).zip(packets) {
            packet.with_segment(number, |segment| table.observe(segment, 100, &[], &[], &mut each));
        }
        table.finish(&mut each);
        found
    }

    #[test]
    fn what_was_found_in_the_stream_before_does_not_hide_what_has_come_since() {
        let talk = Talk::default();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let asked = request.len() as u32;
        let mut packets = talk.opening();
        for at in [1, 1 + asked] {
            packets.push(talk.data(Client, at, 1, request));
            packets.push(talk.ack(Server, 1, at + asked));
            packets.push(talk.ack(Client, at + asked, 1));
        }
        let rule = r#"alert tcp any any -> any any (content:"GET"; sid:1;)"#;
        assert_eq!(alerts(rule, &packets), [(1, 6), (1, 9)]);
    }

    #[test]
    fn a_segment_that_its_receiver_drops_is_of_no_protocol_and_no_time_to_look_at_transactions() {
        let talk = Talk::default();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let asked = 1 + request.len() as u32;
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, request));
        packets.push(talk.ack(Server, 1, asked));
        packets.push(talk.ack(Client, asked, 1_000_000));
        packets.push(talk.ack(Client, asked, 1));
        let rules = "alert http any any -> any any (flow:to_server; sid:1;)\n\
                     alert http any any -> any any (http.method; content:\"GET\"; sid:2;)";
        assert_eq!(alerts(rules, &packets[..6]), [(1, 0), (2, 0)]);
        assert_eq!(alerts(rules, &packets), [(1, 7), (2, 7), (1, 0)]);
    }

    /// Returns datagrams of a client and a server, one after the other.
    fn datagrams(texts: &[&[u8]]) -> Vec<Packet> {
        let hosts = [Client, Server].into_iter().cycle();
        hosts.zip(texts).map(|(host, text)| Talk::default().datagram(host, text)).collect()
    }

    #[test]
    fn a_rule_about_packets_drops_these_and_one_about_flows_drops_all_that_follows() {
        let packets = datagrams(&[b"bad one", b"fine", b"bad too"]);
        let of_packets = r#"drop udp any any -> any any (content:"bad"; sid:1;)"#;
        assert_eq!(alerts(of_packets, &packets), [(1, 1), (1, 3)]);
        let of_flows = "drop udp any any -> any any (sid:2;)";
        assert_eq!(alerts(of_flows, &packets), [(2, 1)]);
    }

    #[test]
    fn what_passes_alerts_where_its_rule_says_so_and_nothing_after_it_does() {
        let packets = datagrams(&[b"one", b"two"]);
        let other = "alert udp any any -> any any (sid:9;)";
        for (pass, expected) in [("sid:1;", &[][..]), ("alert; sid:1;", &[(1, 1)])] {
            let rules = format!("pass udp any any -> any any ({pass})\n{other}");
            assert_eq!(alerts(&rules, &packets), expected, "{pass}");
        }
        let rules = format!("pass udp any any -> any any (sid:1;)\n{other}");
        assert_eq!(alerts_in_order("alert pass", &rules, &packets), [(9, 1)]);
    }

    #[test]
    fn what_is_dropped_does_not_pass() {
        let rules = "pass udp any any -> any any (sid:1;)\ndrop udp any any -> any any (content:\"bad\"; sid:2;)";
        assert_eq!(alerts_in_order("drop pass", rules, &datagrams(&[b"bad", b"bad"])), [(2, 1), (2, 2)]);
    }

    #[test]
    fn a_packet_without_a_flow_is_looked_at_for_its_events_for_what_it_is_or_for_both() {
        let rules = "alert udp any any -> any any (decode-event:udp.len_invalid; sid:1;)\n\
                     alert tcp any any -> any any (decode-event:udp.len_invalid; sid:2;)\n\
                     alert udp any any -> any any (decode-event:udp.hlen_too_small; sid:3;)\n\
                     alert ip any any -> any any (sid:4;)";
        let settings = Arc::new(Settings::default());
        let parsed = read(&[Source { name: "test", text: rules.as_bytes() }], &settings).unwrap();
        let mut detector = Detector::new(Arc::new(Program::new(parsed.rules, &settings)), Arc::clone(&settings));
        let table: FlowTable<FlowState> = FlowTable::new(settings, LIMITS, FieldSet::all());
        let mut found = Vec::new();
        for kind in [PacketKind::Odd, PacketKind::Malformed, PacketKind::Carrier] {
            Talk::default().datagram(Client, b"").with_segment(1, |segment| {
                table.observe_alone(segment, 28, &[], kind, &["decoder.udp.len_invalid"], &mut |occasion| {
                    detector.look(occasion, |signature, _, _| found.push((kind, signature.rule.sid)));
                });
            });
        }
        let expected =
            [(PacketKind::Odd, 1), (PacketKind::Malformed, 1), (PacketKind::Malformed, 4), (PacketKind::Carrier, 4)];
        assert_eq!(found, expected);
    }

    #[test]
    fn frames_are_found_one_by_one_and_described_with_their_transaction() {
        let talk = Talk { server_port: 25, ..Talk::default() };
        let (hello, reply) = (&b"EHLO me\r\n"[..], &b"250 hello\r\n"[..]);
        let mut packets = talk.opening();
        packets.push(talk.data(Server, 1, 1, b"220 here\r\n"));
        packets.push(talk.data(Client, 1, 11, hello));
        packets.push(talk.data(Server, 11, 10, reply));
        packets.push(talk.ack(Client, 10, 22));
        packets.push(talk.ack(Server, 22, 10));
        let rules = "alert smtp any any -> any any (frame:command_line; content:\"EHLO\"; startswith; sid:1;)\n\
                     alert smtp any any -> any any (frame:command_line; content:\"|0d 0a|\"; endswith; sid:2;)\n\
                     alert smtp any any -> any any (frame:response_line; content:\"2\"; startswith; sid:3;)\n\
                     alert smtp any any -> any any (frame:stream; content:\"here\"; sid:4;)\n\
                     alert smtp any any -> any any (frame:data; content:\"EHLO\"; sid:5;)";
        assert_eq!(alerts(rules, &packets), [(3, 6), (1, 7), (1, 7), (2, 7), (3, 8), (4, 0)]);
    }

    #[test]
    fn an_old_match_is_new_once_there_is_as_much_data_as_it_asks_for() {
        let talk = Talk::default();
        let mut packets = talk.opening();
        let pieces = [&b"MKD a"[..], &[b'a'; 3000], &[b'b'; 3000]];
        let mut at = 1;
        for piece in pieces {
            packets.push(talk.data(Client, at, 1, piece));
            at += piece.len() as u32;
            packets.push(talk.ack(Server, 1, at));
            packets.push(talk.ack(Client, at, 1));
        }
        let rule = r#"alert tcp any any -> any any (content:"MKD "; isdataat:100,relative; sid:1;)"#;
        assert_eq!(alerts(rule, &packets), [(1, 9)]);
    }

    #[test]
    fn a_rule_about_the_size_of_a_stream_looks_at_packets_and_at_the_stream() {
        let talk = Talk::default();
        let request = b"GET /eicar HTTP/1.1\r\n\r\n";
        let asked = 1 + request.len() as u32;
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, request));
        packets.push(talk.ack(Server, 1, asked));
        packets.push(talk.ack(Client, asked, 1));
        let rule =
            |size| format!("alert tcp any any -> any any (stream_size:client,<,{size}; content:\"eicar\"; sid:1;)");
        assert_eq!(alerts(&rule(100), &packets), [(1, 4), (1, 6)]);
        assert_eq!(alerts(&rule(10), &packets), []);
    }

    #[test]
    fn a_file_that_was_cut_off_is_larger_than_what_is_there() {
        let talk = Talk::default();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello";
        let (asked, answered) = (1 + request.len() as u32, 1 + response.len() as u32);
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, request));
        packets.push(talk.data(Server, 1, asked, response));
        packets.push(talk.ack(Client, asked, answered));
        let rule = |size, sid| format!("alert http any any -> any any (filesize:{size}; sid:{sid};)\n");
        let rules = [rule(">3", 1), rule(">6", 2), rule("<9", 3), rule("5", 4)].concat();
        assert_eq!(alerts(&rules, &packets), [(1, 0)]);
    }

    #[test]
    fn checksums_can_be_asked_for() {
        let mut wrong = Talk::default().datagram(Client, b"other");
        wrong.bytes[27] ^= 1;
        let packets = [Talk::default().datagram(Client, b"right"), wrong];
        let rule =
            |keyword, state, sid| format!("alert udp any any -> any any ({keyword}:{state}; dsize:5; sid:{sid};)\n");
        let rules = [
            rule("udpv4-csum", "valid", 1),
            rule("udpv4-csum", "invalid", 2),
            rule("ipv4-csum", "valid", 3),
            rule("ipv4-csum", "invalid", 4),
            rule("udpv6-csum", "valid", 5),
            rule("tcpv4-csum", "invalid", 6),
        ];
        assert_eq!(alerts(&rules.concat(), &packets), [(1, 1), (3, 1), (2, 2), (3, 2)]);
    }

    #[test]
    fn a_hook_says_when_a_rule_is_looked_at() {
        let talk = Talk::default();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let response = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere";
        let (asked, answered) = (1 + request.len() as u32, 1 + response.len() as u32);
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, request));
        packets.push(talk.data(Server, 1, asked, response));
        packets.push(talk.ack(Client, asked, answered));
        packets.push(talk.ack(Server, answered, asked));
        let rule = |protocol, sid| format!("alert {protocol} any any -> any any (sid:{sid};)\n");
        let rules = [
            rule("tcp:flow_start", 1),
            rule("http1:request_line", 2),
            rule("http1:response_headers", 3),
            rule("http1:response_complete", 4),
        ];
        assert_eq!(alerts(&rules.concat(), &packets), [(1, 1), (1, 2), (2, 6), (3, 7), (4, 7)]);
    }

    #[test]
    fn a_file_that_a_rule_keeps_is_read_beyond_the_limit_of_bodies() {
        let talk = Talk::default();
        let request = b"GET / HTTP/1.1\r\n\r\n";
        let body = vec![b'a'; 60_000];
        let first = [&b"HTTP/1.1 200 OK\r\nContent-Length: 120000\r\n\r\n"[..], &body[..]].concat();
        let asked = 1 + request.len() as u32;
        let answered = 1 + first.len() as u32;
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, request));
        packets.push(talk.data(Server, 1, asked, &first));
        packets.push(talk.ack(Client, asked, answered));
        packets.push(talk.data(Server, answered, asked, &body));
        packets.push(talk.ack(Client, asked, answered + body.len() as u32));
        let size = "alert http any any -> any any (flow:to_client; filesize:120000; sid:1;)";
        assert_eq!(alerts(size, &packets), []);
        let kept = format!("{size}\nalert http any any -> any any (flow:to_client; filestore; sid:2;)");
        assert_eq!(alerts(&kept, &packets), [(2, 7), (1, 0)]);
    }

    /// Contents, and expressions that hold for the same bytes but announce nothing.
    const ALIKE: [(&str, &str); 6] = [
        ("content:\"ab\";", "pcre:\"/ab/\";"),
        ("content:\"Abc\"; nocase;", "pcre:\"/abc/i\";"),
        ("content:\"abcde\";", "pcre:\"/abcde/\";"),
        ("content:\"abcdefg\";", "pcre:\"/abcdefg/\";"),
        ("content:\"EFGABCDEFG\"; nocase;", "pcre:\"/EFGABCDEFG/i\";"),
        ("content:\"g..........abcdefgabcdefg\"; nocase;", "pcre:\"/g\\.{10}abcdefgabcdefg/i\";"),
    ];

    /// What a client sends next: more, more behind a hole, something again, something else in its place; or the server
    /// acknowledges all of it, or some.
    #[derive(Clone, Copy, Debug)]
    enum Move {
        More,
        Hole,
        Again,
        Other,
        Taken,
        Partly,
    }

    fn moves() -> impl Strategy<Value = Vec<(Move, usize)>> {
        use Move::{Again, Hole, More, Other, Partly, Taken};
        let kind = prop::sample::select(vec![More, More, More, Hole, Again, Again, Other, Taken, Taken, Partly]);
        prop::collection::vec((kind, prop_oneof![1..40usize, 1..1400usize]), 1..40)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn what_a_content_announces_is_what_a_look_at_everything_finds(
            moves in moves(),
            places in prop::collection::vec(0..20_000usize, 0..400),
            is_web in any::<bool>(),
        ) {
            let mut sent = vec![b'.'; 60_000];
            places.iter().for_each(|at| sent[*at..at + 14].copy_from_slice(b"abcdefgabcdefg"));
            if is_web {
                sent[..27].copy_from_slice(b"POST /abcdefg HTTP/1.1\r\nab:");
            }
            let talk = Talk::default();
            let mut packets = talk.opening();
            let mut end = 0;
            for (kind, length) in moves {
                let (from, known) = match kind {
                    Move::More => (end, end),
                    Move::Hole => (end + length / 2, end),
                    Move::Again | Move::Other => (end.saturating_sub(length), end),
                    Move::Taken => (end, end),
                    Move::Partly => (end, end - length.min(end)),
                };
                packets.push(match kind {
                    Move::Taken | Move::Partly => talk.ack(Server, 1, 1 + known as u32),
                    _ => {
                        end = end.max(from + length);
                        let mut data = sent[from..from + length].to_vec();
                        if matches!(kind, Move::Other) {
                            data.make_ascii_uppercase();
                        }
                        talk.data(Client, 1 + from as u32, 1, &data)
                    }
                });
            }
            let both = ALIKE.iter().zip(1..).flat_map(|((content, expression), sid)| {
                [(content, sid), (expression, sid + ALIKE.len())]
            });
            let rules = both.map(|(options, sid)| format!("alert tcp any any -> any any ({options} sid:{sid};)\n"));
            let found = alerts(&rules.collect::<String>(), &packets);
            let (announced, all): (Vec<_>, Vec<_>) = found.iter().partition(|(sid, _)| *sid as usize <= ALIKE.len());
            let all: Vec<_> = all.into_iter().map(|(sid, packet)| (sid - ALIKE.len() as u32, packet)).collect();
            prop_assert_eq!(announced, all);
        }
    }
}
