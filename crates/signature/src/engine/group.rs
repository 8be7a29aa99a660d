//! Which rules a packet can concern: by its transport, direction and ports, and by its flow's application protocol.

use std::sync::OnceLock;

use hashbrown::HashMap;
use infraspectre_core::wire::protocol as ip;

use crate::protocol::Protocol;
use crate::rule::{Header, PacketTest, Ports};

use super::announce::{Announcement, Modes, PayloadIndex};
use super::compile::{Id, Signature};

/// Ports by which a rule is found; one that names more is looked at whatever the ports are.
const MAX_GATES: usize = 512;
/// Packets after which what concerns their ports and protocol is put into one index.
const MERGED_AFTER: u32 = 16;
/// Indexes that are put together, the rules in all of them, and combinations of ports and protocol that are counted.
const MAX_MERGED: usize = 256;
const MAX_MERGED_RULES: usize = 1 << 19;
const MAX_COUNTED: usize = 1 << 14;

/// Classes of transport that payload and packet rules are grouped by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Carrier {
    /// Every class.
    pub const ALL: [Carrier; 4] = [Carrier::Tcp, Carrier::Udp, Carrier::Icmp, Carrier::Other];

    /// Returns the class of an IP protocol number.
    pub fn of(transport: u8) -> Carrier {
        match transport {
            ip::TCP => Carrier::Tcp,
            ip::UDP => Carrier::Udp,
            ip::ICMP | ip::ICMP6 => Carrier::Icmp,
            _ => Carrier::Other,
        }
    }

    /// Tells whether its packets can concern a signature.
    fn concerns(self, signature: &Signature) -> bool {
        let rule = &signature.rule;
        let protocol = &rule.header.protocol;
        // Only streams and datagrams have an application protocol.
        if protocol.app.is_some() && !matches!(self, Carrier::Tcp | Carrier::Udp) {
            return false;
        }
        let is_tested = |transport: u8| {
            rule.packet.iter().all(|test| match test {
                PacketTest::IpProtocol(compare) => compare.holds(u64::from(transport)),
                _ => true,
            })
        };
        let named = &protocol.transports;
        let is_possible = |transport: u8| (named.is_empty() || named.contains(&transport)) && is_tested(transport);
        (0..=u8::MAX).any(|transport| Carrier::of(transport) == self && is_possible(transport))
    }
}

/// Which packets a rule can be about, by the port that says most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Gate {
    Any,
    Source(u16),
    Destination(u16),
}

impl Gate {
    fn of(header: &Header) -> Vec<Gate> {
        let few = |ports: &Ports| {
            let ranges = ports.ranges.as_deref()?;
            let count: usize = ranges.iter().map(|(first, last)| usize::from(last - first) + 1).sum();
            (count <= MAX_GATES).then(|| ranges.iter().flat_map(|(first, last)| *first..=*last).collect::<Vec<u16>>())
        };
        if header.bidirectional {
            return vec![Gate::Any];
        }
        match (few(&header.destination_ports), few(&header.source_ports)) {
            (Some(ports), _) => ports.into_iter().map(Gate::Destination).collect(),
            (None, Some(ports)) => ports.into_iter().map(Gate::Source).collect(),
            (None, None) => vec![Gate::Any],
        }
    }
}

/// Rules that some packets concern.
#[derive(Debug, Default)]
pub struct PacketIndex {
    /// Rules that a content announces, and where they look.
    announced: Vec<(Id, Modes)>,
    /// Rules that no content announces.
    pub always: Vec<Id>,
    payload: OnceLock<PayloadIndex>,
}

impl PacketIndex {
    /// Returns what payload is searched for, made when that is first asked for.
    #[inline]
    pub fn payload(&self, groups: &PacketGroups) -> &PayloadIndex {
        self.payload.get_or_init(|| {
            let announcement = |id: Id| groups.announcements.get(id as usize)?.clone();
            let announced = self.announced.iter().filter_map(|(id, modes)| Some((announcement(*id)?, *id, *modes)));
            PayloadIndex::new(announced.collect())
        })
    }

    fn merged<'i>(parts: impl Iterator<Item = &'i PacketIndex>) -> PacketIndex {
        let mut whole = PacketIndex::default();
        for part in parts {
            whole.announced.extend_from_slice(&part.announced);
            whole.always.extend_from_slice(&part.always);
        }
        whole
    }
}

