//! Rules and the events that they give on captures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use infraspectre_core::source::Options as SourceOptions;
use infraspectre_signature::engine::compile::Program;
use infraspectre_signature::engine::profile::Cost;
use infraspectre_signature::engine::reader::{Progress, Reader};
use infraspectre_signature::rule::parse::{self, Disabled, Refusal, Source};
use infraspectre_signature::rule::{Action, Rule};
use infraspectre_signature::settings::Settings;
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

use crate::{describe, lock, PACKETS_BETWEEN_SIGNALS};

/// Rules in Suricata's language, compiled once and used by many readers.
#[pyclass(frozen)]
pub struct RuleSet {
    paths: Vec<PathBuf>,
    program: Arc<Program>,
    refused: Vec<Refusal>,
    disabled: Vec<Disabled>,
}

#[pymethods]
impl RuleSet {
    #[new]
    #[pyo3(signature = (paths, settings=None))]
    fn new(py: Python<'_>, mut paths: Vec<PathBuf>, settings: Option<BTreeMap<String, String>>) -> PyResult<Self> {
        py.detach(move || {
            let settings = Settings::new(settings.unwrap_or_default());
            let read = |path: &PathBuf| {
                let text = std::fs::read(path);
                let text = text.map_err(|error| PyOSError::new_err(format!("{}: {error}", path.display())))?;
                Ok((path.display().to_string(), text))
            };
            let files: Vec<(String, Vec<u8>)> = paths.iter().map(read).collect::<PyResult<_>>()?;
            let sources: Vec<Source<'_>> = files.iter().map(|(name, text)| Source { name, text }).collect();
            let mut parsed =
                parse::read(&sources, &settings).map_err(|fault| PyValueError::new_err(fault.to_string()))?;
            let mut program = Program::new(parsed.rules, &settings);
            if let Some((path, text)) = threshold_file(&settings)? {
                let source = Source { name: &path.display().to_string(), text: &text };
                let limits = parse::read_thresholds(source, &settings)
                    .map_err(|fault| PyValueError::new_err(fault.to_string()))?;
                program.limit(&limits.entries);
                let file = paths.len() as u32;
                parsed.refused.extend(limits.refused.into_iter().map(|refusal| Refusal { file, ..refusal }));
                paths.push(path);
            }
            Ok(RuleSet { paths, program: Arc::new(program), refused: parsed.refused, disabled: parsed.disabled })
        })
    }

    fn __len__(&self) -> usize {
        self.program.signatures.len()
    }

    /// Rules that were not taken: file, line, gid, sid, reason, suggestion and text.
    #[getter]
    fn refused<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |refusal: &Refusal| {
            let entry = PyDict::new(py);
            entry.set_item("file", self.file(refusal.file))?;
            entry.set_item("line", refusal.line)?;
            entry.set_item("gid", refusal.gid)?;
            entry.set_item("sid", refusal.sid)?;
            entry.set_item("reason", &refusal.reason)?;
            entry.set_item("suggestion", &refusal.suggestion)?;
            entry.set_item("text", &refusal.text)?;
            Ok(entry)
        };
        self.refused.iter().map(describe).collect()
    }

    /// Rules that are commented out: file, line, gid, sid and msg.
    #[getter]
    fn disabled<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let describe = |rule: &Disabled| {
            let entry = PyDict::new(py);
            entry.set_item("file", self.file(rule.origin.file))?;
            entry.set_item("line", rule.origin.line)?;
            entry.set_item("gid", rule.gid)?;
            entry.set_item("sid", rule.sid)?;
            entry.set_item("msg", &*rule.msg)?;
            Ok(entry)
        };
        self.disabled.iter().map(describe).collect()
    }

    /// Rules in the order of their places, each with what it says of itself.
    #[getter]
    fn rules<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let mut rules: Vec<&Rule> = self.program.signatures.iter().map(|signature| &signature.rule).collect();
        rules.sort_by_key(|rule| (rule.origin.file, rule.origin.line));
        rules.into_iter().map(|rule| self.describe(py, rule)).collect()
    }
}

/// Returns the path and text of the threshold file that the settings name; none where there is no such file.
fn threshold_file(settings: &Settings) -> PyResult<Option<(PathBuf, Vec<u8>)>> {
    let Some(path) = settings.get("threshold-file").map(PathBuf::from) else { return Ok(None) };
    match std::fs::read(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PyOSError::new_err(format!("{}: {error}", path.display()))),
    }
}

