//! Where a byte string occurs in a buffer, with or without regard to case.

use memchr::{memchr2_iter, memchr_iter};

/// A byte string that is looked for in many buffers.
#[derive(Clone, Debug)]
pub struct Needle {
    bytes: Box<[u8]>,
    nocase: bool,
    /// Which of the bytes is looked for first: the one that traffic holds least often.
    rare: usize,
}

impl Needle {
    /// Prepares a byte string.
    pub fn new(bytes: &[u8], nocase: bool) -> Needle {
        let rare = (0..bytes.len()).min_by_key(|at| frequency(bytes[*at])).unwrap_or(0);
        Needle { bytes: bytes.into(), nocase, rare }
    }

    /// Returns its length in bytes.
    #[inline]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Tells whether it occurs at the beginning of some bytes.
    #[inline]
    pub fn begins(&self, data: &[u8]) -> bool {
        match data.get(..self.bytes.len()) {
            Some(part) if self.nocase => part.eq_ignore_ascii_case(&self.bytes),
            Some(part) => part == &*self.bytes,
            None => false,
        }
    }

    /// Returns where it first occurs.
    #[inline]
    pub fn find(&self, data: &[u8]) -> Option<usize> {
        let Some(byte) = self.bytes.get(self.rare) else { return Some(0) };
        let last = data.len().checked_sub(self.bytes.len())?;
        let searched = data.get(self.rare..=last + self.rare)?;
        let is_at = |at: &usize| data.get(*at..).is_some_and(|rest| self.begins(rest));
        if self.nocase && byte.is_ascii_alphabetic() {
            memchr2_iter(byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), searched).find(is_at)
        } else {
            memchr_iter(*byte, searched).find(is_at)
        }
    }
}

/// Ranks bytes by how often text and padding hold them.
fn frequency(byte: u8) -> u8 {
    match byte {
        0 | b' ' | b'e' | b't' | b'a' => 9,
        b'i' | b'n' | b'o' | b's' | b'r' | b'/' | b'.' => 8,
        b'a'..=b'z' | b'\r' | b'\n' | 0xff => 7,
        b'0'..=b'9' | b'-' | b'=' | b':' | b'"' => 6,
        b'A'..=b'Z' => 5,
        1..=8 => 4,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_what_a_plain_search_finds(needle in "[abAB.]{0,4}", data in "[abAB.]{0,40}", nocase: bool) {
            let (needle, data) = (needle.as_bytes(), data.as_bytes());
            let same = |part: &[u8]| if nocase { part.eq_ignore_ascii_case(needle) } else { part == needle };
            let expected = if needle.is_empty() { Some(0) } else { data.windows(needle.len()).position(same) };
            proptest::prop_assert_eq!(Needle::new(needle, nocase).find(data), expected);
        }
    }
}
