//! Packets of chosen conversations, picked out of captures as one pcapng file (draft-ietf-opsawg-pcapng).

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::flow::key::Endpoint;
use crate::source::{LinkType, Options, Packet, SourceError, Sources};
use crate::wire::{protocol, Decoder, Outcome, Segment};

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Option of an interface: its times count units of ten to the power of minus nine seconds.
const NANOSECONDS: [u8; 8] = [9, 0, 1, 0, 9, 0, 0, 0];
const END_OF_OPTIONS: [u8; 4] = [0; 4];
/// What a packet needs beside its bytes: its block, and at worst that of its interface and padding.
const PACKET_OVERHEAD: usize = 32 + 32 + 3;
/// Length of a section that is not stated.
const UNKNOWN_LENGTH: [u8; 8] = [0xff; 8];

/// Two endpoints and a protocol, whoever speaks; only TCP, UDP and SCTP have ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conversation {
    ends: [([u8; 16], u16); 2],
    protocol: u8,
}

impl Conversation {
    /// Returns the conversation between two endpoints.
    pub fn between(one: Endpoint, other: Endpoint, protocol: u8) -> Conversation {
        let has_ports = matches!(protocol, protocol::TCP | protocol::UDP | protocol::SCTP);
        let end = |endpoint: Endpoint| (endpoint.address, if has_ports { endpoint.port } else { 0 });
        let mut ends = [end(one), end(other)];
        ends.sort_unstable();
        Conversation { ends, protocol }
    }

    fn of(segment: &Segment<'_>) -> Conversation {
        let source = Endpoint { address: segment.src, port: segment.src_port };
        let destination = Endpoint { address: segment.dst, port: segment.dst_port };
        Conversation::between(source, destination, segment.protocol)
    }
}

/// What is picked out: conversations, within a span of time, and no more than so many bytes.
#[derive(Clone, Debug)]
pub struct Selection {
    pub conversations: HashSet<Conversation>,
    /// Times of the first and last packet, in nanoseconds since the Unix epoch.
    pub span: RangeInclusive<i64>,
    /// Bytes of the file at the most; packets beyond it are left out.
    pub most_bytes: u64,
}

impl From<HashSet<Conversation>> for Selection {
    fn from(conversations: HashSet<Conversation>) -> Selection {
        Selection { conversations, span: i64::MIN..=i64::MAX, most_bytes: u64::MAX }
    }
}

/// Reads captures and yields a pcapng file block by block; of a datagram in fragments it holds the one that completes it.
pub struct Extractor {
    sources: Sources,
    decoder: Decoder,
    wanted: Selection,
    /// Link types in the order of their interfaces in the file.
    links: Vec<LinkType>,
    packets: u64,
    read: u64,
    out: Vec<u8>,
    given_bytes: u64,
    is_done: bool,
    is_cut: bool,
}

impl Extractor {
    /// Opens captures; fails if none of them can be read.
    pub fn open(paths: &[PathBuf], wanted: Selection, options: Options) -> Result<Extractor, SourceError> {
        let sources = Sources::open(paths, options)?;
        let mut out = Vec::new();
        let head = [&BYTE_ORDER_MAGIC.to_le_bytes()[..], &[1, 0, 0, 0], &UNKNOWN_LENGTH];
        put_block(&mut out, SECTION_HEADER, &head);
        let (links, decoder) = (Vec::new(), Decoder::default());
        let (packets, read, given_bytes) = (0, 0, 0);
        Ok(Extractor {
            sources,
            decoder,
            wanted,
            links,
            packets,
            read,
            out,
            given_bytes,
            is_done: false,
            is_cut: false,
        })
    }

    /// Reads so many packets and returns what they add to the file; None at the end.
    pub fn advance(&mut self, packets: u64) -> Option<Vec<u8>> {
        if self.is_done {
            return None;
        }
        let enough = self.read.saturating_add(packets);
        while self.read < enough {
            let Some(packet) = self.sources.next() else {
                self.is_done = true;
                break;
            };
            self.read += 1;
            if !self.wanted.span.contains(&packet.at) {
                continue;
            }
            let Outcome::Segment(segment) = self.decoder.decode(&packet) else { continue };
            if !self.wanted.conversations.contains(&Conversation::of(&segment)) {
                continue;
            }
            let room = self.wanted.most_bytes.saturating_sub(self.given_bytes + self.out.len() as u64);
            if (packet.data.len() + PACKET_OVERHEAD) as u64 > room {
                (self.is_done, self.is_cut) = (true, true);
                break;
            }
            put_packet(&packet, &mut self.links, &mut self.out);
            self.packets += 1;
        }
        self.given_bytes += self.out.len() as u64;
        Some(std::mem::take(&mut self.out))
    }

    /// Tells whether packets were left out for want of room.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Names captures that could not be read to their end, with the reason.
    pub fn unreadable(&self) -> &BTreeMap<PathBuf, String> {
        self.sources.unreadable()
    }

    /// Returns how many packets were picked out so far.
    pub fn packets(&self) -> u64 {
        self.packets
    }
}

