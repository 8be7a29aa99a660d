"""Training: leaks looked for, settings searched, a trial on rows held out, folds, then the model from all rows."""

from __future__ import annotations

import hashlib
import math
from functools import partial
from typing import NamedTuple, Protocol, runtime_checkable

import msgspec
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.leakage import Leak, leaks
from infraspectre.learning.search import Search, searched
from infraspectre.learning.splitting import Split, require_column
from infraspectre.learning.trials import Figures, Keep, Labelled, Learn, computed, judged
from infraspectre.ml.council import USUAL, CouncilSettings
from infraspectre.ml.detector import Model
from infraspectre.records.models import Threshold

FALSE_POSITIVE_RATES = (0.001, 0.01)
"""The shares of benign rows that thresholds are fixed for."""


@runtime_checkable
class FixesThresholds(Protocol):
    """Is a model that knows, from rows of its training, which score so many benign rows exceed."""

    def threshold(self, rate: float) -> float:
        """Return the score that this share of benign rows exceeds."""
        ...


class Plan(msgspec.Struct, frozen=True):
    """Says what is measured before a model is learnt from all rows."""

    with_trial: bool = True
    folds: int = 0
    """Parts of a cross-validation; none without."""
    split: Split = Split()
    seed: int = 0
    search: Search | None = None
    """How settings are searched for; without, the usual ones are taken."""

    @property
    def fits(self) -> int:
        """Return how many models are learnt at most."""
        tried = self.search.trials * self.search.folds if self.search else 0
        return tried + self.folds + int(self.with_trial) + 1


ONE_TRIAL = Plan()


class Trained(NamedTuple):
    """Holds a model, its settings, what was measured on rows held out, and what may flatter it."""

    model: Model
    settings: CouncilSettings
    metrics: Figures
    folds: list[Figures]
    thresholds: list[Threshold]
    leaks: list[Leak]


def train(
    frame: pl.DataFrame,
    label: str,
    learn: Learn,
    plan: Plan = ONE_TRIAL,
    *,
    usual: CouncilSettings = USUAL,
    keep: Keep = computed,
) -> Trained:
    """Learn from all rows; before that, as planned, search for settings, and measure on rows held out.

    Rows held out of the trial have no part in the search. Equal and nearly equal rows, and those of a group, are never
    on both sides. Raises InputError for a label that no column has.
    """
    if label:
        require_label(frame, label)
    for name in plan.split.columns:
        require_column(frame, name)
    features = frame.drop(plan.split.columns, strict=False)
    found = leaks(features, label) if label else []
    table = Labelled(frame, label, plan.split, [leak.column for leak in found if leak.column is not None])
    fold = table.trial(plan.seed) if plan.with_trial and label else None
    settings = usual
    if plan.search is not None:
        rows = table if fold is None else table.where(fold.learnt)
        settings = searched(rows, learn, plan.search, usual, keep, plan.seed)
    name = digest(settings)
    metrics = keep(f"trial {name}", partial(judged, table, fold, learn, settings)) if fold else {}
    measured = [
        keep(f"fold {number} of {plan.folds} {name}", partial(judged, table, each, learn, settings))
        for number, each in enumerate(table.folds(plan.folds, plan.seed))
    ]
    model = learn(table.learnt_from, settings)
    return Trained(model, settings, metrics, measured, thresholds(model), found)


def digest(settings: CouncilSettings) -> str:
    """Return a short name of settings: equal ones have the same."""
    return hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:16]


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
