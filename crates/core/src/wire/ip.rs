//! IPv4 (RFC 791) and IPv6 (RFC 8200) headers.

use super::decoder::{Layer, Next, Walk};
use super::fragment::Fragment;
use super::span::Span;
use super::transport::Transport;
use super::{protocol, tunnel, Segment};

/// Hop-by-hop option that carries a length beyond 65,535 (RFC 2675).
const JUMBO_PAYLOAD: u8 = 0xc2;
/// Destination option that carries a mobile node's home address (RFC 6275, 6.3).
const HOME_ADDRESS: u8 = 0xc9;

/// Reads an IP header of either version.
pub(super) fn header<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    match span.stored.first().map(|byte| byte >> 4) {
        Some(4) => ipv4(walk, span),
        Some(6) => ipv6(walk, span),
        Some(_) => Next::Malformed("ip-version"),
        None => Next::Malformed("truncated-ip"),
    }
}

/// What an IPv4 header says.
pub(super) struct Ipv4<'a> {
    pub(super) src: [u8; 16],
    pub(super) dst: [u8; 16],
    pub(super) ttl: u8,
    pub(super) protocol: u8,
    pub(super) ip_bytes: u32,
    pub(super) payload: Span<'a>,
    /// None for a whole datagram.
    pub(super) fragment: Option<Fragment>,
}

impl<'a> Ipv4<'a> {
    #[inline(always)]
    pub(super) fn read(span: Span<'a>) -> Result<Ipv4<'a>, &'static str> {
        let Some(&[first, _, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3]) =
            span.head()
        else {
            return Err("truncated-ip");
        };
        let header = usize::from(first & 0x0f) * 4;
        let total = match u16::from_be_bytes([l0, l1]) {
            0 => span.len, // segmentation offload: the length did not fit or was not yet known
            total => usize::from(total),
        };
        if header < 20 {
            return Err("ip-header-length");
        }
        if total < header {
            return Err("ip-length");
        }
        Ok(Ipv4 {
            src: mapped([s0, s1, s2, s3]),
            dst: mapped([d0, d1, d2, d3]),
            ttl,
            protocol,
            ip_bytes: total as u32,
            payload: span.take(total).skip(header),
            fragment: fragment_of(protocol, u16::from_be_bytes([i0, i1]), u16::from_be_bytes([f0, f1])),
        })
    }
}

/// Reads the fragment field: flags, then the offset in units of 8 bytes.
#[inline(always)]
fn fragment_of(protocol: u8, id: u16, field: u16) -> Option<Fragment> {
    let (offset, more) = (u32::from(field & 0x1fff) * 8, field & 0x2000 != 0);
    (offset > 0 || more).then_some(Fragment { id: u32::from(id), protocol, offset, more })
}

fn ipv4<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    let header = match Ipv4::read(span) {
        Ok(header) => header,
        Err(reason) => return Next::Malformed(reason),
    };
    let segment = &mut *walk.segment;
    (segment.src, segment.dst, segment.ttl) = (header.src, header.dst, header.ttl);
    segment.ip_version = 4;
    segment.network = span.take(header.ip_bytes as usize).stored;
    segment.ip_bytes = header.ip_bytes;
    segment.ip_payload_bytes = header.payload.claimed();
    match header.fragment {
        Some(fragment) => Next::Fragment(fragment, header.payload),
        None => payload(walk, header.protocol, header.payload),
    }
}

/// Stores an IPv4 address as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2).
#[inline(always)]
fn mapped([a, b, c, d]: [u8; 4]) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, a, b, c, d]
}

fn ipv6<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    (walk.has_extension, walk.has_fragment) = (false, false);
    let segment = &mut *walk.segment;
    let (Some(&[_, _, _, _, l0, l1, next, ttl]), Some(src), Some(dst)) = (span.head(), span.at(8), span.at(24)) else {
        return Next::Malformed("truncated-ip");
    };
    let payload = span.skip(40);
    let len = match u16::from_be_bytes([l0, l1]) {
        0 => unstated_length(next, payload),
        len => usize::from(len),
    };
    segment.src = *src;
    segment.dst = *dst;
    segment.ip_version = 6;
    segment.network = span.take(len.saturating_add(40)).stored;
    segment.ttl = ttl;
    segment.ip_payload_bytes = payload.take(len).claimed();
    segment.ip_bytes = segment.ip_payload_bytes.saturating_add(40);
    self::payload(walk, next, payload.take(len))
}

/// Finds the payload length where the header says 0: nothing, a jumbogram, or segmentation offload.
fn unstated_length(next: u8, payload: Span<'_>) -> usize {
    match payload.stored {
        _ if next == protocol::NO_NEXT_HEADER => 0,
        &[_, _, JUMBO_PAYLOAD, 4, a, b, c, d, ..] if next == protocol::HOP_BY_HOP => {
            u32::from_be_bytes([a, b, c, d]) as usize
        }
        _ => payload.len,
    }
}

