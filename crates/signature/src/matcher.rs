//! The multi-pattern matcher: which of thousands of patterns occur in some bytes, as a prefilter for rules.
//!
//! Patterns are found by four-byte grams. A pattern of at least seven bytes holds, wherever it lies, one whole gram at a
//! position that is a multiple of four, so looking at every fourth position is enough to meet it; shorter patterns are
//! looked for at every second or at every position, or, where they are few, with vector instructions. A gram that is met
//! passes a filter, then a table, and then the whole pattern is compared. Building is sorting, with no automaton to be
//! computed, and the filter stays in the cache.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aho_corasick::packed;
use hashbrown::HashSet;
use memchr::memmem;

/// Bytes of a gram.
pub(crate) const GRAM: usize = 4;
/// Bits of the filter for each gram, at least, as long as it is not the largest.
const BITS_PER_GRAM: usize = 64;
/// Multiplier of the hash (2^32 divided by the golden ratio; Knuth, The Art of Computer Programming, 6.4).
const GOLDEN: u32 = 0x9e37_79b1;
/// Bytes that are looked at together.
const BLOCK: usize = 32;
/// Sets the bit by which ASCII upper and lower case differ, in each byte of a gram.
const CASE: u32 = 0x2020_2020;
const CASES: u64 = 0x2020_2020_2020_2020;

/// Keys of short patterns that one search with vector instructions looks for, and how many such searches are worth it.
const FEW: usize = 48;
const MOST_FEW: usize = 6;
/// Keys that are rather looked for one by one.
const SINGLE: usize = 2;

/// A pattern to be found.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    pub bytes: Box<[u8]>,
    pub nocase: bool,
}

impl Pattern {
    /// Returns the part by which it is looked for where it is short, with its place: the one with the fewest letters.
    fn key(&self) -> (&[u8], u16) {
        let parts = self.bytes.windows(self.bytes.len().clamp(1, GRAM)).enumerate();
        let letters = |part: &[u8]| part.iter().filter(|byte| self.nocase && byte.is_ascii_alphabetic()).count();
        parts.min_by_key(|(_, part)| letters(part)).map_or((&self.bytes, 0), |(at, part)| (part, at as u16))
    }

    /// Tells whether it lies at the beginning of some bytes.
    #[inline]
    pub fn is_at(&self, data: &[u8]) -> bool {
        match data.get(..self.bytes.len()) {
            Some(part) if self.nocase => part.eq_ignore_ascii_case(&self.bytes),
            Some(part) => part == &*self.bytes,
            None => false,
        }
    }
}

/// Finds which of its patterns occur in some bytes.
#[derive(Debug, Default)]
pub struct Matcher {
    patterns: Vec<Pattern>,
    layers: Vec<Layer>,
    /// Patterns shorter than a gram, where there are many short ones.
    short: Option<Box<Short>>,
    /// Short patterns, where there are few.
    few: Vec<Few>,
}

/// Patterns that are looked for at every `stride` positions.
#[derive(Debug)]
struct Layer {
    stride: usize,
    /// A bit for each hash of a gram: nearly all that are no gram of a pattern find nothing here.
    filter: Vec<u32>,
    /// Open addressing by gram: the range of its places.
    table: Vec<Slot>,
    places: Vec<Place>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    gram: u32,
    first: u32,
    /// 0 for an empty slot.
    count: u32,
    /// The bytes that come before and behind the gram in its patterns.
    before: Bytes,
    behind: Bytes,
}

/// A set of bytes, which may seem to hold more than was put into it.
#[derive(Clone, Copy, Debug, Default)]
struct Bytes(u32);

impl Bytes {
    /// Adds a byte, or every byte where it may be any.
    fn add(&mut self, byte: Option<&u8>) {
        self.0 |= byte.map_or(u32::MAX, |byte| 1 << Bytes::bit(*byte));
    }

