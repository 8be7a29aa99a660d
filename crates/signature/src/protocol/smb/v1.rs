//! SMB 1 messages: what they mean for trees, files and pipes (MS-CIFS, MS-SMB).

use infraspectre_core::app::smb::v1::Request as Meaning;
use infraspectre_core::app::smb::v1::{blocks, command, parse_header, parse_request, Block, Header, HEADER_BYTES};
use infraspectre_core::app::{Direction, Stop};

use super::{le16, le32, remember, About, Data, Handle, Known, Output, Sink, STATUS_BUFFER_OVERFLOW};

const VERSION: u64 = 1;
const CLOSE: u8 = 0x04;
const WRITE: u8 = 0x0b;
const TRANSACTION: u8 = 0x25;
/// TRANS_TRANSACT_NMPIPE (MS-CIFS 2.2.5.6).
const TRANSACT_PIPE: u16 = 0x26;

fn key(header: &Header, command: u8) -> (u64, u16) {
    (u64::from(header.multiplex) << 16 | u64::from(header.user), u16::from(command))
}

/// Returns the identity of a file of 16 bits, unlike any of SMB 2.
fn handle(file: u16) -> Handle {
    let mut handle = [0xff; 16];
    handle[..2].copy_from_slice(&file.to_le_bytes());
    handle
}

/// Finds the data of a WRITE_ANDX request or READ_ANDX response.
pub fn data(message: &[u8], span: usize, known: &mut Known) -> Result<(Option<Data>, u32), Stop> {
    if span < HEADER_BYTES {
        return Err(Stop::Malformed("smb1 message length"));
    }
    let (_, header) = parse_header(message)?;
    let none = Ok((None, u32::from(header.tree)));
    let is_data = match (header.command, header.is_response()) {
        (command::WRITE_ANDX, false) => true,
        (command::READ_ANDX, true) => matches!(header.status, 0 | STATUS_BUFFER_OVERFLOW),
        _ => false,
    };
    if !is_data {
        return none;
    }
    let words = usize::from(*message.get(HEADER_BYTES).ok_or(Stop::Incomplete)?) * 2;
    if span < HEADER_BYTES + 3 + words {
        return none;
    }
    let words = message.get(HEADER_BYTES + 1..HEADER_BYTES + 1 + words).ok_or(Stop::Incomplete)?;
    let has_next = words.first().is_some_and(|next| *next != 0xff);
    let found = carried(&header, header.command, words, known).filter(|data| !has_next && data.at >= HEADER_BYTES);
    Ok((found, u32::from(header.tree)))
}

fn carried(header: &Header, command: u8, words: &[u8], known: &Known) -> Option<Data> {
    if header.is_response() {
        let request = known.requests.iter().find(|request| request.key == key(header, command))?;
        let About::Read { handle, offset } = request.about else { return None };
        let length = usize::from(le16(words, 10)?) | usize::from(le16(words, 14).unwrap_or(0)) << 16;
        return Some(Data { at: usize::from(le16(words, 12)?), length, handle, offset });
    }
    let length = usize::from(le16(words, 20)?) | usize::from(le16(words, 18)?) << 16;
    let offset = offset(le32(words, 6)?, le32(words, 24));
    Some(Data { at: usize::from(le16(words, 22)?), length, handle: handle(le16(words, 4)?), offset })
}

fn offset(low: u32, high: Option<u32>) -> u64 {
    u64::from(high.unwrap_or(0)) << 32 | u64::from(low)
}

/// Reads the commands of a message.
pub fn read(message: &[u8], direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    let Ok((_, header)) = parse_header(message) else { return };
    let mut count = 0;
    for block in blocks(&header, message) {
        count += 1;
        if header.is_response() {
            response(&header, &block, message, direction, known, output);
        } else {
            request(&header, &block, message, direction, known, output);
        }
    }
    // A message that is cut where its data begins has no whole block, and one with an error may have none.
    if count == 0 && header.is_response() {
        known.answer(key(&header, header.command), output);
    }
}

