//! SMB 1 to 3: shares, logins, files, and the calls over named pipes (MS-CIFS, MS-SMB2).

mod v1;
mod v2;

use std::collections::VecDeque;

use hashbrown::HashMap;
use infraspectre_core::app::bytes::drain;
use infraspectre_core::app::smb::{parse_frame, probe as probe_bytes, v1 as first, v2 as second};
use infraspectre_core::app::{ntlm, Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::dcerpc::{self, Calls};
use super::transfer::{close_all, Transfer};
use super::{text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How SMB is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Smb,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Smb::default()),
    describe,
};

/// Recognises SMB by the first message, which must be of the side that sends it.
fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match probe_bytes(transport, direction, data, ports) {
        Probe::Certain if is_answer(data).is_some_and(|answers| answers != (direction == Direction::Resp)) => {
            Probe::NotForUs
        }
        judged => judged,
    }
}

/// Tells whether a message is an answer, by its flags (MS-SMB 2.2.3.1, MS-SMB2 2.2.1), as far as these are there.
fn is_answer(data: &[u8]) -> Option<bool> {
    let flags = |at: usize, bit: u8| data.get(at).map(|flags| flags & bit != 0);
    match data.get(4..8)? {
        [0xff, b'S', b'M', b'B'] => flags(13, 0x80),
        [0xfe, b'S', b'M', b'B'] => flags(20, 0x01),
        _ => None,
    }
}

/// Bytes of one message that are waited for, unless they are those of a file; what is beyond is passed over.
const MAX_MESSAGE: usize = 1 << 16;
/// Requests that wait for an answer, and each of: trees, open files, transfers, pipes.
const MAX_KNOWN: usize = 1024;
/// Bytes of a call over a pipe that wait for the rest.
const MAX_PIPE: usize = 1 << 16;
/// First bytes of data that show whether it is a call.
const CALL_HEADER: usize = 16;

const STATUS_PENDING: u32 = 0x103;
/// Statuses of answers that hold data all the same.
const STATUS_BUFFER_OVERFLOW: u32 = 0x8000_0005;

/// Identity of an open file or pipe.
type Handle = [u8; 16];

/// What a request was about, for its answer.
#[derive(Clone, Debug, Default)]
enum About {
    #[default]
    Other,
    Tree(Vec<u8>),
    Create(Vec<u8>),
    Read {
        handle: Handle,
        offset: u64,
    },
    Call(Handle),
}

/// A request that waits for its answer.
#[derive(Debug)]
struct Request {
    key: (u64, u16),
    transaction: Option<u64>,
    about: About,
}

/// Where the data of a read or write goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sink {
    File { handle: Handle, offset: u64 },
    Pipe(Handle),
}

/// Data within a message: where it lies, counted from the message's first byte, and where it goes.
#[derive(Clone, Copy, Debug)]
struct Data {
    at: usize,
    length: usize,
    handle: Handle,
    offset: u64,
}

/// Where one direction stands.
#[derive(Clone, Copy, Debug, Default)]
struct Side {
    /// Bytes of data that are still to come, and where they go.
    data: usize,
    sink: Option<Sink>,
    /// Bytes to pass over after them.
    skip: usize,
    /// After a gap: the next message is looked for.
    is_lost: bool,
}

/// Follows requests and responses.
#[derive(Default)]
struct Smb {
    sides: [Side; 2],
    known: Known,
}

/// What is known of the connection.
#[derive(Default)]
struct Known {
    requests: VecDeque<Request>,
    /// Whether a tree is the one of the pipes.
    trees: HashMap<u32, bool>,
    names: HashMap<Handle, Vec<u8>>,
    transfers: HashMap<(Handle, bool), Transfer>,
    pipes: HashMap<(Handle, bool), Vec<u8>>,
    calls: Calls,
    has_negotiated: bool,
}

/// Inserts unless there are too many.
fn remember<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, V>, key: K, value: V) {
    if map.len() < MAX_KNOWN || map.contains_key(&key) {
        map.insert(key, value);
    }
}

