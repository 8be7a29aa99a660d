//! Flows: identity, table, timeouts, TCP state and stream reassembly.

pub mod community_id;
pub mod identity;
pub mod inspection;
pub mod key;
pub mod record;
mod slots;
pub mod stream;
pub mod table;
pub mod tcp;
pub mod wheel;

pub use record::{EndReason, Flow};
pub use table::{Finished, FlowTable, Limits, Shed};
