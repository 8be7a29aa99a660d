//! Messages that trickle in byte by byte are read in linear time, and still read.

use std::time::{Duration, Instant};

use infraspectre_core::app::{Direction, Inspector, Protocol, Transport};

/// Far more than any of these needs, and far less than reading the whole message again for every byte takes.
const LONGEST: Duration = Duration::from_secs(2);
const LONG: usize = 60_000;

/// Shows a stream in pieces of `step` bytes and returns how it was read and how long that took.
fn read(message: &[u8], step: usize) -> (Inspector, Duration) {
    let began = Instant::now();
    let mut inspector = Inspector::new(Transport::Stream, (40_000, 53));
    message.chunks(step).for_each(|piece| inspector.stream(Direction::Orig, piece));
    inspector.finish(Direction::Orig);
    (inspector, began.elapsed())
}

fn http_head() -> Vec<u8> {
    let lines = (0..50).map(|line| format!("X-Header-{line}: {}\r\n", "a".repeat(LONG / 50)));
    format!("GET /index HTTP/1.1\r\nHost: a.example\r\n{}\r\n", lines.collect::<String>()).into_bytes()
}

/// A query whose message is filled up with additional records of unknown type.
fn dns_query() -> Vec<u8> {
    let mut message = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\xff\x01a\x00\x00\x01\x00\x01".to_vec();
    for _ in 0..255 {
        message.extend(b"\x00\xff\x00\x00\x01\x00\x00\x00\x00\x00\xdc");
        message.resize(message.len() + 220, 7);
    }
    [&(message.len() as u16).to_be_bytes()[..], &message].concat()
}

/// A client hello that stretches over four records.
fn tls_hello() -> Vec<u8> {
    let mut body = [&[3u8, 3][..], &[1; 32], &[0, 0, 2, 0x13, 1, 1, 0]].concat();
    body.extend((LONG as u16).to_be_bytes());
    body.extend([0xaa, 0xaa]);
    body.extend((LONG as u16 - 4).to_be_bytes());
    body.resize(body.len() + LONG - 4, 0);
    let message = [&[1u8][..], &(body.len() as u32).to_be_bytes()[1..], &body].concat();
    let record = |part: &[u8]| [&[22u8, 3, 1][..], &(part.len() as u16).to_be_bytes(), part].concat();
    message.chunks(1 << 14).flat_map(record).collect()
}

#[test]
fn pieces_of_any_size_give_the_same_fields_in_linear_time() {
    for (message, protocol) in
        [(http_head(), Protocol::Http), (dns_query(), Protocol::Dns), (tls_hello(), Protocol::Tls)]
    {
        let whole = read(&message, message.len()).0;
        assert_eq!(whole.protocol(), Some(protocol));
        for step in [1, 7, 1460] {
            let (pieces, elapsed) = read(&message, step);
            println!("{} in pieces of {step}: {elapsed:?}", protocol.name());
            assert_eq!((pieces.protocol(), pieces.malformed), (whole.protocol(), whole.malformed));
            assert_eq!(format!("{:?}", pieces.fields), format!("{:?}", whole.fields), "{}", protocol.name());
            assert!(elapsed < LONGEST, "{} took {elapsed:?}", protocol.name());
        }
    }
}

#[test]
fn a_long_piece_after_a_short_one_is_not_too_long() {
    let mut stream = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 65000\r\n".to_vec();
    let cut = stream.len();
    stream.extend(b"\r\n");
    stream.resize(stream.len() + 65_000, b'a');
    stream.extend(b"GET /next HTTP/1.1\r\n\r\n");
    let mut inspector = Inspector::new(Transport::Stream, (40_000, 80));
    inspector.stream(Direction::Orig, &stream[..cut]);
    inspector.stream(Direction::Orig, &[&stream[cut..], &[b'G'; 2000]].concat());
    assert_eq!((inspector.protocol(), inspector.malformed), (Some(Protocol::Http), None));
    assert!(format!("{:?}", inspector.fields).contains("/next"), "{:?}", inspector.fields);
}

/// A response whose compressed text comes in chunks of one byte each, many times over.
#[test]
fn a_compressed_body_in_tiny_chunks_is_not_decoded_for_each_of_them() {
    // the start of a brotli stream (RFC 7932) with a window of 16 MiB and an uncompressed block of 65,536 bytes
    let body = [&[0x0f, 0x00, 0x00, 0xf8, 0x7f][..], &[b'a'; 3000]].concat();
    let chunks: Vec<u8> = body.iter().flat_map(|byte| [&b"1\r\n"[..], &[*byte], b"\r\n"].concat()).collect();
    let head = b"HTTP/1.1 200 OK\r\nContent-Encoding: br\r\nTransfer-Encoding: chunked\r\n\r\n";
    let response = [&head[..], &chunks, b"0\r\n\r\n"].concat();
    let began = Instant::now();
    let mut inspector = Inspector::new(Transport::Stream, (40_000, 80));
    inspector.stream(Direction::Orig, b"GET / HTTP/1.1\r\n\r\n");
    (0..30).for_each(|_| inspector.stream(Direction::Resp, &response));
    println!("30 responses of {} bytes: {:?}", response.len(), began.elapsed());
    assert_eq!((inspector.protocol(), inspector.malformed), (Some(Protocol::Http), None));
    assert!(began.elapsed() < LONGEST, "{:?}", began.elapsed());
}
