//! Kerberos 5: who asks for which service, with which encryption, and what is refused (RFC 4120).

use super::bytes::{datagram, drain, pass_over, Reader};
use super::der::{elements, expect, integer, member, parse_element, Element, SEQUENCE};
use super::field::MAX_TEXT;
use super::{Consumed, Direction, Field, Fields, Next, Parsed, Probe, Stop, Transport};

/// Longest message read from a stream; longer ones are passed over.
pub const MAX_MESSAGE: usize = 60_000;

/// A stream claiming a longer message is not Kerberos.
const MAX_CLAIM: usize = 1 << 24;
/// Application class, constructed (X.690, 8.1.2); the number is the message type.
const APPLICATION: u8 = 0x60;
const TICKET: u8 = APPLICATION | 1;

/// Message types (RFC 4120, 7.5.7).
pub mod kind {
    pub const AS_REQ: u8 = 10;
    pub const AS_REP: u8 = 11;
    pub const TGS_REQ: u8 = 12;
    pub const TGS_REP: u8 = 13;
    pub const AP_REQ: u8 = 14;
    pub const AP_REP: u8 = 15;
    pub const SAFE: u8 = 20;
    pub const PRIV: u8 = 21;
    pub const CRED: u8 = 22;
    pub const ERROR: u8 = 30;
}

/// Names a message type.
pub fn kind_name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        kind::AS_REQ => "AS-REQ",
        kind::AS_REP => "AS-REP",
        kind::TGS_REQ => "TGS-REQ",
        kind::TGS_REP => "TGS-REP",
        kind::AP_REQ => "AP-REQ",
        kind::AP_REP => "AP-REP",
        kind::SAFE => "KRB-SAFE",
        kind::PRIV => "KRB-PRIV",
        kind::CRED => "KRB-CRED",
        kind::ERROR => "KRB-ERROR",
        _ => return None,
    })
}

/// A principal's name, without its realm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Principal<'a> {
    /// Kind of name (RFC 4120, 6.2).
    pub kind: i32,
    names: &'a [u8],
}

impl<'a> Principal<'a> {
    fn parse(data: &'a [u8]) -> Option<Self> {
        let content = expect(data, SEQUENCE)?;
        let names = expect(member(content, 1)?, SEQUENCE)?;
        Some(Self { kind: integer(member(content, 0)?)?, names })
    }

    /// Returns the parts of the name.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> {
        elements(self.names).map(|element| element.content)
    }

    /// Writes the parts with slashes between them, at most [`MAX_TEXT`] bytes.
    pub fn name(&self) -> Vec<u8> {
        let mut name = Vec::new();
        for (index, part) in self.parts().enumerate() {
            if name.len() > MAX_TEXT {
                break;
            }
            name.extend_from_slice(if index > 0 { b"/" } else { b"" });
            name.extend_from_slice(part);
        }
        name.truncate(MAX_TEXT);
        name
    }
}

/// A ticket: for which service, under which encryption.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket<'a> {
    pub realm: Option<&'a [u8]>,
    pub service: Option<Principal<'a>>,
    /// Encryption type (RFC 3961).
    pub cipher: Option<i32>,
}

/// What the messages hold in clear; members that a message type does not have are absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    pub kind: u8,
    pub client: Option<Principal<'a>>,
    /// Realm of the client; in a request, of the client or the service.
    pub realm: Option<&'a [u8]>,
    pub service: Option<Principal<'a>>,
    pub ticket: Option<Ticket<'a>>,
    pub error: Option<i32>,
    /// Encryption type of the part of a reply that is for the client.
    pub reply_cipher: Option<i32>,
    ciphers: &'a [u8],
}

impl<'a> Message<'a> {
    /// Returns the encryption types of a request, most wanted first (RFC 3961).
    pub fn ciphers(&self) -> impl Iterator<Item = i32> + 'a {
        elements(self.ciphers).filter_map(Element::integer)
    }

    /// Writes the client as `name@REALM`.
    fn client_name(&self) -> Option<Vec<u8>> {
        let mut name = self.client?.name();
        name.push(b'@');
        name.extend_from_slice(self.realm.unwrap_or_default());
        Some(name)
    }
}

