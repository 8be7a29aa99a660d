//! The application layer of one flow: recognises its protocol, feeds the session and does what that asks for.

use std::collections::VecDeque;

use infraspectre_core::app::{Direction, Next, Transport};

use super::recognition::{entry_of, first_speaker, Finding, Recognition};
use super::tcp::Events;
use super::Application;
use crate::field::FieldSet;
use crate::protocol::frame::{Frame, MAX_FRAMES};
use crate::protocol::{Expectation, Output, Protocol, Requests, Session};
use crate::settings::Settings;
use crate::transaction::{index, Transaction};

/// Bytes of a direction after which recognition gives up while the other direction says nothing.
const MAX_UNRECOGNISED: usize = 100_000;
/// Bytes after which a probe that is not sure has to do without.
const MAX_PROBED: usize = 16 * 1024;
/// Bytes that a session may leave for later.
const MAX_UNREAD: usize = 1 << 20;
/// Transactions that are taken from another view of a stream.
const MAX_VIEWED: usize = 16;
/// Transactions at the end of the list that are looked at for new completions.
const RECENT: usize = 64;

/// What reading works on besides the session itself.
pub struct Surroundings<'a> {
    pub settings: &'a Settings,
    pub recognition: &'a Recognition,
    pub wanted: FieldSet,
    pub application: &'a mut Application,
    pub transactions: &'a mut VecDeque<Transaction>,
    pub frames: &'a mut Vec<Frame>,
    pub events: &'a mut Events,
    /// Connections that were announced.
    pub expected: &'a mut Vec<Expectation>,
    pub ports: (u16, u16),
    pub at: i64,
    /// The sides may be the other way round.
    pub is_turnable: bool,
    /// The opening was not seen.
    pub is_midstream: bool,
}

/// What became of bytes that were shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// So many are finished with; the rest is shown again with what follows.
    Used(usize),
    /// The other direction has to be read before.
    OtherFirst,
    /// The sides are the other way round; the bytes are shown again.
    Turn,
}

/// The application layer of one flow.
#[derive(Default)]
pub struct Reader {
    session: Option<Box<dyn Session>>,
    next_number: u64,
    expectation: Option<Box<Expectation>>,
    /// Directions whose protocol is settled, one way or the other.
    is_judged: [bool; 2],
    /// Directions of which the session has read something.
    has_read: bool,
    /// Nothing is read any more.
    pub is_over: bool,
    /// Which direction sent data first.
    first: Option<Direction>,
    /// What has to follow a switch.
    awaited: Option<Protocol>,
    /// The rest is encrypted.
    pub is_encrypted: bool,
    pub is_bypassed: bool,
    /// Transactions were completed, or the protocol has changed: what is there has to be inspected.
    pub has_news: bool,
    /// Numbers below which transactions were complete at an occasion of each direction.
    pub shown_complete: [u64; 2],
}

impl Reader {
    /// Notes that a direction sent data.
    #[inline]
    pub fn note_data(&mut self, direction: Direction) {
        self.first.get_or_insert(direction);
    }

    /// Returns the number of the next transaction.
    pub fn next_number(&self) -> u64 {
        self.next_number
    }

    /// Goes on although the direction that spoke first has not been read.
    pub fn go_on_without_other(&mut self) {
        self.has_read = true;
    }

    /// Takes over what a control connection has announced.
    pub fn expect(&mut self, expectation: Expectation, around: &mut Surroundings<'_>) {
        let protocol = expectation.protocol;
        self.expectation = Some(Box::new(expectation));
        around.application.sides = [Some(protocol); 2];
        self.is_judged = [true; 2];
        self.start(protocol, Transport::Stream, around);
    }

    /// Tells whether no protocol is known and none is excluded.
    pub fn is_fresh(&self) -> bool {
        self.session.is_none() && !self.is_over && self.is_judged == [false; 2] && self.awaited.is_none()
    }

    /// Reads bytes of a stream; tells how many of them are finished with.
    pub fn stream(
        &mut self,
        direction: Direction,
        data: &[u8],
        has_other: bool,
        around: &mut Surroundings<'_>,
    ) -> Reading {
        if self.is_over {
            return Reading::Used(data.len());
        }
        if !self.is_judged[index(direction)] {
            if let Some(reading) = self.judge(direction, data, has_other, around) {
                return reading;
            }
        }
        Reading::Used(self.feed(direction, data, around))
    }

