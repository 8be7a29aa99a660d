//! Tests of a packet's headers, and of what is known of its flow.

use infraspectre_core::app::Direction;
use infraspectre_core::wire::protocol as ip;

use crate::flow::{checksum, Application, Flow, Packet, Window};
use crate::protocol::Protocol;
use crate::rule::{
    AppProtocolMode, AppProtocolTest, BitTest, Compare, FlagMode, FlowCounter, FlowintTest, HeaderPart, Hook, Instance,
    IntOperand, PacketTest, Rule, SizeOf,
};
use crate::transaction::index;

use super::compile::{HeaderCheck, Signature};
use super::dataset;
use super::inspect::{Buffer, Findings};
use super::state::{compare, FlowState, HostBits, Owner};
use super::transform;

/// What rules look at on one occasion.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub packet: Option<&'a Packet<'a>>,
    /// Payload of the packet; empty where there is none and where it is encrypted.
    pub payload: &'a [u8],
    pub flow: &'a Flow<FlowState>,
    pub direction: Direction,
    pub at: i64,
    pub windows: &'a [Window<'a>],
    pub appended: Option<Window<'a>>,
    pub events: &'a [&'static str],
    pub source: u128,
    pub destination: u128,
    pub ports: (u16, u16),
}

impl<'a> View<'a> {
    /// Tells whether the packet is a segment of TCP that its receiver drops.
    pub fn is_dropped_segment(&self) -> bool {
        self.packet.is_some_and(|packet| packet.dropped && packet.segment.protocol == ip::TCP)
    }

    /// Returns 0 for what goes to the server and 1 for what goes to the client.
    #[inline]
    pub fn side(&self) -> usize {
        index(self.direction)
    }

    fn owner(&self, track: crate::rule::Track) -> Owner {
        Owner::of(track, self.source, self.destination, self.flow.id)
    }
}

/// Tells whether addresses, ports, protocols and the state of the flow are those of a rule.
pub fn header_holds(rule: &Rule, view: &View<'_>) -> bool {
    let header = &rule.header;
    let protocol = &header.protocol;
    let transport = protocol.transports.is_empty() || protocol.transports.contains(&view.flow.transport);
    transport
        && protocol.ip_version.is_none_or(|version| version == view.flow.ip_version)
        && flow_holds(rule, view)
        && (header.protocol.hook != Some(Hook::FlowStart) || starts_flow(view))
        && endpoints_hold_either_way(rule, view)
}

/// Compares the endpoints; rules of `=>` name those of the flow, whichever side is looked at.
fn endpoints_hold_either_way(rule: &Rule, view: &View<'_>) -> bool {
    let as_seen = || endpoints_hold(rule, view.source, view.destination, view.ports);
    let turned = || endpoints_hold(rule, view.destination, view.source, (view.ports.1, view.ports.0));
    match (rule.header.transactional, view.direction) {
        (true, Direction::Orig) => as_seen(),
        (true, Direction::Resp) => turned(),
        (false, _) => as_seen() || rule.header.bidirectional && turned(),
    }
}

fn endpoints_hold(rule: &Rule, source: u128, destination: u128, ports: (u16, u16)) -> bool {
    let header = &rule.header;
    header.source_ports.contains(ports.0)
        && header.destination_ports.contains(ports.1)
        && header.source.contains(source)
        && header.destination.contains(destination)
}

/// Tells whether a packet is the first one of its direction.
fn starts_flow(view: &View<'_>) -> bool {
    view.packet.is_some_and(|packet| view.flow.packets[view.side()] == u64::from(packet.segment.packets))
}

fn flow_holds(rule: &Rule, view: &View<'_>) -> bool {
    let (flow, side) = (rule.flow, view.side());
    let direction = !(flow.to_server || flow.to_client) || [flow.to_server, flow.to_client][side];
    let from_fragments = view.packet.is_some_and(|packet| packet.from_fragments);
    direction
        && (!flow.established || view.flow.established)
        && (!flow.not_established || !view.flow.established)
        && (!flow.only_frag || from_fragments)
        && (!flow.no_frag || !from_fragments)
}

/// Tells whether the protocol of the flow is that of the rule's header; what the receiver drops is of none.
pub fn protocol_holds(rule: &Rule, view: &View<'_>) -> bool {
    let protocol = &rule.header.protocol;
    protocol.app.is_none() || !view.is_dropped_segment() && protocol.is_of(view.flow.application.protocol)
}

