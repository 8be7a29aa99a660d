"""Events in columns: which rows of a batch hold which values, as sets of rows that are joined and cut like numbers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.soma.sigma.rule import END, START

Rows = int
"""A set of rows: bit n of the number stands for row n."""
SEARCHED_CHARACTERS = 1 << 22
"""How much text is searched at a time, which bounds the memory that its finds take."""
FEW = 2_000
"""Up to so many pairs of a value and a text, comparing each takes less time than preparing to find all at once."""


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
    def of(cls, series: pl.Series) -> Column:
        """Take the values of a column."""
        known = np.flatnonzero(series.is_not_null().to_numpy())
        present = series.drop_nulls() if len(known) < len(series) else series
        if isinstance(series.dtype, pl.List):
            known = np.repeat(known, present.list.len().to_numpy())
            present = present.explode(empty_as_null=False)
        elif series.dtype == pl.Boolean:
            present = present.cast(pl.String)
        numbers: dict[Any, int] = {}
        codes = np.fromiter((numbers.setdefault(value, len(numbers)) for value in present.to_list()), np.intp, len(known))
        return cls([str(value) for value in numbers], codes, known, len(series))

    @classmethod
    def joined(cls, columns: Sequence[Column], count: int) -> Column:
        """Put columns together: a row has the values that it has in any of them."""
        firsts = np.cumsum([0, *(len(column.values) for column in columns)])
        codes = [column._codes + first for column, first in zip(columns, firsts, strict=False)]
        rows = np.concatenate([np.empty(0, np.intp), *(column._rows for column in columns)])
        order = np.argsort(rows, kind="stable")
        values = [value for column in columns for value in column.values]
        return cls(values, np.concatenate([np.empty(0, np.intp), *codes])[order], rows[order], count)

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

    def search(self, texts: Sequence[str], within: Rows, *, cased: bool) -> None:
        """Find all of these texts at once in some rows, for `containing` to ask for."""
        found: dict[str, list[int]] = defaultdict(list)
        codes = self.codes(within).tolist()
        size = 0
        part: list[int] = []
        for code in codes:
            part.append(code)
            size += len(self.values[code])
            if size > SEARCHED_CHARACTERS:
                self._search(part, texts, found, cased)
                part, size = [], 0
        self._search(part, texts, found, cased)
        self._found[cased] = found

    def _search(self, codes: list[int], texts: Sequence[str], found: dict[str, list[int]], cased: bool) -> None:
        if len(codes) * len(texts) <= FEW:
            for code in codes:
                value = framed(self.values[code], cased)
                for text in texts:
                    if text in value:
                        found[text].append(code)
            return
        values = pl.Series([framed(self.values[code], cased) for code in codes])
        for code, finds in zip(codes, values.str.extract_many(texts, overlapping=True).to_list(), strict=True):
            for text in set(finds):
                found[text].append(code)

    def containing(self, texts: frozenset[str], *, cased: bool) -> Rows:
        """Return the rows with a value that holds one of some texts, among the rows and texts that were searched."""
        found = self._found[cased]
        codes = [code for text in texts & found.keys() for code in found[text]]
        return self.holding(codes) if codes else 0


def framed(value: str, cased: bool) -> str:
    """Return a value as it is searched: between its marks, which do not occur inside, and in lower case unless cased."""
    if START in value or END in value:
        value = value.replace(START, "\ufffd").replace(END, "\ufffd")
    return f"{START}{value if cased else value.lower()}{END}"


class Events:
    """Holds a batch of events, one a row, whose columns are the fields that rules name."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Take the events; columns hold texts, numbers, truth values, or lists of these."""
        self.frame = frame
        self.all: Rows = (1 << len(frame)) - 1
        self._columns: dict[str | None, Column] = {}

    def __len__(self) -> int:
        return len(self.frame)

    def column(self, field: str | None) -> Column:
        """Return the values of a field, or those of all fields."""
        column = self._columns.get(field)
        if column is None:
            column = self._columns[field] = self._column(field)
        return column

    def _column(self, field: str | None) -> Column:
        if field is None:
            return Column.joined([self.column(name) for name in self.frame.columns], len(self))
        known = field in self.frame.columns
        return Column.of(self.frame[field]) if known else Column.joined([], len(self))

    @classmethod
    def of(cls, records: Sequence[Mapping[str, Any]]) -> Events:
        """Take events as objects; the fields of inner objects get names with dots."""
        flat = [dict(_dotted(record)) for record in records]
        names = dict.fromkeys(name for record in flat for name in record)
        columns = {name: [record.get(name) for record in flat] for name in names}
        kind = pl.List(pl.String)
        return cls(pl.DataFrame([pl.Series(name, values, dtype=kind) for name, values in columns.items()]))


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
