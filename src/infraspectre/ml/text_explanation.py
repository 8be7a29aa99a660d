"""Which parts of a text decide: exact Shapley values over its words and pieces, and the fewest to be taken away."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.detector import Vector
from infraspectre.ml.explanation import called
from infraspectre.ml.words import Vocabulary
from infraspectre.records.explanation import Attribution, Change, Explanation
from infraspectre.records.words import listed

MOST_PARTS = 8
"""Most parts of a text: each set of them is judged, which are 2 to the power of their number."""
LONGEST = 8
"""Longest run of characters that is one part without being a known word."""
PIECE = 4
"""Characters of the pieces of longer runs."""
TOLD_PARTS = 3
RUNS = re.compile(r"\s*(?:[^\W\d_]+|\d+|[^\w\s]+|_+)|\s+")
"""Runs of letters, of digits and of other characters, each with the spaces before it."""


def text_parts(text: str, vocabulary: Vocabulary | None) -> list[str]:
    """Return a text in at most MOST_PARTS parts: known words, runs of letters, of digits and of other characters."""
    parts = [piece for run in RUNS.findall(text) for piece in _pieces(run, vocabulary)]
    while len(parts) > MOST_PARTS:
        sizes = [len(left) + len(right) for left, right in pairwise(parts)]
        place = sizes.index(min(sizes))
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return parts


def _pieces(run: str, vocabulary: Vocabulary | None) -> list[str]:
    words = vocabulary.cut(run).words if vocabulary else []
    pieces, begin = [], 0
    for word in words:
        end = run.index(word, begin)
        pieces += [*_chunks(run[begin:end]), word]
        begin = end + len(word)
    return pieces + _chunks(run[begin:])


def _chunks(run: str) -> list[str]:
    if len(run) <= LONGEST:
        return [run] if run else []
    return [run[begin : begin + PIECE] for begin in range(0, len(run), PIECE)]


def explain_text(
    column: str, label: str, parts: Sequence[str], margins: Callable[[Sequence[str]], Vector], *, is_benign: bool
) -> Explanation:
    """Explain the label of a text by its parts; `margins` says how far texts are above the threshold.

    Contributions are Shapley values (Shapley, A value for n-person games, 1953) of the margin of the text with only
    some of its parts; the base is the margin of an empty text.
    """
    sets = np.arange(1 << len(parts))
    held = (sets[:, None] >> np.arange(len(parts))) & 1 == 1
    texts = ["".join(part for part, is_held in zip(parts, row, strict=True) if is_held) for row in held.tolist()]
    values = margins(texts)
    contributions = shapley(values, len(parts)).tolist()
    order = sorted(range(len(parts)), key=lambda place: (-abs(contributions[place]), place))
    attributions = [Attribution(column, parts[place], round(contributions[place], 6)) for place in order]
    removed = _fewest_removed(values, held, [len(part) for part in parts])
    changes = [Change(column, parts[place], "") for place in removed]
    words = _in_words(label, attributions, changes, is_benign=is_benign)
    return Explanation(round(float(values[-1]), 6), round(float(values[0]), 6), attributions, [], changes, words)


def shapley(values: Vector, count: int) -> Vector:
    """Return the Shapley value of each of `count` players; `values` has that of each set, whose bits are players."""
    sets = np.arange(1 << count)
    sizes = np.array([int(each).bit_count() for each in sets.tolist()])
    weights = np.array([1 / (count * math.comb(count - 1, size)) for size in range(count)])
    found = np.empty(count)
    for player in range(count):
        without = sets[(sets >> player) & 1 == 0]
        found[player] = (weights[sizes[without]] * (values[without | 1 << player] - values[without])).sum()
    return found


def _fewest_removed(values: Vector, held: NDArray[np.bool_], sizes: Sequence[int]) -> list[int]:
    """Return the fewest parts without which a hostile text is benign, of as few the shortest; none if none do."""
    benign = np.flatnonzero(values <= 0)
    benign = benign[benign > 0]
    if values[-1] <= 0 or not len(benign):
        return []
    kept = held[benign]
    best = benign[np.lexsort((values[benign], -(kept * np.array(sizes)).sum(axis=1), -kept.sum(axis=1)))[0]]
    return np.flatnonzero(~held[best]).tolist()


def _in_words(label: str, attributions: Sequence[Attribution], changes: Sequence[Change], *, is_benign: bool) -> str:
    sign = -1.0 if is_benign else 1.0
    reasons = [each for each in attributions if sign * each.contribution > 0][:TOLD_PARTS]
    told = called(label, is_benign=is_benign) + (" mostly because of " if reasons else "")
    told += ", ".join(f"{str(each.value)!r} ({each.contribution:+.2f})" for each in reasons)
    if changes:
        told += f". It would be benign without {listed([repr(str(each.before)) for each in changes])}"
    return told + "."
