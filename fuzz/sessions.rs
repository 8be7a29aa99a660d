//! What is fuzzed of the signature engine: the sessions of application protocols, the rule language, the multi-pattern
//! matcher, and rules over whole captures.

use std::collections::{BTreeSet, VecDeque};
use std::io::Cursor;
use std::sync::Arc;

use infraspectre_core::app::{Direction, Transport};
use infraspectre_core::source::{Options, Sources};
use infraspectre_signature::engine::compile::Program;
use infraspectre_signature::engine::reader::{Progress, Reader};
use infraspectre_signature::field::FieldSet;
use infraspectre_signature::matcher::{Found, Matcher, Pattern};
use infraspectre_signature::protocol::{Entry, Output, Requests, ENTRIES};
use infraspectre_signature::rule::parse::{read, read_thresholds, Source};
use infraspectre_signature::settings::Settings;

/// A function that survives any bytes.
pub type Target = fn(&[u8]);

/// All targets; each has a folder of its name in `corpus/`.
pub const TARGETS: &[(&str, Target)] =
    &[("sessions", sessions), ("rules", rules), ("matcher", matcher), ("engine", engine)];

/// A file of rules, read as a threshold file, too.
fn rules(data: &[u8]) {
    let (source, settings) = (Source { name: "fuzz.rules", text: data }, Settings::default());
    let lines = data.split(|byte| *byte == b'\n').count();
    let parsed =
        read(&[source], &settings).map(|parsed| parsed.rules.len() + parsed.refused.len() + parsed.disabled.len());
    assert!(parsed.is_ok_and(|found| found <= lines), "a line is at most one rule");
    let _ = read_thresholds(source, &settings);
}

/// Patterns, whose number comes first, and then the bytes in which they are looked for, all at once and one by one.
fn matcher(data: &[u8]) {
    let Some((count, mut rest)) = data.split_first() else { return };
    let patterns: Vec<Pattern> = (0..*count).map_while(|_| pattern(&mut rest)).collect();
    let (matcher, mut found) = (Matcher::new(patterns.clone()), Found::default());
    for data in [rest, rest.get(1..).unwrap_or_default()] {
        let mut met = Vec::new();
        matcher.find(data, &mut found, &mut |number| met.push(number));
        let occurs = |pattern: &Pattern| (0..data.len()).any(|at| pattern.is_at(&data[at..]));
        let expected = (0..).zip(&patterns).filter(|(_, pattern)| occurs(pattern)).map(|(number, _)| number);
        assert_eq!(met.iter().copied().collect::<BTreeSet<_>>(), expected.collect(), "finds what a plain search finds");
        assert_eq!(met.iter().collect::<BTreeSet<_>>().len(), met.len(), "reports a pattern once");
    }
}

/// Reads a pattern: a byte with its length and whether case matters, and its bytes, or where the data has them.
fn pattern(rest: &mut &[u8]) -> Option<Pattern> {
    let (&head, body) = rest.split_first()?;
    let (length, nocase) = (usize::from(head % 32) + 1, head & 0x80 != 0);
    let bytes = if head & 0x40 != 0 {
        let (&at, body) = body.split_first()?;
        *rest = body;
        body.get(usize::from(at)..usize::from(at) + length)?
    } else {
        let bytes = body.get(..length)?;
        *rest = &body[length..];
        bytes
    };
    let written = if nocase { bytes.to_ascii_uppercase() } else { bytes.to_vec() };
    Some(Pattern { bytes: written.into(), nocase })
}

/// A file of rules and a zero byte, then a capture that is read with them twice.
fn engine(data: &[u8]) {
    let mut parts = data.splitn(2, |byte| *byte == 0);
    let (Some(text), Some(capture)) = (parts.next(), parts.next()) else { return };
    let settings = Settings { checksums: false, midstream: true, ..Settings::default() };
    let Ok(parsed) = read(&[Source { name: "fuzz.rules", text }], &settings) else { return };
    let (program, settings) = (Arc::new(Program::new(parsed.rules, &settings)), Arc::new(settings));
    let events = || {
        let options = Options { read_ahead: false, buffer_bytes: 256 };
        let sources = Sources::from_reader("fuzz", Box::new(Cursor::new(capture.to_vec())), options).ok()?;
        let (mut reader, mut lines) = (Reader::new(sources, Arc::clone(&program), Arc::clone(&settings)), Vec::new());
        while let Progress::Lines(own) = reader.advance(u64::MAX) {
            lines.extend(own);
        }
        let whole = lines.split_inclusive(|byte| *byte == b'\n');
        assert!(
            whole.clone().all(|line| serde_json::from_slice::<serde_json::Value>(line).is_ok()),
            "a line is an event"
        );
        assert_eq!(whole.count() as u64, reader.alerts(), "an alert is a line");
        Some(lines)
    };
    assert_eq!(events(), events(), "the same rules and packets give the same events");
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
