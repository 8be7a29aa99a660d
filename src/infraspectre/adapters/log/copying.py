"""What of an event log that is being written makes a whole one: all that was durable at one moment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.layout import CURSORS, EPOCH, MARK, TOPICS
from infraspectre.adapters.log.points import Point
from infraspectre.adapters.log.segments import segment_path, segments_in
from infraspectre.adapters.log.slots import Slots

Take = Callable[[Path, int | None], Path]
"""Keeps so many bytes of a file, None for all that it holds now, and returns where they can be read."""


def copy_cursors(folder: Path, take: Take) -> None:
    """Take how far consumers have come."""
    for path in sorted((folder / CURSORS).glob("*/*")):
        take(path, None)


def copy_topic(folder: Path, name: str, take: Take) -> None:
    """Take a topic up to its durable end; raises FileNotFoundError where a segment was dropped meanwhile."""
    topic = folder / TOPICS / name
    take(topic / EPOCH, None)
    point = None
    if (topic / MARK).exists():
        point = Point.of(Slots(take(topic / MARK, None), Disk()).read())
    for number in segments_in(topic):
        if point is None or number < point.segment:
            take(segment_path(topic, number), None)
        elif number == point.segment:
            take(segment_path(topic, number), point.offset)