/// Reads one message, as a datagram holds it.
pub fn parse_message(data: &[u8]) -> Parsed<'_, Message<'_>> {
    let first = *data.first().ok_or(Stop::Incomplete)?;
    let kind = first & 0x1f;
    if first & 0xe0 != APPLICATION || kind_name(kind).is_none() {
        return Err(Stop::Malformed("kerberos message type"));
    }
    let (rest, element) = parse_element(data)?;
    let content = expect(element.content, SEQUENCE).ok_or(Stop::Malformed("kerberos message"))?;
    let version = member(content, if matches!(kind, kind::AS_REQ | kind::TGS_REQ) { 1 } else { 0 });
    if version.and_then(integer) != Some(5) {
        return Err(Stop::Malformed("kerberos version"));
    }
    Ok((rest, message(kind, content)))
}

/// Reads the members by their numbers in RFC 4120, 5.4.1 (requests), 5.4.2 (replies), 5.5.1 and 5.9.1.
fn message(kind: u8, content: &[u8]) -> Message<'_> {
    let empty = Message {
        kind,
        client: None,
        realm: None,
        service: None,
        ticket: None,
        error: None,
        reply_cipher: None,
        ciphers: &[],
    };
    let principal = |sequence, number| member(sequence, number).and_then(Principal::parse);
    match kind {
        kind::AS_REQ | kind::TGS_REQ => {
            let body = member(content, 4).and_then(|body| expect(body, SEQUENCE)).unwrap_or_default();
            Message {
                client: principal(body, 1),
                realm: text(body, 2),
                service: principal(body, 3),
                ciphers: member(body, 8).and_then(|list| expect(list, SEQUENCE)).unwrap_or_default(),
                ..empty
            }
        }
        kind::AS_REP | kind::TGS_REP => Message {
            realm: text(content, 3),
            client: principal(content, 4),
            ticket: member(content, 5).and_then(ticket),
            reply_cipher: member(content, 6).and_then(cipher),
            ..empty
        },
        kind::AP_REQ => Message { ticket: member(content, 3).and_then(ticket), ..empty },
        kind::ERROR => Message {
            error: member(content, 6).and_then(integer),
            realm: text(content, 7),
            client: principal(content, 8),
            service: principal(content, 10),
            ..empty
        },
        _ => empty,
    }
}

fn text(sequence: &[u8], number: u8) -> Option<&[u8]> {
    parse_element(member(sequence, number)?).ok().map(|(_, element)| element.content)
}

fn ticket(data: &[u8]) -> Option<Ticket<'_>> {
    let content = expect(expect(data, TICKET)?, SEQUENCE)?;
    Some(Ticket {
        realm: text(content, 1),
        service: member(content, 2).and_then(Principal::parse),
        cipher: member(content, 3).and_then(cipher),
    })
}

/// Reads the encryption type of encrypted data (RFC 4120, 5.2.9).
fn cipher(encrypted: &[u8]) -> Option<i32> {
    integer(member(expect(encrypted, SEQUENCE)?, 0)?)
}

/// Recognises the outer tags and the version of the first message.
pub fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    let (claimed, message) = match (transport, data.split_first_chunk::<4>()) {
        (Transport::Datagram, _) => (data.len(), data),
        (Transport::Stream, Some((length, rest))) => (u32::from_be_bytes(*length) as usize, rest),
        (Transport::Stream, None) if data.first().is_none_or(|byte| *byte == 0) => return Probe::Unsure,
        (Transport::Stream, None) => return Probe::NotForUs,
    };
    if !(10..=MAX_CLAIM).contains(&claimed) || message.first().is_some_and(|tag| tag & 0xe0 != APPLICATION) {
        return Probe::NotForUs;
    }
    match header_is_plausible(message) {
        Some(true) => Probe::Certain,
        Some(false) => Probe::NotForUs,
        None => Probe::Unsure,
    }
}

