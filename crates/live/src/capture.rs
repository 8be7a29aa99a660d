//! Threads that empty rings into meters, and the bounded queue of batches between them and whoever reads.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use infraspectre_core::meter::{Account, Meter, Options as MeterOptions};
use infraspectre_core::recorder::{Recorder, Tape};
use infraspectre_core::source::Packet;

use crate::frame::Frame;
use crate::ring::{Ring, RingOptions};
use crate::socket::{index_of, Counts};
use crate::Error;

/// Longest sleep of a thread: how late a silent flow ends, and how late a thread notes that it shall stop.
const NAP: Duration = Duration::from_millis(20);
/// Naps shorter than this are signs of traffic: the next packets are awaited together, so that waking up costs little.
const BUSY: Duration = Duration::from_micros(300);
const GATHER: Duration = Duration::from_micros(50);
/// How often it is looked whether there is room again for rows that wait.
const CONGESTED: Duration = Duration::from_millis(1);
/// How often the account is renewed for those who ask.
const PUBLISH_EVERY: Duration = Duration::from_millis(50);
/// First and longest wait before a lost interface is looked for again.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// How long a shut ring may take to hand over its last block.
const DRAIN: Duration = Duration::from_secs(2);

/// What to listen to and how.
#[derive(Clone, Debug)]
pub struct Options {
    pub ring: RingOptions,
    pub meter: MeterOptions,
    /// Threads between which the kernel divides the flows, each with a ring and a meter of its own.
    pub threads: usize,
    /// Batches that are not full follow one another no faster than this.
    pub flush: Duration,
    /// Batches that may wait to be read; when there is no room, full ones are shed.
    pub queue_batches: usize,
}

/// Rows that were handed over.
#[derive(Debug)]
pub struct Batch {
    pub rows: RecordBatch,
    /// What hosts claimed about the owners of addresses meanwhile.
    pub claims: Option<RecordBatch>,
    /// Whether these flows are still going.
    pub is_early: bool,
}

/// What became of waiting for a batch.
#[derive(Debug)]
pub enum Next {
    Batch(Batch),
    /// The time was over.
    Waiting,
    /// The capture was stopped, and all batches were read.
    Done,
}

/// The account of a capture from the kernel to its reader: received = dropped + metered + in the ring.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub account: Account,
    pub kernel: Counts,
    /// Rows of ended flows, and of flows still going, for which there was no room in the queue.
    pub flows_shed: u64,
    pub early_shed: u64,
    /// Claims about addresses that came with batches for which there was no room.
    pub claims_shed: u64,
    /// How often the interface went away, and why it is not there now.
    pub outages: u64,
    pub fault: Option<String>,
}

impl Status {
    fn add(&mut self, other: &Status) {
        self.account.add(&other.account);
        self.kernel.add(other.kernel);
        self.flows_shed += other.flows_shed;
        self.early_shed += other.early_shed;
        self.claims_shed += other.claims_shed;
        self.outages += other.outages;
        self.fault = self.fault.take().or_else(|| other.fault.clone());
    }

