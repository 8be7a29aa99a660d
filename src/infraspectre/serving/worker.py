"""The worker: reads flows from the log, carries them through the pipeline, and hands on what they lead to.

What it does follows from the log alone. It cuts the log into groups, and notes each cut before it begins with it
(`infraspectre.serving.journal`); what each outlet has taken is known by the names of these groups. So a worker that was
killed anywhere goes on from its last checkpoint and writes nothing twice.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import structlog

from infraspectre.adapters.sensor_link.payloads import unpack
from infraspectre.errors import InputError, OutputError
from infraspectre.pipeline import Pipeline
from infraspectre.records.events import Entry
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, decode
from infraspectre.records.flows import FlowBatch
from infraspectre.records.times import NANOSECONDS
from infraspectre.serving.checkpoint import Checkpoints, Learnt, Place, key_of
from infraspectre.serving.journal import Cut, open_journal, read_over_gaps
from infraspectre.serving.measuring import Measures
from infraspectre.serving.origins import Origins
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
from infraspectre.serving.shedding import WHOLE, Backlog, Waiting, lighten
from infraspectre.telemetry import Timed

MOST_ENTRIES = 64
"""Entries of one group."""
MOST_FLOWS = 4_096
"""Flows of one group, but for the last entry; an urgent event waits no longer than for one group."""
SCANNED = 256
"""Entries looked over at once."""
FULLEST = 1.5
"""Share of the backlog's bound up to which the log is looked over ahead of the work."""
TURN_S = 1.0
"""How often it is looked whether something is to be told though no flows come."""
MOST_TOLD = 65_536
"""Incidents of which it is remembered that they were told."""
MOST_EPOCHS = 4
"""Epochs of a sensor whose last batch is remembered."""

logger = structlog.get_logger(__name__)


def is_new(learnt: Learnt, envelope: FlowEnvelope) -> bool:
    """Tell whether a batch was not seen before, and remember it."""
    epochs = learnt.seen.setdefault(f"{envelope.tenant}/{envelope.sensor}", {})
    if envelope.sequence < epochs.get(envelope.epoch, 0):
        return False
    epochs[envelope.epoch] = envelope.sequence + 1
    while len(epochs) > MOST_EPOCHS:
        del epochs[next(iter(epochs))]
    return True


