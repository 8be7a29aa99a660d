//! SSH: identification strings and the key exchange offers of both sides (RFC 4253), with HASSH fingerprints.

use std::fmt::Write;

use md5::{Digest, Md5};

use super::bytes::{drain, Reader};
use super::line::split_line;
use super::{field, Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport, Value};

/// Longest line before the packets: RFC 4253, 4.2 allows 255 bytes, servers in the wild send longer notices.
pub const MAX_LINE: usize = 1024;
/// Longest packet read; RFC 4253, 6.1 asks implementations to accept 35,000 bytes.
pub const MAX_PACKET: usize = 60_000;

/// Message numbers (RFC 4253, 12; RFC 4419; RFC 5656).
pub mod message {
    pub const KEXINIT: u8 = 20;
    pub const NEWKEYS: u8 = 21;
    pub const KEX_INIT: u8 = 30;
    pub const KEX_REPLY: u8 = 31;
    pub const KEX_GEX_INIT: u8 = 32;
    pub const KEX_GEX_REPLY: u8 = 33;
    pub const KEX_GEX_REQUEST: u8 = 34;
}

/// One unencrypted packet (RFC 4253, 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Message number.
    pub message: u8,
    /// What follows the message number, without the padding.
    pub body: &'a [u8],
}

/// A key exchange offer: comma-separated name lists in order of preference (RFC 4253, 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyExchange<'a> {
    pub cookie: [u8; 16],
    pub kex_algorithms: &'a [u8],
    pub host_key_algorithms: &'a [u8],
    pub ciphers_to_server: &'a [u8],
    pub ciphers_to_client: &'a [u8],
    pub macs_to_server: &'a [u8],
    pub macs_to_client: &'a [u8],
    pub compressions_to_server: &'a [u8],
    pub compressions_to_client: &'a [u8],
    pub languages_to_server: &'a [u8],
    pub languages_to_client: &'a [u8],
    pub first_packet_follows: bool,
}

impl KeyExchange<'_> {
    /// Computes HASSH, the fingerprint of a client's offer, as lower-case hexadecimal (salesforce/hassh).
    pub fn hassh(&self) -> String {
        fingerprint(&self.hassh_text())
    }

    /// Writes what HASSH hashes.
    pub fn hassh_text(&self) -> Vec<u8> {
        [self.kex_algorithms, self.ciphers_to_server, self.macs_to_server, self.compressions_to_server].join(&b';')
    }

    /// Computes hasshServer, the fingerprint of a server's offer (salesforce/hassh).
    pub fn hassh_server(&self) -> String {
        fingerprint(&self.hassh_server_text())
    }

    /// Writes what hasshServer hashes.
    pub fn hassh_server_text(&self) -> Vec<u8> {
        [self.kex_algorithms, self.ciphers_to_client, self.macs_to_client, self.compressions_to_client].join(&b';')
    }
}

fn fingerprint(text: &[u8]) -> String {
    let digest = Md5::digest(text);
    digest.iter().fold(String::with_capacity(32), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads one line and returns what follows `SSH-`; none for the notices that may come before (RFC 4253, 4.2).
pub fn parse_identification(data: &[u8]) -> Parsed<'_, Option<&[u8]>> {
    let (rest, line) = split_line(data, MAX_LINE)?;
    Ok((rest, line.strip_prefix(b"SSH-")))
}

/// Reads one packet of the unencrypted phase.
pub fn parse_packet(data: &[u8]) -> Parsed<'_, Packet<'_>> {
    let mut reader = Reader::new(data);
    let length = reader.u32()? as usize;
    if !(2..=MAX_PACKET).contains(&length) {
        return Err(Stop::Malformed("ssh packet length"));
    }
    let (padding, payload) = reader.take(length)?.split_first().ok_or(Stop::Incomplete)?;
    let unpadded = payload.len().checked_sub(usize::from(*padding)).and_then(|end| payload.get(..end));
    let (message, body) = unpadded.and_then(<[u8]>::split_first).ok_or(Stop::Malformed("ssh padding length"))?;
    Ok((reader.rest(), Packet { message: *message, body }))
}

/// Reads the body of a KEXINIT message.
pub fn parse_key_exchange(body: &[u8]) -> Parsed<'_, KeyExchange<'_>> {
    let mut reader = Reader::new(body);
    let offer = KeyExchange {
        cookie: reader.array()?,
        kex_algorithms: name_list(&mut reader)?,
        host_key_algorithms: name_list(&mut reader)?,
        ciphers_to_server: name_list(&mut reader)?,
        ciphers_to_client: name_list(&mut reader)?,
        macs_to_server: name_list(&mut reader)?,
        macs_to_client: name_list(&mut reader)?,
        compressions_to_server: name_list(&mut reader)?,
        compressions_to_client: name_list(&mut reader)?,
        languages_to_server: name_list(&mut reader)?,
        languages_to_client: name_list(&mut reader)?,
        first_packet_follows: reader.u8()? != 0,
    };
    reader.u32()?;
    Ok((reader.rest(), offer))
}

fn name_list<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let length = reader.u32()? as usize;
    reader.take(length)
}

