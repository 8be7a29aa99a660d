//! The classic pcap format: a file header, then packet records (draft-ietf-opsawg-pcap).

use super::buffer::Buffer;
use super::capture::{Fault, Record, MAX_RECORD_BYTES};
use super::LinkType;

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Alexey Kuznetzov's variant, whose record headers carry 8 bytes more.
const MODIFIED: u32 = 0xa1b2_cd34;
/// The low 26 bits of the link type field; the others describe a frame check sequence.
const LINK_MASK: u32 = 0x03ff_ffff;

/// Reader of one pcap file.
pub(super) struct Pcap {
    big_endian: bool,
    nanoseconds_per_tick: i64,
    header_bytes: usize,
    link: LinkType,
}

impl Pcap {
    pub(super) fn recognises(magic: &[u8]) -> bool {
        magic.first_chunk().is_some_and(|magic| variant(*magic).is_some())
    }

    pub(super) fn open(buffer: &mut Buffer) -> Result<Pcap, Fault> {
        let Some(header) = buffer.peek_array::<24>() else { return Err(Fault::Truncated("the file header")) };
        let [m0, m1, m2, m3, .., l0, l1, l2, l3] = *header;
        let Some((magic, big_endian)) = variant([m0, m1, m2, m3]) else {
            return Err(Fault::Corrupt("unknown magic number".to_string()));
        };
        buffer.consume(24);
        Ok(Pcap {
            big_endian,
            nanoseconds_per_tick: if magic == NANOSECONDS { 1 } else { 1000 },
            header_bytes: if magic == MODIFIED { 24 } else { 16 },
            link: word(big_endian, [l0, l1, l2, l3]) & LINK_MASK,
        })
    }

    /// Reads the next record; None at the end of the file.
    #[inline(always)]
    pub(super) fn advance(&mut self, buffer: &mut Buffer) -> Result<Option<Record>, Fault> {
        let header = buffer.peek(self.header_bytes);
        let Some(&[s0, s1, s2, s3, t0, t1, t2, t3, c0, c1, c2, c3, w0, w1, w2, w3]) = header.first_chunk() else {
            return if header.is_empty() { Ok(None) } else { Err(Fault::Truncated("a record header")) };
        };
        let seconds = i64::from(word(self.big_endian, [s0, s1, s2, s3]));
        let ticks = i64::from(word(self.big_endian, [t0, t1, t2, t3]));
        let stored = word(self.big_endian, [c0, c1, c2, c3]);
        let wire_len = word(self.big_endian, [w0, w1, w2, w3]).max(stored);
        let len = stored as usize;
        if len > MAX_RECORD_BYTES {
            return Err(Fault::Corrupt(format!("a record claims {len} bytes")));
        }
        if buffer.peek(self.header_bytes + len).len() < self.header_bytes + len {
            return Err(Fault::Truncated("a packet"));
        }
        let position = buffer.position() + self.header_bytes;
        buffer.consume(self.header_bytes + len);
        let at = seconds * 1_000_000_000 + ticks * self.nanoseconds_per_tick;
        Ok(Some(Record { at, link: self.link, wire_len, position, len }))
    }
}

/// Tells the variant and whether it is big-endian.
fn variant(magic: [u8; 4]) -> Option<(u32, bool)> {
    let known = |value: &u32| matches!(*value, MICROSECONDS | NANOSECONDS | MODIFIED);
    let little = Some(u32::from_le_bytes(magic)).filter(known).map(|value| (value, false));
    little.or_else(|| Some(u32::from_be_bytes(magic)).filter(known).map(|value| (value, true)))
}

#[inline]
fn word(big_endian: bool, bytes: [u8; 4]) -> u32 {
    if big_endian {
        u32::from_be_bytes(bytes)
    } else {
        u32::from_le_bytes(bytes)
    }
}
