//! LDAP: a request and all responses to it are one transaction (RFC 4511).

use std::collections::VecDeque;

use infraspectre_core::app::bytes::{datagram, drain, has_port};
use infraspectre_core::app::der::{elements, parse_element, Element, INTEGER, SEQUENCE};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How LDAP is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Ldap,
    transports: &[Transport::Stream, Transport::Datagram],
    probe,
    session: |transport| Box::new(Ldap { transport, waiting: VecDeque::new(), starts_tls: None }),
    describe,
};

const PORTS: [u16; 2] = [389, 3268];
/// Longest message.
const MAX_MESSAGE: usize = 1 << 20;
/// Requests that wait for responses.
const MAX_WAITING: usize = 256;
/// Attributes reported of one message.
const MAX_ATTRIBUTES: usize = 256;
/// The extended operation that begins TLS (4.14).
const START_TLS: &[u8] = b"1.3.6.1.4.1.1466.20037";

const OCTETS: u8 = 0x04;
/// Application class (4.1.1): the lower bits are the operation.
const APPLICATION: u8 = 0x40;

/// Operations (4.2 to 4.13).
mod operation {
    pub const BIND: u8 = 0;
    pub const BIND_DONE: u8 = 1;
    pub const UNBIND: u8 = 2;
    pub const SEARCH: u8 = 3;
    pub const ENTRY: u8 = 4;
    pub const SEARCH_DONE: u8 = 5;
    pub const MODIFY: u8 = 6;
    pub const MODIFY_DONE: u8 = 7;
    pub const ADD: u8 = 8;
    pub const ADD_DONE: u8 = 9;
    pub const DELETE: u8 = 10;
    pub const DELETE_DONE: u8 = 11;
    pub const MODIFY_DN: u8 = 12;
    pub const MODIFY_DN_DONE: u8 = 13;
    pub const COMPARE: u8 = 14;
    pub const COMPARE_DONE: u8 = 15;
    pub const ABANDON: u8 = 16;
    pub const REFERENCE: u8 = 19;
    pub const EXTENDED: u8 = 23;
    pub const EXTENDED_DONE: u8 = 24;
    pub const INTERMEDIATE: u8 = 25;
}

/// Names an operation as EVE does.
fn operation_name(code: u8) -> &'static str {
    match code {
        operation::BIND => "bind_request",
        operation::BIND_DONE => "bind_response",
        operation::UNBIND => "unbind_request",
        operation::SEARCH => "search_request",
        operation::ENTRY => "search_result_entry",
        operation::SEARCH_DONE => "search_result_done",
        operation::MODIFY => "modify_request",
        operation::MODIFY_DONE => "modify_response",
        operation::ADD => "add_request",
        operation::ADD_DONE => "add_response",
        operation::DELETE => "del_request",
        operation::DELETE_DONE => "del_response",
        operation::MODIFY_DN => "mod_dn_request",
        operation::MODIFY_DN_DONE => "mod_dn_response",
        operation::COMPARE => "compare_request",
        operation::COMPARE_DONE => "compare_response",
        operation::ABANDON => "abandon_request",
        operation::REFERENCE => "search_result_reference",
        operation::EXTENDED => "extended_request",
        operation::EXTENDED_DONE => "extended_response",
        operation::INTERMEDIATE => "intermediate_response",
        _ => "unknown",
    }
}

fn is_request(code: u8) -> bool {
    use operation::{ABANDON, ADD, BIND, COMPARE, DELETE, EXTENDED, MODIFY, MODIFY_DN, SEARCH, UNBIND};
    matches!(code, BIND | UNBIND | SEARCH | MODIFY | ADD | DELETE | MODIFY_DN | COMPARE | ABANDON | EXTENDED)
}

