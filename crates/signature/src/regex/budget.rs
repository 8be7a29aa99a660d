//! What one rule may take on one buffer, in steps that cost about the same.

/// Steps that the tests of one rule may take on one buffer.
///
/// A step is a byte looked at, an instruction of a backtracking search, or a state of an automaton that is gone
/// through where one of its transitions is worked out: a few nanoseconds each.
const MAX_STEPS: u64 = 16 << 20;

/// Steps that are left to a rule on a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    left: u64,
}

/// A search took more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp;

impl Default for Budget {
    fn default() -> Budget {
        Budget { left: MAX_STEPS }
    }
}

impl Budget {
    /// Takes steps, or says that there are not so many left; then none are.
    #[inline]
    pub fn spend(&mut self, steps: usize) -> Result<(), GivenUp> {
        let left = self.left.checked_sub(steps as u64);
        self.left = left.unwrap_or(0);
        left.map(drop).ok_or(GivenUp)
    }

    /// Takes all that is left: the search cannot go on for another reason.
    pub fn give_up(&mut self) -> GivenUp {
        self.left = 0;
        GivenUp
    }

    /// Tells whether nothing is left.
    pub fn is_spent(&self) -> bool {
        self.left == 0
    }

    /// Returns the steps that were taken.
    #[cfg(test)]
    pub fn spent(&self) -> u64 {
        MAX_STEPS - self.left
    }
}