    /// Judges the first bytes of a direction; nothing is returned when they can be read.
    fn judge(
        &mut self,
        direction: Direction,
        data: &[u8],
        has_other: bool,
        around: &mut Surroundings<'_>,
    ) -> Option<Reading> {
        // What the first bytes exclude, further ones do not bring back.
        let finding = match around.application.failed[index(direction)] {
            true => Finding::Unknown,
            false => around.recognition.judge(Transport::Stream, direction, data, around.ports),
        };
        match finding {
            Finding::Certain(entry) => self.recognise(direction, entry.protocol, has_other, around),
            Finding::Unsure if data.len() < MAX_PROBED => {
                self.give_up_if_long(data.len(), around);
                Some(Reading::Used(0))
            }
            _ => self.fail(direction, data, around),
        }
    }

    fn recognise(
        &mut self,
        direction: Direction,
        protocol: Protocol,
        has_other: bool,
        around: &mut Surroundings<'_>,
    ) -> Option<Reading> {
        let (own, other) = (index(direction), index(direction.opposite()));
        self.is_judged[own] = true;
        around.application.sides[own] = Some(protocol);
        around.application.failed[own] = false;
        let decided = match around.application.sides[other] {
            Some(known) if known != protocol => {
                around.events.push("app-layer.applayer_mismatch_protocol_both_directions");
                if self.has_read || direction == Direction::Orig {
                    known
                } else {
                    protocol
                }
            }
            _ => protocol,
        };
        self.note_unexpected(decided, around);
        if around.application.protocol != Some(decided) || self.session.is_none() {
            self.start(decided, Transport::Stream, around);
        }
        if self.has_read {
            return None;
        }
        let first = self.first.unwrap_or(direction);
        if let Some(speaker) = first_speaker(decided).filter(|speaker| *speaker != first) {
            if !around.is_midstream || speaker == direction {
                around.events.push("app-layer.applayer_wrong_direction_first_data");
                self.give_up(around);
                return Some(Reading::Used(0));
            }
        }
        let waits = first != direction && has_other && !self.is_judged[other];
        waits.then_some(Reading::OtherFirst)
    }

    /// Notes that a direction's bytes belong to no protocol; they are read with that of the other one, if it has one.
    fn fail(&mut self, direction: Direction, data: &[u8], around: &mut Surroundings<'_>) -> Option<Reading> {
        let (own, other) = (index(direction), index(direction.opposite()));
        let is_new = !around.application.failed[own];
        if is_new && around.is_turnable && around.application.sides[other].is_none() {
            let ports = (around.ports.1, around.ports.0);
            let turned = around.recognition.judge(Transport::Stream, direction.opposite(), data, ports);
            if matches!(turned, Finding::Certain(_)) {
                return Some(Reading::Turn);
            }
        }
        around.application.failed[own] = true;
        if around.application.sides[other].is_some() {
            self.is_judged[own] = true;
            if !data.is_empty() {
                around.events.push("app-layer.applayer_detect_protocol_only_one_direction");
            }
            return None;
        }
        let is_hopeless = around.application.failed[other] || around.is_turnable && direction == Direction::Orig;
        if is_hopeless {
            self.give_up(around);
        } else {
            self.give_up_if_long(data.len(), around);
        }
        Some(Reading::Used(0))
    }

    fn give_up_if_long(&mut self, length: usize, around: &mut Surroundings<'_>) {
        if length > MAX_UNRECOGNISED {
            around.events.push("app-layer.applayer_proto_detection_skipped");
            self.give_up(around);
        }
    }

    /// Stops recognising and reading.
    fn give_up(&mut self, around: &mut Surroundings<'_>) {
        self.is_over = true;
        self.session = None;
        around.application.failed = [true; 2];
        around.application.protocol = None;
    }

    fn note_unexpected(&mut self, protocol: Protocol, around: &mut Surroundings<'_>) {
        let Some(awaited) = self.awaited.take() else { return };
        if awaited != protocol {
            around.events.push("app-layer.applayer_unexpected_protocol");
            if awaited == Protocol::Tls {
                around.events.push("app-layer.applayer_no_tls_after_starttls");
            }
        }
    }