/// Tells whether `app-layer-protocol` holds.
pub fn app_protocol_holds(test: &AppProtocolTest, application: &Application, side: usize) -> bool {
    let known = match test.mode {
        AppProtocolMode::Direction => application.sides[side],
        AppProtocolMode::Final => application.protocol,
        AppProtocolMode::ToServer => application.sides[0],
        AppProtocolMode::ToClient => application.sides[1],
        AppProtocolMode::Original => application.original,
        AppProtocolMode::Either => {
            let wanted = Protocol::of_name(&test.name);
            application.sides.iter().flatten().find(|own| Some(**own) == wanted).copied().or(application.protocol)
        }
    };
    let failed = application.failed[side] && application.sides[side].is_none();
    match &*test.name {
        "failed" => failed != test.negated,
        "unknown" => (known.is_none() && !failed) != test.negated,
        name => match known {
            Some(known) => names(name, known) != test.negated,
            None => test.negated && failed,
        },
    }
}

fn names(name: &str, protocol: Protocol) -> bool {
    match Protocol::of_name(name) {
        Some(Protocol::Http) if name == "http" => matches!(protocol, Protocol::Http | Protocol::Http2),
        own => own == Some(protocol),
    }
}

/// Tells whether all tests of a rule on the packet and on its flow's state hold.
pub fn tests_hold(
    signature: &Signature,
    view: &View<'_>,
    state: &FlowState,
    hosts: &HostBits,
    findings: &mut Findings,
) -> bool {
    let mut headers = signature.headers.iter();
    signature.rule.packet.iter().all(|test| match test {
        PacketTest::HeaderBytes { .. } => headers.next().is_some_and(|check| header_check_holds(check, view, findings)),
        other => test_holds(other, view, state, hosts),
    })
}

fn header_check_holds(check: &HeaderCheck, view: &View<'_>, findings: &mut Findings) -> bool {
    let bytes = view.packet.and_then(|packet| header_bytes(check.part, packet));
    bytes.is_some_and(|bytes| {
        let data = transform::apply(&check.steps, bytes, findings.given_up);
        check.tests.hold(Buffer::whole(&data), findings)
    })
}

fn test_holds(test: &PacketTest, view: &View<'_>, state: &FlowState, hosts: &HostBits) -> bool {
    match test {
        PacketTest::Flowbits { bits, mode } => match mode {
            BitTest::IsSet => bits.iter().any(|bit| state.bit(bit)),
            BitTest::IsNotSet => bits.iter().all(|bit| !state.bit(bit)),
        },
        PacketTest::Xbits { name, track, mode } | PacketTest::Hostbits { name, track, mode } => {
            hosts.test(view.owner(*track), name, *mode, view.at)
        }
        PacketTest::Flowint { name, test } => flowint_holds(name, test, state),
        PacketTest::StreamSize { direction, compare } => {
            let [server, client] = view.flow.stream_bytes;
            match direction {
                SizeOf::Server => compare.holds(client),
                SizeOf::Client => compare.holds(server),
                SizeOf::Both => compare.holds(server) && compare.holds(client),
                SizeOf::Either => compare.holds(server) || compare.holds(client),
            }
        }
        PacketTest::IpDataset { source, dataset } => {
            let address = if *source { view.source } else { view.destination };
            dataset::holds(dataset, &address.to_be_bytes())
        }
        PacketTest::FlowCounter { counter, compare } => {
            let flow = view.flow;
            let either = |pair: [u64; 2]| compare.holds(pair[0]) || compare.holds(pair[1]);
            match counter {
                FlowCounter::AgeSeconds => compare.holds((view.at.saturating_sub(flow.start) / 1_000_000_000) as u64),
                FlowCounter::PacketsToServer => compare.holds(flow.packets[0]),
                FlowCounter::PacketsToClient => compare.holds(flow.packets[1]),
                FlowCounter::PacketsEither => either(flow.packets),
                FlowCounter::PacketsBoth => flow.packets.iter().all(|count| compare.holds(*count)),
                FlowCounter::BytesToServer => compare.holds(flow.bytes[0]),
                FlowCounter::BytesToClient => compare.holds(flow.bytes[1]),
                FlowCounter::BytesEither => either(flow.bytes),
                FlowCounter::BytesBoth => flow.bytes.iter().all(|count| compare.holds(*count)),
            }
        }
        PacketTest::AppLayerEvent(name) => view.events.contains(&&**name),
        PacketTest::Vlan { layer, id } => vlan_holds(*layer, id, &view.flow.vlans),
        PacketTest::VlanLayers(compare) => compare.holds(view.flow.vlans.len() as u64),
        of_packet => view.packet.is_some_and(|packet| header_test_holds(of_packet, packet)),
    }
}

