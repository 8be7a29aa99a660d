//! Checksums of IP, TCP, UDP and ICMP (RFC 1071): a receiver drops what fails them.

use infraspectre_core::wire::{protocol, Segment};

/// Tells whether every checksum of a segment that can be computed is right.
#[inline]
pub fn are_right(segment: &Segment<'_>) -> bool {
    is_header_right(segment) && is_transport_right(segment)
}

/// Tells whether the checksum of an IPv4 header is right; there is none in IPv6.
pub fn is_header_right(segment: &Segment<'_>) -> bool {
    let length = segment.network.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
    match segment.network.get(..length) {
        Some(header) if segment.ip_version == 4 && length >= 20 => fold(sum(header)) == 0xffff,
        _ => true,
    }
}

/// Tells whether the checksum of a transport header is right, where it can be computed.
#[inline]
pub fn is_transport_right(segment: &Segment<'_>) -> bool {
    let (at, has_pseudo_header) = match segment.protocol {
        protocol::TCP => (16, true),
        protocol::UDP => (6, true),
        protocol::ICMP => (2, false),
        protocol::ICMP6 => (2, true),
        _ => return true,
    };
    let header = segment.transport.len().saturating_sub(segment.payload.len());
    let Some(length) = header.checked_add(segment.payload_bytes as usize) else { return true };
    // What a snap length has cut off cannot be summed up.
    let (Some(bytes), Some(stored)) = (segment.transport.get(..length), segment.transport.get(at..at + 2)) else {
        return true;
    };
    if segment.protocol == protocol::UDP && stored == [0, 0] {
        return true;
    }
    let mut total = sum(bytes);
    if has_pseudo_header {
        let address = |bytes: &[u8; 16]| if segment.ip_version == 4 { sum(&bytes[12..]) } else { sum(bytes) };
        let rest = (u32::from(segment.protocol) + length as u32).to_be_bytes();
        total += address(&segment.src) + address(&segment.dst) + sum(&rest);
    }
    fold(total) == 0xffff
}

/// Returns the checksum of some bytes in which its own field is 0, as it is written.
pub fn of(bytes: &[u8]) -> [u8; 2] {
    (!fold(sum(bytes)) as u16).to_ne_bytes()
}

/// Adds up words in the machine's own byte order, in which the sum is right if it is right at all (RFC 1071, 2).
///
/// A packet is too short for the sum of its words of 32 bits to leave 64.
#[inline]
fn sum(bytes: &[u8]) -> u64 {
    let mut total = 0u64;
    let mut words = bytes.chunks_exact(4);
    for word in words.by_ref() {
        if let Ok(word) = word.try_into() {
            total = total.wrapping_add(u32::from_ne_bytes(word).into());
        }
    }
    let last = match *words.remainder() {
        [one] => [one, 0, 0, 0],
        [one, two] => [one, two, 0, 0],
        [one, two, three] => [one, two, three, 0],
        _ => [0; 4],
    };
    total.wrapping_add(u32::from_ne_bytes(last).into())
}

#[inline]
fn fold(mut total: u64) -> u64 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Host, Talk};
    use super::*;

    #[test]
    fn what_was_built_is_right_and_what_was_changed_is_not() {
        let talk = Talk::default();
        for length in [0, 1, 2, 3, 4, 31] {
            for packet in
                [talk.data(Host::Client, 1, 1, &vec![7; length]), talk.datagram(Host::Server, &vec![7; length])]
            {
                packet.with_segment(0, |segment| assert!(are_right(segment), "{length}"));
                for at in [8, 22, packet.bytes.len() - 1] {
                    let mut wrong = packet.clone();
                    wrong.bytes[at] ^= 1;
                    wrong.with_segment(0, |segment| assert!(!are_right(segment), "{length} {at}"));
                }
            }
        }
    }

    #[test]
    fn a_datagram_may_do_without_a_checksum_and_a_cut_packet_cannot_be_judged() {
        let mut packet = Talk::default().datagram(Host::Client, b"data");
        packet.bytes[26..28].fill(0);
        packet.with_segment(0, |segment| assert!(are_right(segment)));
        let cut = Talk::default().data(Host::Client, 1, 1, b"data");
        cut.with_segment(0, |segment| {
            let payload = &segment.payload[..2];
            let transport = &segment.transport[..segment.transport.len() - 2];
            assert!(are_right(&Segment { payload, transport, ..*segment }));
        });
    }
}
