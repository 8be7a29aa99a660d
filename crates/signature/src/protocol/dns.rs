//! DNS and mDNS: each request and each response is a transaction of its own.

use std::net::{Ipv4Addr, Ipv6Addr};

use infraspectre_core::app::bytes::Reader;
use infraspectre_core::app::dns::{parse_message, response_code_name, type_name, Message, Question, Record};
use infraspectre_core::app::tls::hex;
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::frame::DNS_MESSAGE;
use super::{Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{Kept, Transaction};

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Dns,
    transports: &[Transport::Datagram, Transport::Stream],
    probe: |transport, _, data, ports| probe(transport, data, ports, 53),
    session: |transport| Box::new(Dns { transport }),
    describe,
};

pub const MDNS: Entry = Entry {
    protocol: Protocol::Mdns,
    transports: &[Transport::Datagram],
    probe: |transport, _, data, ports| probe(transport, data, ports, 5353),
    session: |transport| Box::new(Dns { transport }),
    describe,
};

const HEADER: usize = 12;
const MAX_JUMPS: usize = 255;
const MAX_NAME: usize = 1025;
/// Instances of fields that the name of a question or record gives at most.
const NAME_FIELDS: usize = 3;
/// Bytes of names that a message mostly has room for.
const FIRST_NAMES: usize = 128;
const RESPONSE: u16 = 0x8000;
const Z: u16 = 0x0040;
/// Highest kind of query that is no event.
const MAX_OPCODE: u16 = 6;

mod kind {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const PTR: u16 = 12;
    pub const MX: u16 = 15;
    pub const TXT: u16 = 16;
    pub const AAAA: u16 = 28;
    pub const SRV: u16 = 33;
    pub const SSHFP: u16 = 44;
}

fn probe(transport: Transport, data: &[u8], ports: (u16, u16), port: u16) -> Probe {
    if ports.1 != port {
        return Probe::NotForUs;
    }
    match transport {
        Transport::Datagram if is_plausible(data, data.len()) => Probe::Certain,
        Transport::Datagram => Probe::NotForUs,
        Transport::Stream => probe_stream(data),
    }
}

fn probe_stream(data: &[u8]) -> Probe {
    let Some(([high, low], message)) = data.split_first_chunk::<2>() else { return Probe::Unsure };
    let length = usize::from(u16::from_be_bytes([*high, *low]));
    if length < HEADER {
        return Probe::NotForUs;
    }
    let shown = message.get(..length).unwrap_or(message);
    match shown.len() < HEADER {
        true => Probe::Unsure,
        false if is_plausible(shown, length) => Probe::Certain,
        false => Probe::NotForUs,
    }
}

/// Tells whether the header's counts fit into a message of this length, and whether what is shown of it can be read.
fn is_plausible(data: &[u8], length: usize) -> bool {
    let is_named = |question: &Question<'_>| write_name(data, question.name.offset(), &mut Vec::new()).is_ok();
    let is_whole = || {
        parse_message(data)
            .is_ok_and(|(_, message)| is_answered(data, &message) && message.questions.iter().all(is_named))
    };
    has_room(data, length) && (data.len() < length || is_whole())
}

fn has_room(data: &[u8], length: usize) -> bool {
    counts(data).is_some_and(|counts| 2 * counts.iter().map(|count| usize::from(*count)).sum::<usize>() <= length)
}

fn counts(data: &[u8]) -> Option<[u16; 4]> {
    let mut reader = Reader::at(data, 4).ok()?;
    Some([reader.u16().ok()?, reader.u16().ok()?, reader.u16().ok()?, reader.u16().ok()?])
}

/// How a name was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Marks {
    too_long: bool,
    has_loop: bool,
}

/// Writes a name's labels as sent with dots between them; pointers may point anywhere, up to a number of jumps.
fn write_name(message: &[u8], offset: usize, out: &mut Vec<u8>) -> Result<Marks, Stop> {
    let start = out.len();
    let (mut at, mut jumps) = (offset, 0);
    loop {
        let mut reader = Reader::at(message, at)?;
        match reader.u8()? {
            0 => return Ok(Marks::default()),
            length @ 1..=63 => {
                let label = reader.take(length.into())?;
                if out.len() > start {
                    out.push(b'.');
                }
                out.extend_from_slice(label);
                at += label.len() + 1;
            }
            0xc0.. => at = pointed_at(message, at).ok_or(Stop::Incomplete)?,
            _ => return Err(Stop::Malformed("label type")),
        }
        jumps += 1;
        if out.len() - start > MAX_NAME {
            out.truncate(start + MAX_NAME);
            return Ok(Marks { too_long: true, has_loop: false });
        }
        if jumps > MAX_JUMPS {
            return Ok(Marks { too_long: false, has_loop: true });
        }
    }
}

