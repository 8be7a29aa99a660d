//! Recognises the application protocol of a flow by its content and drives that protocol's session.

use super::{Direction, Fields, Next, Probe, Session, Transport};

/// Unread bytes kept per direction while a message is incomplete: the longest DNS message with its prefix fits.
const UNREAD_BYTES: usize = 64 * 1024 + 512;
/// Bytes that a direction may be shown again because their message was incomplete, beyond what its traffic has earned.
const SPARE_BYTES: usize = 256 * 1024;
/// Bytes that each byte of traffic earns: what trickles in byte by byte is read in linear time.
const EARNED_BYTES: usize = 64;
/// Bytes of a stream after which an unrecognised protocol stays unrecognised.
const PROBE_BYTES: usize = 2048;
/// Datagrams after which an unrecognised protocol stays unrecognised.
const PROBE_DATAGRAMS: u8 = 4;

macro_rules! protocols {
    ($($variant:ident $module:ident $name:literal;)*) => {
        /// An application protocol that is recognised by content.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Protocol { $($variant),* }

        impl Protocol {
            /// All protocols, in the order in which they are tried.
            pub const ALL: &'static [Protocol] = &[$(Protocol::$variant),*];

            /// Names the protocol as the `app_protocol` column does.
            pub const fn name(self) -> &'static str {
                match self { $(Protocol::$variant => $name),* }
            }

            fn probe(self, transport: Transport, direction: Direction, data: &[u8], ports: (u16, u16)) -> Probe {
                match self { $(Protocol::$variant => super::$module::probe(transport, direction, data, ports)),* }
            }

            fn session(self, transport: Transport) -> AnySession {
                match self { $(Protocol::$variant => AnySession::$variant(Box::new(super::$module::Session::new(transport)))),* }
            }
        }

        enum AnySession { $($variant(Box<super::$module::Session>)),* }

        impl AnySession {
            fn read(&mut self, direction: Direction, data: &[u8], fields: &mut Fields) -> super::Consumed {
                match self { $(AnySession::$variant(session) => session.read(direction, data, fields)),* }
            }
        }
    };
}

protocols! {
    Tls tls "tls";
    Http http "http";
    Ssh ssh "ssh";
    Smb smb "smb";
    Dns dns "dns";
    Quic quic "quic";
    Dhcp dhcp "dhcp";
    Ntp ntp "ntp";
    Kerberos kerberos "kerberos";
    Rdp rdp "rdp";
    Smtp smtp "smtp";
    Ftp ftp "ftp";
    Irc irc "irc";
    Stratum stratum "stratum";
}

impl Protocol {
    /// Tells whether a session that is done may go on in TLS (STARTTLS, AUTH TLS, CONNECT, RDP security).
    const fn may_upgrade(self) -> bool {
        matches!(self, Protocol::Http | Protocol::Rdp | Protocol::Smtp | Protocol::Ftp)
    }
}

enum State {
    Probing { candidates: u16, datagrams: u8 },
    Reading(AnySession),
    Stopped,
}

/// Reads the application protocol of one flow.
pub struct Inspector {
    transport: Transport,
    ports: (u16, u16),
    state: State,
    protocol: Option<Protocol>,
    /// Why reading stopped early, if the bytes broke the protocol's rules.
    pub malformed: Option<&'static str>,
    pub fields: Fields,
    unread: [Unread; 2],
    lost: [bool; 2],
    first: Direction,
}

/// What a session has left of one direction, to be shown again with what follows it.
struct Unread {
    bytes: Vec<u8>,
    /// How many bytes may be shown again; see [`SPARE_BYTES`].
    allowance: usize,
}

impl Default for Unread {
    fn default() -> Self {
        Unread { bytes: Vec::new(), allowance: SPARE_BYTES }
    }
}

impl Unread {
    /// Appends bytes, unless they would be more than a message can have.
    fn push(&mut self, data: &[u8]) -> Option<()> {
        if data.len() > self.room() {
            return None;
        }
        self.bytes.extend_from_slice(data);
        self.allowance = self.allowance.saturating_add(data.len().saturating_mul(EARNED_BYTES));
        Some(())
    }

