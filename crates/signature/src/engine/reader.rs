//! The whole way from captures to events: the walk over packets, and rules.

use std::path::PathBuf;
use std::sync::Arc;

use infraspectre_core::engine::Account;
use infraspectre_core::source::{Options, SourceError, Sources};

use crate::field::{Field, FieldSet};
use crate::flow::Occasion;
use crate::rule::Rule;
use crate::settings::Settings;

use super::compile::Program;
use super::detect::Detector;
use super::eve::{self, Extras, Frame};
use super::profile::Cost;
use super::state::FlowState;
use super::walk::{counted, Walk};

/// Bytes of events that are handed over at once.
const ENOUGH_BYTES: usize = 1 << 16;

/// How far reading has come.
#[derive(Debug)]
pub enum Progress {
    /// Events, one on a line.
    Lines(Vec<u8>),
    /// There is more to read before there are events.
    Reading,
    Done,
}

/// Reads captures and yields the events that rules give.
pub struct Reader {
    walk: Walk<FlowState>,
    engine: Engine,
}

/// Rules and what they give.
struct Engine {
    detector: Detector,
    settings: Arc<Settings>,
    extras: Extras,
    out: Vec<u8>,
    alerts: u64,
}

impl Reader {
    /// Opens captures; fails if none of them can be read.
    pub fn open(
        paths: &[PathBuf],
        program: Arc<Program>,
        settings: Arc<Settings>,
        options: Options,
    ) -> Result<Reader, SourceError> {
        Ok(Reader::new(Sources::open(paths, options)?, program, settings))
    }

    /// Takes captures that were opened.
    pub fn new(sources: Sources, program: Arc<Program>, settings: Arc<Settings>) -> Reader {
        let walk = Walk::new(sources, Arc::clone(&settings), wanted(&program));
        let engine = Engine {
            detector: Detector::new(program, Arc::clone(&settings)),
            extras: Extras::new(&settings),
            settings,
            out: Vec::new(),
            alerts: 0,
        };
        Reader { walk, engine }
    }

    /// Reads on until there are events, but no more than about so many packets.
    pub fn advance(&mut self, packets: u64) -> Progress {
        let enough = self.walk.packets().saturating_add(packets);
        let engine = &mut self.engine;
        while !self.walk.is_over() && self.walk.packets() < enough && engine.out.len() < ENOUGH_BYTES {
            self.walk.step(&mut |occasion, frame| engine.look(occasion, frame));
        }
        if self.walk.is_over() && engine.out.is_empty() {
            return Progress::Done;
        }
        if self.walk.is_over() || engine.out.len() >= ENOUGH_BYTES {
            return Progress::Lines(std::mem::take(&mut engine.out));
        }
        Progress::Reading
    }

    /// Goes on with other rules from the next packet on; no flow is forgotten.
    pub fn reload(&mut self, program: Arc<Program>) {
        self.walk.want(wanted(&program));
        self.engine.detector.reload(program);
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        let mut account = self.walk.account();
        let detector = &self.engine.detector;
        account.shed.extend(counted([
            ("alerts_beyond_packet_limit", detector.surplus),
            ("rule_tests_beyond_budget", detector.given_up.get()),
        ]));
        account
    }

    /// Counts the alerts so far.
    pub fn alerts(&self) -> u64 {
        self.engine.alerts
    }

    /// Returns the rules that were tried and what each took; none without the setting `profiling`.
    pub fn costs(&self) -> impl Iterator<Item = (&Rule, &Cost)> {
        self.engine.detector.costs().map(|(signature, cost)| (&signature.rule, cost))
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        self.walk.progress()
    }
}

impl Engine {
    /// Tries the rules; `frame` is the packet as it was captured.
    fn look(&mut self, occasion: Occasion<'_, FlowState>, frame: Option<Frame<'_>>) {
        let (settings, extras, out) = (&self.settings, self.extras, &mut self.out);
        let mut count = 0;
        self.detector.look(occasion, |signature, alert, occasion| {
            count += 1;
            eve::write(signature, alert, occasion, frame, settings, extras, out);
        });
        self.alerts += count;
    }
}

/// Returns the fields that rules look at, and those that events describe: all that cost little.
fn wanted(program: &Program) -> FieldSet {
    let mut wanted = FieldSet::all();
    for field in [Field::FileHash, Field::Frame] {
        if !program.wanted.contains(field) {
            wanted.remove(field);
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::rule::parse::{read, Source};

    /// Writes a capture of datagrams between two hosts, one a second.
    fn capture(name: &str, payloads: &[&[u8]]) -> PathBuf {
        let path = std::env::temp_dir().join(format!("infraspectre-reload-{name}-{}.pcap", std::process::id()));
        let mut out = std::fs::File::create(&path).unwrap();
        // Header of a pcap file with microseconds and packets that begin with IP.
        out.write_all(&[0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 101, 0, 0, 0])
            .unwrap();
        for (second, payload) in (1u32..).zip(payloads) {
            let length = 28 + payload.len() as u32;
            [second, 0, length, length].iter().for_each(|word| out.write_all(&word.to_le_bytes()).unwrap());
            out.write_all(&[0x45, 0, 0, length as u8, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]).unwrap();
            out.write_all(&[0x10, 0, 0, 53, 0, length as u8 - 20, 0, 0]).unwrap();
            out.write_all(payload).unwrap();
        }
        path
    }

    fn program(rules: &str) -> Arc<Program> {
        let source = Source { name: "test", text: rules.as_bytes() };
        let settings = Settings::default();
        let parsed = read(&[source], &settings).unwrap();
        assert_eq!(parsed.refused, []);
        Arc::new(Program::new(parsed.rules, &settings))
    }

    /// Returns the rules that give alerts on a capture, where the rules are replaced behind its first packet.
    fn found(name: &str, payloads: &[&[u8]], rules: [&str; 2]) -> Vec<u64> {
        let path = capture(name, payloads);
        let settings = Arc::new(Settings { checksums: false, ..Settings::default() });
        let options = Options { read_ahead: false, ..Options::default() };
        let mut reader = Reader::open(std::slice::from_ref(&path), program(rules[0]), settings, options).unwrap();
        assert!(matches!(reader.advance(1), Progress::Reading));
        reader.reload(program(rules[1]));
        let mut lines = Vec::new();
        while let Progress::Lines(own) = reader.advance(u64::MAX) {
            lines.extend(own);
        }
        std::fs::remove_file(path).unwrap();
        let sid =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["alert"]["signature_id"].as_u64();
        std::str::from_utf8(&lines).unwrap().lines().filter_map(sid).collect()
    }

    #[test]
    fn rules_are_replaced_between_two_packets_and_flows_keep_what_they_know() {
        let first = r#"alert udp any any -> any any (content:"first"; flowbits:set,seen; sid:1;)"#;
        let second = r#"alert udp any any -> any any (content:"second"; flowbits:isset,seen; sid:2;)"#;
        assert_eq!(found("flows", &[b"first", b"second", b"first"], [first, second]), [1, 2]);
    }

    #[test]
    fn rules_that_come_later_get_the_fields_that_they_test() {
        let first = r#"alert udp any any -> any any (content:"nothing"; sid:1;)"#;
        let second = "alert dns any any -> any any (frame:dns.pdu; content:\"example\"; sid:2;)";
        let query = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07example\x03com\0\0\x01\0\x01";
        assert_eq!(found("fields", &[query, query], [first, second]), [2]);
    }
}
