"""What names an address is removed, or names a pseudonym instead (GDPR, articles 17 and 4(5))."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import Layout, decoded
from infraspectre.adapters.record_store.rows import WHOLE, Row, Tenant, remove, write
from infraspectre.adapters.record_store.schema import ROWS, layouts


def erase(connection: Connection, tenant: Tenant, entity: str, pseudonym: str | None, at: int) -> int:
    """Remove records that name an entity anywhere, or write a pseudonym in its place; returns how many there were."""
    named = whole_word(entity)
    count = 0
    for layout in layouts(connection):
        connection.lock(layout.collection)
        for row in _candidates(connection, layout, tenant, entity):
            record = decoded(row.body)
            changed = replaced(record, named, pseudonym or "")
            if changed == record and not named.search(row.key):
                continue
            count += 1
            if pseudonym is None or named.search(row.key):
                remove(connection, layout, tenant, row)
            else:
                write(connection, layout, tenant, {row.key: changed}, {row.key: row}, at)
    return count


def whole_word(entity: str) -> re.Pattern[str]:
    """Return the pattern of an entity that is not a part of a longer address or name."""
    return re.compile(rf"(?<![\w:-])(?<![\w-]\.){re.escape(entity)}(?![\w:-]|\.[\w-])", re.IGNORECASE)


def replaced(value: Any, named: re.Pattern[str], pseudonym: str) -> Any:
    """Return a value of JSON whose texts, names of members included, have a pseudonym for what a pattern finds."""
    if isinstance(value, str):
        return named.sub(lambda _: pseudonym, value)
    if isinstance(value, list):
        return [replaced(each, named, pseudonym) for each in value]
    if isinstance(value, dict):
        return {replaced(key, named, pseudonym): replaced(each, named, pseudonym) for key, each in value.items()}
    return value


def _candidates(connection: Connection, layout: Layout, tenant: Tenant, entity: str) -> Iterator[Row]:
    """Yield the rows of a tenant whose bodies or keys have an entity's letters."""
    part, last = entity.lower(), -1
    statement = f"SELECT {WHOLE} FROM {layout.records} r WHERE r.tenant = ? AND r.id > ? ORDER BY r.id LIMIT {ROWS}"
    while rows := [Row(*row) for row in connection.rows(statement, (tenant.name, last))]:
        last = rows[-1].id
        yield from (row for row in rows if part in row.body.decode(errors="replace").lower() or part in row.key.lower())
