//! What makes a rule worth a look: the content that announces it, and the indexes in which such contents are looked for.

use std::ops::Range;

use hashbrown::HashMap;
use memchr::memmem;

use crate::matcher::{Found, Matcher, Pattern};
use crate::rule::{BufferTest, ByteOrder, Compare, Content, Match, Operand, PacketTest, Rule};

use super::compile::Id;

/// Bytes from which a pattern is looked for at every fourth position.
const EASY: usize = 7;
/// Bytes of a pattern that are looked for: more would say hardly more.
pub const MOST: usize = 24;
/// Bytes of a pattern at a known place that are looked up at once.
const KEY: usize = 4;

/// Where the payload of a packet is looked at, or the stream: what a search is for, and what a rule asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Modes(u32);

impl Modes {
    const BITS: u32 = 2;
    pub const NONE: Modes = Modes(0);
    pub const PACKETS: Modes = Modes(1);
    pub const STREAM: Modes = Modes(2);
    pub const ALL: Modes = Modes(3);

    /// Joins two.
    pub const fn and(self, other: Modes) -> Modes {
        Modes(self.0 | other.0)
    }

    /// Returns these where it is so, and none otherwise.
    pub const fn when(self, is_so: bool) -> Modes {
        if is_so {
            self
        } else {
            Modes::NONE
        }
    }

    /// Tells whether two have any in common.
    pub const fn meets(self, other: Modes) -> bool {
        self.0 & other.0 != 0
    }
}

/// A rule behind a pattern, with where it looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry(u32);

impl Entry {
    fn new(id: Id, modes: Modes) -> Entry {
        Entry(id << Modes::BITS | modes.0)
    }

    #[inline]
    fn id(self) -> Id {
        self.0 >> Modes::BITS
    }

    #[inline]
    fn modes(self) -> Modes {
        Modes(self.0 & Modes::ALL.0)
    }
}

/// The content that announces a rule: in a buffer (by its place in the rule) or in the payload.
#[derive(Clone, Debug)]
pub struct Announcement {
    pub buffer: Option<usize>,
    pub pattern: Pattern,
    /// The bytes of a payload within which it lies, where that is known.
    within: Option<Range<u32>>,
    /// How far it begins behind two zero bytes that come with it.
    behind_zeros: Option<u32>,
}

impl Announcement {
    /// Chooses the content that announces a rule, if there is one.
    pub fn of(rule: &Rule) -> Option<Announcement> {
        let payload = Places::of(rule).map(|(content, within)| (None, content, within));
        let buffers = rule.buffers.iter().enumerate().filter(|(_, buffer)| !may_be_absent(buffer));
        let buffers = buffers.flat_map(|(at, buffer)| buffer.matches.iter().map(move |test| (Some(at), test)));
        let buffers = buffers.filter_map(|(at, test)| match test {
            Match::Content(content) => Some((at, content, None)),
            _ => None,
        });
        let contents = payload.chain(buffers).filter(|(_, content, _)| !content.negated && !content.bytes.is_empty());
        let (buffer, content, within) = contents.max_by_key(|(buffer, content, within)| {
            let is_chosen = content.fast_pattern && buffer.is_some();
            (buffer.is_some(), is_chosen, strength(content, within))
        })?;
        let (chopped, from) = chopped(content);
        let within = within.map(|within| {
            let behind = (content.bytes.len() - from - chopped.len()) as u32;
            within.start + from as u32..within.end.saturating_sub(behind)
        });
        let pattern = Pattern { bytes: chopped.into(), nocase: content.nocase };
        let own = Announcement { buffer, pattern, within, behind_zeros: None };
        let is_weak = buffer.is_none() && own.position().is_none() && own.pattern.bytes.len() < KEY;
        Some(Announcement::of_jump(rule).filter(|_| is_weak).unwrap_or(own))
    }

