//! The seam: the core compiled as `infraspectre._core`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::ffi::{FFI_ArrowArray, FFI_ArrowSchema};
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{Array, RecordBatch, RecordBatchIterator, StructArray};
use arrow_schema::{ArrowError, SchemaRef};
use infraspectre_core::batch::{arrow_schema, type_name};
use infraspectre_core::engine::{Account, Engine, Options, Progress};
use infraspectre_core::flow::Limits;
use infraspectre_core::meter::Options as MeterOptions;
use infraspectre_core::schema::{self, FeatureSet};
use infraspectre_core::source::{self, Options as SourceOptions};
use infraspectre_core::table_file::{ParquetError, TableWriter};
use mimalloc::MiMalloc;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};

#[cfg(target_os = "linux")]
mod live;
mod packets;
mod payloads;
mod signatures;

/// Packets read at the most, a fraction of a second, before an interruption is noticed.
const PACKETS_BETWEEN_SIGNALS: u64 = 200_000;

/// Flows are many small objects of mixed life; this allocator takes a fifth less of the whole time than the system's. Its
/// second version takes a third less memory than the third.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn arrow_error(error: ArrowError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Columns of some finished flows.
#[pyclass(frozen)]
struct FlowColumns {
    batch: RecordBatch,
    is_early: bool,
}

impl FlowColumns {
    fn finished(batch: RecordBatch) -> FlowColumns {
        FlowColumns { batch, is_early: false }
    }
}

#[pymethods]
impl FlowColumns {
    fn __len__(&self) -> usize {
        self.batch.num_rows()
    }

    /// Tells whether these flows were still going.
    #[getter]
    fn is_early(&self) -> bool {
        self.is_early
    }

    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        let schema = FFI_ArrowSchema::try_from(self.batch.schema().as_ref()).map_err(arrow_error)?;
        PyCapsule::new_with_value(py, schema, c"arrow_schema")
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_array__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<(Bound<'py, PyCapsule>, Bound<'py, PyCapsule>)> {
        let _ = requested_schema;
        let schema = self.__arrow_c_schema__(py)?;
        let array = FFI_ArrowArray::new(&StructArray::from(self.batch.clone()).to_data());
        Ok((schema, PyCapsule::new_with_value(py, array, c"arrow_array")?))
    }

    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let _ = requested_schema;
        let batches = RecordBatchIterator::new([Ok(self.batch.clone())], self.batch.schema());
        let stream = FFI_ArrowArrayStream::new(Box::new(batches));
        PyCapsule::new_with_value(py, stream, c"arrow_array_stream")
    }
}

/// Reads captures and yields batches of finished flows.
#[pyclass(frozen)]
struct FlowReader {
    engine: Mutex<Engine>,
}

#[pymethods]
impl FlowReader {
    #[new]
    #[pyo3(signature = (paths, *, features="full", batch_rows=8192, read_ahead=true, options=None))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        features: &str,
        batch_rows: usize,
        read_ahead: bool,
        options: Option<BTreeMap<String, f64>>,
    ) -> PyResult<Self> {
        let options = Options {
            meter: meter_options(features, batch_rows, options)?,
            source: SourceOptions { read_ahead, ..SourceOptions::default() },
        };
        let engine =
            py.detach(|| Engine::open(&paths, options)).map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(FlowReader { engine: Mutex::new(engine) })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<FlowColumns>> {
        loop {
            match py.detach(|| lock(&self.engine).advance(PACKETS_BETWEEN_SIGNALS)).map_err(arrow_error)? {
                Progress::Batch(batch) => return Ok(Some(FlowColumns::finished(batch))),
                Progress::Reading => py.check_signals()?,
                Progress::Done => return Ok(None),
            }
        }
    }

    /// Returns the account of what was read so far.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let account = py.detach(|| lock(&self.engine).account());
        let flows = account.flows;
        let summary = describe(py, account)?;
        summary.set_item("flows", flows)?;
        Ok(summary)
    }

    /// Returns what hosts claimed about the owners of addresses since the last call.
    fn claims(&self, py: Python<'_>) -> PyResult<FlowColumns> {
        let batch = py.detach(|| lock(&self.engine).take_claims()).map_err(arrow_error)?;
        Ok(FlowColumns::finished(batch))
    }

    /// Returns bytes read and bytes in all, as far as known.
    fn progress(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| lock(&self.engine).progress())
    }
}

