//! Regular expressions without backtracking: an automaton whose states are worked out as data asks for them, each counted.

use std::collections::HashMap;
use std::panic::{RefUnwindSafe, UnwindSafe};

use regex_automata::hybrid::dfa::{Cache, Config, DFA};
use regex_automata::hybrid::LazyStateID;
use regex_automata::nfa::thompson::{self, WhichCaptures, NFA};
use regex_automata::util::pool::Pool;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Anchored, Input, MatchKind};
use regex_syntax::hir::{Hir, Look};

use super::budget::{Budget, GivenUp};
use super::Span;

/// Bytes of worked-out states that are kept for one expression, in each direction and by each thread.
const CACHE_SIZE: usize = 1 << 20;

/// Steps for each byte by which a state is stored, which holds a number for each state of the expression that it joins.
const STEPS_PER_BYTE: usize = 3;
/// Bytes that a state takes in the cache besides what it holds and its row of transitions.
const STATE_OVERHEAD: usize = 36;

type Caches = Pool<[Known; 2], Box<dyn Fn() -> [Known; 2] + Send + Sync + UnwindSafe + RefUnwindSafe>>;

/// The states that were worked out.
#[derive(Debug)]
struct Known {
    cache: Cache,
    /// What it costs to go on from a state, for those that are not where a search begins.
    costs: HashMap<LazyStateID, usize>,
}

/// An expression that is regular in the strict sense.
#[derive(Debug)]
pub struct Automaton {
    /// Finds where a match ends.
    forward: Walker,
    /// Finds where it began.
    backward: Walker,
    prefilter: Option<Prefilter>,
    caches: Caches,
}

/// An automaton of one direction.
#[derive(Clone, Debug)]
struct Walker {
    dfa: DFA,
    /// States of the expression: what it costs at most to work out a transition.
    states: usize,
}

impl Automaton {
    /// Builds the automaton of an expression; None if that does not fit.
    pub fn new(hir: &Hir) -> Option<Automaton> {
        let forward = Walker::new(hir, false)?;
        let backward = Walker::new(hir, true)?;
        let is_anchored = hir.properties().look_set_prefix().contains(Look::Start);
        let prefilter = Prefilter::from_hir_prefix(MatchKind::LeftmostFirst, hir);
        let prefilter = prefilter.filter(|prefilter| prefilter.is_fast() && !is_anchored);
        let dfas = [forward.dfa.clone(), backward.dfa.clone()];
        let caches: Caches = Pool::new(Box::new(move || dfas.each_ref().map(Known::new)));
        Some(Automaton { forward, backward, prefilter, caches })
    }

    /// Returns the first match that begins at or after a position.
    pub fn find(&self, data: &[u8], from: usize, budget: &mut Budget) -> Result<Option<Span>, GivenUp> {
        let skipped = self.prefilter.as_ref().map(|prefilter| prefilter.find(data, (from..data.len()).into()));
        let begin = match skipped {
            Some(None) => return Ok(None),
            Some(Some(candidate)) => candidate.start,
            None => from,
        };
        budget.spend(begin - from)?;
        let mut caches = self.caches.get();
        let [forward, backward] = &mut *caches;
        let Some(end) = self.forward.end(forward, data, begin, budget)? else { return Ok(None) };
        let start = self.backward.start(backward, data, from..end, budget)?;
        Ok(Some(Span { start, end }))
    }
}

impl Known {
    fn new(dfa: &DFA) -> Known {
        Known { cache: dfa.create_cache(), costs: HashMap::new() }
    }
}

impl Walker {
    fn new(hir: &Hir, is_reverse: bool) -> Option<Walker> {
        let config = thompson::Config::new().utf8(false).reverse(is_reverse).which_captures(WhichCaptures::None);
        let nfa: NFA = thompson::Compiler::new().configure(config).build_from_hir(hir).ok()?;
        let states = nfa.states().len();
        let kind = if is_reverse { MatchKind::All } else { MatchKind::LeftmostFirst };
        let config = Config::new().match_kind(kind).cache_capacity(CACHE_SIZE).skip_cache_capacity_check(true);
        let dfa = DFA::builder().configure(config).build_from_nfa(nfa).ok()?;
        Some(Walker { dfa, states })
    }