/// Returns the offset that a name which is a pointer alone points at.
fn pointed_at(message: &[u8], offset: usize) -> Option<usize> {
    let high = message.get(offset).filter(|high| **high >= 0xc0)?;
    Some(usize::from(u16::from_be_bytes([high & 0x3f, *message.get(offset + 1)?])))
}

/// Returns where the name in a record's data starts, in types whose data is a name.
fn target_offset(record: &Record<'_>) -> Option<usize> {
    match record.kind {
        kind::NS | kind::CNAME | kind::PTR | kind::SOA => Some(record.data_offset()),
        kind::MX => Some(record.data_offset() + 2),
        _ => None,
    }
}

struct Dns {
    transport: Transport,
}

impl Dns {
    /// Reads one message as a transaction of its direction.
    fn message(&self, direction: Direction, bytes: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        if !has_room(bytes, bytes.len()) {
            return Err(Stop::Malformed("dns header"));
        }
        let parsed = parse_message(bytes).map(|(_, message)| message);
        let message = match parsed {
            Ok(message) if is_answered(bytes, &message) => message,
            _ => return refuse(direction, "malformed_data", output),
        };
        let is_from_server = direction == Direction::Resp;
        if message.is_response() != is_from_server && output.protocol != Protocol::Mdns {
            return refuse(direction, if is_from_server { "not_a_response" } else { "not_a_request" }, output);
        }
        let transaction = output.message(direction);
        report(bytes, &message, direction, transaction);
        transaction.complete(Direction::Orig);
        transaction.complete(Direction::Resp);
        output.frame(direction, DNS_MESSAGE, bytes, output.last_number());
        Ok(())
    }

    fn stream(&self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let mut reader = Reader::new(data);
        loop {
            let bytes = data.len() - reader.rest().len();
            let Ok(message) = reader.prefixed16() else { return Consumed { bytes, next: Next::More } };
            if message.is_empty() {
                continue;
            }
            if let Err(Stop::Malformed(why)) = self.message(direction, message, output) {
                return Consumed { bytes, next: Next::Malformed(why) };
            }
        }
    }
}

/// Notes an event at the last message, if there was one.
fn refuse(direction: Direction, event: &'static str, output: &mut Output<'_>) -> Result<(), Stop> {
    if let Some(last) = output.transactions.back_mut() {
        last.event(last.only.unwrap_or(direction), event);
    }
    Err(Stop::Malformed(event))
}

/// Tells whether questions and answers are all there; what follows them may be missing.
fn is_answered(bytes: &[u8], message: &Message<'_>) -> bool {
    let count = counts(bytes).map_or(0, |counts| usize::from(counts[1]));
    message.answers.len() == count
}

impl Session for Dns {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        if self.transport == Transport::Stream {
            return self.stream(direction, data, output);
        }
        let next = match self.message(direction, data, output) {
            Err(Stop::Malformed(why)) => Next::Malformed(why),
            _ => Next::More,
        };
        Consumed { bytes: data.len(), next }
    }
}

fn report(bytes: &[u8], message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    let records = message.answers.len() + message.authorities.len() + message.additionals.len();
    transaction.expect(1 + NAME_FIELDS * (message.questions.len() + records), bytes.len() + FIRST_NAMES);
    transaction.put(direction, Field::DnsMessage, bytes);
    transaction.put_number(direction, Field::DnsOpcode, message.opcode().into());
    transaction.put_number(direction, Field::DnsResponseCode, (message.flags & 0xf).into());
    report_kinds(message, direction, transaction);
    let mut names = Names { bytes, direction, transaction, last: None };
    names.questions(&message.questions);
    names.records(&message.answers, Field::DnsAnswersName);
    names.records(&message.authorities, Field::DnsAuthoritiesName);
    names.records(&message.additionals, Field::DnsAdditionalsName);
    report_events(bytes, message, direction, transaction);
}