impl Known {
    /// Begins the transaction of a request and waits for its answer.
    fn ask(&mut self, key: (u64, u16), version: u64, about: About, output: &mut Output<'_>) -> u64 {
        let transaction = output.begin();
        let number = transaction.number;
        for side in [Direction::Orig, Direction::Resp] {
            transaction.put_number(side, Field::SmbVersion, version);
        }
        transaction.complete(Direction::Orig);
        self.wait(key, Some(number), about);
        number
    }

    /// Waits for the answer of a request that has no transaction of its own, or has one already.
    fn wait(&mut self, key: (u64, u16), transaction: Option<u64>, about: About) {
        if self.requests.len() >= MAX_KNOWN {
            self.requests.pop_front();
        }
        self.requests.push_back(Request { key, transaction, about });
    }

    /// Returns the request that is answered and completes its transaction.
    fn answer(&mut self, key: (u64, u16), output: &mut Output<'_>) -> Option<Request> {
        let at = self.requests.iter().position(|request| request.key == key)?;
        let request = self.requests.remove(at)?;
        if let Some(transaction) = request.transaction.and_then(|number| output.get(number)) {
            transaction.complete(Direction::Resp);
        }
        Some(request)
    }

    /// Reports a share as soon as it is asked for.
    fn ask_for_tree(&mut self, key: (u64, u16), version: u64, path: &[u8], output: &mut Output<'_>) {
        let number = self.ask(key, version, About::Tree(path.to_vec()), output);
        if let Some(transaction) = output.get(number) {
            transaction.put(Direction::Orig, Field::SmbShare, path);
        }
    }

    /// Notes what kind of tree the server has given; what was taken for a share may be that of the pipes.
    fn give_tree(&mut self, request: &Request, tree: Option<u32>, is_pipe: bool, output: &mut Output<'_>) {
        if let Some(tree) = tree {
            remember(&mut self.trees, tree, is_pipe);
        }
        let (About::Tree(path), Some(number)) = (&request.about, request.transaction) else { return };
        if let Some(transaction) = output.get(number).filter(|_| is_pipe) {
            transaction.take_back(Direction::Orig, Field::SmbShare);
            transaction.put(Direction::Orig, Field::SmbNamedPipe, path);
        }
    }

    /// Reports who logs in with a token.
    fn login(token: &[u8], number: u64, output: &mut Output<'_>) {
        let login = ntlm::find_message(token).and_then(|message| ntlm::parse_authenticate(message).ok());
        let (Some((_, login)), Some(transaction)) = (login, output.get(number)) else { return };
        transaction.put(Direction::Orig, Field::SmbNtlmUser, login.user.as_bytes());
        transaction.put(Direction::Orig, Field::SmbNtlmDomain, login.domain.as_bytes());
    }

    /// Decides where data goes: to a pipe if the tree is that of the pipes, or unknown and the data is a call.
    fn sink(&self, tree: u32, handle: Handle, offset: u64, side: bool, start: &[u8]) -> Option<Sink> {
        let is_call = || dcerpc::parse_header(start).is_ok() || self.pipes.contains_key(&(handle, side));
        match self.trees.get(&tree) {
            Some(true) => is_call().then_some(Sink::Pipe(handle)),
            None if is_call() => Some(Sink::Pipe(handle)),
            Some(false) | None => Some(Sink::File { handle, offset }),
        }
    }

