//! A packet socket: what is asked of the kernel (packet(7), linux/if_packet.h).

use std::ffi::CString;
use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

use infraspectre_core::source::LinkType;
use libc::{c_int, c_void, socklen_t};

use crate::Error;

/// One instruction of a classic BPF program: code, jumps if true and if false, operand (bpf(4)).
pub type Instruction = (u16, u8, u8, u32);

/// Returns so many bytes of each packet that is let through: the whole program of a socket without another.
pub const fn keep(bytes: u32) -> Instruction {
    (0x06, 0, 0, bytes)
}

/// Most instructions that the kernel takes (BPF_MAXINSNS).
pub const MOST_INSTRUCTIONS: usize = 4096;

/// What the kernel counts between its network stack and the ring, since the socket was bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that passed the filter, dropped ones included.
    pub received: u64,
    /// Packets for which the ring had no room.
    pub dropped: u64,
    /// How often the ring was full.
    pub freezes: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, more: Counts) {
        self.received += more.received;
        self.dropped += more.dropped;
        self.freezes += more.freezes;
    }
}

/// A network interface as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    pub name: String,
    pub index: c_int,
    pub link: LinkType,
    pub is_loopback: bool,
    pub is_up: bool,
}

/// An open packet socket that receives nothing before it is bound.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
}

