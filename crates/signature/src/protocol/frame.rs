//! Parts of messages as they came on the wire, for rules that ask for them (`frame`, Suricata User Guide).

use infraspectre_core::app::Direction;

use super::Output;
use crate::field::Field;

/// Bytes of a frame that are kept, and frames that wait to be looked at.
const MAX_BYTES: usize = 1 << 16;
pub const MAX_FRAMES: usize = 256;

pub const DNS_MESSAGE: &str = "dns.pdu";
pub const SMTP_COMMAND: &str = "smtp.command_line";
pub const SMTP_RESPONSE: &str = "smtp.response_line";
pub const SMTP_DATA: &str = "smtp.data";
pub const WEBSOCKET_HEADER: &str = "websocket.header";
pub const WEBSOCKET_MESSAGE: &str = "websocket.pdu";
pub const WEBSOCKET_DATA: &str = "websocket.data";

/// The frames that sessions give.
pub const NAMES: &[&str] =
    &[DNS_MESSAGE, SMTP_COMMAND, SMTP_RESPONSE, SMTP_DATA, WEBSOCKET_HEADER, WEBSOCKET_MESSAGE, WEBSOCKET_DATA];

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// With its protocol, as `smtp.command_line`.
    pub name: &'static str,
    pub direction: Direction,
    /// Its first bytes.
    pub data: Vec<u8>,
    pub length: usize,
    /// The transaction that it belongs to, where it does.
    pub transaction: Option<u64>,
}

impl Output<'_> {
    /// Tells whether rules ask for frames.
    pub fn wants_frames(&self) -> bool {
        self.wanted.contains(Field::Frame)
    }

    /// Gives a frame to rules, if any asks for frames.
    pub fn frame(&mut self, direction: Direction, name: &'static str, bytes: &[u8], transaction: Option<u64>) {
        if self.wants_frames() && self.requests.frames.len() < MAX_FRAMES {
            let data = bytes.get(..MAX_BYTES).unwrap_or(bytes).to_vec();
            self.requests.frames.push(Frame { name, direction, data, length: bytes.len(), transaction });
        }
    }

    /// Returns the number of the transaction that was begun last.
    pub fn last_number(&self) -> Option<u64> {
        self.transactions.back().map(|last| last.number)
    }
}
