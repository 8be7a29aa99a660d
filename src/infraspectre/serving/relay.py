"""Relays what other processes have to tell, and what others post, to the feed, which the worker alone writes.

The longer the queue, the graver an event has to be: beyond 5,000 that wait, informational ones are shed, beyond 20,000
those of low severity, beyond 50,000 of medium and beyond 100,000 of high severity; critical ones are never shed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

import msgspec
import structlog

from infraspectre.errors import InfraSpectreError
from infraspectre.ports import EventLog
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.events import Entry
from infraspectre.records.feed import EVENTS_TOPIC, NOTICES_TOPIC, FeedEvent
from infraspectre.records.times import rfc3339
from infraspectre.serving.breakers import Breaker
from infraspectre.serving.journal import read_over_gaps
from infraspectre.serving.outlets import CONSUMER, Feed
from infraspectre.serving.shedding import Account

logger = structlog.get_logger(__name__)
LADDER = (5_000, 20_000, 50_000, 100_000)
"""Events waiting beyond which each severity is shed, the least first."""
AT_ONCE = 5_000
"""Entries of a topic looked at in one step, so that the other has its turn."""
LOOK_S = 0.01
"""How often it is looked for something to relay."""


class Posted(msgspec.Struct, frozen=True):
    """Is an event as somebody posted it."""

    tenant: str
    id: str
    event: msgspec.Raw


class Graded(msgspec.Struct, frozen=True):
    """Is what is read of a posted event; anything may stand there."""

    severity: Any = None
    kind: Any = None


class Lane:
    """Relays one topic to the feed, each entry once."""

    def __init__(self, log: EventLog, feed: Feed, topic: str) -> None:
        """Take up behind the last entry that was relayed."""
        self.account = Account()
        """Counts entries since the worker was started."""
        self._log, self._feed, self._name = log, feed, topic
        self._topic = log.topic(topic)
        self._prefix = f"{topic}.{self._topic.epoch}."
        told = [
            int(source.removeprefix(self._prefix)) + 1 for source in feed.sources if source.startswith(self._prefix)
        ]
        self._next = max(log.cursor(CONSUMER, topic) or 0, self._topic.begin, *told)

    @property
    def waits(self) -> int:
        """Return how many entries wait."""
        return self._topic.end - self._next

    def step(self) -> int:
        """Relay what waits, up to a number, and return how many entries were looked at."""
        looked_at = 0
        while looked_at < AT_ONCE and self.waits:
            entries, end = read_over_gaps(self._topic, self._next, AT_ONCE - looked_at)
            least = sum(self.waits > step for step in LADDER)
            counted = Account()
            events = [event for entry in entries if (event := self._event(entry, least, counted)) is not None]
            with self._feed.lock:
                self._feed.tell(events)
                self._log.move(CONSUMER, self._name, end)
            self.account.add(counted)
            looked_at += end - self._next
            self._next = end
        return looked_at

    def _event(self, entry: Entry, least: int, account: Account) -> FeedEvent | None:
        """Return an entry as an event of the feed; None if it is shed or is no event."""
        account.taken += 1
        try:
            event = READ[self._name](entry)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            account.drop("unreadable", 1)
            return None
        if SEVERITIES.index(event.severity) < least:
            account.drop(event.severity, 1)
            return None
        account.done += 1
        return msgspec.structs.replace(event, source=f"{self._prefix}{entry.sequence}")


def posted(entry: Entry) -> FeedEvent:
    """Return an event that somebody posted; raises msgspec.MsgspecError for what is none."""
    found = msgspec.json.decode(entry.data, type=Posted)
    graded = msgspec.json.decode(found.event, type=Graded)
    severity = next((name for name in SEVERITIES if name == graded.severity), SEVERITIES[0])
    kind = f"custom.{graded.kind[:64]}" if isinstance(graded.kind, str) else "custom"
    worth = SEVERITIES.index(severity) / (len(SEVERITIES) - 1)
    return FeedEvent(
        found.tenant, "custom", kind, rfc3339(entry.at), found.id, severity, relevance=worth, data=found.event
    )


def noticed(entry: Entry) -> FeedEvent:
    """Return an event that another process of the platform had to tell; raises msgspec.MsgspecError."""
    return msgspec.json.decode(entry.data, type=FeedEvent)


READ: dict[str, Callable[[Entry], FeedEvent]] = {NOTICES_TOPIC: noticed, EVENTS_TOPIC: posted}


class Relay:
    """Relays notices of the platform itself, then what others post; entered, in a thread beside the worker."""

    def __init__(self, log: EventLog, feed: Feed) -> None:
        """Take up where the worker before stopped."""
        self.lanes = {topic: Lane(log, feed, topic) for topic in READ}
        self.breaker = Breaker("relay", failures=1, wait_s=0.2, longest_s=30.0)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def step(self) -> int:
        """Relay what waits, up to a number, and return how many entries were looked at."""
        return sum(lane.step() for lane in self.lanes.values())

    def _run(self) -> None:
        while not self._stopped.is_set():
            if not self._tried():
                self._stopped.wait(LOOK_S)

    def _tried(self) -> bool:
        """Relay what waits, and tell whether there was something; what fails is tried again after a while."""
        if not self.breaker.allows():
            return False
        try:
            looked_at = self.step()
        except (InfraSpectreError, OSError) as error:
            self.breaker.failed(error)
            return False
        except Exception as error:  # else nothing would ever be relayed again, and nobody would know
            logger.exception("the relay failed", error=repr(error))
            self.breaker.failed(error)
            return False
        self.breaker.succeeded()
        return looked_at > 0
