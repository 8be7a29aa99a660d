"""From a table to numbers: which columns count, and which are left out because they name rows, not kinds."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
import numpy as np
import polars as pl

from infraspectre.errors import InputError
from infraspectre.ml.detector import Matrix, State

MAX_CATEGORIES = 32
"""Most categories of a column that get a feature of their own; rarer ones share their rarity."""
MIN_CATEGORY_ROWS = 20
"""Fewest rows of a category with a feature of its own: what was seen less often says little of what is to come."""
MAX_DISTINCT_TEXTS = 1_000
"""A text column with more distinct values names individuals, not kinds."""
MAX_LEAK_VALUES = 64
"""Most distinct values of a column that repeats the answer: measured numbers have more."""
MIN_LEAK_ROWS = 200
"""Fewest rows on which a column that gives the answer away is taken for a copy of it, not for chance."""
LARGEST = float(np.finfo(np.float32).max)
IDENTITY_WORDS = frozenset(
    {"id", "uid", "uuid", "guid", "ip", "addr", "address", "mac", "host", "hostname", "time", "timestamp", "date"}
)
"""A text or integer column with such a word for its first or last word names an individual or a moment."""


class Column(msgspec.Struct, frozen=True):
    """Holds what was learnt of a column that counts: of a number nothing, of a category how often each value occurs."""

    name: str
    categories: list[str] | None = None
    """Values with a feature of their own, most frequent first; None for a number."""
    rarity: dict[str, float] = {}
    """Minus the binary logarithm of each value's share of the rows."""
    unseen: float = 0.0
    """The rarity of a value that was never seen."""

    @property
    def features(self) -> list[str]:
        """Name the features it becomes."""
        if self.categories is None:
            return [self.name]
        return [f"{self.name}={value}" for value in self.categories] + [f"rarity of {self.name}"]


class Table:
    """Turns rows of a table into rows of numbers, as learnt from the training table alone."""

    kind: ClassVar[str] = "table"

    def __init__(self, columns: list[Column], left_out: dict[str, str]) -> None:
        """Encode these columns; `left_out` says of each other one why it does not count."""
        self._columns = columns
        self.left_out = left_out

    @classmethod
    def learn(cls, frame: pl.DataFrame, answers: pl.Series | None = None, *, answer_name: str = "") -> Table:
        """Learn which columns count; `answers` say which rows are hostile, which no column may repeat.

        Raises `InputError` where no column is left.
        """
        columns, left_out = [], {}
        for series in frame:
            if series.name == answer_name:
                continue
            reason = _reason_against(series, answers, answer_name)
            if reason:
                left_out[series.name] = reason
            else:
                columns.append(_learn_column(series))
        if not columns:
            listed = "; ".join(f"{name} ({reason})" for name, reason in left_out.items())
            raise InputError(f"no column is left to learn from: {listed or 'there is none'}")
        return cls(columns, left_out)

    @property
    def columns(self) -> list[str]:
        """Name the columns that a table must have."""
        return [column.name for column in self._columns]

    @property
    def features(self) -> list[str]:
        """Name the features, in the order of the encoded columns."""
        return [feature for column in self._columns for feature in column.features]

    def encode(self, frame: pl.DataFrame) -> Matrix:
        """Return rows by features; raises `InputError` naming columns that are missing or of another type."""
        missing = [name for name in self.columns if name not in frame.columns]
        if missing:
            raise InputError(
                f"{'columns are' if len(missing) > 1 else 'a column is'} missing: {', '.join(missing)}",
                remedy="give the columns that the model was trained on",
            )
        out = np.empty((len(frame), len(self.features)), dtype=np.float32)
        start = 0
        for column in self._columns:
            width = len(column.features)
            _encode_column(column, frame[column.name], out[:, start : start + width])
            start += width
        return out

    def state(self) -> State:
        """Return what was learnt."""
        return State(self.kind, {"columns": msgspec.to_builtins(self._columns), "left_out": self.left_out})

    @classmethod
    def restore(cls, state: State) -> Table:
        """Return the table whose state it is."""
        return cls(msgspec.convert(state.values["columns"], list[Column]), dict(state.values["left_out"]))