/// Picks the first name of the client's list that the server's list also holds (RFC 4253, 7.1).
pub fn agreed<'a>(client: &'a [u8], server: &[u8]) -> Option<&'a [u8]> {
    let mut offered: Vec<&[u8]> = server.split(|byte| *byte == b',').collect();
    offered.sort_unstable();
    client.split(|byte| *byte == b',').find(|name| !name.is_empty() && offered.binary_search(name).is_ok())
}

/// Recognises the identification string.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    match (transport, data.get(..4)) {
        (Transport::Stream, Some(b"SSH-")) => Probe::Certain,
        (Transport::Stream, None) if b"SSH-".starts_with(data) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// What one side sent.
#[derive(Default)]
struct Side {
    identification: Option<Box<[u8]>>,
    offer: Option<Offer>,
}

/// The parts of an offer that fields need, at most [`MAX_PACKET`] bytes.
struct Offer {
    hassh: String,
    hassh_server: String,
    kex_algorithms: Box<[u8]>,
    host_key_algorithms: Box<[u8]>,
    ciphers_to_server: Box<[u8]>,
}

impl From<KeyExchange<'_>> for Offer {
    fn from(offer: KeyExchange<'_>) -> Self {
        Self {
            hassh: offer.hassh(),
            hassh_server: offer.hassh_server(),
            kex_algorithms: offer.kex_algorithms.into(),
            host_key_algorithms: offer.host_key_algorithms.into(),
            ciphers_to_server: offer.ciphers_to_server.into(),
        }
    }
}

/// Follows both sides up to the first message of the key exchange itself, which tells client from server.
pub struct Session {
    sides: [Side; 2],
    client: Direction,
}

impl Session {
    /// Starts with the originator as the client.
    pub fn new(_transport: Transport) -> Self {
        Self { sides: Default::default(), client: Direction::Orig }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        let side = &mut self.sides[direction as usize];
        let (rest, next) = if side.identification.is_none() {
            let (rest, identification) = parse_identification(data)?;
            side.identification = identification.map(Into::into);
            self.report(fields);
            (rest, self.after_identification())
        } else if is_version_1(side) {
            (&[][..], Next::More)
        } else {
            let (rest, packet) = parse_packet(data)?;
            (rest, self.packet(direction, packet, fields)?)
        };
        Ok((data.len() - rest.len(), next))
    }

    /// SSH 1 has another key exchange: nothing more is read once both sides are identified.
    fn after_identification(&self) -> Next {
        let both = self.sides.iter().all(|side| side.identification.is_some());
        if both && self.sides.iter().any(is_version_1) {
            Next::Done
        } else {
            Next::More
        }
    }

    /// Reads a packet; a side's first offer stays, so that repeated ones cost nothing.
    fn packet(&mut self, direction: Direction, packet: Packet<'_>, fields: &mut Fields) -> Result<Next, Stop> {
        let offer = &mut self.sides[direction as usize].offer;
        match packet.message {
            message::KEXINIT if offer.is_none() => {
                let (_, found) = parse_key_exchange(packet.body).map_err(|_| Stop::Malformed("ssh key exchange"))?;
                *offer = Some(found.into());
                self.report(fields);
                Ok(Next::More)
            }
            message::KEX_INIT | message::KEX_GEX_INIT | message::KEX_GEX_REQUEST => {
                Ok(self.client_is(direction, fields))
            }
            message::KEX_REPLY | message::KEX_GEX_REPLY => Ok(self.client_is(direction.opposite(), fields)),
            message::NEWKEYS => Ok(Next::Done),
            _ => Ok(Next::More),
        }
    }

