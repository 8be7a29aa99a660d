//! TLS and SSL over streams: one transaction for a flow, filled by the handshake's messages as they become whole.

use infraspectre_core::app::tls::{
    certificates, content, extension, handshake, handshake_length, hex, ja3_text, ja3s_text, ja4, parse_client_hello,
    parse_handshake, parse_old_client_hello, parse_server_hello, Carrier, ClientHello, Handshake, ServerHello,
    MAX_HANDSHAKE,
};
use infraspectre_core::app::{bytes::Reader, Consumed, Direction, Next, Probe, Stop, Transport};
use md5::{Digest, Md5};
use serde_json::{json, Map, Value};
use sha1::Sha1;
use x509_parser::error::X509Error;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use super::{lossy, Entry, Output, Protocol, Session};
use crate::field::{Field, CERTIFICATES, HELLO};
use crate::transaction::{index, Transaction};

pub const ENTRY: Entry = Entry {
    protocol: Protocol::Tls,
    transports: &[Transport::Stream],
    probe: |_, direction, data, _| probe(direction, data),
    session: |_| Box::new(Tls::default()),
    describe,
};

const RECORD_HEADER: usize = 5;
const MAX_RECORD: usize = (1 << 14) + 2048;
const CLIENT_KEY_EXCHANGE: u8 = 16;
const SSL2: u16 = 0x0002;
const TLS13: u16 = 0x0304;
/// Certificates read of one chain.
const MAX_CERTIFICATES: usize = 64;
/// Shortest padding of a heartbeat (RFC 6520, 4).
const HEARTBEAT_PADDING: usize = 16;

/// Bits of `ssl_state`.
mod state {
    pub const CLIENT_HELLO: u64 = 1;
    pub const SERVER_HELLO: u64 = 2;
    pub const CLIENT_KEY_EXCHANGE: u64 = 4;
    pub const SERVER_KEY_EXCHANGE: u64 = 8;
}

fn probe(direction: Direction, data: &[u8]) -> Probe {
    match data {
        [21..=23, 3, 0..=3, ..] => Probe::Certain,
        [] | [21..=23] | [21..=23, 3] => Probe::Unsure,
        [0x80..=0xff, ..] if direction == Direction::Orig => probe_old(data),
        _ => Probe::NotForUs,
    }
}

/// Recognises a client hello of SSL 2.0 by its first bytes.
fn probe_old(data: &[u8]) -> Probe {
    match data {
        [_, _, 1, 0, 2, ..] | [_, _, 1, 3, 0..=3, ..] => Probe::Certain,
        [_] | [_, _] | [_, _, 1] | [_, _, 1, 0 | 3] => Probe::Unsure,
        _ => Probe::NotForUs,
    }
}

/// What is remembered of one side.
#[derive(Default)]
struct Side {
    /// Type of the record that is being read, and how many of its bytes are still to come.
    content: u8,
    left: usize,
    /// Handshake messages that are not whole.
    pending: Vec<u8>,
    /// What follows is encrypted.
    sealed: bool,
    greeted: bool,
    certified: bool,
    sent_data: bool,
}

/// Reads the records of both sides.
#[derive(Default)]
struct Tls {
    number: Option<u64>,
    sides: [Side; 2],
    version: u16,
    /// SSL 2.0, of which only the hello is read.
    old: bool,
    /// Who sent the heartbeat that is to be answered, and its record's length.
    heartbeat: Option<(Direction, usize)>,
    /// Bits of `ssl_state` that the bytes now read have brought.
    seen: u64,
}

impl Session for Tls {
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed {
        self.seen = 0;
        let mut rest = data;
        let next = loop {
            if rest.is_empty() {
                break Next::More;
            }
            match self.step(direction, rest, output) {
                Ok(after) => rest = after,
                Err(Stop::Incomplete) => break Next::More,
                Err(Stop::Malformed(why)) => break Next::Malformed(why),
            }
        };
        let seen = self.seen;
        if output.wanted.contains(Field::TlsState) && rest.len() < data.len() {
            self.transaction(output, |transaction| transaction.set_number(direction, Field::TlsState, seen));
        }
        Consumed { bytes: data.len() - rest.len(), next }
    }

    fn end(&mut self, direction: Direction, output: &mut Output<'_>) {
        if self.number.is_some() {
            self.transaction(output, |transaction| transaction.complete(direction));
        }
    }
}

