//! Live capture: the packets of a network interface through the kernel's ring to batches of flows.
//!
//! [`socket`] asks the kernel, [`ring`] shares its memory, [`frame`] reads what lies there, and [`capture`] meters it in
//! threads of its own. Only the first two contain `unsafe`; each block says why it is sound.
#![deny(unsafe_code, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#![cfg(target_os = "linux")]

pub mod capture;
mod error;
pub mod frame;
pub mod ring;
#[allow(unsafe_code)]
pub mod socket;

pub use capture::{Batch, Capture, Next, Options, Status};
pub use error::Error;
pub use ring::RingOptions;