fn report_kinds(message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    let mut put = |kind: u16| transaction.put_number(direction, Field::DnsRecordType, kind.into());
    match message.is_response() {
        true => message.answers.iter().for_each(|answer| put(answer.kind)),
        false => message.questions.iter().for_each(|question| put(question.kind)),
    }
}

fn report_events(bytes: &[u8], message: &Message<'_>, direction: Direction, transaction: &mut Transaction) {
    let [_, _, authorities, additionals] = counts(bytes).unwrap_or_default().map(usize::from);
    if message.authorities.len() < authorities {
        transaction.event(direction, "invalid_authorities");
    } else if message.additionals.len() < additionals {
        transaction.event(direction, "invalid_additionals");
    }
    if message.flags & Z != 0 {
        transaction.event(direction, "z_flag_set");
    }
    if message.opcode() > MAX_OPCODE {
        transaction.event(direction, "invalid_opcode");
    }
}

/// Puts the names of a message.
struct Names<'a> {
    bytes: &'a [u8],
    direction: Direction,
    transaction: &'a mut Transaction,
    /// Where the name before lies in the message, and where it was kept: others mostly point at it.
    last: Option<(usize, Kept)>,
}

impl Names<'_> {
    fn questions(&mut self, questions: &[Question<'_>]) {
        for question in questions {
            let fields = [Field::DnsQuery, Field::DnsQueriesName, Field::DnsResponseName];
            self.put(question.name.offset(), &fields);
        }
    }

    fn records(&mut self, records: &[Record<'_>], field: Field) {
        for record in records {
            self.put(record.name.offset(), &[field, Field::DnsResponseName]);
            if let Some(offset) = target_offset(record) {
                self.put(offset, &[Field::DnsResponseName]);
            } else if record.kind == kind::TXT && self.transaction.wants(Field::DnsResponseName) {
                let (kept, ()) = self.transaction.keep(|out| write_text_data(record.data, out));
                self.transaction.put_kept(self.direction, Field::DnsResponseName, kept);
            }
        }
    }

    /// Puts a name into those of the fields that are wanted in this direction.
    fn put(&mut self, offset: usize, fields: &[Field]) {
        if !fields.iter().any(|field| self.transaction.wants(*field)) {
            return;
        }
        let offset = pointed_at(self.bytes, offset).unwrap_or(offset);
        let kept = match self.last {
            Some((known, kept)) if known == offset => kept,
            _ => self.keep(offset),
        };
        self.last = Some((offset, kept));
        for field in fields.iter().filter(|field| field.is_sent(self.direction)) {
            self.transaction.put_kept(self.direction, *field, kept);
        }
    }

    /// Keeps a name, with the events that say what is wrong with it.
    fn keep(&mut self, offset: usize) -> Kept {
        let (kept, marks) = self.transaction.keep(|out| write_name(self.bytes, offset, out));
        let marks = marks.unwrap_or_default();
        if marks.too_long {
            self.transaction.event(self.direction, "name_too_long");
        }
        if marks.has_loop {
            self.transaction.event(self.direction, "infinite_loop");
        }
        kept
    }
}

/// Writes the strings of a TXT record one behind the other.
fn write_text_data(data: &[u8], out: &mut Vec<u8>) {
    let mut reader = Reader::new(data);
    while let Ok(string) = reader.prefixed8() {
        out.extend_from_slice(string);
    }
}

/// Adds the `dns` object of EVE's third version.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let Some(direction) = transaction.only else { return };
    let Some(bytes) = transaction.value(direction, Field::DnsMessage) else { return };
    let Ok((_, message)) = parse_message(bytes) else { return };
    let kind = if message.is_response() { "response" } else { "request" };
    let mut dns = Map::new();
    dns.insert("version".into(), json!(3));
    dns.insert("type".into(), json!(kind));
    dns.insert("tx_id".into(), json!(transaction.number));
    dns.insert("id".into(), json!(message.id));
    describe_flags(&message, &mut dns);
    describe_sections(bytes, &message, &mut dns);
    event.insert(transaction.protocol.name().into(), dns.into());
}

