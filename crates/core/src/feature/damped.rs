//! Damped statistics: weight, mean and deviation of packet sizes that fade with a half-life, per host, pair and socket.
//!
//! The idea is AfterImage's (Mirsky et al., Kitsune, NDSS 2018): what is known counts 2^(-dt / half-life) of what it did
//! before each value is added, so each entity costs the same however long it lives. Weight, mean and the sum of squared
//! deviations are kept, not sums of values and squares, whose difference drowns in rounding (West, CACM 22(9), 1979).

use std::hash::{BuildHasher, Hash};

use foldhash::fast::FixedState;

/// Half-lives in seconds.
pub const HALF_LIVES_S: [u32; 3] = [1, 10, 100];
/// The same as half-lives in a nanosecond; the fourth lane does not fade.
const RATES: [f32; 4] = [1e-9, 1e-10, 1e-11, 0.0];
/// Hosts remembered; a set of four that is full forgets its stalest member.
const HOSTS: usize = 1 << 16;
/// Ordered pairs of hosts remembered.
const PAIRS: usize = 1 << 17;
const WAYS: usize = 4;

/// Statistics that fade; lanes are the half-lives of [`HALF_LIVES_S`], the fourth lane is unused and keeps them aligned.
#[derive(Clone, Copy, Debug, Default)]
pub struct Fading {
    weight: [f32; 4],
    mean: [f32; 4],
    squares: [f32; 4],
}

impl Fading {
    /// Lets `elapsed` nanoseconds pass, then adds a value.
    #[inline(always)]
    pub fn add(&mut self, elapsed: i64, value: f32) {
        for (lane, decay) in decay(elapsed).into_iter().enumerate() {
            self.weight[lane] = self.weight[lane] * decay + 1.0;
            let before = value - self.mean[lane];
            self.mean[lane] += before / self.weight[lane];
            self.squares[lane] = self.squares[lane] * decay + before * (value - self.mean[lane]);
        }
    }

    /// Returns weight, mean and standard deviation for each half-life.
    #[inline(always)]
    pub fn describe(&self) -> Damped {
        let mut damped = Damped::default();
        for lane in 0..3 {
            damped.weight[lane] = short(self.weight[lane]);
            damped.mean[lane] = short(self.mean[lane]);
            damped.std[lane] = short((self.squares[lane] / self.weight[lane].max(1.0)).max(0.0).sqrt());
        }
        damped
    }
}

/// Computes 2^-x for each half-life, where x is the elapsed time in half-lives; all lanes at once and without a branch.
///
/// x is split into a whole number, which becomes the exponent, and a rest within half of one either way, for which six
/// terms of the exponential series are exact to the last bit but one of f32.
#[inline(always)]
fn decay(elapsed: i64) -> [f32; 4] {
    /// Adding it rounds to a whole number, which then stands in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0; // 1.5 * 2^23
    const LN_2: f32 = std::f32::consts::LN_2;
    let elapsed = elapsed.max(0) as f32;
    let mut decays = [0.0; 4];
    for (decay, rate) in decays.iter_mut().zip(RATES) {
        let x = (elapsed * rate).min(126.0);
        let rounded = x + ROUNDING;
        let t = (x - (rounded - ROUNDING)) * LN_2;
        let squared = t * t;
        let (low, high) = (1.0 - t, 0.5 - t * (1.0 / 6.0));
        let highest = 1.0 / 24.0 - t * (1.0 / 120.0) + squared * (1.0 / 720.0);
        let whole = rounded.to_bits().wrapping_sub(ROUNDING.to_bits());
        let power = f32::from_bits(127u32.wrapping_sub(whole) << 23);
        *decay = (low + squared * (high + squared * highest)) * power;
    }
    decays
}

/// Weight, mean and deviation for each half-life, kept as bfloat16 (8 significant bits) to stay small.
#[derive(Clone, Copy, Debug, Default)]
pub struct Damped {
    weight: [u16; 3],
    mean: [u16; 3],
    std: [u16; 3],
}

impl Damped {
    /// Returns the faded number of packets.
    pub fn weight(&self, lane: usize) -> f32 {
        long(self.weight[lane])
    }

    /// Returns the faded mean of IP lengths in bytes.
    pub fn mean(&self, lane: usize) -> f32 {
        long(self.mean[lane])
    }

    /// Returns the faded standard deviation of IP lengths in bytes.
    pub fn std(&self, lane: usize) -> f32 {
        long(self.std[lane])
    }
}

#[inline(always)]
fn short(value: f32) -> u16 {
    (value.to_bits().wrapping_add(0x8000) >> 16) as u16
}

fn long(value: u16) -> f32 {
    f32::from_bits(u32::from(value) << 16)
}

/// One cache line.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Cell {
    tag: u64,
    last_at: i64,
    sums: Fading,
}

/// Sets that a table starts with; it grows with the entities, so that small captures pay for little memory.
const FIRST_SETS: usize = 1 << 10;

/// Cells found by the hash of an entity, in sets of four; bounded memory whatever the traffic.
struct Cells {
    sets: Vec<[Cell; WAYS]>,
    used: usize,
    max_sets: usize,
}

impl Cells {
    fn new(entities: usize) -> Self {
        let max_sets = entities / WAYS;
        // Room for all sets is only an address range until they are used, and growing never moves them.
        let mut sets = Vec::with_capacity(max_sets);
        sets.resize(FIRST_SETS.min(max_sets), [Cell::default(); WAYS]);
        Cells { sets, used: 0, max_sets }
    }

