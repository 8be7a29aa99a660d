//! Files on disk: finding captures under folders, decompressing them, reading them ahead.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver};
use std::sync::Arc;
use std::thread;

use super::Options;

pub(super) const NO_CAPTURES: &str = "no captures in this folder";

/// How many compressions around one another are undone.
const MAX_COMPRESSIONS: usize = 2;
/// Blocks that a read-ahead thread may hold before it waits.
const BLOCKS_AHEAD: usize = 4;
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// How the names of captures end, before a compression's own ending.
const CAPTURE_SUFFIXES: [&str; 3] = [".pcap", ".pcapng", ".cap"];

/// A stream of bytes.
pub(super) type Input = Box<dyn Read + Send>;

/// A file that may be a capture.
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    /// Found in a folder, and not named by the user.
    pub(super) in_folder: bool,
}

impl Candidate {
    pub(super) fn is_regular(&self) -> bool {
        is_regular(&self.path)
    }

    /// Tells whether its name promises a capture; if it is none, that is a loss.
    pub(super) fn is_named_capture(&self) -> bool {
        let Some(name) = self.path.file_name().and_then(|name| name.to_str()) else { return false };
        let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
        CAPTURE_SUFFIXES.iter().any(|suffix| name.ends_with(suffix))
    }

    pub(super) fn bytes(&self) -> u64 {
        fs::metadata(&self.path).map_or(0, |metadata| if metadata.is_file() { metadata.len() } else { 0 })
    }
}

/// What the named paths lead to, in their order; folders are listed by name.
#[derive(Default)]
pub(super) struct Found {
    pub(super) files: Vec<Candidate>,
    pub(super) folders: Vec<PathBuf>,
    pub(super) unreadable: BTreeMap<PathBuf, String>,
}

impl Found {
    pub(super) fn under(paths: &[PathBuf]) -> Found {
        let mut found = Found::default();
        for path in paths {
            if !is_stdin(path) && path.is_dir() {
                found.add_folder(path);
            } else {
                found.files.push(Candidate { path: path.clone(), in_folder: false });
            }
        }
        found.drop_repeated();
        found
    }

    /// Keeps each file once: its packets would be counted twice if it was named twice, or named beside its folder.
    fn drop_repeated(&mut self) {
        let mut seen = HashSet::new();
        self.files.retain(|file| !file.is_regular() || file.path.canonicalize().map_or(true, |path| seen.insert(path)));
    }

    /// Lists a folder and, without recursion and without following links to folders, those in it.
    fn add_folder(&mut self, root: &Path) {
        let before = self.files.len();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            match fs::read_dir(&folder) {
                Ok(entries) => entries.flatten().for_each(|entry| match entry.file_type() {
                    Ok(kind) if kind.is_dir() => folders.push(entry.path()),
                    _ if entry.path().is_file() => {
                        self.files.push(Candidate { path: entry.path(), in_folder: true });
                    }
                    _ => {}
                }),
                Err(error) => _ = self.unreadable.insert(folder, reason(&error)),
            }
        }
        self.folders.push(root.to_path_buf());
        if let Some(listed) = self.files.get_mut(before..) {
            listed.sort_by(|a, b| a.path.cmp(&b.path));
        }
    }
}

/// Tells whether a path is a file on disk, not standard input or a pipe.
pub(super) fn is_regular(path: &Path) -> bool {
    !is_stdin(path) && path.is_file()
}

fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

pub(super) fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_string(),
        io::ErrorKind::PermissionDenied => "permission denied; make it readable for this user".to_string(),
        _ => format!("cannot be read: {error}"),
    }
}

/// Opens a file or, by the name of `-`, standard input.
pub(super) fn open(path: &Path) -> io::Result<Input> {
    if is_stdin(path) {
        return Ok(Box::new(io::stdin()));
    }
    Ok(Box::new(File::open(path)?))
}

/// Undoes gzip and Zstandard, which are recognised by their magic bytes, and reads ahead where it is wished and pays.
pub(super) fn unpack(input: Input, options: Options, on_disk: bool, counter: Arc<AtomicU64>) -> io::Result<Input> {
    let mut input: Input = Box::new(Counted { input, counter });
    let mut in_place = on_disk;
    for _ in 0..MAX_COMPRESSIONS {
        let start;
        (start, input) = look_ahead(input)?;
        if start.starts_with(&GZIP_MAGIC) {
            input = Box::new(flate2::read::MultiGzDecoder::new(input));
        } else if start.starts_with(&ZSTD_MAGIC) {
            input = Box::new(zstd::Decoder::new(input)?);
        } else {
            break;
        }
        in_place = false;
    }
    match options.read_ahead && !in_place {
        true => Ok(Box::new(ReadAhead::start(input, options.buffer_bytes)?)),
        false => Ok(input),
    }
}

/// Undoes gzip and Zstandard around bytes in memory; an error where more than `most` bytes come out.
pub fn unpacked(bytes: Vec<u8>, most: u64) -> io::Result<Vec<u8>> {
    let stream = unpack(Box::new(io::Cursor::new(bytes)), Options::default(), true, Arc::default())?;
    let mut plain = Vec::new();
    stream.take(most.saturating_add(1)).read_to_end(&mut plain)?;
    if plain.len() as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("more than {most} bytes when unpacked")));
    }
    Ok(plain)
}

/// Returns the first bytes of a stream, and the stream from its beginning.
fn look_ahead(mut input: Input) -> io::Result<(Vec<u8>, Input)> {
    let mut start = Vec::new();
    input.by_ref().take(ZSTD_MAGIC.len() as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Box::new(io::Cursor::new(start).chain(input))))
}

struct Counted<R> {
    input: R,
    counter: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(into)?;
        self.counter.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A stream that a thread reads block by block before the blocks are asked for.
struct ReadAhead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    block: Vec<u8>,
    start: usize,
}

impl ReadAhead {
    fn start(mut input: Input, block_bytes: usize) -> io::Result<ReadAhead> {
        let (sender, blocks) = sync_channel(BLOCKS_AHEAD);
        let read_on = move || {
            let mut buffer = vec![0; block_bytes];
            loop {
                // What has arrived is passed on at once: a packet of a live stream must not wait for a full block.
                let block = match input.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => Ok(buffer.get(..count).unwrap_or_default().to_vec()),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let failed = block.is_err();
                if sender.send(block).is_err() || failed {
                    return;
                }
            }
        };
        thread::Builder::new().name("read-ahead".to_string()).spawn(read_on)?;
        Ok(ReadAhead { blocks, block: Vec::new(), start: 0 })
    }
}

impl Read for ReadAhead {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.start == self.block.len() {
            let Ok(block) = self.blocks.recv() else { return Ok(0) };
            (self.block, self.start) = (block?, 0);
        }
        let rest = self.block.get(self.start..).unwrap_or_default();
        let count = rest.len().min(into.len());
        if let (Some(to), Some(from)) = (into.get_mut(..count), rest.get(..count)) {
            to.copy_from_slice(from);
        }
        self.start += count;
        Ok(count)
    }
}
