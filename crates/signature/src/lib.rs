//! Signatures: what rules in the Suricata language need to be matched where the bytes are.
//!
//! [`rule`] is the language as data and what reads it, [`flow`] finds the flow of each packet and puts its bytes in order,
//! [`protocol`] turns streams and datagrams into transactions with the fields that [`field`] lists, [`matcher`] finds
//! which of many patterns occur in some bytes, `regex` finds expressions within a budget, [`engine`] decides which rules match,
//! and [`payloads`] gives what flows carried.
#![forbid(unsafe_code)]

pub mod engine;
pub mod field;
pub mod flow;
pub mod matcher;
mod oddity;
pub mod payloads;
pub mod protocol;
mod regex;
pub mod rule;
pub mod settings;
pub mod transaction;
