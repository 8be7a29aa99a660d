use proptest::prelude::*;

use super::{Decoder, Outcome, Segment};
use crate::source::Packet;

const A: [u8; 4] = [10, 0, 0, 1];
const B: [u8; 4] = [10, 0, 0, 2];
const MAC_A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const MAC_B: [u8; 6] = [2, 0, 0, 0, 0, 2];
const TCP: u8 = 6;
const UDP: u8 = 17;
const GRE: u8 = 47;
const ETHERNET: u32 = 1;
const RAW: u32 = 101;

fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

fn v6(last: u8) -> [u8; 16] {
    [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last]
}

/// An IPv4 header with identification 7 and the given flags and offset.
fn ipv4_part(protocol: u8, field: u16, payload: &[u8]) -> Vec<u8> {
    let total = (20 + payload.len() as u16).to_be_bytes();
    let field = field.to_be_bytes();
    let head = [0x45, 0, total[0], total[1], 0, 7, field[0], field[1], 64, protocol, 0, 0];
    [&head[..], &A, &B, payload].concat()
}

fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_part(protocol, 0, payload)
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    [&[0x60, 0, 0, 0, len[0], len[1], next, 63][..], &v6(1), &v6(2), payload].concat()
}

fn udp(src: u16, dst: u16, payload: &[u8]) -> Vec<u8> {
    let len = 8 + payload.len() as u16;
    [&src.to_be_bytes()[..], &dst.to_be_bytes(), &len.to_be_bytes(), &[0, 0], payload].concat()
}

fn tcp(payload: &[u8]) -> Vec<u8> {
    let head = [0x04, 0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x60, 0x18, 1, 0, 0, 0, 0, 0];
    [&head[..], &[2, 4, 5, 0xb4], payload].concat()
}

fn ethernet(kind: u16, payload: &[u8]) -> Vec<u8> {
    [&MAC_B[..], &MAC_A, &kind.to_be_bytes(), payload].concat()
}

/// The datagram that is put into every framing: UDP from port 1024 to 53 with 5 bytes.
fn inner() -> Vec<u8> {
    ipv4(UDP, &udp(1024, 53, b"hello"))
}

fn packet(link: u32, data: &[u8]) -> Packet<'_> {
    Packet { number: 1, at: 0, link, wire_len: data.len() as u32, data }
}

/// Text that says what became of a packet, and in which context.
fn outcome_of(decoder: &mut Decoder, packet: &Packet<'_>) -> String {
    let (text, context) = match decoder.decode(packet) {
        Outcome::Segment(segment) => (describe(&segment), segment.context),
        Outcome::Held => ("held".to_string(), 0),
        Outcome::Other(name) => (format!("other {name}"), 0),
        Outcome::Malformed(reason) => (format!("malformed {reason}"), 0),
    };
    let context = &decoder.contexts()[context as usize];
    let vlans: String = [context.vlan, context.inner_vlan].iter().flatten().map(|id| format!(" vlan {id}")).collect();
    let tunnel: String = context.tunnel.iter().map(|tunnel| format!(" in {tunnel}")).collect();
    format!("{text}{vlans}{tunnel}")
}

fn describe(segment: &Segment<'_>) -> String {
    let &Segment { protocol, src_port, dst_port, payload_bytes, payload, .. } = segment;
    format!("{protocol} {src_port}>{dst_port} {payload_bytes} {}", String::from_utf8_lossy(payload))
}

fn decode(link: u32, data: &[u8]) -> String {
    outcome_of(&mut Decoder::default(), &packet(link, data))
}

const HELLO: &str = "17 1024>53 5 hello";

#[test]
fn a_plain_segment_has_all_fields() {
    let frame = ethernet(0x0800, &[ipv4(TCP, &tcp(b"GET")), vec![0; 6]].concat());
    let mut decoder = Decoder::default();
    let Outcome::Segment(segment) = decoder.decode(&packet(ETHERNET, &frame)) else { panic!("no segment") };
    assert_eq!((segment.src, segment.dst, segment.ip_version), (mapped(A), mapped(B), 4));
    assert_eq!((segment.src_mac, segment.dst_mac), (Some(MAC_A), Some(MAC_B)));
    assert_eq!((segment.src_port, segment.dst_port, segment.protocol, segment.ttl), (1024, 80, TCP, 64));
    assert_eq!((segment.ip_bytes, segment.ip_payload_bytes, segment.payload_bytes), (47, 27, 3));
    assert_eq!((segment.payload, segment.tcp.options), (&b"GET"[..], &[2, 4, 5, 0xb4][..]));
    assert_eq!((segment.tcp.seq, segment.tcp.ack, segment.tcp.flags, segment.tcp.window), (1, 2, 0x18, 256));
    assert_eq!((segment.packets, segment.context), (1, 0));
}

