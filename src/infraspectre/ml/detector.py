"""The one contract of learned detectors and models, and the state in which they are kept."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

if TYPE_CHECKING:
    from infraspectre.records.explanation import Explanation

Matrix = NDArray[np.float32]
"""Rows by features; a value that is not known is NaN, and none is infinite."""
Labels = NDArray[np.int32]
"""A class for each row; 0 is benign."""
Vector = NDArray[np.float64]
Progress = Callable[[str, float], None]
"""Is told what was done last, and the share of the work that is done, 0 to 1."""


class State(msgspec.Struct, frozen=True):
    """Holds what a detector has learnt: values that JSON can say, arrays, and the states of its parts."""

    kind: str
    values: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    parts: dict[str, State] = {}


class Detector(Protocol):
    """Learns what is usual, or what is hostile, and says how suspicious rows are."""

    kind: ClassVar[str]

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Learn from rows; without labels all of them are taken for benign, with some contamination."""
        ...

    def score(self, rows: Matrix) -> Vector:
        """Return how suspicious each row is; higher is more suspicious."""
        ...

    def state(self) -> State:
        """Return what was learnt."""
        ...

    @classmethod
    def restore(cls, state: State) -> Detector:
        """Return a detector that scores exactly as the one whose state it is."""
        ...


class Judgement(msgspec.Struct, frozen=True):
    """Holds what a model says of rows, in their order."""

    labels: list[str]
    scores: Vector
    """Higher is more suspicious."""
    probabilities: Vector
    """The calibrated probability that a row is hostile."""
    low: Vector
    high: Vector
    """The ends of the interval that holds the outcome, 1 if a row is hostile and 0 if not, for 90% of rows like those
    learnt from."""


class Model(Protocol):
    """Judges the rows of a table: columns prepared, detectors asked, probabilities calibrated."""

    kind: ClassVar[str]

    @property
    def columns(self) -> list[str]:
        """Name the columns it needs."""
        ...

    @property
    def classes(self) -> list[str]:
        """Name the classes it tells apart, the benign one first."""
        ...

    def judge(self, frame: pl.DataFrame) -> Judgement:
        """Judge the rows of a table; raise `InputError` naming the column that is missing or of another type."""
        ...

    def state(self) -> State:
        """Return what was learnt."""
        ...

    @classmethod
    def restore(cls, state: State) -> Model:
        """Return a model that judges exactly as the one whose state it is."""
        ...


class Contributions(msgspec.Struct, frozen=True):
    """Holds what adds up to the margins of rows: a base and, for each row and name, a contribution."""

    names: list[str]
    """Columns, or features of texts."""
    values: Vector
    """(rows, names)"""
    unusual: Vector
    """What of `values` is for lying far from what is benign; the rest is for likeness to known attacks."""
    base: Vector


@runtime_checkable
class Explains(Model, Protocol):
    """Is a model that says why it judges rows as it does."""

    def explain(self, frame: pl.DataFrame) -> list[Explanation]:
        """Explain the judgement of each row of a table, in their order; raise as `judge` does.

        This takes a hundred times as long as judging, or more: give the few rows that are reported.
        """
        ...

    def contributions(self, frame: pl.DataFrame) -> Contributions:
        """Return what each column adds to the margin of each row over the threshold; raise as `judge` does."""


@runtime_checkable
class TellsNovel(Protocol):
    """Is a model that knows when the class it names hardly fits."""

    def novel(self, frame: pl.DataFrame, labels: list[str]) -> NDArray[np.bool_]:
        """Tell which rows that it judged hostile are unlike known ones of the class that its label names."""
        ...


@runtime_checkable
class KnowsRows(Model, Protocol):
    """Is a model that keeps a sample of the rows it learnt from."""

    def known_rows(self) -> tuple[pl.DataFrame, Labels]:
        """Return the rows of training that it keeps, which may be none, and the class of each; 0 is benign."""
        ...
