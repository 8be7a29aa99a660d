use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use proptest::prelude::*;

use super::{unpacked, Options, SourceError, Sources};

/// A folder that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("infraspectre-source-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

/// Writes numbers in one byte order.
#[derive(Clone, Copy)]
struct Order {
    big_endian: bool,
}

const LITTLE: Order = Order { big_endian: false };
const BIG: Order = Order { big_endian: true };

impl Order {
    fn words(self, values: &[u32]) -> Vec<u8> {
        let word = |value: &u32| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        values.iter().flat_map(word).collect()
    }

    fn halves(self, values: &[u16]) -> Vec<u8> {
        let half = |value: &u16| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        values.iter().flat_map(half).collect()
    }

    fn pcap(self, magic: u32, packets: &[(u32, u32, &[u8])]) -> Vec<u8> {
        let mut file = self.words(&[magic]);
        file.extend(self.halves(&[2, 4]));
        file.extend(self.words(&[0, 0, 65_535, 0x1400_0001])); // Ethernet, and a frame check sequence of 2 halves
        for (seconds, ticks, data) in packets {
            let len = data.len() as u32;
            file.extend(self.words(&[*seconds, *ticks, len, len + 7]));
            if magic == 0xa1b2_cd34 {
                file.extend([0; 8]);
            }
            file.extend_from_slice(data);
        }
        file
    }

    fn block(self, kind: u32, body: &[u8]) -> Vec<u8> {
        let padded = body.len().next_multiple_of(4);
        let total = padded as u32 + 12;
        let mut block = self.words(&[kind, total]);
        block.extend_from_slice(body);
        block.resize(8 + padded, 0);
        block.extend(self.words(&[total]));
        block
    }

    fn section(self) -> Vec<u8> {
        let mut body = self.words(&[0x1a2b_3c4d]);
        body.extend(self.halves(&[1, 0]));
        body.extend([0xff; 8]);
        self.block(0x0a0d_0d0a, &body)
    }

    fn interface(self, link: u16, resolution: Option<u8>, offset: i64) -> Vec<u8> {
        let mut body = self.halves(&[link, 0]);
        body.extend(self.words(&[0]));
        if let Some(value) = resolution {
            body.extend(self.halves(&[9, 1]));
            body.extend([value, 0, 0, 0]);
        }
        body.extend(self.halves(&[14, 8]));
        body.extend(if self.big_endian { offset.to_be_bytes() } else { offset.to_le_bytes() });
        body.extend(self.halves(&[0, 0]));
        self.block(1, &body)
    }

    fn enhanced(self, interface: u32, units: u64, data: &[u8]) -> Vec<u8> {
        let len = data.len() as u32;
        let mut body = self.words(&[interface, (units >> 32) as u32, units as u32, len, len + 7]);
        body.extend_from_slice(data);
        self.block(6, &body)
    }
}

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;

/// Number, time, link type, wire length and bytes of a packet.
type Seen = (u64, i64, u32, u32, Vec<u8>);

fn read_all(sources: &mut Sources) -> Vec<Seen> {
    let mut seen = Vec::new();
    while let Some(packet) = sources.next() {
        seen.push((packet.number, packet.at, packet.link, packet.wire_len, packet.data.to_vec()));
    }
    seen
}

fn read_paths(paths: &[PathBuf]) -> (Vec<Seen>, Sources) {
    let mut sources = Sources::open(paths, Options::default()).unwrap();
    (read_all(&mut sources), sources)
}

fn read_bytes(bytes: &[u8]) -> (Vec<Seen>, Option<String>) {
    let options = Options { buffer_bytes: 64, ..Options::default() };
    let name = Path::new("capture");
    match Sources::from_reader("capture", Box::new(std::io::Cursor::new(bytes.to_vec())), options) {
        Ok(mut sources) => (read_all(&mut sources), sources.unreadable().get(name).cloned()),
        Err(SourceError::NothingReadable(reasons)) => (Vec::new(), reasons.get(name).cloned()),
        Err(error) => panic!("{error}"),
    }
}

/// Times of all packets, in whole seconds.
fn seconds(seen: &[Seen]) -> Vec<i64> {
    seen.iter().map(|(_, at, ..)| at / 1_000_000_000).collect()
}

