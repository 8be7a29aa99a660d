//! SMB 1 messages (MS-CIFS, MS-SMB).

use std::borrow::Cow;

use super::super::bytes::{utf16_le, Reader};
use super::super::field::MAX_TEXT;
use super::super::{Parsed, Stop};

/// What every message starts with.
pub const MAGIC: [u8; 4] = *b"\xffSMB";
/// Bytes of the header (MS-CIFS 2.2.3.1).
pub const HEADER_BYTES: usize = 32;

/// Most commands followed in one AndX chain.
const MAX_CHAIN: usize = 8;

const FLAG_RESPONSE: u8 = 0x80;
const FLAG2_NT_STATUS: u16 = 0x4000;
const FLAG2_UNICODE: u16 = 0x8000;
/// Ends an AndX chain.
const NO_COMMAND: u8 = 0xff;
/// Marks an ASCII text in older commands.
const TEXT_FORMAT: u8 = 4;

/// Commands (MS-CIFS 2.2.2.1).
pub mod command {
    pub const OPEN: u8 = 0x02;
    pub const CREATE: u8 = 0x03;
    pub const LOCKING_ANDX: u8 = 0x24;
    pub const OPEN_ANDX: u8 = 0x2d;
    pub const READ_ANDX: u8 = 0x2e;
    pub const WRITE_ANDX: u8 = 0x2f;
    pub const TREE_CONNECT: u8 = 0x70;
    pub const NEGOTIATE: u8 = 0x72;
    pub const SESSION_SETUP_ANDX: u8 = 0x73;
    pub const LOGOFF_ANDX: u8 = 0x74;
    pub const TREE_CONNECT_ANDX: u8 = 0x75;
    pub const NT_CREATE_ANDX: u8 = 0xa2;
}

/// Names a command (MS-CIFS 2.2.2.1).
pub fn command_name(code: u8) -> Cow<'static, str> {
    let name = match code {
        0x00 => "CREATE_DIRECTORY",
        0x01 => "DELETE_DIRECTORY",
        command::OPEN => "OPEN",
        command::CREATE => "CREATE",
        0x04 => "CLOSE",
        0x05 => "FLUSH",
        0x06 => "DELETE",
        0x07 => "RENAME",
        0x08 => "QUERY_INFORMATION",
        0x09 => "SET_INFORMATION",
        0x0a => "READ",
        0x0b => "WRITE",
        0x0f => "CREATE_NEW",
        0x10 => "CHECK_DIRECTORY",
        0x1a => "READ_RAW",
        0x1d => "WRITE_RAW",
        0x22 => "SET_INFORMATION2",
        0x23 => "QUERY_INFORMATION2",
        command::LOCKING_ANDX => "LOCKING_ANDX",
        0x25 => "TRANSACTION",
        0x26 => "TRANSACTION_SECONDARY",
        0x2b => "ECHO",
        command::OPEN_ANDX => "OPEN_ANDX",
        command::READ_ANDX => "READ_ANDX",
        command::WRITE_ANDX => "WRITE_ANDX",
        0x32 => "TRANSACTION2",
        0x33 => "TRANSACTION2_SECONDARY",
        0x34 => "FIND_CLOSE2",
        command::TREE_CONNECT => "TREE_CONNECT",
        0x71 => "TREE_DISCONNECT",
        command::NEGOTIATE => "NEGOTIATE",
        command::SESSION_SETUP_ANDX => "SESSION_SETUP_ANDX",
        command::LOGOFF_ANDX => "LOGOFF_ANDX",
        command::TREE_CONNECT_ANDX => "TREE_CONNECT_ANDX",
        0x80 => "QUERY_INFORMATION_DISK",
        0x81 => "SEARCH",
        0xa0 => "NT_TRANSACT",
        0xa1 => "NT_TRANSACT_SECONDARY",
        command::NT_CREATE_ANDX => "NT_CREATE_ANDX",
        0xa4 => "NT_CANCEL",
        0xa5 => "NT_RENAME",
        other => return format!("COMMAND_{other}").into(),
    };
    name.into()
}

