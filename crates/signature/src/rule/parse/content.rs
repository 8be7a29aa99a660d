//! `content` and its modifiers (User Guide, "Payload Keywords").

use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::options::{negation, quoted, unquoted, RuleOption};
use crate::rule::{Content, Match, Operand};

/// Bytes of the longest pattern.
const LONGEST: usize = 65_535;
/// Farthest distance, as in Suricata.
const FARTHEST: i64 = 1 << 20;

/// Reads `content:[!]"PATTERN"`.
pub(super) fn content(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let content = pattern(option.needed()?)?;
    draft.test(Match::Content(content))
}

/// Reads a pattern with its negation.
pub(super) fn pattern(value: &str) -> Result<Content> {
    let (negated, value) = negation(value);
    let bytes = bytes(quoted(value)?)?;
    if bytes.is_empty() || bytes.len() > LONGEST {
        return refuse(format!("a content has {} bytes", bytes.len()), format!("write from 1 to {LONGEST} bytes"));
    }
    Ok(literal(bytes, negated))
}

/// Returns a content without modifiers.
pub(super) fn literal(bytes: Vec<u8>, negated: bool) -> Content {
    Content {
        bytes: bytes.into(),
        negated,
        nocase: false,
        offset: None,
        depth: None,
        distance: None,
        within: None,
        startswith: false,
        endswith: false,
        fast_pattern: false,
        fast_pattern_only: false,
        fast_pattern_chop: None,
        rawbytes: false,
    }
}

/// Reads text in which `|41 42|` are bytes in hexadecimal and a backslash escapes.
fn bytes(text: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.split_first()) {
            (b'|', _) => {
                let end = memchr::memchr(b'|', after);
                let end = end.ok_or_else(|| fault("a hexadecimal part does not end", "close it with |"))?;
                hexadecimal(&after[..end], &mut bytes)?;
                rest = &after[end + 1..];
            }
            (b'\\', Some((&escaped @ (b'"' | b'\\' | b';' | b':'), after))) => {
                bytes.push(escaped);
                rest = after;
            }
            (b'\\', _) => return refuse("a backslash escapes nothing", r#"escape only " \ ; and : or write |5c|"#),
            (b'"', _) => return refuse("a quote stands within a content", r#"write \" or |22|"#),
            _ => bytes.push(byte),
        }
    }
    Ok(bytes)
}

fn hexadecimal(digits: &[u8], bytes: &mut Vec<u8>) -> Result<()> {
    let mut digits = digits.iter().filter(|byte| **byte != b' ');
    let value = |digit: &u8| char::from(*digit).to_digit(16);
    while let Some(high) = digits.next() {
        match (value(high), digits.next().and_then(value)) {
            (Some(high), Some(low)) => bytes.push((high << 4 | low) as u8),
            _ => return refuse("a hexadecimal part is broken", "write pairs of digits: |0d 0a|"),
        }
    }
    Ok(())
}

/// Reads a number or the name of a variable.
pub(super) fn operand(draft: &Draft<'_, '_>, value: &str, least: i64, most: i64) -> Result<Operand> {
    let value = value.trim();
    match value.parse::<i64>() {
        Ok(number) if (least..=most).contains(&number) => Ok(Operand::Value(number)),
        Ok(number) => refuse(format!("{number} is out of range"), format!("write a number from {least} to {most}")),
        Err(_) => {
            let variable = draft.variable(value).map(Operand::Variable);
            variable.ok_or_else(|| {
                let reason = format!("{value:.60?} is neither a number nor a variable");
                fault(reason, "fill the variable with byte_extract or byte_math before")
            })
        }
    }
}

/// Sets what must be set once.
fn set(slot: &mut Option<Operand>, value: Operand, name: &str) -> Result<()> {
    if slot.replace(value).is_some() {
        return refuse(format!("{name} is given twice for a content"), "leave one of them out");
    }
    Ok(())
}

/// Refuses a position that counts from the beginning beside one that counts from the last match.
fn unmixed(content: &Content) -> Result<()> {
    let is_absolute = content.offset.is_some() || content.depth.is_some();
    let is_relative = content.distance.is_some() || content.within.is_some();
    if is_absolute && is_relative {
        return refuse(
            "a content has a position both from the beginning and from the last match",
            "use offset and depth, or distance and within",
        );
    }
    if content.startswith && (is_absolute || is_relative) {
        return refuse("startswith stands beside another position", "leave one of them out");
    }
    let is_placed = is_absolute || is_relative;
    if content.fast_pattern_only && (is_placed || content.negated)
        || content.fast_pattern && is_placed && content.negated
    {
        let reason = "a content of the prefilter is looked for anywhere, and has a position or is negated";
        return refuse(reason, "write fast_pattern for another content, or without :only");
    }
    Ok(())
}

