//! Link layers: from the first byte of a captured packet to IP.

use super::decoder::{Layer, Next, Walk};
use super::span::Span;
use super::{arp, ip, wlan};
use crate::source::LinkType;

pub(super) const ETHERNET: LinkType = 1;
/// VLAN tags that are followed in one frame.
const MAX_VLAN_TAGS: usize = 8;
/// MPLS labels that are followed in one stack.
const MAX_LABELS: usize = 32;
/// Bytes of an NFLOG attribute header; attribute that holds the packet.
const NFLOG_HEADER: usize = 4;
const NFLOG_PAYLOAD: u16 = 9;

/// Values of the Ethernet type field (IANA IEEE 802 numbers) that lead to IP or name what else it is.
pub(super) mod ether_type {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const VLAN: u16 = 0x8100;
    pub const IPV6: u16 = 0x86dd;
    pub const PPP: u16 = 0x880b;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTICAST: u16 = 0x8848;
    pub const PPPOE_SESSION: u16 = 0x8864;
    pub const SERVICE_VLAN: u16 = 0x88a8;
    pub const BACKBONE: u16 = 0x88e7;
    pub const SECURITY_GROUP: u16 = 0x8909;
    pub const SERVICE_HEADER: u16 = 0x894f;
    pub const VN_TAG: u16 = 0x8926;
    pub const OLD_SERVICE_VLAN: u16 = 0x9100;
    pub const OLDER_SERVICE_VLAN: u16 = 0x9200;
    pub const BRIDGING: u16 = 0x6558;
}

/// Reads the outermost header of a packet (numbers from tcpdump.org/linktypes.html).
pub(super) fn enter<'a>(walk: &mut Walk<'a, '_>, link: LinkType, span: Span<'a>) -> Next<'a> {
    match link {
        0 | 108 => loopback(span),
        ETHERNET => ethernet(walk, span),
        6 => token_ring(span),
        9 | 50 => hdlc(span),
        10 => Next::Layer(Layer::Llc, span.skip(13)), // FDDI: frame control, then two addresses
        12 | 14 | 101 | 228 | 229 => ip::header(walk, span),
        11 => Next::Layer(Layer::Llc, span), // ATM with LLC (RFC 2684)
        51 => pppoe(span),
        104 => cisco_hdlc(span),
        105 => wlan::frame(walk.segment, span, false),
        107 => frame_relay(span),
        109 => Next::Layer(Layer::Ip, span.skip(12)), // OpenBSD IPsec: address family, SPI, flags
        113 => cooked(walk, span),
        117 => packet_filter_log(span),
        119 => wlan::prism(walk.segment, span),
        127 => wlan::radiotap(walk.segment, span),
        166 => Next::Layer(Layer::Ppp, span.skip(2)), // PPP after a byte of direction and one of control
        163 => wlan::avs(walk.segment, span),
        192 => per_packet_information(walk, span),
        204 => Next::Layer(Layer::Ppp, span.skip(1)), // PPP after one byte of direction
        239 => netfilter_log(span),
        258 => packet_tap(walk, span),
        276 => cooked_v2(walk, span),
        282 => ethernet(walk, span.skip(4)), // a Broadcom switch's tag, then a frame
        147..=162 => Next::Other("link-type-user"),
        189 | 220 | 249 => Next::Other("link-type-usb"),
        187 | 201 | 251..=256 => Next::Other("link-type-bluetooth"),
        195 | 215 | 230 | 283 => Next::Other("link-type-802.15.4"),
        227 => Next::Other("link-type-can"),
        _ => Next::Other("link-type"),
    }
}

/// An Ethernet header (IEEE 802.3): destination, source, type, and what follows.
pub(super) struct Frame<'a> {
    pub(super) dst: [u8; 6],
    pub(super) src: [u8; 6],
    pub(super) kind: u16,
    pub(super) body: Span<'a>,
}

