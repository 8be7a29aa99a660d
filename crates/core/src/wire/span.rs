//! A stretch of a packet: the bytes that were stored, and how many there were on the wire.

/// Bytes of a packet from some header on; `len` counts those, too, that a snap length cut off.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<'a> {
    pub(super) stored: &'a [u8],
    pub(super) len: usize,
}

impl<'a> Span<'a> {
    #[inline]
    pub(super) fn new(stored: &'a [u8], wire_len: usize) -> Span<'a> {
        Span { stored, len: wire_len.max(stored.len()) }
    }

    /// Returns the first `N` stored bytes, or None when fewer were stored.
    #[inline]
    pub(super) fn head<const N: usize>(self) -> Option<&'a [u8; N]> {
        self.stored.first_chunk()
    }

    /// Returns `N` stored bytes from a position on.
    #[inline]
    pub(super) fn at<const N: usize>(self, position: usize) -> Option<&'a [u8; N]> {
        self.stored.get(position..)?.first_chunk()
    }

    /// Leaves off the first `count` bytes.
    #[inline]
    pub(super) fn skip(self, count: usize) -> Span<'a> {
        Span { stored: self.stored.get(count..).unwrap_or_default(), len: self.len.saturating_sub(count) }
    }

    /// Makes `count` the length, leaving off what follows, such as padding; a header may claim more than there is.
    #[inline]
    pub(super) fn take(self, count: usize) -> Span<'a> {
        Span { stored: self.stored.get(..count).unwrap_or(self.stored), len: count }
    }

    /// Returns the length on the wire.
    #[inline]
    pub(super) fn claimed(self) -> u32 {
        u32::try_from(self.len).unwrap_or(u32::MAX)
    }

    /// Tells whether the span starts with an IP header whose length fits.
    pub(super) fn holds_ip(self) -> bool {
        match (self.stored, self.len) {
            (&[first @ 0x45..=0x4f, _, high, low, ..], len) => {
                let total = usize::from(u16::from_be_bytes([high, low]));
                total >= usize::from(first & 0x0f) * 4 && total <= len
            }
            (&[0x60..=0x6f, _, _, _, high, low, ..], len) => usize::from(u16::from_be_bytes([high, low])) + 40 <= len,
            _ => false,
        }
    }
}