    /// Forgets what was read and pays for the rest, which was shown in vain.
    fn consume(&mut self, count: usize) {
        self.bytes.drain(..count.min(self.bytes.len()));
        self.allowance = self.allowance.saturating_sub(self.bytes.len());
    }

    fn room(&self) -> usize {
        UNREAD_BYTES.saturating_sub(self.bytes.len())
    }

    /// Tells whether all bytes may be shown again.
    fn is_due(&self) -> bool {
        self.allowance >= self.bytes.len()
    }
}

impl std::fmt::Debug for Inspector {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Inspector").field("protocol", &self.protocol).field("fields", &self.fields).finish()
    }
}

const fn index(direction: Direction) -> usize {
    match direction {
        Direction::Orig => 0,
        Direction::Resp => 1,
    }
}

impl Inspector {
    /// Starts with nothing known; `ports` are (orig, resp).
    pub fn new(transport: Transport, ports: (u16, u16)) -> Inspector {
        Inspector {
            transport,
            ports,
            state: State::Probing { candidates: u16::MAX, datagrams: 0 },
            protocol: None,
            malformed: None,
            fields: Fields::default(),
            unread: Default::default(),
            lost: [false; 2],
            first: Direction::Orig,
        }
    }

    /// Returns what was found so far, as an inspector that reads no further.
    pub fn snapshot(&self) -> Inspector {
        Inspector { state: State::Stopped, fields: self.fields.clone(), unread: Default::default(), ..*self }
    }

    /// Returns the protocol, once recognised.
    pub fn protocol(&self) -> Option<Protocol> {
        self.protocol
    }

    /// Tells whether more bytes could tell more.
    pub fn wants_more(&self) -> bool {
        !matches!(self.state, State::Stopped)
    }

    /// Bytes of memory held.
    pub fn buffered(&self) -> usize {
        self.unread[0].bytes.capacity() + self.unread[1].bytes.capacity()
    }

    /// Reads a whole datagram.
    pub fn datagram(&mut self, direction: Direction, data: &[u8]) {
        if let State::Probing { candidates, datagrams } = self.state {
            self.probe_datagram(direction, data, candidates, datagrams);
        }
        if let State::Reading(session) = &mut self.state {
            let next = session.read(direction, data, &mut self.fields).next;
            self.follow(next);
        }
    }

    /// Reads in-order bytes of a stream.
    pub fn stream(&mut self, direction: Direction, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() && !self.lost[index(direction)] {
            rest = self.stream_some(direction, rest);
        }
    }

