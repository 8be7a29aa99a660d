//! Whole exchanges, cut anywhere, and the captures of the test data.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};

use infraspectre_core::flow::stream::{Piece, Stream};
use infraspectre_core::source::{Options, Sources};
use infraspectre_core::wire::{tcp_flag, Decoder, Outcome};
use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::field::{Field, FieldSet};
use crate::protocol::{Requests, Session as _};
use crate::settings::Settings;
use crate::transaction::Transaction;

/// A session with all that its flow keeps.
struct Talk {
    session: Session,
    settings: Settings,
    transactions: VecDeque<Transaction>,
    next_number: u64,
    requests: Requests,
    waiting: [Vec<u8>; 2],
    next: [Next; 2],
}

impl Talk {
    fn new() -> Talk {
        let settings = Settings { response_decompress_layers: 3, ..Settings::default() };
        Talk {
            session: Session::default(),
            settings,
            transactions: VecDeque::new(),
            next_number: 0,
            requests: Requests::default(),
            waiting: Default::default(),
            next: [Next::More; 2],
        }
    }

    fn with<T>(&mut self, call: impl FnOnce(&mut Session, &mut Output<'_>) -> T) -> T {
        let mut output = Output {
            settings: &self.settings,
            wanted: FieldSet::all(),
            transactions: &mut self.transactions,
            next_number: &mut self.next_number,
            protocol: Protocol::Http,
            at: 0,
            ports: (1, 80),
            requests: &mut self.requests,
            expectation: None,
        };
        call(&mut self.session, &mut output)
    }

    fn say(&mut self, direction: Direction, data: &[u8]) {
        let at = crate::transaction::index(direction);
        if self.next[at] != Next::More {
            return;
        }
        let mut waiting = std::mem::take(&mut self.waiting[at]);
        waiting.extend_from_slice(data);
        let consumed = self.with(|session, output| session.read(direction, &waiting, output));
        waiting.drain(..consumed.bytes);
        self.waiting[at] = waiting;
        self.next[at] = consumed.next;
    }

    fn gap(&mut self, direction: Direction, missing: u32) {
        let at = crate::transaction::index(direction);
        if self.next[at] == Next::More && !self.with(|session, output| session.gap(direction, missing, output)) {
            self.next[at] = Next::Malformed("gap");
        }
    }

    fn end(&mut self) {
        for direction in [Direction::Orig, Direction::Resp] {
            if self.next[crate::transaction::index(direction)] == Next::More {
                self.with(|session, output| session.end(direction, output));
            }
        }
    }

    fn values(&self, direction: Direction, field: Field) -> Vec<String> {
        let values = self.transactions.iter().flat_map(|transaction| transaction.values(direction, field));
        values.map(|value| String::from_utf8_lossy(value).into_owned()).collect()
    }

    fn bodies(&self, side: usize) -> Vec<String> {
        let bodies = self.transactions.iter().map(|transaction| &transaction.bodies[side].data);
        bodies.map(|body| String::from_utf8_lossy(body).into_owned()).collect()
    }

    /// All that the transactions say, to compare runs.
    fn summary(&self) -> Vec<String> {
        let all = self.transactions.iter().map(|transaction| {
            let values: Vec<_> = Field::ALL
                .iter()
                .flat_map(|field| [Direction::Orig, Direction::Resp].map(|side| (*field, side)))
                .flat_map(|(field, side)| {
                    transaction.values(side, field).map(move |value| (field, side, value.to_vec()))
                })
                .collect();
            let bodies = [0, 1].map(|side| transaction.bodies[side].data.clone());
            let files: Vec<_> = transaction.files.iter().map(|file| (&file.name, &file.body.data)).collect();
            format!("{values:?} {bodies:?} {files:?} {:?} {}", transaction.events, transaction.is_done())
        });
        all.collect()
    }
}

fn exchange(requests: &[u8], responses: &[u8]) -> Talk {
    let mut talk = Talk::new();
    talk.say(Direction::Orig, requests);
    talk.say(Direction::Resp, responses);
    talk.end();
    talk
}

const REQUESTS: &[u8] =
    b"POST /up/./a.txt?a=1 HTTP/1.1\r\nHost: H.example:80\r\nCookie: c=1\r\nContent-Length: 5\r\n\r\nhello\
    HEAD /x HTTP/1.1\r\nHost: h.example\r\nX: a\r\n b\r\n\r\n\
    PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3;x\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n\
    GET /last HTTP/1.1\r\nHost: h\r\n\r\n";
const RESPONSES: &[u8] =
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nServer: s\r\nTransfer-Encoding: chunked\r\n\r\n\
    6\r\n<html>\r\n3 \r\nabc\r\n0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n\
    HTTP/1.1 204 Fine\r\n\r\nHTTP/1.1 404 Not Found\r\n\r\nto the end";

#[test]
fn pipelined_messages_are_paired() {
    let talk = exchange(REQUESTS, RESPONSES);
    assert_eq!(talk.values(Direction::Orig, Field::HttpMethod), ["POST", "HEAD", "PUT", "GET"]);
    assert_eq!(talk.values(Direction::Orig, Field::HttpUri), ["/up/a.txt?a=1", "/x", "/c", "/last"]);
    assert_eq!(talk.values(Direction::Orig, Field::HttpHost), ["h.example", "h.example", "h", "h"]);
    assert_eq!(talk.values(Direction::Orig, Field::HttpHostRaw)[0], "H.example:80");
    assert_eq!(talk.values(Direction::Orig, Field::HttpHeader)[1], "Host: h.example\r\nX: a b\r\n");
    assert_eq!(talk.values(Direction::Resp, Field::HttpStatusCode), ["200", "200", "204", "404"]);
    assert_eq!(talk.bodies(0), ["hello", "", "abcde", ""]);
    assert_eq!(talk.bodies(1), ["<html>abc", "", "", "to the end"]);
    let files = talk.transactions[0].files.iter().map(|file| (file.direction, file.size, &file.body.data[..]));
    assert_eq!(talk.transactions[0].files[0].name, b"/up/a.txt");
    assert!(files.eq([(Direction::Orig, 5, &b"hello"[..]), (Direction::Resp, 9, &b""[..])]));
    assert!(talk.transactions.iter().all(Transaction::is_done));
}

#[test]
fn streams_may_be_cut_anywhere() {
    let run = |requests: usize, responses: usize| {
        let mut talk = Talk::new();
        for (direction, data, cut) in [(Direction::Orig, REQUESTS, requests), (Direction::Resp, RESPONSES, responses)] {
            let (first, second) = data.split_at(cut);
            talk.say(direction, first);
            talk.say(direction, second);
        }
        talk.end();
        talk.summary()
    };
    let whole = run(0, 0);
    assert!((0..REQUESTS.len()).all(|cut| run(cut, 0) == whole));
    assert!((0..RESPONSES.len()).all(|cut| run(0, cut) == whole));
}

#[test]
fn bytes_that_are_no_message_belong_to_the_body() {
    let talk = exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcdef");
    assert_eq!(talk.bodies(1), ["abcdef"]);
    let talk = exchange(b"GET / HTTP/1.1\r\n\r\n", b"no status line\nat all");
    assert_eq!(talk.bodies(1), ["no status line\nat all"]);
    let talk = exchange(b"GET /\r\n", b"HTTP is what it says");
    assert_eq!(talk.bodies(1), ["HTTP is what it says"]);
}

#[test]
fn requests_without_a_protocol_may_have_headers() {
    let talk = exchange(b"\r\nGET /\nHost: a\n\n\r\n", b"<html>");
    assert_eq!(talk.values(Direction::Orig, Field::HttpHost), ["a"]);
    assert_eq!(talk.transactions[0].events, [(Direction::Orig, "request_line_missing_protocol")]);
    assert_eq!((talk.transactions.len(), &talk.bodies(1)[..]), (1, &["<html>".to_owned()][..]));
}

#[test]
fn tunnels_and_upgrades_leave_the_rest_alone() {
    let mut talk = Talk::new();
    talk.say(Direction::Orig, b"CONNECT a:443 HTTP/1.1\r\n\r\n\x16\x03");
    talk.say(Direction::Resp, b"HTTP/1.1 200 OK\r\n\r\n\x16\x03\x01");
    assert!(talk.requests.recognise_anew && talk.next[1] == Next::Done);
    assert_eq!((&talk.waiting[0][..], &talk.waiting[1][..]), (&b"\x16\x03"[..], &b"\x16\x03\x01"[..]));
    let talk = exchange(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n\x81");
    assert_eq!((talk.requests.switch_to, &talk.waiting[1][..]), (Some(Protocol::Websocket), &b"\x81"[..]));
}

#[test]
fn a_response_without_a_request_has_a_transaction() {
    let mut talk = Talk::new();
    talk.say(Direction::Resp, b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx");
    assert_eq!(talk.bodies(1), ["x"]);
    assert_eq!(talk.transactions[0].events, [(Direction::Resp, "unable_to_match_response_to_request")]);
}

#[test]
fn gaps_in_bodies_are_passed_over() {
    let mut talk = Talk::new();
    talk.say(Direction::Orig, b"GET /f HTTP/1.1\r\n\r\n");
    talk.say(Direction::Resp, b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
    talk.gap(Direction::Resp, 5);
    talk.say(Direction::Resp, b"yzHTTP/1.1 200 OK\r\n");
    assert_eq!(talk.bodies(1)[0], "abcyz");
    assert!(talk.transactions[0].files[0].truncated && talk.transactions[0].is_done());
    talk.gap(Direction::Resp, 1);
    assert_eq!(talk.next[1], Next::Malformed("gap"));
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..200), at in 0usize..500) {
        let hostile = |valid: &[u8]| [&valid[..at.min(valid.len())], &data].concat();
        exchange(&hostile(REQUESTS), &hostile(RESPONSES));
        exchange(&hostile(RESPONSES), &hostile(REQUESTS));
    }
}

type Side = ([u8; 16], u16);

/// Both directions of one connection.
struct Connection {
    client: Side,
    talk: Talk,
    streams: [Stream; 2],
}

/// Reads the connections of a capture, the sender of the first packet as the client.
fn connections(path: &Path) -> Vec<Talk> {
    let mut sources = Sources::open(&[path.to_owned()], Options::default()).unwrap();
    let mut decoder = Decoder::default();
    let mut flows: BTreeMap<(Side, Side), Connection> = BTreeMap::new();
    while let Some(packet) = sources.next() {
        let Outcome::Segment(segment) = decoder.decode(&packet) else { continue };
        if segment.protocol != 6 {
            continue;
        }
        let (from, to) = ((segment.src, segment.src_port), (segment.dst, segment.dst_port));
        let flow = flows.entry((from.min(to), from.max(to))).or_insert_with(|| Connection {
            client: from,
            talk: Talk::new(),
            streams: Default::default(),
        });
        let direction = if from == flow.client { Direction::Orig } else { Direction::Resp };
        let talk = &mut flow.talk;
        let mut sink = |piece: Piece<'_>| match piece {
            Piece::Bytes(data) => talk.say(direction, data),
            Piece::Gap(missing) => talk.gap(direction, missing),
        };
        let stream = &mut flow.streams[crate::transaction::index(direction)];
        let is_syn = segment.tcp.flags & tcp_flag::SYN != 0;
        stream.add(segment.tcp.seq.wrapping_add(is_syn.into()), segment.payload, 0, &mut sink);
    }
    flows
        .into_values()
        .map(|mut flow| {
            flow.talk.end();
            flow.talk
        })
        .collect()
}

struct Case {
    name: String,
    capture: PathBuf,
    rules: PathBuf,
}

/// The cases of a family in the test data; none where there is no test data.
fn cases(family: &str) -> Vec<Case> {
    let Some(data) = std::env::var_os("INFRASPECTRE_TEST_DATA") else {
        eprintln!("skipped: INFRASPECTRE_TEST_DATA names no folder with net/, the test data");
        return Vec::new();
    };
    let folder = Path::new(&data).join("net/suricata-verify");
    let index: Value = serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
    let all = index["tests"].as_array().unwrap().iter();
    let chosen = all.filter(|case| case["family"] == family && case["tier"] == "core");
    let path = |case: &Value, key: &str| folder.join(case[key].as_str().unwrap());
    let read =
        |case: &Value| Case { name: case["test"].to_string(), capture: path(case, "pcap"), rules: path(case, "rules") };
    chosen.map(read).collect()
}

/// The plain `content` of a rules file.
fn contents(rules: &str) -> Vec<Vec<u8>> {
    let active = rules.lines().filter(|line| !line.starts_with('#'));
    let found = active.flat_map(|line| line.split("content:\"").skip(1)).filter_map(|rest| rest.split('"').next());
    found.filter(|content| !content.contains('|')).map(|content| content.as_bytes().to_vec()).collect()
}

#[test]
fn what_evades_others_is_seen() {
    let cases = cases("http-evader");
    let missed = cases.iter().filter(|case| {
        let wanted = contents(&std::fs::read_to_string(&case.rules).unwrap());
        let talks = connections(&case.capture);
        let bodies: Vec<_> = talks.iter().flat_map(|talk| &talk.transactions).map(|one| &one.bodies[1].data).collect();
        !wanted.iter().all(|wanted| bodies.iter().any(|body| memchr::memmem::find(body, wanted).is_some()))
    });
    let missed: Vec<_> = missed.map(|case| &case.name).collect();
    assert!(missed.is_empty(), "{} of {} were missed: {missed:?}", missed.len(), cases.len());
}
