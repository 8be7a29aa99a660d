//! TLS: what both sides say before encryption begins, over streams and, as DTLS, over datagrams.

mod certificate;
mod cipher;
mod fingerprint;
mod message;

pub use certificate::{parse_certificate, Certificate};
pub use cipher::cipher_name;
pub use fingerprint::{hex, ja3, ja3_text, ja3s, ja3s_text, ja4, Carrier};
pub use message::*;

use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport, Value};

/// Longest handshake message that is put together; a longer one ends the reading of its side's handshake.
pub const MAX_HANDSHAKE: usize = 64 * 1024;
/// Most certificates read of one chain.
const MAX_CERTIFICATES: usize = 16;
/// Version number of SSL 2.0, and its message type of a server hello.
const SSL2: u16 = 0x0002;
const SERVER_HELLO_OF_SSL2: u8 = 4;
/// Version number of TLS 1.3.
const TLS13: u16 = 0x0304;

/// Recognises a record with a hello, or an SSL 2.0 client hello.
pub fn probe(transport: Transport, _: Direction, data: &[u8], _: (u16, u16)) -> Probe {
    match (transport, data.first()) {
        (_, None) => Probe::Unsure,
        (Transport::Datagram, Some(20..=23)) => judge_whole(parse_datagram_record(data)),
        (Transport::Stream, Some(20..=24)) => probe_record(data),
        (Transport::Stream, Some(0x80..)) => judge(parse_old_client_hello(data)),
        _ => Probe::NotForUs,
    }
}

fn judge<T>(parsed: Parsed<'_, T>) -> Probe {
    match parsed {
        Ok(_) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        Err(Stop::Malformed(_)) => Probe::NotForUs,
    }
}

/// Judges a datagram, to which nothing will be added.
fn judge_whole<T>(parsed: Parsed<'_, T>) -> Probe {
    if parsed.is_ok() {
        Probe::Certain
    } else {
        Probe::NotForUs
    }
}

/// Lengths of an encrypted alert: with the shortest MAC (MD5), up to vector, SHA-384 MAC and padding.
const ENCRYPTED_ALERT_BYTES: std::ops::RangeInclusive<usize> = 18..=80;

/// A handshake must begin with a hello; an alert must be one of the two levels, or encrypted.
fn probe_record(data: &[u8]) -> Probe {
    match parse_record_header(data) {
        Err(Stop::Incomplete) => Probe::Unsure,
        Err(Stop::Malformed(_)) => Probe::NotForUs,
        Ok((_, header)) if header.version & 0xff > 4 => Probe::NotForUs,
        Ok((payload, header)) => match (header.content, payload.first()) {
            (_, None) => Probe::Unsure,
            (content::HANDSHAKE, Some(kind)) if *kind > handshake::SERVER_HELLO => Probe::NotForUs,
            (content::HANDSHAKE, Some(_)) => Probe::Certain,
            (content::ALERT, Some(1 | 2)) if header.length == 2 => Probe::Certain,
            (content::ALERT, Some(_)) if ENCRYPTED_ALERT_BYTES.contains(&header.length) => Probe::Certain,
            (content::APPLICATION_DATA, Some(_)) if header.length > 0 => Probe::Certain,
            _ => Probe::NotForUs,
        },
    }
}

/// Reports what a client hello offers.
pub fn report_client_hello(hello: &ClientHello<'_>, carrier: Carrier, fields: &mut Fields) {
    fields.text(Field::TlsVersion, version_name(hello.highest_version()).as_bytes());
    if let Some(name) = hello.server_name() {
        fields.text(Field::TlsServerName, name);
    }
    hello.alpn().for_each(|name| fields.text(Field::TlsAlpn, name));
    report_ciphers(hello.ciphers(), fields);
    fields.text(Field::TlsJa3, ja3(hello).as_bytes());
    fields.text(Field::TlsJa4, ja4(hello, carrier).as_bytes());
}

fn report_ciphers(ciphers: impl Iterator<Item = u16>, fields: &mut Fields) {
    let offered = ciphers.filter(|cipher| !is_grease(*cipher));
    offered.for_each(|cipher| fields.number(Field::TlsCiphers, cipher.into()));
}

/// Reports what a server hello chooses.
pub fn report_server_hello(hello: &ServerHello<'_>, fields: &mut Fields) {
    let version = hello.chosen_version();
    fields.replace(Field::TlsVersion, Value::Text(version_name(version).into()));
    fields.text(Field::TlsCipher, cipher_name(hello.cipher).as_bytes());
    if hello.is_retry() {
        return;
    }
    fields.text(Field::TlsJa3s, ja3s(hello).as_bytes());
    if let Some(name) = hello.alpn() {
        fields.text(Field::TlsAlpnChosen, name);
    }
    if is_tls13(version) {
        let resumed = hello.extensions.get(extension::PRE_SHARED_KEY).is_some();
        fields.number(Field::TlsResumed, resumed.into());
    }
}

