"""Compression of answers: of those that are large, are read alone, and hold no secrets.

Whoever can choose a part of an answer and see its compressed length can guess a secret beside it (BREACH, 2013). So it
is done for routes that need the permission to read, which never show a credential, and for others that say so.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Mapping
from typing import Any

from infraspectre.api.headers import Headers, header, is_zero

LEAST = 16 << 10
"""Bytes below which it saves less time on the way than it takes."""
LARGE = 128 << 10
"""Bytes that are compressed in a thread, as it takes more than a millisecond."""
LEVEL = 1
"""JSON shrinks to a seventh; higher levels save a fifth of that, and take half as long again."""
Pair = tuple[bytes, bytes]
VARY: Pair = (b"vary", b"accept-encoding")


def may_compress(opt: Mapping[str, Any]) -> bool:
    """Tell whether answers of a route may be compressed, by its options."""
    return bool(opt.get("compressed", opt.get("permission") == "read"))


def takes_gzip(headers: Headers) -> bool:
    """Tell whether a client takes gzip (RFC 9110 section 12.5.3)."""
    given = (header(headers, b"accept-encoding") or b"").decode("latin-1").lower()
    weights = {name.strip(): weight for name, _, weight in (each.partition(";") for each in given.split(","))}
    return not is_zero(weights.get("gzip", weights.get("*", "q=0")))


async def shrunk(scope: Any, body: bytes, headers: list[Pair]) -> tuple[bytes, list[Pair]]:
    """Return the body and headers of an answer as the client takes them; the entity tag of another form is weak."""
    if not takes_gzip(scope["headers"]):
        return body, [*headers, VARY]
    told = [(name, weak(value) if name == b"etag" else value) for name, value in headers]
    small = await asyncio.to_thread(gzipped, body) if len(body) >= LARGE else gzipped(body)
    return small, [*told, VARY, (b"content-encoding", b"gzip")]


def gzipped(body: bytes) -> bytes:
    """Return a body as gzip."""
    return gzip.compress(body, LEVEL, mtime=0)


def weak(etag: bytes) -> bytes:
    """Return an entity tag that says that two forms of an answer mean the same (RFC 9110 section 8.8.1)."""
    return etag if etag.startswith(b"W/") else b"W/" + etag