/// The header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub command: u8,
    /// NT status, or a DOS error class and code; see [`Header::nt_status`].
    pub status: u32,
    pub flags: u8,
    pub flags2: u16,
    pub tree: u16,
    pub user: u16,
    /// Tells the requests of a client apart, until they are answered.
    pub multiplex: u16,
}

impl Header {
    /// Tells whether a server sent it.
    pub fn is_response(&self) -> bool {
        self.flags & FLAG_RESPONSE != 0
    }

    /// Returns the status, unless it is a DOS error.
    pub fn nt_status(&self) -> Option<u32> {
        (self.flags2 & FLAG2_NT_STATUS != 0).then_some(self.status)
    }

    /// Tells whether [`blocks`] of this message hold something that [`parse_request`] reads.
    pub fn has_known_body(&self) -> bool {
        use command::{CREATE, NEGOTIATE, NT_CREATE_ANDX, OPEN, OPEN_ANDX};
        use command::{SESSION_SETUP_ANDX, TREE_CONNECT, TREE_CONNECT_ANDX};
        match self.command {
            SESSION_SETUP_ANDX => true,
            NEGOTIATE => self.is_response(),
            OPEN | CREATE | OPEN_ANDX | TREE_CONNECT | TREE_CONNECT_ANDX | NT_CREATE_ANDX => !self.is_response(),
            _ => false,
        }
    }

    fn is_unicode(&self) -> bool {
        self.flags2 & FLAG2_UNICODE != 0
    }
}

/// Reads the header.
pub fn parse_header(data: &[u8]) -> Parsed<'_, Header> {
    let mut reader = Reader::new(data);
    if reader.array()? != MAGIC {
        return Err(Stop::Malformed("smb1 header"));
    }
    let command = reader.u8()?;
    let status = reader.u32_le()?;
    let flags = reader.u8()?;
    let flags2 = reader.u16_le()?;
    let _process_signature_reserved = reader.take(12)?;
    let tree = reader.u16_le()?;
    let _process = reader.u16_le()?;
    let user = reader.u16_le()?;
    let multiplex = reader.u16_le()?;
    Ok((reader.rest(), Header { command, status, flags, flags2, tree, user, multiplex }))
}

/// One command of an AndX chain: its parameter words and its data bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub command: u8,
    pub words: &'a [u8],
    pub bytes: &'a [u8],
    /// Offset of `bytes` in the message: Unicode texts are aligned to it.
    pub bytes_at: usize,
}

impl Block<'_> {
    fn word(&self, offset: usize) -> Option<u16> {
        Reader::at(self.words, offset).ok()?.u16_le().ok()
    }

    /// Returns the next command of the chain and its offset.
    fn following(&self) -> Option<(u8, usize)> {
        let chains = matches!(
            self.command,
            command::LOCKING_ANDX
                | command::OPEN_ANDX
                | command::READ_ANDX
                | command::WRITE_ANDX
                | command::SESSION_SETUP_ANDX
                | command::LOGOFF_ANDX
                | command::TREE_CONNECT_ANDX
                | command::NT_CREATE_ANDX
        );
        let next = self.words.first().copied().filter(|next| chains && *next != NO_COMMAND)?;
        Some((next, usize::from(self.word(2)?)))
    }
}

/// Iterates over the commands of a message that starts with its header; offsets must grow along the chain.
pub fn blocks<'a>(header: &Header, message: &'a [u8]) -> impl Iterator<Item = Block<'a>> {
    let mut following = Some((header.command, HEADER_BYTES));
    std::iter::from_fn(move || {
        let (command, offset) = following.take()?;
        let block = block(command, message, offset)?;
        following = block.following().filter(|(_, next)| *next > offset);
        Some(block)
    })
    .take(MAX_CHAIN)
}

