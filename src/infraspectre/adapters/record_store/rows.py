"""Rows of records: read, written and removed, with all that is found by them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import (
    Hold,
    Layout,
    checksum,
    column,
    decoded,
    encoded,
    held_or_missing,
)
from infraspectre.records.queries import Value, held

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

    def is_whole(self, collection: str) -> bool:
        """Tell whether the row is as it was written."""
        try:
            right = checksum(collection, self.tenant, self.key, self.revision, self.changed_at, self.body)
        except TypeError:
            return False
        return self.checksum == right


WHOLE = ", ".join(f"r.{name}" for name in Row._fields)
LISTED = WHOLE.replace("r.body", "coalesce(l.body, r.body)").replace("r.checksum", "coalesce(l.checksum, r.checksum)")
"""The same with the part that lists show, where there is one of the record's revision."""
PARTS = ("id", "revision", "changed_at", "checksum", "body")
"""The columns of the table of such parts."""


class Tenant(NamedTuple):
    """Is a tenant as tables know it."""

    number: int
    name: str


def select(connection: Connection, layout: Layout, tenant: Tenant, keys: Sequence[str]) -> dict[str, Row]:
    """Return the rows of those keys that are there; raises InputError where a row is lost."""
    found: dict[str, Row] = {}
    for start in range(0, len(keys), KEYS):
        part = keys[start : start + KEYS]
        for key, *row in connection.rows(
            f"SELECT f.key, {WHOLE} FROM {layout.found} f LEFT JOIN {layout.records} r ON r.id = f.id "
            f"WHERE f.tenant = ? AND f.key IN ({marks(len(part))})",
            (tenant.number, *part),
        ):
            found[key] = Row(*row)
    return found


def write(
    connection: Connection,
    layout: Layout,
    tenant: Tenant,
    records: Mapping[str, Mapping[str, Any]],
    there: Mapping[str, Row],
    at: int,
) -> list[Row]:
    """Write records, in the place of those that are there; raises InputError."""
    identities = fresh(connection, layout, len(records) - len(there))
    rows = [
        made(layout, tenant.name, key, encoded(each), at, there.get(key), identities) for key, each in records.items()
    ]
    for row in there.values():
        remove_texts(connection, layout, tenant, row)
    upsert(connection, layout.records, Row._fields, 1, rows)
    find(connection, layout, [(tenant.number, row, each) for row, each in zip(rows, records.values(), strict=True)])
    return rows


def find(
    connection: Connection, layout: Layout, rows: Sequence[tuple[int, Row, Mapping[str, Any]]], hold: Hold = held
) -> None:
    """Write what rows are found by, given each with its tenant's number and its record; raises InputError."""
    names = ("tenant", "id", "key", *map(column, layout.columns))
    values = [(number, row.id, row.key, *layout.values(record, hold)) for number, row, record in rows]
    upsert(connection, layout.found, names, 2, values)
    texts = [(number, *each, row.id) for number, row, record in rows for each in layout.texts_of(record, hold)]
    add_texts(connection, layout, texts)
    if layout.is_listed:
        list_parts(connection, layout, [(row, record) for _, row, record in rows])


def list_parts(connection: Connection, layout: Layout, rows: Sequence[tuple[Row, Mapping[str, Any]]]) -> None:
    """Write what lists show of rows, each with its record."""
    parts = [part_of(layout, row, record)._asdict() for row, record in rows]
    upsert(connection, layout.listed, PARTS, 1, [[part[name] for name in PARTS] for part in parts])


def part_of(layout: Layout, row: Row, record: Mapping[str, Any]) -> Row:
    """Return the row of the part of a record that lists show."""
    body = encoded(layout.part(record))
    sum_ = checksum(layout.listed, row.tenant, row.key, row.revision, row.changed_at, body)
    return row._replace(body=body, checksum=sum_)


def made(
    layout: Layout, tenant: str, key: str, body: bytes, at: int, before: Row | None, identities: Iterator[int]
) -> Row:
    """Return the row of a record."""
    identity, revision = (next(identities), 1) if before is None else (before.id, before.revision + 1)
    return Row(identity, tenant, key, revision, at, body, checksum(layout.collection, tenant, key, revision, at, body))


def fresh(connection: Connection, layout: Layout, count: int) -> Iterator[int]:
    """Return identities that no row has."""
    statement = connection.dialect.fresh.format(table=layout.records)
    return iter([identity for (identity,) in connection.rows(statement, (count,))] if count else [])


def upsert(connection: Connection, table: str, names: Sequence[str], keyed: int, rows: Sequence[Sequence[Any]]) -> None:
    """Write rows whose first columns are their key."""
    into = f"{table} ({', '.join(names)})"
    changes = ", ".join(f"{name} = excluded.{name}" for name in names[keyed:])
    connection.run_many(
        f"INSERT INTO {into} VALUES ({marks(len(names))}) "
        f"ON CONFLICT ({', '.join(names[:keyed])}) DO UPDATE SET {changes}",
        rows,
    )


def add_texts(connection: Connection, layout: Layout, rows: Sequence[tuple[int, int, Value, int]]) -> None:
    """Add texts of lists, each with tenant, field and identity."""
    connection.run_many(
        f"INSERT INTO {layout.texts} (tenant, field, value, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING", rows
    )


def remove(connection: Connection, layout: Layout, tenant: Tenant, row: Row) -> None:
    """Remove a row with all that is found by it."""
    remove_texts(connection, layout, tenant, row)
    connection.run(f"DELETE FROM {layout.found} WHERE tenant = ? AND id = ?", (tenant.number, row.id))
    connection.run(f"DELETE FROM {layout.records} WHERE id = ?", (row.id,))
    if layout.is_listed:
        connection.run(f"DELETE FROM {layout.listed} WHERE id = ?", (row.id,))


def remove_texts(connection: Connection, layout: Layout, tenant: Tenant, row: Row) -> None:
    """Remove the texts of a row; where its body no longer tells them, all are looked through."""
    if not row.is_whole(layout.collection):
        connection.run(f"DELETE FROM {layout.texts} WHERE id = ?", (row.id,))
        return
    texts = layout.texts_of(decoded(row.body), held_or_missing)
    connection.run_many(
        f"DELETE FROM {layout.texts} WHERE tenant = ? AND field = ? AND value = ? AND id = ?",
        [(tenant.number, number, value, row.id) for number, value in texts],
    )


def marks(count: int) -> str:
    """Return so many places for parameters."""
    return ", ".join("?" * count)