fn describe_flags(message: &Message<'_>, dns: &mut Map<String, Value>) {
    const NAMES: [(&str, u16); 6] =
        [("qr", RESPONSE), ("aa", 0x0400), ("tc", 0x0200), ("rd", 0x0100), ("ra", 0x0080), ("z", Z)];
    dns.insert("flags".into(), json!(format!("{:x}", message.flags)));
    for (name, _) in NAMES.iter().filter(|(_, bit)| message.flags & bit != 0) {
        dns.insert((*name).into(), json!(true));
    }
    dns.insert("opcode".into(), json!(message.opcode()));
    dns.insert("rcode".into(), json!(response_code_name(message.flags & 0xf)));
}

fn describe_sections(bytes: &[u8], message: &Message<'_>, dns: &mut Map<String, Value>) {
    let questions: Vec<Value> = message
        .questions
        .iter()
        .map(|question| json!({"rrname": name_text(bytes, question.name.offset()), "rrtype": type_name(question.kind)}))
        .collect();
    dns.insert("queries".into(), questions.into());
    let sections =
        [("answers", &message.answers), ("authorities", &message.authorities), ("additionals", &message.additionals)];
    for (name, records) in sections.into_iter().filter(|(_, records)| !records.is_empty()) {
        dns.insert(name.into(), records.iter().map(|record| describe_record(bytes, record)).collect());
    }
}

fn name_text(bytes: &[u8], offset: usize) -> String {
    written(|out| {
        let _ = write_name(bytes, offset, out);
    })
}

