//! A window over a byte stream: records are read in place, and memory grows only as bytes really arrive.

use std::io;

use super::file::Input;

/// Bytes of a stream that were read and not yet consumed.
pub(super) struct Buffer {
    input: Input,
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Why the stream ended early, if it did.
    failure: Option<io::Error>,
}

impl Buffer {
    pub(super) fn new(input: Input, capacity: usize) -> Buffer {
        Buffer { input, bytes: vec![0; capacity.max(64)], start: 0, end: 0, failure: None }
    }

    /// Returns the next `wanted` bytes without consuming them; fewer when the stream ends before.
    #[inline]
    pub(super) fn peek(&mut self, wanted: usize) -> &[u8] {
        if self.end - self.start < wanted {
            self.fill(wanted);
        }
        let end = self.end.min(self.start.saturating_add(wanted));
        self.bytes.get(self.start..end).unwrap_or_default()
    }

    /// Returns the next `N` bytes, or None when the stream ends before.
    #[inline]
    pub(super) fn peek_array<const N: usize>(&mut self) -> Option<&[u8; N]> {
        self.peek(N).first_chunk()
    }

    /// Moves past bytes that were peeked; they stay readable by their position until the next `peek`.
    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.end.min(self.start.saturating_add(count));
    }

    /// Moves past bytes whether they were read or not; answers whether the stream held them all.
    pub(super) fn skip(&mut self, mut count: usize) -> bool {
        while count > 0 {
            let step = self.peek(count.min(4096)).len();
            if step == 0 {
                return false;
            }
            self.consume(step);
            count -= step;
        }
        true
    }

    /// Position of the next unread byte inside the buffer, for [`Buffer::slice`].
    #[inline]
    pub(super) fn position(&self) -> usize {
        self.start
    }

    #[inline]
    pub(super) fn slice(&self, position: usize, len: usize) -> &[u8] {
        self.bytes.get(position..position.saturating_add(len)).unwrap_or_default()
    }

    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref()
    }

    #[cold]
    fn fill(&mut self, wanted: usize) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        while self.end < wanted && self.failure.is_none() {
            if self.end == self.bytes.len() {
                self.bytes.resize(self.bytes.len() * 2, 0);
            }
            let Some(free) = self.bytes.get_mut(self.end..) else { return };
            match self.input.read(free) {
                Ok(0) => return,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failure = Some(error),
            }
        }
    }
}
