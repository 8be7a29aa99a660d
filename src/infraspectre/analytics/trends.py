"""Trends: how often something was found over time, whether that changes, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import erfc, sqrt
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from infraspectre.errors import InputError
from infraspectre.ports import TableStore
from infraspectre.records.times import UNITS

Granularity = Literal["hour", "day", "week"]
EVERY: dict[Granularity, int] = {"hour": UNITS["h"], "day": UNITS["d"], "week": 7 * UNITS["d"]}
"""Nanoseconds of a bucket."""
SEASONS: dict[Granularity, int] = {"hour": 24, "day": 7, "week": 1}
"""Buckets after which activity repeats."""
WEEK_BEGIN = 4 * UNITS["d"]
"""The first Monday of the epoch; weeks begin on Mondays (ISO 8601)."""
MOST_BUCKETS = 2_000
MOST_CATEGORIES = 200
SIGNIFICANT = 0.05
"""The share of false discoveries among the trends called significant."""
MOST_SLOPES = 200_000

Counts = npt.NDArray[np.int64]


class Trend(msgspec.Struct, frozen=True):
    """Says how often something of a category was found in each bucket, and how that changes."""

    category: str
    counts: list[int]
    total: int
    change: float | None
    """The later half over the earlier one, less 1; None where the earlier one has none."""
    slope: float
    """By how much a bucket's count grows from one to the next (Sen's slope, within the season)."""
    p_value: float
    """How probable such a trend is where there is none (seasonal Mann-Kendall test)."""
    direction: Literal["rising", "falling", "steady"]
    """Steady is what is not significant among all trends asked for (Benjamini and Hochberg)."""


class Trends(msgspec.Struct, frozen=True):
    """Holds the trends of categories over one span of time."""

    start: int
    """Where the first bucket begins, nanoseconds since the epoch."""
    every: int
    """Nanoseconds of a bucket."""
    buckets: int
    trends: list[Trend]
    """The most frequent first."""


def trends(
    tables: TableStore,
    tenant: str,
    start: int,
    end: int,
    granularity: Granularity,
    categories: Sequence[str] = (),
    table: str = "detections",
    by: str = "category",
) -> Trends:
    """Return the trends of categories, or of all that there are, in whole buckets of a span; raises InputError."""
    every = EVERY[granularity]
    begin = aligned(start, granularity)
    buckets = -(-(end - begin) // every)
    if not 1 <= buckets <= MOST_BUCKETS:
        raise InputError(f"is not a span of 1 to {MOST_BUCKETS} buckets", field="end", remedy="ask for wider buckets")
    counted = tables.totals(tenant, table, begin, begin + buckets * every, (by,), every)
    series: dict[str, Counts] = {name: np.zeros(buckets, np.int64) for name in categories}
    for bucket, name, rows in counted.select("bucket", by, "rows").iter_rows():
        label = "" if name is None else str(name)
        if not categories or label in series:
            series.setdefault(label, np.zeros(buckets, np.int64))[(bucket - begin) // every] = rows
    totals = Counter({name: int(counts.sum()) for name, counts in series.items()})
    frequent = {name: series[name] for name, _ in totals.most_common(MOST_CATEGORIES)}
    return Trends(begin, every, buckets, judged(frequent, SEASONS[granularity]))


def aligned(start: int, granularity: Granularity) -> int:
    """Return where the bucket of a time begins."""
    origin = WEEK_BEGIN if granularity == "week" else 0
    return (start - origin) // EVERY[granularity] * EVERY[granularity] + origin


def judged(series: dict[str, Counts], season: int) -> list[Trend]:
    """Return the trends of series, each judged among all."""
    tests = {name: mann_kendall(counts, season) for name, counts in series.items()}
    bound = discovery_bound([p_value for _, p_value in tests.values()])
    return [described(name, counts, season, *tests[name], bound) for name, counts in series.items()]


def described(name: str, counts: Counts, season: int, score: int, p_value: float, bound: float) -> Trend:
    """Return a series with what is known of its trend."""
    earlier, later = int(counts[: len(counts) // 2].sum()), int(counts[len(counts) - len(counts) // 2 :].sum())
    change = later / earlier - 1 if earlier else None
    steady = p_value > bound or score == 0
    direction: Literal["rising", "falling", "steady"] = "steady" if steady else "rising" if score > 0 else "falling"
    return Trend(name, counts.tolist(), int(counts.sum()), change, slope_of(counts, season), p_value, direction)


def mann_kendall(counts: Counts, season: int) -> tuple[int, float]:
    """Return the score and the p-value of the seasonal Mann-Kendall test, with ties and corrected for continuity.

    Hirsch, Slack and Smith, Techniques of trend analysis for monthly water quality data, 1982.
    """
    score, variance = 0, 0.0
    for place in range(min(season, len(counts))):
        values = counts[place::season]
        score += int(np.sign(np.subtract.outer(values, values))[np.tril_indices(len(values), -1)].sum())
        variance += variance_of(values)
    if variance <= 0:
        return score, 1.0
    return score, erfc(max(abs(score) - 1, 0) / sqrt(2 * variance))


def variance_of(values: Counts) -> float:
    """Return the variance of the score where there is no trend."""
    ties = np.unique(values, return_counts=True)[1].astype(float)
    count = float(len(values))
    return float(count * (count - 1) * (2 * count + 5) - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18


def slope_of(counts: Counts, season: int) -> float:
    """Return Sen's slope: the median of the slopes between buckets of the same place in the season."""
    slopes = []
    for place in range(min(season, len(counts))):
        values = counts[place::season][-int(sqrt(2 * MOST_SLOPES / season)) :].astype(float)
        later, earlier = np.tril_indices(len(values), -1)
        slopes.append((values[later] - values[earlier]) / ((later - earlier) * season))
    known = np.concatenate(slopes) if slopes else np.empty(0)
    return float(np.median(known)) if len(known) else 0.0


def discovery_bound(p_values: Sequence[float]) -> float:
    """Return the greatest p-value that is called significant (Benjamini and Hochberg, 1995); -1 for none."""
    ordered = sorted(p_values)
    passing = [p for rank, p in enumerate(ordered, start=1) if p <= SIGNIFICANT * rank / len(ordered)]
    return max(passing, default=-1.0)