impl Tls {
    /// Acts on the flow's transaction, which is begun at the first call and may be gone at a late one.
    fn transaction(&mut self, output: &mut Output<'_>, act: impl FnOnce(&mut Transaction)) {
        let transaction = match self.number {
            Some(number) => output.get(number),
            None => {
                let transaction = output.begin();
                self.number = Some(transaction.number);
                Some(transaction)
            }
        };
        if let Some(transaction) = transaction {
            act(transaction);
        }
    }

    fn side(&mut self, direction: Direction) -> &mut Side {
        &mut self.sides[index(direction)]
    }

    /// Notes an event and stops.
    fn refuse<T>(&mut self, direction: Direction, event: &'static str, output: &mut Output<'_>) -> Result<T, Stop> {
        self.transaction(output, |transaction| transaction.event(direction, event));
        Err(Stop::Malformed(event))
    }

    /// Reads a record's header or what is there of its content, and returns the bytes after it.
    fn step<'a>(&mut self, direction: Direction, data: &'a [u8], output: &mut Output<'_>) -> Result<&'a [u8], Stop> {
        if self.old {
            return Ok(&[]);
        }
        if self.side(direction).left > 0 {
            return self.content(direction, data, output);
        }
        let untouched = self.version == 0 && self.sides.iter().all(|side| !side.greeted);
        match data.first() {
            Some(0x80..) if untouched => self.old_hello(direction, data, output),
            _ => self.header(direction, data, output),
        }
    }

