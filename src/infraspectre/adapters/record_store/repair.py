"""What is damaged is moved aside, and what is found by is made again of the bodies that are whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import Layout, decoded, held_or_missing
from infraspectre.adapters.record_store.meta import numbered
from infraspectre.adapters.record_store.rows import Row, Tenant, find, remove, select, upsert
from infraspectre.adapters.record_store.schema import batches, layouts
from infraspectre.ports import Damage


def repair(connection: Connection) -> list[Damage]:
    """Move damaged rows into a table of their own, make columns and texts again, and return what was moved."""
    return [damage for layout in layouts(connection) for damage in _collection(connection, layout)]


def _collection(connection: Connection, layout: Layout) -> list[Damage]:
    connection.lock(layout.collection)
    damaged: list[Row] = []
    for table in (layout.found, layout.texts, *([layout.listed] if layout.is_listed else [])):
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


def restore(connection: Connection, known: Sequence[Layout], rows: Iterable[Row]) -> int:
    """Write rows that are whole into the collection that their checksum tells, and return how many there are now."""
    latest: dict[tuple[str, str, str], int] = {}
    for row in rows:
        layout = next((each for each in known if row.is_whole(each.collection)), None)
        if layout is None:
            continue
        place = (layout.collection, row.tenant, row.key)
        if latest.get(place, 0) < row.revision:
            latest[place] = row.revision
            _restore_row(connection, layout, row)
    return len(latest)


def _restore_row(connection: Connection, layout: Layout, row: Row) -> None:
    tenant = Tenant(numbered(connection, row.tenant), row.tenant)
    for older in select(connection, layout, tenant, [row.key]).values():
        remove(connection, layout, tenant, older)
    upsert(connection, layout.records, Row._fields, 1, [row])
    find(connection, layout, [(tenant.number, row, decoded(row.body))], held_or_missing)
