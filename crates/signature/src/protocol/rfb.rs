//! RFB, the protocol of VNC: the handshake, which is one transaction (RFC 6143).

use infraspectre_core::app::bytes::{drain, Reader};
use infraspectre_core::app::{Consumed, Direction, Next, Probe, Stop, Transport};
use serde_json::{json, Map, Value};

use super::{number, text, Entry, Output, Protocol, Session};
use crate::field::Field;
use crate::transaction::Transaction;

/// How RFB is recognised and read.
pub const ENTRY: Entry = Entry {
    protocol: Protocol::Rfb,
    transports: &[Transport::Stream],
    probe,
    session: |_| Box::new(Rfb::default()),
    describe,
};

/// `RFB 003.008\n` (7.1.1).
const VERSION_BYTES: usize = 12;
/// Security types (7.1.2).
const NO_SECURITY: u32 = 1;
const VNC_SECURITY: u32 = 2;
/// Longest reason or name that is read.
const MAX_TEXT: usize = 1 << 16;

/// What is awaited next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Step {
    #[default]
    ServerVersion,
    ClientVersion,
    SecurityTypes,
    SecurityChoice,
    Challenge,
    Response,
    Result,
    Reason,
    ClientInit,
    ServerInit,
}

impl Step {
    const fn sender(self) -> Direction {
        match self {
            Step::ClientVersion | Step::SecurityChoice | Step::Response | Step::ClientInit => Direction::Orig,
            _ => Direction::Resp,
        }
    }
}

#[derive(Default)]
struct Rfb {
    step: Step,
    minor: u32,
    transaction: Option<u64>,
}

/// Reads the line in which a side says its version, and returns the minor number.
fn parse_version(data: &[u8]) -> Result<u32, Stop> {
    let line = data.first_chunk::<VERSION_BYTES>().ok_or(Stop::Incomplete)?;
    let digits = line.get(8..11).filter(|_| line.starts_with(b"RFB ") && line[7] == b'.' && line[11] == b'\n');
    let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok());
    digits.ok_or(Stop::Malformed("rfb version"))
}

/// Recognises the version that either side says first.
fn probe(transport: Transport, _direction: Direction, data: &[u8], _ports: (u16, u16)) -> Probe {
    if transport == Transport::Datagram || !(data.starts_with(b"RFB ") || b"RFB ".starts_with(data)) {
        return Probe::NotForUs;
    }
    match parse_version(data) {
        Ok(_) => Probe::Certain,
        Err(Stop::Incomplete) => Probe::Unsure,
        Err(_) => Probe::NotForUs,
    }
}

impl Rfb {
    fn step(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Result<(usize, Next), Stop> {
        if direction != self.step.sender() {
            return Ok((0, Next::More));
        }
        let number = match self.transaction {
            Some(number) => number,
            None => output.begin().number,
        };
        self.transaction = Some(number);
        let Some(transaction) = output.get(number) else { return Ok((data.len(), Next::Done)) };
        let mut reader = Reader::new(data);
        match self.step {
            Step::ServerVersion => {
                self.minor = parse_version(data)?;
                reader.take(VERSION_BYTES)?;
                self.step = Step::ClientVersion;
            }
            Step::ClientVersion => {
                self.minor = parse_version(data)?.min(self.minor);
                reader.take(VERSION_BYTES)?;
                self.step = Step::SecurityTypes;
            }
            Step::SecurityTypes => self.security_types(&mut reader, transaction)?,
            Step::SecurityChoice => {
                let choice = reader.u8()?;
                self.choose(u32::from(choice), transaction);
            }
            Step::Challenge => {
                reader.take(16)?;
                self.step = Step::Response;
            }
            Step::Response => {
                reader.take(16)?;
                self.step = Step::Result;
            }
            Step::Result => self.result(&mut reader, transaction)?,
            Step::Reason => {
                sized(&mut reader)?;
                return Ok((data.len() - reader.rest().len(), finish(transaction)));
            }
            Step::ClientInit => {
                let _shared = reader.u8()?;
                self.step = Step::ServerInit;
            }
            Step::ServerInit => {
                let _size_and_format = reader.take(20)?;
                transaction.put(Direction::Resp, Field::RfbName, sized(&mut reader)?);
                return Ok((data.len() - reader.rest().len(), finish(transaction)));
            }
        }
        Ok((data.len() - reader.rest().len(), self.next(transaction)))
    }

    /// Goes on unless the security type is one whose exchange is not known.
    fn next(&self, transaction: &Transaction) -> Next {
        let chosen = number(transaction, Field::RfbSecurityType).map(|kind| kind as u32);
        let is_known = chosen.is_none_or(|kind| kind == NO_SECURITY || kind == VNC_SECURITY);
        if is_known {
            Next::More
        } else {
            Next::Done
        }
    }

    fn security_types(&mut self, reader: &mut Reader<'_>, transaction: &mut Transaction) -> Result<(), Stop> {
        if self.minor < 7 {
            let kind = reader.u32()?;
            self.choose(kind, transaction);
            return Ok(());
        }
        let kinds = reader.prefixed8()?;
        self.step = if kinds.is_empty() { Step::Reason } else { Step::SecurityChoice };
        Ok(())
    }

    fn choose(&mut self, kind: u32, transaction: &mut Transaction) {
        transaction.put_number(Direction::Orig, Field::RfbSecurityType, u64::from(kind));
        self.step = match kind {
            0 => Step::Reason,
            NO_SECURITY if self.minor >= 8 => Step::Result,
            NO_SECURITY => Step::ClientInit,
            _ => Step::Challenge,
        };
    }

    fn result(&mut self, reader: &mut Reader<'_>, transaction: &mut Transaction) -> Result<(), Stop> {
        let result = reader.u32()?;
        transaction.put_number(Direction::Resp, Field::RfbSecurityResult, u64::from(result));
        self.step = if result == 0 { Step::ClientInit } else { Step::Reason };
        Ok(())
    }
}

/// Reads a text behind its length.
fn sized<'a>(reader: &mut Reader<'a>) -> Result<&'a [u8], Stop> {
    let length = reader.u32()? as usize;
    if length > MAX_TEXT {
        return Err(Stop::Malformed("rfb text length"));
    }
    reader.take(length)
}

