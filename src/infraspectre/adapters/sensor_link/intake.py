"""The server's side of the hand-over: batches of sensors go into the log, each once and in order."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from infraspectre.adapters.sensor_link.protocol import KEPT_EPOCHS
from infraspectre.errors import InputError
from infraspectre.ports import EventLog
from infraspectre.records.events import GapError
from infraspectre.records.feed import FLOWS_TOPIC, SENSORS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, Sensor, decode, encode
from infraspectre.telemetry import UNTRACED, Span, Untraced

SAVED_BATCHES = 1_024
"""Batches after which that is written again, but not more often than once in so many seconds."""
SAVED_S = 30.0
SAVED_BYTES = 64 << 20
"""Bytes of batches after which it is written again: a start reads hardly more."""
TRIED_NOTES = 8
"""Notes that a start looks at, the last one first, where some are damaged."""
READ_AT_ONCE = 16


class Progress(msgspec.Struct, frozen=True):
    """Says how far sensors had come when the topic of flows ended so; later batches may be counted already."""

    end: int
    following: list[tuple[str, str, dict[str, int]]]
    """Tenant, sensor, and the number of the batch that comes next in each epoch."""


class Arrival(NamedTuple):
    """Is a batch that has arrived and is sound."""

    envelope: FlowEnvelope
    payload: bytes
    traced: Span | Untraced = UNTRACED
    """Ends once the batch is durable."""


class Taken(NamedTuple):
    """Counts what became of arrivals: batches and flows that are new, batches that were known, and what is missing."""

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
        self._saved = log.topic(SENSORS_TOPIC)
        self._next: dict[Sensor, dict[str, int]] = {}
        self._unsaved = self._unsaved_bytes = 0
        self._saved_at = time.monotonic()
        self._at_work: dict[Sensor, int] = {}
        self._replay(self._restore())
        if self._unsaved >= SAVED_BATCHES or self._unsaved_bytes >= SAVED_BYTES:
            self.save()

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
        for envelope, payload, _ in arrivals:
            expected = following.get(envelope.epoch)
            if expected is None or envelope.sequence >= expected:
                fresh.append((with_gap(envelope, expected), payload))
                remember(following, envelope)
        if fresh:
            await self._append(sensor, fresh)
            self._next[sensor] = following
            self._unsaved += len(fresh)
            self._unsaved_bytes += sum(len(payload) for _, payload in fresh)
            is_late = self._unsaved >= SAVED_BATCHES and time.monotonic() - self._saved_at >= SAVED_S
            if is_late or self._unsaved_bytes >= SAVED_BYTES:
                self.save()
        envelopes = [envelope for envelope, _ in fresh]
        flows, missing = sum(each.rows for each in envelopes), sum(each.missing for each in envelopes)
        lost = sum((Counter(each.lost) for each in envelopes), Counter())
        return Taken(len(fresh), flows, len(arrivals) - len(fresh), missing, dict(lost))

    def save(self) -> Future[int]:
        """Write how far sensors have come; where that fails the next start reads more of the log."""
        self._unsaved, self._unsaved_bytes, self._saved_at = 0, 0, time.monotonic()
        end = min(self._at_work.values(), default=self._topic.end)
        following = [(sensor.tenant, sensor.name, numbers) for sensor, numbers in self._next.items()]
        return self._saved.append([msgspec.json.encode(Progress(end, following))])

    async def _append(self, sensor: Sensor, fresh: Sequence[tuple[FlowEnvelope, bytes]]) -> None:
        self._at_work[sensor] = self._topic.end
        try:
            await asyncio.wrap_future(self._topic.append([encode(*each) for each in fresh]))
        finally:
            del self._at_work[sensor]

    def _restore(self) -> int:
        """Take up what was saved last, and return from where on the topic of flows says more."""
        last = self._saved.end
        for number in range(last - 1, max(self._saved.begin, last - TRIED_NOTES) - 1, -1):
            try:
                [entry] = self._saved.read(number, 1)
                progress = msgspec.json.decode(entry.data, type=Progress)
            except (InputError, ValueError):  # it is damaged: the one before says less, and the topic of flows the rest
                continue
            self._next = {Sensor(tenant, name): numbers for tenant, name, numbers in progress.following}
            return max(progress.end, self._topic.begin)
        return self._topic.begin

    def _replay(self, at: int) -> None:
        while at < self._topic.end:
            try:
                entries = self._topic.read(at, READ_AT_ONCE)
            except GapError as gap:
                at = gap.after
                continue
            for entry in entries:
                self._recall(entry.data)
                self._unsaved_bytes += len(entry.data)
            self._unsaved += len(entries)
            at += len(entries)

    def _recall(self, data: bytes) -> None:
        try:
            envelope, _ = decode(data)
        except InputError:  # what no sensor wrote
            return
        remember(self._next.setdefault(Sensor(envelope.tenant, envelope.sensor), {}), envelope)


def with_gap(envelope: FlowEnvelope, expected: int | None) -> FlowEnvelope:
    """Return an envelope that says how many batches are missing before it."""
    return envelope if expected is None else replace(envelope, missing=envelope.sequence - expected)


def remember(following: dict[str, int], envelope: FlowEnvelope) -> None:
    """Note which batch comes next; the epochs that were used last are remembered."""
    expected = following.pop(envelope.epoch, 0)
    following[envelope.epoch] = max(expected, envelope.sequence + 1)
    while len(following) > KEPT_EPOCHS:
        following.pop(next(iter(following)))