    /// Takes the two zero bytes of a number by which a rule jumps: where it lands is within the payload of a packet, which
    /// with its headers has less than 65,536 bytes. They announce rules of very short contents better than these do.
    fn of_jump(rule: &Rule) -> Option<Announcement> {
        if !rule.packet.iter().any(|test| matches!(test, PacketTest::Dsize(_))) {
            return None;
        }
        let zeros_of = |test: &Match| {
            let Match::ByteJump(jump) = test else { return None };
            let is_plain = !jump.from_end && jump.multiplier <= 1 && (jump.text, jump.mask) == (None, None);
            let (Operand::Value(4), Operand::Value(post_offset)) = (jump.bytes, jump.post_offset) else { return None };
            let base = if jump.from_beginning { 0 } else { 4 };
            let Operand::Value(offset) = jump.offset else { return None };
            let zeros = match jump.order {
                ByteOrder::Big => offset,
                ByteOrder::Little => offset + 2,
                ByteOrder::Dce => return None,
            };
            (is_plain && base + post_offset >= -8).then_some((zeros, jump.relative))
        };
        let before = std::iter::once(None).chain(rule.payload.iter().map(Some));
        before.zip(&rule.payload).find_map(|(before, test)| match (zeros_of(test)?, before) {
            ((at, false), _) => {
                let at = u32::try_from(at).ok()?;
                let pattern = Pattern { bytes: [0, 0].into(), nocase: false };
                Some(Announcement { buffer: None, pattern, within: Some(at..at + 2), behind_zeros: None })
            }
            ((at, true), Some(Match::Content(content))) if !content.negated && !content.nocase => {
                // The zeros end where this begins.
                content.bytes.get(..2).filter(|two| **two != [0, 0])?;
                let behind_zeros = u32::try_from(-at - content.bytes.len() as i64).ok().filter(|gap| *gap >= 2);
                let pattern = Pattern { bytes: content.bytes.clone(), nocase: content.nocase };
                behind_zeros.map(|gap| Announcement { buffer: None, pattern, within: None, behind_zeros: Some(gap) })
            }
            _ => None,
        })
    }

    /// Returns the place of the pattern where there is only one.
    fn position(&self) -> Option<u32> {
        let within = self.within.as_ref()?;
        (within.start + self.pattern.bytes.len() as u32 == within.end).then_some(within.start)
    }
}

/// An instance of a buffer may also pass where there is none, which no pattern can announce.
fn may_be_absent(buffer: &BufferTest) -> bool {
    buffer.matches.iter().any(|test| matches!(test, Match::Absent { .. }))
}

/// Returns the part of a content that is looked for, and where it begins.
fn chopped(content: &Content) -> (&[u8], usize) {
    let (bytes, from) = match content.fast_pattern_chop {
        Some((offset, length)) => {
            let from = usize::from(offset);
            content.bytes.get(from..from + usize::from(length)).map_or((&*content.bytes, 0), |part| (part, from))
        }
        None => (&*content.bytes, 0),
    };
    let parts = bytes.windows(MOST.min(bytes.len())).enumerate();
    let best = parts.max_by_key(|(at, part)| (said(part), std::cmp::Reverse(*at)));
    best.map_or((bytes, from), |(at, part)| (part, from + at))
}

/// Returns how selective a content is: what its bytes say, and how many places it is looked for at.
fn strength(content: &Content, within: &Option<Range<u32>>) -> u32 {
    let length = content.bytes.len();
    let has_one_place = within.as_ref().is_some_and(|within| within.start + length as u32 == within.end);
    let said = said(&content.bytes);
    // A place is looked at once, and long patterns are looked for at fewer positions than short ones.
    let reach = match length {
        2.. if has_one_place => said.min(24),
        EASY.. => 24,
        KEY.. => 4,
        _ => 0,
    };
    let choice = if content.fast_pattern { 20 } else { 0 };
    said + reach + choice
}

/// Returns how much bytes say: those that fill headers say little, and so do those that were there before.
fn said(bytes: &[u8]) -> u32 {
    let mut seen = [false; 256];
    let weight = |byte: &u8| match byte {
        0 | 1 | 0xff | b' ' => 1,
        byte if std::mem::replace(&mut seen[usize::from(*byte)], true) => 1,
        byte if byte.is_ascii_alphanumeric() => 4,
        _ => 5,
    };
    bytes.iter().map(weight).sum()
}

/// Follows the cursor through the tests of a rule's payload, for where its contents can lie.
struct Places<'r> {
    tests: std::slice::Iter<'r, Match>,
    /// Where the cursor can be.
    cursor: Option<Range<u32>>,
    /// Bytes of the longest payload that passes.
    longest: Option<u32>,
}

