//! Frames in the ring (linux/if_packet.h), read with checked offsets.

/// What the kernel tells of a packet: its VLAN tag is beside it, and the tag has a type of its own.
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TYPE_VALID: u32 = 1 << 6;
/// Type of a tag that has none of its own (IEEE 802.1Q).
const CUSTOMER_VLAN: u16 = 0x8100;
/// Both addresses of an Ethernet header, behind which the tag stood; length of the tag.
const ADDRESSES: usize = 12;
pub(crate) const TAG: usize = 4;

/// One packet in the ring.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Nanoseconds since the Unix epoch, UTC.
    pub at: i64,
    /// Length on the wire.
    pub wire_len: u32,
    pub data: &'a [u8],
}

/// What the kernel tells of a packet in its header, which differs between the versions of the ring in order alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    at: i64,
    pub(crate) stored: usize,
    wire_len: u32,
    pub(crate) status: u32,
    /// Where the frame begins, from the header on.
    pub(crate) begin: usize,
    tag: u16,
    tag_type: u16,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_ne_bytes(*field))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_ne_bytes(*field))
}

fn time(seconds: u32, nanoseconds: u32) -> i64 {
    i64::from(seconds) * 1_000_000_000 + i64::from(nanoseconds)
}

impl Header {
    /// Reads a `tpacket2_hdr`.
    pub(crate) fn second(bytes: &[u8]) -> Option<Header> {
        let header: &[u8; 28] = bytes.first_chunk()?;
        Some(Header {
            at: time(u32_at(header, 16)?, u32_at(header, 20)?),
            stored: u32_at(header, 8)? as usize,
            wire_len: u32_at(header, 4)?,
            status: u32_at(header, 0)?,
            begin: usize::from(u16_at(header, 12)?),
            tag: u16_at(header, 24)?,
            tag_type: u16_at(header, 26)?,
        })
    }

    /// Reads a `tpacket3_hdr`.
    fn third(bytes: &[u8]) -> Option<Header> {
        let header: &[u8; 48] = bytes.first_chunk()?;
        Some(Header {
            at: time(u32_at(header, 4)?, u32_at(header, 8)?),
            stored: u32_at(header, 12)? as usize,
            wire_len: u32_at(header, 16)?,
            status: u32_at(header, 20)?,
            begin: usize::from(u16_at(header, 24)?),
            tag: u32_at(header, 32)? as u16,
            tag_type: u16_at(header, 36)?,
        })
    }

    /// Returns the frame, which begins behind so many bytes of room, with the VLAN tag that the kernel took off.
    #[inline]
    pub(crate) fn frame<'a>(&self, room_and_data: &'a mut [u8], is_ethernet: bool) -> Option<Frame<'a>> {
        if self.status & VLAN_VALID == 0 || !is_ethernet || room_and_data.len() < TAG + ADDRESSES {
            return Some(Frame { at: self.at, wire_len: self.wire_len, data: room_and_data.get(TAG..)? });
        }
        let kind = if self.status & VLAN_TYPE_VALID != 0 { self.tag_type } else { CUSTOMER_VLAN };
        let data = put_tag_back(room_and_data, kind, self.tag)?;
        Some(Frame { at: self.at, wire_len: self.wire_len.saturating_add(TAG as u32), data })
    }
}

/// Moves the addresses to the front of the room before a frame, and the tag behind them.
fn put_tag_back(frame: &mut [u8], kind: u16, tag: u16) -> Option<&[u8]> {
    frame.copy_within(TAG..TAG + ADDRESSES, 0);
    let place = frame.get_mut(ADDRESSES..ADDRESSES + TAG)?;
    let (first, second) = place.split_at_mut_checked(2)?;
    first.copy_from_slice(&kind.to_be_bytes());
    second.copy_from_slice(&tag.to_be_bytes());
    Some(frame)
}

/// The packets of a block (TPACKET_V3), one after the other.
pub(crate) struct Frames<'a> {
    block: &'a mut [u8],
    next: usize,
    left: u32,
    is_ethernet: bool,
}

