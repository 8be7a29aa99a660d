"""Where the results of the worker go: tables, records and the feed, each exactly once and each behind its breaker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, Protocol

import msgspec
import polars as pl
from msgspec.structs import replace

from infraspectre.adapters.results import detection_object, incident_object
from infraspectre.errors import ConflictError, InfraSpectreError, OverloadError
from infraspectre.ports import EventLog, RecordStore, TableStore
from infraspectre.records import Decision, Detection
from infraspectre.records.collections import INCIDENTS, incident_record
from infraspectre.records.feed import FEED_TOPIC, FeedEvent
from infraspectre.records.tables import detection_frame
from infraspectre.records.times import rfc3339
from infraspectre.serving.breakers import Breaker
from infraspectre.serving.journal import Cut, read_over_gaps
from infraspectre.telemetry import Span, Timed, Untraced, span

CONSUMER = "worker"
MOST_WAITING = 64
"""Groups that wait for one outlet; beyond it the worker waits, too, and the log holds what comes."""
READ_AT_ONCE = 1_000
MOST_TRIES = 10
"""How often a record is merged anew that somebody else changes at the same time."""


@dataclass
class Found:
    """Holds what a group of entries led to for one tenant."""

    flows: list[pl.DataFrame] = field(default_factory=list)
    detections: list[Detection] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    raised: set[str] = field(default_factory=set)
    """Incidents that had not been told before."""
    trace: str = ""
    """The traceparent of the work; empty where nothing is traced."""
    packet_at: int = 0
    """When the last packet of live traffic came that is looked at, nanoseconds since the epoch; 0 for history."""


@dataclass(frozen=True)
class Group:
    """Is a cut of the log with what it led to, by tenant."""

    cut: Cut
    found: dict[str, Found]


class Outlet(Protocol):
    """Takes groups; one that it has taken before changes nothing."""

    @property
    def name(self) -> str:
        """Name the outlet."""
        ...

    def write(self, group: Group) -> None:
        """Write a group durably; raises InfraSpectreError or OSError."""
        ...


class Queue:
    """Holds the groups that an outlet has not taken yet, in order and bounded."""

    def __init__(self, outlet: Outlet, done: int, breaker: Breaker | None = None) -> None:
        """Begin behind what the outlet has taken already."""
        self.breaker = breaker or Breaker(outlet.name, failures=1, wait_s=0.2, longest_s=30.0)
        self.done = done
        self.written = 0
        self._outlet = outlet
        self._waiting: deque[Group] = deque()

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def name(self) -> str:
        """Return the name of the outlet."""
        return self._outlet.name

    @property
    def is_full(self) -> bool:
        """Tell whether nothing more may be offered."""
        return len(self._waiting) >= MOST_WAITING

    def offer(self, group: Group) -> None:
        """Queue a group, unless the outlet has taken it before; an empty one may be given twice."""
        if group.cut.end > self.done or group.cut.begin == self.done:
            self._waiting.append(group)

    def drain(self) -> None:
        """Hand over what waits, as far as the outlet takes it."""
        while self._waiting and self.breaker.allows():
            group = self._waiting[0]
            try:
                with Timed(f"write {self.name}"):
                    self._outlet.write(group)
            except (InfraSpectreError, OSError) as error:
                self.breaker.failed(error)
                return
            self.breaker.succeeded()
            self._waiting.popleft()
            self.done = group.cut.end
            self.written += 1


def written(name: str, tenant: str, found: Found) -> Span | Untraced:
    """Begin the span of a write (OpenTelemetry semantic conventions, database client spans)."""
    about = {"db.system.name": "infraspectre", "db.operation.name": "write", "db.collection.name": name}
    return span(f"write {name}", "client", about | {"infraspectre.tenant": tenant}, parent=found.trace)


class FlowTable:
    """Writes flows into their table."""

    name = "flows"

    def __init__(self, tables: TableStore) -> None:
        """Write into this store."""
        self._tables = tables

    def write(self, group: Group) -> None:
        """Write the flows of a group."""
        for tenant, found in group.found.items():
            if found.flows:
                frame = pl.concat(found.flows, how="diagonal_relaxed")
                with written(self.name, tenant, found):
                    self._append(tenant, frame, group.cut.name)

    def _append(self, tenant: str, frame: pl.DataFrame, batch: str) -> None:
        """Append rows; where too many wait to be sorted, that is done first."""
        try:
            self._tables.append(tenant, self.name, frame, batch)
        except OverloadError:
            self._tables.compact(tenant, self.name)
            self._tables.append(tenant, self.name, frame, batch)


class DetectionTable:
    """Writes detections into their table."""

    name = "detections"

    def __init__(self, tables: TableStore) -> None:
        """Write into this store."""
        self._tables = tables

    def write(self, group: Group) -> None:
        """Write the detections of a group."""
        for tenant, found in group.found.items():
            if found.detections:
                with written(self.name, tenant, found):
                    self._tables.append(tenant, self.name, detection_frame(found.detections), group.cut.name)


class IncidentRecords:
    """Writes incidents as records; what people decided about them stays."""

    name = "incidents"

    def __init__(self, records: RecordStore) -> None:
        """Write into this store."""
        self._records = records

    def write(self, group: Group) -> None:
        """Write the latest telling of each incident of a group."""
        for tenant, found in group.found.items():
            latest = {each.incident.incident_id: each for each in found.decisions}.values()
            with written(self.name, tenant, found) if latest else nullcontext():
                for decision in latest:
                    self._write(tenant, decision)

    def _write(self, tenant: str, decision: Decision) -> None:
        told = incident_object(decision)
        whole = [detection_object(each) for each in decision.incident.detections]
        for _ in range(MOST_TRIES):
            if self._merge(tenant, decision.incident.incident_id, told, whole):
                return
        raise ConflictError("is changed by others all the time", field=decision.incident.incident_id)

    def _merge(self, tenant: str, key: str, told: dict[str, Any], detections: list[dict[str, Any]]) -> bool:
        """Write a record unless it is the same already; tell whether nobody else changed it meanwhile."""
        stored = self._records.get(tenant, INCIDENTS, key)
        before: dict[str, Any] = {} if stored is None else msgspec.json.decode(stored.body)
        record = before | incident_record(told, before or None) | {"detections": detections}
        if msgspec.json.encode(record) == msgspec.json.encode(before):
            return True
        try:
            self._records.put(tenant, INCIDENTS, key, record, 0 if stored is None else stored.revision)
        except ConflictError:
            return False
        return True


class Feed:
    """Tells on the feed what happened; what it told before a crash it does not tell again."""

    name = "feed"

    def __init__(self, log: EventLog, on_told: Callable[[Group], None] = lambda _: None) -> None:
        """Read which groups were told since the last checkpoint; `on_told` is given each that is told now."""
        self._log, self._on_told = log, on_told
        self._topic = log.topic(FEED_TOPIC)
        self.sources = set(self._sources())
        """From what events followed that were told since the last checkpoint."""
        self.lock = Lock()
        """Is held from telling events until it is remembered that they were told."""

    def write(self, group: Group) -> None:
        """Append what a group led to, all or nothing."""
        if group.cut.name not in self.sources:
            self.tell(list(events_of(group)))
            self.sources.add(group.cut.name)
            self._on_told(group)

    def tell(self, events: list[FeedEvent]) -> None:
        """Append events, all or nothing; they are durable on return."""
        if events:
            self._topic.append([msgspec.json.encode(each) for each in events]).result()

    def remember(self) -> None:
        """Begin the next search for what was told behind the last event: a checkpoint holds what is before."""
        with self.lock:
            self._log.move(CONSUMER, FEED_TOPIC, self._topic.end)
            self.sources.clear()

    def _sources(self) -> Iterator[str]:
        start = max(self._log.cursor(CONSUMER, FEED_TOPIC) or 0, self._topic.begin)
        while start < self._topic.end:
            entries, start = read_over_gaps(self._topic, start, READ_AT_ONCE)
            yield from (source for each in entries if (source := msgspec.json.decode(each.data, type=Source).source))


class Source(msgspec.Struct, frozen=True):
    """Is all that has to be read of an event to know from what it follows."""

    source: str = ""


def events_of(group: Group) -> Iterator[FeedEvent]:
    """Yield what is told of a group: first its detections, then its incidents."""
    for tenant, found in group.found.items():
        for detection in found.detections:
            yield traced(detection_event(tenant, detection, group.cut.name), found)
        told: set[str] = set()
        for decision in found.decisions:
            key = decision.incident.incident_id
            is_new = key in found.raised and key not in told
            told.add(key)
            yield traced(incident_event(tenant, decision, group.cut.name, is_new=is_new), found)


def traced(event: FeedEvent, found: Found) -> FeedEvent:
    """Return an event that names the trace of what led to it."""
    return replace(event, trace=found.trace) if found.trace else event


def detection_event(tenant: str, detection: Detection, source: str) -> FeedEvent:
    """Return the event that something was detected."""
    return FeedEvent(
        tenant,
        "behaviour",
        "detection.found",
        rfc3339(detection.at),
        detection.detection_id,
        detection.severity,
        [each for each in (detection.orig, detection.resp) if each],
        relevance=round(detection.score * detection.probability, 4),
        data=msgspec.Raw(msgspec.json.encode(detection_object(detection))),
        source=source,
    )


def incident_event(tenant: str, decision: Decision, source: str, *, is_new: bool) -> FeedEvent:
    """Return the event that an incident was raised, grew, or was taken over by another."""
    incident = decision.incident
    kind = "incident.merged" if incident.merged_into else "incident.raised" if is_new else "incident.updated"
    return FeedEvent(
        tenant,
        "threat",
        kind,
        rfc3339(incident.last_seen),
        incident.incident_id,
        decision.threat_score.level,
        incident.entities,
        relevance=round(decision.threat_score.value / 100, 4),
        data=msgspec.Raw(msgspec.json.encode(incident_object(decision))),
        source=source,
    )
