//! Content codings: bodies are unpacked as they arrive, through as many layers as the headers name.
//!
//! Servers mislabel what they send, and browsers show it all the same. So a layer that finds other bytes than announced
//! tries the other codings, and in the end hands the bytes on as they are.

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::{Decompress, FlushDecompress, Status};

/// Unpacked bytes of a body, beyond which its ratio to the packed ones is looked at.
const BOMB_BYTES: u64 = 1 << 20;
/// Unpacked bytes for each packed one that are still believed beyond [`BOMB_BYTES`].
const BOMB_RATIO: u64 = 2048;
/// Unpacked bytes of one packet, beyond which it is a bomb whatever its ratio.
const MAX_AT_ONCE: u64 = 16 << 20;
/// Packed bytes that are kept to start over with another coding.
const MAX_HISTORY: usize = 8 * 1024;
const CHUNK: usize = 8 * 1024;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    Gzip,
    /// Deflate without a header.
    Deflate,
    Zlib,
    Brotli,
}

impl Coding {
    /// The codings that are tried, the announced one first.
    fn attempts(self) -> &'static [Coding] {
        match self {
            Coding::Gzip => &[Coding::Gzip, Coding::Deflate, Coding::Zlib],
            Coding::Deflate | Coding::Zlib => &[Coding::Deflate, Coding::Zlib, Coding::Gzip],
            Coding::Brotli => &[Coding::Brotli],
        }
    }
}

/// What went wrong with a body's codings, by the name of the event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Broken,
    Bomb,
}

enum Inflate {
    Deflate(Decompress),
    Brotli(Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>),
}

impl Inflate {
    fn new(coding: Coding) -> Inflate {
        match coding {
            Coding::Brotli => Inflate::Brotli(Box::new(BrotliState::new(
                StandardAlloc::default(),
                StandardAlloc::default(),
                StandardAlloc::default(),
            ))),
            _ => Inflate::Deflate(Decompress::new(false)),
        }
    }

    /// Unpacks once into `room`; returns the bytes read and written, and whether the end was reached.
    fn step(&mut self, data: &[u8], room: &mut [u8]) -> (usize, usize, Result<bool, ()>) {
        match self {
            Inflate::Deflate(inner) => {
                let (read, written) = (inner.total_in(), inner.total_out());
                let status = inner.decompress(data, room, FlushDecompress::None);
                let used = ((inner.total_in() - read) as usize, (inner.total_out() - written) as usize);
                (used.0, used.1, status.map(|status| status == Status::StreamEnd).map_err(drop))
            }
            Inflate::Brotli(state) => {
                let (mut left, mut at, mut space, mut to, mut total) = (data.len(), 0, room.len(), 0, 0);
                let result =
                    BrotliDecompressStream(&mut left, &mut at, data, &mut space, &mut to, room, &mut total, state);
                let end = match result {
                    BrotliResult::ResultSuccess => Ok(true),
                    BrotliResult::ResultFailure => Err(()),
                    _ => Ok(false),
                };
                (at, to, end)
            }
        }
    }
}

enum State {
    /// The header of the coding is read.
    Header,
    Body(Inflate),
    /// Behind the end, or behind an error after something was unpacked.
    Finished,
    /// No coding fits: bytes go through as they are.
    Raw,
}

/// One layer of a body.
struct Layer {
    attempts: &'static [Coding],
    /// How many attempts there were at first.
    count: usize,
    state: State,
    /// What has arrived, as long as nothing was unpacked.
    history: Vec<u8>,
    has_output: bool,
}

impl Layer {
    fn new(coding: Coding) -> Layer {
        let attempts = coding.attempts();
        Layer { attempts, count: attempts.len(), state: State::Header, history: Vec::new(), has_output: false }
    }

    fn coding(&self) -> Coding {
        self.attempts.first().copied().unwrap_or(Coding::Deflate)
    }

