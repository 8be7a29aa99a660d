//! Reads rules in Suricata's language into [`Rule`]s; what cannot be read is refused with a reason and a remedy.
//!
//! A line is split into header and options (`header`, `options`), each option is read by the function that `keywords`
//! names for it, and `checks` looks at the rule as a whole. One bad rule never stops the others.

mod bytes;
mod checks;
mod content;
mod dates;
mod draft;
mod extra;
mod fault;
mod fields;
mod files;
mod header;
mod keywords;
mod labels;
mod lines;
mod meta;
mod numbers;
mod options;
mod packet;
mod pcre;
mod places;
mod ranges;
mod sets;
mod state;
#[cfg(test)]
mod tests;
mod threshold_file;
mod thresholds;
mod transforms;
mod values;
mod words;

use hashbrown::hash_map::Entry;
use hashbrown::HashMap;

pub use self::threshold_file::{read_thresholds, ThresholdEntry, Thresholds};

use self::draft::{Context, Draft};
use self::fault::{refuse, Fault};
use super::{Origin, Rule};
use crate::settings::Settings;

/// A file of rules.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Its path; files that its rules name are looked for in its folder, then in `default-rule-path`.
    pub name: &'a str,
    pub text: &'a [u8],
}

/// A rule that is not taken, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Index of the file in the order of loading.
    pub file: u32,
    /// Line on which the rule begins, counted from 1.
    pub line: u32,
    pub gid: u32,
    /// None where the rule states none.
    pub sid: Option<u32>,
    pub reason: String,
    pub suggestion: String,
    /// The rule, shortened.
    pub text: String,
}

/// A rule that is commented out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disabled {
    pub origin: Origin,
    pub gid: u32,
    pub sid: u32,
    pub msg: Box<str>,
    /// The rule without its `#`.
    pub text: Box<str>,
}

/// What rule files say.
#[derive(Debug, Default)]
pub struct Parsed {
    pub rules: Vec<Rule>,
    pub refused: Vec<Refusal>,
    pub disabled: Vec<Disabled>,
}

/// Settings without which no rule can be read: which one, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsFault {
    pub setting: String,
    pub reason: String,
    pub suggestion: String,
}

impl std::fmt::Display for SettingsFault {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{}: {}; {}", self.setting, self.reason, self.suggestion)
    }
}

impl std::error::Error for SettingsFault {}

/// Bytes of the longest rule.
const LONGEST_RULE: usize = 1 << 16;
/// Bytes of a rule that a refusal shows.
const SHOWN: usize = 400;

/// Reads files of rules, in their order.
pub fn read(sources: &[Source<'_>], settings: &Settings) -> Result<Parsed, SettingsFault> {
    let mut context = Context::new(settings)?;
    let (mut parsed, mut seen) = (Parsed::default(), Seen::default());
    for (file, source) in (0_u32..).zip(sources) {
        context.folder = std::path::Path::new(source.name).parent().map(std::path::Path::to_owned);
        for line in lines::lines(source.text) {
            let origin = Origin { file, line: line.number };
            if line.is_disabled {
                parsed.disabled.extend(disabled(origin, &line.text));
                continue;
            }
            match rule(&mut context, origin.clone(), &line.text) {
                Ok(Some(rule)) => seen.add(rule, &line.text, &mut parsed),
                Ok(None) => {}
                Err(fault) => parsed.refused.push(refusal(&origin, &line.text, fault)),
            }
        }
    }
    seen.drop_replaced(&mut parsed.rules);
    Ok(parsed)
}

/// Reads one rule; none if it says itself that it is not for this version.
fn rule(context: &mut Context<'_>, origin: Origin, text: &[u8]) -> fault::Result<Option<Rule>> {
    let text = readable(text)?;
    let (header, body) = header::split(text)?;
    let options = options::split(body)?;
    if !meta::is_required(&options)? {
        return Ok(None);
    }
    let mut draft = Draft::new(context, origin, header)?;
    for option in &options {
        keywords::read(&mut draft, option)?;
    }
    checks::finish(draft).map(Some)
}

/// Returns a rule's bytes as text.
fn readable(text: &[u8]) -> fault::Result<&str> {
    if text.len() > LONGEST_RULE {
        return refuse(format!("the rule has {} bytes", text.len()), format!("write at most {LONGEST_RULE} bytes"));
    }
    std::str::from_utf8(text).or_else(|wrong| {
        refuse(
            format!("byte {} is not UTF-8", wrong.valid_up_to()),
            "write such bytes in hexadecimal: content:\"|ff|\"",
        )
    })
}

/// Reads what is worth knowing of a rule that is commented out; none if the comment is no rule.
fn disabled(origin: Origin, text: &[u8]) -> Option<Disabled> {
    let text = readable(text).ok()?;
    let (_, body) = header::split(text).ok()?;
    let (gid, sid, msg) = meta::identity(body);
    Some(Disabled { origin, gid, sid: sid?, msg, text: text.into() })
}

fn refusal(origin: &Origin, text: &[u8], fault: Fault) -> Refusal {
    let whole = String::from_utf8_lossy(text.get(..LONGEST_RULE).unwrap_or(text));
    let (gid, sid, _) = header::split(&whole).map_or((1, None, Box::default()), |(_, body)| meta::identity(body));
    refusal_of(origin, text, fault, (gid, sid))
}

fn refusal_of(origin: &Origin, text: &[u8], fault: Fault, (gid, sid): (u32, Option<u32>)) -> Refusal {
    let shown = String::from_utf8_lossy(text.get(..SHOWN).unwrap_or(text)).into_owned();
    let Fault { reason, suggestion } = fault;
    Refusal { file: origin.file, line: origin.line, gid, sid, reason, suggestion, text: shown }
}

/// Rules by generator and signature, so that each is there once: the newest revision stays.
#[derive(Default)]
struct Seen {
    at: HashMap<(u32, u32), usize, foldhash::fast::RandomState>,
    replaced: Vec<usize>,
}

impl Seen {
    fn add(&mut self, rule: Rule, text: &[u8], parsed: &mut Parsed) {
        let next = parsed.rules.len();
        match self.at.entry((rule.gid, rule.sid)) {
            Entry::Vacant(entry) => {
                entry.insert(next);
            }
            Entry::Occupied(mut entry) => match parsed.rules.get(*entry.get()) {
                Some(old) if rule.rev <= old.rev => {
                    let reason = format!(
                        "gid {} sid {} is there already, in file {} on line {}, as revision {}",
                        rule.gid, rule.sid, old.origin.file, old.origin.line, old.rev
                    );
                    let wrong = fault::fault(reason, "give it another sid or a higher rev");
                    parsed.refused.push(refusal(&rule.origin, text, wrong));
                    return;
                }
                _ => self.replaced.push(entry.insert(next)),
            },
        }
        parsed.rules.push(rule);
    }

    fn drop_replaced(&self, rules: &mut Vec<Rule>) {
        if self.replaced.is_empty() {
            return;
        }
        let gone: hashbrown::HashSet<usize> = self.replaced.iter().copied().collect();
        let mut at = 0..;
        rules.retain(|_| at.next().is_some_and(|at| !gone.contains(&at)));
    }
}