/// Both ways through the decoder must agree: the short one for plain packets, and the one for all others.
#[test]
fn the_short_way_equals_the_long_one() {
    for transport in [ipv4(TCP, &tcp(b"GET")), inner(), ipv4(UDP, &udp(5, 4789, b"no tunnel"))] {
        let frame = ethernet(0x0800, &transport);
        let priority = ethernet(0x8100, &[&[0xe0, 0, 8, 0][..], &transport].concat()); // VLAN 0 is no VLAN
        let (mut short, mut long) = (Decoder::default(), Decoder::default());
        let short = format!("{:?}", short.decode(&packet(ETHERNET, &frame)));
        assert_eq!(short, format!("{:?}", long.decode(&packet(ETHERNET, &priority))));
    }
}

#[test]
fn link_layers_lead_to_ip() {
    let ip = inner();
    let with = |head: &[u8]| [head, &ip].concat();
    let llc = [0xaa, 0xaa, 3, 0, 0, 0, 8, 0];
    let data_to_ds = [&[0x08, 1, 0, 0][..], &[0; 20], &llc].concat();
    let qos_four_addresses = [&[0x88, 3, 0, 0][..], &[0; 26], &[0, 0], &llc].concat();
    let qos_padded = [&[0, 0, 9, 0, 2, 0, 0, 0, 0x20, 0x88, 1, 0, 0][..], &[0; 22], &[0, 0], &llc].concat();
    let mut sll = [0; 16];
    sll[14] = 8;
    let mut sll2 = [0; 20];
    sll2[0] = 8;
    let ppi = [&[0, 0, 8, 0, 105, 0, 0, 0][..], &data_to_ds].concat();
    let nflog = [&[2, 0, 0, 0, 6, 0, 1, 0, 9, 9, 0, 0][..], &[ip.len() as u8 + 4, 0, 9, 0]].concat();
    let prism = [&[0, 0, 0, 0x44, 144, 0, 0, 0][..], &[0; 136], &data_to_ds].concat();
    let avs = [&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64][..], &[0; 56], &data_to_ds].concat();
    let cases: [(u32, &[u8]); 28] = [
        (12, &[]),
        (101, &[]),
        (228, &[]),
        (0, &[2, 0, 0, 0]),
        (0, &[0, 0, 0, 2]),
        (108, &[0, 0, 0, 2]),
        (0, &[1, 2, 3, 4]),
        (9, &[0xff, 3, 0, 0x21]),
        (9, &[0x21]),
        (50, &[0xff, 3, 0, 0x21]),
        (50, &[0x0f, 0, 8, 0]),
        (104, &[0x0f, 0, 8, 0]),
        (51, &[0x11, 0, 0, 1, 0, 35, 0, 0x21]),
        (105, &data_to_ds),
        (105, &qos_four_addresses),
        (127, &[&[0, 0, 8, 0, 0, 0, 0, 0], &data_to_ds[..]].concat()),
        (127, &qos_padded),
        (119, &prism),
        (119, &avs),
        (163, &avs),
        (192, &ppi),
        (113, &sll),
        (276, &sll2),
        (239, &nflog),
        (107, &[0x18, 0x61, 8, 0]),
        (107, &[0x18, 0x61, 3, 0xcc]),
        (10, &[&[0; 13], &llc[..]].concat()),
        (6, &[&[0; 14], &llc[..]].concat()),
    ];
    for (link, head) in cases {
        assert_eq!(decode(link, &with(head)), HELLO, "link type {link}, {head:x?}");
    }
}

#[test]
fn ethernet_framings_lead_to_ip() {
    let ip = inner();
    let with = |head: &[u8]| [head, &ip].concat();
    let len = ip.len() as u16 + 8;
    let frame = ethernet(0x0800, &ip);
    let cases: [(u16, Vec<u8>, &str); 14] = [
        (len, with(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]), ""),
        (0x8100, with(&[0x20, 5, 8, 0]), " vlan 5"),
        (0x88a8, with(&[0, 5, 0x81, 0, 0, 6, 8, 0]), " vlan 5 vlan 6"),
        (0x9100, with(&[0, 5, 0x81, 0, 0, 6, 0x81, 0, 0, 7, 8, 0]), " vlan 5 vlan 7"),
        (0x8847, with(&[0, 0, 0, 64, 0, 0, 1, 64]), ""),
        (0x8847, [&[0, 0, 1, 64][..], &frame].concat(), ""),
        (0x8847, [&[0, 0, 1, 64, 0, 0, 0, 0][..], &frame].concat(), ""),
        (0x8864, with(&[0x11, 0, 0, 1, 0, 35, 0, 0x21]), ""),
        (0x8100, with(&[0, 9, 0x88, 0x64, 0x11, 0, 0, 1, 0, 35, 0, 0x21]), " vlan 9"),
        (0x88e7, [&[0, 0, 0, 1][..], &frame].concat(), ""),
        (0x8926, with(&[0, 0, 0, 0, 8, 0]), ""),
        (0x8909, with(&[1, 1, 0, 1, 0, 2, 8, 0]), ""),
        (0x6558, frame.clone(), ""),
        (0x86dd, ipv6(UDP, &udp(1024, 53, b"hello")), ""),
    ];
    for (kind, body, context) in cases {
        assert_eq!(decode(ETHERNET, &ethernet(kind, &body)), format!("{HELLO}{context}"), "type {kind:04x}");
    }
}