impl<'r> Places<'r> {
    fn of(rule: &'r Rule) -> Places<'r> {
        let sizes = rule.packet.iter().filter_map(|test| match test {
            PacketTest::Dsize(Compare::Equal(size) | Compare::LessOrEqual(size)) => Some(*size),
            PacketTest::Dsize(Compare::Less(bound) | Compare::Between(_, bound)) => bound.checked_sub(1),
            _ => None,
        });
        let longest = sizes.min().and_then(|size| u32::try_from(size).ok());
        Places { tests: rule.payload.iter(), cursor: None, longest }
    }

    /// Returns the bytes within which a content lies, if these have an end.
    fn within(&self, content: &Content) -> Option<Range<u32>> {
        let value = |operand: Option<Operand>| match operand {
            None => Some(0),
            Some(Operand::Value(value)) => i32::try_from(value).ok(),
            Some(Operand::Variable(_)) => None,
        };
        let length = content.bytes.len() as u32;
        let offset = u32::try_from(value(content.offset)?.max(0)).ok()?;
        let mut within = (0, self.longest);
        let mut narrow = |start: u32, end: Option<u32>| {
            within = (start.max(within.0), end.into_iter().chain(within.1).min());
        };
        narrow(offset, None);
        if content.depth.is_some() || content.startswith {
            let depth = if content.depth.is_some() { value(content.depth)? } else { length as i32 };
            narrow(offset, Some(offset.checked_add_signed(depth)?));
        }
        if content.distance.is_some() || content.within.is_some() {
            if let Some(cursor) = &self.cursor {
                let distance = value(content.distance)?;
                let reach = value(content.within)?;
                let end = cursor.end.checked_add_signed(distance.checked_add(reach)?);
                narrow(cursor.start.saturating_add_signed(distance), end.filter(|_| content.within.is_some()));
            }
        }
        let (start, end) = within;
        end.map(|end| start..end).filter(|within| within.start + length <= within.end)
    }
}

impl<'r> Iterator for Places<'r> {
    type Item = (&'r Content, Option<Range<u32>>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.tests.next()? {
                Match::Content(content) => {
                    let within = self.within(content);
                    let length = content.bytes.len() as u32;
                    if !content.negated {
                        self.cursor = within.as_ref().map(|within| within.start + length..within.end);
                    }
                    return Some((content, within));
                }
                Match::Pcre(pcre) if pcre.negated => {}
                Match::Pcre(_) | Match::ByteJump(_) | Match::ByteExtract(_) | Match::ByteMath(_) => self.cursor = None,
                _ => {}
            }
        }
    }
}

/// Patterns and the signatures that each of them makes worth a look.
#[derive(Debug, Default)]
pub struct PatternIndex {
    matcher: Matcher,
    first: Vec<u32>,
    entries: Vec<Entry>,
    modes: Modes,
}

impl PatternIndex {
    /// Prepares patterns with their signatures.
    pub fn new(patterns: Vec<(Pattern, Id)>) -> PatternIndex {
        PatternIndex::of(patterns.into_iter().map(|(pattern, id)| (pattern, Entry::new(id, Modes::ALL))).collect())
    }

    fn of(mut patterns: Vec<(Pattern, Entry)>) -> PatternIndex {
        patterns.sort_unstable();
        patterns.dedup();
        let mut index = PatternIndex { first: vec![0], ..PatternIndex::default() };
        let mut distinct = Vec::new();
        for run in patterns.chunk_by(|one, next| one.0 == next.0) {
            index.entries.extend(run.iter().map(|(_, entry)| *entry));
            index.first.push(index.entries.len() as u32);
            distinct.extend(run.first().map(|(pattern, _)| pattern.clone()));
        }
        index.modes = index.entries.iter().fold(Modes::NONE, |all, entry| all.and(entry.modes()));
        index.matcher = Matcher::new(distinct);
        index
    }

    #[inline]
    fn entries(&self, pattern: u32) -> &[Entry] {
        let at = pattern as usize;
        let range = self.first.get(at).zip(self.first.get(at + 1));
        range.and_then(|(from, to)| self.entries.get(*from as usize..*to as usize)).unwrap_or_default()
    }

