//! From rules to what runs: each rule's tests prepared, and all rules grouped by what makes one of them worth a look.

use hashbrown::HashMap;
use infraspectre_core::app::Direction;
use infraspectre_core::wire::protocol as ip;

use crate::field::{Field, FieldSet, Sent};
use crate::matcher::Pattern;
use crate::protocol::Protocol;
use crate::rule::parse::ThresholdEntry;
use crate::rule::{
    Action, Addresses, Effect, EventTest, FileTest, FrameTest, HeaderPart, Hook, Match, PacketTest, Rule, Scope, Sides,
    Threshold, ThresholdKind, Transform,
};
use crate::settings::Settings;

use super::announce::{Announcement, PatternIndex};
use super::group::PacketGroups;
use super::inspect::Tests;
use super::intervals::Intervals;
use super::transform::Step;

/// Checks of one rule on a transaction: each has a bit, of which two are taken.
const MAX_CHECKS: usize = 62;

/// Index of a signature in the order in which they are tried.
pub type Id = u32;

/// A rule that is ready to run.
#[derive(Debug)]
pub struct Signature {
    /// The rule without the tests that are below.
    pub rule: Rule,
    pub trigger: Trigger,
    /// Directions in which it can match: to the server, to the client.
    pub directions: [bool; 2],
    pub payload: Tests,
    pub on_packets: bool,
    pub on_stream: bool,
    pub buffers: Vec<BufferCheck>,
    /// Tests of headers, in the order of the rule.
    pub headers: Vec<HeaderCheck>,
    pub frames: Vec<FrameCheck>,
    /// For whom it does not alert; none for nobody at all.
    pub suppressed: Vec<Option<(Sides, Addresses)>>,
}

/// When a signature is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// Once for each direction of a flow.
    Addresses,
    /// With each packet, and with what it adds to the stream.
    Packet,
    /// With each packet that is odd (`decode-event`).
    Oddity,
    /// Once the application protocol is known.
    Recognition,
    /// With each transaction.
    Transaction,
    /// With each part of a message that sessions give (`frame`).
    Frame,
}

/// The tests of one buffer of a transaction.
#[derive(Debug)]
pub struct BufferCheck {
    pub field: Field,
    /// Whose value is looked at.
    pub sent: Sent,
    pub steps: Vec<Step>,
    pub tests: Tests,
}

/// The tests of one frame.
#[derive(Debug)]
pub struct FrameCheck {
    pub name: Box<str>,
    pub steps: Vec<Step>,
    pub tests: Tests,
}

/// The tests of one header of a packet.
#[derive(Debug)]
pub struct HeaderCheck {
    pub part: HeaderPart,
    pub steps: Vec<Step>,
    pub tests: Tests,
}

/// Bytes that are searched for the patterns of many rules at once.
#[derive(Debug)]
pub struct Channel {
    pub field: Field,
    pub steps: Vec<Step>,
    pub index: PatternIndex,
}

/// What transactions of one protocol and direction are searched for.
#[derive(Debug, Default)]
pub struct TransactionGroup {
    /// Indices into [`Program::channels`].
    pub channels: Vec<u32>,
    /// Rules that no pattern announces.
    pub always: Vec<Id>,
}

/// All rules, ready to run.
#[derive(Debug, Default)]
pub struct Program {
    pub signatures: Vec<Signature>,
    pub channels: [Vec<Channel>; 2],
    pub packets: PacketGroups,
    transaction_groups: Vec<TransactionGroup>,
    /// Rules about addresses alone.
    pub addresses: Intervals,
    /// Rules about the application protocol alone.
    pub recognition: Vec<Id>,
    /// Rules about odd packets.
    pub oddities: Vec<Id>,
    /// Rules about frames.
    pub frames: Vec<Id>,
    /// Fields that rules look at.
    pub wanted: FieldSet,
}

impl Program {
    /// Prepares rules; they are tried in Suricata's order, whatever the order in which they are given.
    pub fn new(mut rules: Vec<Rule>, settings: &Settings) -> Program {
        let actions = settings.action_order();
        rules.sort_by_cached_key(|rule| precedence(rule, &actions));
        let mut program = Program::default();
        let mut groups = Groups::default();
        for (id, mut rule) in rules.into_iter().enumerate() {
            let pattern = Announcement::of(&rule);
            let buffers = std::mem::take(&mut rule.buffers);
            let payload = std::mem::take(&mut rule.payload);
            let transactional = rule.header.transactional;
            let checks = buffers.iter().map(|buffer| BufferCheck::new(buffer, transactional)).collect();
            let mut signature = Signature::new(rule, &payload, checks);
            signature.set_scope(&payload);
            program.note_wanted(&signature);
            groups.add(id as Id, &signature, pattern, &buffers);
            program.signatures.push(signature);
        }
        groups.finish(&mut program);
        program
    }

