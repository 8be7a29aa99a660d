//! QUIC (RFC 9000): the hellos inside the first packets, which everybody on the way can decrypt.

mod packet;

pub use packet::*;

use super::tls::{self, handshake, Carrier};
use super::{Consumed, Direction, Field, Fields, Next, Probe, Transport};

/// Most handshake bytes put together for each side.
pub const MAX_CRYPTO: usize = 32 * 1024;
/// Most separate pieces of them held at once.
const MAX_PIECES: usize = 64;
/// Most packets that may fail to decrypt before the flow is left alone.
const MAX_FAILURES: u32 = 16;
/// Bits of versions that clients offer to keep servers tolerant (RFC 9000, 15).
const GREASE_VERSION: u32 = 0x0a0a_0a0a;

/// Recognises a long header of a known version with its fixed bit.
pub fn probe(transport: Transport, _: Direction, data: &[u8], _: (u16, u16)) -> Probe {
    if transport == Transport::Stream || data.first().is_none_or(|first| first & 0xc0 != 0xc0) {
        return Probe::NotForUs;
    }
    match parse_packet(data) {
        Ok((_, packet)) if is_plausible(&packet) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

fn is_plausible(packet: &Packet<'_>) -> bool {
    let ids = packet.destination.len().max(packet.source.len()) <= MAX_CONNECTION_ID;
    let version = is_known(packet.version) || packet.version & 0x0f0f_0f0f == GREASE_VERSION;
    ids && version && !(packet.destination.is_empty() && packet.source.is_empty())
}

/// The handshake bytes of one side, put in order.
#[derive(Clone, Debug, Default)]
pub struct CryptoStream {
    data: Vec<u8>,
    /// Filled ranges in ascending order, with gaps between them.
    filled: Vec<(usize, usize)>,
}

impl CryptoStream {
    /// Adds a piece; one beyond the bounds is left out.
    pub fn insert(&mut self, piece: Crypto<'_>) {
        let Ok(start) = usize::try_from(piece.offset) else { return };
        let Some(end) = start.checked_add(piece.data.len()).filter(|end| *end <= MAX_CRYPTO) else { return };
        if piece.data.is_empty() || self.filled.len() >= MAX_PIECES {
            return;
        }
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        if let Some(place) = self.data.get_mut(start..end) {
            place.copy_from_slice(piece.data);
        }
        self.mark(start, end);
    }

    /// Joins a range with those it touches.
    fn mark(&mut self, start: usize, end: usize) {
        let (touching, mut apart): (Vec<_>, Vec<_>) =
            self.filled.iter().copied().partition(|(from, to)| *from <= end && start <= *to);
        let joined = touching.iter().fold((start, end), |(a, b), (from, to)| (a.min(*from), b.max(*to)));
        apart.push(joined);
        apart.sort_unstable();
        self.filled = apart;
    }

    /// Returns the bytes from the start without a gap.
    pub fn whole(&self) -> &[u8] {
        match self.filled.first() {
            Some((0, end)) => self.data.get(..*end).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// The first packets of one QUIC connection.
#[derive(Clone, Debug, Default)]
pub struct Session {
    client: Option<Direction>,
    /// Destination connection id that the keys come from.
    origin: Vec<u8>,
    client_stream: CryptoStream,
    server_stream: CryptoStream,
    offered: bool,
    chosen: bool,
    failures: u32,
}

impl Session {
    /// Starts a session; QUIC runs over datagrams alone.
    pub fn new(_: Transport) -> Self {
        Self::default()
    }

    /// Decrypts an Initial packet, learning from the first one that opens who is the client.
    fn open(&mut self, direction: Direction, packet: &Packet<'_>) -> Option<(Sender, Vec<u8>)> {
        let from = |origin: &[u8], sender| {
            let keys = Keys::initial(packet.version, origin, sender)?;
            Some((sender, open(packet, &keys)?))
        };
        if self.client.is_some_and(|client| client != direction) {
            return from(&self.origin, Sender::Server);
        }
        if self.client.is_some() {
            if let Some(opened) = from(&self.origin, Sender::Client) {
                return Some(opened);
            }
        }
        // The first packet, or the first after a Retry (RFC 9001, 5.2).
        let opened = from(packet.destination, Sender::Client)?;
        self.client = Some(direction);
        self.origin = packet.destination.to_vec();
        Some(opened)
    }

    fn initial(&mut self, direction: Direction, packet: &Packet<'_>, fields: &mut Fields) {
        match self.open(direction, packet) {
            None => self.failures += 1,
            Some((Sender::Client, payload)) if !self.offered => {
                crypto_frames(&payload).for_each(|piece| self.client_stream.insert(piece));
                self.client_hello(fields);
            }
            Some((Sender::Server, payload)) if !self.chosen => {
                crypto_frames(&payload).for_each(|piece| self.server_stream.insert(piece));
                self.server_hello(fields);
            }
            Some(_) => {}
        }
    }

    fn client_hello(&mut self, fields: &mut Fields) {
        let Ok((_, message)) = tls::parse_handshake(self.client_stream.whole()) else { return };
        self.offered = true;
        if message.kind == handshake::CLIENT_HELLO {
            if let Ok(hello) = tls::parse_client_hello(message.body) {
                tls::report_client_hello(&hello, Carrier::Quic, fields);
            }
        }
        self.client_stream = CryptoStream::default();
    }

    fn server_hello(&mut self, fields: &mut Fields) {
        let Ok((_, message)) = tls::parse_handshake(self.server_stream.whole()) else { return };
        self.chosen = true;
        if message.kind == handshake::SERVER_HELLO {
            if let Ok(hello) = tls::parse_server_hello(message.body) {
                tls::report_server_hello(&hello, fields);
            }
        }
        self.server_stream = CryptoStream::default();
    }

    /// Tells whether the visible part is over; short headers come only after it.
    fn is_done(&self, short_header: bool) -> bool {
        (self.offered && (self.chosen || short_header)) || self.failures >= MAX_FAILURES
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        let mut rest = data;
        while let Ok((after, packet)) = parse_packet(rest) {
            if packet.kind != Kind::VersionNegotiation {
                fields.text(Field::QuicVersion, version_name(packet.version).as_bytes());
            }
            if packet.kind == Kind::Initial {
                self.initial(direction, &packet, fields);
            }
            rest = after;
        }
        let short_header = data.first().is_some_and(|first| first & 0x80 == 0);
        let next = if self.is_done(short_header) { Next::Done } else { Next::More };
        Consumed { bytes: data.len(), next }
    }
}

/// Names a version.
pub fn version_name(version: u32) -> std::borrow::Cow<'static, str> {
    match version {
        V1 => "v1".into(),
        V2 => "v2".into(),
        _ => format!("0x{version:08X}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Value;
    use super::super::Session as _;
    use super::packet::tests::{seal, unhex, CLIENT_FRAME, SERVER_PACKET};
    use super::*;
    use proptest::prelude::*;

    fn read(session: &mut Session, direction: Direction, data: &[u8], fields: &mut Fields) -> Next {
        session.read(direction, data, fields).next
    }

    fn text(fields: &Fields, field: Field) -> String {
        match fields.get(field) {
            Some(Value::Text(text)) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn the_hellos_of_rfc_9001_are_reported() {
        let (mut session, mut fields) = (Session::new(Transport::Datagram), Fields::default());
        let client = seal(V1, 2, &unhex(CLIENT_FRAME));
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &client, (1, 2)), Probe::Certain);
        assert_eq!(read(&mut session, Direction::Orig, &client, &mut fields), Next::More);
        assert_eq!(text(&fields, Field::TlsServerName), "example.com");
        assert_eq!(text(&fields, Field::QuicVersion), "v1");
        assert_eq!(&text(&fields, Field::TlsJa4)[..11], "q13d0211an_");
        assert_eq!(read(&mut session, Direction::Resp, &unhex(SERVER_PACKET), &mut fields), Next::Done);
        assert_eq!(text(&fields, Field::TlsCipher), "TLS_AES_128_GCM_SHA256");
        assert_eq!(text(&fields, Field::TlsVersion), "TLSv1.3");
    }

    #[test]
    fn hellos_come_in_pieces_in_any_order_in_both_versions() {
        let hello = &unhex(CLIENT_FRAME)[4..];
        let piece =
            |from: usize, to: usize| [&[6, 0x40, from as u8, 0x40, (to - from) as u8], &hello[from..to]].concat();
        for version in [V1, V2] {
            let (mut session, mut fields) = (Session::new(Transport::Datagram), Fields::default());
            let last = seal(version, 0, &[piece(200, hello.len()), piece(0, 60)].concat());
            let middle = seal(version, 1, &piece(50, 210));
            read(&mut session, Direction::Resp, &last, &mut fields);
            assert_eq!(fields.get(Field::TlsServerName), None);
            read(&mut session, Direction::Resp, &middle, &mut fields);
            assert_eq!(text(&fields, Field::TlsServerName), "example.com");
            assert_eq!(text(&fields, Field::QuicVersion), version_name(version));
        }
    }

    #[test]
    fn packets_that_do_not_decrypt_are_no_error() {
        let (mut session, mut fields) = (Session::new(Transport::Datagram), Fields::default());
        let mut client = seal(V1, 2, &unhex(CLIENT_FRAME));
        client[100] ^= 1;
        assert_eq!(read(&mut session, Direction::Orig, &client, &mut fields), Next::More);
        assert_eq!(fields.get(Field::TlsServerName), None);
        for _ in 1..MAX_FAILURES {
            read(&mut session, Direction::Orig, &client, &mut fields);
        }
        assert!(session.is_done(false));
    }

    #[test]
    fn pieces_are_bounded() {
        let mut stream = CryptoStream::default();
        stream.insert(Crypto { offset: u64::MAX, data: &[1] });
        stream.insert(Crypto { offset: MAX_CRYPTO as u64, data: &[1] });
        assert!(stream.data.is_empty());
        for at in 0..1000 {
            stream.insert(Crypto { offset: 2 * at, data: &[1] });
        }
        assert_eq!((stream.filled.len(), stream.whole()), (MAX_PIECES, &[1][..]));
    }

    #[test]
    fn probes_tell_quic_from_other_datagrams() {
        let judge = |data: &[u8]| probe(Transport::Datagram, Direction::Orig, data, (1, 443));
        assert_eq!(judge(&unhex(SERVER_PACKET)), Probe::Certain);
        assert_eq!(judge(b"\xc3\0\0\0\x09\x08abcdefgh\0\0"), Probe::NotForUs);
        assert_eq!(judge(b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0"), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            data in proptest::collection::vec(any::<u8>(), 0..200),
            at in 0usize..1300,
            payload in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let valid = seal(V1, 7, &payload);
            let hostile = [&valid[..at.min(valid.len())], &data].concat();
            for bytes in [&data, &valid, &hostile] {
                let mut session = Session::new(Transport::Datagram);
                read(&mut session, Direction::Orig, bytes, &mut Fields::default());
                read(&mut session, Direction::Resp, bytes, &mut Fields::default());
                probe(Transport::Datagram, Direction::Orig, bytes, (443, 443));
            }
        }
    }
}
