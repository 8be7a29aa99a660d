"""Training: leaks looked for, a trial on rows held out, then the model from all rows."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

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
    threshold_for,
)
from infraspectre.learning.splitting import held_out
from infraspectre.ml.detector import Judgement, Model
from infraspectre.records.models import Threshold

FALSE_POSITIVE_RATES = (0.001, 0.01)
"""The shares of benign rows that thresholds are fixed for."""

Learn = Callable[[pl.DataFrame], Model]
"""Learns a model from a table with labels."""


class Trained(NamedTuple):
    """Holds a model, what was measured on rows held out of a trial, and what may flatter it."""

    model: Model
    metrics: dict[str, float]
    thresholds: list[Threshold]
    leaks: list[Leak]


def train(frame: pl.DataFrame, label: str, learn: Learn, *, with_trial: bool = True, seed: int = 0) -> Trained:
    """Learn from all rows; before that, unless told not to, learn from four fifths and judge the others.

    Equal rows are never on both sides of the trial. Raises InputError for a label that no column has.
    """
    if label:
        require_label(frame, label)
    found = leaks(frame, label) if label else []
    metrics: dict[str, float] = {}
    thresholds: list[Threshold] = []
    if with_trial and label:
        metrics, thresholds = trial(frame, label, learn, seed)
    return Trained(learn(frame), metrics, thresholds, found)


def require_label(frame: pl.DataFrame, label: str) -> None:
    """Raise InputError unless the column is there and every row has a label."""
    if label not in frame.columns:
        remedy = f"choose from {', '.join(frame.columns[:20])}"
        raise InputError("there is no such column", field=label, remedy=remedy)
    missing = frame[label].is_null().arg_true()
    if len(missing):
        raise InputError(f"row {int(missing[0])} has no label", field=label, remedy="label the row or leave it out")


def trial(frame: pl.DataFrame, label: str, learn: Learn, seed: int) -> tuple[dict[str, float], list[Threshold]]:
    """Learn from four fifths of the rows and return what was measured on the others, and thresholds from them."""
    aside = held_out(frame, label, seed=seed)
    learnt, judged = frame.filter(~aside), frame.filter(aside)
    if learnt[label].n_unique() < frame[label].n_unique() or not len(judged):
        return {}, []
    model = learn(learnt)
    judgement = model.judge(judged.drop(label))
    benign = model.classes[0]
    hostile = (judged[label].cast(pl.String) != benign).to_numpy()
    calm = judgement.scores[~hostile]
    fixed = [Threshold(wanted, score) for wanted in FALSE_POSITIVE_RATES if math.isfinite(score := threshold_for(calm, wanted))]
    return measured(judgement, hostile, benign), fixed


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
