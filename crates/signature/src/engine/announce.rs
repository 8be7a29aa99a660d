//! What makes a rule worth a look: the content that announces it, and the indexes in which such contents are looked for.

use std::ops::Range;

use hashbrown::HashMap;
use infraspectre_core::wire::protocol as ip;
use memchr::memmem;

use crate::matcher::{gram_of, hash, Found, Matcher, Pattern, GRAM};
use crate::rule::{BufferTest, ByteJump, ByteOrder, Compare, Content, Match, Operand, PacketTest, Rule};

use super::compile::Id;

/// Bytes from which a pattern is looked for at every fourth position.
const EASY: usize = 7;
/// Bytes of a pattern that are looked for: more would say hardly more.
pub const MOST: usize = 24;
/// Bytes at the beginning of a payload to which the search for a short pattern is confined, where the rule says so.
const HEAD: u32 = 64;
/// Bytes of a pattern at a known place that are looked up at once.
const KEY: usize = GRAM;
/// Bytes of the shortest headers before a payload, in a packet of at most 65,535 bytes (RFC 9293, RFC 768).
const TCP_HEADER: i64 = 20;
const UDP_HEADER: i64 = 8;

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
    /// The number it lies behind.
    behind: Option<Number>,
}

/// A number of four bytes in a payload that leads close to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Number {
    is_little: bool,
    /// Whether it counts from the beginning of the payload, or from where it stands.
    from_beginning: bool,
    /// How far it may be from what leads to the very end.
    slack: u16,
    /// How far behind it a pattern begins; none where only the number is known.
    distance: Option<u16>,
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
        let own = Announcement { buffer, pattern, within, behind: None };
        let is_weak = buffer.is_none() && own.position().is_none() && own.pattern.bytes.len() < KEY;
        Some(Announcement::of_jump(rule).filter(|_| is_weak).unwrap_or(own))
    }

    /// Takes the number by which a rule of very short contents jumps: where it lands is within the payload of a packet,
    /// which with its headers has less than 65,536 bytes, so that two bytes of it are zero.
    fn of_jump(rule: &Rule) -> Option<Announcement> {
        if !rule.packet.iter().any(|test| matches!(test, PacketTest::Dsize(_))) {
            return None;
        }
        let is_tcp = *rule.header.protocol.transports == [ip::TCP];
        let headers = if is_tcp { TCP_HEADER } else { UDP_HEADER };
        let before = std::iter::once(None).chain(rule.payload.iter().map(Some));
        let after = rule.payload.iter().skip(1).map(Some).chain(std::iter::once(None));
        before.zip(&rule.payload).zip(after).find_map(|((before, test), after)| match (test, before) {
            (Match::ByteJump(jump), before) if jump.relative => leading(before, jump, after),
            (Match::ByteJump(jump), _) => zeros_of(jump, headers),
            _ => None,
        })
    }

    /// Returns the place of the pattern where there is only one.
    fn position(&self) -> Option<u32> {
        let within = self.within.as_ref()?;
        (within.start + self.pattern.bytes.len() as u32 == within.end).then_some(within.start)
    }
}

/// Returns where the first byte of the number of a jump lies, and where its landing is counted from at least; none where
/// the number is no plain one of four bytes.
fn jump_of(jump: &ByteJump) -> Option<(i64, i64)> {
    let is_plain = !jump.from_end && jump.multiplier <= 1 && (jump.text, jump.mask) == (None, None);
    match (jump.bytes, jump.offset, jump.post_offset) {
        (Operand::Value(4), Operand::Value(offset), Operand::Value(post_offset)) if is_plain => {
            let base = if jump.from_beginning { 0 } else { 4 };
            Some((offset, base + post_offset))
        }
        _ => None,
    }
}

/// Takes the two zero bytes of the number of a jump that has its place in the payload.
fn zeros_of(jump: &ByteJump, headers: i64) -> Option<Announcement> {
    let (number, _) = jump_of(jump).filter(|(_, landing)| *landing >= -headers)?;
    let zeros = match jump.order {
        ByteOrder::Big => number,
        ByteOrder::Little => number + 2,
        ByteOrder::Dce => return None,
    };
    let at = u32::try_from(zeros).ok()?;
    let pattern = Pattern { bytes: [0, 0].into(), nocase: false };
    Some(Announcement { buffer: None, pattern, within: Some(at..at + 2), behind: None })
}

