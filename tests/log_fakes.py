"""Doubles of the event log and of the clock: in memory, quick, and with the same promises."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition

from infraspectre.errors import InputError, OutputError
from infraspectre.records.events import Entry, GapError, Position

START = 1_767_225_600_000_000_000
"""2026-01-01T00:00:00Z."""


@dataclass
class SetClock:
    """Tells the time that a test sets."""

    time: int = START

    def now(self) -> int:
        return self.time


@dataclass
class MemoryTopic:
    clock: SetClock
    epoch: str
    begin: int = 0
    entries: list[Entry] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)
    failure: Exception | None = None
    """Every append fails with it as long as it is set."""

    @property
    def end(self) -> int:
        return len(self.entries)

    def append(self, data: Sequence[bytes]) -> Future[int]:
        future: Future[int] = Future()
        if self.failure:
            future.set_exception(self.failure)
            return future
        with self.changed:
            first = self.end
            self.entries += [Entry(number, self.clock.now(), each) for number, each in enumerate(data, first)]
            self.changed.notify_all()
        future.set_result(first)
        return future

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        if start > self.end:
            raise InputError(f"ends before entry {start}")
        if start < self.begin:
            raise GapError("is not kept any more", self.begin, field=f"entry {start}")
        with self.changed:
            self.changed.wait_for(lambda: self.end > start, wait_s)
            return self.entries[start : start + most]


class MemoryLog:
    """Keeps topics in memory, for tests of what uses a log."""

    def __init__(self, clock: SetClock | None = None) -> None:
        self.clock = clock or SetClock()
        self.topics: dict[str, MemoryTopic] = {}
        self.cursors: dict[tuple[str, str], Position] = {}
        self.closed = False

    def topic(self, name: str) -> MemoryTopic:
        return self.topics.setdefault(name, MemoryTopic(self.clock, f"{len(self.topics):08x}"))

    def cursor(self, consumer: str, topic: str) -> int | None:
        found = self.position(consumer, topic)
        return found.sequence if found is not None and found.epoch == self.topic(topic).epoch else None

    def position(self, consumer: str, topic: str) -> Position | None:
        return self.cursors.get((consumer, topic))

    def move(self, consumer: str, topic: str, sequence: int) -> None:
        self.cursors[consumer, topic] = Position(self.topic(topic).epoch, sequence)

    def close(self) -> None:
        self.closed = True
        for topic in self.topics.values():
            topic.failure = OutputError("is closed")
