"""The durable end of a topic: where it is, how it is told to other processes, and how it is found after a crash."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from struct import Struct
from typing import NamedTuple, Self

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.frames import FIRST, BrokenFrameError, next_key
from infraspectre.adapters.log.segments import (
    Broken,
    Frame,
    Origin,
    Part,
    Segment,
    Unfinished,
    segment_path,
    segments_in,
)
from infraspectre.errors import InputError

POINT = Struct("<QQQ32s32s")
TORN = "torn"
"""Keeps the unfinished write that was cut off last."""


class Point(NamedTuple):
    """Is the place behind the last durable frame."""

    end: int = 0
    """The number of the next entry."""
    segment: int = 0
    offset: int = 0
    digest: bytes = FIRST
    """Of the last frame."""
    key: bytes = FIRST
    """That signed the last frame."""

    @classmethod
    def of(cls, value: bytes | None) -> Self | None:
        """Read a point from the value of slots."""
        return None if value is None or len(value) != POINT.size else cls(*POINT.unpack(value))

    def packed(self) -> bytes:
        """Return the point as the value of slots."""
        return POINT.pack(*self)


class Recovery(NamedTuple):
    """Says what was found in a topic that nobody writes to."""

    point: Point
    torn: int
    """Bytes of an unfinished write behind the point."""


def epoch_of_frames(folder: Path) -> str | None:
    """Return the epoch that the first sound header at the beginning of a segment names, None where there is none."""
    for segment in segments_in(folder):
        with Segment(segment_path(folder, segment)) as file, suppress(BrokenFrameError):
            return file.header(0).epoch.hex()
    return None


def check_epoch(folder: Path, epoch: str) -> None:
    """Raise InputError if the frames of a topic are of another epoch than it says."""
    if epoch_of_frames(folder) not in (None, epoch):
        remedy = "'infraspectre log repair' takes the epoch from the entries"
        raise InputError("is not the epoch of the entries", path=folder / "epoch", remedy=remedy)


def find_end(folder: Path, origin: Origin, mark: Point | None) -> Recovery:
    """Look for the end from the point told last, else in the last segments; raises InputError if a part is gone.

    What is broken, and has no sound frame behind it, is taken for the write that was going on: each frame was durable
    before the next was written. What is broken otherwise stays, for readers to meet.
    """
    segments = segments_in(folder)
    if mark is None:
        first = segments[-2:][0] if segments else 0
        mark = Point(first, first)
    else:
        check(folder, mark, segments)
    torn = 0
    for number in [each for each in segments if each >= mark.segment]:
        if number != mark.segment:
            mark = mark._replace(end=number, segment=number, offset=0)
        with Segment(segment_path(folder, number)) as file:
            mark = last_point(file, mark, origin)
            torn = file.limit - mark.offset
    return Recovery(mark, torn)


def check(folder: Path, mark: Point, segments: list[int]) -> None:
    """Raise InputError if segments end before a point."""
    path = segment_path(folder, mark.segment)
    if mark != Point() and (mark.segment not in segments or path.stat().st_size < mark.offset):
        raise InputError(
            f"lacks acknowledged entries: it should reach to {mark.end}",
            path=path,
            remedy="restore the file, or let 'infraspectre log repair' keep what is left",
        )


def parts_of(folder: Path, origin: Origin, mark: Point | None) -> Iterator[tuple[Segment, Part]]:
    """Yield all frames of a topic, and what is broken between them, each with the segment in which it lies."""
    segments = segments_in(folder)
    for segment, following in zip_longest(segments, segments[1:]):
        is_last = following is None
        if is_last and mark is not None and mark.segment >= segment:
            following = mark.end
        durable = mark.offset if mark is not None and mark.segment == segment else 0
        with Segment(segment_path(folder, segment)) as file:
            for part in file.walk(0, segment, origin, following):
                unfinished = isinstance(part, Broken) and 0 < part.size == file.limit - part.offset
                if is_last and unfinished and part.offset >= durable:
                    yield file, Unfinished(part.offset, file.limit - part.offset)
                else:
                    yield file, part


def last_point(file: Segment, point: Point, origin: Origin) -> Point:
    """Return the place behind the last sound frame at or behind a point."""
    for found in file.walk(point.offset, point.end, origin._replace(keys={*origin.keys, point.key})):
        if isinstance(found, Frame):
            offset, header = found
            key = next_key(header, file.body(offset, header))
            point = Point(header.end, point.segment, offset + header.size, header.digest, key)
    return point


def cut(folder: Path, recovery: Recovery, disk: Disk) -> None:
    """Cut off an unfinished write, and keep its bytes beside the segments."""
    path = segment_path(folder, recovery.point.segment)
    with Segment(path) as file:
        disk.write_whole(folder / TORN, file.bytes_at(recovery.point.offset, recovery.torn))
    file_number = disk.open(path)
    try:
        disk.truncate(file_number, recovery.point.offset)
        disk.sync(file_number)
    finally:
        disk.close(file_number)