fn finish(transaction: &mut Transaction) -> Next {
    transaction.complete(Direction::Orig);
    transaction.complete(Direction::Resp);
    Next::Done
}

impl Session for Rfb {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        let consumed = drain(data, |rest| self.step(direction, rest, output));
        let transaction = self.transaction.and_then(|number| output.get(number));
        if let (Next::Malformed(_), Some(transaction)) = (consumed.next, transaction) {
            for side in [Direction::Orig, Direction::Resp] {
                transaction.event(side, "malformed_message");
            }
            finish(transaction);
        }
        consumed
    }
}

fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    let mut object = Map::new();
    if let Some(name) = text(transaction, Field::RfbName) {
        object.insert("framebuffer".into(), json!({"name": name}));
    }
    let kind = number(transaction, Field::RfbSecurityType);
    let result = number(transaction, Field::RfbSecurityResult).map(|result| match result {
        0 => "OK",
        1 => "FAIL",
        2 => "TOOMANY",
        _ => "UNKNOWN",
    });
    object.insert("authentication".into(), json!({"security_type": kind, "security_result": result}));
    event.insert("rfb".into(), Value::Object(object));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::check::{assert_any_bytes_are_safe, assert_cuts_do_not_matter, numbers, stream, texts};
    use super::*;

    fn conversation() -> Vec<(Direction, Vec<u8>)> {
        use Direction::{Orig, Resp};
        vec![
            (Resp, b"RFB 003.008\n".to_vec()),
            (Orig, b"RFB 003.007\n".to_vec()),
            (Resp, vec![2, 1, 2]),
            (Orig, vec![2]),
            (Resp, vec![7; 16]),
            (Orig, vec![8; 16]),
            (Resp, vec![0; 4]),
            (Orig, vec![1]),
            (Resp, [&[0; 20][..], &[0, 0, 0, 4], b"desk"].concat()),
        ]
    }

    #[test]
    fn a_handshake_is_one_transaction() {
        let conversation = conversation();
        let pieces: Vec<_> = conversation.iter().map(|(side, bytes)| (*side, &bytes[..])).collect();
        let found = stream(&ENTRY, &pieces);
        assert_eq!(found.len(), 1);
        assert!(found[0].is_done());
        assert_eq!(numbers(&found[0], Direction::Orig, Field::RfbSecurityType), [2]);
        assert_eq!(numbers(&found[0], Direction::Resp, Field::RfbSecurityResult), [0]);
        assert_eq!(texts(&found[0], Direction::Resp, Field::RfbName), ["desk"]);
        assert_cuts_do_not_matter(&ENTRY, &pieces);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe(data in proptest::collection::vec(any::<u8>(), 0..60)) {
            assert_any_bytes_are_safe(&ENTRY, &[b"RFB 003.008\n", &data[..]].concat(), 4);
        }
    }
}
