"""Drift: how far rows of today lie from rows that a model learnt from, column by column."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

BINS = 10
"""Parts of equal size into which the earlier values are cut, as is usual for the population stability index."""
SMALLEST = 1e-4
"""Least share of a part, so that an empty one does not make the index infinite."""
STABLE, MOVED = 0.1, 0.25
"""The usual reading of the index: below .1 nothing happened, above .25 the population moved (Siddiqi 2006)."""
MOST_CATEGORIES = 50
"""Texts told apart; the rarer ones count as one."""
EDGES = np.array([0.0001, 0.001, 0.01, 0.03, 0.1, 0.3, 0.5, 0.7, 0.9])
"""Between them probabilities are counted together: most are small, and what matters are their magnitudes."""
LEAST_ROWS = 30
"""Fewest known values of a column on either side for it to be judged."""
SERIES_TERMS = 100


class Drift(msgspec.Struct, frozen=True):
    """Says how far a column moved."""

    column: str
    population_stability: float
    """The population stability index; above .25 the population moved."""
    distance: float | None
    """The statistic of Kolmogorov and Smirnov, 0 to 1; None for texts."""
    p_value: float | None
    """How probable such a distance is without drift."""
    unknown_before: float
    """Share of rows in which the column was not known."""
    unknown_now: float

    @property
    def has_moved(self) -> bool:
        """Tell whether the column moved by the usual reading."""
        return self.population_stability > MOVED


class ScoreWatch:
    """Compares the probabilities that a model gives now with the first ones it gave, within bounded memory."""

    def __init__(self, first_rows: int = 10_000, last_rows: int = 10_000) -> None:
        """Compare with the first rows; the last ones are those since so many were compared twice."""
        self.rows = 0
        self._first_rows, self._last_rows = first_rows, last_rows
        self._first, self._last, self._coming = (np.zeros(len(EDGES) + 1, np.int64) for _ in range(3))

    def add(self, probabilities: NDArray[np.float64]) -> None:
        """Take the probabilities of a block, which counts as a whole."""
        counts = np.bincount(np.searchsorted(EDGES, probabilities, side="right"), minlength=len(EDGES) + 1)
        if self.rows < self._first_rows:
            self._first += counts
        else:
            self._coming += counts
            if self._coming.sum() >= self._last_rows:
                self._last, self._coming = self._coming, np.zeros_like(self._coming)
        self.rows += len(probabilities)

    @property
    def population_stability(self) -> float | None:
        """Return the population stability index of the last rows; None until there are enough to be compared."""
        now = self._last + self._coming
        is_enough = self.rows > self._first_rows and 10 * now.sum() >= self._last_rows
        return stability(self._first, now) if is_enough else None


def drift(before: pl.DataFrame, now: pl.DataFrame) -> list[Drift]:
    """Compare the columns that both tables have, the one that moved most first; with too few values none is told."""
    found = [moved(before[name], now[name]) for name in before.columns if name in now.columns]
    return sorted((each for each in found if each), key=lambda each: (-each.population_stability, each.column))


def moved(before: pl.Series, now: pl.Series) -> Drift | None:
    """Return how far a column moved; None where it cannot be said."""
    if before.dtype.is_nested() or now.dtype.is_nested():
        return None
    is_number = before.dtype.is_numeric() and now.dtype.is_numeric()
    earlier, later = (known(each) if is_number else each.cast(pl.String).drop_nulls() for each in (before, now))
    if min(len(earlier), len(later)) < LEAST_ROWS:
        return None
    if is_number:
        first, second = earlier.to_numpy().astype(np.float64), later.to_numpy().astype(np.float64)
        distance = largest_distance(first, second)
        index = stability(*binned(first, second))
        p_value: float | None = p_value_of(distance, len(first), len(second))
    else:
        distance, p_value = None, None
        index = stability(*counted(earlier, later))
    unknown = [1 - len(part) / len(whole) for part, whole in ((earlier, before), (later, now))]
    return Drift(before.name, index, distance, p_value, *unknown)


def known(numbers: pl.Series) -> pl.Series:
    """Return the finite values."""
    numbers = numbers.cast(pl.Float64)
    return numbers.filter(numbers.is_finite().fill_null(False))


def binned(before: NDArray[np.float64], now: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count both in parts between the quantiles of the earlier values; a frequent value is a part of its own."""
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    counts = [np.bincount(np.searchsorted(edges, each) * 2 + np.isin(each, edges), minlength=2 * len(edges) + 2)
              for each in (before, now)]  # fmt: skip
    return counts[0], counts[1]


def counted(before: pl.Series, now: pl.Series) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Count both by their texts, the frequent ones of the earlier values apart and all others together."""
    frequent = before.value_counts(sort=True)[before.name][:MOST_CATEGORIES].to_list()
    places = {text: place for place, text in enumerate(frequent)}
    counts = [
        np.bincount([places.get(text, len(places)) for text in each.to_list()], minlength=len(places) + 1)
        for each in (before, now)
    ]
    return counts[0], counts[1]


def stability(before: NDArray[np.int64], now: NDArray[np.int64]) -> float:
    """Return the population stability index of counts: the sum of (q - p) ln(q / p) over their shares p and q."""
    p, q = (np.maximum(counts / counts.sum(), SMALLEST) for counts in (before, now))
    return float(((q - p) * np.log(q / p)).sum())


def largest_distance(before: NDArray[np.float64], now: NDArray[np.float64]) -> float:
    """Return the largest distance of the two empirical distribution functions (Kolmogorov and Smirnov)."""
    values = np.concatenate([before, now])
    below = [np.searchsorted(np.sort(each), values, side="right") / len(each) for each in (before, now)]
    return float(np.abs(below[0] - below[1]).max())


def p_value_of(distance: float, before: int, now: int) -> float:
    """Return how probable such a distance is by chance, by Kolmogorov's limit with Stephens' correction (1970)."""
    rows = math.sqrt(before * now / (before + now))
    scaled = (rows + 0.12 + 0.11 / rows) * distance
    if scaled < 0.2:  # the series does not converge there, and its limit is 1
        return 1.0
    terms = ((-1) ** (k - 1) * math.exp(-2 * (k * scaled) ** 2) for k in range(1, SERIES_TERMS + 1))
    return min(1.0, max(0.0, 2.0 * math.fsum(terms)))