    fn old_hello<'a>(
        &mut self,
        direction: Direction,
        data: &'a [u8],
        output: &mut Output<'_>,
    ) -> Result<&'a [u8], Stop> {
        let (rest, hello) = match parse_old_client_hello(data) {
            Ok(parsed) => parsed,
            Err(Stop::Incomplete) => return Err(Stop::Incomplete),
            Err(_) => return self.refuse(direction, "invalid_sslv2_header", output),
        };
        self.old = hello.version == SSL2;
        self.side(direction).greeted = true;
        self.seen |= state::CLIENT_HELLO;
        let version = hello.version;
        self.transaction(output, |transaction| {
            transaction.put_number(direction, Field::TlsVersion, version.into());
            transaction.advance(direction, HELLO);
        });
        Ok(rest)
    }

    fn header<'a>(&mut self, direction: Direction, data: &'a [u8], output: &mut Output<'_>) -> Result<&'a [u8], Stop> {
        let Some(([kind, major, minor, high, low], payload)) = data.split_first_chunk::<RECORD_HEADER>() else {
            return Err(Stop::Incomplete);
        };
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        match (*kind, *major) {
            (20..=24, 3) if length <= MAX_RECORD => {}
            (20..=24, 3) => return self.refuse(direction, "invalid_record_length", output),
            (20..=24, _) => return self.refuse(direction, "invalid_record_version", output),
            _ => return self.refuse(direction, "invalid_record_type", output),
        }
        if *kind == content::HEARTBEAT && payload.len() < length.min(3) {
            return Err(Stop::Incomplete);
        }
        let version = u16::from_be_bytes([*major, *minor]);
        self.record(direction, *kind, version, output);
        if *kind == content::HEARTBEAT {
            self.heartbeat(direction, payload, length, output)?;
        }
        let side = self.side(direction);
        (side.content, side.left) = (*kind, length);
        Ok(payload)
    }

    /// Takes note of a record by its header.
    fn record(&mut self, direction: Direction, kind: u8, version: u16, output: &mut Output<'_>) {
        let greeted = self.side(direction).greeted;
        if !greeted && kind != content::HANDSHAKE {
            self.side(direction).greeted = true;
            self.transaction(output, |transaction| {
                transaction.put_number(direction, Field::TlsVersion, version.into());
            });
        }
        match kind {
            content::CHANGE_CIPHER_SPEC => self.change_cipher_spec(direction, output),
            content::APPLICATION_DATA => self.application_data(direction, output),
            _ => {}
        }
    }

    /// Notes the start of encryption; in TLS 1.3 this message means nothing (RFC 8446, D.4).
    fn change_cipher_spec(&mut self, direction: Direction, output: &mut Output<'_>) {
        if self.version == TLS13 {
            return;
        }
        self.side(direction).sealed = true;
        let resumes = direction == Direction::Resp && self.sides[1].greeted && !self.sides[1].certified;
        self.transaction(output, |transaction| {
            if resumes {
                transaction.put_number(direction, Field::TlsResumed, 1);
            }
            transaction.advance(direction, CERTIFICATES);
        });
    }

    /// Notes data; once both sides send it, the handshake is over.
    fn application_data(&mut self, direction: Direction, output: &mut Output<'_>) {
        let side = self.side(direction);
        let first = !std::mem::replace(&mut side.sent_data, true);
        side.sealed = true;
        if !first {
            return;
        }
        self.transaction(output, |transaction| transaction.advance(direction, CERTIFICATES));
        if self.sides.iter().any(|side| side.greeted) {
            output.requests.note_encrypted(Protocol::Tls, output.settings);
        }
        if self.sides.iter().all(|side| side.sent_data) {
            self.transaction(output, |transaction| {
                transaction.complete(Direction::Orig);
                transaction.complete(Direction::Resp);
            });
        }
    }

    /// Compares a heartbeat with its record and with the one it answers (RFC 6520).
    fn heartbeat(
        &mut self,
        direction: Direction,
        payload: &[u8],
        length: usize,
        output: &mut Output<'_>,
    ) -> Result<(), Stop> {
        match self.heartbeat {
            Some((sender, asked)) if sender != direction => {
                self.heartbeat = None;
                if length > asked {
                    self.transaction(output, |one| one.event(direction, "dataleak_heartbeat_mismatch"));
                }
                return Ok(());
            }
            Some(_) => return Ok(()),
            None => self.heartbeat = Some((direction, length)),
        }
        let sealed = self.side(direction).sealed;
        let [1 | 2, high, low, ..] = payload else { return Ok(()) };
        let claimed = usize::from(u16::from_be_bytes([*high, *low])) + 3;
        match length.checked_sub(claimed) {
            _ if sealed => Ok(()),
            None => self.refuse(direction, "overflow_heartbeat_message", output),
            Some(0..HEARTBEAT_PADDING) => self.refuse(direction, "invalid_heartbeat_message", output),
            Some(_) => Ok(()),
        }
    }

    /// Takes what is there of a record's content.
    fn content<'a>(&mut self, direction: Direction, data: &'a [u8], output: &mut Output<'_>) -> Result<&'a [u8], Stop> {
        let side = self.side(direction);
        let (taken, rest) = data.split_at_checked(side.left).unwrap_or((data, &[]));
        side.left -= taken.len();
        if side.content == content::HANDSHAKE && !side.sealed {
            self.handshakes(direction, taken, output)?;
        }
        Ok(rest)
    }

    /// Joins messages across records and reads those that are whole.
    fn handshakes(&mut self, direction: Direction, payload: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        let mut joined = std::mem::take(&mut self.side(direction).pending);
        joined.extend_from_slice(payload);
        let mut rest = &joined[..];
        while let Ok((after, message)) = parse_handshake(rest) {
            self.handshake(direction, message, output)?;
            rest = after;
        }
        if handshake_length(rest).is_some_and(|length| length > MAX_HANDSHAKE) {
            self.side(direction).sealed = true;
            return Ok(());
        }
        let used = joined.len() - rest.len();
        joined.drain(..used);
        self.side(direction).pending = joined;
        Ok(())
    }

    fn handshake(&mut self, direction: Direction, message: Handshake<'_>, output: &mut Output<'_>) -> Result<(), Stop> {
        match message.kind {
            handshake::CLIENT_HELLO => self.client_hello(direction, message.body, output),
            handshake::SERVER_HELLO => self.server_hello(direction, message.body, output),
            handshake::CERTIFICATE => self.certificates(direction, message.body, output),
            handshake::SERVER_KEY_EXCHANGE => {
                self.seen |= state::SERVER_KEY_EXCHANGE;
                Ok(())
            }
            CLIENT_KEY_EXCHANGE => {
                self.seen |= state::CLIENT_KEY_EXCHANGE;
                self.transaction(output, |transaction| transaction.advance(direction, CERTIFICATES));
                Ok(())
            }
            handshake::SERVER_HELLO_DONE => {
                self.transaction(output, |transaction| transaction.advance(direction, CERTIFICATES));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn client_hello(&mut self, direction: Direction, body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        self.seen |= state::CLIENT_HELLO;
        if std::mem::replace(&mut self.side(direction).greeted, true) {
            return Ok(());
        }
        let Ok(hello) = parse_client_hello(body) else {
            self.transaction(output, |one| one.event(direction, "handshake_invalid_length"));
            return self.refuse(direction, "invalid_handshake_message", output);
        };
        self.transaction(output, |transaction| {
            put_random(hello.random, direction, transaction);
            put_client_hello(&hello, direction, transaction);
            transaction.advance(direction, HELLO);
        });
        Ok(())
    }

    fn server_hello(&mut self, direction: Direction, body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        self.seen |= state::SERVER_HELLO;
        if std::mem::replace(&mut self.side(direction).greeted, true) {
            return Ok(());
        }
        let Ok(hello) = parse_server_hello(body) else {
            self.transaction(output, |one| one.event(direction, "handshake_invalid_length"));
            return self.refuse(direction, "invalid_handshake_message", output);
        };
        self.version = hello.chosen_version();
        // Another hello will follow, which is the one that counts.
        self.side(direction).greeted = !hello.is_retry();
        self.transaction(output, |transaction| {
            put_random(hello.random, direction, transaction);
            put_server_hello(&hello, direction, transaction);
            transaction.advance(direction, HELLO);
        });
        Ok(())
    }

    fn certificates(&mut self, direction: Direction, body: &[u8], output: &mut Output<'_>) -> Result<(), Stop> {
        if self.version == TLS13 || std::mem::replace(&mut self.side(direction).certified, true) {
            return Ok(());
        }
        let mut failure = None;
        self.transaction(output, |transaction| {
            failure = put_certificates(body, direction, transaction).err();
            transaction.advance(direction, CERTIFICATES);
        });
        let Some(event) = failure else { return Ok(()) };
        self.transaction(output, |transaction| transaction.event(direction, event));
        self.refuse(direction, "invalid_handshake_message", output)
    }
}

fn put_random(random: &[u8], direction: Direction, transaction: &mut Transaction) {
    transaction.put(direction, Field::TlsRandom, random);
    if let Some((time, bytes)) = random.split_at_checked(4) {
        transaction.put(direction, Field::TlsRandomTime, time);
        transaction.put(direction, Field::TlsRandomBytes, bytes);
    }
}

fn put_client_hello(hello: &ClientHello<'_>, direction: Direction, transaction: &mut Transaction) {
    transaction.put_number(direction, Field::TlsVersion, hello.version.into());
    if let Some(name) = hello.server_name() {
        transaction.put(direction, Field::TlsSni, name);
    }
    put_name_events(hello, direction, transaction);
    hello.alpn().for_each(|name| transaction.put(direction, Field::TlsAlpn, name));
    put_fingerprint(direction, [Field::Ja3String, Field::Ja3Hash], transaction, || ja3_text(hello));
    if transaction.wants(Field::Ja4Hash) {
        transaction.put(direction, Field::Ja4Hash, ja4(hello, Carrier::Tcp).as_bytes());
    }
}

fn put_name_events(hello: &ClientHello<'_>, direction: Direction, transaction: &mut Transaction) {
    let mut lists = hello.extensions.iter().filter(|(kind, _)| *kind == extension::SERVER_NAME);
    let Some((_, list)) = lists.next() else { return };
    let is_other = |list: &[u8]| matches!(list, [_, _, kind, ..] if *kind != 0);
    if is_other(list) {
        transaction.event(direction, "invalid_sni_type");
    }
    if lists.next().is_some() {
        transaction.event(direction, "multiple_sni_extensions");
    }
}

fn put_server_hello(hello: &ServerHello<'_>, direction: Direction, transaction: &mut Transaction) {
    transaction.set_number(direction, Field::TlsVersion, hello.chosen_version().into());
    if hello.is_retry() {
        return;
    }
    if let Some(name) = hello.alpn() {
        transaction.put(direction, Field::TlsAlpn, name);
    }
    put_fingerprint(direction, [Field::Ja3sString, Field::Ja3sHash], transaction, || ja3s_text(hello));
}

/// Puts a fingerprint's text and its MD5, where either is wanted.
pub fn put_fingerprint(
    direction: Direction,
    [text, hash]: [Field; 2],
    transaction: &mut Transaction,
    write: impl FnOnce() -> Vec<u8>,
) {
    if transaction.wants(text) || transaction.wants(hash) {
        let written = write();
        transaction.put(direction, text, &written);
        transaction.put(direction, hash, hex(&Md5::digest(&written)).as_bytes());
    }
}

/// Puts the chain, and what the first certificate says; fails with the event's name.
fn put_certificates(body: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), &'static str> {
    check_lengths(body)?;
    let mut count = 0;
    for der in certificates(body).take(MAX_CERTIFICATES) {
        if count == 0 {
            put_certificate(der, direction, transaction)?;
        }
        transaction.put(direction, Field::TlsCerts, der);
        count += 1;
    }
    transaction.put_number(direction, Field::TlsChainLength, count);
    Ok(())
}

/// Each certificate must fit the list, and the list the message.
fn check_lengths(body: &[u8]) -> Result<(), &'static str> {
    let mut list = Reader::new(Reader::new(body).prefixed24().map_err(|_| "invalid_certificate")?);
    while !list.is_empty() {
        list.prefixed24().map_err(|_| "invalid_certificate")?;
    }
    Ok(())
}

