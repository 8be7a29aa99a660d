//! A transaction of an application protocol: what its session has read so far, by field.

use crate::field::{Field, FieldSet, DONE};
use crate::protocol::Protocol;
pub use infraspectre_core::app::Direction;

/// Bytes of all fields of a transaction together; what would go beyond is cut off.
const MAX_FIELD_BYTES: usize = 1 << 20;
/// Bytes of a body that are kept once it is longer than twice as much.
const MAX_WINDOW: usize = 1 << 18;
/// How many times its length a body that goes on is given as room.
const GROWTH: usize = 3;
/// Instances of fields in a transaction.
const MAX_ENTRIES: usize = 4096;
/// Files of a transaction.
const MAX_FILES: usize = 256;

/// Returns 0 for what goes to the server and 1 for what goes to the client.
#[inline]
pub const fn index(direction: Direction) -> usize {
    match direction {
        Direction::Orig => 0,
        Direction::Resp => 1,
    }
}

/// Bytes of a transaction that are the value of its fields, by their place.
#[derive(Clone, Copy, Debug)]
pub struct Kept {
    start: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    field: Field,
    direction: Direction,
    kept: Kept,
}

/// Bytes that arrive over time: a body, of which a window is kept.
#[derive(Debug, Default)]
pub struct Body {
    /// What is kept; the first byte is byte `dropped` of the body.
    pub data: Vec<u8>,
    pub dropped: u64,
    /// Whether nothing more will come (or be kept).
    pub complete: bool,
    /// How much was looked at, counted from the body's beginning.
    pub inspected: u64,
}

impl Body {
    /// Appends bytes; when there are too many, the first ones are dropped.
    pub fn append(&mut self, data: &[u8]) {
        let has_room = self.data.capacity() - self.data.len() >= data.len();
        if !(has_room || self.data.is_empty()) {
            // A body that goes on is mostly long: larger steps move less.
            self.data.reserve((GROWTH * self.data.len()).min(MAX_WINDOW).max(data.len()));
        }
        self.data.extend_from_slice(data);
        if self.data.len() > 2 * MAX_WINDOW {
            let surplus = self.data.len() - MAX_WINDOW;
            self.data.drain(..surplus);
            self.dropped += surplus as u64;
        }
    }

    /// Counts the bytes that have arrived.
    pub fn len(&self) -> u64 {
        self.dropped + self.data.len() as u64
    }

    /// Tells whether nothing has arrived.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A file within a transaction.
#[derive(Debug)]
pub struct File {
    pub name: Vec<u8>,
    pub direction: Direction,
    pub body: Body,
    /// Bytes of the whole file so far, also those not kept.
    pub size: u64,
    /// Whether bytes are missing in the middle or the end.
    pub truncated: bool,
    pub hashes: Option<Box<Hashes>>,
}

impl File {
    /// Appends bytes; of a long body only the end is kept.
    pub fn append(&mut self, data: &[u8]) {
        self.count(data);
        self.body.append(data);
    }

    /// Counts and hashes bytes that are kept elsewhere: as the body that is this file.
    pub fn count(&mut self, data: &[u8]) {
        self.size += data.len() as u64;
        if let Some(hashes) = &mut self.hashes {
            hashes.update(data);
        }
    }
}

/// Hashes of a file, made only when a rule asks for them.
#[derive(Debug, Default)]
pub struct Hashes {
    pub md5: md5::Md5,
    pub sha1: sha1::Sha1,
    pub sha256: sha2::Sha256,
}

impl Hashes {
    fn update(&mut self, data: &[u8]) {
        sha2::Digest::update(&mut self.md5, data);
        sha2::Digest::update(&mut self.sha1, data);
        sha2::Digest::update(&mut self.sha256, data);
    }
}

/// One transaction.
#[derive(Debug)]
pub struct Transaction {
    /// Counted from 0 within the flow.
    pub number: u64,
    pub protocol: Protocol,
    progress: [u8; 2],
    entries: Vec<Entry>,
    /// Fields of which each direction may have entries.
    present: [FieldSet; 2],
    bytes: Vec<u8>,
    numbers: Vec<(Field, Direction, u64)>,
    /// Request and response body (HTTP/1).
    pub bodies: [Body; 2],
    /// Lengths of these bodies as they were sent, before anything was unpacked.
    pub sent: [u64; 2],
    pub files: Vec<File>,
    /// Events with the direction that they are of, by the name after the protocol.
    pub events: Vec<(Direction, &'static str)>,
    /// What EVE says of the transaction besides its fields.
    pub details: serde_json::Map<String, serde_json::Value>,
    /// Whether the transaction is of one direction only, which is then the one given.
    pub only: Option<Direction>,
    /// Whether it was read from another view of contradicting bytes than the likeliest one.
    pub is_ambiguous: bool,
    /// Whether a rule asks for its files (`filestore`), which are then read to their end.
    pub keeps_files: bool,
    wanted: FieldSet,
}

impl Transaction {
    /// Begins a transaction; only wanted fields are kept.
    pub fn new(protocol: Protocol, number: u64, wanted: FieldSet) -> Transaction {
        Transaction {
            number,
            protocol,
            progress: [0; 2],
            entries: Vec::new(),
            present: [FieldSet::default(); 2],
            bytes: Vec::new(),
            numbers: Vec::new(),
            bodies: Default::default(),
            sent: [0; 2],
            files: Vec::new(),
            events: Vec::new(),
            details: Default::default(),
            only: None,
            is_ambiguous: false,
            keeps_files: false,
            wanted,
        }
    }

