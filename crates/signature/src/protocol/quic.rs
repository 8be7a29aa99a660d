//! QUIC: a transaction for each packet with a long header, up to the hello of its side; Google's QUIC up to its hello.

use infraspectre_core::app::bytes::Reader;
use infraspectre_core::app::quic::{
    crypto_frames, open, parse_packet, varint, CryptoStream, Keys, Kind, Packet, Sender, V1, V2,
};
use infraspectre_core::app::tls::{
    handshake, hex, ja3_text, ja3s_text, ja4, parse_client_hello, parse_handshake, parse_server_hello, Carrier,
    ClientHello,
};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use md5::{Digest, Md5};
use serde_json::{json, Map, Value};

use super::tls::{describe_fingerprints, put_fingerprint};
use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Quic,
    transports: &[Transport::Datagram],
    probe: |_, _, data, ports| probe(data, ports),
    session: |_| Box::new(Quic::default()),
    describe,
};

/// Ports on which QUIC is looked for.
const PORTS: [u16; 2] = [443, 80];
/// Length of the connection id that a short header is taken to have.
const SHORT_ID: usize = 16;
/// The extension with QUIC's transport parameters (RFC 9001, 8.2), and Google's parameter that names the client.
const TRANSPORT_PARAMETERS: [u16; 2] = [57, 0xffa5];
const USER_AGENT: u64 = 0x3129;
/// Tags of a hello of Google's QUIC that are read.
const MAX_TAGS: usize = 128;
/// Bytes after the header of Google's QUIC in which its hello begins.
const HELLO_WITHIN: usize = 64;

fn probe(data: &[u8], ports: (u16, u16)) -> Probe {
    match PORTS.contains(&ports.1) && has_header(data).is_some() {
        true => Probe::Certain,
        false => Probe::NotForUs,
    }
}

/// Tells whether a datagram begins with what may be a header: there is little that must be so.
fn has_header(data: &[u8]) -> Option<()> {
    let mut reader = Reader::new(data);
    let first = reader.u8().ok()?;
    if first & 0x80 == 0 {
        return reader.take(SHORT_ID).ok().map(|_| ());
    }
    let version = reader.u32().ok()?;
    if google_version(data).is_some() {
        let lengths = reader.u8().ok()?;
        let ids = [lengths >> 4, lengths & 15].map(|length| if length == 0 { 0 } else { usize::from(length) + 3 });
        return reader.take(ids[0] + ids[1]).ok().map(|_| ());
    }
    reader.prefixed8().ok()?;
    reader.prefixed8().ok()?;
    if is_initial(first, version) {
        let token = varint(&mut reader).ok()?;
        reader.take(usize::try_from(token).ok()?).ok()?;
        let length = varint(&mut reader).ok()?;
        reader.take(usize::try_from(length).ok()?).ok()?;
    }
    Some(())
}

/// Tells whether a long header is that of an Initial packet, which version 2 counts differently (RFC 9369, 3.2).
fn is_initial(first: u8, version: u32) -> bool {
    version != 0 && first >> 4 & 3 == u8::from(version == V2)
}

/// Returns the version of a long header of Google's QUIC, `Q044` to `Q046`.
fn google_version(data: &[u8]) -> Option<[u8; 4]> {
    let (first, rest) = data.split_first()?;
    let version = *rest.first_chunk::<4>()?;
    (*first & 0x80 != 0 && matches!(version, [b'Q', b'0', b'4', b'4'..=b'6'])).then_some(version)
}

#[derive(Default)]
struct Quic {
    /// Destination connection id that the keys come from.
    origin: Option<Vec<u8>>,
    streams: [CryptoStream; 2],
    greeted: [bool; 2],
}

impl Session for Quic {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let next = match google_version(data) {
            Some(version) => {
                self.google(version, direction, data, output);
                Next::More
            }
            None => self.packets(direction, data, output),
        };
        Consumed { bytes: data.len(), next }
    }
}

/// Begins the transaction of a packet, acts on it and completes it.
fn message(direction: Direction, version: &str, output: &mut Output<'_>, act: impl FnOnce(&mut Transaction)) {
    let transaction = output.message(direction);
    transaction.put(direction, Field::QuicVersion, version.as_bytes());
    act(transaction);
    transaction.complete(Direction::Orig);
    transaction.complete(Direction::Resp);
}