    #[inline]
    fn add(&mut self, hash: u64, at: i64, value: f32) -> Fading {
        let tag = hash | 1;
        let index = self.index(tag);
        let Some(set) = self.sets.get_mut(index) else { return Fading::default() };
        let Some(cell) = set.iter_mut().find(|cell| cell.tag == tag) else {
            return self.add_first(Cell { tag, last_at: at, sums: Fading::default() }, value);
        };
        cell.sums.add(at - cell.last_at, value);
        cell.last_at = cell.last_at.max(at);
        cell.sums
    }

    #[inline]
    fn index(&self, tag: u64) -> usize {
        (tag >> 32) as usize & (self.sets.len() - 1)
    }

    /// Remembers one more entity; a full set of a table that cannot grow forgets its stalest one.
    fn add_first(&mut self, mut cell: Cell, value: f32) -> Fading {
        // At a quarter of the room hardly any set is full before the table grows.
        if self.used > self.sets.len() * WAYS / 4 && self.sets.len() < self.max_sets {
            self.grow();
        }
        cell.sums.add(0, value);
        let index = self.index(cell.tag);
        let Some(set) = self.sets.get_mut(index) else { return cell.sums };
        let Some(place) = set.iter_mut().min_by_key(|known| (known.tag != 0, known.last_at)) else { return cell.sums };
        self.used += usize::from(place.tag == 0);
        *place = cell;
        cell.sums
    }

    /// Doubles the sets; the members of each go to the one at the same place in the lower or in the upper half.
    fn grow(&mut self) {
        let half = self.sets.len();
        self.sets.resize(half * 2, [Cell::default(); WAYS]);
        let (lower, upper) = self.sets.split_at_mut(half);
        for (stay, go) in lower.iter_mut().zip(upper) {
            for (cell, free) in stay.iter_mut().zip(go) {
                if cell.tag >> 32 & half as u64 != 0 {
                    *free = std::mem::take(cell);
                }
            }
        }
    }
}

/// The damped statistics of senders and of ordered pairs of hosts.
pub struct Entities {
    hosts: Cells,
    pairs: Cells,
    // A fixed seed: which entity a full set forgets must not differ between runs.
    hasher: FixedState,
}

impl Default for Entities {
    fn default() -> Self {
        Entities { hosts: Cells::new(HOSTS), pairs: Cells::new(PAIRS), hasher: FixedState::with_seed(0x1f5a) }
    }
}

impl Entities {
    /// Counts a packet of `bytes` from `src` to `dst` and returns the sums of the sender and of the pair.
    #[inline]
    pub fn add(&mut self, src: &[u8; 16], dst: &[u8; 16], at: i64, bytes: f32) -> (Fading, Fading) {
        let host = self.hash(&[src]);
        let pair = self.hash(&[src, dst]);
        (self.hosts.add(host, at, bytes), self.pairs.add(pair, at, bytes))
    }

    #[inline]
    fn hash(&self, addresses: &[&[u8; 16]]) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for address in addresses {
            u128::from_ne_bytes(**address).hash(&mut hasher);
        }
        std::hash::Hasher::finish(&hasher)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn weight_halves_after_one_half_life() {
        let mut sums = Fading::default();
        sums.add(0, 100.0);
        sums.add(SECOND, 100.0);
        let damped = sums.describe();
        assert!((damped.weight(0) - 1.5).abs() < 0.01);
        assert!((damped.weight(1) - 1.933).abs() < 0.02);
        assert!((damped.mean(0) - 100.0).abs() < 0.5);
        assert_eq!(damped.std(0), 0.0);
    }

    #[test]
    fn equal_values_do_not_deviate_and_others_do_as_computed() {
        let (mut equal, mut even) = (Fading::default(), Fading::default());
        for at in 0..1000 {
            equal.add(SECOND / 7, 9000.0);
            even.add(0, if at % 2 == 0 { 100.0 } else { 9000.0 });
        }
        assert!(equal.describe().std.iter().all(|std| *std == 0));
        assert!((even.describe().mean(1) - 4550.0).abs() < 20.0);
        assert!((even.describe().std(1) - 4450.0).abs() < 20.0);
    }

    #[test]
    fn decay_is_a_power_of_one_half() {
        for elapsed in [0, 1, 999, SECOND / 3, SECOND / 2, SECOND, 3 * SECOND / 2, 77 * SECOND, 120 * SECOND] {
            for (decay, half_life) in decay(elapsed).into_iter().zip(HALF_LIVES_S) {
                let exact = (-(elapsed as f64) / (1e9 * f64::from(half_life))).exp2();
                assert!((f64::from(decay) / exact - 1.0).abs() < 1e-5, "{elapsed} {half_life} {decay} {exact}");
            }
        }
        assert_eq!(decay(-5), [1.0; 4]);
        assert!(decay(i64::MAX)[2] < 1e-37);
    }

    #[test]
    fn a_full_set_forgets_the_stalest() {
        let mut cells = Cells::new(WAYS);
        for entity in 0..=WAYS as u64 {
            cells.add(entity << 1, entity as i64, 1.0);
        }
        assert!(cells.sets[0].iter().all(|cell| cell.tag != 1));
    }

    #[test]
    fn growing_forgets_hardly_anybody() {
        let mut cells = Cells::new(HOSTS);
        let hash = |entity: u64| entity.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let entities = 2 * (FIRST_SETS * WAYS) as u64;
        (0..entities).for_each(|entity| _ = cells.add(hash(entity), 0, 1.0));
        assert!(cells.sets.len() > FIRST_SETS);
        let kept = (0..entities).filter(|entity| cells.add(hash(*entity), 0, 1.0).weight[0] == 2.0).count();
        assert!(kept as u64 > entities * 99 / 100, "{kept}");
    }
}
