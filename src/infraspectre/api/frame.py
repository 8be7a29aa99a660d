"""The frame around every answer: request ids, what HTTP asks of all methods, conditions, and headers that protect."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterable
from typing import Any

import structlog
from litestar import Litestar
from litestar.types import Message, Receive, Scope, Send

from infraspectre.api.routing import METHODS, allowed
from infraspectre.serving.metrics import REQUEST_SECONDS
from infraspectre.telemetry import Span, Untraced, is_traced, request_span

Headers = Iterable[tuple[bytes, bytes]]
SOUND_REQUEST_ID = re.compile(rb"\A[A-Za-z0-9][A-Za-z0-9._-]{7,63}\Z")
PROTECTION = (
    (b"x-content-type-options", b"nosniff"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"referrer-policy", b"no-referrer"),
)
"""Headers that each answer has unless it says otherwise: nothing is guessed, kept, framed or told to others."""


class Api(Litestar):
    """Answers over HTTP, every answer within the frame."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, or pass on what is none."""
        if scope["type"] == "lifespan":
            await super().__call__(scope, receive, send)
            return
        request_id = request_id_of(scope["headers"])
        scope.setdefault("state", {}).update(request_id=request_id, channel=(receive, send))
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            if scope["type"] != "http":
                await super().__call__(scope, receive, send)
                return
            began, answer, method = time.perf_counter(), Answer(scope, send, request_id), method_of(scope)
            with request_span(method, traceparent_of(scope["headers"]) if is_traced() else "") as traced:
                try:
                    await self.answer(scope, receive, answer)
                finally:
                    route, status = scope.get("path_template", ""), str(answer.status)
                    seconds = time.perf_counter() - began
                    self.state.metrics.observe(REQUEST_SECONDS, method, route, status, value=seconds)
                    if is_traced():
                        tell(traced, scope, method, route, answer.status)

    async def answer(self, scope: Scope, receive: Receive, send: Answer) -> None:
        """Answer OPTIONS here, HEAD as GET without its body, and all else by its route."""
        method = scope["method"]  # type: ignore[typeddict-item]
        if method == "OPTIONS":
            await send.empty(204, allowed(self, scope["path"]))
            return
        if method == "HEAD":
            scope["method"] = "GET"  # type: ignore[typeddict-unknown-key]
            scope["state"]["channel"] = (receive, send)
        await super().__call__(scope, receive, send)


def method_of(scope: Any) -> str:
    """Return the method of a request as metrics and traces name it: any that there is not is one."""
    method: str = scope["method"]
    return method if method in METHODS or method in ("HEAD", "OPTIONS") else "_OTHER"


def traceparent_of(headers: Headers) -> str:
    """Return the trace to which a request says that it belongs."""
    return (header(headers, b"traceparent") or b"").decode("ascii", "replace")


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

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        """Wrap the sending of one answer."""
        self._scope = scope
        self._send = send
        self._request_id = request_id
        self.status = 0
        self._is_bare = scope["method"] == "HEAD"  # type: ignore[typeddict-item]
        self._has = header(scope["headers"], b"if-none-match") if scope["method"] in ("GET", "HEAD") else None  # type: ignore[typeddict-item]

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
        headers += [(b"x-request-id", self._request_id.encode()), *self._scope["state"].get("headers", ())]
        return {**message, "status": status, "headers": headers}


def request_id_of(headers: Headers) -> str:
    """Return the request's own id if it is a sane one, else a new one.

    It is no secret: asking the system for randomness would let other threads take the interpreter meanwhile.
    """
    given = header(headers, b"x-request-id") or b""
    return given.decode() if SOUND_REQUEST_ID.match(given) else f"{random.getrandbits(128):032x}"


def header(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of a header; names are in lower case (ASGI 3.0)."""
    return next((value for key, value in headers if key == name), None)


def matches(wanted: bytes, etag: bytes | None) -> bool:
    """Tell whether a list of entity tags has one, compared weakly (RFC 9110 section 8.8.3.2)."""
    if etag is None:
        return False
    return wanted.strip() == b"*" or etag.removeprefix(b"W/") in {
        each.strip().removeprefix(b"W/") for each in wanted.split(b",")
    }
