//! Regular expressions with backreferences, assertions and groups that are asked for: a backtracking search, each step counted.

use fancy_regex::{Expr, LookAround};
use regex_syntax::hir::{ClassBytes, Look};

use super::budget::{Budget, GivenUp};
use super::{syntax, Span};

/// Choices that a search may have open at once, which bounds its memory.
const MAX_OPEN: usize = 1 << 19;
/// Bytes of a run that cost as much as an instruction.
const RUN_PER_STEP: usize = 4;
/// Instructions of a program.
const MAX_INSTRUCTIONS: usize = 1 << 17;

/// The place of an instruction.
type Address = usize;
/// The place of a value that is taken back with the choices made after it was set.
type Slot = usize;

/// An expression as instructions.
#[derive(Debug)]
pub struct Program {
    code: Vec<Instruction>,
    groups: usize,
    slots: usize,
    /// The bytes that a match may begin with; none if it may be empty, or that is not known.
    first: Option<Box<Set>>,
    /// Whether a match begins where the data does.
    is_anchored: bool,
}

#[derive(Debug)]
enum Instruction {
    One(Box<Set>),
    /// One byte after the other of a class, as many as there are or as few as will do.
    Run {
        set: Box<Set>,
        least: usize,
        most: usize,
        greedy: bool,
    },
    Look(Look),
    /// Where the search was told to begin (`\G`).
    Begins,
    Jump(Address),
    /// Goes on at the first address, and if that fails at the second one.
    Split(Address, Address),
    /// Notes the position.
    Mark(Slot),
    /// Goes on at an address if the position is not the one noted: a repeat of nothing ends.
    Repeat(Slot, Address),
    /// Goes back to the position noted.
    Return(Slot),
    /// Notes how many choices are open.
    Open(Slot),
    /// Forgets the choices that were opened since.
    Commit(Slot),
    /// Forgets them and fails.
    Fail(Slot),
    /// Steps back by some bytes.
    Back(usize),
    Backreference {
        group: usize,
        caseless: bool,
    },
    /// Goes on at an address if a group has not matched.
    Unless(usize, Address),
    Match,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Set([bool; 256]);

impl Set {
    fn new(class: &ClassBytes) -> Set {
        let mut set = Set([false; 256]);
        for range in class.ranges() {
            (range.start()..=range.end()).for_each(|byte| set.0[usize::from(byte)] = true);
        }
        set
    }

    #[inline]
    fn has(&self, byte: u8) -> bool {
        self.0[usize::from(byte)]
    }
}

impl Program {
    /// Compiles an expression; None if it uses what is not known.
    pub fn new(expr: &Expr) -> Option<Program> {
        let groups = 1 + count_groups(expr);
        let mut compiler = Compiler { code: Vec::new(), slots: 2 * groups, groups, group: 0 };
        compiler.group(expr)?;
        compiler.code.push(Instruction::Match);
        let Compiler { code, slots, .. } = compiler;
        let is_anchored = matches!(code.get(1), Some(Instruction::Look(Look::Start)));
        let first = first_bytes(&code).map(Box::new);
        Some(Program { code, groups, slots, first, is_anchored })
    }

