//! NFS 2 to 4 over TCP and UDP: procedures, and files as they are read and written (RFC 1094, RFC 1813, RFC 8881).

use std::collections::VecDeque;

use hashbrown::HashMap;
use infraspectre_core::app::bytes::{datagram, drain, has_port, pass_over, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::transfer::{close_all, Transfer};
use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How NFS is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Nfs,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| Box::new(Nfs { transport, skip: [0; 2], known: Known::default() }),
    describe,
};

const PORT: u16 = 2049;
/// Number of the program (RFC 5531 registry).
const PROGRAM: u32 = 100_003;
/// Longest record that is read; longer ones are passed over.
const MAX_RECORD: usize = 1 << 21;
/// Calls that wait for replies, and each of: names and transfers of files.
const MAX_KNOWN: usize = 1024;
/// Longest handle of a file (RFC 8881, 3.1).
const MAX_HANDLE: usize = 128;
/// Operations of one compound.
const MAX_OPERATIONS: usize = 64;

/// Procedures of version 3 (RFC 1813, 3.3), and of version 2 where they differ (RFC 1094, 2.2).
mod procedure {
    pub const LOOKUP: u32 = 3;
    pub const READ: u32 = 6;
    pub const WRITE: u32 = 7;
    pub const CREATE: u32 = 8;
    pub const COMMIT: u32 = 21;
    pub const LOOKUP_2: u32 = 4;
    pub const WRITE_2: u32 = 8;
    pub const CREATE_2: u32 = 9;
    pub const COMPOUND: u32 = 1;
}

/// Operations of version 4 (RFC 8881, 18).
mod operation {
    pub const ACCESS: u32 = 3;
    pub const CLOSE: u32 = 4;
    pub const COMMIT: u32 = 5;
    pub const GETATTR: u32 = 9;
    pub const GETFH: u32 = 10;
    pub const LOOKUP: u32 = 15;
    pub const OPEN: u32 = 18;
    pub const PUTFH: u32 = 22;
    pub const PUTROOTFH: u32 = 24;
    pub const READ: u32 = 25;
    pub const REMOVE: u32 = 28;
    pub const RENAME: u32 = 29;
    pub const RENEW: u32 = 30;
    pub const RESTOREFH: u32 = 31;
    pub const SAVEFH: u32 = 32;
    pub const WRITE: u32 = 38;
    pub const SEQUENCE: u32 = 53;
}

/// The data of a write is on stable storage: the writer has closed the file, as far as can be told.
const FILE_SYNC: u32 = 2;

type Handle = Vec<u8>;

/// A call (RFC 5531, 9).
#[derive(Clone, Copy, Debug)]
struct Call<'a> {
    id: u32,
    version: u32,
    procedure: u32,
    arguments: &'a [u8],
}

fn parse_call(data: &[u8]) -> Result<Call<'_>, Stop> {
    let mut reader = Reader::new(data);
    let id = reader.u32()?;
    if (reader.u32()?, reader.u32()?, reader.u32()?) != (0, 2, PROGRAM) {
        return Err(Stop::Malformed("nfs call"));
    }
    let (version, procedure) = (reader.u32()?, reader.u32()?);
    for _credential_and_verifier in 0..2 {
        let _flavor = reader.u32()?;
        opaque(&mut reader)?;
    }
    Ok(Call { id, version, procedure, arguments: reader.rest() })
}

/// Reads a reply and returns its identity and, if the call was accepted, its results.
fn parse_reply(data: &[u8]) -> Result<(u32, Option<&[u8]>), Stop> {
    let mut reader = Reader::new(data);
    let id = reader.u32()?;
    if reader.u32()? != 1 {
        return Err(Stop::Malformed("nfs reply"));
    }
    if reader.u32()? != 0 {
        return Ok((id, None));
    }
    let _verifier_flavor = reader.u32()?;
    opaque(&mut reader)?;
    let is_accepted = reader.u32()? == 0;
    Ok((id, is_accepted.then_some(reader.rest())))
}

/// Reads bytes behind their length, and the padding after them (RFC 4506, 4.10); what is cut off is left out.
fn opaque<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let length = reader.u32()? as usize;
    let bytes = reader.take(length)?;
    let padding = (4 - length % 4) % 4;
    let _ = reader.take(padding.min(reader.rest().len()));
    Ok(bytes)
}

