"""What only retraining tells: how much a seed decides, how much a random split flatters, and what is never seen."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec
import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.learning.measures import Hostile, Rate, area_under_curve, rate, threshold_for
from infraspectre.learning.splitting import sample
from infraspectre.ml.detector import Model

MOST_ROWS = 40_000
"""Rows that a model is retrained on: enough to compare ways of splitting within minutes."""
SEEDS = 5
WANTED = 0.01
MIN_ROWS = 20
"""Fewest rows of an attack for its recall to be told."""

LearnWith = Callable[[pl.DataFrame, int], Model]
"""Learns a model from a table with labels and a seed."""


class Retrained(msgspec.Struct, frozen=True):
    """Holds what a model reaches that was trained anew, at its own threshold."""

    name: str
    rows: int
    accuracy: float
    area_under_curve: float
    true_positives: Rate
    false_positives: Rate


class LeftOut(msgspec.Struct, frozen=True):
    """Holds how much of an attack is found by a model that never saw it, at the real rate of 1% false positives."""

    attack: str
    flagged: Rate


def retrained(learnt: pl.DataFrame, judged: pl.DataFrame, label: str, learn: LearnWith) -> Iterator[Retrained]:
    """Yield what five seeds reach, and then a random split of all rows, which shows how much that would flatter."""
    ours, theirs = sample(learnt, MOST_ROWS), sample(judged, MOST_ROWS)
    for seed in range(SEEDS):
        yield assessed(f"seed {seed}", learn(ours, seed), ours, theirs, label)
    both = pl.concat([ours, theirs.select(ours.columns)], how="vertical_relaxed")
    aside = np.random.default_rng(0).random(len(both)) < len(theirs) / len(both)
    mixed = both.filter(~aside)
    yield assessed("random split", learn(mixed, 0), mixed, both.filter(aside), label)


def assessed(name: str, model: Model, learnt: pl.DataFrame, judged: pl.DataFrame, label: str) -> Retrained:
    """Return what a model reaches on rows with labels."""
    judgement, benign = model.judge(judged.drop(label)), model.classes[0]
    hostile = hostile_in(judged, label, benign)
    flagged = np.asarray([told != benign for told in judgement.labels])
    return Retrained(
        name,
        len(learnt),
        float((flagged == hostile).mean()),
        area_under_curve(judgement.scores, hostile),
        rate(int((flagged & hostile).sum()), int(hostile.sum())),
        rate(int((flagged & ~hostile).sum()), int((~hostile).sum())),
    )


def hostile_in(frame: pl.DataFrame, label: str, benign: str) -> Hostile:
    """Tell which rows of a table do not have the benign label."""
    return (frame[label] != benign).to_numpy()


def left_out(
    learnt: pl.DataFrame, judged: pl.DataFrame, label: str, benign: str, learn: LearnWith
) -> Iterator[LeftOut]:
    """Yield, for each attack in both tables, how much of it a model finds that was trained without it.

    The threshold is the one at which really 1% of the benign rows judged are flagged: this measures what the model can
    tell apart, not where its threshold lies. There have to be two attacks at least.
    """
    ours, theirs = sample(learnt, MOST_ROWS), sample(judged, MOST_ROWS)
    counts = theirs[label].value_counts().filter(pl.col("count") >= MIN_ROWS)[label].to_list()
    attacks = sorted(set(counts) & set(ours[label].to_list()) - {benign})
    if len(attacks) < 2:
        return
    calm = theirs.filter(pl.col(label) == benign)
    for attack in attacks:
        try:
            model = learn(ours.filter(pl.col(label) != attack), 0)
        except InputError:  # too few rows of other attacks
            continue
        threshold = threshold_for(model.judge(calm.drop(label)).scores, WANTED)
        scores = model.judge(theirs.filter(pl.col(label) == attack).drop(label)).scores
        yield LeftOut(attack, rate(int((scores > threshold).sum()), len(scores)))
