//! QUIC packets and frames on the wire (RFC 9000, versions of RFC 9001 and RFC 9369), and their first protection.

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::Aes128;
use aes_gcm::aead::{Aead, Payload};
use aes_gcm::Aes128Gcm;
use hkdf::Hkdf;
use sha2::Sha256;

use super::super::bytes::Reader;
use super::super::{Parsed, Stop};

/// Version numbers: RFC 9000 and RFC 9369.
pub const V1: u32 = 0x0000_0001;
pub const V2: u32 = 0x6b33_43cf;
/// Longest connection id of these versions (RFC 9000, 17.2).
pub const MAX_CONNECTION_ID: usize = 20;
/// Where the sample for header protection starts after the packet number's place (RFC 9001, 5.4.2).
const SAMPLE_AT: usize = 4;

/// Reads a number of one, two, four or eight bytes (RFC 9000, 16).
pub fn varint(reader: &mut Reader<'_>) -> Result<u64, Stop> {
    let first = reader.u8()?;
    let more = reader.take((1 << (first >> 6)) - 1)?;
    Ok(more.iter().fold(u64::from(first & 0x3f), |number, byte| number << 8 | u64::from(*byte)))
}

fn varint_length(reader: &mut Reader<'_>) -> Result<usize, Stop> {
    varint(reader).map(|length| usize::try_from(length).unwrap_or(usize::MAX))
}

/// Tells whether the salts and labels of a version are known here.
pub const fn is_known(version: u32) -> bool {
    salt(version).is_some()
}

/// Returns the salt of a version's first keys (RFC 9001, 5.2; RFC 9369, 3.3.1; the drafts 23 to 34 of RFC 9001).
const fn salt(version: u32) -> Option<[u8; 20]> {
    match version {
        V1 | 0xff00_0021 | 0xff00_0022 => Some([
            0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad, 0xcc, 0xbb,
            0x7f, 0x0a,
        ]),
        V2 => Some([
            0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb, 0xf9, 0xbd,
            0x2e, 0xd9,
        ]),
        0xff00_0017..=0xff00_001c => Some([
            0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65, 0xbe, 0xf9,
            0xf5, 0x02,
        ]),
        0xff00_001d..=0xff00_0020 => Some([
            0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0, 0x43, 0x90,
            0xa8, 0x99,
        ]),
        _ => None,
    }
}

/// What a packet with a long header is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
    VersionNegotiation,
    /// Of a version that is not known here.
    Unknown,
}

/// A packet with a long header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    pub kind: Kind,
    pub version: u32,
    pub destination: &'a [u8],
    pub source: &'a [u8],
    pub token: &'a [u8],
    /// The header up to the packet number.
    head: &'a [u8],
    /// Packet number and payload; for packets without a length, all that follows the connection ids.
    protected: &'a [u8],
}

/// Parses a packet with a long header (RFC 9000, 17.2); what follows it in the datagram is the rest.
pub fn parse_packet(bytes: &[u8]) -> Parsed<'_, Packet<'_>> {
    let mut reader = Reader::new(bytes);
    let first = reader.u8()?;
    if first & 0x80 == 0 {
        return Err(Stop::Malformed("short header"));
    }
    let version = reader.u32()?;
    let kind = kind(first, version);
    let destination = reader.prefixed8()?;
    let source = reader.prefixed8()?;
    if is_known(version) && destination.len().max(source.len()) > MAX_CONNECTION_ID {
        return Err(Stop::Malformed("connection id too long"));
    }
    let mut packet = Packet { kind, version, destination, source, token: &[], head: bytes, protected: reader.rest() };
    if matches!(kind, Kind::Retry | Kind::VersionNegotiation | Kind::Unknown) {
        return Ok((&[], packet));
    }
    body(&mut reader, bytes, &mut packet)?;
    Ok((reader.rest(), packet))
}

/// Reads token and length and the bytes they announce.
fn body<'a>(reader: &mut Reader<'a>, bytes: &'a [u8], packet: &mut Packet<'a>) -> Result<(), Stop> {
    if packet.kind == Kind::Initial {
        let length = varint_length(reader)?;
        packet.token = reader.take(length)?;
    }
    let length = varint_length(reader)?;
    packet.head = bytes.get(..bytes.len() - reader.rest().len()).ok_or(Stop::Incomplete)?;
    packet.protected = reader.take(length)?;
    Ok(())
}

/// Reads the packet type, which version 2 counts differently (RFC 9369, 3.2).
fn kind(first: u8, version: u32) -> Kind {
    const KINDS: [Kind; 4] = [Kind::Initial, Kind::ZeroRtt, Kind::Handshake, Kind::Retry];
    let shift = u8::from(version == V2);
    match version {
        0 => Kind::VersionNegotiation,
        _ if is_known(version) => KINDS[usize::from((first >> 4).wrapping_sub(shift) & 3)],
        _ => Kind::Unknown,
    }
}

