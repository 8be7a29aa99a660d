//! Base64 that is decoded as far as it goes (RFC 4648; RFC 2045 skips what is not in its alphabet).

use crate::protocol::base64_value;
use crate::rule::Base64Mode;

/// Returns what some bytes decode to, up to the first that is not base64; strict decoding gives all or nothing.
pub fn decode(data: &[u8], mode: Base64Mode) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() / 4 * 3);
    let (mut bits, mut held) = (0u32, 0u32);
    let mut padding = 0;
    for byte in data {
        match base64_value(*byte) {
            Some(six) if padding == 0 => {
                bits = bits << 6 | u32::from(six);
                held += 6;
                if held >= 8 {
                    held -= 8;
                    out.push((bits >> held) as u8);
                }
            }
            None if *byte == b'=' => padding += 1,
            None if mode == Base64Mode::Rfc2045 => {}
            _ if mode == Base64Mode::Strict => return Vec::new(),
            _ => break,
        }
    }
    if mode == Base64Mode::Strict && (data.len() % 4 != 0 || padding > 2) {
        out.clear();
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_as_far_as_it_goes() {
        assert_eq!(decode(b"aGVsbG8=", Base64Mode::Rfc4648), b"hello");
        assert_eq!(decode(b"aGVs\r\nbG8=", Base64Mode::Rfc2045), b"hello");
        assert_eq!(decode(b"aGVs!bG8=", Base64Mode::Rfc4648), b"hel");
        assert_eq!(decode(b"aGVs!bG8=", Base64Mode::Strict), b"");
        assert_eq!(decode(b"aGVsbG8", Base64Mode::Strict), b"");
    }
}
