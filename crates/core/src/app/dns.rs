//! DNS (RFC 1035, EDNS of RFC 6891) and its kin on other ports: mDNS, LLMNR and NetBIOS name service.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::bytes::{hex_digit, Reader};
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Longest name on the wire in bytes (RFC 1035, 2.3.4).
const MAX_NAME: usize = 255;
/// Most compression pointers followed in one name; each must also point backwards.
const MAX_JUMPS: usize = 32;
/// Most bytes shown of answer data that has no text form here.
const MAX_HEX: usize = 64;
/// Length of the message header.
const HEADER: usize = 12;
/// Length of the shortest record: that of the root, without data.
const MIN_RECORD: usize = 11;
/// Ports of DNS, mDNS (RFC 6762), LLMNR (RFC 4795) and the NetBIOS name service (RFC 1002).
const PORTS: [u16; 4] = [53, 5353, 5355, 137];
/// Types of addresses (RFC 1035, RFC 3596, RFC 1002).
const A: u16 = 1;
const AAAA: u16 = 28;
const NETBIOS: u16 = 32;
/// Type of the EDNS pseudo record (RFC 6891).
const OPT: u16 = 41;
/// Response code of a name that does not exist (RFC 1035, 4.1.1).
const NXDOMAIN: u16 = 3;

/// A domain name inside a message, expanded when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name<'a> {
    message: &'a [u8],
    at: usize,
}

impl<'a> Name<'a> {
    /// Writes the labels in lower case with dots between them; the root is empty.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), Stop> {
        let start = out.len();
        self.labels(|label| {
            if out.len() > start {
                out.push(b'.');
            }
            let from = out.len();
            out.extend_from_slice(label);
            if let Some(added) = out.get_mut(from..) {
                added.make_ascii_lowercase();
            }
        })
    }

    /// Returns the offset in the message at which it starts.
    pub const fn offset(&self) -> usize {
        self.at
    }

    /// Returns how many bytes [`Name::write`] would write.
    fn text_len(&self) -> Result<u64, Stop> {
        let mut len = 0;
        self.labels(|label| len += label.len() as u64 + u64::from(len > 0))?;
        Ok(len)
    }

    /// Walks the labels through compression pointers (RFC 1035, 4.1.4).
    fn labels(&self, mut each: impl FnMut(&'a [u8])) -> Result<(), Stop> {
        let (mut at, mut size, mut jumps) = (self.at, 0, 0);
        loop {
            match step(self.message, at)? {
                Step::End => return Ok(()),
                Step::Label(label) => {
                    size += label.len() + 1;
                    if size >= MAX_NAME {
                        return Err(Stop::Malformed("name too long"));
                    }
                    each(label);
                    at += label.len() + 1;
                }
                Step::Jump(target) => {
                    jumps += 1;
                    if target >= at || jumps > MAX_JUMPS {
                        return Err(Stop::Malformed("name compression loop"));
                    }
                    at = target;
                }
            }
        }
    }
}

enum Step<'a> {
    End,
    Label(&'a [u8]),
    Jump(usize),
}

fn step(message: &[u8], at: usize) -> Result<Step<'_>, Stop> {
    let mut reader = Reader::at(message, at)?;
    match reader.u8()? {
        0 => Ok(Step::End),
        length @ 1..=63 => reader.take(length.into()).map(Step::Label),
        high @ 0xc0.. => {
            let low = reader.u8()?;
            Ok(Step::Jump(usize::from(u16::from_be_bytes([high & 0x3f, low]))))
        }
        _ => Err(Stop::Malformed("label type")),
    }
}

/// A question of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question<'a> {
    pub name: Name<'a>,
    pub kind: u16,
    pub class: u16,
}

/// A resource record of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    pub name: Name<'a>,
    pub kind: u16,
    pub class: u16,
    pub ttl: u32,
    pub data: &'a [u8],
    /// Offset of the data in the message, where its compressed names start.
    data_at: usize,
}