fn put_certificate(der: &[u8], direction: Direction, transaction: &mut Transaction) -> Result<(), &'static str> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| certificate_event(&error))?;
    let mut put = |field, text: String| transaction.put(direction, field, text.as_bytes());
    put(Field::TlsCertSubject, certificate.subject().to_string());
    put(Field::TlsCertIssuer, certificate.issuer().to_string());
    put(Field::TlsCertSerial, colons(certificate.raw_serial()).to_ascii_uppercase());
    put(Field::TlsCertFingerprint, colons(&Sha1::digest(der)));
    put_alternative_names(&certificate, direction, transaction);
    let validity = certificate.validity();
    let seconds = |at: i64| u64::try_from(at).unwrap_or(0);
    transaction.put_number(direction, Field::TlsNotBefore, seconds(validity.not_before.timestamp()));
    transaction.put_number(direction, Field::TlsNotAfter, seconds(validity.not_after.timestamp()));
    Ok(())
}

fn put_alternative_names(certificate: &X509Certificate<'_>, direction: Direction, transaction: &mut Transaction) {
    let Ok(Some(extension)) = certificate.subject_alternative_name() else { return };
    for name in &extension.value.general_names {
        if let GeneralName::DNSName(name) = name {
            transaction.put(direction, Field::TlsSubjectAltName, name.as_bytes());
        }
    }
}