    /// Unpacks what has arrived.
    fn feed(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Trouble> {
        match self.state {
            State::Raw => output.extend_from_slice(data),
            State::Finished => {}
            _ if self.has_output => return self.inflate(data, output),
            _ => return self.begin(data, output),
        }
        Ok(())
    }

    /// Starts over from the first byte until something is unpacked; starting is a matter of few bytes.
    ///
    /// Plain text may look like deflate for a while: what another coding than the announced one gives before it fails
    /// does not count.
    fn begin(&mut self, data: &[u8], output: &mut Vec<u8>) -> Result<(), Trouble> {
        self.history.extend_from_slice(data);
        let before = output.len();
        let history = std::mem::take(&mut self.history);
        loop {
            self.state = State::Header;
            let outcome = match skip_header(self.coding(), &history) {
                Header::Incomplete if history.len() < MAX_HISTORY => break,
                Header::Incomplete | Header::Wrong => Err(Trouble::Broken),
                Header::Length(length) => {
                    self.state = State::Body(Inflate::new(self.coding()));
                    self.inflate(history.get(length..).unwrap_or_default(), output)
                }
            };
            let is_guess = self.attempts.len() < self.count;
            if is_guess && outcome == Err(Trouble::Broken) {
                self.has_output = false;
                output.truncate(before);
            } else if self.has_output || matches!(self.state, State::Finished) {
                return outcome;
            }
            match outcome {
                Ok(()) if history.len() < MAX_HISTORY => break,
                _ => self.attempts = self.attempts.get(1..).unwrap_or_default(),
            }
            if self.attempts.is_empty() {
                self.state = State::Raw;
                output.extend_from_slice(&history);
                return Err(Trouble::Broken);
            }
        }
        self.history = history;
        Ok(())
    }

    fn inflate(&mut self, mut data: &[u8], output: &mut Vec<u8>) -> Result<(), Trouble> {
        let State::Body(inner) = &mut self.state else { return Ok(()) };
        let most = (data.len() as u64).saturating_mul(BOMB_RATIO).clamp(BOMB_BYTES, MAX_AT_ONCE);
        let mut room = [0; CHUNK];
        loop {
            let (used, written, end) = inner.step(data, &mut room);
            data = data.get(used..).unwrap_or_default();
            output.extend_from_slice(room.get(..written).unwrap_or_default());
            self.has_output |= written > 0;
            if output.len() as u64 > most {
                self.state = State::Finished;
                return Err(Trouble::Bomb);
            }
            match end {
                Ok(false) if written == 0 && (used == 0 || data.is_empty()) => return Ok(()),
                Ok(false) => {}
                Ok(true) => {
                    self.state = State::Finished;
                    return Ok(());
                }
                Err(()) => {
                    if self.has_output {
                        self.state = State::Finished;
                    }
                    return Err(Trouble::Broken);
                }
            }
        }
    }
}

enum Header {
    Length(usize),
    Incomplete,
    Wrong,
}

/// Finds where the packed bytes begin.
fn skip_header(coding: Coding, data: &[u8]) -> Header {
    match coding {
        Coding::Gzip => skip_gzip(data),
        Coding::Zlib => match data {
            [method, flags, ..] => {
                let check = u16::from_be_bytes([*method, *flags]) % 31;
                if method & 15 == 8 && check == 0 && flags & 0x20 == 0 {
                    Header::Length(2)
                } else {
                    Header::Wrong
                }
            }
            _ => Header::Incomplete,
        },
        Coding::Deflate | Coding::Brotli => Header::Length(0),
    }
}

/// Passes over the header of gzip (RFC 1952, 2.3); wrong flags and checksums do not matter to browsers.
fn skip_gzip(data: &[u8]) -> Header {
    const MAGIC: [u8; 2] = [0x1f, 0x8b];
    if !data.iter().zip(MAGIC).all(|(byte, wanted)| *byte == wanted) {
        return Header::Wrong;
    }
    let Some(&flags) = data.get(3) else { return Header::Incomplete };
    let mut length = 10;
    if flags & 0x04 != 0 {
        let Some(&[low, high]) = data.get(10..12) else { return Header::Incomplete };
        length += 2 + usize::from(u16::from_le_bytes([low, high]));
    }
    for text in [0x08, 0x10] {
        if flags & text != 0 {
            let rest = data.get(length..).unwrap_or_default();
            let Some(end) = memchr::memchr(0, rest) else { return Header::Incomplete };
            length += end + 1;
        }
    }
    length += if flags & 0x02 != 0 { 2 } else { 0 };
    if data.len() < length {
        Header::Incomplete
    } else {
        Header::Length(length)
    }
}

/// All layers of a body.
#[derive(Default)]
pub struct Layers {
    layers: Vec<Layer>,
    packed: u64,
    unpacked: u64,
    buffers: [Vec<u8>; 2],
}

impl Layers {
    /// Adds a layer, which unpacks what the ones before it give.
    pub fn push(&mut self, coding: Coding) {
        self.layers.push(Layer::new(coding));
    }

