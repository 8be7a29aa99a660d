"""How a collection lies in tables: bodies, which are the truth, and what is found by, which is made of them.

`record_NAME` holds each record whole, with a checksum; `field_NAME` has a column for each field of text or number, and
`text_NAME` a row for each text of a list. The two can be made again from the first. In them, tenants have numbers,
which keeps indexes small, and come first in every key, so that what is asked never meets another's rows. Of large
records, `record_NAME/listed` holds what the fields name, for lists; a row there that is not of the record's revision
counts for nothing, since programs of the version before write none.
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
    frequent: tuple[str, ...] = ()
    """As in the collection when its tables were made."""
    is_listed: bool = False
    """Whether there is a table of what lists show."""

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

    @property
    def listed(self) -> str:
        """Name the table of what lists show, as no collection can be named."""
        return f'"record_{self.collection}/listed"'

    @cached_property
    def columns(self) -> list[str]:
        """Name the fields that have a column, in order."""
        return [name for name, kind in self.fields.items() if kind != "texts"]

    @cached_property
    def lists(self) -> dict[str, int]:
        """Return the fields that hold lists of texts, each with its number, which it keeps as fields are added."""
        return {name: number for number, (name, kind) in enumerate(self.fields.items()) if kind == "texts"}

    def statements(self, dialect: Dialect) -> Iterator[str]:
        """Yield the statements that make the tables."""
        text, integer = f"{dialect.text} NOT NULL", f"{dialect.integer} NOT NULL"
        yield (
            f"CREATE TABLE {self.records} (id {dialect.identity}, tenant {text}, key {text}, revision {integer}, "
            f"changed_at {integer}, checksum {integer}, body {dialect.blob} NOT NULL)"
        )
        columns = "".join(f"{self.definition(name, dialect)}, " for name in self.columns)
        yield (
            f"CREATE TABLE {self.found} (tenant {integer}, id {integer}, key {text}, {columns}"
            f"PRIMARY KEY (tenant, id)){dialect.suffix}"
        )
        yield f"CREATE UNIQUE INDEX {self.index_name(None)} ON {self.found} (tenant, key)"
        yield (
            f"CREATE TABLE {self.texts} (tenant {integer}, field {integer}, value {text}, id {integer}, "
            f"PRIMARY KEY (tenant, field, value, id)){dialect.suffix}"
        )
        yield from map(self.index, self.columns)

    def listing(self, dialect: Dialect) -> str:
        """Return the statement that makes the table of what lists show."""
        integer = f"{dialect.integer} NOT NULL"
        return (
            f"CREATE TABLE {self.listed} (id {dialect.integer} PRIMARY KEY, revision {integer}, "
            f"changed_at {integer}, checksum {integer}, body {dialect.blob} NOT NULL)"
        )

    def part(self, record: Mapping[str, Any]) -> dict[str, Any]:
        """Return of a record what its fields name, as lists show it."""
        return {name: record[name] for name in self.fields if name in record}

    def additions(self, name: str, dialect: Dialect) -> Iterator[str]:
        """Yield the statements that add a field to the tables."""
        if name in self.columns:
            yield f"ALTER TABLE {self.found} ADD COLUMN {self.definition(name, dialect)}"
            yield self.index(name)

    def definition(self, name: str, dialect: Dialect) -> str:
        """Return the definition of a column."""
        kind = self.fields[name]
        types = {"text": dialect.text, "integer": dialect.integer, "real": dialect.real}
        least = {"text": "''", "integer": str(LEAST["integer"]), "real": dialect.least_real}
        return f"{column(name)} {types[kind]} NOT NULL DEFAULT {least[kind]}"

    @cached_property
    def leading(self) -> str | None:
        """Return the number that sorts the rows of a frequent text."""
        return next((name for name in self.frequent if self.fields[name] != "text"), None)

    def index(self, name: str) -> str:
        """Return the statement that makes the index of a column; that of a frequent one holds all frequent ones."""
        sorting = [name]
        if name in self.frequent and self.fields[name] == "text" and self.leading is not None:
            sorting.append(self.leading)
        held_too = [each for each in self.frequent if each not in sorting] if name in self.frequent else []
        columns = ", ".join(["tenant", *map(column, sorting), "id", *map(column, held_too)])
        return f"CREATE INDEX {self.index_name(name)} ON {self.found} ({columns})"

    def index_name(self, name: str | None) -> str:
        """Return the name of the index of a column, or of that of keys."""
        return f'"key_{self.collection}"' if name is None else f'"index_{self.collection}_{name}"'

    def values(self, record: Mapping[str, Any], hold: Hold = held) -> list[Value]:
        """Return what the columns hold of a record; raises InputError naming the field."""
        return [hold(name, record.get(name), self.fields[name])[0] for name in self.columns]

    def texts_of(self, record: Mapping[str, Any], hold: Hold = held) -> list[tuple[int, Value]]:
        """Return the number of the field and the value of all texts in a record's lists; raises InputError."""
        return [(number, each) for name, number in self.lists.items() for each in hold(name, record.get(name), "texts")]


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
    except (msgspec.MsgspecError, ValueError, TypeError):
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


def checksum(collection: str, tenant: str, key: str, revision: int, changed_at: int, body: bytes) -> int:
    """Return the CRC-32 of a row, which finds every flipped bit and every burst of up to 32."""
    head = f"{collection}\0{tenant}\0{key}\0{revision}\0{changed_at}\0"
    return zlib.crc32(body, zlib.crc32(head.encode(errors="surrogatepass")))
