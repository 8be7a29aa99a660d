"""The stream and the pages of the feed, for programs and people who may read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, Any, TypeAlias

import msgspec
from litestar import Litestar, Request, Response, WebSocket, get, websocket
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide
from litestar.params import HeaderParameter, QueryParameter
from litestar.types import ASGIApp

from infraspectre.api.access.policy import credential_of
from infraspectre.api.bodies import JSON_TYPE
from infraspectre.api.given import GivenDoor, GivenPrincipal
from infraspectre.api.problems import about_content
from infraspectre.api.stream import endpoints
from infraspectre.api.stream.endpoints import Receive, Recheck, Send
from infraspectre.api.stream.hub import Hub
from infraspectre.api.stream.messages import MOST_AGGREGATE_S, Priority, Subscribe
from infraspectre.api.stream.running import running
from infraspectre.feed.reader import Feed
from infraspectre.feed.selection import MOST_FILTERS, Selection
from infraspectre.ports import EventLog
from infraspectre.records.access import Principal
from infraspectre.records.detection import Severity
from infraspectre.records.events import Position
from infraspectre.records.feed import FEED_TOPIC, Channel
from infraspectre.records.queries import MOST_ROWS

EVENT_STREAM = "text/event-stream"
PROTOCOL = "infraspectre"
"""The subprotocol of WebSocket that the server speaks where a client offers it."""
GivenHub: TypeAlias = NamedDependency[Hub]
Channels: TypeAlias = Annotated[
    list[Channel] | None, QueryParameter(name="channel", max_items=5, description="Channels; all by default.")
]
Filters: TypeAlias = Annotated[
    list[str] | None,
    QueryParameter(
        name="filter",
        max_items=MOST_FILTERS,
        description="Fields compared with values, such as severity>=high; all must hold.",
    ),
]


class FeedItem(msgspec.Struct, frozen=True):
    """Is what happened, as the feed tells it."""

    tenant: str
    channel: Channel
    kind: str
    at: str
    position: str
    """The place behind it; give it as `after` or `resume` to go on there."""
    subject: str = ""
    severity: Severity = "informational"
    entities: list[str] = []
    countries: list[str] = []
    relevance: float = 0.0
    data: dict[str, Any] = {}


class FeedGap(msgspec.Struct, frozen=True):
    """Says which part of the feed cannot be had any more, and why."""

    start: str
    end: str
    reason: str


class FeedPage(msgspec.Struct, frozen=True):
    """Is a part of the feed."""

    items: list[FeedItem]
    next: str
    """Give it as `after` for what follows, also where there is nothing more now."""
    gap: FeedGap | None


@get("/api/v1/feed", opt={"permission": "read", "statuses": (422,)}, sync_to_thread=True)
def read_feed(
    principal: GivenPrincipal,
    hub: GivenHub,
    channel: Channels = None,
    filter_: Filters = None,
    after: Annotated[
        str | None, QueryParameter(max_length=64, description="A position; from the oldest kept by default.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Items at the most.")] = 100,
) -> Response[FeedPage]:
    """Read what happened from a position on, in order."""
    with about_content():
        selection = Selection.of(principal.tenant, channel or (), filter_ or ())
        position = Position.of(after) if after else None
    reading = hub.feed.page(selection, position, limit)
    gap = reading.gap and FeedGap(str(reading.gap.start), str(reading.gap.end), reading.gap.reason)
    rest = msgspec.json.encode({"next": str(reading.next), "gap": gap}).decode()[1:]
    return Response(f'{{"items":[{",".join(reading.events)}],{rest}'.encode(), media_type=JSON_TYPE)  # type: ignore[arg-type]


@get(
    "/api/v1/stream",
    opt={"permission": "read", "produces": (EVENT_STREAM,), "time_limit_s": 0, "statuses": (422,)},
    media_type=EVENT_STREAM,
    sync_to_thread=False,
)
def follow_feed(
    request: Request[Any, Any, Any],
    principal: GivenPrincipal,
    door: GivenDoor,
    hub: GivenHub,
    channel: Channels = None,
    filter_: Filters = None,
    priority: Annotated[Priority, QueryParameter(description="Urgent is never thinned out.")] = "normal",
    aggregate_s: Annotated[
        float, QueryParameter(ge=0, le=MOST_AGGREGATE_S, description="Seconds of one summary; 0 is each event.")
    ] = 0.0,
    resume: Annotated[str | None, QueryParameter(max_length=64, description="A position to go on from.")] = None,
    last_event_id: Annotated[
        str | None, HeaderParameter(name="last-event-id", max_length=64, description="The same, as browsers send it.")
    ] = None,
) -> ASGIApp:
    """Follow what happens as server-sent events."""
    with about_content():
        Selection.of(principal.tenant, channel or (), filter_ or ())
        Position.of(last_event_id or resume or "e.0")
    asked = Subscribe(
        id=endpoints.ONLY,
        channels=list(channel or ()),
        filters=filter_ or [],
        priority=priority,
        aggregate_s=aggregate_s,
        resume=last_event_id or resume,
    )

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        _, direct = channel_of(scope)
        check = recheck(door, scope, principal)
        await endpoints.server_sent_events(hub, principal, asked, receive, send, direct, check)

    return answer


@websocket("/api/v1/stream", opt={"permission": "read"})
async def converse(socket: WebSocket[Any, Any, Any], hub: GivenHub, door: GivenDoor) -> None:
    """Follow what happens over WebSocket, in as many subscriptions as a client wants."""
    receive, send = channel_of(socket.scope)
    protocol = PROTOCOL if PROTOCOL in socket.scope["subprotocols"] else None
    check = recheck(door, socket.scope, socket.user)
    await endpoints.websocket(hub, socket.user, receive, send, check, protocol)


def channel_of(scope: Any) -> tuple[Receive, Send]:
    """Return the server's own channel, which no layer wraps: its `send` may return a future, which spares a task."""
    channel: tuple[Receive, Send] = scope["state"]["channel"]
    return channel


def recheck(door: Any, scope: Any, principal: Principal) -> Recheck:
    """Return what asks whether a credential still stands for a principal."""
    given = credential_of(scope)

    async def holds() -> bool:
        identity = await asyncio.to_thread(door.authentication.identity, given)
        return identity is not None and identity.principal == principal

    return holds


def streaming(log: EventLog) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Return what runs the hub of an application while it lives."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        app.state.hub = Hub(Feed(log.topic(FEED_TOPIC)))
        async with running(app.state.hub):
            yield

    return lifespan


def hub_of(state: State) -> Hub:
    """Return the hub of the application."""
    hub: Hub = state.hub
    return hub


DEPENDENCIES = {"hub": Provide(hub_of, sync_to_thread=False)}
HANDLERS = [read_feed, follow_feed, converse]
