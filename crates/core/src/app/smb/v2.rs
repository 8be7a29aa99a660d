//! SMB 2 and 3 messages (MS-SMB2).

use std::borrow::Cow;

use super::super::bytes::Reader;
use super::super::{Parsed, Stop};

/// What every unencrypted message starts with.
pub const MAGIC: [u8; 4] = *b"\xfeSMB";
/// Bytes of the header (2.2.1).
pub const HEADER_BYTES: usize = 64;

/// The dialect that tells the client to negotiate again with SMB 2 (2.2.4).
const DIALECT_WILDCARD: u16 = 0x02ff;

/// Commands whose bodies are read (2.2.1.2).
pub mod command {
    pub const NEGOTIATE: u16 = 0;
    pub const SESSION_SETUP: u16 = 1;
    pub const TREE_CONNECT: u16 = 3;
    pub const CREATE: u16 = 5;
}

const COMMANDS: [&str; 19] = [
    "NEGOTIATE",
    "SESSION_SETUP",
    "LOGOFF",
    "TREE_CONNECT",
    "TREE_DISCONNECT",
    "CREATE",
    "CLOSE",
    "FLUSH",
    "READ",
    "WRITE",
    "LOCK",
    "IOCTL",
    "CANCEL",
    "ECHO",
    "QUERY_DIRECTORY",
    "CHANGE_NOTIFY",
    "QUERY_INFO",
    "SET_INFO",
    "OPLOCK_BREAK",
];

/// The header of one message of a compound chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// NT status; meaningful in responses.
    pub status: u32,
    pub command: u16,
    pub flags: u32,
    /// Offset of the chain's next message, 0 for the last.
    pub next: u32,
    pub message: u64,
    /// Tree, or half of the identity of an asynchronous answer.
    pub tree: u32,
    pub session: u64,
}

impl Header {
    /// Tells whether a server sent it.
    pub fn is_response(&self) -> bool {
        self.flags & 1 != 0
    }

    /// Names the command.
    pub fn command_name(&self) -> Cow<'static, str> {
        let known = COMMANDS.get(usize::from(self.command));
        known.map_or_else(|| format!("COMMAND_{}", self.command).into(), |name| (*name).into())
    }

    /// Tells whether [`parse_body`] finds more than [`Body::Other`].
    pub fn has_known_body(&self) -> bool {
        match self.command {
            command::NEGOTIATE => self.is_response(),
            command::SESSION_SETUP => true,
            command::TREE_CONNECT | command::CREATE => !self.is_response(),
            _ => false,
        }
    }
}

/// What a message says; texts are UTF-16 in little-endian order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// The server's choice; none if it asks to negotiate again.
    NegotiateResponse {
        dialect: Option<u16>,
    },
    /// The security token of either side.
    SessionSetup {
        token: &'a [u8],
    },
    TreeConnectRequest {
        path: &'a [u8],
    },
    CreateRequest {
        name: &'a [u8],
    },
    Other,
}

/// Reads the header.
pub fn parse_header(data: &[u8]) -> Parsed<'_, Header> {
    let mut reader = Reader::new(data);
    if reader.array()? != MAGIC || reader.u16_le()? != HEADER_BYTES as u16 {
        return Err(Stop::Malformed("smb2 header"));
    }
    let _credit_charge = reader.u16_le()?;
    let status = reader.u32_le()?;
    let command = reader.u16_le()?;
    let _credits = reader.u16_le()?;
    let (flags, next) = (reader.u32_le()?, reader.u32_le()?);
    let message = reader.array().map(u64::from_le_bytes)?;
    let _reserved = reader.u32_le()?;
    let tree = reader.u32_le()?;
    let session = reader.array().map(u64::from_le_bytes)?;
    let _signature = reader.take(16)?;
    Ok((reader.rest(), Header { status, command, flags, next, message, tree, session }))
}

/// Reads the body of a message that starts with its header.
pub fn parse_body<'a>(header: &Header, message: &'a [u8]) -> Result<Body<'a>, Stop> {
    match (header.command, header.is_response()) {
        (command::NEGOTIATE, true) => {
            let dialect = Reader::at(message, HEADER_BYTES + 4)?.u16_le()?;
            Ok(Body::NegotiateResponse { dialect: Some(dialect).filter(|dialect| *dialect != DIALECT_WILDCARD) })
        }
        (command::SESSION_SETUP, false) => Ok(Body::SessionSetup { token: buffer(message, 12)? }),
        (command::SESSION_SETUP, true) => Ok(Body::SessionSetup { token: buffer(message, 4)? }),
        (command::TREE_CONNECT, false) => Ok(Body::TreeConnectRequest { path: buffer(message, 4)? }),
        (command::CREATE, false) => Ok(Body::CreateRequest { name: buffer(message, 44)? }),
        _ => Ok(Body::Other),
    }
}

/// Reads offset (from the header) and length at `position` of the body, and returns what they point at.
fn buffer(message: &[u8], position: usize) -> Result<&[u8], Stop> {
    let mut reader = Reader::at(message, HEADER_BYTES + position)?;
    let (offset, length) = (reader.u16_le()?, reader.u16_le()?);
    if length == 0 {
        return Ok(&[]);
    }
    Reader::at(message, usize::from(offset))?.take(usize::from(length))
}

/// Names a dialect (2.2.3).
pub fn dialect_name(dialect: u16) -> Cow<'static, str> {
    match dialect {
        0x0202 => "2.0.2".into(),
        0x0210 => "2.1".into(),
        0x0300 => "3.0".into(),
        0x0302 => "3.0.2".into(),
        0x0311 => "3.1.1".into(),
        other => format!("{other:#06x}").into(),
    }
}