    /// Returns the groups of the first match that begins at or after a position, the whole match first.
    pub fn find(&self, data: &[u8], from: usize, budget: &mut Budget) -> Result<Option<Vec<Option<Span>>>, GivenUp> {
        budget.spend(self.slots)?;
        let mut search =
            Search { code: &self.code, data, from, slots: vec![None; self.slots], open: Vec::new(), budget };
        let last = if self.is_anchored { 0 } else { data.len() };
        for start in from..=last {
            search.budget.spend(1)?;
            let may_begin = match &self.first {
                Some(first) => data.get(start).is_some_and(|byte| first.has(*byte)),
                None => true,
            };
            if may_begin && search.matches(start)? {
                let slot = |slot: usize| search.slots.get(slot).copied().flatten();
                let group = |number: usize| Some(Span { start: slot(2 * number)?, end: slot(2 * number + 1)? });
                return Ok(Some((0..self.groups).map(group).collect()));
            }
        }
        Ok(None)
    }
}

fn count_groups(expr: &Expr) -> usize {
    usize::from(matches!(expr, Expr::Group(_))) + expr.children_iter().map(count_groups).sum::<usize>()
}

/// Returns the bytes one of which each match begins with; a superset of them.
fn first_bytes(code: &[Instruction]) -> Option<Set> {
    let mut first = Set([false; 256]);
    let mut seen = vec![false; code.len()];
    let mut ahead = vec![0];
    while let Some(at) = ahead.pop() {
        if std::mem::replace(seen.get_mut(at)?, true) {
            continue;
        }
        let mut add = |set: &Set| first.0.iter_mut().zip(set.0).for_each(|(has, more)| *has |= more);
        match code.get(at)? {
            Instruction::One(set) => add(set),
            Instruction::Run { set, least, .. } => {
                add(set);
                if *least == 0 {
                    ahead.push(at + 1);
                }
            }
            Instruction::Jump(to) => ahead.push(*to),
            Instruction::Split(one, other) => ahead.extend([*one, *other]),
            Instruction::Repeat(_, to) | Instruction::Unless(_, to) => ahead.extend([at + 1, *to]),
            Instruction::Fail(_) => {}
            Instruction::Back(_) | Instruction::Backreference { .. } | Instruction::Match => return None,
            _ => ahead.push(at + 1),
        }
    }
    Some(first)
}

struct Compiler {
    code: Vec<Instruction>,
    slots: usize,
    groups: usize,
    /// The number of the next group.
    group: usize,
}

impl Compiler {
    fn slot(&mut self) -> Slot {
        self.slots += 1;
        self.slots - 1
    }

    /// Leaves room for an instruction that needs an address from further on.
    fn reserve(&mut self) -> Address {
        self.code.push(Instruction::Match);
        self.code.len() - 1
    }

    fn set(&mut self, at: Address, instruction: Instruction) {
        if let Some(place) = self.code.get_mut(at) {
            *place = instruction;
        }
    }

    fn group(&mut self, inner: &Expr) -> Option<()> {
        let number = self.group;
        self.group += 1;
        self.code.push(Instruction::Mark(2 * number));
        self.expr(inner)?;
        self.code.push(Instruction::Mark(2 * number + 1));
        Some(())
    }

    fn expr(&mut self, expr: &Expr) -> Option<()> {
        if self.code.len() > MAX_INSTRUCTIONS {
            return None;
        }
        if let Some(class) = syntax::class(expr) {
            self.code.push(Instruction::One(Box::new(Set::new(&class))));
            return Some(());
        }
        match expr {
            Expr::Empty => {}
            Expr::Assertion(assertion) => self.code.push(Instruction::Look(syntax::look(assertion)?)),
            Expr::Literal { val, casei } => self.bytes(val.as_bytes(), *casei),
            Expr::LiteralBytes { bytes } => self.bytes(bytes, false),
            Expr::Concat(parts) => return parts.iter().try_for_each(|part| self.expr(part)),
            Expr::Alt(parts) => return self.alternatives(parts, Compiler::expr),
            Expr::Group(inner) => return self.group(inner),
            Expr::Repeat { child, lo, hi, greedy } => return self.repeat(child, *lo, *hi, *greedy),
            Expr::LookAround(inner, kind) => return self.look_around(inner, *kind),
            Expr::AtomicGroup(inner) => {
                let opened = self.slot();
                self.code.push(Instruction::Open(opened));
                self.expr(inner)?;
                self.code.push(Instruction::Commit(opened));
            }
            Expr::Backref { group, casei } if *group < self.groups => {
                self.code.push(Instruction::Backreference { group: *group, caseless: *casei })
            }
            Expr::KeepOut => self.code.push(Instruction::Mark(0)),
            Expr::ContinueFromPreviousMatchEnd => self.code.push(Instruction::Begins),
            Expr::Conditional { condition, true_branch, false_branch } => {
                let Expr::BackrefExistsCondition { group, relative_recursion_level: None } = &**condition else {
                    return None;
                };
                let unless = self.reserve();
                self.expr(true_branch)?;
                let out = self.reserve();
                self.set(unless, Instruction::Unless(*group, self.code.len()));
                self.expr(false_branch)?;
                self.set(out, Instruction::Jump(self.code.len()));
            }
            _ => return None,
        }
        Some(())
    }