/// Tests the ids of VLANs; as Suricata has it, a layer that is not there has the id 0 where any layer is.
fn vlan_holds(layer: Instance, id: &Compare, vlans: &[u16]) -> bool {
    let missing = match layer {
        Instance::At(at) if !vlans.is_empty() => {
            usize::try_from(at).map_or(0, |at| (at + 1).saturating_sub(vlans.len()))
        }
        _ => 0,
    };
    layer.holds(vlans.iter().map(|own| u64::from(*own)).chain(std::iter::repeat_n(0, missing)), id)
}

fn flowint_holds(name: &str, test: &FlowintTest, state: &FlowState) -> bool {
    let own = state.integer(name);
    match test {
        FlowintTest::IsSet => own.is_some(),
        FlowintTest::NotSet => own.is_none(),
        FlowintTest::Compare(how, operand) => {
            own.zip(operand_value(operand, state)).is_some_and(|(left, right)| compare(*how, left, right))
        }
    }
}

/// Returns the number that an operand stands for.
pub fn operand_value(operand: &IntOperand, state: &FlowState) -> Option<u32> {
    match operand {
        IntOperand::Value(value) => Some(*value),
        IntOperand::Variable(name) => state.integer(name),
    }
}

fn header_test_holds(test: &PacketTest, packet: &Packet<'_>) -> bool {
    let segment = &packet.segment;
    let is_tcp = segment.protocol == ip::TCP;
    let icmp = matches!(segment.protocol, ip::ICMP | ip::ICMP6);
    let network = |at: usize| segment.network.get(at).copied();
    let network_word =
        |at: usize| segment.network.get(at..at + 2).map(|two| u64::from(two[0]) << 8 | u64::from(two[1]));
    let transport_word = |at: usize| segment.transport.get(at..at + 2).map(|two| u16::from_be_bytes([two[0], two[1]]));
    let is_v4 = segment.ip_version == 4;
    match test {
        PacketTest::Dsize(compare) => compare.holds(u64::from(segment.payload_bytes)),
        PacketTest::Flags { wanted, ignored, mode } => {
            is_tcp && bits_hold(segment.tcp.flags & !ignored, *wanted, *mode)
        }
        PacketTest::Seq(compare) => is_tcp && compare.holds(u64::from(segment.tcp.seq)),
        PacketTest::Ack(compare) => is_tcp && compare.holds(u64::from(segment.tcp.ack)),
        PacketTest::Window(compare) => is_tcp && compare.holds(u64::from(segment.tcp.window)),
        PacketTest::Mss(compare) => {
            is_tcp && maximum_segment_size(segment.tcp.options).is_some_and(|mss| compare.holds(mss))
        }
        PacketTest::WindowScale(compare) => {
            is_tcp && option(segment.tcp.options, 3, 3).is_some_and(|shift| compare.holds(u64::from(shift[0])))
        }
        PacketTest::Ttl(compare) => compare.holds(u64::from(segment.ttl)),
        PacketTest::Tos(compare) => is_v4 && network(1).is_some_and(|tos| compare.holds(u64::from(tos))),
        PacketTest::IpId(compare) => is_v4 && network_word(4).is_some_and(|id| compare.holds(id)),
        PacketTest::IpProtocol(compare) => compare.holds(u64::from(segment.protocol)),
        PacketTest::IpOption(kind) => is_v4 && has_ip_option(segment.network, *kind),
        PacketTest::FragmentBits { wanted, mode } => {
            is_v4 && network(6).is_some_and(|byte| bits_hold(fragment_bits(byte), *wanted, *mode))
        }
        PacketTest::FragmentOffset(compare) => {
            is_v4 && network_word(6).is_some_and(|word| compare.holds((word & 0x1fff) * 8))
        }
        PacketTest::SameIp => segment.src == segment.dst,
        PacketTest::Checksum { ip_version, transport, is_right } => {
            segment.ip_version == *ip_version
                && match transport {
                    None => checksum::is_header_right(segment) == *is_right,
                    Some(transport) => {
                        segment.protocol == *transport && checksum::is_transport_right(segment) == *is_right
                    }
                }
        }
        PacketTest::IcmpType(compare) => icmp && compare.holds(u64::from(segment.src_port)),
        PacketTest::IcmpCode(compare) => icmp && compare.holds(u64::from(segment.dst_port)),
        PacketTest::IcmpId(id) => icmp && has_echo_fields(segment.src_port) && transport_word(4) == Some(*id),
        PacketTest::IcmpSeq(seq) => icmp && has_echo_fields(segment.src_port) && transport_word(6) == Some(*seq),
        PacketTest::Icmp6Mtu(compare) => {
            let mtu = segment.transport.get(4..8).map(|four| u32::from_be_bytes([four[0], four[1], four[2], four[3]]));
            segment.protocol == ip::ICMP6
                && segment.src_port == 2
                && mtu.is_some_and(|mtu| compare.holds(u64::from(mtu)))
        }
        _ => false,
    }
}

