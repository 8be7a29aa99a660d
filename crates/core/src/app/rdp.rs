//! RDP: the connection request and confirm that name a user and choose a security protocol (MS-RDPBCGR, 2.2.1).

use super::bytes::{drain, has_port, Reader};
use super::line::split_line;
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// The well-known port; a bare connection request is only RDP there (X.224 carries other protocols too).
pub const PORT: u16 = 3389;

const TPKT_VERSION: u8 = 3;
/// X.224 codes of the connection request and the connection confirm (ITU-T X.224, 13).
const REQUEST: u8 = 0xe0;
const CONFIRM: u8 = 0xd0;
/// Longest cookie line: an X.224 header counts at most 254 bytes.
const MAX_COOKIE: usize = 255;

/// What follows the cookie or the X.224 header: eight bytes (MS-RDPBCGR, 2.2.1.1.1 and 2.2.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Negotiation {
    /// Bits of the protocols that the client offers.
    Request { flags: u8, protocols: u32 },
    /// The protocol that the server chose.
    Response { flags: u8, protocol: u32 },
    /// Why the server refused.
    Failure { code: u32 },
}

/// A connection request (client) or confirm (server).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection<'a> {
    pub is_confirm: bool,
    /// The line before the negotiation: a routing token or a cookie, without its line end.
    pub cookie: Option<&'a [u8]>,
    pub negotiation: Option<Negotiation>,
}

impl<'a> Connection<'a> {
    /// Returns the user name of an mstshash cookie, without the blanks that some clients pad it with.
    pub fn user(&self) -> Option<&'a [u8]> {
        self.cookie?.strip_prefix(b"Cookie: mstshash=").map(<[u8]>::trim_ascii_end)
    }

    /// Names the security protocol that a confirm settles on; none if the server refused.
    pub fn security(&self) -> Option<String> {
        match self.negotiation {
            Some(Negotiation::Response { protocol, .. }) => Some(security_name(protocol)),
            None if self.is_confirm => Some(security_name(0)),
            _ => None,
        }
    }
}

/// Names a security protocol (MS-RDPBCGR, 2.2.1.2.1).
fn security_name(protocol: u32) -> String {
    match protocol {
        0 => "RDP".into(),
        1 => "TLS".into(),
        2 => "CredSSP".into(),
        4 => "RDSTLS".into(),
        8 => "CredSSP-EX".into(),
        other => format!("{other:#x}"),
    }
}

/// Reads a connection request or confirm with its TPKT header (RFC 1006, 6).
pub fn parse_connection(data: &[u8]) -> Parsed<'_, Connection<'_>> {
    let mut reader = Reader::new(data);
    if reader.u8()? != TPKT_VERSION {
        return Err(Stop::Malformed("tpkt version"));
    }
    let _reserved = reader.u8()?;
    let length = usize::from(reader.u16()?).checked_sub(4).ok_or(Stop::Malformed("tpkt length"))?;
    let connection = x224(reader.take(length)?)?;
    Ok((reader.rest(), connection))
}

fn x224(data: &[u8]) -> Result<Connection<'_>, Stop> {
    let malformed = |_| Stop::Malformed("x224 header");
    let mut reader = Reader::new(data);
    let [_length, code, _, _, _, _, _class] = reader.array().map_err(malformed)?;
    let is_confirm = match code & 0xf0 {
        REQUEST => false,
        CONFIRM => true,
        _ => return Err(Stop::Malformed("x224 code")),
    };
    let (rest, cookie) = match split_line(reader.rest(), MAX_COOKIE) {
        Ok((rest, line)) if line.starts_with(b"Cookie: ") => (rest, Some(line)),
        _ => (reader.rest(), None),
    };
    Ok(Connection { is_confirm, cookie, negotiation: negotiation(rest) })
}

fn negotiation(data: &[u8]) -> Option<Negotiation> {
    let mut reader = Reader::new(data);
    let [kind, flags, 8, 0] = reader.array().ok()? else { return None };
    let value = reader.u32_le().ok()?;
    match kind {
        1 => Some(Negotiation::Request { flags, protocols: value }),
        2 => Some(Negotiation::Response { flags, protocol: value }),
        3 => Some(Negotiation::Failure { code: value }),
        _ => None,
    }
}

