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
    """Return rows as messages of an Arrow stream, the schema and blocks, behind numbers that say where each is.

    Numbers: rows, rows of a block, where each message ends, and the checksum of each. The schema and any blocks make
    a stream once they are put together (Arrow columnar format, IPC streaming format).
    """
    schema, _ = messages(rows.clear())
    parts = [schema, *(messages(block)[1] for block in rows.iter_slices(BLOCK_ROWS))]
    ends = np.cumsum([len(data) for data in parts])
    head = np.array([rows.height, BLOCK_ROWS, *ends, *map(crc32, parts)], NUMBERS)
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
        """Map the file, and read its schema."""
        self._path, data = path, mapped(path)
        head = data[: 2 * NUMBERS.itemsize].view(NUMBERS) if len(data) >= 2 * NUMBERS.itemsize else np.zeros(2, NUMBERS)
        self.height, self.block_rows = (int(number) for number in head)
        if self.block_rows < 1 or not 0 < self.height <= len(data):
            raise self._damage()
        count = 1 + -(-self.height // self.block_rows)
        start = NUMBERS.itemsize * (2 + 2 * count)
        if start > len(data):
            raise self._damage()
        self._ends, self._sums = data[head.nbytes : start].view(NUMBERS).reshape(2, count)
        self._messages = data[start:].data
        self.schema = bytes(self._message(0))

    def blocks(self, numbers: np.ndarray) -> list[memoryview]:
        """Return some blocks."""
        return [self._message(int(number) + 1) for number in numbers]

    def sizes(self, numbers: np.ndarray) -> np.ndarray:
        """Return how many rows some blocks have; the last has what is left."""
        sizes: np.ndarray = np.minimum(self.block_rows, self.height - numbers * self.block_rows)
        return sizes

    def _message(self, at: int) -> memoryview:
        if at >= len(self._ends):
            raise self._damage()
        begin, end = int(self._ends[at - 1]) if at else 0, int(self._ends[at])
        data = self._messages[begin:end]
        if crc32(data) != self._sums[at]:
            raise self._damage()
        return data

    def _damage(self) -> OSError:
        return OSError(f"{self._path} is damaged")


def picked(wanted: Sequence[tuple[Blocks, Rows]], columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of rows, in ascending order of each of some files that have one schema; raises OSError."""
    stream, places, height = list[bytes | memoryview]([wanted[0][0].schema]), list[np.ndarray](), 0
    for held, rows in wanted:
        numbers, inside = np.unique(rows // held.block_rows, return_inverse=True)
        stream += held.blocks(numbers)
        sizes = held.sizes(numbers)
        places.append((height + np.cumsum(sizes) - sizes)[inside] + rows % held.block_rows)
        height += int(sizes.sum())
    read = pl.read_ipc_stream(BytesIO(b"".join((*stream, END))), columns=list(columns))
    found: pl.DataFrame = read[np.concatenate(places)]
    return found
