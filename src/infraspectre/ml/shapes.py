"""Shapes of texts: lengths, kinds of characters and their runs, as features that need no learning."""

from __future__ import annotations

import numpy as np

from infraspectre.ml.detector import Matrix, Vector
from infraspectre.ml.ngrams import Corpus

KINDS = {
    "vowels": "aeiouAEIOU",
    "consonants": "bcdfghjklmnpqrstvwxyzBCDFGHJKLMNPQRSTVWXYZ",
    "digits": "0123456789",
    "capitals": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "hexadecimals": "0123456789abcdefABCDEF",
    "rare_letters": "jkqvwxyzJKQVWXYZ",
    "dashes": "-_",
    "dots": ".",
    "slashes": "/\\",
    "quotes": "'\"`",
    "brackets": "()[]{}",
    "angles": "<>",
    "operators": "=+*|&;,:!?^~$#@",
    "percents": "%",
    "spaces": " \t\r\n\v\f",
}
"""Characters of each kind; the kind "others" holds what is not ASCII or cannot be printed."""
RUNS = ("vowels", "consonants", "digits", "dots", "slashes")
"""Kinds whose longest run is a feature."""


def shape_names() -> list[str]:
    """Return the names of the features."""
    shares = [f"{kind}_share" for kind in (*KINDS, "others")]
    counted = [f"{kind}_count" for kind in ("digits", "quotes", "brackets", "angles", "percents")]
    return ["length", "distinct_share", "entropy_bits", "changes_share", "repeats_share", *shares, *counted] + [
        f"{kind}_run" for kind in RUNS
    ]


def shapes(corpus: Corpus) -> Matrix:
    """Return the features of each text, in the order of `shape_names`."""
    here = corpus.bytes[corpus.positions]
    kinds = {kind: np.isin(here, np.frombuffer(text.encode(), np.uint8)) for kind, text in KINDS.items()}
    kinds["others"] = (here >= 127) | (here < 32) & ~kinds["spaces"] & ~_ends(corpus)
    size = np.maximum(1, corpus.lengths).astype(np.float64)
    totals = {kind: np.add.reduceat(mask.astype(np.float64), corpus.rows) for kind, mask in kinds.items()}
    distinct, entropy = _variety(corpus, here)
    columns = [corpus.lengths, distinct / size, entropy, _changes(corpus, kinds) / size, _repeats(corpus, here) / size]
    columns += [totals[kind] / size for kind in (*KINDS, "others")]
    columns += [totals[kind] for kind in ("digits", "quotes", "brackets", "angles", "percents")]
    columns += [_longest_run(corpus, kinds[kind]) for kind in RUNS]
    return np.column_stack(columns).astype(np.float32)


def _ends(corpus: Corpus) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    ends = np.zeros(len(corpus.positions), bool)
    ends[corpus.rows + corpus.lengths] = True
    return ends


def _variety(corpus: Corpus, here: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> tuple[Vector, Vector]:
    """Return for each text how many different characters it has, and their entropy in bits."""
    row = np.repeat(np.arange(len(corpus)), corpus.lengths + 1)
    inside = ~_ends(corpus)
    pairs, counts = np.unique(row[inside] * 256 + here[inside], return_counts=True)
    owner = pairs // 256
    share = counts / np.maximum(1, corpus.lengths)[owner]
    entropy = np.bincount(owner, -share * np.log2(share), len(corpus)).astype(np.float64)
    return np.bincount(owner, minlength=len(corpus)).astype(np.float64), entropy


def _changes(corpus: Corpus, kinds: dict[str, np.ndarray[tuple[int], np.dtype[np.bool_]]]) -> Vector:
    """Return how often a letter follows a digit or a digit a letter."""
    letters = kinds["vowels"] | kinds["consonants"]
    mixed = np.concatenate(([False], letters[1:] & kinds["digits"][:-1] | letters[:-1] & kinds["digits"][1:]))
    mixed[corpus.rows] = False
    return np.add.reduceat(mixed.astype(np.float64), corpus.rows)


def _repeats(corpus: Corpus, here: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> Vector:
    """Return how often a character stands twice in a row."""
    same = np.concatenate(([False], here[1:] == here[:-1]))
    same[corpus.rows] = False
    return np.add.reduceat(same.astype(np.float64), corpus.rows)


def _longest_run(corpus: Corpus, mask: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Vector:
    """Return the longest run of characters of a kind; no run crosses texts, as an end is of no kind."""
    index = np.arange(len(mask))
    last_other = np.maximum.accumulate(np.where(mask, -1, index))
    return np.maximum.reduceat((index - last_other).astype(np.float64), corpus.rows)
