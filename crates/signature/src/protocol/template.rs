//! Suricata's example protocol: messages of a decimal length, a colon and so many bytes.

use infraspectre_core::app::bytes::{drain, has_port};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{Entry, Output, Protocol, Session};
use crate::field::{Field, DONE};
use crate::transaction::Transaction;

/// How the protocol is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Template,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Template),
    describe,
};

const PORT: u16 = 7000;
const MAX_DIGITS: usize = 8;
const MAX_MESSAGE: usize = 1 << 20;

/// Reads a message and returns how many bytes it takes.
fn parse_message(data: &[u8]) -> Result<(usize, &[u8]), Stop> {
    let digits = data.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match data.get(digits) {
        _ if digits > MAX_DIGITS => return Err(Stop::Malformed("template length")),
        None => return Err(Stop::Incomplete),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err(Stop::Malformed("template length")),
    }
    let length = data.iter().take(digits).fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    if length > MAX_MESSAGE {
        return Err(Stop::Malformed("template length"));
    }
    let end = digits + 1 + length;
    Ok((end, data.get(digits + 1..end).ok_or(Stop::Incomplete)?))
}

/// Recognises a length on the well-known port.
fn probe(transport: Transport, _direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
    match parse_message(data) {
        _ if transport == Transport::Datagram || !has_port(ports, PORT) => Probe::NotForUs,
        Err(Stop::Malformed(_)) => Probe::NotForUs,
        Err(Stop::Incomplete) if !data.contains(&b':') => Probe::Unsure,
        _ => Probe::Certain,
    }
}

/// Joins a request and the response to it.
struct Template;

impl Template {
    fn step(direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        let (used, content) = parse_message(data)?;
        let unanswered = |one: &&mut Transaction| one.progress(direction) != DONE;
        let waiting = output.transactions.iter_mut().find(unanswered).filter(|_| direction == Direction::Resp);
        let transaction = match waiting.map(|one| one.number) {
            Some(number) => output.get(number),
            None => Some(output.begin()),
        };
        if let Some(transaction) = transaction {
            transaction.put(direction, Field::TemplateBuffer, content);
            transaction.complete(direction);
        }
        Ok((used, Next::More))
    }
}

impl Session for Template {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        drain(data, |rest| Template::step(direction, rest, output))
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let of = |side| transaction.value(side, Field::TemplateBuffer).map(String::from_utf8_lossy);
    event.insert("template".into(), json!({"request": of(Direction::Orig), "response": of(Direction::Resp)}));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, stream, texts};
    use super::*;

    #[test]
    fn a_request_and_its_response_are_one_transaction() {
        let pieces = [(Direction::Orig, &b"5:Hello2:or"[..]), (Direction::Resp, b"3:Bye")];
        let found = stream(&ENTRY, &pieces);
        assert_eq!(texts(&found[0], Direction::Orig, Field::TemplateBuffer), ["Hello"]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::TemplateBuffer), ["Bye"]);
        assert_eq!(found.len(), 2);
        assert_cuts_do_not_matter(&ENTRY, &pieces);
        assert_eq!(probe(Transport::Stream, Direction::Orig, b"5:He", (1, PORT)), Probe::Certain);
        assert_eq!(probe(Transport::Stream, Direction::Orig, b"5;He", (1, PORT)), Probe::NotForUs);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in "[0-9:]{0,30}") {
            assert_any_bytes_are_safe(&ENTRY, data.as_bytes(), 2);
        }
    }
}