    /// Takes over what a threshold file says; a threshold in a rule itself goes before one in the file.
    pub fn limit(&mut self, entries: &[ThresholdEntry]) {
        let mut by_rule: HashMap<(u32, u32), Vec<&ThresholdEntry>> = HashMap::new();
        for entry in entries {
            by_rule.entry((entry.gid, entry.sid)).or_default().push(entry);
        }
        for signature in &mut self.signatures {
            let (gid, sid) = (signature.rule.gid, signature.rule.sid);
            let about = [(gid, sid), (gid, 0), (0, 0)].into_iter().filter_map(|key| by_rule.get(&key)).flatten();
            for entry in about {
                if entry.threshold.kind == ThresholdKind::Suppress {
                    signature.suppressed.push(entry.suppressed.clone());
                } else {
                    signature.rule.threshold.get_or_insert_with(|| entry.threshold.clone());
                }
            }
        }
    }

    /// Returns what transactions of a protocol and direction are searched for.
    pub fn transaction_group(&self, protocol: Protocol, direction: usize) -> Option<&TransactionGroup> {
        self.transaction_groups.get(protocol as usize * 2 + direction)
    }

    /// Tells whether any rule looks at transactions of a protocol and direction.
    #[inline]
    pub fn has_rules(&self, protocol: Protocol, direction: usize) -> bool {
        let group = self.transaction_group(protocol, direction);
        group.is_some_and(|group| !(group.channels.is_empty() && group.always.is_empty()))
    }

    fn note_wanted(&mut self, signature: &Signature) {
        let fields = signature.buffers.iter().map(|buffer| buffer.field);
        let numbers = signature.rule.numbers.iter().map(|number| number.field);
        for field in fields.chain(numbers) {
            self.wanted.insert(field);
        }
        if !signature.frames.is_empty() {
            self.wanted.insert(Field::Frame);
        }
        if signature.rule.files.iter().any(|file| matches!(file, FileTest::Hash { .. })) {
            self.wanted.insert(Field::FileHash);
        }
    }
}

/// Returns by what rules are ordered: the action, then what others depend on, then priority and place
/// (Suricata User Guide, "Action-order"; signatures that set a bit come before those that test it).
fn precedence(rule: &Rule, actions: &[Action]) -> (usize, u8, u8, u8, u32, u32) {
    let action = actions.iter().position(|action| *action == rule.action).unwrap_or(actions.len());
    let sets = |pick: fn(&Effect) -> bool| rule.effects.iter().any(pick);
    let tests = |pick: fn(&PacketTest) -> bool| rule.packet.iter().any(pick);
    let flowbits = rank(
        sets(|effect| matches!(effect, Effect::FlowbitSet(_) | Effect::FlowbitUnset(_) | Effect::FlowbitToggle(_))),
        tests(|test| matches!(test, PacketTest::Flowbits { .. })),
    );
    let flowints = rank(
        sets(|effect| {
            matches!(effect, Effect::FlowintSet { .. } | Effect::FlowintAdd { .. } | Effect::FlowintSubtract { .. })
        }),
        tests(|test| matches!(test, PacketTest::Flowint { .. })),
    );
    let shared = rank(
        sets(|effect| {
            matches!(
                effect,
                Effect::XbitSet { .. }
                    | Effect::XbitUnset { .. }
                    | Effect::XbitToggle { .. }
                    | Effect::HostbitSet { .. }
                    | Effect::HostbitUnset { .. }
                    | Effect::HostbitToggle { .. }
            )
        }),
        tests(|test| matches!(test, PacketTest::Xbits { .. } | PacketTest::Hostbits { .. })),
    );
    let place = rule.origin.file << 24 | rule.origin.line.min(0x00ff_ffff);
    (action, flowbits, flowints, shared, u32::from(rule.priority), place)
}

/// Returns 0 for what sets, 1 for what sets and tests, 2 for what tests, 3 for neither.
const fn rank(sets: bool, tests: bool) -> u8 {
    match (sets, tests) {
        (true, false) => 0,
        (true, true) => 1,
        (false, true) => 2,
        (false, false) => 3,
    }
}