#[test]
fn pcap_is_read_in_both_orders_and_resolutions() {
    for order in [LITTLE, BIG] {
        for (magic, ns) in [(MICROSECONDS, 5_000), (NANOSECONDS, 5), (0xa1b2_cd34, 5_000)] {
            let (seen, fault) = read_bytes(&order.pcap(magic, &[(9, 5, b"one"), (8, 0, b""), (10, 6, &[7; 300])]));
            assert_eq!(fault, None);
            assert_eq!(seen.len(), 3);
            assert_eq!(seen[0], (1, 9_000_000_000 + ns, 1, 10, b"one".to_vec()));
            assert_eq!(seconds(&seen), [9, 8, 10], "the order of the file is kept");
            assert_eq!(seen[2].4, [7; 300]);
        }
    }
}

#[test]
fn pcapng_is_read_in_both_orders_and_all_resolutions() {
    let cases = [
        (None, 3_000_005, 3_000_005_000),
        (Some(0), 3, 3_000_000_000),
        (Some(9), 3_000_000_005, 3_000_000_005),
        (Some(12), 3_000_000_005_999, 3_000_000_005),
        (Some(0x80 | 10), 3 * 1024 + 512, 3_500_000_000),
        (Some(0xff), u64::MAX, 0),
        (Some(100), u64::MAX, 0),
    ];
    for order in [LITTLE, BIG] {
        for (resolution, units, ns) in cases {
            let mut file = order.section();
            file.extend(order.interface(101, resolution, 100));
            file.extend(order.enhanced(0, units, b"data!"));
            let (seen, fault) = read_bytes(&file);
            assert_eq!(fault, None);
            assert_eq!(seen, [(1, 100_000_000_000 + ns, 101, 12, b"data!".to_vec())], "resolution {resolution:?}");
        }
    }
}

#[test]
fn pcapng_sections_have_their_own_order_and_interfaces() {
    let mut file = LITTLE.section();
    file.extend(LITTLE.block(5, &[1; 40])); // interface statistics, passed over
    file.extend(LITTLE.interface(1, None, 0));
    file.extend(LITTLE.interface(113, None, 0));
    file.extend(LITTLE.enhanced(1, 2_000_000, b"a"));
    file.extend(BIG.section());
    file.extend(BIG.interface(228, None, 0));
    let mut obsolete = BIG.halves(&[0, 0]);
    obsolete.extend(BIG.words(&[0, 3_000_000, 2, 2]));
    obsolete.extend(b"bb");
    file.extend(BIG.block(2, &obsolete));
    let mut simple = BIG.words(&[3]);
    simple.extend(b"ccc");
    file.extend(BIG.block(3, &simple));
    let (seen, fault) = read_bytes(&file);
    assert_eq!(fault, None);
    let links: Vec<_> =
        seen.iter().map(|(_, at, link, _, data)| (*at / 1_000_000_000, *link, data.as_slice())).collect();
    assert_eq!(links, [(2, 113, &b"a"[..]), (3, 228, b"bb"), (3, 228, b"ccc")]);
}

#[test]
fn a_capture_cut_anywhere_gives_what_came_before_and_says_so() {
    let mut pcapng = BIG.section();
    pcapng.extend(BIG.interface(1, None, 0));
    let first = pcapng.len();
    pcapng.extend(BIG.enhanced(0, 1, b"one"));
    let second = pcapng.len();
    pcapng.extend(BIG.enhanced(0, 2, b"two"));
    let pcap = LITTLE.pcap(MICROSECONDS, &[(1, 0, b"one"), (2, 0, b"two")]);
    for (file, ends) in [(pcapng, [first, second]), (pcap, [24, 24 + 19])] {
        for cut in 1..file.len() {
            let (seen, fault) = read_bytes(&file[..cut]);
            let whole = ends.iter().skip(1).filter(|end| cut >= **end).count();
            assert_eq!(seen.len(), whole, "cut at {cut}");
            let between_records = ends.contains(&cut) || file[..4] == BIG.words(&[0x0a0d_0d0a])[..] && cut == 28;
            assert_eq!(fault.is_none(), between_records, "cut at {cut}: {fault:?}");
            if let Some(fault) = fault.filter(|_| cut >= 28) {
                assert!(fault.contains(&format!("truncated after packet {whole}: the file ends inside")), "{fault}");
            }
        }
    }
}

