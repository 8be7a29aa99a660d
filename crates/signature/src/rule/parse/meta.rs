//! Options that say what a rule is: msg, sid, classtype, metadata, requires.

use super::draft::Draft;
use super::fault::{fault, refuse, Result};
use super::keywords;
use super::options::{self, parts, unescaped, unquoted, RuleOption};
use crate::rule::Target;

/// The version of Suricata whose language this is.
const VERSION: [u32; 3] = [8, 0, 0];
/// Features that `requires` may ask for.
const FEATURES: &[&str] = &["ja3", "ja4", "lua"];

/// Finds generator, signature and message in options, as far as they can be read.
pub(super) fn identity(body: &str) -> (u32, Option<u32>, Box<str>) {
    let options = options::split(body).unwrap_or_default();
    let value = |keyword: &str| {
        let option = options.iter().find(|option| option.keyword == keyword);
        option.and_then(|option| option.value).map(unquoted)
    };
    let sid = value("sid").and_then(|sid| sid.parse().ok());
    let gid = value("gid").and_then(|gid| gid.parse().ok()).unwrap_or(1);
    (gid, sid, value("msg").map(unescaped).unwrap_or_default())
}

/// Returns a number from 1 on.
fn number(option: &RuleOption<'_>) -> Result<u32> {
    let value = option.needed()?;
    let number = value.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| fault(format!("{} is {value:.40}", option.keyword), "write a number from 1 to 4294967295"))
}

/// Refuses an option that is given twice.
fn once(given: &mut bool, option: &RuleOption<'_>) -> Result<()> {
    if std::mem::replace(given, true) {
        return refuse(format!("{} is given twice", option.keyword), "leave one of them out");
    }
    Ok(())
}

pub(super) fn sid(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    once(&mut draft.given.sid, option)?;
    draft.rule.sid = number(option)?;
    Ok(())
}

pub(super) fn rev(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    once(&mut draft.given.rev, option)?;
    draft.rule.rev = number(option)?;
    Ok(())
}

pub(super) fn gid(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    draft.rule.gid = number(option)?;
    Ok(())
}

pub(super) fn msg(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    once(&mut draft.given.msg, option)?;
    draft.rule.msg = unescaped(unquoted(option.needed()?));
    Ok(())
}

pub(super) fn classtype(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let name = unquoted(option.needed()?).trim();
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
        return refuse(format!("{name:.60?} is no name of a class"), "write letters, digits, - and _");
    }
    let (category, priority) = draft.context.classes.get(name);
    draft.rule.classtype = Some(name.into());
    draft.rule.category = category;
    if !draft.given.priority {
        draft.rule.priority = priority;
    }
    Ok(())
}

pub(super) fn priority(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let value = unquoted(option.needed()?).trim();
    let Ok(priority) = value.parse() else {
        return refuse(format!("priority is {value:.40}"), "write a number from 0 to 255");
    };
    draft.rule.priority = priority;
    draft.given.priority = true;
    Ok(())
}

pub(super) fn reference(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let Some((kind, place)) = unquoted(option.needed()?).split_once(',') else {
        return refuse("a reference has no kind", "write: reference:url,example.com/page;");
    };
    draft.rule.references.push((kind.trim().into(), unescaped(unquoted(place.trim()))));
    Ok(())
}

pub(super) fn metadata(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    for part in parts(unquoted(option.needed()?)).filter(|part| !part.is_empty()) {
        let (key, value) = part.split_once(char::is_whitespace).unwrap_or((part, ""));
        draft.rule.metadata.push((key.into(), unescaped(value.trim())));
    }
    Ok(())
}

pub(super) fn target(draft: &mut Draft<'_, '_>, option: &RuleOption<'_>) -> Result<()> {
    let target = match option.needed()? {
        "src_ip" => Target::Source,
        "dest_ip" => Target::Destination,
        other => return refuse(format!("target is {other:.40}"), "write src_ip or dest_ip"),
    };
    if draft.rule.target.replace(target).is_some_and(|before| before != target) {
        return refuse("target is both src_ip and dest_ip", "leave one of them out");
    }
    Ok(())
}

/// Decides what `requires` asks for: versions, features and keywords (User Guide, "Meta Keywords").
pub(super) fn is_required(options: &[RuleOption<'_>]) -> Result<bool> {
    let mut asked = options.iter().filter(|option| option.keyword == "requires");
    let Some(option) = asked.next() else { return Ok(true) };
    if asked.next().is_some() {
        return refuse("requires is given twice", "join them with a comma");
    }
    parts(option.needed()?).try_fold(true, |all, part| Ok(all & holds(part)?))
}

fn holds(requirement: &str) -> Result<bool> {
    let (what, value) = requirement.split_once(char::is_whitespace).unwrap_or((requirement, ""));
    match what {
        "feature" => Ok(FEATURES.contains(&value.trim())),
        "keyword" => Ok(keywords::is_known(value.trim())),
        "version" => value.split('|').try_fold(false, |any, alternative| Ok(any | version_holds(alternative)?)),
        // A later version may know more; what it asks for is not here.
        _ => Ok(false),
    }
}

/// Decides comparisons such as `>= 7.0.3 < 8`.
fn version_holds(comparisons: &str) -> Result<bool> {
    let mut words = comparisons.split_whitespace().peekable();
    let wrong = || fault(format!("{comparisons:.40?} compares no versions"), "write: version >= 7.0.3 < 9");
    words.peek().ok_or_else(wrong)?;
    let mut holds = true;
    while let Some(word) = words.next() {
        let digits = word.find(|first: char| first.is_ascii_digit()).unwrap_or(word.len());
        let (operator, version) = word.split_at(digits);
        let version = if version.is_empty() { words.next().ok_or_else(wrong)? } else { version };
        let order = VERSION.cmp(&numbers(version).ok_or_else(wrong)?);
        holds &= match operator {
            ">=" => order.is_ge(),
            ">" => order.is_gt(),
            "<=" => order.is_le(),
            "<" => order.is_lt(),
            _ => return Err(wrong()),
        };
    }
    Ok(holds)
}

fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = [0; 3];
    let version = version.split_once('-').map_or(version, |(numbers, _)| numbers);
    let mut given = version.split('.');
    for number in &mut numbers {
        *number = given.next().map_or(Some(0), |given| given.parse().ok())?;
    }
    given.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_decided_by_version_feature_and_keyword() {
        for (asked, held) in [
            ("version >= 8", true),
            ("version >= 8.0.0, keyword sid", true),
            ("version >= 8, keyword foobar", false),
            ("version >= 7 < 8", false),
            ("version >= 7.0.3 < 8 | >= 9.0.99", false),
            ("version >= 7.0.3 < 9 | >= 10", true),
            ("feature ja4", true),
            ("feature warp", false),
            ("moon full", false),
        ] {
            let option = RuleOption { keyword: "requires", value: Some(asked) };
            assert_eq!(is_required(&[option]).unwrap(), held, "{asked}");
        }
        let option = RuleOption { keyword: "requires", value: Some("version eight") };
        assert!(is_required(&[option]).is_err());
    }
}