impl Signature {
    fn new(rule: Rule, payload: &[Match], buffers: Vec<BufferCheck>) -> Signature {
        let mut signature = Signature {
            trigger: Trigger::Packet,
            directions: [true; 2],
            payload: Tests::new(payload),
            on_packets: false,
            on_stream: false,
            buffers,
            headers: rule.packet.iter().filter_map(HeaderCheck::new).collect(),
            frames: rule.frames.iter().map(FrameCheck::new).collect(),
            suppressed: Vec::new(),
            rule,
        };
        signature.trigger = signature.find_trigger();
        signature.directions = signature.find_directions();
        signature
    }

    fn find_trigger(&self) -> Trigger {
        let rule = &self.rule;
        if !rule.frames.is_empty() {
            return Trigger::Frame;
        }
        let has_state = matches!(rule.header.protocol.hook, Some(Hook::Progress { .. }));
        if rule.header.transactional || rule.validity.is_some() || has_state {
            return Trigger::Transaction;
        }
        let has_app_event =
            rule.events.iter().any(|event| matches!(event, EventTest::App(name) if !name.starts_with("applayer")));
        let is_of_packet = rule.packet.iter().any(|test| !matches!(test, PacketTest::IpDataset { .. }));
        if !self.buffers.is_empty() || !rule.numbers.is_empty() || !rule.files.is_empty() || has_app_event {
            return Trigger::Transaction;
        }
        if rule.events.iter().any(|event| matches!(event, EventTest::Decode(_))) {
            return Trigger::Oddity;
        }
        if !rule.app_protocols.is_empty() && self.payload.is_empty() && !is_of_packet {
            return Trigger::Recognition;
        }
        let no_ports = rule.header.source_ports.ranges.is_none() && rule.header.destination_ports.ranges.is_none();
        let flow = rule.flow;
        let any_flow = flow == Default::default() && rule.header.protocol.hook.is_none();
        let is_bare = self.payload.is_empty() && !is_of_packet && rule.events.is_empty();
        if is_bare && no_ports && any_flow && rule.header.protocol.app.is_none() && rule.app_protocols.is_empty() {
            return Trigger::Addresses;
        }
        Trigger::Packet
    }

    /// Tells whether it looks at both directions of a transaction, `=>`.
    pub fn is_transactional(&self) -> bool {
        self.rule.header.transactional
    }

    /// Tells whether it asks for the files of its transactions.
    pub fn keeps_files(&self) -> bool {
        self.rule.files.iter().any(|file| matches!(file, FileTest::Any))
    }

    /// Tells whether it is about a flow rather than a packet, so that what it does to packets it does to all that follow.
    pub fn is_of_flow(&self) -> bool {
        let rule = &self.rule;
        let tests_packets = !(self.payload.is_empty() && rule.packet.is_empty());
        !matches!(self.trigger, Trigger::Packet | Trigger::Oddity)
            || rule.header.protocol.app.is_some() && !tests_packets
    }

    fn find_directions(&self) -> [bool; 2] {
        // The response comes last: then all that such a rule looks at is there.
        if self.is_transactional() {
            return [false, true];
        }
        if let Some(Hook::Progress { direction, .. }) = self.rule.header.protocol.hook {
            return [direction == Direction::Orig, direction == Direction::Resp];
        }
        let flow = self.rule.flow;
        if flow.to_server || flow.to_client {
            return [flow.to_server, flow.to_client];
        }
        let buffers = self.buffers.iter().map(|buffer| buffer.field);
        let numbers = self.rule.numbers.iter().map(|number| number.field);
        let mut directions = [true; 2];
        for field in buffers.chain(numbers) {
            match field.sent() {
                Sent::ToServer => directions[1] = false,
                Sent::ToClient => directions[0] = false,
                Sent::Either => {}
            }
        }
        directions
    }

    /// Decides whether payload is looked at in packets, in the stream, or in both.
    fn set_scope(&mut self, payload: &[Match]) {
        let rule = &self.rule;
        let is_tcp = rule.header.protocol.transports.is_empty() || rule.header.protocol.transports.contains(&ip::TCP);
        let of_header = rule.packet.iter().any(needs_packet);
        let positioned = payload.iter().any(|test| match test {
            Match::Content(content) => content.offset.is_some() || content.depth.is_some() || content.startswith,
            _ => false,
        });
        let scope = rule.header.protocol.scope;
        self.on_stream =
            is_tcp && scope != Scope::Packet && !rule.flow.no_stream && (scope == Scope::Stream || !of_header);
        // How much was sent is known packet by packet.
        let of_size = rule.packet.iter().any(|test| matches!(test, PacketTest::StreamSize { .. }));
        let looks_at_packets = !self.on_stream || positioned || of_size;
        self.on_packets = scope != Scope::Stream && !rule.flow.only_stream && looks_at_packets;
    }

