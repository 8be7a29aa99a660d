//! DCERPC: interfaces that are bound and operations that are called, over TCP, UDP and named pipes (C706, MS-RPCE).

use std::collections::VecDeque;

use infraspectre_core::app::bytes::{datagram, drain, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How DCERPC is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Dcerpc,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| match transport {
        Transport::Stream => Box::new(OverStream::default()),
        Transport::Datagram => Box::new(OverDatagrams::default()),
    },
    describe,
};

/// Bytes of the common header of connection-oriented messages (C706, 12.6.3.1).
const HEADER_BYTES: usize = 16;
/// Interfaces remembered of the last binding.
const MAX_BINDINGS: usize = 256;
/// Calls that wait for more.
const MAX_CALLS: usize = 256;
/// Most bytes kept of the arguments or the result of a call.
const MAX_STUB: usize = 1 << 18;
/// Beyond this, incomplete arguments are not shown to rules at each fragment, but when they are complete.
const MAX_SHOWN_IN_PART: usize = 1 << 14;

/// Types of messages (C706, 12.6.4.1; MS-RPCE 2.2.2).
mod kind {
    pub const REQUEST: u8 = 0;
    pub const RESPONSE: u8 = 2;
    pub const FAULT: u8 = 3;
    pub const BIND: u8 = 11;
    pub const BIND_ACK: u8 = 12;
    pub const BIND_NAK: u8 = 13;
    pub const ALTER_CONTEXT: u8 = 14;
    pub const ALTER_CONTEXT_RESPONSE: u8 = 15;
    pub const AUTH3: u8 = 16;
    pub const LAST: u8 = 20;
}

const FLAG_LAST: u8 = 0x02;

/// The common header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    kind: u8,
    flags: u8,
    is_little: bool,
    /// Bytes of this fragment, with its header.
    pub length: usize,
    call: u32,
}

/// Reads the header of one fragment.
pub fn parse_header(data: &[u8]) -> Result<Header, Stop> {
    match parse_any_header(data)? {
        header if header.length < HEADER_BYTES => Err(Stop::Malformed("dcerpc fragment length")),
        header => Ok(header),
    }
}

/// Reads a header whatever its length says.
fn parse_any_header(data: &[u8]) -> Result<Header, Stop> {
    let mut reader = Reader::new(data);
    let [version, minor, kind, flags] = reader.array()?;
    let [format, character, _, _] = reader.array::<4>()?;
    if version != 5 || minor > 1 || kind > kind::LAST || format & 0xee != 0 || character > 3 {
        return Err(Stop::Malformed("dcerpc header"));
    }
    let is_little = format & 0x10 != 0;
    let length = usize::from(u16_of(&mut reader, is_little)?);
    let _authentication = u16_of(&mut reader, is_little)?;
    let call = u32_of(&mut reader, is_little)?;
    Ok(Header { kind, flags, is_little, length, call })
}

fn u16_of(reader: &mut Reader<'_>, is_little: bool) -> Result<u16, Stop> {
    if is_little {
        reader.u16_le()
    } else {
        reader.u16()
    }
}

fn u32_of(reader: &mut Reader<'_>, is_little: bool) -> Result<u32, Stop> {
    if is_little {
        reader.u32_le()
    } else {
        reader.u32()
    }
}

/// Reads an identity in the order in which it is written as text.
fn uuid(reader: &mut Reader<'_>, is_little: bool) -> Result<[u8; 16], Stop> {
    let mut uuid: [u8; 16] = reader.array()?;
    if is_little {
        let [first, second, third] = [0..4, 4..6, 6..8];
        for part in [first, second, third] {
            uuid[part].reverse();
        }
    }
    Ok(uuid)
}

/// An interface that was asked for.
#[derive(Clone, Copy, Debug)]
struct Binding {
    context: u16,
    uuid: [u8; 16],
    version: u16,
    is_accepted: bool,
}

