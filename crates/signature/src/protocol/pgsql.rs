//! PostgreSQL: a request and what answers it are one transaction (PostgreSQL documentation, "Message Formats").

use infraspectre_core::app::bytes::{drain, has_port, pass_over, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::{index, Transaction};

/// How PostgreSQL is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Pgsql,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Pgsql::default()),
    describe,
};

const PORT: u16 = 5432;
/// Longest message that is read whole; of longer ones only the head.
const MAX_MESSAGE: usize = 1 << 16;
/// Longest first message of a client.
const MAX_STARTUP: usize = 10_240;

/// Codes in the place of a version in a client's first message.
mod startup {
    pub const VERSION_3: u16 = 3;
    pub const CANCEL: u32 = 80_877_102;
    pub const SSL: u32 = 80_877_103;
    pub const GSS: u32 = 80_877_104;
}

/// Fields of errors and notices, by their codes.
const ERROR_FIELDS: [(u8, &str); 8] = [
    (b'S', "severity_localizable"),
    (b'V', "severity_non_localizable"),
    (b'C', "code"),
    (b'M', "message"),
    (b'D', "detail"),
    (b'F', "file"),
    (b'L', "line"),
    (b'R', "routine"),
];

/// A message: its type (0 if it has none), bytes in all, and its content as far as it is read.
#[derive(Clone, Copy, Debug)]
struct Message<'a> {
    kind: u8,
    span: usize,
    content: &'a [u8],
}

/// Reads a message with a type.
fn parse_message(data: &[u8]) -> Result<Message<'_>, Stop> {
    let mut reader = Reader::new(data);
    let kind = reader.u8()?;
    if !kind.is_ascii_alphanumeric() {
        return Err(Stop::Malformed("pgsql message type"));
    }
    let length = (reader.u32()? as usize).checked_sub(4).ok_or(Stop::Malformed("pgsql message length"))?;
    Ok(Message { kind, span: 5 + length, content: reader.take(length.min(MAX_MESSAGE))? })
}

/// Reads a client's first message, or the one that asks for encryption.
fn parse_startup(data: &[u8]) -> Result<Message<'_>, Stop> {
    let mut reader = Reader::new(data);
    let length = reader.u32()? as usize;
    let content = length.checked_sub(4).filter(|content| (4..MAX_STARTUP).contains(content));
    Ok(Message { kind: 0, span: length, content: reader.take(content.ok_or(Stop::Malformed("pgsql startup"))?)? })
}

/// Recognises a client's first message, or any that fits, on the well-known port.
fn probe(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram || !has_port(ports, PORT) {
        return Probe::NotForUs;
    }
    let parsed = match (direction, data.first()) {
        (Direction::Orig, Some(0)) => parse_startup(data),
        (Direction::Resp, Some(b'N' | b'S')) if data.len() == 1 => return Probe::Certain,
        _ => parse_message(data),
    };
    match parsed {
        Ok(_) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        Err(_) => Probe::NotForUs,
    }
}

#[derive(Default)]
struct Pgsql {
    /// The transaction that answers belong to.
    current: Option<u64>,
    /// The client has asked whether the server can encrypt: the answer is one byte.
    asked_to_encrypt: bool,
    skip: [usize; 2],
}

