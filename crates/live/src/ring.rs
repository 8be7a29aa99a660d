//! The ring that the kernel fills and we empty: blocks of packets in shared memory (TPACKET_V3 of packet(7)).
#![allow(unsafe_code)]

use std::io;
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU32, Ordering};

use infraspectre_core::source::LinkType;

use crate::frame::{Frames, TAG};
use crate::socket::{keep, Counts, Instruction, Interface, Socket};
use crate::Error;

/// Bytes of a block: room for the largest frame that offloading makes, some 64 KiB, with one more after it.
pub const BLOCK_BYTES: usize = 256 << 10;
/// Where the state of a block is, behind version and offset of private data; who owns the block.
const STATUS: usize = 8;
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
    /// Milliseconds after which the kernel hands over a block that is not full.
    pub block_timeout_ms: u32,
    pub promiscuous: bool,
}

/// A ring of an interface; it receives from the moment it is opened.
pub struct Ring {
    memory: Memory,
    socket: Socket,
    pub interface: Interface,
    block: usize,
}

impl Ring {
    /// Opens a ring; `group` is that of the rings with which it shares the packets.
    ///
    /// Nothing gets past the socket before the filter is in force and the group complete.
    pub fn open(options: &RingOptions, group: Option<&mut Option<u16>>) -> Result<Ring, Error> {
        let socket = Socket::open()?;
        let interface = socket.interface(&options.interface)?;
        let refused = |what| move |error| Error::from_kernel(what, error);
        socket.set(libc::SOL_PACKET, libc::PACKET_VERSION, &V3).map_err(refused("TPACKET_V3"))?;
        socket.set(libc::SOL_PACKET, libc::PACKET_RESERVE, &(TAG as u32)).map_err(refused("room for VLAN tags"))?;
        let blocks = options.buffer_bytes.div_ceil(BLOCK_BYTES).max(2);
        let request = layout(blocks, options.block_timeout_ms);
        socket.set(libc::SOL_PACKET, libc::PACKET_RX_RING, &request).map_err(refused("a ring of this size"))?;
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
        Ok(Ring { memory, socket, interface, block: 0 })
    }

    /// Hands the packets of the next block to `sink`, then the block back to the kernel; None if there is no block yet.
    #[inline]
    pub fn read(&mut self, sink: &mut dyn FnMut(Frames<'_>)) -> Option<()> {
        let block = self.memory.block(self.block)?;
        sink(Frames::of(block, self.interface.link == ETHERNET));
        self.memory.release(self.block);
        self.block = (self.block + 1) % self.memory.blocks();
        Some(())
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

const V3: i32 = 2;

fn layout(blocks: usize, block_timeout_ms: u32) -> libc::tpacket_req3 {
    // Frames have any length in this version; their size only has to divide that of a block.
    const FRAME_BYTES: usize = 2048;
    libc::tpacket_req3 {
        tp_block_size: BLOCK_BYTES as u32,
        tp_block_nr: blocks as u32,
        tp_frame_size: FRAME_BYTES as u32,
        tp_frame_nr: (blocks * (BLOCK_BYTES / FRAME_BYTES)) as u32,
        tp_retire_blk_tov: block_timeout_ms,
        tp_sizeof_priv: 0,
        tp_feature_req_word: 0,
    }
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

    fn blocks(&self) -> usize {
        self.bytes / BLOCK_BYTES
    }

    fn status(&self, block: usize) -> &AtomicU32 {
        debug_assert!(block < self.blocks());
        // SAFETY: a block is within the memory, its state is aligned to 4 bytes, and the kernel changes it as a whole.
        unsafe { &*self.start.as_ptr().add(block * BLOCK_BYTES + STATUS).cast::<AtomicU32>() }
    }

    /// Returns a block that the kernel has handed over.
    #[inline]
    fn block(&mut self, block: usize) -> Option<&mut [u8]> {
        if self.status(block).load(Ordering::Acquire) & USER == 0 {
            return None;
        }
        // SAFETY: the block is within the memory, and the kernel does not touch it before it is released, which needs
        // the exclusive borrow that the slice holds.
        Some(unsafe { slice::from_raw_parts_mut(self.start.as_ptr().add(block * BLOCK_BYTES), BLOCK_BYTES) })
    }

    #[inline]
    fn release(&mut self, block: usize) {
        self.status(block).store(KERNEL, Ordering::Release);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped with this length, and no slice outlives this value.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.bytes) };
    }
}
