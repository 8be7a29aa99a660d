//! A rule while its options are read: what it says so far, and which buffer the next test looks at.

use std::path::PathBuf;

use super::fault::{fault, refuse, Result};
use super::header::{self, Words};
use super::labels::Classes;
use super::places::Places;
use super::sets::Sets;
use super::SettingsFault;
use crate::field::{Field, Sent};
use crate::protocol::Protocol;
use crate::rule::{BufferTest, Content, FlowTest, FrameTest, HeaderPart, Match, Origin, PacketTest, Rule, Transform};
use crate::settings::Settings;

/// What all rules of a reading share.
pub(super) struct Context<'s> {
    pub settings: &'s Settings,
    pub places: Places<'s>,
    pub classes: Classes,
    pub sets: Sets,
    /// Folder of the file that is being read.
    pub folder: Option<PathBuf>,
}

impl<'s> Context<'s> {
    pub fn new(settings: &'s Settings) -> std::result::Result<Self, SettingsFault> {
        let mut places = Places::new(settings);
        places.check_variables()?;
        let classes = Classes::read(settings)?;
        Ok(Context { settings, places, classes, sets: Sets::default(), folder: None })
    }
}

/// Most transforms of a buffer.
const MAX_TRANSFORMS: usize = 16;

/// A buffer that tests look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Buffer {
    Payload,
    Field(Field, Sent),
    Header(HeaderPart),
    Frame(Box<str>),
    /// `ip.src` or `ip.dst`, of which only sets can be asked.
    IpAddress {
        is_source: bool,
    },
}

/// Where the tests of a buffer stand in the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Payload,
    Buffer(usize),
    /// Position among the tests of the packet.
    Header(usize),
    Frame(usize),
    /// Tests of what `base64_decode` gave.
    Decoded,
}

/// The buffer that was named last; it gets a place with its first test.
struct Selected {
    buffer: Buffer,
    transforms: Vec<Transform>,
    place: Option<Place>,
    /// Whether transforms may still be named.
    is_fresh: bool,
}

impl Selected {
    fn payload() -> Self {
        Selected { buffer: Buffer::Payload, transforms: Vec::new(), place: Some(Place::Payload), is_fresh: false }
    }
}

/// A rule in the making.
pub(super) struct Draft<'c, 's> {
    pub context: &'c mut Context<'s>,
    pub rule: Rule,
    selected: Selected,
    /// After `base64_data`: the place of the `base64_decode`, and the tests of what it gave.
    decoding: Option<Place>,
    decoded: Vec<Match>,
    last_content: Option<Place>,
    /// Place of the last test of any buffer.
    last_test: Place,
    /// Variables of `byte_extract` and `byte_math`, by number.
    variables: Vec<Box<str>>,
    /// Protocols that all keywords so far belong to; none for all.
    pub protocols: Option<Vec<Protocol>>,
    pub given: Given,
}

/// Options that may be given once.
#[derive(Default)]
pub(super) struct Given {
    pub sid: bool,
    pub rev: bool,
    pub msg: bool,
    pub priority: bool,
    pub fast_pattern: bool,
}

impl<'c, 's> Draft<'c, 's> {
    pub fn new(context: &'c mut Context<'s>, origin: Origin, words: Words<'_>) -> Result<Self> {
        let (action, noalert) = header::action(words.action)?;
        let header = header::read(&words, &mut context.places)?;
        let protocols = header.protocol.app.map(|app| spoken(app, &header.protocol.name));
        let rule = Rule {
            origin,
            action,
            header,
            gid: 1,
            sid: 0,
            rev: 0,
            msg: Box::default(),
            classtype: None,
            priority: super::labels::DEFAULT_PRIORITY,
            category: Box::default(),
            references: Vec::new(),
            metadata: Vec::new(),
            target: None,
            flow: FlowTest::default(),
            packet: Vec::new(),
            payload: Vec::new(),
            buffers: Vec::new(),
            frames: Vec::new(),
            validity: None,
            numbers: Vec::new(),
            files: Vec::new(),
            app_protocols: Vec::new(),
            events: Vec::new(),
            effects: Vec::new(),
            threshold: None,
            noalert,
            prefilter: false,
        };
        Ok(Draft {
            context,
            rule,
            selected: Selected::payload(),
            decoding: None,
            decoded: Vec::new(),
            last_content: None,
            last_test: Place::Payload,
            variables: Vec::new(),
            protocols,
            given: Given::default(),
        })
    }

