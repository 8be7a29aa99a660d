"""Looks into a log without changing anything: what topics there are, and what they hold."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.layout import CURSORS, EPOCH, MARK, TOPICS, WRITER, epoch_in, topics_in
from infraspectre.adapters.log.points import Point, find_end
from infraspectre.adapters.log.reading import Reader
from infraspectre.adapters.log.segments import Origin, segment_path, segments_in
from infraspectre.adapters.log.slots import Slots
from infraspectre.errors import InputError
from infraspectre.records.events import Entry, GapError

AT_ONCE = 1_000


class Overview(msgspec.Struct, frozen=True):
    """Says what a topic holds and how far its consumers have come."""

    topic: str
    epoch: str
    begin: int
    end: int
    segments: int
    bytes: int
    cursors: dict[str, int]
    """What each consumer wants next."""


class TopicView:
    """Reads a topic as it lies there."""

    def __init__(self, log: Path, topic: str) -> None:
        """Look at a topic in the folder of a log; raises InputError if there is none."""
        names = topics_in(log)
        if topic not in names:
            remedy = f"there are {', '.join(names)}" if names else "name the folder that holds the folder 'topics'"
            raise InputError(f"has no topic {topic}", path=log, remedy=remedy)
        self._log = log
        self._topic = topic
        self._folder = log / TOPICS / topic
        self.epoch = epoch_in(self._folder / EPOCH)
        mark = Point.of(Slots(self._folder / MARK, Disk()).read())
        self._origin = Origin(topic, bytes.fromhex(self.epoch), () if mark is None else (mark.key,))
        is_told = mark is not None and is_held(self._folder / WRITER)
        self._point = mark if mark is not None and is_told else find_end(self._folder, self._origin, mark).point
        self._reader = Reader(self._folder)

    def overview(self) -> Overview:
        """Return what there is."""
        segments = segments_in(self._folder)
        size = sum(segment_path(self._folder, each).stat().st_size for each in segments)
        return Overview(
            self._topic, self.epoch, self._reader.begin(), self._point.end, len(segments), size, self._cursors()
        )

    def _cursors(self) -> dict[str, int]:
        paths = sorted((self._log / CURSORS / self._topic).glob("*"))
        told = {path.name: (Slots(path, Disk()).read() or b"").decode().partition(" ") for path in paths}
        return {name: int(sequence) for name, (epoch, _, sequence) in told.items() if epoch == self.epoch}

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[Entry | GapError]:
        """Yield entries from a number on, and in place of those that cannot be read what is wrong with them."""
        last = self._point.end if end is None else min(end, self._point.end)
        start = max(start, self._reader.begin())
        while start < last:
            try:
                for entry in self._reader.read(start, min(AT_ONCE, last - start), self._point, self._origin):
                    yield entry
                    start = entry.sequence + 1
            except GapError as gap:
                yield gap
                start = gap.after


def is_held(path: Path) -> bool:
    """Tell whether a process holds a lock."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
