"""The hub: follows the feed once for all clients of a server process, and hands each what it selected."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable

from infraspectre.api.stream.client import GOING_AWAY, POLICY_VIOLATION, Client, Transport
from infraspectre.api.stream.groups import Groups
from infraspectre.api.stream.lanes import Lane
from infraspectre.api.stream.limits import Limits
from infraspectre.api.stream.messages import Ack, Ping, Subscribe, Unsubscribe, message, read
from infraspectre.errors import ConflictError, InputError, OverloadError
from infraspectre.feed.batches import Batch
from infraspectre.feed.reader import Feed, Gap
from infraspectre.feed.relevance import Apprentice
from infraspectre.feed.selection import Selection
from infraspectre.records.access import Principal
from infraspectre.records.events import Position

MOST_HELD = 32
"""Batches in memory that one lane is handed before it is another's turn."""


class Hub:
    """Holds the clients; all its methods are called in one thread, and none of them waits."""

    def __init__(self, feed: Feed, limits: Limits | None = None, now: Callable[[], float] = time.monotonic) -> None:
        """Begin at the end of the feed; `now` is in seconds and never goes back."""
        self.feed = feed
        self.limits = limits or Limits()
        self.now = now
        self.position = feed.topic.end
        """The number up to which the feed was handed out."""
        self.counts: Counter[str] = Counter()
        self.clients: dict[Client, None] = {}
        self.waiting: dict[Client, None] = {}
        """Those for whom something waits."""
        self.on_waiting: Callable[[], None] = lambda: None
        """Called when something waits that did not come from the feed."""
        self.behind: dict[Lane, Client] = {}
        """Lanes for which history is read."""
        self._groups = Groups()
        self._owners: dict[Lane, Client] = {}
        self._apprentice = Apprentice(feed.relevance)
        self._by_tenant: Counter[str] = Counter()

    def join(self, principal: Principal, transport: Transport) -> Client:
        """Take in a client; raises OverloadError where there are too many."""
        tenant = principal.tenant
        if len(self.clients) >= self.limits.clients or self._by_tenant[tenant] >= self.limits.clients_per_tenant:
            self.counts["refused"] += 1
            raise OverloadError("has as many clients as it may", field="stream", remedy="try again later")
        client = Client(principal, transport, self.limits, self.counts, self.now())
        self.clients[client] = None
        self._by_tenant[tenant] += 1
        return client

    def leave(self, client: Client) -> None:
        """Forget a client."""
        for name in list(client.lanes):
            self._drop(client, name)
        if self.clients.pop(client, False) is None:
            self._by_tenant[client.principal.tenant] -= 1
        self.waiting.pop(client, None)

    def hear(self, client: Client, data: str | bytes) -> None:
        """Do what a message of a client asks for, and answer; what cannot be done is answered as an error."""
        if not client.admits(self.now()):
            client.end(POLICY_VIOLATION, f"more than {self.limits.messages_per_s:g} messages a second")
            return
        try:
            self._do(client, read(data, self.limits.message_bytes))
        except (InputError, ConflictError, OverloadError) as error:
            client.reply(message("error", problem=error.problem, field=error.field, remedy=error.remedy))
        self.wait_for(client)

    def wait_for(self, client: Client) -> None:
        """Send what waits for a client soon."""
        self.waiting[client] = None
        self.on_waiting()

    def _do(self, client: Client, asked: Subscribe | Unsubscribe | Ack | Ping) -> None:
        match asked:
            case Subscribe():
                self.subscribe(client, asked)
            case Ping():
                client.reply(message("pong", note=asked.note))
            case Ack():
                known(client, asked.id).acknowledge(Position.of(asked.position).sequence)
            case Unsubscribe():
                lane = known(client, asked.id)
                self._drop(client, asked.id)
                client.subscribed_at = self.now()
                client.reply(message("unsubscribed", subscription=asked.id, position=str(lane.position)))

    def subscribe(self, client: Client, asked: Subscribe) -> None:
        """Begin a subscription, live or with history; raises InputError, ConflictError and OverloadError."""
        if asked.id in client.lanes:
            raise ConflictError("is in use", field=f"id {asked.id}", remedy="unsubscribe it first, or use another")
        if len(client.lanes) >= self.limits.subscriptions:
            raise OverloadError(f"has {self.limits.subscriptions} already", field="subscriptions")
        selection = Selection.of(client.principal.tenant, asked.channels, asked.filters)
        wanted = None if asked.resume is None else Position.of(asked.resume)
        start, gap = self.feed.place(wanted or self.feed.position(self.position))
        lane = Lane(asked, selection, wanted or self.feed.position(start), self.counts)
        lane.next = start
        client.lanes[asked.id] = lane
        self._owners[lane] = client
        client.reply(message("subscribed", subscription=asked.id, position=str(lane.position)))
        if gap:
            lane.offer_gap(gap)
        self.behind[lane] = client
        self._go_live(lane)

    def take(self, batch: Batch) -> None:
        """Hand out what came next in the feed."""
        now = self.now()
        self.position = batch.end
        self.counts["taken"] += batch.end - batch.start
        self.counts["malformed"] += batch.malformed
        if batch.lost:
            self._tell_gap(batch, self._groups)
            return
        self.feed.hold(batch)
        for happenings in batch.by_tenant.values():
            for happening in happenings:
                self._apprentice.see(happening.event)
        for lanes, match in self._groups.matches(batch):
            for lane in lanes:
                lane.offer(match, now)
                self.waiting[self._owners[lane]] = None

    def catch_up(self, lane: Lane, batch: Batch | None) -> None:
        """Hand out history from the batch in which a lane's next number lies, and what is in memory behind it.

        The lane goes live where history ends.
        """
        for _ in range(MOST_HELD):
            if batch is None or lane not in self.behind:
                return
            self._hand(lane, batch)
            self._go_live(lane)
            batch = self.feed.held(lane.next) if self.is_ready(lane) else None

    def is_ready(self, lane: Lane) -> bool:
        """Tell whether there is history to read for a lane that its client has room for."""
        client = self.behind.get(lane)
        return client is not None and lane.next < self.position and client.has_room

    def _hand(self, lane: Lane, batch: Batch) -> None:
        if batch.lost:
            self._tell_gap(batch, [lane])
        else:
            match = batch.match(lane.selection).after(lane.next)
            if match.happenings:
                lane.offer(match, self.now())
                self.waiting[self._owners[lane]] = None
        self.counts["replayed"] += max(batch.end - lane.next, 0)
        lane.next = max(lane.next, batch.end)

    def flush(self, clients: Iterable[Client]) -> None:
        """Send clients what they can take."""
        now = self.now()
        for client in clients:
            if not client.flush(now):
                self.waiting.pop(client, None)
            while client.fallen:
                self._fall(client, client.fallen.pop())

    def tend(self) -> None:
        """Do what is due without events, a few times a second."""
        now = self.now()
        share = self.limits.size_of(len(self.clients))
        for client in self.clients:
            client.share = share
            client.tend(now, self.position)
            if not client.is_idle:
                self.waiting[client] = None

    def close(self) -> None:
        """Send all clients away, who come back to another server."""
        for client in self.clients:
            client.end(GOING_AWAY, "the server ends; resume elsewhere from the last position")

    def _fall(self, client: Client, lane: Lane) -> None:
        """Read history for a lane from what was sent last, in place of what waited."""
        self.counts["fallen"] += 1
        self._groups.remove(lane)
        start, gap = self.feed.place(lane.position)
        lane.restart(start)
        if gap:
            lane.offer_gap(gap)
        self.behind[lane] = client

    def _go_live(self, lane: Lane) -> None:
        if lane.next == self.position and lane in self.behind:
            del self.behind[lane]
            lane.is_behind = False
            self._groups.add(lane)

    def _drop(self, client: Client, name: str) -> None:
        lane = client.lanes.pop(name)
        self._owners.pop(lane, None)
        self.behind.pop(lane, None)
        self._groups.remove(lane)

    def _tell_gap(self, batch: Batch, lanes: Iterable[Lane]) -> None:
        for lane in lanes:
            start = max(batch.start, lane.next) if lane.is_behind else batch.start
            lane.offer_gap(Gap(Position(batch.epoch, start), Position(batch.epoch, batch.end), batch.lost))
            self.waiting[self._owners[lane]] = None


def known(client: Client, name: str) -> Lane:
    """Return a subscription of a client; raises InputError."""
    lane = client.lanes.get(name)
    if lane is None:
        raise InputError("is no subscription of this connection", field=f"id {name}")
    return lane
