//! Comparisons of numbers (User Guide, "Integer Keywords").

use super::fault::{fault, Result};
use super::options::whole;
use crate::rule::Compare;

const FORM: &str = "write a number, <N, >N, <=N, >=N, !N, LOW-HIGH or &MASK=N";

/// Reads a comparison of numbers up to `most`.
pub(super) fn compare(text: &str, most: u64) -> Result<Compare> {
    let read = comparison(text.trim(), most);
    read.ok_or_else(|| fault(format!("{text:.40?} compares no number up to {most}"), FORM))
}

/// Reads a comparison; none if it is not one.
pub(super) fn comparison(text: &str, most: u64) -> Option<Compare> {
    let number = |text: &str| sized(text).filter(|number| *number <= most);
    if let Some(rest) = text.strip_prefix('&') {
        return masked(rest, number);
    }
    for (operator, make) in OPERATORS {
        if let Some(value) = text.strip_prefix(operator) {
            if let Some(number) = number(value) {
                return Some(make(number));
            }
        }
    }
    let (negated, range) = text.strip_prefix('!').map_or((false, text), |range| (true, range));
    let (low, high) = range.split_once("<>").or_else(|| range.split_once('-'))?;
    let (low, high) = (number(low)?, number(high)?);
    // The bounds themselves are left out, so that there must be a number between them.
    let make = if negated { Compare::NotBetween } else { Compare::Between };
    (high > low && high - low > 1).then(|| make(low, high))
}

type Make = fn(u64) -> Compare;

/// Operators, the longer before those they begin with.
const OPERATORS: [(&str, Make); 8] = [
    ("<=", Compare::LessOrEqual),
    (">=", Compare::GreaterOrEqual),
    ("!=", Compare::NotEqual),
    ("<", Compare::Less),
    (">", Compare::Greater),
    ("!", Compare::NotEqual),
    ("=", Compare::Equal),
    ("", Compare::Equal),
];

fn masked(text: &str, number: impl Fn(&str) -> Option<u64>) -> Option<Compare> {
    let (mask, wanted) = text.split_once('=')?;
    let (negated, mask) = mask.strip_suffix('!').map_or((false, mask), |mask| (true, mask));
    Some(Compare::Masked { mask: number(mask)?, wanted: number(wanted)?, negated })
}

/// Reads a number that may have a unit of size.
fn sized(text: &str) -> Option<u64> {
    let text = text.trim();
    let lower = text.to_ascii_lowercase();
    let units = [("kib", 1_u64 << 10), ("mib", 1 << 20), ("gib", 1 << 30)];
    match units.iter().find(|(unit, _)| lower.ends_with(unit)) {
        Some((unit, factor)) => whole::<u64>(&text[..text.len() - unit.len()])?.checked_mul(*factor),
        None => whole(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_are_read() {
        for (text, expected) in [
            ("5", Compare::Equal(5)),
            ("= 5", Compare::Equal(5)),
            ("!0x10", Compare::NotEqual(16)),
            ("<5", Compare::Less(5)),
            (">= 5", Compare::GreaterOrEqual(5)),
            ("10<>20", Compare::Between(10, 20)),
            ("10-20", Compare::Between(10, 20)),
            ("!10-20", Compare::NotBetween(10, 20)),
            ("&0xf0=0x10", Compare::Masked { mask: 0xf0, wanted: 0x10, negated: false }),
            ("& 1 != 0", Compare::Masked { mask: 1, wanted: 0, negated: true }),
            (">2kib", Compare::Greater(2048)),
        ] {
            assert_eq!(compare(text, 65_535).unwrap(), expected, "{text}");
        }
        for text in ["", "256", "a", "20-10", "5-6", "<", "&1", "-1", "1-2-3"] {
            assert!(compare(text, 255).is_err(), "{text}");
        }
    }
}
