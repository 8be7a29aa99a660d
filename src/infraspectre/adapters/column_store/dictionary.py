"""The dictionary of a part: its addresses and names in order, and which rows have each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import polars as pl

from infraspectre.adapters.column_store.durable import mapped
from infraspectre.records.queries import Filter
from infraspectre.records.tables import ADDRESS, Table

MOST_NAMES = 4_096
"""Names of a part that a text may be a piece of; what fits more of them is looked for in the rows."""
MOST_JOINED = 65_536
"""Rows of several names that are put together."""
LISTS = np.dtype("<u8")
ROWS = np.dtype("<u4")
BETWEEN = b"\0"

Rows = np.ndarray
"""Numbers of rows of a part, which is sorted by time."""


def encoded(rows: pl.DataFrame, table: Table) -> bytes:
    """Return the dictionary of rows: counts, where each name begins, where its rows end, rows, names.

    A name begins with the number of its field, and has the letters A to Z as small ones: both cases are found at once.
    """
    named = pl.concat([pl.DataFrame(schema=OCCURRENCES), *occurrences(rows, table)])
    named = named.group_by("field", "name", maintain_order=True).agg(pl.col("row").sort())
    names = [bytes([field]) + name.encode().lower() for field, name in named.select("field", "name").iter_rows()]
    order = sorted(range(len(names)), key=names.__getitem__)
    lists = named["row"][order]
    numbers = lists.explode(empty_as_null=False).to_numpy().astype(ROWS)
    text = b"".join(names[at] + BETWEEN for at in order)
    starts = np.cumsum([0, *(len(names[at]) + len(BETWEEN) for at in order)])
    ends = np.cumsum(lists.list.len().to_numpy())
    head = np.concatenate([[len(names), len(numbers)], starts, ends]).astype(LISTS)
    return head.tobytes() + numbers.tobytes() + text


OCCURRENCES = {"field": pl.UInt8(), "name": pl.String(), "row": pl.UInt32()}


def occurrences(rows: pl.DataFrame, table: Table) -> Iterator[pl.DataFrame]:
    """Yield names of rows with their fields and the numbers of the rows."""
    columns = [*((0, name) for name in table.addresses), *enumerate(table.searched, start=1)]
    for number, name in columns:
        if name in rows.columns:
            frame = rows.select(pl.lit(number, pl.UInt8).alias("field"), pl.col(name).alias("name")).with_row_index(
                "row"
            )
            listed = frame.explode("name") if isinstance(rows.schema[name], pl.List) else frame
            yield listed.drop_nulls().select(pl.col(each).cast(kind) for each, kind in OCCURRENCES.items())


class Dictionary:
    """Reads a dictionary without loading it; raises OSError for one that is damaged."""

    def __init__(self, path: Path, table: Table) -> None:
        """Map its file."""
        data = mapped(path)
        self._path, self._table = path, table
        width = LISTS.itemsize
        self._count, rows = (int(number) for number in data[: 2 * width].view(LISTS)) if len(data) >= 16 else (0, 0)
        starts = 2 * width
        ends = starts + width * (self._count + 1)
        numbers = ends + width * self._count
        text = numbers + ROWS.itemsize * rows
        if not len(data) >= text >= ends:
            raise self._damage()
        self._starts, self._ends = data[starts:ends].view(LISTS), data[ends:numbers].view(LISTS)
        self._rows, self._text = data[numbers:text].view(ROWS), data[text:].data
        if int(self._starts[-1]) != len(self._text) or (self._count and int(self._ends[-1]) != rows):
            raise self._damage()

    def rows(self, asked: Filter) -> Rows | None:
        """Return the rows that may pass a filter, at least all that do; None where that can be any."""
        number = field_number(asked.field, self._table)
        if number is None or asked.operator not in ("=", "^", "~") or "" in asked.values:
            return None
        if asked.operator == "~" and not all(str(value).isascii() for value in asked.values):
            return None
        tag = bytes([number])
        names: set[int] = set()
        for value in asked.values:
            text = str(value).encode(errors="replace").lower()
            found = (
                self._with_piece(tag, text) if asked.operator == "~" else self._beginning(asked.operator, tag + text)
            )
            names.update(found)
            if len(names) > MOST_NAMES:
                return None
        return self._joined(sorted(names))

    def _joined(self, names: list[int]) -> Rows | None:
        spans = [(int(self._ends[at - 1]) if at else 0, int(self._ends[at])) for at in names]
        if any(not 0 <= start <= end <= len(self._rows) for start, end in spans):
            raise self._damage()
        if len(spans) == 1:
            return self._rows[slice(*spans[0])]
        if sum(end - start for start, end in spans) > MOST_JOINED:
            return None
        return np.unique(np.concatenate([self._rows[slice(*span)] for span in spans] or [self._rows[:0]]))

    def _beginning(self, operator: str, start: bytes) -> Iterable[int]:
        """Return the numbers of names that are a text, or begin with it."""
        last = start + b"\0" if operator == "=" else following(start)
        return range(self._place(start), min(self._place(last), self._place(start) + MOST_NAMES + 1))

    def _with_piece(self, tag: bytes, piece: bytes) -> Iterator[int]:
        """Yield the numbers of names of a field that have a piece."""
        first, last = self._place(tag), self._place(following(tag))
        begin = int(self._starts[first])
        text = self._text[begin : int(self._starts[last])].tobytes()
        at = text.find(piece)
        while at >= 0:
            number = int(np.searchsorted(self._starts, begin + at, "right")) - 1
            yield number
            at = text.find(piece, int(self._starts[number + 1]) - begin)

    def _place(self, name: bytes) -> int:
        return bisect_left(range(self._count), name, key=self._name)

    def _name(self, at: int) -> bytes:
        start, end = self._starts[at : at + 2].tolist()
        return self._text[start : end - len(BETWEEN)].tobytes()

    def _damage(self) -> OSError:
        return OSError(f"{self._path} is damaged")


def field_number(field: str, table: Table) -> int | None:
    """Return the number of a field in dictionaries, None for one that they do not have."""
    if field == ADDRESS or field in table.addresses:
        return 0
    return table.searched.index(field) + 1 if field in table.searched else None


def following(text: bytes) -> bytes:
    """Return the least text that comes after all that begin with one; UTF-8 has no byte 255."""
    return text + b"\xff"