fn certificate_event(error: &x509_parser::nom::Err<X509Error>) -> &'static str {
    use x509_parser::nom::Err;
    match error {
        Err::Incomplete(_) => "certificate_invalid_length",
        Err::Error(error) | Err::Failure(error) => match error {
            X509Error::InvalidVersion => "certificate_invalid_version",
            X509Error::InvalidSerial => "certificate_invalid_serial",
            X509Error::InvalidAlgorithmIdentifier => "certificate_invalid_algorithmidentifier",
            X509Error::InvalidX509Name => "certificate_invalid_x509name",
            X509Error::InvalidDate => "certificate_invalid_date",
            X509Error::InvalidExtensions => "certificate_invalid_extensions",
            X509Error::Der(_) => "certificate_invalid_der",
            _ => "invalid_certificate",
        },
    }
}

/// Writes bytes in lower-case hexadecimal with colons between them.
fn colons(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| hex(&[*byte])).collect::<Vec<_>>().join(":")
}

/// Names a version as EVE does.
pub fn version_name(version: u16) -> String {
    match version {
        SSL2 => "SSLv2".into(),
        0x0300 => "SSLv3".into(),
        0x0301 => "TLSv1".into(),
        0x0302 => "TLS 1.1".into(),
        0x0303 => "TLS 1.2".into(),
        TLS13 => "TLS 1.3".into(),
        0x7f00..=0x7fff => format!("TLS 1.3 draft-{:02}", version & 0xff),
        _ => "UNDETERMINED".into(),
    }
}

/// Adds the `tls` object.
fn describe(transaction: &Transaction, event: &mut Map<String, Value>) {
    const TEXTS: [(&str, Direction, Field); 5] = [
        ("subject", Direction::Resp, Field::TlsCertSubject),
        ("issuerdn", Direction::Resp, Field::TlsCertIssuer),
        ("serial", Direction::Resp, Field::TlsCertSerial),
        ("fingerprint", Direction::Resp, Field::TlsCertFingerprint),
        ("sni", Direction::Orig, Field::TlsSni),
    ];
    let mut tls = Map::new();
    for (name, direction, field) in TEXTS {
        if let Some(value) = transaction.value(direction, field) {
            tls.insert(name.into(), lossy(value));
        }
    }
    describe_numbers(transaction, &mut tls);
    describe_lists(transaction, &mut tls);
    describe_fingerprints(transaction, &mut tls);
    event.insert("tls".into(), tls.into());
}

