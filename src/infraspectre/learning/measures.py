"""Measures of judgements: rates with intervals, ranking, calibration; none depends on the order of equal rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.conformal import conformal_threshold
from infraspectre.ml.detector import Judgement, Vector

Hostile = NDArray[np.bool_]
"""Whether each row is hostile, as its label says."""
Z_95 = 1.959964
"""The normal deviate of a two-sided interval at 95%."""


class Rate(msgspec.Struct, frozen=True):
    """Holds a share, how many it is of how many, and its Wilson interval at 95%."""

    share: float
    count: int
    of: int
    low: float
    high: float


def rate(count: int, of: int) -> Rate:
    """Return a share with its score interval at 95% (Wilson, 1927); of nothing, anything from 0 to 1 is possible."""
    if of == 0:
        return Rate(math.nan, 0, 0, 0.0, 1.0)
    share, z = count / of, Z_95
    scale = 1 + z * z / of
    centre = (share + z * z / (2 * of)) / scale
    half = z * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of)) / scale
    low = 0.0 if count == 0 else max(0.0, centre - half)
    return Rate(share, count, of, low, 1.0 if count == of else min(1.0, centre + half))


def curve(scores: Vector, hostile: Hostile) -> tuple[Vector, Vector, Vector]:
    """Return thresholds, falling, with the numbers of benign and of hostile rows whose score reaches each."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order], hostile[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), len(ranked) - 1)
    hits = np.cumsum(truth)[last].astype(np.float64)
    return ranked[last], last + 1.0 - hits, hits


def area_under_curve(scores: Vector, hostile: Hostile) -> float:
    """Return the chance that a hostile row scores higher than a benign one, ties counting half; NaN without both.

    Source: Hanley and McNeil (1982); the trapezoidal area under the receiver operating characteristic.
    """
    if hostile.all() or not hostile.any():
        return math.nan
    _, false, true = curve(scores, hostile)
    x, y = np.append(0.0, false) / false[-1], np.append(0.0, true) / true[-1]
    return float(((x[1:] - x[:-1]) * (y[1:] + y[:-1])).sum() / 2)


def average_precision(scores: Vector, hostile: Hostile) -> float:
    """Return precision averaged over the steps of recall, without interpolation; NaN without a hostile row."""
    if not hostile.any():
        return math.nan
    _, false, true = curve(scores, hostile)
    return float((np.diff(np.append(0.0, true)) / true[-1] * true / (true + false)).sum())


def threshold_for(benign_scores: Vector, false_positive_rate: float) -> float:
    """Return the score that at most this share of further benign rows exceeds, infinite for too few.

    A row is hostile if its score is larger.
    """
    return conformal_threshold(np.sort(benign_scores), false_positive_rate)


def macro_f1(labels: Sequence[str], told: Sequence[str]) -> float:
    """Return the F1 measure averaged over the labels in the data, each counting the same (van Rijsbergen, 1979)."""
    truth, guesses = np.asarray(labels, dtype=object), np.asarray(told, dtype=object)
    values = []
    for label in sorted(set(labels)):
        ours, theirs = truth == label, guesses == label
        values.append(2.0 * int((ours & theirs).sum()) / (int(ours.sum()) + int(theirs.sum())))
    return float(np.mean(values))


def recall_at(scores: Vector, hostile: Hostile, false_positive_rate: float) -> float:
    """Return the share of hostile rows found where this share of benign ones is flagged; NaN for too few rows.

    The threshold comes from these very rows: this measures an order of rows, not where a model's threshold lies.
    """
    threshold = threshold_for(scores[~hostile], false_positive_rate)
    return float((scores[hostile] > threshold).mean()) if hostile.any() and math.isfinite(threshold) else math.nan


def precision_at(base_rate: float, true_positive_rate: float, false_positive_rate: float) -> float:
    """Return the share of hostile rows among those flagged where this share of all rows is hostile (Bayes)."""
    flagged = base_rate * true_positive_rate + (1 - base_rate) * false_positive_rate
    return base_rate * true_positive_rate / flagged if flagged else math.nan


class Bin(msgspec.Struct, frozen=True):
    """Holds rows of like probability: how many, what they were told to be, and what they were."""

    rows: int
    predicted: float
    observed: float
    low: float
    high: float


def reliability(judgement: Judgement, hostile: Hostile, bins: int = 10) -> list[Bin]:
    """Return bins of equal width with the means of probability and interval, and the share that is hostile."""
    told = judgement.probabilities
    places = np.clip((told * bins).astype(np.int64), 0, bins - 1)
    return [
        Bin(int(here.sum()), *(float(each[here].mean()) for each in (told, hostile, judgement.low, judgement.high)))
        for place in range(bins)
        if (here := places == place).any()
    ]


def calibration_error(bins: list[Bin]) -> float:
    """Return the expected calibration error: the mean gap of bins, weighted by rows (Naeini et al., 2015)."""
    rows = sum(each.rows for each in bins)
    return sum(each.rows * abs(each.predicted - each.observed) for each in bins) / rows if rows else math.nan


def brier_score(probabilities: Vector, hostile: Hostile) -> float:
    """Return the mean squared error of probabilities (Brier, 1950)."""
    return float(((probabilities - hostile) ** 2).mean()) if len(hostile) else math.nan


def coverage(judgement: Judgement, hostile: Hostile) -> float:
    """Return the share of rows whose interval holds the outcome, 1 for a hostile row and 0 for a benign one."""
    if not len(hostile):
        return math.nan
    return float(((judgement.low <= hostile) & (hostile <= judgement.high)).mean())