#[test]
fn what_is_not_ip_is_named() {
    let mut decoder = Decoder::default();
    for (kind, body, name) in [
        (0x0806, &[0; 28][..], "arp"),
        (0x88cc, &[0; 10], "lldp"),
        (0x888e, &[0; 10], "eapol"),
        (0x1234, &[0; 10], "ethertype"),
        (38, &[0x42, 0x42, 3, 0], "stp"),
        (0x8864, &[0x11, 0, 0, 1, 0, 2, 0xc0, 0x21], "ppp-control"),
    ] {
        assert_eq!(outcome_of(&mut decoder, &packet(ETHERNET, &ethernet(kind, body))), format!("other {name}"));
    }
    assert_eq!(decode(105, &[0x80, 0]), "other wlan-management");
    assert_eq!(decode(105, &[0x08, 0x41]), "other wlan-encrypted");
    assert_eq!(decode(195, &[0; 20]), "other link-type-802.15.4");
    assert_eq!(decoder.other()["arp"], 1);
    assert_eq!(decoder.other().values().sum::<u64>(), 6);
}

/// An ARP message (RFC 826) of the host with this hardware and protocol address.
fn arp(operation: u8, mac: u8, address: u8, target: u8) -> Vec<u8> {
    let (sender, asked) = ([2, 0, 0, 0, 0, mac, 10, 0, 0, address], [0, 0, 0, 0, 0, 0, 10, 0, 0, target]);
    [&[0, 1, 8, 0, 6, 4, 0, operation][..], &sender, &asked].concat()
}

#[test]
fn arp_messages_claim_the_address_of_their_sender() {
    let mut decoder = Decoder::default();
    let tagged = [&[0, 5, 8, 6][..], &arp(2, 7, 1, 9)].concat();
    for (frame, claimed) in [
        (ethernet(0x0806, &arp(1, 7, 1, 9)), Some((1, false, 0))),
        (ethernet(0x8100, &tagged), Some((1, true, 1))),
        (ethernet(0x0806, &arp(3, 7, 1, 9)), None),
        (ethernet(0x0806, &arp(2, 7, 1, 9)[..27]), None),
        (ethernet(0x0800, &inner()), None),
    ] {
        outcome_of(&mut decoder, &packet(ETHERNET, &frame));
        let claim = decoder.take_claim();
        assert_eq!(claim.map(|claim| (claim.address[3], claim.is_reply, claim.context)), claimed);
        assert!(claim.is_none_or(|claim| claim.mac == [2, 0, 0, 0, 0, 7] && claim.target == [10, 0, 0, 9]));
    }
    let probe = ethernet(0x0806, &[&[0, 1, 8, 0, 6, 4, 0, 1][..], &[2, 0, 0, 0, 0, 7], &[0; 14]].concat());
    assert_eq!(outcome_of(&mut decoder, &packet(ETHERNET, &probe)), "other arp");
    assert_eq!(decoder.take_claim(), None);
}

