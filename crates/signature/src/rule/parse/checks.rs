//! What must hold for a rule as a whole.

use super::draft::Draft;
use super::fault::{refuse, Result};
use crate::rule::Rule;

/// Returns the rule of a draft whose options are read.
pub(super) fn finish(mut draft: Draft<'_, '_>) -> Result<Rule> {
    draft.check_selected()?;
    draft.leave_base64();
    let rule = draft.rule;
    if rule.sid == 0 {
        return refuse("the rule has no sid", "write sid:NUMBER;");
    }
    Ok(rule)
}