    fn start(&mut self, protocol: Protocol, transport: Transport, around: &mut Surroundings<'_>) {
        around.application.protocol = Some(protocol);
        let entry = entry_of(protocol).filter(|_| around.recognition.reads(protocol));
        self.session = entry.map(|entry| (entry.session)(transport));
    }

    /// Shows bytes to the session; returns how many it is finished with.
    fn feed(&mut self, direction: Direction, data: &[u8], around: &mut Surroundings<'_>) -> usize {
        let Some(protocol) = around.application.protocol.filter(|_| self.session.is_some()) else { return data.len() };
        self.has_read = true;
        let mut requests = Requests::default();
        let done_before = completed(around.transactions, direction);
        let consumed =
            self.with_session(protocol, &mut requests, around, |session, output| session.read(direction, data, output));
        let Some(consumed) = consumed else { return data.len() };
        let used = consumed.bytes.min(data.len());
        // Messages of SMB are many and short: their stream is looked at in its usual windows, as Suricata does.
        self.has_news |= protocol != Protocol::Smb && completed(around.transactions, direction) != done_before;
        let switches = self.obey(requests, around);
        match consumed.next {
            _ if switches => used,
            Next::More if data.len() - used > MAX_UNREAD => self.stop(data.len()),
            Next::More => used,
            Next::Done | Next::Malformed(_) => self.stop(data.len()),
        }
    }

    fn stop(&mut self, used: usize) -> usize {
        self.is_over = true;
        used
    }

