"""Retention: the oldest segments go, and a signed frame says what was in them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from infraspectre.adapters.log.frames import BrokenFrameError, Kind, notice
from infraspectre.adapters.log.segments import Segment, segment_path, segments_in
from infraspectre.adapters.log.writing import Writer
from infraspectre.files import writing_to

NANOSECONDS = 1_000_000_000


class Dropped(msgspec.Struct, frozen=True):
    """Says what was in a segment that is gone."""

    first: int
    end: int
    """The number of the entry behind it."""
    digest: str
    """That of its last frame, which the first frame behind it names, in hexadecimal."""
    bytes: int
    reason: str
    """age, size, or missing where nobody dropped it."""


def retain(writer: Writer, read: Callable[[], int | None]) -> list[Dropped]:
    """Drop segments as the limits of a writer say, and return what was in them; raises OutputError.

    `read` gives the lowest number that a consumer wants next, None where there is no consumer.
    """
    dropped = []
    limits = writer.limits
    if limits.keep_s is not None or limits.keep_bytes is not None:
        unread = None if limits.drop_unread else read()
        for each in candidates(writer):
            if unread is not None and unread < each.end:
                break
            drop(writer, each)
            dropped.append(each)
    return dropped


def candidates(writer: Writer) -> Iterator[Dropped]:
    """Yield segments that are to be dropped, the oldest first."""
    folder, limits = writer.folder, writer.limits
    segments = [each for each in segments_in(folder) if each <= writer.point.segment]
    sizes = [segment_path(folder, each).stat().st_size for each in segments]
    left = sum(sizes)
    oldest = None if limits.keep_s is None else writer.now() - int(limits.keep_s * NANOSECONDS)
    for first, end, size in zip(segments, segments[1:], sizes, strict=False):
        at, digest = begin_of(segment_path(folder, end))
        by_size = limits.keep_bytes is not None and left > limits.keep_bytes
        by_age = oldest is not None and at < oldest
        if digest is None or not (by_size or by_age):
            return
        yield Dropped(first, end, digest.hex(), size, "size" if by_size else "age")
        left -= size


def begin_of(path: Path) -> tuple[int, bytes | None]:
    """Return the time of a segment's first frame, and the digest that it names; none where it is broken."""
    with Segment(path) as file:
        try:
            header = file.header(0)
        except BrokenFrameError:
            return 0, None
        return header.at, header.previous


def drop(writer: Writer, dropped: Dropped) -> None:
    """Say that a segment is dropped, and remove it then; raises OutputError."""
    body = msgspec.json.encode(dropped)
    writer.write(lambda place: notice(Kind.DROPPED, place, body))
    path = segment_path(writer.folder, dropped.first)
    with writing_to(path):
        writer.disk.remove(path)
        writer.disk.sync_folder(writer.folder)