impl Binding {
    /// Returns the interface as [`Field::DcerpcInterface`] has it.
    fn value(&self) -> Vec<u8> {
        interface(&self.uuid, self.version)
    }
}

fn interface(uuid: &[u8; 16], version: u16) -> Vec<u8> {
    [&uuid[..], &version.to_be_bytes()].concat()
}

/// A call or binding that waits for more fragments or for its answer.
#[derive(Debug)]
struct Call {
    pipe: u64,
    id: u32,
    is_binding: bool,
    transaction: u64,
    stubs: [Vec<u8>; 2],
}

/// What is bound and called in one connection; over SMB, on all of its pipes.
#[derive(Debug, Default)]
pub struct Calls {
    bindings: Vec<Binding>,
    /// How many of the bindings, the last ones, were asked for last.
    asked: usize,
    waiting: VecDeque<Call>,
}

impl Calls {
    /// Reads one whole fragment of a pipe (0 if there is only one).
    pub fn read(&mut self, pipe: u64, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let header = parse_header(data)?;
        let body = data.get(HEADER_BYTES..header.length).ok_or(Stop::Incomplete)?;
        match header.kind {
            kind::BIND | kind::ALTER_CONTEXT => {
                let asked = bindings(body, header.is_little)?;
                self.ask(asked, header.kind == kind::ALTER_CONTEXT);
                let call = self.begin(pipe, &header, true, output);
                complete(output, call, direction);
            }
            kind::BIND_ACK | kind::ALTER_CONTEXT_RESPONSE => {
                self.accept(body, header.is_little)?;
                self.finish(pipe, &header, true, direction, output);
            }
            kind::BIND_NAK => self.finish(pipe, &header, true, direction, output),
            kind::REQUEST => self.request(pipe, &header, direction, body, output)?,
            kind::RESPONSE => self.response(pipe, &header, direction, body, output)?,
            kind::FAULT => self.finish(pipe, &header, false, direction, output),
            kind::AUTH3 => {}
            _ => {
                let call = self.begin(pipe, &header, false, output);
                complete(output, call, Direction::Orig);
                complete(output, call, Direction::Resp);
            }
        }
        Ok(())
    }

    fn begin(&mut self, pipe: u64, header: &Header, is_binding: bool, output: &mut Output<'_>) -> u64 {
        let transaction = output.begin();
        let number = transaction.number;
        for side in [Direction::Orig, Direction::Resp] {
            transaction.put_number(side, Field::DcerpcByteOrder, u64::from(header.is_little));
        }
        if self.waiting.len() >= MAX_CALLS {
            if let Some(old) = self.waiting.pop_front() {
                complete(output, old.transaction, Direction::Orig);
                complete(output, old.transaction, Direction::Resp);
            }
        }
        let (id, stubs) = (header.call, Default::default());
        self.waiting.push_back(Call { pipe, id, is_binding, transaction: number, stubs });
        number
    }

    /// Notes what a client asks for, in place of or besides what was bound before.
    fn ask(&mut self, asked: Vec<Binding>, besides: bool) {
        self.asked = asked.len();
        if besides && self.bindings.len() + asked.len() <= MAX_BINDINGS {
            self.bindings.extend(asked);
        } else {
            self.bindings = asked;
        }
    }

    /// Notes which interfaces the server accepts, in the order in which they were asked for.
    fn accept(&mut self, body: &[u8], is_little: bool) -> Result<(), Stop> {
        let mut reader = Reader::new(body);
        let _sizes_and_group = reader.take(8)?;
        let address = usize::from(u16_of(&mut reader, is_little)?);
        let _address = reader.take(address)?;
        let _padding = reader.take((4 - (address + 2) % 4) % 4)?;
        let [count, _, _, _] = reader.array()?;
        let first = self.bindings.len() - self.asked;
        for binding in self.bindings.iter_mut().skip(first).take(usize::from(count)) {
            binding.is_accepted = u16_of(&mut reader, is_little)? == 0;
            let _reason_and_syntax = reader.take(22)?;
        }
        Ok(())
    }