    fn with_session<T>(
        &mut self,
        protocol: Protocol,
        requests: &mut Requests,
        around: &mut Surroundings<'_>,
        act: impl FnOnce(&mut dyn Session, &mut Output<'_>) -> T,
    ) -> Option<T> {
        let session = self.session.as_deref_mut()?;
        let mut output = Output {
            settings: around.settings,
            wanted: around.wanted,
            transactions: around.transactions,
            next_number: &mut self.next_number,
            protocol,
            at: around.at,
            ports: around.ports,
            expectation: self.expectation.as_deref(),
            requests,
        };
        Some(act(session, &mut output))
    }

    /// Does what a session asks for; tells whether another protocol follows.
    fn obey(&mut self, requests: Requests, around: &mut Surroundings<'_>) -> bool {
        around.expected.extend(requests.expect);
        let room = MAX_FRAMES.saturating_sub(around.frames.len());
        around.frames.extend(requests.frames.into_iter().take(room));
        self.is_encrypted |= requests.encrypted;
        self.is_bypassed |= requests.bypass;
        let Some(former) = around.application.protocol else { return false };
        if requests.switch_to.is_none() && !requests.recognise_anew {
            return false;
        }
        around.application.original = Some(former);
        self.has_news = true;
        match requests.switch_to {
            // What follows STARTTLS is recognised, for it may be something else.
            Some(Protocol::Tls) => self.recognise_anew(Some(Protocol::Tls), around),
            Some(protocol) => {
                around.application.sides = [Some(protocol); 2];
                self.start(protocol, Transport::Stream, around);
            }
            None => self.recognise_anew(None, around),
        }
        true
    }

    fn recognise_anew(&mut self, awaited: Option<Protocol>, around: &mut Surroundings<'_>) {
        self.is_judged = [false; 2];
        self.has_read = false;
        self.first = None;
        self.awaited = awaited;
        self.session = None;
        around.application.sides = [None; 2];
        around.application.failed = [false; 2];
    }

    /// Passes over missing bytes.
    pub fn gap(&mut self, direction: Direction, missing: u64, around: &mut Surroundings<'_>) {
        if self.is_over {
            return;
        }
        if !self.is_judged[index(direction)] {
            self.is_judged[index(direction)] = true;
            around.application.failed[index(direction)] = true;
            if around.application.protocol.is_none() {
                return self.give_up(around);
            }
        }
        let Some(protocol) = around.application.protocol else { return };
        let mut requests = Requests::default();
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        let goes_on = self
            .with_session(protocol, &mut requests, around, |session, output| session.gap(direction, missing, output));
        self.is_over |= goes_on == Some(false);
    }

    /// Reads a datagram; `Reading::Turn` says that its sender is the server.
    pub fn datagram(&mut self, direction: Direction, data: &[u8], around: &mut Surroundings<'_>) -> Reading {
        if self.is_over {
            return Reading::Used(data.len());
        }
        if !self.is_judged[index(direction)] {
            if let Some(reading) = self.judge_datagram(direction, data, around) {
                return reading;
            }
        }
        self.feed(direction, data, around);
        Reading::Used(data.len())
    }

    fn judge_datagram(&mut self, direction: Direction, data: &[u8], around: &mut Surroundings<'_>) -> Option<Reading> {
        let (own, other) = (index(direction), index(direction.opposite()));
        let finding = around.recognition.judge(Transport::Datagram, direction, data, around.ports);
        let found = match finding {
            Finding::Certain(entry) => Some(entry.protocol),
            _ => None,
        };
        if found.is_none() && self.answers_unseen(direction, data, around) {
            return Some(Reading::Turn);
        }
        self.is_judged[own] = true;
        around.application.sides[own] = found.or(around.application.sides[other]);
        around.application.failed = match around.application.sides {
            [None, None] => [true; 2],
            sides => sides.map(|side| side.is_none()),
        };
        match (found, around.application.protocol) {
            (Some(protocol), None) => self.start(protocol, Transport::Datagram, around),
            (Some(protocol), Some(known)) if protocol != known => {
                around.events.push("app-layer.applayer_mismatch_protocol_both_directions");
            }
            (None, None) if self.is_judged[other] => self.give_up(around),
            _ => {}
        }
        None
    }

    /// Tells whether a flow's first datagram is the response to a query of DNS that was not seen.
    fn answers_unseen(&self, direction: Direction, data: &[u8], around: &Surroundings<'_>) -> bool {
        let ports = (around.ports.1, around.ports.0);
        let is_first = direction == Direction::Orig && around.application.sides == [None; 2];
        is_first
            && matches!(
                around.recognition.judge(Transport::Datagram, Direction::Resp, data, ports),
                Finding::Certain(entry) if entry.protocol == Protocol::Dns
            )
    }

    /// Reads another view of a direction's bytes from the stream's beginning: its transactions are ambiguous, and
    /// complete as they are.
    pub fn read_view(&mut self, direction: Direction, data: &[u8], around: &mut Surroundings<'_>) {
        let Some(protocol) = around.application.protocol else { return };
        let Some(entry) = entry_of(protocol).filter(|_| around.recognition.reads(protocol)) else { return };
        let first_number = self.next_number;
        let mut transactions = VecDeque::new();
        let mut session = (entry.session)(Transport::Stream);
        let mut output = Output {
            settings: around.settings,
            wanted: around.wanted,
            transactions: &mut transactions,
            next_number: &mut self.next_number,
            protocol,
            at: around.at,
            ports: around.ports,
            expectation: None,
            requests: &mut Requests::default(),
        };
        session.read(direction, data, &mut output);
        session.end(direction, &mut output);
        transactions.truncate(MAX_VIEWED);
        self.next_number = first_number + transactions.len() as u64;
        for mut transaction in transactions {
            transaction.is_ambiguous = true;
            transaction.only = Some(direction);
            transaction.complete(direction);
            around.transactions.push_back(transaction);
        }
    }

    /// Exchanges what is known of the directions.
    pub fn turn(&mut self, application: &mut Application) {
        self.is_judged.swap(0, 1);
        self.first = self.first.map(Direction::opposite);
        application.sides.swap(0, 1);
        application.failed.swap(0, 1);
    }

    /// Tells the session that nothing more comes.
    pub fn end(&mut self, direction: Direction, around: &mut Surroundings<'_>) {
        let Some(protocol) = around.application.protocol else {
            // What servers say is read last, and may still tell.
            if self.first.is_some() && direction == Direction::Resp {
                self.give_up(around);
            }
            return;
        };
        let mut requests = Requests::default();
        let done_before = completed(around.transactions, direction);
        self.with_session(protocol, &mut requests, around, |session, output| session.end(direction, output));
        self.has_news |= completed(around.transactions, direction) != done_before;
        around.expected.extend(requests.expect);
        around.frames.extend(requests.frames);
    }
}

/// Counts the recent transactions that are complete in a direction, with all that there were.
fn completed(transactions: &VecDeque<Transaction>, direction: Direction) -> (usize, Option<u64>) {
    let done = transactions.iter().rev().take(RECENT).filter(|one| one.progress(direction) == crate::field::DONE);
    (done.count(), transactions.back().map(|last| last.number))
}
