//! What is fuzzed: each target takes any bytes, and must neither panic nor lose count.
//!
//! The fuzzers and the test over the kept corpus share these functions.

use std::io::Cursor;

use infraspectre_core::app::{
    dhcp, dns, ftp, http, irc, kerberos, ntp, quic, rdp, smb, smtp, ssh, stratum, tls, Direction, Fields, Probe,
    Session, Transport,
};
use infraspectre_core::engine::Engine;
use infraspectre_core::flow::Limits;
use infraspectre_core::meter::Options as MeterOptions;
use infraspectre_core::schema::FeatureSet;
use infraspectre_core::source::{Options, Packet, Sources};
use infraspectre_core::wire::{Decoder, Outcome};

/// A function that survives any bytes.
pub type Target = fn(&[u8]);

/// All targets; each has a folder of its name in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("pcap", pcap),
    ("pcapng", pcapng),
    ("decode", decode),
    ("flow", flow),
    ("dhcp", |data| session(data, &[Transport::Datagram], 67, dhcp::probe, dhcp::Session::new)),
    ("dns", |data| session(data, BOTH, 53, dns::probe, dns::Session::new)),
    ("ftp", |data| session(data, &[Transport::Stream], 21, ftp::probe, ftp::Session::new)),
    ("http", |data| session(data, &[Transport::Stream], 80, http::probe, http::Session::new)),
    ("irc", |data| session(data, &[Transport::Stream], 6667, irc::probe, irc::Session::new)),
    ("kerberos", |data| session(data, BOTH, 88, kerberos::probe, kerberos::Session::new)),
    ("ntp", |data| session(data, &[Transport::Datagram], 123, ntp::probe, ntp::Session::new)),
    ("quic", |data| session(data, &[Transport::Datagram], 443, quic::probe, quic::Session::new)),
    ("rdp", |data| session(data, &[Transport::Stream], 3389, rdp::probe, rdp::Session::new)),
    ("smb", |data| session(data, &[Transport::Stream], 445, smb::probe, smb::Session::new)),
    ("smtp", |data| session(data, &[Transport::Stream], 25, smtp::probe, smtp::Session::new)),
    ("ssh", |data| session(data, &[Transport::Stream], 22, ssh::probe, ssh::Session::new)),
    ("stratum", |data| session(data, &[Transport::Stream], 3333, stratum::probe, stratum::Session::new)),
    ("tls", |data| session(data, BOTH, 443, tls::probe, tls::Session::new)),
];

const BOTH: &[Transport] = &[Transport::Stream, Transport::Datagram];
const BUFFER: Options = Options { read_ahead: false, buffer_bytes: 256 };

/// Any bytes after the magic number of a classic pcap file.
fn pcap(data: &[u8]) {
    packets([&0xa1b2_c3d4_u32.to_le_bytes(), data].concat());
}

/// Any bytes after the first block type of a pcapng file.
fn pcapng(data: &[u8]) {
    packets([&0x0a0d_0d0a_u32.to_le_bytes(), data].concat());
}

fn packets(file: Vec<u8>) {
    let Some(mut sources) = open(file) else { return };
    while let Some(packet) = sources.next() {
        assert!(packet.wire_len as usize >= packet.data.len());
    }
}

fn open(file: Vec<u8>) -> Option<Sources> {
    Sources::from_reader("fuzz", Box::new(Cursor::new(file)), BUFFER).ok()
}

/// Packets of any link type: each is a link type and a length in one byte, then its bytes.
fn decode(data: &[u8]) {
    let (mut decoder, mut rest, mut given, mut found) = (Decoder::default(), data, 0, 0);
    while let Some((&[link, len], body)) = rest.split_first_chunk() {
        let (bytes, after) = body.split_at(usize::from(len).min(body.len()));
        rest = after;
        given += 1;
        let packet = Packet { number: given, at: 0, link: u32::from(link), wire_len: bytes.len() as u32, data: bytes };
        if let Outcome::Segment(segment) = decoder.decode(&packet) {
            assert!(segment.payload.len() <= segment.payload_bytes as usize);
            found += u64::from(segment.packets);
        }
    }
    decoder.flush(&mut |segment| found += u64::from(segment.packets));
    found += decoder.malformed().values().chain(decoder.other().values()).sum::<u64>();
    assert_eq!(found, given, "every packet is accounted for");
}

/// A whole capture through the whole engine, with so little room that flows are evicted and streams given up.
fn flow(data: &[u8]) {
    let Some(sources) = open(data.to_vec()) else { return };
    let limits = Limits { max_flows: 16, max_buffered_bytes: 1 << 14, ..Limits::default() };
    let options = MeterOptions { features: FeatureSet::Full, batch_rows: 8, limits, early: false };
    let (mut engine, mut rows) = (Engine::new(sources, options), 0);
    while let Ok(Some(batch)) = engine.next_batch() {
        rows += batch.num_rows() as u64;
    }
    assert_eq!(rows, engine.account().flows, "every flow becomes a row");
}

type ProbeOf = fn(Transport, Direction, &[u8], (u16, u16)) -> Probe;

/// Bytes of one side, cut in two, then the same bytes from the other side.
///
/// The first byte says which side speaks first, and the next two (little-endian) where the cut is.
fn session<S: Session>(data: &[u8], transports: &[Transport], port: u16, probe: ProbeOf, new: fn(Transport) -> S) {
    let Some((&[side, low, high], data)) = data.split_first_chunk() else { return };
    let direction = if side & 1 == 1 { Direction::Orig } else { Direction::Resp };
    let cut = usize::from(u16::from_le_bytes([low, high])).min(data.len());
    for &transport in transports {
        let _ = probe(transport, direction, data, (40_000, port));
        let (mut session, mut fields) = (new(transport), Fields::default());
        let consumed = session.read(direction, &data[..cut], &mut fields).bytes;
        assert!(transport == Transport::Datagram || consumed <= cut, "consumes no more than it was shown");
        let _ = session.read(direction, &data[consumed.min(cut)..], &mut fields);
        let _ = session.read(direction.opposite(), data, &mut fields);
    }
}