    /// Makes a buffer the one that the next tests look at.
    pub fn select(&mut self, buffer: Buffer) -> Result<()> {
        if self.decoding.is_some() {
            return refuse("no other buffer can follow base64_data", "write the tests of base64_data last");
        }
        self.check_selected()?;
        if let Buffer::Field(field, _) = buffer {
            self.require_protocols(field.protocols())?;
        }
        self.selected = Selected { buffer, transforms: Vec::new(), place: None, is_fresh: true };
        Ok(())
    }

    /// Returns to the payload.
    pub fn select_payload(&mut self) {
        self.leave_base64();
        self.selected = Selected::payload();
    }

    /// Refuses a buffer that was named and has no tests.
    pub fn check_selected(&self) -> Result<()> {
        let Selected { buffer, transforms, place, .. } = &self.selected;
        // Naming a buffer again that has tests already adds none, and is no mistake.
        let is_new = is_repeated(buffer) || matches!(buffer, Buffer::IpAddress { .. });
        let has_tests = || !is_new && transforms.is_empty() && self.find(buffer, transforms).is_some();
        if place.is_some() || has_tests() {
            return Ok(());
        }
        refuse("a buffer is named and nothing is asked of it", "write content, pcre, bsize or another test after it")
    }

    /// Adds a transform to the buffer that was named just before.
    pub fn transform(&mut self, transform: Transform) -> Result<()> {
        if !self.selected.is_fresh {
            return refuse("a transform does not follow the name of a buffer", "write it right after the buffer");
        }
        if self.selected.transforms.len() >= MAX_TRANSFORMS {
            return refuse("a buffer has too many transforms", format!("write at most {MAX_TRANSFORMS}"));
        }
        self.selected.transforms.push(transform);
        self.selected.place = None;
        Ok(())
    }

    /// Looks at the buffer that tests go to.
    pub fn buffer(&self) -> &Buffer {
        &self.selected.buffer
    }

    /// Tells whether tests go to the payload itself.
    pub fn is_payload(&self) -> bool {
        self.selected.buffer == Buffer::Payload
    }

    /// Adds a test of the present buffer.
    pub fn test(&mut self, test: Match) -> Result<()> {
        if let Buffer::IpAddress { .. } = self.selected.buffer {
            return refuse("only sets can be asked about ip.src and ip.dst", "write a dataset after it");
        }
        let place = self.place();
        if let Match::Content(_) = test {
            self.last_content = Some(place);
        }
        self.last_test = place;
        self.tests(place).push(test);
        Ok(())
    }

    /// Adds a test; a relative one goes on where the last one ended, which may be in a buffer that a modifier named.
    pub fn test_on(&mut self, test: Match, relative: bool) -> Result<()> {
        if relative && self.goes_on_elsewhere() {
            self.tests(self.last_test).push(test);
            return Ok(());
        }
        self.test(test)
    }

    /// Tells whether a relative test goes on in another buffer than the selected one.
    fn goes_on_elsewhere(&self) -> bool {
        matches!(self.last_test, Place::Buffer(_)) && self.is_payload() && self.decoding.is_none()
    }

    /// Makes the last test, where that is a content, one of the end of the data; tells whether it is.
    pub fn end_last_content(&mut self) -> bool {
        let place = if self.goes_on_elsewhere() { self.last_test } else { self.place() };
        let is_decoding = self.decoding.is_some();
        match self.tests(place).last_mut() {
            Some(Match::Content(content)) if !is_decoding => {
                content.endswith = true;
                true
            }
            _ => false,
        }
    }

    /// Adds a test of an address, `ip.src` or `ip.dst`.
    pub fn test_address(&mut self, test: PacketTest) {
        self.rule.packet.push(test);
        self.selected.is_fresh = false;
        self.selected.place = Some(Place::Payload);
    }

    /// Makes the next tests look at what the last `base64_decode` of the present buffer gave.
    pub fn enter_base64(&mut self) -> Result<()> {
        let place = if self.is_payload() { self.last_test } else { self.place() };
        let is_decoded = self.tests(place).iter().any(|test| matches!(test, Match::Base64 { .. }));
        if !is_decoded || self.decoding.is_some() {
            return refuse("base64_data has nothing to look at", "write base64_decode before it");
        }
        self.decoding = Some(place);
        Ok(())
    }

