//! TLS on the wire: records and handshake messages (RFC 8446, RFC 5246), with the headers of DTLS (RFC 9147, RFC 6347).

use super::super::bytes::{numbers16, Reader};
use super::super::{Parsed, Stop};

/// Longest record payload: 2^14 bytes and what encryption may add (RFC 5246, 6.2.3).
pub const MAX_RECORD: usize = (1 << 14) + 2048;

/// Record content types (RFC 8446, 5.1; RFC 6520 for heartbeats).
pub mod content {
    pub const CHANGE_CIPHER_SPEC: u8 = 20;
    pub const ALERT: u8 = 21;
    pub const HANDSHAKE: u8 = 22;
    pub const APPLICATION_DATA: u8 = 23;
    pub const HEARTBEAT: u8 = 24;
}

/// Handshake message types (RFC 8446, 4; RFC 5246, 7.4).
pub mod handshake {
    pub const CLIENT_HELLO: u8 = 1;
    pub const SERVER_HELLO: u8 = 2;
    pub const CERTIFICATE: u8 = 11;
    pub const SERVER_KEY_EXCHANGE: u8 = 12;
    pub const SERVER_HELLO_DONE: u8 = 14;
}

/// Extension types (IANA TLS ExtensionType values).
pub mod extension {
    pub const SERVER_NAME: u16 = 0;
    pub const SUPPORTED_GROUPS: u16 = 10;
    pub const EC_POINT_FORMATS: u16 = 11;
    pub const SIGNATURE_ALGORITHMS: u16 = 13;
    pub const ALPN: u16 = 16;
    pub const PRE_SHARED_KEY: u16 = 41;
    pub const SUPPORTED_VERSIONS: u16 = 43;
    pub const KEY_SHARE: u16 = 51;
}

/// Tells whether a number is one that clients send to keep servers tolerant (RFC 8701).
pub const fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// The header of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    pub content: u8,
    pub version: u16,
    /// Length of the payload in bytes.
    pub length: usize,
}

/// Parses the five bytes before a record's payload.
pub fn parse_record_header(bytes: &[u8]) -> Parsed<'_, RecordHeader> {
    if bytes.first().is_some_and(|content| !(20..=24).contains(content)) {
        return Err(Stop::Malformed("record type"));
    }
    if bytes.get(1).is_some_and(|major| *major != 3) {
        return Err(Stop::Malformed("record version"));
    }
    let Some(([content, major, minor, high, low], rest)) = bytes.split_first_chunk() else {
        return Err(Stop::Incomplete);
    };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length > MAX_RECORD {
        return Err(Stop::Malformed("record length"));
    }
    Ok((rest, RecordHeader { content: *content, version: u16::from_be_bytes([*major, *minor]), length }))
}

/// A record of DTLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DatagramRecord<'a> {
    pub content: u8,
    pub version: u16,
    /// Zero until encryption starts.
    pub epoch: u16,
    pub payload: &'a [u8],
}

/// Parses a record of DTLS (RFC 6347, 4.1).
pub fn parse_datagram_record(bytes: &[u8]) -> Parsed<'_, DatagramRecord<'_>> {
    let mut reader = Reader::new(bytes);
    let content = reader.u8()?;
    let version = reader.u16()?;
    if !(20..=24).contains(&content) || !matches!(version, 0xfeff | 0xfefd | 0xfefc) {
        return Err(Stop::Malformed("record type or version"));
    }
    let epoch = reader.u16()?;
    let _sequence = reader.take(6)?;
    let payload = reader.prefixed16()?;
    Ok((reader.rest(), DatagramRecord { content, version, epoch, payload }))
}

/// A handshake message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    pub kind: u8,
    pub body: &'a [u8],
}

/// Returns the length of the handshake message that starts here, its header included.
pub fn handshake_length(bytes: &[u8]) -> Option<usize> {
    let [_, a, b, c] = *bytes.first_chunk()?;
    Some(4 + u32::from_be_bytes([0, a, b, c]) as usize)
}

/// Parses a handshake message.
pub fn parse_handshake(bytes: &[u8]) -> Parsed<'_, Handshake<'_>> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let body = reader.prefixed24()?;
    Ok((reader.rest(), Handshake { kind, body }))
}

