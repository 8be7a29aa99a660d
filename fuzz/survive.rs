//! How targets are tried without a fuzzer: every file of their corpora, and a short seeded run of mutations of them.

use std::fs;
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::Path;
use std::time::{Duration, Instant};

/// A function that survives any bytes.
pub type Target = fn(&[u8]);

const MUTANTS: usize = 5_000;
const LONGEST_BYTES: usize = 16 << 10;
/// Far more than any input needs, so that a busy machine fails no test and a hang does.
const LONGEST: Duration = Duration::from_secs(5);

/// The splitmix64 generator (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number below `end`, or 0 where there is none.
    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

/// Values at which counts and lengths go wrong.
const EDGES: [u8; 8] = [0x00, 0x01, 0x10, 0x20, 0x7f, 0x80, 0xfe, 0xff];

/// Changes bytes in one of the ways that parsers stumble over.
fn mutate(bytes: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(bytes.len());
    let end = (at + 1 + random.below(16)).min(bytes.len());
    match random.below(6) {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << random.below(8)),
        1 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = EDGES[random.below(EDGES.len())]),
        2 => bytes.truncate(at),
        3 => drop(bytes.drain(at..end)),
        4 => bytes.extend_from_within(at..end),
        _ => drop(bytes.splice(at.., other.iter().skip(random.below(other.len())).copied())),
    }
    bytes.truncate(LONGEST_BYTES);
}

fn corpus(name: &str) -> io::Result<Vec<Vec<u8>>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(name);
    let mut paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

fn survive(name: &str, target: Target, input: &[u8]) {
    let started = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| target(input)));
    assert!(outcome.is_ok(), "{name} panicked on {input:02x?}");
    assert!(started.elapsed() < LONGEST, "{name} took {:?} for {input:02x?}", started.elapsed());
}

/// Shows a target its corpus, and mutations of it.
pub fn run(name: &str, target: Target) {
    let seeds = corpus(name).unwrap_or_default();
    assert!(!seeds.is_empty(), "{name} has no corpus that can be read");
    seeds.iter().for_each(|seed| survive(name, target, seed));
    let mut random = Random(2);
    for _ in 0..MUTANTS {
        let mut input = seeds[random.below(seeds.len())].clone();
        for _ in 0..=random.below(4) {
            mutate(&mut input, &seeds[random.below(seeds.len())], &mut random);
        }
        survive(name, target, &input);
    }
}