fn handle(reader: &mut Reader<'_>, version: u32) -> Result<Handle, Stop> {
    let bytes = if version == 2 { reader.take(32)? } else { opaque(reader)? };
    if bytes.len() > MAX_HANDLE {
        return Err(Stop::Malformed("nfs handle"));
    }
    Ok(bytes.to_vec())
}

fn offset(reader: &mut Reader<'_>, version: u32) -> Result<u64, Stop> {
    if version == 2 {
        reader.u32().map(u64::from)
    } else {
        reader.array().map(u64::from_be_bytes)
    }
}

/// Recognises a call or a reply on the well-known port.
fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if !has_port(ports, PORT) {
        return Probe::NotForUs;
    }
    let message = match transport {
        Transport::Stream if data.len() < 28 => return Probe::Unsure,
        Transport::Stream => data.get(4..).unwrap_or_default(),
        Transport::Datagram => data,
    };
    let is_call = matches!(parse_head(message), Some((PROGRAM, 2..=4)));
    let is_reply = direction == Direction::Resp && message.get(4..8) == Some(&[0, 0, 0, 1]) && message.len() >= 24;
    if is_call || is_reply {
        Probe::Certain
    } else {
        Probe::NotForUs
    }
}

/// Reads program and version of a call.
fn parse_head(message: &[u8]) -> Option<(u32, u32)> {
    let mut reader = Reader::new(message.get(4..)?);
    let is_call = reader.u32().ok()? == 0 && reader.u32().ok()? == 2;
    let program = (reader.u32().ok()?, reader.u32().ok()?);
    is_call.then_some(program)
}

/// What a call was about, for its reply.
#[derive(Debug, Default)]
enum About {
    #[default]
    Other,
    /// A name that the reply gives a handle to.
    Name(Vec<u8>),
    Read {
        handle: Handle,
        offset: u64,
    },
    /// What a compound opens and reads.
    Compound {
        name: Option<Vec<u8>>,
        read: Option<(Handle, u64)>,
    },
}

/// A call that waits for its reply.
#[derive(Debug)]
struct Waiting {
    id: u32,
    version: u32,
    transaction: Option<u64>,
    about: About,
}

struct Nfs {
    transport: Transport,
    /// Bytes to pass over, for each direction.
    skip: [usize; 2],
    known: Known,
}

/// What is known of the connection.
#[derive(Default)]
struct Known {
    waiting: VecDeque<Waiting>,
    names: HashMap<Handle, Vec<u8>>,
    transfers: HashMap<(Handle, bool), Transfer>,
}

impl Known {
    fn name(&mut self, handle: Handle, name: Vec<u8>) {
        if self.names.len() < MAX_KNOWN || self.names.contains_key(&handle) {
            self.names.insert(handle, name);
        }
    }

    fn call(&mut self, data: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let call = parse_call(data)?;
        let (transaction, about) = match call.version {
            2 | 3 => self.procedure(&call, output)?,
            4 if call.procedure == procedure::COMPOUND => {
                let about = Compound::default().call(&call, self, output);
                (about.1, about.0)
            }
            _ => (None, About::Other),
        };
        if self.waiting.len() >= MAX_KNOWN {
            self.waiting.pop_front();
        }
        self.waiting.push_back(Waiting { id: call.id, version: call.version, transaction, about });
        Ok(())
    }

    /// Reads a call of version 2 or 3; reads and writes have the transaction of their file.
    fn procedure(&mut self, call: &Call<'_>, output: &mut Output<'_>) -> Result<(Option<u64>, About), Stop> {
        let mut reader = Reader::new(call.arguments);
        let version = call.version;
        match (version, call.procedure) {
            (_, procedure::READ) => {
                let handle = handle(&mut reader, version)?;
                let offset = offset(&mut reader, version)?;
                return Ok((None, About::Read { handle, offset }));
            }
            (2, procedure::WRITE_2) | (3, procedure::WRITE) => {
                self.write(call, reader, output)?;
                return Ok((None, About::Other));
            }
            (3, procedure::COMMIT) => {
                let handle = handle(&mut reader, version)?;
                self.close(&handle, output);
                return Ok((None, About::Other));
            }
            _ => {}
        }
        let number = begin(call.version, call.procedure, output);
        let names = match version {
            2 => [procedure::LOOKUP_2, procedure::CREATE_2],
            _ => [procedure::LOOKUP, procedure::CREATE],
        };
        let about = if names.contains(&call.procedure) {
            let _folder = handle(&mut reader, version)?;
            About::Name(opaque(&mut reader)?.to_vec())
        } else {
            About::Other
        };
        Ok((Some(number), about))
    }

