"""What can be read of a damaged SQLite file: every row whose checksum fits, wherever in the file it lies.

Nothing but the rows themselves is trusted: pages are read one by one as leaves of a table (SQLite's "Database File
Format", sections 1.6 and 2.1), whatever the damage says of trees, definitions and lists of pages.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infraspectre.adapters.record_store.meta import checksum_of
from infraspectre.adapters.record_store.rows import Row

PAGE_BYTES = 4096
"""What SQLite makes by default; ours are never others."""
INDEX_PAGES = (2, 10)
FRAME_HEAD_BYTES, LOG_HEAD_BYTES = 24, 32
MOST_COLUMNS = 8


class Pages:
    """Gives the pages of a file by number, from 1, those of its write-ahead log in the place of older ones."""

    def __init__(self, path: Path) -> None:
        """Map a file that is not empty."""
        with path.open("rb") as file:
            self._whole = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        log = path.with_name(f"{path.name}-wal")
        self._logged = logged_pages(log.read_bytes()) if log.exists() else {}
        self.count = max([len(self._whole) // PAGE_BYTES, *self._logged])

    def __getitem__(self, number: int) -> memoryview:
        """Return a page; what is beyond the file is empty."""
        at = (number - 1) * PAGE_BYTES
        return self._logged.get(number, self._whole[at : at + PAGE_BYTES])


def logged_pages(log: bytes) -> dict[int, memoryview]:
    """Return the pages of a write-ahead log up to its last commit (section 4 of the format)."""
    pages: dict[int, memoryview] = {}
    waiting: dict[int, memoryview] = {}
    size = FRAME_HEAD_BYTES + PAGE_BYTES
    for at in range(LOG_HEAD_BYTES, len(log) - size + 1, size):
        number, committed = struct.unpack(">II", log[at : at + 8])
        if log[at + 8 : at + 16] != log[16:24]:
            break
        waiting[number] = memoryview(log)[at + FRAME_HEAD_BYTES : at + size]
        if committed:
            pages |= waiting
            waiting = {}
    return pages


def rows_of(pages: Pages) -> Iterator[tuple[Any, ...]]:
    """Yield all that looks like a row of a table, with its identity first."""
    for number in range(1, pages.count + 1):
        page = pages[number]
        if len(page) == PAGE_BYTES and page[100 if number == 1 else 0] not in INDEX_PAGES:
            for at in cells(page, 100 if number == 1 else 0):
                row = read_cell(pages, page, at)
                if row is not None:
                    yield row


def cells(page: memoryview, head: int) -> set[int]:
    """Return where cells begin, as a page says."""
    count = min(struct.unpack(">H", page[head + 3 : head + 5])[0], (PAGE_BYTES - head - 8) // 2)
    places = struct.unpack(f">{count}H", page[head + 8 : head + 8 + 2 * count])
    return {at for at in places if head + 8 <= at < PAGE_BYTES - 4}


def read_cell(pages: Pages, page: memoryview, at: int) -> tuple[Any, ...] | None:
    """Return the row of a cell, None if it is none."""
    try:
        size, at = varint(page, at)
        identity, at = varint(page, at)
        values = read_row(payload(pages, page, at, size))
    except (IndexError, ValueError, struct.error):
        return None
    return (identity, *values)


def payload(pages: Pages, page: memoryview, at: int, size: int) -> bytes:
    """Return what a cell holds, together with what lies on further pages (section 1.6); raises ValueError."""
    most, least = PAGE_BYTES - 35, (PAGE_BYTES - 12) * 32 // 255 - 23
    if size <= most:
        return bytes(page[at : at + size])
    spilled = least + (size - least) % (PAGE_BYTES - 4)
    local = spilled if spilled <= most else least
    parts, left = [bytes(page[at : at + local])], size - local
    further = struct.unpack(">I", page[at + local : at + local + 4])[0]
    if left > pages.count * PAGE_BYTES:
        raise ValueError("longer than the file")
    while left > 0:
        beyond = pages[further]
        parts.append(bytes(beyond[4 : 4 + min(left, PAGE_BYTES - 4)]))
        left -= PAGE_BYTES - 4
        further = struct.unpack(">I", beyond[:4])[0]
    return b"".join(parts)


def read_row(data: bytes) -> list[Any]:
    """Return the values of a record (section 2.1); raises ValueError for what is none."""
    head, at = varint(data, 0)
    kinds: list[int] = []
    while at < head:
        kind, at = varint(data, at)
        kinds.append(kind)
        if len(kinds) > MOST_COLUMNS:
            raise ValueError("too many columns")
    values = []
    for kind in kinds:
        value, at = read_value(data, at, kind)
        values.append(value)
    if at != len(data):
        raise ValueError("not as long as its head says")
    return values


def read_value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    """Return a value of a serial type, and where the next begins; raises ValueError."""
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(0, kind - 7)], at
    if kind < 7:
        size = (1, 2, 3, 4, 6, 8)[kind - 1]
        return int.from_bytes(data[at : at + size], "big", signed=True), at + size
    if kind < 12:
        raise ValueError("no type of ours")
    size = (kind - 12) // 2
    raw = data[at : at + size]
    return (raw.decode() if kind % 2 else raw), at + size


def varint(data: bytes | memoryview, at: int) -> tuple[int, int]:
    """Return a number of variable length, and where the next value begins (section 1.6); raises IndexError."""
    value = 0
    for count in range(8):
        byte = data[at + count]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    return value << 8 | data[at + 8], at + 9


def saved(path: Path) -> tuple[dict[str, str], Iterator[Row]]:
    """Return what a damaged store says of itself, and rows that may be records, without looking at their checksums."""
    pages = Pages(path)
    said = {
        name: value
        for _, name, value, checksum in (row for row in rows_of(pages) if len(row) == 4)
        if isinstance(name, str) and isinstance(value, str) and checksum == checksum_of(name, value)
    }
    return said, (as_row(row) for row in rows_of(pages) if len(row) == 1 + len(Row._fields))


def as_row(row: tuple[Any, ...]) -> Row:
    """Return a row of a table of bodies, as its columns lie in the file."""
    identity, _, tenant, key, revision, changed_at, checksum, body = row
    return Row(identity, tenant, key, revision, changed_at, body, checksum)