    /// Tells whether bodies go through as they are.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Unpacks what has arrived; what is left after an error is given too.
    pub fn feed(&mut self, data: &[u8]) -> (&[u8], Option<Trouble>) {
        let mut trouble = None;
        let [from, to] = &mut self.buffers;
        from.clear();
        from.extend_from_slice(data);
        for layer in &mut self.layers {
            to.clear();
            trouble = layer.feed(from, to).err().or(trouble);
            std::mem::swap(from, to);
        }
        self.packed += data.len() as u64;
        self.unpacked += from.len() as u64;
        if self.unpacked > BOMB_BYTES && self.unpacked > self.packed.saturating_mul(BOMB_RATIO) {
            trouble = Some(Trouble::Bomb);
        }
        if trouble == Some(Trouble::Bomb) {
            self.layers.iter_mut().for_each(|layer| layer.state = State::Finished);
        }
        (&self.buffers[0], trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use flate2::Compression;
    use std::io::Write;

    const TEXT: &[u8] = b"what the server said, what the server said, and what it did not say";

    fn pack(coding: Coding, data: &[u8]) -> Vec<u8> {
        let level = Compression::default();
        match coding {
            Coding::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), level);
                encoder.write_all(data).and_then(|()| encoder.finish())
            }
            Coding::Zlib => {
                let mut encoder = ZlibEncoder::new(Vec::new(), level);
                encoder.write_all(data).and_then(|()| encoder.finish())
            }
            _ => {
                let mut encoder = DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(data).and_then(|()| encoder.finish())
            }
        }
        .unwrap()
    }

    fn unpack(codings: &[Coding], packed: &[u8], step: usize) -> Vec<u8> {
        let mut layers = Layers::default();
        codings.iter().for_each(|coding| layers.push(*coding));
        packed.chunks(step).flat_map(|chunk| layers.feed(chunk).0.to_vec()).collect()
    }

    #[test]
    fn mislabelled_bodies_are_unpacked_however_they_are_cut() {
        let real = [Coding::Gzip, Coding::Deflate, Coding::Zlib];
        for (said, is) in real.iter().flat_map(|said| real.map(|is| (*said, is))) {
            let packed = pack(is, TEXT);
            for step in 1..packed.len() {
                assert_eq!(unpack(&[said], &packed, step), TEXT, "{said:?} {is:?} {step}");
            }
        }
    }

    #[test]
    fn layers_are_unpacked_one_after_the_other_and_plain_bytes_go_through() {
        let twice = pack(Coding::Gzip, &pack(Coding::Deflate, TEXT));
        assert_eq!(unpack(&[Coding::Gzip, Coding::Deflate], &twice, 7), TEXT);
        assert_eq!(unpack(&[Coding::Deflate, Coding::Gzip], &twice, 7), TEXT);
        assert_eq!(unpack(&[Coding::Gzip, Coding::Gzip], &pack(Coding::Gzip, TEXT), 1000), TEXT);
    }

    #[test]
    fn text_that_is_not_packed_goes_through() {
        let text = br#"{"key": "value", "other": [1, 2, 3]}"#;
        assert_eq!(unpack(&[Coding::Gzip], text, text.len()), text);
    }

    #[test]
    fn bombs_end_the_body() {
        let bomb = pack(Coding::Gzip, &pack(Coding::Gzip, &vec![0; 24 << 20]));
        let mut layers = Layers::default();
        (0..2).for_each(|_| layers.push(Coding::Gzip));
        assert_eq!(layers.feed(&bomb).1, Some(Trouble::Bomb));
        assert!(layers.feed(&bomb).0.is_empty());
    }
}
