//! IEEE 802.11 frames, and the radio headers that captures put before them.

use super::decoder::{Layer, Next};
use super::span::Span;
use super::Segment;

/// Bits of the radiotap present and flags fields (radiotap.org).
mod radiotap_bit {
    pub const TIMESTAMP: u32 = 1;
    pub const FLAGS: u32 = 1 << 1;
    pub const MORE: u32 = 1 << 31;
    pub const PADDED: u8 = 0x20;
}

/// Reads a radiotap header.
pub(super) fn radiotap<'a>(segment: &mut Segment<'a>, span: Span<'a>) -> Next<'a> {
    match span.at(2) {
        Some(&len) => frame(segment, span.skip(usize::from(u16::from_le_bytes(len))), is_padded(span)),
        None => Next::Malformed("truncated-radiotap"),
    }
}

/// Tells whether the radio pads the 802.11 header to whole words.
fn is_padded(span: Span<'_>) -> bool {
    let mut present = (4..).step_by(4).map_while(|at| span.at(at).map(|bytes| u32::from_le_bytes(*bytes)));
    let Some(first) = present.next().filter(|first| first & radiotap_bit::FLAGS != 0) else { return false };
    let words = match first & radiotap_bit::MORE {
        0 => 1,
        _ => 2 + present.take_while(|word| word & radiotap_bit::MORE != 0).count(),
    };
    let fields = 4 + 4 * words;
    let flags = if first & radiotap_bit::TIMESTAMP != 0 { fields.next_multiple_of(8) + 8 } else { fields };
    span.stored.get(flags).is_some_and(|flags| flags & radiotap_bit::PADDED != 0)
}

/// Reads a Prism header, or the AVS header that some drivers write in its place.
pub(super) fn prism<'a>(segment: &mut Segment<'a>, span: Span<'a>) -> Next<'a> {
    match span.head::<8>() {
        Some(&[0x80, 0x21, 0x10, ..]) => avs(segment, span),
        Some(&[_, _, _, _, l0, l1, l2, l3]) => {
            frame(segment, span.skip(u32::from_le_bytes([l0, l1, l2, l3]) as usize), false)
        }
        None => Next::Malformed("truncated-prism"),
    }
}

/// Reads an AVS header: version, then length.
pub(super) fn avs<'a>(segment: &mut Segment<'a>, span: Span<'a>) -> Next<'a> {
    match span.at(4) {
        Some(&len) => frame(segment, span.skip(u32::from_be_bytes(len) as usize), false),
        None => Next::Malformed("truncated-avs"),
    }
}

/// Reads an 802.11 frame (IEEE 802.11-2020, 9.3.2.1); only data frames in the clear lead to IP.
pub(super) fn frame<'a>(segment: &mut Segment<'a>, span: Span<'a>, padded: bool) -> Next<'a> {
    let Some(&[control, flags]) = span.head() else { return Next::Malformed("truncated-wlan") };
    match control >> 2 & 3 {
        0 => Next::Other("wlan-management"),
        2 if control & 0x40 != 0 => Next::Other("wlan-null"),
        2 if flags & 0x40 != 0 => Next::Other("wlan-encrypted"),
        2 => data(segment, span, padded),
        _ => Next::Other("wlan-control"),
    }
}

fn data<'a>(segment: &mut Segment<'a>, span: Span<'a>, padded: bool) -> Next<'a> {
    let Some(&[control, flags]) = span.head() else { return Next::Malformed("truncated-wlan") };
    let (to_ds, from_ds) = (flags & 1 != 0, flags & 2 != 0);
    let has_qos = control & 0x80 != 0;
    let addresses = if to_ds && from_ds { 30 } else { 24 };
    let high_throughput = if has_qos && flags & 0x80 != 0 { 4 } else { 0 };
    let header = addresses + if has_qos { 2 } else { 0 } + high_throughput;
    let (dst, src) = match (to_ds, from_ds) {
        (false, false) => (4, 10),
        (true, false) => (16, 10),
        (false, true) => (4, 16),
        (true, true) => (16, 24),
    };
    let aggregated = has_qos && span.stored.get(addresses).is_some_and(|qos| qos & 0x80 != 0);
    (segment.dst_mac, segment.src_mac) = (span.at(dst).copied(), span.at(src).copied());
    let body = span.skip(if padded { header.next_multiple_of(4) } else { header });
    if aggregated {
        first_subframe(segment, body)
    } else {
        Next::Layer(Layer::Llc, body)
    }
}

/// Reads the first frame of an aggregate (A-MSDU); the others are not looked at.
fn first_subframe<'a>(segment: &mut Segment<'a>, span: Span<'a>) -> Next<'a> {
    let (Some(dst), Some(src), Some(len)) = (span.head(), span.at(6), span.at(12)) else {
        return Next::Malformed("truncated-wlan");
    };
    (segment.dst_mac, segment.src_mac) = (Some(*dst), Some(*src));
    let body = span.skip(14);
    Next::Layer(Layer::Llc, body.take(usize::from(u16::from_be_bytes(*len)).min(body.len)))
}
