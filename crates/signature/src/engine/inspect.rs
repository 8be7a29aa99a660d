//! The tests of a rule on one buffer, tried from left to right with a cursor and steps back (Suricata User Guide, "Payload Keywords").

use std::cell::Cell;

use crate::regex::{Budget, Expression, GivenUp};
use crate::rule::{
    self, ByteExtract, ByteJump, ByteMath, ByteOperator, ByteTest, Compare, Content, DatasetTest, Match, MathOperator,
    Operand,
};

use super::base64;
use super::dataset;
use super::number::{self, Format};
use super::search::Needle;

/// Steps that the tests of one rule may take on one buffer; Suricata's own limit of recursion.
const MAX_STEPS: u32 = 3000;
/// Variables of a rule.
pub const MAX_VARIABLES: usize = 16;

/// Values that `byte_extract` and `byte_math` have read.
pub type Variables = [u64; MAX_VARIABLES];

/// The tests on one buffer.
#[derive(Debug, Default)]
pub struct Tests {
    tests: Vec<Check>,
    /// Where an expression is among them, whose search may take long: contents that must occur anyway.
    needed: Vec<Needle>,
    /// Whether they hold where there is no buffer at all (`absent`).
    pub on_absent: bool,
}

#[derive(Debug)]
enum Check {
    Content(Box<ContentTest>),
    Regex { expression: Box<Expression>, retry: bool },
    DataAt { at: Operand, relative: bool, negated: bool },
    ByteTest(Box<ByteTest>),
    ByteJump(Box<ByteJump>),
    ByteExtract(Box<ByteExtract>),
    ByteMath(Box<ByteMath>),
    Size(Compare),
    Base64 { bytes: Option<Operand>, offset: u32, relative: bool, tests: Tests },
    Absent { or_else: bool },
    Dataset(DatasetTest),
    Entropy { bytes: u32, offset: u32, compare: Compare },
}

#[derive(Debug)]
struct ContentTest {
    needle: Needle,
    negated: bool,
    relative: bool,
    offset: Option<Operand>,
    depth: Option<Operand>,
    distance: Option<Operand>,
    within: Option<Operand>,
    ends_with: bool,
    /// Whether another occurrence may help, since what follows depends on where this one lies.
    retry: bool,
}

/// A buffer that is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Buffer<'a> {
    pub data: &'a [u8],
    /// Byte of the whole at which `data` begins; absolute positions count from the whole's beginning.
    pub offset: u64,
    /// Whether numbers of DCERPC are little-endian here.
    pub little: bool,
    /// Whether more data may follow (a body that is still arriving), which decides what "end" means.
    pub open: bool,
}

impl<'a> Buffer<'a> {
    /// Returns a complete buffer.
    pub fn whole(data: &'a [u8]) -> Buffer<'a> {
        Buffer { data, offset: 0, little: false, open: false }
    }
}

/// What a named group of an expression has captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    pub name: Box<str>,
    pub value: Box<[u8]>,
}

/// What the tests changed and found besides holding.
#[derive(Debug, Default)]
pub struct Findings<'a> {
    pub variables: Variables,
    /// Where the last match ended, for telling new matches from old ones.
    pub end: usize,
    pub captures: Vec<Capture>,
    steps: u32,
    budget: Budget,
    /// Counts how often the tests of a buffer ended for having taken as much as they may.
    pub given_up: Option<&'a Cell<u64>>,
}

impl<'a> Findings<'a> {
    /// Begins a trial that counts what is given up.
    pub fn counting(given_up: &'a Cell<u64>) -> Findings<'a> {
        Findings { given_up: Some(given_up), ..Findings::default() }
    }

    /// Tells whether the tests have taken as much as they may.
    fn are_spent(&self) -> bool {
        self.steps > MAX_STEPS || self.budget.is_spent()
    }
}

/// Counts one more of what is given up.
pub fn count(given_up: Option<&Cell<u64>>) {
    if let Some(given_up) = given_up {
        given_up.set(given_up.get() + 1);
    }
}

impl Tests {
    /// Prepares the tests of a rule on one buffer.
    pub fn new(matches: &[Match]) -> Tests {
        let tests = matches.iter().enumerate().map(|(at, test)| Check::new(test, is_followed(matches, at))).collect();
        let on_absent = matches.iter().any(|test| matches!(test, Match::Absent { .. }));
        Tests { tests, needed: needed(matches), on_absent }
    }

