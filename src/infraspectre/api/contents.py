"""What a request may contain: parameters that exist, content types that are understood, and all of it in time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from litestar.types import ASGIApp, Receive, Send

from infraspectre.api.bodies import JSON_TYPE
from infraspectre.api.headers import header, is_zero
from infraspectre.api.parameters import query_of
from infraspectre.api.problems import PROBLEM_TYPE, Flaw, RefusedError
from infraspectre.records.access import Principal

TIME_LIMIT_S = 30.0
"""For reading a request and answering it, unless the `time_limit_s` of its route says otherwise; 0 is no limit."""
MOST_PARAMETERS = 200
MOST_AT_ONCE = 1_000
"""Requests with a time limit that are answered at once; more are refused, so that what waits is bounded."""
MOST_BYTES = 512 << 20
"""Bytes of bodies of requests that are being answered; more is refused, so that memory is bounded."""
SHARE = 4
"""One tenant may hold this part of them, so that it keeps out nobody else."""
Known = Mapping[tuple[str, str], frozenset[str]]
"""The names of the query parameters of each method and path."""


class Room:
    """Bounds the bytes of bodies that are held, of all together and of each tenant."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        """Hold so many bytes at the most."""
        self._most = most
        self._held: Counter[str] = Counter()

    def take(self, tenant: str, count: int) -> None:
        """Hold further bytes of a tenant; raises RefusedError where there is no room for them."""
        is_full = self._held.total() + count > self._most or self._held[tenant] + count > self._most // SHARE
        if is_full and count:
            raise RefusedError("overloaded", "too much is being received", headers={"retry-after": "1"})
        self._held[tenant] += count

    def give(self, tenant: str, count: int) -> None:
        """Hold bytes no more."""
        self._held[tenant] -= count
        if not self._held[tenant]:
            del self._held[tenant]


class Contents:
    """Refuses what a route does not know, and what takes too long."""

    def __init__(self, known: Callable[[], Known]) -> None:
        """Learn the parameters of all routes when the first request comes."""
        self._known = known
        self._at_once = 0
        self._room = Room()

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Check a request, and answer it within its time; raises RefusedError."""
        if scope["type"] != "http":
            await next_app(scope, receive, send)
            return
        opt = scope["route_handler"].opt
        if not opt.get("any_parameters"):
            self._check_parameters(scope)
        check_accept(scope, opt.get("produces", (JSON_TYPE,)))
        limit_s = opt.get("time_limit_s", TIME_LIMIT_S)
        if limit_s == 0:
            await next_app(scope, receive, send)
            return
        if self._at_once >= MOST_AT_ONCE:
            raise RefusedError("overloaded", "too many requests are being answered", headers={"retry-after": "1"})
        self._at_once += 1
        body = Arrival(receive, self._room, tenant_of(scope))
        try:
            await in_time(next_app, scope, body, send, limit_s)
        finally:
            self._at_once -= 1
            body.release()

    def _check_parameters(self, scope: Any) -> None:
        query = scope["query_string"]
        if not query:
            return
        if query.count(b"&") >= MOST_PARAMETERS or not query.isascii():
            raise RefusedError("bad-request", f"the query is no ASCII of up to {MOST_PARAMETERS} parameters")
        names = self._known().get((scope["method"], scope["path_template"]), frozenset())
        unknown = sorted({name for name, _ in query_of(query)} - names)
        if unknown:
            remedy = f"choose among {', '.join(sorted(names))}" if names else "leave it out"
            flaws = [Flaw("is no parameter", name[:64], 0, remedy) for name in unknown]
            raise RefusedError("bad-request", "there are parameters that the operation does not have", flaws)


async def in_time(app: ASGIApp, scope: Any, body: Arrival, send: Send, limit_s: float) -> None:
    """Answer a request within its time; raises RefusedError."""
    try:
        async with asyncio.timeout(limit_s):
            await app(scope, body, send)
    except TimeoutError as error:
        kind = "timed-out" if body.is_whole else "too-slow"
        raise RefusedError(kind, f"the limit is {limit_s:g} s") from error


class Arrival:
    """Receives a body as far as there is room for it, and remembers whether all of it has come."""

    def __init__(self, receive: Receive, room: Room, tenant: str) -> None:
        """Wrap the receiving of a request of a tenant."""
        self._receive = receive
        self._room = room
        self._tenant = tenant
        self._size = 0
        self.is_whole = False

    async def __call__(self) -> Any:
        """Receive a message."""
        message: Any = await self._receive()
        size = len(message.get("body", b""))
        self._room.take(self._tenant, size)
        self._size += size
        self.is_whole = self.is_whole or not message.get("more_body", False)
        return message

    def release(self) -> None:
        """Make room for others, since the request is answered."""
        self._room.give(self._tenant, self._size)


def tenant_of(scope: Any) -> str:
    """Return whose request it is; nothing for somebody unknown."""
    principal: Principal | None = scope.get("user")
    return principal.tenant if principal else ""


def check_accept(scope: Any, produces: tuple[str, ...]) -> None:
    """Refuse a client that takes nothing that a route produces (RFC 9110 section 12.5.1)."""
    accept = header(scope["headers"], b"accept")
    if accept is None or accept == b"*/*":
        return
    ranges = [part.strip().lower() for part in accept.decode("latin-1").split(",")]
    taken = {name.strip() for name, _, weights in (each.partition(";") for each in ranges) if not is_zero(weights)}
    if not any(fits(content, wanted) for content in (*produces, PROBLEM_TYPE) for wanted in taken):
        raise RefusedError("not-acceptable", f"the answer is {' or '.join(produces)}")


def fits(content: str, wanted: str) -> bool:
    """Tell whether a content type lies within a range of them."""
    return wanted in ("*/*", content) or (wanted.endswith("/*") and content.startswith(wanted[:-1]))
