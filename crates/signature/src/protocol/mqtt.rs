//! MQTT: connections, publications and subscriptions (MQTT 3.1.1 and 5.0).

use std::collections::VecDeque;

use infraspectre_core::app::bytes::{drain, has_port, pass_over, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How MQTT is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Mqtt,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Mqtt::default()),
    describe,
};

const PORT: u16 = 1883;
/// Longest message that is read; longer ones are passed over.
const MAX_MESSAGE: usize = 1 << 20;
/// Exchanges that wait for their end.
const MAX_OPEN: usize = 256;
const MAX_TOPICS: usize = 256;

/// Types of messages (5.0, 2.1.2).
mod kind {
    pub const CONNECT: u8 = 1;
    pub const CONNACK: u8 = 2;
    pub const PUBLISH: u8 = 3;
    pub const PUBACK: u8 = 4;
    pub const PUBREC: u8 = 5;
    pub const PUBREL: u8 = 6;
    pub const PUBCOMP: u8 = 7;
    pub const SUBSCRIBE: u8 = 8;
    pub const SUBACK: u8 = 9;
    pub const UNSUBSCRIBE: u8 = 10;
    pub const UNSUBACK: u8 = 11;
    pub const DISCONNECT: u8 = 14;
    pub const AUTH: u8 = 15;
}

/// Flags of a CONNECT message (5.0, 3.1.2.3).
mod connect_flag {
    pub const WILL: u8 = 0x04;
    pub const PASSWORD: u8 = 0x40;
    pub const USER: u8 = 0x80;
}

/// The fixed header (5.0, 2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: u8,
    flags: u8,
    length: usize,
}

impl Header {
    fn quality(self) -> u8 {
        self.flags >> 1 & 3
    }
}

fn parse_header(data: &[u8]) -> Result<(Header, usize), Stop> {
    let mut reader = Reader::new(data);
    let first = reader.u8()?;
    let length = variable(&mut reader)?;
    Ok((Header { kind: first >> 4, flags: first & 0x0f, length }, data.len() - reader.rest().len()))
}

/// Reads a number of up to four groups of seven bits (5.0, 1.5.5).
fn variable(reader: &mut Reader<'_>) -> Result<usize, Stop> {
    let mut value = 0;
    for shift in [0, 7, 14, 21] {
        let byte = reader.u8()?;
        value |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Stop::Malformed("mqtt length"))
}

/// Passes over the properties that version 5 has.
fn properties(reader: &mut Reader<'_>, version: u8) -> Result<(), Stop> {
    if version >= 5 {
        let length = variable(reader)?;
        reader.take(length)?;
    }
    Ok(())
}

