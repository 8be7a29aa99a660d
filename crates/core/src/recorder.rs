//! The packet ring: packets on disk in segments of bounded size, of which the oldest go first.
//!
//! Whoever sees packets has a [`Tape`], which never waits: it gathers packets and hands them to a thread that writes.
//! Where the disk is slower than the packets, some are left out and counted: offered = written + left out + failed, but
//! for what is on its way. A segment is a pcap file (draft-ietf-opsawg-pcap) that only its owner may read; its name
//! tells its number and, once it is closed, the times of its first and last packet.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use crate::source::{LinkType, Packet};

/// Packets are handed to the writer together once they have so many bytes.
const CHUNK_BYTES: usize = 256 << 10;
/// Chunks that wait for the disk; beyond it packets are left out.
const QUEUE_CHUNKS: usize = 64;
/// A ring has so many segments at the least: what is dropped at once is a small part of it.
const SEGMENTS: u64 = 16;
const MOST_SEGMENT_BYTES: u64 = 64 << 20;
/// The least that a ring may hold: segments have room for the longest packets.
pub const LEAST_BYTES: u64 = 16 << 20;
/// How often segments are looked at that have become too old, and how long the writer rests after a failure.
const LOOK: Duration = Duration::from_secs(1);
const SUFFIX: &str = ".pcap";
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
const VERSION: u32 = 0x0004_0002;
const FILE_HEADER_BYTES: u64 = 24;

/// Where packets are kept, how many, and for how long.
#[derive(Clone, Debug)]
pub struct Options {
    pub folder: PathBuf,
    /// Bytes of all segments together.
    pub bytes: u64,
    /// Bytes kept of each packet at the most.
    pub snap_bytes: u32,
    /// How long packets are kept after they were written.
    pub age: Duration,
}

/// What became of packets since the ring was opened, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Packets that were offered, and those of them that were written, found no room on their way or could not be
    /// written.
    pub offered: u64,
    pub written: u64,
    pub left_out: u64,
    pub failed: u64,
    /// Bytes of segments that went because they were the oldest, or too old.
    pub dropped_bytes: u64,
    /// Bytes of the segments that are there.
    pub held_bytes: u64,
    /// Time of the first packet of the oldest segment, in nanoseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Why nothing can be written now.
    pub fault: Option<String>,
}

/// Packets on their way to the disk, as records of a pcap file.
struct Chunk {
    link: LinkType,
    first: i64,
    last: i64,
    packets: u64,
    data: Vec<u8>,
}

impl Chunk {
    fn new(link: LinkType) -> Chunk {
        Chunk { link, first: i64::MAX, last: i64::MIN, packets: 0, data: Vec::new() }
    }

    fn add(&mut self, packet: &Packet<'_>, snap_bytes: usize) {
        let kept = packet.data.get(..snap_bytes).unwrap_or(packet.data);
        let at = packet.at.max(0);
        let (seconds, rest) = ((at / 1_000_000_000) as u32, (at % 1_000_000_000) as u32);
        let head = [seconds, rest, kept.len() as u32, packet.wire_len].map(u32::to_le_bytes);
        self.data.extend_from_slice(head.as_flattened());
        self.data.extend_from_slice(kept);
        self.first = self.first.min(at);
        self.last = self.last.max(at);
        self.packets += 1;
    }
}