/// A DNS message; names and data borrow from its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub id: u16,
    /// The second 16 bits of the header as sent.
    pub flags: u16,
    pub questions: Vec<Question<'a>>,
    pub answers: Vec<Record<'a>>,
    pub authorities: Vec<Record<'a>>,
    pub additionals: Vec<Record<'a>>,
    /// Why the records end before the number that the header gives, if they do.
    pub cut: Option<Stop>,
}

impl Message<'_> {
    /// Tells whether this is a response (bit QR).
    pub const fn is_response(&self) -> bool {
        self.flags & 0x8000 != 0
    }

    /// Returns the kind of query (0 QUERY, 4 NOTIFY, 5 UPDATE...).
    pub const fn opcode(&self) -> u16 {
        self.flags >> 11 & 0xf
    }

    /// Returns the response code with the upper bits of EDNS (RFC 6891, 6.1.3).
    pub fn response_code(&self) -> u16 {
        let upper = self.additionals.iter().find(|record| record.kind == OPT).map_or(0, |record| record.ttl >> 24);
        (upper as u16) << 4 | self.flags & 0xf
    }
}

/// Parses one whole message.
///
/// Header and questions must be there; records may be cut off (by a snap length, or by a server that counts wrongly),
/// which [`Message::cut`] then tells.
pub fn parse_message(bytes: &[u8]) -> Parsed<'_, Message<'_>> {
    let mut reader = Reader::new(bytes);
    let (id, flags) = (reader.u16()?, reader.u16()?);
    let counts = [reader.u16()?, reader.u16()?, reader.u16()?, reader.u16()?];
    let mut cursor = Cursor { message: bytes, reader };
    let questions = cursor.questions(counts[0])?;
    let mut message = Message {
        id,
        flags,
        questions,
        answers: Vec::new(),
        authorities: Vec::new(),
        additionals: Vec::new(),
        cut: None,
    };
    let sections = [&mut message.answers, &mut message.authorities, &mut message.additionals];
    for (section, count) in sections.into_iter().zip(&counts[1..]) {
        if let Err(stop) = cursor.records(*count, section) {
            message.cut = Some(stop);
            break;
        }
    }
    Ok((cursor.reader.rest(), message))
}

/// A position in a message.
struct Cursor<'a> {
    message: &'a [u8],
    reader: Reader<'a>,
}

impl<'a> Cursor<'a> {
    fn at(&self) -> usize {
        self.message.len() - self.reader.rest().len()
    }

    fn questions(&mut self, count: u16) -> Result<Vec<Question<'a>>, Stop> {
        let mut questions = Vec::new();
        for _ in 0..count {
            let name = self.name()?;
            let (kind, class) = (self.reader.u16()?, self.reader.u16()?);
            questions.push(Question { name, kind, class });
        }
        Ok(questions)
    }

    fn records(&mut self, count: u16, section: &mut Vec<Record<'a>>) -> Result<(), Stop> {
        section.reserve_exact(usize::from(count).min(self.reader.rest().len() / MIN_RECORD));
        for _ in 0..count {
            section.push(self.record()?);
        }
        Ok(())
    }

    fn record(&mut self) -> Result<Record<'a>, Stop> {
        let name = self.name()?;
        let (kind, class) = (self.reader.u16()?, self.reader.u16()?);
        let ttl = self.reader.u32()?;
        let data = self.reader.prefixed16()?;
        Ok(Record { name, kind, class, ttl, data, data_at: self.at() - data.len() })
    }

    /// Passes over a name and notes where it starts.
    fn name(&mut self) -> Result<Name<'a>, Stop> {
        let at = self.at();
        loop {
            let taken = match step(self.message, self.at())? {
                Step::Label(label) => label.len() + 1,
                Step::End => 1,
                Step::Jump(_) => 2,
            };
            if matches!(self.reader.take(taken)?, [] | [0 | 0xc0.., ..]) {
                return Ok(Name { message: self.message, at });
            }
            if self.at() - at > MAX_NAME {
                return Err(Stop::Malformed("name too long"));
            }
        }
    }
}

impl<'a> Record<'a> {
    /// Returns the offset of the data in the message, where its compressed names start.
    pub const fn data_offset(&self) -> usize {
        self.data_at
    }

