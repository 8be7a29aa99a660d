//! What every session test shares: a conversation in, transactions out, and the captures of the test data.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

use infraspectre_core::app::{Consumed, Direction, Next, Probe, Transport};
use infraspectre_core::flow::key::FlowKey;
use infraspectre_core::flow::stream::{Piece as Reassembled, Stream};
use infraspectre_core::source::{Options, Sources};
use infraspectre_core::wire::{protocol, tcp_flag, Decoder, Outcome, Segment};

use super::{Entry, Expectation, Output, Protocol, Requests, Session, ENTRIES};
use crate::field::{Field, FieldSet};
use crate::settings::Settings;
use crate::transaction::{index, Transaction};

/// Bytes of a stream after which a protocol is not recognised any more.
const MAX_PROBED: usize = 16 * 1024;

/// One piece of a conversation.
pub type Piece<'a> = (Direction, &'a [u8]);

/// One flow with its session, and all that the session has asked for.
pub struct Conversation {
    pub protocol: Protocol,
    session: Box<dyn Session>,
    pub transactions: VecDeque<Transaction>,
    number: u64,
    pub requests: Requests,
    pub settings: Settings,
    pub wanted: FieldSet,
    ports: (u16, u16),
    expectation: Option<Expectation>,
    waiting: [Vec<u8>; 2],
    pub next: Next,
}

impl Conversation {
    /// Begins one that all fields are wanted of but the one that says what the last bytes brought, for it tells cuts.
    pub fn new(entry: &Entry, transport: Transport, ports: (u16, u16)) -> Conversation {
        Conversation {
            protocol: entry.protocol,
            session: (entry.session)(transport),
            transactions: VecDeque::new(),
            number: 0,
            requests: Requests::default(),
            settings: Settings::default(),
            wanted: all_but(Field::TlsState),
            ports,
            expectation: None,
            waiting: Default::default(),
            next: Next::More,
        }
    }

    fn with<T>(&mut self, act: impl FnOnce(&mut dyn Session, &mut Output<'_>) -> T) -> T {
        let mut output = Output {
            settings: &self.settings,
            wanted: self.wanted,
            transactions: &mut self.transactions,
            next_number: &mut self.number,
            protocol: self.protocol,
            at: 0,
            ports: self.ports,
            expectation: self.expectation.as_ref(),
            requests: &mut self.requests,
        };
        act(self.session.as_mut(), &mut output)
    }

    /// Shows bytes of a stream with what was left before.
    pub fn stream(&mut self, direction: Direction, data: &[u8]) {
        if self.next != Next::More {
            return;
        }
        let mut bytes = std::mem::take(&mut self.waiting[index(direction)]);
        bytes.extend_from_slice(data);
        let Consumed { bytes: used, next } = self.with(|session, output| session.read(direction, &bytes, output));
        assert!(used <= bytes.len(), "consumed more than was shown");
        bytes.drain(..used);
        self.waiting[index(direction)] = bytes;
        self.next = next;
        if let Some(protocol) = self.requests.switch_to.take() {
            let entry = entry_of(protocol);
            self.protocol = protocol;
            self.session = (entry.session)(Transport::Stream);
            self.next = Next::More;
            self.stream(direction, &[]);
        }
    }

    /// Shows a datagram.
    pub fn datagram(&mut self, direction: Direction, data: &[u8]) {
        self.next = self.with(|session, output| session.read(direction, data, output)).next;
    }

    /// Leaves out missing bytes; tells whether the session can go on.
    pub fn gap(&mut self, direction: Direction, missing: u32) -> bool {
        self.with(|session, output| session.gap(direction, missing, output))
    }

    /// Counts the bytes that the session has left for later.
    pub fn unread(&self, direction: Direction) -> usize {
        self.waiting[index(direction)].len()
    }

    /// Ends both directions.
    pub fn end(&mut self) {
        for direction in [Direction::Orig, Direction::Resp] {
            self.with(|session, output| session.end(direction, output));
        }
    }

    /// Returns the texts of a field over all transactions and both directions.
    pub fn texts(&self, field: Field) -> Vec<String> {
        self.transactions.iter().flat_map(|transaction| texts(transaction, field)).collect()
    }

    /// Returns the events of all transactions.
    pub fn events(&self) -> Vec<&'static str> {
        self.transactions.iter().flat_map(|transaction| transaction.events.iter().map(|(_, name)| *name)).collect()
    }

