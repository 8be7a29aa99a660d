"""The cascade: all rows are judged, suspicious ones named and explained; under load the costliest stage goes first."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Generic, Protocol, TypeVar, runtime_checkable

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.ml.detector import Judgement, Matrix, Vector

MICRO_BATCH = 1_024
"""Most rows of a micro-batch, which bounds how long the first of them waits."""
RECOVERY = 16
"""Micro-batches in a row that must stay below half the budget before a stage that was shed is tried again."""
UNNAMED = "hostile"
"""The label of rows whose class was not asked for, because that stage was shed."""

Told = TypeVar("Told")


class Stage(IntEnum):
    """Counts how far a row got; each stage needs the one before."""

    TRIAGE = 1
    FAMILIES = 2
    EXPLANATIONS = 3


class Triaged(msgspec.Struct, frozen=True):
    """Holds what the first stage says of rows."""

    rows: Matrix
    """The rows as numbers, which the next stage reads."""
    scores: Vector
    probabilities: Vector
    low: Vector
    high: Vector
    flagged: NDArray[np.int64]
    """The places of suspicious rows."""


@runtime_checkable
class Staged(Protocol):
    """Is a model whose first stage can be asked alone."""

    @property
    def classes(self) -> list[str]:
        """Name the classes it tells apart, the benign one first."""
        ...

    def triage(self, frame: pl.DataFrame) -> Triaged:
        """Say of each row of a table how suspicious it is."""
        ...

    def families(self, rows: Matrix) -> list[str]:
        """Name the class of each suspicious row."""
        ...


class Verdicts(msgspec.Struct, Generic[Told], frozen=True):
    """Holds a judgement, the stage that each row reached, and explanations by the place of their row."""

    judgement: Judgement
    stages: NDArray[np.int8]
    told: dict[int, Told]


class Cascade(Generic[Told]):
    """Judges micro-batches within a budget of time; without a budget all stages are always reached.

    A stage begins only while its micro-batch is within its budget. One that misses it sheds a stage from those that
    follow: explanations first, then families, never triage. After `RECOVERY` swift ones the last stage shed comes back.
    """

    def __init__(
        self,
        model: Staged,
        explain: Callable[[pl.DataFrame], list[Told]] | None = None,
        *,
        budget_s: float = math.inf,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Ask a model, and about its suspicious rows what explains them; `clock` gives seconds."""
        self._model = model
        self._explain = explain
        self._budget_s = budget_s
        self._clock = clock
        self._swift = 0
        self.reach = Stage.EXPLANATIONS if explain else Stage.FAMILIES
        """The last stage that is asked at present."""
        self.missed = 0
        """Micro-batches that took longer than their budget."""

    def judge(self, frame: pl.DataFrame) -> Verdicts[Told]:
        """Judge one micro-batch; raise ValueError for more than MICRO_BATCH rows, and what the model raises."""
        if len(frame) > MICRO_BATCH:
            raise ValueError(f"{len(frame)} rows are more than a micro-batch of {MICRO_BATCH}")
        begun = self._clock()
        triaged = self._model.triage(frame)
        labels = np.full(len(frame), self._model.classes[0], dtype=object)
        stages = np.full(len(frame), Stage.TRIAGE, dtype=np.int8)
        told: dict[int, Told] = {}
        flagged = triaged.flagged
        labels[flagged] = UNNAMED
        if len(flagged) and self._may(Stage.FAMILIES, begun):
            labels[flagged] = self._model.families(triaged.rows[flagged])
            stages[flagged] = Stage.FAMILIES
            if self._explain is not None and self._may(Stage.EXPLANATIONS, begun):
                told = dict(zip(flagged.tolist(), self._explain(frame[flagged]), strict=True))
                stages[flagged] = Stage.EXPLANATIONS
        self._learn_load(self._clock() - begun)
        scores = triaged.scores, triaged.probabilities, triaged.low, triaged.high
        return Verdicts(Judgement(labels.tolist(), *scores), stages, told)

    def _may(self, stage: Stage, begun: float) -> bool:
        return stage <= self.reach and self._clock() - begun < self._budget_s

    def _learn_load(self, took_s: float) -> None:
        full = Stage.EXPLANATIONS if self._explain else Stage.FAMILIES
        if took_s > self._budget_s:
            self.missed += 1
            self._swift = 0
            self.reach = Stage(max(Stage.TRIAGE, self.reach - 1))
            return
        self._swift = self._swift + 1 if took_s < self._budget_s / 2 else 0
        if self._swift >= RECOVERY and self.reach < full:
            self._swift = 0
            self.reach = Stage(self.reach + 1)
