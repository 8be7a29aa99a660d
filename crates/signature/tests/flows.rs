//! Flows of real captures: which protocol each is recognised as, compared with what Suricata says in its alerts.
#![allow(clippy::unwrap_used)] // Clippy knows test functions, not their helpers.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use infraspectre_core::source::{Options, Sources};
use infraspectre_core::wire::{Decoder, Outcome};
use infraspectre_signature::field::FieldSet;
use infraspectre_signature::flow::{FlowTable, Limits, Occasion};
use infraspectre_signature::settings::Settings;
use serde_json::Value;

/// Flows whose protocol has to agree with Suricata's, in percent.
const AGREEING: usize = 97;
const LIMITS: Limits = Limits { flows: 100_000, bytes: 256 << 20 };

/// Ports of both sides, which tell the flows of these captures apart well enough.
type Ports = (u16, u16);

/// What was seen of a flow: the protocol after each packet, by the packet's number; the last entry is at the end.
#[derive(Default)]
struct Seen(BTreeMap<Ports, BTreeMap<u64, &'static str>>);

impl Seen {
    fn note(&mut self, occasion: &Occasion<'_, ()>) {
        let application = occasion.flow.application;
        let name = match application.protocol {
            Some(protocol) => protocol.name(),
            None if application.failed == [true; 2] => "failed",
            None => "",
        };
        let number = occasion.packet.map_or(u64::MAX, |packet| packet.segment.number);
        let (one, other) = (occasion.flow.orig.port, occasion.flow.resp.port);
        self.0.entry((one.min(other), one.max(other))).or_default().insert(number, name);
    }

    fn at(&self, ports: Ports, number: u64) -> &'static str {
        let flow = self.0.get(&(ports.0.min(ports.1), ports.0.max(ports.1)));
        flow.and_then(|flow| flow.range(number..).next().or(flow.last_key_value())).map_or("no flow", |(_, name)| name)
    }
}

fn read(path: &Path, settings: Settings, each: &mut impl FnMut(Occasion<'_, ()>)) {
    let Ok(mut sources) = Sources::open(&[path.to_path_buf()], Options::default()) else { return };
    let mut decoder = Decoder::default();
    let mut table = FlowTable::new(Arc::new(settings), LIMITS, FieldSet::all());
    while let Some(packet) = sources.next() {
        if let Outcome::Segment(segment) = decoder.decode(&packet) {
            table.observe(&segment, packet.wire_len, &[], &[], each);
        }
    }
    table.finish(each);
    assert!(table.is_empty());
}

fn settings_of(test: &Value) -> Settings {
    let given = test["settings"].as_object().unwrap().iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
        (name.clone(), text)
    });
    // What the tests' own configuration files switch on.
    let switched_on = ["pgsql", "template", "modbus", "dnp3", "enip"];
    let switched_on = switched_on.map(|name| (format!("app-layer.protocols.{name}.enabled"), "yes".to_string()));
    let settings = Settings { given: switched_on.into_iter().chain(given).collect(), ..Settings::default() };
    let ips = test["ips"] == true;
    Settings {
        checksums: test["checksum"] == "on",
        midstream: settings.is_on("stream.midstream", false),
        midstream_policy: settings.get("stream.midstream-policy").map(str::to_string),
        async_oneside: settings.is_on("stream.async-oneside", false),
        inline: settings.is_on("stream.inline", ips),
        depth: settings.get("stream.reassembly.depth").and_then(bytes).unwrap_or(settings.depth),
        ips,
        ..settings
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|mark: char| !mark.is_ascii_digit());
    let unit = match text.trim_start_matches(|mark: char| mark.is_ascii_digit()).to_ascii_lowercase().as_str() {
        "kb" => 1 << 10,
        "mb" => 1 << 20,
        _ => 1,
    };
    Some(digits.parse::<u64>().ok()? * unit)
}

