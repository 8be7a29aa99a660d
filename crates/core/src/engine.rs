//! The whole way of a packet: sources, then the meter with decoder, flow table and batches.

use std::path::PathBuf;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, SchemaRef};

pub use crate::meter::Account;
use crate::meter::{Meter, Options as MeterOptions};
use crate::source::{Options as SourceOptions, SourceError, Sources};

/// What to read and how.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub meter: MeterOptions,
    pub source: SourceOptions,
}

/// How far reading has come.
#[derive(Debug)]
pub enum Progress {
    Batch(RecordBatch),
    /// There is more to read before there is a batch.
    Reading,
    Done,
}

/// Reads captures and yields batches of finished flows; the last one may have fewer rows than the others.
pub struct Engine {
    sources: Sources,
    meter: Meter,
    exhausted: bool,
}

impl Engine {
    /// Opens captures; fails if none of them can be read.
    pub fn open(paths: &[PathBuf], options: Options) -> Result<Engine, SourceError> {
        Ok(Engine::new(Sources::open(paths, options.source)?, options.meter))
    }

    /// Reads what was opened elsewhere.
    pub fn new(sources: Sources, options: MeterOptions) -> Engine {
        Engine { sources, meter: Meter::new(options), exhausted: false }
    }

    /// Returns the Arrow schema of the batches.
    pub fn schema(&self) -> SchemaRef {
        self.meter.schema()
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
        let enough = self.meter.packets().saturating_add(packets);
        loop {
            self.meter.collect();
            if self.meter.is_full() || self.exhausted && self.meter.rows() > 0 {
                return self.meter.take_batch().map(Progress::Batch);
            }
            if self.exhausted {
                return Ok(Progress::Done);
            }
            if self.meter.packets() >= enough {
                return Ok(Progress::Reading);
            }
            self.read_until_flows_end(enough);
        }
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        Account { unreadable: self.sources.unreadable().clone(), ..self.meter.account() }
    }

    /// Hands over what hosts claimed about the owners of addresses since the last call.
    pub fn take_claims(&mut self) -> Result<RecordBatch, ArrowError> {
        self.meter.take_claims()
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        (self.sources.bytes_read(), self.sources.total_bytes())
    }

    fn read_until_flows_end(&mut self, enough: u64) {
        while !self.meter.has_ended() && self.meter.packets() < enough {
            let Some(packet) = self.sources.next() else {
                self.exhausted = true;
                return self.meter.finish();
            };
            self.meter.observe(&packet);
        }
    }
}