fn block(command: u8, message: &[u8], offset: usize) -> Option<Block<'_>> {
    let mut reader = Reader::at(message, offset).ok()?;
    let word_count = usize::from(reader.u8().ok()?);
    let words = reader.take(word_count * 2).ok()?;
    let byte_count = usize::from(reader.u16_le().ok()?);
    let bytes = reader.rest();
    let bytes = bytes.get(..byte_count).unwrap_or(bytes);
    Some(Block { command, words, bytes, bytes_at: offset + 3 + words.len() })
}

/// What a request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request<'a> {
    /// A login with a security token.
    Token(&'a [u8]),
    /// A login with names and password hashes.
    Account {
        user: String,
        domain: String,
    },
    Tree(String),
    File(String),
    Other,
}

/// Reads one command of a request.
pub fn parse_request<'a>(header: &Header, block: &Block<'a>) -> Option<Request<'a>> {
    let unicode = header.is_unicode();
    let mut texts = Texts { block: *block, position: 0, unicode };
    Some(match block.command {
        command::SESSION_SETUP_ANDX => session_setup(block, texts)?,
        command::TREE_CONNECT_ANDX => {
            texts.position = usize::from(block.word(6)?);
            Request::Tree(texts.next()?)
        }
        command::NT_CREATE_ANDX => {
            let length = usize::from(Reader::at(block.words, 5).ok()?.u16_le().ok()?);
            Request::File(texts.of_length(length)?)
        }
        command::OPEN_ANDX => Request::File(texts.next()?),
        command::OPEN | command::CREATE => Request::File(texts.formatted()?),
        command::TREE_CONNECT => Request::Tree(texts.formatted()?),
        _ => Request::Other,
    })
}

/// Reads the three forms of SESSION_SETUP_ANDX, told apart by their word counts (MS-CIFS 2.2.4.53, MS-SMB 2.2.4.6.1).
fn session_setup<'a>(block: &Block<'a>, mut texts: Texts<'a>) -> Option<Request<'a>> {
    let first = usize::from(block.word(14)?);
    let passwords = match block.words.len() / 2 {
        12 => return block.bytes.get(..first).map(Request::Token),
        13 => first + usize::from(block.word(16)?),
        10 => {
            texts.unicode = false;
            first
        }
        _ => return None,
    };
    texts.position = passwords;
    Some(Request::Account { user: texts.next()?, domain: texts.next().unwrap_or_default() })
}

/// Reads texts in the data bytes of a block.
struct Texts<'a> {
    block: Block<'a>,
    position: usize,
    unicode: bool,
}

impl<'a> Texts<'a> {
    /// Reads a text up to its NUL or the end.
    fn next(&mut self) -> Option<String> {
        let rest = self.rest()?;
        let end = if self.unicode {
            rest.chunks_exact(2).position(|unit| unit == [0, 0]).map_or(rest.len(), |index| index * 2)
        } else {
            memchr::memchr(0, rest).unwrap_or(rest.len())
        };
        let text = self.decode(rest.get(..end)?);
        self.position += end + if self.unicode { 2 } else { 1 };
        Some(text)
    }

    fn of_length(&mut self, length: usize) -> Option<String> {
        let rest = self.rest()?;
        let text = self.decode(rest.get(..length).unwrap_or(rest));
        Some(text.trim_end_matches('\0').to_owned())
    }

    /// Reads a text behind the format byte of older commands.
    fn formatted(&mut self) -> Option<String> {
        self.position = usize::from(self.block.bytes.first() == Some(&TEXT_FORMAT));
        self.next()
    }

    /// Returns the bytes from here on, aligned for Unicode (MS-CIFS 2.2.1.1).
    fn rest(&mut self) -> Option<&'a [u8]> {
        if self.unicode && (self.block.bytes_at + self.position) % 2 == 1 {
            self.position += 1;
        }
        self.block.bytes.get(self.position..)
    }

    fn decode(&self, bytes: &[u8]) -> String {
        if self.unicode {
            utf16_le(bytes, MAX_TEXT)
        } else {
            String::from_utf8_lossy(bytes).chars().take(MAX_TEXT).collect()
        }
    }
}
