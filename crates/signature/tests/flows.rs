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
    let settings = Settings { given: given.collect(), ..Settings::default() };
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
