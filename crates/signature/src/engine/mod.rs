//! The engine: rules compiled, run over flows, and what they find as events.

pub mod announce;
mod base64;
pub mod compile;
mod dataset;
pub mod detect;
pub mod eve;
pub mod group;
mod inspect;
mod intervals;
mod number;
mod packet;
pub mod profile;
pub mod reader;
mod search;
pub mod state;
mod threshold;
mod transform;
mod trial;
pub mod walk;