    /// Gives the tests after `base64_data` to the `base64_decode` they look at.
    pub fn leave_base64(&mut self) {
        let Some(place) = self.decoding.take() else { return };
        let decoded = std::mem::take(&mut self.decoded);
        let tests = self.tests(place).iter_mut();
        let base64 = tests.rev().find_map(|test| match test {
            Match::Base64 { matches, .. } => Some(matches),
            _ => None,
        });
        if let Some(matches) = base64 {
            *matches = decoded;
        }
        self.last_content = self.last_content.filter(|place| *place != Place::Decoded);
    }

    /// Returns the tests of the present buffer.
    pub fn present(&mut self) -> &mut Vec<Match> {
        let place = self.place();
        self.tests(place)
    }

    /// Returns the tests of a field's buffer that is not the one selected; none if there is no such buffer yet.
    pub fn of_field(&mut self, field: Field) -> &[Match] {
        self.find(&Buffer::Field(field, field.sent()), &[]).map_or(&[], |place| self.tests(place))
    }

    /// Returns the content that modifiers speak of.
    pub fn last_content(&mut self, modifier: &str) -> Result<&mut Content> {
        let found = self.last_content.and_then(|place| {
            let tests = self.tests(place).iter_mut();
            tests.rev().find_map(|test| match test {
                Match::Content(content) => Some(content),
                _ => None,
            })
        });
        found.ok_or_else(|| fault(format!("{modifier} has no content before it"), "write it after a content"))
    }

    /// Returns the content before the last one, in its buffer.
    pub fn content_before_last(&mut self) -> Option<&Content> {
        let tests = self.tests(self.last_content?).iter();
        let mut contents = tests.rev().filter_map(|test| match test {
            Match::Content(content) => Some(content),
            _ => None,
        });
        contents.nth(1)
    }

    /// Moves the last content, written for the payload, to a field's buffer.
    pub fn move_last_content(&mut self, field: Field, keyword: &str) -> Result<()> {
        if !self.is_payload() {
            let reason = format!("{keyword} changes a content that already belongs to a buffer");
            return refuse(reason, "write pkt_data before the content, or the buffer's name alone");
        }
        self.last_content(keyword)?;
        if self.last_content != Some(Place::Payload) {
            return refuse(format!("{keyword} is the second buffer of its content"), "leave one of them out");
        }
        let at = self.rule.payload.iter().rposition(|test| matches!(test, Match::Content(_)));
        let Some(content) = at.map(|at| self.rule.payload.remove(at)) else { return Ok(()) };
        let place = self.add(field, content)?;
        self.last_content = Some(place);
        self.last_test = place;
        Ok(())
    }

    /// Adds a test to a field's buffer that is not the one selected.
    pub fn add(&mut self, field: Field, test: Match) -> Result<Place> {
        self.require_protocols(field.protocols())?;
        let buffer = Buffer::Field(field, field.sent());
        let place = self.find(&buffer, &[]).unwrap_or_else(|| self.make(buffer, Vec::new()));
        self.last_test = place;
        self.tests(place).push(test);
        Ok(place)
    }

    /// Returns the place of the present buffer's tests, and makes one for its first test.
    fn place(&mut self) -> Place {
        if self.decoding.is_some() {
            return Place::Decoded;
        }
        if let Some(place) = self.selected.place {
            return place;
        }
        // After its first transform a buffer can have no other; without one it still can.
        self.selected.is_fresh = self.selected.transforms.is_empty();
        let (buffer, transforms) = (self.selected.buffer.clone(), std::mem::take(&mut self.selected.transforms));
        let known = if is_repeated(&buffer) { None } else { self.find(&buffer, &transforms) };
        let place = known.unwrap_or_else(|| self.make(buffer, transforms));
        self.selected.place = Some(place);
        place
    }