    /// Takes bytes where they go and returns where those after them go.
    fn pour(&mut self, sink: Sink, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Sink {
        match sink {
            Sink::Pipe(handle) => {
                self.pipe(handle, direction, data, output);
                sink
            }
            Sink::File { handle, offset } => {
                self.file(handle, offset, direction, data, output);
                Sink::File { handle, offset: offset.saturating_add(data.len() as u64) }
            }
        }
    }

    fn file(&mut self, handle: Handle, offset: u64, direction: Direction, data: &[u8], output: &mut Output<'_>) {
        let key = (handle, direction == Direction::Orig);
        if !self.transfers.contains_key(&key) {
            let name = self.names.get(&handle).map_or(&[][..], Vec::as_slice);
            let transfer = Transfer::open(output.begin(), direction, name);
            remember(&mut self.transfers, key, transfer);
        }
        let Some(transfer) = self.transfers.get_mut(&key) else { return };
        if let Some(transaction) = output.get(transfer.transaction) {
            transfer.piece(offset, data, transaction);
        }
    }

    /// Notes that a piece was announced; one that begins before the file's end is an event.
    fn announce(&mut self, handle: Handle, offset: u64, direction: Direction, output: &mut Output<'_>) {
        let transfer = self.transfers.get(&(handle, direction == Direction::Orig));
        let Some(transfer) = transfer.filter(|transfer| transfer.overlaps(offset)) else { return };
        if let Some(transaction) = output.get(transfer.transaction) {
            event(transaction, "file_overlap");
        }
    }

    /// Passes over missing bytes and returns where those after them go.
    fn miss(&mut self, sink: Sink, direction: Direction, bytes: usize, output: &mut Output<'_>) -> Sink {
        let Sink::File { handle, offset } = sink else { return sink };
        if let Some(transfer) = self.transfers.get_mut(&(handle, direction == Direction::Orig)) {
            if let Some(transaction) = output.get(transfer.transaction) {
                transfer.miss(bytes as u64, transaction);
            }
        }
        Sink::File { handle, offset: offset.saturating_add(bytes as u64) }
    }

    /// Joins the pieces of calls and reads those that are whole.
    fn pipe(&mut self, handle: Handle, direction: Direction, data: &[u8], output: &mut Output<'_>) {
        let key = (handle, direction == Direction::Orig);
        let mut bytes = self.pipes.remove(&key).unwrap_or_default();
        bytes.extend_from_slice(data);
        let pipe = u64::from_le_bytes(handle.first_chunk().copied().unwrap_or_default());
        let consumed = drain(&bytes, |rest| {
            let length = dcerpc::parse_header(rest)?.length;
            let fragment = rest.get(..length).ok_or(Stop::Incomplete)?;
            let _ = self.calls.read(pipe, direction, fragment, output);
            Ok((length, Next::More))
        });
        bytes.drain(..consumed.bytes);
        if consumed.next == Next::More && !bytes.is_empty() && bytes.len() <= MAX_PIPE {
            remember(&mut self.pipes, key, bytes);
        }
    }

    /// Ends the transfers of a file.
    fn close(&mut self, handle: Handle, output: &mut Output<'_>) {
        self.names.remove(&handle);
        for is_request in [true, false] {
            self.pipes.remove(&(handle, is_request));
            let Some(transfer) = self.transfers.remove(&(handle, is_request)) else { continue };
            if let Some(transaction) = output.get(transfer.transaction) {
                transfer.close(transaction);
                transaction.complete(Direction::Orig);
                transaction.complete(Direction::Resp);
            }
        }
    }
}

/// Adds an event in both directions.
fn event(transaction: &mut Transaction, name: &'static str) {
    for side in [Direction::Orig, Direction::Resp] {
        transaction.event(side, name);
    }
}

/// Reads the number that begins a text-free place of a message, little-endian.
fn le16(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..)?.first_chunk().copied().map(u16::from_le_bytes)
}

