//! SSH: one transaction for a flow with the banners and the offers of both sides, up to where encryption begins.

use infraspectre_core::app::ssh::{message, parse_key_exchange, parse_packet, KeyExchange};
use infraspectre_core::app::{bytes::drain, Consumed, Direction, Next, Probe, Stop};
use serde_json::{json, Map, Value};

use super::tls::put_fingerprint;
use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::{Field, HELLO, OFFER};
use crate::transaction::{index, Transaction};

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Ssh,
    transports: &[infraspectre_core::app::Transport::Stream],
    probe: |_, _, data, _| probe(data),
    session: |_| Box::new(Ssh::default()),
    describe,
};

/// Length of a banner from which on it is an event.
const MAX_BANNER: usize = 256;
/// Bytes of a packet's length, padding length and message number.
const PACKET_HEADER: usize = 6;
/// Longest offer that is read.
const MAX_OFFER: usize = 60_000;

fn probe(data: &[u8]) -> Probe {
    match data.get(..4) {
        Some(b"SSH-") => Probe::Certain,
        None if b"SSH-".starts_with(data) => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// How far one side has come.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Banner,
    /// The banner was too long: its end is awaited.
    RestOfBanner,
    Packets,
    Encrypted,
}

#[derive(Default)]
struct Side {
    stage: Stage,
    /// Bytes of a packet still to be passed over.
    skip: usize,
}

/// Reads both sides.
#[derive(Default)]
struct Ssh {
    number: Option<u64>,
    sides: [Side; 2],
}

impl Session for Ssh {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| self.step(direction, rest, output).map(|used| (used, Next::More)))
    }

    fn end(&mut self, direction: Direction, output: &mut Output<'_>) {
        if self.number.is_some() {
            self.transaction(output, |transaction| transaction.complete(direction));
        }
    }
}

impl Ssh {
    fn transaction(&mut self, output: &mut Output<'_>, act: impl FnOnce(&mut Transaction)) {
        let number = *self.number.get_or_insert_with(|| output.begin().number);
        if let Some(transaction) = output.get(number) {
            act(transaction);
        }
    }

    fn refuse<T>(&mut self, direction: Direction, event: &'static str, output: &mut Output<'_>) -> Result<T, Stop> {
        self.transaction(output, |transaction| transaction.event(direction, event));
        Err(Stop::Malformed(event))
    }

    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        match self.sides[index(direction)].stage {
            Stage::Banner => self.banner(direction, data, output),
            Stage::RestOfBanner => Ok(self.rest_of_banner(direction, data)),
            Stage::Packets => self.packet(direction, data, output),
            Stage::Encrypted => Ok(data.len()),
        }
    }

    fn banner(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        let end = memchr::memchr(b'\n', data);
        let line = match end {
            Some(end) => data.get(..end).unwrap_or_default(),
            None if data.len() < MAX_BANNER => return Err(Stop::Incomplete),
            None => data,
        };
        let Some((version, software)) = split_banner(line) else {
            return self.refuse(direction, "invalid_banner", output);
        };
        self.transaction(output, |transaction| {
            transaction.put(direction, Field::SshProtocol, version);
            if !software.is_empty() {
                transaction.put(direction, Field::SshSoftware, software);
            }
            if line.len() >= MAX_BANNER {
                transaction.event(direction, "long_banner");
            }
            transaction.advance(direction, HELLO);
        });
        self.sides[index(direction)].stage = match end {
            None => Stage::RestOfBanner,
            // Version 1 has packets of another form.
            Some(_) if version.starts_with(b"1.") && version != b"1.99" => Stage::Encrypted,
            Some(_) => Stage::Packets,
        };
        Ok(end.map_or(line.len(), |end| end + 1))
    }

    fn rest_of_banner(&mut self, direction: Direction, data: &[u8]) -> usize {
        let Some(end) = memchr::memchr(b'\n', data) else { return data.len() };
        self.sides[index(direction)].stage = Stage::Packets;
        end + 1
    }

    fn packet(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        let side = &mut self.sides[index(direction)];
        if side.skip > 0 {
            let passed = side.skip.min(data.len());
            side.skip -= passed;
            return Ok(passed);
        }
        let Some([a, b, c, d, _, kind]) = data.first_chunk::<PACKET_HEADER>() else { return Err(Stop::Incomplete) };
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        match *kind {
            _ if length < 2 => self.refuse(direction, "invalid_record", output),
            message::KEXINIT if length > MAX_OFFER => {
                self.transaction(output, |transaction| transaction.event(direction, "long_kex_record"));
                Ok(self.pass(direction, length))
            }
            message::KEXINIT => self.offer(direction, data, output),
            message::NEWKEYS => {
                self.new_keys(direction, output);
                Ok(self.pass(direction, length))
            }
            _ => Ok(self.pass(direction, length)),
        }
    }

    /// Passes over the packet whose header was read.
    fn pass(&mut self, direction: Direction, length: usize) -> usize {
        self.sides[index(direction)].skip = (length + 4).saturating_sub(PACKET_HEADER);
        PACKET_HEADER
    }

    fn offer(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<usize, Stop> {
        let (rest, packet) = match parse_packet(data) {
            Ok(parsed) => parsed,
            Err(Stop::Incomplete) => return Err(Stop::Incomplete),
            Err(_) => return self.refuse(direction, "invalid_record", output),
        };
        let offer = parse_key_exchange(packet.body).ok();
        self.transaction(output, |transaction| {
            if let Some((_, offer)) = offer {
                put_offer(&offer, direction, transaction);
            }
            transaction.advance(direction, OFFER);
        });
        Ok(data.len() - rest.len())
    }

    fn new_keys(&mut self, direction: Direction, output: &mut Output<'_>) {
        self.sides[index(direction)].stage = Stage::Encrypted;
        self.transaction(output, |transaction| transaction.complete(direction));
        if self.sides.iter().all(|side| side.stage == Stage::Encrypted) {
            output.requests.note_encrypted(Protocol::Ssh, output.settings);
        }
    }
}