impl<'a> Frame<'a> {
    #[inline(always)]
    pub(super) fn read(span: Span<'a>) -> Option<Frame<'a>> {
        let &[d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5, t0, t1] = span.head()?;
        let (dst, src) = ([d0, d1, d2, d3, d4, d5], [s0, s1, s2, s3, s4, s5]);
        Some(Frame { dst, src, kind: u16::from_be_bytes([t0, t1]), body: span.skip(14) })
    }
}

pub(super) fn ethernet<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let Some(frame) = Frame::read(span) else { return Next::Malformed("truncated-ethernet") };
    walk.segment.dst_mac = Some(frame.dst);
    walk.segment.src_mac = Some(frame.src);
    ether_type(walk, frame.kind, frame.body)
}

/// Follows an Ethernet type, which below 1,536 is a length of an IEEE 802.2 frame.
pub(super) fn ether_type<'a>(walk: &mut Walk<'a, '_>, kind: u16, span: Span<'a>) -> Next<'a> {
    match kind {
        0..=1500 => Next::Layer(Layer::Llc, span.take(usize::from(kind).min(span.len))),
        ether_type::IPV4 | ether_type::IPV6 => ip::header(walk, span),
        ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::OLD_SERVICE_VLAN | ether_type::OLDER_SERVICE_VLAN => {
            vlan(walk, span)
        }
        ether_type::ARP => arp::message(walk, span),
        ether_type::MPLS | ether_type::MPLS_MULTICAST => mpls(span),
        ether_type::PPPOE_SESSION => pppoe(span),
        ether_type::PPP => Next::Layer(Layer::Ppp, span),
        ether_type::BRIDGING => Next::Layer(Layer::Ethernet, span),
        ether_type::BACKBONE => Next::Layer(Layer::Ethernet, span.skip(4)), // IEEE 802.1ah: service tag, then a frame
        ether_type::VN_TAG => tagged(span, 4),
        ether_type::SECURITY_GROUP => tagged(span, 6),
        ether_type::SERVICE_HEADER => service_header(span),
        _ => Next::Other(name(kind)),
    }
}

fn name(kind: u16) -> &'static str {
    match kind {
        0x8035 => "rarp",
        0x809b | 0x80f3 => "appletalk",
        0x8137 | 0x8138 => "ipx",
        0x8808 => "mac-control",
        0x8809 => "slow-protocols",
        0x8863 => "pppoe-discovery",
        0x888e => "eapol",
        0x8892 => "profinet",
        0x88a4 => "ethercat",
        0x88b8 => "goose",
        0x88ba => "sampled-values",
        0x88cc => "lldp",
        0x88e5 => "macsec",
        0x88f7 => "ptp",
        0x8902 => "cfm",
        0x8906 | 0x8914 => "fcoe",
        0x9000 => "loopback-test",
        _ => "ethertype",
    }
}

/// Reads VLAN tags (IEEE 802.1Q, 802.1ad); identifier 0 marks a priority and no VLAN.
fn vlan<'a>(walk: &mut Walk<'a, '_>, mut span: Span<'a>) -> Next<'a> {
    for _ in 0..MAX_VLAN_TAGS {
        let Some(&[c0, c1, t0, t1]) = span.head() else { return Next::Malformed("truncated-vlan") };
        match u16::from_be_bytes([c0, c1]) & 0x0fff {
            0 => {}
            id => walk.enter_vlan(id),
        }
        span = span.skip(4);
        match u16::from_be_bytes([t0, t1]) {
            ether_type::VLAN
            | ether_type::SERVICE_VLAN
            | ether_type::OLD_SERVICE_VLAN
            | ether_type::OLDER_SERVICE_VLAN => {}
            kind => return Next::Layer(Layer::EtherType(kind), span),
        }
    }
    Next::Malformed("nesting")
}