fn request(
    header: &Header,
    block: &Block<'_>,
    message: &[u8],
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let key = key(header, block.command);
    match parse_request(header, block) {
        Some(Meaning::Tree(path)) => return known.ask_for_tree(key, VERSION, path.as_bytes(), output),
        Some(Meaning::File(name)) => {
            known.ask(key, VERSION, About::Create(name.into_bytes()), output);
            return;
        }
        Some(Meaning::Token(token)) => {
            let number = known.ask(key, VERSION, About::Other, output);
            return Known::login(token, number, output);
        }
        _ => {}
    }
    match block.command {
        command::READ_ANDX => {
            let at = le32(block.words, 6).map(|low| offset(low, le32(block.words, 20)));
            let read = le16(block.words, 4).zip(at);
            let about = read.map(|(file, offset)| About::Read { handle: handle(file), offset });
            known.wait(key, None, about.unwrap_or_default());
        }
        command::WRITE_ANDX => {
            if let Some(data) = carried(header, block.command, block.words, known) {
                pour(header, message, data, direction, known, output);
            }
        }
        WRITE => old_write(header, block, direction, known, output),
        TRANSACTION => transaction(header, block, message, direction, known, output),
        _ => {
            if let Some(file) = le16(block.words, 0).filter(|_| block.command == CLOSE) {
                known.close(handle(file), output);
            }
            known.ask(key, VERSION, About::Other, output);
        }
    }
}

fn pour(header: &Header, message: &[u8], data: Data, direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    if let Some(bytes) = message.get(data.at..data.at + data.length) {
        pour_bytes(header, bytes, data.handle, data.offset, direction, known, output);
    }
}

fn pour_bytes(
    header: &Header,
    bytes: &[u8],
    handle: Handle,
    offset: u64,
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let side = direction == Direction::Orig;
    let Some(sink) = known.sink(u32::from(header.tree), handle, offset, side, bytes) else { return };
    if let Sink::File { handle, offset } = sink {
        known.announce(handle, offset, direction, output);
    }
    if !bytes.is_empty() {
        known.pour(sink, direction, bytes, output);
    }
}

/// Reads the older write command, whose data stands behind a format byte and a length (MS-CIFS 2.2.4.12).
fn old_write(header: &Header, block: &Block<'_>, direction: Direction, known: &mut Known, output: &mut Output<'_>) {
    let place = le16(block.words, 0).zip(le32(block.words, 4));
    if let (Some((file, offset)), Some(bytes)) = (place, block.bytes.get(3..)) {
        pour_bytes(header, bytes, handle(file), u64::from(offset), direction, known, output);
    }
}

/// Reads a call over a pipe (MS-CIFS 2.2.4.33.1).
fn transaction(
    header: &Header,
    block: &Block<'_>,
    message: &[u8],
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let key = key(header, block.command);
    let file = le16(block.words, 30).filter(|_| le16(block.words, 28) == Some(TRANSACT_PIPE));
    let Some(handle) = file.map(handle) else {
        known.ask(key, VERSION, About::Other, output);
        return;
    };
    known.wait(key, None, About::Call(handle));
    if let Some(bytes) = part(message, block.words, 22, 24) {
        known.pipe(handle, direction, bytes, output);
    }
}

/// Returns the bytes whose count and offset stand at these places of the words.
fn part<'a>(message: &'a [u8], words: &[u8], count: usize, offset: usize) -> Option<&'a [u8]> {
    let (count, offset) = (usize::from(le16(words, count)?), usize::from(le16(words, offset)?));
    message.get(offset..offset + count)
}

fn response(
    header: &Header,
    block: &Block<'_>,
    message: &[u8],
    direction: Direction,
    known: &mut Known,
    output: &mut Output<'_>,
) {
    let is_read = block.command == command::READ_ANDX;
    let data = is_read.then(|| carried(header, block.command, block.words, known)).flatten();
    // All commands of a chain are answered in one message, under the first one's key or their own.
    let Some(request) = known.answer(key(header, block.command), output) else { return };
    let is_good = header.status == 0;
    match &request.about {
        About::Tree(_) => {
            let is_pipe = is_good && block.bytes.starts_with(b"IPC");
            known.give_tree(&request, is_good.then_some(u32::from(header.tree)), is_pipe, output);
        }
        About::Create(name) => {
            let at = if block.command == command::NT_CREATE_ANDX { 5 } else { 4 };
            if let Some(file) = le16(block.words, at).filter(|_| is_good) {
                remember(&mut known.names, handle(file), name.clone());
            }
        }
        About::Read { .. } => {
            if let Some(data) = data {
                pour(header, message, data, direction, known, output);
            }
        }
        About::Call(handle) => {
            if let Some(bytes) = part(message, block.words, 12, 14) {
                known.pipe(*handle, direction, bytes, output);
            }
        }
        About::Other => {}
    }
}
