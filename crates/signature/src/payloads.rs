//! What flows carry, put together again: bodies and files of transactions, and streams of protocols nobody recognised.
//!
//! Only TCP is looked at. A payload is handed over when it is complete, when its flow is over, or when its transaction
//! is given up; bounds hold for each one and for all that are kept together.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use infraspectre_core::engine::Account;
use infraspectre_core::flow::key::Endpoint;
use infraspectre_core::source::{Options, SourceError, Sources};
use infraspectre_core::wire::protocol;

use crate::engine::walk::{counted, Walk};
use crate::field::{Field, FieldSet, DONE};
use crate::flow::{Flow, Occasion, Window};
use crate::protocol::Protocol;
use crate::settings::Settings;
use crate::transaction::{index, Body, Direction, Transaction};

/// Payloads and their bytes that are handed over at once.
const ENOUGH: usize = 256;
const ENOUGH_BYTES: usize = 4 << 20;
/// Bytes that a payload takes besides its own: a million small ones are not small.
const OVERHEAD: usize = 256;
const BOTH: [Direction; 2] = [Direction::Orig, Direction::Resp];

/// How many bytes are kept: what is beyond is left out.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Of one payload.
    pub each: usize,
    /// Of all payloads that are kept at a time, with their overhead.
    pub all: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Bounds { each: 32 << 20, all: 256 << 20 }
    }
}

/// What carried a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A direction of a connection whose protocol nobody recognised.
    Stream,
    HttpBody,
    MailAttachment,
    SmbFile,
    FtpFile,
    File,
}

impl Kind {
    /// Returns its name.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Stream => "stream",
            Kind::HttpBody => "http_body",
            Kind::MailAttachment => "mail_attachment",
            Kind::SmbFile => "smb_file",
            Kind::FtpFile => "ftp_file",
            Kind::File => "file",
        }
    }

    const fn of(protocol: Protocol) -> Kind {
        match protocol {
            Protocol::Http | Protocol::Http2 => Kind::HttpBody,
            Protocol::Smtp => Kind::MailAttachment,
            Protocol::Smb => Kind::SmbFile,
            Protocol::FtpData => Kind::FtpFile,
            _ => Kind::File,
        }
    }
}

/// One object that a flow carried.
#[derive(Clone, Debug)]
pub struct Payload {
    /// As the flow's record has it.
    pub flow_id: u64,
    pub orig: IpAddr,
    pub resp: IpAddr,
    pub direction: Direction,
    pub kind: Kind,
    /// The name of the file or the path of the request; a stream has none.
    pub name: Vec<u8>,
    pub data: Vec<u8>,
    /// When its first and its last bytes were read, in nanoseconds of capture time since the Unix epoch.
    pub start: i64,
    pub end: i64,
    /// Number of the packet with which its first bytes were read; none at the end of a flow.
    pub packet: Option<u64>,
    /// Whether bytes are missing, in the traffic or beyond the bounds.
    pub is_truncated: bool,
    /// Whether any of them were left out because of the bounds.
    is_cut: bool,
}

impl Payload {
    /// Counts the bytes that it takes; nothing is kept of an empty one.
    fn cost(&self) -> usize {
        if self.data.is_empty() {
            0
        } else {
            OVERHEAD + self.data.len()
        }
    }
}

/// Reads captures and yields what their flows carried.
pub struct PayloadReader {
    walk: Walk<Carried>,
    store: Shared,
}

impl PayloadReader {
    /// Opens captures; fails if none of them can be read.
    pub fn open(
        paths: &[PathBuf],
        settings: Settings,
        bounds: Bounds,
        options: Options,
    ) -> Result<PayloadReader, SourceError> {
        let settings = Arc::new(deep(settings, bounds.each));
        let store = Arc::new(Mutex::new(Store { bounds, ..Store::default() }));
        Ok(PayloadReader { walk: Walk::new(Sources::open(paths, options)?, settings, wanted()), store })
    }

    /// Reads on, up to so many packets from the beginning, until there are enough payloads; gives those there are.
    pub fn advance(&mut self, packets: u64) -> Vec<Payload> {
        let store = &self.store;
        while !self.walk.is_over() && self.walk.packets() < packets && !lock(store).is_enough() {
            self.walk.step(&mut |occasion, _| look(occasion, store));
        }
        lock(store).take()
    }

    /// Counts the packets that were read.
    pub fn packets(&self) -> u64 {
        self.walk.packets()
    }

    /// Tells whether everything was read.
    pub fn is_over(&self) -> bool {
        self.walk.is_over()
    }

