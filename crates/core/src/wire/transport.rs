//! Transport headers: TCP, UDP, UDP-Lite, SCTP, ICMP and ICMPv6.

use super::span::Span;
use super::{protocol, Segment, Tcp};

/// What a transport header says.
pub(super) struct Transport<'a> {
    pub(super) src_port: u16,
    pub(super) dst_port: u16,
    pub(super) tcp: Tcp<'a>,
    pub(super) payload: Span<'a>,
}

impl<'a> Transport<'a> {
    /// Reads the transport header of a protocol; one that is not known has no ports, and all of it is payload.
    #[inline(always)]
    pub(super) fn read(protocol: u8, span: Span<'a>) -> Result<Transport<'a>, &'static str> {
        match protocol {
            protocol::TCP => tcp(span),
            protocol::UDP => udp(span),
            _ => read_rare(protocol, span),
        }
    }

    #[inline(always)]
    fn with_ports(ports: [u8; 4], payload: Span<'a>) -> Transport<'a> {
        let [s0, s1, d0, d1] = ports;
        let (src_port, dst_port) = (u16::from_be_bytes([s0, s1]), u16::from_be_bytes([d0, d1]));
        Transport { src_port, dst_port, tcp: Tcp::default(), payload }
    }

    /// Writes what was read into a segment.
    pub(super) fn fill(self, segment: &mut Segment<'a>, protocol: u8) {
        segment.protocol = protocol;
        (segment.src_port, segment.dst_port) = (self.src_port, self.dst_port);
        segment.tcp = self.tcp;
        segment.payload = self.payload.stored;
        segment.payload_bytes = self.payload.claimed();
    }
}

fn read_rare(protocol: u8, span: Span<'_>) -> Result<Transport<'_>, &'static str> {
    match protocol {
        protocol::ICMP | protocol::ICMP6 => icmp(span),
        protocol::SCTP => ports_only(span, 12, "sctp-length", "truncated-sctp"),
        protocol::UDP_LITE => ports_only(span, 8, "udp-length", "truncated-udp"),
        _ => Ok(Transport::with_ports([0; 4], span)),
    }
}

#[inline(always)]
fn tcp(span: Span<'_>) -> Result<Transport<'_>, &'static str> {
    if span.len < 20 {
        return Err("tcp-length");
    }
    let Some(&[p0, p1, q0, q1, s0, s1, s2, s3, a0, a1, a2, a3, offset, flags, w0, w1, ..]) = span.head::<20>() else {
        return cut_tcp(span);
    };
    let header = usize::from(offset >> 4) * 4;
    if header < 20 || header > span.len {
        return Err("tcp-header-length");
    }
    let tcp = Tcp {
        seq: u32::from_be_bytes([s0, s1, s2, s3]),
        ack: u32::from_be_bytes([a0, a1, a2, a3]),
        flags,
        window: u16::from_be_bytes([w0, w1]),
        options: span.take(header).skip(20).stored,
    };
    Ok(Transport { tcp, ..Transport::with_ports([p0, p1, q0, q1], span.skip(header)) })
}

/// Reads what a snap length left of a TCP header: the ports at least.
#[cold]
fn cut_tcp(span: Span<'_>) -> Result<Transport<'_>, &'static str> {
    let &ports = span.head().ok_or("truncated-tcp")?;
    let number = |at| span.at(at).map_or(0, |bytes| u32::from_be_bytes(*bytes));
    let header = span.stored.get(12).map_or(20, |offset| usize::from(offset >> 4) * 4);
    let tcp = Tcp {
        seq: number(4),
        ack: number(8),
        flags: span.stored.get(13).copied().unwrap_or(0),
        window: span.at(14).map_or(0, |bytes| u16::from_be_bytes(*bytes)),
        options: &[],
    };
    Ok(Transport { tcp, ..Transport::with_ports(ports, span.skip(header.max(20))) })
}

#[inline(always)]
fn udp(span: Span<'_>) -> Result<Transport<'_>, &'static str> {
    if span.len < 8 {
        return Err("udp-length");
    }
    let &ports = span.head().ok_or("truncated-udp")?;
    let len = match span.at(4).map(|bytes| usize::from(u16::from_be_bytes(*bytes))) {
        Some(1..=7) => return Err("udp-header-length"),
        None | Some(0) => span.len, // cut off, or a jumbogram (RFC 2675)
        Some(len) => len.min(span.len),
    };
    Ok(Transport::with_ports(ports, span.take(len).skip(8)))
}

/// Reads a header of `len` bytes of which only the ports matter.
fn ports_only<'a>(
    span: Span<'a>,
    len: usize,
    short: &'static str,
    truncated: &'static str,
) -> Result<Transport<'a>, &'static str> {
    if span.len < len {
        return Err(short);
    }
    let &ports = span.head().ok_or(truncated)?;
    Ok(Transport::with_ports(ports, span.skip(len)))
}

/// Reads ICMP's type and code in the place of ports (RFC 792, RFC 4443).
fn icmp(span: Span<'_>) -> Result<Transport<'_>, &'static str> {
    if span.len < 4 {
        return Err("icmp-length");
    }
    let &[kind, code] = span.head().ok_or("truncated-icmp")?;
    Ok(Transport::with_ports([0, kind, 0, code], span.skip(8)))
}
