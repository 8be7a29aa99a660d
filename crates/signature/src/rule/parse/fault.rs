//! Why a rule is refused, before it is known where it stands.

/// What is wrong with a rule, and what would mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub reason: String,
    pub suggestion: String,
}

/// What reading a part of a rule gives.
pub(super) type Result<T> = std::result::Result<T, Fault>;

/// Returns a fault.
pub(super) fn fault(reason: impl Into<String>, suggestion: impl Into<String>) -> Fault {
    Fault { reason: reason.into(), suggestion: suggestion.into() }
}

/// Refuses with a fault.
pub(super) fn refuse<T>(reason: impl Into<String>, suggestion: impl Into<String>) -> Result<T> {
    Err(fault(reason, suggestion))
}

/// Returns the name nearest to a word among many, if one is near enough to be what was meant.
pub(super) fn nearest<'a>(word: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    const LONGEST: usize = 40;
    if word.len() > LONGEST {
        return None;
    }
    let most = 1 + word.len() / 4;
    let alike = names.filter(|name| name.len().abs_diff(word.len()) <= most);
    let nearest = alike.map(|name| (distance(word, name), name)).min();
    nearest.filter(|(distance, _)| *distance <= most).map(|(_, name)| name)
}

/// Returns how many bytes must be put in, left out or changed to turn one word into another (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (at, byte) in one.bytes().enumerate() {
        let mut diagonal = at;
        let mut left = at + 1;
        for (cell, wanted) in row.iter_mut().skip(1).zip(other.bytes()) {
            let changed = diagonal + usize::from(byte != wanted);
            diagonal = *cell;
            left = changed.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = at + 1;
        }
    }
    row.last().copied().unwrap_or(one.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_has_a_nearest_word() {
        let names = ["content", "nocase", "http.uri"];
        assert_eq!(nearest("contnet", names.into_iter()), Some("content"));
        assert_eq!(nearest("http.url", names.into_iter()), Some("http.uri"));
        assert_eq!(nearest("byte_test", names.into_iter()), None);
        assert_eq!((distance("", "abc"), distance("abc", ""), distance("kitten", "sitting")), (3, 3, 3));
    }
}