    fn write(&mut self, call: &Call<'_>, mut reader: Reader<'_>, output: &mut Output<'_>) -> Result<(), Stop> {
        let handle = handle(&mut reader, call.version)?;
        let (at, stable) = if call.version == 2 {
            let _beginning = reader.u32()?;
            let at = offset(&mut reader, 2)?;
            let _total = reader.u32()?;
            (at, 0)
        } else {
            let at = offset(&mut reader, 3)?;
            let _count = reader.u32()?;
            (at, reader.u32()?)
        };
        let data = opaque(&mut reader)?;
        self.piece(&handle, at, Direction::Orig, data, call.version, output);
        if stable == FILE_SYNC {
            self.close(&handle, output);
        }
        Ok(())
    }

    fn piece(
        &mut self,
        handle: &Handle,
        at: u64,
        direction: Direction,
        data: &[u8],
        version: u32,
        output: &mut Output<'_>,
    ) {
        let key = (handle.clone(), direction == Direction::Orig);
        if !self.transfers.contains_key(&key) {
            if self.transfers.len() >= MAX_KNOWN {
                return;
            }
            let procedure = transferring(version, direction);
            let number = begin(version, procedure, output);
            let name = self.names.get(handle).map_or(&[][..], Vec::as_slice);
            let Some(transaction) = output.get(number) else { return };
            self.transfers.insert(key.clone(), Transfer::open(transaction, direction, name));
        }
        let Some(transfer) = self.transfers.get_mut(&key) else { return };
        if let Some(transaction) = output.get(transfer.transaction) {
            transfer.piece(at, data, transaction);
        }
    }

    fn close(&mut self, handle: &Handle, output: &mut Output<'_>) {
        for is_write in [true, false] {
            let Some(transfer) = self.transfers.remove(&(handle.clone(), is_write)) else { continue };
            if let Some(transaction) = output.get(transfer.transaction) {
                transfer.close(transaction);
                transaction.complete(Direction::Orig);
                transaction.complete(Direction::Resp);
            }
        }
    }

    fn reply(&mut self, data: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let (id, results) = parse_reply(data)?;
        let Some(at) = self.waiting.iter().position(|waiting| waiting.id == id) else { return Ok(()) };
        let Some(waiting) = self.waiting.remove(at) else { return Ok(()) };
        if let Some(results) = results {
            // What cannot be read leaves names and data out.
            let _ = self.results(&waiting, results, output);
        }
        if let Some(transaction) = waiting.transaction.and_then(|number| output.get(number)) {
            transaction.complete(Direction::Orig);
            transaction.complete(Direction::Resp);
        }
        Ok(())
    }

    fn results(&mut self, waiting: &Waiting, results: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let mut reader = Reader::new(results);
        if reader.u32()? != 0 {
            return Ok(());
        }
        let version = waiting.version;
        match &waiting.about {
            About::Name(name) => {
                if version == 3 && reader.rest().starts_with(&[0, 0, 0, 1]) {
                    let _follows = reader.u32()?; // the handle of a new file is optional (RFC 1813, 3.3.8)
                }
                let handle = handle(&mut reader, version)?;
                self.name(handle, name.clone());
            }
            About::Read { handle, offset } => self.read(handle, *offset, version, reader, output)?,
            About::Compound { name, read } => {
                let _tag = opaque(&mut reader)?;
                Compound::default().reply(reader, name.as_deref(), read.as_ref(), self, output)?;
            }
            About::Other => {}
        }
        Ok(())
    }

    fn read(
        &mut self,
        handle: &Handle,
        at: u64,
        version: u32,
        mut reader: Reader<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let (data, is_end) = if version == 2 {
            let attributes = reader.take(68)?;
            let size = Reader::at(attributes, 20)?.u32()?;
            let data = opaque(&mut reader)?;
            (data, at + data.len() as u64 >= u64::from(size))
        } else {
            if reader.u32()? != 0 {
                let _attributes = reader.take(84)?;
            }
            let _count = reader.u32()?;
            let is_end = reader.u32()? != 0;
            (opaque(&mut reader)?, is_end)
        };
        self.piece(handle, at, Direction::Resp, data, version, output);
        if is_end {
            self.close(handle, output);
        }
        Ok(())
    }
}

