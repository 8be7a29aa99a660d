//! The whole way from captures to events: sources, decoder, flows, rules.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use infraspectre_core::source::{Options, SourceError, Sources};
use infraspectre_core::wire::{Decoder, Outcome, Segment};

use crate::field::{Field, FieldSet};
use crate::flow::{FlowTable, Limits, Occasion};
use crate::rule::Rule;
use crate::settings::Settings;

use super::compile::Program;
use super::detect::Detector;
use super::eve::{self, Extras, Frame};
use super::profile::Cost;
use super::state::FlowState;

/// How often the defragmenter is asked for incomplete datagrams, in nanoseconds of capture time.
const EXPIRE_EVERY_NS: i64 = 1_000_000_000;
/// Bytes of events that are handed over at once.
const ENOUGH_BYTES: usize = 1 << 16;
/// Flows that are followed at a time, and bytes kept for their streams.
const LIMITS: Limits = Limits { flows: 1 << 20, bytes: 256 << 20 };

/// The account of a run so far.
#[derive(Clone, Debug, Default)]
pub struct Account {
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    pub alerts: u64,
    pub without_flow: BTreeMap<&'static str, u64>,
    pub malformed: BTreeMap<&'static str, u64>,
    pub shed: BTreeMap<&'static str, u64>,
    pub ambiguous_fragment_bytes: u64,
    pub unreadable: BTreeMap<PathBuf, String>,
    /// Earliest and latest capture time in nanoseconds since the Unix epoch.
    pub start: Option<i64>,
    pub end: Option<i64>,
}

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
    sources: Sources,
    decoder: Decoder,
    table: FlowTable<FlowState>,
    engine: Engine,
    packets: u64,
    bytes: u64,
    span: Option<(i64, i64)>,
    next_expiry: i64,
    exhausted: bool,
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
        let sources = Sources::open(paths, options)?;
        let table = FlowTable::new(Arc::clone(&settings), LIMITS, wanted(&program));
        let engine = Engine {
            detector: Detector::new(program, Arc::clone(&settings)),
            extras: Extras::new(&settings),
            settings,
            out: Vec::new(),
            alerts: 0,
        };
        let decoder = Decoder::default();
        let (packets, bytes, span) = (0, 0, None);
        Ok(Reader { sources, decoder, table, engine, packets, bytes, span, next_expiry: i64::MIN, exhausted: false })
    }

    /// Reads on until there are events, but no more than about so many packets.
    pub fn advance(&mut self, packets: u64) -> Progress {
        let enough = self.packets.saturating_add(packets);
        while !self.exhausted && self.packets < enough && self.engine.out.len() < ENOUGH_BYTES {
            self.step();
        }
        if self.exhausted && self.engine.out.is_empty() {
            return Progress::Done;
        }
        if self.exhausted || self.engine.out.len() >= ENOUGH_BYTES {
            return Progress::Lines(std::mem::take(&mut self.engine.out));
        }
        Progress::Reading
    }

    fn step(&mut self) {
        let (table, engine) = (&mut self.table, &mut self.engine);
        let Some(packet) = self.sources.next() else {
            let mut each = |occasion: Occasion<'_, FlowState>| engine.look(occasion, None);
            self.decoder.flush(&mut |part| table.observe(&part, part.ip_bytes, part.vlans.ids(), &[], &mut each));
            table.finish(&mut each);
            self.exhausted = true;
            return;
        };
        self.packets += 1;
        self.bytes += u64::from(packet.wire_len);
        let (start, end) = self.span.unwrap_or((packet.at, packet.at));
        self.span = Some((start.min(packet.at), end.max(packet.at)));
        if packet.at >= self.next_expiry {
            self.next_expiry = packet.at.saturating_add(EXPIRE_EVERY_NS);
            let mut each = |occasion: Occasion<'_, FlowState>| engine.look(occasion, None);
            let mut observe = |part: Segment<'_>| table.observe(&part, part.ip_bytes, part.vlans.ids(), &[], &mut each);
            self.decoder.expire(packet.at, &mut observe);
        }
        let frame = Frame { link: packet.link, data: packet.data };
        if let Outcome::Segment(segment) = &self.decoder.decode(&packet) {
            let mut each = |occasion: Occasion<'_, FlowState>| engine.look(occasion, Some(frame));
            table.observe(segment, packet.wire_len, segment.vlans.ids(), &[], &mut each);
        }
        let mut each = |occasion: Occasion<'_, FlowState>| engine.look(occasion, Some(frame));
        let mut observe = |view: Segment<'_>| table.observe(&view, packet.wire_len, view.vlans.ids(), &[], &mut each);
        self.decoder.take_views(&mut observe);
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        let mut shed = self.table.shed();
        let counts = [
            ("contexts_merged", self.decoder.context_overflows()),
            ("datagrams_evicted", self.decoder.datagrams_evicted()),
            ("alerts_beyond_packet_limit", self.engine.detector.surplus),
        ];
        shed.extend(counts.into_iter().filter(|(_, count)| *count > 0));
        Account {
            packets: self.packets,
            bytes: self.bytes,
            alerts: self.engine.alerts,
            without_flow: self.decoder.other().clone(),
            malformed: self.decoder.malformed().clone(),
            shed,
            ambiguous_fragment_bytes: self.decoder.ambiguous_fragment_bytes(),
            unreadable: self.sources.unreadable().clone(),
            start: self.span.map(|(start, _)| start),
            end: self.span.map(|(_, end)| end),
        }
    }

    /// Returns the rules that were tried and what each took; none without the setting `profiling`.
    pub fn costs(&self) -> impl Iterator<Item = (&Rule, &Cost)> {
        self.engine.detector.costs().map(|(signature, cost)| (&signature.rule, cost))
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        (self.sources.bytes_read(), self.sources.total_bytes())
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

/// Returns the fields that rules look at, and those that events describe.
fn wanted(program: &Program) -> FieldSet {
    let _ = (program, Field::ALL);
    FieldSet::all()
}
