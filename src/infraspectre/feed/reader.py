"""Reads the feed from a position: batches that many share, pages for REST, and readers that remember where they are."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple

from infraspectre.feed.batches import Batch, Match
from infraspectre.feed.relevance import Relevance
from infraspectre.feed.selection import Selection
from infraspectre.ports import EventLog, Topic
from infraspectre.records.events import GapError, Position
from infraspectre.records.feed import FEED_TOPIC

BLOCK = 512
"""Entries that are read together from history; readers of the same history share them."""
MOST_BYTES = 16 << 20
"""Source bytes kept of what came last, and as many of what was read again; decoded they take about five times that."""
MOST_SCANNED = 10_000
"""Entries that one page looks at: a filter that takes hardly anything costs no more than one that takes all."""


class Gap(NamedTuple):
    """Says that a part of the feed cannot be had any more."""

    start: Position
    end: Position
    reason: str
    """retention: it was dropped by age or size; epoch: the topic began anew; ahead: the position lies in the future,
    as after a log was restored; damaged: it cannot be read."""


class Reading(NamedTuple):
    """Is a page of the feed."""

    events: list[str]
    """JSON, each with the position behind it."""
    next: Position
    """Where the next page begins, also when there is nothing more now."""
    gap: Gap | None


class Feed:
    """Reads the topic of the feed, and keeps what was read last for those who come next."""

    def __init__(self, topic: Topic, relevance: Relevance | None = None) -> None:
        """Read a topic; relevance is what the filter of that name compares."""
        self.topic = topic
        self.relevance = relevance or Relevance()
        self._recent: deque[Batch] = deque()
        self._recent_size = 0
        self._history: OrderedDict[int, Batch] = OrderedDict()
        self._history_size = 0

    def position(self, sequence: int) -> Position:
        """Return the place before a number."""
        return Position(self.topic.epoch, sequence)

    def place(self, position: Position | None) -> tuple[int, Gap | None]:
        """Return the number at which to begin, by default the end, and what cannot be had before it."""
        end = self.topic.end
        if position is None:
            return end, None
        begin = self.topic.begin
        if position.epoch != self.topic.epoch:
            return begin, Gap(position, self.position(begin), "epoch")
        if position.sequence > end:
            return end, Gap(position, self.position(end), "ahead")
        if position.sequence < begin:
            return begin, Gap(position, self.position(begin), "retention")
        return position.sequence, None

    def read(self, start: int, most: int, wait_s: float = 0.0) -> Batch:
        """Return up to so many entries from a number on, or the hole that is there; may wait for the disk."""
        epoch = self.topic.epoch
        try:
            return Batch(epoch, start, self.topic.read(start, most, wait_s), self.relevance)
        except GapError as gap:
            return Batch.hole(epoch, start, gap.after, "retention" if start < self.topic.begin else "damaged")

    def block(self, start: int, before: int) -> Batch:
        """Return the block of history in which a number lies, up to before another number; may wait for the disk."""
        first = max(start - start % BLOCK, self.topic.begin)
        batch = self.read(first, min(first - first % BLOCK + BLOCK, before) - first)
        return batch if batch.end > start else self.read(start, min(BLOCK, before - start))

    def held(self, sequence: int) -> Batch | None:
        """Return the batch in memory in which a number lies."""
        if self._recent and sequence >= self._recent[0].start:
            return next((batch for batch in reversed(self._recent) if batch.start <= sequence < batch.end), None)
        batch = self._history.get(sequence // BLOCK)
        if batch is None or not batch.start <= sequence < batch.end:
            return None
        self._history.move_to_end(sequence // BLOCK)
        return batch

    def hold(self, batch: Batch) -> None:
        """Keep a batch that came last."""
        self._recent.append(batch)
        self._recent_size += batch.size
        while self._recent_size > MOST_BYTES and len(self._recent) > 1:
            self._recent_size -= self._recent.popleft().size

    def hold_history(self, batch: Batch) -> None:
        """Keep a block that was read again."""
        replaced = self._history.pop(batch.start // BLOCK, None)
        self._history_size += batch.size - (replaced.size if replaced else 0)
        self._history[batch.start // BLOCK] = batch
        while self._history_size > MOST_BYTES and len(self._history) > 1:
            self._history_size -= self._history.popitem(last=False)[1].size

    def page(self, selection: Selection, after: Position | None, limit: int, wait_s: float = 0.0) -> Reading:
        """Return selected events from a position on, from the oldest kept without one; may wait for the disk."""
        start, gap = self.place(after or self.position(self.topic.begin))
        events: list[str] = []
        scanned = 0
        while len(events) < limit and scanned < MOST_SCANNED:
            batch = self.read(start, BLOCK, wait_s if not scanned else 0.0)
            if batch.end == start:
                break
            if batch.lost:
                gap = gap or Gap(self.position(start), self.position(batch.end), batch.lost)
                if events:
                    break
            scanned += batch.end - start
            start = take(batch.match(selection), events, limit)
        return Reading(events, self.position(start), gap)


def take(match: Match, events: list[str], limit: int) -> int:
    """Add events up to a limit, and return the number behind what was looked at."""
    room = limit - len(events)
    events.extend(happening.text(match.epoch) for happening in match.happenings[:room])
    return match.end if len(match.happenings) <= room else match.happenings[room].sequence


class FeedReader:
    """Reads the feed for a consumer that goes on where it was, such as the sender of a webhook."""

    def __init__(self, log: EventLog, consumer: str, selection: Selection, relevance: Relevance | None = None) -> None:
        """Go on where the consumer was; a new one begins with what happens from now on.

        Where the feed began anew meanwhile, the first page says so by its gap, and begins at the beginning.
        """
        self._log = log
        self._consumer = consumer
        self._feed = Feed(log.topic(FEED_TOPIC), relevance)
        self._selection = selection
        self.position = log.position(consumer, FEED_TOPIC) or self._feed.position(self._feed.topic.end)

    def read(self, limit: int = 100, wait_s: float = 0.0) -> Reading:
        """Return the next events; the same again until `done` says that they arrived."""
        return self._feed.page(self._selection, self.position, limit, wait_s)

    def done(self, position: Position) -> None:
        """Remember durably that all before a position arrived."""
        self._log.move(self._consumer, FEED_TOPIC, position.sequence)
        self.position = position
