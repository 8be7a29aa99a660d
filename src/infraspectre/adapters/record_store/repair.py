"""What is damaged is moved aside, and what is found by is made again of the bodies that are whole."""

from __future__ import annotations

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import Layout, decoded, held_or_missing
from infraspectre.adapters.record_store.meta import numbered
from infraspectre.adapters.record_store.rows import Row, find
from infraspectre.adapters.record_store.schema import batches, layouts
from infraspectre.ports import Damage


def repair(connection: Connection) -> list[Damage]:
    """Move damaged rows into a table of their own, make columns and texts again, and return what was moved."""
    return [damage for layout in layouts(connection) for damage in _collection(connection, layout)]


def _collection(connection: Connection, layout: Layout) -> list[Damage]:
    connection.lock(layout.collection)
    damaged: list[Row] = []
    for table in (layout.found, layout.texts):
        connection.run(f"DELETE FROM {table}")
    for rows in batches(connection, layout):
        whole = [row for row in rows if row.is_whole(layout.collection)]
        damaged += [row for row in rows if not row.is_whole(layout.collection)]
        found = [(numbered(connection, row.tenant), row, decoded(row.body)) for row in whole]
        find(connection, layout, found, held_or_missing)
    for row in damaged:
        _move_aside(connection, layout, row)
    return [Damage(layout.collection, str(row.tenant), str(row.key), "was moved aside") for row in damaged]


def _move_aside(connection: Connection, layout: Layout, row: Row) -> None:
    connection.run(
        f"INSERT INTO store_damaged (collection, {', '.join(Row._fields)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (layout.collection, *row),
    )
    connection.run(f"DELETE FROM {layout.records} WHERE id = ?", (row.id,))
