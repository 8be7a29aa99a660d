//! Flows as rules see them: TCP state, reassembled streams, and the application protocol with its transactions.

use std::collections::VecDeque;

use infraspectre_core::app::Direction;
use infraspectre_core::wire::Segment;

use crate::protocol::Protocol;
use crate::settings::Settings;
use crate::transaction::Transaction;

/// How a flow's application protocol stands in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recognised {
    #[default]
    Unknown,
    /// No protocol fits.
    Failed,
    As(Protocol),
}

/// A stretch of reassembled bytes of one direction that rules look at.
#[derive(Clone, Copy, Debug)]
pub struct Window<'a> {
    /// The bytes; those before `fresh` were looked at before and are there for patterns that cross.
    pub bytes: &'a [u8],
    pub fresh: usize,
    /// Offset in the stream of the first byte.
    pub offset: u64,
    pub direction: Direction,
    /// One of several plausible views of the stream: the receiver may have seen other bytes.
    pub is_alternative: bool,
}

/// What the flow says of a packet after it was taken in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// Bit set of what holds for the packet: see the constants of [`Verdict`].
    pub is_established: bool,
    /// The packet's payload was put into the stream, so that stream rules need not look at the packet itself.
    pub added_to_stream: bool,
    /// The stream refuses the packet (bad checksum, out of window, wrong state): it is looked at, marked as ambiguous.
    pub is_doubtful: bool,
    /// Neither stream nor application layer goes on (bypass, depth reached).
    pub is_bypassed: bool,
}

/// The table of flows, as the matcher uses it (to be built; names are fixed).
pub trait Flows {
    /// Takes a packet into its flow; ended flows are flushed through `inspect` first.
    fn observe(&mut self, segment: &Segment<'_>, settings: &Settings, inspect: &mut dyn FnMut(Occasion<'_>));
    /// Flushes all flows at the end of the capture.
    fn finish(&mut self, settings: &Settings, inspect: &mut dyn FnMut(Occasion<'_>));
}

/// An occasion to look for matches: a packet with its flow, or the end of a flow.
pub struct Occasion<'a> {
    /// None for what is looked at when a flow ends or times out (Suricata's pseudo packet).
    pub packet: Option<&'a Segment<'a>>,
    pub flow: &'a mut Flow,
    pub direction: Direction,
    pub verdict: Verdict,
    /// Stream bytes that became ready to be looked at with this packet, in this packet's direction.
    pub windows: &'a [Window<'a>],
    pub at: i64,
}

/// What is kept of one flow (fields are added by those who need them).
#[derive(Debug, Default)]
pub struct Flow {
    pub protocols: [Recognised; 2],
    pub transactions: VecDeque<Transaction>,
    pub next_number: u64,
}
