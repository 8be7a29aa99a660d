//! The checks of a rule on a transaction, as far as it has come.

use infraspectre_core::app::Direction;

use crate::field::{Field, Kind, Sent, DONE, NONE};
use crate::protocol::Protocol;
use crate::rule::{EventTest, FileTest, HashKind, Validity};
use crate::settings::Settings;
use crate::transaction::{index, Body, Hashes, Transaction};

use super::compile::{BufferCheck, Signature};
use super::inspect::{Buffer, Findings};
use super::packet::{self, View};
use super::transform;

/// What a test of a transaction has come to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Holds,
    /// It may hold when more has arrived.
    Waits,
    Fails,
}

/// A transaction on which a rule's checks are tried.
#[derive(Clone, Copy)]
pub struct Trial<'a> {
    pub settings: &'a Settings,
    pub transaction: &'a Transaction,
    pub direction: Direction,
    /// How far the direction has come.
    pub progress: u8,
}

impl Trial<'_> {
    /// Tries one check of a rule: buffers first, then numbers, files, events and protocols.
    pub fn check(&self, signature: &Signature, number: usize, view: &View<'_>, findings: &mut Findings) -> Outcome {
        let rule = &signature.rule;
        let mut at = number;
        if let Some(buffer) = signature.buffers.get(at) {
            return self.of(buffer.sent).buffer(buffer, findings);
        }
        at -= signature.buffers.len();
        if let Some(test) = rule.numbers.get(at) {
            let side = if signature.is_transactional() { self.of(test.field.sent()) } else { self.of(Sent::Either) };
            let holds = test.instance.holds(side.transaction.numbers(side.direction, test.field), &test.compare);
            return side.outcome(holds, test.field);
        }
        at -= rule.numbers.len();
        if let Some(test) = rule.files.get(at) {
            let sent = if let FileTest::Size { sent, .. } = test { *sent } else { Sent::Either };
            return self.of(sent).file(test);
        }
        at -= rule.files.len();
        if let Some(event) = rule.events.get(at) {
            return self.event(event, view);
        }
        at -= rule.events.len();
        if let Some(test) = rule.app_protocols.get(at) {
            let holds = packet::app_protocol_holds(test, &view.flow.application, view.side());
            return if holds { Outcome::Holds } else { Outcome::Fails };
        }
        rule.validity.map_or(Outcome::Holds, |validity| self.validity(validity, view.at))
    }

    /// Tells whether the direction has come to a state; to the first one with anything that it says.
    pub fn has_come_to(&self, progress: u8) -> bool {
        let has_begun = self.progress > NONE || self.transaction.has_begun(self.direction);
        has_begun && self.progress >= progress
    }

    /// Looks at another direction of the transaction, where a test says which one holds its value.
    fn of(&self, sent: Sent) -> Trial<'_> {
        let direction = match sent {
            Sent::ToServer => Direction::Orig,
            Sent::ToClient => Direction::Resp,
            Sent::Either => self.direction,
        };
        Trial { direction, progress: self.transaction.progress(direction), ..*self }
    }

    /// Compares the dates of a certificate with the time of the packet.
    fn validity(&self, wanted: Validity, at: i64) -> Outcome {
        let date = |field| self.transaction.numbers(self.direction, field).next();
        let Some((first, last)) = date(Field::TlsNotBefore).zip(date(Field::TlsNotAfter)) else {
            return self.unless_done();
        };
        let now = u64::try_from(at / 1_000_000_000).unwrap_or(0);
        let holds = match wanted {
            Validity::Expired => now > last,
            Validity::Valid => (first..=last).contains(&now),
        };
        if holds {
            Outcome::Holds
        } else {
            Outcome::Fails
        }
    }

    fn outcome(&self, holds: bool, field: Field) -> Outcome {
        if holds && self.progress >= field.progress() {
            Outcome::Holds
        } else if self.progress < field.progress() || field.progress() == NONE && self.progress < DONE {
            Outcome::Waits
        } else {
            Outcome::Fails
        }
    }

    fn buffer(&self, check: &BufferCheck, findings: &mut Findings) -> Outcome {
        let field = check.field;
        match field.kind() {
            Kind::Body => self.body(check, findings),
            Kind::File => {
                let files = self.transaction.files.iter().filter(|file| file.direction == self.direction);
                let mut names = files.map(|file| file_property(field, &file.name));
                let holds = names.any(|name| self.value(check, name, findings));
                if holds {
                    Outcome::Holds
                } else {
                    self.unless_done()
                }
            }
            Kind::Bytes | Kind::Number => {
                if self.progress < field.progress() {
                    return Outcome::Waits;
                }
                let mut is_there = false;
                let holds = self.transaction.values(self.direction, field).any(|value| {
                    is_there = true;
                    self.value(check, value, findings)
                });
                let may_be_absent = check.tests.on_absent && self.transaction.has_begun(self.direction);
                let absent = !is_there && may_be_absent && (field.progress() > NONE || self.progress == DONE);
                self.outcome(holds || absent, field)
            }
        }
    }

    fn unless_done(&self) -> Outcome {
        if self.progress < DONE {
            Outcome::Waits
        } else {
            Outcome::Fails
        }
    }

    fn value(&self, check: &BufferCheck, value: &[u8], findings: &mut Findings) -> bool {
        let data = transform::apply(&check.steps, value, findings.given_up);
        check.tests.hold(Buffer { little: self.is_little_endian(), ..Buffer::whole(&data) }, findings)
    }

    fn body(&self, check: &BufferCheck, findings: &mut Findings) -> Outcome {
        let mut is_there = false;
        for body in bodies(self.transaction, check.field, self.direction) {
            if !is_ready(self.settings, self.transaction, body, self.direction) || body.is_empty() {
                continue;
            }
            is_there = true;
            let data = transform::apply(&check.steps, &body.data, findings.given_up);
            let buffer = Buffer { data: &data, offset: body.dropped, little: false, open: !body.complete };
            if check.tests.hold(buffer, findings) {
                return Outcome::Holds;
            }
        }
        let may_be_absent = check.tests.on_absent && self.transaction.has_begun(self.direction);
        if !is_there && may_be_absent && self.progress == DONE {
            return Outcome::Holds;
        }
        self.unless_done()
    }

    /// Tells whether numbers of DCERPC are little-endian.
    fn is_little_endian(&self) -> bool {
        self.transaction.numbers(self.direction, Field::DcerpcByteOrder).last() == Some(1)
    }

    fn file(&self, test: &FileTest) -> Outcome {
        let mut files = self.transaction.files.iter().filter(|file| file.direction == self.direction);
        let holds = match test {
            FileTest::Any => files.next().is_some(),
            // What was cut off was larger still, as much as nobody knows.
            FileTest::Size { compare, .. } => files.any(|file| {
                let is_known = file.body.complete && !file.truncated || compare.holds(u64::MAX) && file.truncated;
                is_known && compare.holds(file.size)
            }),
            FileTest::Hash { kind, negated, hashes } => files.any(|file| {
                let digest = file.body.complete.then(|| file.hashes.as_deref().map(|own| digest(own, *kind))).flatten();
                digest.is_some_and(|digest| hashes.contains(&digest) != *negated)
            }),
        };
        if holds {
            Outcome::Holds
        } else {
            self.unless_done()
        }
    }

    fn event(&self, event: &EventTest, view: &View<'_>) -> Outcome {
        let EventTest::App(name) = event else {
            return if has_event(event, view.events) { Outcome::Holds } else { Outcome::Fails };
        };
        let own =
            name.split_once('.').filter(|(protocol, _)| Protocol::of_name(protocol) == Some(self.transaction.protocol));
        let holds = own.is_some_and(|(_, name)| self.transaction.events.iter().any(|event| event.1 == name));
        if holds {
            Outcome::Holds
        } else {
            self.unless_done()
        }
    }
}