/// Names result codes as EVE does (4.1.9).
fn result_name(code: i32) -> Value {
    let name = match code {
        0 => "success",
        1 => "operations_error",
        2 => "protocol_error",
        3 => "time_limit_exceeded",
        4 => "size_limit_exceeded",
        5 => "compare_false",
        6 => "compare_true",
        7 => "auth_method_not_supported",
        8 => "stronger_auth_required",
        10 => "referral",
        11 => "admin_limit_exceeded",
        12 => "unavailable_critical_extension",
        13 => "confidentiality_required",
        14 => "sasl_bind_in_progress",
        16 => "no_such_attribute",
        17 => "undefined_attribute_type",
        18 => "inappropriate_matching",
        19 => "constraint_violation",
        20 => "attribute_or_value_exists",
        21 => "invalid_attribute_syntax",
        32 => "no_such_object",
        33 => "alias_problem",
        34 => "invalid_dns_syntax",
        48 => "inappropriate_authentication",
        49 => "invalid_credentials",
        50 => "insufficient_access_rights",
        51 => "busy",
        52 => "unavailable",
        53 => "unwilling_to_perform",
        54 => "loop_detect",
        64 => "naming_violation",
        65 => "object_class_violation",
        66 => "not_allowed_on_non_leaf",
        67 => "not_allowed_on_rdn",
        68 => "entry_already_exists",
        69 => "object_class_mods_prohibited",
        71 => "affects_multiple_dsas",
        80 => "other",
        other => return json!(other),
    };
    json!(name)
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    id: i32,
    operation: u8,
    content: &'a [u8],
}

/// Reads a message and returns how many bytes it takes.
fn parse_message(data: &[u8]) -> Result<(usize, Message<'_>), Stop> {
    if data.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Stop::Malformed("ldap message"));
    }
    let (rest, envelope) = parse_element(data)?;
    let malformed = Stop::Malformed("ldap message");
    let mut parts = elements(envelope.content);
    let id = parts.next().filter(|part| part.tag == INTEGER).and_then(Element::integer).ok_or(malformed)?;
    let body = parts.next().filter(|part| part.tag & 0xc0 == APPLICATION).ok_or(malformed)?;
    Ok((data.len() - rest.len(), Message { id, operation: body.tag & 0x1f, content: body.content }))
}

