//! Regular expressions of rules: from PCRE's syntax to an engine in linear time, or a bounded one where that cannot be.

use std::fmt::Write;
use std::sync::OnceLock;

use fancy_regex::{BytesMode, Regex, RegexBuilder};

use crate::rule::Pcre;

use super::inspect::Capture;

/// Steps back that an expression may take which needs them (backreferences, assertions); beyond it nothing matches.
const BACKTRACK_LIMIT: usize = 100_000;
/// Bytes that a compiled expression may take: in the worst case each byte of data is compared with all of it.
const SIZE_LIMIT: usize = 1 << 20;

/// An expression, compiled when it is first needed.
#[derive(Debug)]
pub struct Expression {
    pub pcre: Pcre,
    regex: OnceLock<Option<Regex>>,
}

/// Where an expression matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// A search took more than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GivenUp;

impl Expression {
    /// Takes an expression without compiling it.
    pub fn new(pcre: Pcre) -> Expression {
        Expression { pcre, regex: OnceLock::new() }
    }

    /// Returns the compiled expression, or None if it cannot be compiled.
    pub fn regex(&self) -> Option<&Regex> {
        self.regex.get_or_init(|| compile(&self.pcre)).as_ref()
    }

    /// Returns the first match in some bytes that begins at or after a position, or says that the search was given up.
    pub fn find(&self, data: &[u8], from: usize) -> Result<Option<Span>, GivenUp> {
        let Some(regex) = self.regex() else { return Ok(None) };
        let found = regex.find_from_pos(data, from).map_err(|_| GivenUp)?;
        let found = found.filter(|found| !self.pcre.anchored || found.start() == from);
        Ok(found.map(|found| Span { start: found.start(), end: found.end() }))
    }

    /// Returns what the named groups of the match at a position have captured.
    pub fn captures(&self, data: &[u8], at: usize) -> Vec<Capture> {
        if self.pcre.captures.is_empty() {
            return Vec::new();
        }
        let found = self.regex().and_then(|regex| regex.captures_from_pos(data, at).ok()).flatten();
        let Some(found) = found else { return Vec::new() };
        let named = self.pcre.captures.iter().zip(1..);
        let named = named.filter_map(|(name, number)| {
            let group = found.get(number)?;
            let name = name.split_once(':').map_or(&**name, |(_, name)| name).into();
            Some(Capture { name, value: data.get(group.start()..group.end())?.into() })
        });
        named.collect()
    }

    /// Returns the bytes of the first group of the first match.
    pub fn first_group<'a>(&self, data: &'a [u8]) -> Option<&'a [u8]> {
        let captures = self.regex()?.captures(data).ok()??;
        captures.get(1).and_then(|group| data.get(group.start()..group.end()))
    }
}

fn compile(pcre: &Pcre) -> Option<Regex> {
    let pattern = if pcre.anchored {
        format!("\\A(?:{})", translate(&pcre.pattern, pcre.multi_line, pcre.dollar_end_only))
    } else {
        translate(&pcre.pattern, pcre.multi_line, pcre.dollar_end_only)
    };
    let pattern = if pcre.ungreedy { format!("(?U){pattern}") } else { pattern };
    RegexBuilder::new(&pattern)
        .bytes_mode(BytesMode::Ascii)
        .unicode_mode(false)
        .case_insensitive(pcre.caseless)
        .multi_line(pcre.multi_line)
        .dot_matches_new_line(pcre.dot_all)
        .ignore_whitespace(pcre.extended)
        .backtrack_limit(BACKTRACK_LIMIT)
        .delegate_size_limit(SIZE_LIMIT)
        .build()
        .ok()
}

/// Writes a PCRE expression in the syntax of the engine: what both read alike is kept (PCRE2, "pcre2pattern").
fn translate(pattern: &str, multi_line: bool, dollar_end_only: bool) -> String {
    let end = match (multi_line, dollar_end_only) {
        (true, _) => "$",
        (false, true) => "\\z",
        (false, false) => "(?:\\n?\\z)",
    };
    Translation { rest: pattern.as_bytes(), out: String::with_capacity(pattern.len() + 16), end }.run()
}

struct Translation<'a> {
    rest: &'a [u8],
    out: String,
    /// What `$` stands for.
    end: &'static str,
}