    /// Returns where the first match at or after a position ends.
    fn end(&self, known: &mut Known, data: &[u8], from: usize, budget: &mut Budget) -> Result<Option<usize>, GivenUp> {
        let input = Input::new(data).range(from..);
        let state = self.dfa.start_state_forward(&mut known.cache, &input).map_err(|_| budget.give_up())?;
        let searched = data.get(from..).unwrap_or_default();
        let read = self.walk(known, state, searched.iter(), None, budget)?;
        Ok(read.map(|read| from + read))
    }

    /// Returns where a match begins that ends where a range does.
    fn start(
        &self,
        known: &mut Known,
        data: &[u8],
        range: std::ops::Range<usize>,
        budget: &mut Budget,
    ) -> Result<usize, GivenUp> {
        let input = Input::new(data).range(range.clone()).anchored(Anchored::Yes);
        let state = self.dfa.start_state_reverse(&mut known.cache, &input).map_err(|_| budget.give_up())?;
        let searched = data.get(range.clone()).unwrap_or_default();
        let before = range.start.checked_sub(1).and_then(|before| data.get(before));
        let read = self.walk(known, state, searched.iter().rev(), before.copied(), budget)?;
        Ok(range.end - read.unwrap_or(0))
    }

    /// Goes over bytes, and then the one behind them; returns how many of them the last match took.
    fn walk<'d>(
        &self,
        known: &mut Known,
        mut state: LazyStateID,
        bytes: impl Iterator<Item = &'d u8>,
        behind: Option<u8>,
        budget: &mut Budget,
    ) -> Result<Option<usize>, GivenUp> {
        let (mut read, mut found) = (0, None);
        let mut looped = Looped::default();
        for byte in bytes {
            state = self.step(known, state, *byte, &mut looped, budget)?;
            // A match shows one byte late.
            if state.is_tagged() {
                if state.is_match() {
                    found = Some(read);
                } else if state.is_dead() {
                    budget.spend(read)?;
                    return Ok(found);
                }
            }
            read += 1;
        }
        budget.spend(read + self.states)?;
        let last = match behind {
            Some(byte) => self.dfa.next_state(&mut known.cache, state, byte),
            None => self.dfa.next_eoi_state(&mut known.cache, state),
        };
        Ok(if last.map_err(|_| budget.give_up())?.is_match() { Some(read) } else { found })
    }

    /// Goes on by one byte; a transition that is not known yet is worked out and paid for.
    #[inline]
    fn step(
        &self,
        known: &mut Known,
        state: LazyStateID,
        byte: u8,
        looped: &mut Looped,
        budget: &mut Budget,
    ) -> Result<LazyStateID, GivenUp> {
        let is_known = if state.is_tagged() {
            looped.has_been(state, byte)
        } else {
            let next = self.dfa.next_state_untagged(&known.cache, state, byte);
            if !next.is_unknown() {
                return Ok(next);
            }
            false
        };
        if is_known {
            return self.dfa.next_state(&mut known.cache, state, byte).map_err(|_| budget.give_up());
        }
        self.work_out(known, state, byte, budget)
    }

    /// Works out a transition; it costs as much as the states on both sides hold.
    #[cold]
    fn work_out(
        &self,
        known: &mut Known,
        state: LazyStateID,
        byte: u8,
        budget: &mut Budget,
    ) -> Result<LazyStateID, GivenUp> {
        let most = STEPS_PER_BYTE * self.states;
        budget.spend(known.costs.get(&state).copied().unwrap_or(most))?;
        let before = known.cache.memory_usage();
        let next = self.dfa.next_state(&mut known.cache, state, byte).map_err(|_| budget.give_up())?;
        let grown = known.cache.memory_usage().saturating_sub(before);
        if grown > 0 {
            let row = (1 << self.dfa.byte_classes().stride2()) * size_of::<LazyStateID>();
            let cost = STEPS_PER_BYTE * grown.saturating_sub(row + STATE_OVERHEAD);
            budget.spend(cost)?;
            known.costs.insert(next, cost);
        }
        Ok(next)
    }
}

/// The bytes that have led on from the matching state that was last met, whose transitions cannot be asked for.
struct Looped {
    state: Option<LazyStateID>,
    bytes: [bool; 256],
}

impl Default for Looped {
    fn default() -> Looped {
        Looped { state: None, bytes: [false; 256] }
    }
}

impl Looped {
    /// Tells whether a byte has led on from a state before, and notes that it does.
    fn has_been(&mut self, state: LazyStateID, byte: u8) -> bool {
        if self.state != Some(state) {
            *self = Looped { state: Some(state), ..Looped::default() };
        }
        std::mem::replace(&mut self.bytes[usize::from(byte)], true)
    }
}
