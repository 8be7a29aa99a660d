//! Live capture as Python sees it: batches of an interface, as they come.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use arrow_array::RecordBatch;
use infraspectre_core::meter::{Account, Meter, Options as MeterOptions};
use infraspectre_live::socket::Socket;
use infraspectre_live::{Batch, Capture, Error, Next, Options, RingOptions, Status};
use pyo3::exceptions::{PyFileNotFoundError, PyOSError, PyPermissionError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::packets::PacketRecorder;
use crate::{arrow_error, describe, lock, meter_options, FlowColumns};

/// Longest wait before an interruption is noticed.
const BETWEEN_SIGNALS: Duration = Duration::from_millis(100);

/// Claims about addresses that may wait to be taken, as many as for a capture.
const MOST_CLAIMS: usize = 1 << 17;

/// Reads flows of an interface as they end.
#[pyclass(frozen)]
pub struct LiveReader {
    capture: Capture,
    claims: Mutex<Claims>,
}

/// Claims that wait to be taken, and how many found no room.
struct Claims {
    waiting: Vec<RecordBatch>,
    none: RecordBatch,
    dropped: u64,
}

impl Claims {
    fn add(&mut self, claims: RecordBatch) {
        let waiting: usize = self.waiting.iter().map(RecordBatch::num_rows).sum();
        if waiting + claims.num_rows() <= MOST_CLAIMS {
            self.waiting.push(claims);
        } else {
            self.dropped += claims.num_rows() as u64;
        }
    }

    fn count_dropped(&self, account: &mut Account, shed: u64) {
        if self.dropped + shed > 0 {
            *account.shed.entry("address_claims").or_default() += self.dropped + shed;
        }
    }
}

#[pymethods]
impl LiveReader {
    #[new]
    #[pyo3(signature = (interface, *, program=None, snap_bytes=262_144, buffer_bytes=67_108_864, block_timeout_ms=1,
        promiscuous=true, threads=1, flush_ms=1.0, queue_batches=64, early=false, features="full", batch_rows=8192, options=None))]
    #[allow(clippy::too_many_arguments)] // they have names in Python
    fn new(
        py: Python<'_>,
        interface: String,
        program: Option<Vec<(u16, u8, u8, u32)>>,
        snap_bytes: u32,
        buffer_bytes: usize,
        block_timeout_ms: u32,
        promiscuous: bool,
        threads: usize,
        flush_ms: f64,
        queue_batches: usize,
        early: bool,
        features: &str,
        batch_rows: usize,
        options: Option<BTreeMap<String, f64>>,
    ) -> PyResult<Self> {
        let ring = RingOptions { interface, filter: program, snap_bytes, buffer_bytes, block_timeout_ms, promiscuous };
        let meter = MeterOptions { early, ..meter_options(features, batch_rows, options)? };
        let flush = Duration::try_from_secs_f64(flush_ms / 1000.0).unwrap_or(Duration::MAX);
        let options = Options { ring, meter, threads, flush, queue_batches };
        let capture = py.detach(|| Capture::open(&options)).map_err(open_error)?;
        let none = Meter::new(meter).take_claims().map_err(arrow_error)?;
        Ok(LiveReader { capture, claims: Mutex::new(Claims { waiting: Vec::new(), none, dropped: 0 }) })
    }

    /// Returns the next batch, None when the time is over; raises StopIteration when the capture was stopped and all
    /// was read.
    fn read(&self, py: Python<'_>, timeout_s: f64) -> PyResult<Option<FlowColumns>> {
        let most = Duration::try_from_secs_f64(timeout_s.max(0.0)).unwrap_or(Duration::MAX);
        let began = Instant::now();
        loop {
            let left = most.saturating_sub(began.elapsed());
            match py.detach(|| self.capture.read(left.min(BETWEEN_SIGNALS))) {
                Next::Batch(batch) => match self.take(batch) {
                    Some(columns) => return Ok(Some(columns)),
                    None => continue,
                },
                Next::Done => return Err(pyo3::exceptions::PyStopIteration::new_err(())),
                Next::Waiting if left <= BETWEEN_SIGNALS => return Ok(None),
                Next::Waiting => py.check_signals()?,
            }
        }
    }

    /// Keeps packets from now on in a ring on disk, too.
    fn record(&self, ring: &PacketRecorder) {
        self.capture.record(ring.recorder.clone());
    }

    /// Lets no further packet in; what was received is still given out.
    fn stop(&self) {
        self.capture.stop();
    }

    /// Returns the account as it was a moment ago.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let status = self.capture.status();
        let (in_ring, flows) = (status.in_ring(), status.account.flows);
        let Status { mut account, kernel, flows_shed, early_shed, claims_shed, outages, fault } = status;
        lock(&self.claims).count_dropped(&mut account, claims_shed);
        let summary = describe(py, account)?;
        summary.set_item("flows", flows)?;
        summary.set_item("received", kernel.received)?;
        summary.set_item("dropped", kernel.dropped)?;
        summary.set_item("freezes", kernel.freezes)?;
        summary.set_item("in_ring", in_ring)?;
        summary.set_item("flows_shed", flows_shed)?;
        summary.set_item("early_shed", early_shed)?;
        summary.set_item("outages", outages)?;
        summary.set_item("fault", fault)?;
        Ok(summary)
    }

    /// Returns what hosts claimed about the owners of addresses, as far as batches were read, since the last call.
    fn claims(&self) -> Vec<FlowColumns> {
        let mut claims = lock(&self.claims);
        let none = claims.none.clone();
        std::iter::once(none).chain(claims.waiting.drain(..)).map(FlowColumns::finished).collect()
    }
}

impl LiveReader {
    /// Lays claims aside; returns the rows, if there are any.
    fn take(&self, batch: Batch) -> Option<FlowColumns> {
        let Batch { rows, claims, is_early } = batch;
        if let Some(claims) = claims {
            lock(&self.claims).add(claims);
        }
        (rows.num_rows() > 0).then_some(FlowColumns { batch: rows, is_early })
    }
}

/// Returns the link type of an interface's packets, for which filters are compiled.
#[pyfunction]
pub fn link_type(interface: &str) -> PyResult<u32> {
    let found = Socket::open().and_then(|socket| socket.interface(interface)).map_err(open_error)?;
    Ok(found.link)
}

fn open_error(error: Error) -> PyErr {
    let text = error.to_string();
    match error {
        Error::NotPermitted => PyPermissionError::new_err(text),
        Error::NoInterface(_) => PyFileNotFoundError::new_err(text),
        _ => PyOSError::new_err(text),
    }
}