/// The sender of a packet, whose keys protect it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    Client,
    Server,
}

/// Keys of Initial packets of one sender (RFC 9001, 5.1 and 5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    header: [u8; 16],
}

impl Keys {
    /// Derives the keys from the destination connection id of the client's first packet.
    pub fn initial(version: u32, destination: &[u8], sender: Sender) -> Option<Self> {
        let secrets = Hkdf::<Sha256>::new(Some(&salt(version)?), destination);
        let label = match sender {
            Sender::Client => "client in",
            Sender::Server => "server in",
        };
        let secret = Hkdf::<Sha256>::from_prk(&expand::<32>(&secrets, label)?).ok()?;
        let [key, iv, header] = match version {
            V2 => ["quicv2 key", "quicv2 iv", "quicv2 hp"],
            _ => ["quic key", "quic iv", "quic hp"],
        };
        Some(Self { key: expand(&secret, key)?, iv: expand(&secret, iv)?, header: expand(&secret, header)? })
    }

    /// Returns the mask over the first byte and the packet number (RFC 9001, 5.4.3).
    fn mask(&self, sample: [u8; 16]) -> [u8; 16] {
        let mut block = sample.into();
        Aes128::new(&self.header.into()).encrypt_block(&mut block);
        block.into()
    }

    /// Returns the nonce of a packet number (RFC 9001, 5.3).
    fn nonce(&self, number: u32) -> [u8; 12] {
        (u128::from_be_bytes(widen(self.iv)) ^ u128::from(number)).to_be_bytes()[4..].try_into().unwrap_or(self.iv)
    }
}

fn widen(iv: [u8; 12]) -> [u8; 16] {
    let mut wide = [0; 16];
    wide[4..].copy_from_slice(&iv);
    wide
}

/// HKDF-Expand-Label of TLS 1.3 with an empty context (RFC 8446, 7.1).
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let mut out = [0; N];
    let lengths = [0, u8::try_from(N).ok()?, u8::try_from(label.len() + 6).ok()?];
    let info = [&lengths[..], b"tls13 ", label.as_bytes(), &[0]].concat();
    secret.expand(&info, &mut out).ok()?;
    Some(out)
}

/// Decrypts an Initial packet; `None` if the keys do not fit.
///
/// Packet numbers are taken as sent: the first packets of a connection have no more bits.
pub fn open(packet: &Packet<'_>, keys: &Keys) -> Option<Vec<u8>> {
    let mask = keys.mask(Reader::at(packet.protected, SAMPLE_AT).ok()?.array().ok()?);
    let mut head = packet.head.to_vec();
    let first = head.first_mut()?;
    *first ^= mask[0] & 0x0f;
    let (number, payload) = packet.protected.split_at_checked(usize::from(*first & 3) + 1)?;
    head.extend(number.iter().zip(&mask[1..]).map(|(byte, mask)| byte ^ mask));
    let clear = head.get(packet.head.len()..)?;
    let number = clear.iter().fold(0, |number, byte| number << 8 | u32::from(*byte));
    let sealed = Payload { msg: payload, aad: &head };
    Aes128Gcm::new(&keys.key.into()).decrypt(&keys.nonce(number).into(), sealed).ok()
}

/// A piece of the handshake at its place in the stream of handshake bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    pub offset: u64,
    pub data: &'a [u8],
}

/// Returns the CRYPTO frames of an Initial packet (RFC 9000, 17.2.2 and 19); ends at a frame that may not be there.
pub fn crypto_frames(payload: &[u8]) -> impl Iterator<Item = Crypto<'_>> {
    let mut reader = Reader::new(payload);
    std::iter::from_fn(move || loop {
        if let Some(crypto) = frame(&mut reader).ok()? {
            return Some(crypto);
        }
    })
}

