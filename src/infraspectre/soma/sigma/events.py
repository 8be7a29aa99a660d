"""Events in columns: which rows of a batch hold which values, as sets of rows that are joined and cut like numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.soma.sigma.rule import BORDER, END, START

Rows = int
"""A set of rows: bit n of the number stands for row n."""
SEARCHED_CHARACTERS = 1 << 20
"""How much text is searched at a time, which bounds the memory that its finds take."""
FEW = 100_000
"""Up to so many characters times texts, looking for each takes less time than preparing to find all at once."""


def rows_of(chosen: NDArray[np.bool_]) -> Rows:
    """Return the set of the rows for which an array holds true."""
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")


def numbers_of(rows: Rows, count: int) -> NDArray[np.intp]:
    """Return the numbers of the rows of a set, ascending."""
    octets = np.frombuffer(rows.to_bytes(count // 8 + 1, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little"))


class Column:
    """Holds the distinct values of a field as text, and which rows have which; a row may have several, or none."""

    def __init__(self, values: list[str], codes: NDArray[np.intp], rows: NDArray[np.intp], count: int) -> None:
        """Take distinct values, and for each row that has one the value's number; rows ascend."""
        self.values = values
        self._codes = codes
        self._rows = rows
        self._count = count
        self._found: dict[bool, dict[str, list[int]]] = {}

    @classmethod
    def of(cls, series: pl.Series, rows: NDArray[np.intp], count: int) -> Column:
        """Take the values of some rows, of which there are `count` in all."""
        known = rows[series.is_not_null().to_numpy()] if series.null_count() else rows
        present = series.drop_nulls() if len(known) < len(rows) else series
        if isinstance(series.dtype, pl.List):
            known = np.repeat(known, present.list.len().to_numpy())
            present = present.explode(empty_as_null=False)
        elif series.dtype == pl.Boolean:
            present = present.cast(pl.String)
        values = present.to_list()
        numbers = {value: number for number, value in enumerate(dict.fromkeys(values))}
        codes = np.fromiter(map(numbers.__getitem__, values), np.intp, len(values))
        return cls([str(value) for value in numbers], codes, known, count)

    @cached_property
    def present(self) -> Rows:
        """Return the rows that have a value."""
        return self.holding(range(len(self.values)))

    def holding(self, codes: Sequence[int] | NDArray[np.intp]) -> Rows:
        """Return the rows that have one of the numbered distinct values."""
        chosen = np.zeros(len(self.values), dtype=np.bool_)
        chosen[codes] = True
        rows = np.zeros(self._count, dtype=np.bool_)
        rows[self._rows[chosen[self._codes]]] = True
        return rows_of(rows)

    def codes(self, rows: Rows) -> NDArray[np.intp]:
        """Return the numbers of the distinct values in some rows."""
        wanted = np.zeros(self._count, dtype=np.bool_)
        wanted[numbers_of(rows, self._count)] = True
        chosen = np.zeros(len(self.values), dtype=np.bool_)
        chosen[self._codes[wanted[self._rows]]] = True
        return np.flatnonzero(chosen)

    def at(self, row: int) -> list[str]:
        """Return the values in one row."""
        first, end = np.searchsorted(self._rows, [row, row + 1])
        return [self.values[code] for code in self._codes[first:end]]

    def search(self, texts: Collection[str], *, cased: bool) -> None:
        """Find all of these texts at once, for `containing` to ask for."""
        values = [framed(value, cased) for value in self.values]
        self._found[cased] = {}
        sizes = np.cumsum([len(value) for value in values]) // SEARCHED_CHARACTERS
        for first, after in pairwise([0, *(np.flatnonzero(np.diff(sizes)) + 1).tolist(), len(values)]):
            for code, text in finds(values[first:after], texts):
                self._found[cased].setdefault(text, []).append(first + code)

    def containing(self, texts: frozenset[str], *, cased: bool) -> Rows:
        """Return the rows with a value that holds one of some texts, among the rows and texts that were searched."""
        found = self._found[cased]
        codes = [code for text in texts & found.keys() for code in found[text]]
        return self.holding(codes) if codes else 0


