"""Training: leaks looked for, a trial on rows held out, then the model from all rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.leakage import Leak, leaks
from infraspectre.learning.measures import (
    Hostile,
    area_under_curve,
    average_precision,
    brier_score,
    rate,
)
from infraspectre.learning.splitting import Rows, held_out
from infraspectre.ml.detector import Judgement, Model
from infraspectre.records.models import Threshold

FALSE_POSITIVE_RATES = (0.001, 0.01)
"""The shares of benign rows that thresholds are fixed for."""

Learn = Callable[[pl.DataFrame], Model]
"""Learns a model from a table with labels."""


@runtime_checkable
class FixesThresholds(Protocol):
    """Is a model that knows, from rows of its training, which score so many benign rows exceed."""

    def threshold(self, rate: float) -> float:
        """Return the score that this share of benign rows exceeds."""
        ...


class Trained(NamedTuple):
    """Holds a model, what was measured on rows held out of a trial, and what may flatter it."""

    model: Model
    metrics: dict[str, float]
    thresholds: list[Threshold]
    leaks: list[Leak]


def train(
    frame: pl.DataFrame, label: str, learn: Learn, *, with_trial: bool = True, seed: int = 0, groups: str = ""
) -> Trained:
    """Learn from all rows; before that, unless told not to, learn from four fifths and judge the others.

    Equal rows are never on both sides of the trial, nor, where `groups` names a column, rows with the same value in it.
    Raises InputError for a label that no column has.
    """
    if label:
        require_label(frame, label)
    found = leaks(frame.drop(groups) if groups else frame, label) if label else []
    aside = held_out(frame.select(groups) if groups else without(frame, found), label, seed=seed)
    metrics = trial(frame, aside, label, learn) if with_trial and label else {}
    model = learn(frame)
    return Trained(model, metrics, thresholds(model), found)


def without(frame: pl.DataFrame, found: Sequence[Leak]) -> pl.DataFrame:
    """Return a table without the columns by which equal rows would differ, or look as if they did."""
    return frame.drop([leak.column for leak in found if leak.column is not None])


def thresholds(model: Model) -> list[Threshold]:
    """Return the scores that a model fixed, while it was trained, for the usual shares of false positives."""
    if not isinstance(model, FixesThresholds):
        return []
    fixed = [Threshold(wanted, model.threshold(wanted)) for wanted in FALSE_POSITIVE_RATES]
    return [each for each in fixed if math.isfinite(each.score)]


def require_label(frame: pl.DataFrame, label: str) -> None:
    """Raise InputError unless the column is there and every row has a label."""
    if label not in frame.columns:
        remedy = f"choose from {', '.join(frame.columns[:20])}"
        raise InputError("there is no such column", field=label, remedy=remedy)
    missing = frame[label].is_null().arg_true()
    if len(missing):
        raise InputError(f"row {int(missing[0])} has no label", field=label, remedy="label the row or leave it out")


def require_classes(frame: pl.DataFrame, label: str) -> None:
    """Raise InputError where all rows have one label, so that there is nothing to tell apart."""
    if frame[label].n_unique() < 2:
        remedy = "add rows of other classes, or learn what is unusual: --task anomaly"
        raise InputError(f"every row is labelled {frame[label][0]!r}", field=label, remedy=remedy)


def trial(frame: pl.DataFrame, aside: Rows, label: str, learn: Learn) -> dict[str, float]:
    """Learn from the rows that are not aside and return what was measured on those that are; nothing for too few."""
    learnt, judged = frame.filter(~aside), frame.filter(aside)
    if learnt[label].n_unique() < frame[label].n_unique() or judged[label].n_unique() < 2:
        return {}
    model = learn(learnt)
    judgement = model.judge(judged.drop(label))
    benign = model.classes[0]
    return measured(judgement, (judged[label] != benign).to_numpy(), benign)


def measured(judgement: Judgement, hostile: Hostile, benign: str) -> dict[str, float]:
    """Return the figures that a manifest keeps; those that a side without rows has no value for are left out."""
    flagged = np.asarray([label != benign for label in judgement.labels])
    figures = {
        "rows": float(len(hostile)),
        "accuracy": float((flagged == hostile).mean()),
        "true_positive_rate": rate(int((flagged & hostile).sum()), int(hostile.sum())).share,
        "false_positive_rate": rate(int((flagged & ~hostile).sum()), int((~hostile).sum())).share,
        "area_under_curve": area_under_curve(judgement.scores, hostile),
        "average_precision": average_precision(judgement.scores, hostile),
        "brier_score": brier_score(judgement.probabilities, hostile),
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}