def is_untold(learnt: Learnt, incident: str) -> bool:
    """Tell whether an incident was not told before, and remember it."""
    found = incident not in learnt.told
    learnt.told[incident] = None
    if len(learnt.told) > MOST_TOLD:
        del learnt.told[next(iter(learnt.told))]
    return found


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
        self.failures = 0
        self._compose, self._now = compose, now
        self._topic = platform.log.topic(FLOWS_TOPIC)
        self._journal = open_journal(folder / "cuts.jsonl")
        self._checkpoints = Checkpoints(folder / "checkpoint", key_of(platform.settings))
        limits = platform.settings.limits
        self.backlog = Backlog(limits.waiting_flows, limits.waiting_bytes)
        self.measures = Measures(platform.metrics, platform.clock)
        self.feed = Feed(platform.log, self.measures.told)
        self.relay = Relay(platform.log, self.feed)
        self.done = max(platform.log.cursor(CONSUMER, FLOWS_TOPIC) or 0, self._topic.begin)
        outlets: Sequence[Outlet] = (
            FlowTable(platform.tables), DetectionTable(platform.tables), IncidentRecords(platform.records), self.feed,
        )  # fmt: skip
        self.queues = [Queue(outlet, self.done) for outlet in outlets]
        self.learnt, self._position = self._restored() or (Learnt(), self._replayed_from())
        self._scanned = self._saved = self._position
        self._ahead = deque(cut for cut in self._journal.cuts if self._is_ahead(cut))
        self._saved_at = self._settled_at = self._turned_at = self._begun_at = now()
        self._heard_at: dict[str, float] = {}
        self._is_unsettled = False
        self._origins = Origins()
        self.measures.began(self.learnt.account)

    def _restored(self) -> tuple[Learnt, int] | None:
        """Return what the last checkpoint holds, None if there is none that can be gone on from."""
        try:
            found = self._checkpoints.load(self._compose)
            if found is None:
                return None
            learnt, place = found
            if place.epoch != self._topic.epoch or not self._topic.begin <= place.position <= self.done:
                raise InputError("is of another log", path=self._checkpoints.path)
        except InputError as error:
            logger.warning("what was learnt cannot be restored; the log is read again", reason=str(error))
            return None
        logger.info("restored", position=place.position, tenants=len(learnt.pipelines))
        return learnt, place.position

    def _is_ahead(self, cut: Cut) -> bool:
        """Tell whether a group was begun behind what was learnt."""
        is_behind = cut.begin >= self._position and (cut.end > self._position or cut.settles or bool(cut.turns))
        return cut.epoch == self._topic.epoch and is_behind

    def _replayed_from(self) -> int:
        """Return where to begin to learn anew: the first entry that is not older than the horizon."""
        horizon = self.platform.clock.now() - round(self.platform.settings.detection.replay_s * NANOSECONDS)
        low, high = self._topic.begin, self.done
        while low < high:
            middle = (low + high) // 2
            entries, end = read_over_gaps(self._topic, middle, 1)
            if not entries or entries[0].at < horizon:
                low = max(end, middle + 1)
            else:
                high = middle
        return low

    def step(self, wait_s: float = 0.0) -> int:
        """Work on what waits next, and return how many entries it was."""
        if self.is_held:
            time.sleep(min(wait_s, *(queue.breaker.waits_s for queue in self.queues if queue.is_full)))
        self._scan(0.0 if len(self.backlog) or self.is_held else self._rest_s(wait_s))
        cut = None if self.is_held else self._cut()
        if cut is not None:
            is_repeated = self.is_learning
            with Timed("detect"):
                self._offer(self._work(cut))
            self._position = cut.end
            (self.measures.began if is_repeated else self.measures.worked)(self.learnt.account)
        with Timed("hand on"):
            self._hand_on()
        if self._now() - self._saved_at >= self.platform.settings.detection.checkpoint_s:
            self.save()
        return 0 if cut is None else cut.end - cut.begin

    def _rest_s(self, most_s: float) -> float:
        """Return how long to wait for flows: until those that were taken are to be looked at, if there are any."""
        if not self._is_unsettled:
            return most_s
        left_s = self._settled_at + self.platform.settings.detection.patience_s - self._now()
        return min(most_s, max(0.0, left_s))

    @property
    def is_held(self) -> bool:
        """Tell whether an outlet that does not take anything holds up the work."""
        return any(queue.is_full for queue in self.queues)

    @property
    def waits(self) -> int:
        """Return how many entries wait in the log."""
        return self._topic.end - self._position

    @property
    def is_learning(self) -> bool:
        """Tell whether entries are read again that were worked on before the start."""
        return self._position < self.done

    def save(self) -> bool:
        """Save what was learnt, unless an outlet lags behind; tell whether it is saved."""
        self._saved_at = self._now()
        if any(len(queue) for queue in self.queues) or self.is_learning:
            return False
        if self._position > self._saved:
            try:
                with Timed("save"):
                    size = self._checkpoints.save(self.learnt, Place(self._topic.epoch, self._position))
            except OutputError as error:
                logger.warning("what was learnt cannot be saved", reason=str(error))
                return False
            self.feed.remember()
            self._journal.forget(self._position)
            self._saved = self._position
            logger.info("saved", position=self._position, bytes=size, seconds=round(self._now() - self._saved_at, 3))
        return True

    def close(self) -> None:
        """Hand on what is done, save what was learnt, and release what is held."""
        self._hand_on()
        self.save()
        self._journal.close()

    def _scan(self, wait_s: float) -> None:
        """Look over what came into the log."""
        while self.backlog.fill < FULLEST:
            entries, end = read_over_gaps(self._topic, self._scanned, SCANNED, wait_s)
            sizes = {each.sequence: (flows_of(each), len(each.data)) for each in entries}
            for sequence in range(self._scanned, end):
                waiting = Waiting(sequence, *sizes.get(sequence, (0, 0)))
                self.backlog.add(waiting)
                self.learnt.account.taken += waiting.flows
            is_all = end - self._scanned < SCANNED
            self._scanned, wait_s = end, 0.0
            if is_all:
                return

    def _cut(self) -> Cut | None:
        """Return the next group: as it was cut before a restart, or what waits now."""
        if self.is_learning or self._ahead:
            return self._known()
        cut = self._new()
        if cut is not None:
            self._journal.add(cut)
        return cut

    def _known(self) -> Cut | None:
        """Return the next group that was worked on before the start; None where it waits to be looked over."""
        first = self._ahead[0] if self._ahead else None
        if first is not None and first.begin == self._position:
            cut = first
        else:
            end = min(self._position + MOST_ENTRIES, self.done if first is None else first.begin)
            cut = Cut(self._topic.epoch, self._position, end, settles=end == self.done)
        if cut.end > self._scanned:
            return None
        if cut is first:
            self._ahead.popleft()
        self._take(cut)
        return cut

    def _new(self) -> Cut | None:
        """Return a group of what waits now, or an empty one where flows have waited for more long enough."""
        level, flows, end = self.backlog.level, 0, self._position
        while (
            len(self.backlog)
            and end < self._position + MOST_ENTRIES
            and flows < MOST_FLOWS
            and self.backlog.level >= level
        ):
            flows += self.backlog.take().flows
            end += 1
        is_time = self._now() - self._settled_at >= self.platform.settings.detection.patience_s
        settles = is_time and not len(self.backlog) and (self._is_unsettled or flows > 0)
        turns = {} if flows or len(self.backlog) else self._turns()
        if end == self._position and not settles and not turns:
            return None
        return Cut(self._topic.epoch, self._position, end, level, settles, turns)

    def _turns(self) -> dict[str, int]:
        """Return how far event time goes on for tenants of which something became due while no flows came."""
        now = self._now()
        if now - self._turned_at < TURN_S:
            return {}
        self._turned_at, turns = now, {}
        for tenant, pipeline in self.learnt.pipelines.items():
            rested_s = now - self._heard_at.get(tenant, self._begun_at) - self.platform.settings.detection.grace_s
            until = self.learnt.reached.get(tenant, 0) + int(rested_s * NANOSECONDS)
            due = pipeline.due() if rested_s > 0 else None
            if due is not None and due <= until:
                turns[tenant] = until
        return turns

    def _take(self, cut: Cut) -> None:
        """Let the entries of a group wait no more."""
        for _ in range(cut.end - cut.begin):
            self.backlog.take()

    def _work(self, cut: Cut) -> Group:
        """Carry the flows of a group through the pipelines of their tenants."""
        found: dict[str, Found] = {}
        pending: dict[str, list[pl.DataFrame]] = {}
        for entry in self._entries(cut):
            taken = self._chosen(entry, cut.level)
            if taken is None:
                continue
            envelope, frame = taken
            self._origins.add(envelope, entry)
            self.measures.arrived(envelope, entry)
            if len(frame):
                pending.setdefault(envelope.tenant, []).append(frame)
        self._process(pending, found)
        self._is_unsettled = not cut.settles and (self._is_unsettled or bool(pending))
        if cut.settles:
            self._settled_at = self._now()
            self._settle(found)
            self._origins.settled()
        for tenant, until in cut.turns.items():
            self._follow(tenant, found, lambda pipeline, until=until: pipeline.turn(until))  # type: ignore[misc]
        return Group(cut, found)

    def _entries(self, cut: Cut) -> Iterator[Entry]:
        start = cut.begin
        while start < cut.end:
            entries, start = read_over_gaps(self._topic, start, cut.end - start)
            yield from entries

    def _chosen(self, entry: Entry, level: int) -> tuple[FlowEnvelope, pl.DataFrame] | None:
        """Return the flows of an entry that are to be looked at, and count the others."""
        account, flows = self.learnt.account, flows_of(entry)
        try:
            envelope, payload = decode(entry.data)
            if not is_new(self.learnt, envelope):
                account.drop("repeated", flows)
                return None
            if level >= WHOLE:
                account.drop("waited too long", flows)
                return None
            frame = unpack(payload, flows) if flows else pl.DataFrame()
        except InputError as error:
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
            self._note_time(tenant, flows)
            found.setdefault(tenant, Found()).flows.append(flows.frame)
            self._follow(tenant, found, lambda pipeline, flows=flows: pipeline.process(flows))  # type: ignore[misc]

    def _note_time(self, tenant: str, flows: FlowBatch) -> None:
        """Remember when flows of a tenant came, and the event time that they reached."""
        self._heard_at[tenant] = self._now()
        ended_at = flows.frame["ended_at"].max()
        reached = ended_at if isinstance(ended_at, int) else 0
        self.learnt.reached[tenant] = max(self.learnt.reached.get(tenant, 0), reached)

    def _settle(self, found: dict[str, Found]) -> None:
        for tenant in self.learnt.pipelines:
            self._follow(tenant, found, Pipeline.settle)

    def _follow(self, tenant: str, found: dict[str, Found], call: Callable[[Pipeline], Any]) -> None:
        """Collect what a tenant's pipeline finds; a failure in it costs these flows, not the worker."""
        pipeline = self.learnt.pipelines.get(tenant)
        if pipeline is None:
            pipeline = self.learnt.pipelines[tenant] = self._compose()
        into = found.setdefault(tenant, Found())
        with self._origins.traced(tenant, into) as traced:
            try:
                decisions = call(pipeline)
            except Exception as error:  # one batch must not end the service; what went wrong is told
                self.failures += 1
                logger.exception("the pipeline failed", tenant=tenant, error=repr(error))
                traced.end(type(error).__name__)
                decisions = []
            into.detections += pipeline.detections
            pipeline.detections = []
            into.decisions += decisions
            raised = {key for each in decisions if is_untold(self.learnt, key := each.incident.incident_id)}
            into.raised |= raised
            if raised:  # whatever was drawn: an incident is always worth its trace
                traced.set({"infraspectre.incidents": len(raised)})
                traced.keep()
            if raised or not into.trace:
                into.trace = traced.traceparent

    def _offer(self, group: Group) -> None:
        for queue in self.queues:
            queue.offer(group)

    def _hand_on(self) -> None:
        """Let the outlets take what waits, and remember how far all of them are."""
        for queue in self.queues:
            queue.drain()
        done = min(queue.done for queue in self.queues)
        if done > self.done:
            self.platform.log.move(CONSUMER, FLOWS_TOPIC, done)
            self.done = done


def flows_of(entry: Entry) -> int:
    """Return how many flows an entry says that it has."""
    try:
        return decode(entry.data)[0].rows
    except InputError:
        return 0