/// Takes the number by which a rule jumps close to the end of the payload, with the content before it, if it is one.
fn leading(before: Option<&Match>, jump: &ByteJump, after: Option<&Match>) -> Option<Announcement> {
    let (number, landing) = jump_of(jump).filter(|(_, landing)| (-UDP_HEADER..=8).contains(landing))?;
    let Some(Match::IsDataAt { at: Operand::Value(rest @ 0..=64), relative: true, negated: true }) = after else {
        return None;
    };
    let is_little = match jump.order {
        ByteOrder::Little => true,
        ByteOrder::Big => false,
        ByteOrder::Dce => return None,
    };
    let behind = |content: &Content| {
        let distance = u16::try_from(-number - content.bytes.len() as i64).ok().filter(|distance| *distance >= 4)?;
        let is_plain = !content.negated && !content.nocase && content.bytes.len() >= 2;
        is_plain.then(|| (Some(distance), content.bytes.clone()))
    };
    let content = before.and_then(|test| if let Match::Content(content) = test { Some(content) } else { None });
    let (distance, bytes) = content.and_then(behind).unwrap_or_default();
    // The number may be rounded up to a multiple of four.
    let slack = (rest.unsigned_abs() + landing.unsigned_abs() + 4) as u16;
    let number = Number { is_little, from_beginning: jump.from_beginning, slack, distance };
    let pattern = Pattern { bytes, nocase: false };
    Some(Announcement { buffer: None, pattern, within: None, behind: Some(number) })
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
    let worth = match length {
        _ if has_one_place => said + said.min(24),
        EASY.. => said + 24,
        KEY.. => said + 4,
        _ => said / 3,
    };
    worth + if content.fast_pattern { 20 } else { 0 }
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
    /// Short patterns that lie at the beginning, and how many bytes that has.
    head: PatternIndex,
    head_bytes: usize,
    floating: PatternIndex,
    numbers: NumberIndex,
}

