//! The pcapng format: sections of blocks, each interface with its own clock (draft-ietf-opsawg-pcapng).

use super::buffer::Buffer;
use super::capture::{Fault, Record, MAX_RECORD_BYTES};
use super::LinkType;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

const MAX_INTERFACES: usize = 65_536;
/// Latest time given to a packet (in 2116); with it, differences and deadlines stay within 64 bits.
const LATEST: i64 = i64::MAX / 2;

/// Reader of one pcapng file.
#[derive(Default)]
pub(super) struct Pcapng {
    big_endian: bool,
    /// Interfaces of the current section.
    interfaces: Vec<Interface>,
    /// Time of the last packet, which a simple packet block takes over, having none.
    last_at: i64,
}

struct Interface {
    link: LinkType,
    snap_len: u32,
    clock: Clock,
    offset_seconds: i64,
}

/// What one unit of an interface's timestamps is worth.
#[derive(Clone, Copy)]
enum Clock {
    /// Nanoseconds per unit.
    Times(u64),
    /// Units per nanosecond.
    Parts(u64),
    /// Units per second are 2 to this power.
    Binary(u32),
}

impl Clock {
    /// Reads an if_tsresol value: a negative power of 10, or of 2 if the highest bit is set.
    fn from_resolution(value: u8) -> Clock {
        match value {
            0..=9 => Clock::Times(10u64.pow(9 - u32::from(value))),
            10..=28 => Clock::Parts(10u64.pow(u32::from(value) - 9)),
            29..=127 => Clock::Binary(127),
            _ => Clock::Binary(u32::from(value & 0x7f)),
        }
    }

    #[inline]
    fn nanoseconds(self, units: u64) -> i64 {
        match self {
            Clock::Times(factor) => i64::try_from(units.saturating_mul(factor)).unwrap_or(i64::MAX),
            Clock::Parts(divisor) => i64::try_from(units / divisor).unwrap_or(i64::MAX),
            Clock::Binary(power) => {
                let scaled = (u128::from(units) * 1_000_000_000).checked_shr(power).unwrap_or(0);
                i64::try_from(scaled).unwrap_or(i64::MAX)
            }
        }
    }
}

impl Interface {
    #[inline]
    fn time(&self, units: u64) -> i64 {
        let at = self.clock.nanoseconds(units).saturating_add(self.offset_seconds.saturating_mul(1_000_000_000));
        at.clamp(0, LATEST)
    }
}

impl Pcapng {
    pub(super) fn recognises(magic: &[u8]) -> bool {
        *magic == SECTION_HEADER.to_le_bytes()
    }

    /// Reads blocks up to the next packet; None at the end of the file.
    #[inline]
    pub(super) fn advance(&mut self, buffer: &mut Buffer) -> Result<Option<Record>, Fault> {
        loop {
            let Some(&[t0, t1, t2, t3, l0, l1, l2, l3]) = buffer.peek_array() else {
                return if buffer.peek(1).is_empty() { Ok(None) } else { Err(Fault::Truncated("a block header")) };
            };
            let kind = self.u32([t0, t1, t2, t3]);
            if kind == SECTION_HEADER {
                self.open_section(buffer)?;
                continue;
            }
            let total = self.u32([l0, l1, l2, l3]);
            let record = match kind {
                ENHANCED_PACKET | OBSOLETE_PACKET | SIMPLE_PACKET => Some(self.packet(kind, total, buffer)?),
                INTERFACE => self.add_interface(total, buffer).map(|()| None)?,
                _ => skip(total, buffer).map(|()| None)?,
            };
            if record.is_some() {
                return Ok(record);
            }
        }
    }