/// Describes what reading captures has come to, without what only some readers count.
fn describe(py: Python<'_>, account: Account) -> PyResult<Bound<'_, PyDict>> {
    let Account {
        packets,
        bytes,
        flows: _,
        without_flow,
        malformed,
        shed,
        ambiguous_fragment_bytes,
        unreadable,
        start,
        end,
    } = account;
    let unreadable: BTreeMap<String, String> =
        unreadable.into_iter().map(|(path, reason)| (path.to_string_lossy().into_owned(), reason)).collect();
    let summary = PyDict::new(py);
    summary.set_item("packets", packets)?;
    summary.set_item("bytes", bytes)?;
    summary.set_item("without_flow", without_flow)?;
    summary.set_item("malformed", malformed)?;
    summary.set_item("shed", shed)?;
    summary.set_item("ambiguous_fragment_bytes", ambiguous_fragment_bytes)?;
    summary.set_item("unreadable", unreadable)?;
    summary.set_item("capture_start", start)?;
    summary.set_item("capture_end", end)?;
    Ok(summary)
}

/// Reads what rows are to be made of.
fn meter_options(features: &str, batch_rows: usize, limits: Option<BTreeMap<String, f64>>) -> PyResult<MeterOptions> {
    let features = FeatureSet::named(features).ok_or_else(|| {
        PyValueError::new_err(format!("unknown feature set {features:?}; expected base, cic or full"))
    })?;
    Ok(MeterOptions { features, batch_rows, limits: self::limits(&limits.unwrap_or_default())?, early: false })
}

/// Longest timeout, some 146 years: added to any capture time it stays within 64 bits.
const LONGEST_NS: i64 = i64::MAX / 2;

fn limits(options: &BTreeMap<String, f64>) -> PyResult<Limits> {
    let mut limits = Limits::default();
    for (name, value) in options {
        if !value.is_finite() || *value < 0.0 {
            return Err(PyValueError::new_err(format!(
                "option {name} is {value}; expected a number that is not negative"
            )));
        }
        let nanoseconds = ((*value * 1e9) as i64).min(LONGEST_NS);
        match name.as_str() {
            "tcp_idle_s" => limits.tcp_idle_ns = nanoseconds,
            "tcp_half_open_idle_s" => limits.tcp_half_open_idle_ns = nanoseconds,
            "udp_idle_s" => limits.udp_idle_ns = nanoseconds,
            "other_idle_s" => limits.other_idle_ns = nanoseconds,
            "linger_s" => limits.linger_ns = nanoseconds,
            "active_s" => limits.active_ns = nanoseconds,
            "max_flows" => limits.max_flows = (*value as usize).max(1),
            "max_buffered_bytes" => limits.max_buffered_bytes = *value as usize,
            _ => return Err(PyValueError::new_err(format!("unknown option {name:?}"))),
        }
    }
    Ok(limits)
}

/// Writes batches into a Parquet file that appears under its name only when it is complete.
#[pyclass(frozen)]
struct ParquetWriter {
    path: PathBuf,
    /// What is written to until then; a device or pipe is written to directly.
    partial: PathBuf,
    writer: Mutex<Option<TableWriter<File>>>,
}

impl ParquetWriter {
    fn open(&self, schema: SchemaRef) -> PyResult<TableWriter<File>> {
        TableWriter::new(File::create(&self.partial)?, schema).map_err(write_error)
    }

    fn rename(&self) -> std::io::Result<()> {
        if self.partial == self.path {
            return Ok(());
        }
        std::fs::rename(&self.partial, &self.path)
    }
}

/// Gives Python the operating system's error where there is one.
fn write_error(error: ParquetError) -> PyErr {
    match error {
        ParquetError::External(source) => match source.downcast::<std::io::Error>() {
            Ok(error) => (*error).into(),
            Err(source) => PyOSError::new_err(source.to_string()),
        },
        error => PyOSError::new_err(error.to_string()),
    }
}

impl Drop for ParquetWriter {
    fn drop(&mut self) {
        drop(lock(&self.writer).take());
        if self.partial != self.path {
            // After success it has its name already, and nothing can be done here about a file that cannot be removed.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let is_special = std::fs::metadata(path).is_ok_and(|metadata| !metadata.is_file());
    match path.file_name() {
        Some(name) if !is_special => {
            let mut partial = OsString::from(".");
            partial.push(name);
            partial.push(".partial");
            path.with_file_name(partial)
        }
        _ => path.to_path_buf(),
    }
}

#[pymethods]
impl ParquetWriter {
    #[new]
    fn new(path: PathBuf) -> Self {
        ParquetWriter { partial: partial_path(&path), path, writer: Mutex::new(None) }
    }

    /// Appends the rows of a batch.
    fn write(&self, py: Python<'_>, columns: &Bound<'_, FlowColumns>) -> PyResult<()> {
        let batch = &columns.get().batch;
        py.detach(|| {
            let mut writer = lock(&self.writer);
            let open = match writer.take() {
                Some(open) => open,
                None => self.open(batch.schema())?,
            };
            writer.insert(open).write(batch).map_err(write_error)
        })
    }

    /// Completes the file and gives it its name; without any batch, it is an empty table of all columns.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let writer = match lock(&self.writer).take() {
                Some(writer) => writer,
                None => self.open(arrow_schema(&schema::columns(FeatureSet::Full)))?,
            };
            writer.close().map_err(write_error)?;
            Ok(self.rename()?)
        })
    }
}