fn describe_numbers(transaction: &Transaction, tls: &mut Map<String, Value>) {
    let number = |field| transaction.numbers(Direction::Resp, field).next();
    if number(Field::TlsResumed).is_some() {
        tls.insert("session_resumed".into(), json!(true));
    }
    let version = number(Field::TlsVersion).and_then(|version| u16::try_from(version).ok());
    tls.insert("version".into(), json!(version_name(version.unwrap_or(0))));
    for (name, field) in [("notbefore", Field::TlsNotBefore), ("notafter", Field::TlsNotAfter)] {
        if let Some(time) = number(field).and_then(|seconds| i64::try_from(seconds).ok()) {
            tls.insert(name.into(), json!(time_text(time)));
        }
    }
}

/// Writes seconds since the epoch as a date and a time in UTC.
fn time_text(seconds: i64) -> String {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// Returns year, month and day of a day counted from 1970-01-01, in eras of 400 years that begin with March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year + year / 4 - year / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted_month + 2) / 5 + 1)
}

fn describe_lists(transaction: &Transaction, tls: &mut Map<String, Value>) {
    const LISTS: [(&str, Direction, Field); 3] = [
        ("client_alpns", Direction::Orig, Field::TlsAlpn),
        ("server_alpns", Direction::Resp, Field::TlsAlpn),
        ("subjectaltname", Direction::Resp, Field::TlsSubjectAltName),
    ];
    for (name, direction, field) in LISTS {
        let values: Vec<Value> = transaction.values(direction, field).map(lossy).collect();
        if !values.is_empty() {
            tls.insert(name.into(), values.into());
        }
    }
}

