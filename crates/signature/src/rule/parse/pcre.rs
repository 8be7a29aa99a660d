//! `pcre`: a regular expression, its modifiers and the buffer that they name (User Guide, "Payload Keywords").

use super::draft::{Buffer, Draft};
use super::fault::{fault, refuse, Result};
use super::options::{negation, parts, RuleOption};
use crate::field::Field;
use crate::regex::{self, Unfit};
use crate::rule::{Match, Pcre};

/// Letters that name a buffer.
const BUFFERS: &[(char, Field)] = &[
    ('U', Field::HttpUri),
    ('I', Field::HttpUriRaw),
    ('P', Field::HttpRequestBody),
    ('Q', Field::HttpResponseBody),
    ('H', Field::HttpHeader),
    ('D', Field::HttpHeaderRaw),
    ('M', Field::HttpMethod),
    ('C', Field::HttpCookie),
    ('S', Field::HttpStatusCode),
    ('Y', Field::HttpStatusMessage),
    ('V', Field::HttpUserAgent),
    ('W', Field::HttpHost),
    ('Z', Field::HttpHostRaw),
];

/// Most groups that a rule may capture.
const MAX_CAPTURES: usize = 8;

/// Reads `pcre:[!]"/PATTERN/MODIFIERS[, flow:NAME]"`.
pub(super) fn pcre(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (pcre, field) = expression(option.needed()?)?;
    if !draft.is_payload() {
        return match field {
            Some(field) if !is_of(draft.buffer(), field) => refuse(
                "an expression names a buffer after the name of another",
                "write pkt_data before it, or leave the letter out",
            ),
            _ => draft.test(Match::Pcre(pcre)),
        };
    }
    let has_anchor = match field {
        Some(field) => draft.of_field(field).iter().any(is_anchor),
        None => draft.present().iter().any(is_anchor),
    };
    if pcre.relative && !has_anchor {
        let suggestion = "write a content of the same buffer before it";
        return refuse("an expression with R has no content before it in its buffer", suggestion);
    }
    match field {
        Some(field) => draft.add(field, Match::Pcre(pcre)).map(drop),
        None => draft.test(Match::Pcre(pcre)),
    }
}

/// Tells whether the end of a test is where a relative expression can begin.
fn is_anchor(test: &Match) -> bool {
    matches!(test, Match::Content(_) | Match::Pcre(_))
}

/// Tells whether a letter names the buffer that is selected already; a response's body is also file data.
fn is_of(buffer: &Buffer, named: Field) -> bool {
    match buffer {
        Buffer::Field(Field::FileData, _) => named == Field::HttpResponseBody,
        Buffer::Field(field, _) => *field == named,
        _ => false,
    }
}

/// Reads an expression with its delimiters, and the buffer it names.
pub(super) fn expression(value: &str) -> Result<(Pcre, Option<Field>)> {
    let (negated, value) = negation(value);
    let inner = value.strip_prefix('"').unwrap_or(value);
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    // Neither modifiers nor names of captures hold a slash.
    let open = inner.strip_prefix('/').and_then(|open| open.rsplit_once('/'));
    let (pattern, modifiers) =
        open.ok_or_else(|| fault("an expression has no delimiters", "write pcre:\"/PATTERN/\""))?;
    check_syntax(pattern)?;
    let (letters, captures) = modifiers.split_once(',').unwrap_or((modifiers, ""));
    let mut pcre = plain(pattern);
    pcre.negated = negated;
    pcre.captures = names(captures)?;
    let mut field = None;
    for letter in letters.trim().chars() {
        modify(&mut pcre, &mut field, letter)?;
    }
    check(&pcre)?;
    if field == Some(Field::HttpHost) && has_uppercase(pattern) {
        return refuse("the host is lowercase, and the expression is not", "write it in lowercase");
    }
    Ok((pcre, field))
}

/// Refuses an expression that could not be searched for.
pub(super) fn check(pcre: &Pcre) -> Result<()> {
    regex::check(pcre).or_else(|unfit| match unfit {
        Unfit::TooLarge => refuse(
            format!("an expression has more than {} parts with its counted repeats written out", regex::MAX_SIZE),
            "count fewer repeats, or leave an upper end out: {10,}",
        ),
        Unfit::Unknown => refuse(
            "an expression uses what is not known here",
            "leave out calls of groups, verbs such as (*FAIL), and what has no fixed length in (?<=...)",
        ),
    })
}

/// Tells whether a capital letter stands in an expression for itself.
fn has_uppercase(pattern: &str) -> bool {
    let mut bytes = pattern.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.next() == Some(b'x') => drop(bytes.nth(1)),
            b'A'..=b'Z' => return true,
            _ => {}
        }
    }
    false
}

/// Returns an expression without modifiers.
pub(super) fn plain(pattern: &str) -> Pcre {
    Pcre { pattern: pattern.into(), ..Pcre::default() }
}

