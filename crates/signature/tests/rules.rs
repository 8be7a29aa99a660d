//! Public rule sets, read as a whole, where the test data is there.
#![allow(clippy::unwrap_used, clippy::panic)] // Clippy knows test functions, not their helpers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

use infraspectre_signature::rule::parse::{read, Parsed, Source};
use infraspectre_signature::settings::Settings;

/// Returns a path in the test data; none, with a word on why, if it is not there.
fn test_data(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("INFRASPECTRE_TEST_DATA").map(PathBuf::from);
    let found = folder.map(|folder| folder.join("net").join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: INFRASPECTRE_TEST_DATA has no {path}");
    }
    found
}

fn settings() -> Settings {
    let file = |name: &str| test_data(&format!("rules/{name}")).map(|path| path.to_string_lossy().into_owned());
    let files = [("classification-file", "classification.config"), ("reference-config-file", "reference.config")];
    let given = files.into_iter().filter_map(|(name, path)| Some((name.to_owned(), file(path)?)));
    Settings { given: given.collect(), ..Settings::default() }
}

fn text(path: &PathBuf) -> Vec<u8> {
    if path.extension().is_some_and(|end| end == "zst") {
        return Command::new("zstd").arg("-dc").arg(path).output().unwrap().stdout;
    }
    std::fs::read(path).unwrap()
}

/// Reads a set and prints what is refused, by reason.
fn parsed(path: &PathBuf) -> Parsed {
    let text = text(path);
    let began = std::time::Instant::now();
    let parsed = read(&[Source { name: &path.to_string_lossy(), text: &text }], &settings()).unwrap();
    let (rules, refused, took) = (parsed.rules.len(), parsed.refused.len(), began.elapsed());
    eprintln!("{}: {rules} rules, {refused} refused, {took:?}", path.display());
    let mut reasons: BTreeMap<&str, Vec<u32>> = BTreeMap::new();
    for refusal in &parsed.refused {
        reasons.entry(&refusal.reason).or_default().extend(refusal.sid);
    }
    for (reason, sids) in reasons {
        eprintln!("  {} times: {reason}; sids {:?}", sids.len(), &sids[..sids.len().min(5)]);
    }
    parsed
}

#[test]
fn emerging_threats_rules_are_accepted() {
    for (path, rules) in
        [("rules/et-open-2024-09/et.rules.zst", 31_232), ("rules/et-open-2019-04/et-clean.rules", 18_216)]
    {
        let Some(path) = test_data(path) else { return };
        let parsed = parsed(&path);
        assert_eq!(parsed.rules.len() + parsed.refused.len(), rules, "every rule is read or refused");
        assert_eq!(parsed.refused.len(), 0);
    }
}
