//! Tests of a packet's headers (User Guide, "Header Keywords") and of its flow.

use infraspectre_core::wire::protocol as ip;

use super::draft::Draft;
use super::fault::{fault, nearest, refuse, Result};
use super::numbers::{compare, comparison};
use super::options::{negation, unquoted, whole, RuleOption};
use crate::rule::{Compare, FlagMode, FlowCounter, Instance, PacketTest, SizeOf};

const U8: u64 = 255;
const U16: u64 = 65_535;
const U32: u64 = 0xffff_ffff;

type Make = fn(Compare) -> PacketTest;

/// Keywords that compare one number of the packet or of its flow: name, most, test.
pub(super) const COMPARISONS: &[(&str, u64, Make)] = &[
    ("dsize", U16, PacketTest::Dsize),
    ("seq", U32, PacketTest::Seq),
    ("tcp.seq", U32, PacketTest::Seq),
    ("ack", U32, PacketTest::Ack),
    ("tcp.ack", U32, PacketTest::Ack),
    ("window", U16, PacketTest::Window),
    ("tcp.window", U16, PacketTest::Window),
    ("tcp.mss", U16, PacketTest::Mss),
    ("ttl", U8, PacketTest::Ttl),
    ("tos", U8, PacketTest::Tos),
    ("id", U16, PacketTest::IpId),
    ("fragoffset", U16, PacketTest::FragmentOffset),
    ("itype", U8, PacketTest::IcmpType),
    ("icode", U8, PacketTest::IcmpCode),
    ("icmpv6.mtu", U32, PacketTest::Icmp6Mtu),
    ("tcp.wscale", U8, PacketTest::WindowScale),
    ("vlan.layers", U8, PacketTest::VlanLayers),
    ("flow.age", U32, |compare| PacketTest::FlowCounter { counter: FlowCounter::AgeSeconds, compare }),
];

/// Reads a keyword of [`COMPARISONS`].
pub(super) fn number(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>, most: u64, make: Make) -> Result<()> {
    let test = make(compare(unquoted(option.needed()?), most)?);
    let is_second_size = |other: &PacketTest| matches!((other, &test), (PacketTest::Dsize(_), PacketTest::Dsize(_)));
    if draft.rule.packet.iter().any(is_second_size) {
        return refuse("dsize is given twice", "write one range: dsize:10<>20");
    }
    draft.rule.packet.push(test);
    Ok(())
}

const PROTOCOLS: &[(&str, u64)] = &[
    ("icmp", 1),
    ("igmp", 2),
    ("ipip", 4),
    ("ip-in-ip", 4),
    ("tcp", 6),
    ("udp", 17),
    ("ipv6", 41),
    ("rsvp", 46),
    ("gre", 47),
    ("esp", 50),
    ("ah", 51),
    ("icmpv6", 58),
    ("ipv6-icmp", 58),
    ("ospf", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("l2tp", 115),
    ("sctp", 132),
];

/// Reads `ip_proto:[!<>]NUMBER` or a name.
pub(super) fn ip_proto(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (negated, name) = negation(value);
    let named = PROTOCOLS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, number)| *number);
    let compare = match named {
        Some(number) if negated => Compare::NotEqual(number),
        Some(number) => Compare::Equal(number),
        None => compare(value, U8)?,
    };
    let protocol = &draft.rule.header.protocol;
    if !protocol.transports.is_empty() || protocol.app.is_some() {
        return refuse("ip_proto stands in a rule of one protocol", "write ip in the header");
    }
    let is_equal = |compare: &Compare| matches!(compare, Compare::Equal(_));
    let contradicts = |other: &PacketTest| match other {
        PacketTest::IpProtocol(other) => is_equal(other) || is_equal(&compare),
        _ => false,
    };
    if draft.rule.packet.iter().any(contradicts) {
        return refuse("ip_proto equals a number and is compared once more", "leave one of them out");
    }
    draft.rule.packet.push(PacketTest::IpProtocol(compare));
    Ok(())
}

