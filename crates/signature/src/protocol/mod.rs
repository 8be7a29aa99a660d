//! Application protocols as rules see them: sessions turn bytes into transactions.

use std::collections::VecDeque;

use infraspectre_core::app::{Consumed, Direction, Next, Probe, Transport};

use crate::field::{Field, FieldSet};
use crate::settings::Settings;
use crate::transaction::Transaction;

#[cfg(test)]
pub(crate) mod check;
#[cfg(test)]
pub(crate) mod conversation;
mod dcerpc;
mod dhcp;
mod dnp3;
pub mod dns;
mod enip;
pub mod frame;
mod ftp;
pub mod ftp_data;
pub mod http;
pub mod http2;
mod ike;
mod kerberos;
mod ldap;
mod mime;
pub mod modbus;
mod mqtt;
mod nfs;
mod ntp;
mod pgsql;
pub mod quic;
mod rdp;
pub mod recognised;
mod rfb;
mod sip;
mod smb;
pub mod smtp;
mod snmp;
pub mod ssh;
mod template;
pub mod tftp;
pub mod tls;
mod transfer;
pub mod websocket;

pub(crate) use self::mime::base64_value;

/// Transactions of one flow that are kept; beyond it the oldest are completed.
const MAX_TRANSACTIONS: usize = 1024;

macro_rules! protocols {
    ($($variant:ident $name:literal $([$($alias:literal),*])?;)*) => {
        /// An application protocol that rules can name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Protocol { $($variant),* }

        impl Protocol {
            /// Every protocol.
            pub const ALL: &'static [Protocol] = &[$(Protocol::$variant),*];

            /// Returns its name in EVE.
            pub const fn name(self) -> &'static str {
                match self { $(Protocol::$variant => $name),* }
            }

            /// Returns further names that rules may use.
            pub const fn aliases(self) -> &'static [&'static str] {
                match self { $(Protocol::$variant => &[$($($alias),*)?]),* }
            }
        }
    };
}

protocols! {
    Http "http" ["http1"];
    Http2 "http2";
    Dns "dns";
    Tls "tls" ["ssl"];
    Quic "quic";
    Ssh "ssh";
    Smtp "smtp";
    Ftp "ftp";
    FtpData "ftp-data";
    Smb "smb";
    Dcerpc "dcerpc";
    Nfs "nfs";
    Kerberos "krb5";
    Mqtt "mqtt";
    Sip "sip";
    Rfb "rfb";
    Ike "ike" ["ikev2"];
    Snmp "snmp";
    Pgsql "pgsql";
    Ldap "ldap";
    Websocket "websocket";
    Dhcp "dhcp";
    Ntp "ntp";
    Modbus "modbus";
    Dnp3 "dnp3";
    Enip "enip";
    Tftp "tftp";
    Rdp "rdp";
    Telnet "telnet";
    Imap "imap";
    Pop3 "pop3";
    BittorrentDht "bittorrent-dht";
    Doh2 "doh2";
    Mdns "mdns";
    Template "template";
}

impl Protocol {
    /// Returns the protocol of a name in a rule.
    pub fn of_name(name: &str) -> Option<Protocol> {
        Protocol::ALL.iter().copied().find(|one| one.name() == name || one.aliases().contains(&name))
    }

    /// Tells whether a run recognises and reads it (`app-layer.protocols.NAME.enabled`); as in Suricata's own file,
    /// a few protocols are off unless asked for.
    pub fn is_enabled(self, settings: &Settings) -> bool {
        let is_off =
            matches!(self, Protocol::Pgsql | Protocol::Modbus | Protocol::Dnp3 | Protocol::Enip | Protocol::Template);
        let name = format!("app-layer.protocols.{}.enabled", self.name());
        settings.get(&name) != Some("detection-only") && settings.is_on(&name, !is_off)
    }

    /// Tells whether a run recognises it without reading it.
    pub fn is_recognised_only(self, settings: &Settings) -> bool {
        settings.get(&format!("app-layer.protocols.{}.enabled", self.name())) == Some("detection-only")
    }
}

/// What a session works on: the transactions of its flow and what it may ask of the flow.
pub struct Output<'a> {
    pub settings: &'a Settings,
    /// Fields that rules or outputs look at.
    pub wanted: FieldSet,
    pub transactions: &'a mut VecDeque<Transaction>,
    /// Number of the next transaction.
    pub next_number: &'a mut u64,
    pub protocol: Protocol,
    /// Capture time in nanoseconds.
    pub at: i64,
    /// Ports of the flow, (orig, resp).
    pub ports: (u16, u16),
    /// What announced this flow, if a control connection did.
    pub expectation: Option<&'a Expectation>,
    pub requests: &'a mut Requests,
}

/// What a session asks of its flow.
#[derive(Debug, Default)]
pub struct Requests {
    /// Parts of messages that rules may ask for.
    pub frames: Vec<frame::Frame>,
    /// Go on with this protocol from the next byte on (`STARTTLS`, `CONNECT`, an upgrade).
    pub switch_to: Option<Protocol>,
    /// A connection that is to be read as [`Protocol::FtpData`]: the server's or client's port.
    pub expect: Vec<Expectation>,
    /// Recognise the protocol anew from the next byte on (a tunnel).
    pub recognise_anew: bool,
    /// The rest of the flow is encrypted and need not be looked at.
    pub encrypted: bool,
    /// The rest of the flow is to be let through unseen, as `encryption-handling: bypass` says.
    pub bypass: bool,
}

