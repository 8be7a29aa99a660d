"""The server's side of the hand-over: batches of sensors go into the log, each once and in order."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from infraspectre.adapters.sensor_link.protocol import KEPT_EPOCHS
from infraspectre.errors import InputError
from infraspectre.ports import EventLog
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, Sensor, decode, encode

CONSUMER = "sensor-intake"
"""Under this name the log remembers up to where `Progress` was saved."""
READ_AT_ONCE = 64


class Arrival(NamedTuple):
    """Is a batch that has arrived and is sound."""

    envelope: FlowEnvelope
    payload: bytes


class Taken(NamedTuple):
    """Counts what became of arrivals."""

    batches: int
    flows: int
    duplicates: int
    missing: int
    lost: dict[str, int]


class Intake:
    """Makes batches durable, and knows of each sensor which batch comes next."""

    def __init__(self, log: EventLog) -> None:
        """Find in the log what sensors have delivered so far."""
        self._topic = log.topic(FLOWS_TOPIC)
        self._next: dict[Sensor, dict[str, int]] = {}
        self._replay()

    def known(self, sensor: Sensor) -> dict[str, int]:
        """Return the number of the batch that comes next in each epoch of a sensor."""
        return dict(self._next.get(sensor, {}))

    async def take(self, sensor: Sensor, arrivals: Sequence[Arrival]) -> Taken:
        """Make batches of a sensor durable, all or none, except those that are so already.

        Raises OutputError where that fails, and OverloadError where too much waits already. Never call it for a sensor
        while it is at work for the same one.
        """
        following = self.known(sensor)
        fresh = []
        for envelope, payload in arrivals:
            expected = following.get(envelope.epoch)
            if expected is None or envelope.sequence >= expected:
                fresh.append((with_gap(envelope, expected), payload))
                remember(following, envelope)
        if fresh:
            await asyncio.wrap_future(self._topic.append([encode(*each) for each in fresh]))
            self._next[sensor] = following
        envelopes = [envelope for envelope, _ in fresh]
        flows, missing = sum(each.rows for each in envelopes), sum(each.missing for each in envelopes)
        lost = sum((Counter(each.lost) for each in envelopes), Counter())
        return Taken(len(fresh), flows, len(arrivals) - len(fresh), missing, dict(lost))

    def _replay(self) -> None:
        at = self._topic.begin
        while entries := self._topic.read(at, READ_AT_ONCE) if at < self._topic.end else []:
            for entry in entries:
                try:
                    envelope, _ = decode(entry.data)
                except InputError:  # what no sensor wrote
                    continue
                remember(self._next.setdefault(Sensor(envelope.tenant, envelope.sensor), {}), envelope)
            at = entries[-1].sequence + 1


def with_gap(envelope: FlowEnvelope, expected: int | None) -> FlowEnvelope:
    """Return an envelope that says how many batches are missing before it."""
    from msgspec.structs import replace

    return envelope if expected is None else replace(envelope, missing=envelope.sequence - expected)


def remember(following: dict[str, int], envelope: FlowEnvelope) -> None:
    """Note which batch comes next; the epochs that were used last are remembered."""
    expected = following.pop(envelope.epoch, 0)
    following[envelope.epoch] = max(expected, envelope.sequence + 1)
    while len(following) > KEPT_EPOCHS:
        following.pop(next(iter(following)))
