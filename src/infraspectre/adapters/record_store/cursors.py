"""Places between pages, as texts that tell others nothing and fit one question alone."""

from __future__ import annotations

import base64
import binascii
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.meta import read_meta, write_meta
from infraspectre.errors import InputError
from infraspectre.records.queries import Query, Value

SECRET_BYTES = 32
Place = tuple[str | int | float, int]
"""A value in the order, and the identity of its row."""


class Cursors:
    """Writes and reads places, encrypted with what they are bound to (AES-SIV, RFC 5297)."""

    def __init__(self, secret: bytes) -> None:
        """Use the secret of a store."""
        self._cipher = AESSIV(secret)

    def write(self, tenant: str, collection: str, query: Query, value: Value, identity: int) -> str:
        """Return the place behind a row."""
        place = msgspec.msgpack.encode((value, identity))
        written = self._cipher.encrypt(place, bound(tenant, collection, query))
        return base64.urlsafe_b64encode(written).decode().rstrip("=")

    def read(self, tenant: str, collection: str, query: Query) -> Place | None:
        """Return the place where a query goes on, None at the beginning; raises InputError for one of another query."""
        if query.after is None:
            return None
        try:
            written = base64.b64decode(query.after + "=" * (-len(query.after) % 4), altchars=b"-_", validate=True)
            place = self._cipher.decrypt(written, bound(tenant, collection, query))
            read: Place = msgspec.msgpack.decode(place, type=Place)
        except (ValueError, binascii.Error, InvalidTag, msgspec.MsgspecError) as error:
            remedy = "give the `next` of a page of the same query"
            raise InputError("is no place in the answer to this query", field="after", remedy=remedy) from error
        return read


def bound(tenant: str, collection: str, query: Query) -> list[bytes | bytearray | memoryview]:
    """Return what a place is bound to."""
    return [msgspec.msgpack.encode((tenant, collection, query.filters, query.order))]


def secret(connection: Connection) -> bytes:
    """Return the secret of a store, which is drawn the first time."""
    known = read_meta(connection, "cursors")
    if known is None:
        known = secrets.token_hex(SECRET_BYTES)
        write_meta(connection, "cursors", known)
    return bytes.fromhex(known)