    /// Counts the packets that the kernel has put into the ring and nobody has metered yet.
    pub fn in_ring(&self) -> u64 {
        self.kernel.received.saturating_sub(self.kernel.dropped).saturating_sub(self.account.packets)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What the threads and their owner share.
struct Shared {
    stop: AtomicBool,
    queued: AtomicUsize,
    statuses: Vec<Mutex<Status>>,
    recorder: OnceLock<Arc<Recorder>>,
}

/// An interface that is being listened to.
pub struct Capture {
    batches: Option<Mutex<Receiver<Batch>>>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Capture {
    /// Opens the rings and starts the threads; privileges are not needed any more when it returns.
    pub fn open(options: &Options) -> Result<Capture, Error> {
        let threads = options.threads.max(1);
        let mut group = None;
        let mut rings = Vec::with_capacity(threads);
        for _ in 0..threads {
            rings.push(Ring::open(&options.ring, (threads > 1).then_some(&mut group))?);
        }
        let (sender, receiver) = sync_channel(options.queue_batches.max(1));
        let statuses = rings.iter().map(|_| Mutex::default()).collect();
        let (stop, queued, recorder) = (AtomicBool::new(false), AtomicUsize::new(0), OnceLock::new());
        let shared = Arc::new(Shared { stop, queued, statuses, recorder });
        let mut capture = Capture { batches: Some(Mutex::new(receiver)), shared, threads: Vec::with_capacity(threads) };
        for (index, ring) in rings.into_iter().enumerate() {
            let worker = Worker::new(index, threads, ring, group, options, sender.clone(), capture.shared.clone());
            let thread = thread::Builder::new().name(format!("capture-{index}")).spawn(move || worker.run());
            capture.threads.push(thread.map_err(|error| Error::from_kernel("a thread", error))?);
        }
        Ok(capture)
    }

    /// Waits for the next batch.
    pub fn read(&self, most: Duration) -> Next {
        let Some(batches) = &self.batches else { return Next::Done };
        match lock(batches).recv_timeout(most) {
            Ok(batch) => {
                self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                Next::Batch(batch)
            }
            Err(RecvTimeoutError::Timeout) => Next::Waiting,
            Err(RecvTimeoutError::Disconnected) => Next::Done,
        }
    }

    /// Keeps packets from now on in a ring on disk, too; the first ring that is given is the one.
    pub fn record(&self, recorder: Arc<Recorder>) {
        let _ = self.shared.recorder.set(recorder);
    }

    /// Lets no further packet in; what was received before is still given out, until there is no more.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Release);
    }

    /// Returns the account as it was a moment ago; it is exact once all batches of a stopped capture were read.
    pub fn status(&self) -> Status {
        let mut sum = Status::default();
        self.shared.statuses.iter().for_each(|status| sum.add(&lock(status)));
        sum
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.stop();
        // Threads that wait for room in the queue go on when nobody reads it any more.
        self.batches = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic was reported on standard error already
        }
    }
}

/// One thread: its ring, its meter, and what it has to tell.
struct Worker {
    index: usize,
    threads: u64,
    ring: Option<Ring>,
    tape: Option<Tape>,
    group: Option<u16>,
    options: RingOptions,
    meter: Meter,
    flush: Duration,
    queue_batches: usize,
    batch_rows: usize,
    handed_over: Instant,
    published: Instant,
    /// When packets were last awaited.
    woke: Instant,
    backoff: Duration,
    status: Status,
    sender: SyncSender<Batch>,
    shared: Arc<Shared>,
}

impl Worker {
    fn new(
        index: usize,
        threads: usize,
        ring: Ring,
        group: Option<u16>,
        options: &Options,
        sender: SyncSender<Batch>,
        shared: Arc<Shared>,
    ) -> Worker {
        let now = Instant::now();
        Worker {
            index,
            threads: threads as u64,
            ring: Some(ring),
            tape: None,
            group,
            options: options.ring.clone(),
            meter: Meter::new(options.meter),
            flush: options.flush,
            queue_batches: options.queue_batches.max(1),
            batch_rows: options.meter.batch_rows.max(1),
            handed_over: now.checked_sub(options.flush).unwrap_or(now),
            published: now,
            woke: now,
            backoff: BACKOFF.0,
            status: Status::default(),
            sender,
            shared,
        }
    }

    fn run(mut self) {
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.ring.is_some() {
                self.listen();
            } else {
                self.reconnect();
            }
            if self.published.elapsed() >= PUBLISH_EVERY {
                self.publish();
            }
        }
        self.drain();
        self.ring = None;
        self.tape = None; // hands over what it has gathered
        self.meter.finish();
        self.give_out_all();
        self.publish();
    }