impl PayloadIndex {
    /// Prepares announcements with their signatures, and where these look.
    pub fn new(announced: Vec<(Announcement, Id, Modes)>) -> PayloadIndex {
        let (mut placed, mut floating, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
        let (mut head, mut head_bytes) = (Vec::new(), 0);
        for (own, id, modes) in announced {
            let entry = Entry::new(id, modes);
            let is_short = own.pattern.bytes.len() < KEY;
            match (own.behind, own.position(), &own.within) {
                (Some(number), ..) => numbers.push((number, own.pattern, entry)),
                (None, Some(position), _) => placed.push((position, own.pattern, entry)),
                (None, None, Some(within)) if is_short && within.end <= HEAD => {
                    head_bytes = head_bytes.max(within.end as usize);
                    head.push((own.pattern, entry));
                }
                _ => floating.push((own.pattern, entry)),
            }
        }
        PayloadIndex {
            placed: PlacedIndex::new(placed),
            head: PatternIndex::of(head),
            head_bytes,
            floating: PatternIndex::of(floating),
            numbers: NumberIndex::new(numbers),
        }
    }

    /// Searches data for what lies anywhere in it.
    #[inline]
    pub fn search_floating(&self, data: &[u8], modes: Modes, found: &mut Found, report: &mut impl FnMut(Id, Modes)) {
        self.floating.search(data, modes, found, report);
    }

    /// Searches data that begins at an offset of a payload or stream for what has its place in these.
    #[inline]
    pub fn search_placed(
        &self,
        data: &[u8],
        offset: u64,
        modes: Modes,
        found: &mut Found,
        report: &mut impl FnMut(Id, Modes),
    ) {
        if let Ok(offset) = usize::try_from(offset) {
            self.placed.search(data, offset, modes, report);
            let head = data.len().min(self.head_bytes.saturating_sub(offset));
            self.head.search(data.get(..head).unwrap_or_default(), modes, found, report);
            self.numbers.search(data, modes, report);
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
    /// The bits of the key in a number of four bytes.
    mask: u32,
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
            let mask = u32::MAX >> (u32::BITS - 8 * pattern.bytes.len().clamp(1, KEY) as u32);
            let mut own = Place { position: *position as usize, mask, bitmap: [0; 4] };
            for run in place.chunk_by(|one, next| key(one) == key(next)) {
                let Some(first) = run.first() else { continue };
                let from = index.patterns.len() as u32;
                index.patterns.extend(run.iter().map(|(_, pattern, entry)| (pattern.clone(), *entry)));
                own.note(key(first).2);
                index.table.insert((index.places.len() as u32, key(first).2), from..index.patterns.len() as u32);
            }
            index.places.push(own);
        }
        index
    }

    #[inline]
    fn search(&self, data: &[u8], offset: usize, modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        if self.places.last().is_none_or(|last| last.position < offset) {
            return;
        }
        for (number, place) in self.places.iter().enumerate() {
            let Some(rest) = place.position.checked_sub(offset).and_then(|at| data.get(at..)) else { continue };
            // What lies behind the key is in the number too, where there is something, and is masked out.
            let key = rest.first_chunk().map_or_else(|| key_of(rest), gram_of) & place.mask;
            if place.may_hold(key) {
                self.look((number as u32, key), rest, modes, report);
            }
        }
    }

    /// Looks for the patterns of a place and a key at the beginning of some bytes.
    #[inline(never)]
    fn look(&self, key: (u32, u32), rest: &[u8], modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        let range = self.table.get(&key).cloned().unwrap_or_default();
        let own = self.patterns.get(range.start as usize..range.end as usize).unwrap_or_default();
        let begun = own.iter().filter(|(pattern, entry)| entry.modes().meets(modes) && pattern.is_at(rest));
        begun.for_each(|(_, entry)| report(entry.id(), entry.modes()));
    }
}

impl Place {
    /// Returns the word and the bit that stand for a key.
    #[inline]
    fn bit(key: u32) -> (usize, u32) {
        let bit = hash(key) >> 24;
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

/// Patterns and what each announces.
type Announced = Vec<(Pattern, Entry)>;

/// Numbers that lead close to the end of a payload, and patterns that come at some distance behind them.
#[derive(Debug, Default)]
struct NumberIndex {
    zeros: Option<memmem::Finder<'static>>,
    numbers: Vec<Number>,
    /// The largest slack of a number.
    slack: usize,
    /// By number and first bytes of the pattern, where there is one.
    table: HashMap<(Number, [u8; 2]), Announced, foldhash::fast::FixedState>,
}

impl NumberIndex {
    fn new(patterns: Vec<(Number, Pattern, Entry)>) -> NumberIndex {
        let zeros = (!patterns.is_empty()).then(|| memmem::Finder::new(&[0, 0]).into_owned());
        let mut index = NumberIndex { zeros, ..NumberIndex::default() };
        for (number, pattern, entry) in patterns {
            index.slack = index.slack.max(number.slack.into());
            index.numbers.push(number);
            let first = pattern.bytes.first_chunk().copied().unwrap_or_default();
            index.table.entry((number, first)).or_default().push((pattern, entry));
        }
        index.numbers.sort_unstable();
        index.numbers.dedup();
        index
    }

    /// Looks at the numbers whose upper half is zero.
    #[inline]
    fn search(&self, data: &[u8], modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        let Some(finder) = self.zeros.as_ref().filter(|_| Modes::PACKETS.meets(modes)) else { return };
        let mut from = 0;
        while let Some(at) = data.get(from..).and_then(|rest| finder.find(rest)) {
            let begin = from + at;
            let end = begin + data.iter().skip(begin).take_while(|byte| **byte == 0).count();
            // In the midst of a run of zeros the whole number is zero, which leads nowhere but from close to the end.
            let first = begin..end.min(begin + 3) - 1;
            let close = data.len().saturating_sub(self.slack + size_of::<u32>());
            let last = close.min(end.saturating_sub(3)).max(first.end)..end - 1;
            first.chain(last).for_each(|zeros| self.look(data, zeros, modes, report));
            from = end;
        }
    }

    /// Looks at the numbers whose upper half is at a place.
    #[inline]
    fn look(&self, data: &[u8], zeros: usize, modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        let lower_half = |at: usize| data.get(at..).and_then(|rest| rest.first_chunk()).copied();
        let little = zeros.checked_sub(2).and_then(|at| Some((true, at, u16::from_le_bytes(lower_half(at)?))));
        let big = lower_half(zeros + 2).map(|half| (false, zeros, u16::from_be_bytes(half)));
        for (is_little, at, value) in little.into_iter().chain(big) {
            let is_near = |to_the_end: usize, slack: usize| usize::from(value).abs_diff(to_the_end) <= slack;
            let (whole, rest) = (data.len(), data.len() - at);
            if !is_near(whole, self.slack) && !is_near(rest, self.slack) {
                continue;
            }
            for number in self.numbers.iter().filter(|number| number.is_little == is_little) {
                if is_near(if number.from_beginning { whole } else { rest }, number.slack.into()) {
                    let rest = number.distance.map_or(Some(&[][..]), |distance| data.get(at + usize::from(distance)..));
                    self.look_behind(number, rest.unwrap_or_default(), modes, report);
                }
            }
        }
    }

    fn look_behind(&self, number: &Number, rest: &[u8], modes: Modes, report: &mut impl FnMut(Id, Modes)) {
        let first = rest.first_chunk().copied().unwrap_or_default();
        let own = self.table.get(&(*number, first)).into_iter().flatten();
        let begun = own.filter(|(pattern, entry)| entry.modes().meets(modes) && pattern.is_at(rest));
        begun.for_each(|(_, entry)| report(entry.id(), entry.modes()));
    }
}

/// Returns the first bytes in one number, without regard to case; zeros where there are none.
#[inline]
fn key_of(bytes: &[u8]) -> u32 {
    bytes.iter().take(KEY).rev().fold(0, |key, byte| key << 8 | u32::from(*byte | 0x20))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write;

    use proptest::prelude::*;

    use super::*;
    use crate::engine::inspect::{Buffer, Findings, Tests};
    use crate::rule::parse::{read, Source};
    use crate::settings::Settings;

    /// A test to be written into a rule so that it often holds: of what kind, where, how long, and how exact.
    #[derive(Clone, Debug)]
    struct Pick {
        kind: u8,
        at: usize,
        length: usize,
        slack: usize,
        nocase: bool,
    }

    fn pick() -> impl Strategy<Value = Pick> {
        let parts = (0..12u8, 0..60usize, prop_oneof![1..8usize, 8..40usize], 0..4usize, any::<bool>());
        parts.prop_map(|(kind, at, length, slack, nocase)| Pick { kind, at, length, slack, nocase })
    }

    /// Writes the options of a rule that often holds for a payload.
    fn options(payload: &[u8], picks: &[Pick], size: Option<usize>) -> String {
        let (mut text, mut cursor) = (String::new(), None);
        for (number, pick) in picks.iter().enumerate() {
            let at = pick.at % payload.len();
            let part = &payload[at..payload.len().min(at + pick.length)];
            let (first, end) = (at.saturating_sub(pick.slack), at + part.len());
            if pick.kind == 0 {
                write!(text, "byte_extract:1,{at},v{number};").unwrap();
                cursor = Some(at + 1);
                continue;
            }
            if let (1 | 2, Some(four)) = (pick.kind, payload.get(at..).and_then(|rest| rest.first_chunk())) {
                let little = if pick.nocase { ",little" } else { "" };
                let value = if pick.nocase { u32::from_le_bytes(*four) } else { u32::from_be_bytes(*four) };
                let (offset, relative) = match cursor {
                    Some(cursor) if pick.kind == 2 => (at as i64 - cursor as i64, ",relative"),
                    _ => (at as i64, ""),
                };
                write!(text, "byte_jump:4,{offset}{relative}{little},post_offset -{};", pick.slack).unwrap();
                cursor = usize::try_from(at as i64 + 4 + i64::from(value) - pick.slack as i64).ok();
                continue;
            }
            let hex: Vec<String> = part.iter().map(|byte| format!("{byte:02x}")).collect();
            write!(text, "content:\"|{}|\";", hex.join(" ")).unwrap();
            text.push_str(if pick.nocase { "nocase;" } else { "" });
            match (pick.kind, cursor) {
                (3, _) if at == 0 => text.push_str("startswith;"),
                (3..=5, _) => write!(text, "offset:{first}; depth:{};", end - first).unwrap(),
                (6, _) => write!(text, "offset:{first};").unwrap(),
                (7..=9, Some(cursor)) => {
                    write!(text, "distance:{};", first as i64 - cursor as i64).unwrap();
                    if pick.kind > 7 {
                        write!(text, "within:{};", end - first).unwrap();
                    }
                }
                (10, _) if end == payload.len() => text.push_str("endswith;"),
                (11, _) if part.len() > 3 && !text.contains("fast_pattern") => text.push_str("fast_pattern:1,2;"),
                _ => {}
            }
            cursor = Some(end);
        }
        match size {
            Some(0) => format!("{text} dsize:{};", payload.len()),
            Some(1) => format!("{text} dsize:<{};", payload.len() + 1),
            Some(_) => format!("{text} dsize:>0;"),
            None => text,
        }
    }

    /// Reads rules that nothing is wrong with; what contradicts itself is left out.
    fn rules(options: &[String]) -> Vec<Rule> {
        let lines = (1..).zip(options).map(|(sid, own)| format!("alert tcp any any -> any any ({own} sid:{sid};)\n"));
        let text: String = lines.collect();
        read(&[Source { name: "test", text: text.as_bytes() }], &Settings::default()).unwrap().rules
    }

    fn holds(rule: &Rule, buffer: Buffer<'_>) -> bool {
        let is_of_size = rule.packet.iter().all(|test| match test {
            PacketTest::Dsize(size) => size.holds(buffer.data.len() as u64),
            _ => true,
        });
        is_of_size && Tests::new(&rule.payload).hold(buffer, &mut Findings::default())
    }

    fn announced(index: &PayloadIndex, data: &[u8], offset: u64, modes: Modes) -> BTreeSet<Id> {
        let (mut ids, mut found) = (BTreeSet::new(), Found::default());
        let mut report = |id, _| {
            ids.insert(id);
        };
        index.search_floating(data, modes, &mut found, &mut report);
        index.search_placed(data, offset, modes, &mut found, &mut report);
        ids
    }

    fn payload() -> impl Strategy<Value = Vec<u8>> {
        prop::collection::vec(prop::sample::select(b"\0\0\0\x01\x02\x05abcABC.\xff".to_vec()), 1..60)
    }

    #[test]
    fn a_short_content_is_announced_by_the_number_that_leads_to_the_end() {
        let rule = "dsize:>11; content:\"|79 9c|\"; offset:8; \
                    byte_jump:4,-10,relative,little,from_beginning,post_offset -1; isdataat:!2,relative;";
        let rules = rules(&[rule.to_owned()]);
        let own = Announcement::of(&rules[0]).unwrap();
        assert_eq!(own.behind.and_then(|number| number.distance), Some(8));
        let index = PayloadIndex::new(vec![(own, 0, Modes::PACKETS)]);
        for size in [20, 79, 80, 81, 255, 256, 257, 1460, 65_000] {
            for (number, expected) in [(size - 2, false), (size - 1, false), (size, true), (size + 1, false)] {
                let mut payload = vec![b'x'; size as usize];
                payload[3..7].copy_from_slice(&u32::to_le_bytes(number));
                payload[11..13].copy_from_slice(&[0x79, 0x9c]);
                let holds = holds(&rules[0], Buffer::whole(&payload));
                let is_announced = !announced(&index, &payload, 0, Modes::PACKETS).is_empty();
                assert!(is_announced || !holds, "{number} in {size}");
                assert!(holds || !expected, "{number} in {size}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn every_rule_that_holds_is_announced(
            payload in payload(),
            drafts in prop::collection::vec((prop::collection::vec(pick(), 1..5), prop::option::of(0..3usize)), 1..8),
            gone in 0..30usize,
        ) {
            let options: Vec<String> = drafts.iter().map(|(picks, size)| options(&payload, picks, *size)).collect();
            let rules = rules(&options);
            let is_of_packets = |rule: &Rule| !rule.packet.is_empty();
            let own = (0..).zip(&rules).filter_map(|(id, rule)| {
                let modes = if is_of_packets(rule) { Modes::PACKETS } else { Modes::ALL };
                Some((Announcement::of(rule)?, id, modes))
            });
            let known: BTreeSet<Id> = own.clone().map(|(_, id, _)| id).collect();
            let index = PayloadIndex::new(own.collect());
            let in_packet = announced(&index, &payload, 0, Modes::PACKETS);
            let window = payload.get(gone..).unwrap_or_default();
            let in_stream = announced(&index, window, gone as u64, Modes::STREAM);
            let of_stream = Buffer { data: window, offset: gone as u64, little: false, open: false };
            for (id, rule) in (0..).zip(&rules).filter(|(id, _)| known.contains(id)) {
                let text = &options[rule.sid as usize - 1];
                prop_assert!(in_packet.contains(&id) || !holds(rule, Buffer::whole(&payload)), "{text} in a packet");
                prop_assert!(is_of_packets(rule) || in_stream.contains(&id) || !holds(rule, of_stream), "{text} in a stream");
            }
        }
    }
}
