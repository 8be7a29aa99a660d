//! Minimum, mean, standard deviation and maximum of a stream of values.

/// Accumulates the sum of squares and the extremes; the count and the sum are kept by the owner, who needs them anyway.
#[derive(Clone, Copy, Debug)]
pub struct Spread {
    squares: f64,
    pub min: f32,
    pub max: f32,
}

impl Default for Spread {
    fn default() -> Self {
        Spread { squares: 0.0, min: f32::INFINITY, max: 0.0 }
    }
}

impl Spread {
    /// Adds one value that is not negative.
    #[inline(always)]
    pub fn add(&mut self, value: f64) {
        self.squares += value * value;
        let short = value as f32;
        self.min = if short < self.min { short } else { self.min };
        self.max = if short > self.max { short } else { self.max };
    }

    /// Returns minimum, mean, sample standard deviation and maximum, or nothing if no value was added.
    pub fn describe(&self, count: u64, sum: f64) -> Option<Described> {
        if count == 0 {
            return None;
        }
        let mean = sum / count as f64;
        let std = sample_std(count, sum, self.squares);
        Some(Described { min: f64::from(self.min), mean, std, max: f64::from(self.max) })
    }

    /// Returns the description of two accumulators taken together.
    pub fn merged(&self, other: &Spread) -> Spread {
        Spread { squares: self.squares + other.squares, min: self.min.min(other.min), max: self.max.max(other.max) }
    }
}

/// Minimum, mean, sample standard deviation (0 for a single value) and maximum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Described {
    pub min: f64,
    pub mean: f64,
    pub std: f64,
    pub max: f64,
}

fn sample_std(count: u64, sum: f64, squares: f64) -> f64 {
    if count < 2 {
        return 0.0;
    }
    let count = count as f64;
    ((squares - sum * sum / count).max(0.0) / (count - 1.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_known_values() {
        let mut spread = Spread::default();
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        values.iter().for_each(|value| spread.add(*value));
        let described = spread.describe(8, values.iter().sum()).unwrap();
        assert_eq!((described.min, described.mean, described.max), (2.0, 5.0, 9.0));
        assert!((described.std - (32.0f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(spread.describe(0, 0.0), None);
    }
}