/// Parses a handshake message of DTLS; one sent in fragments has no body here.
pub fn parse_datagram_handshake(bytes: &[u8]) -> Parsed<'_, Option<Handshake<'_>>> {
    let mut reader = Reader::new(bytes);
    let kind = reader.u8()?;
    let length = reader.u24()?;
    let _sequence = reader.u16()?;
    let offset = reader.u24()?;
    let body = reader.prefixed24()?;
    let whole = offset == 0 && body.len() == length as usize;
    Ok((reader.rest(), whole.then_some(Handshake { kind, body })))
}

/// The extensions of a hello, in the order sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extensions<'a> {
    bytes: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// Returns types and contents.
    pub fn iter(&self) -> impl Iterator<Item = (u16, &'a [u8])> {
        let mut reader = Reader::new(self.bytes);
        std::iter::from_fn(move || Some((reader.u16().ok()?, reader.prefixed16().ok()?)))
    }

    /// Returns the content of the first extension of a type.
    pub fn get(&self, wanted: u16) -> Option<&'a [u8]> {
        self.iter().find(|(kind, _)| *kind == wanted).map(|(_, content)| content)
    }

    /// Parses the block at the end of a hello; old hellos have none.
    fn parse(reader: &mut Reader<'a>) -> Result<Self, Stop> {
        let malformed = Stop::Malformed("extensions");
        if reader.is_empty() {
            return Ok(Self { bytes: &[] });
        }
        let bytes = reader.prefixed16().map_err(|_| malformed)?;
        let mut inner = Reader::new(bytes);
        while !inner.is_empty() {
            inner.u16().and_then(|_| inner.prefixed16()).map_err(|_| malformed)?;
        }
        Ok(Self { bytes })
    }
}

/// Returns the strings of a list of strings with lengths of one byte, behind a length of two bytes (ALPN).
fn names8(list: Option<&[u8]>) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(list.and_then(|list| Reader::new(list).prefixed16().ok()).unwrap_or_default());
    std::iter::from_fn(move || reader.prefixed8().ok())
}

/// A client hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientHello<'a> {
    /// The version field, frozen at TLS 1.2 by TLS 1.3.
    pub version: u16,
    pub random: &'a [u8],
    pub session_id: &'a [u8],
    /// DTLS only.
    pub cookie: &'a [u8],
    cipher_bytes: &'a [u8],
    pub compression_methods: &'a [u8],
    pub extensions: Extensions<'a>,
}

impl<'a> ClientHello<'a> {
    /// Returns the cipher suites offered, GREASE included.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + 'a {
        numbers16(self.cipher_bytes)
    }

    /// Returns the host name of the server name indication (RFC 6066, 3).
    pub fn server_name(&self) -> Option<&'a [u8]> {
        let mut list = Reader::new(Reader::new(self.extensions.get(extension::SERVER_NAME)?).prefixed16().ok()?);
        while let (Ok(kind), Ok(name)) = (list.u8(), list.prefixed16()) {
            if kind == 0 {
                return Some(name);
            }
        }
        None
    }

    /// Returns the application protocols offered (RFC 7301).
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> {
        names8(self.extensions.get(extension::ALPN))
    }

    /// Returns the versions offered in the extension of TLS 1.3, GREASE included.
    pub fn versions(&self) -> impl Iterator<Item = u16> + 'a {
        let list = self.extensions.get(extension::SUPPORTED_VERSIONS);
        numbers16(list.and_then(|list| Reader::new(list).prefixed8().ok()).unwrap_or_default())
    }

    /// Returns the highest version offered, in the extension or else in the header.
    pub fn highest_version(&self) -> u16 {
        let offered = self.versions().filter(|version| !is_grease(*version));
        // DTLS counts downwards.
        let best = if self.version >> 8 == 0xfe { offered.min() } else { offered.max() };
        best.unwrap_or(self.version)
    }

    /// Returns the groups offered for key exchange, GREASE included.
    pub fn groups(&self) -> impl Iterator<Item = u16> + 'a {
        self.list16(extension::SUPPORTED_GROUPS)
    }

    /// Returns the signature algorithms accepted.
    pub fn signature_algorithms(&self) -> impl Iterator<Item = u16> + 'a {
        self.list16(extension::SIGNATURE_ALGORITHMS)
    }

    /// Returns the formats of curve points accepted.
    pub fn point_formats(&self) -> &'a [u8] {
        let list = self.extensions.get(extension::EC_POINT_FORMATS);
        list.and_then(|list| Reader::new(list).prefixed8().ok()).unwrap_or_default()
    }

    /// Returns the groups for which the client sent a key share.
    pub fn key_shares(&self) -> impl Iterator<Item = u16> + 'a {
        let list = self.extensions.get(extension::KEY_SHARE);
        let mut reader = Reader::new(list.and_then(|list| Reader::new(list).prefixed16().ok()).unwrap_or_default());
        std::iter::from_fn(move || {
            let group = reader.u16().ok()?;
            reader.prefixed16().ok().map(|_| group)
        })
    }

    fn list16(&self, kind: u16) -> impl Iterator<Item = u16> + 'a {
        let list = self.extensions.get(kind).and_then(|list| Reader::new(list).prefixed16().ok());
        numbers16(list.unwrap_or_default())
    }
}