/// Recognises a CONNECT message by the protocol's name, and on its port whatever fits.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram {
        return Probe::NotForUs;
    }
    let (header, used) = match parse_header(data) {
        Ok(found) => found,
        Err(Stop::Incomplete) if has_port(ports, PORT) || data.is_empty() || data == [0x10] => return Probe::Unsure,
        Err(_) => return Probe::NotForUs,
    };
    let name = data.get(used..).unwrap_or_default();
    let is_connect = [&b"\0\x04MQTT"[..], b"\0\x06MQIsdp"].iter().any(|known| match name.len() < known.len() {
        true => known.starts_with(name),
        false => name.starts_with(known),
    });
    let on_port = has_port(ports, PORT) && header.kind != 0 && header.quality() < 3;
    match (header.kind == kind::CONNECT && is_connect, on_port) {
        (true, _) if name.len() < 6 => Probe::Unsure,
        (true, _) | (false, true) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

/// An exchange that more messages belong to.
#[derive(Debug)]
struct Open {
    /// Kind of the message that began it.
    kind: u8,
    id: u16,
    transaction: u64,
    begun_by: Direction,
}

/// Joins the messages of an exchange in one transaction, of the direction that began it.
#[derive(Default)]
struct Mqtt {
    version: u8,
    is_connected: bool,
    open: VecDeque<Open>,
    skip: [usize; 2],
}

impl Mqtt {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let skip = &mut self.skip[index(direction)];
        if let Some(used) = pass_over(skip, data) {
            return Ok((used, Next::More));
        }
        let (header, used) = parse_header(data)?;
        if header.length > MAX_MESSAGE {
            *skip = header.length;
            let transaction = output.message(direction);
            report_header(header, self.version, direction, transaction);
            transaction.complete(direction);
            return Ok((used, Next::More));
        }
        let body = data.get(used..used + header.length).ok_or(Stop::Incomplete)?;
        self.message(direction, header, body, output).map_err(|_| Stop::Malformed("mqtt message"))?;
        Ok((used + header.length, Next::More))
    }

    fn message(
        &mut self,
        direction: Direction,
        header: Header,
        body: &[u8],
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let mut reader = Reader::new(body);
        if header.kind == kind::CONNECT {
            return self.connect(direction, header, reader, output);
        }
        let id = match header.kind {
            kind::PUBLISH => None,
            kind::PUBACK..=kind::UNSUBACK => Some(reader.u16()?),
            _ => None,
        };
        let (opener, is_end) = match header.kind {
            kind::CONNACK => (kind::CONNECT, true),
            kind::PUBACK | kind::PUBCOMP => (kind::PUBLISH, true),
            kind::PUBREC | kind::PUBREL => (kind::PUBLISH, false),
            kind::SUBACK => (kind::SUBSCRIBE, true),
            kind::UNSUBACK => (kind::UNSUBSCRIBE, true),
            _ => return self.lone(direction, header, id, reader, output),
        };
        let at = self.open.iter().position(|open| open.kind == opener && open.id == id.unwrap_or(0));
        let Some((begun_by, transaction)) = at.and_then(|at| {
            let open = self.open.get(at)?;
            Some((open.begun_by, output.get(open.transaction)?))
        }) else {
            return self.unasked(direction, header, opener, reader, output);
        };
        report_header(header, self.version, begun_by, transaction);
        self.report_answer(header, reader, begun_by, transaction)?;
        if is_end {
            transaction.complete(begun_by);
            at.and_then(|at| self.open.remove(at));
        }
        Ok(())
    }

    /// Reads an answer to what was not seen.
    fn unasked(
        &self,
        direction: Direction,
        header: Header,
        opener: u8,
        reader: Reader<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let transaction = output.message(direction);
        report_header(header, self.version, direction, transaction);
        transaction.event(
            direction,
            match opener {
                kind::CONNECT => "missing_connect",
                kind::PUBLISH => "missing_publish",
                kind::SUBSCRIBE => "missing_subscribe",
                _ => "missing_unsubscribe",
            },
        );
        self.report_answer(header, reader, direction, transaction)?;
        transaction.complete(direction);
        Ok(())
    }

    /// Reads a message that begins an exchange, or is one by itself.
    fn lone(
        &mut self,
        direction: Direction,
        header: Header,
        id: Option<u16>,
        mut reader: Reader<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let version = self.version;
        let transaction = output.message(direction);
        report_header(header, version, direction, transaction);
        if !self.is_connected && header.kind != kind::AUTH {
            transaction.event(direction, "unintroduced_message");
        }
        let mut waits_for = id;
        match header.kind {
            kind::PUBLISH => waits_for = publish(header, version, &mut reader, direction, transaction)?,
            kind::SUBSCRIBE | kind::UNSUBSCRIBE => {
                properties(&mut reader, version)?;
                topics(header.kind, &mut reader, direction, transaction)?;
            }
            kind::DISCONNECT | kind::AUTH if version >= 5 => {
                let reason = if reader.is_empty() { 0 } else { reader.u8()? };
                transaction.put_number(direction, Field::MqttReasonCode, u64::from(reason));
                if !reader.is_empty() {
                    properties(&mut reader, version)?;
                }
            }
            0 => transaction.event(direction, "unassigned_msg_type"),
            _ => {}
        }
        match waits_for {
            Some(id) => {
                let transaction = transaction.number;
                self.wait(Open { kind: header.kind, id, transaction, begun_by: direction }, output);
            }
            None => transaction.complete(direction),
        }
        Ok(())
    }

    fn wait(&mut self, open: Open, output: &mut Output<'_>) {
        if self.open.len() >= MAX_OPEN {
            let old = self.open.pop_front().and_then(|old| Some((old.begun_by, output.get(old.transaction)?)));
            if let Some((direction, transaction)) = old {
                transaction.complete(direction);
            }
        }
        self.open.push_back(open);
    }

    fn connect(
        &mut self,
        direction: Direction,
        header: Header,
        mut reader: Reader<'_>,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        let name = reader.prefixed16()?;
        self.version = reader.u8()?;
        let flags = reader.u8()?;
        let _keep_alive = reader.u16()?;
        properties(&mut reader, self.version)?;
        let client = reader.prefixed16()?;
        let transaction = output.message(direction);
        report_header(header, self.version, direction, transaction);
        if self.is_connected {
            transaction.event(direction, "double_connect");
        }
        self.is_connected = true;
        transaction.put_number(direction, Field::MqttConnectFlags, u64::from(flags));
        transaction.put(direction, Field::MqttConnectProtocol, name);
        transaction.put(direction, Field::MqttConnectClientId, client);
        if flags & connect_flag::WILL != 0 {
            properties(&mut reader, self.version)?;
            transaction.put(direction, Field::MqttConnectWillTopic, reader.prefixed16()?);
            transaction.put(direction, Field::MqttConnectWillMessage, reader.prefixed16()?);
        }
        if flags & connect_flag::USER != 0 {
            transaction.put(direction, Field::MqttConnectUser, reader.prefixed16()?);
        }
        if flags & connect_flag::PASSWORD != 0 {
            transaction.put(direction, Field::MqttConnectPassword, reader.prefixed16()?);
        }
        let transaction = transaction.number;
        self.wait(Open { kind: header.kind, id: 0, transaction, begun_by: direction }, output);
        Ok(())
    }

    /// Reads what an answer says after its identity.
    fn report_answer(
        &self,
        header: Header,
        mut reader: Reader<'_>,
        direction: Direction,
        transaction: &mut Transaction,
    ) -> Result<(), Stop> {
        let mut put = |reason: u8| transaction.put_number(direction, Field::MqttReasonCode, u64::from(reason));
        match header.kind {
            kind::CONNACK => {
                let (present, reason) = (reader.u8()? & 1, reader.u8()?);
                put(reason);
                transaction.put_number(direction, Field::MqttConnackSessionPresent, u64::from(present));
                properties(&mut reader, self.version)?;
            }
            kind::SUBACK | kind::UNSUBACK => {
                properties(&mut reader, self.version)?;
                reader.rest().iter().take(MAX_TOPICS).for_each(|reason| put(*reason));
            }
            _ if self.version >= 5 => put(reader.u8().unwrap_or(0)),
            _ => {}
        }
        Ok(())
    }
}