impl RuleSet {
    fn file(&self, number: u32) -> Option<String> {
        self.paths.get(number as usize).map(|path| path.display().to_string())
    }

    fn describe<'py>(&self, py: Python<'py>, rule: &Rule) -> PyResult<Bound<'py, PyDict>> {
        let action = match rule.action {
            Action::Pass => "pass",
            Action::Drop => "drop",
            Action::Reject => "reject",
            Action::Alert => "alert",
        };
        let entry = PyDict::new(py);
        entry.set_item("gid", rule.gid)?;
        entry.set_item("sid", rule.sid)?;
        entry.set_item("rev", rule.rev)?;
        entry.set_item("msg", &*rule.msg)?;
        entry.set_item("action", action)?;
        entry.set_item("protocol", &*rule.header.protocol.name)?;
        entry.set_item("classtype", rule.classtype.as_deref())?;
        entry.set_item("priority", rule.priority)?;
        entry.set_item("file", self.file(rule.origin.file))?;
        entry.set_item("line", rule.origin.line)?;
        let metadata: Vec<(&str, &str)> = rule.metadata.iter().map(|(key, value)| (&**key, &**value)).collect();
        entry.set_item("metadata", metadata)?;
        let references: Vec<(&str, &str)> = rule.references.iter().map(|(kind, id)| (&**kind, &**id)).collect();
        entry.set_item("references", references)?;
        Ok(entry)
    }
}

/// Runs rules over captures and yields EVE events, some lines at a time.
#[pyclass(frozen)]
pub struct AlertReader {
    reader: Mutex<Reader>,
}

#[pymethods]
impl AlertReader {
    #[new]
    #[pyo3(signature = (paths, rules, settings=None, read_ahead=true))]
    fn new(
        py: Python<'_>,
        paths: Vec<PathBuf>,
        rules: &Bound<'_, RuleSet>,
        settings: Option<BTreeMap<String, String>>,
        read_ahead: bool,
    ) -> PyResult<Self> {
        let program = Arc::clone(&rules.get().program);
        let settings = Arc::new(Settings::new(settings.unwrap_or_default()));
        let options = SourceOptions { read_ahead, ..SourceOptions::default() };
        let reader = py.detach(|| Reader::open(&paths, program, settings, options));
        let reader = reader.map_err(|error| PyOSError::new_err(error.to_string()))?;
        Ok(AlertReader { reader: Mutex::new(reader) })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        // Where nothing alerts there are empty pieces, so that progress is seen and an interruption is noticed.
        Ok(match py.detach(|| lock(&self.reader).advance(PACKETS_BETWEEN_SIGNALS)) {
            Progress::Lines(lines) => Some(PyBytes::new(py, &lines)),
            Progress::Reading => Some(PyBytes::new(py, b"")),
            Progress::Done => None,
        })
    }

    /// Returns the account of what was read so far.
    fn summary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let (account, alerts) = py.detach(|| {
            let reader = lock(&self.reader);
            (reader.account(), reader.alerts())
        });
        let summary = describe(py, account)?;
        summary.set_item("alerts", alerts)?;
        Ok(summary)
    }

    /// Goes on with other rules from the next packet on; no flow is forgotten.
    fn reload(&self, py: Python<'_>, rules: &Bound<'_, RuleSet>) {
        let program = Arc::clone(&rules.get().program);
        py.detach(|| lock(&self.reader).reload(program));
    }

    /// Returns what each rule took that was tried; empty without the setting `profiling`.
    fn profile<'py>(&self, py: Python<'py>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let reader = lock(&self.reader);
        let describe = |(rule, cost): (&Rule, &Cost)| {
            let entry = PyDict::new(py);
            entry.set_item("gid", rule.gid)?;
            entry.set_item("sid", rule.sid)?;
            entry.set_item("msg", &*rule.msg)?;
            entry.set_item("checks", cost.checks)?;
            entry.set_item("matches", cost.matches)?;
            entry.set_item("ns", cost.ns)?;
            Ok(entry)
        };
        reader.costs().map(describe).collect()
    }

    /// Returns bytes read and bytes in all, as far as known.
    fn progress(&self, py: Python<'_>) -> (u64, u64) {
        py.detach(|| lock(&self.reader).progress())
    }
}
