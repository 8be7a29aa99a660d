//! Packets as Python sees them: a ring of them on disk, and conversations picked out of captures.

use std::collections::HashSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use infraspectre_core::extract::{Conversation, Extractor, Selection};
use infraspectre_core::flow::key::Endpoint;
use infraspectre_core::recorder::{self, Account, Recorder};
use infraspectre_core::source::{Options as SourceOptions, Sources};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::{lock, PACKETS_BETWEEN_SIGNALS};

/// How often it is looked whether all is on the disk.
const LOOK: Duration = Duration::from_millis(1);

/// Keeps packets in a ring on disk.
#[pyclass(frozen)]
pub struct PacketRecorder {
    pub(crate) recorder: Arc<Recorder>,
    folder: PathBuf,
}

#[pymethods]
impl PacketRecorder {
    #[new]
    #[pyo3(signature = (folder, *, most_bytes, snap_bytes, age_s))]
    fn new(py: Python<'_>, folder: PathBuf, most_bytes: u64, snap_bytes: u32, age_s: f64) -> PyResult<Self> {
        let age = Duration::try_from_secs_f64(age_s).unwrap_or(Duration::MAX);
        let options = recorder::Options { folder: folder.clone(), bytes: most_bytes, snap_bytes, age };
        let recorder = Arc::new(py.detach(|| Recorder::open(&options))?);
        Ok(PacketRecorder { recorder, folder })
    }

    /// Records the packets of captures, and waits for the disk; returns how many there were.
    fn copy(&self, py: Python<'_>, paths: Vec<PathBuf>) -> PyResult<u64> {
        let opened = py.detach(|| Sources::open(&paths, SourceOptions::default()));
        let mut sources = opened.map_err(|error| PyOSError::new_err(error.to_string()))?;
        let (mut tape, mut count, mut is_done) = (self.recorder.tape(), 0, false);
        while !is_done {
            py.check_signals()?;
            py.detach(|| {
                for _ in 0..PACKETS_BETWEEN_SIGNALS {
                    let Some(packet) = sources.next() else {
                        is_done = true;
                        break;
                    };
                    tape.record_patiently(&packet);
                    count += 1;
                }
            });
        }
        py.detach(|| tape.flush_patiently());
        while is_on_its_way(&self.recorder.account()) {
            py.check_signals()?;
            py.detach(|| thread::sleep(LOOK));
        }
        Ok(count)
    }

    /// Returns the segments that may hold packets of a time span, in nanoseconds since the epoch.
    fn segments(&self, py: Python<'_>, first: i64, last: i64) -> PyResult<Vec<PathBuf>> {
        Ok(py.detach(|| recorder::segments_between(&self.folder, first, last))?)
    }

    /// Returns what became of packets so far, and what the ring holds.
    fn account<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let Account { offered, written, left_out, failed, dropped_bytes, held_bytes, since, fault } =
            self.recorder.account();
        let account = PyDict::new(py);
        account.set_item("offered", offered)?;
        account.set_item("written", written)?;
        account.set_item("left_out", left_out)?;
        account.set_item("failed", failed)?;
        account.set_item("dropped_bytes", dropped_bytes)?;
        account.set_item("held_bytes", held_bytes)?;
        account.set_item("since", since)?;
        account.set_item("fault", fault)?;
        Ok(account)
    }

    /// Writes what is on its way and closes the last segment.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.recorder.close());
    }
}

/// Tells whether packets that were handed over have not arrived yet.
fn is_on_its_way(account: &Account) -> bool {
    account.offered > account.written + account.left_out + account.failed
}

/// Yields the packets of conversations as a pcapng file, piece by piece.
#[pyclass(frozen)]
pub struct PacketExtractor {
    extractor: Mutex<Extractor>,
}

#[pymethods]
impl PacketExtractor {
    /// Takes conversations as (address, port, address, port, number of the IP protocol).
    #[new]
    #[pyo3(signature = (paths, conversations, *, first=i64::MIN, last=i64::MAX, most_bytes=u64::MAX))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        conversations: Vec<(IpAddr, u16, IpAddr, u16, u8)>,
        first: i64,
        last: i64,
        most_bytes: u64,
    ) -> PyResult<Self> {
        let endpoint = |address: IpAddr, port| {
            let address = match address {
                IpAddr::V4(address) => address.to_ipv6_mapped(),
                IpAddr::V6(address) => address,
            };
            Endpoint { address: address.octets(), port }
        };
        let wanted = conversations.into_iter().map(|(one, one_port, other, other_port, protocol)| {
            Conversation::between(endpoint(one, one_port), endpoint(other, other_port), protocol)
        });
        let conversations: HashSet<Conversation> = wanted.collect();
        let selection = Selection { conversations, span: first..=last, most_bytes };
        let extractor = py
            .detach(|| Extractor::open(&paths, selection, SourceOptions::default()))
            .map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(PacketExtractor { extractor: Mutex::new(extractor) })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        py.check_signals()?;
        let piece = py.detach(|| lock(&self.extractor).advance(PACKETS_BETWEEN_SIGNALS));
        Ok(piece.map(|bytes| PyBytes::new(py, &bytes)))
    }

    /// Returns how many packets were picked out so far.
    fn packets(&self, py: Python<'_>) -> u64 {
        py.detach(|| lock(&self.extractor).packets())
    }

    /// Tells whether packets were left out for want of room.
    fn is_cut(&self, py: Python<'_>) -> bool {
        py.detach(|| lock(&self.extractor).is_cut())
    }

    /// Names captures that could not be read to their end, with the reason.
    fn unreadable(&self, py: Python<'_>) -> Vec<(PathBuf, String)> {
        let list =
            || lock(&self.extractor).unreadable().iter().map(|(path, why)| (path.clone(), why.clone())).collect();
        py.detach(list)
    }
}
