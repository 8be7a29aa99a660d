//! Checked views of packet headers: from a captured packet to the segment a flow consumes.

mod arp;
mod context;
mod decoder;
mod fragment;
mod ip;
mod link;
pub mod overlap;
mod span;
#[cfg(test)]
mod tests;
mod transport;
mod tunnel;
mod wlan;

pub use arp::Claim;
pub use context::Context;
pub use decoder::{Decoder, Odd, Outcome};

/// IP protocol numbers that are treated specially (IANA protocol numbers).
pub mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPV4: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const AUTHENTICATION: u8 = 51;
    pub const ICMP6: u8 = 58;
    pub const NO_NEXT_HEADER: u8 = 59;
    pub const DESTINATION_OPTIONS: u8 = 60;
    pub const ETHER_IP: u8 = 97;
    pub const SCTP: u8 = 132;
    pub const MOBILITY: u8 = 135;
    pub const UDP_LITE: u8 = 136;
    pub const MPLS: u8 = 137;
    pub const HOST_IDENTITY: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// TCP flag bits (RFC 9293, RFC 3168).
pub mod tcp_flag {
    pub const FIN: u8 = 0x01;
    pub const SYN: u8 = 0x02;
    pub const RST: u8 = 0x04;
    pub const PSH: u8 = 0x08;
    pub const ACK: u8 = 0x10;
    pub const URG: u8 = 0x20;
    pub const ECE: u8 = 0x40;
    pub const CWR: u8 = 0x80;
}

/// TCP header fields beyond the ports; all zero for other protocols.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tcp<'a> {
    pub seq: u32,
    pub ack: u32,
    pub flags: u8,
    pub window: u16,
    pub options: &'a [u8],
}

/// VLAN ids around a packet, outermost first; further ones than are kept are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vlans {
    ids: [u16; 3],
    count: u8,
}

impl Vlans {
    /// Adds the id of the next tag inwards.
    pub fn push(&mut self, id: u16) {
        if let Some(slot) = self.ids.get_mut(usize::from(self.count)) {
            *slot = id;
        }
        self.count = self.count.saturating_add(1);
    }

    /// Returns the ids that are kept.
    pub fn ids(&self) -> &[u16] {
        self.ids.get(..usize::from(self.count)).unwrap_or(&self.ids)
    }
}

/// One transport message of the innermost IP packet: a TCP segment, a datagram, or a reassembled datagram.
///
/// Lengths come from the headers, so that a snap length does not change them; `payload` holds what was stored.
#[derive(Clone, Copy, Debug)]
pub struct Segment<'a> {
    /// Capture time in nanoseconds since the Unix epoch, UTC.
    pub at: i64,
    /// Number of the (last) packet in the merged stream, counted from 1.
    pub number: u64,
    /// Source and destination address; IPv4 is stored as an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2).
    pub src: [u8; 16],
    pub dst: [u8; 16],
    /// 4 or 6.
    pub ip_version: u8,
    pub protocol: u8,
    /// Ports; for ICMP and ICMPv6 the type and the code; otherwise 0.
    pub src_port: u16,
    pub dst_port: u16,
    /// Identity of VLAN tags and tunnels around this packet: an index into [`Decoder::contexts`], 0 for none.
    pub context: u32,
    pub ttl: u8,
    /// Captured packets behind this segment: 1, or the number of fragments.
    pub packets: u32,
    /// Sum over these packets of the innermost IP header and IP payload lengths.
    pub ip_bytes: u32,
    /// Sum over these packets of the IP payload lengths (IPv6: including extension headers).
    pub ip_payload_bytes: u32,
    /// Length of the transport payload.
    pub payload_bytes: u32,
    /// Stored part of the transport payload.
    pub payload: &'a [u8],
    pub vlans: Vlans,
    pub src_mac: Option<[u8; 6]>,
    pub dst_mac: Option<[u8; 6]>,
    pub tcp: Tcp<'a>,
    /// Stored part of the innermost IP packet, from its header on; of a reassembled datagram, its last fragment.
    pub network: &'a [u8],
    /// Stored part of what IP carries, from the transport header on.
    pub transport: &'a [u8],
}
