"""Brings receivers what they want of the feed: at least once, in order, by the schedule of Standard Webhooks 1.0.

The feed itself is the queue: while a receiver takes nothing, its events wait in the log, and nothing is copied. An
event that a receiver refuses while it takes others is tried again by a schedule of its own, and is a dead letter at the
end of it.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import structlog

from infraspectre.errors import ConflictError
from infraspectre.feed.reader import Feed, Reading
from infraspectre.feed.selection import Selection
from infraspectre.ports import Clock, EventLog, Outbox, RecordStore
from infraspectre.records.collections import DEAD_LETTERS, PROGRESS
from infraspectre.records.delivery import DeadLetter, Destination, Failure, Outgoing, Progress, Receipt, Retry, Told
from infraspectre.records.events import Position
from infraspectre.records.feed import FEED_TOPIC, NOTICES_TOPIC, FeedEvent
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.times import NANOSECONDS, rfc3339
from infraspectre.telemetry import Value, chosen_parent, span

SCHEDULE_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""Seconds before each further try (Standard Webhooks 1.0, "Deliverability and reliability"): 75 hours in all."""
JITTER = 0.1
"""Part by which a wait is longer at random, so that not all come back at once."""
DISABLED_AFTER_S = 5 * 86_400
"""After failing for so long, nothing more is sent."""
MOST_RETRYING = 100
"""Events of a receiver that wait to be tried again; where there are more, those behind them wait in the log."""
MOST_DEAD = 10_000
"""Dead letters of a receiver that are kept; the oldest go first."""
NOTHING = Receipt(0)
GONE = "is not kept any more"
log = structlog.get_logger("infraspectre.outbox")


class Schedule:
    """Says when something is tried again."""

    def __init__(self, seed: int | None = None) -> None:
        """Spread waits at random; a seed makes them the same again."""
        self._random = random.Random(seed)  # noqa: S311 - spreads waits, and keeps no secret

    def due(self, now: int, attempts: int, least_s: float = 0.0) -> int:
        """Return when to try again after so many tries, at the earliest after what the receiver asked for."""
        wait_s = SCHEDULE_S[min(attempts, len(SCHEDULE_S)) - 1] * self._random.uniform(1 - JITTER, 1 + JITTER)
        return now + int(max(wait_s, least_s) * NANOSECONDS)


class Round(NamedTuple):
    """Is one step for one receiver."""

    tenant: str
    destination: Destination
    progress: Progress
    selection: Selection
    now: int


