"""Events in columns: which rows of a batch hold which values, as sets of rows that are joined and cut like numbers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.soma.sigma.rule import END, START

Rows = int
"""A set of rows: bit n of the number stands for row n."""
SEARCHED_BYTES = 1 << 22
"""How much text is searched at a time, which bounds the memory that its finds take."""
MARKS = f"[{START}{END}]"
SHORT = 2
"""Texts up to this length are found so often that each is looked for by itself, and only when it is asked for."""


def rows_of(chosen: NDArray[np.bool_]) -> Rows:
    """Return the set of the rows for which an array holds true."""
    return int.from_bytes(np.packbits(chosen, bitorder="little").tobytes(), "little")


def numbers_of(rows: Rows, count: int) -> NDArray[np.intp]:
    """Return the numbers of the rows of a set, ascending."""
    octets = np.frombuffer(rows.to_bytes(count // 8 + 1, "little"), dtype=np.uint8)
    return np.flatnonzero(np.unpackbits(octets, bitorder="little"))


class Column:
    """Holds the distinct values of a field as text, and which rows have which; a row may have several, or none."""

    def __init__(self, parts: list[pl.Series], count: int) -> None:
        """Take the columns in whose values the field is, each with `count` rows."""
        self._count = count
        values = pl.concat([_flat(part) for part in parts]) if parts else _flat(pl.Series([None] * count, dtype=pl.String))
        distinct = values.select("value").unique(maintain_order=True).with_row_index("code")
        coded = values.join(distinct, on="value", how="left", maintain_order="left").sort("row", maintain_order=True)
        self.values: pl.Series = distinct["value"]
        self._codes = coded["code"].to_numpy()
        self._rows = coded["row"].to_numpy()
        self._found: dict[bool, dict[str, NDArray[np.intp]]] = {}

    @cached_property
    def present(self) -> Rows:
        """Return the rows that have a value."""
        return self.holding(np.ones(len(self.values), dtype=np.bool_))

    def holding(self, chosen: NDArray[np.bool_]) -> Rows:
        """Return the rows that have one of the chosen distinct values."""
        rows = np.zeros(self._count, dtype=np.bool_)
        rows[self._rows[chosen[self._codes]]] = True
        return rows_of(rows)

    def codes(self, rows: Rows) -> NDArray[np.intp]:
        """Return the numbers of the distinct values in some rows."""
        wanted = np.zeros(self._count, dtype=np.bool_)
        wanted[numbers_of(rows, self._count)] = True
        return np.unique(self._codes[wanted[self._rows]]).astype(np.intp)

    def at(self, row: int) -> list[str]:
        """Return the values in one row."""
        first, end = np.searchsorted(self._rows, [row, row + 1])
        return self.values.gather(self._codes[first:end]).to_list()

    def where(self, codes: NDArray[np.intp], holds: NDArray[np.bool_]) -> Rows:
        """Return the rows that have one of those of the numbered distinct values for which `holds` is true."""
        chosen = np.zeros(len(self.values), dtype=np.bool_)
        chosen[codes[holds]] = True
        return self.holding(chosen)

    @cached_property
    def folded(self) -> pl.Series:
        """Return the distinct values in lower case."""
        return self.values.str.to_lowercase()

    def search(self, texts: Collection[str], *, cased: bool) -> None:
        """Find all of these texts at once, for `containing` to ask for."""
        self._found[cased] = dict(self._search([text for text in texts if len(text) > SHORT], cased))

    def _search(self, texts: list[str], cased: bool) -> Iterator[tuple[str, NDArray[np.intp]]]:
        if not texts or not len(self.values):
            return
        framed = START + (self.values if cased else self.folded).str.replace_all(MARKS, "\ufffd") + END
        pieces = framed.str.len_bytes().cast(pl.UInt64).cum_sum() // SEARCHED_BYTES
        finds = [
            pl.DataFrame({"code": part["code"], "text": part["value"].str.extract_many(texts, overlapping=True)})
            .explode("text")
            .drop_nulls("text")
            .unique()
            for part in pl.DataFrame({"value": framed, "piece": pieces}).with_row_index("code").partition_by("piece")
        ]
        for text, codes in pl.concat(finds).group_by("text").agg("code").iter_rows():
            yield text, np.asarray(codes, dtype=np.intp)

    def containing(self, texts: frozenset[str], *, cased: bool) -> Rows:
        """Return the rows with a value that holds one of some texts, which `search` looked for."""
        found = self._found[cased]
        chosen = np.zeros(len(self.values), dtype=np.bool_)
        for text in texts & found.keys():
            chosen[found[text]] = True
        for text in texts:
            if len(text) <= SHORT:
                chosen |= (self.values if cased else self.folded).str.contains(text, literal=True).to_numpy()
        return self.holding(chosen) if chosen.any() else 0


def _flat(part: pl.Series) -> pl.DataFrame:
    """Return the values of a column as text, one a row, with the numbers of their rows; nulls are left out."""
    frame = pl.DataFrame({"row": pl.int_range(len(part), eager=True), "value": part})
    if isinstance(part.dtype, pl.List):
        frame = frame.explode("value")
    return frame.drop_nulls("value").with_columns(pl.col("value").cast(pl.String))


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
            column = self._columns[field] = Column(self._parts(field), len(self))
        return column

    def _parts(self, field: str | None) -> list[pl.Series]:
        if field is None:
            return self.frame.get_columns()
        return [self.frame[field]] if field in self.frame.columns else []

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
