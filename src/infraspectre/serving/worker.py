"""The worker: reads flows from the log, carries them through the pipeline, and hands on what they lead to.

What it does follows from the log alone. It cuts the log into groups, and notes each cut before it begins with it
(`infraspectre.serving.journal`); what each outlet has taken is known by the names of these groups. So a worker that was
killed anywhere goes on from its last checkpoint and writes nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import structlog

from infraspectre.errors import InputError
from infraspectre.pipeline import Pipeline
from infraspectre.ports import Topic
from infraspectre.records.events import Entry
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, decode
from infraspectre.records.flows import FlowBatch
from infraspectre.serving.journal import Cut, Journal
from infraspectre.serving.outlets import (
    CONSUMER,
    DetectionTable,
    Feed,
    FlowTable,
    Found,
    Group,
    IncidentRecords,
    Outlet,
    Queue,
)
from infraspectre.serving.platform import Platform
from infraspectre.serving.relay import Relay
from infraspectre.serving.shedding import WHOLE, Account, Backlog, Waiting, lighten

MOST_ENTRIES = 64
"""Entries of one group."""
MOST_FLOWS = 4_096
"""Flows of one group, but for the last entry; an urgent event waits no longer than for one group."""
SCANNED = 256
"""Entries looked over at once."""
FULLEST = 1.5
"""Share of the backlog's bound up to which the log is looked over ahead of the work."""
MOST_TOLD = 65_536
"""Incidents of which it is remembered that they were told."""
MOST_EPOCHS = 4
"""Epochs of a sensor whose last batch is remembered."""
CLOCK = ""
"""The tenant of entries without flows that say that none come: what waits for more is then looked at."""

logger = structlog.get_logger(__name__)


@dataclass
class Learnt:
    """Is what the worker knows of the flows that it has seen."""

    pipelines: dict[str, Pipeline] = field(default_factory=dict)
    seen: dict[str, dict[str, int]] = field(default_factory=dict)
    """The next batch of each sensor, by epoch."""
    told: dict[str, None] = field(default_factory=dict)
    """Incidents that were told, the last ones."""
    account: Account = field(default_factory=Account)

    def is_new(self, envelope: FlowEnvelope) -> bool:
        """Tell whether a batch was not seen before, and remember it."""
        epochs = self.seen.setdefault(f"{envelope.tenant}/{envelope.sensor}", {})
        if envelope.sequence < epochs.get(envelope.epoch, 0):
            return False
        epochs[envelope.epoch] = envelope.sequence + 1
        while len(epochs) > MOST_EPOCHS:
            del epochs[next(iter(epochs))]
        return True

    def raise_(self, incident: str) -> bool:
        """Tell whether an incident was not told before, and remember it."""
        is_new = incident not in self.told
        self.told[incident] = None
        if len(self.told) > MOST_TOLD:
            del self.told[next(iter(self.told))]
        return is_new


