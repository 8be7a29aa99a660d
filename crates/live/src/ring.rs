//! The ring that the kernel fills and we empty: packets in shared memory (packet(7)).
//!
//! There are two kinds. In blocks (TPACKET_V3) packets lie close together, so that a ring holds many, but the kernel hands
//! a block over when it is full or after some milliseconds. In slots (TPACKET_V2) each packet is handed over at once; the
//! few that are longer than a slot are read from the socket, where the kernel keeps them whole.
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use infraspectre_core::source::LinkType;

use crate::frame::{Frame, Frames, Header, TAG};
use crate::socket::{keep, Counts, Instruction, Interface, Socket};
use crate::Error;

/// Bytes of a block: room for the largest frame that offloading makes, some 64 KiB, with one more after it.
pub const BLOCK_BYTES: usize = 256 << 10;
/// Bytes of a slot: room for a frame of the usual MTU.
const SLOT_BYTES: usize = 2 << 10;
const SLOTS_OF_BLOCK: usize = BLOCK_BYTES / SLOT_BYTES;
/// Where the state of a block is, behind version and offset of private data; that of a slot is in front.
const BLOCK_STATUS: usize = 8;
/// Who owns a block or slot.
const KERNEL: u32 = libc::TP_STATUS_KERNEL;
const USER: u32 = libc::TP_STATUS_USER;
const ETHERNET: LinkType = 1;

/// How an interface is listened to.
#[derive(Clone, Debug)]
pub struct RingOptions {
    pub interface: String,
    /// The program that chooses packets, and how many bytes of each; none lets all through.
    pub filter: Option<Vec<Instruction>>,
    /// Bytes kept of each packet at the most.
    pub snap_bytes: u32,
    /// Bytes of the ring, rounded up to whole blocks.
    pub buffer_bytes: usize,
    /// Milliseconds after which the kernel hands over a block that is not full; 0 hands over each packet at once.
    pub block_timeout_ms: u32,
    pub promiscuous: bool,
}

/// A ring of an interface; it receives from the moment it is opened.
pub struct Ring {
    memory: Memory,
    socket: Socket,
    pub interface: Interface,
    /// Whether each packet has a slot.
    has_slots: bool,
    /// The block or slot that comes next.
    place: usize,
    /// A packet that is longer than a slot, behind room for its tag.
    long: Vec<u8>,
    snap_bytes: usize,
}

impl Ring {
    /// Opens a ring; `group` is that of the rings with which it shares the packets.
    ///
    /// Nothing gets past the socket before the filter is in force and the group complete.
    pub fn open(options: &RingOptions, group: Option<&mut Option<u16>>) -> Result<Ring, Error> {
        let socket = Socket::open()?;
        let interface = socket.interface(&options.interface)?;
        let refused = |what| move |error| Error::from_kernel(what, error);
        let has_slots = options.block_timeout_ms == 0;
        let version = if has_slots { libc::tpacket_versions::TPACKET_V2 } else { libc::tpacket_versions::TPACKET_V3 };
        socket.set(libc::SOL_PACKET, libc::PACKET_VERSION, &(version as u32)).map_err(refused("this kind of ring"))?;
        socket.set(libc::SOL_PACKET, libc::PACKET_RESERVE, &(TAG as u32)).map_err(refused("room for VLAN tags"))?;
        let blocks = options.buffer_bytes.div_ceil(BLOCK_BYTES).max(2);
        request(&socket, blocks, options.block_timeout_ms).map_err(refused("a ring of this size"))?;
        let memory = Memory::map(&socket, blocks * BLOCK_BYTES).map_err(refused("to share the ring"))?;
        if interface.is_loopback {
            socket.ignore_outgoing().map_err(refused("to leave out what is sent"))?;
        }
        socket.filter(&[keep(0)]).map_err(refused("a filter"))?;
        socket.bind(&interface).map_err(refused("to listen to the interface"))?;
        if let Some(group) = group {
            *group = Some(socket.share(*group).map_err(refused("to share packets between threads"))?);
        }
        if options.promiscuous {
            socket.listen_to_all(&interface).map_err(refused("promiscuous mode"))?;
        }
        let everything = [keep(options.snap_bytes)];
        socket.filter(options.filter.as_deref().unwrap_or(&everything)).map_err(refused("the filter"))?;
        let long = if has_slots { vec![0; TAG + LONGEST_FRAME] } else { Vec::new() };
        let snap_bytes = options.snap_bytes as usize;
        Ok(Ring { memory, socket, interface, has_slots, place: 0, long, snap_bytes })
    }

