//! How often a rule alerts: `threshold`, `detection_filter`, and threshold files (User Guide, "Thresholding Keywords").

use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::options::{parts, unquoted, whole, RuleOption};
use crate::rule::{Threshold, ThresholdKind, Track};

/// What a threshold says, before it is known whether it is whole.
#[derive(Default)]
pub(super) struct Terms<'a> {
    kind: Option<&'a str>,
    track: Option<Track>,
    count: Option<u32>,
    seconds: Option<u32>,
    multiplier: Option<u32>,
}

const FORM: &str = "write: type limit, track by_src, count 1, seconds 60";

impl<'a> Terms<'a> {
    /// Reads `NAME VALUE` parts.
    pub fn read(words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let mut terms = Terms::default();
        for word in words {
            let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
            let value = value.trim();
            let is_new = match name {
                "type" => terms.kind.replace(value).is_none(),
                "track" => terms.track.replace(track(value)?).is_none(),
                "count" => terms.count.replace(positive(name, value)?).is_none(),
                "seconds" => terms.seconds.replace(positive(name, value)?).is_none(),
                "multiplier" => terms.multiplier.replace(positive(name, value)?).is_none(),
                _ => return refuse(format!("a threshold does not know {word:.40?}"), FORM),
            };
            if !is_new {
                return refuse(format!("a threshold says {name} twice"), "leave one of them out");
            }
        }
        Ok(terms)
    }

    /// Returns the threshold of `threshold` and `event_filter`.
    pub fn threshold(self) -> Result<Threshold> {
        let kind = match self.kind {
            Some("limit") => ThresholdKind::Limit,
            Some("threshold") => ThresholdKind::Threshold,
            Some("both") => ThresholdKind::Both,
            Some("backoff") => return self.backoff(),
            _ => return refuse("a threshold has no type", FORM),
        };
        self.whole(kind)
    }

    fn backoff(self) -> Result<Threshold> {
        let multiplier = self.multiplier.filter(|multiplier| *multiplier > 1);
        let multiplier = multiplier.ok_or_else(|| fault("backoff has no multiplier", "write multiplier 10"))?;
        let seconds = self.seconds.or(Some(1));
        Terms { seconds, ..self }.whole(ThresholdKind::Backoff { multiplier })
    }

    /// Returns a threshold of a kind that the keyword itself says.
    pub fn whole(self, kind: ThresholdKind) -> Result<Threshold> {
        match (self.track, self.count, self.seconds) {
            (Some(track), Some(count), Some(seconds)) => Ok(Threshold { kind, track, count, seconds }),
            _ => refuse("a threshold lacks track, count or seconds", FORM),
        }
    }
}

/// Reads what is counted together.
pub(super) fn track(value: &str) -> Result<Track> {
    Ok(match value {
        "by_src" => Track::Source,
        "by_dst" => Track::Destination,
        "by_both" => Track::Pair,
        "by_rule" => Track::Rule,
        "by_flow" => Track::Flow,
        _ => {
            return refuse(
                format!("{value:.40?} cannot be tracked"),
                "write by_src, by_dst, by_both, by_rule or by_flow",
            )
        }
    })
}

pub(super) fn positive(name: &str, value: &str) -> Result<u32> {
    let number = whole(value).filter(|number| *number > 0);
    number.ok_or_else(|| fault(format!("{name} is {value:.20}"), "write a number from 1 on"))
}

pub(super) fn threshold(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let threshold = Terms::read(parts(unquoted(option.needed()?)))?.threshold()?;
    // Of several thresholds the last one holds; it cannot stand beside a detection_filter.
    let other = draft.rule.threshold.replace(threshold);
    refuse_filter_beside_threshold(other.is_some_and(|other| other.kind == ThresholdKind::DetectionFilter))
}

pub(super) fn detection_filter(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let threshold = Terms::read(parts(unquoted(option.needed()?)))?.whole(ThresholdKind::DetectionFilter)?;
    refuse_filter_beside_threshold(draft.rule.threshold.replace(threshold).is_some())
}

fn refuse_filter_beside_threshold(is_wrong: bool) -> Result<()> {
    if is_wrong {
        return refuse("a detection_filter stands beside another threshold", "leave one of them out");
    }
    Ok(())
}