impl Quic {
    fn packets(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Next {
        let mut rest = data;
        while let Some(first) = rest.first().filter(|first| *first & 0x80 != 0 && !self.greeted[index(direction)]) {
            let Ok((after, packet)) = parse_packet(rest) else { return Next::More };
            let is_foreign = packet.kind == Kind::Unknown && is_initial(*first, packet.version);
            if let Err(Stop::Malformed(why)) = self.packet(direction, &packet, is_foreign, output) {
                return Next::Malformed(why);
            }
            rest = after;
        }
        Next::More
    }

    /// Reads a packet; one that should show a hello and is of a version that cannot be read ends the reading.
    fn packet(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        is_foreign: bool,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let version = version_name(packet.version);
        match packet.kind {
            _ if is_foreign => {
                message(direction, &version, output, |transaction| transaction.event(direction, "error_on_data"));
                return Err(Stop::Malformed("error_on_data"));
            }
            Kind::Initial => return self.initial(direction, packet, &version, output),
            Kind::Retry if direction == Direction::Resp => {
                self.origin = None;
                self.greeted = [false; 2];
                self.streams = Default::default();
            }
            _ => {}
        }
        message(direction, &version, output, |_| ());
        Ok(())
    }

    fn initial(
        &mut self,
        direction: Direction,
        packet: &Packet<'_>,
        version: &str,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let origin = self.origin.get_or_insert_with(|| packet.destination.to_vec());
        let sender = if direction == Direction::Orig { Sender::Client } else { Sender::Server };
        let Some(payload) = Keys::initial(packet.version, origin, sender).and_then(|keys| open(packet, &keys)) else {
            message(direction, version, output, |transaction| transaction.event(direction, "failed_decrypt"));
            return Err(Stop::Malformed("failed_decrypt"));
        };
        let stream = &mut self.streams[index(direction)];
        crypto_frames(&payload).for_each(|piece| stream.insert(piece));
        let mut greeted = false;
        message(direction, version, output, |transaction| greeted = put_hello(stream.whole(), direction, transaction));
        self.greeted[index(direction)] = greeted;
        Ok(())
    }

    fn google(&mut self, version: [u8; 4], direction: Direction, data: &[u8], output: &mut Output<'_>) {
        let name = String::from_utf8_lossy(&version).into_owned();
        message(direction, &name, output, |transaction| {
            if let Some(tags) = google_hello(data) {
                put_google_hello(&tags, &name, direction, transaction);
            }
        });
    }
}

/// Puts what the hello says, if it is whole.
fn put_hello(stream: &[u8], direction: Direction, transaction: &mut Transaction) -> bool {
    let Ok((_, message)) = parse_handshake(stream) else { return false };
    match message.kind {
        handshake::CLIENT_HELLO => {
            if let Ok(hello) = parse_client_hello(message.body) {
                put_client_hello(&hello, direction, transaction);
            }
        }
        handshake::SERVER_HELLO => {
            if let Ok(hello) = parse_server_hello(message.body) {
                put_fingerprint(direction, [Field::Ja3sString, Field::Ja3sHash], transaction, || ja3s_text(&hello));
            }
        }
        _ => {}
    }
    true
}

fn put_client_hello(hello: &ClientHello<'_>, direction: Direction, transaction: &mut Transaction) {
    if let Some(name) = hello.server_name() {
        transaction.put(direction, Field::QuicSni, name);
    }
    if let Some(agent) = user_agent(hello) {
        transaction.put(direction, Field::QuicUserAgent, agent);
    }
    put_fingerprint(direction, [Field::Ja3String, Field::Ja3Hash], transaction, || ja3_text(hello));
    if transaction.wants(Field::Ja4Hash) {
        transaction.put(direction, Field::Ja4Hash, ja4(hello, Carrier::Quic).as_bytes());
    }
}

/// Finds the client's name among the transport parameters.
fn user_agent<'a>(hello: &ClientHello<'a>) -> Option<&'a [u8]> {
    let mut reader = Reader::new(TRANSPORT_PARAMETERS.into_iter().find_map(|kind| hello.extensions.get(kind))?);
    loop {
        let kind = varint(&mut reader).ok()?;
        let length = varint(&mut reader).ok()?;
        let value = reader.take(usize::try_from(length).ok()?).ok()?;
        if kind == USER_AGENT {
            return Some(value);
        }
    }
}

/// The tags of a hello of Google's QUIC with their values.
type Tags<'a> = Vec<([u8; 4], &'a [u8])>;

/// Reads the hello near a packet's beginning: a count, tags with the ends of their values, then the values.
fn google_hello(data: &[u8]) -> Option<Tags<'_>> {
    let start = memchr::memmem::find(data.get(..HELLO_WITHIN).unwrap_or(data), b"CHLO")?;
    let mut reader = Reader::at(data, start + 4).ok()?;
    let count = usize::from(reader.u16_le().ok()?).min(MAX_TAGS);
    reader.u16_le().ok()?;
    let ends: Vec<([u8; 4], usize)> =
        (0..count).map_while(|_| Some((reader.array().ok()?, reader.u32_le().ok()? as usize))).collect();
    let values = reader.rest();
    let mut from = 0;
    let value = |(tag, end): ([u8; 4], usize)| {
        let value = values.get(from..end).unwrap_or_default();
        from = end;
        (tag, value)
    };
    Some(ends.into_iter().map(value).collect())
}

