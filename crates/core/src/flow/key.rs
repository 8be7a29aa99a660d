//! Flow identity: a canonical key under which both directions of a conversation meet.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

use crate::app::Direction;
use crate::wire::{protocol, Segment};

/// An address and a port; IPv4 is stored IPv4-mapped.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub address: [u8; 16],
    pub port: u16,
}

impl Endpoint {
    /// Returns the endpoint as two integers, which compare and hash faster than bytes and in the same order.
    #[inline(always)]
    fn integers(&self) -> (u128, u16) {
        (u128::from_be_bytes(self.address), self.port)
    }
}

impl PartialEq for Endpoint {
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        self.integers() == other.integers()
    }
}

impl Eq for Endpoint {}

impl Ord for Endpoint {
    #[inline(always)]
    fn cmp(&self, other: &Self) -> Ordering {
        self.integers().cmp(&other.integers())
    }
}

impl PartialOrd for Endpoint {
    #[inline(always)]
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The identity of a flow: both endpoints in canonical order, the protocol and the VLAN and tunnel context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowKey {
    pub low: Endpoint,
    pub high: Endpoint,
    /// Index of the VLAN and tunnel context, 0 for none.
    pub context: u16,
    pub protocol: u8,
    /// 4 or 6.
    pub ip_version: u8,
}

impl Hash for FlowKey {
    #[inline(always)]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let (low, low_port) = self.low.integers();
        let (high, high_port) = self.high.integers();
        let ports = u64::from(low_port) << 16 | u64::from(high_port);
        let rest = u64::from(self.context) << 16 | u64::from(self.protocol) << 8 | u64::from(self.ip_version);
        state.write_u128(low);
        state.write_u128(high);
        state.write_u64(ports << 32 | rest);
    }
}

impl FlowKey {
    /// Returns the key of a segment, and whether the sender is the key's low endpoint.
    pub fn of(segment: &Segment<'_>) -> (FlowKey, bool) {
        let (src_port, dst_port) = ports(segment);
        let src = Endpoint { address: segment.src, port: src_port };
        let dst = Endpoint { address: segment.dst, port: dst_port };
        let from_low = src <= dst;
        let (low, high) = if from_low { (src, dst) } else { (dst, src) };
        let context = u16::try_from(segment.context).unwrap_or(u16::MAX);
        (FlowKey { low, high, context, protocol: segment.protocol, ip_version: segment.ip_version }, from_low)
    }

    /// Returns the endpoints as (orig, resp).
    pub fn endpoints(&self, orig_is_low: bool) -> (Endpoint, Endpoint) {
        if orig_is_low {
            (self.low, self.high)
        } else {
            (self.high, self.low)
        }
    }
}

/// Tells which side of a flow sent a packet.
pub fn direction(orig_is_low: bool, from_low: bool) -> Direction {
    if orig_is_low == from_low {
        Direction::Orig
    } else {
        Direction::Resp
    }
}

/// Ports, or for ICMP the message type and its counterpart, as Community ID 1.0 defines them.
fn ports(segment: &Segment<'_>) -> (u16, u16) {
    let counterpart = match segment.protocol {
        protocol::ICMP => icmp_counterpart(segment.src_port),
        protocol::ICMP6 => icmp6_counterpart(segment.src_port),
        _ => None,
    };
    (segment.src_port, counterpart.unwrap_or(segment.dst_port))
}

/// The answering ICMP type of a two-way message (Community ID 1.0; IANA ICMP type numbers).
pub fn icmp_counterpart(kind: u16) -> Option<u16> {
    Some(match kind {
        0 => 8,
        8 => 0,
        9 => 10,
        10 => 9,
        13 => 14,
        14 => 13,
        15 => 16,
        16 => 15,
        17 => 18,
        18 => 17,
        _ => return None,
    })
}

/// The answering ICMPv6 type of a two-way message (Community ID 1.0; IANA ICMPv6 type numbers).
pub fn icmp6_counterpart(kind: u16) -> Option<u16> {
    Some(match kind {
        128 => 129,
        129 => 128,
        130 => 131,
        131 => 130,
        133 => 134,
        134 => 133,
        135 => 136,
        136 => 135,
        139 => 140,
        140 => 139,
        144 => 145,
        145 => 144,
        _ => return None,
    })
}
