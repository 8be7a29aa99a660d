//! SMB 2 and 3 messages: what they mean for trees, files and pipes (MS-SMB2).

use infraspectre_core::app::bytes::utf16_le;
use infraspectre_core::app::smb::v2::{parse_body, parse_header, Body, Header, HEADER_BYTES};
use infraspectre_core::app::{Direction, Stop};

use super::{le16, le32, le64, remember, About, Data, Handle, Known, Output, Sink};
use super::{STATUS_BUFFER_OVERFLOW, STATUS_PENDING};

const VERSION: u64 = 2;
/// Longest name that is read.
const MAX_NAME: usize = 4096;
/// Messages of one compound chain.
const MAX_CHAIN: usize = 64;
/// Writes to a pipe and reads the answer (MS-FSCC 2.3).
const PIPE_TRANSCEIVE: u32 = 0x0011_c017;
const PIPE_TREE: u8 = 2;

/// Commands (2.2.1.2).
mod command {
    pub const NEGOTIATE: u16 = 0;
    pub const SESSION_SETUP: u16 = 1;
    pub const CLOSE: u16 = 6;
    pub const READ: u16 = 8;
    pub const WRITE: u16 = 9;
    pub const IOCTL: u16 = 11;
}

fn key(header: &Header) -> (u64, u16) {
    (header.message, header.command)
}

fn handle(body: &[u8], at: usize) -> Option<Handle> {
    body.get(at..)?.first_chunk().copied()
}

/// Finds the data of a lone WRITE request or READ response.
pub fn data(message: &[u8], span: usize, known: &mut Known) -> Result<(Option<Data>, u32), Stop> {
    if span < HEADER_BYTES {
        return Err(Stop::Malformed("smb2 message length"));
    }
    let (_, header) = parse_header(message)?;
    let none = Ok((None, header.tree));
    let carries = match (header.command, header.is_response()) {
        (command::WRITE, false) => 48,
        (command::READ, true) if matches!(header.status, 0 | STATUS_BUFFER_OVERFLOW) => 16,
        _ => return none,
    };
    if header.next != 0 || span < HEADER_BYTES + carries {
        return none;
    }
    let body = message.get(HEADER_BYTES..HEADER_BYTES + carries).ok_or(Stop::Incomplete)?;
    Ok((carried(&header, body, known), header.tree))
}

fn carried(header: &Header, body: &[u8], known: &Known) -> Option<Data> {
    if header.is_response() {
        let request = known.requests.iter().find(|request| request.key == key(header))?;
        let About::Read { handle, offset } = request.about else { return None };
        let (at, length) = (usize::from(*body.get(2)?), le32(body, 4)? as usize);
        return Some(Data { at, length, handle, offset }).filter(|data| data.at >= HEADER_BYTES + 16);
    }
    let (at, length) = (usize::from(le16(body, 2)?), le32(body, 4)? as usize);
    let data = Data { at, length, handle: handle(body, 16)?, offset: le64(body, 8)? };
    Some(data).filter(|data| data.at >= HEADER_BYTES + 48)
}

/// Reads the messages of a chain.
pub fn read(message: &[u8], direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    let mut rest = message;
    for _ in 0..MAX_CHAIN {
        let Ok((_, header)) = parse_header(rest) else { return };
        let next = header.next as usize;
        let one = if next == 0 { rest } else { rest.get(..next).unwrap_or(rest) };
        let is_last = next < HEADER_BYTES || next >= rest.len();
        if header.is_response() {
            response(&header, one, direction, known, output);
        } else {
            request(&header, one, direction, known, output);
        }
        if is_last {
            return;
        }
        rest = rest.get(next..).unwrap_or_default();
    }
}