/// Returns the procedure, or the operation of version 4, that writes or reads.
const fn transferring(version: u32, direction: Direction) -> u32 {
    match (version, direction) {
        (2, Direction::Orig) => procedure::WRITE_2,
        (3, Direction::Orig) => procedure::WRITE,
        (_, Direction::Orig) => operation::WRITE,
        (2 | 3, Direction::Resp) => procedure::READ,
        (_, Direction::Resp) => operation::READ,
    }
}

fn begin(version: u32, procedure: u32, output: &mut Output<'_>) -> u64 {
    let transaction = output.begin();
    transaction.put_number(Direction::Orig, Field::NfsVersion, u64::from(version));
    transaction.put_number(Direction::Orig, Field::NfsProcedure, u64::from(procedure));
    transaction.number
}

/// State of the way through a compound: its operations work on a current file.
#[derive(Default)]
struct Compound {
    current: Handle,
    name: Option<Vec<u8>>,
    read: Option<(Handle, u64)>,
    /// The operation that makes a transaction of the compound.
    main: Option<u32>,
}

impl Compound {
    /// Reads the operations of a call, up to the first that is not known.
    fn call(mut self, call: &Call<'_>, known: &mut Known, output: &mut Output<'_>) -> (About, Option<u64>) {
        let _ = self.operations(call.arguments, known, output);
        let transaction = self.main.map(|operation| begin(call.version, operation, output));
        if let Some(transaction) = transaction.and_then(|number| output.get(number)) {
            transaction.complete(Direction::Orig);
        }
        (About::Compound { name: self.name, read: self.read }, transaction)
    }

    fn operations(&mut self, arguments: &[u8], known: &mut Known, output: &mut Output<'_>) -> Result<(), Stop> {
        let mut reader = Reader::new(arguments);
        let _tag = opaque(&mut reader)?;
        let _minor = reader.u32()?;
        let count = reader.u32()? as usize;
        for _ in 0..count.min(MAX_OPERATIONS) {
            let operation = reader.u32()?;
            self.operation(operation, &mut reader, known, output)?;
        }
        Ok(())
    }

    fn operation(
        &mut self,
        code: u32,
        reader: &mut Reader<'_>,
        known: &mut Known,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        match code {
            operation::SEQUENCE => _ = reader.take(32)?,
            operation::PUTFH => self.current = handle(reader, 4)?,
            operation::PUTROOTFH | operation::GETFH | operation::SAVEFH | operation::RESTOREFH => {}
            operation::GETATTR => bitmap(reader)?,
            operation::ACCESS => _ = reader.u32()?,
            operation::RENEW => _ = reader.take(8)?,
            operation::COMMIT => _ = reader.take(12)?,
            operation::LOOKUP => self.name = Some(opaque(reader)?.to_vec()),
            operation::REMOVE => {
                opaque(reader)?;
                self.main = Some(code);
            }
            operation::RENAME => {
                opaque(reader)?;
                opaque(reader)?;
                self.main = Some(code);
            }
            operation::OPEN => self.name = open(reader)?,
            operation::CLOSE => {
                let _sequence_and_state = reader.take(20)?;
                known.close(&self.current, output);
            }
            operation::READ => {
                let _state = reader.take(16)?;
                let at = offset(reader, 4)?;
                let _count = reader.u32()?;
                self.read = Some((self.current.clone(), at));
            }
            operation::WRITE => {
                let _state = reader.take(16)?;
                let at = offset(reader, 4)?;
                let stable = reader.u32()?;
                let data = opaque(reader)?;
                known.piece(&self.current, at, Direction::Orig, data, 4, output);
                if stable == FILE_SYNC {
                    known.close(&self.current, output);
                }
            }
            _ => return Err(Stop::Malformed("nfs operation")),
        }
        Ok(())
    }