fn le32(data: &[u8], at: usize) -> Option<u32> {
    data.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn le64(data: &[u8], at: usize) -> Option<u64> {
    data.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

impl Smb {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let side = &mut self.sides[index(direction)];
        if side.is_lost {
            let found = memchr::memmem::find(data, b"SMB").and_then(|at| at.checked_sub(5));
            let start = found.filter(|at| matches!(data.get(*at + 4), Some(0xfc..=0xff)) && data.get(*at) == Some(&0));
            side.is_lost = start.is_none();
            let skipped = start.unwrap_or(data.len().saturating_sub(7));
            if skipped > 0 || side.is_lost {
                return Ok((skipped, Next::More));
            }
        }
        if side.data > 0 {
            let used = side.data.min(data.len());
            side.data -= used;
            if let (Some(sink), Some(bytes)) = (side.sink, data.get(..used)) {
                side.sink = Some(self.known.pour(sink, direction, bytes, output));
            }
            return Ok((used, Next::More));
        }
        if side.skip > 0 {
            let used = side.skip.min(data.len());
            side.skip -= used;
            return Ok((used, Next::More));
        }
        let (message, frame) = parse_frame(data)?;
        if frame.kind != 0 || frame.length < 4 {
            side.skip = frame.length;
            return Ok((4, Next::More));
        }
        self.message(direction, message, frame.length, output).map(|used| (4 + used, Next::More))
    }

    /// Reads a message of `span` bytes, or its head if it carries data, and returns how much was read.
    fn message(
        &mut self,
        direction: Direction,
        data: &[u8],
        span: usize,
        output: &mut Output<'_>,
    ) -> Result<usize, Stop> {
        let magic = data.first_chunk::<4>().ok_or(Stop::Incomplete)?;
        let (data_of, read): (DataOf, ReadOf) = match *magic {
            first::MAGIC => (v1::data, v1::read),
            second::MAGIC => (v2::data, v2::read),
            [0xfc | 0xfd, b'S', b'M', b'B'] => {
                self.sides[index(direction)].skip = span;
                return Ok(0);
            }
            _ => return Err(Stop::Malformed("smb magic")),
        };
        let (found, tree) = data_of(data, span, &mut self.known)?;
        let Some(carried) = found.filter(|carried| carried.at + carried.length <= span) else {
            let whole = data.get(..span.min(MAX_MESSAGE)).ok_or(Stop::Incomplete)?;
            read(whole, direction, &mut self.known, output);
            self.sides[index(direction)].skip = span - whole.len();
            return Ok(whole.len());
        };
        let start = data.get(..carried.at + carried.length.min(CALL_HEADER)).ok_or(Stop::Incomplete)?;
        let (head, start) = start.split_at(carried.at);
        read(head, direction, &mut self.known, output);
        let sink = self.known.sink(tree, carried.handle, carried.offset, direction == Direction::Orig, start);
        if let Some(Sink::File { handle, offset }) = sink {
            self.known.announce(handle, offset, direction, output);
        }
        let (length, skip) = (carried.length, span - carried.at - carried.length);
        self.sides[index(direction)] = Side { data: length, sink, skip, is_lost: false };
        Ok(carried.at)
    }
}

/// Finds the data that a read or write message carries, and the tree, from its first bytes.
type DataOf = fn(&[u8], usize, &mut Known) -> Result<(Option<Data>, u32), Stop>;
/// Reads a message, which may be cut off where its data begins.
type ReadOf = fn(&[u8], Direction, &mut Known, &mut Output<'_>);

impl Session for Smb {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        if let Next::Malformed(_) = consumed.next {
            let transaction = output.begin();
            event(transaction, "malformed_data");
            transaction.complete(Direction::Orig);
            transaction.complete(Direction::Resp);
        }
        consumed
    }

    fn gap(&mut self, direction: Direction, missing: u32, output: &mut Output<'_>) -> bool {
        let side = &mut self.sides[index(direction)];
        let missing = missing as usize;
        let of_data = missing.min(side.data);
        side.data -= of_data;
        side.is_lost = missing - of_data > side.skip || side.data + side.skip == 0;
        side.skip = side.skip.saturating_sub(missing - of_data);
        if let Some(sink) = side.sink.filter(|_| of_data > 0) {
            side.sink = Some(self.known.miss(sink, direction, of_data, output));
        }
        true
    }

    fn end(&mut self, _direction: Direction, output: &mut Output<'_>) {
        close_all(std::mem::take(&mut self.known.transfers).into_values(), output);
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    let names = [
        ("share", Field::SmbShare),
        ("named_pipe", Field::SmbNamedPipe),
        ("ntlmssp_user", Field::SmbNtlmUser),
        ("ntlmssp_domain", Field::SmbNtlmDomain),
    ];
    for (name, field) in names {
        if let Some(value) = text(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    if let Some(file) = transaction.files.first() {
        object.insert("filename".into(), json!(String::from_utf8_lossy(&file.name)));
    }
    if transaction.numbers(Direction::Orig, Field::DcerpcOpnum).next().is_some() {
        dcerpc::describe(transaction, &mut object);
    }
    event.insert("smb".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, described, numbers, stream, texts,
    };
    use super::super::conversation::Conversation;
    use super::super::dcerpc::tests::conversation as calls;
    use super::*;

    const FILE: Handle = [1; 16];
    const PIPE: Handle = [2; 16];

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    fn message(command: u16, is_response: bool, number: u64, tree: u32, body: &[u8]) -> Vec<u8> {
        let mut bytes = [&second::MAGIC[..], &[64, 0], &[0; 6], &command.to_le_bytes(), &[0; 2]].concat();
        bytes.extend([u8::from(is_response), 0, 0, 0, 0, 0, 0, 0]);
        bytes.extend(number.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(tree.to_le_bytes());
        bytes.resize(second::HEADER_BYTES, 0);
        bytes.extend(body);
        framed(&bytes)
    }

    fn wide(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    /// Writes a body whose offset and length of 16 bits at `position` point at what follows `fixed` bytes.
    fn body(position: usize, fixed: usize, data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; fixed];
        bytes[position..position + 2].copy_from_slice(&((second::HEADER_BYTES + fixed) as u16).to_le_bytes());
        bytes[position + 2..position + 4].copy_from_slice(&(data.len() as u16).to_le_bytes());
        [bytes, data.to_vec()].concat()
    }

    fn tree(number: u64, path: &str, kind: u8) -> [Vec<u8>; 2] {
        let asked = message(3, false, number, 0, &body(4, 8, &wide(path)));
        [asked, message(3, true, number, number as u32, &[16, 0, kind, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])]
    }

    fn write(number: u64, tree: u32, handle: Handle, offset: u64, data: &[u8]) -> Vec<u8> {
        let mut bytes = [&[49, 0, 112, 0][..], &(data.len() as u32).to_le_bytes(), &offset.to_le_bytes()].concat();
        bytes.extend(handle);
        bytes.resize(48, 0);
        bytes.extend(data);
        message(9, false, number, tree, &bytes)
    }

    fn conversation() -> [Vec<u8>; 4] {
        let [ask_files, give_files] = tree(1, r"\\srv\files", 1);
        let [ask_pipes, give_pipes] = tree(2, r"\\srv\IPC$", 2);
        let create = message(5, false, 3, 1, &body(44, 56, &wide("dir\\a.txt")));
        let mut created = vec![0; 64];
        created.extend(FILE);
        let created = message(5, true, 3, 1, &created);
        let [bind, accepted, call, result] = calls();
        let mut answer = [&[17, 0, 80, 0][..], &(accepted.len() as u32).to_le_bytes(), &[0; 8]].concat();
        answer.extend(accepted);
        let mut read = vec![0; 16];
        read.extend(PIPE);
        let mut transceive = [&[57, 0, 0, 0][..], &0x0011_c017_u32.to_le_bytes(), &PIPE].concat();
        transceive.extend(120_u32.to_le_bytes());
        transceive.extend((call.len() as u32).to_le_bytes());
        transceive.resize(56, 0);
        transceive.extend(call);
        let mut transceived = vec![0; 32];
        transceived.extend(112_u32.to_le_bytes());
        transceived.extend((result.len() as u32).to_le_bytes());
        transceived.resize(48, 0);
        transceived.extend(result);
        let close = [&[24, 0, 0, 0, 0, 0, 0, 0][..], &FILE].concat();
        let asked = [ask_files, ask_pipes, create].concat();
        let given = [give_files, give_pipes, created].concat();
        let then = [
            write(4, 1, FILE, 0, b"first "),
            write(5, 1, FILE, 6, b"second"),
            write(6, 2, PIPE, 0, &bind),
            message(8, false, 7, 2, &read),
            message(6, false, 8, 1, &close),
        ];
        let answers = [message(8, true, 7, 2, &answer), message(6, true, 8, 1, &[])];
        let call = message(11, false, 9, 2, &transceive);
        [
            [asked, then.concat()].concat(),
            [given, answers.concat()].concat(),
            call,
            message(11, true, 9, 2, &transceived),
        ]
    }

    #[test]
    fn a_message_is_of_the_side_that_sends_it() {
        let probe = |direction, data: &[u8]| super::probe(Transport::Stream, direction, data, (445, 50_000));
        for is_response in [false, true] {
            let direction = if is_response { Direction::Resp } else { Direction::Orig };
            let second = message(0, is_response, 0, 0, b"");
            let first = framed(&[&b"\xffSMBr\0\0\0\0"[..], &[u8::from(is_response) << 7]].concat());
            for data in [first, second] {
                assert_eq!(probe(direction, &data), Probe::Certain);
                assert_eq!(probe(direction.opposite(), &data), Probe::NotForUs);
                assert_eq!(probe(direction.opposite(), &data[..8]), Probe::Certain);
            }
        }
    }

    #[test]
    fn shares_files_and_calls_are_found() {
        let [first, second, third, fourth] = conversation();
        // The client's first requests come before their answers, as they would: the handles are known by then.
        let cut = first.len() - 600;
        let pieces = [
            (Direction::Orig, &first[..cut]),
            (Direction::Orig, &first[cut..]),
            (Direction::Resp, &second[..]),
            (Direction::Orig, &third[..]),
            (Direction::Resp, &fourth[..]),
        ];
        let found = stream(&ENTRY, &pieces);
        let all = |field| found.iter().flat_map(|one| texts(one, Direction::Orig, field)).collect::<Vec<_>>();
        assert_eq!(all(Field::SmbShare), [r"\\\\srv\\files"]);
        assert_eq!(all(Field::SmbNamedPipe), [r"\\\\srv\\IPC$"]);
        let file = found.iter().flat_map(|one| &one.files).next().unwrap();
        assert_eq!((&file.body.data[..], file.body.complete), (&b"first second"[..], true));
        let call = found.iter().find(|one| numbers(one, Direction::Orig, Field::DcerpcOpnum) == [9]).unwrap();
        assert_eq!(texts(call, Direction::Orig, Field::DcerpcStubData), ["one", "onetwo"]);
        assert_eq!(texts(call, Direction::Resp, Field::DcerpcStubData), ["result"]);
        assert!(described(&ENTRY, call).contains("12345678-1234-abcd-ef00-0123456789ab"));
        assert!(found.iter().filter(|one| one.files.is_empty()).all(Transaction::is_done));
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    #[test]
    fn writing_over_what_was_written_is_an_event() {
        let writes = [write(1, 1, FILE, 0, b"abc"), write(2, 1, FILE, 1, b"xyz")].concat();
        let found = stream(&ENTRY, &[(Direction::Orig, &writes)]);
        assert_eq!(found[0].events, [(Direction::Orig, "file_overlap"), (Direction::Resp, "file_overlap")]);
        assert_eq!(found[0].files[0].body.data, b"abcz");
    }

    #[test]
    fn a_gap_in_a_file_leaves_the_rest() {
        let mut conversation = Conversation::new(&ENTRY, Transport::Stream, (1, 445));
        let bytes = write(1, 1, FILE, 0, &[b'a'; 100]);
        let cut = bytes.len() - 50;
        conversation.stream(Direction::Orig, &bytes[..cut]);
        assert_eq!((conversation.unread(Direction::Orig), conversation.next), (0, Next::More));
        assert!(conversation.gap(Direction::Orig, 20));
        let rest = [&bytes[cut + 20..], &write(2, 1, FILE, 100, b"b")].concat();
        conversation.stream(Direction::Orig, &rest);
        let file = &conversation.transactions[0].files[0];
        assert_eq!((file.size, file.truncated), (81, true));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..100), at in 0..1200_usize) {
            let mut bytes = conversation().concat();
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 5;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 3);
            let mut old = [&first::MAGIC[..], &[data.first().copied().unwrap_or(0) & 0x2f, 0, 0, 0, 0, 0, 0, 0xc0]].concat();
            old.resize(first::HEADER_BYTES, 0);
            old.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &framed(&old).repeat(2), 1);
        }
    }
}