fn suite() -> Option<(PathBuf, Vec<Value>)> {
    let Ok(root) = std::env::var("INFRASPECTRE_TEST_DATA") else {
        eprintln!("skipped: INFRASPECTRE_TEST_DATA is not set");
        return None;
    };
    let root = PathBuf::from(root).join("net/suricata-verify");
    let index: Value = serde_json::from_slice(&std::fs::read(root.join("index.json")).unwrap()).unwrap();
    Some((root, index["tests"].as_array().unwrap().clone()))
}

#[test]
fn flows_have_the_protocols_that_suricata_names() {
    let Some((root, tests)) = suite() else { return };
    let mut judged: HashMap<(String, Ports), (bool, String)> = HashMap::new();
    for test in &tests {
        let mut seen = Seen::default();
        read(&root.join(test["pcap"].as_str().unwrap()), settings_of(test), &mut |occasion| seen.note(&occasion));
        for alert in test["alert_detail"].as_array().unwrap() {
            let Some(expected) = alert[9].as_str() else { continue };
            let port = |at: usize| alert[at].as_u64().map_or(0, |port| port as u16);
            let ports = (port(5), port(7));
            let found = seen.at(ports, alert[0].as_u64().unwrap_or(u64::MAX));
            let key = (test["test"].as_str().unwrap().to_string(), ports);
            let agrees = found == expected;
            let verdict = judged.entry(key).or_insert((true, String::new()));
            if !agrees {
                *verdict = (false, format!("{expected}, not {found:?}, at packet {}", alert[0]));
            }
        }
    }
    for ((test, ports), (_, difference)) in judged.iter().filter(|(_, (agrees, _))| !agrees) {
        println!("{test} {ports:?}: {difference}");
    }
    let agreeing = judged.values().filter(|(agrees, _)| *agrees).count();
    println!("{agreeing} of {} flows", judged.len());
    assert!(judged.is_empty() || agreeing * 100 >= judged.len() * AGREEING);
}

/// Returns the rules of a test that ask for one stream event and nothing else, by their sids.
fn event_rules(rules: &str) -> HashMap<u64, String> {
    let value = |rule: &str, name: &str| {
        let from = rule.find(&format!("{name}:"))? + name.len() + 1;
        rule[from..].split(';').next().map(|text| text.trim().to_string())
    };
    let read = |rule: &str| {
        let event = value(rule, "stream-event").filter(|_| !rule.starts_with('#') && !rule.contains("content:"))?;
        Some((value(rule, "sid")?.parse().ok()?, event))
    };
    rules.lines().filter_map(read).collect()
}

#[test]
fn packets_have_the_stream_events_that_suricata_names() {
    let Some((root, tests)) = suite() else { return };
    let (mut compared, mut differing) = (0, 0);
    for test in tests.iter().filter(|test| test["keywords"].as_array().unwrap().contains(&"stream-event".into())) {
        let rules = event_rules(&std::fs::read_to_string(root.join(test["rules"].as_str().unwrap())).unwrap());
        let mut found: Vec<(u64, String)> = Vec::new();
        read(&root.join(test["pcap"].as_str().unwrap()), settings_of(test), &mut |occasion| {
            let number = occasion.packet.map_or(u64::MAX, |packet| packet.segment.number);
            let names = occasion.events.iter().filter_map(|event| event.strip_prefix("stream."));
            found.extend(
                names.filter(|name| rules.values().any(|one| one == name)).map(|name| (number, name.to_string())),
            );
        });
        let mut expected: Vec<(u64, String)> = Vec::new();
        for alert in test["alert_detail"].as_array().unwrap() {
            let event = alert[2].as_u64().and_then(|sid| rules.get(&sid));
            expected.extend(event.map(|event| (alert[0].as_u64().unwrap_or(u64::MAX), event.clone())));
        }
        expected.sort();
        found.sort();
        compared += 1;
        if found != expected {
            differing += 1;
            println!("{}: expected {expected:?}, found {found:?}", test["test"]);
        }
    }
    println!("{differing} of {compared} differ");
    assert!(differing * 4 <= compared);
}