    fn position(&self, pipe: u64, header: &Header, is_binding: bool) -> Option<usize> {
        let fits = |call: &Call| (call.pipe, call.id, call.is_binding) == (pipe, header.call, is_binding);
        self.waiting.iter().rposition(fits)
    }

    fn finish(&mut self, pipe: u64, header: &Header, is_binding: bool, side: Direction, output: &mut Output<'_>) {
        if let Some(call) = self.position(pipe, header, is_binding).and_then(|at| self.waiting.remove(at)) {
            complete(output, call.transaction, side);
            complete(output, call.transaction, side.opposite());
        }
    }

    fn request(
        &mut self,
        pipe: u64,
        header: &Header,
        direction: Direction,
        body: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let mut reader = Reader::new(body);
        let _hint = reader.take(4)?;
        let context = u16_of(&mut reader, header.is_little)?;
        let operation = u16_of(&mut reader, header.is_little)?;
        if self.position(pipe, header, false).is_none() {
            let number = self.begin(pipe, header, false, output);
            if let Some(transaction) = output.get(number) {
                self.report(context, operation, transaction);
            }
        }
        // An object's identity before the arguments counts as part of them, as in Suricata.
        self.extend(pipe, header, direction, reader.rest(), output);
        Ok(())
    }

    /// Reports operation and interface to both directions, in which rules may ask for them.
    fn report(&self, context: u16, operation: u16, transaction: &mut Transaction) {
        for side in [Direction::Orig, Direction::Resp] {
            transaction.put_number(side, Field::DcerpcOpnum, u64::from(operation));
            for binding in self.bindings.iter().filter(|bound| bound.is_accepted && bound.context == context) {
                transaction.put(side, Field::DcerpcInterface, &binding.value());
            }
        }
    }

    fn response(
        &mut self,
        pipe: u64,
        header: &Header,
        direction: Direction,
        body: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let mut reader = Reader::new(body);
        let _hint_context_cancels = reader.take(8)?;
        if self.position(pipe, header, false).is_none() {
            self.begin(pipe, header, false, output);
        }
        self.extend(pipe, header, direction, reader.rest(), output);
        if header.flags & FLAG_LAST != 0 {
            self.finish(pipe, header, false, direction, output);
        }
        Ok(())
    }

    /// Appends a fragment and shows what is there so far.
    fn extend(&mut self, pipe: u64, header: &Header, side: Direction, stub: &[u8], output: &mut Output<'_>) {
        let Some(call) = self.position(pipe, header, false).and_then(|at| self.waiting.get_mut(at)) else { return };
        let whole = &mut call.stubs[crate::transaction::index(side)];
        let room = MAX_STUB.saturating_sub(whole.len());
        whole.extend_from_slice(stub.get(..room).unwrap_or(stub));
        let Some(transaction) = output.get(call.transaction) else { return };
        let is_last = header.flags & FLAG_LAST != 0;
        if !whole.is_empty() && (is_last || whole.len() <= MAX_SHOWN_IN_PART) {
            transaction.put(side, Field::DcerpcStubData, whole);
        }
        if is_last {
            transaction.complete(side);
            *whole = Vec::new();
        }
    }
}

fn complete(output: &mut Output<'_>, number: u64, direction: Direction) {
    if let Some(transaction) = output.get(number) {
        transaction.complete(direction);
    }
}

/// Reads the interfaces that a client asks for (C706, 12.6.4.3).
fn bindings(body: &[u8], is_little: bool) -> Result<Vec<Binding>, Stop> {
    let mut reader = Reader::new(body);
    let _sizes_and_group = reader.take(8)?;
    let [count, _, _, _] = reader.array()?;
    let mut found = Vec::new();
    for _ in 0..usize::from(count).min(MAX_BINDINGS) {
        let context = u16_of(&mut reader, is_little)?;
        let [syntaxes, _] = reader.array()?;
        let uuid = uuid(&mut reader, is_little)?;
        let version = u16_of(&mut reader, is_little)?;
        let _minor = reader.take(2)?;
        let _syntaxes = reader.take(usize::from(syntaxes) * 20)?;
        found.push(Binding { context, uuid, version, is_accepted: false });
    }
    Ok(found)
}

