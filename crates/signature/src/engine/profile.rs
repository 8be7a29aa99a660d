//! What rules take: how often each is tried, how often it matches, and the time that trying it takes.

use std::time::Duration;

use super::compile::Id;

/// What one rule took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    pub checks: u64,
    pub matches: u64,
    pub ns: u64,
}

/// What each rule took so far.
#[derive(Debug)]
pub struct Profile {
    costs: Vec<Cost>,
}

impl Profile {
    /// Begins with nothing for so many rules.
    pub fn new(rules: usize) -> Profile {
        Profile { costs: vec![Cost::default(); rules] }
    }

    /// Notes that a rule was tried.
    pub fn note(&mut self, id: Id, took: Duration, has_matched: bool) {
        if let Some(cost) = self.costs.get_mut(id as usize) {
            cost.checks += 1;
            cost.matches += u64::from(has_matched);
            cost.ns = cost.ns.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        }
    }

    /// Returns what each rule took, in the order of the rules.
    pub fn costs(&self) -> &[Cost] {
        &self.costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_add_up_by_rule() {
        let mut profile = Profile::new(2);
        for (id, took, has_matched) in [(1, 5, true), (1, 7, false), (9, 1, true)] {
            profile.note(id, Duration::from_nanos(took), has_matched);
        }
        assert_eq!(profile.costs(), [Cost::default(), Cost { checks: 2, matches: 1, ns: 12 }]);
    }
}