/// Splits `SSH-version-software comment` into version and software.
fn split_banner(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_suffix(b"\r").unwrap_or(line).strip_prefix(b"SSH-")?;
    let dash = memchr::memchr(b'-', line).filter(|at| *at > 0)?;
    let software = line.get(dash + 1..)?;
    let end = memchr::memchr3(b' ', b'\r', b'\n', software).unwrap_or(software.len());
    Some((line.get(..dash)?, software.get(..end)?))
}

fn put_offer(offer: &KeyExchange<'_>, direction: Direction, transaction: &mut Transaction) {
    match direction {
        Direction::Orig => {
            let fields = [Field::SshHasshString, Field::SshHassh];
            put_fingerprint(direction, fields, transaction, || offer.hassh_text());
        }
        Direction::Resp => {
            let fields = [Field::SshHasshServerString, Field::SshHasshServer];
            put_fingerprint(direction, fields, transaction, || offer.hassh_server_text());
        }
    }
}

/// Adds the `ssh` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let client = side(transaction, Direction::Orig, Field::SshHassh, Field::SshHasshString);
    let server = side(transaction, Direction::Resp, Field::SshHasshServer, Field::SshHasshServerString);
    let sides = [("client", client), ("server", server)];
    let ssh: Map<String, Value> =
        sides.into_iter().filter(|(_, side)| !side.is_empty()).map(|(name, side)| (name.into(), side.into())).collect();
    event.insert("ssh".into(), ssh.into());
}

fn side(transaction: &Transaction, direction: Direction, hash: Field, string: Field) -> Map<String, Value> {
    let mut side = Map::new();
    for (name, field) in [("proto_version", Field::SshProtocol), ("software_version", Field::SshSoftware)] {
        if let Some(value) = transaction.value(direction, field) {
            side.insert(name.into(), lossy(value));
        }
    }
    let hassh = (transaction.value(direction, hash), transaction.value(direction, string));
    if let (Some(hash), Some(string)) = hassh {
        side.insert("hassh".into(), json!({"hash": lossy(hash), "string": lossy(string)}));
    }
    side
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, capture, feed};
    use super::*;

    fn packet(message: u8, body: &[u8]) -> Vec<u8> {
        let length = (body.len() as u32 + 6).to_be_bytes();
        [&length[..], &[4, message], body, &[0; 4]].concat()
    }

    fn side(banner: &[u8]) -> Vec<u8> {
        let lists = ["kex", "key", "c1", "c2", "m1", "m2", "z1", "z2", "", ""];
        let mut body = vec![7; 16];
        for list in lists {
            body.extend((list.len() as u32).to_be_bytes());
            body.extend(list.as_bytes());
        }
        body.extend([0; 5]);
        [banner, &packet(message::KEXINIT, &body), &packet(message::NEWKEYS, &[]), b"\xff\xffsecret"].concat()
    }

    #[test]
    fn banners_and_offers_of_both_sides_are_read() {
        let (client, server) = (side(b"SSH-2.0-Client_1 hello\r\n"), side(b"SSH-1.99-Server\n"));
        let conversation = feed(&ENTRY, [(Direction::Orig, &client[..]), (Direction::Resp, &server)]);
        assert_eq!(conversation.texts(Field::SshProtocol), ["2.0", "1.99"]);
        assert_eq!(conversation.texts(Field::SshSoftware), ["Client_1", "Server"]);
        assert_eq!(conversation.texts(Field::SshHasshString), ["kex;c1;m1;z1"]);
        assert_eq!(conversation.texts(Field::SshHasshServerString), ["kex;c2;m2;z2"]);
        assert!(conversation.requests.encrypted);
        assert_eq!(conversation.described()[0]["ssh"]["server"]["software_version"], "Server");
    }

    #[test]
    fn banners_that_are_none_or_too_long_are_events() {
        assert_eq!(feed(&ENTRY, [(Direction::Orig, &b"SSH-2.0\r\n"[..])]).events(), ["invalid_banner"]);
        let long = [b"SSH-2.0-", &[b'a'; 300][..], b"\r\n"].concat();
        assert_eq!(feed(&ENTRY, [(Direction::Orig, &long[..])]).events(), ["long_banner"]);
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        let (client, server) = (side(b"SSH-2.0-Client_1\r\n"), side(b"SSH-1.99-Server\n"));
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Orig, &client), (Direction::Resp, &server)]);
    }

    #[test]
    fn captures_give_what_rules_ask_for() {
        let Some(flows) = capture("tests/ssh-hassh-reassembled/input.pcap") else { return };
        let hash = "3cc67862bceac0f334c62ad1b76895b4";
        assert_eq!(flows[0].texts(Field::SshHassh), [hash]);
        assert_eq!(flows[0].texts(Field::SshHasshServer), [hash]);
        let Some(flows) = capture("tests/bug-4903/bug-4903-01/input.pcap") else { return };
        assert_eq!(flows[0].texts(Field::SshProtocol), ["1.99"]);
        let Some(flows) = capture("tests/ssh-banner-only/input.pcap") else { return };
        assert!(flows[0].texts(Field::SshSoftware).iter().all(|software| software.starts_with("OpenSSH")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..200, pieces in 1usize..4) {
            let mut hostile = side(b"SSH-2.0-a\r\n");
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
        }
    }
}