#[test]
fn tunnels_lead_to_the_innermost_datagram() {
    let ip = inner();
    let frame = ethernet(0x0800, &ip);
    let gre = |head: &[u8], body: &[u8]| ipv4(GRE, &[head, body].concat());
    let in_udp = |src, dst, head: &[u8], body: &[u8]| ipv4(UDP, &udp(src, dst, &[head, body].concat()));
    let ip6 = ipv6(UDP, &udp(1024, 53, b"hello"));
    let vxlan = in_udp(5, 4789, &[8, 0, 0, 0, 0, 0, 42, 0], &frame);
    let gtp_len = ip.len() as u8;
    let cases = [
        (ipv4(4, &ip), "ipip"),
        (ipv4(41, &ip6), "6in4"),
        (ipv6(4, &ip), "4in6"),
        (ipv6(41, &ip6), "6in6"),
        (ipv4(97, &[&[0x30, 0][..], &frame].concat()), "etherip"),
        (gre(&[0, 0, 8, 0], &ip), "gre"),
        (gre(&[0x20, 0, 0x86, 0xdd, 0, 0, 0, 9], &ip6), "gre:9"),
        (gre(&[0xb0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1], &ip), "gre:9"),
        (gre(&[0x40, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0, 0, 0], &ip), "gre"),
        (gre(&[0, 0, 0x65, 0x58], &frame), "gre"),
        (gre(&[0x30, 0x81, 0x88, 0x0b, 0, 37, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0xff, 3, 0, 0x21], &ip), "pptp"),
        (gre(&[0, 0, 0x88, 0xbe], &frame), "erspan"),
        (gre(&[0x10, 0, 0x88, 0xbe, 0, 0, 0, 1, 0x10, 0, 0, 1, 0, 0, 0, 0], &frame), "erspan"),
        (gre(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0; 12]].concat(), &frame), "erspan"),
        (gre(&[&[0x10, 0, 0x22, 0xeb, 0, 0, 0, 1][..], &[0; 11], &[1], &[0; 8]].concat(), &frame), "erspan"),
        (vxlan.clone(), "vxlan:42"),
        (in_udp(5, 8472, &[8, 0, 0, 0, 0, 1, 0, 0], &frame), "vxlan:256"),
        (in_udp(5, 4790, &[0x0c, 0, 0, 1, 0, 0, 7, 0], &ip), "vxlan:7"),
        (in_udp(5, 6081, &[0, 0, 0x65, 0x58, 0, 0, 7, 0], &frame), "geneve:7"),
        (in_udp(5, 6081, &[1, 0, 8, 0, 0, 0, 7, 0, 1, 2, 3, 0], &ip), "geneve:7"),
        (in_udp(2152, 2152, &[0x30, 0xff, 0, gtp_len, 0, 0, 0, 1], &ip), "gtpu"),
        (in_udp(9, 2152, &[0x34, 0xff, 0, gtp_len + 8, 0, 0, 0, 1, 0, 0, 0, 0x85, 1, 0, 0, 0], &ip), "gtpu"),
        (in_udp(3544, 9, &[], &ip6), "teredo"),
        (in_udp(9, 3544, &[&[0, 1, 0, 0][..], &[0; 9], &[0; 8]].concat(), &ip6), "teredo"),
        (in_udp(1701, 1701, &[0x40, 2, 0, 47, 0, 1, 0, 1, 0xff, 3, 0, 0x21], &ip), "l2tp"),
        (in_udp(9, 4754, &[0, 0, 8, 0], &ip), "gre"),
        (gre(&[&[0, 0, 0x82, 0, 8, 1, 0, 0][..], &[0; 20], &[0xaa, 0xaa, 3, 0, 0, 0, 8, 0]].concat(), &ip), "gre"),
        (in_udp(9, 6635, &[0, 0, 1, 64], &ip), "mpls"),
        (ipv6(GRE, &[&[0, 0, 8, 0][..], &vxlan].concat()), "gre/vxlan:42"),
    ];
    for (outer, tunnel) in cases {
        assert_eq!(decode(RAW, &outer), format!("{HELLO} in {tunnel}"));
    }
    let tagged = ethernet(0x8100, &[&[0, 3, 8, 0][..], &ip].concat());
    let vxlan = ethernet(0x8100, &[&[0, 9, 8, 0][..], &in_udp(5, 4789, &[8, 0, 0, 0, 0, 0, 42, 0], &tagged)].concat());
    assert_eq!(decode(ETHERNET, &vxlan), format!("{HELLO} vlan 9 vlan 3 in vxlan:42"));
}

#[test]
fn a_tunnel_without_readable_ip_is_its_carrier() {
    let arp = ethernet(0x0806, &[0; 28]);
    let outer = ipv4(UDP, &udp(5, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &arp[..]].concat()));
    assert!(decode(RAW, &outer).starts_with("17 5>4789 50 "));
    assert_eq!(decode(RAW, &ipv4(UDP, &udp(5, 4789, b"not vxlan"))), "17 5>4789 9 not vxlan");
    assert_eq!(decode(RAW, &ipv4(UDP, &udp(2152, 9, b"0123456789"))), "17 2152>9 10 0123456789");
    assert_eq!(decode(RAW, &ipv4(4, b"nothing")), "4 0>0 7 nothing");
    assert_eq!(decode(RAW, &ipv4(GRE, &[0, 0, 0x20, 1, b'x'])), "47 0>0 5 \0\0 \u{1}x");
    let carrier_in_carrier = ipv4(4, &ipv4(UDP, &udp(5, 4789, b"not vxlan")));
    assert_eq!(decode(RAW, &carrier_in_carrier), "17 5>4789 9 not vxlan in ipip");
}

#[test]
fn nesting_is_limited() {
    let nested = |depth: usize| (0..depth).fold(inner(), |datagram, _| ipv4(4, &datagram));
    assert_eq!(decode(RAW, &nested(8)), format!("{HELLO} in {}", ["ipip"; 8].join("/")));
    assert!(decode(RAW, &nested(9)).starts_with("4 0>0 33 "));
    let tags = [[0, 5, 0x81, 0]; 20].concat();
    assert_eq!(decode(ETHERNET, &ethernet(0x8100, &tags)), "malformed nesting");
    let options = (0..70).fold(Vec::new(), |_, _| [[60, 0, 1, 4, 0, 0, 0, 0]; 70].concat());
    assert_eq!(decode(RAW, &ipv6(60, &options)), "malformed nesting");
}