/// Tells whether an ICMP message of a type has an identifier and a sequence number (RFC 792, RFC 4443).
const fn has_echo_fields(kind: u16) -> bool {
    matches!(kind, 0 | 8 | 13..=18 | 128 | 129)
}

fn bits_hold(bits: u8, wanted: u8, mode: FlagMode) -> bool {
    match mode {
        FlagMode::Exact => bits == wanted,
        FlagMode::All => bits & wanted == wanted,
        FlagMode::Any => bits & wanted != 0,
        FlagMode::Not => bits & wanted == 0,
    }
}

/// Returns the bits as rules give them: R=4, D=2, M=1.
const fn fragment_bits(byte: u8) -> u8 {
    byte >> 5
}

/// Returns the value of the MSS option (RFC 9293, 3.7.1).
fn maximum_segment_size(options: &[u8]) -> Option<u64> {
    option(options, 2, 4).map(|value| u64::from(value[0]) << 8 | u64::from(value[1]))
}

/// Returns the value of a TCP option of a kind and length, which is not empty (RFC 9293, 3.1).
fn option(options: &[u8], wanted: u8, whole: usize) -> Option<&[u8]> {
    let mut rest = options;
    loop {
        rest = match rest {
            [] | [0, ..] | [_] => return None,
            [1, after @ ..] => after,
            [kind, length, ..] if *kind == wanted && usize::from(*length) == whole => return rest.get(2..whole),
            [_, length, ..] => rest.get(usize::from(*length).max(2)..)?,
        };
    }
}

fn has_ip_option(network: &[u8], wanted: u8) -> bool {
    let header = usize::from(network.first().copied().unwrap_or(0) & 0x0f) * 4;
    let mut rest = network.get(20..header).unwrap_or_default();
    while let [kind, after @ ..] = rest {
        if *kind == wanted || wanted == u8::MAX {
            return true;
        }
        rest = match kind {
            0 => return false,
            1 => after,
            _ => rest.get(usize::from(after.first().copied().unwrap_or(0)).max(2)..).unwrap_or_default(),
        };
    }
    false
}

fn header_bytes<'a>(part: HeaderPart, packet: &Packet<'a>) -> Option<&'a [u8]> {
    let segment = &packet.segment;
    let (network, transport) = (segment.network, segment.transport);
    let of = |is: bool, bytes: &'a [u8], length: usize| is.then(|| bytes.get(..length)).flatten();
    let low_nibble = usize::from(network.first()? & 0x0f) * 4;
    match part {
        HeaderPart::Ethernet => None,
        HeaderPart::Ipv4 => of(segment.ip_version == 4, network, low_nibble),
        // Extension headers are part of it.
        HeaderPart::Ipv6 => of(segment.ip_version == 6, network, network.len().saturating_sub(transport.len()).max(40)),
        HeaderPart::Tcp => of(segment.protocol == ip::TCP, transport, usize::from(transport.get(12)? >> 4) * 4),
        HeaderPart::Udp => of(segment.protocol == ip::UDP, transport, 8),
        HeaderPart::Icmp4 => of(segment.protocol == ip::ICMP, transport, 8),
        HeaderPart::Icmp6 => of(segment.protocol == ip::ICMP6, transport, 8),
    }
}