    /// Tells whether there is nothing to be tested.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// Tells whether a buffer passes.
    pub fn hold(&self, buffer: Buffer<'_>, findings: &mut Findings) -> bool {
        findings.steps = 0;
        findings.budget = Budget::default();
        findings.end = 0;
        let holds = self.pass(buffer, findings);
        if !holds && findings.are_spent() {
            count(findings.given_up);
        }
        holds
    }

    fn pass(&self, buffer: Buffer<'_>, findings: &mut Findings) -> bool {
        self.needed.iter().all(|needle| needle.find(buffer.data).is_some())
            && Inspection { buffer, findings }.from(&self.tests, 0)
    }
}

/// Returns the contents behind the first expression, which must occur wherever that is found.
fn needed(matches: &[Match]) -> Vec<Needle> {
    let behind = matches.iter().skip_while(|test| !matches!(test, Match::Pcre(_)));
    let contents = behind.filter_map(|test| match test {
        Match::Content(content) if !content.negated => Some(Needle::new(&content.bytes, content.nocase)),
        _ => None,
    });
    contents.collect()
}

/// Tells whether a test after this one depends on where this one leaves the cursor.
fn is_followed(matches: &[Match], at: usize) -> bool {
    for test in matches.iter().skip(at + 1) {
        match test {
            Match::Content(content) if content.distance.is_some() || content.within.is_some() => return true,
            Match::Content(content) if content.negated => {}
            Match::Content(_) => return false,
            Match::Pcre(pcre) => return pcre.relative,
            Match::IsDataAt { relative, .. } if *relative => return true,
            Match::ByteTest(test) if test.relative => return true,
            Match::ByteJump(jump) => return jump.relative,
            Match::ByteExtract(extract) => return extract.relative,
            Match::ByteMath(math) => return math.relative,
            Match::Base64 { relative, .. } if *relative => return true,
            _ => {}
        }
    }
    false
}

impl Check {
    fn new(test: &Match, retry: bool) -> Check {
        match test {
            Match::Content(content) => Check::Content(Box::new(ContentTest::new(content, retry))),
            Match::Pcre(pcre) => Check::Regex { expression: Box::new(Expression::new(pcre.clone())), retry },
            Match::IsDataAt { at, relative, negated } => {
                Check::DataAt { at: *at, relative: *relative, negated: *negated }
            }
            Match::ByteTest(test) => Check::ByteTest(Box::new(test.clone())),
            Match::ByteJump(jump) => Check::ByteJump(Box::new(jump.clone())),
            Match::ByteExtract(extract) => Check::ByteExtract(Box::new(extract.clone())),
            Match::ByteMath(math) => Check::ByteMath(Box::new(math.clone())),
            Match::Bsize(compare) => Check::Size(compare.clone()),
            Match::Base64 { bytes, offset, relative, matches } => {
                Check::Base64 { bytes: *bytes, offset: *offset, relative: *relative, tests: Tests::new(matches) }
            }
            Match::Absent { or_else } => Check::Absent { or_else: *or_else },
            Match::Dataset(dataset) => Check::Dataset(dataset.clone()),
            Match::Entropy { bytes, offset, compare } => {
                Check::Entropy { bytes: *bytes, offset: *offset, compare: compare.clone() }
            }
        }
    }
}

impl ContentTest {
    fn new(content: &Content, retry: bool) -> ContentTest {
        ContentTest {
            needle: Needle::new(&content.bytes, content.nocase),
            negated: content.negated,
            relative: content.distance.is_some() || content.within.is_some(),
            offset: content.offset.or(content.startswith.then_some(Operand::Value(0))),
            depth: content.depth.or(content.startswith.then_some(Operand::Value(content.bytes.len() as i64))),
            distance: content.distance,
            within: content.within,
            ends_with: content.endswith,
            retry,
        }
    }
}

struct Inspection<'a, 'f, 'c> {
    buffer: Buffer<'a>,
    findings: &'f mut Findings<'c>,
}

