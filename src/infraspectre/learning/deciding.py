"""What decides: how much each column adds to the judgements of a model, on average over rows of a table."""

from __future__ import annotations

import msgspec
import numpy as np
import polars as pl

from infraspectre.learning.measures import Hostile
from infraspectre.ml.detector import Explains, Vector

MOST_ROWS = 2_000
"""Most rows that are explained; the mean of so many is known to a few hundredths of its spread."""


class Deciding(msgspec.Struct, frozen=True):
    """Holds the mean contributions of a column to the margin over the threshold."""

    column: str
    contribution: float
    """The mean absolute one: how much the column moves judgements, to either side."""
    unusual: float
    """The mean absolute part for lying far from what is benign."""
    hostile: float | None
    """The mean over rows that are hostile; None where there is no such row."""
    benign: float | None


def deciding(model: Explains, frame: pl.DataFrame, hostile: Hostile, *, seed: int = 0) -> list[Deciding]:
    """Return the columns that a model judges by, the most important first, over at most MOST_ROWS rows drawn by a seed.

    The mean absolute Shapley value is the importance of Lundberg et al. (2020).
    """
    chosen = np.sort(np.random.default_rng(seed).permutation(len(frame))[:MOST_ROWS])
    told, is_hostile = model.contributions(frame[chosen]), hostile[chosen]
    sizes, unusual = np.abs(told.values).mean(axis=0), np.abs(told.unusual).mean(axis=0)
    sides = [_means(told.values[side]) for side in (is_hostile, ~is_hostile)]
    return [
        Deciding(
            told.names[at], round(float(sizes[at]), 6), round(float(unusual[at]), 6), *(each[at] for each in sides)
        )
        for at in np.argsort(-sizes, kind="stable").tolist()
    ]


def _means(values: Vector) -> list[float | None]:
    return values.mean(axis=0).round(6).tolist() if len(values) else [None] * values.shape[1]
