"""The frame around every answer: request ids, what HTTP asks of all methods, conditions, and headers that protect."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Sequence
from functools import partial
from typing import Any, Protocol

from litestar import Litestar
from litestar.types import ASGIApp, Message, Receive, Send
from litestar.utils import normalize_path
from structlog.contextvars import bind_contextvars, reset_contextvars

from infraspectre.api.headers import Headers, header, matches
from infraspectre.api.operation import operations_of
from infraspectre.api.problems import RefusedError, send_close, send_problem
from infraspectre.api.routing import METHODS, allowed
from infraspectre.serving.metrics import REQUEST_SECONDS
from infraspectre.telemetry import Span, Untraced, is_traced, request_span

SOUND_HOST = re.compile(rb"\A[0-9A-Za-z!$&'()*+,;=\-._~:\[\]@%]*\Z")
"""The signs that a host with its port has (RFC 3986 section 3.2)."""
SOUND_REQUEST_ID = re.compile(rb"\A[A-Za-z0-9][A-Za-z0-9._-]{7,63}\Z")
PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""Headers that each answer has unless it says otherwise: nothing is guessed, kept, framed or told to others."""


class Layer(Protocol):
    """Does its part around every answer, and goes on with the next."""

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer a request, or let the next one do so; raises what says why it is refused."""


class Api(Litestar):
    """Answers over HTTP, every answer within the frame; Litestar's own frame is not used."""

    def __init__(self, layers: Sequence[Layer], **options: Any) -> None:
        """Answer by the routes of the options, within layers, the first of which is the outermost."""
        super().__init__(**options)
        self._operations = operations_of(self)
        self._inside: ASGIApp = self._operate
        for layer in reversed(layers):
            self._inside = partial(layer.handle, next_app=self._inside)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or pass on what is none."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {}).update(request_id=request_id, channel=(receive, send))
        scope["app"] = scope["litestar_app"] = self
        bound = bind_contextvars(request_id=request_id)
        try:
            await (self._request if scope["type"] == "http" else self._conversation)(scope, receive, send)
        finally:
            reset_contextvars(**bound)

    async def _request(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request, measured and traced."""
        began, method = time.perf_counter(), method_of(scope)
        answer = scope["state"]["answer"] = Answer(scope, send)
        with request_span(method, traceparent_of(scope["headers"]) if is_traced() else "") as traced:
            try:
                await self._answer(scope, receive, answer)
            finally:
                route = scope.get("path_template", "")
                seconds = time.perf_counter() - began
                self.state.metrics.observe(REQUEST_SECONDS, method, route, str(answer.status), value=seconds)
                if is_told(traced, answer.status):
                    tell(traced, scope, method, route, answer.status)

    async def _answer(self, scope: Any, receive: Receive, send: Answer) -> None:
        """Answer OPTIONS here, HEAD as GET without its body, and all else by its route; and what is refused."""
        if scope["method"] == "OPTIONS":
            await send.empty(204, allowed(self, scope["path"]))
            return
        if scope["method"] == "HEAD":
            scope["method"] = "GET"
            scope["state"]["channel"] = (receive, send)
        try:
            self._route(scope)
            await self._inside(scope, receive, send)
        except Exception as error:
            if send.status:
                raise  # it has begun to be answered otherwise
            await send_problem(scope, send, error)

    async def _conversation(self, scope: Any, receive: Receive, send: Send) -> None:
        """Let a WebSocket through to its route, or close it."""
        try:
            self._route(scope)
            await self._inside(scope, receive, send)
        except Exception as error:  # noqa: BLE001 - whatever it is, the other side is told
            await send_close(scope, send, error)

    def _route(self, scope: Any) -> None:
        """Find the route of a request, and write it into the scope; raises what says that there is none."""
        if not SOUND_HOST.match(header(scope["headers"], b"host") or b""):
            raise RefusedError("bad-request", "the header host is not sound")
        found = self.asgi_router.handle_routing(path=normalize_path(scope["path"]), method=scope.get("method"))
        scope["state"]["route"], scope["route_handler"], scope["path"], scope["path_params"], template = found
        scope["path_template"] = template

    async def _operate(self, scope: Any, receive: Receive, send: Send) -> None:
        """Answer a request by its operation; a WebSocket is Litestar's."""
        if scope["type"] == "http":
            await self._operations[scope["path_template"], scope["method"]](scope, receive, send)
        else:
            await scope["state"]["route"](scope, receive, send)


def method_of(scope: Any) -> str:
    """Return the method of a request as metrics and traces name it: any that there is not is one."""
    method: str = scope["method"]
    return method if method in METHODS or method in ("HEAD", "OPTIONS") else "_OTHER"


def traceparent_of(headers: Headers) -> str:
    """Return the trace to which a request says that it belongs."""
    return (header(headers, b"traceparent") or b"").decode("ascii", "replace")


def is_told(traced: Span | Untraced, status: int) -> bool:
    """Tell whether anybody will see the span of a request: one in many is drawn, and each fault is kept."""
    return isinstance(traced, Span) and (traced.trace.is_sampled or not 0 < status < 500)


def tell(traced: Span | Untraced, scope: Any, method: str, route: str, status: int) -> None:
    """Say on a span what became of a request (OpenTelemetry semantic conventions, HTTP server spans)."""
    traced.rename(f"{method} {route}".rstrip())
    traced.set({
        "http.request.method": method,
        "http.response.status_code": status,
        "url.scheme": scope.get("scheme", "http"),
        "infraspectre.request_id": scope["state"]["request_id"],
        "client.address": (scope.get("client") or ("",))[0],
    } | ({"http.route": route} if route else {}))  # fmt: skip
    if status >= 500:
        traced.end(str(status))


class Answer:
    """Sends an answer with the headers that every one has; one that the client has already is sent without body."""

    def __init__(self, scope: Any, send: Send) -> None:
        """Wrap the sending of one answer."""
        self._state = scope["state"]
        self._send = send
        self.status = 0
        self._is_bare = scope["method"] == "HEAD"
        self._has = header(scope["headers"], b"if-none-match") if scope["method"] in ("GET", "HEAD") else None

    async def __call__(self, message: Message) -> None:
        """Send a message of an answer."""
        if message["type"] == "http.response.start":
            message = self._start(message)
        elif message["type"] == "http.response.body" and self._is_bare:
            message = {"type": "http.response.body", "body": b"", "more_body": message["more_body"]}
        await self._send(message)

    async def empty(self, status: int, allow: str) -> None:
        """Send an answer that says no more than which methods there are."""
        await self({"type": "http.response.start", "status": status, "headers": [(b"allow", allow.encode())]})
        await self({"type": "http.response.body", "body": b"", "more_body": False})

    def _start(self, message: Any) -> Any:
        headers = list(message["headers"])
        status = message["status"]
        if status == 200 and self._has is not None and matches(self._has, header(headers, b"etag")):
            status, self._is_bare = 304, True
            headers = [(name, value) for name, value in headers if name not in (b"content-length", b"content-type")]
        self.status = status
        given = {name for name, _ in headers}
        headers += [(name, value) for name, value in PROTECTION if name not in given]
        headers += [(b"x-request-id", self._state["request_id"].encode()), *self._state.get("headers", ())]
        return {**message, "status": status, "headers": headers}


def request_id_of(headers: Headers) -> str:
    """Return the request's own id if it is a sane one, else a new one.

    It is no secret: asking the system for randomness would let other threads take the interpreter meanwhile.
    """
    given = header(headers, b"x-request-id") or b""
    return given.decode() if SOUND_REQUEST_ID.match(given) else f"{random.getrandbits(128):032x}"