/// Splits a value into the mode of its flags and their letters.
fn flag_mode(value: &str) -> (FlagMode, &str) {
    let modes = [('+', FlagMode::All), ('*', FlagMode::Any), ('!', FlagMode::Not)];
    let found = modes
        .iter()
        .find_map(|(mark, mode)| Some((*mode, value.strip_prefix(*mark).or_else(|| value.strip_suffix(*mark))?)));
    found.unwrap_or((FlagMode::Exact, value))
}

/// Adds up the bits of letters.
fn bits(letters: &str, table: &[(char, u8)]) -> Result<u8> {
    letters.trim().chars().try_fold(0, |bits, letter| {
        let known = table.iter().find(|(name, _)| name.eq_ignore_ascii_case(&letter));
        let bit = known
            .map(|(_, bit)| *bit)
            .ok_or_else(|| fault(format!("{letter:?} is no flag"), "see the keyword in Suricata's user guide"))?;
        Ok(bits | bit)
    })
}

const TCP_FLAGS: &[(char, u8)] = &[
    ('F', 1),
    ('S', 2),
    ('R', 4),
    ('P', 8),
    ('A', 16),
    ('U', 32),
    ('E', 64),
    ('2', 64),
    ('C', 128),
    ('1', 128),
    ('0', 0),
];

/// Reads `flags:[+*!]FLAGS[,IGNORED]`.
pub(super) fn flags(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (letters, ignored) = value.split_once(',').unwrap_or((value, ""));
    let (mode, letters) = flag_mode(letters.trim());
    if letters.is_empty() {
        return refuse("flags names no flag", "write letters of FSRPAUEC, or 0 for none");
    }
    let (wanted, ignored) = (bits(letters, TCP_FLAGS)?, bits(ignored, TCP_FLAGS)?);
    draft.rule.packet.push(PacketTest::Flags { wanted, ignored, mode });
    Ok(())
}

/// Reads `fragbits:[+*!]BITS`.
pub(super) fn fragbits(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (mode, letters) = flag_mode(unquoted(option.needed()?));
    let wanted = bits(letters, &[('R', 4), ('D', 2), ('M', 1)])?;
    draft.rule.packet.push(PacketTest::FragmentBits { wanted, mode });
    Ok(())
}

const IP_OPTIONS: &[(&str, u8)] = &[
    ("eol", 0),
    ("nop", 1),
    ("rr", 7),
    ("qs", 25),
    ("ts", 68),
    ("sec", 130),
    ("lsrr", 131),
    ("esec", 133),
    ("cipso", 134),
    ("satid", 136),
    ("ssrr", 137),
    ("any", 255),
];

/// Reads `ipopts:NAME`.
pub(super) fn ipopts(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let name = unquoted(option.needed()?);
    let Some((_, number)) = IP_OPTIONS.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) else {
        let near = nearest(name, IP_OPTIONS.iter().map(|(name, _)| *name)).unwrap_or("rr, ts, lsrr, ...");
        return refuse(format!("{name:.20?} is no IP option"), format!("write {near}"));
    };
    draft.rule.packet.push(PacketTest::IpOption(*number));
    Ok(())
}

pub(super) fn sameip(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.packet.push(PacketTest::SameIp);
    Ok(())
}

/// Reads a number of 16 bits.
fn short(option: &RuleOption<'_>) -> Result<u16> {
    let value = unquoted(option.needed()?);
    whole(value).ok_or_else(|| fault(format!("{} is {value:.20}", option.keyword), "write a number from 0 to 65535"))
}

pub(super) fn icmp_id(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.rule.packet.push(PacketTest::IcmpId(short(option)?));
    Ok(())
}

pub(super) fn icmp_seq(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.rule.packet.push(PacketTest::IcmpSeq(short(option)?));
    Ok(())
}