    /// Calls `report` with the signatures that some bytes make worth a look.
    #[inline]
    pub fn search(&self, data: &[u8], modes: Modes, found: &mut Found, report: &mut impl FnMut(Id, Modes)) {
        if self.modes.meets(modes) {
            self.matcher.find(data, found, &mut |pattern| {
                let entries = self.entries(pattern).iter().filter(|entry| entry.modes().meets(modes));
                entries.for_each(|entry| report(entry.id(), entry.modes()));
            });
        }
    }
}

/// What payloads, or the stream, are searched for.
#[derive(Debug, Default)]
pub struct PayloadIndex {
    placed: PlacedIndex,
    floating: PatternIndex,
    behind_zeros: ZerosIndex,
}

impl PayloadIndex {
    /// Prepares announcements with their signatures, and where these look.
    pub fn new(announced: Vec<(Announcement, Id, Modes)>) -> PayloadIndex {
        let (mut placed, mut floating, mut behind_zeros) = (Vec::new(), Vec::new(), Vec::new());
        for (own, id, modes) in announced {
            let entry = Entry::new(id, modes);
            match (own.behind_zeros, own.position()) {
                (Some(gap), _) => behind_zeros.push((gap, own.pattern, entry)),
                (None, Some(position)) => placed.push((position, own.pattern, entry)),
                (None, None) => floating.push((own.pattern, entry)),
            }
        }
        PayloadIndex {
            placed: PlacedIndex::new(placed),
            floating: PatternIndex::of(floating),
            behind_zeros: ZerosIndex::new(behind_zeros),
        }
    }

    /// Searches data for what lies anywhere in it.
    #[inline]
    pub fn search_floating(&self, data: &[u8], modes: Modes, found: &mut Found, report: &mut impl FnMut(Id, Modes)) {
        self.floating.search(data, modes, found, report);
    }

    /// Searches data that begins at an offset of a payload or stream for what has its place in these.
    #[inline]
    pub fn search_placed(&self, data: &[u8], offset: u64, modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        if let Ok(offset) = usize::try_from(offset) {
            self.placed.search(data, offset, modes, report);
            self.behind_zeros.search(data, modes, report);
        }
    }
}

/// Patterns that have one place in a payload.
#[derive(Debug, Default)]
struct PlacedIndex {
    places: Vec<Place>,
    /// By place and first bytes.
    table: HashMap<(u32, u32), Range<u32>, foldhash::fast::FixedState>,
    patterns: Vec<(Pattern, Entry)>,
}

/// A place at which patterns of a length begin.
#[derive(Debug)]
struct Place {
    position: usize,
    /// Bytes of the key.
    width: usize,
    modes: Modes,
    /// Bits of the keys that there are.
    bitmap: [u64; 4],
}

impl PlacedIndex {
    fn new(mut patterns: Vec<(u32, Pattern, Entry)>) -> PlacedIndex {
        let key = |own: &(u32, Pattern, Entry)| (own.0, own.1.bytes.len().min(KEY), key_of(&own.1.bytes));
        patterns.sort_by(|one, next| key(one).cmp(&key(next)).then_with(|| (&one.1, one.2).cmp(&(&next.1, next.2))));
        let mut index = PlacedIndex::default();
        for place in patterns.chunk_by(|one, next| (key(one).0, key(one).1) == (key(next).0, key(next).1)) {
            let Some((position, pattern, _)) = place.first() else { continue };
            let mut own = Place {
                position: *position as usize,
                width: pattern.bytes.len().min(KEY),
                modes: Modes::NONE,
                bitmap: [0; 4],
            };
            for run in place.chunk_by(|one, next| key(one) == key(next)) {
                let Some(first) = run.first() else { continue };
                let from = index.patterns.len() as u32;
                index.patterns.extend(run.iter().map(|(_, pattern, entry)| (pattern.clone(), *entry)));
                own.modes = run.iter().fold(own.modes, |all, (_, _, entry)| all.and(entry.modes()));
                own.note(key(first).2);
                index.table.insert((index.places.len() as u32, key(first).2), from..index.patterns.len() as u32);
            }
            index.places.push(own);
        }
        index
    }

