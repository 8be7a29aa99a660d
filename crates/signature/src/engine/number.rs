//! Numbers within a buffer, as `byte_test`, `byte_jump`, `byte_extract` and `byte_math` read them.

use crate::rule::{Base, ByteOrder};

/// Longest number written out as text: 23 octal digits hold 64 bits.
const MAX_DIGITS: usize = 23;

/// How a number is written.
#[derive(Clone, Copy, Debug)]
pub struct Format {
    pub order: ByteOrder,
    /// None for binary numbers.
    pub text: Option<Base>,
    pub mask: Option<u64>,
}

/// Returns the number at a position and how many bytes it takes; `little` is what [`ByteOrder::Dce`] stands for.
pub fn read(data: &[u8], at: usize, length: usize, format: Format, little: bool) -> Option<(u64, usize)> {
    let bytes = data.get(at..at.checked_add(length)?)?;
    let (value, used) = match format.text {
        Some(base) => text(bytes, base)?,
        None => (binary(bytes, format.order, little)?, length),
    };
    let value = match format.mask {
        Some(mask) if mask != 0 => (value & mask) >> mask.trailing_zeros(),
        _ => value,
    };
    Some((value, used))
}

fn binary(bytes: &[u8], order: ByteOrder, little: bool) -> Option<u64> {
    if bytes.is_empty() || bytes.len() > 8 {
        return None;
    }
    let join = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    let is_little = match order {
        ByteOrder::Big => false,
        ByteOrder::Little => true,
        ByteOrder::Dce => little,
    };
    Some(if is_little { bytes.iter().rev().fold(0, join) } else { bytes.iter().fold(0, join) })
}

/// Reads as C's `strtoull` does: spaces, a sign, a prefix, digits; what follows them is left.
fn text(bytes: &[u8], base: Base) -> Option<(u64, usize)> {
    let bytes = bytes.get(..bytes.len().min(MAX_DIGITS))?;
    let mut at = bytes.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let negative = bytes.get(at) == Some(&b'-');
    at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
    let rest = bytes.get(at..)?;
    let has_prefix = rest.len() > 2 && rest[0] == b'0' && rest[1] | 0x20 == b'x' && rest[2].is_ascii_hexdigit();
    let (radix, skipped) = match base {
        Base::Hexadecimal if has_prefix => (16, 2),
        Base::Hexadecimal => (16, 0),
        Base::Detect if has_prefix => (16, 2),
        Base::Detect if rest.first() == Some(&b'0') => (8, 0),
        Base::Octal => (8, 0),
        Base::Decimal | Base::Detect | Base::Binary => (10, 0),
    };
    let digits = rest.get(skipped..)?;
    let count = digits.iter().take_while(|byte| char::from(**byte).is_digit(radix)).count();
    if count == 0 {
        return None;
    }
    let value = digits.iter().take(count).fold(0u64, |value, byte| {
        let digit = char::from(*byte).to_digit(radix).unwrap_or(0);
        value.saturating_mul(u64::from(radix)).saturating_add(u64::from(digit))
    });
    Some((if negative { value.wrapping_neg() } else { value }, at + skipped + count))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(order: ByteOrder, text: Option<Base>) -> Format {
        Format { order, text, mask: None }
    }

    #[test]
    fn binary_numbers_follow_their_order() {
        let data = [0x12, 0x34, 0x56];
        assert_eq!(read(&data, 0, 2, plain(ByteOrder::Big, None), false), Some((0x1234, 2)));
        assert_eq!(read(&data, 1, 2, plain(ByteOrder::Little, None), false), Some((0x5634, 2)));
        assert_eq!(read(&data, 1, 2, plain(ByteOrder::Dce, None), true), Some((0x5634, 2)));
        assert_eq!(read(&data, 2, 2, plain(ByteOrder::Big, None), false), None);
        assert_eq!(read(&data, 0, 0, plain(ByteOrder::Big, None), false), None);
        assert_eq!(read(&[1; 9], 0, 9, plain(ByteOrder::Big, None), false), None);
    }

    #[test]
    fn a_mask_is_shifted_away() {
        let format = Format { order: ByteOrder::Big, text: None, mask: Some(0x0f0) };
        assert_eq!(read(&[0x12, 0x34], 0, 2, format, false), Some((3, 2)));
    }

    #[test]
    fn text_is_read_up_to_its_end() {
        let of = |data: &[u8], base| read(data, 0, data.len(), plain(ByteOrder::Big, Some(base)), false);
        assert_eq!(of(b"123;", Base::Decimal), Some((123, 3)));
        assert_eq!(of(b" 0x1F ", Base::Hexadecimal), Some((0x1f, 5)));
        assert_eq!(of(b"017", Base::Detect), Some((15, 3)));
        assert_eq!(of(b"0x17", Base::Detect), Some((23, 4)));
        assert_eq!(of(b"19", Base::Octal), Some((1, 1)));
        assert_eq!(of(b"zz", Base::Decimal), None);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_safe(data: Vec<u8>, at: usize, length in 0usize..40, which in 0usize..5) {
            let base = [None, Some(Base::Detect), Some(Base::Hexadecimal), Some(Base::Octal), Some(Base::Decimal)][which];
            if let Some((_, used)) = read(&data, at, length, plain(ByteOrder::Little, base), false) {
                proptest::prop_assert!(used <= length);
            }
        }
    }
}