/// Passes over a network service header (RFC 8300, 2).
fn service_header(span: Span<'_>) -> Next<'_> {
    let Some(&[_, words, _, next]) = span.head() else { return Next::Malformed("truncated-nsh") };
    let length = usize::from(words & 0x3f) * 4;
    if length < 8 {
        return Next::Malformed("nsh-header-length");
    }
    match next {
        1 | 2 => Next::Layer(Layer::Ip, span.skip(length)),
        3 => Next::Layer(Layer::Ethernet, span.skip(length)),
        5 => mpls(span.skip(length)),
        _ => Next::Other("nsh"),
    }
}

/// Leaves off a tag of `len` bytes and follows the Ethernet type behind it.
fn tagged(span: Span<'_>, len: usize) -> Next<'_> {
    match span.at(len) {
        Some(kind) => Next::Layer(Layer::EtherType(u16::from_be_bytes(*kind)), span.skip(len + 2)),
        None => Next::Malformed("truncated-ethernet"),
    }
}

/// Reads a label stack (RFC 3032); what is below has no type, so that its first bytes decide (RFC 4385).
pub(super) fn mpls(mut span: Span<'_>) -> Next<'_> {
    for _ in 0..MAX_LABELS {
        let Some(&[_, _, bottom, _]) = span.head() else { return Next::Malformed("truncated-mpls") };
        span = span.skip(4);
        if bottom & 1 == 1 {
            return match span.stored.first() {
                _ if span.holds_ip() => Next::Layer(Layer::Ip, span),
                Some(0..=0x0f) if !holds_frame(span) => Next::Layer(Layer::Ethernet, span.skip(4)), // behind a control word
                _ => Next::Layer(Layer::Ethernet, span),
            };
        }
    }
    Next::Malformed("nesting")
}

/// Tells whether the span starts with an Ethernet header rather than with a pseudowire's control word.
fn holds_frame(span: Span<'_>) -> bool {
    match span.at(12).map(|kind| u16::from_be_bytes(*kind)) {
        Some(ether_type::IPV4 | ether_type::IPV6) => span.skip(14).holds_ip(),
        Some(ether_type::VLAN | ether_type::SERVICE_VLAN | ether_type::MPLS) => true,
        _ => false,
    }
}

/// Reads an IEEE 802.2 header and, behind it, SNAP.
pub(super) fn llc(span: Span<'_>) -> Next<'_> {
    let Some(&[dsap, ssap, _]) = span.head() else { return Next::Malformed("truncated-llc") };
    match (dsap, ssap) {
        (0xaa, 0xaa) => snap_header(span.skip(3)),
        (0x06, 0x06) => Next::Layer(Layer::Ip, span.skip(3)),
        (0x42, 0x42) => Next::Other("stp"),
        (0xe0, 0xe0) | (0xff, 0xff) => Next::Other("ipx"),
        (0xf0, 0xf0 | 0xf1) => Next::Other("netbios"),
        (0xfe, 0xfe) => Next::Other("osi"),
        _ => Next::Other("llc"),
    }
}

fn snap_header(span: Span<'_>) -> Next<'_> {
    let Some(&[o0, o1, o2, t0, t1]) = span.head() else { return Next::Malformed("truncated-llc") };
    let kind = u16::from_be_bytes([t0, t1]);
    match ([o0, o1, o2], kind) {
        ([0, 0, 0] | [0, 0, 0xf8], 1536..) => Next::Layer(Layer::EtherType(kind), span.skip(5)),
        ([0x00, 0x80, 0xc2], 0x0001 | 0x0007) => Next::Layer(Layer::Ethernet, span.skip(5)), // bridged (RFC 2427)
        ([0x00, 0x00, 0x0c], 0x2000) => Next::Other("cdp"),
        ([0x00, 0x00, 0x0c], 0x010b) => Next::Other("stp"),
        _ => Next::Other("snap"),
    }
}

/// Reads BSD loopback: an address family in the byte order of the capturing host.
fn loopback(span: Span<'_>) -> Next<'_> {
    let Some(&family) = span.head() else { return Next::Malformed("truncated-null") };
    match u32::from_le_bytes(family).min(u32::from_be_bytes(family)) {
        2 | 10 | 23 | 24 | 28 | 30 => Next::Layer(Layer::Ip, span.skip(4)),
        _ if span.skip(4).holds_ip() => Next::Layer(Layer::Ip, span.skip(4)), // systems disagree on the numbers
        _ => Next::Other("address-family"),
    }
}

/// Reads IEEE 802.5: two control bytes, addresses, and a route when the source address says so.
fn token_ring(span: Span<'_>) -> Next<'_> {
    let route = match (span.stored.get(8), span.stored.get(14)) {
        (Some(source), Some(control)) if source & 0x80 != 0 => usize::from(control & 0x1f),
        _ => 0,
    };
    Next::Layer(Layer::Llc, span.skip(14 + route))
}

/// Reads a PPP protocol field (RFC 1661), after address and control bytes if they are there.
pub(super) fn ppp(span: Span<'_>) -> Next<'_> {
    let span = if span.stored.starts_with(&[0xff, 0x03]) { span.skip(2) } else { span };
    let (protocol, len) = match *span.stored {
        [low, ..] if low & 1 == 1 => (u16::from(low), 1),
        [high, low, ..] => (u16::from_be_bytes([high, low]), 2),
        _ => return Next::Malformed("truncated-ppp"),
    };
    match protocol {
        0x0021 | 0x0057 => Next::Layer(Layer::Ip, span.skip(len)),
        0x0281 | 0x0283 => Next::Layer(Layer::EtherType(ether_type::MPLS), span.skip(len)),
        0x002d | 0x002f | 0x00fb | 0x00fd => Next::Other("ppp-compressed"),
        0x003d => Next::Other("ppp-multilink"),
        0x8000.. => Next::Other("ppp-control"),
        _ => Next::Other("ppp"),
    }
}

/// Reads a PPPoE session header (RFC 2516).
fn pppoe(span: Span<'_>) -> Next<'_> {
    match span.head() {
        Some(&[_, 0, _, _, l0, l1]) => {
            let len = usize::from(u16::from_be_bytes([l0, l1]));
            let body = span.skip(6);
            Next::Layer(Layer::Ppp, body.take(len.min(body.len)))
        }
        Some(_) => Next::Other("pppoe-discovery"),
        None => Next::Malformed("truncated-pppoe"),
    }
}

/// Reads PPP in HDLC framing (RFC 1662), or Cisco's framing, which differs in the first byte.
fn hdlc(span: Span<'_>) -> Next<'_> {
    match span.stored.first() {
        Some(0x0f | 0x8f) => cisco_hdlc(span),
        _ => Next::Layer(Layer::Ppp, span),
    }
}

fn cisco_hdlc(span: Span<'_>) -> Next<'_> {
    match span.head() {
        Some(&[_, _, 0x80, 0x35]) => Next::Other("slarp"),
        Some(&[_, _, 0x20, 0x00]) => Next::Other("cdp"),
        Some(&[_, _, t0, t1]) => Next::Layer(Layer::EtherType(u16::from_be_bytes([t0, t1])), span.skip(4)),
        None => Next::Malformed("truncated-hdlc"),
    }
}

/// Reads frame relay (RFC 2427) with a two-byte address, and Cisco's framing, which has an Ethernet type.
fn frame_relay(span: Span<'_>) -> Next<'_> {
    match span.at(2) {
        Some([0x03, 0xcc | 0x8e]) => Next::Layer(Layer::Ip, span.skip(4)),
        Some([0x03, 0x00]) if span.stored.get(4) == Some(&0x80) => snap_header(span.skip(5)),
        Some([0x03, 0x80]) => snap_header(span.skip(4)),
        Some([0x03, _]) => Next::Other("frame-relay"),
        Some(kind) => Next::Layer(Layer::EtherType(u16::from_be_bytes(*kind)), span.skip(4)),
        None => Next::Malformed("truncated-frame-relay"),
    }
}

/// Reads Apple's packet tap header, which names the link type of what follows.
fn packet_tap<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let Some(&[l0, l1, l2, l3, _, _, _, _, t0, t1, t2, t3]) = span.head() else {
        return Next::Malformed("truncated-pktap");
    };
    let body = span.skip(u32::from_le_bytes([l0, l1, l2, l3]) as usize);
    enter_wrapped(walk, u32::from_le_bytes([t0, t1, t2, t3]), body)
}

/// Reads Linux cooked capture: packet type, device type, address, protocol.
fn cooked<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let (Some(&[_, _, _, _, l0, l1]), Some(address), Some(protocol)) = (span.head(), span.at(6), span.at(14)) else {
        return Next::Malformed("truncated-sll");
    };
    walk.segment.src_mac = Some(*address).filter(|_| [l0, l1] == [0, 6]);
    cooked_protocol(u16::from_be_bytes(*protocol), span.skip(16))
}

/// Reads version 2 of Linux cooked capture, where the protocol comes first.
fn cooked_v2<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let (Some(protocol), Some(&[len]), Some(address)) = (span.head(), span.at(11), span.at::<8>(12)) else {
        return Next::Malformed("truncated-sll");
    };
    walk.segment.src_mac = address.first_chunk().copied().filter(|_| len == 6);
    cooked_protocol(u16::from_be_bytes(*protocol), span.skip(20))
}

/// Follows Linux's numbers below 1,536 (linux/if_ether.h), which stand for framings without Ethernet type.
fn cooked_protocol(protocol: u16, span: Span<'_>) -> Next<'_> {
    match protocol {
        0x0001 => Next::Other("ipx"),
        0x0003 => Next::Layer(Layer::Ethernet, span),
        0x0004 => Next::Layer(Layer::Llc, span),
        0x0000..=0x05ff => Next::Other("sll"),
        _ => Next::Layer(Layer::EtherType(protocol), span),
    }
}

/// Reads OpenBSD's packet filter log, whose first byte is its length without padding to words.
fn packet_filter_log(span: Span<'_>) -> Next<'_> {
    match span.stored.first() {
        Some(&len) => Next::Layer(Layer::Ip, span.skip(usize::from(len).next_multiple_of(4))),
        None => Next::Malformed("truncated-pflog"),
    }
}

/// Reads a per-packet information header, which names the link type of what follows.
fn per_packet_information<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let Some(&[_, _, l0, l1, t0, t1, t2, t3]) = span.head() else { return Next::Malformed("truncated-ppi") };
    let body = span.skip(usize::from(u16::from_le_bytes([l0, l1])));
    enter_wrapped(walk, u32::from_le_bytes([t0, t1, t2, t3]), body)
}

/// Enters a packet behind a capturing tool's own header, which does not hold another such header.
fn enter_wrapped<'a>(walk: &mut Walk<'a, '_>, link: LinkType, span: Span<'a>) -> Next<'a> {
    match link {
        192 | 258 => Next::Malformed("nesting"),
        _ => enter(walk, link, span),
    }
}

/// Reads the attributes of a Linux netfilter log, in the byte order of the capturing host, for the packet in it.
fn netfilter_log(span: Span<'_>) -> Next<'_> {
    if !matches!(span.stored.first(), Some(2 | 10)) {
        return Next::Other("nflog");
    }
    let mut rest = span.skip(4);
    while let Some(&[l0, l1, t0, t1]) = rest.head() {
        let big_endian = t0 == 0 && t1 != 0;
        let number = |bytes| if big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) };
        let (len, kind) = (usize::from(number([l0, l1])), number([t0, t1]));
        if kind == NFLOG_PAYLOAD {
            return Next::Layer(Layer::Ip, rest.skip(NFLOG_HEADER));
        }
        if len < NFLOG_HEADER {
            break;
        }
        rest = rest.skip(len.next_multiple_of(4));
    }
    Next::Malformed("truncated-nflog")
}