fn is_tls13(version: u16) -> bool {
    matches!(version, TLS13 | 0x7f00..=0x7fff | 0xfefc)
}

/// Reports the chain of a certificate message; certificates that cannot be read are left out.
fn report_certificates(body: &[u8], fields: &mut Fields) {
    for (at, der) in certificates(body).take(MAX_CERTIFICATES).enumerate() {
        let Ok(certificate) = parse_certificate(der) else { continue };
        fields.text(Field::TlsCertificateSubjects, certificate.subject.as_bytes());
        fields.text(Field::TlsCertificateIssuers, certificate.issuer.as_bytes());
        fields.text(Field::TlsCertificateSerials, certificate.serial.as_bytes());
        fields.text(Field::TlsCertificateSha1, certificate.sha1.as_bytes());
        if at == 0 {
            report_leaf(&certificate, fields);
        }
    }
}

fn report_leaf(leaf: &Certificate, fields: &mut Fields) {
    leaf.names.iter().for_each(|name| fields.text(Field::TlsCertificateNames, name.as_bytes()));
    fields.number(Field::TlsCertificateNotBefore, leaf.not_before.try_into().unwrap_or(0));
    fields.number(Field::TlsCertificateNotAfter, leaf.not_after.try_into().unwrap_or(0));
}

/// What is remembered of one side.
#[derive(Clone, Debug, Default)]
struct Side {
    /// The start of a handshake message that goes on in the next record; at most [`MAX_HANDSHAKE`] bytes and a record.
    pending: Vec<u8>,
    /// Bytes of a record still to be passed over.
    skip: usize,
    /// Handshake messages and alerts are encrypted from here on.
    sealed: bool,
    /// Application data was sent.
    sent_data: bool,
}

/// The visible part of one TLS connection.
#[derive(Clone, Debug)]
pub struct Session {
    transport: Transport,
    sides: [Side; 2],
    server: Option<Direction>,
    offered: bool,
    /// Who sent a client hello of SSL 2.0.
    old_client: Option<Direction>,
    chosen: Option<u16>,
    /// The server authenticated itself in full, so the session is not a resumed one.
    full_handshake: bool,
}

impl Session {
    /// Starts a session of TLS over a stream, or of DTLS over datagrams.
    pub fn new(transport: Transport) -> Self {
        let sides = [Side::default(), Side::default()];
        Self { transport, sides, server: None, offered: false, old_client: None, chosen: None, full_handshake: false }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        let [orig, resp] = &mut self.sides;
        match direction {
            Direction::Orig => orig,
            Direction::Resp => resp,
        }
    }