    fn find(&self, buffer: &Buffer, with: &[Transform]) -> Option<Place> {
        match buffer {
            Buffer::Payload | Buffer::IpAddress { .. } => Some(Place::Payload),
            Buffer::Field(field, sent) => {
                let is_it = |test: &BufferTest| test.field == *field && test.sent == *sent && test.transforms == with;
                self.rule.buffers.iter().rposition(is_it).map(Place::Buffer)
            }
            Buffer::Header(wanted) => {
                let is_it = |test: &PacketTest| matches!(test, PacketTest::HeaderBytes { part, transforms, .. } if part == wanted && transforms == with);
                self.rule.packet.iter().rposition(is_it).map(Place::Header)
            }
            Buffer::Frame(name) => {
                let mut tests = self.rule.frames.iter();
                tests.rposition(|test| test.name == *name && test.transforms == with).map(Place::Frame)
            }
        }
    }

    fn make(&mut self, buffer: Buffer, transforms: Vec<Transform>) -> Place {
        let matches = Vec::new();
        match buffer {
            Buffer::Payload | Buffer::IpAddress { .. } => Place::Payload,
            Buffer::Field(field, sent) => {
                self.rule.buffers.push(BufferTest { field, sent, transforms, matches });
                Place::Buffer(self.rule.buffers.len() - 1)
            }
            Buffer::Header(part) => {
                self.rule.packet.push(PacketTest::HeaderBytes { part, transforms, matches });
                Place::Header(self.rule.packet.len() - 1)
            }
            Buffer::Frame(name) => {
                self.rule.frames.push(FrameTest { name, transforms, matches });
                Place::Frame(self.rule.frames.len() - 1)
            }
        }
    }

    fn tests(&mut self, place: Place) -> &mut Vec<Match> {
        let Rule { payload, buffers, frames, packet, .. } = &mut self.rule;
        match place {
            Place::Payload => payload,
            Place::Decoded => &mut self.decoded,
            Place::Buffer(at) => buffers.get_mut(at).map_or(payload, |test| &mut test.matches),
            Place::Frame(at) => frames.get_mut(at).map_or(payload, |test| &mut test.matches),
            Place::Header(at) => match packet.get_mut(at) {
                Some(PacketTest::HeaderBytes { matches, .. }) => matches,
                _ => payload,
            },
        }
    }

    /// Narrows the rule to protocols that a keyword belongs to.
    pub fn require_protocols(&mut self, protocols: &[Protocol]) -> Result<()> {
        let Some(known) = &mut self.protocols else {
            self.protocols = Some(protocols.to_vec());
            return Ok(());
        };
        let both: Vec<Protocol> = known.iter().copied().filter(|one| protocols.contains(one)).collect();
        if both.is_empty() {
            let names = |all: &[Protocol]| all.iter().map(|one| one.name()).collect::<Vec<_>>().join(", ");
            let reason = format!("a keyword of {} stands in a rule of {}", names(protocols), names(known));
            return refuse(reason, "ask for one protocol in each rule");
        }
        *known = both;
        Ok(())
    }

    /// Returns the number of a variable that a keyword before has filled.
    pub fn variable(&self, name: &str) -> Option<u8> {
        let at = self.variables.iter().position(|one| &**one == name)?;
        u8::try_from(at).ok()
    }

    /// Returns the number of a variable that a keyword fills.
    pub fn define(&mut self, name: &str) -> Result<u8> {
        if let Some(known) = self.variable(name) {
            return Ok(known);
        }
        self.variables.push(name.into());
        self.variable(name).ok_or_else(|| fault("the rule has too many variables", "use at most 256"))
    }
}

/// Returns the protocols whose keywords a rule of a protocol may use.
pub(super) fn spoken(app: Protocol, name: &str) -> Vec<Protocol> {
    match app {
        Protocol::Http if name.starts_with("http1") => vec![Protocol::Http],
        Protocol::Http => vec![Protocol::Http, Protocol::Http2],
        Protocol::Http2 => vec![Protocol::Http2, Protocol::Doh2],
        Protocol::Dns => vec![Protocol::Dns, Protocol::Doh2],
        Protocol::Doh2 => vec![Protocol::Doh2, Protocol::Dns, Protocol::Http2],
        Protocol::Dcerpc => vec![Protocol::Dcerpc, Protocol::Smb],
        Protocol::Smb => vec![Protocol::Smb, Protocol::Dcerpc],
        other => vec![other],
    }
}

/// Tells whether naming a buffer again asks for another instance of it.
fn is_repeated(buffer: &Buffer) -> bool {
    matches!(buffer, Buffer::Field(field, _) if field.is_repeated())
}
