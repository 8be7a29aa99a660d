//! A timer wheel: which flows may have become idle, second by second.

/// A slot of the flow table as it was when the timer was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    pub slot: u32,
    pub generation: u16,
}

/// Timers in buckets of one second; a timer further away than the wheel is long waits in its last bucket.
pub struct Wheel {
    buckets: Vec<Vec<Timer>>,
    /// Second of the bucket that is due next.
    second: i64,
    started: bool,
}

impl Wheel {
    /// Makes a wheel for delays up to `seconds`.
    pub fn new(seconds: usize) -> Wheel {
        Wheel { buckets: vec![Vec::new(); seconds.max(1) + 2], second: 0, started: false }
    }

    /// Sets a timer that is due at `deadline` nanoseconds, rounded up to a second.
    #[inline]
    pub fn set(&mut self, timer: Timer, deadline: i64) {
        let due = deadline.div_euclid(1_000_000_000) + 1;
        let length = self.buckets.len() as i64;
        let ahead = (due - self.second).clamp(0, length - 1);
        let index = (self.second + ahead).rem_euclid(length) as usize;
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.push(timer);
        }
    }

    /// Moves to `now` (nanoseconds) and appends the timers that came due.
    #[inline]
    pub fn advance(&mut self, now: i64, due: &mut Vec<Timer>) {
        let target = now.div_euclid(1_000_000_000);
        if target >= self.second {
            self.turn(target, due);
        }
    }

    fn turn(&mut self, target: i64, due: &mut Vec<Timer>) {
        if !self.started {
            self.started = true;
            self.second = target;
        }
        let length = self.buckets.len() as i64;
        let turns = (target - self.second + 1).min(length);
        for step in 0..turns {
            let index = (self.second + step).rem_euclid(length) as usize;
            if let Some(bucket) = self.buckets.get_mut(index) {
                due.append(bucket);
                bucket.shrink_to(1024);
            }
        }
        self.second = target + 1;
    }

    /// Takes the timer that comes due first, wherever it is.
    pub fn pop_first(&mut self) -> Option<Timer> {
        let length = self.buckets.len() as i64;
        for step in 0..length {
            let index = (self.second + step).rem_euclid(length) as usize;
            if let Some(timer) = self.buckets.get_mut(index).and_then(Vec::pop) {
                return Some(timer);
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    #[test]
    fn timers_come_due_in_time() {
        let mut wheel = Wheel::new(10);
        let mut due = Vec::new();
        wheel.advance(100 * SECOND, &mut due);
        let timer = |slot| Timer { slot, generation: 0 };
        wheel.set(timer(1), 103 * SECOND);
        wheel.set(timer(2), 109 * SECOND);
        wheel.advance(103 * SECOND + 5, &mut due);
        assert!(due.is_empty());
        wheel.advance(104 * SECOND, &mut due);
        assert_eq!(due, [timer(1)]);
        wheel.advance(500 * SECOND, &mut due);
        assert_eq!(due, [timer(1), timer(2)]);
    }
}
