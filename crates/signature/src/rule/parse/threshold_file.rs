//! Threshold files: thresholds, rate filters and suppressions for rules that stand elsewhere (User Guide, "Global-Thresholds").

use super::fault::{fault, refuse, Fault, Result};
use super::lines;
use super::options::whole;
use super::places::{elements, Places};
use super::thresholds::{positive, track, Terms};
use super::{readable, refusal_of, Refusal, SettingsFault, Source};
use crate::rule::{Action, Addresses, Origin, Sides, Threshold, ThresholdKind, Track};
use crate::settings::Settings;

/// What a threshold file says of some rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThresholdEntry {
    pub origin: Origin,
    /// Generator; 0 for all.
    pub gid: u32,
    /// Signature; 0 for all of the generator.
    pub sid: u32,
    pub threshold: Threshold,
    /// `suppress`: whose address must be which; none for every packet.
    pub suppressed: Option<(Sides, Addresses)>,
}

/// What a threshold file says.
#[derive(Debug, Default)]
pub struct Thresholds {
    pub entries: Vec<ThresholdEntry>,
    pub refused: Vec<Refusal>,
}

const FORM: &str = "write: suppress gen_id 1, sig_id 2000001, track by_src, ip 10.0.0.0/8";

/// Reads a threshold file; entries that cannot be read are refused one by one.
pub fn read_thresholds(source: Source<'_>, settings: &Settings) -> std::result::Result<Thresholds, SettingsFault> {
    let mut places = Places::new(settings);
    places.check_variables()?;
    let mut thresholds = Thresholds::default();
    for line in lines::lines(source.text).filter(|line| !line.is_disabled) {
        let origin = Origin { file: 0, line: line.number };
        match readable(&line.text).and_then(|text| entry(text, origin.clone(), &mut places)) {
            Ok(entry) => thresholds.entries.push(entry),
            Err(fault) => thresholds.refused.push(refused(&origin, &line.text, fault)),
        }
    }
    Ok(thresholds)
}

fn refused(origin: &Origin, text: &[u8], fault: Fault) -> Refusal {
    let whole_text = String::from_utf8_lossy(text);
    let (gid, sid) = identity(whole_text.split([',', ' ']).filter(|word| !word.is_empty()));
    refusal_of(origin, text, fault, (gid.unwrap_or(1), sid))
}

/// Finds the numbers that follow `gen_id` and `sig_id`.
fn identity<'a>(words: impl Iterator<Item = &'a str>) -> (Option<u32>, Option<u32>) {
    let words: Vec<&str> = words.collect();
    let after = |name: &str| words.windows(2).find(|pair| pair[0] == name).and_then(|pair| whole(pair[1]));
    (after("gen_id"), after("sig_id"))
}

/// The parts of an entry that only threshold files have.
#[derive(Default)]
struct Named<'a> {
    gid: Option<u32>,
    sid: Option<u32>,
    addresses: Option<&'a str>,
    track: Option<&'a str>,
    action: Option<Action>,
    timeout: Option<u32>,
}