    #[inline]
    fn search(&self, data: &[u8], offset: usize, modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        for (number, place) in self.places.iter().enumerate() {
            let Some(rest) = place.position.checked_sub(offset).and_then(|at| data.get(at..)) else { continue };
            let Some(bytes) = rest.get(..place.width) else { continue };
            let key = key_of(bytes);
            if place.modes.meets(modes) && place.may_hold(key) {
                let range = self.table.get(&(number as u32, key)).cloned().unwrap_or_default();
                let own = self.patterns.get(range.start as usize..range.end as usize).unwrap_or_default();
                let begun = own.iter().filter(|(pattern, entry)| entry.modes().meets(modes) && pattern.is_at(rest));
                begun.for_each(|(_, entry)| report(entry.id(), entry.modes()));
            }
        }
    }
}

impl Place {
    /// Mixes a key (2^32 divided by the golden ratio; Knuth, The Art of Computer Programming, 6.4).
    #[inline]
    fn bit(key: u32) -> (usize, u32) {
        let bit = key.wrapping_mul(0x9e37_79b1) >> 24;
        (bit as usize / 64, bit % 64)
    }

    fn note(&mut self, key: u32) {
        let (word, bit) = Place::bit(key);
        self.bitmap[word] |= 1 << bit;
    }

    #[inline]
    fn may_hold(&self, key: u32) -> bool {
        let (word, bit) = Place::bit(key);
        self.bitmap[word] >> bit & 1 == 1
    }
}

/// Patterns that come at some distance behind two zero bytes.
#[derive(Debug, Default)]
struct ZerosIndex {
    zeros: Option<memmem::Finder<'static>>,
    /// First bytes that there are at any distance.
    pairs: Vec<u64>,
    gaps: Vec<usize>,
    /// By distance and first bytes.
    table: HashMap<(usize, u16), Vec<(Pattern, Entry)>, foldhash::fast::FixedState>,
}

impl ZerosIndex {
    fn new(patterns: Vec<(u32, Pattern, Entry)>) -> ZerosIndex {
        let mut index = ZerosIndex::default();
        if patterns.is_empty() {
            return index;
        }
        index.zeros = Some(memmem::Finder::new(&[0, 0]).into_owned());
        index.pairs = vec![0; 1 << 10];
        for (gap, pattern, entry) in patterns {
            let Some(pair) = pattern.bytes.first_chunk().map(|two| u16::from_le_bytes(*two)) else { continue };
            index.pairs[usize::from(pair / 64)] |= 1 << (pair % 64);
            index.gaps.push(gap as usize);
            index.table.entry((gap as usize, pair)).or_default().push((pattern, entry));
        }
        index.gaps.sort_unstable();
        index.gaps.dedup();
        index
    }

    #[inline]
    fn search(&self, data: &[u8], modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        let Some(finder) = self.zeros.as_ref().filter(|_| Modes::PACKETS.meets(modes)) else { return };
        let farthest = self.gaps.last().copied().unwrap_or(0);
        let mut from = 0;
        while let Some(at) = data.get(from..).and_then(|rest| finder.find(rest)) {
            let begin = from + at;
            let zeros = data.iter().skip(begin).take_while(|byte| **byte == 0).count();
            // Within many zeros there is nothing that is not zero itself.
            let first = begin.max((begin + zeros).saturating_sub(farthest + 2));
            (first..begin + zeros - 1).for_each(|at| self.look(data, at, modes, report));
            from = begin + zeros;
        }
    }

    #[inline]
    fn look(&self, data: &[u8], zeros: usize, modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        for gap in &self.gaps {
            let Some(rest) = data.get(zeros + gap..) else { return };
            let Some(pair) = rest.first_chunk().map(|two| u16::from_le_bytes(*two)) else { return };
            if self.pairs.get(usize::from(pair / 64)).is_some_and(|word| word & 1 << (pair % 64) != 0) {
                let own = self.table.get(&(*gap, pair)).into_iter().flatten();
                let begun = own.filter(|(pattern, entry)| entry.modes().meets(modes) && pattern.is_at(rest));
                begun.for_each(|(_, entry)| report(entry.id(), entry.modes()));
            }
        }
    }
}