/// The connection-oriented protocol over TCP.
#[derive(Default)]
struct OverStream {
    calls: Calls,
    /// After a gap, for each direction: fragments are looked for.
    is_lost: [bool; 2],
}

impl OverStream {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let is_lost = &mut self.is_lost[crate::transaction::index(direction)];
        if *is_lost {
            let found = data.windows(HEADER_BYTES).position(|window| parse_header(window).is_ok());
            *is_lost = found.is_none();
            let skipped = found.unwrap_or(data.len().saturating_sub(HEADER_BYTES - 1));
            if skipped > 0 || *is_lost {
                return Ok((skipped, Next::More));
            }
        }
        let length = parse_header(data)?.length;
        let fragment = data.get(..length).ok_or(Stop::Incomplete)?;
        match self.calls.read(0, direction, fragment, output) {
            Err(Stop::Incomplete) => Err(Stop::Malformed("dcerpc fragment")),
            other => other.map(|()| (length, Next::More)),
        }
    }
}

impl Session for OverStream {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output))
    }

    fn gap(&mut self, direction: Direction, _missing: u32, _output: &mut Output<'_>) -> bool {
        self.is_lost[crate::transaction::index(direction)] = true;
        true
    }
}

/// The header of the connectionless protocol (C706, 12.5.1), without what is of no interest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DatagramHeader {
    kind: u8,
    flags: u8,
    is_little: bool,
    interface: [u8; 16],
    version: u32,
    activity: [u8; 16],
    sequence: u32,
    operation: u16,
    length: usize,
}

/// More fragments than this one.
const DATAGRAM_FRAGMENT: u8 = 0x04;
const DATAGRAM_LAST: u8 = 0x02;

fn parse_datagram(data: &[u8]) -> Result<(DatagramHeader, &[u8]), Stop> {
    let mut reader = Reader::new(data);
    let [version, kind, flags, flags2] = reader.array()?;
    let [format, character, _, _serial] = reader.array::<4>()?;
    if version != 4 || kind > 10 || flags & 0x80 != 0 || flags2 & 0xfc != 0 || format & 0xee != 0 || character > 3 {
        return Err(Stop::Malformed("dcerpc datagram header"));
    }
    let is_little = format & 0x10 != 0;
    let _object = reader.take(16)?;
    let interface = uuid(&mut reader, is_little)?;
    let activity = reader.array()?;
    let _boot = reader.take(4)?;
    let version = u32_of(&mut reader, is_little)?;
    let sequence = u32_of(&mut reader, is_little)?;
    let operation = u16_of(&mut reader, is_little)?;
    let _hints = reader.take(4)?;
    let length = usize::from(u16_of(&mut reader, is_little)?);
    let _fragment_authentication_serial = reader.take(4)?;
    let header = DatagramHeader { kind, flags, is_little, interface, version, activity, sequence, operation, length };
    Ok((header, reader.rest()))
}

/// A call of the connectionless protocol.
struct DatagramCall {
    activity: [u8; 16],
    sequence: u32,
    transaction: u64,
    stubs: [Vec<u8>; 2],
}

/// The connectionless protocol over UDP.
#[derive(Default)]
struct OverDatagrams {
    calls: VecDeque<DatagramCall>,
}

impl OverDatagrams {
    fn message(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let (header, body) = parse_datagram(data)?;
        let stub = body.get(..header.length).unwrap_or(body);
        match header.kind {
            kind::REQUEST | kind::RESPONSE => self.extend(&header, direction, stub, output),
            _ => {}
        }
        Ok(())
    }

