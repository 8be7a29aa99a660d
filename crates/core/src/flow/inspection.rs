//! From a flow's payload to its inspector: samples, reassembled streams, datagrams.

use super::record::Detail;
use super::stream::Piece;
use crate::app::{Direction, Inspector, Transport};
use crate::wire::{protocol, tcp_flag, Segment};

/// Shows a segment's payload to the flow's sample and inspector.
///
/// `expected` is the sequence number that this direction should have continued with, if known.
#[inline]
pub fn inspect(
    detail: &mut Detail,
    segment: &Segment<'_>,
    side: Direction,
    ip_protocol: u8,
    ports: (u16, u16),
    expected: Option<u32>,
) {
    detail.side_mut(side).sample.add(segment.payload);
    match ip_protocol {
        protocol::TCP => inspect_stream(detail, segment, side, ports, expected),
        protocol::UDP => inspect_datagram(detail, segment, side, ports),
        _ => {}
    }
}

fn inspect_datagram(detail: &mut Detail, segment: &Segment<'_>, side: Direction, ports: (u16, u16)) {
    if segment.payload.is_empty() {
        return;
    }
    let inspector = detail.inspector.get_or_insert_with(|| Box::new(Inspector::new(Transport::Datagram, ports)));
    if inspector.wants_more() {
        inspector.datagram(side, segment.payload);
    }
}

fn inspect_stream(
    detail: &mut Detail,
    segment: &Segment<'_>,
    side: Direction,
    ports: (u16, u16),
    expected: Option<u32>,
) {
    let inspector = match &mut detail.inspector {
        Some(inspector) => inspector,
        None if segment.payload_bytes == 0 => return,
        None => {
            detail.streams = Some(Box::default());
            detail.inspector.insert(Box::new(Inspector::new(Transport::Stream, ports)))
        }
    };
    let Some(streams) = &mut detail.streams else { return };
    let [orig, resp] = &mut **streams;
    let (own, peer, peer_side) = match side {
        Direction::Orig => (orig, resp, Direction::Resp),
        Direction::Resp => (resp, orig, Direction::Orig),
    };
    if segment.tcp.flags & tcp_flag::ACK != 0 {
        peer.acknowledge(segment.tcp.ack, &mut |piece| show(inspector, peer_side, piece));
    }
    if segment.payload_bytes > 0 {
        let start = segment.tcp.seq.wrapping_add(u32::from(segment.tcp.flags & tcp_flag::SYN != 0));
        let missing = segment.payload_bytes.saturating_sub(segment.payload.len() as u32);
        own.open(expected.unwrap_or(start));
        own.add(start, segment.payload, missing, &mut |piece| show(inspector, side, piece));
    }
    let ambiguous = own.take_ambiguous();
    let wants_more = inspector.wants_more();
    if let Some(connection) = &mut detail.connection {
        connection.ambiguous_bytes += ambiguous;
    }
    if !wants_more {
        detail.streams = None;
    }
}

#[inline]
fn show(inspector: &mut Inspector, side: Direction, piece: Piece<'_>) {
    match piece {
        Piece::Bytes(bytes) => inspector.stream(side, bytes),
        Piece::Gap(_) => inspector.gap(side),
    }
}

/// Shows what is still held when the flow has ended.
pub fn finish(detail: &mut Detail) {
    let (Some(streams), Some(inspector)) = (&mut detail.streams, &mut detail.inspector) else { return };
    for (stream, side) in streams.iter_mut().zip([Direction::Orig, Direction::Resp]) {
        stream.finish(&mut |piece| show(inspector, side, piece));
        inspector.finish(side);
    }
    detail.streams = None;
}

/// Bytes of memory held for a flow's samples, streams and unread messages.
#[inline]
pub fn buffered(detail: &Detail) -> usize {
    let samples = detail.orig.sample.buffered() + detail.resp.sample.buffered();
    let streams = detail.streams.as_deref().map_or(0, |[orig, resp]| orig.buffered() + resp.buffered());
    samples + streams + detail.inspector.as_deref().map_or(0, Inspector::buffered)
}
