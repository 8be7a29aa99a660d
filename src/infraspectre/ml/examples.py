"""Known examples: a small sample of training rows of each class, and which of them are nearest to a row."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import ClassVar, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.ml.anomaly.parts import copies
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import squared_distances
from infraspectre.ml.table import Table
from infraspectre.records.explanation import Value

Places = NDArray[np.int64]

MOST_BYTES = 100_000
"""Most bytes of all examples; a value takes four."""
MOST_ROWS = 512
"""Most examples, one half of them benign."""
LEAST_ROWS = 32
CANDIDATES = 4
"""Rows looked at for each that is kept, as some are equal and some benign ones look hostile."""


class Point(NamedTuple):
    """Holds rows in the space in which distances are measured."""

    numbers: Vector
    """Deviations of the columns of numbers, then how unusual it is that they are not known (see `Scaling`)."""
    codes: NDArray[np.int64]
    """Rows by columns of texts: the number of each text among those of the examples, -1 for others."""


class Examples:
    """Knows some training rows of each class as they were, and finds those nearest to others."""

    kind: ClassVar[str] = "examples"

    def __init__(
        self, table: Table, labels: Labels, numbers: Matrix, texts: list[list[str | None]], scaling: Scaling
    ) -> None:
        """Take over a class for each row, rows by columns of numbers with their scaling, a list per column of texts."""
        self.labels = labels
        self._table, self._numbers, self._texts, self._scaling = table, numbers, texts, scaling
        self._codes = [{text: code for code, text in enumerate(dict.fromkeys(column))} for column in texts]
        self._point = Point(self._deviations(numbers), self._coded(texts, len(labels)))
        self.rows = table.encode(self.frame())
        """The encoded examples."""

    @classmethod
    def learn(
        cls,
        table: Table,
        frame: pl.DataFrame,
        rows: Matrix,
        labels: Labels,
        is_called_benign: Callable[[Matrix], NDArray[np.bool_]],
        seed: int,
    ) -> Examples:
        """Keep distinct rows drawn by the seed, of the benign ones only some that are also called so.

        One half of the room is for benign rows, the other is shared among the other classes.
        """
        room = max(LEAST_ROWS, min(MOST_ROWS, MOST_BYTES // (4 * len(table.columns)))) // 2
        draws = np.random.default_rng(seed)
        kinds = np.unique(labels).tolist()
        chosen = []
        for kind in kinds:
            quota = room if kind == 0 else max(1, room // max(1, len(kinds) - 1))
            drawn = draws.permutation(np.flatnonzero(labels == kind))[: CANDIDATES * quota]
            drawn = drawn[np.sort(np.unique(copies(rows[drawn]), return_index=True)[1])]
            usual = drawn[is_called_benign(rows[drawn])] if kind == 0 else drawn
            chosen.append((usual if len(usual) else drawn)[:quota])
        places = np.concatenate(chosen)
        numbers = rows[:, table.is_number[table.owners]]
        texts = [frame[name][places].cast(pl.String).to_list() for name in _texts(table)]
        scaling = Scaling.fit(numbers) if numbers.shape[1] else Scaling(*np.empty((3, 0)))
        return cls(table, labels[places], numbers[places], texts, scaling)

    def locate(self, frame: pl.DataFrame, rows: Matrix) -> Point:
        """Return rows of a table, given with how the table encodes them, where distances can be measured."""
        texts = [frame[name].cast(pl.String).to_list() for name in _texts(self._table)]
        return Point(
            self._deviations(rows[:, self._table.is_number[self._table.owners]]), self._coded(texts, len(rows))
        )

    def nearest(self, point: Point, count: int, *, benign: bool = False) -> tuple[Places, Vector]:
        """Return places of and distances to the nearest examples of each row, (rows, count) both, the nearest first.

        A distance is the root of the mean over columns of the squares of `differences`; where two are equal, the one
        kept first comes first.
        """
        squares = squared_distances(point.numbers, self._point.numbers)
        for column in range(point.codes.shape[1]):
            squares += point.codes[:, column, None] != self._point.codes[None, :, column]
        if benign:
            squares[:, self.labels > 0] = np.inf
        places = np.argsort(squares, axis=1, kind="stable")[:, :count]
        distances = np.sqrt(np.take_along_axis(squares, places, axis=1) / len(self._table.columns))
        return places, distances.astype(np.float64)

    def differences(self, point: Point, places: Places) -> Vector:
        """Return how far each row is from the example at its place, (rows, columns).

        Numbers differ by standard deviations of their signed logarithms, texts by one.
        """
        out = np.empty((len(places), len(self._table.columns)))
        is_number = self._table.is_number
        squares = np.zeros((len(places), self._scaling.features))
        np.add.at(squares.T, self._scaling.owners, ((point.numbers - self._point.numbers[places]) ** 2).T)
        out[:, is_number] = np.sqrt(squares)
        out[:, ~is_number] = point.codes != self._point.codes[places]
        return out

    @cached_property
    def records(self) -> list[dict[str, Value]]:
        """Return what each example holds, column by column."""
        columns: list[list[Value]] = [
            list(map(plain, series.to_numpy())) if is_number else series.to_list()
            for series, is_number in zip(self.frame(), self._table.is_number.tolist(), strict=True)
        ]
        return [dict(zip(self._table.columns, row, strict=True)) for row in zip(*columns, strict=True)]

    def frame(self) -> pl.DataFrame:
        """Return the examples as rows of a table."""
        numbers, texts = iter(self._numbers.T), iter(self._texts)
        pairs = zip(self._table.columns, self._table.is_number.tolist(), strict=True)
        return pl.DataFrame(
            [
                pl.Series(name, next(numbers)) if is_number else pl.Series(name, next(texts), pl.String)
                for name, is_number in pairs
            ]
        )

    def _deviations(self, numbers: Matrix) -> Vector:
        return self._scaling.deviations(numbers) if numbers.shape[1] else np.empty((len(numbers), 0))

    def _coded(self, texts: list[list[str | None]], rows: int) -> NDArray[np.int64]:
        out = np.empty((rows, len(texts)), dtype=np.int64)
        for place, (codes, column) in enumerate(zip(self._codes, texts, strict=True)):
            out[:, place] = [codes.get(text, -1) for text in column]
        return out

    def state(self) -> State:
        """Return the examples."""
        arrays = {"labels": self.labels, "numbers": self._numbers}
        return State(self.kind, {"texts": self._texts}, arrays, {"scaling": self._scaling.state()})

    @classmethod
    def restore(cls, state: State, table: Table) -> Examples:
        """Return the examples whose state it is; they are rows of this table."""
        arrays, texts = state.arrays, [list(each) for each in state.values["texts"]]
        return cls(table, arrays["labels"], arrays["numbers"], texts, Scaling.restore(state.parts["scaling"]))


def plain(number: np.float32) -> Value:
    """Return a number of single precision as the shortest that stands for it; None for one that is not known."""
    if not np.isfinite(number):
        return None
    return int(number) if number == np.rint(number) and abs(number) < 1e15 else float(str(number))


def _texts(table: Table) -> list[str]:
    return [name for name, is_number in zip(table.columns, table.is_number.tolist(), strict=True) if not is_number]
