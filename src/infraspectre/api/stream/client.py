"""One connected client: its subscriptions, what it may take, and what is sent to it next."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from infraspectre.api.stream.ladder import Ladder, Level
from infraspectre.api.stream.lanes import Lane, Parcel, Wrap
from infraspectre.api.stream.limits import Limits
from infraspectre.api.stream.messages import message
from infraspectre.records.access import Principal
from infraspectre.records.events import Position

COALESCE_S = 0.25
"""Messages to a client that is behind are sent so far apart at least."""
MOST_REPLIES = 64
WEIGHT = 0.3
"""Of the last message in the measured rate."""
GOING_AWAY, POLICY_VIOLATION, TRY_AGAIN_LATER = 1001, 1008, 1013
"""Close codes (RFC 6455 section 7.4.1 and its registry)."""
REASONS = {
    Level.FULL: "everything is sent again",
    Level.COALESCE: "the client takes less than there is: messages are joined",
    Level.SAMPLE: "the client takes less than there is: one in ten events below medium severity is sent",
    Level.AGGREGATE: "the client takes less than there is: summaries are sent",
}


class Sending(Protocol):
    """Is a message on its way, as asyncio's futures are."""

    def done(self) -> bool:
        """Tell whether the connection took it."""
        ...


class Transport(Protocol):
    """Sends messages to a client without waiting for it."""

    @property
    def wrap(self) -> Wrap:
        """Return what makes one thing to send of messages; transports of one kind have the same."""
        ...

    def send(self, wrapped: Any) -> Sending:
        """Hand over messages that were wrapped."""
        ...


class Ending(NamedTuple):
    """Says why a client is closed, as a code of WebSocket and a short text."""

    code: int
    reason: str


