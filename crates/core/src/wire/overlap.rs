//! Bytes that come more than once and differ: which copy each kind of receiver keeps.
//!
//! The kinds are those of Novak, "Target-Based Fragmentation Reassembly" (2005), and of Novak and Sturges,
//! "Target-Based TCP Stream Reassembly" (2007).

use std::ops::Range;

/// How a receiver chooses between copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    First,
    Last,
    /// The piece that begins earlier.
    Bsd,
    /// One that begins earlier and ends later.
    Windows,
    /// One that ends later or at the same place.
    BsdRight,
    /// One that begins earlier, or at the same place and ends later.
    Linux,
}

/// Every kind of receiver.
pub const POLICIES: [Policy; 6] =
    [Policy::First, Policy::Last, Policy::Bsd, Policy::Windows, Policy::BsdRight, Policy::Linux];

impl Policy {
    /// Tells whether a piece that comes later replaces the bytes of an earlier one.
    pub fn replaces(self, new: &Range<u64>, old: &Range<u64>) -> bool {
        match self {
            Policy::First => false,
            Policy::Last => true,
            Policy::Bsd => new.start < old.start,
            Policy::Windows => new.start < old.start && new.end > old.end,
            Policy::BsdRight => new.end >= old.end,
            Policy::Linux => new.start < old.start || new.start == old.start && new.end > old.end,
        }
    }
}

/// Puts pieces, in the order in which they came, into one stretch of bytes; `place` says where each lies.
///
/// What no piece covers is zero.
pub fn assemble<'a, P: Clone>(
    stretch: Range<u64>,
    pieces: impl Iterator<Item = (P, &'a [u8])>,
    place: impl Fn(&P) -> Range<u64>,
    replaces: impl Fn(&P, &P) -> bool,
) -> Vec<u8> {
    let length = usize::try_from(stretch.end.saturating_sub(stretch.start)).unwrap_or(0);
    let mut bytes = vec![0; length];
    let mut owners: Vec<Option<P>> = vec![None; length];
    for (piece, data) in pieces {
        let start = place(&piece).start;
        let skipped = usize::try_from(stretch.start.saturating_sub(start)).unwrap_or(usize::MAX);
        let from = usize::try_from(start.saturating_sub(stretch.start)).unwrap_or(usize::MAX);
        let places = bytes.iter_mut().zip(&mut owners).skip(from);
        for ((byte, owner), new) in places.zip(data.get(skipped..).unwrap_or_default()) {
            if owner.as_ref().is_none_or(|old| replaces(&piece, old)) {
                (*byte, *owner) = (*new, Some(piece.clone()));
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(policy: Policy, pieces: &[(u64, &str)]) -> String {
        let end = pieces.iter().map(|(start, text)| start + text.len() as u64).max().unwrap_or(0);
        let pieces = pieces.iter().map(|(start, text)| (*start..start + text.len() as u64, text.as_bytes()));
        let bytes = assemble(0..end, pieces, Range::clone, |new, old| policy.replaces(new, old));
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn each_receiver_has_its_own_view() {
        let pieces = [(0, "aa"), (2, "bbb"), (1, "CCC"), (2, "DDD"), (1, "EEEEE")];
        for (policy, expected) in [
            (Policy::First, "aabbbE"),
            (Policy::Last, "aEEEEE"),
            (Policy::Bsd, "aaCCEE"),
            (Policy::Windows, "aaEEEE"),
            (Policy::BsdRight, "aEEEEE"),
            (Policy::Linux, "aaEEEE"),
        ] {
            assert_eq!(seen(policy, &pieces), expected, "{policy:?}");
        }
    }
}