#[test]
fn extension_headers_are_followed() {
    let hello = udp(1024, 53, b"hello");
    let pad = |next| [next, 0, 1, 4, 0, 0, 0, 0];
    let chain = [&pad(60)[..], &pad(51), &[UDP, 4], &[0; 22], &hello].concat();
    assert_eq!(decode(RAW, &ipv6(0, &chain)), HELLO);
    assert_eq!(decode(RAW, &ipv6(44, &[&[UDP, 0, 0, 0, 0, 0, 0, 1], &hello[..]].concat())), HELLO, "atomic fragment");
    assert_eq!(decode(RAW, &ipv6(50, b"sealed")), "50 0>0 6 sealed");
    assert_eq!(decode(RAW, &ipv6(59, b"")), "59 0>0 0 ");
    assert_eq!(decode(RAW, &ipv6(135, &pad(59))).split(' ').next(), Some("135"));
    assert_eq!(decode(RAW, &ipv6(60, &[UDP, 9, 0, 0])), "malformed ip-extension-length");

    let routed = [&[UDP, 2, 2, 1, 0, 0, 0, 0][..], &v6(9), &hello].concat();
    let home = [&[UDP, 2, 1, 2, 0, 0, 0xc9, 16][..], &v6(8), &hello].concat();
    for (next, body, src, dst) in [(43, routed, v6(1), v6(9)), (60, home, v6(8), v6(2))] {
        let mut decoder = Decoder::default();
        let datagram = ipv6(next, &body);
        let Outcome::Segment(segment) = decoder.decode(&packet(RAW, &datagram)) else { panic!("no segment") };
        assert_eq!((segment.src, segment.dst), (src, dst));
    }
}

#[test]
fn other_transports_have_their_ports() {
    assert_eq!(decode(RAW, &ipv4(1, &[8, 1, 0, 0, 0, 0, 0, 0, b'x'])), "1 8>1 1 x");
    assert_eq!(decode(RAW, &ipv6(58, &[128, 0, 0, 0])), "58 128>0 0 ");
    assert_eq!(decode(RAW, &ipv4(132, &[&[0, 1, 0, 2][..], &[0; 8], b"x"].concat())), "132 1>2 1 x");
    assert_eq!(decode(RAW, &ipv4(136, &[&[0, 1, 0, 2][..], &[0; 4], b"x"].concat())), "136 1>2 1 x");
    assert_eq!(decode(RAW, &ipv4(2, b"igmp")), "2 0>0 4 igmp");
    assert_eq!(decode(RAW, &ipv4(89, b"ospf")), "89 0>0 4 ospf");
}

#[test]
fn a_snap_length_changes_no_length() {
    let frame = ethernet(0x0800, &ipv4(TCP, &tcp(&[b'x'; 1000])));
    for stored in [14 + 20 + 4, 14 + 20 + 14, 14 + 20 + 20, 14 + 20 + 24, 14 + 20 + 24 + 10, frame.len()] {
        let cut = Packet { wire_len: frame.len() as u32, ..packet(ETHERNET, &frame[..stored]) };
        let mut decoder = Decoder::default();
        let Outcome::Segment(segment) = decoder.decode(&cut) else { panic!("cut at {stored}") };
        assert_eq!((segment.src_port, segment.dst_port, segment.ip_bytes), (1024, 80, 1044));
        assert_eq!(segment.payload.len(), stored.saturating_sub(58));
        if stored >= 48 {
            assert_eq!((segment.payload_bytes, segment.tcp.flags), (1000, 0x18));
        }
    }
    for (stored, reason) in [(13, "truncated-ethernet"), (30, "truncated-ip"), (37, "truncated-tcp")] {
        let cut = Packet { wire_len: frame.len() as u32, ..packet(ETHERNET, &frame[..stored]) };
        assert_eq!(outcome_of(&mut Decoder::default(), &cut), format!("malformed {reason}"));
    }
}

#[test]
fn malformed_packets_are_counted_by_reason() {
    let broken = |position: usize, value: u8| {
        let mut datagram = ipv4(TCP, &tcp(b""));
        datagram[position] = value;
        datagram
    };
    let mut decoder = Decoder::default();
    for (datagram, reason) in [
        (broken(0, 0x35), "ip-version"),
        (broken(0, 0x44), "ip-header-length"),
        (broken(3, 19), "ip-length"),
        (broken(3, 39), "tcp-length"),
        (broken(32, 0x40), "tcp-header-length"),
        (broken(32, 0x70), "tcp-header-length"),
        (ipv4(UDP, &[0, 1, 0, 2, 0, 7, 0, 0]), "udp-header-length"),
        (ipv4(UDP, &[0; 7]), "udp-length"),
        (ipv4_part(UDP, 0x1fff, &[0; 16]), "fragment-offset"),
        (Vec::new(), "truncated-ip"),
    ] {
        assert_eq!(outcome_of(&mut decoder, &packet(RAW, &datagram)), format!("malformed {reason}"));
    }
    assert_eq!(decoder.malformed()["udp-length"], 1);
    assert_eq!(decoder.malformed().values().sum::<u64>(), 10);
}