    /// Reads one record, or as much of it as there is; `None` asks for more bytes.
    fn record<'a>(
        &mut self,
        direction: Direction,
        data: &'a [u8],
        fields: &mut Fields,
    ) -> Result<Option<&'a [u8]>, Stop> {
        let side = self.side(direction);
        if side.skip > 0 {
            let skipped = side.skip.min(data.len());
            side.skip -= skipped;
            return Ok(data.get(skipped..));
        }
        if data.first().is_some_and(|first| *first >= 0x80) && !self.offered {
            return self.old_hello(direction, data, fields);
        }
        let (rest, header) = parse_record_header(data)?;
        let side = self.side(direction);
        let unreadable =
            header.content > content::HANDSHAKE || (side.sealed && header.content != content::CHANGE_CIPHER_SPEC);
        if unreadable {
            side.sent_data |= header.content == content::APPLICATION_DATA;
            side.skip = header.length;
            return Ok(Some(rest));
        }
        let Some((payload, rest)) = rest.split_at_checked(header.length) else { return Ok(None) };
        self.readable(direction, header.content, payload, fields)?;
        Ok(Some(rest))
    }

    fn old_hello<'a>(
        &mut self,
        direction: Direction,
        data: &'a [u8],
        fields: &mut Fields,
    ) -> Result<Option<&'a [u8]>, Stop> {
        let (rest, hello) = parse_old_client_hello(data)?;
        self.offered = true;
        self.old_client = Some(direction);
        fields.text(Field::TlsVersion, version_name(hello.version).as_bytes());
        report_ciphers(hello.ciphers(), fields);
        Ok(Some(rest))
    }

    /// Tells whether a server answers an old client hello in SSL 2.0, which is not read further.
    fn is_old_reply(&self, direction: Direction, data: &[u8]) -> bool {
        self.old_client.is_some_and(|client| client != direction)
            && self.server.is_none()
            && matches!(data, [first, _, SERVER_HELLO_OF_SSL2, ..] if *first >= 0x80)
    }

    /// Reads the payload of a record that is not encrypted.
    fn readable(&mut self, direction: Direction, content: u8, payload: &[u8], fields: &mut Fields) -> Result<(), Stop> {
        match (content, payload) {
            (content::HANDSHAKE, _) => self.handshakes(direction, payload, fields),
            (content::ALERT, [_, description]) => {
                fields.number(Field::TlsAlerts, (*description).into());
                Ok(())
            }
            (content::CHANGE_CIPHER_SPEC, _) => {
                self.change_cipher_spec(direction, fields);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Joins handshake messages across records and reads those that are whole.
    fn handshakes(&mut self, direction: Direction, payload: &[u8], fields: &mut Fields) -> Result<(), Stop> {
        let mut joined = std::mem::take(&mut self.side(direction).pending);
        let mut rest = payload;
        if !joined.is_empty() {
            joined.extend_from_slice(payload);
            rest = &joined;
        }
        while let Ok((after, message)) = parse_handshake(rest) {
            self.handshake(direction, message, fields)?;
            rest = after;
        }
        let used = joined.len().saturating_sub(rest.len());
        if handshake_length(rest).is_some_and(|length| length > MAX_HANDSHAKE) {
            self.side(direction).sealed = true;
        } else if joined.is_empty() {
            self.side(direction).pending = rest.to_vec();
        } else {
            joined.drain(..used);
            self.side(direction).pending = joined;
        }
        Ok(())
    }

    fn handshake(&mut self, direction: Direction, message: Handshake<'_>, fields: &mut Fields) -> Result<(), Stop> {
        let from_server = self.server == Some(direction);
        match message.kind {
            handshake::CLIENT_HELLO if !self.offered => self.client_hello(&parse_client_hello(message.body)?, fields),
            handshake::SERVER_HELLO => self.server_hello(direction, &parse_server_hello(message.body)?, fields),
            handshake::CERTIFICATE if from_server && !self.full_handshake => {
                self.full_handshake(fields);
                report_certificates(message.body, fields);
            }
            handshake::SERVER_KEY_EXCHANGE | handshake::SERVER_HELLO_DONE if from_server => self.full_handshake(fields),
            _ => {}
        }
        Ok(())
    }

    fn client_hello(&mut self, hello: &ClientHello<'_>, fields: &mut Fields) {
        self.offered = true;
        let carrier = match self.transport {
            Transport::Stream => Carrier::Tcp,
            Transport::Datagram => Carrier::Dtls,
        };
        report_client_hello(hello, carrier, fields);
        fields.number(Field::TlsEstablished, 0);
    }

    fn server_hello(&mut self, direction: Direction, hello: &ServerHello<'_>, fields: &mut Fields) {
        self.server = Some(direction);
        if !hello.is_retry() {
            self.chosen = Some(hello.chosen_version());
        }
        report_server_hello(hello, fields);
        fields.number(Field::TlsEstablished, 0);
    }

    /// Notes that the server proves itself, as it does not when it resumes a session.
    fn full_handshake(&mut self, fields: &mut Fields) {
        self.full_handshake = true;
        fields.number(Field::TlsResumed, 0);
    }

    /// Notes the start of encryption; in TLS 1.3 this message means nothing (RFC 8446, D.4).
    fn change_cipher_spec(&mut self, direction: Direction, fields: &mut Fields) {
        let Some(version) = self.chosen else { return };
        if is_tls13(version) {
            return;
        }
        self.side(direction).sealed = true;
        if self.server == Some(direction) {
            fields.number(Field::TlsResumed, (!self.full_handshake).into());
        }
    }

    /// Tells whether both sides sent application data, after which nothing more is visible.
    fn established(&self, fields: &mut Fields) -> bool {
        let both = self.sides.iter().all(|side| side.sent_data);
        if both {
            fields.replace(Field::TlsEstablished, Value::Number(1));
        }
        both
    }

    fn stream(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        if self.is_old_reply(direction, data) {
            fields.replace(Field::TlsVersion, Value::Text(version_name(SSL2).into()));
            return Consumed { bytes: data.len(), next: Next::Done };
        }
        let mut rest = data;
        let next = loop {
            if rest.is_empty() {
                break Next::More;
            }
            match self.record(direction, rest, fields) {
                Ok(Some(after)) => rest = after,
                Ok(None) | Err(Stop::Incomplete) => break Next::More,
                Err(Stop::Malformed(why)) => break Next::Malformed(why),
            }
            if self.established(fields) {
                break Next::Done;
            }
        };
        Consumed { bytes: data.len() - rest.len(), next }
    }

    fn datagram(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Next {
        let mut rest = data;
        while let Ok((after, record)) = parse_datagram_record(rest) {
            if let Err(Stop::Malformed(why)) = self.datagram_record(direction, record, fields) {
                return Next::Malformed(why);
            }
            rest = after;
        }
        if self.established(fields) {
            Next::Done
        } else {
            Next::More
        }
    }

    fn datagram_record(
        &mut self,
        direction: Direction,
        record: DatagramRecord<'_>,
        fields: &mut Fields,
    ) -> Result<(), Stop> {
        self.side(direction).sent_data |= record.content == content::APPLICATION_DATA;
        if record.epoch > 0 {
            return Ok(());
        }
        if record.content != content::HANDSHAKE {
            return self.readable(direction, record.content, record.payload, fields);
        }
        let mut rest = record.payload;
        while let Ok((after, message)) = parse_datagram_handshake(rest) {
            if let Some(message) = message {
                self.handshake(direction, message, fields)?;
            }
            rest = after;
        }
        Ok(())
    }
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        match self.transport {
            Transport::Stream => self.stream(direction, data, fields),
            Transport::Datagram => Consumed { bytes: data.len(), next: self.datagram(direction, data, fields) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Session as _;
    use super::*;
    use proptest::prelude::*;

    fn prefixed16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn handshake_bytes(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &prefixed16(body)].concat()
    }

    fn record_bytes(content: u8, payload: &[u8]) -> Vec<u8> {
        [&[content, 3, 3][..], &prefixed16(payload)].concat()
    }

    fn client_hello_body() -> Vec<u8> {
        let name = [&[0, 0][..], &prefixed16(&prefixed16(b"\0\0\x09a.example"))].concat();
        let alpn = [&[0, 16][..], &prefixed16(&prefixed16(b"\x02h2\x08http/1.1"))].concat();
        let start = [&[3, 3][..], &[1; 32], &[0, 0, 6, 0x1a, 0x1a, 0x13, 1, 0xc0, 0x2f, 1, 0]].concat();
        [start, prefixed16(&[name, alpn].concat())].concat()
    }

    fn server_hello_body(version: [u8; 2]) -> Vec<u8> {
        [&[3, 3][..], &[2; 32], &[0, 0xc0, 0x2f, 0], &prefixed16(&[0, 43, 0, 2, version[0], version[1]])].concat()
    }

    /// A client's flight whose hello spans two records, then application data.
    fn client_flight() -> Vec<u8> {
        let hello = handshake_bytes(1, &client_hello_body());
        let (first, second) = hello.split_at(50);
        [record_bytes(22, first), record_bytes(22, second), record_bytes(23, b"secret")].concat()
    }

    fn server_flight() -> Vec<u8> {
        let hello = handshake_bytes(2, &server_hello_body([3, 3]));
        let done = handshake_bytes(14, &[]);
        [record_bytes(22, &[hello, done].concat()), record_bytes(20, &[1]), record_bytes(23, &[0; 300])].concat()
    }

    fn text(fields: &Fields, field: Field) -> String {
        match fields.get(field) {
            Some(Value::Text(text)) => text.to_string(),
            other => format!("{other:?}"),
        }
    }

    fn feed(session: &mut Session, direction: Direction, pieces: &[&[u8]], fields: &mut Fields) -> Next {
        let (mut tail, mut next) = (Vec::new(), Next::More);
        for piece in pieces {
            tail.extend_from_slice(piece);
            let consumed = session.read(direction, &tail, fields);
            tail.drain(..consumed.bytes);
            next = consumed.next;
        }
        next
    }

    #[test]
    fn a_full_handshake_is_reported() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        assert_eq!(feed(&mut session, Direction::Orig, &[&client_flight()], &mut fields), Next::More);
        assert_eq!(text(&fields, Field::TlsServerName), "a.example");
        assert_eq!(fields.get(Field::TlsCiphers), Some(&Value::NumberList(vec![0x1301, 0xc02f])));
        assert_eq!(feed(&mut session, Direction::Resp, &[&server_flight()], &mut fields), Next::Done);
        assert_eq!(text(&fields, Field::TlsVersion), "TLSv1.2");
        assert_eq!(text(&fields, Field::TlsCipher), "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
        assert_eq!(fields.get(Field::TlsResumed), Some(&Value::Number(0)));
        assert_eq!(fields.get(Field::TlsEstablished), Some(&Value::Number(1)));
        assert_eq!(&text(&fields, Field::TlsJa4)[..11], "t12d0202h2_");
    }

    #[test]
    fn a_server_that_goes_straight_to_encryption_resumes() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        let hello = record_bytes(22, &handshake_bytes(2, &server_hello_body([3, 3])));
        feed(&mut session, Direction::Resp, &[&hello, &record_bytes(20, &[1])], &mut fields);
        assert_eq!(fields.get(Field::TlsResumed), Some(&Value::Number(1)));
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        let (client, server) = (client_flight(), server_flight());
        let run = |client_cut: usize, server_cut: usize| {
            let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
            let (first, second) = client.split_at(client_cut);
            feed(&mut session, Direction::Orig, &[first, second], &mut fields);
            let (first, second) = server.split_at(server_cut);
            feed(&mut session, Direction::Resp, &[first, second], &mut fields);
            fields.iter().cloned().collect::<Vec<_>>()
        };
        let whole = run(0, 0);
        assert!((0..client.len()).all(|cut| run(cut, 0) == whole));
        assert!((0..server.len()).all(|cut| run(0, cut) == whole));
    }

    #[test]
    fn alerts_in_clear_are_listed() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        feed(&mut session, Direction::Resp, &[&record_bytes(21, &[2, 40])], &mut fields);
        assert_eq!(fields.get(Field::TlsAlerts), Some(&Value::NumberList(vec![40])));
    }

    #[test]
    fn ssl2_is_named_and_left() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        let hello = b"\x80\x10\x01\x00\x02\x00\x03\x00\x00\x00\x04\x01\x00\x80abcd";
        assert_eq!(feed(&mut session, Direction::Orig, &[hello], &mut fields), Next::More);
        assert_eq!(feed(&mut session, Direction::Resp, &[b"\x84\x03\x04\x00\x01\x00\x02"], &mut fields), Next::Done);
        assert_eq!(text(&fields, Field::TlsVersion), "SSLv2");
    }

    #[test]
    fn dtls_hellos_are_read() {
        let mut body = client_hello_body();
        body.splice(0..2, [0xfe, 0xfd]);
        body.insert(35, 0);
        let length = (body.len() as u16).to_be_bytes();
        let message = [&[1, 0], &length[..], &[0; 6], &length, &body].concat();
        // The fragment length has three bytes.
        let message = [&message[..9], &[0], &message[10..]].concat();
        let datagram = [&[22, 0xfe, 0xff][..], &[0; 8], &prefixed16(&message)].concat();
        let (mut session, mut fields) = (Session::new(Transport::Datagram), Fields::default());
        assert_eq!(probe(Transport::Datagram, Direction::Orig, &datagram, (1, 2)), Probe::Certain);
        session.read(Direction::Orig, &datagram, &mut fields);
        assert_eq!(text(&fields, Field::TlsServerName), "a.example");
        assert_eq!(&text(&fields, Field::TlsJa4)[..11], "dd2d0202h2_");
    }

    #[test]
    fn probes_judge_the_first_record() {
        let judge = |data: &[u8]| probe(Transport::Stream, Direction::Orig, data, (1, 2));
        assert_eq!(judge(&client_flight()), Probe::Certain);
        assert_eq!(judge(&[22, 3, 1]), Probe::Unsure);
        assert_eq!(judge(b"GET / HTTP/1.1"), Probe::NotForUs);
        assert_eq!(judge(&[22, 3, 9, 0, 9, 1]), Probe::NotForUs);
    }

    #[test]
    fn a_message_beyond_the_bound_ends_the_handshake() {
        let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
        let huge = record_bytes(22, &[11, 0xff, 0xff, 0xff, 0]);
        assert_eq!(feed(&mut session, Direction::Resp, &[&huge, &huge], &mut fields), Next::More);
        assert!(session.sides[1].sealed && session.sides[1].pending.is_empty());
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(
            data in proptest::collection::vec(any::<u8>(), 0..300),
            at in 0usize..400,
            orig in any::<bool>(),
        ) {
            let mut hostile = [client_flight(), server_flight()].concat();
            hostile.truncate(at);
            hostile.extend(&data);
            let direction = if orig { Direction::Orig } else { Direction::Resp };
            for bytes in [&data, &hostile] {
                for transport in [Transport::Stream, Transport::Datagram] {
                    let consumed = Session::new(transport).read(direction, bytes, &mut Fields::default()).bytes;
                    prop_assert!(consumed <= bytes.len());
                    probe(transport, direction, bytes, (443, 443));
                }
            }
        }
    }
}
