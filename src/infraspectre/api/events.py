"""Events that others post: lines of JSON that are durable in the event log before they are acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal, cast

import msgspec
from litestar import Request, post
from litestar.params import HeaderParameter

from infraspectre._core import unpacked
from infraspectre.api.bodies import check_type, whole_body
from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.headers import header
from infraspectre.api.idempotency import digest
from infraspectre.api.problems import MOST_FLAWS, Flaw, RefusedError
from infraspectre.errors import OverloadError
from infraspectre.records.events import Position
from infraspectre.records.feed import EVENTS_TOPIC
from infraspectre.serving.metrics import EVENTS_ACCEPTED, EVENTS_SHED, EVENTS_WAITING, Metrics

NDJSON_TYPES = ("application/x-ndjson", "application/ndjson", "application/jsonl", "application/json")
MOST_SENT = 16 << 20
"""Bytes of a request, as it is sent."""
SMALL = 16 << 10
"""Bytes that are read sooner than a thread would begin to."""
MOST_UNPACKED = 64 << 20
MOST_LINE = 256 << 10
MOST_LINES = 100_000
MOST_WAITING = 256 << 20
"""Bytes of all requests that wait to be durable; more is refused, so that memory is bounded."""
BODY = {
    "required": True,
    "description": "One JSON object on each line.",
    "content": {
        NDJSON_TYPES[0]: {
            "schema": {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": MOST_LINES},
            "example": [{"kind": "login", "user": "ada"}],
        }
    },
}
"""How the API is described to take events."""


class AnyObject(msgspec.Struct):
    """Is a JSON object of whatever fields: they are checked and passed over, thrice as fast as they would be kept."""


OBJECT = msgspec.json.Decoder(AnyObject)


Encoding = Literal["identity", "gzip", "zstd"]

MAGIC = {"gzip": b"\x1f\x8b", "zstd": b"\x28\xb5\x2f\xfd"}
"""How encoded bodies begin (RFC 1952 section 2.3.1, RFC 8878 section 3.1.1)."""


class Accepted(msgspec.Struct, frozen=True):
    """Acknowledges events that are durable."""

    accepted: int
    first: str
    """The position of the first one in the topic of events, as epoch.sequence; the others follow it without a gap."""


class Waiting:
    """Bounds the bytes that wait to be durable: what came is what was kept, what was refused, and what waits."""

    def __init__(self, most: int = MOST_WAITING) -> None:
        """Let so many bytes wait."""
        self._most = most
        self._bytes = 0

    @contextmanager
    def room(self, count: int, metrics: Metrics) -> Iterator[None]:
        """Hold room for bytes while the block runs; raises RefusedError where there is none."""
        if self._bytes + count > self._most:
            metrics.add(EVENTS_SHED, count=count)
            raise RefusedError("overloaded", "too many events wait to be kept", headers={"retry-after": "1"})
        self._change(count, metrics)
        try:
            yield
        finally:
            self._change(-count, metrics)

    def _change(self, count: int, metrics: Metrics) -> None:
        self._bytes += count
        metrics.set(EVENTS_WAITING, value=self._bytes)


WAITING = Waiting()


@post(
    "/api/v1/events",
    opt={"permission": "ingest", "audit": False, "idempotency": False, "body": BODY, "time_limit_s": 60.0},
    request_max_body_size=MOST_SENT,
    status_code=200,
)
async def add_events(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    request: Request[Any, Any, Any],
    content_encoding: Annotated[Encoding | None, HeaderParameter(name="content-encoding")] = None,
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="idempotency-key", pattern=r"^[\x21-\x7e]{1,255}$", description="Names these events for good."
        ),
    ] = None,
) -> Accepted:
    """Keep events: one JSON object on each line, all of them or none.

    They are durable once this is answered. With an Idempotency-Key their identities are the same whenever they are sent
    again, so that whoever reads them can tell.
    """
    check_type(request.scope, NDJSON_TYPES)
    body = await whole_body(request.scope, request.receive, MOST_SENT)
    with WAITING.room(len(body), platform.metrics):
        topic = platform.log.topic(EVENTS_TOPIC)
        read = (body, content_encoding, principal.tenant, origin_of(request))
        is_small = len(body) <= SMALL and content_encoding is None
        entries = entries_of(*read) if is_small else await asyncio.to_thread(entries_of, *read)
        try:
            first = await asyncio.wrap_future(topic.append(entries))
        except OverloadError:
            platform.metrics.add(EVENTS_SHED, count=len(body))
            raise
    platform.metrics.add(EVENTS_ACCEPTED, count=len(entries))
    return Accepted(len(entries), str(Position(topic.epoch, first)))


def origin_of(request: Request[Any, Any, Any]) -> str:
    """Return what the identities of the events begin with."""
    key = header(request.scope["headers"], b"idempotency-key")
    if key is None:
        return cast("str", request.scope["state"]["request_id"])
    return digest(request.user.subject.encode(), key)[:32]


def entries_of(body: bytes, encoding: Encoding | None, tenant: str, origin: str) -> list[bytes]:
    """Return each line within its envelope; raises RefusedError that names the lines that are none."""
    lines = plain(body, encoding).split(b"\n")
    entries: list[bytes] = []
    flaws: list[Flaw] = []
    start, decode = f'{{"tenant":"{tenant}","id":"{origin}.'.encode(), OBJECT.decode
    for number, line in enumerate(lines, start=1):
        if not line or line.isspace():
            continue
        try:
            if len(line) > MOST_LINE:
                raise ValueError(f"has more than {MOST_LINE:,} bytes")
            decode(line)
        except (ValueError, RecursionError) as error:
            flaws.append(Flaw(str(error)[:200], "", number))
            if len(flaws) == MOST_FLAWS:
                break
        entries.append(b'%b%d","event":%b}' % (start, number, line))
    if flaws:
        raise RefusedError("not-valid", f"no event was kept: {len(flaws)} lines are no JSON object", flaws)
    if not 0 < len(entries) <= MOST_LINES:
        raise RefusedError("not-valid", f"there are not 1 to {MOST_LINES:,} events")
    return entries


def unpacked_body(body: bytes, magic: bytes) -> bytes:
    """Return what gzip or Zstandard holds, within bounds; raises RefusedError."""
    if not body.startswith(magic):
        raise RefusedError("not-valid", "the body is not encoded as content-encoding says")
    try:
        return unpacked(body, MOST_UNPACKED)
    except OSError as error:
        raise RefusedError("not-valid", "the body cannot be unpacked", [Flaw(str(error)[:200])]) from error


def plain(body: bytes, encoding: Encoding | None) -> bytes:
    """Return a body without its compression, which may not blow up; raises RefusedError."""
    text = body if encoding in (None, "identity") else unpacked_body(body, MAGIC[encoding])
    try:
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        raise RefusedError("not-valid", "no event was kept", [Flaw("is not UTF-8", "", line)]) from error
    return text


HANDLERS = [add_events]
