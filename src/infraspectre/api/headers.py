"""Headers of requests and answers as ASGI has them: pairs of bytes, names in lower case (ASGI 3.0)."""

from __future__ import annotations

from collections.abc import Iterable

Headers = Iterable[tuple[bytes, bytes]]


def header(headers: Headers, name: bytes) -> bytes | None:
    """Return the first value of a header."""
    for key, value in headers:
        if key == name:
            return value
    return None


def matches(wanted: bytes, etag: bytes | None) -> bool:
    """Tell whether a list of entity tags has one, compared weakly (RFC 9110 section 8.8.3.2)."""
    if etag is None:
        return False
    return wanted.strip() == b"*" or etag.removeprefix(b"W/") in {
        each.strip().removeprefix(b"W/") for each in wanted.split(b",")
    }


def is_zero(weights: str) -> bool:
    """Tell whether the weight of a choice says that it is not taken (RFC 9110 section 12.4.2)."""
    name, _, value = weights.partition("=")
    return name.strip() == "q" and value.strip().strip("0.") == ""
