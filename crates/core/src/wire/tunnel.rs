//! Tunnels: IP datagrams that carry frames or datagrams. Those in UDP are told by port and content.

use super::decoder::{Layer, Next, Walk};
use super::protocol;
use super::span::Span;

/// UDP ports of tunnels (IANA service names and port numbers; 8472 is VXLAN's in older Linux).
mod port {
    pub const L2TP: u16 = 1701;
    pub const GTP_U: u16 = 2152;
    pub const TEREDO: u16 = 3544;
    pub const GRE: u16 = 4754;
    pub const VXLAN: u16 = 4789;
    pub const VXLAN_GPE: u16 = 4790;
    pub const AYIYA: u16 = 5072;
    pub const GENEVE: u16 = 6081;
    pub const MPLS: u16 = 6635;
    pub const OLD_VXLAN: u16 = 8472;
}

/// Tells whether a UDP datagram between these ports may be a tunnel's.
#[inline(always)]
pub(super) fn is_port(src: u16, dst: u16) -> bool {
    let either = |port| matches!(port, port::L2TP | port::GTP_U | port::TEREDO | port::AYIYA);
    let only_to =
        matches!(dst, port::GRE | port::VXLAN | port::OLD_VXLAN | port::VXLAN_GPE | port::GENEVE | port::MPLS);
    only_to || either(src) || either(dst)
}

const ERSPAN: u16 = 0x88be;
const ERSPAN_3: u16 = 0x22eb;
const PPP: u16 = 0x880b;
const WCCP: u16 = 0x883e;

/// Follows a tunnel in the segment just read; None when it carries none.
pub(super) fn inside<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    match walk.segment.protocol {
        protocol::TCP => None,
        protocol::UDP => in_udp(walk, payload),
        protocol::IPV4 | protocol::IPV6 => ip_in_ip(walk, payload),
        protocol::GRE => gre(walk, payload),
        protocol::ETHER_IP => {
            walk.enter_tunnel("etherip", None)?;
            Some(Next::Layer(Layer::Ethernet, payload.skip(2))) // RFC 3378
        }
        protocol::MPLS => {
            walk.enter_tunnel("mpls", None)?;
            Some(Next::Layer(Layer::EtherType(0x8847), payload)) // RFC 4023
        }
        _ => None,
    }
}

fn ip_in_ip<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let kind = match (walk.segment.protocol, walk.segment.ip_version) {
        (protocol::IPV4, 4) => "ipip",
        (protocol::IPV6, 4) => "6in4",
        (protocol::IPV4, _) => "4in6",
        _ => "6in6",
    };
    walk.enter_tunnel(kind, None)?;
    Some(Next::Layer(Layer::Ip, payload))
}

/// Reads GRE (RFC 2784, RFC 2890; routing as in RFC 1701) and, as version 1, that of PPTP (RFC 2637).
fn gre<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let Some(&[f0, f1, t0, t1]) = payload.head() else {
        walk.note_odd("gre-length");
        return None;
    };
    let (flags, kind) = (u16::from_be_bytes([f0, f1]), u16::from_be_bytes([t0, t1]));
    let [has_checksum, has_routing, has_key, has_sequence] = [15, 14, 13, 12].map(|bit| flags >> bit & 1 == 1);
    if flags & 7 == 1 {
        let has_acknowledgement = flags & 0x80 != 0;
        let header = 8 + if has_sequence { 4 } else { 0 } + if has_acknowledgement { 4 } else { 0 };
        return pptp(walk, kind, payload.skip(header));
    }
    let key_at = if has_checksum || has_routing { 8 } else { 4 };
    let key = if has_key { Some(u32::from_be_bytes(*payload.at(key_at)?)) } else { None };
    let header = key_at + if has_key { 4 } else { 0 } + if has_sequence { 4 } else { 0 };
    let body = payload.skip(header);
    let body = if has_routing { after_route(body)? } else { body };
    match kind {
        ERSPAN if has_sequence => erspan(walk, body.skip(8)),
        ERSPAN => erspan(walk, body),
        ERSPAN_3 => {
            let has_platform_header = body.at::<1>(11)?[0] & 1 == 1;
            erspan(walk, body.skip(if has_platform_header { 20 } else { 12 }))
        }
        WCCP => {
            walk.enter_tunnel("wccp", None)?;
            Some(Next::Layer(Layer::Ip, if body.holds_ip() { body } else { body.skip(4) }))
        }
        _ => {
            walk.enter_tunnel("gre", key)?;
            Some(Next::Layer(if is_wlan(kind) { Layer::Wlan } else { Layer::EtherType(kind) }, body))
        }
    }
}

/// Tells the types by which Aruba's access points send 802.11 frames to their controller.
fn is_wlan(kind: u16) -> bool {
    matches!(kind, 0x8200 | 0x8210 | 0x8300 | 0x8310 | 0x8400 | 0x8500)
}

/// Leaves off source route entries, each with its own length, up to the empty one.
fn after_route(mut span: Span<'_>) -> Option<Span<'_>> {
    loop {
        let &[_, _, _, len] = span.head()?;
        span = span.skip(4 + usize::from(len));
        if len == 0 {
            return Some(span);
        }
    }
}

fn pptp<'a>(walk: &mut Walk<'a, '_>, kind: u16, body: Span<'a>) -> Option<Next<'a>> {
    if kind != PPP || body.stored.is_empty() {
        return None;
    }
    walk.enter_tunnel("pptp", None)?;
    Some(Next::Layer(Layer::Ppp, body))
}

/// Enters a mirrored frame (draft-foschiano-erspan); its session differs per direction and tells nothing.
fn erspan<'a>(walk: &mut Walk<'a, '_>, frame: Span<'a>) -> Option<Next<'a>> {
    walk.enter_tunnel("erspan", None)?;
    Some(Next::Layer(Layer::Ethernet, frame))
}

