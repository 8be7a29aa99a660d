//! Frames of both directions, cut anywhere.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::protocol::conversation::feed;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

fn requests() -> Vec<u8> {
    let settings = [0, 3, 0, 0, 0, 100];
    let headers = [&[0, 0, 0, 0, 200, 0x82, 0x84][..], b"\x01\x07a.b:443", b"\x40\x04host\x01x"].concat();
    let (first, second) = headers.split_at(9);
    [
        PREFACE.to_vec(),
        frame(kind::SETTINGS, 0, 0, &settings),
        frame(kind::HEADERS, flag::PRIORITY | flag::END_STREAM, 1, first),
        frame(kind::CONTINUATION, flag::END_HEADERS, 1, second),
        frame(kind::WINDOW_UPDATE, 0, 1, &[0, 0, 1, 0]),
    ]
    .concat()
}

fn responses() -> Vec<u8> {
    [
        frame(kind::SETTINGS, 1, 0, &[]),
        frame(kind::HEADERS, flag::END_HEADERS, 1, &[0x88]),
        frame(kind::DATA, flag::PADDED, 1, b"\x02hello\0\0"),
        frame(kind::DATA, flag::END_STREAM, 1, b" you"),
    ]
    .concat()
}

fn read(requests: &[u8], responses: &[u8], step: usize) -> VecDeque<Transaction> {
    let pieces = [(Direction::Orig, requests), (Direction::Resp, responses)];
    let cut = pieces.into_iter().flat_map(|(direction, data)| data.chunks(step).map(move |piece| (direction, piece)));
    feed(&ENTRY, cut).transactions
}

#[test]
fn streams_are_transactions_however_they_are_cut() {
    for step in 1..80 {
        let transactions = read(&requests(), &responses(), step);
        // Empty settings, which acknowledge others, are none.
        assert_eq!(transactions.len(), 2);
        let settings: Vec<_> = transactions[0].numbers(Direction::Orig, Field::Http2Settings).collect();
        assert_eq!(settings, [3 << 32 | 100]);
        let stream = &transactions[1];
        assert!(stream.is_done());
        assert_eq!(stream.value(Direction::Orig, Field::HttpMethod), Some(&b"GET"[..]));
        assert_eq!(stream.value(Direction::Orig, Field::HttpHost), Some(&b"a.b"[..]));
        assert_eq!(stream.numbers(Direction::Orig, Field::Http2Priority).next(), Some(200));
        assert_eq!(stream.numbers(Direction::Orig, Field::Http2Window).next(), Some(256));
        assert_eq!(stream.value(Direction::Resp, Field::HttpStatusCode), Some(&b"200"[..]));
        assert_eq!(stream.files[0].body.data, b"hello you");
        assert_eq!(stream.events, [(Direction::Orig, "authority_host_mismatch")]);
    }
}

#[test]
fn prefaces_are_recognised() {
    let judge = |direction, data| probe(Transport::Stream, direction, data, (1, 2));
    assert_eq!(judge(Direction::Orig, PREFACE), Probe::Certain);
    assert_eq!(judge(Direction::Orig, b"PRI"), Probe::Unsure);
    assert_eq!(judge(Direction::Orig, b"GET / "), Probe::NotForUs);
    assert_eq!(judge(Direction::Resp, &responses()), Probe::Certain);
}

proptest! {
    #[test]
    fn any_bytes_are_survived(data in proptest::collection::vec(any::<u8>(), 0..100), at in 0usize..120) {
        let hostile = |valid: Vec<u8>| [&valid[..at.min(valid.len())], &data].concat();
        read(&hostile(requests()), &hostile(responses()), 50);
    }
}
