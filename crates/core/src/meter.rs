//! From packets to rows of flows, wherever the packets come from: decoder, flow table and batches (the metering process
//! of RFC 7011).

use std::collections::BTreeMap;
use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

use crate::batch::BatchBuilder;
use crate::claims::Claims;
use crate::flow::{Finished, FlowTable, Limits};
use crate::schema::{FeatureSet, Row};
use crate::source::Packet;
use crate::wire::{Decoder, Outcome};

/// How often the defragmenter is asked for incomplete datagrams, in nanoseconds of capture time.
const EXPIRE_EVERY_NS: i64 = 1_000_000_000;

/// What rows are made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub features: FeatureSet,
    /// Rows of a batch, at the most.
    pub batch_rows: usize,
    pub limits: Limits,
    /// Whether rows are made of flows that are still going, too: after their packets 1, 4, 16 and 64.
    pub early: bool,
}

/// The account of what was metered so far.
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
    /// Captures that cannot be read, or not to their end, with the reason.
    pub unreadable: BTreeMap<PathBuf, String>,
    /// Earliest and latest capture time in nanoseconds since the Unix epoch.
    pub start: Option<i64>,
    pub end: Option<i64>,
}

impl Account {
    /// Adds what another meter has come to.
    pub fn add(&mut self, other: &Account) {
        self.packets += other.packets;
        self.bytes += other.bytes;
        self.flows += other.flows;
        self.ambiguous_fragment_bytes += other.ambiguous_fragment_bytes;
        add_counts(&mut self.without_flow, &other.without_flow);
        add_counts(&mut self.malformed, &other.malformed);
        add_counts(&mut self.shed, &other.shed);
        self.unreadable.extend(other.unreadable.iter().map(|(path, reason)| (path.clone(), reason.clone())));
        self.start = self.start.into_iter().chain(other.start).min();
        self.end = self.end.into_iter().chain(other.end).max();
    }
}

fn add_counts(counts: &mut BTreeMap<&'static str, u64>, more: &BTreeMap<&'static str, u64>) {
    for (kind, count) in more {
        *counts.entry(kind).or_default() += count;
    }
}

/// Takes packets and yields batches of the flows that ended.
pub struct Meter {
    decoder: Decoder,
    table: FlowTable,
    builder: BatchBuilder,
    /// Rows of flows that are still going.
    early: Option<BatchBuilder>,
    claims: Claims,
    batch_rows: usize,
    packets: u64,
    bytes: u64,
    flows: u64,
    span: Option<(i64, i64)>,
    next_expiry: i64,
}

impl Meter {
    /// Makes a meter that has seen nothing.
    pub fn new(options: Options) -> Meter {
        let mut table = FlowTable::new(options.limits);
        if options.early {
            table.show_early();
        }
        Meter {
            decoder: Decoder::default(),
            table,
            builder: BatchBuilder::new(options.features),
            early: options.early.then(|| BatchBuilder::new(options.features)),
            claims: Claims::default(),
            batch_rows: options.batch_rows.max(1),
            packets: 0,
            bytes: 0,
            flows: 0,
            span: None,
            next_expiry: i64::MIN,
        }
    }

    /// Returns the Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.builder.schema()
    }

    /// Counts packets taken so far.
    #[inline]
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Takes one packet; flows that it ends wait for [`Meter::collect`].
    #[inline]
    pub fn observe(&mut self, packet: &Packet<'_>) {
        self.packets += 1;
        self.bytes += u64::from(packet.wire_len);
        self.span =
            Some(self.span.map_or((packet.at, packet.at), |(start, end)| (start.min(packet.at), end.max(packet.at))));
        if packet.at >= self.next_expiry {
            self.expire_datagrams(packet.at);
        }
        if let Outcome::Segment(segment) = &self.decoder.decode(packet) {
            self.table.observe(segment);
        }
        self.claims.note(self.decoder.take_claim());
        if self.early.is_some() {
            self.collect_early();
        }
    }

    fn collect_early(&mut self) {
        while let Some(going) = self.table.take_early() {
            let row = self.row(going);
            if let Some(early) = &mut self.early {
                early.push(row);
            }
        }
    }

    /// Notes that the time has come to `now` without a packet, so that flows end where everything is silent.
    ///
    /// Where the clock was set back by more than a minute, all flows end: their time would not pass for long.
    pub fn tick(&mut self, now: i64) {
        if self.table.is_ahead_of(now) {
            self.decoder.flush(&mut |segment| self.table.observe(&segment));
            self.table.restart();
            self.next_expiry = i64::MIN;
        }
        if now >= self.next_expiry {
            self.expire_datagrams(now);
        }
        self.table.tick(now);
    }

    #[cold]
    fn expire_datagrams(&mut self, now: i64) {
        self.next_expiry = now.saturating_add(EXPIRE_EVERY_NS);
        self.decoder.expire(now, &mut |segment| self.table.observe(&segment));
    }

    /// Ends all flows; no packet may follow.
    pub fn finish(&mut self) {
        self.decoder.flush(&mut |segment| self.table.observe(&segment));
        self.table.finish();
    }

    /// Tells whether a flow ended that no row was made of yet.
    #[inline]
    pub fn has_ended(&self) -> bool {
        self.table.ended() > 0
    }

    /// Makes rows of the flows that ended, as many as fit into a batch.
    #[inline]
    pub fn collect(&mut self) {
        while self.builder.len() < self.batch_rows {
            let Some(finished) = self.table.take_ended() else { return };
            self.flows += 1;
            let row = self.row(finished);
            self.builder.push(row);
        }
    }

    fn row(&self, finished: Finished) -> Row {
        let context = self.decoder.contexts().get(usize::from(finished.flow.key.context)).cloned().unwrap_or_default();
        Row::new(finished, context)
    }

    /// Counts the rows that the next batch has by now.
    #[inline]
    pub fn rows(&self) -> usize {
        self.builder.len()
    }

    /// Tells whether the next batch cannot have more rows.
    #[inline]
    pub fn is_full(&self) -> bool {
        self.builder.len() >= self.batch_rows
    }

    /// Makes a batch of the rows collected since the last one.
    pub fn take_batch(&mut self) -> Result<RecordBatch, ArrowError> {
        self.builder.finish()
    }

    /// Counts the rows of flows still going, since the last batch of them.
    #[inline]
    pub fn early_rows(&self) -> usize {
        self.early.as_ref().map_or(0, BatchBuilder::len)
    }

    /// Makes a batch of the rows of flows still going; None if they were not asked for.
    pub fn take_early_batch(&mut self) -> Option<Result<RecordBatch, ArrowError>> {
        self.early.as_mut().map(BatchBuilder::finish)
    }

    /// Hands over what hosts claimed about the owners of addresses since the last call.
    pub fn take_claims(&mut self) -> Result<RecordBatch, ArrowError> {
        self.claims.take(self.decoder.contexts())
    }

    /// Tells whether some claim waits to be taken.
    pub fn has_claims(&self) -> bool {
        !self.claims.is_empty()
    }

    /// Returns the account of what was metered so far.
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
            unreadable: BTreeMap::new(),
            start: self.span.map(|(start, _)| start),
            end: self.span.map(|(_, end)| end),
        }
    }
}