    /// Tells whether it may hold a byte; where there is none, it may.
    #[inline]
    fn may_hold(self, byte: Option<&u8>) -> bool {
        byte.is_none_or(|byte| self.0 >> Bytes::bit(*byte) & 1 == 1)
    }

    /// Returns the bit of a byte, the same for upper and lower case.
    #[inline]
    fn bit(byte: u8) -> u32 {
        u32::from(byte) % u32::BITS
    }
}

/// Where in a pattern a gram lies.
#[derive(Clone, Copy, Debug)]
struct Place {
    pattern: u32,
    offset: u16,
}

/// Patterns shorter than a gram.
#[derive(Debug)]
struct Short {
    /// Pairs of bytes, lower case, with which any pattern of two or three bytes begins.
    pairs: Box<[u64]>,
    by_pair: hashbrown::HashMap<u16, Vec<u32>, foldhash::fast::FixedState>,
    /// Patterns of one byte.
    single: Vec<u32>,
}

/// Some short patterns that are looked for with vector instructions, by keys of one length: a part of each pattern, in
/// every way in which it may be written.
#[derive(Debug)]
struct Few {
    searcher: Searcher,
    /// By key: where it lies in patterns.
    places: Vec<Vec<Place>>,
}

#[derive(Debug)]
enum Searcher {
    One(Box<memmem::Finder<'static>>),
    Several(packed::Searcher),
}

/// Part of a pattern as it may be written, and where it lies in patterns.
type Key = (Vec<u8>, Vec<Place>);

impl Few {
    /// Prepares sets of short patterns; None where there are too many, or where the processor has no such instructions.
    fn new(patterns: &[(u32, &Pattern)]) -> Option<Vec<Few>> {
        let mut keys: BTreeMap<Vec<u8>, Vec<Place>> = BTreeMap::new();
        for (number, pattern) in patterns {
            let (key, offset) = pattern.key();
            for written in spellings(key, pattern.nocase) {
                let place = Place { pattern: *number, offset };
                keys.entry(written).or_default().push(place);
            }
            if keys.len() > FEW * MOST_FEW {
                return None;
            }
        }
        let mut keys: Vec<Key> = keys.into_iter().collect();
        keys.sort_by_key(|(key, _)| key.len());
        let kinds = keys.chunk_by(|one, next| (one.0.len() < GRAM) == (next.0.len() < GRAM));
        let sets: Vec<_> =
            kinds.flat_map(|own| own.chunks(if own.len() <= SINGLE { 1 } else { FEW })).map(Few::of).collect();
        (sets.len() <= MOST_FEW).then(|| sets.into_iter().collect()).flatten()
    }

    fn of(keys: &[Key]) -> Option<Few> {
        // Where one key begins another, only the shorter is met.
        let mut own: Vec<Key> = Vec::new();
        for (key, places) in keys {
            match own.iter_mut().find(|(start, _)| key.starts_with(start)) {
                Some((_, all)) => all.extend_from_slice(places),
                None => own.push((key.clone(), places.clone())),
            }
        }
        let searcher = match &*own {
            [(only, _)] => Searcher::One(Box::new(memmem::Finder::new(only).into_owned())),
            // The other way takes half as many bytes at a time, and is worth it for more keys.
            _ => {
                let mut builder = packed::Config::new().only_teddy_fat(Some(false)).builder();
                Searcher::Several(builder.extend(own.iter().map(|(key, _)| key)).build()?)
            }
        };
        Some(Few { searcher, places: own.into_iter().map(|(_, places)| places).collect() })
    }