class Client:
    """Holds a client's lanes, and sends what waits in them as far as the client takes it."""

    def __init__(
        self, principal: Principal, transport: Transport, limits: Limits, counts: Counter[str], now: float
    ) -> None:
        """Begin without subscriptions; what is sent is added to the counts."""
        self.principal = principal
        self.limits = limits
        self.lanes: dict[str, Lane] = {}
        self.ladder = Ladder()
        self.ending: Ending | None = None
        self.on_end: Callable[[], None] | None = None
        """Called once there is an ending."""
        self.subscribed_at = now
        self.share = limits.queue_size
        """Characters that may wait now, which depends on how many clients there are."""
        self._transport = transport
        self._counts = counts
        self._replies: deque[str] = deque()
        self._sending: Sending | None = None
        self._sent_at = now
        self._sent_size = 0
        self._settled: tuple[tuple[int, str], ...] = ()
        """Where the lanes were before what was sent last: numbers and epochs."""
        self.fallen: list[Lane] = []
        """Lanes for which history is to be read instead of what waited."""
        self._is_blocked = False
        """Whether the last message was not taken at once."""
        self._rate = 0.0
        """Characters a second that the client takes, 0 while it takes everything at once."""
        self._tokens = 5 * limits.messages_per_s
        self._asked_at = now

    @property
    def is_idle(self) -> bool:
        """Tell whether nothing can be sent now: there is nothing, or the client has to acknowledge first."""
        return not self._replies and all(lane.is_idle for lane in self.lanes.values())

    @property
    def has_room(self) -> bool:
        """Tell whether history may be read for the client."""
        return self._fill() < 0.2

    def end(self, code: int, reason: str) -> None:
        """Close the client, once."""
        if self.ending is None:
            self.ending = Ending(code, reason)
            self._counts[f"closed_{code}"] += 1
            if self.on_end:
                self.on_end()

    def reply(self, text: str) -> None:
        """Answer the client; one that does not take answers is closed."""
        if len(self._replies) >= MOST_REPLIES:
            self.end(POLICY_VIOLATION, "too many messages without reading the answers")
        else:
            self._replies.append(text)

    def admits(self, now: float) -> bool:
        """Tell whether the client may send a message now (a token bucket)."""
        rate = self.limits.messages_per_s
        self._tokens = min(5 * rate, self._tokens + (now - self._asked_at) * rate) - 1
        self._asked_at = now
        return self._tokens >= 0

    def flush(self, now: float) -> bool:
        """Send what can be sent, and tell whether something still waits."""
        if self.ending:
            return False
        is_free = self._is_free(now)
        if is_free and (parcel := self._shared()):
            self._send(parcel.content, parcel.size, now)
            return False
        is_due = self.ladder.level < Level.COALESCE or now - self._sent_at >= COALESCE_S or self._has_urgent()
        if is_free and is_due:
            self._send_own(now)
        self._judge(is_free, now)
        return not self.is_idle

    def tend(self, now: float, position: int) -> None:
        """Do what is due without events: close windows, come down the ladder, show life, and end what is stuck."""
        for lane in self.lanes.values():
            lane.tend(now)
        is_free = self._is_free(now)
        self._judge(is_free, now)
        if not is_free and now - self._sent_at >= self.limits.stall_s:
            self._end_slow("nothing was taken for too long")
        elif not self.lanes and now - self.subscribed_at >= self.limits.idle_s:
            self.end(POLICY_VIOLATION, "no subscription for too long")
        elif is_free and now - self._sent_at >= self.limits.heartbeat_s:
            self.reply(self._heartbeat(position))

    def _end_slow(self, problem: str) -> None:
        """Close the client, and name the position before what may not have arrived."""
        lowest = min(self._settled, default=None)
        position = Position(lowest[1], lowest[0]) if lowest else "anywhere"
        self.end(TRY_AGAIN_LATER, f"{problem}; resume from {position}")

    def _heartbeat(self, position: int) -> str:
        return message("heartbeat", positions={lane.name: str(lane.reached(position)) for lane in self.lanes.values()})

    def _is_free(self, now: float) -> bool:
        """Tell whether the last message was taken, and measure how fast."""
        if self._sending is None:
            return True
        if not self._sending.done():
            self._is_blocked = True
            return False
        rate = self._sent_size / max(now - self._sent_at, 1e-3)
        if not self._is_blocked:
            self._rate = 0.0
        elif self._rate:
            self._rate = WEIGHT * rate + (1 - WEIGHT) * self._rate
        else:
            self._rate = rate
        self._sending = None
        return True

    def _fill(self) -> float:
        size = self._size()
        if not size:
            return 0.0
        return max(sum([lane.events for lane in self.lanes.values()]) / self.limits.queue_events, size / self.share)

    def _size(self) -> int:
        return sum([lane.size for lane in self.lanes.values()])

    def _delay_s(self) -> float:
        """Return how long what waits would take; what fits into the next message is no delay."""
        if not self._rate:
            return 0.0
        size = self._size()
        return size / self._rate if size > self.limits.message_size else 0.0

    def _judge(self, is_free: bool, now: float) -> None:
        """Take a step on the ladder if it is time, and tell the client.

        How much waits counts only while the client takes nothing: one that does is served again in a moment.
        """
        fill = self._fill()
        if fill >= 1.0 and is_free:
            self._fall()
        before = self.ladder.level
        level = self.ladder.judge(0.0 if is_free else fill, self._delay_s(), now)
        if level == before:
            return
        if level == Level.CLOSE:
            self._end_slow("more waits than there is room for")
            return
        for lane in self.lanes.values():
            lane.throttle(level)
        told: dict[str, Any] = {"fill": round(fill, 3), "drain_per_s": round(self._rate)}
        self.reply(message("throttle", level=level.name.lower(), reason=REASONS[level], **told))

    def _fall(self) -> None:
        """Let go of what waits, which is read again from the log as the client takes it."""
        waiting = [lane for lane in self.lanes.values() if lane.size]
        self.fallen += [lane for lane in waiting if not lane.is_urgent] or waiting

    def _has_urgent(self) -> bool:
        return any(lane.is_urgent and lane.size for lane in self.lanes.values())

    def _shared(self) -> Parcel | None:
        """Take what is to be sent as others get it too, where it is all that waits, as it is nearly always."""
        if self.ladder.level or self._replies:
            return None
        busy = [lane for lane in self.lanes.values() if lane.size]
        if len(busy) != 1:
            return None
        settled = self._reached()
        parcel = busy[0].take_shared(self._transport.wrap)
        if parcel:
            self._settled = settled
        return parcel

    def _reached(self) -> tuple[tuple[int, str], ...]:
        return tuple([(lane.told, lane.epoch) for lane in self.lanes.values()])

    def _take(self) -> list[str]:
        """Return the next messages: replies, then lanes by priority, up to about what may be sent at once."""
        self._settled = self._reached()
        messages = list(self._replies)
        self._replies.clear()
        room = self.limits.message_size - sum(map(len, messages))
        lanes = self.lanes.values()
        for lane in lanes if len(lanes) == 1 else sorted(lanes, key=lambda each: each.rank):
            while room > 0 and (text := lane.take(room)) is not None:
                messages.append(text)
                room -= len(text)
        return messages

    def _send_own(self, now: float) -> None:
        messages = self._take()
        if messages:
            self._send(self._transport.wrap(messages), sum(map(len, messages)), now)

    def _send(self, wrapped: Any, size: int, now: float) -> None:
        self._sent_at = now
        self._sent_size = size
        self._is_blocked = False
        self._sending = self._transport.send(wrapped)
        self._counts["messages"] += 1
        self._counts["characters"] += self._sent_size
