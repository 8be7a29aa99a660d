//! Flows as rules see them: what a packet adds to its stream, its transactions and its state.
//!
//! The way of a packet: [`table`] finds its flow and ends those that are over, [`checksum`] and [`tcp`] say whether its
//! receiver takes it, [`channel`], [`stream`] and [`dispute`] put the bytes in order, [`reader`] and [`recognition`] turn them into
//! transactions.
//!
//! When what is looked at (as Suricata does in passive mode, so that alerts come with the same packets): a packet that
//! acknowledges data lets the *other* direction's session read it. Its [`Occasion`] has the direction of the packet
//! itself, so that a request is inspected with the client's next packet after the server's acknowledgement, and so are
//! windows of the stream. A FIN, and what closes a connection, lets the sender's own data be read at once. At the end of
//! a flow everything left is read, acknowledged or not, and there is one occasion without a packet for each direction.

mod channel;
pub(crate) mod checksum;
mod dispute;
#[cfg(test)]
pub(crate) mod fixture;
mod reader;
mod recognition;
mod stream;
mod table;
mod tcp;
#[cfg(test)]
mod tests;
mod tracked;

use std::collections::VecDeque;

use infraspectre_core::app::Direction;
use infraspectre_core::flow::key::Endpoint;
use infraspectre_core::wire::Segment;

pub use self::stream::{REPEATED, WINDOW};
pub use self::table::FlowTable;
use crate::protocol::frame::Frame;
use crate::protocol::Protocol;
use crate::transaction::Transaction;
/// What a packet, or the end of a flow, gives rules to look at.
pub struct Occasion<'a, S> {
    /// None where a flow ends without a packet; its last data is then in `windows` and its transactions are complete.
    pub packet: Option<&'a Packet<'a>>,
    pub flow: &'a mut Flow<S>,
    pub direction: Direction,
    /// Capture time in nanoseconds since the Unix epoch.
    pub at: i64,
    /// Reassembled data of `direction` that is due to be looked at; often empty.
    pub windows: &'a [Window<'a>],
    /// What the packet has appended to its stream, behind a little of what was there.
    pub appended: Option<Window<'a>>,
    /// Events of the decoder and the stream by their full names: `stream.3whs_ack_in_wrong_dir`.
    pub events: &'a [&'static str],
}

/// How a packet is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketKind {
    /// In its flow.
    InFlow,
    /// Beside its flow, for what is odd about it.
    Odd,
    /// Without a flow, for it could not be read.
    Malformed,
    /// Without a flow, for it carries a tunnel, in which the flow is.
    Carrier,
}

/// A packet with what decoding alone does not tell.
pub struct Packet<'a> {
    pub segment: &'a Segment<'a>,
    /// Bytes on the wire.
    pub length: u32,
    /// Whether its payload has gone into the stream, where stream rules find it.
    pub in_stream: bool,
    /// Whether all of it stands at the end of the stream as it is.
    pub is_appended: bool,
    /// Whether a receiver would drop it: a wrong checksum, or outside of every window.
    pub dropped: bool,
    /// Put together from IP fragments.
    pub from_fragments: bool,
    /// Whether it is another view of a datagram whose fragments contradict one another.
    pub ambiguous: bool,
    pub kind: PacketKind,
}

impl<'a> Packet<'a> {
    /// Takes a packet of which nothing is known beyond what decoding tells.
    pub fn new(segment: &'a Segment<'a>, length: u32, kind: PacketKind) -> Packet<'a> {
        Packet {
            segment,
            length,
            in_stream: false,
            is_appended: false,
            dropped: false,
            from_fragments: false,
            ambiguous: false,
            kind,
        }
    }
}

/// A piece of one direction's stream.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// Byte of the stream at which `data` begins.
    pub offset: u64,
    pub data: &'a [u8],
    /// How many bytes at the end of `data` were in no window before; those in front were, and are there so that nothing
    /// that lies across is missed.
    pub new: usize,
    /// Whether this is another view of the bytes than the one that the protocols were read from.
    pub ambiguous: bool,
}

impl Window<'_> {
    /// Returns the byte of the stream at which it ends.
    #[inline]
    pub fn end(&self) -> u64 {
        self.offset + self.data.len() as u64
    }
}

/// What is known of the application protocol of a flow.
#[derive(Clone, Copy, Debug, Default)]
pub struct Application {
    /// The protocol that is being read.
    pub protocol: Option<Protocol>,
    /// As recognised in each direction: to the server, to the client.
    pub sides: [Option<Protocol>; 2],
    /// Whether recognition has given up, by direction.
    pub failed: [bool; 2],
    /// What was read before a switch (`STARTTLS`, an upgrade).
    pub original: Option<Protocol>,
}

/// A flow; `S` is what its user keeps with it.
pub struct Flow<S> {
    /// As EVE gives it, and as flow records do.
    pub id: u64,
    pub orig: Endpoint,
    pub resp: Endpoint,
    pub ip_version: u8,
    /// IP protocol number.
    pub transport: u8,
    /// VLAN ids, outermost first.
    pub vlans: Box<[u16]>,
    pub start: i64,
    pub last: i64,
    /// Packets to the server and to the client, the present one included.
    pub packets: [u64; 2],
    /// Their bytes on the wire.
    pub bytes: [u64; 2],
    /// Bytes of the stream each side has sent, as `stream_size` counts them.
    pub stream_bytes: [u64; 2],
    /// Whether both sides have spoken (TCP: whether the handshake is complete).
    pub established: bool,
    pub application: Application,
    pub transactions: VecDeque<Transaction>,
    /// Parts of messages that nobody has looked at, where rules ask for such.
    pub frames: Vec<Frame>,
    /// Whether rules need not look at the rest: a rule or setting said so.
    pub bypassed: bool,
    /// Whether an exception policy says that the flow is not to be looked at.
    pub is_exempt: bool,
    /// Whether what the flow carries from here on is encrypted, so that its bytes are not looked at.
    pub encrypted: bool,
    /// Counts how often bytes of the streams have come to mean others: the sides were exchanged, or a dispute settled.
    pub revision: u32,
    pub state: S,
}

/// Bounds of the table.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub flows: usize,
    /// Bytes kept for reassembly in all flows together.
    pub bytes: usize,
}