impl Pgsql {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let skip = &mut self.skip[index(direction)];
        if let Some(used) = pass_over(skip, data) {
            return Ok((used, Next::More));
        }
        if direction == Direction::Resp && std::mem::take(&mut self.asked_to_encrypt) {
            return Ok((1, self.encryption(data.first().copied(), output)));
        }
        let message = match (direction, data.first()) {
            (Direction::Orig, Some(0)) => parse_startup(data)?,
            _ => parse_message(data)?,
        };
        let read = message.span.min(data.len());
        self.skip[index(direction)] = message.span - read;
        match direction {
            Direction::Orig => self.request(&message, output)?,
            Direction::Resp => self.response(&message, output),
        }
        Ok((read, Next::More))
    }

    /// Reads the answer of one byte to a request for encryption.
    fn encryption(&mut self, answer: Option<u8>, output: &mut Output<'_>) -> Next {
        let accepted = answer == Some(b'S');
        if let Some(transaction) = self.current.and_then(|number| output.get(number)) {
            respond(transaction, "ssl_accepted", json!(accepted));
            transaction.complete(Direction::Resp);
        }
        if accepted {
            output.requests.switch_to = Some(Protocol::Tls);
        }
        Next::More
    }

    fn request(&mut self, message: &Message<'_>, output: &mut Output<'_>) -> Result<(), Stop> {
        let (key, value) = match message.kind {
            0 => self.startup(message.content)?,
            b'Q' => ("simple_query", json!(lossy(until_nul(message.content)))),
            b'p' => ("password_message", json!("")),
            b'X' => ("message", json!("terminate")),
            b'd' => return Ok(()),
            b'c' => ("message", json!("copy_done")),
            b'f' => ("message", json!("copy_fail")),
            _ => ("message", json!("unknown")),
        };
        if let Some(old) = self.current.and_then(|number| output.get(number)) {
            old.complete(Direction::Resp);
        }
        let transaction = output.begin();
        self.current = Some(transaction.number);
        if message.kind == b'Q' {
            transaction.put(Direction::Orig, Field::PgsqlQuery, until_nul(message.content));
        }
        transaction.details.insert("request".into(), json!({key: value}));
        transaction.complete(Direction::Orig);
        if message.kind == b'X' {
            transaction.complete(Direction::Resp);
        }
        Ok(())
    }

    fn startup(&mut self, content: &[u8]) -> Result<(&'static str, Value), Stop> {
        let mut reader = Reader::new(content);
        match reader.u32()? {
            startup::SSL | startup::GSS => {
                self.asked_to_encrypt = true;
                Ok(("message", json!("SSL Request")))
            }
            startup::CANCEL => Ok(("message", json!("cancel_request"))),
            version if (version >> 16) as u16 == startup::VERSION_3 => Ok(("protocol_version", json!("3.0"))),
            _ => Err(Stop::Malformed("pgsql startup code")),
        }
    }

    fn response(&mut self, message: &Message<'_>, output: &mut Output<'_>) {
        let Some(transaction) = self.current.and_then(|number| output.get(number)) else { return };
        match message.kind {
            b'C' => respond(transaction, "command_completed", json!(lossy(until_nul(message.content)))),
            b'T' => {
                let count = message.content.first_chunk().map_or(0, |count| u16::from_be_bytes(*count));
                respond(transaction, "field_count", json!(count));
            }
            b'D' => {
                add(transaction, "data_rows", 1);
                add(transaction, "data_size", row_bytes(message.content));
            }
            b'E' | b'N' => report_error(message.content, transaction),
            b'Z' => transaction.complete(Direction::Resp),
            // Authentication goes on with another request, unless it has succeeded.
            b'R' if !message.content.starts_with(&[0; 4]) => transaction.complete(Direction::Resp),
            _ => {}
        }
    }
}

fn report_error(content: &[u8], transaction: &mut Transaction) {
    for part in content.split(|byte| *byte == 0) {
        let Some((code, value)) = part.split_first() else { continue };
        if let Some((_, name)) = ERROR_FIELDS.iter().find(|(known, _)| known == code) {
            respond(transaction, name, json!(lossy(value)));
        }
    }
}

/// Sums the bytes of the values of a row.
fn row_bytes(content: &[u8]) -> u64 {
    let mut reader = Reader::new(content);
    let mut bytes = 0;
    let count = reader.u16().unwrap_or(0);
    for _ in 0..count {
        let length = reader.u32().map_or(0, |length| if length == u32::MAX { 0 } else { length as usize });
        if reader.take(length).is_err() {
            break;
        }
        bytes += length as u64;
    }
    bytes
}

fn until_nul(data: &[u8]) -> &[u8] {
    data.get(..memchr::memchr(0, data).unwrap_or(data.len())).unwrap_or(data)
}

