//! NTP: time messages of versions 1 to 4 and the control messages of modes 6 and 7 (RFC 5905, RFC 9327).

use super::bytes::{datagram, has_port, Reader};
use super::{Consumed, Direction, Field, Fields, Parsed, Probe, Stop, Transport};

/// The well-known port; messages of modes 6 and 7 and client requests are too plain to be believed elsewhere.
pub const PORT: u16 = 123;

/// Modes (RFC 5905, figure 10).
pub mod mode {
    pub const SYMMETRIC_PASSIVE: u8 = 2;
    pub const SERVER: u8 = 4;
    pub const CONTROL: u8 = 6;
    pub const PRIVATE: u8 = 7;
}

const MAX_STRATUM: u8 = 16;
/// Largest plausible difference in seconds between a server's receive and transmit timestamps.
const MAX_TURNAROUND_S: u32 = 16;

/// The header that modes 1 to 5 share; timestamps are 64-bit NTP times (RFC 5905, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    pub stratum: u8,
    /// Log2 seconds.
    pub poll: i8,
    /// Log2 seconds.
    pub precision: i8,
    /// Seconds in 16.16 fixed point.
    pub root_delay: u32,
    pub root_dispersion: u32,
    pub reference: [u8; 4],
    pub reference_at: u64,
    pub origin_at: u64,
    pub received_at: u64,
    pub sent_at: u64,
}

/// What follows the first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    Time(Time),
    /// Mode 6 (RFC 9327, 2).
    Control {
        is_response: bool,
        operation: u8,
        sequence: u16,
        /// Bytes of data that follow.
        count: u16,
    },
    /// Mode 7, as ntpd and ntpdc speak it.
    Private {
        is_response: bool,
        implementation: u8,
        request: u8,
        /// Items in the message and bytes of each.
        items: u16,
        item_bytes: u16,
    },
}

/// One message, and the bytes after its header: extension fields and authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub leap: u8,
    pub version: u8,
    pub mode: u8,
    pub body: Body,
    pub rest: &'a [u8],
}

/// Reads one message.
pub fn parse_message(data: &[u8]) -> Parsed<'_, Message<'_>> {
    let mut reader = Reader::new(data);
    let first = reader.u8()?;
    let (leap, version, mode) = (first >> 6, (first >> 3) & 7, first & 7);
    if !(1..=4).contains(&version) {
        return Err(Stop::Malformed("ntp version"));
    }
    let body = match mode {
        1..=5 => time(&mut reader)?,
        mode::CONTROL => control(&mut reader)?,
        mode::PRIVATE => private(&mut reader, first)?,
        _ => return Err(Stop::Malformed("ntp mode")),
    };
    Ok((&[], Message { leap, version, mode, body, rest: reader.rest() }))
}

fn time(reader: &mut Reader<'_>) -> Result<Body, Stop> {
    let [stratum, poll, precision] = reader.array()?;
    let time = Time {
        stratum,
        poll: i8::from_ne_bytes([poll]),
        precision: i8::from_ne_bytes([precision]),
        root_delay: reader.u32()?,
        root_dispersion: reader.u32()?,
        reference: reader.array()?,
        reference_at: reader.array().map(u64::from_be_bytes)?,
        origin_at: reader.array().map(u64::from_be_bytes)?,
        received_at: reader.array().map(u64::from_be_bytes)?,
        sent_at: reader.array().map(u64::from_be_bytes)?,
    };
    if stratum > MAX_STRATUM {
        return Err(Stop::Malformed("ntp stratum"));
    }
    Ok(Body::Time(time))
}

fn control(reader: &mut Reader<'_>) -> Result<Body, Stop> {
    let bits = reader.u8()?;
    let sequence = reader.u16()?;
    let [_status, _association, _offset] = [reader.u16()?, reader.u16()?, reader.u16()?];
    let count = reader.u16()?;
    if usize::from(count) > reader.rest().len() {
        return Err(Stop::Incomplete);
    }
    Ok(Body::Control { is_response: bits & 0x80 != 0, operation: bits & 0x1f, sequence, count })
}

fn private(reader: &mut Reader<'_>, first: u8) -> Result<Body, Stop> {
    let [_sequence, implementation, request] = reader.array()?;
    let (items, item_bytes) = (reader.u16()? & 0x0fff, reader.u16()? & 0x0fff);
    Ok(Body::Private { is_response: first & 0x80 != 0, implementation, request, items, item_bytes })
}