/// Checks application tag, sequence and version, which the first few bytes hold; none if there are too few.
fn header_is_plausible(data: &[u8]) -> Option<bool> {
    let mut reader = Reader::new(data);
    let first = reader.u8().ok()?;
    let mut skip_length = || -> Option<u8> {
        let length = reader.u8().ok()?;
        if length > 0x80 {
            reader.take(usize::from(length & 0x7f)).ok()?;
        }
        reader.u8().ok()
    };
    let (sequence, version) = (skip_length()?, skip_length()?);
    let number: [u8; 4] = reader.array().ok()?;
    let known = kind_name(first & 0x1f).is_some() && first & 0xe0 == APPLICATION;
    Some(known && sequence == SEQUENCE && matches!(version, 0xa0 | 0xa1) && number == [3, 2, 1, 5])
}

/// Reports each message.
pub struct Session {
    transport: Transport,
    /// Bytes of an overlong message still to pass over, for each direction.
    skip: [usize; 2],
}

impl Session {
    /// Starts before the first message.
    pub fn new(transport: Transport) -> Self {
        Self { transport, skip: [0; 2] }
    }

    fn step(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Result<(usize, Next), Stop> {
        let skip = &mut self.skip[direction as usize];
        if let Some(used) = pass_over(skip, data) {
            return Ok((used, Next::More));
        }
        let mut reader = Reader::new(data);
        let length = reader.u32()? as usize;
        if length > MAX_CLAIM {
            return Err(Stop::Malformed("kerberos length"));
        }
        if length > MAX_MESSAGE {
            *skip = length;
            return Ok((4, Next::More));
        }
        let (_, message) = parse_message(reader.take(length)?).map_err(|_| Stop::Malformed("kerberos message"))?;
        report(&message, fields);
        Ok((4 + length, Next::More))
    }
}

fn report(message: &Message<'_>, fields: &mut Fields) {
    fields.text(Field::KerberosMessages, kind_name(message.kind).unwrap_or_default().as_bytes());
    if let Some(client) = message.client_name() {
        fields.distinct_text(Field::KerberosClients, &client);
    }
    if let Some(service) = message.service.or(message.ticket.and_then(|ticket| ticket.service)) {
        fields.distinct_text(Field::KerberosServices, &service.name());
    }
    if let Some(error) = message.error {
        fields.number(Field::KerberosErrors, unsigned(error));
    }
    for cipher in message.ciphers() {
        fields.distinct_number(Field::KerberosCiphers, unsigned(cipher));
    }
    let issued = message.ticket.filter(|_| matches!(message.kind, kind::AS_REP | kind::TGS_REP));
    if let Some(cipher) = issued.and_then(|ticket| ticket.cipher) {
        fields.number(Field::KerberosTicketCipher, unsigned(cipher));
    }
}

/// Keeps the bits of private, negative numbers.
fn unsigned(number: i32) -> u64 {
    u64::from(u32::from_ne_bytes(number.to_ne_bytes()))
}

impl super::Session for Session {
    fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> Consumed {
        if self.transport == Transport::Stream {
            return drain(data, |rest| self.step(direction, rest, fields));
        }
        datagram(data, parse_message(data).map(|(_, message)| report(&message, fields)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, feed_datagrams, numbers, texts};
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        let length = content.len() as u16;
        let head =
            if length < 128 { vec![tag, length as u8] } else { vec![tag, 0x82, (length >> 8) as u8, length as u8] };
        [head, content.to_vec()].concat()
    }

    fn tagged(number: u8, content: &[u8]) -> Vec<u8> {
        element(0xa0 | number, content)
    }

    fn int(number: i16) -> Vec<u8> {
        element(0x02, &number.to_be_bytes())
    }

    fn principal(parts: &[&str]) -> Vec<u8> {
        let names: Vec<u8> = parts.iter().flat_map(|part| element(0x1b, part.as_bytes())).collect();
        element(SEQUENCE, &[tagged(0, &element(2, &[1])), tagged(1, &element(SEQUENCE, &names))].concat())
    }

    fn message(kind: u8, members: &[Vec<u8>]) -> Vec<u8> {
        element(APPLICATION | kind, &element(SEQUENCE, &members.concat()))
    }

    fn request() -> Vec<u8> {
        let body = [
            tagged(1, &principal(&["alice"])),
            tagged(2, &element(0x1b, b"EXAMPLE")),
            tagged(3, &principal(&["krbtgt", "EXAMPLE"])),
            tagged(8, &element(SEQUENCE, &[int(18), int(23), int(-135)].concat())),
        ];
        let five = element(2, &[5]);
        message(kind::AS_REQ, &[tagged(1, &five), tagged(2, &int(10)), tagged(4, &element(SEQUENCE, &body.concat()))])
    }

    fn reply() -> Vec<u8> {
        let sealed = element(SEQUENCE, &[tagged(0, &int(23)), tagged(2, &element(4, &[0; 200]))].concat());
        let members =
            [tagged(1, &element(0x1b, b"EXAMPLE")), tagged(2, &principal(&["cifs", "host"])), tagged(3, &sealed)];
        let ticket = element(TICKET, &element(SEQUENCE, &members.concat()));
        let client = tagged(4, &principal(&["alice"]));
        let realm = tagged(3, &element(0x1b, b"EXAMPLE"));
        message(kind::TGS_REP, &[tagged(0, &element(2, &[5])), realm, client, tagged(5, &ticket)])
    }

    fn framed(message: &[u8]) -> Vec<u8> {
        [&(message.len() as u32).to_be_bytes()[..], message].concat()
    }

    #[test]
    fn an_exchange_is_reported() {
        let error = message(kind::ERROR, &[tagged(0, &element(2, &[5])), tagged(6, &int(24))]);
        let fields = feed_datagrams(
            &mut Session::new(Transport::Datagram),
            &[(Direction::Orig, &request()), (Direction::Resp, &error), (Direction::Resp, &reply())],
        );
        assert_eq!(texts(&fields, Field::KerberosMessages), ["AS-REQ", "KRB-ERROR", "TGS-REP"]);
        assert_eq!(texts(&fields, Field::KerberosClients), ["alice@EXAMPLE"]);
        assert_eq!(texts(&fields, Field::KerberosServices), ["krbtgt/EXAMPLE", "cifs/host"]);
        assert_eq!(numbers(&fields, Field::KerberosErrors), [24]);
        assert_eq!(numbers(&fields, Field::KerberosCiphers), [18, 23, 0xffff_ff79]);
        assert_eq!(numbers(&fields, Field::KerberosTicketCipher), [23]);
    }

    #[test]
    fn cuts_do_not_matter() {
        let long = framed(&vec![0; MAX_MESSAGE + 1])[..300].to_vec();
        let (asked, given) = (framed(&request()), [framed(&reply()), long].concat());
        let pieces = [(Direction::Orig, &asked[..]), (Direction::Resp, &given)];
        assert_cuts_do_not_matter(|| Session::new(Transport::Stream), &pieces);
    }

    #[test]
    fn incomplete_is_not_malformed() {
        let bytes = reply();
        for cut in 0..bytes.len() {
            assert_eq!(parse_message(&bytes[..cut]), Err(Stop::Incomplete), "cut at {cut}");
        }
        assert_eq!(parse_message(b"\x6a\x02\x04\x00"), Err(Stop::Malformed("kerberos message")));
        assert_eq!(parse_message(b"\x41\x00"), Err(Stop::Malformed("kerberos message type")));
    }

    #[test]
    fn the_first_bytes_decide() {
        let on = |transport, data: &[u8]| probe(transport, Direction::Orig, data, (50_000, 9));
        assert_eq!(on(Transport::Datagram, &reply()), Probe::Certain);
        assert_eq!(on(Transport::Stream, &framed(&request())[..20]), Probe::Certain);
        assert_eq!(on(Transport::Stream, &framed(&request())[..7]), Probe::Unsure);
        assert_eq!(on(Transport::Stream, &request()), Probe::NotForUs);
        assert_eq!(on(Transport::Datagram, b"\x6a\x82\x01\x00\x30\x82\x01\x00\x04\x03\x02\x01\x05"), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0..200_usize) {
            let mut bytes = request();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&mut Session::new(Transport::Datagram), &bytes, 1);
            assert_any_bytes_are_safe(&mut Session::new(Transport::Stream), &framed(&bytes), 2);
            assert_any_bytes_are_safe(&mut Session::new(Transport::Stream), &data, 3);
        }
    }
}
