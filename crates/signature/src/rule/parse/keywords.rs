//! The keywords of the rule language, and what reads each of them.

use std::sync::LazyLock;

use hashbrown::HashMap;

use super::draft::Draft;
use super::fault::{nearest, refuse, Result};
use super::options::RuleOption;
use super::{
    actions, bytes, content, events, fields, meta, packet, payload, pcre, sets, state, thresholds, transforms, values,
};
use crate::field::{Field, Kind};
use crate::rule::{Compare, PacketTest, Transform};

type Read = fn(&mut Draft<'_, '_>, &RuleOption<'_>) -> Result<()>;

/// Words that a rule may write, and what the buffer holds then.
type Words = &'static [(&'static str, &'static str)];

/// What reads a keyword.
#[derive(Clone)]
enum Keyword {
    Read(Read),
    /// Without a value.
    Bare(Read),
    /// A buffer, before its tests.
    Sticky(Field),
    /// A buffer, after the content it moves.
    Modifier(Field),
    /// A buffer whose content is the keyword's value.
    Valued(Field),
    /// A field that is a number.
    Number(Field),
    /// A field that is one of a few words, with what it holds then.
    Word(Field, Words),
    /// A transform without a value.
    Transform(Transform),
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
    ("offset", content::offset),
    ("depth", content::depth),
    ("distance", content::distance),
    ("within", content::within),
    ("fast_pattern", content::fast_pattern),
    ("pcre", pcre::pcre),
    ("byte_test", bytes::byte_test),
    ("byte_jump", bytes::byte_jump),
    ("byte_extract", bytes::byte_extract),
    ("byte_math", bytes::byte_math),
    ("isdataat", bytes::isdataat),
    ("bsize", bytes::bsize),
    ("base64_decode", bytes::base64_decode),
    ("flow", fields::flow),
    ("frame", fields::frame),
    ("flags", packet::flags),
    ("tcp.flags", packet::flags),
    ("fragbits", packet::fragbits),
    ("ipopts", packet::ipopts),
    ("ip_proto", packet::ip_proto),
    ("icmp_id", packet::icmp_id),
    ("icmp_seq", packet::icmp_seq),
    ("stream_size", packet::stream_size),
    ("vlan.id", packet::vlan_id),
    ("flow.pkts", packet::flow_counter),
    ("flow.bytes", packet::flow_counter),
    ("flow.pkts_toserver", packet::flow_counter),
    ("flow.pkts_toclient", packet::flow_counter),
    ("flow.bytes_toserver", packet::flow_counter),
    ("flow.bytes_toclient", packet::flow_counter),
    ("flowbits", state::flowbits),
    ("xbits", state::xbits),
    ("hostbits", state::hostbits),
    ("flowint", state::flowint),
    ("threshold", thresholds::threshold),
    ("detection_filter", thresholds::detection_filter),
    ("tag", actions::tag),
    ("config", actions::without_effect),
    ("replace", actions::without_effect),
    ("nfq_set_mark", actions::without_effect),
    ("tls.store", |_, _| Ok(())),
    ("tls_store", |_, _| Ok(())),
    ("urilen", payload::urilen),
    ("filesize", payload::filesize),
    ("filestore", payload::filestore),
    ("filemd5", sets::file_hash),
    ("filesha1", sets::file_hash),
    ("filesha256", sets::file_hash),
    ("dataset", sets::dataset),
    ("datarep", sets::datarep),
    ("app-layer-protocol", events::app_layer_protocol),
    ("ipv4-csum", packet::checksum),
    ("tcpv4-csum", packet::checksum),
    ("tcpv6-csum", packet::checksum),
    ("udpv4-csum", packet::checksum),
    ("udpv6-csum", packet::checksum),
    ("icmpv4-csum", packet::checksum),
    ("icmpv6-csum", packet::checksum),
    ("app-layer-event", events::app_layer_event),
    ("decode-event", events::decode_event),
    ("engine-event", events::decode_event),
    ("stream-event", events::stream_event),
    ("absent", payload::absent),
    ("entropy", payload::entropy),
    ("xor", transforms::xor),
    ("pcrexform", transforms::pcrexform),
    ("from_base64", transforms::from_base64),
    ("gunzip", transforms::gunzip),
    ("zlib_deflate", transforms::zlib_deflate),
    ("dcerpc.iface", values::dcerpc_iface),
    ("dce_iface", values::dcerpc_iface),
];

/// Keywords of Suricata that nothing here answers.
const UNSUPPORTED: &[&str] = &[
    "asn1",
    "enip.capabilities",
    "enip.cip_attribute",
    "enip.cip_class",
    "enip.cip_extendedstatus",
    "enip.cip_instance",
    "enip.cip_status",
    "enip.device_type",
    "enip.identity_status",
    "enip.product_code",
    "enip.product_name",
    "enip.protocol_version",
    "enip.revision",
    "enip.serial",
    "enip.service_name",
    "enip.state",
    "enip.status",
    "enip.vendor_id",
    "file.magic",
    "filemagic",
    "ftpbounce",
    "geoip",
    "iprep",
    "lua",
    "luajit",
    "luaxform",
    "rpc",
];

const SWITCH: Words = &[
    ("yes", "yes"),
    ("on", "yes"),
    ("true", "yes"),
    ("1", "yes"),
    ("no", "no"),
    ("off", "no"),
    ("false", "no"),
    ("0", "no"),
];

/// Keywords of fields that are one of a few words.
const WORDS: &[(&str, Field, Words)] = &[
    ("ftp.mode", Field::FtpMode, &[("active", "active"), ("passive", "passive")]),
    ("ftp.reply_received", Field::FtpReplyReceived, SWITCH),
    ("ftpdata_command", Field::FtpDataCommand, &[("retr", "RETR"), ("stor", "STOR")]),
];

/// Keywords that have no value.
const BARE: &[(&str, Read)] = &[
    ("nocase", content::nocase),
    ("rawbytes", content::rawbytes),
    ("startswith", content::startswith),
    ("endswith", content::endswith),
    ("base64_data", fields::base64_data),
    ("pkt_data", fields::pkt_data),
    ("sameip", packet::sameip),
    ("ether.hdr", fields::header),
    ("ipv4.hdr", fields::header),
    ("ipv6.hdr", fields::header),
    ("tcp.hdr", fields::header),
    ("udp.hdr", fields::header),
    ("icmpv4.hdr", fields::header),
    ("icmpv6.hdr", fields::header),
    ("ip.src", fields::address),
    ("ip.dst", fields::address),
    ("noalert", actions::noalert),
    ("alert", actions::alert),
    ("bypass", actions::bypass),
    ("prefilter", actions::prefilter),
    ("tls_cert_expired", values::validity),
    ("tls_cert_valid", values::validity),
];

/// Keywords of fields whose value is a content.
const VALUED: &[&str] = &[
    "filename",
    "fileext",
    "tls.subject",
    "tls.issuerdn",
    "tls.fingerprint",
    "ssh.protoversion",
    "ssh.softwareversion",
];

static KEYWORDS: LazyLock<HashMap<&str, Keyword, foldhash::fast::RandomState>> = LazyLock::new(|| {
    let of_fields = Field::ALL.iter();
    let fields =
        of_fields.flat_map(|field| field.keywords().iter().map(|keyword| (*keyword, of_field(*field, keyword))));
    let words = WORDS.iter().map(|(name, field, words)| (*name, Keyword::Word(*field, words)));
    let plain = transforms::PLAIN.iter().map(|(name, transform)| (*name, Keyword::Transform(transform.clone())));
    let packets = packet::COMPARISONS.iter().map(|(name, most, make)| (*name, Keyword::Packet(*make, *most)));
    let bare = BARE.iter().map(|(name, read)| (*name, Keyword::Bare(*read)));
    let readers = READERS.iter().map(|(name, read)| (*name, Keyword::Read(*read)));
    fields.chain(words).chain(plain).chain(packets).chain(bare).chain(readers).collect()
});

fn of_field(field: Field, keyword: &str) -> Keyword {
    match keyword {
        _ if field.kind() == Kind::Number => Keyword::Number(field),
        _ if fields::MODIFIERS.contains(&keyword) => Keyword::Modifier(field),
        _ if VALUED.contains(&keyword) => Keyword::Valued(field),
        _ => Keyword::Sticky(field),
    }
}

/// Tells whether there is such a keyword.
pub(super) fn is_known(name: &str) -> bool {
    KEYWORDS.contains_key(name)
}

/// Returns every keyword.
#[cfg(test)]
pub(super) fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = KEYWORDS.keys().copied().collect();
    names.sort_unstable();
    names
}

