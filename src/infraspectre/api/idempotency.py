"""Idempotency keys: a POST that is sent again is answered as before, and done but once."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import re
from typing import Any

import msgspec
from litestar.types import ASGIApp, Receive, Send

from infraspectre.api.bodies import whole_body
from infraspectre.api.headers import header
from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.errors import ConflictError
from infraspectre.ports import Clock, RecordStore, Stored
from infraspectre.records.access import Principal
from infraspectre.records.collections import IDEMPOTENCY
from infraspectre.records.queries import Filter, Query

SOUND_KEY = re.compile(rb"[\x21-\x7e]{1,255}")
KEPT_NS = 24 * 3_600 * 1_000_000_000
LEASE_NS = 60 * 1_000_000_000
"""How long one that is being answered keeps others waiting; whoever answered it may have died."""
MOST_KEPT = 10_000
"""Answers of a tenant that are kept at once."""
MOST_ANSWER = 256 << 10
SWEPT = 200
TOO_LARGE = -1
"""In place of the status of an answer that is not kept."""
UNDONE = frozenset({401, 403, 408, 429})
"""Answers after which the request can be sent again: nothing was done."""
KEPT_HEADERS = frozenset({b"content-type", b"etag", b"location"})


class Kept(msgspec.Struct, frozen=True):
    """Is the answer to a request as it is kept."""

    request: str
    """The digest of what was asked."""
    expires_at: int
    """Nanoseconds since the epoch, UTC."""
    status: int = 0
    """0 while it is being answered."""
    headers: dict[str, str] = {}
    body: str = ""
    """Base64."""


class Idempotency:
    """Keeps answers to POST for 24 hours by the Idempotency-Key of the principal."""

    def __init__(self, records: RecordStore, clock: Clock, key: bytes) -> None:
        """Keep them in records, and what was asked as a digest that nobody can search without a secret key."""
        self._records = records
        self._clock = clock
        self._secret = key

    async def handle(self, scope: Any, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Answer as before, or answer and keep the answer; raises RefusedError."""
        key = self._key(scope)
        if key is None:
            await next_app(scope, receive, send)
            return
        body = await whole_body(scope, receive, scope["route_handler"].resolve_request_max_body_size())
        tenant = scope["user"].tenant
        parts = (scope["method"].encode(), scope["path"].encode(), scope["query_string"], body)
        asked = digest(*parts, key=self._secret)  # passwords may be in it
        held = await asyncio.to_thread(self._begin, tenant, key, asked)
        if isinstance(held, Kept):
            await replay(held, send)
            return
        answer = Recorded(send)
        try:
            await next_app(scope, once(body, receive), answer)
        finally:
            await asyncio.to_thread(self._end, tenant, key, asked, answer)

    def _key(self, scope: Any) -> str | None:
        """Return the key of a request, apart for each principal and operation."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["route_handler"].opt.get("public"):
            return None
        given = header(scope["headers"], b"idempotency-key")
        if given is None or scope["route_handler"].opt.get("idempotency") is False:
            return None
        if not SOUND_KEY.fullmatch(given):
            raise RefusedError("bad-request", "the key is none", [Flaw("has not 1 to 255 signs", "idempotency-key")])
        principal: Principal = scope["user"]
        return digest(principal.subject.encode(), given)

    def _begin(self, tenant: str, key: str, asked: str) -> Kept | Stored:
        """Return the answer that is kept, or take the key; raises RefusedError."""
        now = self._clock.now()
        stored = self._records.get(tenant, IDEMPOTENCY, key)
        kept = msgspec.json.decode(stored.body, type=Kept) if stored else None
        if stored and kept and kept.expires_at > now:
            return self._known(kept, asked)
        if stored is None:
            self._make_room(tenant)
        begun = msgspec.to_builtins(Kept(asked, now + LEASE_NS))
        try:
            return self._records.put(tenant, IDEMPOTENCY, key, begun, expected=stored.revision if stored else 0)
        except ConflictError as error:
            raise RefusedError("conflict", "the same is being done", headers={"retry-after": "1"}) from error

    def _known(self, kept: Kept, asked: str) -> Kept:
        if kept.request != asked:
            flaw = Flaw("was used for another request", "idempotency-key", 0, "use a new key")
            raise RefusedError("not-valid", "the key belongs to another request", [flaw])
        if kept.status == 0:
            raise RefusedError("conflict", "the same is being done", headers={"retry-after": "1"})
        if kept.status == TOO_LARGE:
            raise RefusedError("conflict", "it was done, and its answer was too large to be kept")
        return kept

    def _make_room(self, tenant: str) -> None:
        """Remove what is over; raises RefusedError where still too much is kept."""
        over = Query((Filter("expires_at", "<=", (self._clock.now(),)),), limit=SWEPT)
        for row in self._records.page(tenant, IDEMPOTENCY, over).rows:
            self._records.delete(tenant, IDEMPOTENCY, row.key)
        if self._records.count(tenant, IDEMPOTENCY, Query(), MOST_KEPT) >= MOST_KEPT:
            raise RefusedError("overloaded", "too many idempotency keys are in use", headers={"retry-after": "60"})

    def _end(self, tenant: str, key: str, asked: str, answer: Recorded) -> None:
        """Keep an answer; a failure of ours is not one, so that the request can be sent again."""
        if not 200 <= answer.status < 500 or answer.status in UNDONE:
            self._records.delete(tenant, IDEMPOTENCY, key)
            return
        body = "" if answer.is_too_large else base64.b64encode(answer.body).decode()
        status = TOO_LARGE if answer.is_too_large else answer.status
        kept = Kept(asked, self._clock.now() + KEPT_NS, status, answer.headers, body)
        self._records.put(tenant, IDEMPOTENCY, key, msgspec.to_builtins(kept))


class Recorded:
    """Sends an answer and remembers it."""

    def __init__(self, send: Send) -> None:
        """Wrap the sending of an answer."""
        self._send = send
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""

    @property
    def is_too_large(self) -> bool:
        """Tell whether the answer is too large to be kept."""
        return len(self.body) > MOST_ANSWER

    async def __call__(self, message: Any) -> None:
        """Send a message of an answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode("latin-1") for k, v in message["headers"] if k in KEPT_HEADERS}
        elif not self.is_too_large:
            self.body += message["body"]
        await self._send(message)


def digest(*parts: bytes, key: bytes = b"") -> str:
    """Return a digest of parts, none of which can be taken for another, by a secret key if there is one."""
    whole = hmac.new(key, digestmod=hashlib.sha256)
    for part in parts:
        whole.update(len(part).to_bytes(8, "big") + part)
    return whole.hexdigest()


def once(body: bytes, receive: Receive) -> Receive:
    """Return what gives a body that was received already, and then whatever else comes."""
    waiting: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Any:
        return waiting.pop() if waiting else await receive()

    return again


async def replay(kept: Kept, send: Send) -> None:
    """Send an answer that was kept."""
    body = base64.b64decode(kept.body)
    headers = [(k.encode(), v.encode("latin-1")) for k, v in kept.headers.items()]
    headers += [(b"content-length", str(len(body)).encode()), (b"idempotency-replayed", b"true")]
    await send({"type": "http.response.start", "status": kept.status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})