class Courier:
    """Brings events to receivers, one step at a time; whoever kills it between or within steps loses nothing."""

    def __init__(self, records: RecordStore, events: EventLog, clock: Clock, schedule: Schedule | None = None) -> None:
        """Keep progress among the records."""
        self._records, self._clock = records, clock
        self._feed = Feed(events.topic(FEED_TOPIC))
        self._notices = events.topic(NOTICES_TOPIC)
        self._schedule = schedule or Schedule()

    def step(self, tenant: str, destination: Destination, outbox: Outbox) -> Receipt:
        """Send what is due, up to a batch, and return what became of it."""
        stored = self._records.get(tenant, PROGRESS, destination.key)
        progress = None if stored is None else msgspec.json.decode(stored.body, type=Progress)
        now = self._clock.now()
        if stored is None or progress is None or progress.disabled or now < progress.due_at:
            return NOTHING
        selection = Selection.of(tenant, destination.channels, destination.filters)
        turn = Round(tenant, destination, progress, selection, now)
        due = [each for each in progress.retrying if each.due_at <= now][: destination.batch]
        after, receipt = self._again(turn, due, outbox) if due else self._onward(turn, outbox)
        after = self._judged(turn, after, receipt)
        if after != progress:
            self._keep(turn, after, stored.revision)
        return receipt

    def _keep(self, turn: Round, after: Progress, revision: int) -> None:
        try:
            self._records.put(turn.tenant, PROGRESS, turn.destination.key, msgspec.to_builtins(after), revision)
        except ConflictError:
            log.info("changed meanwhile; what was sent may be sent again", receiver=turn.destination.key)
            return
        if after.disabled:
            event = disabled_event(turn, after.disabled)
            self._notices.append([msgspec.json.encode(event)]).result()

    def _onward(self, turn: Round, outbox: Outbox) -> tuple[Progress, Receipt]:
        """Send the next events of the feed, unless too many others wait to be tried again."""
        progress = turn.progress
        batch = turn.destination.batch
        room = batch if turn.destination.is_for_people else min(batch, MOST_RETRYING - len(progress.retrying))
        if room <= 0:
            return progress, NOTHING
        reading = self._feed.page(turn.selection, Position.of(progress.position), room)
        events = [told_of(text) for text in reading.events]
        receipt = sent_to(outbox, turn, [each.outgoing for each in events]) if events else NOTHING
        refused = [
            Retry(events[index].before, 1, self._schedule.due(turn.now, 1), problem)
            for index, problem in receipt.refused.items()
        ]
        after = msgspec.structs.replace(
            progress,
            position=events[receipt.answered].before if receipt.answered < len(events) else str(reading.next),
            taken=progress.taken + receipt.answered,
            delivered=progress.delivered + receipt.answered - len(refused),
            lost=progress.lost + lost(reading),
            retrying=[*progress.retrying, *refused],
        )
        return after, receipt

    def _again(self, turn: Round, due: Sequence[Retry], outbox: Outbox) -> tuple[Progress, Receipt]:
        """Send events again that were refused."""
        found = {each.position: self._event(turn, each.position) for each in due}
        sent = [each for each in due if found[each.position] is not None]
        receipt = sent_to(outbox, turn, [event for event in found.values() if event is not None]) if sent else NOTHING
        refused = [
            msgspec.structs.replace(sent[index], attempts=sent[index].attempts + 1, problem=problem)
            for index, problem in receipt.refused.items()
        ]
        gone = [msgspec.structs.replace(each, problem=GONE) for each in due if found[each.position] is None]
        dead = [*gone, *(each for each in refused if each.attempts > len(SCHEDULE_S))]
        kept = [
            msgspec.structs.replace(each, due_at=self._schedule.due(turn.now, each.attempts))
            for each in refused
            if each.attempts <= len(SCHEDULE_S)
        ]
        self._bury(turn, dead)
        for index, each in enumerate(sent[: receipt.answered]):
            if index not in receipt.refused:  # a crash may have left a letter of what is delivered now
                self._records.delete(turn.tenant, DEAD_LETTERS, letter_of(turn, each).key)
        settled = {each.position for each in [*gone, *sent[: receipt.answered]]}
        after = msgspec.structs.replace(
            turn.progress,
            delivered=turn.progress.delivered + len(settled) - len(dead) - len(kept),
            dead=turn.progress.dead + len(dead),
            retrying=[*(each for each in turn.progress.retrying if each.position not in settled), *kept],
        )
        return after, receipt

    def _event(self, turn: Round, position: str) -> Outgoing | None:
        """Return the event behind a place; None where it is not kept any more."""
        reading = self._feed.page(turn.selection, Position.of(position), 1)
        found = [each for each in map(told_of, reading.events) if each.before == position]
        return found[0].outgoing if found else None

    def _judged(self, turn: Round, after: Progress, receipt: Receipt) -> Progress:
        """Return progress with what a try says about the receiver."""
        failure, now = receipt.failure, turn.now
        if failure is None:
            if not receipt.answered:
                return after
            due = now + turn.destination.pause_s * NANOSECONDS if turn.destination.pause_s else 0
            works = {"failures": 0, "failing_since": 0, "due_at": due, "delivered_at": now}
            return msgspec.structs.replace(after, **works, problem=next(iter(receipt.refused.values()), ""))
        has_worked = receipt.answered > 0
        failures = 1 if has_worked else after.failures + 1
        since = now if has_worked or not after.failing_since else after.failing_since
        return msgspec.structs.replace(
            after,
            failures=failures,
            failing_since=since,
            due_at=self._schedule.due(now, failures, failure.retry_after_s),
            problem=failure.problem,
            disabled=verdict(failure, now - since),
        )

    def _bury(self, turn: Round, dead: Sequence[Retry]) -> None:
        """Keep dead letters; written before progress is, they are written again if that fails."""
        key = turn.destination.key
        for each in dead:
            letter = letter_of(turn, each)
            self._records.put(turn.tenant, DEAD_LETTERS, letter.key, msgspec.to_builtins(letter))
        of_receiver = Query((Filter("destination", "=", (key,)),), Order("at"), limit=max(len(dead), 1))
        if dead and self._records.count(turn.tenant, DEAD_LETTERS, of_receiver, MOST_DEAD + 1) > MOST_DEAD:
            for row in self._records.page(turn.tenant, DEAD_LETTERS, of_receiver).rows:
                self._records.delete(turn.tenant, DEAD_LETTERS, row.key)