    /// Returns what EVE would say of each transaction.
    pub fn described(&self) -> Vec<serde_json::Value> {
        let describe = |transaction: &Transaction| {
            let mut event = serde_json::Map::new();
            (entry_of(transaction.protocol).describe)(transaction, &mut event);
            event.into()
        };
        self.transactions.iter().map(describe).collect()
    }
}

fn all_but(left_out: Field) -> FieldSet {
    let mut wanted = FieldSet::default();
    Field::ALL.iter().filter(|field| **field != left_out).for_each(|field| wanted.insert(*field));
    wanted
}

/// Returns the texts of a field of a transaction, of both directions.
pub fn texts(transaction: &Transaction, field: Field) -> Vec<String> {
    [Direction::Orig, Direction::Resp]
        .into_iter()
        .flat_map(|direction| transaction.values(direction, field))
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .collect()
}

/// Returns the entry of a protocol.
pub fn entry_of(protocol: Protocol) -> &'static Entry {
    ENTRIES.iter().find(|entry| entry.protocol == protocol).unwrap_or_else(|| panic!("no entry for {protocol:?}"))
}

/// Feeds the pieces of a stream and ends it.
pub fn feed<'a>(entry: &Entry, pieces: impl IntoIterator<Item = Piece<'a>>) -> Conversation {
    let mut conversation = Conversation::new(entry, Transport::Stream, (40_000, 1));
    for (direction, piece) in pieces {
        conversation.stream(direction, piece);
    }
    conversation.end();
    conversation
}