/// Adds JA3, JA3S and JA4.
pub fn describe_fingerprints(transaction: &Transaction, object: &mut Map<String, Value>) {
    const PAIRS: [(&str, Direction, Field, Field); 2] = [
        ("ja3", Direction::Orig, Field::Ja3Hash, Field::Ja3String),
        ("ja3s", Direction::Resp, Field::Ja3sHash, Field::Ja3sString),
    ];
    for (name, direction, hash, string) in PAIRS {
        let (hash, string) = (transaction.value(direction, hash), transaction.value(direction, string));
        if let (Some(hash), Some(string)) = (hash, string) {
            object.insert(name.into(), json!({"hash": lossy(hash), "string": lossy(string)}));
        }
    }
    if let Some(ja4) = transaction.value(Direction::Orig, Field::Ja4Hash) {
        object.insert("ja4".into(), lossy(ja4));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::conversation::{
        assert_any_bytes_are_safe, assert_cuts_do_not_matter, capture, feed, Conversation,
    };
    use super::*;

    fn prefixed16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind, 0][..], &prefixed16(body)].concat()
    }

    fn record(kind: u8, payload: &[u8]) -> Vec<u8> {
        [&[kind, 3, 1][..], &prefixed16(payload)].concat()
    }

    fn client() -> Vec<u8> {
        let name = [&[0, 0][..], &prefixed16(&prefixed16(b"\0\0\x09a.example"))].concat();
        let start = [&[3, 3][..], &[1; 32], &[0, 0, 4, 0x13, 1, 0xc0, 0x2f, 1, 0]].concat();
        let hello = message(1, &[start, prefixed16(&name)].concat());
        let (first, second) = hello.split_at(50);
        [record(22, first), record(22, second), record(20, &[1]), record(23, b"secret")].concat()
    }

    fn server() -> Vec<u8> {
        let hello = message(2, &[&[3, 3][..], &[2; 32], &[0, 0xc0, 0x2f, 0]].concat());
        [record(22, &[hello, message(14, &[])].concat()), record(20, &[1]), record(23, &[0; 40])].concat()
    }

    #[test]
    fn a_handshake_fills_one_transaction() {
        let conversation = feed(&ENTRY, [(Direction::Orig, &client()[..]), (Direction::Resp, &server())]);
        assert_eq!(conversation.transactions.len(), 1);
        assert_eq!(conversation.texts(Field::TlsSni), ["a.example"]);
        assert_eq!(conversation.texts(Field::Ja3String), ["771,4865-49199,0,,"]);
        assert!(conversation.requests.encrypted && !conversation.requests.bypass);
        let described = &conversation.described()[0]["tls"];
        assert_eq!((&described["version"], &described["session_resumed"]), (&json!("TLS 1.2"), &json!(true)));
    }

    #[test]
    fn streams_may_be_cut_anywhere() {
        assert_cuts_do_not_matter(&ENTRY, &[(Direction::Orig, &client()), (Direction::Resp, &server())]);
    }

    #[test]
    fn the_state_says_what_the_last_bytes_have_brought() {
        let mut conversation = Conversation::new(&ENTRY, Transport::Stream, (40_000, 443));
        conversation.wanted.insert(Field::TlsState);
        conversation.stream(Direction::Orig, &client());
        let state = |conversation: &Conversation| -> Vec<u64> {
            conversation.transactions[0].numbers(Direction::Orig, Field::TlsState).collect()
        };
        assert_eq!(state(&conversation), [state::CLIENT_HELLO]);
        conversation.stream(Direction::Orig, &record(23, b"more"));
        assert_eq!(state(&conversation), [0]);
    }

    #[test]
    fn a_heartbeat_that_claims_too_much_is_an_event() {
        let conversation = feed(&ENTRY, [(Direction::Orig, &record(24, &[1, 0x40, 0])[..])]);
        assert_eq!(conversation.events(), ["overflow_heartbeat_message"]);
    }

    #[test]
    fn times_are_written_in_utc() {
        assert_eq!(time_text(951_782_400), "2000-02-29T00:00:00");
        assert_eq!(time_text(1_735_689_599), "2024-12-31T23:59:59");
    }

    #[test]
    fn captures_give_what_rules_ask_for() {
        let texts = |path: &str, field: Field| -> Option<Vec<String>> {
            Some(capture(path)?.iter().flat_map(|flow| flow.texts(field)).collect())
        };
        let holds = |path: &str, field: Field, text: &str| {
            let Some(found) = texts(path, field) else { return };
            assert!(found.iter().any(|value| value.contains(text)), "{path}: {found:?}");
        };
        holds("tests/bug-5758/input.pcap", Field::TlsSni, "ftp.nluug.nl");
        let ja3 = "tests/bug-8336-01-default-track-only/input.pcap";
        holds(ja3, Field::Ja3Hash, "fae0e5d973c96ae1888b99538efa0363");
        holds(ja3, Field::Ja3sHash, "907bf3ecef1c987c889946b737b43de8");
        holds("tests/ja4-rules/input.pcap", Field::Ja4Hash, "t13d1516h2_8daaf6152771_e5627efa2ab1");
        holds("tests/tls/tls-cert-noissuer/tls.pcap", Field::TlsCertSubject, "localhost");
        holds("tests/tls/tls-glupteba/input.pcap", Field::TlsSubjectAltName, "server15.xn--j1ahhq.xn--p1ai");
        let issuer = "C=US, O=Microsoft Corporation, CN=Microsoft RSA TL\0 CA 01";
        holds("tests/tls/tls-issuer-zero/input.pcap", Field::TlsCertIssuer, issuer);
        holds("tests/tls/tls-subjectaltname/input.pcap", Field::TlsSubjectAltName, "www.bing.com");
        holds("tests/tls-alpn-log-detect-02/input.pcap", Field::TlsAlpn, "http/1.1");
    }

    #[test]
    fn broken_certificates_are_the_events_that_suricata_names() {
        let Some(flows) = capture("tests/bug-1450-04/tls_DER-incomplete-header.pcap") else { return };
        assert_eq!(flows[0].events(), ["certificate_invalid_length", "invalid_handshake_message"]);
        let Some(flows) = capture("tests/bug-1450-05/tls_DER-incomplete-content.pcap") else { return };
        assert_eq!(flows[0].events(), ["invalid_certificate", "invalid_handshake_message"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..300, pieces in 1usize..4) {
            let mut hostile = [client(), server()].concat();
            hostile.truncate(at);
            hostile.extend(&data);
            assert_any_bytes_are_safe(&ENTRY, &hostile, pieces);
            assert_any_bytes_are_safe(&ENTRY, &data, pieces);
        }
    }
}