    /// Writes the data as text: an address, the name pointed to, the joined strings of TXT, otherwise hexadecimal.
    pub fn write_data(&self, out: &mut Vec<u8>) -> Result<(), Stop> {
        if let Some(name) = self.target() {
            return name.write(out);
        }
        match (self.kind, self.data) {
            (1, data) if data.len() == 4 => write_text(out, self.address::<4>().map(Ipv4Addr::from)),
            (28, data) if data.len() == 16 => write_text(out, self.address::<16>().map(Ipv6Addr::from)),
            (16 | 99, data) => write_strings(data, out),
            (_, data) => write_hex(data, out),
        }
        Ok(())
    }

    fn address<const N: usize>(&self) -> Option<[u8; N]> {
        self.data.try_into().ok()
    }

    /// Returns the name that the data points to, in types that do; it ends with the data at the latest.
    fn target(&self) -> Option<Name<'a>> {
        let offset = match self.kind {
            2 | 5 | 6 | 12 | 39 => 0,
            15 | 64 | 65 => 2,
            33 => 6,
            _ => return None,
        };
        let message = self.name.message;
        let end = self.data_at + self.data.len();
        Some(Name { message: message.get(..end).unwrap_or(message), at: self.data_at + offset })
    }
}

fn write_text(out: &mut Vec<u8>, value: Option<impl std::fmt::Display>) {
    use std::io::Write;
    if let Some(value) = value {
        // Writing to a vector cannot fail.
        let _ = write!(out, "{value}");
    }
}

fn write_strings(data: &[u8], out: &mut Vec<u8>) {
    let mut reader = Reader::new(data);
    while let Ok(text) = reader.prefixed8() {
        out.extend_from_slice(text);
    }
}

fn write_hex(data: &[u8], out: &mut Vec<u8>) {
    for byte in data.iter().take(MAX_HEX) {
        out.extend([hex_digit(byte >> 4), hex_digit(*byte)]);
    }
}

/// Names a record type (IANA DNS parameters), `TYPEn` if it is not among the known ones (RFC 3597).
pub fn type_name(kind: u16) -> std::borrow::Cow<'static, str> {
    let name = match kind {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        10 => "NULL",
        11 => "WKS",
        12 => "PTR",
        13 => "HINFO",
        15 => "MX",
        16 => "TXT",
        17 => "RP",
        18 => "AFSDB",
        24 => "SIG",
        25 => "KEY",
        28 => "AAAA",
        29 => "LOC",
        30 => "NXT",
        32 => "NB",
        33 => "SRV",
        35 => "NAPTR",
        36 => "KX",
        37 => "CERT",
        38 => "A6",
        39 => "DNAME",
        41 => "OPT",
        42 => "APL",
        43 => "DS",
        44 => "SSHFP",
        45 => "IPSECKEY",
        46 => "RRSIG",
        47 => "NSEC",
        48 => "DNSKEY",
        49 => "DHCID",
        50 => "NSEC3",
        51 => "NSEC3PARAM",
        52 => "TLSA",
        53 => "SMIMEA",
        55 => "HIP",
        59 => "CDS",
        60 => "CDNSKEY",
        61 => "OPENPGPKEY",
        62 => "CSYNC",
        63 => "ZONEMD",
        64 => "SVCB",
        65 => "HTTPS",
        99 => "SPF",
        108 => "EUI48",
        109 => "EUI64",
        249 => "TKEY",
        250 => "TSIG",
        251 => "IXFR",
        252 => "AXFR",
        255 => "ANY",
        256 => "URI",
        257 => "CAA",
        _ => return format!("TYPE{kind}").into(),
    };
    name.into()
}

