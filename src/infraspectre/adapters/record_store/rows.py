"""Rows of records: read, written and removed, with all that is found by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import (
    Layout,
    checksum,
    column,
    decoded,
    encoded,
    held_or_missing,
)
from infraspectre.adapters.record_store.schema import add_texts

KEYS = 500
"""Keys that one statement names at the most."""


class Row(NamedTuple):
    """Is a row of a table of bodies."""

    id: int
    tenant: str
    key: str
    revision: int
    changed_at: int
    body: bytes
    checksum: int

    @property
    def is_whole(self) -> bool:
        """Tell whether the row is as it was written."""
        return self.checksum == checksum(self.tenant, self.key, self.revision, self.changed_at, self.body)


WHOLE = ", ".join(Row._fields)


def select(connection: Connection, layout: Layout, tenant: str, keys: Sequence[str]) -> list[Row]:
    """Return the rows of those keys that are there."""
    return [
        Row(*row)
        for start in range(0, len(keys), KEYS)
        for part in [keys[start : start + KEYS]]
        for row in connection.rows(
            f"SELECT {WHOLE} FROM {layout.records} WHERE tenant = ? AND key IN ({marks(len(part))})", (tenant, *part)
        )
    ]


def write(
    connection: Connection,
    layout: Layout,
    tenant: str,
    records: Mapping[str, Mapping[str, Any]],
    there: Mapping[str, Row],
    at: int,
) -> list[Row]:
    """Write records, in the place of those that are there; raises InputError."""
    identities = fresh(connection, layout, len(records) - len(there))
    rows = [made(tenant, key, encoded(each), at, there.get(key), identities) for key, each in records.items()]
    upsert(connection, layout.records, Row._fields, rows)
    names = ("id", "tenant", "key", *map(column, layout.columns))
    pairs = list(zip(rows, records.values(), strict=True))
    upsert(connection, layout.found, names, [(row.id, tenant, row.key, *layout.values(each)) for row, each in pairs])
    texts = [(row, layout.texts_of(each)) for row, each in pairs]
    for row in there.values():
        remove_texts(connection, layout, row)
    add_texts(connection, layout, [(row.id, tenant, each) for row, each in texts])
    return rows


def made(tenant: str, key: str, body: bytes, at: int, before: Row | None, identities: Iterator[int]) -> Row:
    """Return the row of a record."""
    identity, revision = (next(identities), 1) if before is None else (before.id, before.revision + 1)
    return Row(identity, tenant, key, revision, at, body, checksum(tenant, key, revision, at, body))


def fresh(connection: Connection, layout: Layout, count: int) -> Iterator[int]:
    """Return identities that no row has."""
    return iter(
        [identity for (identity,) in connection.rows(connection.dialect.fresh.format(table=layout.records), (count,))]
        if count
        else []
    )


def upsert(connection: Connection, table: str, names: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Write rows whose first column is their identity."""
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    into = f"{table} ({', '.join(names)})"
    connection.run_many(
        f"INSERT INTO {into} VALUES ({marks(len(names))}) ON CONFLICT (id) DO UPDATE SET {changes}",
        rows,
    )


def remove(connection: Connection, layout: Layout, row: Row) -> None:
    """Remove a row with all that is found by it."""
    remove_texts(connection, layout, row)
    for table in (layout.found, layout.records):
        connection.run(f"DELETE FROM {table} WHERE id = ?", (row.id,))


def remove_texts(connection: Connection, layout: Layout, row: Row) -> None:
    """Remove the texts of a row; where its body no longer tells them, all are looked through."""
    if not layout.lists:
        return
    if not row.is_whole:
        connection.run(f"DELETE FROM {layout.texts} WHERE id = ?", (row.id,))
        return
    texts = layout.texts_of(decoded(row.body), held_or_missing)
    connection.run_many(
        f"DELETE FROM {layout.texts} WHERE tenant = ? AND field = ? AND value = ? AND id = ?",
        [(row.tenant, name, value, row.id) for name, value in texts],
    )


def marks(count: int) -> str:
    """Return so many places for parameters."""
    return ", ".join("?" * count)