fn put_packet(packet: &Packet<'_>, links: &mut Vec<LinkType>, out: &mut Vec<u8>) {
    let interface = links.iter().position(|link| *link == packet.link).unwrap_or_else(|| {
        links.push(packet.link);
        let link = u16::try_from(packet.link).unwrap_or(u16::MAX).to_le_bytes();
        put_block(out, INTERFACE_DESCRIPTION, &[&link, &[0; 6], &NANOSECONDS, &END_OF_OPTIONS]);
        links.len() - 1
    });
    let at = u64::try_from(packet.at).unwrap_or(0);
    let (high, low) = ((at >> 32) as u32, at as u32);
    let numbers = [interface as u32, high, low, packet.data.len() as u32, packet.wire_len].map(u32::to_le_bytes);
    let padding = &[0; 3][..packet.data.len().wrapping_neg() % 4];
    put_block(out, ENHANCED_PACKET, &[numbers.as_flattened(), packet.data, padding]);
}

/// Appends a block, whose length stands at both ends.
fn put_block(out: &mut Vec<u8>, kind: u32, parts: &[&[u8]]) {
    let length = 12 + parts.iter().map(|part| part.len()).sum::<usize>();
    let length = (length as u32).to_le_bytes();
    out.extend_from_slice(&kind.to_le_bytes());
    out.extend_from_slice(&length);
    parts.iter().for_each(|part| out.extend_from_slice(part));
    out.extend_from_slice(&length);
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETHERNET: u32 = 1;
    const RAW: u32 = 101;

    fn endpoint(last: u8, port: u16) -> Endpoint {
        let mut address = [0; 16];
        address[10..].copy_from_slice(&[0xff, 0xff, 10, 0, 0, last]);
        Endpoint { address, port }
    }

    /// An IPv4 packet with UDP ports and some payload.
    fn datagram(from: (u8, u16), to: (u8, u16), payload: &[u8]) -> Vec<u8> {
        let length = 28 + payload.len() as u16;
        let mut packet = vec![0x45, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, from.0, 10, 0, 0, to.0]);
        packet.extend(from.1.to_be_bytes());
        packet.extend(to.1.to_be_bytes());
        packet.extend((length - 20).to_be_bytes());
        packet.extend([0, 0]);
        packet.extend(payload);
        packet
    }

    fn pcap(path: &std::path::Path, link: u32, packets: &[Vec<u8>]) {
        let mut file: Vec<u8> = [0xa1b2_3c4d_u32, 0x0004_0002, 0, 0, 65535, link].map(u32::to_le_bytes).concat();
        for (number, packet) in packets.iter().enumerate() {
            let length = packet.len() as u32;
            file.extend([1_000 + number as u32, 7, length, length].map(u32::to_le_bytes).concat());
            file.extend(packet);
        }
        std::fs::write(path, file).unwrap();
    }

    fn extracted(paths: &[PathBuf], wanted: Conversation) -> (Vec<u8>, u64) {
        let mut extractor = Extractor::open(paths, HashSet::from([wanted]).into(), Options::default()).unwrap();
        let mut file = Vec::new();
        while let Some(more) = extractor.advance(1) {
            file.extend(more);
        }
        (file, extractor.packets())
    }

    #[test]
    fn a_conversation_is_picked_out_with_times_and_link_types() {
        let folder = std::env::temp_dir().join(format!("infraspectre-extract-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let paths = [folder.join("a.pcap"), folder.join("b.pcap")];
        let mut framed = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        framed.extend(datagram((2, 53), (1, 4000), b"answer"));
        let asked = datagram((1, 4000), (2, 53), b"ask");
        pcap(&paths[0], RAW, &[asked.clone(), datagram((1, 4000), (3, 53), b"other"), asked.clone()]);
        pcap(&paths[1], ETHERNET, &[framed.clone()]);
        let wanted = Conversation::between(endpoint(2, 53), endpoint(1, 4000), protocol::UDP);
        let (file, packets) = extracted(&paths, wanted);
        assert_eq!(packets, 3);

        std::fs::write(folder.join("c.pcapng"), &file).unwrap();
        let mut again = Sources::open(&[folder.join("c.pcapng")], Options::default()).unwrap();
        let mut read = Vec::new();
        while let Some(packet) = again.next() {
            read.push((packet.at, packet.link, packet.wire_len, packet.data.to_vec()));
        }
        let (first, third) = (1_000_000_000_007, 1_002_000_000_007);
        let (short, long) = (asked.len() as u32, framed.len() as u32);
        let expected =
            [(first, RAW, short, asked.clone()), (first, ETHERNET, long, framed), (third, RAW, short, asked)];
        assert_eq!(read, expected);
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn ports_count_only_where_there_are_any() {
        let icmp = |port| Conversation::between(endpoint(1, port), endpoint(2, 0), protocol::ICMP);
        let udp = |port| Conversation::between(endpoint(1, port), endpoint(2, 0), protocol::UDP);
        assert_eq!(icmp(8), icmp(0));
        assert_ne!(udp(8), udp(0));
        assert_eq!(udp(8), Conversation::between(endpoint(2, 0), endpoint(1, 8), protocol::UDP));
    }
}