/// Reads what an IP datagram carries: an extension header, a tunnel, or a transport header, which ends the way.
pub(super) fn payload<'a>(walk: &mut Walk<'a, '_>, protocol: u8, span: Span<'a>) -> Next<'a> {
    if walk.has_extension && span.len < 2 {
        walk.note_odd("ip-extension-alone");
    }
    if let Some(next) = extension(walk, protocol, span) {
        walk.has_extension = true;
        return next;
    }
    match Transport::read(protocol, span) {
        Ok(transport) => {
            let payload = transport.payload;
            walk.segment.transport = span.stored;
            transport.fill(walk.segment, protocol);
            tunnel::inside(walk, payload).unwrap_or(Next::Done)
        }
        Err(reason) => {
            walk.segment.protocol = protocol;
            Next::Malformed(reason)
        }
    }
}

/// Reads an extension header; None when the protocol is none, that is when the transport begins.
fn extension<'a>(walk: &mut Walk<'a, '_>, protocol: u8, span: Span<'a>) -> Option<Next<'a>> {
    let segment = &mut *walk.segment;
    match protocol {
        protocol::TCP | protocol::UDP => None,
        protocol::AUTHENTICATION => Some(authentication(span)),
        _ if segment.ip_version == 4 => None,
        protocol::FRAGMENT => Some(fragment(walk, span)),
        protocol::ROUTING => Some(options(span, |kind, header| route(segment, kind, header))),
        protocol::DESTINATION_OPTIONS => Some(options(span, |_, header| home_address(segment, header))),
        protocol::HOP_BY_HOP | protocol::HOST_IDENTITY | protocol::SHIM6 => Some(options(span, |_, _| ())),
        protocol::MOBILITY => mobility(span),
        _ => None,
    }
}

/// Reads an IP authentication header, whose length counts words of 4 bytes less two (RFC 4302).
fn authentication(span: Span<'_>) -> Next<'_> {
    match span.head() {
        Some(&[next, words]) => Next::Layer(Layer::Upper(next), span.skip((usize::from(words) + 2) * 4)),
        None => Next::Malformed("truncated-ip"),
    }
}

/// Reads a header whose length counts units of 8 bytes less one; `meaning` gets its third byte and all of it.
fn options<'a>(span: Span<'a>, meaning: impl FnOnce(u8, &'a [u8])) -> Next<'a> {
    let Some(&[next, units, kind]) = span.head() else { return Next::Malformed("truncated-ip") };
    let len = (usize::from(units) + 1) * 8;
    if len > span.len {
        return Next::Malformed("ip-extension-length");
    }
    meaning(kind, span.take(len).stored);
    Next::Layer(Layer::Upper(next), span.skip(len))
}

/// Follows a mobility header only where one more header comes after it (RFC 6275, 6.1.1).
fn mobility(span: Span<'_>) -> Option<Next<'_>> {
    match span.stored.first() {
        Some(&protocol::NO_NEXT_HEADER) | None => None,
        Some(_) => Some(options(span, |_, _| ())),
    }
}

/// Takes the final destination from a routing header: types 0 (RFC 2460), 2 (RFC 6275) and 4 (RFC 8754).
fn route(segment: &mut Segment<'_>, kind: u8, header: &[u8]) {
    let Some(&left) = header.get(3).filter(|left| **left > 0) else { return };
    let last = match kind {
        0 => usize::from(left) - 1,
        2 | 4 => 0,
        _ => return,
    };
    if let Some(address) = header.get(8 + last * 16..).and_then(|rest| rest.first_chunk()) {
        segment.dst = *address;
    }
}

/// Takes the sender's home address, by which its correspondent knows it.
fn home_address(segment: &mut Segment<'_>, header: &[u8]) {
    let mut options = header.get(2..).unwrap_or_default();
    while let Some((&kind, rest)) = options.split_first() {
        let len = match (kind, rest.first()) {
            (0, _) => 0, // Pad1 has no length
            (_, Some(&len)) => usize::from(len) + 1,
            (_, None) => return,
        };
        if let (HOME_ADDRESS, Some(address)) = (kind, rest.get(1..).and_then(|value| value.first_chunk())) {
            segment.src = *address;
        }
        options = rest.get(len..).unwrap_or_default();
    }
}

/// Reads a fragment header; a fragment that is the whole datagram is none (RFC 6946).
fn fragment<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    if std::mem::replace(&mut walk.has_fragment, true) {
        walk.note_odd("fragment-header-repeated");
    }
    let Some(&[protocol, _, o0, o1, i0, i1, i2, i3]) = span.head() else { return Next::Malformed("truncated-ip") };
    let field = u16::from_be_bytes([o0, o1]);
    let (offset, more) = (u32::from(field & 0xfff8), field & 1 != 0);
    if more && span.len % 8 != 0 {
        walk.note_odd("fragment-length");
    }
    if offset == 0 && !more {
        walk.note_odd("fragment-of-all");
        return Next::Layer(Layer::Upper(protocol), span.skip(8));
    }
    let id = u32::from_be_bytes([i0, i1, i2, i3]);
    Next::Fragment(Fragment { id, protocol, offset, more }, span.skip(8))
}
