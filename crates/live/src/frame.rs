//! Frames in a block of the ring (TPACKET_V3 of linux/if_packet.h), read with checked offsets.

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

/// The packets of a block, one after the other.
pub struct Frames<'a> {
    block: &'a mut [u8],
    next: usize,
    left: u32,
    is_ethernet: bool,
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|field| u32::from_ne_bytes(*field))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|field| u16::from_ne_bytes(*field))
}

impl<'a> Frames<'a> {
    /// Reads a block that the kernel has handed over; the fields of its header are those of `tpacket_hdr_v1`.
    pub fn of(block: &'a mut [u8], is_ethernet: bool) -> Frames<'a> {
        let (left, next) = (u32_at(block, 12).unwrap_or(0), u32_at(block, 16).unwrap_or(0));
        Frames { block, next: next as usize, left, is_ethernet }
    }

    /// Returns the next packet; None at the end of the block.
    #[inline]
    #[allow(clippy::should_implement_trait)] // a tag is put back in place, which `Iterator` cannot express
    pub fn next(&mut self) -> Option<Frame<'_>> {
        self.left = self.left.checked_sub(1)?;
        let start = self.next;
        let header = self.block.get(start..)?.first_chunk::<48>()?; // tpacket3_hdr
        let offset = u32_at(header, 0)?;
        let at = i64::from(u32_at(header, 4)?) * 1_000_000_000 + i64::from(u32_at(header, 8)?);
        let (stored, wire_len) = (u32_at(header, 12)? as usize, u32_at(header, 16)?);
        let (status, mac) = (u32_at(header, 20)?, usize::from(u16_at(header, 24)?));
        let (tag, kind) = (u32_at(header, 32)? as u16, u16_at(header, 36)?);
        self.next = start.checked_add(offset as usize)?;
        let begin = start.checked_add(mac)?;
        let end = begin.checked_add(stored)?;
        if status & VLAN_VALID == 0 || !self.is_ethernet || stored < ADDRESSES {
            return Some(Frame { at, wire_len, data: self.block.get(begin..end)? });
        }
        let kind = if status & VLAN_TYPE_VALID != 0 { kind } else { CUSTOMER_VLAN };
        let data = put_tag_back(self.block.get_mut(begin.checked_sub(TAG)?..end)?, kind, tag)?;
        Some(Frame { at, wire_len: wire_len.saturating_add(TAG as u32), data })
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
        let found = read(block(&[(VLAN_VALID, 0, 0x6005, FRAME), (VLAN_VALID | VLAN_TYPE_VALID, 0x88a8, 7, FRAME)]), true);
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