fn modify(pcre: &mut Pcre, field: &mut Option<Field>, letter: char) -> Result<()> {
    match letter {
        'i' => pcre.caseless = true,
        's' => pcre.dot_all = true,
        'm' => pcre.multi_line = true,
        'x' => pcre.extended = true,
        'A' => pcre.anchored = true,
        'E' => pcre.dollar_end_only = true,
        'G' => pcre.ungreedy = true,
        'R' => pcre.relative = true,
        // Of the packet as it came; and a limit that is always kept.
        'B' | 'O' => {}
        _ => {
            let named = BUFFERS.iter().find(|(name, _)| *name == letter).map(|(_, field)| *field);
            let named = named.ok_or_else(|| {
                fault(
                    format!("{letter:?} is no modifier of an expression"),
                    "use i, s, m, x, A, E, G, R or a buffer's letter",
                )
            })?;
            if field.replace(named).is_some_and(|before| before != named) {
                return refuse("an expression names two buffers", "leave one of the letters out");
            }
        }
    }
    Ok(())
}

/// Reads `flow:NAME, pkt:NAME`.
fn names(captures: &str) -> Result<Vec<Box<str>>> {
    let names: Vec<Box<str>> = parts(captures).filter(|part| !part.is_empty()).map(Box::from).collect();
    let is_known = |name: &str| ["flow:", "pkt:", "alert:"].iter().any(|kind| name.starts_with(kind));
    if names.len() > MAX_CAPTURES || !names.iter().all(|name| is_known(name)) {
        return refuse("captures are not named", format!("write flow:NAME or pkt:NAME, at most {MAX_CAPTURES}"));
    }
    Ok(names)
}

/// Refuses an expression whose groups, classes or escapes are left open.
pub(super) fn check_syntax(pattern: &str) -> Result<()> {
    let (mut depth, mut bytes) = (0_usize, pattern.bytes().peekable());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                let escaped = bytes.next();
                let escaped = escaped.ok_or_else(|| fault("an expression ends within an escape", r"write \\"))?;
                if escaped == b'Q' {
                    skip_quoted(&mut bytes);
                }
            }
            b'[' => skip_class(&mut bytes)?,
            b'(' => depth += 1,
            b')' => {
                let open = depth.checked_sub(1);
                depth = open.ok_or_else(|| fault("an expression closes a group that is not open", r"write \)"))?;
            }
            _ => {}
        }
    }
    if depth > 0 {
        return refuse("an expression leaves a group open", r"close it, or write \(");
    }
    Ok(())
}

type Bytes<'a> = std::iter::Peekable<std::str::Bytes<'a>>;

/// Goes past `\E`, or to the end.
fn skip_quoted(bytes: &mut Bytes<'_>) {
    while let Some(byte) = bytes.next() {
        if byte == b'\\' && bytes.next_if_eq(&b'E').is_some() {
            return;
        }
    }
}

/// Goes past the end of a class, in which a bracket at the beginning stands for itself.
fn skip_class(bytes: &mut Bytes<'_>) -> Result<()> {
    bytes.next_if_eq(&b'^');
    bytes.next_if_eq(&b']');
    while let Some(byte) = bytes.next() {
        match byte {
            b']' => return Ok(()),
            b'\\' => drop(bytes.next()),
            b'[' if bytes.next_if_eq(&b':').is_some() => skip_named_class(bytes),
            _ => {}
        }
    }
    refuse("an expression leaves a class open", r"close it, or write \[")
}

/// Goes past the end of `[:name:]`, if it is one.
fn skip_named_class(bytes: &mut Bytes<'_>) {
    let mut ahead = bytes.clone();
    while ahead.next_if(u8::is_ascii_lowercase).is_some() {}
    if ahead.next_if_eq(&b':').is_some() && ahead.next_if_eq(&b']').is_some() {
        *bytes = ahead;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_have_modifiers_buffers_and_captures() {
        let (pcre, field) = expression(r#"!"/^a\/b[\/]x/Rsi""#).unwrap();
        assert_eq!((&*pcre.pattern, pcre.negated, pcre.relative, pcre.caseless), (r"^a\/b[\/]x", true, true, true));
        assert_eq!((pcre.dot_all, pcre.anchored, field), (true, false, None));
        assert_eq!(expression(r#""/a/Ui""#).unwrap().1, Some(Field::HttpUri));
        let (pcre, _) = expression(r#""/(a\/b)\/,c/R, flow:one, pkt:two""#).unwrap();
        assert_eq!((&*pcre.pattern, pcre.relative), (r"(a\/b)\/,c", true));
        assert_eq!(pcre.captures, ["flow:one".into(), "pkt:two".into()]);
        let (pcre, _) = expression(r#""/a/,b/i""#).unwrap();
        assert_eq!((&*pcre.pattern, pcre.caseless), ("a/,b", true));
    }

    #[test]
    fn what_is_left_open_is_refused() {
        for value in ["\"a\"", "\"/a\"", "\"/(a/\"", "\"/a)/\"", "\"/[a/\"", "\"/a/j\"", "\"/a/UH\"", "\"/a/, b\""] {
            assert!(expression(value).is_err(), "{value}");
        }
        for pattern in [r"[]a]", r"[^]]", r"[[:alpha:]]", r"[[]", r"\(\[", r"\Q([\E", r"(?:a|[()])", ""] {
            assert_eq!(check_syntax(pattern), Ok(()), "{pattern}");
        }
    }
}
