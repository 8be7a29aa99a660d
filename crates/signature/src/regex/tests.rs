//! Expressions: what they find, what they may take, and which are refused.

use super::*;

fn pcre(pattern: &str) -> Pcre {
    Pcre { pattern: pattern.into(), ..Pcre::default() }
}

fn finds(pattern: &str, data: &[u8]) -> bool {
    let expression = Expression::new(pcre(pattern));
    assert!(expression.engine().is_some(), "{pattern} becomes {}", translate(pattern, false, false));
    expression.find(data, 0, &mut Budget::default()).is_ok_and(|found| found.is_some())
}

#[test]
fn the_syntax_of_pcre_is_understood() {
    for (pattern, yes, no) in [
        (r"^\/a\/b\?c=\d+$", &b"/a/b?c=12\n"[..], &b"/a/b?c=12x"[..]),
        (r"[^\r\n]{3}\x0d\x0a", b"abc\r\n", b"ab\r\n"),
        (r"\xff\xFE[\x80-\xff]", b"\xff\xfe\x90", b"\xff\xfe\x10"),
        (r"(a|b)\1", b"xbb", b"ab"),
        (r"(a|b)\g{1}2\g1", b"abb2b", b"ab2b"),
        (r"a(?!b)", b"ac", b"ab"),
        (r"(?<=x)y", b"xy", b"zy"),
        (r"a{,2}", b"a{,2}", b"aa"),
        (r"x{y", b"x{y", b"xy"),
        (r"[]a]+z", b"]z", b"z"),
        (r"[\w-.]+!", b"a-.!", b"/"),
        (r"[[:xdigit:]-]{4}", b"a-9F", b"gggg"),
        (r"[a[&&b]c", b"[c", b"dc"),
        (r"\Qa.b\E+", b"a.bb", b"aXb"),
        (r"a\h+b\R", b"a \tb\r\n", b"a\nb"),
        (r"\012\e\cA", b"\n\x1b\x01", b"012"),
        (r"a++b", b"aab", b"aa"),
        (r"(?i)ABC(?-i)D", b"abcD", b"abcd"),
        (r#"\"\:\;\=\@\!\<\>\#\ \%\&\,\'\`\~\_\-"#, br#"":;=@!<># %&,'`~_-"#, b"-"),
        (r"\x{41}(?# A )b", b"Ab", b"A b"),
    ] {
        assert!(finds(pattern, yes), "{pattern} is to be found");
        assert!(!finds(pattern, no), "{pattern} is not to be found");
    }
}

/// Searches for an expression; returns whether that was given up and the steps it took.
fn searched(pattern: &str, dot_all: bool, data: &[u8]) -> (bool, u64) {
    let mut budget = Budget::default();
    let found = Expression::new(Pcre { dot_all, ..pcre(pattern) }).find(data, 0, &mut budget);
    (found.is_err(), budget.spent())
}

#[test]
fn a_search_that_takes_too_much_is_given_up() {
    let letters = [b'a'; 1 << 16];
    for pattern in
        ["a[^c]{9000}c", "(?:(?:a{1,15}){1,15}b?){1,15}c", "(?=.*c)..", "^(a+)+$b\\1", "(a*)*c\\1", "(?:(?=(a*))\\1)*c"]
    {
        let (is_given_up, spent) = searched(pattern, true, &letters);
        assert!(is_given_up, "{pattern} took {spent} steps");
    }
}

#[test]
fn what_is_found_at_once_takes_few_steps() {
    let data = [&[b'x'; 1 << 16][..], b"password=1234"].concat();
    for pattern in [r"password=\d+", r"[a-w]ass\w+=", r"(?i)PASSWORD", r"pass(?!port)w(o)rd"] {
        let (is_given_up, spent) = searched(pattern, false, &data);
        assert!(!is_given_up && spent <= 3 * data.len() as u64, "{pattern} took {spent} steps");
    }
}

#[test]
fn an_expression_that_cannot_be_searched_for_is_unfit() {
    let nested = format!("{}a{}", "(?:".repeat(9), "){9}".repeat(9));
    for pattern in ["a[^c]{20000}c", "(?:a{200}){200}", "(?=(?:ab){9000}).", &*nested] {
        assert_eq!(check(&pcre(pattern)), Err(Unfit::TooLarge), "{pattern}");
    }
    for pattern in [r"(a)\2", "(?<=a+)b", "(?R)", "a(*FAIL)", "(?<=a", "(?z)"] {
        assert_eq!(check(&pcre(pattern)), Err(Unfit::Unknown), "{pattern}");
    }
    for pattern in ["a[^c]{9000}c", "(?<=ab|c)d", "(a)?(?(1)b|c)", r"a\Kb", r"(?<name>a)\k<name>"] {
        assert_eq!(check(&pcre(pattern)), Ok(()), "{pattern}");
        assert!(Expression::new(pcre(pattern)).engine().is_some(), "{pattern}");
    }
}

#[test]
fn options_hold_for_the_whole_expression() {
    let caseless = Expression::new(Pcre { caseless: true, ..pcre("x|ab(?!c)") });
    assert_eq!(caseless.find(b"-AB", 0, &mut Budget::default()), Ok(Some(Span { start: 1, end: 3 })));
    let lazy = Expression::new(Pcre { ungreedy: true, ..pcre("a+") });
    assert_eq!(lazy.find(b"aaa", 0, &mut Budget::default()), Ok(Some(Span { start: 0, end: 1 })));
    let anchored = Expression::new(Pcre { anchored: true, extended: true, ..pcre("a | b # one") });
    assert_eq!(anchored.find(b"b", 0, &mut Budget::default()), Ok(Some(Span { start: 0, end: 1 })));
    assert_eq!(anchored.find(b"-b", 0, &mut Budget::default()), Ok(None));
}

#[test]
fn groups_are_told() {
    let expression = Expression::of_group(pcre(r"k(?:=|:)(\w+)(x)?"));
    assert_eq!(expression.first_group(b"-k=v1;"), Ok(Some(&b"v1"[..])));
    assert_eq!(expression.first_group(b"-k;"), Ok(None));
}

#[test]
fn catastrophic_patterns_end() {
    let data = vec![b'a'; 4000];
    assert!(!finds(r"^(a+)+$b\1", &data));
}

#[test]
fn an_anchored_search_begins_where_it_is_told() {
    let relative = Expression::new(Pcre { relative: true, ..pcre("^b") });
    assert_eq!(relative.find(&b"ab"[1..], 0, &mut Budget::default()), Ok(Some(Span { start: 0, end: 1 })));
}

proptest::proptest! {
    #[test]
    fn any_pattern_is_safe(pattern in "[\\\\\\[\\](){}^$*+?|a-c0-3:.,#&~ -]{0,30}", data: Vec<u8>) {
        let _ = Expression::new(pcre(&pattern)).find(&data, 0, &mut Budget::default());
    }

    /// Both ways of searching find the same, from any position.
    #[test]
    fn automata_and_backtracking_agree(
        pattern in r"([\^]|\\b)?(([ab.]|\[\^a\]|\(a\|b\)|\(ab\|a\)|\(a\*b\?\)|\(\?:\|a\))([*+?]|\{1,2\}|\+\?|\*\?)?){1,5}(\$|\\b)?",
        data in "[ab\n]{0,12}",
        from in 0_usize..4,
    ) {
        let data = data.as_bytes();
        let from = from.min(data.len());
        let by_automaton = Expression::new(pcre(&pattern)).find(data, from, &mut Budget::default());
        let by_backtracking = Expression::of_group(pcre(&pattern)).find(data, from, &mut Budget::default());
        proptest::prop_assert_eq!(by_automaton, by_backtracking);
    }

    /// Backtracking finds what another engine finds.
    #[test]
    fn backtracking_finds_what_another_engine_finds(
        pattern in r"(([ab.]|\(a\|b\)|\(ab\|a\)|\(a\*b\?\)|\(\?=b\)|\(\?![ab]\)|\(\?<=a\)|\(\?<!b\)|\(\?>a\*\))([*+?]|\{1,2\}|\+\?|\*\?)?){1,5}",
        data in "[ab\n]{0,12}",
    ) {
        let data = data.as_bytes();
        let other = fancy_regex::RegexBuilder::new(&pattern).bytes_mode(fancy_regex::BytesMode::Ascii).build();
        if let (Ok(other), Ok(())) = (other, check(&pcre(&pattern))) {
            let other = other.find(data).unwrap().map(|found| Span { start: found.start(), end: found.end() });
            let own = Expression::of_group(pcre(&pattern)).find(data, 0, &mut Budget::default());
            proptest::prop_assert_eq!(own, Ok(other));
        }
    }
}
