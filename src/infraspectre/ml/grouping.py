"""Running sums per group over numpy columns, on top of what earlier batches left."""

from __future__ import annotations

from functools import reduce

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Counts = NDArray[np.int64]

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)


def mix(*parts: Hashes) -> Hashes:
    """Join columns of numbers into one hash per row (SplitMix64 finalizer, Steele et al., 2014)."""
    return reduce(lambda joined, part: _finalize((joined + GOLDEN) ^ part), parts[1:], _finalize(parts[0]))


def _finalize(hashes: Hashes) -> Hashes:
    hashes = (hashes ^ (hashes >> np.uint64(30))) * MIX_1
    hashes = (hashes ^ (hashes >> np.uint64(27))) * MIX_2
    return hashes ^ (hashes >> np.uint64(31))


class Groups:
    """Knows the groups of a column of hashes: their keys in order of first appearance, and where each row belongs."""

    def __init__(self, hashes: Hashes) -> None:
        """Sort rows into groups once, so that many columns can be summed."""
        sorted_keys, first, codes = np.unique(hashes, return_index=True, return_inverse=True)
        appearance = np.argsort(first)
        self.first_rows: Counts = first[appearance]
        self.keys: list[int] = sorted_keys[appearance].tolist()
        self._codes: Counts = np.argsort(appearance)[codes]
        self._order = np.argsort(self._codes, kind="stable")
        self._starts = np.searchsorted(self._codes[self._order], np.arange(len(self.keys)))

    def flag_first(self, news: list[bool]) -> Counts:
        """Return 1 at the first row of each group that is told to be new, else 0."""
        flags = np.zeros(len(self._codes), dtype=np.int64)
        flags[self.first_rows] = news
        return flags

    def running(self, steps: Counts, before: Counts) -> Counts:
        """Return running sums of `steps` (rows, columns) within each group on top of `before` (groups, columns)."""
        sums = steps[self._order].cumsum(axis=0)
        base = np.vstack([np.zeros((1, steps.shape[1]), dtype=np.int64), sums])[self._starts]
        out = np.empty_like(steps)
        out[self._order] = sums
        missing: Counts = (before - base)[self._codes]
        return out + missing

    def totals(self, steps: Counts, before: Counts) -> Counts:
        """Return the sum of `steps` of each group on top of `before`."""
        sums: Counts = np.add.reduceat(steps[self._order], self._starts, axis=0)
        return np.asarray(before + sums, dtype=np.int64)

    def previous(self, values: Counts, before: Counts) -> Counts:
        """Return for each row the value of the row before it in its group; for the first one that of `before`."""
        shifted = np.roll(values[self._order], 1)
        shifted[self._starts] = before
        out = np.empty_like(shifted)
        out[self._order] = shifted
        return out

    def highest(self, values: Counts, before: Counts) -> Counts:
        """Return the greatest value so far in each row's group, `before` (groups) included; all from 0 to 2**40."""
        floor = self._codes[self._order] << 40
        sorted_values = values[self._order] + floor
        sorted_values[self._starts] = np.maximum(sorted_values[self._starts], before + floor[self._starts])
        out = np.empty_like(values)
        out[self._order] = np.maximum.accumulate(sorted_values) - floor
        return out

    def last(self, values: Counts) -> Counts:
        """Return the value of the last row of each group."""
        ends = np.append(self._starts[1:], len(values)) - 1
        return np.asarray(values[self._order][ends], dtype=np.int64)
