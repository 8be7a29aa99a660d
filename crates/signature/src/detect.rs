//! Detection: which rules match a packet, a stream or a transaction.

/// What is remembered about a transaction between packets.
#[derive(Debug, Default)]
pub struct Memory {}