impl Translation<'_> {
    fn run(mut self) -> String {
        while let Some(byte) = self.next() {
            match byte {
                b'\\' => self.escape(false),
                b'[' => self.class(),
                b'$' => self.out.push_str(self.end),
                b'{' if !is_quantifier(self.rest) => self.out.push_str("\\{"),
                b'{' => self.quantifier(),
                b']' => self.out.push_str("\\]"),
                b'}' => self.out.push_str("\\}"),
                b'(' if self.rest.starts_with(b"?#") => while self.next().is_some_and(|byte| byte != b')') {},
                _ => self.literal(byte),
            }
        }
        self.out
    }

    fn next(&mut self) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*first)
    }

    /// Writes a byte that stands for itself, or has the same meaning for both.
    fn literal(&mut self, byte: u8) {
        if byte.is_ascii() && byte != 0 {
            self.out.push(char::from(byte));
        } else {
            self.hex(byte);
        }
    }

    fn hex(&mut self, byte: u8) {
        let _ = write!(self.out, "\\x{byte:02x}");
    }

    fn quantifier(&mut self) {
        self.out.push('{');
        while let Some(byte) = self.next() {
            self.literal(byte);
            if byte == b'}' {
                break;
            }
        }
    }

    fn escape(&mut self, in_class: bool) {
        let Some(byte) = self.next() else { return self.out.push_str("\\\\") };
        match byte {
            b'x' => self.hexadecimal(),
            b'Q' => self.quoted(),
            b'E' => {}
            b'0' => self.octal(0),
            b'1'..=b'9' if in_class => self.octal(byte - b'0'),
            b'1'..=b'9' if self.is_octal(byte) => self.octal(byte - b'0'),
            b'c' => {
                let control = self.next().unwrap_or(b'@').to_ascii_uppercase() ^ 0x40;
                self.hex(control);
            }
            b'g' => self.group(),
            b'e' => self.hex(0x1b),
            b'a' => self.hex(7),
            b'b' if in_class => self.hex(8),
            b'h' => self.set(in_class, " \\t\\xa0"),
            b'v' => self.set(in_class, "\\n\\x0b\\x0c\\r\\x85"),
            b'H' => self.out.push_str("[^ \\t\\xa0]"),
            b'V' | b'N' => self.out.push_str("[^\\n]"),
            b'R' => self.out.push_str("(?:\\r\\n|[\\n\\x0b\\x0c\\r\\x85])"),
            b'Z' => self.out.push_str("(?:\\n?\\z)"),
            byte if byte.is_ascii_alphanumeric() => {
                self.out.push('\\');
                self.out.push(char::from(byte));
            }
            byte => self.hex(byte),
        }
    }

    /// Writes a reference to a group by its number, `\g1` or `\g{1}`.
    fn group(&mut self) {
        let (open, close): (_, &[u8]) = if self.rest.starts_with(b"{") { (1, b"}") } else { (0, b"") };
        let after = self.rest.get(open..).unwrap_or_default();
        let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
        match (after.get(..digits), after.get(digits..).and_then(|rest| rest.strip_prefix(close))) {
            (Some(number @ [_, ..]), Some(rest)) => {
                let _ = write!(self.out, "(?:\\{})", String::from_utf8_lossy(number));
                self.rest = rest;
            }
            _ => self.out.push_str("\\g"),
        }
    }

    fn set(&mut self, in_class: bool, members: &str) {
        if in_class {
            self.out.push_str(members);
        } else {
            let _ = write!(self.out, "[{members}]");
        }
    }

    /// Tells whether `\` and digits are an octal number: three digits from 0 to 7.
    fn is_octal(&self, first: u8) -> bool {
        let octal = |byte: &u8| (b'0'..=b'7').contains(byte);
        octal(&first) && self.rest.get(..2).is_some_and(|two| two.iter().all(octal))
    }

    fn octal(&mut self, first: u8) {
        let mut value = u32::from(first);
        for _ in 0..2 {
            match self.rest.first() {
                Some(digit @ b'0'..=b'7') => value = value * 8 + u32::from(digit - b'0'),
                _ => break,
            }
            self.next();
        }
        self.hex(value as u8);
    }

    fn hexadecimal(&mut self) {
        if let Some(braced) = self.rest.strip_prefix(b"{") {
            let digits: String =
                braced.iter().take_while(|byte| **byte != b'}').map(|byte| char::from(*byte)).collect();
            self.rest = braced.get(digits.len() + 1..).unwrap_or_default();
            return self.hex(u8::from_str_radix(&digits, 16).unwrap_or(0));
        }
        let digits = self.rest.iter().take(2).take_while(|byte| byte.is_ascii_hexdigit()).count();
        let (own, rest) = self.rest.split_at(digits);
        let value = own.iter().fold(0, |value, digit| value * 16 + char::from(*digit).to_digit(16).unwrap_or(0));
        self.rest = rest;
        self.hex(value as u8);
    }

    fn quoted(&mut self) {
        while !self.rest.is_empty() && !self.rest.starts_with(b"\\E") {
            if let Some(byte) = self.next() {
                self.hex(byte);
            }
        }
    }

    fn class(&mut self) {
        self.out.push('[');
        if self.rest.first() == Some(&b'^') {
            self.next();
            self.out.push('^');
        }
        let mut is_first = true;
        let mut after_set = false;
        while let Some(byte) = self.next() {
            let was_set = std::mem::take(&mut after_set);
            match byte {
                b']' if !is_first => break,
                b']' => self.out.push_str("\\]"),
                b'[' if self.rest.first() == Some(&b':') => after_set = self.posix(),
                b'[' | b'&' | b'~' => self.hex(byte),
                b'-' if was_set || is_first || self.rest.first() == Some(&b']') || self.set_follows() => {
                    self.out.push_str("\\-")
                }
                b'\\' => {
                    after_set = self.set_starts();
                    self.escape(true);
                }
                b' ' | b'#' => self.hex(byte),
                byte => self.literal(byte),
            }
            is_first = false;
        }
        self.out.push(']');
    }

    fn set_starts(&self) -> bool {
        matches!(self.rest.first(), Some(b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'v'))
    }

    fn set_follows(&self) -> bool {
        matches!(self.rest, [b'\\', b'd' | b'D' | b'w' | b'W' | b's' | b'S' | b'h' | b'v', ..] | [b'[', b':', ..])
    }

    /// Copies `[:name:]`; a `[:` that is no such class is two bytes.
    fn posix(&mut self) -> bool {
        let name = self.rest.get(1..).unwrap_or_default();
        let length = name.iter().take_while(|byte| byte.is_ascii_alphabetic() || **byte == b'^').count();
        if !name.get(length..).is_some_and(|after| after.starts_with(b":]")) {
            self.hex(b'[');
            return false;
        }
        self.out.push('[');
        for _ in 0..length + 3 {
            if let Some(byte) = self.next() {
                self.literal(byte);
            }
        }
        true
    }
}