    /// Counts the payloads that were handed over.
    pub fn payloads(&self) -> u64 {
        lock(&self.store).given
    }

    /// Returns the account of what was read so far.
    pub fn account(&self) -> Account {
        let store = lock(&self.store);
        let mut account = self.walk.account();
        account.shed.extend(counted([("payloads_truncated", store.cut), ("payloads_not_kept", store.not_kept)]));
        account
    }

    /// Returns bytes read and bytes in all, as far as known, of the files on disk.
    pub fn progress(&self) -> (u64, u64) {
        self.walk.progress()
    }
}

/// Lets sessions read whole streams, also those whose opening was not captured, and bodies up to the bound.
fn deep(settings: Settings, most: usize) -> Settings {
    // One more, so that the bound of payloads is what cuts, and counts.
    let limit = most.saturating_add(1);
    Settings { depth: 0, midstream: true, response_body_limit: limit, request_body_limit: limit, ..settings }
}

/// Payloads that are complete, and an account of those that are not.
#[derive(Debug, Default)]
struct Store {
    bounds: Bounds,
    complete: Vec<Payload>,
    complete_bytes: usize,
    /// Bytes of all payloads, complete or not, with their overhead.
    held: usize,
    given: u64,
    cut: u64,
    /// Payloads of which nothing was kept.
    not_kept: u64,
}

type Shared = Arc<Mutex<Store>>;

fn lock(store: &Shared) -> MutexGuard<'_, Store> {
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    fn is_enough(&self) -> bool {
        self.complete.len() >= ENOUGH || self.complete_bytes >= ENOUGH_BYTES
    }

    fn take(&mut self) -> Vec<Payload> {
        self.held = self.held.saturating_sub(self.complete_bytes);
        self.complete_bytes = 0;
        self.given += self.complete.len() as u64;
        std::mem::take(&mut self.complete)
    }

    /// Adds bytes to a payload as far as there is room.
    fn append(&mut self, payload: &mut Payload, data: &[u8], at: i64) {
        let of_each = self.bounds.each.saturating_sub(payload.data.len());
        let before = payload.cost();
        let overhead = if before == 0 { OVERHEAD } else { 0 };
        let room = of_each.min(self.bounds.all.saturating_sub(self.held + overhead));
        // Once something is left out, what follows would be out of place.
        let kept = if payload.is_cut { &[] } else { data.get(..room).unwrap_or(data) };
        payload.data.extend_from_slice(kept);
        payload.end = at;
        self.held += payload.cost() - before;
        payload.is_cut |= kept.len() < data.len();
        payload.is_truncated |= payload.is_cut;
    }

    fn complete(&mut self, payload: Payload) {
        if payload.data.is_empty() {
            self.not_kept += u64::from(payload.is_cut);
            return;
        }
        self.cut += u64::from(payload.is_cut);
        self.complete_bytes += payload.cost();
        self.complete.push(payload);
    }

    fn forget(&mut self, payload: &Payload) {
        self.held = self.held.saturating_sub(payload.cost());
    }
}

/// What is being put together of a flow; what is left when the flow goes is handed over.
#[derive(Default)]
struct Carried {
    store: Option<Shared>,
    transactions: VecDeque<Followed>,
    streams: [Option<Growing>; 2],
}

/// A transaction whose payloads are being read.
struct Followed {
    number: u64,
    /// Directions that bring no more.
    is_over: [bool; 2],
    /// Both bodies, then the files.
    parts: Vec<Part>,
}

#[derive(Default)]
enum Part {
    #[default]
    Unseen,
    Growing(Growing),
    Complete,
}

/// A payload, and how far it was read.
struct Growing {
    payload: Payload,
    read: u64,
}

/// Bytes of a transaction: a body, or the content of a file.
struct Piece<'a> {
    place: usize,
    name: &'a [u8],
    body: &'a Body,
    is_truncated: bool,
}

impl Drop for Carried {
    fn drop(&mut self) {
        let Some(store) = &self.store else { return };
        let mut store = lock(store);
        self.transactions.drain(..).for_each(|followed| followed.give_up(&mut store));
        let streams = self.streams.iter_mut().filter_map(Option::take);
        streams.for_each(|stream| store.complete(stream.payload));
    }
}