    /// Starts a section, which has its own byte order and interfaces.
    fn open_section(&mut self, buffer: &mut Buffer) -> Result<(), Fault> {
        let Some(&[_, _, _, _, l0, l1, l2, l3, m0, m1, m2, m3]) = buffer.peek_array() else {
            return Err(Fault::Truncated("a section header"));
        };
        let magic = [m0, m1, m2, m3];
        self.big_endian = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (BYTE_ORDER_MAGIC, _) => false,
            (_, BYTE_ORDER_MAGIC) => true,
            _ => return Err(Fault::Corrupt("a section header without byte-order magic".to_string())),
        };
        self.interfaces.clear();
        let total = self.u32([l0, l1, l2, l3]);
        if total < 28 {
            return Err(Fault::Corrupt(format!("a section header claims {total} bytes")));
        }
        skip(total, buffer)
    }

    fn add_interface(&mut self, total: u32, buffer: &mut Buffer) -> Result<(), Fault> {
        let block = whole(total, 20, buffer)?;
        let interface = self.interface(block.get(8..block.len() - 4).unwrap_or_default());
        let padded = block.len();
        buffer.consume(padded);
        if self.interfaces.len() >= MAX_INTERFACES {
            return Err(Fault::Corrupt(format!("more than {MAX_INTERFACES} interfaces")));
        }
        self.interfaces.push(interface);
        Ok(())
    }

    fn interface(&self, body: &[u8]) -> Interface {
        let mut interface = Interface { link: 0, snap_len: 0, clock: Clock::from_resolution(6), offset_seconds: 0 };
        let Some((&[l0, l1, _, _, s0, s1, s2, s3], mut options)) = body.split_first_chunk() else { return interface };
        interface.link = LinkType::from(self.u16([l0, l1]));
        interface.snap_len = self.u32([s0, s1, s2, s3]);
        while let Some((&[c0, c1, l0, l1], rest)) = options.split_first_chunk() {
            let (code, len) = (self.u16([c0, c1]), usize::from(self.u16([l0, l1])));
            match (code, rest.get(..len)) {
                (0, _) | (_, None) => break,
                (IF_TSRESOL, Some(&[value])) => interface.clock = Clock::from_resolution(value),
                (IF_TSOFFSET, Some(value)) => interface.offset_seconds = self.i64(value),
                _ => {}
            }
            options = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        }
        interface
    }

    /// Reads a packet block of one of the three kinds.
    #[inline]
    fn packet(&mut self, kind: u32, total: u32, buffer: &mut Buffer) -> Result<Record, Fault> {
        let header = if kind == SIMPLE_PACKET { 12 } else { 28 };
        let block = whole(total, header + 4, buffer)?;
        let padded = block.len();
        let room = padded - header - 4;
        let (at, link, wire_len, len) = match kind {
            SIMPLE_PACKET => self.simple_packet(block, room)?,
            _ => self.timed_packet(kind, block)?,
        };
        if len > room {
            return Err(Fault::Corrupt(format!("a packet of {len} bytes in a block of {padded}")));
        }
        self.last_at = at;
        let position = buffer.position() + header;
        buffer.consume(padded);
        let wire_len = wire_len.max(u32::try_from(len).unwrap_or(u32::MAX));
        Ok(Record { at, link, wire_len, position, len })
    }

    #[inline]
    fn timed_packet(&self, kind: u32, block: &[u8]) -> Result<(i64, LinkType, u32, usize), Fault> {
        let Some(&[i0, i1, i2, i3, h0, h1, h2, h3, l0, l1, l2, l3, c0, c1, c2, c3, w0, w1, w2, w3]) =
            block.get(8..).and_then(|body| body.first_chunk())
        else {
            return Err(Fault::Truncated("a packet block"));
        };
        let index = match kind {
            OBSOLETE_PACKET => u32::from(self.u16([i0, i1])),
            _ => self.u32([i0, i1, i2, i3]),
        };
        let interface = self.interface_at(index)?;
        let units = u64::from(self.u32([h0, h1, h2, h3])) << 32 | u64::from(self.u32([l0, l1, l2, l3]));
        let len = self.u32([c0, c1, c2, c3]) as usize;
        Ok((interface.time(units), interface.link, self.u32([w0, w1, w2, w3]), len))
    }

    fn simple_packet(&self, block: &[u8], room: usize) -> Result<(i64, LinkType, u32, usize), Fault> {
        let Some(&[_, _, _, _, _, _, _, _, w0, w1, w2, w3]) = block.first_chunk() else {
            return Err(Fault::Truncated("a packet block"));
        };
        let interface = self.interface_at(0)?;
        let wire_len = self.u32([w0, w1, w2, w3]);
        let snapped = if interface.snap_len == 0 { wire_len } else { wire_len.min(interface.snap_len) };
        Ok((self.last_at, interface.link, wire_len, room.min(snapped as usize)))
    }

    #[inline]
    fn interface_at(&self, index: u32) -> Result<&Interface, Fault> {
        let interface = self.interfaces.get(index as usize);
        interface.ok_or_else(|| Fault::Corrupt(format!("a packet of interface {index}, which is not described")))
    }

    #[inline]
    fn u16(&self, bytes: [u8; 2]) -> u16 {
        if self.big_endian {
            u16::from_be_bytes(bytes)
        } else {
            u16::from_le_bytes(bytes)
        }
    }

    #[inline]
    fn u32(&self, bytes: [u8; 4]) -> u32 {
        if self.big_endian {
            u32::from_be_bytes(bytes)
        } else {
            u32::from_le_bytes(bytes)
        }
    }

    fn i64(&self, bytes: &[u8]) -> i64 {
        let Some(&bytes) = bytes.first_chunk() else { return 0 };
        if self.big_endian {
            i64::from_be_bytes(bytes)
        } else {
            i64::from_le_bytes(bytes)
        }
    }
}

/// Checks a block's length and rounds it up to whole words, as a reader must for writers that forgot to pad.
#[inline]
fn block_bytes(total: u32, least: usize) -> Result<usize, Fault> {
    let bytes = (total as usize).next_multiple_of(4);
    match bytes < least || bytes > MAX_RECORD_BYTES {
        true => Err(Fault::Corrupt(format!("a block claims {total} bytes"))),
        false => Ok(bytes),
    }
}

/// Returns a whole block without consuming it.
#[inline]
fn whole(total: u32, least: usize, buffer: &mut Buffer) -> Result<&[u8], Fault> {
    let bytes = block_bytes(total, least)?;
    let block = buffer.peek(bytes);
    if block.len() < bytes {
        Err(Fault::Truncated("a block"))
    } else {
        Ok(block)
    }
}

fn skip(total: u32, buffer: &mut Buffer) -> Result<(), Fault> {
    let bytes = block_bytes(total, 12)?;
    if buffer.skip(bytes) {
        Ok(())
    } else {
        Err(Fault::Truncated("a block"))
    }
}