/// Recognises a message on the well-known ports.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if !PORTS.iter().any(|port| has_port(ports, *port)) {
        return Probe::NotForUs;
    }
    match parse_message(data) {
        Ok((_, message)) if operation_name(message.operation) != "unknown" => Probe::Certain,
        Err(Stop::Incomplete) if transport == Transport::Stream => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

struct Ldap {
    transport: Transport,
    /// Message identities and transactions of requests.
    waiting: VecDeque<(i32, u64)>,
    /// The message that asks for TLS.
    starts_tls: Option<i32>,
}

impl Ldap {
    fn step(&mut self, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let (used, message) = match parse_message(data) {
            Err(Stop::Incomplete) if data.len() > MAX_MESSAGE => return Err(Stop::Malformed("ldap length")),
            other => other?,
        };
        self.message(&message, output);
        Ok((used, Next::More))
    }

    fn message(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        if is_request(message.operation) {
            self.request(message, output);
        } else {
            self.response(message, output);
        }
    }

    fn request(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        let transaction = output.begin();
        report_request(message, transaction);
        transaction.complete(Direction::Orig);
        if matches!(message.operation, operation::UNBIND | operation::ABANDON) {
            return transaction.complete(Direction::Resp);
        }
        let number = transaction.number;
        let asked = elements(message.content).next().filter(|_| message.operation == operation::EXTENDED);
        if asked.is_some_and(|name| name.content == START_TLS) {
            self.starts_tls = Some(message.id);
        }
        if self.waiting.len() >= MAX_WAITING {
            let old = self.waiting.pop_front();
            if let Some(old) = old.and_then(|(_, number)| output.get(number)) {
                old.complete(Direction::Resp);
            }
        }
        self.waiting.push_back((message.id, number));
    }

    fn response(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        use operation::{ENTRY, EXTENDED_DONE, INTERMEDIATE, REFERENCE};
        let at = self.waiting.iter().position(|(id, _)| *id == message.id);
        let known = at.and_then(|at| self.waiting.get(at)).map(|(_, number)| *number);
        let number = match known.filter(|number| output.get(*number).is_some()) {
            Some(number) => number,
            None => unasked(message, output),
        };
        let is_last = !matches!(message.operation, ENTRY | REFERENCE | INTERMEDIATE);
        let Some(transaction) = output.get(number) else { return };
        report_response(message, transaction);
        if !is_last {
            return;
        }
        transaction.complete(Direction::Resp);
        at.and_then(|at| self.waiting.remove(at));
        let begins_tls = message.operation == EXTENDED_DONE && self.starts_tls == Some(message.id);
        if begins_tls && result_code(message.content) == Some(0) {
            output.requests.switch_to = Some(Protocol::Tls);
        }
    }
}

/// Begins the transaction of a response without a request; a notification of the server has the identity 0 (4.4).
fn unasked(message: &Message<'_>, output: &mut Output<'_>) -> u64 {
    let transaction = output.message(Direction::Resp);
    if message.id != 0 || message.operation != operation::EXTENDED_DONE {
        transaction.event(Direction::Resp, "request_not_found");
    }
    transaction.number
}

fn report_request(message: &Message<'_>, transaction: &mut Transaction) {
    use operation::{ADD, BIND, COMPARE, DELETE, MODIFY, MODIFY_DN, SEARCH};
    const SIDE: Direction = Direction::Orig;
    transaction.put_number(SIDE, Field::LdapRequestOperation, u64::from(message.operation));
    let parts: Vec<Element<'_>> = elements(message.content).take(8).collect();
    let name = match message.operation {
        DELETE => Some(message.content),
        BIND => parts.get(1).map(|part| part.content),
        SEARCH | MODIFY | ADD | MODIFY_DN | COMPARE => parts.first().map(|part| part.content),
        _ => None,
    };
    if let Some(name) = name {
        transaction.put(SIDE, Field::LdapRequestDn, name);
    }
    let mut put = |name: &[u8]| transaction.put(SIDE, Field::LdapRequestAttribute, name);
    match message.operation {
        SEARCH => octets(parts.get(7)).for_each(put),
        ADD => parts.get(1).into_iter().flat_map(|list| sequences(list.content)).flat_map(first_octets).for_each(put),
        MODIFY => {
            let changes = parts.get(1).into_iter().flat_map(|list| sequences(list.content));
            let attributes = changes.filter_map(|change| elements(change).nth(1)).map(|part| part.content);
            attributes.flat_map(first_octets).for_each(put);
        }
        COMPARE => parts.get(1).and_then(|pair| first_octets(pair.content)).into_iter().for_each(&mut put),
        _ => {}
    }
}

fn sequences(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    elements(list).filter(|part| part.tag == SEQUENCE).map(|part| part.content).take(MAX_ATTRIBUTES)
}

fn first_octets(content: &[u8]) -> Option<&[u8]> {
    elements(content).next().filter(|part| part.tag == OCTETS).map(|part| part.content)
}

fn octets<'a>(list: Option<&Element<'a>>) -> impl Iterator<Item = &'a [u8]> {
    let parts = list.map_or(&[][..], |list| list.content);
    elements(parts).filter(|part| part.tag == OCTETS).map(|part| part.content).take(MAX_ATTRIBUTES)
}

/// ENUMERATED, read as an INTEGER.
fn result_code(content: &[u8]) -> Option<i32> {
    let code = elements(content).next().filter(|part| part.tag == 0x0a)?;
    Element { tag: INTEGER, content: code.content }.integer()
}

fn report_response(message: &Message<'_>, transaction: &mut Transaction) {
    use operation::{ENTRY, INTERMEDIATE, REFERENCE};
    const SIDE: Direction = Direction::Resp;
    transaction.put_number(SIDE, Field::LdapResponsesOperation, u64::from(message.operation));
    let name = operation_name(message.operation);
    let mut detail = json!({});
    let parts: Vec<Element<'_>> = elements(message.content).take(3).collect();
    let at = |index: usize| parts.get(index).map_or(&[][..], |part| part.content);
    match message.operation {
        ENTRY => {
            transaction.put(SIDE, Field::LdapResponsesDn, at(0));
            for attribute in sequences(at(1)).filter_map(first_octets) {
                transaction.put(SIDE, Field::LdapResponsesAttribute, attribute);
            }
            detail = json!({"base_object": String::from_utf8_lossy(at(0))});
        }
        REFERENCE | INTERMEDIATE => {}
        _ => {
            let code = result_code(message.content).unwrap_or(0);
            transaction.put_number(SIDE, Field::LdapResponsesResultCode, code.unsigned_abs().into());
            transaction.put(SIDE, Field::LdapResponsesDn, at(1));
            transaction.put(SIDE, Field::LdapResponsesMessage, at(2));
            let (matched, text) = (String::from_utf8_lossy(at(1)), String::from_utf8_lossy(at(2)));
            detail = json!({"result_code": result_name(code), "matched_dn": matched, "message": text});
        }
    }
    note(json!({"operation": name, name: detail, "message_id": message.id}), transaction);
}

