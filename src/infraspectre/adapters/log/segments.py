"""Segments: files of frames, each named by the number of its first entry, and how they are read."""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from infraspectre.adapters.log.frames import (
    HEADER_BYTES,
    MAGIC,
    BrokenFrameError,
    Header,
    check_body,
    header_of,
    is_signed,
)

NAME = re.compile(r"\A(\d{20})\.log\Z")
CHUNK_BYTES = 1 << 18
"""Is read at once, so that small frames do not cost a call of the system each."""


def segment_path(folder: Path, first: int) -> Path:
    """Return the file of the segment that begins with an entry."""
    return folder / f"{first:020d}.log"


def segments_in(folder: Path) -> list[int]:
    """Return the numbers of the first entries of all segments in a folder, in order."""
    try:
        names = [path.name for path in folder.iterdir()]
    except FileNotFoundError:
        return []
    return sorted(int(known[1]) for name in names if (known := NAME.match(name)))


class Origin(NamedTuple):
    """Says whose frames are looked for."""

    topic: str
    epoch: bytes
    keys: Collection[bytes]
    """Public keys of the log that are known."""


class Broken(NamedTuple):
    """Is a part of a segment that holds no sound frame."""

    offset: int
    size: int
    first: int
    """The number of the first entry that is lost with it."""
    end: int | None
    """The number of the entry behind those lost; None at the end of the last segment, where nobody knows."""
    problem: str


class Frame(NamedTuple):
    """Is a sound frame of a segment."""

    offset: int
    header: Header


class Unfinished(NamedTuple):
    """Is a write at the end of the last segment that nobody was told to be durable."""

    offset: int
    size: int


Part = Frame | Broken | Unfinished


class Segment:
    """Reads frames of one segment up to a place in it."""

    def __init__(self, path: Path, limit: int | None = None) -> None:
        """Open the file; nothing behind the limit is looked at. Raises FileNotFoundError."""
        self.path = path
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        size = os.fstat(self._file).st_size
        self.limit = size if limit is None else min(limit, size)
        self._start, self._chunk = 0, b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return bytes of the file, fewer at its limit."""
        length = max(min(length, self.limit - offset), 0)
        place = offset - self._start
        if not 0 <= place <= len(self._chunk) - length:
            wanted = min(max(length, CHUNK_BYTES), self.limit - offset)
            self._start, self._chunk, place = offset, os.pread(self._file, wanted, offset), 0
        return self._chunk[place : place + length]

    def header(self, offset: int) -> Header:
        """Return the header of the frame at a place; raises BrokenFrameError."""
        header = header_of(self.bytes_at(offset, HEADER_BYTES))
        if offset + header.size > self.limit:
            raise BrokenFrameError("ends within a frame")
        return header

    def body(self, offset: int, header: Header) -> bytes:
        """Return the checked body of the frame at a place; raises BrokenFrameError."""
        body = self.bytes_at(offset + HEADER_BYTES, header.length)
        check_body(header, body)
        return body

    def walk(
        self, offset: int, first: int, origin: Origin, end: int | None = None, bodies: bool = True
    ) -> Iterator[Frame | Broken]:
        """Yield places and headers of frames from a place on, and what is broken between them.

        `first` is the number of the first entry there, `end` that of the entry behind the segment, where it is known.
        """
        keys = set(origin.keys)
        while offset < self.limit:
            header = None
            try:
                header = self._next(offset, first, origin)
                if bodies:
                    self.body(offset, header)
            except BrokenFrameError as error:
                broken = self._broken(offset, first, origin._replace(keys=keys), end, header, str(error))
                yield broken
                offset, first = offset + broken.size, first if broken.end is None else broken.end
            else:
                yield Frame(offset, header)
                keys.add(header.key)
                offset, first = offset + header.size, header.end
        if end is not None and first < end:
            yield Broken(offset, 0, first, end, "entries are missing")

    def _next(self, offset: int, first: int, origin: Origin) -> Header:
        header = self.header(offset)
        if (header.epoch, header.first) != (origin.epoch, first):
            raise BrokenFrameError("has a frame that does not belong here")
        return header

    def _broken(
        self, offset: int, first: int, origin: Origin, end: int | None, header: Header | None, problem: str
    ) -> Broken:
        if header is not None:
            return Broken(offset, header.size, first, header.end, problem)
        later = self._resume(offset + 1, first, origin)
        if later is None:
            return Broken(offset, self.limit - offset, first, end, problem)
        return Broken(offset, later - offset, first, self.header(later).first, problem)

    def _resume(self, offset: int, first: int, origin: Origin) -> int | None:
        """Return the place of the next sound frame behind a broken one, None if there is none.

        It has to be signed by a known key: what others sent, and thus lies within entries, may look like a frame.
        """
        mark = MAGIC + origin.epoch
        while offset < self.limit:
            chunk = self.bytes_at(offset, CHUNK_BYTES)
            place = chunk.find(mark)
            while place >= 0:
                if self._is_sound(offset + place, first, origin):
                    return offset + place
                place = chunk.find(mark, place + 1)
            offset += max(len(chunk) - len(mark) + 1, 1)
        return None

    def _is_sound(self, offset: int, first: int, origin: Origin) -> bool:
        try:
            header = self.header(offset)
            if header.first < first or header.key not in origin.keys:
                return False
            self.body(offset, header)
        except BrokenFrameError:
            return False
        return is_signed(header, origin.topic)


class Index:
    """Remembers where some frames of a segment are, so that a read begins near what it wants."""

    EVERY_BYTES = 1 << 16

    def __init__(self, first: int) -> None:
        """Begin with the first frame."""
        self._firsts = [first]
        self._offsets = [0]

    def note(self, first: int, offset: int) -> None:
        """Remember a frame unless one near it is known."""
        if offset >= self._offsets[-1] + self.EVERY_BYTES:
            self._firsts.append(first)
            self._offsets.append(offset)

    def near(self, sequence: int) -> tuple[int, int]:
        """Return number and place of the last known frame that begins before or at an entry."""
        place = bisect_right(self._firsts, sequence) - 1
        while place and self._firsts[place - 1] == self._firsts[place]:
            place -= 1
        return self._firsts[place], self._offsets[place]
