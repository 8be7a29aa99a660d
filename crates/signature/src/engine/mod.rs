//! The engine: rules compiled, run over flows, and what they find as events.

pub mod number;
pub mod regex;
pub mod search;