impl<'a> Frames<'a> {
    /// Reads a block that the kernel has handed over; the fields of its header are those of `tpacket_hdr_v1`.
    pub(crate) fn of(block: &'a mut [u8], is_ethernet: bool) -> Frames<'a> {
        let (left, next) = (u32_at(block, 12).unwrap_or(0), u32_at(block, 16).unwrap_or(0));
        Frames { block, next: next as usize, left, is_ethernet }
    }

    /// Returns the next packet; None at the end of the block.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Frame<'_>> {
        self.left = self.left.checked_sub(1)?;
        let start = self.next;
        let packet = self.block.get(start..)?;
        let header = Header::third(packet)?;
        self.next = start.checked_add(u32_at(packet, 0)? as usize)?;
        let begin = start.checked_add(header.begin)?;
        let end = begin.checked_add(header.stored)?;
        header.frame(self.block.get_mut(begin.checked_sub(TAG)?..end)?, self.is_ethernet)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of a block: VLAN status, type and tag, and its bytes.
    type Given<'a> = (u32, u16, u16, &'a [u8]);

    /// Lays out a block as the kernel does, with 4 bytes of room before each frame.
    fn block(packets: &[Given<'_>]) -> Vec<u8> {
        let mut block = vec![0; 48];
        block[12..16].copy_from_slice(&(packets.len() as u32).to_ne_bytes());
        block[16..20].copy_from_slice(&48u32.to_ne_bytes());
        for (index, (status, kind, tag, data)) in packets.iter().enumerate() {
            let mac = 48 + 20 + TAG;
            let length = (mac + data.len()).next_multiple_of(16);
            let words = [length as u32, 7, index as u32, data.len() as u32, data.len() as u32, *status];
            let mut packet: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            packet.extend((mac as u16).to_ne_bytes());
            packet.extend([0; 6]);
            packet.extend(u32::from(*tag).to_ne_bytes());
            packet.extend(kind.to_ne_bytes());
            packet.resize(mac, 0);
            packet.extend_from_slice(data);
            packet.resize(length, 0);
            block.extend(packet);
        }
        block
    }

    fn read(mut block: Vec<u8>, is_ethernet: bool) -> Vec<(i64, u32, Vec<u8>)> {
        let mut frames = Frames::of(&mut block, is_ethernet);
        let mut found = Vec::new();
        while let Some(frame) = frames.next() {
            found.push((frame.at, frame.wire_len, frame.data.to_vec()));
        }
        found
    }

    const FRAME: &[u8] = b"ddddddssssssTTpayload";

    #[test]
    fn packets_come_with_their_times() {
        let found = read(block(&[(1, 0, 0, FRAME), (1, 0, 0, b"short")]), true);
        let first = (7_000_000_000, 21, FRAME.to_vec());
        assert_eq!(found, [first, (7_000_000_001, 5, b"short".to_vec())]);
    }

    #[test]
    fn a_tag_beside_a_packet_is_put_back() {
        let found =
            read(block(&[(VLAN_VALID, 0, 0x6005, FRAME), (VLAN_VALID | VLAN_TYPE_VALID, 0x88a8, 7, FRAME)]), true);
        assert_eq!(found[0], (7_000_000_000, 25, b"ddddddssssss\x81\x00\x60\x05TTpayload".to_vec()));
        assert_eq!(found[1].2, b"ddddddssssss\x88\xa8\x00\x07TTpayload");
        assert_eq!(read(block(&[(VLAN_VALID, 0, 5, FRAME)]), false)[0].2, FRAME);
    }

    #[test]
    fn a_block_that_lies_ends_early() {
        for place in [12, 16, 48, 60, 72] {
            for value in [0u32, 1, 50, 0xffff, u32::MAX] {
                let mut block = block(&[(VLAN_VALID, 0, 5, FRAME), (1, 0, 0, FRAME)]);
                block[place..place + 4].copy_from_slice(&value.to_ne_bytes());
                let most = block.len();
                assert!(read(block, true).iter().all(|(_, _, data)| data.len() <= most));
            }
        }
    }
}