    /// Calls `check` with each place in data at which a key lies.
    fn find(&self, data: &[u8], mut check: impl FnMut(usize, Place)) {
        let mut from = 0;
        while let Some((start, key)) = self.searcher.find(data, from) {
            self.places.get(key).into_iter().flatten().for_each(|place| check(start, *place));
            from = start + 1;
        }
    }
}

/// Returns all ways to write some bytes.
fn spellings(bytes: &[u8], nocase: bool) -> Vec<Vec<u8>> {
    let mut all = vec![Vec::new()];
    for byte in bytes {
        let (lower, upper) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
        let ways: &[u8] = if nocase && lower != upper { &[lower, upper] } else { &[*byte] };
        let longer = |start: &Vec<u8>| ways.iter().map(|way| [start, &[*way][..]].concat()).collect::<Vec<_>>();
        all = all.iter().flat_map(longer).collect();
    }
    all
}

impl Searcher {
    #[inline]
    fn find(&self, data: &[u8], from: usize) -> Option<(usize, usize)> {
        match self {
            Searcher::One(finder) => Some((finder.find(data.get(from..)?)? + from, 0)),
            Searcher::Several(searcher) => {
                let found = searcher.find_in(data, aho_corasick::Span { start: from, end: data.len() })?;
                Some((found.start(), found.pattern().as_usize()))
            }
        }
    }
}

/// Which patterns were found so far in one piece of data; reused, so that clearing costs nothing.
#[derive(Debug, Default)]
pub struct Found {
    epoch: u32,
    seen: Vec<u32>,
}

impl Found {
    fn begin(&mut self, patterns: usize) {
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
        if self.seen.len() < patterns {
            self.seen.resize(patterns, 0);
        }
    }

    fn has(&self, pattern: u32) -> bool {
        self.seen.get(pattern as usize) == Some(&self.epoch)
    }

    fn note(&mut self, pattern: u32) {
        if let Some(seen) = self.seen.get_mut(pattern as usize) {
            *seen = self.epoch;
        }
    }
}

/// Returns a gram as a number, without regard to case.
#[inline(always)]
pub(crate) fn gram_of(bytes: &[u8; GRAM]) -> u32 {
    u32::from_le_bytes(*bytes) | CASE
}

/// Mixes a gram; the upper bits of the result are the better ones.
#[inline(always)]
pub(crate) const fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(GOLDEN)
}

/// Words of filters.
const SMALL: usize = 1 << 8;
const MEDIUM: usize = 1 << 10;
const LARGE: usize = 1 << 12;
const HUGE: usize = 1 << 14;

fn filter_words(grams: usize) -> usize {
    let words = grams * BITS_PER_GRAM / u32::BITS as usize;
    [SMALL, MEDIUM, LARGE].into_iter().find(|size| words <= *size).unwrap_or(HUGE)
}

/// Returns which word of a filter of a power of two of words says something of a hash.
#[inline(always)]
const fn word_of<const SIZE: usize>(hash: u32) -> usize {
    (hash >> (u32::BITS - SIZE.trailing_zeros())) as usize
}

/// Returns where a table of a power of two of slots is looked at first.
#[inline(always)]
const fn slot_of(hash: u32, mask: usize) -> usize {
    (hash >> 7) as usize & mask
}

/// Returns at how many positions apart a pattern can be looked for.
const fn stride_of(length: usize) -> usize {
    match length {
        0..=4 => 1,
        5..=6 => 2,
        _ => 4,
    }
}

impl Matcher {
    /// Prepares patterns, which are numbered in their order.
    pub fn new(patterns: Vec<Pattern>) -> Matcher {
        let all = || patterns.iter().enumerate().map(|(number, pattern)| (number as u32, pattern));
        let is_short = |pattern: &Pattern| !pattern.bytes.is_empty() && stride_of(pattern.bytes.len()) < GRAM;
        let short: Vec<(u32, &Pattern)> = all().filter(|(_, pattern)| is_short(pattern)).collect();
        let few = Few::new(&short);
        let mut layers = Vec::new();
        for stride in [4, 2, 1] {
            let own =
                all().filter(|(_, pattern)| pattern.bytes.len() >= GRAM && stride_of(pattern.bytes.len()) == stride);
            let own: Vec<(u32, &Pattern)> = own.filter(|_| stride == GRAM || few.is_none()).collect();
            if !own.is_empty() {
                layers.push(Layer::new(stride, &own));
            }
        }
        let short = if few.is_none() { Short::new(&patterns) } else { None };
        Matcher { layers, short, few: few.unwrap_or_default(), patterns }
    }