/// Tells whether a body is worth a look: it is complete, or large enough (`*-body-minimal-inspect-size`).
pub fn is_ready(settings: &Settings, transaction: &Transaction, body: &Body, direction: Direction) -> bool {
    if body.complete || !matches!(transaction.protocol, Protocol::Http | Protocol::Http2) {
        return true;
    }
    let limit = [settings.request_inspect_size, settings.response_inspect_size][index(direction)];
    body.len() >= limit as u64
}

/// Returns a hash of a file.
fn digest(hashes: &Hashes, kind: HashKind) -> Box<[u8]> {
    use sha2::Digest;
    match kind {
        HashKind::Md5 => hashes.md5.clone().finalize().as_slice().into(),
        HashKind::Sha1 => hashes.sha1.clone().finalize().as_slice().into(),
        HashKind::Sha256 => hashes.sha256.clone().finalize().as_slice().into(),
    }
}

/// Returns what a field says of a file by its name.
pub fn file_property(field: Field, name: &[u8]) -> &[u8] {
    match field {
        Field::FileExtension => {
            name.rsplit(|byte| *byte == b'.').next().filter(|part| part.len() < name.len()).unwrap_or_default()
        }
        Field::FileName => name,
        _ => b"",
    }
}

/// Returns the bodies that a field stands for.
pub fn bodies(transaction: &Transaction, field: Field, direction: Direction) -> impl Iterator<Item = &Body> {
    let is_http = transaction.protocol == Protocol::Http;
    let own = match field {
        Field::HttpRequestBody | Field::HttpResponseBody => true,
        _ => is_http && direction == Direction::Resp,
    };
    let body = own.then(|| &transaction.bodies[index(direction)]);
    let files = transaction.files.iter().filter(move |file| !own && file.direction == direction);
    body.into_iter().chain(files.map(|file| &file.body))
}

/// Tells whether an event of the decoder, the stream or of recognition happened.
pub fn has_event(event: &EventTest, events: &[&'static str]) -> bool {
    let (prefix, name) = match event {
        EventTest::App(name) => ("app-layer.", name),
        EventTest::Decode(name) => ("decoder.", name),
        EventTest::Stream(name) => ("stream.", name),
    };
    events.iter().any(|event| event.strip_prefix(prefix) == Some(name))
}
