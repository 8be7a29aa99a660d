"""A hub that tests move by hand."""

from __future__ import annotations

from typing import Any

import msgspec

from api.stream.stream_fakes import Seconds, Wire
from infraspectre.api.stream.client import Client
from infraspectre.api.stream.hub import Hub
from infraspectre.api.stream.limits import Limits
from infraspectre.feed.reader import Feed
from infraspectre.records.access import Principal
from log_fakes import MemoryLog, MemoryTopic

ANALYST = Principal("default", "ann", "analyst")


class Stage:
    """A hub over a topic in memory, moved by hand."""

    def __init__(self, **limits: Any) -> None:
        self.topic: MemoryTopic = MemoryLog().topic("feed")
        self.clock = Seconds()
        self.hub = Hub(Feed(self.topic), Limits(**limits), self.clock)

    def join(self, principal: Principal = ANALYST, is_quick: bool = True) -> tuple[Client, Wire]:
        wire = Wire(is_quick)
        return self.hub.join(principal, wire), wire

    def ask(self, client: Client, kind: str, **fields: Any) -> None:
        self.hub.hear(client, msgspec.json.encode({"type": kind, **fields}))
        self.flush()

    def publish(self, *events: bytes) -> None:
        self.topic.append(events)
        self.follow()

    def follow(self) -> None:
        self.hub.take(self.hub.feed.read(self.hub.position, 1_000))
        self.flush()

    def flush(self) -> None:
        self.hub.flush(list(self.hub.waiting))

    def replay(self) -> None:
        """Read history one block a lane."""
        hub = self.hub
        for lane in list(hub.behind):
            if hub.is_ready(lane):
                hub.catch_up(lane, hub.feed.held(lane.next) or hub.feed.block(lane.next, hub.position))
        self.flush()

    def wait(self, seconds: float) -> None:
        self.clock.now += seconds
        self.hub.tend()
        self.flush()