/// Parses the body of a client hello; the version tells TLS from DTLS, which adds a cookie.
pub fn parse_client_hello(body: &[u8]) -> Result<ClientHello<'_>, Stop> {
    let mut reader = Reader::new(body);
    let hello = client_hello_start(&mut reader).map_err(|_| Stop::Malformed("client hello"))?;
    Ok(ClientHello { extensions: Extensions::parse(&mut reader)?, ..hello })
}

fn client_hello_start<'a>(reader: &mut Reader<'a>) -> Result<ClientHello<'a>, Stop> {
    let version = reader.u16()?;
    Ok(ClientHello {
        version,
        random: reader.take(32)?,
        session_id: reader.prefixed8()?,
        cookie: if version >> 8 == 0xfe { reader.prefixed8()? } else { &[] },
        cipher_bytes: reader.prefixed16()?,
        compression_methods: reader.prefixed8()?,
        extensions: Extensions { bytes: &[] },
    })
}

/// Random value that marks a hello retry request (RFC 8446, 4.1.3: SHA-256 of "HelloRetryRequest").
const RETRY: [u8; 32] = [
    0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11,
    0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/// A server hello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerHello<'a> {
    /// The version field, frozen at TLS 1.2 by TLS 1.3.
    pub version: u16,
    pub random: &'a [u8],
    pub session_id: &'a [u8],
    pub cipher: u16,
    pub compression_method: u8,
    pub extensions: Extensions<'a>,
}

impl<'a> ServerHello<'a> {
    /// Tells whether the server asks for another client hello.
    pub fn is_retry(&self) -> bool {
        self.random == RETRY
    }

    /// Returns the version chosen, in the extension of TLS 1.3 or else in the header.
    pub fn chosen_version(&self) -> u16 {
        let extension = self.extensions.get(extension::SUPPORTED_VERSIONS);
        extension.and_then(|content| Reader::new(content).u16().ok()).unwrap_or(self.version)
    }

    /// Returns the application protocol chosen; TLS 1.3 encrypts it.
    pub fn alpn(&self) -> Option<&'a [u8]> {
        names8(self.extensions.get(extension::ALPN)).next()
    }
}

/// Parses the body of a server hello or a hello retry request.
pub fn parse_server_hello(body: &[u8]) -> Result<ServerHello<'_>, Stop> {
    let mut reader = Reader::new(body);
    let hello = server_hello_start(&mut reader).map_err(|_| Stop::Malformed("server hello"))?;
    Ok(ServerHello { extensions: Extensions::parse(&mut reader)?, ..hello })
}

fn server_hello_start<'a>(reader: &mut Reader<'a>) -> Result<ServerHello<'a>, Stop> {
    let (version, random) = (reader.u16()?, reader.take(32)?);
    // Drafts of TLS 1.3 before the 22nd sent neither session nor compression.
    let early_draft = (0x7f00..0x7f16).contains(&version);
    Ok(ServerHello {
        version,
        random,
        session_id: if early_draft { &[] } else { reader.prefixed8()? },
        cipher: reader.u16()?,
        compression_method: if early_draft { 0 } else { reader.u8()? },
        extensions: Extensions { bytes: &[] },
    })
}

/// Returns the certificates of a certificate message up to TLS 1.2, in DER, leaf first.
pub fn certificates(body: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut reader = Reader::new(Reader::new(body).prefixed24().unwrap_or_default());
    std::iter::from_fn(move || reader.prefixed24().ok())
}

