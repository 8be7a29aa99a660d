//! Why an interface cannot be listened to.

use std::io;

/// Says what the kernel refused, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no interface {0}; `ip link` lists those that there are")]
    NoInterface(String),
    #[error("not permitted to listen to an interface; run as root, or give the program CAP_NET_RAW")]
    NotPermitted,
    #[error("interface {name} has hardware of type {hardware}, which is not read; Ethernet, loopback, tunnels of IP and 802.11 are")]
    Hardware { name: String, hardware: u16 },
    #[error("the kernel refused {what}: {source}")]
    Refused { what: &'static str, source: io::Error },
}

impl Error {
    /// Translates an error of the operating system that came of asking for `what`.
    pub(crate) fn from_kernel(what: &'static str, source: io::Error) -> Error {
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Error::NotPermitted,
            _ => Error::Refused { what, source },
        }
    }
}