#[test]
fn what_carries_tunnels_is_told_outermost_first() {
    let mut decoder = Decoder::default();
    let carried = |decoder: &mut Decoder, datagram: &[u8]| {
        decoder.decode(&packet(RAW, datagram));
        decoder.carriers().iter().map(|carrier| (carrier.ip_version, carrier.protocol)).collect::<Vec<_>>()
    };
    let gre = [&[0, 0, 8, 0][..], &ipv4(4, &inner())].concat();
    assert_eq!(carried(&mut decoder, &ipv6(GRE, &gre)), [(6, GRE), (4, 4)]);
    assert_eq!(carried(&mut decoder, &ipv4(UDP, &udp(1, 2, b""))), []);
}

#[test]
fn what_is_odd_about_a_packet_is_told_whether_it_is_read_or_not() {
    let part = |offset: u16, next: u8, payload: &[u8]| {
        let [high, low] = offset.to_be_bytes();
        [&[next, 0, high, low, 0, 0, 0, 7][..], payload].concat()
    };
    let udp = udp(1, 2, b"hi");
    let whole = part(0, UDP, &udp);
    let odd = |decoder: &mut Decoder, datagram: &[u8]| {
        decoder.decode(&packet(RAW, datagram));
        decoder.take_odd().map(|odd| (odd.reasons, odd.is_malformed, odd.segment.protocol))
    };
    let mut decoder = Decoder::default();
    for (datagram, expected) in [
        (ipv6(UDP, &udp), None),
        (ipv6(44, &whole), Some((vec!["fragment-of-all"], false, UDP))),
        (ipv6(44, &part(0, 44, &whole)), Some((vec!["fragment-of-all", "fragment-header-repeated"], false, UDP))),
        (ipv6(44, &part(0, UDP, b"")), Some((vec!["fragment-of-all", "ip-extension-alone", "udp-length"], true, UDP))),
        (ipv6(44, &part(1, UDP, &udp)), Some((vec!["fragment-length"], false, 0))),
        (ipv6(44, &part(1, UDP, &udp[..8])), Some((vec!["fragment-overlap"], false, 0))),
        (ipv6(44, &part(0xfff8, UDP, &udp)), Some((vec!["fragment-offset"], true, 0))),
        (ipv4(GRE, b"abc"), Some((vec!["gre-length"], false, GRE))),
    ] {
        assert_eq!(odd(&mut decoder, &datagram), expected);
    }
    assert_eq!(odd(&mut decoder, &ipv4(UDP, &udp)), None);
}

#[test]
fn lengths_that_are_not_stated_come_from_the_wire() {
    let mut offloaded = inner();
    offloaded[2..4].fill(0);
    assert_eq!(decode(RAW, &offloaded), HELLO);
    let mut offloaded = ipv6(UDP, &udp(1024, 53, b"hello"));
    offloaded[4..6].fill(0);
    offloaded[44..46].fill(0);
    assert_eq!(decode(RAW, &offloaded), HELLO);
}

/// Parts of a UDP datagram of 40 bytes, as IPv4 fragments.
fn parts(cuts: &[(usize, usize)], datagram: &[u8]) -> Vec<Vec<u8>> {
    let part = |&(start, end): &(usize, usize)| {
        let more = if end < datagram.len() { 0x2000 } else { 0 };
        ipv4_part(UDP, more | (start / 8) as u16, &datagram[start..end])
    };
    cuts.iter().map(part).collect()
}

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz012345";

fn sum_of_packets(decoder: &mut Decoder, packets: &[Vec<u8>]) -> (Vec<String>, u64) {
    let outcomes: Vec<_> = packets.iter().map(|data| outcome_of(decoder, &packet(RAW, data))).collect();
    let mut left = 0;
    decoder.flush(&mut |segment| left += u64::from(segment.packets));
    (outcomes, left)
}

