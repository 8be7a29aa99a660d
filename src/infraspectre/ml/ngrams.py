"""Character n-grams: how usual each character of a text is after those before it, learnt from texts by counting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.detector import State, Vector

Bytes = NDArray[np.uint8]
Offsets = NDArray[np.int64]

ORDER = 5
"""Characters of the longest n-grams; names of twelve characters say little of longer ones."""
BEGIN, END = 2, 3
"""Bytes put before and after a text (as in ASCII), so that its beginning and its end are n-grams too."""
HASH_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""Spreads n-grams over their table (Fibonacci hashing; Knuth, The Art of Computer Programming 3, 6.4)."""
STEPS_PER_OCTAVE = 12
"""Counts are kept in one byte each, as their logarithm in steps of a twelfth of an octave: 6% apart."""
UNKNOWN_PROBABILITY = 1 / 64
"""Probability of a character of which nothing is known: a name has about 40 to choose from, a payload 96."""


class Corpus:
    """Lays texts out as bytes, one after another, so that all are looked at together."""

    def __init__(self, texts: Sequence[str], *, longest: int = 1024) -> None:
        """Lay out texts, each cut to its first `longest` bytes."""
        cut = [text.encode("utf-8", "replace")[:longest] for text in texts]
        lead, end = bytes([BEGIN]) * (ORDER - 1), bytes([END])
        self.bytes: Bytes = np.frombuffer(b"".join(lead + text + end for text in cut) + end, np.uint8)
        self.lengths: Offsets = np.array([len(text) for text in cut], np.int64)
        sizes = self.lengths + ORDER
        self.starts: Offsets = np.cumsum(sizes) - sizes + ORDER - 1
        """Where the first byte of each text is; where it is empty, that of its end."""
        inside = np.ones(int(sizes.sum()), bool)
        for step in range(1, ORDER):
            inside[self.starts - step] = False
        self.positions: Offsets = np.flatnonzero(inside)
        """Where the bytes of texts and their ends are."""
        counts = self.lengths + 1
        self.rows: Offsets = np.cumsum(counts) - counts
        """Where each text begins among the positions."""

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.lengths)

    def grams(self, order: int, bits: int) -> Offsets:
        """Return for each position the place of the n-gram that ends there in a table of 2 ** bits."""
        packed = np.zeros(len(self.positions), np.uint64)
        for step in range(order - 1, -1, -1):
            packed = (packed << np.uint64(8)) | self.bytes[self.positions - step]
        mixed = (packed + np.uint64(1)) * HASH_MULTIPLIER
        return ((mixed ^ (mixed << np.uint64(29))) * HASH_MULTIPLIER >> np.uint64(64 - bits)).astype(np.int64)

    def means(self, values: Vector) -> Vector:
        """Return the mean of the values of each text; needs one value per position."""
        return np.add.reduceat(values, self.rows) / (self.lengths + 1)

    def least(self, values: Vector) -> Vector:
        """Return the least of the values of each text; needs one value per position."""
        return np.minimum.reduceat(values, self.rows)

    def least_window(self, values: Vector, width: int) -> Vector:
        """Return the least mean of `width` neighbouring values of each text, or of all where there are fewer."""
        total = np.concatenate(([0.0], np.cumsum(values)))
        first = np.repeat(self.rows, self.lengths + 1)
        begin = np.maximum(first, np.arange(len(values)) + 1 - width)
        size = np.arange(len(values)) + 1 - begin
        means = (total[1:] - total[begin]) / size
        enough = size >= np.minimum(width, np.repeat(self.lengths + 1, self.lengths + 1))
        return np.minimum.reduceat(np.where(enough, means, np.inf), self.rows)


class Ngrams:
    """Estimates how probable the characters of texts are, from n-grams counted in a fixed table for each order."""

    kind = "ngrams"

    def __init__(self, tables: Sequence[NDArray[np.uint8]], texts: float) -> None:
        """Take over tables of quantised counts, those of single characters first, and how many texts were counted."""
        self._texts = texts
        self._tables = list(tables)
        self._counts = [_unpacked(table) for table in self._tables]

    @classmethod
    def learn(cls, corpus: Corpus, weights: Vector | None = None, *, order: int = ORDER, bits: int = 18) -> Ngrams:
        """Count the n-grams of texts up to an order, each text by its weight; tables have at most 2 ** bits places."""
        per_position = None if weights is None else np.repeat(weights, corpus.lengths + 1)
        tables = []
        for size in range(1, order + 1):
            places = corpus.grams(size, _bits(size, bits))
            tables.append(_packed(np.bincount(places, per_position, 1 << _bits(size, bits)).astype(np.float64)))
        return cls(tables, float(len(corpus) if weights is None else weights.sum()))

    def log2_probabilities(self, corpus: Corpus) -> list[Vector]:
        """Return for each order the log2 probability of each position given the characters before it.

        Orders are interpolated as by Witten and Bell (1991), with a constant number of novel characters per context.
        """
        novel, probability = 4.0, np.full(len(corpus.positions), UNKNOWN_PROBABILITY)
        context: Vector = np.full(len(corpus.positions), self._counts[0].sum())
        result = []
        for size, counts in enumerate(self._counts, start=1):
            places = corpus.grams(size, (len(counts) - 1).bit_length())
            seen = counts[places]
            probability = np.minimum(1.0, (seen + novel * probability) / (np.maximum(context, seen) + novel))
            context = np.concatenate(([0.0], seen[:-1]))
            context[corpus.rows] = self._texts
            result.append(np.log2(probability))
        return result

    def state(self) -> State:
        """Return the tables."""
        arrays = {f"order_{size}": table for size, table in enumerate(self._tables, start=1)}
        return State(self.kind, {"texts": self._texts}, arrays)

    @classmethod
    def restore(cls, state: State) -> Ngrams:
        """Return n-grams that have the tables of a state."""
        tables = [state.arrays[f"order_{size}"] for size in range(1, len(state.arrays) + 1)]
        return cls(tables, float(state.values["texts"]))


def _bits(size: int, bits: int) -> int:
    return min(bits, 8 * size)


def _packed(counts: Vector) -> NDArray[np.uint8]:
    steps: Vector = np.minimum(255.0, np.rint(np.log2(1 + counts) * STEPS_PER_OCTAVE))
    return steps.astype(np.uint8)


def _unpacked(table: NDArray[np.uint8]) -> Vector:
    return np.exp2(table / STEPS_PER_OCTAVE) - 1
