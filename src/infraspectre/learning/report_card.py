"""The report card: what a model's judgements are worth on rows with labels, beside what trivial guesses reach."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.baselines import Baseline, baselines
from infraspectre.learning.deciding import Deciding
from infraspectre.learning.leakage import Leak, Overlap
from infraspectre.learning.measures import (
    Bin,
    Hostile,
    Rate,
    area_under_curve,
    average_precision,
    brier_score,
    calibration_error,
    coverage,
    curve,
    macro_f1,
    precision_at,
    rate,
    reliability,
)
from infraspectre.learning.retraining import LeftOut, Retrained
from infraspectre.ml.detector import Judgement, Vector
from infraspectre.records.models import DataFile, Threshold

VERSION = 1
BASE_RATES = (0.0001, 0.001, 0.01)
"""The shares of all rows that are hostile, for which precision is told: test data holds far more than traffic does."""
MOST_POINTS = 200
HISTOGRAM_BINS = 40
MOST_CLASSES = 60
OTHERS = "(others)"


class ClassRow(msgspec.Struct, frozen=True):
    """Holds how many rows with a label were called hostile, and how many were given that very label."""

    name: str
    flagged: Rate
    recognised: Rate


class OperatingPoint(msgspec.Struct, frozen=True):
    """Holds what a threshold fixed beforehand reaches; `ratio` is the real rate of false positives over the wanted."""

    wanted: float
    threshold: float
    true_positives: Rate
    false_positives: Rate
    ratio: float
    precision: dict[str, float]
    """By the share of all rows that is hostile."""


class Ranking(msgspec.Struct, frozen=True):
    """Holds how well scores tell hostile rows from benign ones, whatever the threshold."""

    area_under_curve: float
    average_precision: float
    curve: list[tuple[float, float]]
    """Points of the receiver operating characteristic: false and true positive rate."""


class Calibration(msgspec.Struct, frozen=True):
    """Holds how far probabilities can be taken at their word."""

    expected_error: float
    brier_score: float
    interval_coverage: float
    mean_interval_width: float
    bins: list[Bin]


class Histogram(msgspec.Struct, frozen=True):
    """Counts benign and hostile rows by score; there is one edge more than bins."""

    edges: list[float]
    benign: list[int]
    hostile: list[int]


class Subject(msgspec.Struct, frozen=True):
    """Names what was judged, and by which model."""

    model: str
    content_id: str
    label: str
    benign: str
    data: list[DataFile]


class ReportCard(msgspec.Struct, frozen=True):
    """Holds all that `evaluate` finds; `report.json` is this, field by field, with null for what has no value."""

    version: int
    subject: Subject
    rows: int
    hostile_rows: int
    accuracy: Rate
    macro_f1: float
    """Mean over the labels in the data of the harmonic mean of precision and recall."""
    decision: OperatingPoint
    """What the model's own labels reach; its `wanted` and `threshold` are null."""
    operating_points: list[OperatingPoint]
    classes: list[ClassRow]
    confusion: dict[str, dict[str, int]]
    """Rows by their label, then by the label that the model gave."""
    ranking: Ranking
    calibration: Calibration
    histogram: Histogram
    baselines: list[Baseline]
    leaks: list[Leak]
    deciding: list[Deciding] = []
    """Every column, the most important first; none where the model cannot explain."""
    overlap: Overlap | None = None
    retrained: list[Retrained] = []
    left_out: list[LeftOut] = []


def report_card(
    frame: pl.DataFrame,
    judgement: Judgement,
    subject: Subject,
    thresholds: Sequence[Threshold],
    found: Sequence[Leak] = (),
    *,
    seed: int = 0,
) -> ReportCard:
    """Return what judgements of the rows of a table are worth; nothing in it is fitted to these rows.

    Raises InputError where no row is benign or none hostile.
    """
    labels = frame[subject.label].to_list()
    hostile = hostile_rows(labels, subject)
    flagged = np.asarray([label != subject.benign for label in judgement.labels])
    right = int((flagged == hostile).sum())
    return ReportCard(
        version=VERSION,
        subject=subject,
        rows=len(labels),
        hostile_rows=int(hostile.sum()),
        accuracy=rate(right, len(labels)),
        macro_f1=macro_f1(labels, judgement.labels),
        decision=operating_point(math.nan, math.nan, flagged, hostile),
        operating_points=[
            operating_point(each.false_positive_rate, each.score, judgement.scores > each.score, hostile)
            for each in thresholds
        ],
        classes=class_rows(labels, judgement.labels, flagged, subject.benign),
        confusion=confusion(labels, judgement.labels),
        ranking=ranking(judgement.scores, hostile),
        calibration=calibration(judgement, hostile),
        histogram=histogram(judgement.scores, hostile),
        baselines=baselines(frame.drop(subject.label), hostile, judgement, seed),
        leaks=list(found),
    )