struct Shared {
    snap_bytes: usize,
    is_closing: AtomicBool,
    offered: AtomicU64,
    left_out: AtomicU64,
    account: Mutex<Account>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A ring that is written to; closing it brings to the disk what is on its way.
pub struct Recorder {
    sender: SyncSender<Chunk>,
    shared: Arc<Shared>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl Recorder {
    /// Opens a ring in a folder, which is made for its owner alone; segments that are there already are a part of it.
    pub fn open(options: &Options) -> io::Result<Recorder> {
        let mut builder = DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        builder.mode(0o700);
        builder.create(&options.folder)?;
        let (sender, receiver) = sync_channel(QUEUE_CHUNKS);
        let shared = Arc::new(Shared {
            snap_bytes: options.snap_bytes as usize,
            is_closing: AtomicBool::new(false),
            offered: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
            account: Mutex::default(),
        });
        let writer = Writer::open(options, shared.clone())?;
        let thread = thread::Builder::new().name("packet-ring".into()).spawn(move || writer.run(&receiver))?;
        Ok(Recorder { sender, shared, writer: Mutex::new(Some(thread)) })
    }

    /// Returns a tape for one thread that sees packets.
    pub fn tape(&self) -> Tape {
        Tape { chunk: Chunk::new(0), sender: self.sender.clone(), shared: self.shared.clone() }
    }

    /// Returns what became of packets so far.
    pub fn account(&self) -> Account {
        let offered = self.shared.offered.load(Ordering::Relaxed);
        let left_out = self.shared.left_out.load(Ordering::Relaxed);
        Account { offered, left_out, ..lock(&self.shared.account).clone() }
    }

    /// Writes what is on its way and closes the last segment; tapes have nothing to give to any more.
    pub fn close(&self) {
        self.shared.is_closing.store(true, Ordering::Release);
        if let Some(writer) = lock(&self.writer).take() {
            let _ = writer.join(); // a panic was reported on standard error already
        }
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.close();
    }
}

/// Gathers the packets that one thread sees.
pub struct Tape {
    chunk: Chunk,
    sender: SyncSender<Chunk>,
    shared: Arc<Shared>,
}

impl Tape {
    /// Records a packet without ever waiting; where the disk is too slow it is left out.
    #[inline]
    pub fn record(&mut self, packet: &Packet<'_>) {
        if self.add(packet) {
            self.flush();
        }
    }

    /// Records a packet, and waits for room.
    pub fn record_patiently(&mut self, packet: &Packet<'_>) {
        if self.add(packet) {
            self.flush_patiently();
        }
    }

    /// Hands over what was gathered.
    pub fn flush(&mut self) {
        if let Some(chunk) = self.take() {
            if let Err(TrySendError::Full(chunk) | TrySendError::Disconnected(chunk)) = self.sender.try_send(chunk) {
                self.leave_out(chunk);
            }
        }
    }

    /// Hands over what was gathered, and waits for room.
    pub fn flush_patiently(&mut self) {
        if let Some(chunk) = self.take() {
            if let Err(refused) = self.sender.send(chunk) {
                self.leave_out(refused.0);
            }
        }
    }

    /// Adds a packet; tells whether the chunk is full.
    #[inline]
    fn add(&mut self, packet: &Packet<'_>) -> bool {
        if self.chunk.link != packet.link {
            self.flush();
            self.chunk.link = packet.link;
        }
        if self.chunk.data.is_empty() {
            self.chunk.data.reserve(CHUNK_BYTES + CHUNK_BYTES / 8);
        }
        self.chunk.add(packet, self.shared.snap_bytes);
        self.chunk.data.len() >= CHUNK_BYTES
    }

    fn take(&mut self) -> Option<Chunk> {
        let empty = Chunk::new(self.chunk.link);
        let chunk = std::mem::replace(&mut self.chunk, empty);
        self.shared.offered.fetch_add(chunk.packets, Ordering::Relaxed);
        (chunk.packets > 0).then_some(chunk)
    }

