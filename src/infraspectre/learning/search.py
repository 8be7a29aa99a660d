"""A search for settings: what folds of a table say of each, and what a tree-structured Parzen estimator tries next."""

from __future__ import annotations

import time
from collections.abc import Iterator
from operator import attrgetter
from typing import TYPE_CHECKING, Literal, NamedTuple

import msgspec
import numpy as np
from msgspec.structs import replace

from infraspectre.errors import InputError, UsageError
from infraspectre.learning.splitting import sample
from infraspectre.learning.trials import Figures, Keep, Labelled, Learn, judged
from infraspectre.ml.council import CouncilSettings

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution

Objective = Literal["recall", "macro-f1"]
MEASURES: dict[Objective, str] = {"recall": "recall_at_1_percent", "macro-f1": "macro_f1"}
MOST_ROWS = 20_000
"""Rows that settings are tried on: enough to tell them apart, few enough for many trials."""
MOST_TRIALS = 10_000
RANDOM_TRIALS = 10
"""First trials that are drawn at random, before there is anything to estimate from."""
OBJECTIVE = "objective"


class Range(NamedTuple):
    """Holds the ends between which a setting is tried, in equal steps of itself or of its logarithm."""

    low: float
    high: float
    is_log: bool = False
    is_whole: bool = False


SPACE: dict[str, Range] = {
    "triage.rounds": Range(50, 400, is_whole=True),
    "triage.depth": Range(3, 9, is_whole=True),
    "triage.learning_rate": Range(0.03, 0.3, is_log=True),
    "triage.features_per_tree": Range(0.3, 1.0),
    "triage.min_child_weight": Range(0.5, 10.0, is_log=True),
    "triage.l2": Range(0.5, 20.0, is_log=True),
    "families.rounds": Range(20, 150, is_whole=True),
    "families.depth": Range(3, 9, is_whole=True),
    "imagined_share": Range(0.05, 1.0),
    "surprise_weight": Range(0.0, 1.0),
}
"""What is tried, by part and name of the setting."""


class Search(msgspec.Struct, frozen=True):
    """Says how settings are searched for."""

    trials: int = MOST_TRIALS
    seconds: float | None = None
    """No trial begins after so many seconds; without, only their number ends the search."""
    objective: Objective = "recall"
    folds: int = 3


def searched(
    table: Labelled, learn: Learn, search: Search, usual: CouncilSettings, keep: Keep, seed: int = 0
) -> CouncilSettings:
    """Return the settings with the best mean over folds; the first that are tried are the usual ones.

    What is tried next depends on the seed and on what was measured before, so that a search which goes on from what was
    kept ends as one without a break. Raises UsageError without Optuna, and InputError where no fold can be measured.
    """
    require_optuna()
    table = table._replace(frame=sample(table.frame, MOST_ROWS, seed))
    folds = table.folds(search.folds, seed)
    measure = MEASURES[search.objective]
    tried: list[Figures] = []
    until = time.monotonic() + search.seconds if search.seconds is not None else None

    def attempt() -> Figures:
        values = proposed(tried, seed) if tried else values_of(usual)
        settings = applied(usual, values)
        return values | {OBJECTIVE: mean(measure, (judged(table, fold, learn, settings) for fold in folds))}

    for number in range(search.trials):
        if number and until is not None and time.monotonic() > until:
            break
        tried.append(keep(f"search {search.objective} {search.folds} {number}", attempt))
    best = max(tried, key=lambda each: each[OBJECTIVE])
    return applied(usual, best)


def mean(measure: str, figures: Iterator[Figures]) -> float:
    """Return the mean of a measure over the folds that have it; raises InputError if none has."""
    values = [each[measure] for each in figures if measure in each]
    if not values:
        remedy = "give more rows of each class, ask for fewer folds or for another objective"
        raise InputError(f"no fold has enough rows to measure {measure.replace('_', ' ')}", remedy=remedy)
    return float(np.mean(values))


def values_of(settings: CouncilSettings) -> Figures:
    """Return the values of settings that are tried, by part and name."""
    return {name: float(attrgetter(name)(settings)) for name in SPACE}


def applied(settings: CouncilSettings, values: Figures) -> CouncilSettings:
    """Return settings with these values."""
    parts: dict[str, dict[str, float]] = {}
    for name, each in SPACE.items():
        part, _, field = name.rpartition(".")
        parts.setdefault(part, {})[field] = int(values[name]) if each.is_whole else values[name]
    shapes = {part: replace(getattr(settings, part), **fields) for part, fields in parts.items() if part}
    return replace(settings, **shapes, **parts.get("", {}))


def require_optuna() -> None:
    """Raise UsageError unless Optuna is installed."""
    try:
        import optuna
    except ImportError as error:
        remedy = "install it with: pip install 'infraspectre[tune]'"
        raise UsageError("a search for settings needs the package optuna", remedy=remedy) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def proposed(tried: list[Figures], seed: int) -> Figures:
    """Return what to try next (Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011)."""
    import optuna

    ranges = distributions()
    sampler = optuna.samplers.TPESampler(
        seed=int(np.random.SeedSequence([seed, len(tried)]).generate_state(1)[0]), n_startup_trials=RANDOM_TRIALS
    )
    study: Study = optuna.create_study(direction="maximize", sampler=sampler)
    for each in tried:
        values = {name: int(each[name]) if SPACE[name].is_whole else each[name] for name in SPACE}
        study.add_trial(optuna.trial.create_trial(params=values, distributions=ranges, value=each[OBJECTIVE]))
    return {name: float(value) for name, value in study.ask(ranges).params.items()}


def distributions() -> dict[str, BaseDistribution]:
    """Return what is tried in the terms of Optuna."""
    from optuna.distributions import FloatDistribution, IntDistribution

    return {
        name: IntDistribution(int(each.low), int(each.high))
        if each.is_whole
        else FloatDistribution(each.low, each.high, log=each.is_log)
        for name, each in SPACE.items()
    }