def framed(value: str, cased: bool) -> str:
    """Return a value as it is searched: between marks that do not occur inside, in lower case unless cased."""
    if START in value or END in value:
        value = value.replace(START, "\ufffd").replace(END, "\ufffd")
    return f"{START}{value if cased else value.lower()}{END}"


def finds(values: list[str], texts: Collection[str]) -> Iterator[tuple[int, str]]:
    """Yield which of the values hold which of the texts."""
    if sum(map(len, values)) * len(texts) <= FEW:
        yield from ((number, text) for number, value in enumerate(values) for text in texts if text in value)
        return
    found = pl.lit(pl.Series(values)).str.extract_many(list(texts), overlapping=True).list.unique()
    for number, several in enumerate(pl.select(found).to_series().to_list()):
        yield from ((number, text) for text in several)


class Events:
    """Holds a batch of events, one a row, whose columns are the fields that rules name."""

    def __init__(self, frame: pl.DataFrame, count: int | None = None) -> None:
        """Take events whose columns hold texts, numbers, truth values, or lists of these; none may have any field."""
        self.frame = frame
        self._count = len(frame) if count is None else count
        self.all: Rows = (1 << self._count) - 1
        self._known = frozenset(frame.columns)
        self._columns: dict[str | None, Column] = {}

    def __len__(self) -> int:
        return self._count

    def take(self, field: str | None, within: Rows) -> Column:
        """Return the values that some rows have in a field, or in all fields, and remember them for `column`."""
        rows = numbers_of(within, len(self))
        column = self._columns[field] = Column.of(self._values(field, rows), rows, len(self))
        return column

    def _values(self, field: str | None, rows: NDArray[np.intp]) -> pl.Series:
        """Return the values that some rows have in a field; those of all fields are one text."""
        if field is None:
            return self._joined(rows)
        if field not in self._known:
            return pl.Series([None] * len(rows), dtype=pl.String)
        return self.frame[field] if len(rows) == len(self) else self.frame[field].gather(rows)

    def _joined(self, rows: NDArray[np.intp]) -> pl.Series:
        """Return all values of some rows, those of a row as one text."""
        # Many rows are cheaper to leave out when they are texts already than when they still are many columns.
        asked = self.frame if 2 * len(rows) > len(self) else self.frame[rows]
        texts = [_as_text(each) for each in asked.get_columns() if each.null_count() < len(each)]
        if not texts:
            return pl.Series([None] * len(rows), dtype=pl.String)
        has_any = pl.any_horizontal(text.is_not_null() for text in texts)
        joined = asked.select(
            pl.when(has_any).then(pl.concat_str(texts, separator=BORDER, ignore_nulls=True))
        ).to_series()
        return joined if len(joined) == len(rows) else joined.gather(rows)

    def column(self, field: str | None) -> Column:
        """Return the values of a field, or those of all fields."""
        return self._columns.get(field) or self.take(field, self.all)

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Events:
        """Take events as objects; the fields of inner objects get names with dots."""
        flat = [dict(_dotted(record)) for record in records]
        names = dict.fromkeys(name for record in flat for name in record)
        columns = [_series(name, [record.get(name, []) for record in flat]) for name in names]
        return cls(pl.DataFrame(columns), len(flat))


def _as_text(column: pl.Series) -> pl.Expr:
    """Return the values of a column as one text for each row, null where there is none."""
    values = pl.col(column.name)
    if column.dtype != pl.List:
        return values
    return pl.when(values.list.len() > 0).then(values.cast(pl.List(pl.String)).list.join(BORDER))


def _series(name: str, values: list[list[str]]) -> pl.Series:
    """Return a column: of texts, unless an event has several."""
    if max(map(len, values)) > 1:
        return pl.Series(name, values, dtype=pl.List(pl.String))
    return pl.Series(name, [next(iter(each), None) for each in values], dtype=pl.String)


def _dotted(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, list[str]]]:
    """Yield the fields of an object with their values as texts; null is no value."""
    for name, value in record.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{name}.")
        else:
            known = [each for each in (value if isinstance(value, list) else [value]) if each is not None]
            if known:
                yield f"{prefix}{name}", [_text(each) for each in known]


def _text(value: Any) -> str:
    """Write a value as rules write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)