/// Asserts that the way a stream is cut does not change what is found.
pub fn assert_cuts_do_not_matter(entry: &Entry, pieces: &[Piece<'_>]) {
    let say = |conversation: Conversation| format!("{:?}", conversation.transactions);
    let whole = say(feed(entry, pieces.iter().copied()));
    let longest = pieces.iter().map(|(_, bytes)| bytes.len()).max().unwrap_or(0);
    for cut in 0..longest {
        let halves = pieces.iter().flat_map(|(direction, bytes)| {
            let (head, tail) = bytes.split_at(cut.min(bytes.len()));
            [(*direction, head), (*direction, tail)]
        });
        assert_eq!(say(feed(entry, halves)), whole, "cut at {cut}");
    }
    let single = pieces.iter().flat_map(|(direction, bytes)| bytes.chunks(1).map(|byte| (*direction, byte)));
    assert_eq!(say(feed(entry, single)), whole, "byte by byte");
}

/// Shows any bytes to probe, session and description; nothing may panic.
pub fn assert_any_bytes_are_safe(entry: &Entry, data: &[u8], pieces: usize) {
    for transport in entry.transports {
        let mut conversation = Conversation::new(entry, *transport, (40_000, 53));
        let directions = [Direction::Orig, Direction::Resp].into_iter().cycle();
        for (direction, piece) in directions.zip(data.chunks(data.len() / pieces.max(1) + 1)) {
            (entry.probe)(*transport, direction, piece, (40_000, 53));
            match transport {
                Transport::Stream => conversation.stream(direction, piece),
                Transport::Datagram => conversation.datagram(direction, piece),
            }
        }
        conversation.end();
        conversation.described();
    }
}

/// Returns a path of the test data, or says that there is none.
pub fn test_data(path: &str) -> Option<PathBuf> {
    let Ok(root) = std::env::var("INFRASPECTRE_TEST_DATA") else {
        eprintln!("skipped: INFRASPECTRE_TEST_DATA is not set");
        return None;
    };
    Some(PathBuf::from(root).join("net/suricata-verify").join(path))
}

/// One flow of a capture on its way to a session.
struct Tracked {
    orig_is_low: bool,
    transport: Transport,
    ports: (u16, u16),
    streams: [Stream; 2],
    probing: [Vec<u8>; 2],
    conversation: Option<Conversation>,
    expectation: Option<Expectation>,
}

impl Tracked {
    fn segment(&mut self, direction: Direction, segment: &Segment<'_>) {
        if self.transport == Transport::Datagram {
            return self.bytes(direction, segment.payload);
        }
        let mut pieces = Vec::new();
        let stream = &mut self.streams[index(direction)];
        if segment.tcp.flags & tcp_flag::SYN != 0 {
            return stream.open(segment.tcp.seq.wrapping_add(1));
        }
        stream.add(segment.tcp.seq, segment.payload, 0, &mut |piece| {
            if let Reassembled::Bytes(bytes) = piece {
                pieces.push(bytes.to_vec());
            }
        });
        pieces.iter().for_each(|piece| self.bytes(direction, piece));
    }

    fn bytes(&mut self, direction: Direction, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        if self.conversation.is_none() {
            return self.probe(direction, data);
        }
        let Some(conversation) = &mut self.conversation else { return };
        match self.transport {
            Transport::Stream => conversation.stream(direction, data),
            Transport::Datagram => conversation.datagram(direction, data),
        }
    }

    fn probe(&mut self, direction: Direction, data: &[u8]) {
        let waiting = &mut self.probing[index(direction)];
        if self.transport == Transport::Datagram {
            waiting.clear();
        }
        if waiting.len() > MAX_PROBED {
            return;
        }
        waiting.extend_from_slice(data);
        let found = ENTRIES.iter().find(|entry| match &self.expectation {
            Some(expectation) => expectation.protocol == entry.protocol,
            None => {
                entry.transports.contains(&self.transport)
                    && (entry.probe)(self.transport, direction, waiting, self.ports) == Probe::Certain
            }
        });
        let Some(entry) = found else { return };
        let mut conversation = Conversation::new(entry, self.transport, self.ports);
        conversation.expectation = self.expectation.take();
        self.conversation = Some(conversation);
        let held = std::mem::take(&mut self.probing);
        self.bytes(direction.opposite(), &held[index(direction.opposite())]);
        self.bytes(direction, &held[index(direction)]);
    }
}

/// Reads a capture of Suricata's verification suite: each flow that was recognised, in the order of its first packet.
pub fn capture(path: &str) -> Option<Vec<Conversation>> {
    let path = test_data(path)?;
    let mut sources = Sources::open(&[path], Options::default()).unwrap();
    let mut decoder = Decoder::default();
    let mut flows: Vec<Tracked> = Vec::new();
    let mut keys: HashMap<FlowKey, usize> = HashMap::new();
    let mut expected: Vec<Expectation> = Vec::new();
    while let Some(packet) = sources.next() {
        let Outcome::Segment(segment) = decoder.decode(&packet) else { continue };
        let transport = match segment.protocol {
            protocol::TCP => Transport::Stream,
            protocol::UDP => Transport::Datagram,
            _ => continue,
        };
        let (key, from_low) = FlowKey::of(&segment);
        let at = *keys.entry(key).or_insert_with(|| {
            flows.push(Tracked {
                orig_is_low: from_low,
                transport,
                ports: (segment.src_port, segment.dst_port),
                streams: Default::default(),
                probing: Default::default(),
                conversation: None,
                expectation: None,
            });
            flows.len() - 1
        });
        if flows[at].conversation.is_none() && !segment.payload.is_empty() {
            let found = expected.iter().position(|one| [segment.dst_port, segment.src_port].contains(&one.port));
            flows[at].expectation = found.map(|at| expected.remove(at));
        }
        let direction = if from_low == flows[at].orig_is_low { Direction::Orig } else { Direction::Resp };
        flows[at].segment(direction, &segment);
        if let Some(conversation) = &mut flows[at].conversation {
            expected.append(&mut conversation.requests.expect);
        }
    }
    let finish = |mut conversation: Conversation| {
        conversation.end();
        conversation
    };
    Some(flows.into_iter().filter_map(|flow| flow.conversation).map(finish).collect())
}