/// Returns the first bytes in one number, without regard to case.
#[inline]
fn key_of(bytes: &[u8]) -> u32 {
    match bytes.first_chunk::<KEY>() {
        Some(whole) => u32::from_le_bytes(*whole) | 0x2020_2020,
        None => bytes.iter().fold(0, |key, byte| key << 8 | u32::from(*byte | 0x20)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::inspect::{Buffer, Findings, Tests};
    use super::*;
    use crate::rule::parse::{read, Source};
    use crate::settings::Settings;

    /// Bytes that are mostly alike, so that contents are often met.
    const BYTES: [u8; 6] = [0, 0, 3, b'a', b'A', b'b'];

    fn written(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("|{byte:02x}|")).collect()
    }

    /// Options of one test of a payload.
    fn test() -> impl Strategy<Value = String> {
        let bytes = prop::collection::vec(prop::sample::select(&BYTES), 1..10);
        let bound = |name: &'static str, from: i32, to: i32| prop_oneof![2 => Just(String::new()), 1 => (from..to).prop_map(move |value| format!("{name}:{value}; "))];
        let places = prop_oneof![
            (bound("offset", 0, 9), bound("depth", 9, 24)).prop_map(|(one, other)| one + &other),
            (bound("distance", -6, 6), bound("within", 9, 24)).prop_map(|(one, other)| one + &other),
            prop::sample::select(&["startswith; ", "endswith; ", "fast_pattern; "]).prop_map(str::to_owned),
        ];
        let marks = (prop::bool::weighted(0.2), prop::bool::ANY);
        let content = (bytes, places, marks).prop_map(|(bytes, places, (negated, nocase))| {
            let (negation, nocase) = (if negated { "!" } else { "" }, if nocase { "nocase; " } else { "" });
            format!("content:{negation}\"{}\"; {places}{nocase}", written(&bytes))
        });
        let jump = (prop::sample::select(&["", ",little"]), -12..4, -9..2, prop::bool::ANY);
        let jump = jump.prop_map(|(order, offset, post, relative)| {
            let relative = if relative { ",relative" } else { "" };
            format!("byte_jump:4,{offset}{relative}{order},post_offset {post}; ")
        });
        let short = (prop::collection::vec(prop::sample::select(&BYTES), 1..4), 2..7, -9..2);
        let jump_before = short.prop_map(|(bytes, gap, post)| {
            let offset = -(bytes.len() as i32) - gap;
            format!("content:\"{}\"; byte_jump:4,{offset},relative,post_offset {post}; ", written(&bytes))
        });
        prop_oneof![4 => content, 1 => jump, 1 => jump_before]
    }

    proptest! {
        #[test]
        fn what_holds_is_announced(
            rules in prop::collection::vec((prop::collection::vec(test(), 1..4), prop::option::of(1usize..60)), 1..8),
            data in prop::collection::vec(prop::sample::select(&BYTES), 0..60),
        ) {
            let line = |(sid, (tests, size)): (usize, &(Vec<String>, Option<usize>))| {
                let size = size.map_or(String::new(), |size| format!("dsize:<{size}; "));
                format!("alert udp any any -> any any ({size}{}sid:{sid};)\n", tests.concat())
            };
            let text: String = (1..).zip(&rules).map(line).collect();
            let parsed = read(&[Source { name: "test", text: text.as_bytes() }], &Settings::default()).unwrap();
            let announced = (0..).zip(&parsed.rules).map(|(id, rule)| Some((Announcement::of(rule)?, id, Modes::PACKETS)));
            let index = PayloadIndex::new(announced.flatten().collect());
            let mut met = Vec::new();
            index.search_placed(&data, 0, Modes::PACKETS, &mut |id, _| met.push(id));
            index.search_floating(&data, Modes::PACKETS, &mut Found::default(), &mut |id, _| met.push(id));
            for (id, rule) in (0..).zip(&parsed.rules) {
                let is_long = rule.packet.iter().any(|test| {
                    matches!(test, PacketTest::Dsize(Compare::Less(bound)) if data.len() as u64 >= *bound)
                });
                let holds = Tests::new(&rule.payload).hold(Buffer::whole(&data), &mut Findings::default());
                let is_announced = Announcement::of(rule).is_none() || met.contains(&id);
                prop_assert!(!holds || is_long || is_announced, "{} of {text} in {data:02x?}", rule.sid);
            }
        }
    }
}