    /// Reads the results of the operations: the handle of what was opened, and what was read.
    fn reply(
        self,
        mut reader: Reader<'_>,
        name: Option<&[u8]>,
        read: Option<&(Handle, u64)>,
        known: &mut Known,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let count = reader.u32()? as usize;
        for _ in 0..count.min(MAX_OPERATIONS) {
            let (operation, status) = (reader.u32()?, reader.u32()?);
            if status != 0 {
                return Ok(());
            }
            match operation {
                operation::SEQUENCE => _ = reader.take(36)?,
                operation::PUTFH | operation::PUTROOTFH | operation::SAVEFH | operation::RESTOREFH => {}
                operation::LOOKUP | operation::RENEW => {}
                operation::ACCESS | operation::COMMIT => _ = reader.take(8)?,
                operation::GETATTR => {
                    bitmap(&mut reader)?;
                    opaque(&mut reader)?;
                }
                operation::GETFH => {
                    let handle = handle(&mut reader, 4)?;
                    if let Some(name) = name {
                        known.name(handle, name.to_vec());
                    }
                }
                operation::OPEN => opened(&mut reader)?,
                operation::READ => {
                    let is_end = reader.u32()? != 0;
                    let data = opaque(&mut reader)?;
                    let Some((handle, at)) = read else { return Ok(()) };
                    known.piece(handle, *at, Direction::Resp, data, 4, output);
                    if is_end {
                        known.close(handle, output);
                    }
                }
                _ => return Ok(()),
            }
        }
        Ok(())
    }
}

fn bitmap(reader: &mut Reader<'_>) -> Result<(), Stop> {
    let words = reader.u32()? as usize;
    reader.take(words.min(64) * 4).map(|_| ())
}

/// Reads the arguments of OPEN and returns the name, if the file is named (RFC 8881, 18.16.1).
fn open(reader: &mut Reader<'_>) -> Result<Option<Vec<u8>>, Stop> {
    let _sequence_access_deny_client = reader.take(20)?;
    let _owner = opaque(reader)?;
    let creates = reader.u32()? == 1;
    if creates {
        let mode = reader.u32()?;
        if mode >= 2 {
            let _verifier = reader.take(8)?;
        }
        if mode != 2 {
            bitmap(reader)?;
            opaque(reader)?;
        }
    }
    match reader.u32()? {
        0 => Ok(Some(opaque(reader)?.to_vec())),
        4 => Ok(None),
        _ => Err(Stop::Malformed("nfs claim")),
    }
}

/// Reads the results of OPEN, without a delegation's access list (RFC 8881, 18.16.2).
fn opened(reader: &mut Reader<'_>) -> Result<(), Stop> {
    let _state_change_flags = reader.take(40)?;
    bitmap(reader)?;
    match reader.u32()? {
        0 => Ok(()),
        1 => {
            let _state_recall_access = reader.take(32)?;
            opaque(reader).map(|_| ())
        }
        _ => Err(Stop::Malformed("nfs delegation")),
    }
}

impl Nfs {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let skip = &mut self.skip[index(direction)];
        if let Some(used) = pass_over(skip, data) {
            return Ok((used, Next::More));
        }
        let mut reader = Reader::new(data);
        let length = (reader.u32()? & 0x7fff_ffff) as usize;
        if length > MAX_RECORD {
            *skip = length;
            return Ok((4, Next::More));
        }
        // Records that do not belong to NFS, such as callbacks, are passed over.
        let _ = self.message(direction, reader.take(length)?, output);
        Ok((4 + length, Next::More))
    }

    fn message(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        match direction {
            Direction::Orig => self.known.call(data, output),
            Direction::Resp => self.known.reply(data, output),
        }
    }
}