    fn extend(&mut self, header: &DatagramHeader, side: Direction, stub: &[u8], output: &mut Output<'_>) {
        let same = |call: &DatagramCall| (call.activity, call.sequence) == (header.activity, header.sequence);
        let at = self.calls.iter().position(same).unwrap_or_else(|| self.begin(header, output));
        let Some(call) = self.calls.get_mut(at) else { return };
        let whole = &mut call.stubs[crate::transaction::index(side)];
        let room = MAX_STUB.saturating_sub(whole.len());
        whole.extend_from_slice(stub.get(..room).unwrap_or(stub));
        let Some(transaction) = output.get(call.transaction) else { return };
        let is_last = header.flags & DATAGRAM_FRAGMENT == 0 || header.flags & DATAGRAM_LAST != 0;
        if !whole.is_empty() && (is_last || whole.len() <= MAX_SHOWN_IN_PART) {
            transaction.put(side, Field::DcerpcStubData, whole);
        }
        if is_last {
            transaction.complete(side);
        }
        if transaction.is_done() {
            self.calls.remove(at);
        }
    }

    fn begin(&mut self, header: &DatagramHeader, output: &mut Output<'_>) -> usize {
        let transaction = output.begin();
        let value = interface(&header.interface, header.version as u16);
        for side in [Direction::Orig, Direction::Resp] {
            transaction.put_number(side, Field::DcerpcByteOrder, u64::from(header.is_little));
            transaction.put_number(side, Field::DcerpcOpnum, u64::from(header.operation));
            transaction.put(side, Field::DcerpcInterface, &value);
        }
        let (activity, sequence, transaction) = (header.activity, header.sequence, transaction.number);
        if self.calls.len() >= MAX_CALLS {
            self.calls.pop_front();
        }
        self.calls.push_back(DatagramCall { activity, sequence, transaction, stubs: Default::default() });
        self.calls.len() - 1
    }
}

impl Session for OverDatagrams {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        datagram(data, self.message(direction, data, output))
    }
}

/// Recognises the header of either protocol.
fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    let outcome = match transport {
        Transport::Stream if !data.starts_with(&[5, 0]) && data.len() >= 2 || data.first().is_some_and(|v| *v != 5) => {
            return Probe::NotForUs;
        }
        Transport::Stream => parse_any_header(data).map(|_| ()),
        Transport::Datagram => parse_datagram(data).map(|_| ()).map_err(|_| Stop::Malformed("dcerpc datagram")),
    };
    match outcome {
        Ok(()) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        Err(Stop::Malformed(_)) => Probe::NotForUs,
    }
}

/// Says which operation of which interface is called.
pub fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    if let Some(operation) = number(transaction, Field::DcerpcOpnum) {
        object.insert("opnum".into(), json!(operation));
    }
    let interfaces = transaction.values(Direction::Orig, Field::DcerpcInterface).filter_map(written);
    let interfaces: Vec<Value> = interfaces.map(|(uuid, version)| json!({"uuid": uuid, "version": version})).collect();
    if !interfaces.is_empty() {
        object.insert("interfaces".into(), json!(interfaces));
    }
    event.insert("dcerpc".into(), Value::Object(object));
}