    /// Counts the patterns.
    pub fn len(&self) -> usize {
        self.patterns.len()
    }

    /// Tells whether there is no pattern.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }

    /// Calls `report` once with the number of each pattern that occurs.
    pub fn find(&self, data: &[u8], found: &mut Found, report: &mut impl FnMut(u32)) {
        found.begin(self.patterns.len());
        for layer in &self.layers {
            layer.scan(data, |at, place| self.check(data, at, place, found, report));
        }
        if let Some(short) = &self.short {
            self.find_short(short, data, found, report);
        }
        for few in &self.few {
            few.find(data, |at, place| self.check(data, at, place, found, report));
        }
    }

    #[inline]
    fn check(&self, data: &[u8], at: usize, place: Place, found: &mut Found, report: &mut impl FnMut(u32)) {
        let Some(start) = at.checked_sub(usize::from(place.offset)) else { return };
        if found.has(place.pattern) {
            return;
        }
        let Some(pattern) = self.patterns.get(place.pattern as usize) else { return };
        if data.get(start..).is_some_and(|rest| pattern.is_at(rest)) {
            found.note(place.pattern);
            report(place.pattern);
        }
    }

    fn find_short(&self, short: &Short, data: &[u8], found: &mut Found, report: &mut impl FnMut(u32)) {
        if !short.by_pair.is_empty() {
            for (at, bytes) in data.windows(2).enumerate() {
                let pair = pair_of(bytes[0], bytes[1]);
                if short.may_hold(pair) {
                    let own = short.by_pair.get(&pair).map(Vec::as_slice);
                    for pattern in own.unwrap_or_default() {
                        self.check(data, at, Place { pattern: *pattern, offset: 0 }, found, report);
                    }
                }
            }
        }
        for number in &short.single {
            let Some(pattern) = self.patterns.get(*number as usize) else { continue };
            let Some(byte) = pattern.bytes.first() else { continue };
            let at = if pattern.nocase {
                memchr::memchr2(byte.to_ascii_lowercase(), byte.to_ascii_uppercase(), data)
            } else {
                memchr::memchr(*byte, data)
            };
            if at.is_some() {
                report(*number);
            }
        }
    }
}

impl Layer {
    fn new(stride: usize, patterns: &[(u32, &Pattern)]) -> Layer {
        let mut grams: Vec<(u32, Place)> = Vec::with_capacity(patterns.len() * stride);
        let popular = Popularity::of(patterns);
        for (number, pattern) in patterns {
            let first = popular.rarest_start(&pattern.bytes, stride);
            for offset in first..first + stride {
                if let Some(bytes) = pattern.bytes.get(offset..).and_then(|rest| rest.first_chunk()) {
                    grams.push((gram_of(bytes), Place { pattern: *number, offset: offset as u16 }));
                }
            }
        }
        grams.sort_unstable_by_key(|(gram, place)| (*gram, place.pattern, place.offset));
        let mut layer = Layer {
            stride,
            filter: vec![0; filter_words(grams.len())],
            table: vec![Slot::default(); (grams.len() * 2).next_power_of_two().max(2)],
            places: grams.iter().map(|(_, place)| *place).collect(),
        };
        let mut first = 0;
        for run in grams.chunk_by(|one, next| one.0 == next.0) {
            let Some((gram, _)) = run.first() else { continue };
            let mut slot = Slot { gram: *gram, first, count: run.len() as u32, ..Slot::default() };
            for (_, place) in run {
                let Ok(at) = patterns.binary_search_by_key(&place.pattern, |(number, _)| *number) else { continue };
                let (bytes, offset) = (&patterns[at].1.bytes, usize::from(place.offset));
                slot.before.add(offset.checked_sub(1).and_then(|before| bytes.get(before)));
                slot.behind.add(bytes.get(offset + GRAM));
            }
            layer.insert(slot);
            first += run.len() as u32;
        }
        layer
    }

