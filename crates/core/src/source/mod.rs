//! Capture sources: files, folders and standard input become one stream of packets in time order.

mod buffer;
mod capture;
mod file;
mod pcap;
mod pcapng;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::io::Read;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use capture::{Capture, Record, Refusal};
pub use file::unpacked;
use file::{Candidate, Found, NO_CAPTURES};

/// Link type of a capture, as registered at tcpdump.org/linktypes.html.
pub type LinkType = u32;

/// One captured packet, borrowed from the source's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Position in the merged stream, counted from 1.
    pub number: u64,
    /// Capture time in nanoseconds since the Unix epoch, UTC.
    pub at: i64,
    pub link: LinkType,
    /// Length on the wire; `data` is shorter when a snap length cut the packet.
    pub wire_len: u32,
    pub data: &'a [u8],
}

/// How captures are read; the packets are the same whatever is chosen.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Read each open capture that is compressed, a pipe or standard input in a thread of its own.
    ///
    /// A plain file on disk is always read in place: handing its bytes to another core costs more than it gains.
    pub read_ahead: bool,
    /// Size in bytes of each open capture's buffer; it grows only for a record that needs more.
    pub buffer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { read_ahead: false, buffer_bytes: 512 * 1024 }
    }
}

/// Why no packet stream could be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("no capture was named; give a pcap or pcapng file, a folder, or - for standard input")]
    NoPaths,
    #[error("nothing to read: {}", list(.0))]
    NothingReadable(BTreeMap<PathBuf, String>),
}

fn list(reasons: &BTreeMap<PathBuf, String>) -> String {
    let lines: Vec<_> = reasons.iter().map(|(path, reason)| format!("{}: {reason}", path.display())).collect();
    lines.join("; ")
}

/// Packets of many captures, merged by capture time; equal times keep the order in which the captures were named.
///
/// Inside one capture the order of the file is kept, even where its clock goes back. Of many files each is opened
/// when the time of its first packet has come, so that a folder of rotated captures needs few open files.
pub struct Sources {
    inputs: Vec<Input>,
    /// Captures that have a packet to give, by its time and their position; `current` is not among them.
    waiting: BinaryHeap<Reverse<(i64, usize)>>,
    /// The capture that gave the last packet; it is advanced before the next one is chosen.
    current: Option<usize>,
    number: u64,
    options: Options,
    bytes_read: Arc<AtomicU64>,
    total_bytes: u64,
    unreadable: BTreeMap<PathBuf, String>,
    skipped: BTreeMap<PathBuf, String>,
}

struct Input {
    path: PathBuf,
    /// None before the time of the first packet and after the last one.
    capture: Option<Capture>,
    head: Record,
}

impl Sources {
    /// Opens captures, folders of captures and `-` (standard input); fails only when none of them can be read.
    pub fn open(paths: &[PathBuf], options: Options) -> Result<Sources, SourceError> {
        if paths.is_empty() {
            return Err(SourceError::NoPaths);
        }
        let found = Found::under(paths);
        let mut sources = Sources::empty(options, found.unreadable);
        let keep_open = found.files.len() == 1;
        let readable: Vec<_> = found.files.into_iter().filter_map(|file| sources.add(file, keep_open)).collect();
        for folder in found.folders {
            if !readable.iter().any(|file| file.path.starts_with(&folder)) {
                sources.unreadable.insert(folder, NO_CAPTURES.to_string());
            }
        }
        match readable.is_empty() {
            true => Err(SourceError::NothingReadable(sources.unreadable)),
            false => Ok(sources),
        }
    }

    fn empty(options: Options, unreadable: BTreeMap<PathBuf, String>) -> Sources {
        Sources {
            inputs: Vec::new(),
            waiting: BinaryHeap::new(),
            current: None,
            number: 0,
            options,
            bytes_read: Arc::default(),
            total_bytes: 0,
            unreadable,
            skipped: BTreeMap::new(),
        }
    }

    /// Reads one capture from a stream; `name` stands for it in reports.
    pub fn from_reader(name: &str, input: Box<dyn Read + Send>, options: Options) -> Result<Sources, SourceError> {
        let mut sources = Sources::empty(options, BTreeMap::new());
        let opened = Capture::from_reader(input, options, false, sources.bytes_read.clone());
        match sources.admit(Candidate { path: name.into(), in_folder: false }, opened, true) {
            Some(_) => Ok(sources),
            None => Err(SourceError::NothingReadable(sources.unreadable)),
        }
    }