    fn client_is(&mut self, client: Direction, fields: &mut Fields) -> Next {
        if self.client != client {
            self.client = client;
            self.report(fields);
        }
        let complete = self.sides.iter().all(|side| side.offer.is_some());
        if complete {
            Next::Done
        } else {
            Next::More
        }
    }

    fn report(&self, fields: &mut Fields) {
        let client = &self.sides[self.client as usize];
        let server = &self.sides[self.client.opposite() as usize];
        let mut put = |field, text: Option<&[u8]>| match text {
            Some(bytes) => fields.replace(field, Value::Text(field::printable(bytes))),
            None => fields.remove(field),
        };
        put(Field::SshClient, client.identification.as_deref());
        put(Field::SshServer, server.identification.as_deref());
        put(Field::SshHassh, client.offer.as_ref().map(|offer| offer.hassh.as_bytes()));
        put(Field::SshHasshServer, server.offer.as_ref().map(|offer| offer.hassh_server.as_bytes()));
        if let (Some(ours), Some(theirs)) = (&client.offer, &server.offer) {
            put(Field::SshKexAlgorithm, agreed(&ours.kex_algorithms, &theirs.kex_algorithms));
            put(Field::SshHostKeyAlgorithm, agreed(&ours.host_key_algorithms, &theirs.host_key_algorithms));
            put(Field::SshCipher, agreed(&ours.ciphers_to_server, &theirs.ciphers_to_server));
        }
    }
}

