//! Which of many rules about addresses a pair of addresses can concern.

use std::collections::BTreeSet;

use crate::rule::{Addresses, Header};

use super::compile::Id;

/// Rules by the addresses that they name.
#[derive(Debug, Default)]
pub struct Intervals {
    sources: Axis,
    destinations: Axis,
    /// Rules for any address.
    any: Vec<Id>,
}

/// The line of all addresses, cut where the set of rules changes.
#[derive(Debug, Default)]
struct Axis {
    starts: Vec<u128>,
    /// Ranges of `ids`, one for each start.
    ranges: Vec<(u32, u32)>,
    ids: Vec<Id>,
}

impl Intervals {
    /// Sorts rules by the side on which they name fewer addresses.
    pub fn new<'a>(headers: impl Iterator<Item = (Id, &'a Header)>) -> Intervals {
        let (mut sources, mut destinations, mut any) = (Vec::new(), Vec::new(), Vec::new());
        for (id, header) in headers {
            if header.bidirectional {
                any.push(id);
                continue;
            }
            match (covered(&header.source), covered(&header.destination)) {
                (None, None) => any.push(id),
                (Some(source), destination) if destination.is_none_or(|destination| source <= destination) => {
                    sources.extend(ranges(&header.source).iter().map(|range| (*range, id)));
                }
                _ => destinations.extend(ranges(&header.destination).iter().map(|range| (*range, id))),
            }
        }
        Intervals { sources: Axis::new(&sources), destinations: Axis::new(&destinations), any }
    }

    /// Calls `report` with each rule that may concern a pair of addresses.
    #[inline]
    pub fn find(&self, source: u128, destination: u128, mut report: impl FnMut(Id)) {
        let of_source = self.sources.at(source).iter();
        let of_destination = self.destinations.at(destination).iter();
        of_source.chain(of_destination).chain(&self.any).for_each(|id| report(*id));
    }
}

fn ranges(addresses: &Addresses) -> &[(u128, u128)] {
    addresses.ranges.as_deref().unwrap_or_default()
}

/// Returns how many addresses are named, or None for any.
fn covered(addresses: &Addresses) -> Option<u128> {
    let ranges = addresses.ranges.as_deref()?;
    Some(ranges.iter().fold(0u128, |sum, (first, last)| sum.saturating_add((last - first).saturating_add(1))))
}

impl Axis {
    fn new(ranges: &[((u128, u128), Id)]) -> Axis {
        let mut edges: Vec<(u128, bool, Id)> = Vec::with_capacity(ranges.len() * 2);
        for ((first, last), id) in ranges {
            edges.push((*first, true, *id));
            if let Some(after) = last.checked_add(1) {
                edges.push((after, false, *id));
            }
        }
        edges.sort_unstable();
        let mut axis = Axis::default();
        let mut open: BTreeSet<Id> = BTreeSet::new();
        for run in edges.chunk_by(|one, next| one.0 == next.0) {
            for (_, opens, id) in run {
                if *opens {
                    open.insert(*id);
                } else {
                    open.remove(id);
                }
            }
            // A rule whose next range begins where its last one ends is closed above and opened here.
            open.extend(run.iter().filter(|(_, opens, _)| *opens).map(|(_, _, id)| *id));
            let first = axis.ids.len() as u32;
            axis.ids.extend(&open);
            axis.starts.extend(run.first().map(|(at, ..)| *at));
            axis.ranges.push((first, axis.ids.len() as u32));
        }
        axis
    }

    #[inline]
    fn at(&self, address: u128) -> &[Id] {
        let after = self.starts.partition_point(|start| *start <= address);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.and_then(|(first, last)| self.ids.get(*first as usize..*last as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn finds_what_a_look_at_every_range_finds(
            ranges in proptest::collection::vec((0u128..40, 0u128..10, 0u32..5), 0..20),
            address in 0u128..60,
        ) {
            let mut merged: Vec<((u128, u128), Id)> = Vec::new();
            for id in 0..5 {
                let mut own: Vec<_> = ranges.iter().filter(|range| range.2 == id).map(|range| (range.0, range.0 + range.1)).collect();
                own.sort_unstable();
                let mut last = None;
                for (first, end) in own {
                    if last.is_none_or(|last| first > last) {
                        merged.push(((first, end), id));
                        last = Some(end);
                    }
                }
            }
            let expected: BTreeSet<Id> =
                merged.iter().filter(|((first, last), _)| *first <= address && address <= *last).map(|(_, id)| *id).collect();
            let axis = Axis::new(&merged);
            proptest::prop_assert_eq!(axis.at(address).iter().copied().collect::<BTreeSet<_>>(), expected);
        }
    }
}
