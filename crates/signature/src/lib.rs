//! Signatures: rules in the Suricata language, matched where the bytes are.
//!
//! [`rule`] reads the language, [`protocol`] turns streams and datagrams into transactions with the fields that [`field`]
//! lists, and [`detect`] finds the rules that match.
#![forbid(unsafe_code)]

pub mod detect;
pub mod field;
pub mod flow;
pub mod matcher;
pub mod protocol;
pub mod rule;
pub mod settings;
pub mod transaction;
