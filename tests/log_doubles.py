"""A log in memory for tests that need no other."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future

from infraspectre.errors import InfraSpectreError
from infraspectre.records.events import Entry


class PlainTopic:
    """Keeps entries in a list; `failures` are what the next appends fail with, `delay` what each waits."""

    def __init__(self) -> None:
        self.epoch = "e0"
        self.begin = 0
        self.entries: list[Entry] = []
        self.failures: list[InfraSpectreError] = []

    @property
    def end(self) -> int:
        return len(self.entries)

    def append(self, data: Sequence[bytes]) -> Future[int]:
        future: Future[int] = Future()
        if self.failures:
            future.set_exception(self.failures.pop(0))
            return future
        first = self.end
        self.entries += [Entry(first + n, time.time_ns(), bytes(each)) for n, each in enumerate(data)]
        future.set_result(first)
        return future

    def read(self, start: int, most: int = 1_000, wait_s: float = 0.0) -> list[Entry]:
        return self.entries[start : start + most]


class PlainLog:
    """Keeps topics and cursors."""

    def __init__(self) -> None:
        self.topics: dict[str, PlainTopic] = {}
        self.cursors: dict[tuple[str, str], int] = {}

    def topic(self, name: str) -> PlainTopic:
        return self.topics.setdefault(name, PlainTopic())

    def cursor(self, consumer: str, topic: str) -> int | None:
        return self.cursors.get((consumer, topic))

    def move(self, consumer: str, topic: str, sequence: int) -> None:
        self.cursors[consumer, topic] = sequence

    def close(self) -> None: ...