    /// Counts packets that found no room, and keeps their memory for those that come next.
    fn leave_out(&mut self, chunk: Chunk) {
        self.shared.left_out.fetch_add(chunk.packets, Ordering::Relaxed);
        self.chunk.data = chunk.data;
        self.chunk.data.clear();
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.flush();
    }
}

/// A segment that is closed, or was left open by a crash: then its times are not known.
struct Segment {
    path: PathBuf,
    times: Option<(i64, i64)>,
    bytes: u64,
    /// When its first packets were written; of one that was there before, when the last ones were.
    begun_at: SystemTime,
}

/// The segment that is written to.
struct Open {
    file: File,
    path: PathBuf,
    link: LinkType,
    number: u64,
    bytes: u64,
    first: i64,
    last: i64,
    begun_at: SystemTime,
}

/// The thread that writes: its segments, and how large and old they may be.
struct Writer {
    folder: PathBuf,
    most_bytes: u64,
    segment_bytes: u64,
    age: Duration,
    closed: VecDeque<Segment>,
    open: Option<Open>,
    next: u64,
    looked: Instant,
    rests_until: Option<Instant>,
    account: Account,
    shared: Arc<Shared>,
}

impl Writer {
    fn open(options: &Options, shared: Arc<Shared>) -> io::Result<Writer> {
        let most_bytes = options.bytes.max(LEAST_BYTES);
        let closed = segments_in(&options.folder)?;
        let next = closed.back().and_then(|last| name_of(&last.path)).map_or(0, |name| name.number + 1);
        let mut writer = Writer {
            folder: options.folder.clone(),
            most_bytes,
            segment_bytes: (most_bytes / SEGMENTS).min(MOST_SEGMENT_BYTES),
            age: options.age,
            closed,
            open: None,
            next,
            looked: Instant::now(),
            rests_until: None,
            account: Account::default(),
            shared,
        };
        writer.make_room(0);
        writer.forget_old();
        writer.publish();
        Ok(writer)
    }

    fn run(mut self, receiver: &Receiver<Chunk>) {
        loop {
            let is_closing = self.shared.is_closing.load(Ordering::Acquire);
            let wait = if is_closing { Duration::ZERO } else { LOOK / 10 };
            match receiver.recv_timeout(wait) {
                Ok(chunk) => self.keep(&chunk),
                Err(RecvTimeoutError::Timeout) if !is_closing => {}
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => break,
            }
            if self.looked.elapsed() >= LOOK {
                self.looked = Instant::now();
                self.forget_old();
            }
            self.publish();
        }
        self.close();
        self.publish();
    }

    /// Writes a chunk; one that cannot be written is counted, and the disk is left alone for a while.
    fn keep(&mut self, chunk: &Chunk) {
        let rests = self.rests_until.is_some_and(|until| Instant::now() < until);
        let kept = if rests { Err(None) } else { self.write(chunk).map_err(Some) };
        match kept {
            Ok(()) => {
                self.account.written += chunk.packets;
                self.account.fault = None;
                self.rests_until = None;
            }
            Err(error) => {
                self.account.failed += chunk.packets;
                if let Some(error) = error {
                    self.account.fault = Some(format!("{}: {error}", self.folder.display()));
                    self.rests_until = Some(Instant::now() + LOOK);
                    self.close();
                }
            }
        }
    }

    fn write(&mut self, chunk: &Chunk) -> io::Result<()> {
        let size = chunk.data.len() as u64;
        let fits = |open: &Open| open.link == chunk.link && open.bytes + size <= self.segment_bytes;
        if !self.open.as_ref().is_some_and(fits) {
            self.close();
            self.make_room(self.segment_bytes.max(size + FILE_HEADER_BYTES));
            self.open = Some(self.begin(chunk.link)?);
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        open.file.write_all(&chunk.data)?;
        open.bytes += size;
        open.first = open.first.min(chunk.first);
        open.last = open.last.max(chunk.last);
        Ok(())
    }

    fn begin(&mut self, link: LinkType) -> io::Result<Open> {
        let number = self.next;
        let path = self.folder.join(Name { number, times: None }.to_string());
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&path)?;
        self.next += 1;
        let snap = self.shared.snap_bytes as u32;
        let header = [MAGIC_NANOSECONDS, VERSION, 0, 0, snap, link].map(u32::to_le_bytes);
        file.write_all(header.as_flattened())?;
        let (first, last) = (i64::MAX, i64::MIN);
        Ok(Open { file, path, link, number, bytes: FILE_HEADER_BYTES, first, last, begun_at: SystemTime::now() })
    }