fn in_udp<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let (src, dst) = (walk.segment.src_port, walk.segment.dst_port);
    match dst {
        port::VXLAN | port::OLD_VXLAN => vxlan(walk, payload),
        port::VXLAN_GPE => vxlan_gpe(walk, payload),
        port::GENEVE => geneve(walk, payload),
        port::GRE => gre(walk, payload), // RFC 8086
        port::MPLS => {
            walk.enter_tunnel("mpls", None)?;
            Some(Next::Layer(Layer::EtherType(0x8847), payload)) // RFC 7510
        }
        _ if dst == port::GTP_U || src == port::GTP_U => gtp_u(walk, payload),
        _ if dst == port::TEREDO || src == port::TEREDO => teredo(walk, payload),
        _ if dst == port::L2TP || src == port::L2TP => l2tp(walk, payload),
        _ if dst == port::AYIYA || src == port::AYIYA => ayiya(walk, payload),
        _ => None,
    }
}

/// Reads VXLAN (RFC 7348), with the group policy bit that some switches set.
fn vxlan<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let &[0x08 | 0x88, _, _, _, n0, n1, n2, 0] = payload.head()? else { return None };
    walk.enter_tunnel("vxlan", Some(u32::from_be_bytes([0, n0, n1, n2])))?;
    Some(Next::Layer(Layer::Ethernet, payload.skip(8)))
}

/// Reads the generic extension of VXLAN, which names the protocol inside (draft-ietf-nvo3-vxlan-gpe).
fn vxlan_gpe<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let &[0x0c, 0, 0, next, n0, n1, n2, _] = payload.head()? else { return None };
    let layer = match next {
        1 | 2 => Layer::Ip,
        3 => Layer::Ethernet,
        _ => return None,
    };
    walk.enter_tunnel("vxlan", Some(u32::from_be_bytes([0, n0, n1, n2])))?;
    Some(Next::Layer(layer, payload.skip(8)))
}

/// Reads GENEVE (RFC 8926), version 0.
fn geneve<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let &[words @ 0..=0x3f, _, t0, t1, n0, n1, n2, 0] = payload.head()? else { return None };
    walk.enter_tunnel("geneve", Some(u32::from_be_bytes([0, n0, n1, n2])))?;
    Some(Next::Layer(Layer::EtherType(u16::from_be_bytes([t0, t1])), payload.skip(8 + usize::from(words) * 4)))
}

/// Reads GTP-U (3GPP TS 29.281) where it carries a datagram; its tunnel identifier differs per direction.
fn gtp_u<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let &[flags @ 0x30..=0x37, 0xff, l0, l1, ..] = payload.head::<8>()? else { return None };
    let len = 8 + usize::from(u16::from_be_bytes([l0, l1]));
    if len > payload.len {
        return None;
    }
    let body = payload.take(len);
    let body = if flags & 7 == 0 { body.skip(8) } else { after_gtp_extensions(body)? };
    if !body.holds_ip() {
        return None;
    }
    walk.enter_tunnel("gtpu", None)?;
    Some(Next::Layer(Layer::Ip, body))
}

/// Leaves off the optional fields and the extension headers, whose length counts words of 4 bytes.
fn after_gtp_extensions(payload: Span<'_>) -> Option<Span<'_>> {
    let has_extensions = payload.stored.first()? & 4 != 0;
    let [mut next] = *payload.at::<1>(11)?;
    let mut body = payload.skip(12);
    while has_extensions && next != 0 {
        let len = usize::from(*body.stored.first().filter(|words| **words > 0)?) * 4;
        next = *body.stored.get(len - 1)?;
        body = body.skip(len);
    }
    Some(body)
}

/// Reads Teredo (RFC 4380, 5.1.1): authentication and origin indication may come before the datagram.
fn teredo<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let mut body = payload;
    if let Some(&[0, 1, client, authentication]) = body.head() {
        body = body.skip(4 + usize::from(client) + usize::from(authentication) + 9);
    }
    if body.stored.starts_with(&[0, 0]) {
        body = body.skip(8);
    }
    if !body.holds_ip() || body.stored.first()? >> 4 != 6 {
        return None;
    }
    walk.enter_tunnel("teredo", None)?;
    Some(Next::Layer(Layer::Ip, body))
}

/// Reads L2TP data messages of version 2 (RFC 2661).
fn l2tp<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let flags = u16::from_be_bytes(*payload.head()?);
    if flags & 0x8000 != 0 || flags & 0x000f != 2 {
        return None;
    }
    let [has_length, has_sequence, has_offset] = [0x4000, 0x0800, 0x0200].map(|bit| flags & bit != 0);
    let before_offset = 6 + if has_length { 2 } else { 0 } + if has_sequence { 4 } else { 0 };
    let header = match has_offset {
        true => before_offset + 2 + usize::from(u16::from_be_bytes(*payload.at(before_offset)?)),
        false => before_offset,
    };
    walk.enter_tunnel("l2tp", None)?;
    Some(Next::Layer(Layer::Ppp, payload.skip(header)))
}

/// Reads AYIYA (draft-massar-v6ops-ayiya) where it forwards a datagram.
fn ayiya<'a>(walk: &mut Walk<'a, '_>, payload: Span<'a>) -> Option<Next<'a>> {
    let &[identity, signature, operation, 4 | 41] = payload.head()? else { return None };
    let header = 8 + (1 << (identity >> 4)) + usize::from(signature >> 4) * 4;
    let body = payload.skip(header);
    if operation & 0x0f != 1 || !body.holds_ip() {
        return None;
    }
    walk.enter_tunnel("ayiya", None)?;
    Some(Next::Layer(Layer::Ip, body))
}
