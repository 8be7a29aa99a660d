//! What the tests of flows share: hosts that talk, packet by packet, and what a table makes of it.

use std::sync::Arc;

use infraspectre_core::app::Direction;
use infraspectre_core::wire::{protocol, tcp_flag, Segment, Tcp};

use super::{FlowTable, Limits, Occasion};
use crate::field::FieldSet;
use crate::settings::Settings;
use crate::transaction::index;

pub const CLIENT_PORT: u16 = 40_000;
pub const SECOND: i64 = 1_000_000_000;
/// Initial sequence numbers of client and server.
pub const INITIAL: [u32; 2] = [1000, 5000];

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    Client,
    Server,
}

use Host::{Client, Server};

/// One packet: an IPv4 header of 20 bytes, a transport header and the payload.
#[derive(Clone, Debug)]
pub struct Packet {
    pub bytes: Vec<u8>,
    pub at: i64,
    header: usize,
    tcp: Option<(u32, u32, u8, u16)>,
    options: usize,
}

impl Packet {
    /// Lends the packet as the decoder would give it.
    pub fn with_segment<T>(&self, number: u64, act: impl FnOnce(&Segment<'_>) -> T) -> T {
        let address = |at: usize| {
            let mut address = [0; 16];
            (address[10], address[11]) = (0xff, 0xff);
            address[12..].copy_from_slice(&self.bytes[at..at + 4]);
            address
        };
        let port = |at: usize| u16::from_be_bytes([self.bytes[at], self.bytes[at + 1]]);
        let payload = &self.bytes[20 + self.header..];
        let tcp = self.tcp.map_or(Tcp::default(), |(seq, ack, flags, window)| Tcp {
            seq,
            ack,
            flags,
            window,
            options: &self.bytes[40..40 + self.options],
        });
        act(&Segment {
            at: self.at,
            number,
            src: address(12),
            dst: address(16),
            ip_version: 4,
            protocol: self.bytes[9],
            src_port: port(20),
            dst_port: port(22),
            context: 0,
            ttl: self.bytes[8],
            packets: 1,
            ip_bytes: self.bytes.len() as u32,
            ip_payload_bytes: self.bytes.len() as u32 - 20,
            payload_bytes: payload.len() as u32,
            payload,
            src_mac: None,
            dst_mac: None,
            tcp,
            vlans: Default::default(),
            network: &self.bytes,
            transport: &self.bytes[20..],
        })
    }
}

/// Builds the packets of one conversation.
#[derive(Clone, Debug)]
pub struct Talk {
    pub server_port: u16,
    pub client_port: u16,
    pub at: i64,
    pub hops: u8,
    pub window: u16,
    pub timestamps: Option<(u32, u32)>,
}

impl Default for Talk {
    fn default() -> Talk {
        let at = 1_000 * SECOND;
        Talk { server_port: 80, client_port: CLIENT_PORT, at, hops: 64, window: 65_535, timestamps: None }
    }
}

impl Talk {
    /// Builds a TCP segment; numbers are relative to the initial ones.
    pub fn segment(&self, from: Host, flags: u8, seq: u32, ack: u32, payload: &[u8]) -> Packet {
        let [own, other] = if from == Client { INITIAL } else { [INITIAL[1], INITIAL[0]] };
        let seq = own.wrapping_add(seq);
        let ack = if flags & tcp_flag::ACK == 0 { 0 } else { other.wrapping_add(ack) };
        let options = self.timestamps.map_or(Vec::new(), |(mine, theirs)| {
            [&[1, 1, 8, 10][..], &mine.to_be_bytes(), &theirs.to_be_bytes()].concat()
        });
        let header = 20 + options.len();
        let mut tcp = self.ports(from).to_vec();
        tcp.extend([seq.to_be_bytes(), ack.to_be_bytes()].concat());
        tcp.extend([(header as u8 / 4) << 4, flags]);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(&options);
        tcp.extend(payload);
        let bytes = self.ip(from, protocol::TCP, tcp, 16);
        Packet { bytes, at: self.at, header, tcp: Some((seq, ack, flags, self.window)), options: options.len() }
    }

    /// Builds a segment with data.
    pub fn data(&self, from: Host, seq: u32, ack: u32, payload: &[u8]) -> Packet {
        self.segment(from, tcp_flag::ACK | tcp_flag::PSH, seq, ack, payload)
    }

    /// Builds an acknowledgement.
    pub fn ack(&self, from: Host, seq: u32, ack: u32) -> Packet {
        self.segment(from, tcp_flag::ACK, seq, ack, b"")
    }

    /// Builds a datagram.
    pub fn datagram(&self, from: Host, payload: &[u8]) -> Packet {
        let mut udp = self.ports(from).to_vec();
        udp.extend((payload.len() as u16 + 8).to_be_bytes());
        udp.extend([0; 2]);
        udp.extend(payload);
        Packet { bytes: self.ip(from, protocol::UDP, udp, 6), at: self.at, header: 8, tcp: None, options: 0 }
    }

