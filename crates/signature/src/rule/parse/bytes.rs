//! Keywords that read numbers out of bytes: byte_test, byte_jump, byte_extract, byte_math, isdataat, base64_decode.

use super::content::operand;
use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::numbers::compare;
use super::options::{negation, parts, unquoted, whole, RuleOption};
use crate::protocol::Protocol;
use crate::rule::{
    Base, ByteExtract, ByteJump, ByteMath, ByteOperator, ByteOrder, ByteTest, Match, MathOperator, Operand,
};

/// Most bytes of a binary number.
const MAX_BINARY: i64 = 8;
/// Most characters of a number written out.
const MAX_TEXT: i64 = 23;
/// Farthest offset.
const FAR: i64 = 65_535;

/// What the byte keywords have in common.
#[derive(Default)]
struct Reading {
    relative: bool,
    order: Option<ByteOrder>,
    is_text: bool,
    base: Option<Base>,
    mask: Option<u64>,
}

impl Reading {
    /// Takes a word that all byte keywords know; false if it is another.
    fn take(&mut self, word: &str) -> Result<bool> {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "relative" => self.relative = true,
            "big" => self.set_order(ByteOrder::Big)?,
            "little" => self.set_order(ByteOrder::Little)?,
            "dce" => self.set_order(ByteOrder::Dce)?,
            "endian" => return self.take(value.trim()),
            "string" if value.is_empty() => self.is_text = true,
            "string" => {
                self.is_text = true;
                return self.take(value.trim());
            }
            "hex" => self.base = Some(Base::Hexadecimal),
            "dec" => self.base = Some(Base::Decimal),
            "oct" => self.base = Some(Base::Octal),
            "bitmask" => {
                let mask = u64::from_str_radix(value.trim().trim_start_matches("0x").trim_start_matches("0X"), 16);
                self.mask = Some(mask.map_err(|_| fault(format!("the bitmask is {value:.40}"), "write bitmask 0x7f"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn set_order(&mut self, order: ByteOrder) -> Result<()> {
        if self.order.replace(order).is_some_and(|before| before != order) {
            return refuse("the order of bytes is given twice", "write one of big, little and dce");
        }
        Ok(())
    }

    fn order(&self) -> ByteOrder {
        self.order.unwrap_or(ByteOrder::Big)
    }

    fn text(&self) -> Option<Base> {
        self.is_text.then(|| self.base.unwrap_or(Base::Detect))
    }

    /// Refuses what contradicts itself, and says that `dce` belongs to DCERPC.
    fn check(&self, draft: &mut Draft<'_, '_>, bytes: Operand) -> Result<()> {
        if self.order == Some(ByteOrder::Dce) {
            draft.require_protocols(&[Protocol::Dcerpc, Protocol::Smb])?;
            if self.is_text {
                return refuse("dce stands beside string", "leave one of them out");
            }
        }
        if self.base.is_some() && !self.is_text {
            return refuse("a base is given for a binary number", "write string before hex, dec or oct");
        }
        let most = if self.is_text { MAX_TEXT } else { MAX_BINARY };
        match bytes {
            Operand::Value(bytes) if bytes > most => {
                refuse(format!("a number of {bytes} bytes is too long"), format!("read at most {most} bytes"))
            }
            _ => Ok(()),
        }
    }
}

fn unknown<T>(option: &RuleOption<'_>, word: &str) -> Result<T> {
    refuse(format!("{} does not know {word:.40?}", option.keyword), "see the keyword in Suricata's user guide")
}

/// Returns the next part of a value.
fn next<'a>(words: &mut impl Iterator<Item = &'a str>, option: &RuleOption<'_>, what: &str) -> Result<&'a str> {
    let word = words.next().filter(|word| !word.is_empty());
    word.ok_or_else(|| fault(format!("{} has no {what}", option.keyword), "see the keyword in Suricata's user guide"))
}

/// Reads `byte_test:BYTES,[!]OPERATOR,VALUE,OFFSET[,...]`.
pub(super) fn byte_test(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let bytes = operand(draft, next(&mut words, option, "number of bytes")?, 0, MAX_TEXT)?;
    let (negated, operator) = negation(next(&mut words, option, "operator")?);
    let operator = byte_operator(operator)?;
    let value = test_value(draft, next(&mut words, option, "value")?)?;
    let offset = operand(draft, next(&mut words, option, "offset")?, -FAR, FAR)?;
    let mut reading = Reading::default();
    for word in words {
        if !reading.take(word)? {
            return unknown(option, word);
        }
    }
    reading.check(draft, bytes)?;
    let (relative, order, text, mask) = (reading.relative, reading.order(), reading.text(), reading.mask);
    let test = ByteTest { bytes, operator, negated, value, offset, relative, order, text, mask };
    let relative = test.relative;
    draft.test_on(Match::ByteTest(test), relative)
}

/// Reads a number of up to 64 bits, which is kept as its bits, or a variable.
fn test_value(draft: &Draft<'_, '_>, text: &str) -> Result<Operand> {
    match whole::<u64>(text) {
        Some(number) => Ok(Operand::Value(number as i64)),
        None => operand(draft, text, i64::MIN, i64::MAX),
    }
}

fn byte_operator(text: &str) -> Result<ByteOperator> {
    Ok(match text {
        "<" => ByteOperator::Less,
        "<=" => ByteOperator::LessOrEqual,
        ">" => ByteOperator::Greater,
        ">=" => ByteOperator::GreaterOrEqual,
        "=" | "" => ByteOperator::Equal,
        "&" => ByteOperator::And,
        "^" => ByteOperator::Or,
        _ => return refuse(format!("{text:.10?} compares nothing"), "write one of < <= > >= = & ^"),
    })
}

/// Reads `byte_jump:BYTES,OFFSET[,...]`.
pub(super) fn byte_jump(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let bytes = operand(draft, next(&mut words, option, "number of bytes")?, 0, MAX_TEXT)?;
    let offset = operand(draft, next(&mut words, option, "offset")?, -FAR, FAR)?;
    let mut reading = Reading::default();
    let mut jump = ByteJump {
        bytes,
        offset,
        relative: false,
        multiplier: 1,
        order: ByteOrder::Big,
        text: None,
        align: false,
        from_beginning: false,
        from_end: false,
        post_offset: Operand::Value(0),
        mask: None,
    };
    for word in words {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "multiplier" => jump.multiplier = multiplier(value)?,
            "align" => jump.align = true,
            "from_beginning" => jump.from_beginning = true,
            "from_end" => jump.from_end = true,
            "post_offset" => jump.post_offset = operand(draft, value, -FAR, FAR)?,
            _ if reading.take(word)? => {}
            _ => return unknown(option, word),
        }
    }
    if jump.from_beginning && jump.from_end {
        return refuse("byte_jump says from_beginning and from_end", "leave one of them out");
    }
    reading.check(draft, bytes)?;
    (jump.relative, jump.order, jump.text, jump.mask) =
        (reading.relative, reading.order(), reading.text(), reading.mask);
    let relative = jump.relative;
    draft.test_on(Match::ByteJump(jump), relative)
}

fn multiplier(value: &str) -> Result<u16> {
    let number = whole(value).filter(|number| *number > 0);
    number.ok_or_else(|| fault(format!("the multiplier is {value:.20}"), "write a number from 1 to 65535"))
}

/// Reads `byte_extract:BYTES,OFFSET,NAME[,...]`.
pub(super) fn byte_extract(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut words = parts(unquoted(option.needed()?));
    let bytes = literal(next(&mut words, option, "number of bytes")?, 1, MAX_TEXT)?;
    let offset = literal(next(&mut words, option, "offset")?, -FAR, FAR)?;
    let name = variable_name(next(&mut words, option, "name of a variable")?)?;
    let (mut reading, mut times, mut align) = (Reading::default(), 1, 0);
    for word in words {
        let (keyword, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match keyword {
            "multiplier" => times = multiplier(value)?,
            "align" => align = literal(value, 2, 4)? as u8,
            _ if reading.take(word)? => {}
            _ => return unknown(option, word),
        }
    }
    reading.check(draft, Operand::Value(bytes))?;
    let (relative, order, text, mask) = (reading.relative, reading.order(), reading.text(), reading.mask);
    let (bytes, variable, multiplier) = (bytes as u8, draft.define(name)?, times);
    let extract = ByteExtract { bytes, offset, variable, relative, multiplier, order, text, align, mask };
    let relative = extract.relative;
    draft.test_on(Match::ByteExtract(extract), relative)
}

fn variable_name(name: &str) -> Result<&str> {
    if name.starts_with(|first: char| first.is_ascii_digit() || first == '-') {
        return refuse(format!("{name:.40?} is no name of a variable"), "begin the name with a letter");
    }
    Ok(name)
}

pub(super) fn literal(text: &str, least: i64, most: i64) -> Result<i64> {
    let number = text.trim().parse().ok().filter(|number| (least..=most).contains(number));
    number
        .ok_or_else(|| fault(format!("{text:.40?} is out of range"), format!("write a number from {least} to {most}")))
}

/// Reads `byte_math:bytes N, offset N, oper O, rvalue N, result NAME[,...]`.
pub(super) fn byte_math(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let mut reading = Reading::default();
    let (mut bytes, mut offset, mut operator, mut value, mut result) = (None, None, None, None, None);
    for word in parts(unquoted(option.needed()?)) {
        let (name, rest) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let rest = rest.trim();
        match name {
            "bytes" => bytes = Some(operand(draft, rest, 1, 10)?),
            "offset" => offset = Some(literal(rest, -FAR, FAR)?),
            "oper" => operator = Some(math_operator(rest)?),
            "rvalue" => value = Some(math_value(draft, rest)?),
            "result" => result = Some(variable_name(rest)?),
            _ if reading.take(word)? => {}
            _ => return unknown(option, word),
        }
    }
    let (Some(bytes), Some(offset), Some(operator), Some(value), Some(result)) =
        (bytes, offset, operator, value, result)
    else {
        return refuse("byte_math lacks something", "write bytes, offset, oper, rvalue and result");
    };
    reading.check(draft, bytes)?;
    let (relative, order, text, mask) = (reading.relative, reading.order(), reading.text(), reading.mask);
    let result = draft.define(result)?;
    let math = ByteMath { bytes, offset, operator, value, result, relative, order, text, mask };
    draft.test_on(Match::ByteMath(math), relative)
}

fn math_value(draft: &Draft<'_, '_>, text: &str) -> Result<Operand> {
    match whole::<u32>(text) {
        Some(0) => refuse("rvalue is 0", "write a number from 1 on, or a variable"),
        Some(number) => Ok(Operand::Value(i64::from(number))),
        None => operand(draft, text, 1, i64::from(u32::MAX)),
    }
}

fn math_operator(text: &str) -> Result<MathOperator> {
    Ok(match text {
        "+" => MathOperator::Add,
        "-" => MathOperator::Subtract,
        "*" => MathOperator::Multiply,
        "/" => MathOperator::Divide,
        "<<" => MathOperator::ShiftLeft,
        ">>" => MathOperator::ShiftRight,
        _ => return refuse(format!("{text:.10?} computes nothing"), "write one of + - * / << >>"),
    })
}

/// Reads `isdataat:[!]POSITION[,relative][,rawbytes]`.
pub(super) fn isdataat(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (negated, value) = negation(unquoted(option.needed()?));
    let mut words = parts(value);
    let at = operand(draft, next(&mut words, option, "position")?, 0, FAR)?;
    let mut relative = false;
    for word in words {
        match word {
            "relative" => relative = true,
            "rawbytes" => {}
            _ => return unknown(option, word),
        }
    }
    // "Nothing after it" says where a content lies, be it wanted there or not.
    if negated && relative && matches!(at, Operand::Value(1)) && draft.end_last_content() {
        return Ok(());
    }
    draft.test_on(Match::IsDataAt { at, relative, negated }, relative)
}

/// Reads `base64_decode[:bytes N][, offset N][, relative]`.
pub(super) fn base64_decode(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (mut bytes, mut offset, mut relative) = (None, 0, false);
    for word in parts(option.value.map_or("", unquoted)).filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "bytes" => bytes = Some(operand(draft, value, 1, i64::from(u32::MAX))?),
            "offset" => offset = literal(value, 0, i64::from(u32::MAX))? as u32,
            "relative" => relative = true,
            _ => return unknown(option, word),
        }
    }
    draft.test_on(Match::Base64 { bytes, offset, relative, matches: Vec::new() }, relative)
}

/// Reads `bsize:COMPARISON`.
pub(super) fn bsize(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    if draft.is_payload() {
        return refuse("bsize has no buffer before it", "write it after the name of a buffer");
    }
    let size = compare(unquoted(option.needed()?), u64::MAX)?;
    draft.test(Match::Bsize(size))
}
