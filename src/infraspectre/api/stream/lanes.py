"""One subscription of a client: what waits to be sent in it, in order, and the position that it has reached."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import msgspec

from infraspectre.api.stream.ladder import Level
from infraspectre.api.stream.messages import (
    PRIORITIES,
    Subscribe,
    by_severity,
    events_message,
    gap_message,
    summary_message,
)
from infraspectre.feed.batches import Match, Piece, joined
from infraspectre.feed.reader import Gap
from infraspectre.feed.selection import Selection
from infraspectre.records.events import Position

THROTTLED_AGGREGATE_S = 5.0
"""The window of summaries for a client that is too slow for more."""
MOST_MATCHES = 500
"""Parts of the feed in one window; a summary comes early where there are more, as while history is read."""


class Note(NamedTuple):
    """Is a message that waits among events, and the number up to which it speaks."""

    text: str
    end: int
    events: int = 1

    @property
    def size(self) -> int:
        """Return the characters to send."""
        return len(self.text)


Wrap = Callable[[list[str]], Any]
"""Makes one thing to send of messages."""


class Parcel(msgspec.Struct, gc=False):
    """Is what waits in a lane ready to be sent, for all lanes of the same name and way that get the same."""

    name: str
    wrap: Wrap
    content: Any
    size: int
    """Characters of its message."""

    def suits(self, name: str, wrap: Wrap) -> bool:
        """Tell whether it can be sent in a lane of a name, in a way."""
        return self.wrap is wrap and self.name == name


class Lane:
    """Holds what waits in a subscription; its order is that of the feed, and its positions only grow."""

    def __init__(self, request: Subscribe, selection: Selection, start: Position, counts: Counter[str]) -> None:
        """Begin at a position of the feed; what is sent and shed is added to the counts."""
        self.name = request.id
        self.selection = selection
        self.rank = PRIORITIES.index(request.priority)
        self.epoch = start.epoch
        self.next = start.sequence
        """While history is read: the number from which on it has not been looked at."""
        self.is_behind = True
        """Whether history is read, until it has reached what happens now."""
        self.told = start.sequence
        """The number behind what was sent last."""
        self.events = 0
        self.size = 0
        self.aggregate_s = request.aggregate_s
        """The length of the present windows of summaries, 0 for events."""
        self._asked_aggregate_s = request.aggregate_s
        self._level = Level.FULL
        self._queue: deque[Match | Note] = deque()
        self._ready: deque[Piece | Note] = deque()
        self._window: list[Match] = []
        self._window_end = 0.0
        self._credit = request.window
        self._unacknowledged: deque[tuple[int, int]] = deque()
        self._open = 0
        self._counts = counts

    @property
    def is_urgent(self) -> bool:
        """Tell whether the lane is never thinned out."""
        return self.rank == 0

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing waits, not even for the end of a window."""
        return not (self._queue or self._ready or self._window)

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing can be sent now: nothing is ready, or the client has to acknowledge first."""
        return not (self._queue or self._ready) or self._is_held

    @property
    def position(self) -> Position:
        """Return the position behind what was sent last."""
        return Position(self.epoch, self.told)

    def reached(self, live: int) -> Position:
        """Return the position behind all that is done with, where the feed has come to a number."""
        if self.is_empty:
            self.told = max(self.told, min(live, self.next) if self.is_behind else live)
        return self.position

    def offer(self, match: Match, now: float) -> None:
        """Take what was selected of the next part of the feed, at least one event."""
        if not self.aggregate_s:
            self._append(match)
            return
        if not self._window:
            self._window_end = (now // self.aggregate_s + 1) * self.aggregate_s
        self._window.append(match)
        if len(self._window) >= MOST_MATCHES:
            self.summarize()

    def offer_gap(self, gap: Gap) -> None:
        """Take that the next part of the feed cannot be had."""
        self.summarize()
        self.epoch = gap.end.epoch
        self._append(Note(gap_message(self.name, gap), gap.end.sequence))

    def restart(self, start: int) -> None:
        """Let go of all that waits; history is read from a number on."""
        self._queue.clear()
        self._ready.clear()
        self._window.clear()
        self.events = self.size = 0
        self.next = start
        self.is_behind = True

    def tend(self, now: float) -> None:
        """Close the window of summaries once its time has come."""
        if self._window and now >= self._window_end:
            self.summarize()

    def summarize(self) -> None:
        """Close the window of summaries now."""
        if self._window:
            last = self._window[-1]
            members = last.summary(self._window)
            start = Position(self.epoch, self._tail)
            self._window = []
            self._append(Note(summary_message(self.name, members, start, Position(self.epoch, last.end)), last.end))

    def throttle(self, level: Level) -> None:
        """Thin out what waits and what comes, or stop doing so."""
        if self.is_urgent or level == self._level:
            return
        self._level = level
        throttled_s = THROTTLED_AGGREGATE_S if level >= Level.AGGREGATE else 0.0
        self.aggregate_s = max(self._asked_aggregate_s, throttled_s)
        if not self.aggregate_s:
            self.summarize()
        waiting = [*self._ready, *self._queue]
        self.events = sum(self._cost(each)[0] for each in waiting)
        self.size = sum(self._cost(each)[1] for each in waiting)

    def take(self, room: int) -> str | None:
        """Return the next message, of about so many characters at the most; None if there is nothing to send."""
        if self._is_held:
            return None
        self._fill()
        if not self._ready:
            return None
        if isinstance(self._ready[0], Note):
            note = self._next()
            return self._sent(note, note.text)
        piece = self._piece(room)
        return self._sent(piece, events_message(self.name, piece, self.epoch))

    def take_shared(self, wrap: Wrap) -> Parcel | None:
        """Return all that waits as others get it too; None, and all still waits, where it is the lane's own."""
        if len(self._queue) != 1 or self._ready or self._credit is not None or self._level >= Level.SAMPLE:
            return None
        match = self._queue[0]
        if isinstance(match, Note) or len(match.whole) != 1 or match.epoch != self.epoch:
            return None
        parcel: Parcel | None = match.parcel
        if parcel is None or not parcel.suits(self.name, wrap):
            parcel = match.parcel = self._packed(match, wrap)
        self._counts["events"] += self.events
        self._queue.clear()
        self.events = self.size = 0
        self.told = match.end
        return parcel

    def _packed(self, match: Match, wrap: Wrap) -> Parcel:
        text = events_message(self.name, match.whole[0], self.epoch)
        return Parcel(self.name, wrap, wrap([text]), len(text))

    def acknowledge(self, sequence: int) -> None:
        """Take note that all before a number arrived."""
        while self._unacknowledged and self._unacknowledged[0][0] <= sequence:
            self._open -= self._unacknowledged.popleft()[1]

    @property
    def _is_held(self) -> bool:
        return self._credit is not None and self._open >= self._credit

    @property
    def _tail(self) -> int:
        """The number behind all that waits or was sent."""
        last = self._queue[-1] if self._queue else self._ready[-1] if self._ready else None
        return self.told if last is None else last.end

    def _append(self, item: Match | Note) -> None:
        events, size = self._cost(item)
        self.events += events
        self.size += size
        self._queue.append(item)

    def _cost(self, item: Match | Piece | Note) -> tuple[int, int]:
        if not isinstance(item, Match):
            return item.events, item.size
        pieces = self._thinned(item)
        if len(pieces) == 1:
            return pieces[0].events, len(pieces[0].text)
        return sum(piece.events for piece in pieces), sum(piece.size for piece in pieces)

    def _thinned(self, match: Match) -> tuple[Piece, ...]:
        return match.sampled if self._level >= Level.SAMPLE else match.whole

    def _fill(self) -> None:
        """Cut what waits first into pieces, if none is ready."""
        if not self._ready and self._queue:
            item = self._queue.popleft()
            self._ready.extend(self._thinned(item) if isinstance(item, Match) else [item])

    def _next(self) -> Piece | Note:
        item = self._ready.popleft()
        self.events -= item.events
        self.size -= item.size
        self._fill()
        return item

    def _piece(self, room: int) -> Piece:
        pieces: list[Piece] = []
        while self._ready and isinstance(self._ready[0], Piece) and (not pieces or self._ready[0].size <= room):
            pieces.append(cast("Piece", self._next()))
            room -= pieces[-1].size
        return joined(pieces)

    def _sent(self, item: Piece | Note, text: str) -> str:
        self.told = item.end
        if isinstance(item, Note):
            self._counts["notes"] += 1
        else:
            self._count(item)
        if self._credit is not None:
            self._unacknowledged.append((self.told, item.events))
            self._open += item.events
        return text

    def _count(self, piece: Piece) -> None:
        self._counts["events"] += piece.events
        if any(piece.shed):
            for severity, count in by_severity(piece.shed).items():
                self._counts[f"shed_{severity}"] += count