/// Writes identity and version as text.
fn written(value: &[u8]) -> Option<(String, String)> {
    let (uuid, version) = value.split_first_chunk::<16>()?;
    let mut text = String::with_capacity(36);
    for (at, byte) in uuid.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    Some((text, format!("{}.0", u16::from_be_bytes(*version.first_chunk()?))))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::super::check::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, described, numbers, stream, texts,
    };
    use super::*;

    fn fragment(kind: u8, flags: u8, call: u32, body: &[u8]) -> Vec<u8> {
        let length = (HEADER_BYTES + body.len()) as u16;
        let head = [&[5, 0, kind, flags, 0x10, 0, 0, 0][..], &length.to_le_bytes(), &[0; 2], &call.to_le_bytes()];
        [&head.concat()[..], body].concat()
    }

    /// Writes the binding of one interface, its acceptance, and a call of operation 9 in two fragments.
    pub fn conversation() -> [Vec<u8>; 4] {
        let mut bind = vec![0; 8];
        bind.extend([1, 0, 0, 0, 7, 0, 1, 0, 0x78, 0x56, 0x34, 0x12, 0x34, 0x12, 0xcd, 0xab]);
        bind.extend([0xef, 0, 1, 0x23, 0x45, 0x67, 0x89, 0xab, 1, 0, 0, 0]);
        bind.extend([0; 20]);
        let mut accepted = vec![0; 8];
        accepted.extend([4, 0, b'1', b'3', b'5', 0, 0, 0, 1, 0, 0, 0]);
        accepted.extend([0; 24]);
        let call = |stub: &[u8]| [&[0, 0, 0, 0, 7, 0, 9, 0][..], stub].concat();
        let calls =
            [fragment(kind::REQUEST, 1, 3, &call(b"one")), fragment(kind::REQUEST, FLAG_LAST, 3, &call(b"two"))];
        let result = fragment(kind::RESPONSE, 3, 3, b"\0\0\0\0\0\0\0\0result");
        [fragment(kind::BIND, 3, 1, &bind), fragment(kind::BIND_ACK, 3, 1, &accepted), calls.concat(), result]
    }

    #[test]
    fn a_call_has_operation_interface_and_arguments() {
        let [bind, accepted, call, result] = conversation();
        let pieces = [
            (Direction::Orig, &bind[..]),
            (Direction::Resp, &accepted),
            (Direction::Orig, &call),
            (Direction::Resp, &result),
        ];
        let found = stream(&ENTRY, &pieces);
        assert_eq!(found.len(), 2);
        assert!(found.iter().all(Transaction::is_done));
        assert_eq!(numbers(&found[1], Direction::Orig, Field::DcerpcOpnum), [9]);
        assert_eq!(texts(&found[1], Direction::Orig, Field::DcerpcStubData), ["one", "onetwo"]);
        assert_eq!(texts(&found[1], Direction::Resp, Field::DcerpcStubData), ["result"]);
        assert!(described(&ENTRY, &found[1]).contains("12345678-1234-abcd-ef00-0123456789ab"));
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    #[test]
    fn refused_interfaces_are_not_called() {
        let [bind, mut accepted, call, _] = conversation();
        accepted[HEADER_BYTES + 20] = 2;
        let pieces = [(Direction::Orig, &bind[..]), (Direction::Resp, &accepted), (Direction::Orig, &call)];
        let found = stream(&ENTRY, &pieces);
        assert_eq!(texts(&found[1], Direction::Orig, Field::DcerpcInterface), [""; 0]);
    }

    fn datagram(kind: u8, stub: &[u8]) -> Vec<u8> {
        let mut bytes = vec![4, kind, 0, 0, 0x10, 0, 0, 0];
        bytes.resize(68, 0);
        bytes.extend([5, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend((stub.len() as u16).to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(stub);
        bytes
    }

    #[test]
    fn datagrams_of_one_call_are_one_transaction() {
        let (asked, given) = (datagram(kind::REQUEST, b"in"), datagram(kind::RESPONSE, b"out"));
        let found = datagrams(&ENTRY, &[(Direction::Orig, &asked), (Direction::Resp, &given)]);
        assert_eq!(found.len(), 1);
        assert_eq!(numbers(&found[0], Direction::Orig, Field::DcerpcOpnum), [5]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::DcerpcStubData), ["out"]);
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &asked, (1, 2)), Probe::Certain);
        assert_eq!(probe(Transport::Stream, Direction::Orig, &asked, (1, 2)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..100), at in 0..200_usize) {
            let mut bytes = conversation().concat();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 3);
            assert_any_bytes_are_safe(&ENTRY, &datagram(data.first().copied().unwrap_or(0) & 3, &data), 1);
        }
    }
}