    fn bytes(&mut self, bytes: &[u8], caseless: bool) {
        let sets = bytes.iter().map(|byte| Set::new(&syntax::byte_class(*byte, caseless)));
        self.code.extend(sets.map(|set| Instruction::One(Box::new(set))));
    }

    fn alternatives(&mut self, parts: &[Expr], each: impl Fn(&mut Compiler, &Expr) -> Option<()>) -> Option<()> {
        let mut ends = Vec::new();
        let Some((last, others)) = parts.split_last() else { return Some(()) };
        for part in others {
            let split = self.reserve();
            each(self, part)?;
            ends.push(self.reserve());
            self.set(split, Instruction::Split(split + 1, self.code.len()));
        }
        each(self, last)?;
        let end = self.code.len();
        ends.into_iter().for_each(|jump| self.set(jump, Instruction::Jump(end)));
        Some(())
    }

    fn repeat(&mut self, child: &Expr, least: usize, most: usize, greedy: bool) -> Option<()> {
        if let Some(class) = syntax::class(child) {
            self.code.push(Instruction::Run { set: Box::new(Set::new(&class)), least, most, greedy });
            return Some(());
        }
        // Each copy holds the same groups.
        let group = self.group;
        for _ in 0..least {
            self.group = group;
            self.expr(child)?;
        }
        let mut splits = Vec::new();
        let further = if most == usize::MAX { 1 } else { most - least };
        for _ in 0..further {
            self.group = group;
            let split = self.reserve();
            splits.push(split);
            let begun = self.slot();
            self.code.push(Instruction::Mark(begun));
            self.expr(child)?;
            if most == usize::MAX {
                self.code.push(Instruction::Repeat(begun, split));
            }
        }
        let end = self.code.len();
        for split in splits {
            let (one, other) = if greedy { (split + 1, end) } else { (end, split + 1) };
            self.set(split, Instruction::Split(one, other));
        }
        self.group = group + count_groups(child);
        Some(())
    }

    fn look_around(&mut self, inner: &Expr, kind: LookAround) -> Option<()> {
        let (opened, begun) = (self.slot(), self.slot());
        let is_negative = matches!(kind, LookAround::LookAheadNeg | LookAround::LookBehindNeg);
        self.code.push(Instruction::Open(opened));
        self.code.push(Instruction::Mark(begun));
        let split = is_negative.then(|| self.reserve());
        match kind {
            LookAround::LookAhead | LookAround::LookAheadNeg => self.expr(inner)?,
            LookAround::LookBehind | LookAround::LookBehindNeg => self.behind(inner)?,
        }
        match split {
            Some(split) => {
                self.code.push(Instruction::Fail(opened));
                self.set(split, Instruction::Split(split + 1, self.code.len()));
            }
            None => self.code.extend([Instruction::Commit(opened), Instruction::Return(begun)]),
        }
        Some(())
    }

