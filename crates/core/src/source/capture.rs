//! One capture: a byte stream in one of the two formats, read record by record.

use std::fmt;
use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::Arc;

use super::buffer::Buffer;
use super::file::Input;
use super::pcap::Pcap;
use super::pcapng::Pcapng;
use super::{file, LinkType, Options, Packet};

/// Longest record that is believed; a longer claim means that the file is corrupt.
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;

/// One packet's place in the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) at: i64,
    pub(super) link: LinkType,
    pub(super) wire_len: u32,
    pub(super) position: usize,
    pub(super) len: usize,
}

/// Why a capture cannot be read further.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file ends inside this part.
    Truncated(&'static str),
    Corrupt(String),
}

/// Why a file cannot be read at all.
#[derive(Debug)]
pub(super) enum Refusal {
    Io(String),
    /// The file is something else than a capture.
    Foreign(String),
    Broken(Fault),
}

impl Refusal {
    pub(super) fn is_foreign(&self) -> bool {
        matches!(self, Refusal::Foreign(_))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::Io(reason) => write!(f, "{reason}"),
            Refusal::Foreign(found) => {
                write!(f, "not a capture: {found}; expected pcap or pcapng, also as .gz or .zst")
            }
            Refusal::Broken(Fault::Truncated(part)) => write!(f, "truncated: the file ends inside {part}"),
            Refusal::Broken(Fault::Corrupt(what)) => write!(f, "corrupt: {what}"),
        }
    }
}

enum Format {
    Pcap(Pcap),
    Pcapng(Box<Pcapng>),
}

/// A capture that is being read.
pub(super) struct Capture {
    buffer: Buffer,
    format: Format,
    packets: u64,
}

impl Capture {
    pub(super) fn open(path: &Path, options: Options, counter: Arc<AtomicU64>) -> Result<Capture, Refusal> {
        let input = file::open(path).map_err(|error| Refusal::Io(file::reason(&error)))?;
        Capture::from_reader(input, options, file::is_regular(path), counter)
    }

    /// Reads a stream, which may be compressed; `on_disk` tells that reading it does not wait, `counter` counts its
    /// bytes as stored.
    pub(super) fn from_reader(
        input: Input,
        options: Options,
        on_disk: bool,
        counter: Arc<AtomicU64>,
    ) -> Result<Capture, Refusal> {
        let input =
            file::unpack(input, options, on_disk, counter).map_err(|error| Refusal::Io(file::reason(&error)))?;
        Capture::read(Buffer::new(input, options.buffer_bytes))
    }

    /// Recognises the format by its magic bytes and reads the file header.
    fn read(mut buffer: Buffer) -> Result<Capture, Refusal> {
        let magic = buffer.peek(4).to_vec();
        if let Some(error) = buffer.failure() {
            return Err(Refusal::Io(format!("cannot be read: {error}")));
        }
        let format = if Pcapng::recognises(&magic) {
            Format::Pcapng(Box::default())
        } else if Pcap::recognises(&magic) {
            Format::Pcap(Pcap::open(&mut buffer).map_err(Refusal::Broken)?)
        } else {
            return Err(foreign(buffer.peek(8)));
        };
        Ok(Capture { buffer, format, packets: 0 })
    }

    /// Reads the next record; a fault comes as text that says after which packet, and ends the capture.
    #[inline(always)]
    pub(super) fn advance(&mut self) -> Result<Option<Record>, String> {
        let record = match &mut self.format {
            Format::Pcap(pcap) => pcap.advance(&mut self.buffer),
            Format::Pcapng(pcapng) => pcapng.advance(&mut self.buffer),
        };
        match record {
            Ok(Some(record)) => {
                self.packets += 1;
                Ok(Some(record))
            }
            Ok(None) if self.buffer.failure().is_none() => Ok(None),
            Ok(None) => Err(self.describe(Fault::Truncated("the stream"))),
            Err(fault) => Err(self.describe(fault)),
        }
    }

    /// Borrows the packet of the record that was read last.
    #[inline(always)]
    pub(super) fn packet(&self, number: u64, record: Record) -> Packet<'_> {
        let Record { at, link, wire_len, position, len } = record;
        Packet { number, at, link, wire_len, data: self.buffer.slice(position, len) }
    }

    #[cold]
    fn describe(&self, fault: Fault) -> String {
        let packets = self.packets;
        match (fault, self.buffer.failure()) {
            (_, Some(error)) => format!("truncated after packet {packets}: {error}"),
            (Fault::Truncated(part), _) => format!("truncated after packet {packets}: the file ends inside {part}"),
            (Fault::Corrupt(what), _) => format!("corrupt after packet {packets}: {what}"),
        }
    }
}

fn foreign(start: &[u8]) -> Refusal {
    Refusal::Foreign(match start {
        [] => "the file is empty".to_string(),
        text if text.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n')) => {
            format!("starts with the text {:?}", String::from_utf8_lossy(text))
        }
        bytes => {
            let hex: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("starts with {}", hex.join(" "))
        }
    })
}
