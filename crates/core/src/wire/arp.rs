//! The address resolution protocol: what hosts claim about who owns an IPv4 address (RFC 826, RFC 5227).

use super::decoder::{Next, Walk};
use super::span::Span;

/// Ethernet hardware, IPv4 addresses, and their lengths (IANA ARP parameters): what all messages begin with.
const ETHERNET_TO_IPV4: [u8; 6] = [0, 1, 8, 0, 6, 4];
const REQUEST: u16 = 1;
const REPLY: u16 = 2;

/// A host's claim that an IPv4 address is at its hardware address, as every request and reply makes it of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Capture time in nanoseconds since the Unix epoch, UTC.
    pub at: i64,
    /// Number of the packet in the merged stream, counted from 1.
    pub number: u64,
    /// The VLAN tags and tunnels around it: an index into [`super::Decoder::contexts`].
    pub context: u32,
    pub address: [u8; 4],
    pub mac: [u8; 6],
    /// The address asked for or answered to; the claimed one itself in an announcement (RFC 5227, 3).
    pub target: [u8; 4],
    pub is_reply: bool,
}

/// Reads one message and notes its claim; a probe, whose sender has no address yet (RFC 5227, 2.1), claims nothing.
pub(super) fn message<'a>(walk: &mut Walk<'a, '_>, span: Span<'a>) -> Next<'a> {
    walk.claim = claim(span).map(|claim| Claim {
        at: walk.segment.at,
        number: walk.segment.number,
        context: walk.segment.context,
        ..claim
    });
    Next::Other("arp")
}

fn claim(span: Span<'_>) -> Option<Claim> {
    let &head = span.head::<8>()?;
    let &[h0, h1, p0, p1, hardware, protocol, o0, o1] = &head;
    let operation = u16::from_be_bytes([o0, o1]);
    let is_known = [h0, h1, p0, p1, hardware, protocol] == ETHERNET_TO_IPV4 && matches!(operation, REQUEST | REPLY);
    let (&mac, &address, &target) = (span.at::<6>(8)?, span.at::<4>(14)?, span.at::<4>(24)?);
    let claim = Claim { at: 0, number: 0, context: 0, address, mac, target, is_reply: operation == REPLY };
    (is_known && address != [0; 4]).then_some(claim)
}