impl Inspection<'_, '_, '_> {
    /// Tells whether the tests hold from here on; the cursor is a position in the data.
    fn from(&mut self, tests: &[Check], cursor: usize) -> bool {
        self.findings.steps += 1;
        if self.findings.are_spent() {
            return false;
        }
        let Some((test, rest)) = tests.split_first() else { return true };
        match test {
            Check::Content(content) => self.content(content, rest, cursor),
            Check::Regex { expression, retry } => self.regex(expression, *retry, rest, cursor),
            Check::DataAt { at, relative, negated } => {
                let reached = self.data_at(*at, *relative, cursor);
                // That there is so much may be what is new.
                self.findings.end = self.findings.end.max(reached.filter(|_| !negated).unwrap_or(0));
                reached.is_some() != *negated && self.from(rest, cursor)
            }
            Check::ByteTest(test) => self.byte_test(test, cursor) && self.from(rest, cursor),
            Check::ByteJump(jump) => self.byte_jump(jump, cursor).is_some_and(|cursor| self.from(rest, cursor)),
            Check::ByteExtract(extract) => {
                self.byte_extract(extract, cursor).is_some_and(|cursor| self.from(rest, cursor))
            }
            Check::ByteMath(math) => self.byte_math(math, cursor).is_some_and(|cursor| self.from(rest, cursor)),
            Check::Size(compare) => {
                !self.buffer.open
                    && compare.holds(self.buffer.offset + self.data().len() as u64)
                    && self.from(rest, cursor)
            }
            Check::Base64 { bytes, offset, relative, tests } => {
                self.base64(*bytes, *offset, *relative, tests, cursor) && self.from(rest, cursor)
            }
            Check::Absent { or_else } => *or_else && self.from(rest, cursor),
            Check::Dataset(test) => !self.buffer.open && dataset::holds(test, self.data()) && self.from(rest, cursor),
            Check::Entropy { bytes, offset, compare } => {
                self.entropy(*bytes, *offset).is_some_and(|value| compare.holds(value)) && self.from(rest, cursor)
            }
        }
    }

    #[inline]
    fn data(&self) -> &[u8] {
        self.buffer.data
    }

    fn value(&self, operand: Operand) -> i64 {
        match operand {
            Operand::Value(value) => value,
            Operand::Variable(index) => self.findings.variables.get(usize::from(index)).copied().unwrap_or(0) as i64,
        }
    }

    /// Turns a position of the whole into one of the data.
    fn absolute(&self, position: i64) -> i64 {
        position - self.buffer.offset as i64
    }

    fn content(&mut self, content: &ContentTest, rest: &[Check], cursor: usize) -> bool {
        let Some((mut from, to)) = self.range(content, cursor) else {
            return content.negated && self.from(rest, cursor);
        };
        loop {
            let data = self.buffer.data;
            let found = data.get(from..to).and_then(|searched| content.find(searched, to == data.len()));
            if self.findings.budget.spend(found.unwrap_or(to.saturating_sub(from))).is_err() {
                return false;
            }
            let Some(at) = found.map(|at| at + from) else {
                return content.negated && self.from(rest, cursor);
            };
            if content.negated {
                return false;
            }
            let end = at + content.needle.len();
            let before = self.findings.end;
            self.findings.end = before.max(end);
            if self.from(rest, end) {
                return true;
            }
            self.findings.end = before;
            if !content.retry || self.findings.are_spent() {
                return false;
            }
            from = at + 1;
        }
    }

    /// Returns where a content may lie, or None if nowhere.
    fn range(&self, content: &ContentTest, cursor: usize) -> Option<(usize, usize)> {
        let length = self.data().len() as i64;
        let (mut from, mut to) = (0, length);
        if content.relative {
            let distance = content.distance.map_or(0, |distance| self.value(distance));
            from = cursor as i64 + distance;
            if let Some(within) = content.within {
                to = to.min(cursor as i64 + distance + self.value(within));
            }
        }
        let offset = content.offset.map_or(0, |offset| self.value(offset));
        if content.offset.is_some() {
            from = from.max(self.absolute(offset));
        }
        if let Some(depth) = content.depth {
            to = to.min(self.absolute(offset.max(0) + self.value(depth)));
        }
        let from = from.max(0);
        (from < to).then_some((from as usize, to as usize))
    }

    fn regex(&mut self, expression: &Expression, retry: bool, rest: &[Check], cursor: usize) -> bool {
        let start = if expression.pcre.relative { cursor.min(self.data().len()) } else { 0 };
        let data = self.buffer.data.get(start..).unwrap_or_default();
        let mut from = 0;
        loop {
            let Ok(found) = expression.find(data, from, &mut self.findings.budget) else { return false };
            let Some(span) = found else {
                return expression.pcre.negated && self.from(rest, cursor);
            };
            if expression.pcre.negated {
                return false;
            }
            let end = start + span.end;
            self.findings.end = self.findings.end.max(end);
            if self.from(rest, end) {
                return self.capture(expression, data, span.start).is_ok();
            }
            from = span.start + 1;
            if !retry || from > data.len() || self.findings.are_spent() {
                return false;
            }
        }
    }

    /// Notes what the named groups of the match at a position hold.
    fn capture(&mut self, expression: &Expression, data: &[u8], at: usize) -> Result<(), GivenUp> {
        if expression.pcre.captures.is_empty() {
            return Ok(());
        }
        let groups = expression.groups(data, at, &mut self.findings.budget)?;
        for (name, group) in expression.pcre.captures.iter().zip(groups.into_iter().skip(1)) {
            let name = name.split_once(':').map_or(&**name, |(_, name)| name).into();
            let value = group.and_then(|group| data.get(group.start..group.end));
            self.findings.captures.extend(value.map(|value| Capture { name, value: value.into() }));
        }
        Ok(())
    }

    /// Returns where data ends that reaches as far as is asked for; none if there is not so much.
    fn data_at(&self, at: Operand, relative: bool, cursor: usize) -> Option<usize> {
        let at = self.value(at);
        let end = if relative { cursor as i64 + at } else { self.absolute(at) + 1 };
        (end <= self.data().len() as i64).then(|| usize::try_from(end).unwrap_or(0))
    }

    /// Returns where a number lies.
    fn position(&self, offset: i64, relative: bool, cursor: usize) -> Option<usize> {
        let at = if relative { cursor as i64 + offset } else { self.absolute(offset) };
        usize::try_from(at).ok()
    }

    fn length(&self, bytes: Operand) -> usize {
        usize::try_from(self.value(bytes)).unwrap_or(0)
    }

    fn byte_test(&self, test: &ByteTest, cursor: usize) -> bool {
        let format = Format { order: test.order, text: test.text, mask: test.mask };
        let at = self.position(self.value(test.offset), test.relative, cursor);
        let read = at.and_then(|at| number::read(self.data(), at, self.length(test.bytes), format, self.buffer.little));
        let Some((value, _)) = read else { return false };
        let wanted = self.value(test.value) as u64;
        let holds = match test.operator {
            ByteOperator::Less => value < wanted,
            ByteOperator::LessOrEqual => value <= wanted,
            ByteOperator::Greater => value > wanted,
            ByteOperator::GreaterOrEqual => value >= wanted,
            ByteOperator::Equal => value == wanted,
            ByteOperator::And => value & wanted != 0,
            ByteOperator::Or => value ^ wanted != 0,
        };
        holds != test.negated
    }

    fn byte_jump(&self, jump: &ByteJump, cursor: usize) -> Option<usize> {
        let format = Format { order: jump.order, text: jump.text, mask: jump.mask };
        let at = self.position(self.value(jump.offset), jump.relative, cursor)?;
        let length = self.length(jump.bytes);
        let (value, used) = match length {
            0 => (0, 0),
            _ => number::read(self.data(), at, length, format, self.buffer.little)?,
        };
        let mut distance = i64::try_from(value).ok()?.checked_mul(i64::from(jump.multiplier.max(1)))?;
        if jump.align && distance % 4 != 0 {
            distance = distance.checked_add(4 - distance % 4)?;
        }
        let distance = distance.checked_add(self.value(jump.post_offset))?;
        let base = if jump.from_beginning {
            0
        } else if jump.from_end {
            self.data().len() as i64
        } else {
            (at + used) as i64
        };
        let target = usize::try_from(base.checked_add(distance)?).ok()?;
        (target < self.data().len()).then_some(target)
    }

    fn byte_extract(&mut self, extract: &ByteExtract, cursor: usize) -> Option<usize> {
        let format = Format { order: extract.order, text: extract.text, mask: extract.mask };
        let at = self.position(extract.offset, extract.relative, cursor)?;
        let length = usize::from(extract.bytes);
        let (value, used) = number::read(self.data(), at, length, format, self.buffer.little)?;
        let value = value.wrapping_mul(u64::from(extract.multiplier.max(1)));
        let value = match u64::from(extract.align) {
            0 => value,
            align => value.checked_next_multiple_of(align)?,
        };
        self.store(extract.variable, value);
        Some(at + used)
    }

    fn byte_math(&mut self, math: &ByteMath, cursor: usize) -> Option<usize> {
        let format = Format { order: math.order, text: math.text, mask: None };
        let at = self.position(math.offset, math.relative, cursor)?;
        let length = self.length(math.bytes);
        let (value, used) = number::read(self.data(), at, length, format, self.buffer.little)?;
        let right = self.value(math.value) as u64;
        let result = match math.operator {
            MathOperator::Add => value.wrapping_add(right),
            MathOperator::Subtract => value.wrapping_sub(right),
            MathOperator::Multiply => value.wrapping_mul(right),
            MathOperator::Divide => value.checked_div(right)?,
            MathOperator::ShiftLeft => value.checked_shl(right as u32).unwrap_or(0),
            MathOperator::ShiftRight => value.checked_shr(right as u32).unwrap_or(0),
        };
        let result = match math.mask {
            Some(mask) if mask != 0 => (result & mask) >> mask.trailing_zeros(),
            _ => result,
        };
        self.store(math.result, result);
        Some(at + used)
    }

    fn store(&mut self, variable: u8, value: u64) {
        if let Some(slot) = self.findings.variables.get_mut(usize::from(variable)) {
            *slot = value;
        }
    }

    fn base64(&mut self, bytes: Option<Operand>, offset: u32, relative: bool, tests: &Tests, cursor: usize) -> bool {
        let from = offset as usize + if relative { cursor } else { 0 };
        let Some(encoded) = self.buffer.data.get(from..) else { return false };
        let limit = bytes.map_or(encoded.len(), |bytes| self.length(bytes).min(encoded.len()));
        let decoded = base64::decode(encoded.get(..limit).unwrap_or(encoded), rule::Base64Mode::Rfc4648);
        if self.findings.budget.spend(limit).is_err() || decoded.is_empty() {
            return false;
        }
        tests.is_empty() || {
            let Findings { variables, steps, budget, .. } = *self.findings;
            let mut inner = Findings { variables, steps, budget, ..Findings::default() };
            let holds = tests.pass(Buffer::whole(&decoded), &mut inner);
            (self.findings.steps, self.findings.budget) = (inner.steps, inner.budget);
            holds
        }
    }

    /// Returns the entropy (Shannon) of some bytes in thousandths of a bit.
    fn entropy(&self, bytes: u32, offset: u32) -> Option<u64> {
        let data = self.data().get(offset as usize..)?;
        let data = if bytes == 0 { data } else { data.get(..(bytes as usize).min(data.len()))? };
        let mut counts = [0u32; 256];
        data.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
        let total = data.len() as f64;
        let bits: f64 = counts
            .iter()
            .filter(|count| **count > 0)
            .map(|count| {
                let share = f64::from(*count) / total;
                -share * share.log2()
            })
            .sum();
        Some((bits * 1000.0).round() as u64)
    }
}