    /// Tells whether a field is looked at by any rule or output.
    #[inline]
    pub fn wants(&self, field: Field) -> bool {
        self.wanted.contains(field)
    }

    /// Adds an instance of a field of bytes.
    pub fn put(&mut self, direction: Direction, field: Field, value: &[u8]) {
        if self.wants(field) {
            let room = MAX_FIELD_BYTES.saturating_sub(self.bytes.len());
            let (kept, ()) = self.keep(|own| own.extend_from_slice(value.get(..room).unwrap_or(value)));
            self.put_kept(direction, field, kept);
        }
    }

    /// Makes room for so many instances of fields, and for so many bytes of values.
    pub fn expect(&mut self, instances: usize, bytes: usize) {
        self.entries.reserve(instances.min(MAX_ENTRIES));
        self.bytes.reserve(bytes.min(MAX_FIELD_BYTES));
    }

    /// Keeps what is written at the end of the given bytes, for the fields that have it as their value.
    pub fn keep<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> (Kept, T) {
        let start = self.bytes.len();
        let result = write(&mut self.bytes);
        self.bytes.truncate(MAX_FIELD_BYTES);
        (Kept { start: start as u32, end: self.bytes.len() as u32 }, result)
    }

    /// Adds an instance of a field whose bytes are kept already.
    pub fn put_kept(&mut self, direction: Direction, field: Field, kept: Kept) {
        if self.wants(field) && self.entries.len() < MAX_ENTRIES {
            self.present[index(direction)].insert(field);
            self.entries.push(Entry { field, direction, kept });
        }
    }

    /// Takes back the instances of a field, when what comes later shows that they mean something else.
    pub fn take_back(&mut self, direction: Direction, field: Field) {
        self.entries.retain(|entry| entry.field != field || entry.direction != direction);
    }

    /// Adds a number.
    pub fn put_number(&mut self, direction: Direction, field: Field, value: u64) {
        if self.wants(field) && self.numbers.len() < MAX_ENTRIES {
            self.numbers.push((field, direction, value));
        }
    }

    /// Sets a number of which there is one: the last that was said.
    pub fn set_number(&mut self, direction: Direction, field: Field, value: u64) {
        match self.numbers.iter_mut().find(|entry| entry.0 == field && entry.1 == direction) {
            Some(entry) => entry.2 = value,
            None => self.put_number(direction, field, value),
        }
    }

    /// Adds an event, such as `missing_host_header`; it is there once, however often it happens.
    pub fn event(&mut self, direction: Direction, name: &'static str) {
        if self.events.len() < MAX_ENTRIES && !self.events.contains(&(direction, name)) {
            self.events.push((direction, name));
        }
    }

    /// Begins a file, unless there are too many; returns its index in [`Transaction::files`].
    pub fn add_file(&mut self, direction: Direction, name: &[u8]) -> Option<usize> {
        let index = self.files.len();
        if index >= MAX_FILES {
            return None;
        }
        let (name, body) = (name.to_vec(), Body::default());
        let hashes = self.wants(Field::FileHash).then(Box::default);
        self.files.push(File { name, direction, body, size: 0, truncated: false, hashes });
        Some(index)
    }

