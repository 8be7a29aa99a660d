//! Regular expressions of rules (PCRE's): what is regular is found by an automaton, the rest by backtracking, each within a budget of steps.

mod automaton;
mod backtrack;
mod budget;
mod syntax;
mod translate;

use std::sync::OnceLock;

use fancy_regex::internal::{FLAG_CASEI, FLAG_DOTNL, FLAG_IGNORE_SPACE, FLAG_MULTI};
use fancy_regex::{Assertion, Expr};

use crate::rule::Pcre;

use automaton::Automaton;
use backtrack::Program;
pub use budget::{Budget, GivenUp};
use translate::translate;

/// Parts that an expression may have when its counted repeats are written out.
pub const MAX_SIZE: u64 = 16_384;

/// An expression, compiled when it is first needed.
#[derive(Debug)]
pub struct Expression {
    pub pcre: Pcre,
    /// Whether what its groups match is asked for.
    captures: bool,
    engine: OnceLock<Option<Engine>>,
}

/// Where an expression matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub end: usize,
}

/// Why an expression cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It is not written as it must be, or uses what is not known.
    Unknown,
    /// It has more than [`MAX_SIZE`] parts.
    TooLarge,
}

#[derive(Debug)]
enum Engine {
    Automaton(Box<Automaton>),
    Backtracking(Box<Program>),
}

/// Checks whether an expression can be compiled, without the effort of it.
pub fn check(pcre: &Pcre) -> Result<(), Unfit> {
    let expr = parse(pcre).ok_or(Unfit::Unknown)?;
    if is_too_large(&expr) {
        return Err(Unfit::TooLarge);
    }
    if !syntax::is_regular(&expr) {
        Program::new(&expr).ok_or(Unfit::Unknown)?;
    }
    Ok(())
}

impl Expression {
    /// Takes an expression without compiling it.
    pub fn new(pcre: Pcre) -> Expression {
        Expression { captures: !pcre.captures.is_empty(), pcre, engine: OnceLock::new() }
    }

    /// Takes an expression of which the first group is what is wanted.
    pub fn of_group(pcre: Pcre) -> Expression {
        Expression { captures: true, ..Expression::new(pcre) }
    }

    /// Returns the first match in some bytes that begins at or after a position, or says that the search was given up.
    pub fn find(&self, data: &[u8], from: usize, budget: &mut Budget) -> Result<Option<Span>, GivenUp> {
        if from > data.len() || self.pcre.anchored && from > 0 {
            return Ok(None);
        }
        match self.engine() {
            Some(Engine::Automaton(automaton)) => automaton.find(data, from, budget),
            Some(Engine::Backtracking(program)) => {
                let groups = program.find(data, from, budget)?;
                Ok(groups.and_then(|groups| groups.first().copied().flatten()))
            }
            None => Ok(None),
        }
    }

    /// Returns the bytes of the first group of the first match.
    pub fn first_group<'a>(&self, data: &'a [u8]) -> Result<Option<&'a [u8]>, GivenUp> {
        let groups = self.groups(data, 0, &mut Budget::default())?;
        Ok(groups.get(1).copied().flatten().and_then(|group| data.get(group.start..group.end)))
    }

    /// Returns where the groups of the first match lie that begins at or after a position, the whole match first.
    pub fn groups(&self, data: &[u8], from: usize, budget: &mut Budget) -> Result<Vec<Option<Span>>, GivenUp> {
        match self.engine() {
            Some(Engine::Backtracking(program)) => Ok(program.find(data, from, budget)?.unwrap_or_default()),
            _ => Ok(Vec::new()),
        }
    }

    fn engine(&self) -> Option<&Engine> {
        self.engine.get_or_init(|| compile(&self.pcre, self.captures)).as_ref()
    }
}

fn compile(pcre: &Pcre, captures: bool) -> Option<Engine> {
    let expr = parse(pcre).filter(|expr| !is_too_large(expr))?;
    let hir = if captures { None } else { syntax::regular(&expr) };
    Some(match hir {
        Some(hir) => Engine::Automaton(Box::new(Automaton::new(&hir)?)),
        None => Engine::Backtracking(Box::new(Program::new(&expr)?)),
    })
}

fn is_too_large(expr: &Expr) -> bool {
    syntax::size(expr, !syntax::is_regular(expr)) > MAX_SIZE
}

fn parse(pcre: &Pcre) -> Option<Expr> {
    let pattern = translate(&pcre.pattern, pcre.multi_line, pcre.dollar_end_only);
    let pattern = if pcre.ungreedy { format!("(?U){pattern}") } else { pattern };
    let options = [
        (pcre.caseless, FLAG_CASEI),
        (pcre.multi_line, FLAG_MULTI),
        (pcre.dot_all, FLAG_DOTNL),
        (pcre.extended, FLAG_IGNORE_SPACE),
    ];
    let flags = options.iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag);
    let expr = Expr::parse_tree_with_flags(&pattern, flags).ok()?.expr;
    Some(if pcre.anchored { Expr::Concat(vec![Expr::Assertion(Assertion::StartText), expr]) } else { expr })
}

#[cfg(test)]
mod tests;