impl ContentTest {
    /// Returns where the content lies in what is searched; `reaches_end` says whether that ends with the buffer.
    fn find(&self, searched: &[u8], reaches_end: bool) -> Option<usize> {
        if !self.ends_with {
            return self.needle.find(searched);
        }
        let at = searched.len().checked_sub(self.needle.len())?;
        (reaches_end && self.needle.begins(&searched[at..])).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::parse::{read, Source};
    use crate::settings::Settings;

    /// Tries tests that do not hold; returns their steps, and how often they were given up.
    fn tried(options: &str, data: &[u8]) -> (u32, u64) {
        let text = format!("alert tcp any any -> any any ({options} sid:1;)");
        let parsed = read(&[Source { name: "test", text: text.as_bytes() }], &Settings::default()).unwrap();
        assert_eq!(parsed.refused, []);
        let given_up = Cell::new(0);
        let mut findings = Findings::counting(&given_up);
        assert!(!Tests::new(&parsed.rules[0].payload).hold(Buffer::whole(data), &mut findings));
        (findings.steps, given_up.get())
    }

    #[test]
    fn tests_end_when_they_have_taken_what_they_may() {
        let data = ["c", &"ab".repeat(1 << 15)].concat();
        let encoded = "QUFB".repeat(1 << 14);
        for (options, data) in [
            (r#"content:"a"; content:"b"; distance:0; content:"a"; distance:0; content:"c"; distance:0;"#, &data),
            (r#"pcre:"/a.*b/s"; content:"c"; distance:0;"#, &data),
            (r#"content:"a"; pcre:"/a.*?b/Rs"; pcre:"/a.*c/Rs";"#, &data),
            (r#"content:"a"; pcre:"/^([ab]+)+c\1/R";"#, &data),
            (
                r#"content:"Q"; content:"U"; distance:0; base64_decode:offset 0,relative; base64_data; content:"z";"#,
                &encoded,
            ),
        ] {
            let (steps, given_up) = tried(options, data.as_bytes());
            assert!(steps <= MAX_STEPS + 1, "{options} took {steps} steps");
            assert_eq!(given_up, 1, "{options} did not take all it may");
        }
    }
}