def sent_to(outbox: Outbox, turn: Round, events: Sequence[Outgoing]) -> Receipt:
    """Send events within the trace of what led to them, and return what became of them."""
    traces = [each.event.trace for each in events if each.event.trace]
    about: dict[str, Value] = {
        "messaging.system": "infraspectre",
        "messaging.operation.type": "send",
        "messaging.destination.name": FEED_TOPIC,
        "messaging.batch.message_count": len(events),
        "infraspectre.receiver.kind": turn.destination.kind,
        "infraspectre.tenant": turn.tenant,
    }
    name = f"deliver {turn.destination.kind}"
    with span(name, "producer", about, parent=chosen_parent(traces), links=traces) as traced:
        receipt = outbox.send(events)
        if receipt.failure is not None:
            traced.end("receiver failed")
    return receipt


class Located(NamedTuple):
    """Is an event and the place before it."""

    before: str
    outgoing: Outgoing


def told_of(text: str) -> Located:
    """Return an event as the feed tells it."""
    event = msgspec.json.decode(text, type=Told)
    behind = Position.of(event.position)
    before = behind._replace(sequence=behind.sequence - 1)
    return Located(str(before), Outgoing(f"evt_{before.epoch}_{before.sequence}", event, text))


def letter_of(turn: Round, retry: Retry) -> DeadLetter:
    """Return the dead letter of an event that is not tried again."""
    return DeadLetter(turn.destination.key, retry.position, retry.attempts, turn.now, retry.problem)


def lost(reading: Reading) -> int:
    """Return how many entries of the feed could not be read, as far as that is known."""
    gap = reading.gap
    return 0 if gap is None or gap.start.epoch != gap.end.epoch else max(gap.end.sequence - gap.start.sequence, 0)


def verdict(failure: Failure, failing: int) -> str:
    """Return why nothing more is sent to a receiver after a failure; empty where it is tried again."""
    if failure.is_gone:
        return "the receiver is gone (status 410)"
    if failing >= DISABLED_AFTER_S * NANOSECONDS:
        return f"it failed for {DISABLED_AFTER_S // 86_400} days: {failure.problem}"
    return ""


def disabled_event(turn: Round, reason: str) -> FeedEvent:
    """Return what the feed tells of a receiver to which nothing is sent any more."""
    kind = "webhook" if turn.destination.kind == "webhook" else "integration"
    data = msgspec.json.encode({"name": turn.destination.name, "kind": turn.destination.kind, "reason": reason})
    at = rfc3339(turn.now)
    key = turn.destination.key
    return FeedEvent(turn.tenant, "system", f"{kind}.disabled", at, key, "medium", data=msgspec.Raw(data))