    /// Builds the three packets that open a connection.
    pub fn opening(&self) -> Vec<Packet> {
        vec![
            self.segment(Client, tcp_flag::SYN, 0, 0, b""),
            self.segment(Server, tcp_flag::SYN | tcp_flag::ACK, 0, 1, b""),
            self.ack(Client, 1, 1),
        ]
    }

    fn ports(&self, from: Host) -> [u8; 4] {
        let [a, b] = self.client_port.to_be_bytes();
        let [c, d] = self.server_port.to_be_bytes();
        if from == Client {
            [a, b, c, d]
        } else {
            [c, d, a, b]
        }
    }

    fn ip(&self, from: Host, protocol: u8, mut transport: Vec<u8>, checksum_at: usize) -> Vec<u8> {
        let (client, server) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (src, dst) = if from == Client { (client, server) } else { (server, client) };
        let length = transport.len() as u16;
        let pseudo = [&src[..], &dst, &[0, protocol], &length.to_be_bytes(), &transport].concat();
        transport[checksum_at..checksum_at + 2].copy_from_slice(&checksum(&pseudo));
        let mut header = vec![0x45, 0];
        header.extend((length + 20).to_be_bytes());
        header.extend([0, 1, 0, 0, self.hops, protocol, 0, 0]);
        header.extend(src);
        header.extend(dst);
        let right = checksum(&header);
        header[10..12].copy_from_slice(&right);
        header.extend(transport);
        header
    }
}

fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |low| u64::from(*low)));
    let total: u64 = words.sum();
    let folded = (total & 0xffff) + (total >> 16);
    (!((folded & 0xffff) + (folded >> 16)) as u16).to_be_bytes()
}

/// All that a table has given of one conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// New bytes of plain windows, by direction.
    pub inspected: [Vec<u8>; 2],
    /// Other views.
    pub ambiguous: Vec<String>,
    pub events: Vec<&'static str>,
    /// What the transactions have come to, as they were seen last.
    pub transactions: Vec<String>,
    pub protocol: Option<&'static str>,
    pub established: Vec<bool>,
    pub in_stream: Vec<bool>,
    pub dropped: Vec<bool>,
    pub flows: Vec<u64>,
    /// Occasions without a packet.
    pub ends: usize,
    pub encrypted: bool,
}

impl Heard {
    fn note(&mut self, occasion: &Occasion<'_, ()>) {
        for window in occasion.windows {
            if window.ambiguous {
                self.ambiguous.push(String::from_utf8_lossy(window.data).into_owned());
            } else {
                let new = &window.data[window.data.len() - window.new..];
                self.inspected[index(occasion.direction)].extend_from_slice(new);
            }
        }
        self.events.extend(occasion.events);
        let flow = &*occasion.flow;
        for transaction in &flow.transactions {
            let number = transaction.number as usize;
            if self.transactions.len() <= number {
                self.transactions.resize(number + 1, String::new());
            }
            self.transactions[number] = describe(transaction);
        }
        self.encrypted = flow.encrypted;
        self.protocol = flow.application.protocol.map(|protocol| protocol.name());
        if !self.flows.contains(&flow.id) {
            self.flows.push(flow.id);
        }
        match occasion.packet {
            Some(packet) => {
                self.established.push(flow.established);
                self.in_stream.push(packet.in_stream);
                self.dropped.push(packet.dropped);
            }
            None => self.ends += 1,
        }
    }

    /// Returns what was inspected of a direction as text.
    pub fn text(&self, direction: Direction) -> String {
        String::from_utf8_lossy(&self.inspected[index(direction)]).into_owned()
    }
}

fn describe(transaction: &crate::transaction::Transaction) -> String {
    let mut text = if transaction.is_ambiguous { "ambiguous ".to_string() } else { String::new() };
    for direction in [Direction::Orig, Direction::Resp] {
        for &field in crate::field::Field::ALL {
            for value in transaction.values(direction, field) {
                text += &format!("{field:?}={} ", value.escape_ascii());
            }
        }
        text += &format!("{}/", transaction.progress(direction));
        text += &format!("{} ", transaction.bodies[index(direction)].data.escape_ascii());
    }
    text
}

pub const LIMITS: Limits = Limits { flows: 1000, bytes: 1 << 24 };

/// Returns a table for tests.
pub fn table(settings: Settings, limits: Limits) -> FlowTable<()> {
    FlowTable::new(Arc::new(settings), limits, FieldSet::all())
}

/// Shows packets to a table, and ends the flows.
pub fn hear(settings: Settings, packets: &[Packet]) -> Heard {
    let mut heard = Heard::default();
    let mut table = table(settings, LIMITS);
    for (number, packet) in packets.iter().enumerate() {
        packet.with_segment(number as u64 + 1, |segment| {
            table.observe(segment, packet.bytes.len() as u32, &[], &[], &mut |occasion| heard.note(&occasion));
        });
    }
    table.finish(&mut |occasion| heard.note(&occasion));
    heard
}