/// Takes what an occasion brings.
fn look(occasion: Occasion<'_, Carried>, shared: &Shared) {
    let Occasion { packet, flow, direction, at, windows, .. } = occasion;
    if flow.transport != protocol::TCP {
        return;
    }
    let is_recognised = flow.application.protocol.is_some() || flow.application.original.is_some();
    if flow.transactions.is_empty() && windows.is_empty() && flow.state.store.is_none() {
        return;
    }
    let begin = beginning(flow, packet.map(|packet| packet.segment.number), at);
    let mut store = lock(shared);
    let Flow { state, transactions, .. } = flow;
    state.store.get_or_insert_with(|| Arc::clone(shared));
    if is_recognised {
        let streams = state.streams.iter_mut().filter_map(Option::take);
        streams.for_each(|stream| store.forget(&stream.payload));
    } else {
        state.take_windows(windows, direction, &begin, &mut store);
    }
    state.let_go(transactions.front().map(|first| first.number), &mut store);
    for transaction in transactions.iter().filter(|one| Field::FileData.is_of(one.protocol)) {
        state.follow(transaction.number).take(transaction, &begin, &mut store);
    }
}

/// Returns an empty payload of a flow that begins now.
fn beginning<S>(flow: &Flow<S>, packet: Option<u64>, at: i64) -> Payload {
    Payload {
        flow_id: flow.id,
        orig: address(flow.orig),
        resp: address(flow.resp),
        direction: Direction::Orig,
        kind: Kind::Stream,
        name: Vec::new(),
        data: Vec::new(),
        start: at,
        end: at,
        packet,
        is_truncated: false,
        is_cut: false,
    }
}

fn address(endpoint: Endpoint) -> IpAddr {
    Ipv6Addr::from(endpoint.address).to_canonical()
}

impl Carried {
    /// Takes what is new of a stream; of contradicting bytes, the likeliest ones.
    fn take_windows(&mut self, windows: &[Window<'_>], direction: Direction, begin: &Payload, store: &mut Store) {
        let stream = &mut self.streams[index(direction)];
        for window in windows.iter().filter(|window| !window.ambiguous && window.new > 0) {
            let old = window.data.len().saturating_sub(window.new);
            let payload = || Payload { direction, ..begin.clone() };
            let stream = stream.get_or_insert_with(|| Growing { payload: payload(), read: 0 });
            let data = window.data.get(old..).unwrap_or_default();
            stream.take(window.offset + old as u64, data, begin.end, store);
        }
    }

    /// Gives up transactions that are no longer there; `first` is the number of the first that is.
    fn let_go(&mut self, first: Option<u64>, store: &mut Store) {
        let is_gone = |followed: &Followed| first.is_none_or(|first| followed.number < first);
        while self.transactions.front().is_some_and(is_gone) {
            if let Some(followed) = self.transactions.pop_front() {
                followed.give_up(store);
            }
        }
    }

    /// Returns what is known of a transaction; those that begin come in the order of their numbers.
    fn follow(&mut self, number: u64) -> &mut Followed {
        let at = match self.transactions.binary_search_by_key(&number, |followed| followed.number) {
            Ok(at) => at,
            Err(at) => {
                self.transactions.insert(at, Followed { number, is_over: [false; 2], parts: Vec::new() });
                at
            }
        };
        &mut self.transactions[at]
    }
}

impl Followed {
    fn take(&mut self, transaction: &Transaction, begin: &Payload, store: &mut Store) {
        for direction in BOTH {
            if self.is_over[index(direction)] {
                continue;
            }
            let is_over = transaction.progress(direction) == DONE;
            for piece in pieces(transaction, direction) {
                let payload = || Payload {
                    direction,
                    kind: Kind::of(transaction.protocol),
                    name: piece.name.to_vec(),
                    ..begin.clone()
                };
                self.take_piece(&piece, is_over, payload, begin.end, store);
            }
            self.is_over[index(direction)] = is_over;
        }
    }

    fn take_piece(
        &mut self,
        piece: &Piece<'_>,
        is_over: bool,
        payload: impl FnOnce() -> Payload,
        at: i64,
        store: &mut Store,
    ) {
        if self.parts.len() <= piece.place {
            self.parts.resize_with(piece.place + 1, Part::default);
        }
        let Some(part) = self.parts.get_mut(piece.place) else { return };
        let mut growing = match std::mem::take(part) {
            Part::Unseen => Growing { payload: payload(), read: 0 },
            Part::Growing(growing) => growing,
            Part::Complete => {
                *part = Part::Complete;
                return;
            }
        };
        growing.take(piece.body.dropped, &piece.body.data, at, store);
        growing.payload.is_truncated |= piece.is_truncated;
        *part = if is_over || piece.body.complete {
            store.complete(growing.payload);
            Part::Complete
        } else {
            Part::Growing(growing)
        };
    }

