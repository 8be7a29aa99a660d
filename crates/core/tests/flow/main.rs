//! The way of a segment through the flow table into columns, seen from outside.
#![allow(clippy::panic, clippy::unwrap_used)] // Clippy knows test functions, not their helpers.

mod batch;
mod engine;
mod meter;
mod segments;
mod statistics;
mod table;
mod trickle;