fn report_header(header: Header, version: u8, direction: Direction, transaction: &mut Transaction) {
    transaction.put_number(direction, Field::MqttType, u64::from(header.kind));
    transaction.put_number(direction, Field::MqttFlags, u64::from(header.flags & 0x09));
    transaction.put_number(direction, Field::MqttQos, u64::from(header.quality()));
    if header.kind == kind::CONNECT || transaction.numbers(direction, Field::MqttProtocolVersion).next().is_none() {
        transaction.put_number(direction, Field::MqttProtocolVersion, u64::from(version));
    }
    if header.quality() == 3 {
        transaction.event(direction, "invalid_qos_level");
    }
}

/// Reads a publication and returns its identity if it is to be acknowledged.
fn publish(
    header: Header,
    version: u8,
    reader: &mut Reader<'_>,
    direction: Direction,
    transaction: &mut Transaction,
) -> Result<Option<u16>, Stop> {
    let topic = reader.prefixed16()?;
    let id = if matches!(header.quality(), 1 | 2) { Some(reader.u16()?) } else { None };
    properties(reader, version)?;
    transaction.put(direction, Field::MqttPublishTopic, topic);
    transaction.put(direction, Field::MqttPublishMessage, reader.rest());
    Ok(id)
}

fn topics(kind: u8, reader: &mut Reader<'_>, direction: Direction, transaction: &mut Transaction) -> Result<(), Stop> {
    for _ in 0..MAX_TOPICS {
        if reader.is_empty() {
            break;
        }
        let topic = reader.prefixed16()?;
        if kind == kind::SUBSCRIBE {
            let _options = reader.u8()?;
            transaction.put(direction, Field::MqttSubscribeTopic, topic);
        } else {
            transaction.put(direction, Field::MqttUnsubscribeTopic, topic);
        }
    }
    Ok(())
}