    fn insert(&mut self, slot: Slot) {
        let hash = hash(slot.gram);
        let word = match self.filter.len() {
            SMALL => word_of::<SMALL>(hash),
            MEDIUM => word_of::<MEDIUM>(hash),
            LARGE => word_of::<LARGE>(hash),
            _ => word_of::<HUGE>(hash),
        };
        if let Some(word) = self.filter.get_mut(word) {
            *word |= 1 << (hash % u32::BITS);
        }
        let mask = self.table.len() - 1;
        let mut at = slot_of(hash, mask);
        while let Some(taken) = self.table.get(at).filter(|taken| taken.count > 0) {
            debug_assert_ne!(taken.gram, slot.gram);
            at = (at + 1) & mask;
        }
        if let Some(free) = self.table.get_mut(at) {
            *free = slot;
        }
    }

    fn scan(&self, data: &[u8], mut check: impl FnMut(usize, Place)) {
        let filter = &*self.filter;
        match filter.len() {
            SMALL => self.scan_with::<SMALL>(filter.first_chunk(), data, &mut check),
            MEDIUM => self.scan_with::<MEDIUM>(filter.first_chunk(), data, &mut check),
            LARGE => self.scan_with::<LARGE>(filter.first_chunk(), data, &mut check),
            _ => self.scan_with::<HUGE>(filter.first_chunk(), data, &mut check),
        }
    }

    /// Looks at data with a filter whose size is known when this is compiled, so that no index has to be checked.
    #[inline(never)]
    fn scan_with<const SIZE: usize>(
        &self,
        filter: Option<&[u32; SIZE]>,
        data: &[u8],
        check: &mut impl FnMut(usize, Place),
    ) {
        let Some(filter) = filter else { return };
        let bit = |gram: u32| filter[word_of::<SIZE>(hash(gram))] >> (hash(gram) % u32::BITS) & 1;
        let mut done = 0;
        if self.stride == GRAM {
            for block in data.chunks_exact(BLOCK) {
                let two = |at: usize| block[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes)) | CASES;
                let both = |two: u64| bit(two as u32) | bit((two >> 32) as u32) << 1;
                // Without a branch in between: the grams are looked at side by side.
                let hits = both(two(0)) | both(two(8)) << 2 | both(two(16)) << 4 | both(two(24)) << 6;
                if hits != 0 {
                    self.look_at(data, done, hits, check);
                }
                done += BLOCK;
            }
        }
        let rest = data.get(done..).unwrap_or_default();
        for (index, gram) in rest.windows(GRAM).enumerate().step_by(self.stride) {
            let gram = gram.first_chunk().map_or(0, gram_of);
            if bit(gram) != 0 {
                self.look_up(gram, data, done + index, check);
            }
        }
    }

    /// Looks grams of a block up, by the bits of their places.
    #[inline(never)]
    fn look_at(&self, data: &[u8], start: usize, mut hits: u32, check: &mut impl FnMut(usize, Place)) {
        while hits != 0 {
            let at = start + hits.trailing_zeros() as usize * GRAM;
            if let Some(gram) = data.get(at..).and_then(|rest| rest.first_chunk()) {
                self.look_up(gram_of(gram), data, at, check);
            }
            hits &= hits - 1;
        }
    }

    #[inline]
    fn look_up(&self, gram: u32, data: &[u8], at: usize, check: &mut impl FnMut(usize, Place)) {
        let mask = self.table.len() - 1;
        let mut index = slot_of(hash(gram), mask);
        while let Some(slot) = self.table.get(index).filter(|slot| slot.count > 0) {
            if slot.gram == gram {
                let before = at.checked_sub(1).and_then(|before| data.get(before));
                if slot.before.may_hold(before) && slot.behind.may_hold(data.get(at + GRAM)) {
                    let range = slot.first as usize..(slot.first + slot.count) as usize;
                    self.places.get(range).unwrap_or_default().iter().for_each(|place| check(at, *place));
                }
                return;
            }
            index = (index + 1) & mask;
        }
    }
}