    /// Meters what is in the ring, or waits for more.
    fn listen(&mut self) {
        if self.meter_some() {
            return self.hand_over();
        }
        self.meter.tick(now_ns());
        self.hand_over();
        let Some(ring) = &self.ring else { return };
        if self.woke.elapsed() < BUSY {
            thread::sleep(GATHER);
        }
        let waited = ring.socket().wait(self.nap());
        self.woke = Instant::now();
        match waited {
            Ok(false) => {}
            Ok(true) => self.note_fault(),
            Err(error) => self.lose(&error),
        }
    }

    /// Returns how long there is nothing to do but to read packets.
    fn nap(&self) -> Duration {
        if self.meter.rows() + self.meter.early_rows() == 0 {
            return NAP;
        }
        let has_room = self.shared.queued.load(Ordering::Relaxed) < self.queue_batches;
        let least = if has_room { GATHER } else { CONGESTED };
        self.flush.saturating_sub(self.handed_over.elapsed()).clamp(least, NAP)
    }

    /// Meters some packets; tells whether there were any.
    fn meter_some(&mut self) -> bool {
        if self.tape.is_none() {
            self.tape = self.shared.recorder.get().map(|recorder| recorder.tape());
        }
        let Some(ring) = &mut self.ring else { return false };
        let link = ring.interface.link;
        let (meter, stride, index) = (&mut self.meter, self.threads, self.index as u64);
        let mut tape = self.tape.as_mut();
        ring.read(|frame: Frame<'_>| {
            let number = meter.packets() * stride + index + 1;
            let packet = Packet { number, at: frame.at, link, wire_len: frame.wire_len, data: frame.data };
            if let Some(tape) = &mut tape {
                tape.record(&packet);
            }
            meter.observe(&packet);
            if meter.has_ended() {
                meter.collect();
            }
        })
    }

    /// Hands over the rows that are due; those that find no room wait for their batch to be full, and are shed then.
    ///
    /// Rows of flows still going are first to be shed: they may take half of the queue.
    fn hand_over(&mut self) {
        self.meter.collect();
        let is_time = self.handed_over.elapsed() >= self.flush;
        let queued = self.shared.queued.load(Ordering::Relaxed);
        let early = self.meter.early_rows();
        if early > 0 && is_time || early >= self.batch_rows {
            self.handed_over = Instant::now();
            if let Some(batch) = self.take_early() {
                self.offer(batch, self.queue_batches / 2);
            }
        }
        let has_something = self.meter.rows() > 0 || self.meter.has_claims();
        if has_something && is_time && queued < self.queue_batches {
            self.hand_over_batch();
        }
        while self.meter.is_full() {
            self.hand_over_batch();
            self.meter.collect();
        }
    }

    fn hand_over_batch(&mut self) {
        self.handed_over = Instant::now();
        if let Some(batch) = self.take_batch() {
            self.offer(batch, self.queue_batches);
        }
    }

    fn take_batch(&mut self) -> Option<Batch> {
        let claims = if self.meter.has_claims() { self.meter.take_claims().ok() } else { None };
        let rows = self.meter.take_batch();
        let rows = self.sound(rows)?;
        Some(Batch { rows, claims, is_early: false })
    }

    fn take_early(&mut self) -> Option<Batch> {
        let rows = self.meter.take_early_batch()?;
        let rows = self.sound(rows)?;
        Some(Batch { rows, claims: None, is_early: true })
    }

    /// Notes why rows could not be made.
    fn sound(&mut self, rows: Result<RecordBatch, ArrowError>) -> Option<RecordBatch> {
        rows.map_err(|error| self.status.fault = Some(format!("rows cannot be made: {error}"))).ok()
    }

    /// Queues a batch unless as many wait as may; else it is shed.
    fn offer(&mut self, batch: Batch, most: usize) {
        if self.shared.queued.fetch_add(1, Ordering::Relaxed) >= most {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            return self.shed(&batch);
        }
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) = self.sender.try_send(batch) {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            self.shed(&batch);
        }
    }

    fn shed(&mut self, batch: &Batch) {
        let count = if batch.is_early { &mut self.status.early_shed } else { &mut self.status.flows_shed };
        *count += batch.rows.num_rows() as u64;
        self.status.claims_shed += batch.claims.as_ref().map_or(0, RecordBatch::num_rows) as u64;
    }

    /// Hands over everything, and waits for room.
    fn give_out_all(&mut self) {
        loop {
            self.meter.collect();
            let batch = if self.meter.early_rows() > 0 {
                self.take_early()
            } else if self.meter.rows() > 0 || self.meter.has_claims() {
                self.take_batch()
            } else {
                return;
            };
            let Some(batch) = batch else { return };
            self.shared.queued.fetch_add(1, Ordering::Relaxed);
            if let Err(refused) = self.sender.send(batch) {
                self.shed(&refused.0);
            }
        }
    }

    /// Meters what is left in a ring that receives no more; the kernel hands over its last block after the timeout.
    ///
    /// What does not come in time goes with the ring, and counts as dropped.
    fn drain(&mut self) {
        let Some(ring) = &self.ring else { return };
        let _ = ring.shut(); // where it cannot be shut, reading ends after a while
        let began = Instant::now();
        while began.elapsed() < DRAIN {
            self.count();
            if self.status.in_ring() == 0 {
                return;
            }
            while self.meter_some() {
                self.hand_over();
            }
            thread::sleep(Duration::from_millis(1));
        }
        self.status.kernel.dropped += self.status.in_ring();
    }

    /// Notes why the socket has a fault; an interface that is down may come up again, one that is gone is given up.
    fn note_fault(&mut self) {
        let Some(ring) = &self.ring else { return };
        let fault = match ring.socket().take_fault() {
            Ok(None) => return,
            Ok(Some(error)) | Err(error) => error,
        };
        if index_of(&ring.interface.name) == Some(ring.interface.index) {
            self.note_outage(&fault);
        } else {
            self.lose(&fault);
        }
    }

    fn note_outage(&mut self, error: &io::Error) {
        if self.status.fault.is_none() {
            self.status.outages += 1;
        }
        self.status.fault = Some(error.to_string());
    }

    /// Forgets the fault of an interface that is up again.
    fn forgive(&mut self) {
        let Some(ring) = &self.ring else { return };
        if ring.socket().interface(&ring.interface.name).is_ok_and(|found| found.is_up) {
            self.status.fault = None;
        }
    }

    /// Gives up a ring, of which the packets are metered before.
    fn lose(&mut self, error: &io::Error) {
        self.drain();
        self.note_outage(error);
        self.ring = None;
        self.backoff = BACKOFF.0;
    }

    fn reconnect(&mut self) {
        let until = Instant::now() + self.backoff;
        while Instant::now() < until && !self.shared.stop.load(Ordering::Acquire) {
            self.meter.tick(now_ns());
            self.hand_over();
            thread::sleep(NAP.min(self.backoff));
        }
        match Ring::open(&self.options, self.group.is_some().then_some(&mut self.group)) {
            Ok(ring) => {
                self.ring = Some(ring);
                self.status.fault = None;
            }
            Err(error) => {
                self.status.fault = Some(error.to_string());
                self.backoff = (self.backoff * 2).min(BACKOFF.1);
            }
        }
    }

    fn count(&mut self) {
        if let Some(Ok(counts)) = self.ring.as_ref().map(Ring::take_counts) {
            self.status.kernel.add(counts);
        }
        self.status.account = self.meter.account();
    }

    fn publish(&mut self) {
        self.published = Instant::now();
        if let Some(tape) = &mut self.tape {
            tape.flush();
        }
        if self.status.fault.is_some() {
            self.forgive();
        }
        self.count();
        if let Some(place) = self.shared.statuses.get(self.index) {
            lock(place).clone_from(&self.status);
        }
    }
}