fn put_google_hello(tags: &Tags<'_>, version: &str, direction: Direction, transaction: &mut Transaction) {
    for (tag, field) in [(b"SNI\0", Field::QuicSni), (b"UAID", Field::QuicUserAgent)] {
        if let Some((_, value)) = tags.iter().find(|(found, _)| found == tag) {
            transaction.put(direction, field, value);
        }
    }
    let names: Vec<String> = tags.iter().map(|(tag, _)| tag_name(tag)).collect();
    let digits = version.trim_start_matches(['Q', '0']);
    let cyu = format!("{digits},{}", names.join("-"));
    transaction.put(direction, Field::QuicCyuString, cyu.as_bytes());
    transaction.put(direction, Field::QuicCyuHash, hex(&Md5::digest(cyu.as_bytes())).as_bytes());
}

fn tag_name(tag: &[u8; 4]) -> String {
    let end = tag.iter().position(|byte| *byte == 0).unwrap_or(tag.len());
    tag.iter().take(end).map(|byte| char::from(*byte)).collect()
}

/// Names a version as EVE does.
fn version_name(version: u32) -> String {
    match version {
        V1 => "1".into(),
        V2 => "2".into(),
        0xff00_0000..=0xff00_00ff => format!("draft-{}", version & 0xff),
        _ => format!("{version:x}"),
    }
}

/// Adds the `quic` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let Some(direction) = transaction.only else { return };
    let mut quic = Map::new();
    for (name, field) in [("version", Field::QuicVersion), ("sni", Field::QuicSni), ("ua", Field::QuicUserAgent)] {
        if let Some(value) = transaction.value(direction, field) {
            quic.insert(name.into(), lossy(value));
        }
    }
    let cyu = |field| transaction.value(direction, field).map(lossy);
    if let (Some(hash), Some(string)) = (cyu(Field::QuicCyuHash), cyu(Field::QuicCyuString)) {
        quic.insert("cyu".into(), json!([{"hash": hash, "string": string}]));
    }
    describe_fingerprints(transaction, &mut quic);
    event.insert("quic".into(), quic.into());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{assert_any_bytes_are_safe, capture, Conversation};
    use super::*;

    fn google() -> Vec<u8> {
        let mut packet = [&[0xc3][..], b"Q046", &[0x50], &[7; 8], &[0, 0, 0, 1], &[9; 12], &[0xa0, 1, 0, 0]].concat();
        packet.extend(b"CHLO\x02\0\0\0SNI\0\x03\0\0\0UAID\x05\0\0\0a.bme");
        packet
    }

    #[test]
    fn a_hello_of_googles_quic_has_its_tags() {
        let mut conversation = Conversation::new(&ENTRY, Transport::Datagram, (1, 443));
        conversation.datagram(Direction::Orig, &google());
        assert_eq!(conversation.texts(Field::QuicVersion), ["Q046"]);
        assert_eq!(conversation.texts(Field::QuicSni), ["a.b"]);
        assert_eq!(conversation.texts(Field::QuicUserAgent), ["me"]);
        assert_eq!(conversation.texts(Field::QuicCyuString), ["46,SNI-UAID"]);
    }

    #[test]
    fn captures_give_what_rules_ask_for() {
        let Some(flows) = capture("tests/quic-alerts/input.pcap") else { return };
        let all = |field| -> Vec<String> { flows.iter().flat_map(|flow| flow.texts(field)).collect() };
        let tags = "46,PAD-SNI-VER-CCS-UAID-TCID-PDMD-SMHL-ICSL-NONP-MIDS-SCLS-CSCT-COPT-IRTT-CFCW-SFCW";
        assert_eq!(all(Field::QuicCyuString).iter().filter(|text| *text == tags).count(), 1);
        assert!(all(Field::QuicCyuHash).contains(&"7b3ceb1adc974ad360cfa634e8d0a730".to_owned()));
        assert_eq!(all(Field::QuicVersion).iter().filter(|text| *text == "Q046").count(), 6);
        assert_eq!(all(Field::QuicSni).iter().filter(|text| *text == "clients1.google.com").count(), 2);
        let Some(flows) = capture("tests/ja4-rules/input.pcap") else { return };
        let found: Vec<String> = flows.iter().flat_map(|flow| flow.texts(Field::Ja4Hash)).collect();
        assert_eq!(found.iter().filter(|hash| *hash == "q13d0310h3_55b375c5d22e_cd85d2d88918").count(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..60, pieces in 1usize..4) {
            let mut hostile = google();
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
            assert_any_bytes_are_safe(&ENTRY, &data, pieces);
        }
    }
}