/// Names a response code (IANA DNS parameters), `RCODEn` if unknown.
pub fn response_code_name(code: u16) -> std::borrow::Cow<'static, str> {
    const NAMES: [&str; 12] = [
        "NOERROR",
        "FORMERR",
        "SERVFAIL",
        "NXDOMAIN",
        "NOTIMP",
        "REFUSED",
        "YXDOMAIN",
        "YXRRSET",
        "NXRRSET",
        "NOTAUTH",
        "NOTZONE",
        "DSOTYPENI",
    ];
    match (NAMES.get(usize::from(code)), code) {
        (Some(name), _) => (*name).into(),
        (None, 16) => "BADVERS".into(),
        (None, 23) => "BADCOOKIE".into(),
        (None, _) => format!("RCODE{code}").into(),
    }
}

/// Recognises a message by its form; a known port decides where the form alone is weak.
pub fn probe(transport: Transport, _: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    let known_port = PORTS.contains(&ports.0) || PORTS.contains(&ports.1);
    match transport {
        Transport::Datagram => probe_message(data, known_port),
        Transport::Stream => probe_stream(data, known_port),
    }
}

fn probe_stream(data: &[u8], known_port: bool) -> Probe {
    let mut reader = Reader::new(data);
    let Ok(length) = reader.u16() else { return Probe::Unsure };
    if usize::from(length) < HEADER {
        return Probe::NotForUs;
    }
    let rest = reader.rest();
    match reader.take(length.into()) {
        Ok(message) => probe_message(message, known_port),
        Err(_) if rest.len() >= HEADER && !plausible(rest) => Probe::NotForUs,
        // A message may be longer than what a probe is shown.
        Err(_) if known_port && probe_message(rest, true) == Probe::Certain => Probe::Certain,
        Err(_) => Probe::Unsure,
    }
}

fn probe_message(data: &[u8], known_port: bool) -> Probe {
    if !plausible(data) {
        return Probe::NotForUs;
    }
    let Ok((rest, message)) = parse_message(data) else { return Probe::NotForUs };
    let whole = message.cut.is_none() && rest.is_empty();
    let names = message.questions.iter().all(|question| question.name.labels(|_| ()).is_ok());
    match (names, known_port) {
        (true, true) if !matches!(message.cut, Some(Stop::Malformed(_))) => Probe::Certain,
        (true, false) if whole && is_usual(&message) => Probe::Certain,
        _ => Probe::NotForUs,
    }
}

/// Looks at the header alone: a known kind of query and counts that a message can hold.
fn plausible(data: &[u8]) -> bool {
    let Some([_, _, flags, low, counts @ ..]) = data.first_chunk::<HEADER>() else { return false };
    let [questions, answers, authorities, additionals] =
        [0, 2, 4, 6].map(|at| u16::from_be_bytes([counts[at], counts[at + 1]]));
    let is_response = flags & 0x80 != 0;
    // Opcodes 7 and 8 are NetBIOS WACK and REFRESH (RFC 1002, 4.2.1.1).
    flags >> 3 & 0xf <= 8
        && questions <= 256
        && answers <= 4096
        && authorities <= 4096
        && additionals <= 4096
        && (is_response || low & 0xf == 0)
        && (is_response || questions + answers > 0)
}

/// Tells whether a message asks one question of a usual class and a known type.
fn is_usual(message: &Message<'_>) -> bool {
    matches!(message.questions[..], [question] if matches!(question.class & 0x7fff, 1 | 3 | 255)
        && matches!(type_name(question.kind), std::borrow::Cow::Borrowed(_)))
}

/// The DNS messages of one flow.
#[derive(Clone, Debug)]
pub struct Session {
    transport: Transport,
    /// Whether a request was seen; without one, responses tell what was asked.
    asked: bool,
}

impl Session {
    /// Starts a session over datagrams, or over a stream of length-prefixed messages (RFC 1035, 4.2.2).
    pub fn new(transport: Transport) -> Self {
        Self { transport, asked: false }
    }

    fn stream(&mut self, data: &[u8], fields: &mut Fields) -> Consumed {
        let mut reader = Reader::new(data);
        loop {
            let bytes = data.len() - reader.rest().len();
            let Ok(message) = reader.prefixed16() else { return Consumed { bytes, next: Next::More } };
            match self.message(message, fields) {
                Ok(None) => {}
                Ok(Some(_)) => return Consumed { bytes, next: Next::Malformed("message shorter than its records") },
                Err(Stop::Incomplete) => return Consumed { bytes, next: Next::Malformed("message too short") },
                Err(Stop::Malformed(why)) => return Consumed { bytes, next: Next::Malformed(why) },
            }
        }
    }

