//! What is fuzzed of the signature engine: the sessions of application protocols, and the rule language.

use std::collections::VecDeque;

use infraspectre_core::app::{Direction, Transport};
use infraspectre_signature::field::FieldSet;
use infraspectre_signature::protocol::{Entry, Output, Requests, ENTRIES};
use infraspectre_signature::rule::parse::{read, read_thresholds, Source};
use infraspectre_signature::settings::Settings;

/// A function that survives any bytes.
pub type Target = fn(&[u8]);

/// All targets; each has a folder of its name in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[("sessions", sessions), ("rules", rules)];

/// A file of rules, read as a threshold file, too.
fn rules(data: &[u8]) {
    let (source, settings) = (Source { name: "fuzz.rules", text: data }, Settings::default());
    let lines = data.split(|byte| *byte == b'\n').count();
    let parsed =
        read(&[source], &settings).map(|parsed| parsed.rules.len() + parsed.refused.len() + parsed.disabled.len());
    assert!(parsed.is_ok_and(|found| found <= lines), "a line is at most one rule");
    let _ = read_thresholds(source, &settings);
}

/// The name of a protocol and a zero byte, then a conversation as `session` reads it.
fn sessions(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(name), Some(data)) = (parts.next(), parts.next()) else { return };
    if let Some(entry) = ENTRIES.iter().find(|entry| entry.protocol.name().as_bytes() == name) {
        entry.transports.iter().for_each(|transport| session(entry, *transport, data));
    }
}

/// Bytes of one side, cut in two, then the same bytes from the other side, a gap, and the bytes once more.
///
/// The first byte says which side speaks first, and the next two (little-endian) where the cut is.
fn session(entry: &Entry, transport: Transport, data: &[u8]) {
    let Some((&[side, low, high], data)) = data.split_first_chunk() else { return };
    let direction = if side & 1 == 1 { Direction::Orig } else { Direction::Resp };
    let cut = usize::from(u16::from_le_bytes([low, high])).min(data.len());
    let _ = (entry.probe)(transport, direction, data, (40_000, 445));
    let (settings, mut requests) = (Settings::default(), Requests::default());
    let (mut transactions, mut next_number) = (VecDeque::new(), 0);
    let mut output = Output {
        settings: &settings,
        wanted: FieldSet::all(),
        transactions: &mut transactions,
        next_number: &mut next_number,
        protocol: entry.protocol,
        at: 0,
        ports: (40_000, 445),
        requests: &mut requests,
        expectation: None,
    };
    let mut session = (entry.session)(transport);
    let consumed = session.read(direction, &data[..cut], &mut output).bytes;
    assert!(transport == Transport::Datagram || consumed <= cut, "consumes no more than it was shown");
    let _ = session.read(direction, &data[consumed.min(cut)..], &mut output);
    let _ = session.read(direction.opposite(), data, &mut output);
    if session.gap(direction, u32::from(low) * 16, &mut output) {
        let _ = session.read(direction, data, &mut output);
    }
    [direction, direction.opposite()].into_iter().for_each(|side| session.end(side, &mut output));
    for transaction in &transactions {
        (entry.describe)(transaction, &mut serde_json::Map::new());
    }
}