/// Reads one option into a draft.
pub(super) fn read(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let Some(keyword) = KEYWORDS.get(option.keyword) else { return other(draft, option) };
    match keyword {
        Keyword::Read(read) => read(draft, option),
        Keyword::Bare(read) => bare(option).and_then(|()| read(draft, option)),
        Keyword::Packet(make, most) => packet::number(draft, option, *most, *make),
        Keyword::Valued(field) => fields::valued(draft, *field, option),
        Keyword::Number(field) => values::read(draft, *field, option),
        Keyword::Word(field, words) => values::word(draft, *field, option, words),
        Keyword::Sticky(field) => fields::sticky(draft, *field, option),
        Keyword::Modifier(field) => bare(option).and_then(|()| draft.move_last_content(*field, option.keyword)),
        Keyword::Transform(transform) => bare(option).and_then(|()| draft.transform(transform.clone())),
    }
}

/// Reads a keyword written with capitals; refuses one that nobody knows.
fn other(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let lower = option.keyword.to_ascii_lowercase();
    if is_known(&lower) && lower != option.keyword {
        return read(draft, &RuleOption { keyword: &lower, value: option.value });
    }
    if UNSUPPORTED.contains(&&*lower) {
        return refuse(
            format!("{lower} is not supported"),
            "leave the rule out, or ask for the same with other keywords",
        );
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