    /// Closes the segment that is written to, and gives it the name that tells its times.
    fn close(&mut self) {
        let Some(open) = self.open.take() else { return };
        drop(open.file);
        let times = (open.first <= open.last).then_some((open.first, open.last));
        let path = self.folder.join(Name { number: open.number, times }.to_string());
        let (path, times) = match fs::rename(&open.path, &path) {
            Ok(()) => (path, times),
            Err(_) => (open.path, None), // it is looked through by every search, and goes in its turn
        };
        let bytes = fs::metadata(&path).map_or(open.bytes, |found| found.len());
        self.closed.push_back(Segment { path, times, bytes, begun_at: open.begun_at });
    }

    /// Drops the oldest segments until there is room for so many bytes more.
    fn make_room(&mut self, bytes: u64) {
        while self.held() + bytes > self.most_bytes && self.drop_oldest() {}
    }

    /// Drops segments that are too old; one that is written to is closed in time, however slowly it grows.
    fn forget_old(&mut self) {
        let reaches = |begun_at: SystemTime, age| begun_at.elapsed().is_ok_and(|elapsed| elapsed >= age);
        if self.open.as_ref().is_some_and(|open| reaches(open.begun_at, self.age / SEGMENTS as u32)) {
            self.close();
        }
        while self.closed.front().is_some_and(|oldest| reaches(oldest.begun_at, self.age)) && self.drop_oldest() {}
    }

    fn drop_oldest(&mut self) -> bool {
        let Some(oldest) = self.closed.pop_front() else { return false };
        match fs::remove_file(&oldest.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                self.account.fault = Some(format!("{}: {error}", oldest.path.display()));
            }
            _ => self.account.dropped_bytes += oldest.bytes,
        }
        true
    }

    fn held(&self) -> u64 {
        self.closed.iter().map(|segment| segment.bytes).sum::<u64>() + self.open.as_ref().map_or(0, |open| open.bytes)
    }

    fn publish(&mut self) {
        self.account.held_bytes = self.held();
        let oldest = self.closed.iter().find_map(|segment| segment.times).map(|(first, _)| first);
        self.account.since = oldest.or(self.open.as_ref().map(|open| open.first));
        lock(&self.shared.account).clone_from(&self.account);
    }
}

/// What the name of a segment tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name {
    number: u64,
    times: Option<(i64, i64)>,
}

impl std::fmt::Display for Name {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{:012}", self.number)?;
        if let Some((first, last)) = self.times {
            write!(formatter, "-{first}-{last}")?;
        }
        formatter.write_str(SUFFIX)
    }
}

fn name_of(path: &Path) -> Option<Name> {
    let mut parts = path.file_name().and_then(OsStr::to_str)?.strip_suffix(SUFFIX)?.split('-');
    let number = parts.next()?.parse().ok()?;
    let times = match (parts.next(), parts.next(), parts.next()) {
        (None, ..) => None,
        (Some(first), Some(last), None) => Some((first.parse().ok()?, last.parse().ok()?)),
        _ => return None,
    };
    Some(Name { number, times })
}

/// Returns the segments in a folder in the order of their numbers; other files are none.
fn segments_in(folder: &Path) -> io::Result<VecDeque<Segment>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let (Some(name), Ok(about)) = (name_of(&path), fs::symlink_metadata(&path)) else { continue };
        if about.is_file() {
            let begun_at = about.modified().unwrap_or(SystemTime::UNIX_EPOCH);
            found.push((name.number, Segment { path, times: name.times, bytes: about.len(), begun_at }));
        }
    }
    found.sort_by_key(|(number, _)| *number);
    Ok(found.into_iter().map(|(_, segment)| segment).collect())
}