/// Rules about packets of one class and direction.
#[derive(Debug, Default)]
struct PacketGroup {
    any: PacketIndex,
    by_gate: HashMap<(Gate, Option<Protocol>), PacketIndex>,
    /// Ports by which rules are found: of the source, and of the destination.
    gated: [PortSet; 2],
}

#[derive(Debug)]
struct PortSet(Box<[u64]>);

impl Default for PortSet {
    fn default() -> Self {
        PortSet(vec![0; 1 << 10].into())
    }
}

impl PortSet {
    fn insert(&mut self, port: u16) {
        self.0[usize::from(port / 64)] |= 1 << (port % 64);
    }

    #[inline]
    fn contains(&self, port: u16) -> bool {
        self.0[usize::from(port / 64)] >> (port % 64) & 1 == 1
    }
}

impl PacketGroup {
    fn parts(&self, ports: (u16, u16), protocol: Option<Protocol>) -> impl Iterator<Item = &PacketIndex> + Clone {
        let gates = [Gate::Source(ports.0), Gate::Destination(ports.1)];
        let of_ports = gates.into_iter().map(|gate| (gate, None));
        let of_protocol = [Gate::Any].into_iter().chain(gates).map(move |gate| (gate, protocol));
        let keys = of_ports.chain(of_protocol.filter(move |_| protocol.is_some()));
        std::iter::once(&self.any).chain(keys.filter_map(|key| self.by_gate.get(&key)))
    }
}

/// All rules about packets.
#[derive(Debug, Default)]
pub struct PacketGroups {
    groups: Vec<PacketGroup>,
    /// By signature.
    announcements: Vec<Option<Announcement>>,
}

impl PacketGroups {
    /// Adds a signature with the content that announces it.
    pub fn add(&mut self, id: Id, signature: &Signature, announcement: Option<Announcement>) {
        self.groups.resize_with(Carrier::ALL.len() * 2, PacketGroup::default);
        let header = &signature.rule.header.protocol;
        let named = Protocol::ALL.iter().filter(|protocol| header.is_of(Some(**protocol)));
        let protocols: Vec<_> = if header.app.is_some() { named.copied().map(Some).collect() } else { vec![None] };
        let modes = Modes::PACKETS.when(signature.on_packets).and(Modes::STREAM.when(signature.on_stream));
        let gates = Gate::of(&signature.rule.header);
        for carrier in Carrier::ALL.into_iter().filter(|carrier| carrier.concerns(signature)) {
            for direction in (0..2).filter(|direction| signature.directions[*direction]) {
                let Some(group) = self.groups.get_mut(carrier as usize * 2 + direction) else { continue };
                for (gate, protocol) in gates.iter().flat_map(|gate| protocols.iter().map(|own| (*gate, *own))) {
                    let index = match (gate, protocol) {
                        (Gate::Any, None) => &mut group.any,
                        key => group.by_gate.entry(key).or_default(),
                    };
                    match announcement {
                        Some(_) => index.announced.push((id, modes)),
                        None => index.always.push(id),
                    }
                    match gate {
                        Gate::Any => {}
                        Gate::Source(port) => group.gated[0].insert(port),
                        Gate::Destination(port) => group.gated[1].insert(port),
                    }
                }
            }
        }
        self.announcements.resize(id as usize, None);
        self.announcements.push(announcement);
    }
}

/// What tells apart which rules packets concern: class and direction, ports by which rules are found, and protocol.
type Key = (u8, u16, u16, Option<Protocol>);

/// Indexes of the ports and protocols that are met often, each put together from all that concerns them.
#[derive(Debug, Default)]
pub struct MergedIndexes {
    met: HashMap<Key, Met>,
    count: usize,
    rules: usize,
}

#[derive(Debug, Default)]
struct Met {
    packets: u32,
    merged: Option<Box<PacketIndex>>,
}

