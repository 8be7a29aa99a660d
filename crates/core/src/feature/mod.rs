//! Streaming accumulators: what a flow, a host or a payload is like, in constant memory.

pub mod damped;
pub mod moments;
pub mod payload;
pub mod sequence;