def _reason_against(series: pl.Series, answers: pl.Series | None, answer_name: str) -> str:
    if answer_name and series.name.lower().startswith(answer_name.lower()):
        return "is named after the label"
    if series.dtype.is_temporal():
        return "is a time"
    if series.dtype.is_nested() or series.dtype in (pl.Binary, pl.Object):
        return "is neither a number nor a text"
    if series.null_count() == len(series):
        return "is empty"
    if answers is not None and _repeats(series, answers):
        return "gives the label away"
    return _reason_for_identity(series)


def _reason_for_identity(series: pl.Series) -> str:
    if series.dtype.is_float() or series.dtype == pl.Boolean:
        return ""
    if _is_named_as_identity(series.name):
        return "is named as an identity"
    distinct = series.n_unique()
    if series.dtype.is_integer():
        is_count = distinct == len(series) > 1 and (series.is_sorted() or series.is_sorted(descending=True))
        return "numbers the rows" if is_count else ""
    return "has too many distinct texts" if distinct > MAX_DISTINCT_TEXTS else ""


def _is_named_as_identity(name: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    return bool(words) and (words[0].lower() in IDENTITY_WORDS or words[-1].lower() in IDENTITY_WORDS)


def _repeats(series: pl.Series, answers: pl.Series) -> bool:
    """Tell whether each of few values goes with one answer alone, which what is measured hardly does."""
    if len(series) < MIN_LEAK_ROWS or answers.n_unique() < 2 or not 1 < series.n_unique() <= MAX_LEAK_VALUES:
        return False
    pairs = pl.DataFrame({"value": series, "answer": answers})
    return bool(pairs.group_by("value").agg(pl.col("answer").n_unique())["answer"].max() == 1)


def _is_number(dtype: pl.DataType) -> bool:
    return dtype.is_numeric() or dtype == pl.Boolean


def _learn_column(series: pl.Series) -> Column:
    if _is_number(series.dtype):
        return Column(series.name)
    counts = (
        series.cast(pl.String)
        .drop_nulls()
        .value_counts(name="rows")
        .sort(["rows", series.name], descending=[True, False])
    )
    rows, total = counts["rows"].to_list(), len(series) + 1
    values: list[str] = counts[series.name].to_list()
    own = [value for value, count in zip(values, rows, strict=True) if count >= MIN_CATEGORY_ROWS][:MAX_CATEGORIES]
    rarity = {value: float(np.log2(total / count)) for value, count in zip(values, rows, strict=True)}
    return Column(series.name, own, rarity, float(np.log2(total)))


def _encode_column(column: Column, series: pl.Series, out: Matrix) -> None:
    if column.categories is None:
        out[:, 0] = _numbers(series)
        return
    if not (_is_number(series.dtype) or series.dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)):
        raise InputError(f"is {series.dtype}, not a text", field=series.name)
    if not len(series):
        return
    texts = series.cast(pl.String)
    places = {value: place for place, value in enumerate(column.categories)}
    distinct = texts.unique(maintain_order=True).to_list()
    codes = texts.replace_strict(distinct, list(range(len(distinct))), return_dtype=pl.Int64).to_numpy()
    block = np.zeros((len(distinct), out.shape[1]), dtype=np.float32)
    for row, value in enumerate(distinct):
        if value in places:
            block[row, places[value]] = 1.0
        block[row, -1] = np.nan if value is None else column.rarity.get(value, column.unseen)
    out[:] = block[codes]


def _numbers(series: pl.Series) -> Matrix:
    if series.dtype == pl.String:
        series = _parsed(series)
    elif not (_is_number(series.dtype) or series.dtype == pl.Null):
        raise InputError(f"is {series.dtype}, not a number", field=series.name)
    numbers = series.cast(pl.Float64).to_numpy().astype(np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return np.asarray(np.clip(numbers, -LARGEST, LARGEST), dtype=np.float32)


def _parsed(series: pl.Series) -> pl.Series:
    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & series.is_not_null() & (series.str.strip_chars() != "")).arg_true()
    if len(wrong):
        value = str(series[int(wrong[0])])[:40]
        raise InputError(f"row {int(wrong[0])} holds {value!r}, not a number", field=series.name)
    return numbers
