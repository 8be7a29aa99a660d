//! Lines of a rule file: rules, rules that are commented out, and what is neither.

use std::borrow::Cow;

/// What a line of a rule file holds.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Where it begins, counted from 1.
    pub number: u32,
    pub text: Cow<'a, [u8]>,
    /// Whether it stands behind a `#`.
    pub is_disabled: bool,
}

/// Goes through a file, joins what a backslash at the end of a line continues, and skips what is empty.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let mut rest = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
    let mut number = 0;
    std::iter::from_fn(move || loop {
        let first = rest.next()?;
        number += 1;
        let (begins, mut joined) = (number, Cow::Borrowed(first.trim_ascii_start()));
        while joined.ends_with(b"\\") {
            let whole = joined.to_mut();
            whole.pop();
            whole.extend_from_slice(rest.next().unwrap_or_default());
            number += 1;
        }
        if !joined.is_empty() {
            return Some(line(begins, joined));
        }
    })
}

fn line(number: u32, text: Cow<'_, [u8]>) -> Line<'_> {
    let marks = text.iter().take_while(|byte| **byte == b'#' || byte.is_ascii_whitespace()).count();
    if !text.starts_with(b"#") {
        return Line { number, text, is_disabled: false };
    }
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(marks..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(marks..).unwrap_or_default().to_vec()),
    };
    Line { number, text, is_disabled: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_counted_and_told_apart() {
        let text = b"alert a\n\n  # alert b \\\n   more\r\nalert c";
        let found: Vec<_> = lines(text).map(|line| (line.number, line.text.into_owned(), line.is_disabled)).collect();
        let expected = [(1, &b"alert a"[..], false), (3, b"alert b    more", true), (5, b"alert c", false)];
        assert_eq!(found, expected.map(|(number, text, off)| (number, text.to_vec(), off)));
    }

    #[test]
    fn a_backslash_at_the_end_of_a_file_continues_nothing() {
        assert_eq!(lines(b"alert \\").map(|line| line.text.into_owned()).collect::<Vec<_>>(), [b"alert "]);
    }
}