fn entry(text: &str, origin: Origin, places: &mut Places<'_>) -> Result<ThresholdEntry> {
    let (kind, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let (mut named, mut terms) = (Named::default(), Vec::new());
    for word in elements(rest)?.into_iter().map(str::trim) {
        let (name, value) = word.split_once(char::is_whitespace).unwrap_or((word, ""));
        let value = value.trim();
        let number = || whole(value).ok_or_else(|| fault(format!("{name} is {value:.20}"), "write a number"));
        match name {
            "gen_id" => named.gid = Some(number()?),
            "sig_id" => named.sid = Some(number()?),
            "ip" => named.addresses = Some(value),
            "new_action" => named.action = Some(new_action(value)?),
            "timeout" => named.timeout = Some(positive(name, value)?),
            "track" if kind == "suppress" => named.track = Some(value),
            _ => terms.push(word),
        }
    }
    let (Some(gid), Some(sid)) = (named.gid, named.sid) else {
        return refuse("an entry does not say which rules it is for", FORM);
    };
    let mut suppressed = None;
    let terms = Terms::read(terms.into_iter())?;
    let threshold = match kind {
        "threshold" | "event_filter" => terms.threshold()?,
        "rate_filter" => rate(terms, &named)?,
        "suppress" => {
            suppressed = suppression(&named, places)?;
            Threshold { kind: ThresholdKind::Suppress, track: Track::Rule, count: 0, seconds: 0 }
        }
        _ => {
            return refuse(format!("{kind:.40?} is no entry"), "write suppress, threshold, event_filter or rate_filter")
        }
    };
    Ok(ThresholdEntry { origin, gid, sid, threshold, suppressed })
}

fn new_action(name: &str) -> Result<Action> {
    Ok(match name {
        "alert" | "log" => Action::Alert,
        "drop" | "sdrop" => Action::Drop,
        "pass" => Action::Pass,
        "reject" => Action::Reject,
        _ => return refuse(format!("{name:.20?} is no action"), "write alert, drop, pass or reject"),
    })
}

fn rate(terms: Terms<'_>, named: &Named<'_>) -> Result<Threshold> {
    let (Some(action), Some(timeout)) = (named.action, named.timeout) else {
        return refuse("a rate_filter lacks new_action or timeout", "write new_action drop, timeout 60");
    };
    terms.whole(ThresholdKind::Rate { action, timeout })
}

fn suppression(named: &Named<'_>, places: &mut Places<'_>) -> Result<Option<(Sides, Addresses)>> {
    let sides = match named.track {
        None if named.addresses.is_none() => return Ok(None),
        Some("by_either") => Sides::Any,
        Some(other) => match track(other)? {
            Track::Source => Sides::Source,
            Track::Destination => Sides::Destination,
            _ => return refuse(format!("{other:.20?} cannot be suppressed"), "write by_src, by_dst or by_either"),
        },
        None => return refuse("a suppression does not say whose address it means", "write track by_src"),
    };
    let addresses = named.addresses.ok_or_else(|| fault("a suppression has no address", "write ip 10.0.0.0/8"))?;
    Ok(Some((sides, places.addresses(addresses)?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Thresholds {
        let given = [("vars.address-groups.QUIET".to_owned(), "[10.0.0.0/8,!10.1.0.0/16]".to_owned())].into();
        let settings = Settings { given, ..Settings::default() };
        read_thresholds(Source { name: "threshold.config", text: text.as_bytes() }, &settings).unwrap()
    }

    #[test]
    fn entries_say_which_rules_how_often_and_for_whom() {
        let text = "# comment\n\
            suppress gen_id 1, sig_id 7\n\
            suppress gen_id 1, sig_id 8, track by_either, ip [$QUIET, 192.168.0.1]\n\
            event_filter gen_id 0, sig_id 0, type limit, \\\n track by_both, count 3, seconds 60\n\
            rate_filter gen_id 1, sig_id 9, track by_rule, count 1, seconds 2, new_action drop, timeout 30\n";
        let read = read(text);
        assert_eq!(read.refused, []);
        let entries: Vec<_> = read.entries.iter().map(|entry| (entry.origin.line, entry.gid, entry.sid)).collect();
        assert_eq!(entries, [(2, 1, 7), (3, 1, 8), (4, 0, 0), (6, 1, 9)]);
        assert_eq!(read.entries[0].suppressed, None);
        let (sides, addresses) = read.entries[1].suppressed.clone().unwrap();
        let has = |text: &str| addresses.contains(super::super::places::number(text.parse().unwrap()));
        assert!(sides == Sides::Any && has("10.2.3.4") && !has("10.1.3.4") && has("192.168.0.1"));
        let limit = Threshold { kind: ThresholdKind::Limit, track: Track::Pair, count: 3, seconds: 60 };
        assert_eq!(read.entries[2].threshold, limit);
        let kind = ThresholdKind::Rate { action: Action::Drop, timeout: 30 };
        assert_eq!(read.entries[3].threshold, Threshold { kind, track: Track::Rule, count: 1, seconds: 2 });
    }

    #[test]
    fn an_entry_that_cannot_be_read_is_refused_and_the_others_stay() {
        let text = "suppress gen_id 1\nsupress gen_id 1, sig_id 5\nthreshold gen_id 1, sig_id 6, track by_src, count 1\n\
            suppress gen_id 1, sig_id 7, track by_src, ip 10.0.0.300\nrate_filter gen_id 1, sig_id 8, track by_src, count 1, seconds 1\n\
            suppress gen_id 1, sig_id 9";
        let read = read(text);
        let refused: Vec<_> = read.refused.iter().map(|refusal| (refusal.line, refusal.sid)).collect();
        assert_eq!(refused, [(1, None), (2, Some(5)), (3, Some(6)), (4, Some(7)), (5, Some(8))]);
        assert_eq!(read.entries.len(), 1);
    }
}