#[test]
fn fragments_are_joined_in_any_order() {
    let datagram = udp(1, 2, LETTERS);
    let whole = format!("17 1>2 32 {}", String::from_utf8_lossy(LETTERS));
    for cuts in [
        &[(0, 16), (16, 32), (32, 40)][..],
        &[(32, 40), (16, 32), (0, 16)],
        &[(16, 32), (32, 40), (0, 16)],
        &[(0, 24), (16, 32), (8, 40)],
        &[(0, 8), (0, 8), (16, 40), (8, 32)],
    ] {
        let mut decoder = Decoder::default();
        let (outcomes, left) = sum_of_packets(&mut decoder, &parts(cuts, &datagram));
        assert_eq!(outcomes.last(), Some(&whole), "{cuts:?}");
        assert!(outcomes.iter().rev().skip(1).all(|outcome| outcome == "held"));
        assert_eq!((left, decoder.ambiguous_fragment_bytes()), (0, 0));
    }
}

#[test]
fn sums_of_fragments_are_kept() {
    let datagram = udp(1, 2, LETTERS);
    let mut decoder = Decoder::default();
    let parts = parts(&[(0, 16), (16, 40)], &datagram);
    assert!(matches!(decoder.decode(&packet(RAW, &parts[0])), Outcome::Held));
    let last = Packet { number: 9, at: 5, ..packet(RAW, &parts[1]) };
    let Outcome::Segment(segment) = decoder.decode(&last) else { panic!("no segment") };
    assert_eq!((segment.packets, segment.ip_bytes, segment.ip_payload_bytes), (2, 80, 40));
    assert_eq!((segment.payload_bytes, segment.number, segment.at), (32, 9, 5));
}

#[test]
fn the_first_bytes_win_and_contradictions_are_counted() {
    let datagram = udp(1, 2, LETTERS);
    let forged = udp(1, 2, &LETTERS.to_ascii_uppercase());
    let cuts = [(0, 16), (8, 24), (24, 40)];
    let mut fragments = parts(&cuts, &datagram);
    fragments[1] = parts(&[(8, 24)], &forged).remove(0);
    let mut decoder = Decoder::default();
    let (outcomes, _) = sum_of_packets(&mut decoder, &fragments);
    assert_eq!(outcomes[2], "17 1>2 32 abcdefghIJKLMNOPqrstuvwxyz012345");
    assert_eq!(decoder.ambiguous_fragment_bytes(), 8);
    let mut views = Vec::new();
    decoder.take_views(&mut |view| views.push((view.packets, view.src_port, view.payload.to_vec())));
    assert_eq!(views, [(0, 1, b"ABCDEFGHIJKLMNOPqrstuvwxyz012345".to_vec())]);
    decoder.take_views(&mut |_| panic!("given out already"));
}

#[test]
fn views_of_fragments_are_those_of_the_last_packet_alone() {
    let datagram = udp(1, 2, LETTERS);
    let mut fragments = parts(&[(0, 16), (16, 40)], &datagram);
    fragments.insert(1, parts(&[(8, 16)], &udp(1, 2, &LETTERS.to_ascii_uppercase())).remove(0));
    let mut decoder = Decoder::default();
    sum_of_packets(&mut decoder, &fragments);
    decoder.decode(&packet(RAW, &fragments[0]));
    decoder.take_views(&mut |_| panic!("of a datagram before"));
}

#[test]
fn a_cut_fragment_ends_the_stored_payload_and_not_the_length() {
    let parts = parts(&[(0, 24), (24, 40)], &udp(1, 2, LETTERS));
    let mut decoder = Decoder::default();
    let cut = Packet { wire_len: parts[0].len() as u32, ..packet(RAW, &parts[0][..34]) };
    assert!(matches!(decoder.decode(&cut), Outcome::Held));
    assert_eq!(outcome_of(&mut decoder, &packet(RAW, &parts[1])), "17 1>2 32 abcdef");
}

#[test]
fn ipv6_fragments_are_joined() {
    let datagram = udp(1, 2, LETTERS);
    let part = |field: u16, bytes: &[u8]| {
        let [high, low] = field.to_be_bytes();
        ipv6(44, &[&[UDP, 0, high, low, 0, 0, 0, 1], bytes].concat())
    };
    let (outcomes, left) =
        sum_of_packets(&mut Decoder::default(), &[part(16, &datagram[16..]), part(1, &datagram[..16])]);
    assert_eq!(outcomes, ["held".to_string(), format!("17 1>2 32 {}", String::from_utf8_lossy(LETTERS))]);
    assert_eq!(left, 0);
}

#[test]
fn a_tunnel_in_fragments_is_followed() {
    let datagram = udp(5, 4789, &[&[8, 0, 0, 0, 0, 0, 42, 0], &ethernet(0x0800, &inner())[..]].concat());
    let (outcomes, _) = sum_of_packets(&mut Decoder::default(), &parts(&[(0, 24), (24, datagram.len())], &datagram));
    assert_eq!(outcomes, ["held".to_string(), format!("{HELLO} in vxlan:42")]);
}