class Worker:
    """Works on the topic of flows, one group after another."""

    def __init__(
        self,
        platform: Platform,
        compose: Callable[[], Pipeline],
        folder: Path,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take up where the worker before stopped; `compose` makes a pipeline for each tenant."""
        self.platform = platform
        self.learnt = Learnt()
        self.failures = 0
        self._compose, self._now = compose, now
        self._topic = platform.log.topic(FLOWS_TOPIC)
        self._journal = Journal(folder / "cuts.jsonl")
        done = platform.log.cursor(CONSUMER, FLOWS_TOPIC)
        self._position = self._scanned = max(done or 0, self._topic.begin)
        limits = platform.settings.limits
        self.backlog = Backlog(limits.waiting_flows, limits.waiting_bytes)
        self.feed = Feed(platform.log)
        self.relay = Relay(platform.log, self.feed)
        outlets: Sequence[Outlet] = (
            FlowTable(platform.tables), DetectionTable(platform.tables), IncidentRecords(platform.records), self.feed,
        )  # fmt: skip
        self.queues = [Queue(outlet, self._position) for outlet in outlets]

    def run(self, is_stopped: Callable[[], bool]) -> None:
        """Work until told to stop, then hand on what is done."""
        while not is_stopped():
            self.step(0.2)
        self.close()

    def step(self, wait_s: float = 0.0) -> int:
        """Work on what waits next, and return how many entries it was."""
        self.relay.step()
        self._scan(0.0 if len(self.backlog) or self.is_held else wait_s)
        cut = None if self.is_held else self._cut()
        if cut is not None:
            self._offer(self._work(cut))
            self._position = cut.end
        self._hand_on()
        return 0 if cut is None else cut.end - cut.begin

    @property
    def is_held(self) -> bool:
        """Tell whether an outlet that does not take anything holds up the work."""
        return any(queue.is_full for queue in self.queues)

    @property
    def waits(self) -> int:
        """Return how many entries wait in the log."""
        return self._topic.end - self._position

    def close(self) -> None:
        """Hand on what is done and release what is held."""
        self._hand_on()
        self._journal.close()

    def _scan(self, wait_s: float) -> None:
        """Look over what came into the log."""
        while self.backlog.fill < FULLEST:
            entries = self._topic.read(self._scanned, SCANNED, wait_s)
            for entry in entries:
                waiting = Waiting(entry.sequence, flows_of(entry), len(entry.data))
                self.backlog.add(waiting)
                self.learnt.account.taken += waiting.flows
            self._scanned += len(entries)
            wait_s = 0.0
            if len(entries) < SCANNED:
                return

    def _cut(self) -> Cut | None:
        """Return the next group: as it was cut before a restart, or what waits now."""
        known = next((cut for cut in self._journal.cuts if cut.begin == self._position), None)
        if known is not None:
            for _ in range(known.end - known.begin):
                self.backlog.take()
            return known
        if not len(self.backlog):
            return None
        level, flows, count = self.backlog.level, 0, 0
        while len(self.backlog) and count < MOST_ENTRIES and flows < MOST_FLOWS and self.backlog.level >= level:
            flows += self.backlog.take().flows
            count += 1
        cut = Cut(self._topic.epoch, self._position, self._position + count, level)
        self._journal.add(cut)
        return cut

    def _work(self, cut: Cut) -> Group:
        """Carry the flows of a group through the pipelines of their tenants."""
        found: dict[str, Found] = {}
        pending: dict[str, list[pl.DataFrame]] = {}
        for entry in self._entries(cut):
            taken = self._take(entry, cut.level)
            if taken is None:
                continue
            envelope, frame = taken
            if envelope.tenant == CLOCK:
                self._process(pending, found)
                self._settle(found)
            elif len(frame):
                pending.setdefault(envelope.tenant, []).append(frame)
        self._process(pending, found)
        return Group(cut, found)

    def _entries(self, cut: Cut) -> Iterator[Entry]:
        start = cut.begin
        while start < cut.end:
            entries = self._topic.read(start, cut.end - start)
            yield from entries
            start += len(entries)

    def _take(self, entry: Entry, level: int) -> tuple[FlowEnvelope, pl.DataFrame] | None:
        """Return the flows of an entry that are to be looked at, and count the others."""
        account, flows = self.learnt.account, flows_of(entry)
        try:
            envelope, payload = decode(entry.data)
            if envelope.tenant != CLOCK and not self.learnt.is_new(envelope):
                account.drop("repeated", flows)
                return None
            if level >= WHOLE and flows:
                account.drop("waited too long", flows)
                return None
            frame = pl.read_ipc_stream(payload) if flows else pl.DataFrame()
        except (InputError, pl.exceptions.PolarsError, OSError, ValueError) as error:
            logger.warning("a batch of flows cannot be read", sequence=entry.sequence, error=str(error))
            account.drop("unreadable", flows)
            return None
        frame, shed = lighten(frame, level)
        for reason, count in shed.items():
            account.drop(reason, count)
        account.done += len(frame)
        return envelope, frame

    def _process(self, pending: dict[str, list[pl.DataFrame]], found: dict[str, Found]) -> None:
        for tenant, frames in pending.items():
            flows = FlowBatch(pl.concat(frames, how="diagonal_relaxed"))
            found.setdefault(tenant, Found()).flows.append(flows.frame)
            self._follow(tenant, found, lambda pipeline, flows=flows: pipeline.process(flows))  # type: ignore[misc]
        pending.clear()

    def _settle(self, found: dict[str, Found]) -> None:
        for tenant in self.learnt.pipelines:
            self._follow(tenant, found, Pipeline.settle)

    def _follow(self, tenant: str, found: dict[str, Found], call: Callable[[Pipeline], Any]) -> None:
        """Collect what a tenant's pipeline finds; a failure in it costs these flows, not the worker."""
        pipeline = self.learnt.pipelines.get(tenant)
        if pipeline is None:
            pipeline = self.learnt.pipelines[tenant] = self._compose()
        into = found.setdefault(tenant, Found())
        try:
            decisions = call(pipeline)
        except Exception as error:  # one batch must not end the service; what went wrong is told
            self.failures += 1
            logger.exception("the pipeline failed", tenant=tenant, error=repr(error))
            decisions = []
        into.detections += pipeline.detections
        pipeline.detections = []
        into.decisions += decisions
        into.raised |= {key for each in decisions if self.learnt.raise_(key := each.incident.incident_id)}

    def _offer(self, group: Group) -> None:
        for queue in self.queues:
            queue.offer(group)

    def _hand_on(self) -> None:
        """Let the outlets take what waits, and remember how far all of them are."""
        for queue in self.queues:
            queue.drain()
        done = min(queue.done for queue in self.queues)
        if done > (self.platform.log.cursor(CONSUMER, FLOWS_TOPIC) or 0):
            self.platform.log.move(CONSUMER, FLOWS_TOPIC, done)


def flows_of(entry: Entry) -> int:
    """Return how many flows an entry says that it has."""
    try:
        return decode(entry.data)[0].rows
    except InputError:
        return 0

