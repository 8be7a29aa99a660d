//! Segments, tables and small captures made by hand.

use infraspectre_core::flow::{Finished, FlowTable, Limits};
use infraspectre_core::wire::{protocol, Segment, Tcp};

pub const SECOND: i64 = 1_000_000_000;
/// When the hand-made traffic begins.
pub const START: i64 = 1_700_000_000 * SECOND;

pub use infraspectre_core::wire::tcp_flag::{ACK, FIN, PSH, RST, SYN};

const CLIENT: u8 = 1;
const SERVER: u8 = 2;

fn address(last: u8) -> [u8; 16] {
    [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, last]
}

/// A packet of 10.0.0.1 with `client_port` to port 80 of 10.0.0.2, `after` nanoseconds after the start.
pub fn udp(after: i64, client_port: u16, payload: &[u8]) -> Segment<'_> {
    Segment {
        at: START + after,
        number: 1,
        src: address(CLIENT),
        dst: address(SERVER),
        ip_version: 4,
        protocol: protocol::UDP,
        src_port: client_port,
        dst_port: 80,
        context: 0,
        ttl: 64,
        packets: 1,
        ip_bytes: 28 + payload.len() as u32,
        ip_payload_bytes: 8 + payload.len() as u32,
        payload_bytes: payload.len() as u32,
        payload,
        src_mac: None,
        dst_mac: None,
        tcp: Tcp::default(),
        vlans: Default::default(),
        network: &[],
        transport: &[],
    }
}

pub fn tcp(after: i64, client_port: u16, flags: u8, payload: &[u8]) -> Segment<'_> {
    Segment {
        protocol: protocol::TCP,
        ip_bytes: 40 + payload.len() as u32,
        ip_payload_bytes: 20 + payload.len() as u32,
        tcp: Tcp { flags, window: 1000, ..Tcp::default() },
        ..udp(after, client_port, payload)
    }
}

/// Turns a packet round: the server's to the client.
pub fn reply(segment: Segment<'_>) -> Segment<'_> {
    let Segment { src, dst, src_port, dst_port, .. } = segment;
    Segment { src: dst, dst: src, src_port: dst_port, dst_port: src_port, ..segment }
}

pub fn numbered(segment: Segment<'_>, seq: u32) -> Segment<'_> {
    Segment { tcp: Tcp { seq, ..segment.tcp }, ..segment }
}

/// Shows the segments to a table, numbered in order, and returns the flows in the order in which they ended.
pub fn flows(limits: Limits, segments: &[Segment<'_>]) -> Vec<Finished> {
    let mut table = FlowTable::new(limits);
    let mut flows = Vec::new();
    for (number, segment) in (1..).zip(segments) {
        table.observe(&Segment { number, ..*segment });
        flows.extend(std::iter::from_fn(|| table.take_ended()));
    }
    table.finish();
    flows.extend(std::iter::from_fn(|| table.take_ended()));
    flows
}

/// Names for each flow why it ended and how many packets it had.
pub fn ends(flows: &[Finished]) -> Vec<(&'static str, u64)> {
    flows.iter().map(|flow| (flow.reason.name(), flow.detail.packets())).collect()
}

/// Writes a capture of raw IPv4 packets (LINKTYPE_RAW) with microsecond times.
pub fn pcap(packets: &[(u32, Vec<u8>)]) -> Vec<u8> {
    let words = |values: &[u32]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>();
    let mut file = words(&[0xa1b2_c3d4, 0x0004_0002, 0, 0, 65_535, 101]);
    for (seconds, data) in packets {
        let length = data.len() as u32;
        file.extend(words(&[*seconds, 0, length, length]));
        file.extend_from_slice(data);
    }
    file
}

/// An IPv4 packet with a UDP datagram, or with any part of one.
pub fn ipv4(client: u8, id: u16, fragment: u16, body: &[u8]) -> Vec<u8> {
    let total = (20 + body.len()) as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(total.to_be_bytes());
    packet.extend(id.to_be_bytes());
    packet.extend(fragment.to_be_bytes());
    packet.extend([64, protocol::UDP, 0, 0, 10, 0, 0, client, 10, 0, 1, 1]);
    packet.extend_from_slice(body);
    packet
}

pub fn datagram(client_port: u16, payload: &[u8]) -> Vec<u8> {
    let length = (8 + payload.len()) as u16;
    [&client_port.to_be_bytes()[..], &9999u16.to_be_bytes(), &length.to_be_bytes(), &[0, 0], payload].concat()
}
