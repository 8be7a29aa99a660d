//! What the first payload bytes of a direction are like: entropy, compressibility, share of ASCII, histogram.

use std::sync::LazyLock;

/// Payload bytes of each direction that are looked at.
pub const SAMPLE_BYTES: usize = 1024;
/// Bins of the byte histogram; a byte falls into the bin of its high nibble.
pub const BINS: usize = 16;

/// Measures of a payload sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PayloadStats {
    /// Shannon entropy in bits per byte, 0 to 8 (Shannon 1948).
    pub entropy_bits: f32,
    /// Estimated size in LZ4 block format over the size itself; near or above 1 for random bytes.
    pub compression_ratio: f32,
    /// Share of printable ASCII, tab, line feed and carriage return.
    pub ascii_ratio: f32,
    pub histogram: [u16; BINS],
}

/// Collects the first [`SAMPLE_BYTES`] of a direction, then only their measures.
#[derive(Clone, Debug, Default)]
pub enum Sample {
    #[default]
    Empty,
    Collecting(Vec<u8>),
    Measured(Box<PayloadStats>),
}

impl Sample {
    /// Takes what is still wanted from the front of `payload`.
    #[inline]
    pub fn add(&mut self, payload: &[u8]) {
        if payload.is_empty() || matches!(self, Sample::Measured(_)) {
            return;
        }
        self.collect(payload);
    }

    fn collect(&mut self, payload: &[u8]) {
        match self {
            Sample::Collecting(bytes) => {
                let wanted = payload.get(..SAMPLE_BYTES - bytes.len()).unwrap_or(payload);
                // A second payload is a sign of many: room for all of them at once costs one move instead of several.
                bytes.reserve_exact(SAMPLE_BYTES - bytes.len());
                bytes.extend_from_slice(wanted);
                if bytes.len() == SAMPLE_BYTES {
                    *self = Sample::measured(bytes);
                }
            }
            _ => match payload.get(..SAMPLE_BYTES) {
                Some(whole) => *self = Sample::measured(whole),
                None => *self = Sample::Collecting(payload.to_vec()),
            },
        }
    }

    fn measured(sample: &[u8]) -> Sample {
        measure(sample).map_or(Sample::Empty, |stats| Sample::Measured(Box::new(stats)))
    }

    /// Bytes of memory held beyond the value itself.
    pub fn buffered(&self) -> usize {
        match self {
            Sample::Collecting(bytes) => bytes.capacity(),
            _ => 0,
        }
    }

    /// Returns the measures of what was collected, or nothing if there was no payload.
    pub fn stats(&self) -> Option<PayloadStats> {
        match self {
            Sample::Empty => None,
            Sample::Collecting(bytes) => measure(bytes),
            Sample::Measured(stats) => Some(**stats),
        }
    }
}

/// Measures a sample of at most [`SAMPLE_BYTES`] bytes; nothing for an empty one.
pub fn measure(sample: &[u8]) -> Option<PayloadStats> {
    if sample.is_empty() {
        return None;
    }
    let counts = count_bytes(sample);
    let mut histogram = [0u16; BINS];
    for (bin, counts) in histogram.iter_mut().zip(counts.chunks_exact(256 / BINS)) {
        *bin = counts.iter().sum();
    }
    let ascii: u32 = sample.iter().map(|byte| u32::from(is_text(*byte))).sum();
    let total = sample.len() as f32;
    Some(PayloadStats {
        entropy_bits: entropy_bits(sample, &counts),
        compression_ratio: lz4_size(sample) as f32 / total,
        ascii_ratio: ascii as f32 / total,
        histogram,
    })
}

/// Tells printable ASCII, tab, line feed and carriage return, without a branch so that many bytes go at once.
#[inline(always)]
fn is_text(byte: u8) -> bool {
    (byte.wrapping_sub(32) < 95) | (byte == 9) | (byte == 10) | (byte == 13)
}

fn count_bytes(sample: &[u8]) -> [u16; 256] {
    // Two tables, so that a run of equal bytes does not wait for its own increments.
    let (mut even, mut odd) = ([0u16; 256], [0u16; 256]);
    let mut pairs = sample.chunks_exact(2);
    for pair in &mut pairs {
        even[usize::from(pair[0])] += 1;
        odd[usize::from(pair[1])] += 1;
    }
    for byte in pairs.remainder() {
        even[usize::from(*byte)] += 1;
    }
    even.iter_mut().zip(odd).for_each(|(count, more)| *count += more);
    even
}