/// What much traffic holds: grams of it announce nothing.
const COMMON: [&[u8]; 6] = [
    b"GET / HTTP/1.1\r\nHost: www.\r\nConnection: keep-alive\r\nUser-Agent: Mozilla/5.0 (Windows NT 10.0; Win64; x64) \
      AppleWebKit/537.36 (KHTML, like Gecko) Chrome/ Safari/537.36\r\nAccept: text/html,application/xhtml+xml,application/\
      xml;q=0.9,image/webp,*/*;q=0.8\r\nAccept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nReferer: \
      http://www. https:// .com/\r\nCookie: \r\nUpgrade-Insecure-Requests: 1\r\nPOST /index.php HTTP/1.0\r\n",
    b"HTTP/1.1 200 OK\r\nDate: Mon, 01 Jan 2024 00:00:00 GMT\r\nServer: Apache\r\nLast-Modified: \r\nETag: \"\r\nContent-\
      Length: \r\nKeep-Alive: timeout=5, max=100\r\nContent-Type: text/html; charset=UTF-8\r\nCache-Control: no-cache\r\n\
      Transfer-Encoding: chunked\r\nVary: Accept-Encoding\r\nSet-Cookie: ; path=/; expires=; domain=.com\r\n\r\n",
    b"<!DOCTYPE html><html><head><title></title><meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">\
      <script type=\"text/javascript\" src=\"http://www.\"></script><link rel=\"stylesheet\" type=\"text/css\"><body><div \
      class=\"\" id=\"\" style=\"\"><a href=\"http://\"></a></div>function(){return this.document.getElementById(var \
      window.location.length;}",
    b"\xffSMBr\0\0\0\0\x18\x01\x28\0\0\xfeSMB\x40\0\0\0\0\\\0I\0P\0C\0$\0\\\0P\0I\0P\0E\0\\\0W\0i\0n\0d\0o\0w\0s\0",
    b"\x01\0\0\x01\0\0\0\0\0\0\x03www\x06google\x03com\0\0\x01\0\x01\xc0\x0c\0\x01\0\x01\0\0\x0e\x10\0\x04",
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\x55\x04\x03\x13\x02US1\x0b0\x09\x06\x03\x55\x04\x06\x30\x1e\x17\x0d\x2a\x86\x48\x86\xf7\x0d\x01",
];
/// How much more often they are met than what one pattern holds.
const COMMON_WEIGHT: u64 = 256;
static COMMON_GRAMS: LazyLock<HashSet<u32, foldhash::fast::FixedState>> =
    LazyLock::new(|| COMMON.iter().flat_map(|text| grams_of(text)).collect());

fn grams_of(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    bytes.windows(GRAM).filter_map(|window| window.first_chunk()).map(gram_of)
}

/// How often grams occur among the patterns themselves, and which are common in traffic.
struct Popularity {
    counts: hashbrown::HashMap<u32, u32, foldhash::fast::FixedState>,
}

impl Popularity {
    fn of(patterns: &[(u32, &Pattern)]) -> Popularity {
        let mut counts = hashbrown::HashMap::with_hasher(foldhash::fast::FixedState::default());
        for gram in patterns.iter().flat_map(|(_, pattern)| grams_of(&pattern.bytes)) {
            *counts.entry(gram).or_insert(0) += 1;
        }
        Popularity { counts }
    }

    /// Returns where to take `stride` consecutive grams from so that they are met least often.
    fn rarest_start(&self, bytes: &[u8], stride: usize) -> usize {
        let last = (bytes.len() + 1).saturating_sub(GRAM + stride);
        let cost = |start: usize| -> u64 {
            let grams = bytes.windows(GRAM).skip(start).take(stride).filter_map(|window| window.first_chunk());
            grams.map(|gram| self.cost(gram)).sum()
        };
        (0..=last.min(64)).min_by_key(|start| cost(*start)).unwrap_or(0)
    }

