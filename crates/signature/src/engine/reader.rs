//! The whole way from captures to events: the walk over packets, and rules.

use std::path::PathBuf;
use std::sync::Arc;

use infraspectre_core::source::{Options, SourceError};

use crate::field::{Field, FieldSet};
use crate::flow::Occasion;
use crate::rule::Rule;
use crate::settings::Settings;

use super::compile::Program;
use super::detect::Detector;
use super::eve::{self, Extras, Frame};
use super::profile::Cost;
use super::state::FlowState;
use super::walk::{Account, Walk};

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
        let walk = Walk::open(paths, Arc::clone(&settings), options, wanted(&program))?;
        let engine = Engine {
            detector: Detector::new(program, Arc::clone(&settings)),
            extras: Extras::new(&settings),
            settings,
            out: Vec::new(),
            alerts: 0,
        };
        Ok(Reader { walk, engine })
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

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        self.walk.account().shed([("alerts_beyond_packet_limit", self.engine.detector.surplus)])
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
    if !program.wanted.contains(Field::FileHash) {
        wanted.remove(Field::FileHash);
    }
    wanted
}