/// Recognises a message by its length and values; away from port 123 only a convincing server's answer counts.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    let plain = matches!(data.first(), Some(first) if (1..=4).contains(&((first >> 3) & 7)) && first & 7 != 0);
    if transport == Transport::Stream || !plain {
        return Probe::NotForUs;
    }
    let on_port = has_port(ports, PORT);
    match parse_message(data) {
        // Extension fields and authentication of time messages come in words of four bytes (RFC 7822).
        Ok((_, Message { body: Body::Time(_), rest, .. })) if rest.len() % 4 != 0 => Probe::NotForUs,
        Ok((_, message)) if on_port || is_convincing(&message) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

/// Tells whether an answer holds values that bytes of another protocol would hardly hold together.
fn is_convincing(message: &Message<'_>) -> bool {
    let Body::Time(time) = message.body else { return false };
    let turnaround = (time.sent_at >> 32).abs_diff(time.received_at >> 32);
    message.mode == mode::SERVER
        && (1..MAX_STRATUM).contains(&time.stratum)
        && (-32..0).contains(&time.precision)
        && (0..=17).contains(&time.poll)
        && time.sent_at != 0
        && turnaround <= u64::from(MAX_TURNAROUND_S)
}

/// Reports each message.
pub struct Session {
    answered: bool,
}

impl Session {
    /// Starts before the first response.
    pub fn new(_transport: Transport) -> Self {
        Self { answered: false }
    }

    fn report(&mut self, message: &Message<'_>, fields: &mut Fields) {
        fields.number(Field::NtpVersion, u64::from(message.version));
        fields.number(Field::NtpModes, u64::from(message.mode));
        if let Body::Time(time) = message.body {
            if matches!(message.mode, mode::SERVER | mode::SYMMETRIC_PASSIVE) && !self.answered {
                self.answered = true;
                fields.number(Field::NtpStratum, u64::from(time.stratum));
            }
        }
    }
}

impl super::Session for Session {
    fn read(&mut self, _direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        datagram(data, parse_message(data).map(|(_, message)| self.report(&message, fields)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, feed_datagrams, numbers};
    use super::*;

    fn message(first: u8, stratum: u8) -> Vec<u8> {
        let mut bytes = vec![0; 48];
        bytes[..4].copy_from_slice(&[first, stratum, 6, 0xec]);
        bytes[32..36].copy_from_slice(&[0xe0, 0, 0, 1]);
        bytes[40..44].copy_from_slice(&[0xe0, 0, 0, 2]);
        bytes
    }

    fn probe_at(data: &[u8], port: u16) -> Probe {
        probe(Transport::Datagram, Direction::Orig, data, (50_000, port))
    }

    #[test]
    fn an_exchange_is_reported() {
        let (request, answer) = (message(0x23, 0), message(0x24, 2));
        let mut session = Session::new(Transport::Datagram);
        let fields = feed_datagrams(&mut session, &[(Direction::Orig, &request), (Direction::Resp, &answer)]);
        assert_eq!(numbers(&fields, Field::NtpVersion), [4]);
        assert_eq!(numbers(&fields, Field::NtpModes), [3, 4]);
        assert_eq!(numbers(&fields, Field::NtpStratum), [2]);
    }

    #[test]
    fn control_and_private_messages_are_read() {
        let (_, control) = parse_message(&[0x16, 0x82, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, b'h', b'i']).unwrap();
        assert_eq!(control.body, Body::Control { is_response: true, operation: 2, sequence: 1, count: 2 });
        let (_, private) = parse_message(&[0x97, 0, 3, 42, 0, 6, 0, 72]).unwrap();
        let expected = Body::Private { is_response: true, implementation: 3, request: 42, items: 6, item_bytes: 72 };
        assert_eq!((private.mode, private.body), (7, expected));
    }

    #[test]
    fn only_convincing_messages_count_away_from_the_port() {
        assert_eq!(probe_at(&message(0x23, 0), 123), Probe::Certain);
        assert_eq!(probe_at(&message(0x23, 0), 9), Probe::NotForUs);
        assert_eq!(probe_at(&message(0x24, 2), 9), Probe::Certain);
        assert_eq!(probe_at(&message(0x24, 200), 123), Probe::NotForUs);
        assert_eq!(probe_at(&message(0x24, 2)[..47], 123), Probe::NotForUs);
        assert_eq!(probe_at(&[&message(0x24, 2)[..], b"x"].concat(), 123), Probe::NotForUs);
        assert_eq!(probe_at(&message(0x3b, 0), 123), Probe::NotForUs);
    }

    #[test]
    fn incomplete_is_not_malformed() {
        assert_eq!(parse_message(&message(0x23, 0)[..40]), Err(Stop::Incomplete));
        assert_eq!(parse_message(&[0x20]), Err(Stop::Malformed("ntp mode")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..100)) {
            assert_any_bytes_are_safe(&mut Session::new(Transport::Datagram), &data, 1);
            probe_at(&data, 123);
        }
    }
}
