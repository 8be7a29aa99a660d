//! Tests of a buffer or a file as a whole, and those that are known and cannot be run.

use super::bytes::literal;
use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::fields::side;
use super::numbers::{compare, comparison};
use super::options::{parts, unquoted, RuleOption};
use crate::field::{Field, Sent};
use crate::rule::{Compare, FileTest, Match};

pub(super) fn urilen(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (length, kind) = value.split_once(',').unwrap_or((value, "norm"));
    let field = match kind.trim() {
        "norm" => Field::HttpUri,
        "raw" => Field::HttpUriRaw,
        other => return refuse(format!("urilen does not know {other:.20?}"), "write norm or raw"),
    };
    let size = Match::Bsize(compare(length, 65_535)?);
    draft.add(field, size).map(drop)
}

pub(super) fn filesize(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?);
    let (sent, size) = match value.split_once(',') {
        Some((word, size)) => (side(draft, word)?, size),
        None => (Sent::Either, value),
    };
    draft.require_protocols(Field::FileName.protocols())?;
    let compare = compare(size, u64::MAX)?;
    draft.rule.files.push(FileTest::Size { compare, sent });
    Ok(())
}

/// Reads `filestore[:DIRECTION[,SCOPE]]`.
pub(super) fn filestore(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    const KNOWN: &[&str] = &["request", "to_server", "response", "to_client", "both", "file", "tx", "ssn", "flow", ""];
    for word in parts(option.value.map_or("", unquoted)) {
        if !KNOWN.contains(&word) {
            return refuse(format!("filestore does not know {word:.40?}"), "write: filestore:both,flow");
        }
    }
    draft.require_protocols(Field::FileName.protocols())?;
    draft.rule.files.push(FileTest::Any);
    Ok(())
}

/// Reads `absent` and `absent:or_else`.
pub(super) fn absent(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let or_else = match option.value.map(str::trim) {
        None | Some("") => false,
        Some("or_else") => true,
        Some(other) => return refuse(format!("absent is {other:.20?}"), "write absent; or absent:or_else;"),
    };
    if draft.is_payload() {
        return refuse("absent has no buffer before it", "write it right after the name of a buffer");
    }
    let tests = draft.present();
    if !tests.is_empty() {
        return refuse("absent stands after other tests", "write it first after the name of its buffer");
    }
    draft.test(Match::Absent { or_else })
}

/// Reads `entropy:[bytes N,] [offset N,] value COMPARISON`.
pub(super) fn entropy(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let (mut bytes, mut offset, mut value) = (0, 0, None);
    for word in parts(unquoted(option.needed()?)) {
        let (name, rest) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        match name {
            "bytes" => bytes = literal(rest, 0, i64::from(u32::MAX))? as u32,
            "offset" => offset = literal(rest, 0, i64::from(u32::MAX))? as u32,
            "value" => value = Some(thousandths(rest)?),
            _ => return refuse(format!("entropy does not know {word:.40?}"), "write: entropy:value > 4.5"),
        }
    }
    let compare = value.ok_or_else(|| fault("entropy compares nothing", "write: entropy:value > 4.5"))?;
    if draft.is_payload() {
        return refuse("entropy has no buffer before it", "write it after the name of a buffer");
    }
    draft.test(Match::Entropy { bytes, offset, compare })
}

/// Reads a comparison of numbers with decimals as one of their thousandths.
fn thousandths(text: &str) -> Result<Compare> {
    let wrong = || fault(format!("entropy compares {text:.20?}"), "write a comparison of numbers from 0 to 8");
    let mut scaled = String::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|byte: char| !byte.is_ascii_digit() && byte != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        if number.is_empty() {
            let end = after.find(|byte: char| byte.is_ascii_digit()).unwrap_or(after.len());
            scaled.push_str(&after[..end]);
            rest = &after[end..];
        } else {
            let value = number.parse::<f64>().ok().filter(|value| (0.0..=8.0).contains(value)).ok_or_else(wrong)?;
            scaled.push_str(&((value * 1000.0).round() as u64).to_string());
            rest = after;
        }
    }
    comparison(&scaled, 8000).ok_or_else(wrong)
}
