"""How a collection lies in tables: bodies, which are the truth, and what is found by, which is made of them.

`record_NAME` holds each record whole, with a checksum; `field_NAME` has a column for each field of text or number, and
`text_NAME` a row for each text of a list. The two can be made again from the first.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from infraspectre.adapters.record_store.database import Dialect
from infraspectre.errors import InputError
from infraspectre.records.queries import LEAST, Kind, Value, held

Hold = Callable[[str, Any, Kind], list[Value]]
MOST_BYTES = 16 * 1024 * 1024
"""Bytes of a body at the most."""


@dataclass(frozen=True)
class Layout:
    """Names the tables and columns of a collection."""

    collection: str
    fields: Mapping[str, Kind]

    @property
    def records(self) -> str:
        """Name the table of bodies."""
        return f'"record_{self.collection}"'

    @property
    def found(self) -> str:
        """Name the table of columns."""
        return f'"field_{self.collection}"'

    @property
    def texts(self) -> str:
        """Name the table of texts in lists."""
        return f'"text_{self.collection}"'

    @cached_property
    def columns(self) -> list[str]:
        """Name the fields that have a column, in order."""
        return sorted(name for name, kind in self.fields.items() if kind != "texts")

    @cached_property
    def lists(self) -> list[str]:
        """Name the fields that hold lists of texts, in order."""
        return sorted(name for name, kind in self.fields.items() if kind == "texts")

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Yield the statements that make the tables."""
        yield (
            f"CREATE TABLE {self.records} (id {dialect.identity}, tenant {dialect.text} NOT NULL, "
            f"key {dialect.text} NOT NULL, revision {dialect.integer} NOT NULL, changed_at {dialect.integer} NOT NULL, "
            f"checksum {dialect.integer} NOT NULL, body {dialect.blob} NOT NULL, UNIQUE (tenant, key))"
        )
        yield (
            f"CREATE TABLE {self.found} (id {dialect.integer} PRIMARY KEY, tenant {dialect.text} NOT NULL, "
            f"key {dialect.text} NOT NULL, UNIQUE (tenant, key))"
        )
        yield (
            f"CREATE TABLE {self.texts} (tenant {dialect.text}, field {dialect.text}, value {dialect.text}, "
            f"id {dialect.integer}, PRIMARY KEY (tenant, field, value, id)){dialect.suffix}"
        )
        for name in self.columns:
            yield from self.column(name, dialect)

    def column(self, name: str, dialect: Dialect) -> Iterator[str]:
        """Yield the statements that add the column of a field and its index."""
        kind = self.fields[name]
        types = {"text": dialect.text, "integer": dialect.integer, "real": dialect.real}
        least = {"text": "''", "integer": str(LEAST["integer"]), "real": dialect.least_real}
        yield f"ALTER TABLE {self.found} ADD COLUMN {column(name)} {types[kind]} NOT NULL DEFAULT {least[kind]}"
        yield (f'CREATE INDEX "index_{self.collection}_{name}" ON {self.found} (tenant, {column(name)}, key)')

    def values(self, record: Mapping[str, Any], hold: Hold = held) -> list[Value]:
        """Return what the columns hold of a record; raises InputError naming the field."""
        return [hold(name, record.get(name), self.fields[name])[0] for name in self.columns]

    def texts_of(self, record: Mapping[str, Any], hold: Hold = held) -> set[tuple[str, str]]:
        """Return field and value of all texts in a record's lists; raises InputError naming the field."""
        return {(name, str(each)) for name in self.lists for each in hold(name, record.get(name), "texts")}


def held_or_missing(name: str, value: Any, kind: Kind) -> list[Value]:
    """Return a field's value as stores hold it; what was written before the field was known may be missing."""
    try:
        return held(name, value, kind)
    except InputError:
        return held(name, None, kind)


def decoded(body: bytes) -> dict[str, Any]:
    """Return a record of its JSON; a damaged one has no fields."""
    try:
        return msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.MsgspecError, ValueError):
        return {}


def column(name: str) -> str:
    """Return the column of a field."""
    return f'"f_{name}"'


def encoded(record: Mapping[str, Any]) -> bytes:
    """Return a record as JSON; raises InputError for what cannot be written so."""
    try:
        body = msgspec.json.encode(record)
    except (TypeError, ValueError, RecursionError, msgspec.MsgspecError) as error:
        raise InputError(f"cannot be written as JSON: {str(error)[:200]}", field="record") from error
    if len(body) > MOST_BYTES:
        raise InputError(f"has {len(body):,} bytes of at most {MOST_BYTES:,}", field="record")
    return body


def checksum(tenant: str, key: str, revision: int, changed_at: int, body: bytes) -> int:
    """Return the CRC-32 of a row, which finds every flipped bit and every burst of up to 32."""
    head = msgspec.json.encode((tenant, key, revision, changed_at))
    return zlib.crc32(body, zlib.crc32(head))