/// log2(n) for every count that a sample can have; 0 for 0.
static LOG: LazyLock<[f32; SAMPLE_BYTES + 1]> =
    LazyLock::new(|| std::array::from_fn(|count| if count > 1 { (count as f32).log2() } else { 0.0 }));

/// Computes H = log2(N) - (sum of n log2(n)) / N, over the 256 values or over the sample, whichever is shorter.
fn entropy_bits(sample: &[u8], counts: &[u16; 256]) -> f32 {
    let table = &*LOG;
    let log = |count: u16| table.get(usize::from(count)).copied().unwrap_or(0.0);
    let sum = if sample.len() < counts.len() {
        sum_of(sample, |byte| log(counts[usize::from(byte)]))
    } else {
        sum_of(counts, |count| f32::from(count) * log(count))
    };
    (log(sample.len() as u16) - sum / sample.len() as f32).max(0.0)
}

/// Adds up in four lanes, so that no addition waits for the one before.
fn sum_of<T: Copy>(values: &[T], term: impl Fn(T) -> f32) -> f32 {
    let mut lanes = [0.0; 4];
    let mut quads = values.chunks_exact(4);
    for quad in &mut quads {
        for (lane, value) in lanes.iter_mut().zip(quad) {
            *lane += term(*value);
        }
    }
    let rest: f32 = quads.remainder().iter().map(|value| term(*value)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// Estimates the size of a block in LZ4 block format with a greedy parse, without writing it.
///
/// Sequence cost follows the LZ4 block format description: a token, literals, a two-byte offset, and one extra byte for
/// each 255 beyond a length of 15. Like LZ4, the search takes longer steps the longer it found nothing.
fn lz4_size(block: &[u8]) -> usize {
    const MIN_MATCH: usize = 4;
    let mut last = [0u16; 512];
    let (mut at, mut literal_start, mut size, mut misses) = (0usize, 0usize, 0usize, 0usize);
    while let Some(word) = block.get(at..at + MIN_MATCH) {
        let value = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
        let slot = (value.wrapping_mul(2_654_435_761) >> 23) as usize;
        let candidate = usize::from(last[slot]);
        last[slot] = at as u16 + 1;
        let found = candidate > 0 && block.get(candidate - 1..candidate - 1 + MIN_MATCH) == Some(word);
        if !found {
            misses += 1;
            at += 1 + (misses >> 4);
            continue;
        }
        misses = 0;
        let start = candidate - 1;
        let length = common_prefix(&block[at..], &block[start..]);
        let literals = at - literal_start;
        size += 3
            + literals
            + literals.saturating_sub(15).div_ceil(255)
            + (length - MIN_MATCH).saturating_sub(15).div_ceil(255);
        at += length;
        literal_start = at;
    }
    let tail = block.len() - literal_start;
    size + if tail > 0 { 1 + tail + tail.saturating_sub(15).div_ceil(255) } else { 0 }
}

/// Counts the bytes that two slices have in common at their starts.
fn common_prefix(first: &[u8], second: &[u8]) -> usize {
    let mut length = 0;
    while let (Some(a), Some(b)) = (first[length..].first_chunk(), second[length..].first_chunk()) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return length + difference.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + first[length..].iter().zip(&second[length..]).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measures_known_samples() {
        let zeros = measure(&[0; 1024]).unwrap();
        assert_eq!((zeros.entropy_bits, zeros.ascii_ratio, zeros.histogram[0]), (0.0, 0.0, 1024));
        assert!(zeros.compression_ratio < 0.02);
        let all: Vec<u8> = (0..=255).collect();
        let even = measure(&all).unwrap();
        assert!((even.entropy_bits - 8.0).abs() < 1e-4);
        assert!(even.compression_ratio > 0.99);
        assert!((even.ascii_ratio - 98.0 / 256.0).abs() < 1e-6);
    }

    #[test]
    fn collecting_in_pieces_is_the_same() {
        let bytes: Vec<u8> = (0..3000u32).map(|value| (value * 7 % 251) as u8).collect();
        let mut whole = Sample::default();
        whole.add(&bytes);
        let mut pieces = Sample::default();
        bytes.chunks(100).for_each(|piece| pieces.add(piece));
        assert_eq!(whole.stats(), pieces.stats());
        assert_eq!(whole.stats(), measure(&bytes[..SAMPLE_BYTES]));
    }
}