    /// Returns the instances of a field in one direction.
    pub fn values(&self, direction: Direction, field: Field) -> impl Iterator<Item = &[u8]> {
        let entries = if self.present[index(direction)].contains(field) { &self.entries[..] } else { &[] };
        entries
            .iter()
            .filter(move |entry| entry.field == field && entry.direction == direction)
            .map(|entry| self.bytes.get(entry.kept.start as usize..entry.kept.end as usize).unwrap_or_default())
    }

    /// Returns the first instance of a field in one direction.
    pub fn value(&self, direction: Direction, field: Field) -> Option<&[u8]> {
        self.values(direction, field).next()
    }

    /// Returns the numbers of a field in one direction.
    pub fn numbers(&self, direction: Direction, field: Field) -> impl Iterator<Item = u64> + '_ {
        self.numbers.iter().filter(move |entry| entry.0 == field && entry.1 == direction).map(|(_, _, value)| *value)
    }

    /// Notes how far one direction has come; it never goes back.
    pub fn advance(&mut self, direction: Direction, progress: u8) {
        let own = &mut self.progress[index(direction)];
        *own = progress.max(*own);
    }

    /// Returns how far one direction has come.
    #[inline]
    pub fn progress(&self, direction: Direction) -> u8 {
        self.progress[index(direction)]
    }

    /// Completes one direction and its bodies.
    pub fn complete(&mut self, direction: Direction) {
        self.advance(direction, DONE);
        self.bodies[index(direction)].complete = true;
        for file in self.files.iter_mut().filter(|file| file.direction == direction) {
            file.body.complete = true;
        }
    }

    /// Returns a number that grows with whatever is added.
    pub fn extent(&self) -> u64 {
        let bodies = self.bodies.iter().map(|body| body.len() + u64::from(body.complete));
        let files = self.files.iter().map(|file| file.size + 1 + u64::from(file.body.complete));
        let parts = self.entries.len() + self.numbers.len() + self.events.len();
        parts as u64 + bodies.chain(files).sum::<u64>()
    }

    /// Tells whether anything was read in a direction.
    pub fn has_begun(&self, direction: Direction) -> bool {
        let has_fields = self.entries.iter().any(|entry| entry.direction == direction);
        has_fields || !self.bodies[index(direction)].is_empty() || self.numbers.iter().any(|own| own.1 == direction)
    }

    /// Tells whether both directions are complete.
    pub fn is_done(&self) -> bool {
        self.progress == [DONE; 2]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_several_fields_is_kept_once() {
        let mut transaction = Transaction::new(Protocol::Dns, 0, FieldSet::all());
        let (kept, ()) = transaction.keep(|bytes| bytes.extend_from_slice(b"name"));
        for field in [Field::DnsQuery, Field::DnsQueriesName] {
            transaction.put_kept(Direction::Orig, field, kept);
            assert_eq!(transaction.value(Direction::Orig, field), Some(&b"name"[..]));
            assert_eq!(transaction.value(Direction::Resp, field), None);
        }
        assert_eq!(transaction.bytes, b"name");
    }

    #[test]
    fn what_is_put_beyond_the_most_is_cut_off() {
        let mut transaction = Transaction::new(Protocol::Http, 0, FieldSet::all());
        let half = vec![b'.'; MAX_FIELD_BYTES / 2 + 1];
        (0..3).for_each(|_| transaction.put(Direction::Orig, Field::HttpUri, &half));
        let lengths: Vec<_> = transaction.values(Direction::Orig, Field::HttpUri).map(<[u8]>::len).collect();
        assert_eq!(lengths, [half.len(), half.len() - 2, 0]);
    }

    #[test]
    fn a_file_too_many_is_refused_and_leaves_the_last_one_alone() {
        let mut transaction = Transaction::new(Protocol::Smtp, 0, FieldSet::all());
        for number in 0..MAX_FILES {
            assert_eq!(transaction.add_file(Direction::Orig, b"file"), Some(number));
        }
        assert_eq!(transaction.add_file(Direction::Orig, b"one more"), None);
        assert_eq!(transaction.files.len(), MAX_FILES);
    }
}
