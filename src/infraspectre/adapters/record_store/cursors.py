"""Places between pages, as texts that mean nothing to others and fit one question alone."""

from __future__ import annotations

import base64
import binascii
import hashlib

import msgspec

from infraspectre.errors import InputError
from infraspectre.records.queries import Query, Value

DIGEST_BYTES = 8


def write_cursor(tenant: str, collection: str, query: Query, value: Value | None, key: str) -> str:
    """Return the place behind a row, which is told by its value in the order and its key."""
    place = msgspec.json.encode((value, key))
    return base64.urlsafe_b64encode(_digest(tenant, collection, query, place) + place).decode().rstrip("=")


def read_cursor(tenant: str, collection: str, query: Query) -> tuple[Value | None, str] | None:
    """Return the place where a query goes on, None at the beginning; raises InputError for a place of another one."""
    if query.after is None:
        return None
    try:
        raw = base64.b64decode(query.after + "=" * (-len(query.after) % 4), altchars=b"-_", validate=True)
        digest, place = raw[:DIGEST_BYTES], raw[DIGEST_BYTES:]
        if digest != _digest(tenant, collection, query, place):
            raise ValueError
        value, key = msgspec.json.decode(place, type=tuple[str | int | float | None, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        remedy = "give the `next` of a page of the same query"
        raise InputError("is no place in the answer to this query", field="after", remedy=remedy) from error
    return value, key


def _digest(tenant: str, collection: str, query: Query, place: bytes) -> bytes:
    bound = msgspec.json.encode((tenant, collection, query.filters, query.order))
    return hashlib.blake2b(bound + place, digest_size=DIGEST_BYTES).digest()