type Slot = fn(&mut Content) -> &mut Option<Operand>;

fn position(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>, least: i64, most: i64, slot: Slot) -> Result<()> {
    let value = operand(draft, unquoted(option.needed()?), least, most)?;
    let content = draft.last_content(option.keyword)?;
    set(slot(content), value, option.keyword)?;
    unmixed(content)
}

pub(super) fn offset(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    position(draft, option, 0, 65_535, |content| &mut content.offset)
}

pub(super) fn depth(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    position(draft, option, 0, 65_535, |content| &mut content.depth)?;
    fits(draft, option, |content| content.depth)
}

pub(super) fn distance(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    position(draft, option, -FARTHEST, FARTHEST, |content| &mut content.distance)?;
    anchored(draft, option)
}

/// Refuses a position that counts from a content which is looked for only in the prefilter.
fn anchored(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    if draft.content_before_last().is_some_and(|before| before.fast_pattern_only) {
        let reason = format!("{} counts from a content with fast_pattern:only", option.keyword);
        return refuse(reason, "write fast_pattern alone for that content");
    }
    Ok(())
}

pub(super) fn within(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    position(draft, option, -FARTHEST, FARTHEST, |content| &mut content.within)?;
    anchored(draft, option)?;
    fits(draft, option, |content| content.within)
}

/// Refuses a room that is smaller than the pattern.
fn fits(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>, room: fn(&Content) -> Option<Operand>) -> Result<()> {
    let content = draft.last_content(option.keyword)?;
    match room(content) {
        Some(Operand::Value(room)) if room < content.bytes.len() as i64 => refuse(
            format!("{} is {room} for a content of {} bytes", option.keyword, content.bytes.len()),
            "give it at least the length of the content",
        ),
        _ => Ok(()),
    }
}

pub(super) fn nocase(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let content = draft.last_content(option.keyword)?;
    if std::mem::replace(&mut content.nocase, true) {
        return refuse("nocase is given twice for a content", "leave one of them out");
    }
    Ok(())
}

pub(super) fn rawbytes(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.last_content(option.keyword)?.rawbytes = true;
    if !draft.is_payload() {
        return refuse("rawbytes stands behind a buffer, which has no other bytes", "leave rawbytes out");
    }
    Ok(())
}

pub(super) fn startswith(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let content = draft.last_content(option.keyword)?;
    if std::mem::replace(&mut content.startswith, true) {
        return refuse("startswith is given twice for a content", "leave one of them out");
    }
    unmixed(content)
}

pub(super) fn endswith(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let content = draft.last_content(option.keyword)?;
    if std::mem::replace(&mut content.endswith, true) {
        return refuse("endswith is given twice for a content", "leave one of them out");
    }
    Ok(())
}

/// Reads `fast_pattern[:only|:offset,length]`.
pub(super) fn fast_pattern(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    if std::mem::replace(&mut draft.given.fast_pattern, true) {
        return refuse("fast_pattern is given twice", "keep it for one content of the rule");
    }
    let content = draft.last_content(option.keyword)?;
    content.fast_pattern = true;
    match option.value {
        None => {}
        Some("only") => content.fast_pattern_only = true,
        Some(chop) => content.fast_pattern_chop = Some(chopped(chop, content.bytes.len())?),
    }
    unmixed(content)
}

fn chopped(value: &str, length: usize) -> Result<(u16, u16)> {
    let numbers = value
        .split_once(',')
        .and_then(|(offset, count)| Some((offset.trim().parse::<u16>().ok()?, count.trim().parse::<u16>().ok()?)));
    match numbers {
        Some((offset, count)) if usize::from(offset) + usize::from(count) <= length => Ok((offset, count)),
        Some(_) => refuse("fast_pattern takes more than the content has", "give offset and length within the content"),
        None => refuse(format!("fast_pattern is {value:.40}"), "write fast_pattern, :only or :offset,length"),
    }
}
