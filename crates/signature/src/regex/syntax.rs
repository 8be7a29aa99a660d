//! What an expression consists of, how large it is, and whether an automaton can find it.

use fancy_regex::{Assertion, Expr};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, Dot, Hir, HirKind, Look, Repetition};

/// Returns the bytes of which an expression stands for one, if it is such an expression.
pub fn class(expr: &Expr) -> Option<ClassBytes> {
    match expr {
        Expr::Any { newline, crlf: false } => {
            let dot = if *newline { Dot::AnyByte } else { Dot::AnyByteExceptLF };
            into_class(Hir::dot(dot))
        }
        Expr::Literal { val, casei } if val.len() == 1 => val.bytes().next().map(|byte| byte_class(byte, *casei)),
        Expr::LiteralBytes { bytes } if bytes.len() == 1 => bytes.first().map(|byte| byte_class(*byte, false)),
        Expr::Delegate { inner, casei } => {
            let mut parser = regex_syntax::ParserBuilder::new();
            let hir = parser.utf8(false).unicode(false).case_insensitive(*casei).build().parse(inner);
            into_class(hir.ok()?)
        }
        _ => None,
    }
}

/// Tells whether an expression stands for one byte of a class.
fn is_class(expr: &Expr) -> bool {
    match expr {
        Expr::Any { crlf, .. } => !crlf,
        Expr::Literal { val, .. } => val.len() == 1,
        Expr::LiteralBytes { bytes } => bytes.len() == 1,
        _ => matches!(expr, Expr::Delegate { .. }),
    }
}

fn into_class(hir: Hir) -> Option<ClassBytes> {
    match hir.into_kind() {
        HirKind::Class(Class::Bytes(class)) => Some(class),
        HirKind::Class(Class::Unicode(class)) => class.to_byte_class(),
        HirKind::Literal(literal) if literal.0.len() == 1 => literal.0.first().map(|byte| byte_class(*byte, false)),
        _ => None,
    }
}

/// Returns the class of one byte, or of the letter in either case.
pub fn byte_class(byte: u8, caseless: bool) -> ClassBytes {
    let mut class = ClassBytes::new([ClassBytesRange::new(byte, byte)]);
    if caseless {
        class.case_fold_simple();
    }
    class
}

/// Returns an expression without backreferences and the like in the form from which automata are built.
pub fn regular(expr: &Expr) -> Option<Hir> {
    if let Some(class) = class(expr) {
        return Some(Hir::class(Class::Bytes(class)));
    }
    Some(match expr {
        Expr::Empty => Hir::empty(),
        Expr::Assertion(assertion) => Hir::look(look(assertion)?),
        Expr::Literal { val, casei: true } => {
            Hir::concat(val.bytes().map(|byte| Hir::class(Class::Bytes(byte_class(byte, true)))).collect())
        }
        Expr::Literal { val, casei: false } => Hir::literal(val.as_bytes()),
        Expr::LiteralBytes { bytes } => Hir::literal(bytes.as_slice()),
        Expr::Concat(parts) => Hir::concat(parts.iter().map(regular).collect::<Option<_>>()?),
        Expr::Alt(parts) => Hir::alternation(parts.iter().map(regular).collect::<Option<_>>()?),
        Expr::Group(inner) => regular(inner)?,
        Expr::Repeat { child, lo, hi, greedy } => Hir::repetition(Repetition {
            min: u32::try_from(*lo).ok()?,
            max: if *hi == usize::MAX { None } else { Some(u32::try_from(*hi).ok()?) },
            greedy: *greedy,
            sub: Box::new(regular(child)?),
        }),
        _ => return None,
    })
}

/// Returns what an assertion looks at, if it is one of PCRE's.
pub fn look(assertion: &Assertion) -> Option<Look> {
    Some(match assertion {
        Assertion::StartText => Look::Start,
        Assertion::EndText => Look::End,
        Assertion::StartLine { crlf: false } => Look::StartLF,
        Assertion::EndLine { crlf: false } => Look::EndLF,
        Assertion::WordBoundary => Look::WordAscii,
        Assertion::NotWordBoundary => Look::WordAsciiNegate,
        _ => return None,
    })
}

/// Tells whether an expression is without backreferences and the like, so that an automaton can find it.
pub fn is_regular(expr: &Expr) -> bool {
    match expr {
        Expr::Assertion(assertion) => look(assertion).is_some(),
        Expr::Concat(_) | Expr::Alt(_) | Expr::Group(_) | Expr::Repeat { .. } => expr.children_iter().all(is_regular),
        _ => matches!(expr, Expr::Empty | Expr::Literal { .. } | Expr::LiteralBytes { .. }) || is_class(expr),
    }
}

/// Counts the parts of an expression with its counted repeats written out, but for those that a search counts itself.
pub fn size(expr: &Expr, counts: bool) -> u64 {
    let of_all = |parts: &[Expr]| parts.iter().fold(0, |sum: u64, part| sum.saturating_add(size(part, counts)));
    match expr {
        Expr::Literal { val, .. } => val.len() as u64,
        Expr::LiteralBytes { bytes } => bytes.len() as u64,
        Expr::Concat(parts) => of_all(parts),
        Expr::Alt(parts) => of_all(parts).saturating_add(parts.len() as u64),
        Expr::Repeat { child, .. } if counts && is_class(child) => 1,
        Expr::Repeat { child, lo, hi, .. } => {
            // What may follow the least comes with a choice each.
            let optional = if *hi == usize::MAX { 1 } else { hi.saturating_sub(*lo) as u64 };
            size(child, counts).saturating_mul(optional.saturating_add(*lo as u64)).saturating_add(optional)
        }
        _ => expr.children_iter().fold(1, |sum: u64, part| sum.saturating_add(size(part, counts))),
    }
}

/// Returns how many bytes an expression takes, if that is always the same.
pub fn width(expr: &Expr) -> Option<usize> {
    if class(expr).is_some() {
        return Some(1);
    }
    match expr {
        Expr::Empty | Expr::Assertion(_) | Expr::LookAround(..) | Expr::KeepOut => Some(0),
        Expr::Literal { val, .. } => Some(val.len()),
        Expr::LiteralBytes { bytes } => Some(bytes.len()),
        Expr::Concat(parts) => parts.iter().try_fold(0, |sum: usize, part| sum.checked_add(width(part)?)),
        Expr::Alt(parts) => {
            let mut widths = parts.iter().map(width);
            let first = widths.next()??;
            widths.all(|width| width == Some(first)).then_some(first)
        }
        Expr::Group(inner) => width(inner),
        Expr::AtomicGroup(inner) => width(inner),
        Expr::Repeat { child, lo, hi, .. } if lo == hi => width(child)?.checked_mul(*lo),
        _ => None,
    }
}
