"""Ranks of the rows of a part: what sorts them, in so few bytes that a whole part can be looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from infraspectre.adapters.column_store.dictionary import Rows
from infraspectre.adapters.column_store.durable import mapped
from infraspectre.records.tables import Table

TIMES = np.dtype("<i8")
RANKS = np.dtype("<u2")


def rank(values: Any) -> np.ndarray:
    """Return ranks of numbers from 0 on, 0 where there is none: of two numbers, the higher never has the lower rank.

    The rank is the upper half of a number of single precision (IEEE 754), whose bits are in order of value.
    """
    with np.errstate(over="ignore"):
        numbers = np.atleast_1d(np.array(values, np.float64)).astype(np.float32)
    known = np.maximum(np.nan_to_num(numbers, nan=0.0, posinf=np.inf), 0.0)
    return np.where(np.isnan(numbers), 0, (known.view(np.uint32) >> 16) + 1).astype(RANKS)


def encoded(rows: pl.DataFrame, table: Table) -> bytes:
    """Return the times of rows, and behind them the ranks of each number by which the highest are asked for."""
    ranked = [
        rows[name].cast(pl.Float64).to_numpy() if name in rows.columns else [np.nan] * rows.height
        for name in table.ranked
    ]
    return b"".join((rows[table.at].to_numpy().astype(TIMES).tobytes(), *(rank(values).tobytes() for values in ranked)))


class Ranks:
    """Reads the ranks of a part without loading them; raises OSError where they are damaged."""

    def __init__(self, path: Path, table: Table, rows: int) -> None:
        """Map its file."""
        data = mapped(path)
        if len(data) != rows * (TIMES.itemsize + RANKS.itemsize * len(table.ranked)):
            raise OSError(f"{path} is damaged")
        self._table, self._path = table, path
        self._times = data[: rows * TIMES.itemsize].view(TIMES)
        self._ranks = data[rows * TIMES.itemsize :].view(RANKS).reshape(len(table.ranked), rows)

    def times(self, rows: Rows) -> np.ndarray:
        """Return the event times of rows."""
        return self._of_rows(self._times, rows)

    def of(self, field: str, rows: Rows) -> np.ndarray:
        """Return the ranks of rows by a field; all alike where they are not known."""
        if field == self._table.at:
            return self.times(rows)
        if field not in self._table.ranked:
            return np.zeros(len(rows), np.int64)
        return self._of_rows(self._ranks[self._table.ranked.index(field)], rows).astype(np.int64)

    def _of_rows(self, values: np.ndarray, rows: Rows) -> np.ndarray:
        if len(rows) and int(rows.max()) >= len(values):
            raise OSError(f"what belongs to {self._path} is damaged")
        return np.asarray(values[rows])
