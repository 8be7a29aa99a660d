//! What a rule does when it matches, and how it is looked for.

use super::draft::Draft;
use super::fault::{refuse, Result};
use super::options::{parts, unquoted, whole, RuleOption};
use crate::rule::{Effect, Match};

pub(super) fn noalert(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.noalert = true;
    Ok(())
}

/// Reads `alert`, which takes a noalert back.
pub(super) fn alert(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.noalert = false;
    Ok(())
}

pub(super) fn bypass(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    draft.rule.effects.push(Effect::Bypass);
    Ok(())
}

pub(super) fn prefilter(draft: &mut Draft<'_, '_>, _: &RuleOption<'_>) -> Result<()> {
    if std::mem::replace(&mut draft.rule.prefilter, true) {
        return refuse("prefilter is given twice", "keep it for one test of the rule");
    }
    if matches!(draft.present().last(), Some(Match::Content(content)) if content.negated) {
        return refuse("prefilter follows a negated content", "write it after a test of what is there");
    }
    let rule = &draft.rule;
    let tests = [
        rule.packet.is_empty(),
        rule.payload.is_empty(),
        rule.buffers.is_empty(),
        rule.numbers.is_empty(),
        rule.events.is_empty(),
        rule.app_protocols.is_empty(),
    ];
    if tests.iter().all(|is_empty| *is_empty) {
        return refuse("prefilter has no test before it", "write it after a test");
    }
    Ok(())
}

/// Reads `tag:session|host[,COUNT,packets|seconds|bytes][,src|dst]`.
pub(super) fn tag(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let words: Vec<&str> = parts(unquoted(option.needed()?)).collect();
    let is_count = |count: &str| whole::<u32>(count).is_some();
    let is_metric = |metric: &str| matches!(metric, "packets" | "seconds" | "bytes");
    let is_well_formed = match *words.as_slice() {
        ["session"] => true,
        ["session" | "host", count, metric] => is_count(count) && is_metric(metric),
        ["session" | "host", count, metric, "src" | "dst"] => is_count(count) && is_metric(metric),
        _ => false,
    };
    if !is_well_formed {
        return refuse(
            format!("tag is {:.60}", words.join(",")),
            "write: tag:session,100,packets or tag:host,60,seconds,src",
        );
    }
    draft.rule.effects.push(Effect::Tag);
    Ok(())
}

/// Reads an option that is known and changes nothing of what a passive reader sees.
pub(super) fn without_effect(_: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    option.needed().map(drop)
}
