//! What flows carried, put together again.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;

use infraspectre_core::source::Options as SourceOptions;
use infraspectre_signature::payloads::{Bounds, Payload, PayloadReader as Reader};
use infraspectre_signature::settings::Settings;
use infraspectre_signature::transaction::Direction;
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::describe;
use crate::{lock, PACKETS_BETWEEN_SIGNALS};

/// Reads captures and yields payloads, some at a time.
#[pyclass(frozen)]
pub struct PayloadReader {
    reader: Mutex<Reader>,
}

#[pymethods]
impl PayloadReader {
    #[new]
    #[pyo3(signature = (paths, settings=None, max_bytes=None, read_ahead=true))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        settings: Option<BTreeMap<String, String>>,
        max_bytes: Option<usize>,
        read_ahead: bool,
    ) -> PyResult<Self> {
        let settings = Settings::new(settings.unwrap_or_default());
        let bounds = Bounds::default();
        let bounds = Bounds { each: max_bytes.unwrap_or(bounds.each), ..bounds };
        let options = SourceOptions { read_ahead, ..SourceOptions::default() };
        let reader = py.detach(|| Reader::open(&paths, settings, bounds, options));
        let reader = reader.map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(PayloadReader { reader: Mutex::new(reader) })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Vec<Bound<'py, PyDict>>>> {
        let payloads = self.read(py, u64::MAX)?;
        Ok((!payloads.is_empty()).then_some(payloads))
    }

    /// Returns some payloads that are complete by a number of packets; none once all of these were given.
    fn read<'py>(&self, py: Python<'py>, packets: u64) -> PyResult<Vec<Bound<'py, PyDict>>> {
        loop {
            let (payloads, is_over) = py.detach(|| {
                let mut reader = lock(&self.reader);
                let next = reader.packets().saturating_add(PACKETS_BETWEEN_SIGNALS);
                let payloads = reader.advance(next.min(packets));
                (payloads, reader.is_over() || reader.packets() >= packets)
            });
            if is_over || !payloads.is_empty() {
                return payloads.into_iter().map(|payload| object(py, payload)).collect();
            }
            py.check_signals()?;
        }
    }

    /// Returns the account of what was read so far.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (account, payloads) = py.detach(|| {
            let reader = lock(&self.reader);
            (reader.account(), reader.payloads())
        });
        let summary = describe(py, account)?;
        summary.set_item("payloads", payloads)?;
        Ok(summary)
    }

    /// Returns bytes read and bytes in all, as far as known.
    fn progress(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| lock(&self.reader).progress())
    }
}

fn object(py: Python<'_>, payload: Payload) -> PyResult<Bound<'_, PyDict>> {
    let direction = match payload.direction {
        Direction::Orig => "orig",
        Direction::Resp => "resp",
    };
    let entry = PyDict::new(py);
    entry.set_item("flow_id", payload.flow_id)?;
    entry.set_item("orig", payload.orig.to_string())?;
    entry.set_item("resp", payload.resp.to_string())?;
    entry.set_item("direction", direction)?;
    entry.set_item("kind", payload.kind.name())?;
    entry.set_item("name", String::from_utf8_lossy(&payload.name))?;
    entry.set_item("data", PyBytes::new(py, &payload.data))?;
    entry.set_item("started_at", payload.start)?;
    entry.set_item("ended_at", payload.end)?;
    entry.set_item("packet", payload.packet)?;
    entry.set_item("is_truncated", payload.is_truncated)?;
    Ok(entry)
}
