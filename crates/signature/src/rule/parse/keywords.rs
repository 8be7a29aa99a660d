//! The keywords of the rule language, and what reads each of them.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::draft::Draft;
use super::fault::{nearest, refuse, Result};
use super::options::RuleOption;
use super::{bytes, content, fields, meta, packet, pcre, state, thresholds};
use crate::field::{Field, Kind};
use crate::rule::{Compare, PacketTest};

type Read = fn(&mut Draft<'_, '_>, &RuleOption<'_>) -> Result<()>;

/// What reads a keyword.
#[derive(Clone, Copy)]
enum Keyword {
    Read(Read),
    /// A buffer, before its tests.
    Sticky(Field),
    /// A buffer, after the content it moves.
    Modifier(Field),
    /// A buffer whose content is the keyword's value.
    Valued(Field),
    /// A number of the packet, up to the second.
    Packet(fn(Compare) -> PacketTest, u64),
}

/// Keywords with a function of their own.
const READERS: &[(&str, Read)] = &[
    ("msg", meta::msg),
    ("sid", meta::sid),
    ("rev", meta::rev),
    ("gid", meta::gid),
    ("classtype", meta::classtype),
    ("priority", meta::priority),
    ("reference", meta::reference),
    ("metadata", meta::metadata),
    ("target", meta::target),
    ("requires", |_, _| Ok(())),
    ("content", content::content),
    ("uricontent", fields::uricontent),
    ("nocase", content::nocase),
    ("rawbytes", content::rawbytes),
    ("offset", content::offset),
    ("depth", content::depth),
    ("distance", content::distance),
    ("within", content::within),
    ("startswith", content::startswith),
    ("endswith", content::endswith),
    ("fast_pattern", content::fast_pattern),
    ("pcre", pcre::pcre),
    ("byte_test", bytes::byte_test),
    ("byte_jump", bytes::byte_jump),
    ("byte_extract", bytes::byte_extract),
    ("byte_math", bytes::byte_math),
    ("isdataat", bytes::isdataat),
    ("bsize", bytes::bsize),
    ("base64_decode", bytes::base64_decode),
    ("base64_data", fields::base64_data),
    ("pkt_data", fields::pkt_data),
    ("flow", fields::flow),
    ("frame", fields::frame),
    ("flags", packet::flags),
    ("tcp.flags", packet::flags),
    ("fragbits", packet::fragbits),
    ("ipopts", packet::ipopts),
    ("ip_proto", packet::ip_proto),
    ("sameip", packet::sameip),
    ("icmp_id", packet::icmp_id),
    ("icmp_seq", packet::icmp_seq),
    ("stream_size", packet::stream_size),
    ("vlan.id", packet::vlan_id),
    ("geoip", packet::geoip),
    ("iprep", packet::iprep),
    ("flow.pkts", packet::flow_counter),
    ("flow.bytes", packet::flow_counter),
    ("flow.pkts_toserver", packet::flow_counter),
    ("flow.pkts_toclient", packet::flow_counter),
    ("flow.bytes_toserver", packet::flow_counter),
    ("flow.bytes_toclient", packet::flow_counter),
    ("ether.hdr", fields::header),
    ("ipv4.hdr", fields::header),
    ("ipv6.hdr", fields::header),
    ("tcp.hdr", fields::header),
    ("udp.hdr", fields::header),
    ("icmpv4.hdr", fields::header),
    ("icmpv6.hdr", fields::header),
    ("ip.src", fields::address),
    ("ip.dst", fields::address),
    ("flowbits", state::flowbits),
    ("xbits", state::xbits),
    ("hostbits", state::hostbits),
    ("flowint", state::flowint),
    ("threshold", thresholds::threshold),
    ("detection_filter", thresholds::detection_filter),
];

/// Keywords of fields whose value is a content.
const VALUED: &[&str] = &[
    "filename",
    "fileext",
    "filemagic",
    "tls.subject",
    "tls.issuerdn",
    "tls.fingerprint",
    "ssh.protoversion",
    "ssh.softwareversion",
    "ftpdata_command",
];

static KEYWORDS: LazyLock<HashMap<&str, Keyword, foldhash::fast::RandomState>> = LazyLock::new(|| {
    let of_fields = Field::ALL.iter().filter(|field| field.kind() != Kind::Number);
    let buffers = of_fields.flat_map(|field| field.keywords().iter().map(|keyword| (*keyword, buffer(*field, keyword))));
    let packets = packet::COMPARISONS.iter().map(|(name, most, make)| (*name, Keyword::Packet(*make, *most)));
    let readers = READERS.iter().map(|(name, read)| (*name, Keyword::Read(*read)));
    buffers.chain(packets).chain(readers).collect()
});

fn buffer(field: Field, keyword: &str) -> Keyword {
    match keyword {
        _ if fields::MODIFIERS.contains(&keyword) => Keyword::Modifier(field),
        _ if VALUED.contains(&keyword) => Keyword::Valued(field),
        _ => Keyword::Sticky(field),
    }
}

/// Tells whether there is such a keyword.
pub(super) fn is_known(name: &str) -> bool {
    KEYWORDS.contains_key(name)
}

/// Reads one option into a draft.
pub(super) fn read(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let Some(keyword) = KEYWORDS.get(option.keyword).copied() else { return other(draft, option) };
    match keyword {
        Keyword::Read(read) => read(draft, option),
        Keyword::Packet(make, most) => packet::number(draft, option, most, make),
        Keyword::Valued(field) => fields::valued(draft, field, option),
        Keyword::Sticky(field) => bare(option).and_then(|()| fields::sticky(draft, field, option.keyword)),
        Keyword::Modifier(field) => bare(option).and_then(|()| fields::modifier(draft, field, option.keyword)),
    }
}

/// Reads a keyword written with capitals; refuses one that nobody knows.
fn other(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let lower = option.keyword.to_ascii_lowercase();
    if is_known(&lower) && lower != option.keyword {
        return read(draft, &RuleOption { keyword: &lower, value: option.value });
    }
    let suggestion = match nearest(&lower, KEYWORDS.keys().copied()) {
        Some(near) => format!("write {near}"),
        None => "leave the option out".to_owned(),
    };
    refuse(format!("{:.60?} is no keyword", option.keyword), suggestion)
}

/// Refuses a value of a keyword that has none.
fn bare(option: &RuleOption<'_>) -> Result<()> {
    match option.value {
        Some(value) if !value.is_empty() => {
            refuse(format!("{} has the value {value:.40}", option.keyword), format!("write {};", option.keyword))
        }
        _ => Ok(()),
    }
}