    fn datagram(&mut self, data: &[u8], fields: &mut Fields) -> Consumed {
        let next = match self.message(data, fields) {
            Err(Stop::Malformed(why)) | Ok(Some(Stop::Malformed(why))) => Next::Malformed(why),
            Err(Stop::Incomplete) | Ok(_) => Next::More,
        };
        Consumed { bytes: data.len(), next }
    }

    /// Reports one message; tells why its records were cut, if they were.
    fn message(&mut self, bytes: &[u8], fields: &mut Fields) -> Result<Option<Stop>, Stop> {
        let (_, message) = parse_message(bytes)?;
        let mut text = Vec::with_capacity(MAX_NAME);
        fields.count(Field::DnsMessages);
        if !message.is_response() {
            self.asked = true;
            fields.number(Field::DnsQueryCount, message.questions.len() as u64);
        }
        if !message.is_response() || !self.asked {
            report_questions(&message.questions, &mut text, fields)?;
        }
        if message.is_response() {
            report_code(message.response_code(), fields);
            if message.questions.is_empty() {
                report_owners(&message.answers, &mut text, fields)?;
            }
            report_answers(&message.answers, &mut text, fields)?;
        }
        Ok(message.cut)
    }
}

fn report_questions(questions: &[Question<'_>], text: &mut Vec<u8>, fields: &mut Fields) -> Result<(), Stop> {
    for question in questions {
        if fields.is_full(Field::DnsQueries) {
            fields.number(Field::DnsQueryNameBytes, question.name.text_len()?);
            continue;
        }
        text.clear();
        question.name.write(text)?;
        fields.text(Field::DnsQueries, text);
        fields.text(Field::DnsQueryTypes, type_name(question.kind).as_bytes());
        fields.number(Field::DnsQueryNameBytes, text.len() as u64);
    }
    Ok(())
}

/// Reports whose addresses are given.
fn report_owners(answers: &[Record<'_>], text: &mut Vec<u8>, fields: &mut Fields) -> Result<(), Stop> {
    for answer in answers.iter().filter(|answer| matches!(answer.kind, A | NETBIOS | AAAA)) {
        if !fields.is_full(Field::DnsAnnouncedNames) {
            text.clear();
            answer.name.write(text)?;
            fields.text(Field::DnsAnnouncedNames, text);
        }
    }
    Ok(())
}

fn report_code(code: u16, fields: &mut Fields) {
    fields.text(Field::DnsResponseCodes, response_code_name(code).as_bytes());
    if code == NXDOMAIN {
        fields.count(Field::DnsNxdomainCount);
    }
}

fn report_answers(answers: &[Record<'_>], text: &mut Vec<u8>, fields: &mut Fields) -> Result<(), Stop> {
    for answer in answers.iter().filter(|answer| answer.kind != OPT) {
        if fields.is_full(Field::DnsAnswers) {
            answer.target().map_or(Ok(0), |name| name.text_len())?;
        } else {
            text.clear();
            answer.write_data(text)?;
            fields.text(Field::DnsAnswers, text);
            fields.text(Field::DnsAnswerTypes, type_name(answer.kind).as_bytes());
            fields.number(Field::DnsTtls, answer.ttl.into());
        }
        fields.number(Field::DnsAnswerBytes, answer.data.len() as u64);
    }
    Ok(())
}

impl super::Session for Session {
    fn read(&mut self, _: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        match self.transport {
            Transport::Stream => self.stream(data, fields),
            Transport::Datagram => self.datagram(data, fields),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::field::Value;
    use super::super::Session as _;
    use super::*;
    use proptest::prelude::*;

    /// Query for `Mail.Example.`, type MX, class IN, recursion desired.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\0\x04Mail\x07Example\0\0\x0f\0\x01";
    /// Its answers: MX 10 mx.mail.example through a pointer, and A 192.0.2.1; with an OPT record.
    const RESPONSE: &[u8] = b"\x12\x34\x81\x80\0\x01\0\x02\0\0\0\x01\x04Mail\x07Example\0\0\x0f\0\x01\
        \xc0\x0c\0\x0f\0\x01\0\0\x01\x2c\0\x07\0\x0a\x02mx\xc0\x0c\
        \xc0\x0c\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x01\
        \0\0\x29\x10\0\0\0\0\0\0\0";

    fn texts(fields: &Fields, field: Field) -> Vec<String> {
        match fields.get(field) {
            Some(Value::TextList(list)) => list.iter().map(|text| text.to_string()).collect(),
            _ => Vec::new(),
        }
    }

    fn read(messages: &[&[u8]]) -> (Fields, Next) {
        let (mut fields, mut next) = (Fields::default(), Next::More);
        let mut session = Session::new(Transport::Datagram);
        for message in messages {
            next = session.read(Direction::Orig, message, &mut fields).next;
        }
        (fields, next)
    }

    fn answer(kind: u16, data: &[u8]) -> String {
        let mut bytes = b"\0\0\x80\0\0\0\0\x01\0\0\0\0\0".to_vec();
        bytes.extend(kind.to_be_bytes());
        bytes.extend(b"\0\x01\0\0\0\0");
        bytes.extend((data.len() as u16).to_be_bytes());
        bytes.extend(data);
        texts(&read(&[&bytes]).0, Field::DnsAnswers).join("|")
    }

    #[test]
    fn what_a_full_list_does_not_show_is_still_counted() {
        let (one, _) = read(&[QUERY, RESPONSE]);
        let (many, _) = read(&[QUERY, RESPONSE].repeat(40));
        for field in [Field::DnsQueryCount, Field::DnsQueryNameBytes, Field::DnsAnswerBytes] {
            let (Some(Value::Number(one)), Some(Value::Number(many))) = (one.get(field), many.get(field)) else {
                panic!("{field:?} is not there");
            };
            assert_eq!(40 * one, *many, "{field:?}");
        }
        assert_eq!(texts(&many, Field::DnsAnswers).len(), texts(&many, Field::DnsAnswerTypes).len());
    }

    #[test]
    fn query_and_response_are_reported() {
        let (fields, next) = read(&[QUERY, RESPONSE]);
        assert_eq!(next, Next::More);
        assert_eq!(texts(&fields, Field::DnsQueries), ["mail.example"]);
        assert_eq!(texts(&fields, Field::DnsQueryTypes), ["MX"]);
        assert_eq!(texts(&fields, Field::DnsResponseCodes), ["NOERROR"]);
        assert_eq!(texts(&fields, Field::DnsAnswers), ["mx.mail.example", "192.0.2.1"]);
        assert_eq!(texts(&fields, Field::DnsAnswerTypes), ["MX", "A"]);
        assert_eq!(fields.get(Field::DnsTtls), Some(&Value::NumberList(vec![300, 60])));
        assert_eq!(fields.get(Field::DnsAnswerBytes), Some(&Value::Number(11)));
        assert_eq!(fields.get(Field::DnsQueryNameBytes), Some(&Value::Number(12)));
        assert_eq!(fields.get(Field::DnsMessages), Some(&Value::Number(2)));
    }

    #[test]
    fn a_response_alone_tells_the_question_but_counts_none() {
        let (fields, _) = read(&[RESPONSE]);
        assert_eq!(texts(&fields, Field::DnsQueries), ["mail.example"]);
        assert_eq!(fields.get(Field::DnsQueryCount), None);
    }

    #[test]
    fn a_response_without_a_question_tells_whose_addresses_it_gives() {
        let header = b"\0\0\x84\0\0\0\0\x02\0\0\0\0";
        let address = b"\x04Host\x05local\0\0\x01\x80\x01\0\0\0\x78\0\x04\xc0\0\x02\x01";
        let pointer = b"\x01a\0\0\x0c\0\x01\0\0\0\x78\0\x03\x01b\0";
        let (fields, _) = read(&[&[&header[..], address, pointer].concat()]);
        assert_eq!(texts(&fields, Field::DnsAnnouncedNames), ["host.local"]);
        assert_eq!(fields.get(Field::DnsQueries), None);
    }

    #[test]
    fn answers_have_text_forms() {
        assert_eq!(answer(28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), "2001:db8::1");
        assert_eq!(answer(5, b"\x01a\x01B\0"), "a.b");
        assert_eq!(answer(16, b"\x05v=spf\x021 "), "v=spf1 ");
        assert_eq!(answer(33, b"\0\x01\0\x02\x01\xbb\x03srv\0"), "srv");
        assert_eq!(answer(65, b"\0\x01\x03svc\0\0\x01\0\x03\x02h3"), "svc");
        assert_eq!(answer(43, &[0xab, 0x01]), "ab01");
        assert_eq!(answer(1, &[1, 2, 3]), "010203");
    }

    #[test]
    fn unknown_codes_stay_numbers() {
        assert_eq!(type_name(65280), "TYPE65280");
        assert_eq!((&*response_code_name(3), &*response_code_name(4000)), ("NXDOMAIN", "RCODE4000"));
    }

    #[test]
    fn compression_loops_are_malformed() {
        let mut looped = QUERY.to_vec();
        looped.splice(12..26, [0xc0, 12]);
        assert_eq!(read(&[&looped]).1, Next::Malformed("name compression loop"));
    }

    #[test]
    fn a_cut_datagram_keeps_what_is_whole() {
        let (fields, next) = read(&[&RESPONSE[..60]]);
        assert_eq!((next, texts(&fields, Field::DnsAnswers)), (Next::More, vec!["mx.mail.example".to_owned()]));
    }

    #[test]
    fn probes_judge_form_and_port() {
        let probe_on = |data, port| probe(Transport::Datagram, Direction::Orig, data, (40_000, port));
        assert_eq!(probe_on(QUERY, 4444), Probe::Certain);
        assert_eq!(probe_on(&RESPONSE[..60], 53), Probe::Certain);
        assert_eq!(probe_on(&RESPONSE[..60], 4444), Probe::NotForUs);
        assert_eq!(probe_on(b"GET / HTTP/1.1\r\n\r\n", 53), Probe::NotForUs);
    }

    #[test]
    fn a_long_stream_message_is_recognised_before_its_end() {
        let stream = [&[0x20, 0][..], QUERY].concat();
        assert_eq!(probe(Transport::Stream, Direction::Orig, &stream, (40_000, 53)), Probe::Certain);
        assert_eq!(probe(Transport::Stream, Direction::Orig, &stream, (40_000, 4444)), Probe::Unsure);
    }

    #[test]
    fn stream_messages_may_be_cut_anywhere() {
        let stream: Vec<u8> =
            [QUERY, RESPONSE].iter().flat_map(|m| [&(m.len() as u16).to_be_bytes()[..], m].concat()).collect();
        for cut in 0..=stream.len() {
            let (mut session, mut fields) = (Session::new(Transport::Stream), Fields::default());
            let first = session.read(Direction::Orig, &stream[..cut], &mut fields).bytes;
            let rest = session.read(Direction::Orig, &stream[first..], &mut fields);
            assert_eq!((first + rest.bytes, rest.next), (stream.len(), Next::More));
            assert_eq!(texts(&fields, Field::DnsAnswers).len(), 2);
            assert_ne!(probe(Transport::Stream, Direction::Orig, &stream[..cut], (1, 53)), Probe::NotForUs);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..60) {
            let mut hostile = RESPONSE.to_vec();
            hostile.truncate(at.max(2));
            hostile.extend(&data);
            for bytes in [&data, &hostile] {
                read(&[bytes]);
                Session::new(Transport::Stream).read(Direction::Orig, bytes, &mut Fields::default());
                probe(Transport::Stream, Direction::Orig, bytes, (53, 53));
                probe(Transport::Datagram, Direction::Orig, bytes, (53, 53));
            }
        }
    }
}
