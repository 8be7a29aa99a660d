"""Blocks of a part: its rows once more, a few together, so that rows that lie far apart are read almost alone."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl

from infraspectre.adapters.column_store.dictionary import Rows, mapped

BLOCK_ROWS = 64
"""Rows that are unpacked for one; with fewer, the file grows by what is alike in neighbours."""
SLICE_ROWS = 65_536
"""Rows that are values of Python at once."""
LEVEL = 1
"""How hard zlib tries; higher levels take twice as long for a twentieth less."""
MOST_BYTES = 1 << 28
"""A block that unpacks to more is damaged."""
PLACES = np.dtype("<u8")


def encoded(rows: pl.DataFrame) -> bytes:
    """Return rows in blocks: how many parts follow, where each ends, the schema as an Arrow stream, and the blocks.

    Each is packed by zlib, whose checksum tells whether it is whole (RFC 1950).
    """
    schema = BytesIO()
    rows.clear().write_ipc_stream(schema)
    packed = [zlib.compress(data, LEVEL) for data in (schema.getvalue(), *blocks(rows))]
    ends = np.cumsum([len(data) for data in packed])
    return np.array([len(packed), *ends], PLACES).tobytes() + b"".join(packed)


def blocks(rows: pl.DataFrame) -> Iterator[bytes]:
    """Yield the number of each block with the values of its columns; of a column without any, none."""
    for begin in range(0, rows.height, SLICE_ROWS):
        columns = [values_of(column) for column in rows[begin : begin + SLICE_ROWS]]
        for at in range(0, min(SLICE_ROWS, rows.height - begin), BLOCK_ROWS):
            values = [column and column[at : at + BLOCK_ROWS] for column in columns]
            yield msgspec.msgpack.encode(((begin + at) // BLOCK_ROWS, values))


def values_of(column: pl.Series) -> list[Any] | None:
    """Return the values of a column, None where it has none."""
    return None if column.null_count() == len(column) else column.to_list()


class Blocks:
    """Reads blocks without loading the file; raises OSError for what is damaged."""

    def __init__(self, path: Path) -> None:
        """Map the file, and read its schema."""
        self._path, self._data = path, mapped(path)
        size = PLACES.itemsize
        count = int(self._data[:size].view(PLACES)[0]) if len(self._data) >= size else 0
        start = size * (count + 1)
        if not 0 < count <= len(self._data) // size or start > len(self._data):
            raise self._damage()
        self._ends, self._packed = self._data[size:start].view(PLACES), self._data[start:]
        try:
            self._schema = pl.read_ipc_stream(self._unpacked(0)).schema
        except pl.exceptions.PolarsError as error:
            raise self._damage() from error

    def rows(self, wanted: Rows) -> pl.DataFrame:
        """Return some rows, given by their numbers in ascending order, in that order."""
        found: list[list[Any]] = [[] for _ in self._schema]
        numbers, starts = np.unique(wanted // BLOCK_ROWS, return_index=True)
        for number, places in zip(numbers.tolist(), np.split(wanted % BLOCK_ROWS, starts[1:]), strict=True):
            picked = places.tolist()
            for column, values in zip(found, self._block(number), strict=True):
                column += [None] * len(picked) if values is None else [values[at] for at in picked]
        return pl.DataFrame(
            [pl.Series(name, column, kind) for column, (name, kind) in zip(found, self._schema.items(), strict=True)]
        )

    def _block(self, number: int) -> list[list[Any] | None]:
        """Return the columns of a block."""
        try:
            told, columns = msgspec.msgpack.decode(self._unpacked(number + 1), type=tuple[int, list[list[Any] | None]])
        except msgspec.DecodeError as error:
            raise self._damage() from error
        if told != number or len(columns) != len(self._schema):
            raise self._damage()
        return columns

    def _unpacked(self, place: int) -> bytes:
        if place >= len(self._ends):
            raise self._damage()
        begin, end = int(self._ends[place - 1]) if place else 0, int(self._ends[place])
        unpacking = zlib.decompressobj()
        try:
            data = unpacking.decompress(self._packed[begin:end], MOST_BYTES)
        except zlib.error as error:
            raise self._damage() from error
        if not unpacking.eof:
            raise self._damage()
        return data

    def _damage(self) -> OSError:
        return OSError(f"{self._path} is damaged")