/// Describes every column: name, unit, dtype, definition, source, group and the feature sets that have it.
#[pyfunction]
fn feature_schema<'py>(py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
    let sets = [("base", FeatureSet::Base), ("cic", FeatureSet::Cic), ("full", FeatureSet::Full)];
    let describe = |column: &schema::Column| {
        let entry = PyDict::new(py);
        entry.set_item("name", column.name)?;
        entry.set_item("unit", column.unit)?;
        entry.set_item("dtype", type_name(column))?;
        entry.set_item("group", column.group)?;
        entry.set_item("definition", column.definition)?;
        entry.set_item("source", column.source)?;
        let names: Vec<&str> = sets.iter().filter(|(_, set)| column.is_in(*set)).map(|(name, _)| *name).collect();
        entry.set_item("sets", names)?;
        Ok(entry)
    };
    schema::all_columns().iter().map(describe).collect()
}

/// Undoes gzip and Zstandard around bytes; raises OSError where they are broken or more than `most` bytes come out.
#[pyfunction]
fn unpacked<'py>(py: Python<'py>, data: Vec<u8>, most: u64) -> PyResult<Bound<'py, PyBytes>> {
    let plain = py.detach(|| source::unpacked(data, most))?;
    Ok(PyBytes::new(py, &plain))
}

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("SCHEMA_VERSION", schema::SCHEMA_VERSION)?;
    module.add_class::<FlowColumns>()?;
    module.add_class::<FlowReader>()?;
    #[cfg(target_os = "linux")]
    module.add_class::<live::LiveReader>()?;
    #[cfg(target_os = "linux")]
    module.add_function(wrap_pyfunction!(live::link_type, module)?)?;
    module.add_class::<ParquetWriter>()?;
    module.add_class::<signatures::RuleSet>()?;
    module.add_class::<signatures::AlertReader>()?;
    module.add_class::<payloads::PayloadReader>()?;
    module.add_class::<packets::PacketExtractor>()?;
    module.add_class::<packets::PacketRecorder>()?;
    module.add_function(wrap_pyfunction!(unpacked, module)?)?;
    module.add_function(wrap_pyfunction!(feature_schema, module)?)
}
