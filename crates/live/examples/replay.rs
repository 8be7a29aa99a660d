//! Sends the packets of a capture out of an interface at a set rate: what benchmarks listen to.
//!
//! `replay INTERFACE CAPTURE PACKETS PER_SECOND [BURST]` prints how many were sent, in how many seconds.
#![allow(clippy::undocumented_unsafe_blocks)]

use std::error::Error;
use std::io;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use infraspectre_core::source::{Options, Sources};
use infraspectre_live::socket::index_of;

/// Frames longer than this do not fit through an interface with the usual MTU.
const LONGEST: usize = 1514;
/// Frames of a capture that are kept in memory and sent over and over.
const MOST_FRAMES: usize = 1 << 20;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, interface, capture, packets, rate, rest @ ..] = arguments.as_slice() else {
        return Err("usage: replay INTERFACE CAPTURE PACKETS PER_SECOND [BURST]".into());
    };
    let frames = frames(PathBuf::from(capture))?;
    let socket = open(interface)?;
    let burst = rest.first().map_or(Ok(16), |burst| burst.parse())?;
    let began = Instant::now();
    let sent = send(&socket, &frames, packets.parse()?, rate.parse()?, burst)?;
    println!("{{\"sent\": {sent}, \"seconds\": {}}}", began.elapsed().as_secs_f64());
    Ok(())
}

fn frames(capture: PathBuf) -> Result<Vec<Vec<u8>>, Box<dyn Error>> {
    let mut sources = Sources::open(&[capture], Options::default())?;
    let mut frames = Vec::new();
    while let Some(packet) = sources.next() {
        if packet.data.len() <= LONGEST && packet.data.len() >= 14 && frames.len() < MOST_FRAMES {
            frames.push(packet.data.to_vec());
        }
    }
    match frames.is_empty() {
        true => Err("the capture holds no frame that can be sent".into()),
        false => Ok(frames),
    }
}

fn open(interface: &str) -> Result<OwnedFd, Box<dyn Error>> {
    let index = index_of(interface).ok_or("there is no such interface")?;
    let (socket, bound) = unsafe {
        let fd = libc::socket(libc::AF_PACKET, libc::SOCK_RAW, 0);
        if fd < 0 {
            return Err(io::Error::last_os_error().into());
        }
        let mut address: libc::sockaddr_ll = zeroed();
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_ifindex = index;
        let one = 1i32;
        libc::setsockopt(fd, libc::SOL_PACKET, libc::PACKET_QDISC_BYPASS, (&raw const one).cast(), 4);
        let length = size_of::<libc::sockaddr_ll>() as u32;
        (OwnedFd::from_raw_fd(fd), libc::bind(fd, (&raw const address).cast(), length))
    };
    if bound < 0 {
        return Err(io::Error::last_os_error().into());
    }
    Ok(socket)
}

/// Sends in small bursts, each at its time; counts those that the interface took.
fn send(socket: &OwnedFd, frames: &[Vec<u8>], packets: usize, rate: f64, burst: usize) -> io::Result<usize> {
    let began = Instant::now();
    let mut places = frames.iter().cycle();
    let mut sent = 0;
    while sent < packets {
        let due = Duration::from_secs_f64(sent as f64 / rate);
        while began.elapsed() < due {
            std::hint::spin_loop();
        }
        let mut vectors: Vec<libc::iovec> = places
            .by_ref()
            .take(burst.min(packets - sent))
            .map(|frame| libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() })
            .collect();
        sent += send_burst(socket, &mut vectors)?;
    }
    Ok(sent)
}

fn send_burst(socket: &OwnedFd, vectors: &mut [libc::iovec]) -> io::Result<usize> {
    let mut messages: Vec<libc::mmsghdr> = vectors
        .iter_mut()
        .map(|vector| {
            let mut message: libc::mmsghdr = unsafe { zeroed() };
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
            message
        })
        .collect();
    let mut done = 0;
    while done < messages.len() {
        let rest = &mut messages[done..];
        let count = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
        match count {
            0.. => done += count as usize,
            _ if io::Error::last_os_error().raw_os_error() == Some(libc::ENOBUFS) => {}
            _ => return Err(io::Error::last_os_error()),
        }
    }
    Ok(done)
}