    /// Hands over what has not come to its end.
    fn give_up(self, store: &mut Store) {
        for part in self.parts {
            if let Part::Growing(Growing { payload, .. }) = part {
                store.complete(Payload { is_truncated: true, ..payload });
            }
        }
    }
}

impl Growing {
    /// Takes what is new of bytes that begin at a place.
    fn take(&mut self, start: u64, data: &[u8], at: i64, store: &mut Store) {
        self.payload.is_truncated |= start > self.read;
        let known = usize::try_from(self.read.saturating_sub(start)).unwrap_or(usize::MAX);
        let Some(fresh) = data.get(known..).filter(|fresh| !fresh.is_empty()) else { return };
        store.append(&mut self.payload, fresh, at);
        self.read = start + data.len() as u64;
    }
}

/// Returns the fields that payloads are described with.
fn wanted() -> FieldSet {
    let mut wanted = FieldSet::default();
    [Field::HttpUri, Field::HttpRequestBody].into_iter().for_each(|field| wanted.insert(field));
    wanted
}

/// Returns what a direction of a transaction carries; a body that is one file is that file.
fn pieces(transaction: &Transaction, direction: Direction) -> impl Iterator<Item = Piece<'_>> {
    let body = &transaction.bodies[index(direction)];
    let files = transaction.files.iter().enumerate().filter(move |(_, file)| file.direction == direction);
    let is_file = files.clone().any(|(_, file)| file.size == body.len());
    let body = (!is_file && !body.is_empty()).then(|| Piece {
        place: index(direction),
        name: transaction.value(Direction::Orig, Field::HttpUri).unwrap_or_default(),
        body,
        is_truncated: false,
    });
    let files = files.map(|(number, file)| Piece {
        place: BOTH.len() + number,
        name: &file.name,
        body: &file.body,
        is_truncated: file.truncated,
    });
    body.into_iter().chain(files)
}

#[cfg(test)]
mod tests {
    use infraspectre_core::wire::tcp_flag;
    use proptest::prelude::*;

    use super::*;
    use crate::flow::fixture::Host::{Client, Server};
    use crate::flow::fixture::{Packet, Talk, LIMITS};
    use crate::flow::FlowTable;

    const BOUNDS: Bounds = Bounds { each: 1 << 20, all: 1 << 20 };

    /// Shows packets to a table, and returns what is handed over and what is left.
    fn carried(bounds: Bounds, packets: &[Packet]) -> (Vec<Payload>, Store) {
        let store = Arc::new(Mutex::new(Store { bounds, ..Store::default() }));
        let settings = Arc::new(deep(Settings::default(), bounds.each));
        let mut table = FlowTable::new(settings, LIMITS, wanted());
        for (number, packet) in packets.iter().enumerate() {
            packet.with_segment(number as u64 + 1, |segment| {
                table.observe(segment, 100, &[], &[], &mut |occasion| look(occasion, &store));
            });
        }
        table.finish(&mut |occasion| look(occasion, &store));
        drop(table);
        let payloads = lock(&store).take();
        (payloads, Arc::into_inner(store).unwrap().into_inner().unwrap())
    }

    /// Builds a connection on which the client says something, and the server answers in segments of a size.
    fn exchange(port: u16, asked: &[u8], answered: &[u8], size: usize) -> Vec<Packet> {
        let talk = Talk { server_port: port, ..Talk::default() };
        let mut packets = talk.opening();
        packets.push(talk.data(Client, 1, 1, asked));
        let asked = 1 + asked.len() as u32;
        let mut sent = 1;
        for segment in answered.chunks(size) {
            packets.push(talk.data(Server, sent, asked, segment));
            sent += segment.len() as u32;
            packets.push(talk.ack(Client, asked, sent));
        }
        packets.push(talk.segment(Server, tcp_flag::ACK | tcp_flag::FIN, sent, asked, b""));
        packets.push(talk.segment(Client, tcp_flag::ACK | tcp_flag::FIN, asked, sent + 1, b""));
        packets.push(talk.ack(Server, sent + 1, asked + 1));
        packets
    }

