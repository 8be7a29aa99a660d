//! Public rule sets, read as a whole, where the test data is there.
#![allow(clippy::unwrap_used, clippy::panic)] // Clippy knows test functions, not their helpers.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use infraspectre_signature::rule::parse::{read, Parsed, Source};
use infraspectre_signature::settings::Settings;
use serde_json::Value;

/// Returns a path in the test data; none, with a word on why, if it is not there.
fn test_data(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("INFRASPECTRE_TEST_DATA").map(PathBuf::from);
    let found = folder.map(|folder| folder.join("net").join(path)).filter(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: INFRASPECTRE_TEST_DATA has no {path}");
    }
    found
}

/// Returns the settings under which the rule sets were read by Suricata.
fn settings() -> Settings {
    let file = |name: &str| test_data(&format!("rules/{name}")).map(|path| path.to_string_lossy().into_owned());
    let values = [
        ("vars.address-groups.HOME_NET", Some("[192.168.0.0/16,10.0.0.0/8,172.16.0.0/12]".to_owned())),
        ("vars.address-groups.EXTERNAL_NET", Some("!$HOME_NET".to_owned())),
        ("classification-file", file("classification.config")),
    ];
    let given = values.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Settings { given: given.collect(), ..Settings::default() }
}

fn text(path: &Path) -> Vec<u8> {
    if path.extension().is_some_and(|end| end == "zst") {
        return Command::new("zstd").arg("-dc").arg(path).output().unwrap().stdout;
    }
    std::fs::read(path).unwrap()
}

fn parsed(path: &Path, settings: &Settings) -> Parsed {
    read(&[Source { name: &path.to_string_lossy(), text: &text(path) }], settings).unwrap()
}

/// Prints how many rules are refused for each reason, and some of them.
fn print_refused(name: &str, parsed: &Parsed) {
    eprintln!("{name}: {} rules, {} refused", parsed.rules.len(), parsed.refused.len());
    let mut reasons: BTreeMap<&str, Vec<Option<u32>>> = BTreeMap::new();
    for refusal in &parsed.refused {
        reasons.entry(&refusal.reason).or_default().push(refusal.sid);
    }
    for (reason, sids) in reasons {
        eprintln!("  {} times: {reason}; sids {:?}", sids.len(), &sids[..sids.len().min(5)]);
    }
}

#[test]
fn emerging_threats_rules_are_accepted() {
    for (path, rules) in
        [("rules/et-open-2024-09/et.rules.zst", 31_232), ("rules/et-open-2019-04/et-clean.rules", 18_216)]
    {
        let Some(found) = test_data(path) else { return };
        let began = std::time::Instant::now();
        let parsed = parsed(&found, &settings());
        eprintln!("took {:?}", began.elapsed());
        print_refused(path, &parsed);
        assert_eq!(parsed.rules.len() + parsed.refused.len(), rules, "every rule is read or refused");
        let reasons: Vec<&str> = parsed.refused.iter().map(|refusal| &*refusal.reason).collect();
        assert!(reasons.iter().all(|reason| reason.ends_with("is not supported")), "{reasons:?}");
        assert!(reasons.len() <= 5, "{reasons:?}");
    }
}

/// Returns the signatures that Suricata let alert in a test, by generator and signature.
fn alerting(test: &Value) -> Vec<(u64, u64)> {
    let alerts = test["alerts"].as_array().unwrap();
    alerts.iter().map(|alert| (alert["gid"].as_u64().unwrap(), alert["sid"].as_u64().unwrap())).collect()
}

#[test]
fn rules_that_alert_in_the_verification_suite_are_accepted() {
    let Some(suite) = test_data("suricata-verify") else { return };
    let index: Value = serde_json::from_slice(&text(&suite.join("index.json"))).unwrap();
    let (mut wanted, mut missing) = (0, Vec::new());
    let mut all = Parsed::default();
    for test in index["tests"].as_array().unwrap() {
        let mut settings = settings();
        let folder = suite.join("tests").join(test["test"].as_str().unwrap());
        settings.given.insert("default-rule-path".to_owned(), folder.to_string_lossy().into_owned());
        for (name, value) in test["settings"].as_object().unwrap() {
            settings.given.insert(name.clone(), value.as_str().unwrap_or_default().to_owned());
        }
        let parsed = parsed(&suite.join(test["rules"].as_str().unwrap()), &settings);
        for (gid, sid) in alerting(test) {
            let is_there = parsed.rules.iter().any(|rule| (rule.gid.into(), rule.sid.into()) == (gid, sid));
            wanted += 1;
            if !is_there {
                missing.push((test["test"].as_str().unwrap(), gid, sid));
            }
        }
        for refusal in &parsed.refused {
            eprintln!("{}: sid {:?}: {}; {}", test["test"], refusal.sid, refusal.reason, refusal.suggestion);
        }
        all.rules.extend(parsed.rules);
        all.refused.extend(parsed.refused);
    }
    print_refused("suricata-verify", &all);
    eprintln!("{} of {wanted} rules that alert are missing: {missing:?}", missing.len());
    assert!(missing.len() * 100 <= wanted, "{missing:?}");
}

#[test]
fn merged_rules_of_the_verification_suite_are_accepted() {
    let Some(path) = test_data("suricata-verify-merged/merged.rules") else { return };
    let parsed = parsed(&path, &settings());
    print_refused("merged", &parsed);
    assert_eq!((parsed.rules.len(), parsed.refused.len()), (304, 0));
}
