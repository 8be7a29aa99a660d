"""A model that needs no training, and tables for it."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import polars as pl

from infraspectre.ml.detector import Judgement, State
from infraspectre.records.models import DataFile, Manifest

MANIFEST = Manifest(
    name="line",
    kind="line",
    task="classify",
    label="kind",
    columns={"x": "number"},
    classes=["benign", "attack"],
    created_at="2026-01-01T00:00:00Z",
    seed=7,
    data=[DataFile("a.csv", "0" * 64, 3)],
)
"""Describes a `Line`."""


class Line:
    """Judges rows by one column: hostile from a half."""

    kind: ClassVar[str] = "line"

    def __init__(self, column: str = "x") -> None:
        self._column = column

    @property
    def columns(self) -> list[str]:
        return [self._column]

    @property
    def classes(self) -> list[str]:
        return ["benign", "attack"]

    def threshold(self, rate: float) -> float:
        return 1.0 - rate

    def judge(self, frame: pl.DataFrame) -> Judgement:
        scores = frame[self._column].cast(pl.Float64).fill_null(0.5).to_numpy()
        labels = ["attack" if score > 0.5 else "benign" for score in scores]
        return Judgement(labels, scores, scores, np.maximum(scores - 0.1, 0), np.minimum(scores + 0.1, 1))

    def state(self) -> State:
        part = State("part", {"deep": True}, {"row": np.arange(3, dtype=np.int32)})
        return State(self.kind, {"column": self._column}, {"grid": np.eye(2)}, {"part": part})

    @classmethod
    def restore(cls, state: State) -> Line:
        return cls(state.values["column"])


def rows(count: int, seed: int = 0) -> pl.DataFrame:
    """Return rows whose probability of being hostile is their value of `x`; `y` tells nothing."""
    draws = np.random.default_rng(seed)
    x = draws.random(count)
    hostile = draws.random(count) < x
    labels = np.where(hostile, "attack", "benign").tolist()
    return pl.DataFrame({"x": x, "y": draws.random(count), "kind": labels})


def attacks(count: int, seed: int = 0) -> pl.DataFrame:
    """Return benign rows around 0, floods around 6 and scans around -6 of `x`."""
    draws = np.random.default_rng(seed)
    kinds = draws.choice(["benign", "flood", "scan"], size=count, p=[0.6, 0.2, 0.2])
    centres = np.select([kinds == "flood", kinds == "scan"], [6.0, -6.0], 0.0)
    return pl.DataFrame({"x": centres + draws.normal(size=count), "y": draws.random(count), "kind": kinds.tolist()})
