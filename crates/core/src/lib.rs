//! Packets to flow batches: the hot path of InfraSpectre.
//!
//! A packet's way is one module after another: [`source`] reads captures, [`wire`] decodes headers, [`flow`] keeps
//! the flow table and reassembles streams, [`app`] reads application protocols, [`feature`] accumulates statistics,
//! and [`batch`] turns finished flows into Arrow columns. [`meter`] is this way from the packet on, for any source.
//! Beside it [`recorder`] keeps packets on disk for a while, and [`extract`] picks conversations out of captures.
#![forbid(unsafe_code)]

pub mod app;
pub mod batch;
mod claims;
pub mod engine;
pub mod extract;
pub mod feature;
pub mod flow;
pub mod meter;
pub mod recorder;
pub mod schema;
pub mod source;
pub mod table_file;
pub mod wire;
