"""Trials: a model learns from some rows of a table and is measured on others, whose kin it did not see."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.measures import (
    Hostile,
    area_under_curve,
    average_precision,
    brier_score,
    macro_f1,
    rate,
    recall_at,
)
from infraspectre.learning.splitting import Fold, Rows, Split, folds, trial_fold
from infraspectre.ml.council import CouncilSettings
from infraspectre.ml.detector import Judgement, Model

WANTED = 0.01
"""The share of benign rows that may be flagged where recall is measured."""

Figures = dict[str, float]
Learn = Callable[[pl.DataFrame, CouncilSettings], Model]
"""Learns a model from a table with labels."""
Keep = Callable[[str, Callable[[], Figures]], Figures]
"""Returns the figures of a name: those kept from before, or else what is computed, which is kept from then on."""


def computed(_name: str, compute: Callable[[], Figures]) -> Figures:
    """Keep nothing."""
    return compute()


class Labelled(NamedTuple):
    """Holds a table with labels, how it is split, and columns by which equal rows would look different."""

    frame: pl.DataFrame
    label: str
    split: Split
    telling: list[str]

    @property
    def learnt_from(self) -> pl.DataFrame:
        """Return what is learnt from: all columns but that of times; groups tell what is to be judged apart."""
        return self.frame.drop(name for name in self.split.columns if name != self.split.group)

    @property
    def compared(self) -> pl.DataFrame:
        """Return the columns that make rows alike, and those that split."""
        return self.frame.drop(self.telling)

    def where(self, rows: Rows) -> Labelled:
        """Return the table of these rows alone."""
        return self._replace(frame=self.frame.filter(rows))

    def trial(self, seed: int) -> Fold:
        """Return which rows a trial learns from and judges."""
        return trial_fold(self.compared, self.label, self.split, seed)

    def folds(self, count: int, seed: int) -> list[Fold]:
        """Return which rows each fold of a cross-validation learns from and judges."""
        return folds(self.compared, self.label, self.split, count, seed) if count else []


def judged(table: Labelled, fold: Fold, learn: Learn, settings: CouncilSettings) -> Figures:
    """Learn from some rows and return what was measured on others; nothing where either are too few."""
    rows = table.learnt_from
    learnt, others = rows.filter(fold.learnt), rows.filter(fold.judged)
    if learnt[table.label].n_unique() < 2 or others[table.label].n_unique() < 2:
        return {}
    try:
        model = learn(learnt, settings)
    except InputError:  # too few rows of a class; whatever else is wrong, the whole table has as well
        return {}
    return measured(model.judge(others.drop(table.label)), others[table.label].to_list(), model.classes[0])


def measured(judgement: Judgement, labels: list[str], benign: str) -> Figures:
    """Return the figures that a manifest keeps; those that a side without rows has no value for are left out."""
    hostile: Hostile = np.asarray([label != benign for label in labels])
    flagged = np.asarray([label != benign for label in judgement.labels])
    figures = {
        "rows": float(len(hostile)),
        "accuracy": float((flagged == hostile).mean()),
        "macro_f1": macro_f1(labels, judgement.labels),
        "true_positive_rate": rate(int((flagged & hostile).sum()), int(hostile.sum())).share,
        "false_positive_rate": rate(int((flagged & ~hostile).sum()), int((~hostile).sum())).share,
        "recall_at_1_percent": recall_at(judgement.scores, hostile, WANTED),
        "area_under_curve": area_under_curve(judgement.scores, hostile),
        "average_precision": average_precision(judgement.scores, hostile),
        "brier_score": brier_score(judgement.probabilities, hostile),
    }
    return {name: value for name, value in figures.items() if math.isfinite(value)}