/// Returns what is written as text.
fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut bytes = Vec::new();
    write(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn describe_record(bytes: &[u8], record: &Record<'_>) -> Value {
    let mut object = Map::new();
    object.insert("rrname".into(), json!(name_text(bytes, record.name.offset())));
    object.insert("rrtype".into(), json!(type_name(record.kind)));
    object.insert("ttl".into(), json!(record.ttl));
    if let Some((key, value)) = data_value(bytes, record) {
        object.insert(key.into(), value);
    }
    object.into()
}

fn data_value(bytes: &[u8], record: &Record<'_>) -> Option<(&'static str, Value)> {
    let value = match record.kind {
        kind::A => json!(Ipv4Addr::from(<[u8; 4]>::try_from(record.data).ok()?).to_string()),
        kind::AAAA => json!(Ipv6Addr::from(<[u8; 16]>::try_from(record.data).ok()?).to_string()),
        kind::NS | kind::CNAME | kind::PTR | kind::MX => json!(name_text(bytes, target_offset(record)?)),
        kind::TXT => json!(written(|out| write_text_data(record.data, out))),
        kind::SOA => return authority(bytes, record).map(|value| ("soa", value)),
        kind::SRV => return service(bytes, record).map(|value| ("srv", value)),
        kind::SSHFP => return fingerprint(record.data).map(|value| ("sshfp", value)),
        _ => return None,
    };
    Some(("rdata", value))
}

/// Returns the offset after a name that starts at `offset`.
fn after_name(bytes: &[u8], mut offset: usize) -> Option<usize> {
    loop {
        match *bytes.get(offset)? {
            0 => return Some(offset + 1),
            length @ 1..=63 => offset += usize::from(length) + 1,
            _ => return Some(offset + 2),
        }
    }
}

fn authority(bytes: &[u8], record: &Record<'_>) -> Option<Value> {
    let mailbox = after_name(bytes, record.data_offset())?;
    let mut numbers = Reader::at(bytes, after_name(bytes, mailbox)?).ok()?;
    let mut next = || numbers.u32().ok();
    Some(json!({
        "mname": name_text(bytes, record.data_offset()),
        "rname": name_text(bytes, mailbox),
        "serial": next()?, "refresh": next()?, "retry": next()?, "expire": next()?, "minimum": next()?,
    }))
}

fn service(bytes: &[u8], record: &Record<'_>) -> Option<Value> {
    let mut reader = Reader::new(record.data);
    let mut next = || reader.u16().ok();
    let (priority, weight, port) = (next()?, next()?, next()?);
    let name = name_text(bytes, record.data_offset() + 6);
    Some(json!({"priority": priority, "weight": weight, "port": port, "name": name}))
}

fn fingerprint(data: &[u8]) -> Option<Value> {
    let (algorithm, kind, fingerprint) = match data {
        [algorithm, kind, rest @ ..] => (*algorithm, *kind, rest),
        _ => return None,
    };
    let text = fingerprint.iter().map(|byte| hex(&[*byte])).collect::<Vec<_>>().join(":");
    Some(json!({"fingerprint": text, "algo": algorithm, "type": kind}))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, capture, feed, Conversation,
    };
    use super::*;

    /// A query for `WwW.a`, type A.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03WwW\x01a\x00\x00\x01\x00\x01";

    fn response() -> Vec<u8> {
        let mut bytes = QUERY.to_vec();
        bytes[2] = 0x81;
        bytes[7] = 1;
        bytes.extend(b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x10");
        bytes
    }

    fn datagrams(pieces: &[(Direction, &[u8])]) -> Conversation {
        let mut conversation = Conversation::new(&ENTRY, Transport::Datagram, (40_000, 53));
        pieces.iter().for_each(|(direction, piece)| conversation.datagram(*direction, piece));
        conversation
    }

    #[test]
    fn request_and_response_are_transactions_of_one_direction() {
        let conversation = datagrams(&[(Direction::Orig, QUERY), (Direction::Resp, &response())]);
        let only: Vec<_> = conversation.transactions.iter().map(|one| one.only).collect();
        assert_eq!(only, [Some(Direction::Orig), Some(Direction::Resp)]);
        assert_eq!(conversation.texts(Field::DnsQuery), ["WwW.a"]);
        assert_eq!(conversation.texts(Field::DnsQueriesName), ["WwW.a", "WwW.a"]);
        assert_eq!(conversation.texts(Field::DnsResponseName), ["WwW.a", "WwW.a", "b.a"]);
        let [request, answer] = &conversation.described()[..] else { panic!("two") };
        assert_eq!(request["dns"]["queries"][0]["rrname"], "WwW.a");
        assert_eq!((&answer["dns"]["answers"][0]["rdata"], &answer["dns"]["flags"]), (&json!("b.a"), &json!("8100")));
    }

    #[test]
    fn a_request_from_the_server_is_an_event_of_the_last_message() {
        let conversation = datagrams(&[(Direction::Orig, QUERY), (Direction::Resp, QUERY)]);
        assert_eq!(conversation.events(), ["not_a_response"]);
        assert!(matches!(conversation.next, Next::Malformed(_)));
    }

    #[test]
    fn a_name_that_points_at_itself_ends() {
        let looped = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\xc0\x0c\x00\x01\x00\x01";
        assert_eq!(datagrams(&[(Direction::Orig, looped)]).events(), ["infinite_loop"]);
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        let prefixed = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
        let (client, server) = (prefixed(QUERY).repeat(2), prefixed(&response()));
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Orig, &client), (Direction::Resp, &server)]);
        assert_eq!(feed(&ENTRY, [(Direction::Orig, &client[..])]).texts(Field::DnsQuery).len(), 2);
    }

    #[test]
    fn captures_give_the_names_that_rules_ask_for() {
        let Some(flows) = capture("tests/dns/dns-forward-pointer/input.pcap") else { return };
        assert_eq!(flows[0].texts(Field::DnsQuery), ["codemonkey.net", "codemonkey.net"]);
        let Some(flows) = capture("tests/dns/dns-corrupt-additionals/input.pcap") else { return };
        assert_eq!(flows[0].events(), ["invalid_additionals"]);
        let Some(flows) = capture("tests/dns-udp-z-flag-fp/suricatafpdnsdecoder.pcap") else { return };
        assert!(flows.iter().all(|flow| flow.events().is_empty()));
        let Some(flows) = capture("pcaps/20250129-dns-with-additionals.pcap") else { return };
        assert!(flows[0].texts(Field::DnsAdditionalsName).contains(&"a0.nic.io".to_owned()));
        let Some(flows) = capture("tests/issues/issue-4759.1/tcpdns.pcap") else { return };
        assert!(flows.iter().flat_map(|flow| flow.texts(Field::DnsQuery)).any(|name| name.ends_with(".com")));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..60, pieces in 1usize..4) {
            let mut hostile = response();
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
            assert_any_bytes_are_safe(&MDNS, &data, pieces);
        }
    }
}
