"""From a table to numbers: which columns count, and which are left out because they name rows, not kinds."""

from __future__ import annotations

import re
from typing import ClassVar

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.detector import Matrix, State, Vector

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
MIN_RANDOM_ROWS = 1_000
MIN_RANDOM_DISTINCT = 0.9
MOST_UNEVEN = 0.05
"""Fewest values, besides the most frequent one, of a column of random numbers such as first sequence numbers of TCP;
least share of them that is distinct, and most by which their quartiles are off those of an even spread. What is
measured repeats itself or has a long tail; trees that split on random numbers learn the rows by heart."""
LARGEST = float(np.finfo(np.float32).max)
IDENTITY_WORDS = frozenset(
    {"id", "uid", "uuid", "guid", "ip", "addr", "address", "mac", "host", "hostname", "time", "timestamp", "date"}
)
"""A text or integer column with such a word for its first or last word names an individual or a moment."""
MOMENT_WORD = "at"
"""The last word of the name of a moment, such as started_at, whatever the type of its values."""
EPOCH = (946_684_800, 4_102_444_800)
"""Seconds since 1970 of the years 2000 and 2100: what lies between them in all rows is a time."""
UNITS_OF_TIME = (1, 10**3, 10**6, 10**9)
"""In a second: seconds, milliseconds, microseconds and nanoseconds."""
MIN_MOMENT_ROWS = 20
"""Fewest rows on which numbers between the two years are taken for times."""


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

    @property
    def owners(self) -> NDArray[np.int64]:
        """Return for each feature the place of the column that it is made of."""
        return np.repeat(np.arange(len(self._columns)), [len(column.features) for column in self._columns])

    @property
    def is_number(self) -> NDArray[np.bool_]:
        """Tell for each column whether it holds numbers, and is one feature, or texts."""
        return np.array([column.categories is None for column in self._columns], dtype=bool)

    def encode(self, frame: pl.DataFrame) -> Matrix:
        """Return rows by features; raises `InputError` naming columns that are missing or of another type."""
        given = {series.name: series for series in frame.get_columns()}
        missing = [name for name in self.columns if name not in given]
        if missing:
            raise InputError(
                f"{'columns are' if len(missing) > 1 else 'a column is'} missing: {', '.join(missing)}",
                remedy="give the columns that the model was trained on",
            )
        out = np.empty((len(frame), len(self.features)), dtype=np.float32)
        numbers: dict[str, int] = {}
        start = 0
        for column in self._columns:
            width = len(column.features)
            if column.categories is None and given[column.name].dtype.is_numeric():
                numbers[column.name] = start
            else:
                _encode_column(column, given[column.name], out[:, start : start + width])
            start += width
        if numbers:  # together: what a column costs by itself is most of the cost of a small table
            block = np.empty((len(numbers), len(frame)))
            for place, name in enumerate(numbers):
                block[place] = given[name].to_numpy()
            out[:, list(numbers.values())] = _finite(block).T
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
    if names_identity(series):
        return "is named as an identity"
    if holds_moments(series):
        return "holds times"
    if series.dtype.is_float() or series.dtype == pl.Boolean:
        return ""
    distinct = series.n_unique()
    if series.dtype.is_integer():
        is_count = distinct == len(series) > 1 and (series.is_sorted() or series.is_sorted(descending=True))
        if is_count:
            return "numbers the rows"
        return "holds random numbers" if _is_random(series) else ""
    return "has too many distinct texts" if distinct > MAX_DISTINCT_TEXTS else ""


def names_identity(series: pl.Series) -> bool:
    """Tell whether the name of a column says that it names individuals or moments, which do not recur elsewhere."""
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", series.name)]
    if len(words) > 1 and words[-1] == MOMENT_WORD:
        return True
    if not words or series.dtype.is_float() or series.dtype == pl.Boolean:
        return False
    return words[0] in IDENTITY_WORDS or words[-1] in IDENTITY_WORDS


def holds_moments(series: pl.Series) -> bool:
    """Tell whether all numbers of a column lie between the years 2000 and 2100 in a usual unit, as times do."""
    if not series.dtype.is_numeric() or series.len() - series.null_count() < MIN_MOMENT_ROWS:
        return False
    known = series.cast(pl.Float64).fill_nan(None)
    least, most = known.min(), known.max()
    if not isinstance(least, float) or not isinstance(most, float):
        return False
    return any(EPOCH[0] * unit <= least and most <= EPOCH[1] * unit for unit in UNITS_OF_TIME)


def _is_random(series: pl.Series) -> bool:
    numbers = series.drop_nulls()
    numbers = numbers.filter(numbers != numbers.mode().min())
    if len(numbers) < MIN_RANDOM_ROWS or numbers.n_unique() < MIN_RANDOM_DISTINCT * len(numbers):
        return False
    values = numbers.to_numpy().astype(np.float64)
    quartiles = (np.quantile(values, (0.25, 0.5, 0.75)) - values.min()) / np.ptp(values)
    return bool(np.abs(quartiles - (0.25, 0.5, 0.75)).max() <= MOST_UNEVEN)


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
        .alias("value")
        .value_counts(name="rows")
        .sort(["rows", "value"], descending=[True, False])
    )
    rows, total = counts["rows"].to_list(), len(series) + 1
    values: list[str] = counts["value"].to_list()
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
    texts: list[str | None] = series.cast(pl.String).to_list()
    places = {value: place for place, value in enumerate(column.categories)}
    distinct = list(dict.fromkeys(texts))
    numbers = {value: number for number, value in enumerate(distinct)}
    codes = np.fromiter(map(numbers.__getitem__, texts), dtype=np.int64, count=len(texts))
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
    return _finite(series.cast(pl.Float64).to_numpy())


def _finite(values: Vector) -> Matrix:
    """Return numbers as features: what is not finite is not known, and what is too large is as large as possible."""
    numbers = np.where(np.isfinite(values), values, np.nan)
    return np.asarray(np.clip(numbers, -LARGEST, LARGEST), dtype=np.float32)


def _parsed(series: pl.Series) -> pl.Series:
    numbers = series.str.strip_chars().cast(pl.Float64, strict=False)
    wrong = (numbers.is_null() & series.is_not_null() & (series.str.strip_chars() != "")).arg_true()
    if len(wrong):
        value = str(series[int(wrong[0])])[:40]
        raise InputError(f"row {int(wrong[0])} holds {value!r}, not a number", field=series.name)
    return numbers