fn is_version_1(side: &Side) -> bool {
    side.identification.as_deref().is_some_and(|text| text.starts_with(b"1.") && !text.starts_with(b"1.99"))
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        drain(data, |rest| self.step(direction, rest, fields))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed};
    use super::*;

    const LISTS: [&str; 10] = [
        "curve25519-sha256,diffie-hellman-group14-sha1,ext-info-c",
        "ssh-ed25519,ssh-rsa",
        "aes128-ctr,aes256-ctr",
        "aes192-ctr",
        "hmac-sha2-256",
        "hmac-sha1",
        "none,zlib@openssh.com",
        "none",
        "",
        "",
    ];

    fn packet(message: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = (body.len() as u32 + 6).to_be_bytes().to_vec();
        bytes.extend([4, message]);
        bytes.extend(body);
        bytes.extend([0; 4]);
        bytes
    }

    fn offer(lists: [&str; 10]) -> Vec<u8> {
        let mut body = vec![7; 16];
        for list in lists {
            body.extend((list.len() as u32).to_be_bytes());
            body.extend(list.as_bytes());
        }
        body.extend([0; 5]);
        packet(message::KEXINIT, &body)
    }

    fn conversation() -> [Vec<u8>; 3] {
        let client = [&b"SSH-2.0-OpenSSH_9.6\r\n"[..], &offer(LISTS)].concat();
        let mut lists = LISTS;
        lists[0] = "diffie-hellman-group14-sha1,curve25519-sha256";
        lists[1] = "ssh-rsa";
        let server = [&b"Welcome\r\nSSH-2.0-dropbear\r\n"[..], &offer(lists)].concat();
        [server, client, packet(message::KEX_INIT, b"e")]
    }

    fn text(fields: &Fields, field: Field) -> &str {
        match fields.get(field) {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    #[test]
    fn both_offers_give_fingerprints_and_agreement() {
        let [server, client, init] = conversation();
        let pieces = [(Direction::Resp, &server[..]), (Direction::Orig, &client), (Direction::Orig, &init)];
        let (fields, next) = feed(&mut Session::new(Transport::Stream), pieces);
        assert_eq!(next, Next::Done);
        assert_eq!(text(&fields, Field::SshClient), "2.0-OpenSSH_9.6");
        assert_eq!(text(&fields, Field::SshServer), "2.0-dropbear");
        assert_eq!(text(&fields, Field::SshKexAlgorithm), "curve25519-sha256");
        assert_eq!(text(&fields, Field::SshHostKeyAlgorithm), "ssh-rsa");
        assert_eq!(text(&fields, Field::SshCipher), "aes128-ctr");
    }

    #[test]
    fn the_key_exchange_tells_who_the_client_is() {
        let [server, client, init] = conversation();
        let pieces = [(Direction::Orig, &server[..]), (Direction::Resp, &client), (Direction::Resp, &init)];
        let (fields, _) = feed(&mut Session::new(Transport::Stream), pieces);
        assert_eq!(text(&fields, Field::SshClient), "2.0-OpenSSH_9.6");
        let alone =
            feed(&mut Session::new(Transport::Stream), [(Direction::Resp, &client[..]), (Direction::Resp, &init)]);
        assert_eq!(text(&alone.0, Field::SshClient), "2.0-OpenSSH_9.6");
        assert_eq!(alone.0.get(Field::SshServer), None);
    }

    /// The offer of Cyberduck 6.7.1, the published example (salesforce/hassh, README, example 1).
    #[test]
    fn hassh_is_the_md5_of_the_algorithm_string() {
        let kex = "curve25519-sha256@libssh.org,diffie-hellman-group-exchange-sha256,ecdh-sha2-nistp521,\
            ecdh-sha2-nistp384,ecdh-sha2-nistp256,diffie-hellman-group-exchange-sha1,diffie-hellman-group1-sha1,\
            diffie-hellman-group14-sha1,diffie-hellman-group14-sha256,diffie-hellman-group15-sha512,\
            diffie-hellman-group16-sha512,diffie-hellman-group17-sha512,diffie-hellman-group18-sha512,\
            diffie-hellman-group14-sha256@ssh.com,diffie-hellman-group15-sha256,diffie-hellman-group15-sha256@ssh.com,\
            diffie-hellman-group15-sha384@ssh.com,diffie-hellman-group16-sha256,diffie-hellman-group16-sha384@ssh.com,\
            diffie-hellman-group16-sha512@ssh.com,diffie-hellman-group18-sha512@ssh.com";
        let ciphers = "aes128-cbc,aes128-ctr,aes192-cbc,aes192-ctr,aes256-cbc,aes256-ctr,blowfish-cbc,blowfish-ctr,\
            cast128-cbc,cast128-ctr,idea-cbc,idea-ctr,serpent128-cbc,serpent128-ctr,serpent192-cbc,serpent192-ctr,\
            serpent256-cbc,serpent256-ctr,3des-cbc,3des-ctr,twofish128-cbc,twofish128-ctr,twofish192-cbc,\
            twofish192-ctr,twofish256-cbc,twofish256-ctr,twofish-cbc,arcfour,arcfour128,arcfour256";
        let macs = "hmac-sha1,hmac-sha1-96,hmac-md5,hmac-md5-96,hmac-sha2-256,hmac-sha2-512";
        let bytes = offer([kex, "", ciphers, "", macs, "", "zlib@openssh.com,zlib,none", "", "", ""]);
        let (_, packet) = parse_packet(&bytes).unwrap();
        let (_, offer) = parse_key_exchange(packet.body).unwrap();
        assert_eq!(offer.hassh(), "8a8ae540028bf433cd68356c1b9e8d5b");
    }

    #[test]
    fn cuts_do_not_matter() {
        let [server, client, init] = conversation();
        let pieces = [(Direction::Resp, &server[..]), (Direction::Orig, &client), (Direction::Orig, &init)];
        assert_cuts_do_not_matter(|| Session::new(Transport::Stream), &pieces);
    }

    #[test]
    fn incomplete_is_not_malformed() {
        let bytes = offer(LISTS);
        assert_eq!(parse_packet(&bytes[..bytes.len() - 1]), Err(Stop::Incomplete));
        assert_eq!(parse_packet(&[0xff; 4]), Err(Stop::Malformed("ssh packet length")));
        assert_eq!(parse_packet(&[0, 0, 0, 2, 9, 20]), Err(Stop::Malformed("ssh padding length")));
        assert_eq!(probe(Transport::Stream, Direction::Orig, b"SS", (0, 0)), Probe::Unsure);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..300), pieces in 1..9_usize) {
            let banner = [b"SSH-2.0-x\n", &data[..]].concat();
            assert_any_bytes_are_safe(&mut Session::new(Transport::Stream), &data, pieces);
            assert_any_bytes_are_safe(&mut Session::new(Transport::Stream), &banner, 1);
        }
    }
}