#[test]
fn packets_of_an_unreadable_datagram_in_a_tunnel_are_not_lost() {
    let bad_length = [&[0, 1, 0, 2, 0, 3, 0, 0][..], &[0; 16]].concat();
    let parts = parts(&[(0, 16), (16, 24)], &bad_length);
    let mut decoder = Decoder::default();
    assert!(matches!(decoder.decode(&packet(RAW, &ipv4(4, &parts[0]))), Outcome::Held));
    let last = ipv4(4, &parts[1]);
    let Outcome::Segment(carrier) = decoder.decode(&packet(RAW, &last)) else { panic!("no segment") };
    assert_eq!((carrier.protocol, carrier.packets, carrier.ip_bytes), (4, 2, 48));
}

#[test]
fn incomplete_datagrams_are_handed_over_after_their_time() {
    let datagram = udp(1, 2, LETTERS);
    let mut decoder = Decoder::default();
    for part in &parts(&[(0, 16), (16, 24)], &datagram) {
        assert!(matches!(decoder.decode(&packet(RAW, part)), Outcome::Held));
    }
    let mut seen = Vec::new();
    decoder.expire(29_999_999_999, &mut |segment| seen.push(describe(&segment)));
    assert!(seen.is_empty());
    decoder.expire(30_000_000_000, &mut |segment| {
        assert_eq!((segment.packets, segment.ip_bytes, segment.ip_payload_bytes), (2, 64, 24));
        seen.push(describe(&segment));
    });
    assert_eq!(seen, ["17 1>2 0 "]);
}

#[test]
fn a_flood_of_fragments_stays_bounded_and_no_packet_is_lost() {
    let mut decoder = Decoder::default();
    let (mut segments, mut held) = (0, 0u64);
    for index in 0..100_000u32 {
        let mut part = ipv4_part(UDP, 0x2000, &[0; 1000]);
        part[12..16].copy_from_slice(&index.to_be_bytes());
        match decoder.decode(&packet(RAW, &part)) {
            Outcome::Segment(segment) => segments += u64::from(segment.packets),
            Outcome::Held => held += 1,
            outcome => panic!("{outcome:?}"),
        }
    }
    assert!(held < 40_000, "32 MiB hold so many fragments of 1,000 bytes: {held}");
    decoder.flush(&mut |segment| segments += u64::from(segment.packets));
    assert_eq!(segments, 100_000);
}

#[test]
fn contexts_are_bounded() {
    let mut decoder = Decoder::default();
    for vni in 0..70_000u32 {
        let [_, a, b, c] = vni.to_be_bytes();
        let head = [8, 0, 0, 0, a, b, c, 0];
        let outer = ipv4(UDP, &udp(5, 4789, &[&head[..], &ethernet(0x0800, &inner())].concat()));
        assert!(matches!(decoder.decode(&packet(RAW, &outer)), Outcome::Segment(_)));
    }
    assert_eq!(decoder.contexts().len(), 65_536);
    assert_eq!(decoder.contexts()[65_535].tunnel.as_deref(), Some("overflow"));
    assert_eq!(decoder.context_overflows(), 70_000 - 65_534);
}

fn framed() -> impl Strategy<Value = (u32, Vec<u8>)> {
    let bytes = prop::collection::vec(any::<u8>(), 0..200);
    let frames = (0..12usize, bytes).prop_map(|(form, bytes)| match form {
        0 => ethernet(0x0800, &bytes),
        1 => ethernet(0x8847, &bytes),
        2 => ethernet(0x8864, &bytes),
        3 => ethernet(0x0800, &ipv4(GRE, &bytes)),
        4 => ethernet(0x86dd, &ipv6(0, &bytes)),
        5 => ethernet(0x86dd, &ipv6(44, &bytes)),
        6 => ethernet(0x0800, &ipv4(UDP, &udp(2152, 2152, &bytes))),
        7 => ethernet(0x0800, &ipv4(UDP, &udp(1, 4789, &bytes))),
        8 => ethernet(0x0800, &ipv4(UDP, &udp(3544, 1701, &bytes))),
        9 => ethernet(0x0800, &ipv4(4, &bytes)),
        10 => ethernet(0x0800, &ipv4_part(UDP, 0x2000, &bytes)),
        _ => bytes,
    });
    (prop_oneof![Just(ETHERNET), 0..300u32], frames)
}

proptest! {
    #[test]
    fn any_packets_are_accounted_for(frames in prop::collection::vec(framed(), 1..20)) {
        let mut decoder = Decoder::default();
        let mut packets = 0;
        for (link, data) in &frames {
            if let Outcome::Segment(segment) = decoder.decode(&packet(*link, data)) {
                prop_assert!(segment.payload.len() <= segment.payload_bytes as usize);
                packets += u64::from(segment.packets);
            }
        }
        decoder.flush(&mut |segment| packets += u64::from(segment.packets));
        packets += decoder.malformed().values().chain(decoder.other().values()).sum::<u64>();
        prop_assert_eq!(packets, frames.len() as u64);
    }
}