/// Keeps what EVE says of a response, and counts it.
fn note(response: Value, transaction: &mut Transaction) {
    let Some(list) = transaction.details.entry("responses").or_insert_with(|| json!([])).as_array_mut() else { return };
    if list.len() < MAX_ATTRIBUTES {
        list.push(response);
    }
}

impl Session for Ldap {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = match self.transport {
            Transport::Stream => drain(data, |rest| self.step(rest, output)),
            Transport::Datagram => datagram(data, self.step(data, output).map(|_| ())),
        };
        output.note_malformed(consumed, direction, "invalid_data")
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = transaction.details.clone();
    if let Some(code) = transaction.numbers(Direction::Orig, Field::LdapRequestOperation).next() {
        object.insert("request".into(), json!({"operation": operation_name(code as u8)}));
    }
    event.insert("ldap".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, datagrams, described, numbers, stream, texts,
    };
    use super::*;

    fn element(tag: u8, content: &[u8]) -> Vec<u8> {
        [&[tag, content.len() as u8], content].concat()
    }

    fn message(id: u8, tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        element(SEQUENCE, &[element(INTEGER, &[id]), element(tag, &parts.concat())].concat())
    }

    fn search() -> Vec<u8> {
        let attributes = [element(OCTETS, b"cn"), element(OCTETS, b"mail")].concat();
        let numbers = [element(0x0a, &[2]), element(0x0a, &[0]), element(2, &[0]), element(2, &[0]), element(1, &[0])];
        let head = [element(OCTETS, b"dc=lab"), numbers.concat(), element(0x87, b"objectClass")];
        message(7, 0x63, &[head.concat(), element(SEQUENCE, &attributes)])
    }

    fn answers() -> Vec<u8> {
        let attribute = element(SEQUENCE, &[element(OCTETS, b"cn"), element(0x31, &element(OCTETS, b"x"))].concat());
        let entry = message(7, 0x64, &[element(OCTETS, b"cn=x,dc=lab"), element(SEQUENCE, &attribute)]);
        let done = message(7, 0x65, &[element(0x0a, &[4]), element(OCTETS, b""), element(OCTETS, b"too many")]);
        [entry, done].concat()
    }

    #[test]
    fn a_search_and_its_results_are_one_transaction() {
        let (asked, given) = (search(), answers());
        let pieces = [(Direction::Orig, &asked[..]), (Direction::Resp, &given)];
        let found = stream(&ENTRY, &pieces);
        assert_eq!(found.len(), 1);
        assert!(found[0].is_done());
        assert_eq!(numbers(&found[0], Direction::Orig, Field::LdapRequestOperation), [3]);
        assert_eq!(texts(&found[0], Direction::Orig, Field::LdapRequestDn), ["dc=lab"]);
        assert_eq!(texts(&found[0], Direction::Orig, Field::LdapRequestAttribute), ["cn", "mail"]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::LdapResponsesOperation), [4, 5]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::LdapResponsesDn), ["cn=x,dc=lab", ""]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::LdapResponsesMessage), ["too many"]);
        assert!(described(&ENTRY, &found[0]).contains(r#""result_code":"size_limit_exceeded""#));
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    #[test]
    fn an_answer_to_nothing_is_an_event() {
        let found = datagrams(&ENTRY, &[(Direction::Resp, &answers())]);
        assert_eq!(found[0].events, [(Direction::Resp, "request_not_found")]);
        assert_eq!(probe(Transport::Stream, Direction::Orig, &search(), (1, 389)), Probe::Certain);
        assert_eq!(probe(Transport::Stream, Direction::Orig, &search()[..5], (1, 389)), Probe::Unsure);
        assert_eq!(probe(Transport::Stream, Direction::Orig, b"0\x05\x04", (1, 389)), Probe::Unsure);
        assert_eq!(probe(Transport::Stream, Direction::Orig, b"GET", (1, 389)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..120_usize) {
            let mut bytes = [search(), answers()].concat();
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 2);
            assert_any_bytes_are_safe(&ENTRY, &data, 2);
        }
    }
}