    /// Takes in one file as far as its first packet; returns it if it is a capture.
    fn add(&mut self, file: Candidate, keep_open: bool) -> Option<Candidate> {
        let keep_open = keep_open || !file.is_regular();
        let counter = if keep_open { self.bytes_read.clone() } else { Arc::default() };
        let options = Options { read_ahead: self.options.read_ahead && keep_open, ..self.options };
        let opened = Capture::open(&file.path, options, counter);
        self.admit(file, opened, keep_open)
    }

    fn admit(&mut self, file: Candidate, opened: Result<Capture, Refusal>, keep_open: bool) -> Option<Candidate> {
        let mut capture = match opened {
            Ok(capture) => capture,
            Err(reason) => {
                let passed_over = file.in_folder && !file.is_named_capture() && reason.is_foreign();
                let report = if passed_over { &mut self.skipped } else { &mut self.unreadable };
                report.insert(file.path, reason.to_string());
                return None;
            }
        };
        self.total_bytes += file.bytes();
        match capture.advance() {
            Ok(Some(head)) => self.wait(file.path.clone(), keep_open.then_some(capture), head),
            Ok(None) => {}
            Err(fault) => _ = self.unreadable.insert(file.path.clone(), fault),
        }
        Some(file)
    }

    fn wait(&mut self, path: PathBuf, capture: Option<Capture>, head: Record) {
        self.waiting.push(Reverse((head.at, self.inputs.len())));
        self.inputs.push(Input { path, capture, head });
    }

    /// Returns the next packet in time order, or None at the end of all captures.
    #[inline]
    #[allow(clippy::should_implement_trait)] // a packet borrows the read buffer, which `Iterator` cannot express
    pub fn next(&mut self) -> Option<Packet<'_>> {
        let index = self.choose()?;
        self.current = Some(index);
        self.number += 1;
        let input = self.inputs.get(index)?;
        Some(input.capture.as_ref()?.packet(self.number, input.head))
    }

    /// Moves the last capture on and finds the one with the earliest packet.
    #[inline(always)]
    fn choose(&mut self) -> Option<usize> {
        if let Some(index) = self.current.take() {
            if let Some(at) = self.advance(index) {
                match self.waiting.peek() {
                    Some(&Reverse(first)) if first < (at, index) => self.waiting.push(Reverse((at, index))),
                    _ => return Some(index),
                }
            }
        }
        self.choose_waiting()
    }

    fn choose_waiting(&mut self) -> Option<usize> {
        loop {
            let Reverse((_, index)) = self.waiting.pop()?;
            if self.is_open(index) || self.reopen(index) {
                return Some(index);
            }
        }
    }

    fn is_open(&self, index: usize) -> bool {
        self.inputs.get(index).is_some_and(|input| input.capture.is_some())
    }

    fn reopen(&mut self, index: usize) -> bool {
        let Some(input) = self.inputs.get_mut(index) else { return false };
        match Capture::open(&input.path, self.options, self.bytes_read.clone()) {
            Ok(capture) => input.capture = Some(capture),
            Err(reason) => _ = self.unreadable.insert(input.path.clone(), reason.to_string()),
        }
        self.advance(index).is_some()
    }

    /// Reads the next record of a capture and returns its time; closes the capture at its end.
    #[inline(always)]
    fn advance(&mut self, index: usize) -> Option<i64> {
        let input = self.inputs.get_mut(index)?;
        match input.capture.as_mut()?.advance() {
            Ok(Some(head)) => {
                input.head = head;
                return Some(head.at);
            }
            Ok(None) => {}
            Err(fault) => _ = self.unreadable.insert(input.path.clone(), fault),
        }
        input.capture = None;
        None
    }

    /// Counts the bytes read so far, as stored: of a compressed capture, the compressed ones.
    pub fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Sums the stored sizes of all captures; standard input counts as 0.
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Names what could not be read, or not to its end, with the reason.
    pub fn unreadable(&self) -> &BTreeMap<PathBuf, String> {
        &self.unreadable
    }

    /// Names files inside folders that were passed over because they are no captures.
    pub fn skipped(&self) -> &BTreeMap<PathBuf, String> {
        &self.skipped
    }
}