/// Recognises a connection request or confirm with a cookie or a negotiation; the port decides on bare ones.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram || !matches!(data, [TPKT_VERSION] | [TPKT_VERSION, 0, ..]) {
        return Probe::NotForUs;
    }
    match parse_connection(data) {
        Ok((_, connection)) if connection.cookie.is_some() || connection.negotiation.is_some() => Probe::Certain,
        Ok(_) if has_port(ports, PORT) => Probe::Certain,
        Err(Stop::Incomplete) if data.get(5).is_none_or(|code| matches!(code & 0xf0, REQUEST | CONFIRM)) => {
            Probe::Unsure
        }
        _ => Probe::NotForUs,
    }
}

/// Reads the request and the confirm; what follows is encrypted or not of interest.
pub struct Session {
    requester: Option<Direction>,
}

impl Session {
    /// Starts before the connection request.
    pub fn new(_transport: Transport) -> Self {
        Self { requester: None }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        if self.requester == Some(direction) {
            return Ok((0, Next::Done));
        }
        let (rest, connection) = parse_connection(data)?;
        if let Some(user) = connection.user() {
            fields.text(Field::RdpCookie, user);
        }
        if let Some(name) = connection.security() {
            fields.text(Field::RdpSecurity, name.as_bytes());
        }
        if !connection.is_confirm {
            self.requester = Some(direction);
        }
        Ok((data.len() - rest.len(), if connection.is_confirm { Next::Done } else { Next::More }))
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(direction, rest, fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed, texts, Piece};
    use super::*;

    fn packet(code: u8, rest: &[u8]) -> Vec<u8> {
        let mut bytes = vec![3, 0, 0, 11 + rest.len() as u8, 6 + rest.len() as u8, code, 0, 0, 0, 0, 0];
        bytes.extend(rest);
        bytes
    }

    fn session() -> Session {
        Session::new(Transport::Stream)
    }

    #[test]
    fn the_user_and_the_chosen_security_are_reported() {
        let request = packet(REQUEST, b"Cookie: mstshash=alice\r\n\x01\x00\x08\x00\x0b\x00\x00\x00");
        let confirm = packet(CONFIRM, b"\x02\x1f\x08\x00\x02\x00\x00\x00");
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, &request), (Direction::Resp, &confirm)];
        let (fields, next) = feed(&mut session(), pieces);
        assert_eq!(next, Next::Done);
        assert_eq!(texts(&fields, Field::RdpCookie), ["alice"]);
        assert_eq!(texts(&fields, Field::RdpSecurity), ["CredSSP"]);
        assert_cuts_do_not_matter(session, &pieces);
    }

    #[test]
    fn a_confirm_without_negotiation_means_rdp_security_and_a_failure_none() {
        let plain = feed(&mut session(), [(Direction::Resp, &packet(CONFIRM, b"")[..])]).0;
        assert_eq!(texts(&plain, Field::RdpSecurity), ["RDP"]);
        let refused = packet(CONFIRM, b"\x03\x00\x08\x00\x05\x00\x00\x00");
        assert!(feed(&mut session(), [(Direction::Resp, &refused[..])]).0.is_empty());
    }

    #[test]
    fn a_token_is_not_a_user() {
        let bytes = packet(REQUEST, b"Cookie: msts=1.2.3\r\n");
        let (_, connection) = parse_connection(&bytes).unwrap();
        assert_eq!((connection.cookie, connection.user()), (Some(&b"Cookie: msts=1.2.3"[..]), None));
    }

    #[test]
    fn what_follows_the_request_ends_the_session() {
        let request = packet(REQUEST, b"");
        let pieces: [Piece<'_>; 2] = [(Direction::Orig, &request), (Direction::Orig, &[22, 3, 1])];
        assert_eq!(feed(&mut session(), pieces).1, Next::Done);
    }

    #[test]
    fn bare_requests_need_the_port() {
        let probe = |data: &[u8], port| probe(Transport::Stream, Direction::Orig, data, (50_000, port));
        let bare = packet(REQUEST, b"");
        assert_eq!(probe(&bare, PORT), Probe::Certain);
        assert_eq!(probe(&bare, 102), Probe::NotForUs);
        assert_eq!(probe(&packet(REQUEST, b"\x01\x00\x08\x00\x03\x00\x00\x00"), 102), Probe::Certain);
        assert_eq!(probe(&bare[..5], PORT), Probe::Unsure);
        assert_eq!(probe(&[3, 0, 0, 8, 2, 0xf0, 0x80, 0x7f], PORT), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..100), pieces in 1..9_usize) {
            assert_any_bytes_are_safe(&mut session(), &data, pieces);
            assert_any_bytes_are_safe(&mut session(), &packet(REQUEST, &data), pieces);
        }
    }
}