fn lossy(data: &[u8]) -> String {
    String::from_utf8_lossy(data).into_owned()
}

/// Returns the object that says how a transaction was answered.
fn answer(transaction: &mut Transaction) -> Option<&mut Map<String, Value>> {
    transaction.details.entry("response").or_insert_with(|| json!({})).as_object_mut()
}

fn respond(transaction: &mut Transaction, key: &str, value: Value) {
    if let Some(answer) = answer(transaction) {
        answer.insert(key.into(), value);
    }
}

fn add(transaction: &mut Transaction, key: &str, count: u64) {
    if let Some(answer) = answer(transaction) {
        let sum = answer.get(key).and_then(Value::as_u64).unwrap_or(0) + count;
        answer.insert(key.into(), json!(sum));
    }
}

impl Session for Pgsql {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        let event = if direction == Direction::Orig { "malformed_request" } else { "malformed_response" };
        output.note_malformed(consumed, direction, event)
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = transaction.details.clone();
    object.insert("tx_id".into(), json!(transaction.number + 1));
    if let Some(query) = text(transaction, Field::PgsqlQuery) {
        object.insert("request".into(), json!({"simple_query": query}));
    }
    event.insert("pgsql".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, described, feed, stream, texts};
    use super::*;

    fn message(kind: u8, content: &[u8]) -> Vec<u8> {
        [&[kind][..], &(content.len() as u32 + 4).to_be_bytes(), content].concat()
    }

    fn conversation() -> Vec<(Direction, Vec<u8>)> {
        let rows = [
            message(b'T', &[0, 1, b'n', 0]),
            message(b'D', &[0, 1, 0, 0, 0, 3, b'a', b'b', b'c']),
            message(b'D', &[0, 1, 255, 255, 255, 255]),
            message(b'C', b"SELECT 2\0"),
            message(b'Z', b"I"),
        ];
        vec![
            (Direction::Orig, b"\0\0\0\x08\x04\xd2\x16/".to_vec()),
            (Direction::Resp, b"N".to_vec()),
            (Direction::Orig, b"\0\0\0\x0d\0\x03\0\0user\0".to_vec()),
            (Direction::Resp, [message(b'R', &[0; 4]), message(b'Z', b"I")].concat()),
            (Direction::Orig, message(b'Q', b"select n from t\0")),
            (Direction::Resp, rows.concat()),
        ]
    }

    #[test]
    fn a_query_and_its_rows_are_one_transaction() {
        let conversation = conversation();
        let pieces: Vec<_> = conversation.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let found = stream(&ENTRY, &pieces);
        assert_eq!(found.len(), 3);
        assert!(found.iter().all(Transaction::is_done));
        assert_eq!(texts(&found[2], Direction::Orig, Field::PgsqlQuery), ["select n from t"]);
        let expected = r#"{"command_completed":"SELECT 2","data_rows":2,"data_size":3,"field_count":1}"#;
        assert!(described(&ENTRY, &found[2]).contains(expected), "{}", described(&ENTRY, &found[2]));
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    #[test]
    fn an_unknown_startup_is_an_event() {
        let startup = b"\0\0\0\x08\0\xff\0\xff";
        let (found, next) = feed(&ENTRY, Transport::Stream, (1, PORT), [(Direction::Orig, &startup[..])]);
        assert_eq!(found[0].events, [(Direction::Orig, "malformed_request")]);
        assert!(matches!(next, Next::Malformed(_)));
        assert_eq!(probe(Transport::Stream, Direction::Orig, startup, (1, PORT)), Probe::Certain);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60), at in 0..120_usize) {
            let mut bytes = conversation().into_iter().flat_map(|(_, bytes)| bytes).collect::<Vec<u8>>();
            let at = at % bytes.len();
            for (place, byte) in bytes.iter_mut().skip(at).zip(&data) {
                *place ^= byte & 3;
            }
            assert_any_bytes_are_safe(&ENTRY, &bytes, 6);
            assert_any_bytes_are_safe(&ENTRY, &data, 2);
        }
    }
}
