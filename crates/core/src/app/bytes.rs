//! What parsers share: a checked cursor over bytes, and how sessions go through streams and datagrams.

use super::{Consumed, Next, Stop};

/// Reads integers and slices in order; running out of bytes is [`Stop::Incomplete`].
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    pub fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// Starts `offset` bytes into the data.
    pub fn at(data: &'a [u8], offset: usize) -> Result<Self, Stop> {
        data.get(offset..).map(Self::new).ok_or(Stop::Incomplete)
    }

    /// Returns the bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Tells whether all bytes were read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads a slice.
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], Stop> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Stop::Incomplete)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Reads a fixed number of bytes.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Stop::Incomplete)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, Stop> {
        self.array().map(|[byte]| byte)
    }

    /// Reads a big-endian 16-bit integer.
    pub fn u16(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_be_bytes)
    }

    /// Reads a big-endian 24-bit integer.
    pub fn u24(&mut self) -> Result<u32, Stop> {
        self.array().map(|[a, b, c]| u32::from_be_bytes([0, a, b, c]))
    }

    /// Reads a big-endian 32-bit integer.
    pub fn u32(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_be_bytes)
    }

    /// Reads a little-endian 16-bit integer.
    pub fn u16_le(&mut self) -> Result<u16, Stop> {
        self.array().map(u16::from_le_bytes)
    }

    /// Reads a little-endian 32-bit integer.
    pub fn u32_le(&mut self) -> Result<u32, Stop> {
        self.array().map(u32::from_le_bytes)
    }

    /// Reads bytes behind a length of one byte.
    pub fn prefixed8(&mut self) -> Result<&'a [u8], Stop> {
        self.prefixed(|length| length.u8().map(usize::from))
    }

    /// Reads bytes behind a length of two bytes.
    pub fn prefixed16(&mut self) -> Result<&'a [u8], Stop> {
        self.prefixed(|length| length.u16().map(usize::from))
    }

    /// Reads bytes behind a length of three bytes.
    pub fn prefixed24(&mut self) -> Result<&'a [u8], Stop> {
        self.prefixed(|length| length.u24().map(|length| length as usize))
    }

    fn prefixed(&mut self, length: impl FnOnce(&mut Self) -> Result<usize, Stop>) -> Result<&'a [u8], Stop> {
        let mut ahead = *self;
        let length = length(&mut ahead)?;
        let taken = ahead.take(length)?;
        *self = ahead;
        Ok(taken)
    }
}

/// Reads bytes as big-endian 16-bit numbers; an odd byte at the end is left out.
pub fn numbers16(bytes: &[u8]) -> impl Iterator<Item = u16> + '_ {
    bytes.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_be_bytes))
}

/// Repeats `step` over the data until it wants more bytes or ends the session.
///
/// A step returns how many bytes it is finished with, at least one unless it ends the session.
pub fn drain(data: &[u8], mut step: impl FnMut(&[u8]) -> Result<(usize, Next), Stop>) -> Consumed {
    let mut bytes = 0;
    while let Some(rest) = data.get(bytes..).filter(|rest| !rest.is_empty()) {
        match step(rest) {
            Ok((0, Next::More)) | Err(Stop::Incomplete) => break,
            Ok((used, Next::More)) => bytes += used,
            Ok((used, next)) => return Consumed { bytes: bytes + used, next },
            Err(Stop::Malformed(reason)) => return Consumed { bytes, next: Next::Malformed(reason) },
        }
    }
    Consumed { bytes, next: Next::More }
}

/// Says what became of one whole datagram; a cut one is no reason to give up on the flow.
pub fn datagram(data: &[u8], outcome: Result<(), Stop>) -> Consumed {
    let next = match outcome {
        Ok(()) | Err(Stop::Incomplete) => Next::More,
        Err(Stop::Malformed(reason)) => Next::Malformed(reason),
    };
    Consumed { bytes: data.len(), next }
}

/// Takes what `skip` says to pass over from the front of the data; None when there is nothing to pass over.
pub fn pass_over(skip: &mut usize, data: &[u8]) -> Option<usize> {
    let used = data.len().min(*skip);
    let is_due = *skip > 0;
    *skip -= used;
    is_due.then_some(used)
}

/// Tells whether either side uses a port.
pub fn has_port(ports: (u16, u16), port: u16) -> bool {
    ports.0 == port || ports.1 == port
}

/// Decodes little-endian UTF-16, up to `limit` characters; wrong surrogates become U+FFFD.
pub fn utf16_le(data: &[u8], limit: usize) -> String {
    let units = data.chunks_exact(2).filter_map(|pair| pair.try_into().ok().map(u16::from_le_bytes));
    char::decode_utf16(units).map(|unit| unit.unwrap_or(char::REPLACEMENT_CHARACTER)).take(limit).collect()
}

/// Returns the lower-case hexadecimal digit of the lower four bits.
pub fn hex_digit(value: u8) -> u8 {
    b"0123456789abcdef"[usize::from(value & 15)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn running_out_is_incomplete_and_takes_nothing() {
        let mut reader = Reader::new(&[1, 2, 3]);
        assert_eq!(reader.u16(), Ok(0x0102));
        assert_eq!(reader.u32(), Err(Stop::Incomplete));
        assert_eq!(reader.rest(), [3]);
        assert_eq!((reader.prefixed8(), reader.rest()), (Err(Stop::Incomplete), &[3][..]));
    }

    #[test]
    fn integers_and_prefixed_bytes_are_read_in_order() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 0, 3, 1, 9, 0, 2, 7, 8, 0, 0, 1, 6, 5]);
        assert_eq!((reader.u8(), reader.u16(), reader.u24()), (Ok(1), Ok(2), Ok(3)));
        assert_eq!((reader.prefixed8(), reader.prefixed16()), (Ok(&[9][..]), Ok(&[7, 8][..])));
        assert_eq!((reader.prefixed24(), reader.is_empty(), reader.rest()), (Ok(&[6][..]), false, &[5][..]));
    }

    #[test]
    fn an_odd_byte_is_no_number() {
        assert_eq!(numbers16(&[0, 1, 0, 2, 3]).collect::<Vec<_>>(), [1, 2]);
    }

    #[test]
    fn drain_stops_where_a_step_does() {
        let by_two = |rest: &[u8]| if rest.len() < 2 { Err(Stop::Incomplete) } else { Ok((2, Next::More)) };
        assert_eq!(drain(b"12345", by_two), Consumed { bytes: 4, next: Next::More });
        let refuse = |_: &[u8]| Err(Stop::Malformed("no"));
        assert_eq!(drain(b"1", refuse), Consumed { bytes: 0, next: Next::Malformed("no") });
    }

    #[test]
    fn utf16_keeps_text_and_marks_lone_surrogates() {
        assert_eq!(utf16_le(b"h\0i\0\x3d\xd8\0", 10), "hi\u{fffd}");
    }
}