/// Returns the segments in a folder that may hold packets of a time span, in nanoseconds since the Unix epoch.
pub fn segments_between(folder: &Path, first: i64, last: i64) -> io::Result<Vec<PathBuf>> {
    let touches = |segment: &Segment| segment.times.is_none_or(|(begin, end)| begin <= last && end >= first);
    Ok(segments_in(folder)?.into_iter().filter(touches).map(|segment| segment.path).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Options as SourceOptions, Sources};

    const ETHERNET: LinkType = 1;

    /// A folder that goes with its test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Folder {
            let path = std::env::temp_dir().join(format!("infraspectre-ring-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            Folder(path)
        }

        fn options(&self, bytes: u64) -> Options {
            Options { folder: self.0.clone(), bytes, snap_bytes: 262_144, age: Duration::from_secs(3_600) }
        }

        fn segments(&self) -> Vec<PathBuf> {
            segments_between(&self.0, i64::MIN, i64::MAX).unwrap()
        }

        /// The times of all packets, in the order of the ring.
        fn times(&self) -> Vec<i64> {
            let mut sources = Sources::open(&self.segments(), SourceOptions::default()).unwrap();
            let mut found = Vec::new();
            while let Some(packet) = sources.next() {
                found.push(packet.at);
            }
            found
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn packet(at: i64, data: &[u8]) -> Packet<'_> {
        Packet { number: 1, at, link: ETHERNET, wire_len: data.len() as u32 + 4, data }
    }

    /// Records packets of so many bytes, one each nanosecond, and closes the ring.
    fn record(options: &Options, times: std::ops::Range<i64>, bytes: usize) -> Account {
        let recorder = Recorder::open(options).unwrap();
        let (mut tape, data) = (recorder.tape(), vec![7; bytes]);
        times.for_each(|at| tape.record_patiently(&packet(at, &data)));
        tape.flush_patiently();
        recorder.close();
        recorder.account()
    }

    #[test]
    fn packets_come_back_as_they_were() {
        let folder = Folder::new("whole");
        let account = record(&Options { snap_bytes: 60, ..folder.options(LEAST_BYTES) }, 5..8, 100);
        assert_eq!((account.offered, account.written, account.left_out, account.failed), (3, 3, 0, 0));
        assert_eq!((account.held_bytes, account.since), (24 + 3 * 76, Some(5)));
        let mut sources = Sources::open(&folder.segments(), SourceOptions::default()).unwrap();
        let found = sources.next().unwrap();
        assert_eq!((found.at, found.link, found.wire_len, found.data), (5, ETHERNET, 104, &[7; 60][..]));
        assert_eq!(folder.times(), [5, 6, 7]);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = Folder::new("private");
        record(&folder.options(LEAST_BYTES), 0..1, 10);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder.0), mode(&folder.segments()[0])), (0o700, 0o600));
    }

    #[test]
    fn the_oldest_go_first_and_the_size_is_bounded() {
        let folder = Folder::new("bounded");
        let account = record(&folder.options(LEAST_BYTES), 0..40_000, 1_000);
        assert_eq!(account.written, 40_000);
        assert!(account.held_bytes <= LEAST_BYTES && account.held_bytes > LEAST_BYTES * 3 / 4, "{account:?}");
        assert_eq!(account.held_bytes, folder.segments().iter().map(|path| fs::metadata(path).unwrap().len()).sum());
        let times = folder.times();
        assert_eq!((*times.last().unwrap(), account.since), (39_999, times.first().copied()));
        assert!(times.windows(2).all(|pair| pair[1] == pair[0] + 1), "it has gaps");
        assert_eq!(account.dropped_bytes + account.held_bytes, 40_000 * 1_016 + 24 * segments_written(&folder));
    }

    fn segments_written(folder: &Folder) -> u64 {
        name_of(folder.segments().last().unwrap()).unwrap().number + 1
    }

    #[test]
    fn a_search_opens_the_segments_of_its_time_alone() {
        let folder = Folder::new("between");
        record(&folder.options(LEAST_BYTES), 0..5_000, 1_000);
        let all = folder.segments();
        assert!(all.len() > 3, "{all:?}");
        assert_eq!(segments_between(&folder.0, 0, 10).unwrap(), all[..1]);
        assert_eq!(segments_between(&folder.0, 4_990, i64::MAX).unwrap(), all[all.len() - 1..]);
        assert!(segments_between(&folder.0, 5_000, i64::MAX).unwrap().is_empty());
    }

    #[test]
    fn a_ring_is_gone_on_with_and_a_segment_left_open_is_searched_as_far_as_it_goes() {
        let folder = Folder::new("again");
        record(&folder.options(LEAST_BYTES), 0..3, 10);
        let cut = folder.0.join("000000000001.pcap");
        let whole = fs::read(&folder.segments()[0]).unwrap();
        fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
        fs::write(folder.0.join("notes.txt"), "no segment").unwrap();
        let account = record(&folder.options(LEAST_BYTES), 10..12, 10);
        assert_eq!((account.written, account.since), (2, Some(0)));
        assert_eq!(folder.segments()[1], cut);
        assert_eq!(segments_between(&folder.0, 10, 11).unwrap().len(), 2, "one that was left open may hold anything");
        assert_eq!(folder.times(), [0, 0, 1, 1, 2, 10, 11]);
    }

    #[test]
    fn flipped_bits_cost_one_segment_at_the_most() {
        let folder = Folder::new("flipped");
        record(&folder.options(LEAST_BYTES), 0..5_000, 1_000);
        let (paths, whole) = (folder.segments(), folder.times());
        let sound = fs::read(&paths[1]).unwrap();
        for place in [0, 3, 20, 24 + 8, 24 + 1_016 * 3 + 9, sound.len() / 2, sound.len() - 1] {
            let mut changed = sound.clone();
            changed[place] ^= 0x80;
            fs::write(&paths[1], &changed).unwrap();
            let rest = folder.times();
            assert!(rest.len() >= whole.len() - 1_100 && rest.len() <= whole.len(), "{place}: {}", rest.len());
        }
    }

    #[test]
    fn what_is_too_old_goes() {
        let folder = Folder::new("old");
        record(&folder.options(LEAST_BYTES), 0..3, 10);
        let account = record(&Options { age: Duration::ZERO, ..folder.options(LEAST_BYTES) }, 5..6, 10);
        assert_eq!((account.written, account.dropped_bytes), (1, 24 + 3 * 26));
        assert_eq!(folder.times(), [5]);
    }

    #[test]
    fn what_the_disk_does_not_take_is_left_out_and_counted() {
        let folder = Folder::new("slow");
        let recorder = Recorder::open(&folder.options(LEAST_BYTES)).unwrap();
        let mut tape = recorder.tape();
        recorder.close();
        let data = vec![7; 1_000];
        (0..20_000).for_each(|at| tape.record(&packet(at, &data)));
        drop(tape);
        let account = recorder.account();
        assert_eq!((account.offered, account.written), (20_000, 0));
        // The queue still took some of them: those are on their way for ever.
        assert!(account.left_out > 0 && account.left_out <= account.offered);
    }

    #[test]
    fn what_cannot_be_written_is_counted_and_said() {
        let folder = Folder::new("gone");
        let recorder = Recorder::open(&folder.options(LEAST_BYTES)).unwrap();
        fs::remove_dir_all(&folder.0).unwrap();
        let mut tape = recorder.tape();
        tape.record_patiently(&packet(1, b"x"));
        tape.flush_patiently();
        recorder.close();
        let account = recorder.account();
        assert_eq!((account.offered, account.written, account.failed), (1, 0, 1));
        assert!(account.fault.unwrap().contains("No such file"));
    }
}
