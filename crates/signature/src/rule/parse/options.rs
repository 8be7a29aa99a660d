//! Options of a rule: `keyword:value;`.

use super::fault::{fault, refuse, Result};

/// One option as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RuleOption<'a> {
    pub keyword: &'a str,
    /// None without a colon.
    pub value: Option<&'a str>,
}

impl<'a> RuleOption<'a> {
    /// Returns the value of an option that needs one.
    pub fn needed(&self) -> Result<&'a str> {
        let value = self.value.filter(|value| !value.is_empty());
        value.ok_or_else(|| fault(format!("{} has no value", self.keyword), format!("write {}:VALUE;", self.keyword)))
    }
}

/// Splits options at the semicolons that no backslash precedes.
pub(super) fn split(body: &str) -> Result<Vec<RuleOption<'_>>> {
    let (mut found, mut rest) = (Vec::with_capacity(16), body.trim());
    while !rest.is_empty() {
        let Some(end) = end(rest) else {
            return refuse(format!("the option {rest:.60?} does not end"), "end each option with a semicolon");
        };
        found.push(option(&rest[..end]));
        rest = rest[end + 1..].trim_start();
    }
    Ok(found)
}

fn end(text: &str) -> Option<usize> {
    let mut ends = memchr::memchr_iter(b';', text.as_bytes());
    ends.find(|at| at.checked_sub(1).and_then(|before| text.as_bytes().get(before)) != Some(&b'\\'))
}

fn option(text: &str) -> RuleOption<'_> {
    match text.split_once(':') {
        Some((keyword, value)) => RuleOption { keyword: keyword.trim(), value: Some(value.trim()) },
        None => RuleOption { keyword: text.trim(), value: None },
    }
}

/// Takes the quotes off a value that may have them.
pub(super) fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|open| open.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// Takes the quotes off a value that must have them.
pub(super) fn quoted(value: &str) -> Result<&str> {
    let inner = value.strip_prefix('"').and_then(|open| open.strip_suffix('"'));
    inner.ok_or_else(|| fault(format!("{value:.60} is not in quotes"), "put the value in double quotes"))
}

/// Takes a leading exclamation mark off a value.
pub(super) fn negation(value: &str) -> (bool, &str) {
    value.strip_prefix('!').map_or((false, value), |rest| (true, rest.trim_start()))
}

/// Returns text without the backslashes that escape.
pub(super) fn unescaped(text: &str) -> Box<str> {
    if !text.contains('\\') {
        return text.into();
    }
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain.into()
}

/// Splits a value at its commas.
pub(super) fn parts(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim)
}

/// Reads a whole number, decimal or `0x` hexadecimal, that fits.
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Option<T> {
    let text = text.trim();
    let hexadecimal = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let is_signed = text.starts_with('+') || hexadecimal.is_some_and(|digits| digits.starts_with('+'));
    let number = match hexadecimal {
        _ if is_signed => None,
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    number.and_then(|number| T::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_end_at_semicolons_that_are_not_escaped() {
        let found = split(r#" msg:"a\; b: c"; nocase; sid : 1 ;"#).unwrap();
        let expected = [("msg", Some(r#""a\; b: c""#)), ("nocase", None), ("sid", Some("1"))];
        assert_eq!(found, expected.map(|(keyword, value)| RuleOption { keyword, value }));
        assert!(split("sid:1; rev:2").unwrap_err().reason.contains("rev:2"));
    }

    #[test]
    fn values_are_unescaped_unquoted_and_negated() {
        assert_eq!(&*unescaped(r#"a\"b\;c\\"#), r#"a"b;c\"#);
        assert_eq!((unquoted("\"a\""), unquoted("a"), negation("! \"a\"")), ("a", "a", (true, "\"a\"")));
        assert_eq!((whole::<u16>("0xff"), whole::<u8>("256"), whole::<u32>("+1")), (Some(255), None, None));
    }
}
