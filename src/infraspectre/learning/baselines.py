"""What costs nothing: the more frequent answer, and the best single feature; a model has to be better than these."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import polars as pl

from infraspectre.learning.leakage import coded
from infraspectre.learning.measures import Hostile, area_under_curve, threshold_for
from infraspectre.ml.detector import Judgement, Vector

WANTED = 0.01


class Baseline(msgspec.Struct, frozen=True):
    """Holds what a way of guessing reaches on the half of the rows from which none of them learnt."""

    name: str
    accuracy: float
    area_under_curve: float
    true_positive_rate: float
    """At 1% false positives; the threshold of a feature is fixed on the half it was learnt from."""


def baselines(frame: pl.DataFrame, hostile: Hostile, judgement: Judgement, seed: int = 0) -> list[Baseline]:
    """Return the majority, the best stump of one feature learnt on a random half, and the model on the other half."""
    learnt = np.random.default_rng(seed).random(len(hostile)) < 0.5
    if hostile[learnt].all() or not hostile[learnt].any() or hostile[~learnt].all() or not hostile[~learnt].any():
        return []
    truth = hostile[~learnt]
    most = bool(hostile[learnt].mean() > 0.5)
    majority = Baseline("majority", float((truth == most).mean()), 0.5, WANTED)
    return [majority, best_stump(frame, hostile, learnt), of_model(judgement, hostile, learnt)]


def best_stump(frame: pl.DataFrame, hostile: Hostile, learnt: Hostile) -> Baseline:
    """Return the feature whose shares of hostile rows, by value, tell most on the half they were learnt from."""
    found = [(name, shares(coded(frame[name]), hostile, learnt)) for name in frame.columns]
    usable = [(name, each) for name, each in found if each is not None] or [("(none)", np.full(len(hostile), 0.5))]
    name, scores = max(usable, key=lambda each: (area_under_curve(each[1][learnt], hostile[learnt]), each[0]))
    return scored(f"one feature: {name}", scores, scores > 0.5, hostile, learnt)


def shares(codes: pl.Series, hostile: Hostile, learnt: Hostile) -> Vector | None:
    """Return for each row the share of hostile rows with its value, smoothed by a row of each kind; None for names."""
    table = pl.DataFrame({"code": codes, "hostile": hostile})
    known = table.filter(learnt).group_by("code").agg(((pl.col("hostile").sum() + 1) / (pl.len() + 2)).alias("share"))
    if len(known) > max(len(codes) // 10, 2):
        return None
    joined = table.select("code").join(known, on="code", how="left", maintain_order="left")
    return joined["share"].fill_null(float(hostile[learnt].mean())).to_numpy().astype(np.float64)


def of_model(judgement: Judgement, hostile: Hostile, learnt: Hostile) -> Baseline:
    """Return what the model reaches on the same half, with the threshold fixed as for the feature."""
    return scored("the model", judgement.scores, judgement.probabilities > 0.5, hostile, learnt)


def scored(name: str, scores: Vector, flagged: Hostile, hostile: Hostile, learnt: Hostile) -> Baseline:
    """Return what scores reach on the other half."""
    truth = hostile[~learnt]
    threshold = threshold_for(scores[learnt & ~hostile], WANTED)
    reached = float((scores[~learnt][truth] > threshold).mean()) if math.isfinite(threshold) else math.nan
    accuracy = float((flagged[~learnt] == truth).mean())
    return Baseline(name, accuracy, area_under_curve(scores[~learnt], truth), reached)