/// A client hello of SSL 2.0, which old clients also send to offer SSL 3.0 and TLS (RFC 5246, E.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OldClientHello<'a> {
    pub version: u16,
    cipher_bytes: &'a [u8],
    pub session_id: &'a [u8],
    pub challenge: &'a [u8],
}

impl<'a> OldClientHello<'a> {
    /// Returns the cipher suites of SSL 3.0 and later among those offered.
    pub fn ciphers(&self) -> impl Iterator<Item = u16> + 'a {
        let specs = self.cipher_bytes.chunks_exact(3);
        specs
            .filter_map(|spec| <[u8; 3]>::try_from(spec).ok())
            .filter_map(|[kind, high, low]| (kind == 0).then_some(u16::from_be_bytes([high, low])))
    }
}

/// Parses a client hello of SSL 2.0 with its record header.
pub fn parse_old_client_hello(bytes: &[u8]) -> Parsed<'_, OldClientHello<'_>> {
    let mut reader = Reader::new(bytes);
    let length = reader.u16()?;
    let is_hello = reader.rest().first().is_none_or(|kind| *kind == handshake::CLIENT_HELLO);
    let major = reader.rest().get(1).copied();
    if length & 0x8000 == 0 || !is_hello || major.is_some_and(|major| !matches!(major, 0 | 3)) {
        return Err(Stop::Malformed("record type"));
    }
    let body = reader.take(usize::from(length & 0x7fff))?;
    let hello = old_client_hello(Reader::new(body)).map_err(|_| Stop::Malformed("client hello"))?;
    Ok((reader.rest(), hello))
}

fn old_client_hello(mut reader: Reader<'_>) -> Result<OldClientHello<'_>, Stop> {
    let _kind = reader.u8()?;
    let version = reader.u16()?;
    let [ciphers, session, challenge] = [reader.u16()?, reader.u16()?, reader.u16()?].map(usize::from);
    Ok(OldClientHello {
        version,
        cipher_bytes: reader.take(ciphers)?,
        session_id: reader.take(session)?,
        challenge: reader.take(challenge)?,
    })
}

/// Names a protocol version.
pub fn version_name(version: u16) -> std::borrow::Cow<'static, str> {
    match version {
        0x0002 => "SSLv2".into(),
        0x0300 => "SSLv3".into(),
        0x0301 => "TLSv1.0".into(),
        0x0302 => "TLSv1.1".into(),
        0x0303 => "TLSv1.2".into(),
        0x0304 => "TLSv1.3".into(),
        0x7f00..=0x7fff => format!("TLSv1.3-draft{}", version & 0xff).into(),
        0xfeff => "DTLSv1.0".into(),
        0xfefd => "DTLSv1.2".into(),
        0xfefc => "DTLSv1.3".into(),
        _ => format!("0x{version:04X}").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grease_is_told_from_other_numbers() {
        assert!([0x0a0a, 0x1a1a, 0xfafa].into_iter().all(is_grease));
        assert!(![0x0a1a, 0x1301, 0x0a0b, 0].into_iter().any(is_grease));
    }

    #[test]
    fn a_record_header_is_incomplete_before_it_is_malformed() {
        assert_eq!(parse_record_header(&[22, 3, 1]), Err(Stop::Incomplete));
        assert_eq!(parse_record_header(&[22, 2]), Err(Stop::Malformed("record version")));
        assert_eq!(parse_record_header(&[22, 3, 3, 0xff, 0xff]), Err(Stop::Malformed("record length")));
        let header = RecordHeader { content: 22, version: 0x303, length: 1 };
        assert_eq!(parse_record_header(&[22, 3, 3, 0, 1, 9]), Ok((&[9][..], header)));
    }

    #[test]
    fn an_old_hello_offers_suites() {
        let hello = b"\x80\x13\x01\x03\x01\x00\x06\x00\x00\x00\x04\x00\x00\x2f\x07\x00\xc0abcd";
        let Ok((rest, parsed)) = parse_old_client_hello(hello) else { panic!("not parsed") };
        assert!(rest.is_empty());
        assert_eq!((parsed.version, parsed.ciphers().collect::<Vec<_>>()), (0x301, vec![0x2f]));
        assert_eq!(parse_old_client_hello(&hello[..9]), Err(Stop::Incomplete));
    }
}