/// Passes over one frame; tells its content if it carries handshake bytes.
fn frame<'a>(reader: &mut Reader<'a>) -> Result<Option<Crypto<'a>>, Stop> {
    match varint(reader)? {
        0 | 1 => {}
        kind @ (2 | 3) => {
            let [_largest, _delay, ranges, _first] =
                [varint(reader)?, varint(reader)?, varint(reader)?, varint(reader)?];
            let numbers = ranges.saturating_mul(2).saturating_add(if kind == 3 { 3 } else { 0 });
            for _ in 0..numbers {
                varint(reader)?;
            }
        }
        6 => {
            let offset = varint(reader)?;
            let length = varint_length(reader)?;
            return Ok(Some(Crypto { offset, data: reader.take(length)? }));
        }
        _ => return Err(Stop::Malformed("frame type")),
    }
    Ok(None)
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::super::tls::hex;
    use super::*;

    /// Connection id of the examples in RFC 9001, Appendix A.
    pub const DESTINATION: &[u8] = &[0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    /// CRYPTO frame of RFC 9001, A.2.
    pub const CLIENT_FRAME: &str =
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47f06a2b69484c\
        00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00080006001d00170018\
        00100007000504616c706e000500050100000000003300260024001d00209370b2c9caa47fbabaf4559fedba753de171\
        fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e0403050306030203080408050806002d00020101001c\
        00024001003900320408ffffffffffffffff05048000ffff07048000ffff0801100104800075300901100f088394c8f03e\
        51570806048000ffff";
    /// Protected packet of RFC 9001, A.3.
    pub const SERVER_PACKET: &str =
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a5816b6394100f37a1c\
        69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b\
        562bfb19fb84022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc42158407dd074ee";

    pub fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text.bytes().filter_map(|byte| char::from(byte).to_digit(16)).map(|d| d as u8).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    /// Protects an Initial packet of a client with a packet number of four bytes and padding to the size of A.2.
    pub fn seal(version: u32, number: u32, payload: &[u8]) -> Vec<u8> {
        let keys = Keys::initial(version, DESTINATION, Sender::Client).unwrap();
        let mut payload = payload.to_vec();
        payload.resize(1162, 0);
        let first = if version == V2 { 0xd3 } else { 0xc3 };
        let ids = [&[DESTINATION.len() as u8], DESTINATION, &[0, 0]].concat();
        let mut head = [&[first], &version.to_be_bytes()[..], &ids, &[0x44, 0x9e], &number.to_be_bytes()].concat();
        let message = Payload { msg: &payload, aad: &head };
        let sealed = Aes128Gcm::new(&keys.key.into()).encrypt(&keys.nonce(number).into(), message).unwrap();
        let mask = keys.mask(sealed[..16].try_into().unwrap());
        head[0] ^= mask[0] & 0x0f;
        let number_at = head.len() - 4;
        head[number_at..].iter_mut().zip(&mask[1..]).for_each(|(byte, mask)| *byte ^= mask);
        [head, sealed].concat()
    }

    fn key_text(version: u32, sender: Sender) -> [String; 3] {
        let keys = Keys::initial(version, DESTINATION, sender).unwrap();
        [hex(&keys.key), hex(&keys.iv), hex(&keys.header)]
    }

    #[test]
    fn keys_match_rfc_9001_and_rfc_9369() {
        let client =
            ["1f369613dd76d5467730efcbe3b1a22d", "fa044b2f42a3fd3b46fb255c", "9f50449e04a0e810283a1e9933adedd2"];
        let server =
            ["cf3a5331653c364c88f0f379b6067e37", "0ac1493ca1905853b0bba03e", "c206b8d9b9f0f37644430b490eeaa314"];
        let second =
            ["8b1a0bc121284290a29e0971b5cd045d", "91f73e2351d8fa91660e909f", "45b95e15235d6f45a6b19cbcb0294ba9"];
        assert_eq!(key_text(V1, Sender::Client), client);
        assert_eq!(key_text(V1, Sender::Server), server);
        assert_eq!(key_text(V2, Sender::Client), second);
        assert_eq!(Keys::initial(0xdead_beef, DESTINATION, Sender::Client), None);
    }

    #[test]
    fn a_client_packet_matches_rfc_9001() {
        let sealed = seal(V1, 2, &unhex(CLIENT_FRAME));
        let start = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11d242b123dc9b";
        assert_eq!(hex(&sealed[..start.len() / 2]), start);
        assert_eq!(hex(&sealed[sealed.len() - 16..]), "e221af44860018ab0856972e194cd934");
        let (_, packet) = parse_packet(&sealed).unwrap();
        let keys = Keys::initial(V1, DESTINATION, Sender::Client).unwrap();
        assert!(open(&packet, &keys).unwrap().starts_with(&unhex(CLIENT_FRAME)));
    }

    #[test]
    fn a_server_packet_of_rfc_9001_opens_unless_changed() {
        let mut bytes = unhex(SERVER_PACKET);
        let keys = Keys::initial(V1, DESTINATION, Sender::Server).unwrap();
        let clear = open(&parse_packet(&bytes).unwrap().1, &keys).unwrap();
        let frames: Vec<_> = crypto_frames(&clear).collect();
        assert_eq!((frames.len(), frames[0].offset, frames[0].data.len()), (1, 0, 90));
        bytes[40] ^= 1;
        assert_eq!(open(&parse_packet(&bytes).unwrap().1, &keys), None);
    }

    #[test]
    fn frames_before_and_after_are_passed_over() {
        let payload = [0, 1, 3, 5, 0, 1, 0, 1, 1, 9, 9, 9, 6, 0x40, 0x80, 2, 7, 8, 0x1c, 6, 0, 0];
        let frames: Vec<_> = crypto_frames(&payload).collect();
        assert_eq!(frames, [Crypto { offset: 128, data: &[7, 8] }]);
    }

    #[test]
    fn incomplete_is_not_malformed() {
        let bytes = unhex(SERVER_PACKET);
        assert!((0..bytes.len()).all(|cut| parse_packet(&bytes[..cut]) == Err(Stop::Incomplete)));
    }
}