    /// Hands packets to `sink`, some hundreds at the most, and their memory back to the kernel; tells whether there were
    /// any.
    #[inline]
    pub fn read(&mut self, sink: impl FnMut(Frame<'_>)) -> bool {
        if self.has_slots {
            self.read_slots(sink)
        } else {
            self.read_block(sink)
        }
    }

    fn read_block(&mut self, mut sink: impl FnMut(Frame<'_>)) -> bool {
        let place = Place { start: self.place * BLOCK_BYTES, bytes: BLOCK_BYTES, status: BLOCK_STATUS };
        let Some(block) = self.memory.take(place) else { return false };
        let mut frames = Frames::of(block, self.interface.link == ETHERNET);
        while let Some(frame) = frames.next() {
            sink(frame);
        }
        self.memory.release(place);
        self.place = (self.place + 1) % (self.memory.bytes / BLOCK_BYTES);
        true
    }

    fn read_slots(&mut self, mut sink: impl FnMut(Frame<'_>)) -> bool {
        for read in 0..SLOTS_OF_BLOCK {
            let place = Place { start: self.place * SLOT_BYTES, bytes: SLOT_BYTES, status: 0 };
            let Some(slot) = self.memory.take(place) else { return read > 0 };
            if let Some(frame) =
                frame(slot, &mut self.long, &self.socket, self.snap_bytes, self.interface.link == ETHERNET)
            {
                sink(frame);
            }
            self.memory.release(place);
            self.place = (self.place + 1) % (self.memory.bytes / SLOT_BYTES);
        }
        true
    }

    /// Lets no further packet in; what is in the ring stays.
    pub fn shut(&self) -> io::Result<()> {
        self.socket.filter(&[keep(0)])
    }

    /// Returns the socket behind the ring.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Takes what the kernel counted since the last call.
    pub fn take_counts(&self) -> io::Result<Counts> {
        self.socket.take_counts()
    }
}

/// Returns the packet of a slot; one that does not fit is read from the socket.
fn frame<'a>(
    slot: &'a mut [u8],
    long: &'a mut [u8],
    socket: &Socket,
    snap_bytes: usize,
    is_ethernet: bool,
) -> Option<Frame<'a>> {
    let header = Header::second(slot)?;
    if header.status & libc::TP_STATUS_COPY != 0 {
        if let Ok(length) = socket.receive(long.get_mut(TAG..)?) {
            return header.frame(long.get_mut(..TAG + length.min(snap_bytes))?, is_ethernet);
        }
    }
    let end = header.begin.checked_add(header.stored)?;
    header.frame(slot.get_mut(header.begin.checked_sub(TAG)?..end)?, is_ethernet)
}

/// The longest frame that offloading makes, by far.
const LONGEST_FRAME: usize = 256 << 10;
/// Bytes of packets longer than a slot that wait at the socket; of further ones, only what fits into a slot is kept.
const LONG_BYTES: i32 = 8 << 20;

fn request(socket: &Socket, blocks: usize, block_timeout_ms: u32) -> io::Result<()> {
    let ring = libc::tpacket_req {
        tp_block_size: BLOCK_BYTES as u32,
        tp_block_nr: blocks as u32,
        tp_frame_size: SLOT_BYTES as u32,
        tp_frame_nr: (blocks * SLOTS_OF_BLOCK) as u32,
    };
    if block_timeout_ms == 0 {
        socket.set(libc::SOL_PACKET, libc::PACKET_COPY_THRESH, &1i32)?;
        if socket.set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &LONG_BYTES).is_err() {
            socket.set(libc::SOL_SOCKET, libc::SO_RCVBUF, &LONG_BYTES)?; // as much as those without CAP_NET_ADMIN may have
        }
        return socket.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &ring);
    }
    let ring = libc::tpacket_req3 {
        tp_block_size: ring.tp_block_size,
        tp_block_nr: ring.tp_block_nr,
        tp_frame_size: ring.tp_frame_size,
        tp_frame_nr: ring.tp_frame_nr,
        tp_retire_blk_tov: block_timeout_ms,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    };
    socket.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &ring)
}

/// A block or slot of the ring: where it begins, its length, and where in it its state is.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    bytes: usize,
    status: usize,
}

/// The memory of a ring, shared with the kernel.
struct Memory {
    start: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the memory belongs to this value alone, apart from the kernel, which knows no threads.
unsafe impl Send for Memory {}

impl Memory {
    fn map(socket: &Socket, bytes: usize) -> io::Result<Memory> {
        let (access, shared) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED);
        // SAFETY: the kernel chooses the place, and the length is that of the ring just asked for.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, shared, socket.raw(), 0) };
        match NonNull::new(start.cast::<u8>()) {
            Some(start) if start.as_ptr().cast() != libc::MAP_FAILED => Ok(Memory { start, bytes }),
            _ => Err(io::Error::last_os_error()),
        }
    }

    fn status(&self, place: Place) -> &AtomicU32 {
        debug_assert!(place.start + place.bytes <= self.bytes);
        // SAFETY: places are within the memory, their state is aligned to 4 bytes, and the kernel changes it as a whole.
        unsafe { &*self.start.as_ptr().add(place.start + place.status).cast::<AtomicU32>() }
    }

    /// Returns what the kernel has handed over.
    #[inline]
    fn take(&mut self, place: Place) -> Option<&mut [u8]> {
        if self.status(place).load(Ordering::Acquire) & USER == 0 {
            return None;
        }
        // SAFETY: the place is within the memory, and the kernel does not touch it before it is released, which needs
        // the exclusive borrow that the slice holds.
        Some(unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(place.start), place.bytes) })
    }

    #[inline]
    fn release(&mut self, place: Place) {
        self.status(place).store(KERNEL, Ordering::Release);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this length, and no slice outlives this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