    /// Counts the checks of a transaction.
    pub fn checks(&self) -> usize {
        let rule = &self.rule;
        let of_values = self.buffers.len() + rule.numbers.len() + rule.files.len();
        let of_state = rule.events.len() + rule.app_protocols.len() + usize::from(rule.validity.is_some());
        (of_values + of_state).min(MAX_CHECKS)
    }

    /// Tells whether it does not alert about a packet between two addresses.
    pub fn is_suppressed(&self, source: u128, destination: u128) -> bool {
        self.suppressed.iter().any(|limit| match limit {
            None => true,
            Some((Sides::Source, addresses)) => addresses.contains(source),
            Some((Sides::Destination, addresses)) => addresses.contains(destination),
            Some((Sides::Any, addresses)) => addresses.contains(source) || addresses.contains(destination),
            Some((Sides::Both, addresses)) => addresses.contains(source) && addresses.contains(destination),
        })
    }

    /// Returns the thresholds of its alerts.
    pub fn thresholds(&self) -> impl Iterator<Item = &Threshold> {
        self.rule.threshold.iter()
    }

    /// Tells whether it can match in a direction.
    #[inline]
    pub fn is_of(&self, direction: Direction) -> bool {
        self.directions[crate::transaction::index(direction)]
    }

    /// Tells whether transactions of a protocol concern it.
    pub fn is_of_protocol(&self, protocol: Protocol) -> bool {
        let named = self.rule.header.protocol.is_of(Some(protocol));
        let buffers = self.buffers.iter().map(|buffer| buffer.field);
        let numbers = self.rule.numbers.iter().map(|number| number.field);
        named && buffers.chain(numbers).all(|field| field.protocols().contains(&protocol))
    }
}

/// Tells whether a test looks at the header or size of a packet, so that there must be one.
fn needs_packet(test: &PacketTest) -> bool {
    let is_of_addresses = matches!(test, PacketTest::IpDataset { .. });
    let is_of_none = matches!(test, PacketTest::AppLayerEvent(_));
    !(test.is_of_flow() || is_of_addresses || is_of_none)
}

impl FrameCheck {
    fn new(test: &FrameTest) -> FrameCheck {
        let steps = test.transforms.iter().map(Step::new).collect();
        FrameCheck { name: test.name.clone(), steps, tests: Tests::new(&test.matches) }
    }
}

impl HeaderCheck {
    fn new(test: &PacketTest) -> Option<HeaderCheck> {
        let PacketTest::HeaderBytes { part, transforms, matches } = test else { return None };
        Some(HeaderCheck { part: *part, steps: transforms.iter().map(Step::new).collect(), tests: Tests::new(matches) })
    }
}

impl BufferCheck {
    fn new(buffer: &crate::rule::BufferTest, transactional: bool) -> BufferCheck {
        BufferCheck {
            field: buffer.field,
            sent: if transactional { buffer.sent } else { Sent::Either },
            steps: buffer.transforms.iter().map(Step::new).collect(),
            tests: Tests::new(&buffer.matches),
        }
    }
}

/// What tells channels apart: the field and its transforms as text.
type ChannelKey = (Field, String);

/// A channel whose patterns are still gathered.
#[derive(Default)]
struct ChannelDraft {
    transforms: Vec<Transform>,
    patterns: Vec<(Pattern, Id)>,
}

#[derive(Default)]
struct Groups {
    packets: PacketGroups,
    channels: [HashMap<ChannelKey, ChannelDraft>; 2],
    transactions: HashMap<(usize, usize), Vec<Id>>,
    addresses: Vec<Id>,
    recognition: Vec<Id>,
    oddities: Vec<Id>,
    frames: Vec<Id>,
}

impl Groups {
    fn add(&mut self, id: Id, signature: &Signature, best: Option<Announcement>, buffers: &[crate::rule::BufferTest]) {
        match signature.trigger {
            Trigger::Addresses => self.addresses.push(id),
            Trigger::Recognition => self.recognition.push(id),
            Trigger::Oddity => self.oddities.push(id),
            Trigger::Frame => self.frames.push(id),
            Trigger::Packet => self.packets.add(id, signature, best),
            Trigger::Transaction => self.add_transaction(id, signature, best, buffers),
        }
    }