impl Session for Nfs {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        match self.transport {
            Transport::Stream => drain(data, |rest| self.step(direction, rest, output)),
            Transport::Datagram => {
                let _ = self.message(direction, data, output);
                datagram(data, Ok(()))
            }
        }
    }

    fn end(&mut self, _direction: Direction, output: &mut Output<'_>) {
        close_all(std::mem::take(&mut self.known.transfers).into_values(), output);
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    for (name, field) in [("version", Field::NfsVersion), ("procedure", Field::NfsProcedure)] {
        if let Some(value) = number(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    if let Some(file) = transaction.files.first() {
        object.insert("filename".into(), json!(String::from_utf8_lossy(&file.name)));
    }
    event.insert("nfs".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, numbers, stream};
    use super::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn text(text: &[u8]) -> Vec<u8> {
        let padding = vec![0; (4 - text.len() % 4) % 4];
        [words(&[text.len() as u32]), text.to_vec(), padding].concat()
    }

    fn call(id: u32, version: u32, procedure: u32, arguments: &[Vec<u8>]) -> Vec<u8> {
        [words(&[id, 0, 2, PROGRAM, version, procedure, 0, 0, 0, 0]), arguments.concat()].concat()
    }

    fn reply(id: u32, results: &[Vec<u8>]) -> Vec<u8> {
        [words(&[id, 1, 0, 0, 0, 0]), results.concat()].concat()
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [words(&[1 << 31 | message.len() as u32]), message.to_vec()].concat()
    }

    fn conversation() -> Vec<(Direction, Vec<u8>)> {
        use Direction::{Orig, Resp};
        let handle = || text(b"handle");
        vec![
            (Orig, call(1, 3, procedure::LOOKUP, &[text(b"folder"), text(b"a.txt")])),
            (Resp, reply(1, &[words(&[0]), handle(), words(&[0, 0])])),
            (Orig, call(2, 3, procedure::READ, &[handle(), words(&[0, 0, 100])])),
            (Resp, reply(2, &[words(&[0, 0, 5, 1]), text(b"hello")])),
            (Orig, call(3, 3, procedure::WRITE, &[handle(), words(&[0, 0, 3, FILE_SYNC]), text(b"new")])),
            (Resp, reply(3, &[words(&[0, 0, 0, 3, 2, 0, 0])])),
        ]
    }

    #[test]
    fn files_have_names_and_content() {
        let messages = conversation();
        let pieces: Vec<_> = messages.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let records: Vec<_> = messages.iter().map(|(side, bytes)| (*side, framed(bytes))).collect();
        let records: Vec<_> = records.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        for found in [datagrams(&ENTRY, &pieces), stream(&ENTRY, &records)] {
            assert_eq!(found.len(), 3);
            assert!(found.iter().all(Transaction::is_done));
            assert_eq!(numbers(&found[0], Direction::Orig, Field::NfsVersion), [3]);
            let files: Vec<_> = found.iter().flat_map(|one| &one.files).collect();
            assert!(files.iter().all(|file| file.name == b"a.txt" && file.body.complete));
            assert_eq!((&files[0].body.data[..], files[0].direction), (&b"hello"[..], Direction::Resp));
            assert_eq!((&files[1].body.data[..], files[1].direction), (&b"new"[..], Direction::Orig));
        }
        assert_cuts_do_not_matter(&ENTRY, &records);
    }

    fn compound() -> Vec<(Direction, Vec<u8>)> {
        use Direction::{Orig, Resp};
        let state = words(&[0; 4]);
        let open = [words(&[operation::OPEN]), words(&[0; 5]), text(b"me"), words(&[0, 0]), text(b"b.txt")].concat();
        let put = [words(&[operation::PUTFH]), text(b"folder")].concat();
        let get = words(&[operation::GETFH]);
        let opening = [text(b""), words(&[0, 3]), put, open, get].concat();
        let opened = [words(&[operation::OPEN, 0]), words(&[0; 10]), words(&[0, 0])].concat();
        let got = [words(&[operation::GETFH, 0]), text(b"file")].concat();
        let results = [words(&[0]), text(b""), words(&[3, operation::PUTFH, 0]), opened, got].concat();
        let write = [words(&[operation::WRITE]), state, words(&[0, 0, FILE_SYNC]), text(b"data")].concat();
        let writing = [text(b""), words(&[0, 2, operation::PUTFH]), text(b"file"), write].concat();
        vec![
            (Orig, call(1, 4, procedure::COMPOUND, &[opening])),
            (Resp, reply(1, &[results])),
            (Orig, call(2, 4, procedure::COMPOUND, &[writing])),
        ]
    }

    #[test]
    fn compounds_open_and_write() {
        let messages = compound();
        let pieces: Vec<_> = messages.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let found = datagrams(&ENTRY, &pieces);
        assert_eq!(found.len(), 1);
        assert_eq!(numbers(&found[0], Direction::Orig, Field::NfsVersion), [4]);
        assert_eq!((&found[0].files[0].name[..], &found[0].files[0].body.data[..]), (&b"b.txt"[..], &b"data"[..]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..400_usize) {
            let mut bytes: Vec<u8> =
                conversation().into_iter().chain(compound()).flat_map(|(_, bytes)| framed(&bytes)).collect();
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 5);
            assert_any_bytes_are_safe(&ENTRY, bytes.get(4..).unwrap_or_default(), 1);
        }
    }
}