    /// Reads or keeps bytes of a stream and returns those for which there was no room yet.
    fn stream_some<'a>(&mut self, direction: Direction, data: &'a [u8]) -> &'a [u8] {
        match self.state {
            State::Stopped => {}
            State::Reading(_) if self.unread[index(direction)].bytes.is_empty() => {
                let consumed = self.read(direction, data);
                self.keep(direction, data.get(consumed..).unwrap_or_default());
            }
            State::Reading(_) => {
                let room = self.unread[index(direction)].room();
                let (fitting, rest) = data.split_at_checked(room.max(1)).unwrap_or((data, &[]));
                self.keep(direction, fitting);
                if self.unread[index(direction)].is_due() || !rest.is_empty() {
                    self.read_unread(direction);
                }
                return rest;
            }
            State::Probing { candidates, .. } => {
                if self.unread.iter().all(|unread| unread.bytes.is_empty()) {
                    self.first = direction;
                }
                self.keep(direction, data);
                self.probe_stream(direction, candidates);
            }
        }
        &[]
    }

    /// Reads what is left of a direction that ends here, if it was not shown since it grew.
    pub fn finish(&mut self, direction: Direction) {
        if matches!(self.state, State::Reading(_)) && !self.unread[index(direction)].is_due() {
            self.read_unread(direction);
        }
    }

    /// Notes that bytes of a stream are missing; its session cannot go on in that direction.
    pub fn gap(&mut self, direction: Direction) {
        self.finish(direction);
        self.lost[index(direction)] = true;
        self.unread[index(direction)] = Unread::default();
        if self.lost[0] && self.lost[1] {
            self.stop();
        }
    }

    /// Judges each datagram anew, for one that is damaged says nothing about the next.
    fn probe_datagram(&mut self, direction: Direction, data: &[u8], candidates: u16, datagrams: u8) {
        match self.recognise(direction, data, candidates) {
            Ok(protocol) => self.begin(protocol),
            Err(_) if datagrams + 1 >= PROBE_DATAGRAMS => self.stop(),
            Err(_) => self.state = State::Probing { candidates, datagrams: datagrams + 1 },
        }
    }

    fn probe_stream(&mut self, direction: Direction, candidates: u16) {
        let unread = std::mem::take(&mut self.unread[index(direction)]);
        let outcome = self.recognise(direction, &unread.bytes, candidates);
        let length = unread.bytes.len();
        self.unread[index(direction)] = unread;
        match outcome {
            Ok(protocol) => {
                self.begin(protocol);
                self.read_unread(self.first);
                self.read_unread(self.first.opposite());
            }
            Err(left) if left == 0 || length >= PROBE_BYTES => self.stop(),
            Err(left) => self.state = State::Probing { candidates: left, datagrams: 0 },
        }
    }

    /// Returns the protocol, or the set of those that are still possible.
    fn recognise(&self, direction: Direction, data: &[u8], candidates: u16) -> Result<Protocol, u16> {
        let mut left = 0;
        for (bit, protocol) in Protocol::ALL.iter().enumerate().filter(|(bit, _)| candidates >> bit & 1 == 1) {
            match protocol.probe(self.transport, direction, data, self.ports) {
                Probe::Certain => return Ok(*protocol),
                Probe::Unsure => left |= 1 << bit,
                Probe::NotForUs => {}
            }
        }
        Err(left)
    }

    fn begin(&mut self, protocol: Protocol) {
        self.protocol.get_or_insert(protocol);
        self.state = State::Reading(protocol.session(self.transport));
    }

    fn read(&mut self, direction: Direction, data: &[u8]) -> usize {
        let State::Reading(session) = &mut self.state else { return 0 };
        let consumed = session.read(direction, data, &mut self.fields);
        self.follow(consumed.next);
        consumed.bytes.min(data.len())
    }

    fn read_unread(&mut self, direction: Direction) {
        let mut unread = std::mem::take(&mut self.unread[index(direction)]);
        if !unread.bytes.is_empty() {
            let consumed = self.read(direction, &unread.bytes);
            unread.consume(consumed);
        }
        if self.wants_more() {
            self.unread[index(direction)] = unread;
        }
    }

    fn follow(&mut self, next: Next) {
        match next {
            Next::More => {}
            Next::Done => self.upgrade_or_stop(),
            Next::Malformed(reason) => {
                self.malformed = Some(reason);
                self.stop();
            }
        }
    }

    /// After a protocol that can start TLS inside its stream, looks for a TLS hello.
    fn upgrade_or_stop(&mut self) {
        match self.protocol {
            Some(protocol) if protocol.may_upgrade() && !matches!(self.state, State::Reading(AnySession::Tls(_))) => {
                self.state = State::Probing { candidates: 1 << (Protocol::Tls as u16), datagrams: 0 };
            }
            _ => self.stop(),
        }
    }

    fn keep(&mut self, direction: Direction, data: &[u8]) {
        if !self.wants_more() || data.is_empty() {
            return;
        }
        if self.unread[index(direction)].push(data).is_none() {
            self.malformed = Some("message-too-long");
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.state = State::Stopped;
        self.unread = Default::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A query for `a.`, type A.
    const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";

    fn after_noise(datagrams: u8) -> Option<Protocol> {
        let mut inspector = Inspector::new(Transport::Datagram, (40_000, 53));
        for _ in 0..datagrams {
            inspector.datagram(Direction::Orig, b"\xff\xff\xff");
        }
        inspector.datagram(Direction::Orig, QUERY);
        inspector.protocol()
    }

    #[test]
    fn a_damaged_datagram_does_not_hide_the_protocol() {
        assert_eq!(after_noise(PROBE_DATAGRAMS - 1), Some(Protocol::Dns));
        assert_eq!(after_noise(PROBE_DATAGRAMS), None);
    }
}