/// Tells whether what follows `{` is `n}`, `n,}` or `n,m}`.
fn is_quantifier(rest: &[u8]) -> bool {
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let low = digits(rest);
    let after = rest.get(low..).unwrap_or_default();
    low > 0
        && match after.split_first() {
            Some((b'}', _)) => true,
            Some((b',', high)) => high.get(digits(high)) == Some(&b'}'),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pcre(pattern: &str) -> Pcre {
        Pcre { pattern: pattern.into(), ..Pcre::default() }
    }

    fn finds(pattern: &str, data: &[u8]) -> bool {
        let expression = Expression::new(pcre(pattern));
        assert!(expression.regex().is_some(), "{pattern} becomes {}", translate(pattern, false, false));
        expression.find(data, 0).is_ok_and(|found| found.is_some())
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

    #[test]
    fn catastrophic_patterns_end() {
        let data = vec![b'a'; 4000];
        assert!(!finds(r"^(a+)+$b\1", &data));
    }

    #[test]
    fn an_anchored_search_begins_where_it_is_told() {
        let relative = Expression::new(Pcre { relative: true, ..pcre("^b") });
        assert_eq!(relative.find(&b"ab"[1..], 0), Ok(Some(Span { start: 0, end: 1 })));
    }

    proptest::proptest! {
        #[test]
        fn any_pattern_is_safe(pattern in "[\\\\\\[\\](){}^$*+?|a-c0-3:.,#&~ -]{0,30}", data: Vec<u8>) {
            let _ = Expression::new(pcre(&pattern)).find(&data, 0);
        }
    }
}