def hostile_rows(labels: Sequence[str], subject: Subject) -> Hostile:
    """Tell which rows are hostile: those with another label than the model's benign class; raises InputError."""
    hostile = np.asarray([label != subject.benign for label in labels])
    if hostile.all() or not hostile.any():
        listed = ", ".join(sorted(set(labels))[:10])
        kind = "hostile" if hostile.all() else "benign"
        problem = f"every row is {kind}: benign is {subject.benign!r}, labels are {listed}"
        raise InputError(problem, field=subject.label, remedy="give rows of both kinds, labelled as in training")
    return hostile


def operating_point(wanted: float, threshold: float, flagged: Hostile, hostile: Hostile) -> OperatingPoint:
    """Return what flagging these rows reaches."""
    hits = rate(int((flagged & hostile).sum()), int(hostile.sum()))
    alarms = rate(int((flagged & ~hostile).sum()), int((~hostile).sum()))
    precision = {f"{base:g}": precision_at(base, hits.share, alarms.share) for base in BASE_RATES}
    return OperatingPoint(wanted, threshold, hits, alarms, alarms.share / wanted, precision)


def class_rows(labels: Sequence[str], told: Sequence[str], flagged: Hostile, benign: str) -> list[ClassRow]:
    """Return a row for each label, the benign one first, then the most frequent."""
    table = pl.DataFrame({"label": labels, "told": told, "flagged": flagged})
    sums = table.group_by("label").agg(
        pl.len(), pl.col("flagged").sum().alias("hits"), (pl.col("told") == pl.col("label")).sum().alias("same")
    )
    ordered = sums.sort([pl.col("label") != benign, -pl.col("len").cast(pl.Int64), pl.col("label")])
    return [
        ClassRow(each["label"], rate(each["hits"], each["len"]), rate(each["same"], each["len"]))
        for each in ordered.iter_rows(named=True)
    ][:MOST_CLASSES]


def confusion(labels: Sequence[str], told: Sequence[str]) -> dict[str, dict[str, int]]:
    """Count rows by label and by the label given; of very many labels, the rarest are put together."""
    pairs = pl.DataFrame({"label": labels, "told": told})
    counts = pairs.group_by("label").len().sort(["len", "label"], descending=[True, False])["label"].to_list()
    kept = set(counts[:MOST_CLASSES])
    found: dict[str, dict[str, int]] = {}
    for label, guess, count in pairs.group_by("label", "told").len().sort("label", "told").iter_rows():
        row = found.setdefault(label if label in kept else OTHERS, {})
        row[guess] = row.get(guess, 0) + count
    return found


def ranking(scores: Vector, hostile: Hostile) -> Ranking:
    """Return areas, and a curve of at most MOST_POINTS points that lie evenly on a logarithmic and a linear axis."""
    _, false, true = curve(scores, hostile)
    x, y = np.append(0.0, false / false[-1]), np.append(0.0, true / true[-1])
    wanted = np.unique(np.append(np.linspace(0, 1, MOST_POINTS // 2), np.geomspace(1e-4, 1, MOST_POINTS // 2)))
    places = np.unique(np.append(np.searchsorted(x, wanted, side="right") - 1, len(x) - 1))
    points = [(round(float(x[place]), 6), round(float(y[place]), 6)) for place in places]
    return Ranking(area_under_curve(scores, hostile), average_precision(scores, hostile), points)


def calibration(judgement: Judgement, hostile: Hostile) -> Calibration:
    """Return how probabilities and intervals agree with what rows are."""
    bins = reliability(judgement, hostile)
    return Calibration(
        calibration_error(bins),
        brier_score(judgement.probabilities, hostile),
        coverage(judgement, hostile),
        float((judgement.high - judgement.low).mean()),
        bins,
    )


def histogram(scores: Vector, hostile: Hostile) -> Histogram:
    """Count rows by score, from the lowest to the highest."""
    edges = np.histogram_bin_edges(scores, HISTOGRAM_BINS)
    sides = [np.histogram(scores[side], edges)[0].tolist() for side in (~hostile, hostile)]
    return Histogram(edges.tolist(), *sides)