    fn add_transaction(
        &mut self,
        id: Id,
        signature: &Signature,
        best: Option<Announcement>,
        buffers: &[crate::rule::BufferTest],
    ) {
        let best = best.filter(|_| !signature.is_transactional());
        let announced = best.and_then(|best| Some((buffers.get(best.buffer?)?, best.pattern)));
        for direction in (0..2).filter(|direction| signature.directions[*direction]) {
            match &announced {
                Some((buffer, pattern)) => {
                    let key = (buffer.field, format!("{:?}", buffer.transforms));
                    let channel = self.channels[direction].entry(key);
                    let channel = channel.or_insert_with(|| ChannelDraft {
                        transforms: buffer.transforms.clone(),
                        ..Default::default()
                    });
                    channel.patterns.push((pattern.clone(), id));
                }
                None => {
                    for protocol in Protocol::ALL.iter().filter(|protocol| signature.is_of_protocol(**protocol)) {
                        self.transactions.entry((*protocol as usize, direction)).or_default().push(id);
                    }
                }
            }
        }
    }

    fn finish(mut self, program: &mut Program) {
        program.packets = self.packets;
        for (direction, own) in std::mem::take(&mut self.channels).into_iter().enumerate() {
            let mut own: Vec<_> = own.into_iter().collect();
            own.sort_by(|one, next| one.0.cmp(&next.0));
            program.channels[direction] = own
                .into_iter()
                .map(|((field, _), draft)| Channel {
                    field,
                    steps: draft.transforms.iter().map(Step::new).collect(),
                    index: PatternIndex::new(draft.patterns),
                })
                .collect();
        }
        for protocol in Protocol::ALL {
            for direction in 0..2 {
                let channels = program.channels[direction].iter().enumerate();
                let own = channels.filter(|(_, channel)| channel.field.protocols().contains(protocol));
                let group = TransactionGroup {
                    channels: own.map(|(at, _)| at as u32).collect(),
                    always: self.transactions.remove(&(*protocol as usize, direction)).unwrap_or_default(),
                };
                program.transaction_groups.push(group);
            }
        }
        program.addresses = Intervals::new(self.addresses.iter().filter_map(|id| {
            let header = &program.signatures.get(*id as usize)?.rule.header;
            Some((*id, header))
        }));
        program.recognition = self.recognition;
        program.oddities = self.oddities;
        program.frames = self.frames;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse::{read, read_thresholds, Source};

    fn limited(rules: &str, limits: &str) -> Program {
        let settings = Settings::default();
        let source = |text| Source { name: "test", text };
        let parsed = read(&[source(rules.as_bytes())], &settings).unwrap();
        assert_eq!(parsed.refused, []);
        let mut program = Program::new(parsed.rules, &settings);
        program.limit(&read_thresholds(source(limits.as_bytes()), &settings).unwrap().entries);
        program
    }

    fn mapped(address: [u8; 4]) -> u128 {
        u128::from_be_bytes(std::net::Ipv4Addr::from(address).to_ipv6_mapped().octets())
    }

    #[test]
    fn rules_are_suppressed_by_address_by_identity_and_all_at_once() {
        let rules = "alert ip any any -> any any (sid:1;)\nalert ip any any -> any any (gid:3; sid:2;)";
        let (near, far) = (mapped([10, 0, 0, 1]), mapped([8, 8, 8, 8]));
        for (limits, expected) in [
            ("suppress gen_id 1, sig_id 1", [true, true, false]),
            ("suppress gen_id 1, sig_id 1, track by_src, ip 10.0.0.0/8", [true, false, false]),
            ("suppress gen_id 1, sig_id 1, track by_dst, ip 10.0.0.0/8", [false, true, false]),
            ("suppress gen_id 1, sig_id 1, track by_either, ip 10.0.0.0/8", [true, true, false]),
            ("suppress gen_id 3, sig_id 0", [false, false, true]),
            ("suppress gen_id 0, sig_id 0", [true, true, true]),
            ("", [false, false, false]),
        ] {
            let program = limited(rules, limits);
            let of = |sid| program.signatures.iter().find(|one| one.rule.sid == sid).unwrap();
            let found =
                [of(1).is_suppressed(near, far), of(1).is_suppressed(far, near), of(2).is_suppressed(near, far)];
            assert_eq!(found, expected, "{limits}");
        }
    }

    #[test]
    fn a_threshold_in_the_rule_goes_before_one_in_the_file() {
        let own = "threshold:type limit, track by_src, count 5, seconds 60; ";
        let file = "threshold gen_id 1, sig_id 1, type both, track by_dst, count 2, seconds 9";
        for (rule, kind) in [(own, ThresholdKind::Limit), ("", ThresholdKind::Both)] {
            let program = limited(&format!("alert ip any any -> any any ({rule}sid:1;)"), file);
            assert_eq!(program.signatures[0].rule.threshold.as_ref().unwrap().kind, kind);
        }
    }
}
