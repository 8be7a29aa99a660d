//! A minimal reader of DER: elements with short tags and definite lengths (ITU-T X.690).

use super::bytes::Reader;
use super::{Parsed, Stop};

pub const INTEGER: u8 = 0x02;
pub const SEQUENCE: u8 = 0x30;

/// One element; constructed content is read by the same function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Class, form and number in one byte.
    pub tag: u8,
    pub content: &'a [u8],
}

impl Element<'_> {
    /// Returns the value of an INTEGER that fits 32 bits.
    pub fn integer(self) -> Option<i32> {
        if self.tag != INTEGER || self.content.len() > 4 {
            return None;
        }
        let sign = if self.content.first()? & 0x80 != 0 { -1 } else { 0 };
        Some(self.content.iter().fold(sign, |number: i32, byte| number << 8 | i32::from(*byte)))
    }
}

/// Reads one element.
pub fn parse_element(data: &[u8]) -> Parsed<'_, Element<'_>> {
    let mut reader = Reader::new(data);
    let tag = reader.u8()?;
    if tag & 0x1f == 0x1f {
        return Err(Stop::Malformed("der tag"));
    }
    let length = length(&mut reader)?;
    let content = reader.take(length)?;
    Ok((reader.rest(), Element { tag, content }))
}

/// Reads a definite length of up to four bytes (X.690, 8.1.3).
fn length(reader: &mut Reader<'_>) -> Result<usize, Stop> {
    match reader.u8()? {
        short @ ..=0x7f => Ok(usize::from(short)),
        long @ 0x81..=0x84 => {
            let bytes = reader.take(usize::from(long & 0x7f))?;
            Ok(bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)))
        }
        _ => Err(Stop::Malformed("der length")),
    }
}

/// Reads one element of a known tag that fills the data, and returns its content.
pub fn expect(data: &[u8], tag: u8) -> Option<&[u8]> {
    parse_element(data).ok().map(|(_, element)| element).filter(|element| element.tag == tag).map(|e| e.content)
}

/// Iterates over the elements of constructed content, up to the first that cannot be read.
pub fn elements(mut content: &[u8]) -> impl Iterator<Item = Element<'_>> {
    std::iter::from_fn(move || {
        let (rest, element) = parse_element(content).ok()?;
        content = rest;
        Some(element)
    })
}

/// Finds the content of the explicitly tagged member `[number]` of a sequence's content.
pub fn member(sequence: &[u8], number: u8) -> Option<&[u8]> {
    elements(sequence).find(|element| element.tag == 0xa0 | number).map(|element| element.content)
}

/// Reads an INTEGER that fits 32 bits.
pub fn integer(data: &[u8]) -> Option<i32> {
    parse_element(data).ok().and_then(|(_, element)| element.integer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_short_or_long_and_never_indefinite() {
        assert_eq!(parse_element(b"\x02\x01\x05!"), Ok((&b"!"[..], Element { tag: INTEGER, content: &[5] })));
        assert_eq!(parse_element(b"\x04\x81\x01x").map(|(_, element)| element.content), Ok(&b"x"[..]));
        assert_eq!(parse_element(b"\x04\x84\xff\xff\xff\xff"), Err(Stop::Incomplete));
        assert_eq!(parse_element(b"\x30\x80"), Err(Stop::Malformed("der length")));
        assert_eq!(parse_element(b"\x1f\x81"), Err(Stop::Malformed("der tag")));
    }

    #[test]
    fn integers_are_signed() {
        assert_eq!(integer(b"\x02\x01\x17"), Some(23));
        assert_eq!(integer(b"\x02\x02\xff\x79"), Some(-135));
        assert_eq!(integer(b"\x02\x05\x00\xff\xff\xff\xff"), None);
    }
}
