//! Dates of certificates, compared to the second.

use super::options::whole;
use crate::rule::Compare;

const DAY: i64 = 86_400;

/// Reads `<DATE`, `>DATE`, `DATE` or `DATE<>DATE`; none if it is none of them.
pub(super) fn comparison(text: &str) -> Option<Compare> {
    let text = text.trim();
    if let Some((first, last)) = text.split_once("<>") {
        let (first, last) = (seconds(first)?, seconds(last)?);
        return (first < last).then_some(Compare::Between(first, last));
    }
    if let Some(bound) = text.strip_prefix('<') {
        return seconds(bound).map(Compare::Less);
    }
    match text.strip_prefix('>') {
        Some(bound) => seconds(bound).map(Compare::Greater),
        None => seconds(text).map(Compare::Equal),
    }
}

/// Reads `YYYY[-MM[-DD[THH[:MM[:SS]]]]]` as seconds since 1970, in UTC.
fn seconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, "0"));
    let mut parts = date.splitn(3, '-').map(whole::<u32>);
    let mut next = |least: u32, most: u32| match parts.next() {
        Some(part) => part.filter(|part| (least..=most).contains(part)),
        None => Some(least),
    };
    let (year, month, day) = (next(1970, 9999)?, next(1, 12)?, next(1, 31)?);
    let mut parts = time.splitn(3, ':').map(whole::<u32>);
    let mut clock = |most: u32| parts.next().map_or(Some(0), |part| part.filter(|part| *part <= most));
    let (hour, minute, second) = (clock(23)?, clock(59)?, clock(60)?);
    let time = i64::from(hour) * 3600 + i64::from(minute) * 60 + i64::from(second);
    u64::try_from(days(i64::from(year), i64::from(month), i64::from(day)) * DAY + time).ok()
}

/// Counts days since 1970 in the Gregorian calendar, with years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let of_years = 365 * year + year / 4 - year / 100 + year / 400;
    of_years + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_seconds() {
        for (text, expected) in [
            ("1970", 0),
            ("2000-03-01", 951_868_800),
            ("2016-02-29T23:59:59", 1_456_790_399),
            ("2024-12-31 01", 1_735_606_800),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        assert_eq!(comparison("1970-01-01<>1970-01-02"), Some(Compare::Between(0, 86_400)));
        assert_eq!(comparison(">1970-01-02"), Some(Compare::Greater(86_400)));
        for text in ["", "1969", "2020-13", "2020-01-01T25", "a", "2021<>2020"] {
            assert_eq!(comparison(text), None, "{text}");
        }
    }
}