impl Socket {
    /// Opens a socket for whole frames.
    pub fn open() -> Result<Socket, Error> {
        // SAFETY: no pointer is passed; protocol 0 receives nothing (packet(7)).
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        let fd = checked(fd).map_err(|error| Error::from_kernel("a packet socket", error))?;
        // SAFETY: the descriptor was just opened and belongs to nobody else.
        Ok(Socket { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Looks an interface up by its name.
    pub fn interface(&self, name: &str) -> Result<Interface, Error> {
        let unknown = || Error::NoInterface(name.to_string());
        if name.is_empty() || name.len() >= libc::IFNAMSIZ {
            return Err(unknown());
        }
        // SAFETY: all-zero bytes are a valid ifreq, which is made of numbers.
        let mut request: libc::ifreq = unsafe { zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        self.ask(libc::SIOCGIFINDEX, &mut request).map_err(|_| unknown())?;
        // SAFETY: SIOCGIFINDEX has filled this member of the union (netdevice(7)).
        let index = unsafe { request.ifr_ifru.ifru_ifindex };
        self.ask(libc::SIOCGIFHWADDR, &mut request).map_err(|_| unknown())?;
        // SAFETY: SIOCGIFHWADDR has filled this member; its family is the type of hardware.
        let hardware = unsafe { request.ifr_ifru.ifru_hwaddr.sa_family };
        self.ask(libc::SIOCGIFFLAGS, &mut request).map_err(|_| unknown())?;
        // SAFETY: SIOCGIFFLAGS has filled this member.
        let flags = c_int::from(unsafe { request.ifr_ifru.ifru_flags });
        let link = link_type(hardware).ok_or_else(|| Error::Hardware { name: name.to_string(), hardware })?;
        let (is_loopback, is_up) = (flags & libc::IFF_LOOPBACK != 0, flags & libc::IFF_UP != 0);
        Ok(Interface { name: name.to_string(), index, link, is_loopback, is_up })
    }

    fn ask(&self, request: libc::Ioctl, argument: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: these requests read the name in the structure and write into it, and nowhere else.
        checked(unsafe { libc::ioctl(self.raw(), request, argument) }).map(drop)
    }

    /// Sets an option whose value is a plain structure of numbers.
    pub(crate) fn set<T: Copy>(&self, level: c_int, option: c_int, value: &T) -> io::Result<()> {
        let (pointer, length) = (std::ptr::from_ref(value).cast::<c_void>(), size_of::<T>() as socklen_t);
        // SAFETY: the kernel reads `length` bytes, which is the size of the value that the pointer refers to.
        checked(unsafe { libc::setsockopt(self.raw(), level, option, pointer, length) }).map(drop)
    }

    fn get<T: Copy>(&self, level: c_int, option: c_int) -> io::Result<T> {
        // SAFETY: only structures of numbers are asked for, for which all-zero bytes are valid.
        let mut value: T = unsafe { zeroed() };
        let mut length = size_of::<T>() as socklen_t;
        let pointer = std::ptr::from_mut(&mut value).cast::<c_void>();
        // SAFETY: the kernel writes at most `length` bytes, which is the size of the value.
        checked(unsafe { libc::getsockopt(self.raw(), level, option, pointer, &mut length) })?;
        Ok(value)
    }

    /// Puts a program before the socket, in place of the one before.
    pub fn filter(&self, program: &[Instruction]) -> io::Result<()> {
        let mut code: Vec<libc::sock_filter> =
            program.iter().map(|&(code, jt, jf, k)| libc::sock_filter { code, jt, jf, k }).collect();
        let Ok(len) = u16::try_from(code.len()) else { return Err(io::ErrorKind::InvalidInput.into()) };
        // The kernel copies the program before the call returns.
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &libc::sock_fprog { len, filter: code.as_mut_ptr() })
    }

    /// Begins to receive what the interface receives and sends.
    pub fn bind(&self, interface: &Interface) -> io::Result<()> {
        // SAFETY: all-zero bytes are a valid sockaddr_ll, which is made of numbers.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = interface.index;
        let pointer = std::ptr::from_ref(&address).cast::<libc::sockaddr>();
        // SAFETY: the kernel reads so many bytes, which is the size of the address.
        checked(unsafe { libc::bind(self.raw(), pointer, size_of::<libc::sockaddr_ll>() as socklen_t) }).map(drop)
    }

    /// Asks the interface for frames to all addresses, as long as the socket is open.
    pub fn listen_to_all(&self, interface: &Interface) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: interface.index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Leaves out what the host sends: on a loopback interface it comes back as received.
    pub fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)
    }

    /// Shares the packets with the other sockets of a group, flow by flow, and returns the group; None makes a new one.
    pub fn share(&self, group: Option<u16>) -> io::Result<u16> {
        let unique = if group.is_none() { libc::PACKET_FANOUT_FLAG_UNIQUEID } else { 0 };
        // Fragments are put together first, so that all of a datagram go the way of its flow.
        let kind = libc::PACKET_FANOUT_HASH | libc::PACKET_FANOUT_FLAG_DEFRAG | unique;
        let request = u32::from(group.unwrap_or(0)) | kind << 16;
        self.set(libc::SOL_PACKET, libc::PACKET_FANOUT, &request)?;
        Ok(self.get::<u32>(libc::SOL_PACKET, libc::PACKET_FANOUT)? as u16)
    }

    /// Takes what the kernel counted since the last call.
    pub fn take_counts(&self) -> io::Result<Counts> {
        let found: libc::tpacket_stats_v3 = self.get(libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        let (received, dropped, freezes) = (found.tp_packets, found.tp_drops, found.tp_freeze_q_cnt);
        Ok(Counts { received: received.into(), dropped: dropped.into(), freezes: freezes.into() })
    }

    /// Takes the packet that waits first at the socket, and returns how many of its bytes fit.
    pub fn receive(&self, into: &mut [u8]) -> io::Result<usize> {
        // SAFETY: the kernel writes at most as many bytes as the slice has.
        let found = unsafe { libc::recv(self.raw(), into.as_mut_ptr().cast(), into.len(), libc::MSG_DONTWAIT) };
        usize::try_from(found).map_err(|_| io::Error::last_os_error())
    }

    /// Waits until there is something to read, or the time is over; tells whether the socket has a fault to report.
    pub fn wait(&self, most: Duration) -> io::Result<bool> {
        let mut poll = libc::pollfd { fd: self.raw(), events: libc::POLLIN | libc::POLLERR, revents: 0 };
        let most = libc::timespec { tv_sec: most.as_secs() as libc::time_t, tv_nsec: most.subsec_nanos().into() };
        // SAFETY: one pollfd is passed as one, the time is read only, and no signal mask is given.
        match checked(unsafe { libc::ppoll(&mut poll, 1, &most, std::ptr::null()) }) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            done => done.map(|_| poll.revents & (libc::POLLERR | libc::POLLHUP | libc::POLLNVAL) != 0),
        }
    }

    /// Takes the fault that the socket has to report.
    pub fn take_fault(&self) -> io::Result<Option<io::Error>> {
        let code: c_int = self.get(libc::SOL_SOCKET, libc::SO_ERROR)?;
        Ok((code != 0).then(|| io::Error::from_raw_os_error(code)))
    }

    pub(crate) fn raw(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// Returns the number of an interface; None if there is none of the name.
pub fn index_of(name: &str) -> Option<c_int> {
    let name = CString::new(name).ok()?;
    // SAFETY: the name ends with a zero byte and is only read.
    let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
    c_int::try_from(index).ok().filter(|index| *index > 0)
}

fn checked(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(result)
}

/// Returns the link type of a kind of hardware (linux/if_arp.h, tcpdump.org/linktypes.html).
fn link_type(hardware: u16) -> Option<LinkType> {
    Some(match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => 1,
        // Point to point, tunnels and TUN devices: nothing before the IP header.
        libc::ARPHRD_PPP | libc::ARPHRD_TUNNEL | libc::ARPHRD_TUNNEL6 | libc::ARPHRD_SIT | libc::ARPHRD_NONE => 101,
        519 => 101, // ARPHRD_RAWIP
        libc::ARPHRD_IEEE80211 => 105,
        libc::ARPHRD_IEEE80211_PRISM => 119,
        libc::ARPHRD_IEEE80211_RADIOTAP => 127,
        _ => return None,
    })
}