/// Reads `stream_size:DIRECTION,OPERATOR,NUMBER`.
pub(super) fn stream_size(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let wrong = || fault(format!("stream_size is {value:.40}"), "write: stream_size:server,<,100");
    let (direction, rest) = value.split_once(',').ok_or_else(wrong)?;
    let direction = match direction.trim() {
        "server" => SizeOf::Server,
        "client" => SizeOf::Client,
        "both" => SizeOf::Both,
        "either" => SizeOf::Either,
        _ => return Err(wrong()),
    };
    let (operator, number) = rest.split_once(',').ok_or_else(wrong)?;
    let compare = comparison(&format!("{}{}", operator.trim(), number.trim()), U32).ok_or_else(wrong)?;
    draft.rule.packet.push(PacketTest::StreamSize { direction, compare });
    Ok(())
}

/// Reads `INSTANCE` of a value that occurs several times: a position, `any` or `all`.
pub(super) fn instance(text: &str) -> Result<Instance> {
    match text.trim() {
        "any" => Ok(Instance::Any),
        "all" => Ok(Instance::All),
        position => {
            let read = position.parse().map(Instance::At);
            read.map_err(|_| fault(format!("{position:.20?} is no position"), "write a number, any or all"))
        }
    }
}

/// Reads `vlan.id:COMPARISON[,LAYER]`.
pub(super) fn vlan_id(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (id, layer) = value.split_once(',').unwrap_or((value, "any"));
    let (id, layer) = (compare(id, 4095)?, instance(layer)?);
    if matches!(layer, Instance::At(at) if !(-3..=2).contains(&at)) {
        return refuse("there are three layers of VLANs", "write a layer from -3 to 2, any or all");
    }
    draft.rule.packet.push(PacketTest::Vlan { layer, id });
    Ok(())
}

/// Reads `ipv4-csum:STATE`, `tcpv4-csum:STATE` and their kin.
pub(super) fn checksum(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let is_right = match unquoted(option.needed()?) {
        "valid" => true,
        "invalid" => false,
        other => return refuse(format!("{other:.20?} is no state of a checksum"), "write valid or invalid"),
    };
    let (ip_version, transport) = match option.keyword {
        "ipv4-csum" => (4, None),
        "tcpv4-csum" => (4, Some(ip::TCP)),
        "udpv4-csum" => (4, Some(ip::UDP)),
        "icmpv4-csum" => (4, Some(ip::ICMP)),
        "tcpv6-csum" => (6, Some(ip::TCP)),
        "udpv6-csum" => (6, Some(ip::UDP)),
        _ => (6, Some(ip::ICMP6)),
    };
    draft.rule.packet.push(PacketTest::Checksum { ip_version, transport, is_right });
    Ok(())
}

/// Reads `flow.pkts:SIDE,COMPARISON`, `flow.bytes`, and their older forms `flow.pkts_toserver` and the like.
pub(super) fn flow_counter(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (kind, side) = option.keyword.split_once('_').unwrap_or((option.keyword, ""));
    let (side, value) = if side.is_empty() { value.split_once(',').unwrap_or((value, "")) } else { (side, value) };
    let is_bytes = kind == "flow.bytes";
    let counter = match side.trim() {
        "toserver" if is_bytes => FlowCounter::BytesToServer,
        "toserver" => FlowCounter::PacketsToServer,
        "toclient" if is_bytes => FlowCounter::BytesToClient,
        "toclient" => FlowCounter::PacketsToClient,
        "either" if is_bytes => FlowCounter::BytesEither,
        "either" => FlowCounter::PacketsEither,
        "both" if is_bytes => FlowCounter::BytesBoth,
        "both" => FlowCounter::PacketsBoth,
        other => return refuse(format!("{other:.20?} is no direction"), "write toserver, toclient, either or both"),
    };
    let compare = compare(value, u64::MAX)?;
    draft.rule.packet.push(PacketTest::FlowCounter { counter, compare });
    Ok(())
}
