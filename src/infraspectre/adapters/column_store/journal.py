"""The journal of a table: batches as they came, each durable when `append` returns."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from hashlib import blake2b
from io import BytesIO
from pathlib import Path
from typing import NamedTuple, Self
from zlib import crc32

import polars as pl

from infraspectre.errors import InputError
from infraspectre.files import sync, writing_to

MAGIC = b"ISJ1"
HEADER = struct.Struct("<4sIIqqH16sI")
"""Magic, bytes of data, rows, first and last event time, bytes of the name, digest of both, CRC of the header."""
MOST_BYTES = 1 << 30
"""Bytes of a batch at the most."""


class Record(NamedTuple):
    """Is the place of a batch in a journal."""

    offset: int
    """Where its header begins."""
    size: int
    """Bytes of its data."""
    rows: int
    first: int
    last: int
    name: bytes
    digest: bytes

    @property
    def end(self) -> int:
        """Return where the next record begins."""
        return self.offset + HEADER.size + len(self.name) + self.size

    def frame(self, path: Path) -> pl.DataFrame:
        """Read the rows; raises InputError if they are damaged."""
        with path.open("rb") as file:
            file.seek(self.offset + HEADER.size + len(self.name))
            data = file.read(self.size)
        if sealed(self.name, data) != self.digest:
            raise InputError(f"is damaged at byte {self.offset}: {self.rows} rows are lost", path=path)
        return pl.read_ipc_stream(BytesIO(data))


class Found(NamedTuple):
    """Is what a journal holds from a place on."""

    records: list[Record]
    end: int
    """Where the next look should begin: what lies behind is not whole yet."""
    damaged_bytes: int
    """Bytes that belong to no record, with more records behind them."""


def sealed(name: bytes, data: bytes) -> bytes:
    """Return the digest of a batch."""
    return blake2b(data, digest_size=16, key=blake2b(name, digest_size=16).digest()).digest()


def encoded(frame: pl.DataFrame, name: bytes, first: int, last: int) -> bytes:
    """Return a batch as a record."""
    buffer = BytesIO()
    frame.write_ipc_stream(buffer, compression="lz4")
    data = buffer.getvalue()
    if len(data) > MOST_BYTES:
        raise InputError(f"is a batch of more than {MOST_BYTES} bytes", remedy="append it in parts")
    head = HEADER.pack(MAGIC, len(data), frame.height, first, last, len(name), sealed(name, data), 0)[:-4]
    return head + struct.pack("<I", crc32(head)) + name + data


def find(data: memoryview, base: int) -> Found:
    """Return the records in bytes that begin at an offset of the journal; damaged headers are stepped over."""
    records: list[Record] = []
    at = damaged = 0
    while at + HEADER.size <= len(data):
        record = record_at(data, at, base)
        if record is None:
            following = next_record(data, at + 1, base)
            if following is None:
                break
            damaged += following - at
            at = following
        elif record.end - base > len(data):
            break
        else:
            records.append(record)
            at = record.end - base
    return Found(records, base + at, damaged)


def record_at(data: memoryview, at: int, base: int) -> Record | None:
    """Return the record whose header stands at a place, None if none does."""
    if at + HEADER.size > len(data):
        return None
    magic, size, rows, first, last, named, seal, check = HEADER.unpack_from(data, at)
    if magic != MAGIC or crc32(data[at : at + HEADER.size - 4]) != check:
        return None
    start = at + HEADER.size
    return Record(base + at, size, rows, first, last, bytes(data[start : start + named]), seal)


def next_record(data: memoryview, at: int, base: int) -> int | None:
    """Return where the next sound header stands, from a place on."""
    whole = bytes(data)
    while (at := whole.find(MAGIC, at)) >= 0:
        if record_at(data, at, base) is not None:
            return at
        at += 1
    return None


def is_torn(rest: bytes) -> bool:
    """Tell whether bytes at the end of a journal are the beginning of a batch that was never acknowledged."""
    return len(rest) < HEADER.size or record_at(memoryview(rest), 0, 0) is not None


def look(path: Path, start: int) -> Found:
    """Return what a journal holds from an offset on."""
    with path.open("rb") as file:
        file.seek(start)
        return find(memoryview(file.read()), start)


class JournalFile:
    """Appends batches to one journal."""

    def __init__(self, path: Path) -> None:
        """Open a journal, which is made if need be; raises OutputError."""
        self.path = path
        with writing_to(path):
            is_new = not path.exists()
            self._handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o640)
            if is_new:
                sync(path.parent)

    @property
    def end(self) -> int:
        """Return its size in bytes."""
        return os.fstat(self._handle).st_size

    def append(self, record: bytes) -> None:
        """Add a record durably; after a failure nothing of it remains. Raises OutputError."""
        before = self.end
        with writing_to(self.path):
            try:
                view = memoryview(record)
                while view:
                    view = view[os.write(self._handle, view) :]
                os.fdatasync(self._handle)
            except OSError:
                os.ftruncate(self._handle, before)
                raise

    def cut(self, end: int) -> bytes:
        """Remove what lies behind an offset, and return it."""
        with writing_to(self.path):
            rest = os.pread(self._handle, self.end - end, end)
            os.ftruncate(self._handle, end)
            os.fsync(self._handle)
        return rest

    def close(self) -> None:
        """Release the file."""
        os.close(self._handle)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def numbered(folder: Path, first: int) -> Iterator[tuple[int, Path]]:
    """Yield the journals of a folder from a number on, in order; numbers have no gaps."""
    while (path := journal_path(folder, first)).exists():
        yield first, path
        first += 1


def journal_path(folder: Path, number: int) -> Path:
    """Return the file of a journal."""
    return folder / f"journal-{number:08}"