impl Session for Mqtt {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        output.note_malformed(consumed, direction, "malformed_traffic")
    }

    fn gap(&mut self, direction: Direction, missing: u32, _output: &mut Output<'_>) -> bool {
        let skip = &mut self.skip[index(direction)];
        let inside = *skip >= missing as usize;
        *skip = skip.saturating_sub(missing as usize);
        inside
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    let names = [
        ("client_id", Field::MqttConnectClientId),
        ("username", Field::MqttConnectUser),
        ("topic", Field::MqttPublishTopic),
        ("subscribe_topic", Field::MqttSubscribeTopic),
    ];
    for (name, field) in names {
        if let Some(value) = text(transaction, field) {
            object.insert(name.into(), json!(value));
        }
    }
    if let Some(kind) = number(transaction, Field::MqttType) {
        object.insert("type".into(), json!(kind));
    }
    event.insert("mqtt".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, numbers, stream, texts};
    use super::*;

    const CONNECT: &[u8] = b"\x10\x1c\0\x04MQTT\x05\xc2\0<\x03!\0\x14\0\0\0\x04user\0\x04pass";
    const CONNACK: &[u8] = b"\x20\x03\x01\x86\0";
    const PUBLISH: &[u8] = b"\x30\x09\0\x03top\0\xff\xd8!";
    const SUBSCRIBE: &[u8] = b"\x82\x0a\0\x07\0\0\x04news\0";
    const SUBACK: &[u8] = b"\x90\x04\0\x07\0\x01";

    fn conversation() -> [(Direction, &'static [u8]); 6] {
        use Direction::{Orig, Resp};
        [(Orig, CONNECT), (Resp, CONNACK), (Orig, PUBLISH), (Orig, SUBSCRIBE), (Resp, SUBACK), (Orig, b"\xe0\0")]
    }

    #[test]
    fn an_exchange_is_one_transaction() {
        let found = stream(&ENTRY, &conversation());
        let text = |at: usize, field| texts(&found[at], Direction::Orig, field);
        let number = |at: usize, field| numbers(&found[at], Direction::Orig, field);
        assert_eq!(found.len(), 4);
        assert_eq!(number(0, Field::MqttType), [1, 2]);
        assert_eq!(number(0, Field::MqttConnectFlags), [0xc2]);
        assert_eq!(number(0, Field::MqttReasonCode), [134]);
        assert_eq!(text(0, Field::MqttConnectPassword), ["pass"]);
        assert_eq!(text(1, Field::MqttPublishTopic), ["top"]);
        assert_eq!(text(1, Field::MqttPublishMessage), ["\\xff\\xd8!"]);
        assert_eq!(text(2, Field::MqttSubscribeTopic), ["news"]);
        assert_eq!(number(2, Field::MqttReasonCode), [1]);
        assert_eq!(number(3, Field::MqttReasonCode), [0]);
        assert!(found.iter().all(|one| one.progress(Direction::Orig) == crate::field::DONE && one.events.is_empty()));
        assert_cuts_do_not_matter(&ENTRY, &conversation());
    }

    #[test]
    fn answers_to_nothing_and_broken_messages_are_events() {
        let found = stream(&ENTRY, &[(Direction::Resp, SUBACK), (Direction::Orig, b"\x10\x02\0\x09")]);
        assert_eq!(found[0].events, [(Direction::Resp, "missing_subscribe")]);
        assert_eq!(found[1].events, [(Direction::Orig, "malformed_traffic")]);
    }

    #[test]
    fn the_first_message_decides() {
        let on = |data: &[u8], port| probe(Transport::Stream, Direction::Orig, data, (50_000, port));
        assert_eq!(on(CONNECT, 9), Probe::Certain);
        assert_eq!(on(&CONNECT[..5], 9), Probe::Unsure);
        assert_eq!((on(PUBLISH, 9), on(PUBLISH, PORT)), (Probe::NotForUs, Probe::Certain));
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..100_usize) {
            let mut bytes = [CONNECT, CONNACK, PUBLISH, SUBSCRIBE, SUBACK].concat();
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 9;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 3);
            assert_any_bytes_are_safe(&ENTRY, &data, 2);
        }
    }
}
