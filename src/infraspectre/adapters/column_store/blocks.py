"""Blocks of a part: its rows once more in small groups, so that rows that lie far apart are read almost alone."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from zlib import crc32

import numpy as np
import polars as pl

from infraspectre.adapters.column_store.dictionary import Rows
from infraspectre.adapters.column_store.durable import mapped

BLOCK_ROWS = 512
"""Rows that are unpacked for one. Of 256, a page takes two thirds of the time, and the file an eighth more bytes."""
END = b"\xff\xff\xff\xff\0\0\0\0"
"""What ends a stream."""
NUMBERS = np.dtype("<u8")


def encoded(rows: pl.DataFrame) -> bytes:
    """Return messages of an Arrow stream, the schema and the blocks: how many, where each ends, checksums, messages.

    A stream of the schema and of any blocks is made by putting them together (Arrow columnar format, IPC streaming).
    """
    schema, _ = messages(rows.clear())
    parts = [schema, *(messages(block)[1] for block in rows.iter_slices(BLOCK_ROWS))]
    ends = np.cumsum([len(data) for data in parts])
    head = np.array([len(parts), *ends, *map(crc32, parts)], NUMBERS)
    return b"".join((head.tobytes(), *parts))


def messages(rows: pl.DataFrame) -> tuple[bytes, bytes]:
    """Return the message with the schema of rows, and that with the rows."""
    stream = BytesIO()
    rows.write_ipc_stream(stream, compression="zstd", compat_level=pl.CompatLevel.oldest())
    data = stream.getvalue()
    first = 8 + int.from_bytes(data[4:8], "little")
    return data[:first], data[first : -len(END)]


class Blocks:
    """Reads blocks without loading the file; raises OSError for what is damaged."""

    def __init__(self, path: Path) -> None:
        """Map the file."""
        self._path, self._data = path, mapped(path)
        width = NUMBERS.itemsize
        self._count = int(self._data[:width].view(NUMBERS)[0]) if len(self._data) >= width else 0
        self._start = width * (1 + 2 * self._count)
        if self._count < 1 or self._start > len(self._data):
            raise self._damage()
        self._ends, self._sums = self._data[width : self._start].view(NUMBERS).reshape(2, self._count)

    def rows(self, wanted: Rows, columns: Sequence[str]) -> pl.DataFrame:
        """Return columns of some rows, given by their numbers in ascending order, in that order."""
        numbers, places = np.unique(wanted // BLOCK_ROWS, return_inverse=True)
        if len(numbers) and int(numbers[-1]) >= self._count - 1:
            raise self._damage()
        stream = b"".join((self._message(0), *(self._message(int(number) + 1) for number in numbers), END))
        rows = pl.read_ipc_stream(BytesIO(stream), columns=list(columns))
        picked: pl.DataFrame = rows[places * BLOCK_ROWS + wanted % BLOCK_ROWS]
        return picked

    def _message(self, at: int) -> bytes:
        begin, end = int(self._ends[at - 1]) if at else 0, int(self._ends[at])
        data = self._data[self._start + begin : self._start + end].tobytes()
        if crc32(data) != self._sums[at]:
            raise self._damage()
        return data

    def _damage(self) -> OSError:
        return OSError(f"{self._path} is damaged")
