//! Application protocols: pure parsers over bytes, and the sessions that turn messages into flow fields.
//!
//! Each protocol has one file with three parts: `parse_*` functions (pure, over bytes, returning [`Parsed`]),
//! a `probe` that recognises the protocol from the first bytes of a flow, and a session that keeps what must be
//! remembered between messages and reports values to [`Fields`].

pub mod bytes;
#[cfg(test)]
pub(crate) mod check;
pub mod der;
pub mod dhcp;
pub mod dns;
pub mod field;
pub mod ftp;
pub mod http;
pub mod inspector;
pub mod irc;
pub mod kerberos;
pub mod line;
pub mod ntlm;
pub mod ntp;
pub mod quic;
pub mod rdp;
pub mod smb;
pub mod smtp;
pub mod ssh;
pub mod stratum;
pub mod tls;

pub use field::{Field, Fields, Kind, Value};
pub use inspector::{Inspector, Protocol};

/// Who sent the bytes: the host that sent the flow's first packet, or the other one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    Orig,
    Resp,
}

impl Direction {
    /// Returns the other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Orig => Self::Resp,
            Self::Resp => Self::Orig,
        }
    }
}

/// The transport below an application protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// Bytes arrive in order, cut anywhere.
    Stream,
    /// Each call holds one whole datagram.
    Datagram,
}

/// Why a parser stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// More bytes are needed to decide; never an error.
    Incomplete,
    /// The bytes cannot be this protocol; the word names what was wrong.
    Malformed(&'static str),
}

/// The bytes after the parsed value, and the value.
pub type Parsed<'a, T> = Result<(&'a [u8], T), Stop>;

/// What a probe says about the first bytes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Probe {
    /// It is this protocol.
    Certain,
    /// It may be; more bytes would tell.
    Unsure,
    NotForUs,
}

/// What a session did with the bytes it was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consumed {
    /// Bytes it is finished with; the caller shows the rest again with what follows it.
    pub bytes: usize,
    pub next: Next,
}

/// What a session wants after a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Keep feeding.
    More,
    /// Nothing more of interest in this flow (for example, encrypted from here on).
    Done,
    /// The bytes broke the protocol's rules; the flow keeps what was found.
    Malformed(&'static str),
}

/// The state of one application protocol in one flow.
pub trait Session {
    /// Reads bytes of one direction and reports what it found.
    ///
    /// On a stream, `data` starts with the bytes not consumed by the previous call. On datagrams each call is one
    /// whole message and `bytes` is ignored.
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed;
}
