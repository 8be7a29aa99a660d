//! From the syntax of PCRE to the one that the parser of expressions reads (PCRE2, "pcre2pattern").

use std::fmt::Write;

/// Writes an expression in the syntax of the parser: what both read alike is kept.
pub fn translate(pattern: &str, multi_line: bool, dollar_end_only: bool) -> String {
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
                // The whole again: to the parser the letter would be an option.
                b'(' if self.rest.starts_with(b"?R)") => {
                    self.rest = self.rest.get(2..).unwrap_or_default();
                    self.out.push_str("(?:\\g<0>");
                }
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
