//! How often a rule may alert: `threshold`, `detection_filter`, `rate_filter` and suppression (Suricata User Guide, "Thresholding").

use hashbrown::HashMap;

use crate::rule::{Threshold, ThresholdKind};

use super::state::Owner;

/// Counts that are kept; beyond it those whose time is over are dropped.
const MAX_COUNTS: usize = 1 << 20;

/// What becomes of an alert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Alert,
    /// No alert, though the rule has matched and changes what it changes.
    Silent,
    /// An alert with the other action of a `rate_filter`.
    Instead,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    begun: i64,
    count: u32,
    /// Until when the other action of a `rate_filter` is in force; the next count of a `backoff`.
    until: i64,
    next: u32,
}

/// Counts of matches by rule and owner.
#[derive(Debug, Default)]
pub struct Thresholds {
    counts: HashMap<(u64, Owner), Count>,
}

impl Thresholds {
    /// Counts a match at a time and tells what becomes of it; `rule` names the rule and its threshold.
    pub fn judge(&mut self, rule: u64, threshold: &Threshold, owner: Owner, at: i64) -> Verdict {
        let span = i64::from(threshold.seconds).saturating_mul(1_000_000_000);
        if self.counts.len() >= MAX_COUNTS {
            self.counts.retain(|_, count| at.saturating_sub(count.begun) < span.max(3_600_000_000_000));
        }
        let fresh = Count { begun: at, count: 0, until: i64::MIN, next: threshold.count };
        let count = self.counts.entry((rule, owner)).or_insert(fresh);
        match threshold.kind {
            ThresholdKind::Limit => {
                count.advance(at, span);
                if count.count <= threshold.count {
                    Verdict::Alert
                } else {
                    Verdict::Silent
                }
            }
            ThresholdKind::Threshold => {
                count.advance(at, span);
                count.fire_at(threshold.count)
            }
            ThresholdKind::Both => {
                count.advance(at, span);
                if count.count == threshold.count {
                    Verdict::Alert
                } else {
                    Verdict::Silent
                }
            }
            ThresholdKind::DetectionFilter => {
                count.advance(at, span);
                if count.count > threshold.count {
                    Verdict::Alert
                } else {
                    Verdict::Silent
                }
            }
            ThresholdKind::Rate { timeout, .. } => count.rate(at, span, threshold.count, timeout),
            ThresholdKind::Backoff { multiplier } => count.back_off(multiplier),
            ThresholdKind::Suppress => Verdict::Silent,
        }
    }
}

impl Count {
    fn advance(&mut self, at: i64, span: i64) {
        if at.saturating_sub(self.begun) >= span {
            (self.begun, self.count) = (at, 0);
        }
        self.count = self.count.saturating_add(1);
    }

    fn fire_at(&mut self, wanted: u32) -> Verdict {
        if self.count < wanted {
            return Verdict::Silent;
        }
        self.count = 0;
        Verdict::Alert
    }

    fn rate(&mut self, at: i64, span: i64, wanted: u32, timeout: u32) -> Verdict {
        if at < self.until {
            return Verdict::Instead;
        }
        self.advance(at, span);
        if self.count <= wanted {
            return Verdict::Alert;
        }
        self.until = at.saturating_add(i64::from(timeout).saturating_mul(1_000_000_000));
        self.count = 0;
        Verdict::Instead
    }

    fn back_off(&mut self, multiplier: u32) -> Verdict {
        self.count = self.count.saturating_add(1);
        if self.count < self.next {
            return Verdict::Silent;
        }
        self.next = self.next.saturating_mul(multiplier.max(2));
        Verdict::Alert
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::Track;

    fn alerts(kind: ThresholdKind, count: u32, times: &[i64]) -> Vec<usize> {
        let threshold = Threshold { kind, track: Track::Source, count, seconds: 60 };
        let mut thresholds = Thresholds::default();
        let owner = Owner::of(Track::Source, 1, 2, 0);
        let mut judge = |at: &i64| thresholds.judge(1, &threshold, owner, at * 1_000_000_000);
        let verdicts: Vec<Verdict> = times.iter().map(&mut judge).collect();
        (0..times.len()).filter(|at| verdicts[*at] == Verdict::Alert).collect()
    }

    #[test]
    fn each_kind_counts_in_its_own_way() {
        let times = [0, 1, 2, 3, 4, 61, 62];
        assert_eq!(alerts(ThresholdKind::Limit, 2, &times), [0, 1, 5, 6]);
        assert_eq!(alerts(ThresholdKind::Threshold, 2, &times), [1, 3, 6]);
        assert_eq!(alerts(ThresholdKind::Both, 2, &times), [1, 6]);
        assert_eq!(alerts(ThresholdKind::DetectionFilter, 2, &times), [2, 3, 4]);
        assert_eq!(alerts(ThresholdKind::Backoff { multiplier: 2 }, 1, &times), [0, 1, 3]);
        assert_eq!(alerts(ThresholdKind::Suppress, 0, &times), [0; 0]);
    }
}