fn request(header: &Header, message: &[u8], direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    let body = message.get(HEADER_BYTES..).unwrap_or_default();
    let parsed = parse_body(header, message).unwrap_or(Body::Other);
    match (header.command, parsed) {
        (_, Body::TreeConnectRequest { path }) => {
            known.ask_for_tree(key(header), VERSION, utf16_le(path, MAX_NAME).as_bytes(), output);
        }
        (_, Body::CreateRequest { name }) => {
            let about = About::Create(utf16_le(name, MAX_NAME).into_bytes());
            known.ask(key(header), VERSION, about, output);
        }
        (command::SESSION_SETUP, Body::SessionSetup { token }) => {
            let number = known.ask(key(header), VERSION, About::Other, output);
            Known::login(token, number, output);
        }
        (command::READ, _) => {
            let about = handle(body, 16).zip(le64(body, 8)).map(|(handle, offset)| About::Read { handle, offset });
            known.wait(key(header), None, about.unwrap_or_default());
        }
        (command::WRITE, _) => write(header, message, body, direction, known, output),
        (command::IOCTL, _) => ioctl(header, message, body, direction, known, output),
        _ => {
            if let Some(handle) = handle(body, 8).filter(|_| header.command == command::CLOSE) {
                known.close(handle, output);
            }
            let number = known.ask(key(header), VERSION, About::Other, output);
            negotiate(header, number, known, output);
        }
    }
}

fn negotiate(header: &Header, number: u64, known: &mut Known, output: &mut Output<'_>) {
    if header.command == command::NEGOTIATE && std::mem::replace(&mut known.has_negotiated, true) {
        if let Some(transaction) = output.get(number) {
            super::event(transaction, "duplicate_negotiate");
        }
    }
}

/// Takes the data of a write that lies whole in its message; else it is poured as it comes.
fn write(
    header: &Header,
    message: &[u8],
    body: &[u8],
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let Some(data) = carried(header, body, known) else { return };
    pour(header, message, data, direction, known, output);
}

fn pour(header: &Header, message: &[u8], data: Data, direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    let Some(bytes) = message.get(data.at..data.at + data.length).filter(|bytes| !bytes.is_empty()) else { return };
    let sink = known.sink(header.tree, data.handle, data.offset, direction == Direction::Orig, bytes);
    if let Some(sink) = sink {
        if let Sink::File { handle, offset } = sink {
            known.announce(handle, offset, direction, output);
        }
        known.pour(sink, direction, bytes, output);
    }
}

fn ioctl(
    header: &Header,
    message: &[u8],
    body: &[u8],
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let call = handle(body, 8).filter(|_| le32(body, 4) == Some(PIPE_TRANSCEIVE));
    let Some(handle) = call else {
        known.ask(key(header), VERSION, About::Other, output);
        return;
    };
    known.wait(key(header), None, About::Call(handle));
    let (at, length) = (le32(body, 24).unwrap_or(0) as usize, le32(body, 28).unwrap_or(0) as usize);
    if let Some(bytes) = at.checked_add(length).and_then(|end| message.get(at..end)) {
        known.pipe(handle, direction, bytes, output);
    }
}

fn response(header: &Header, message: &[u8], direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    if header.status == STATUS_PENDING {
        return;
    }
    let body = message.get(HEADER_BYTES..).unwrap_or_default();
    let data = (header.command == command::READ).then(|| carried(header, body, known)).flatten();
    let Some(request) = known.answer(key(header), output) else { return };
    let is_good = header.status == 0;
    match &request.about {
        About::Tree(_) => {
            let is_pipe = is_good && body.get(2) == Some(&PIPE_TREE);
            known.give_tree(&request, is_good.then_some(header.tree), is_pipe, output);
        }
        About::Create(name) => {
            if let Some(handle) = handle(body, 64).filter(|_| is_good) {
                remember(&mut known.names, handle, name.clone());
            }
        }
        About::Read { .. } => {
            if let Some(data) = data {
                pour(header, message, data, direction, known, output);
            }
        }
        About::Call(handle) => {
            let (at, length) = (le32(body, 32).unwrap_or(0) as usize, le32(body, 36).unwrap_or(0) as usize);
            if let Some(bytes) = at.checked_add(length).and_then(|end| message.get(at..end)) {
                known.pipe(*handle, direction, bytes, output);
            }
        }
        About::Other => {}
    }
}
