//! Sets of numbers as sorted, disjoint, inclusive ranges; addresses and ports are such numbers.

/// First and last number.
pub(super) type Range = (u128, u128);

/// Sorts ranges and joins those that touch.
pub(super) fn normalise(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut joined: Vec<Range> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
            _ => joined.push((first, last)),
        }
    }
    joined
}

/// Returns what is in the first set and not in the second, both normalised.
pub(super) fn subtract(from: &[Range], minus: &[Range]) -> Vec<Range> {
    let mut left = Vec::with_capacity(from.len());
    for &(first, last) in from {
        let mut next = Some(first);
        let begin = minus.partition_point(|(_, end)| *end < first);
        for &(low, high) in minus.get(begin..).unwrap_or_default().iter().take_while(|(low, _)| *low <= last) {
            let Some(start) = next else { break };
            if start < low {
                left.push((start, low - 1));
            }
            next = high.checked_add(1).filter(|start| *start <= last);
        }
        left.extend(next.map(|start| (start, last)));
    }
    left
}

/// Returns what is in both sets, both normalised.
pub(super) fn intersect(one: &[Range], other: &[Range]) -> Vec<Range> {
    subtract(one, &subtract(one, other))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn set(ranges: &[(u8, u8)]) -> Vec<Range> {
        normalise(ranges.iter().map(|(a, b)| (u128::from(*a.min(b)), u128::from(*a.max(b)))).collect())
    }

    fn has(ranges: &[Range], number: u128) -> bool {
        ranges.iter().any(|(first, last)| (*first..=*last).contains(&number))
    }

    proptest! {
        #[test]
        fn sets_are_what_their_numbers_say(one: Vec<(u8, u8)>, other: Vec<(u8, u8)>) {
            let (one, other) = (set(&one), set(&other));
            let (rest, both) = (subtract(&one, &other), intersect(&one, &other));
            for number in 0..=255 {
                prop_assert_eq!(has(&rest, number), has(&one, number) && !has(&other, number));
                prop_assert_eq!(has(&both, number), has(&one, number) && has(&other, number));
            }
            for set in [&one, &rest, &both] {
                prop_assert!(set.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{set:?} is sorted and disjoint");
            }
        }
    }

    #[test]
    fn the_last_number_of_all_is_a_number() {
        assert_eq!(subtract(&[(0, u128::MAX)], &[(5, u128::MAX)]), [(0, 4)]);
        assert_eq!(normalise(vec![(7, u128::MAX), (0, 6)]), [(0, u128::MAX)]);
    }
}