    /// Compiles what must lie before the position: alternatives of which each has one width, as in PCRE.
    fn behind(&mut self, inner: &Expr) -> Option<()> {
        match inner {
            Expr::Alt(parts) => self.alternatives(parts, Compiler::behind),
            _ => {
                self.code.push(Instruction::Back(syntax::width(inner)?));
                self.expr(inner)
            }
        }
    }
}

/// What a search comes back to when it cannot go on.
enum Choice {
    /// To go on elsewhere.
    Other { at: Address, position: usize },
    /// To give back a byte of a run, down to its least.
    Shorter { at: Address, least: usize, position: usize },
    /// To take one more byte into a run, up to its most.
    Longer { at: Address, most: usize, position: usize },
    /// To put a slot back.
    Slot { slot: Slot, value: Option<usize> },
}

struct Search<'a> {
    code: &'a [Instruction],
    data: &'a [u8],
    from: usize,
    slots: Vec<Option<usize>>,
    open: Vec<Choice>,
    budget: &'a mut Budget,
}

impl Search<'_> {
    /// Tells whether there is a match at a position; if not, all that was noted has been taken back.
    fn matches(&mut self, start: usize) -> Result<bool, GivenUp> {
        let mut next = Some((0, start));
        while let Some((at, position)) = next {
            self.budget.spend(1)?;
            if self.open.len() > MAX_OPEN {
                return Err(self.budget.give_up());
            }
            let Some(instruction) = self.code.get(at) else { return Ok(false) };
            if matches!(instruction, Instruction::Match) {
                return Ok(true);
            }
            next = match self.step(instruction, at, position)? {
                Some(next) => Some(next),
                None => self.go_back()?,
            };
        }
        Ok(false)
    }

    /// Runs an instruction; returns the next one and its position, or None where it fails.
    fn step(
        &mut self,
        instruction: &Instruction,
        at: Address,
        position: usize,
    ) -> Result<Option<(Address, usize)>, GivenUp> {
        let next = at + 1;
        Ok(match instruction {
            Instruction::One(set) => self.is_in(set, position).then_some((next, position + 1)),
            Instruction::Run { set, least, most, greedy } => {
                return self.run(set, *least, *most, *greedy, (next, position))
            }
            Instruction::Look(look) => self.sees(*look, position).then_some((next, position)),
            Instruction::Begins => (position == self.from).then_some((next, position)),
            Instruction::Jump(to) => Some((*to, position)),
            Instruction::Split(one, other) => {
                self.open.push(Choice::Other { at: *other, position });
                Some((*one, position))
            }
            Instruction::Mark(slot) => {
                self.put(*slot, position);
                Some((next, position))
            }
            Instruction::Repeat(slot, to) => {
                let has_moved = self.get(*slot) != Some(position);
                Some((if has_moved { *to } else { next }, position))
            }
            Instruction::Return(slot) => self.get(*slot).map(|position| (next, position)),
            Instruction::Open(slot) => {
                self.put(*slot, self.open.len());
                Some((next, position))
            }
            Instruction::Commit(slot) => {
                self.commit(self.get(*slot).unwrap_or(0))?;
                Some((next, position))
            }
            Instruction::Fail(slot) => {
                self.undo(self.get(*slot).unwrap_or(0))?;
                None
            }
            Instruction::Back(width) => position.checked_sub(*width).map(|position| (next, position)),
            Instruction::Backreference { group, caseless } => {
                self.refer(*group, *caseless, position)?.map(|position| (next, position))
            }
            Instruction::Unless(group, to) => {
                let has_matched = self.get(2 * group + 1).is_some();
                Some((if has_matched { next } else { *to }, position))
            }
            Instruction::Match => None,
        })
    }

    #[inline]
    fn is_in(&self, set: &Set, position: usize) -> bool {
        self.data.get(position).is_some_and(|byte| set.has(*byte))
    }

    fn run(
        &mut self,
        set: &Set,
        least: usize,
        most: usize,
        greedy: bool,
        (next, position): (Address, usize),
    ) -> Result<Option<(Address, usize)>, GivenUp> {
        let wanted = if greedy { most } else { least };
        let rest = self.data.get(position..).unwrap_or_default();
        let count = rest.iter().take(wanted).take_while(|byte| set.has(**byte)).count();
        self.budget.spend(count / RUN_PER_STEP)?;
        if count < least {
            return Ok(None);
        }
        let end = position + count;
        if greedy && count > least {
            self.open.push(Choice::Shorter { at: next, least: position + least, position: end });
        }
        if !greedy && least < most {
            self.open.push(Choice::Longer { at: next, most: position.saturating_add(most), position: end });
        }
        Ok(Some((next, end)))
    }

    fn sees(&self, look: Look, position: usize) -> bool {
        let before = position.checked_sub(1).and_then(|before| self.data.get(before).copied());
        let here = self.data.get(position).copied();
        let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        match look {
            Look::Start => before.is_none(),
            Look::End => here.is_none(),
            Look::StartLF => before.is_none_or(|byte| byte == b'\n'),
            Look::EndLF => here.is_none_or(|byte| byte == b'\n'),
            Look::WordAscii => is_word(before) != is_word(here),
            Look::WordAsciiNegate => is_word(before) == is_word(here),
            _ => false,
        }
    }

    fn refer(&mut self, group: usize, caseless: bool, position: usize) -> Result<Option<usize>, GivenUp> {
        let Some((start, end)) = self.get(2 * group).zip(self.get(2 * group + 1)) else { return Ok(None) };
        let Some(text) = self.data.get(start..end) else { return Ok(None) };
        let Some(here) = self.data.get(position..position + text.len()) else { return Ok(None) };
        self.budget.spend(text.len() / RUN_PER_STEP)?;
        let is_same = if caseless { here.eq_ignore_ascii_case(text) } else { here == text };
        Ok(is_same.then_some(position + text.len()))
    }

    #[inline]
    fn get(&self, slot: Slot) -> Option<usize> {
        self.slots.get(slot).copied().flatten()
    }

    fn put(&mut self, slot: Slot, value: usize) {
        if let Some(place) = self.slots.get_mut(slot) {
            self.open.push(Choice::Slot { slot, value: place.replace(value) });
        }
    }

    fn restore(&mut self, slot: Slot, value: Option<usize>) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = value;
        }
    }

    /// Forgets the choices above a height, but not what is to be put back.
    fn commit(&mut self, height: usize) -> Result<(), GivenUp> {
        self.budget.spend(self.open.len().saturating_sub(height))?;
        let above = self.open.split_off(height.min(self.open.len()));
        self.open.extend(above.into_iter().filter(|choice| matches!(choice, Choice::Slot { .. })));
        Ok(())
    }

    /// Forgets the choices above a height and puts back what was set since.
    fn undo(&mut self, height: usize) -> Result<(), GivenUp> {
        self.budget.spend(self.open.len().saturating_sub(height))?;
        while self.open.len() > height {
            if let Some(Choice::Slot { slot, value }) = self.open.pop() {
                self.restore(slot, value);
            }
        }
        Ok(())
    }

    /// Takes the last choice again, and the other way.
    fn go_back(&mut self) -> Result<Option<(Address, usize)>, GivenUp> {
        while let Some(choice) = self.open.pop() {
            self.budget.spend(1)?;
            match choice {
                Choice::Slot { slot, value } => self.restore(slot, value),
                Choice::Other { at, position } => return Ok(Some((at, position))),
                Choice::Shorter { at, least, position } => {
                    let position = position - 1;
                    if position > least {
                        self.open.push(Choice::Shorter { at, least, position });
                    }
                    return Ok(Some((at, position)));
                }
                Choice::Longer { at, most, position } => {
                    let set = at.checked_sub(1).and_then(|run| self.code.get(run));
                    let Some(Instruction::Run { set, .. }) = set else { continue };
                    if !self.is_in(set, position) {
                        continue;
                    }
                    let position = position + 1;
                    if position < most {
                        self.open.push(Choice::Longer { at, most, position });
                    }
                    return Ok(Some((at, position)));
                }
            }
        }
        Ok(None)
    }
}
