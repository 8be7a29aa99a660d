//! The whole way of a packet: sources, decoder, flow table, batches.

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::batch::BatchBuilder;
use crate::claims::Claims;
use crate::flow::{FlowTable, Limits};
use crate::schema::{FeatureSet, Row};
use crate::source::{Options as SourceOptions, SourceError, Sources};
use crate::wire::{Decoder, Outcome};

/// How often the defragmenter is asked for incomplete datagrams, in nanoseconds of capture time.
const EXPIRE_EVERY_NS: i64 = 1_000_000_000;

/// What to read and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub features: FeatureSet,
    /// Rows of a batch; the last one may have fewer.
    pub batch_rows: usize,
    pub source: SourceOptions,
    pub limits: Limits,
}

/// The account of a run so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    pub packets: u64,
    /// Bytes on the wire.
    pub bytes: u64,
    pub flows: u64,
    /// Packets that belong to no flow because they are not IP, by kind.
    pub without_flow: BTreeMap<&'static str, u64>,
    /// Packets whose headers cannot be read, by reason.
    pub malformed: BTreeMap<&'static str, u64>,
    /// What was not looked at in full, by kind: flows and datagrams ended for lack of room, payloads not inspected,
    /// VLANs and tunnels not told apart.
    pub shed: BTreeMap<&'static str, u64>,
    /// Bytes of IP fragments that contradict those that came first, which are kept.
    pub ambiguous_fragment_bytes: u64,
    pub unreadable: BTreeMap<PathBuf, String>,
    /// Earliest and latest capture time in nanoseconds since the Unix epoch.
    pub start: Option<i64>,
    pub end: Option<i64>,
}

/// How far reading has come.
#[derive(Debug)]
pub enum Progress {
    Batch(RecordBatch),
    /// There is more to read before there is a batch.
    Reading,
    Done,
}

/// Reads captures and yields batches of finished flows.
pub struct Engine {
    sources: Sources,
    decoder: Decoder,
    table: FlowTable,
    builder: BatchBuilder,
    claims: Claims,
    batch_rows: usize,
    packets: u64,
    bytes: u64,
    flows: u64,
    span: Option<(i64, i64)>,
    next_expiry: i64,
    exhausted: bool,
}

impl Engine {
    /// Opens captures; fails if none of them can be read.
    pub fn open(paths: &[PathBuf], options: Options) -> Result<Engine, SourceError> {
        Ok(Engine::new(Sources::open(paths, options.source)?, options))
    }

    /// Reads what was opened elsewhere.
    pub fn new(sources: Sources, options: Options) -> Engine {
        Engine {
            sources,
            decoder: Decoder::default(),
            table: FlowTable::new(options.limits),
            builder: BatchBuilder::new(options.features),
            claims: Claims::default(),
            batch_rows: options.batch_rows.max(1),
            packets: 0,
            bytes: 0,
            flows: 0,
            span: None,
            next_expiry: i64::MIN,
            exhausted: false,
        }
    }

    /// Returns the Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.builder.schema()
    }

    /// Returns the next batch, or nothing when the captures are read and all flows were given out.
    pub fn next_batch(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        loop {
            match self.advance(u64::MAX)? {
                Progress::Batch(batch) => return Ok(Some(batch)),
                Progress::Reading => {}
                Progress::Done => return Ok(None),
            }
        }
    }

    /// Reads on until there is a batch, but no more than about so many packets.
    pub fn advance(&mut self, packets: u64) -> Result<Progress, ArrowError> {
        let enough = self.packets.saturating_add(packets);
        loop {
            self.collect_ended();
            if self.builder.len() >= self.batch_rows || self.exhausted && !self.builder.is_empty() {
                return self.builder.finish().map(Progress::Batch);
            }
            if self.exhausted {
                return Ok(Progress::Done);
            }
            if self.packets >= enough {
                return Ok(Progress::Reading);
            }
            self.read_until_flows_end(enough);
        }
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        let table = self.table.shed;
        let shed = [
            ("address_claims", self.claims.dropped()),
            ("contexts_merged", self.decoder.context_overflows()),
            ("datagrams_evicted", self.decoder.datagrams_evicted()),
            ("flows_evicted", table.flows_evicted),
            ("payloads_not_inspected", table.payloads_not_inspected),
        ];
        Account {
            packets: self.packets,
            bytes: self.bytes,
            flows: self.flows,
            without_flow: self.decoder.other().clone(),
            malformed: self.decoder.malformed().clone(),
            shed: shed.into_iter().filter(|(_, count)| *count > 0).collect(),
            ambiguous_fragment_bytes: self.decoder.ambiguous_fragment_bytes(),
            unreadable: self.sources.unreadable().clone(),
            start: self.span.map(|(start, _)| start),
            end: self.span.map(|(_, end)| end),
        }
    }

    /// Hands over what hosts claimed about the owners of addresses since the last call.
    pub fn take_claims(&mut self) -> Result<RecordBatch, ArrowError> {
        self.claims.take(self.decoder.contexts())
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        (self.sources.bytes_read(), self.sources.total_bytes())
    }

    fn read_until_flows_end(&mut self, enough: u64) {
        while self.table.ended() == 0 && self.packets < enough {
            let Some(packet) = self.sources.next() else { return self.finish() };
            self.packets += 1;
            self.bytes += u64::from(packet.wire_len);
            self.span = Some(
                self.span.map_or((packet.at, packet.at), |(start, end)| (start.min(packet.at), end.max(packet.at))),
            );
            if packet.at >= self.next_expiry {
                self.next_expiry = packet.at.saturating_add(EXPIRE_EVERY_NS);
                self.decoder.expire(packet.at, &mut |segment| self.table.observe(&segment));
            }
            if let Outcome::Segment(segment) = &self.decoder.decode(&packet) {
                self.table.observe(segment);
            }
            self.claims.note(self.decoder.take_claim());
        }
    }

    fn finish(&mut self) {
        self.decoder.flush(&mut |segment| self.table.observe(&segment));
        self.table.finish();
        self.exhausted = true;
    }

    fn collect_ended(&mut self) {
        while self.builder.len() < self.batch_rows {
            let Some(finished) = self.table.take_ended() else { return };
            self.flows += 1;
            let context =
                self.decoder.contexts().get(usize::from(finished.flow.key.context)).cloned().unwrap_or_default();
            self.builder.push(Row::new(finished, context));
        }
    }
}