    fn response(body: &[u8]) -> Vec<u8> {
        [format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).as_bytes(), body].concat()
    }

    fn brief<'a>(payloads: &'a [Payload]) -> Vec<(&'a str, Direction, &'a str, &'a [u8], bool)> {
        let text = |name| std::str::from_utf8(name).unwrap();
        let of =
            |one: &'a Payload| (one.kind.name(), one.direction, text(&one.name[..]), &one.data[..], one.is_truncated);
        payloads.iter().map(of).collect()
    }

    #[test]
    fn bodies_of_both_directions_are_payloads() {
        let asked = b"POST /form?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nk=v";
        let (payloads, store) = carried(BOUNDS, &exchange(80, asked, &response(b"well, hello"), 20));
        let expected = [
            ("http_body", Direction::Orig, "/form", &b"k=v"[..], false),
            ("http_body", Direction::Resp, "/form", b"well, hello", false),
        ];
        assert_eq!(brief(&payloads), expected);
        let [first, second] = &payloads[..] else { panic!("two") };
        assert_eq!((first.orig.to_string(), first.resp.to_string()), ("10.0.0.1".into(), "10.0.0.2".into()));
        assert_eq!(first.flow_id, second.flow_id);
        assert!(first.packet < second.packet && second.packet.is_some());
        assert_eq!((store.held, store.cut, store.given), (0, 0, 2));
    }

    #[test]
    fn a_form_is_a_payload_and_so_is_each_file_in_it() {
        let form = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"a.txt\"\r\n\r\ncontent\r\n--b--\r\n";
        let head = "POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=b\r\n";
        let asked = format!("{head}Content-Length: {}\r\n\r\n{form}", form.len());
        let (payloads, _) = carried(BOUNDS, &exchange(80, asked.as_bytes(), &response(b""), 20));
        let expected = [
            ("http_body", Direction::Orig, "/up", form.as_bytes(), false),
            ("http_body", Direction::Orig, "a.txt", b"content", false),
        ];
        assert_eq!(brief(&payloads), expected);
    }

    #[test]
    fn an_upload_is_one_payload() {
        let asked = b"PUT /a.bin HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbyte";
        let (payloads, _) = carried(BOUNDS, &exchange(80, asked, &response(b""), 20));
        assert_eq!(brief(&payloads), [("http_body", Direction::Orig, "/a.bin", &b"byte"[..], false)]);
    }

    #[test]
    fn streams_are_payloads_where_no_protocol_is_recognised() {
        let (payloads, store) = carried(BOUNDS, &exchange(4_444, b"\x01\x02 ask", b"\x03\x04 a long answer", 5));
        let expected = [
            ("stream", Direction::Orig, "", &b"\x01\x02 ask"[..], false),
            ("stream", Direction::Resp, "", b"\x03\x04 a long answer", false),
        ];
        assert_eq!(brief(&payloads), expected);
        assert_eq!(store.held, 0);
    }

    #[test]
    fn a_body_that_never_ends_is_handed_over_as_truncated() {
        let mut packets = exchange(80, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &response(&[b'x'; 90]), 30);
        packets.truncate(packets.len() - 5);
        let (payloads, store) = carried(BOUNDS, &packets);
        let [cut] = &payloads[..] else { panic!("one") };
        assert!(cut.is_truncated && !cut.data.is_empty() && cut.data.len() < 90);
        assert_eq!((store.held, store.cut), (0, 0));
    }

    #[test]
    fn what_is_beyond_the_bounds_is_left_out_and_counted() {
        let packets = exchange(80, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", &response(&[b'x'; 90]), 30);
        for bounds in [Bounds { each: 50, all: 1000 }, Bounds { each: 1000, all: OVERHEAD + 50 }] {
            let (payloads, store) = carried(bounds, &packets);
            assert_eq!(brief(&payloads), [("http_body", Direction::Resp, "/a", &[b'x'; 50][..], true)]);
            assert_eq!((store.held, store.cut, store.not_kept), (0, 1, 0));
        }
        let (payloads, store) = carried(Bounds { each: 1000, all: OVERHEAD }, &packets);
        assert!(payloads.is_empty());
        assert_eq!((store.cut, store.not_kept), (0, 1));
    }

    #[test]
    fn missing_bytes_make_a_stream_truncated() {
        let mut packets = exchange(4_444, b"\x01", &[7; 40], 10);
        packets.remove(6);
        let (payloads, _) = carried(BOUNDS, &packets);
        let answer = payloads.iter().find(|one| one.direction == Direction::Resp).unwrap();
        assert_eq!((answer.data.len(), answer.is_truncated), (30, true));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_are_accounted_for(
            answer in prop::collection::vec(any::<u8>(), 0..600), size in 1_usize..90, each in 0_usize..700, all in 0_usize..2000
        ) {
            for port in [80, 445, 4_444] {
                let asked = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
                let (payloads, store) = carried(Bounds { each, all }, &exchange(port, asked, &answer, size));
                prop_assert_eq!(store.held, 0);
                prop_assert!(payloads.iter().all(|one| !one.data.is_empty() && one.data.len() <= each.min(all)));
            }
        }
    }
}