impl MergedIndexes {
    /// Returns the rules that packets of a class, direction, ports and protocol concern, in one index or in several.
    #[inline]
    pub fn of<'i>(
        &'i mut self,
        groups: &'i PacketGroups,
        (carrier, direction): (Carrier, usize),
        ports: (u16, u16),
        protocol: Option<Protocol>,
    ) -> impl Iterator<Item = &'i PacketIndex> + Clone {
        let number = carrier as usize * 2 + direction;
        let group = groups.groups.get(number);
        let gated = |own: usize, port: u16| group.filter(|group| group.gated[own].contains(port)).map_or(0, |_| port);
        let ports = (gated(0, ports.0), gated(1, ports.1));
        let key = (number as u8, ports.0, ports.1, protocol);
        let has_room = self.met.len() < MAX_COUNTED;
        if has_room && !self.met.contains_key(&key) {
            self.met.insert(key, Met::default());
        }
        if let Some((met, group)) = self.met.get_mut(&key).zip(group) {
            met.packets = met.packets.saturating_add(1);
            if met.packets == MERGED_AFTER && self.count < MAX_MERGED && self.rules < MAX_MERGED_RULES {
                let merged = PacketIndex::merged(group.parts(ports, protocol));
                self.count += 1;
                self.rules += merged.announced.len() + merged.always.len();
                met.merged = Some(Box::new(merged));
            }
        }
        let merged = self.met.get(&key).and_then(|met| met.merged.as_deref());
        let parts = group.filter(|_| merged.is_none()).into_iter().flat_map(move |group| group.parts(ports, protocol));
        merged.into_iter().chain(parts)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use super::*;
    use crate::engine::compile::Program;
    use crate::matcher::Found;
    use crate::rule::parse::{read, Source};
    use crate::settings::Settings;

    fn program(rules: &str) -> Program {
        let settings = Arc::new(Settings::default());
        let parsed = read(&[Source { name: "test", text: rules.as_bytes() }], &settings).unwrap();
        assert_eq!(parsed.refused, []);
        Program::new(parsed.rules, &settings)
    }

    /// Returns the rules that some indexes make worth a look, and how many indexes there are.
    fn worth<'i>(
        indexes: impl Iterator<Item = &'i PacketIndex> + Clone,
        groups: &PacketGroups,
        data: &[u8],
    ) -> (usize, BTreeSet<Id>) {
        let (mut ids, mut found) = (BTreeSet::new(), Found::default());
        for index in indexes.clone() {
            let mut report = |id, _| {
                ids.insert(id);
            };
            index.payload(groups).search_floating(data, Modes::ALL, &mut found, &mut report);
            index.payload(groups).search_placed(data, 0, Modes::ALL, &mut found, &mut report);
            ids.extend(&index.always);
        }
        (indexes.count(), ids)
    }

    #[test]
    fn what_is_put_together_announces_what_its_parts_do() {
        let contents = ["content:\"abcd\";", "content:\"ab\"; depth:2;", "content:\"ABCDEFGH\"; nocase;", "dsize:>0;"];
        let headers = [
            "tcp any any -> any any",
            "tcp any any -> any 80",
            "tcp any [5000,6000:6003] -> any any",
            "tcp any any <> any 81",
            "ip any any -> any any",
            "http any any -> any any",
            "http any any -> any 80",
            "tls any any -> any any",
        ];
        let lines = headers.iter().flat_map(|header| contents.iter().map(move |content| (header, content)));
        let lines = (1..).zip(lines).map(|(sid, (header, content))| format!("alert {header} ({content} sid:{sid};)\n"));
        let program = program(&lines.collect::<String>());
        let groups = &program.packets;
        for ports in [(5000, 80), (6002, 80), (7000, 81), (80, 5000), (0, 0), (7000, 7001)] {
            for protocol in [None, Some(Protocol::Http), Some(Protocol::Tls), Some(Protocol::Dns)] {
                for data in [&b"abcdefghij"[..], b"  abcd", b"ABCDEFGH", b"nothing"] {
                    let mut merged = MergedIndexes::default();
                    let class = (Carrier::Tcp, 0);
                    let (first, apart) = worth(merged.of(groups, class, ports, protocol), groups, data);
                    (0..MERGED_AFTER).for_each(|_| drop(merged.of(groups, class, ports, protocol)));
                    let (last, together) = worth(merged.of(groups, class, ports, protocol), groups, data);
                    assert_eq!(last, 1, "{first} indexes are put together");
                    assert_eq!(together, apart, "{ports:?} {protocol:?} {data:?}");
                }
            }
        }
    }
}
