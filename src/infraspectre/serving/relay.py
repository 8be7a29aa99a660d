"""Relays what others post from the topic of events to the feed, the grave before the rest when there is too much.

The longer the queue, the graver an event has to be: beyond 5,000 that wait, informational ones are shed, beyond 20,000
those of low severity, beyond 50,000 of medium and beyond 100,000 of high severity; critical ones are never shed.
"""

from __future__ import annotations

from typing import Any

import msgspec

from infraspectre.ports import EventLog
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.records.events import Entry
from infraspectre.records.feed import EVENTS_TOPIC, FeedEvent
from infraspectre.records.times import rfc3339
from infraspectre.serving.outlets import CONSUMER, Feed
from infraspectre.serving.shedding import Account

LADDER = (5_000, 20_000, 50_000, 100_000)
"""Events waiting beyond which each severity is shed, the least first."""
AT_ONCE = 5_000
"""Events looked at in one step, so that flows have their turn."""
PREFIX = "events."


class Posted(msgspec.Struct, frozen=True):
    """Is an event as somebody posted it."""

    tenant: str
    id: str
    event: msgspec.Raw


class Graded(msgspec.Struct, frozen=True):
    """Is what is read of a posted event; anything may stand there."""

    severity: Any = None
    kind: Any = None


class Relay:
    """Reads the topic of events and tells them on the feed, each once."""

    def __init__(self, log: EventLog, feed: Feed) -> None:
        """Take up behind the last event that was relayed."""
        self.account = Account()
        """Counts events since the worker was started."""
        self._log, self._feed = log, feed
        self._topic = log.topic(EVENTS_TOPIC)
        told = [self._sequence(source) + 1 for source in feed.sources if source.startswith(PREFIX)]
        self._next = max(log.cursor(CONSUMER, EVENTS_TOPIC) or 0, self._topic.begin, *told)

    @property
    def waits(self) -> int:
        """Return how many events wait."""
        return self._topic.end - self._next

    def step(self) -> int:
        """Relay what waits, up to a number, and return how many events were looked at."""
        looked_at = 0
        while looked_at < AT_ONCE and (entries := self._topic.read(self._next, AT_ONCE - looked_at)):
            least = sum(self.waits > step for step in LADDER)
            self._feed.tell([event for entry in entries if (event := self._event(entry, least)) is not None])
            looked_at += len(entries)
            self._next += len(entries)
            self._log.move(CONSUMER, EVENTS_TOPIC, self._next)
        return looked_at

    def _event(self, entry: Entry, least: int) -> FeedEvent | None:
        """Return an entry as an event of the feed; None if it is shed or is no event."""
        self.account.taken += 1
        try:
            posted = msgspec.json.decode(entry.data, type=Posted)
            graded = msgspec.json.decode(posted.event, type=Graded)
        except msgspec.MsgspecError:
            self.account.drop("unreadable", 1)
            return None
        severity = next((name for name in SEVERITIES if name == graded.severity), SEVERITIES[0])
        if SEVERITIES.index(severity) < least:
            self.account.drop(severity, 1)
            return None
        self.account.done += 1
        return self._told(entry, posted, severity, graded.kind if isinstance(graded.kind, str) else "")

    def _told(self, entry: Entry, posted: Posted, severity: Severity, kind: str) -> FeedEvent:
        return FeedEvent(
            posted.tenant,
            "custom",
            f"custom.{kind[:64]}" if kind else "custom",
            rfc3339(entry.at),
            posted.id,
            severity,
            relevance=SEVERITIES.index(severity) / (len(SEVERITIES) - 1),
            data=posted.event,
            source=f"{PREFIX}{self._topic.epoch}.{entry.sequence}",
        )

    def _sequence(self, source: str) -> int:
        """Return the number of the entry from which an event of the feed followed; -1 for another epoch's."""
        _, epoch, sequence = source.split(".", 2)
        return int(sequence) if epoch == self._topic.epoch and sequence.isdecimal() else -1