    /// Grams of one repeated byte fill whole packets; those of text are met more often than others.
    fn cost(&self, gram: &[u8; GRAM]) -> u64 {
        let count = u64::from(self.counts.get(&gram_of(gram)).copied().unwrap_or(1));
        let common = if COMMON_GRAMS.contains(&gram_of(gram)) { COMMON_WEIGHT } else { 0 };
        let is_run = gram.iter().all(|byte| *byte == gram[0]);
        let plain = gram.iter().filter(|byte| matches!(**byte, 0 | 0xff | b' ' | b'\r' | b'\n')).count() as u64;
        let letters = gram.iter().filter(|byte| byte.is_ascii_lowercase()).count() as u64;
        common + count * 4 + letters + plain * 8 + if is_run { 1 << 20 } else { 0 }
    }
}

#[inline(always)]
fn pair_of(first: u8, second: u8) -> u16 {
    u16::from_le_bytes([first, second]) | CASE as u16
}

impl Short {
    fn new(patterns: &[Pattern]) -> Option<Box<Short>> {
        let mut short = Short { pairs: vec![0; 1 << 10].into(), by_pair: Default::default(), single: Vec::new() };
        let own = patterns.iter().enumerate().filter(|(_, pattern)| pattern.bytes.len() < GRAM);
        for (number, pattern) in own {
            match &*pattern.bytes {
                [] => {}
                [_] => short.single.push(number as u32),
                [first, second, ..] => short.insert(pair_of(*first, *second), number as u32),
            }
        }
        let is_empty = short.single.is_empty() && short.by_pair.is_empty();
        (!is_empty).then(|| Box::new(short))
    }

    fn insert(&mut self, pair: u16, number: u32) {
        if let Some(word) = self.pairs.get_mut(usize::from(pair / 64)) {
            *word |= 1 << (pair % 64);
        }
        self.by_pair.entry(pair).or_default().push(number);
    }

    #[inline(always)]
    fn may_hold(&self, pair: u16) -> bool {
        self.pairs.get(usize::from(pair / 64)).is_some_and(|word| word >> (pair % 64) & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(bytes: &[u8], nocase: bool) -> Pattern {
        Pattern { bytes: bytes.into(), nocase }
    }

    fn found(patterns: &[Pattern], data: &[u8]) -> Vec<u32> {
        let matcher = Matcher::new(patterns.to_vec());
        let (mut state, mut out) = (Found::default(), Vec::new());
        matcher.find(data, &mut state, &mut |number| out.push(number));
        out.sort_unstable();
        out
    }

    fn naive(patterns: &[Pattern], data: &[u8]) -> Vec<u32> {
        let occurs = |pattern: &Pattern| (0..data.len()).any(|at| pattern.is_at(&data[at..]));
        (0..patterns.len() as u32).filter(|number| occurs(&patterns[*number as usize])).collect()
    }

    #[test]
    fn patterns_of_every_length_are_found_wherever_they_lie() {
        let text = b"abcdefghijklmnop";
        for length in 1..=text.len() {
            for lead in 0..9 {
                let data = [&vec![b'.'; lead][..], &text[..length], b"!"].concat();
                let upper = data.to_ascii_uppercase();
                let patterns = [pattern(&text[..length], false), pattern(&text[..length], true)];
                assert_eq!(found(&patterns, &data), [0, 1], "length {length} after {lead}");
                assert_eq!(found(&patterns, &upper), [1], "length {length} after {lead}");
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn finds_exactly_what_a_plain_search_finds(
            patterns in proptest::collection::vec((proptest::collection::vec(b'a'..=b'c', 1..9), proptest::bool::ANY), 1..20),
            data in proptest::collection::vec(proptest::sample::select(b"abcABC".to_vec()), 0..200),
        ) {
            let patterns: Vec<Pattern> = patterns.iter().map(|(bytes, nocase)| pattern(bytes, *nocase)).collect();
            proptest::prop_assert_eq!(found(&patterns, &data), naive(&patterns, &data));
        }
    }
}