/// A data connection that a control connection has announced; it may be open already, but has sent nothing.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub protocol: Protocol,
    /// Who listens: `Orig` for the client of the control connection (active FTP).
    pub listener: Direction,
    pub port: u16,
    /// Direction of the data relative to the new flow's orig, where known, and the command and file name.
    pub command: Vec<u8>,
    pub file_name: Vec<u8>,
}

impl Requests {
    /// Says that the rest is encrypted, and what the protocol's `encryption-handling` asks for then.
    pub fn note_encrypted(&mut self, protocol: Protocol, settings: &Settings) {
        let handling = settings.get(&format!("app-layer.protocols.{}.encryption-handling", protocol.name()));
        self.encrypted |= handling != Some("full");
        self.bypass |= handling == Some("bypass");
    }
}

impl Output<'_> {
    /// Begins a transaction and returns it.
    pub fn begin(&mut self) -> &mut Transaction {
        let surplus = self.transactions.len().checked_sub(MAX_TRANSACTIONS);
        if let Some(old) = surplus.and_then(|at| self.transactions.get_mut(at)) {
            old.complete(Direction::Orig);
            old.complete(Direction::Resp);
        }
        if self.transactions.capacity() == 0 {
            // Most flows have one transaction at a time.
            self.transactions.reserve_exact(1);
        }
        let number = *self.next_number;
        *self.next_number += 1;
        self.transactions.push_back(Transaction::new(self.protocol, number, self.wanted));
        let last = self.transactions.len() - 1;
        &mut self.transactions[last]
    }

    /// Returns a transaction that is still kept.
    pub fn get(&mut self, number: u64) -> Option<&mut Transaction> {
        let first = self.transactions.front()?.number;
        let at = usize::try_from(number.checked_sub(first)?).ok()?;
        self.transactions.get_mut(at)
    }

    /// Begins a transaction that is complete in itself and belongs to one direction.
    pub fn message(&mut self, direction: Direction) -> &mut Transaction {
        let transaction = self.begin();
        transaction.only = Some(direction);
        transaction
    }

    /// Gives bytes that broke the protocol's rules a transaction of their own, with the event that says so.
    pub fn note_malformed(&mut self, consumed: Consumed, direction: Direction, event: &'static str) -> Consumed {
        if let Next::Malformed(_) = consumed.next {
            let transaction = self.message(direction);
            transaction.event(direction, event);
            transaction.complete(direction);
        }
        consumed
    }
}

/// Reads one application protocol of one flow.
pub trait Session: Send {
    /// Reads in-order bytes of a stream, or one whole datagram.
    ///
    /// On a stream, `data` starts with the bytes that the previous call has not consumed. Fields are put before the
    /// transaction's progress says that they are complete.
    fn read(&mut self, direction: Direction, data: &[u8], output: &mut Output<'_>) -> Consumed;

    /// Goes on after this many missing bytes; false if the session cannot.
    fn gap(&mut self, _direction: Direction, _missing: u32, _output: &mut Output<'_>) -> bool {
        false
    }

    /// Notes that nothing more comes in a direction.
    fn end(&mut self, _direction: Direction, _output: &mut Output<'_>) {}
}

/// How a protocol is recognised and read.
pub struct Entry {
    pub protocol: Protocol,
    pub transports: &'static [Transport],
    /// Judges the first bytes of a direction; `ports` are (orig, resp).
    pub probe: fn(transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe,
    pub session: fn(transport: Transport) -> Box<dyn Session>,
    /// Adds to an EVE alert what the transaction says, such as the `http` object.
    pub describe: fn(transaction: &Transaction, event: &mut serde_json::Map<String, serde_json::Value>),
}

/// Every protocol that can be recognised, in the order in which they are tried; each in a module of its own.
pub const ENTRIES: &[Entry] = &[
    http::ENTRY,
    http2::ENTRY,
    websocket::ENTRY,
    smb::ENTRY,
    dcerpc::ENTRY,
    sip::ENTRY,
    rfb::ENTRY,
    kerberos::ENTRY,
    mqtt::ENTRY,
    dhcp::ENTRY,
    ntp::ENTRY,
    ldap::ENTRY,
    snmp::ENTRY,
    ike::ENTRY,
    pgsql::ENTRY,
    nfs::ENTRY,
    rdp::ENTRY,
    modbus::ENTRY,
    enip::ENTRY,
    dnp3::ENTRY,
    template::ENTRY,
    tls::ENTRY,
    ssh::ENTRY,
    smtp::ENTRY,
    ftp::ENTRY,
    ftp_data::ENTRY,
    dns::ENTRY,
    dns::MDNS,
    quic::ENTRY,
    tftp::ENTRY,
    recognised::IMAP,
    recognised::POP3,
    recognised::TELNET,
    recognised::BITTORRENT_DHT,
];

/// Returns bytes as text for EVE.
pub(crate) fn lossy(value: &[u8]) -> serde_json::Value {
    serde_json::Value::String(String::from_utf8_lossy(value).into_owned())
}

/// Returns the first value of a field in either direction as text.
pub(crate) fn text(transaction: &Transaction, field: Field) -> Option<String> {
    let either = [Direction::Orig, Direction::Resp].into_iter().find_map(|side| transaction.value(side, field));
    either.map(|value| String::from_utf8_lossy(value).into_owned())
}

/// Returns the first number of a field in either direction.
pub(crate) fn number(transaction: &Transaction, field: Field) -> Option<u64> {
    [Direction::Orig, Direction::Resp].into_iter().find_map(|side| transaction.numbers(side, field).next())
}