#[test]
fn a_claim_beyond_belief_ends_the_capture() {
    let mut file = LITTLE.pcap(MICROSECONDS, &[(1, 0, b"good")]);
    file.extend(LITTLE.words(&[2, 0, 0xffff_fff0, 0xffff_fff0]));
    let (seen, fault) = read_bytes(&file);
    assert_eq!(seen.len(), 1);
    assert_eq!(fault.unwrap(), "corrupt after packet 1: a record claims 4294967280 bytes");

    let mut file = LITTLE.section();
    file.extend(LITTLE.enhanced(3, 0, b"?"));
    assert_eq!(read_bytes(&file).1.unwrap(), "corrupt after packet 0: a packet of interface 3, which is not described");
    let mut file = LITTLE.section();
    file.extend(LITTLE.words(&[6, 8]));
    assert_eq!(read_bytes(&file).1.unwrap(), "corrupt after packet 0: a block claims 8 bytes");
}

#[test]
fn files_are_merged_by_time_and_ties_keep_the_order_of_naming() {
    let folder = Folder::new();
    let a = folder.file("a", &LITTLE.pcap(MICROSECONDS, &[(1, 0, b"a"), (5, 0, b"a"), (4, 0, b"a"), (9, 0, b"a")]));
    let b = folder.file("b", &BIG.pcap(NANOSECONDS, &[(1, 0, b"b"), (4, 0, b"b"), (9, 0, b"b")]));
    let empty = folder.file("empty", &BIG.pcap(NANOSECONDS, &[]));
    let (seen, sources) = read_paths(&[b.clone(), a.clone(), empty]);
    let order: String = seen.iter().map(|(.., data)| data[0] as char).collect();
    assert_eq!(order, "babaaba");
    assert_eq!(seconds(&seen), [1, 1, 4, 5, 4, 9, 9]);
    assert_eq!(seen.iter().map(|(number, ..)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert!(sources.unreadable().is_empty());
    assert_eq!(sources.total_bytes(), fs::metadata(a).unwrap().len() + fs::metadata(b).unwrap().len() + 24);
    assert_eq!(sources.bytes_read() + 24, sources.total_bytes(), "a capture without packets is not opened again");
}

#[test]
fn a_capture_that_is_named_twice_is_read_once() {
    let folder = Folder::new();
    let capture = folder.file("a.pcap", &LITTLE.pcap(MICROSECONDS, &[(1, 0, b"x")]));
    let detour = folder.0.join(".").join("a.pcap");
    assert_eq!(read_paths(&[capture.clone(), folder.0.clone(), detour, capture]).0.len(), 1);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn many_packets() -> Vec<u8> {
    let data: Vec<Vec<u8>> = (0..2000usize).map(|size| vec![size as u8; size]).collect();
    let packets: Vec<_> = data.iter().enumerate().map(|(index, data)| (index as u32, 0, data.as_slice())).collect();
    LITTLE.pcap(MICROSECONDS, &packets)
}

#[test]
fn bytes_in_memory_are_unpacked_within_a_bound() {
    let plain = b"alert ip any any -> any any (sid:1;)".repeat(100);
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    for packed in [plain.clone(), gzip(&plain), zstd.clone(), gzip(&zstd)] {
        assert_eq!(unpacked(packed, plain.len() as u64).unwrap(), plain);
    }
    assert!(unpacked(zstd, plain.len() as u64 - 1).unwrap_err().to_string().contains("when unpacked"));
    assert!(unpacked(gzip(&plain)[..50].to_vec(), 1 << 20).is_err());
}

#[test]
fn compression_and_read_ahead_change_nothing() {
    let folder = Folder::new();
    let plain = many_packets();
    let (head, tail) = plain.split_at(plain.len() / 2);
    let zstd = zstd::encode_all(plain.as_slice(), 1).unwrap();
    let forms = [
        ("plain", plain.clone()),
        ("gzip", gzip(&plain)),
        ("gzip in two members", [gzip(head), gzip(tail)].concat()),
        ("gzip around zstd", gzip(&zstd)),
        ("zstd", zstd),
    ];
    let expected = read_paths(&[folder.file("expected", &plain)]).0;
    assert_eq!(expected.len(), 2000);
    for (name, bytes) in forms {
        let path = folder.file(name, &bytes);
        for read_ahead in [false, true] {
            let options = Options { read_ahead, buffer_bytes: 1000 };
            let mut sources = Sources::open(std::slice::from_ref(&path), options).unwrap();
            assert!(read_all(&mut sources) == expected, "{name}, read ahead {read_ahead}");
            assert!(sources.unreadable().is_empty());
            assert_eq!(sources.bytes_read(), bytes.len() as u64, "{name}");
        }
    }
}

#[test]
fn a_cut_compressed_capture_gives_what_could_be_decompressed() {
    let folder = Folder::new();
    let whole = gzip(&many_packets());
    let path = folder.file("cut.pcap.gz", &whole[..whole.len() / 2]);
    for read_ahead in [false, true] {
        let options = Options { read_ahead, ..Options::default() };
        let mut sources = Sources::open(std::slice::from_ref(&path), options).unwrap();
        let packets = read_all(&mut sources).len();
        assert!(packets > 100 && packets < 2000, "{packets}");
        assert!(sources.unreadable()[&path].starts_with(&format!("truncated after packet {packets}: ")));
    }
}

#[test]
fn folders_are_searched_in_order_and_files_not_named_as_captures_are_passed_over() {
    let folder = Folder::new();
    let capture = |seconds| LITTLE.pcap(MICROSECONDS, &[(seconds, 0, b"x")]);
    folder.file("b/later.cap", &capture(2));
    folder.file("b/deep/deeper/first", &capture(1));
    folder.file("a.pcap", &capture(2));
    let text = folder.file("README", b"about these captures");
    let empty = folder.file("empty.pcap.gz", b"");
    let (seen, sources) = read_paths(std::slice::from_ref(&folder.0));
    assert_eq!(seconds(&seen), [1, 2, 2]);
    assert_eq!(sources.skipped().keys().collect::<Vec<_>>(), [&text]);
    assert_eq!(sources.unreadable().keys().collect::<Vec<_>>(), [&empty]);
}

fn refusal(path: &Path) -> String {
    match Sources::open(&[path.to_path_buf()], Options::default()) {
        Err(SourceError::NothingReadable(reasons)) => reasons[path].clone(),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("{} was read", path.display()),
    }
}

#[test]
fn what_cannot_be_read_is_named_with_its_reason() {
    let folder = Folder::new();
    let text = folder.file("text.pcap", b"time,source,destination\n");
    let not_a_capture =
        "not a capture: starts with the text \"time,sou\"; expected pcap or pcapng, also as .gz or .zst";
    assert_eq!(refusal(&text), not_a_capture);
    assert_eq!(refusal(&folder.file("gz", &gzip(b"time,source"))), not_a_capture);
    assert!(refusal(&folder.file("elf", b"\x7fELF")).starts_with("not a capture: starts with 7f 45 4c 46;"));
    assert!(refusal(&folder.file("empty", b"")).starts_with("not a capture: the file is empty"));
    assert_eq!(refusal(&folder.0.join("missing")), "no such file");
    fs::create_dir(folder.0.join("bare")).unwrap();
    assert_eq!(refusal(&folder.0.join("bare")), "no captures in this folder");
    assert_eq!(
        refusal(&folder.file("short", &LITTLE.pcap(MICROSECONDS, &[])[..10])),
        "truncated: the file ends inside the file header"
    );
    assert!(matches!(Sources::open(&[], Options::default()), Err(SourceError::NoPaths)));
}

#[test]
fn one_readable_capture_is_enough() {
    let folder = Folder::new();
    let good = folder.file("good", &LITTLE.pcap(MICROSECONDS, &[(1, 0, b"x")]));
    let bad = folder.file("bad", b"nothing of interest");
    fs::create_dir(folder.0.join("bare")).unwrap();
    let bare = folder.0.join("bare");
    let (seen, sources) = read_paths(&[bad.clone(), good, bare.clone()]);
    assert_eq!(seen.len(), 1);
    assert_eq!(sources.unreadable().keys().collect::<Vec<_>>(), [&bad, &bare]);
}

proptest! {
    #[test]
    fn any_bytes_end(magic in 0..5usize, bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let mut file = match magic {
            0 => Vec::new(),
            1 => LITTLE.pcap(MICROSECONDS, &[]),
            2 => BIG.pcap(NANOSECONDS, &[]),
            3 => LITTLE.section(),
            _ => [BIG.section(), BIG.interface(1, Some(0x8a), i64::MAX)].concat(),
        };
        file.extend(bytes);
        read_bytes(&file);
    }

    #[test]
    fn any_change_of_a_capture_ends(position in 0..200usize, value in any::<u8>()) {
        let mut file = [LITTLE.section(), LITTLE.interface(1, None, 0)].concat();
        file.extend(LITTLE.enhanced(0, 1, &[9; 30]));
        file.extend(LITTLE.enhanced(0, 2, &[9; 30]));
        let position = position % file.len();
        file[position] = value;
        prop_assert!(read_bytes(&file).0.len() <= 2);
    }
}
