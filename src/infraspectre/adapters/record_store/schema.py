"""The version of a store's tables, and the layout of each collection as it grew; changes go forward only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

import msgspec

from infraspectre.adapters.record_store.database import Connection, Database
from infraspectre.adapters.record_store.layout import Layout, column, decoded, held_or_missing
from infraspectre.adapters.record_store.meta import (
    COLLECTION,
    LISTED,
    REPAIR,
    make_meta,
    numbers,
    read_all,
    read_meta,
    write_meta,
)
from infraspectre.adapters.record_store.rows import WHOLE, Row, add_texts, list_parts
from infraspectre.errors import InputError
from infraspectre.records.queries import Collection, Kind

VERSION = 1
"""What this program writes. Each version may only add, so that the program before can still read and write."""
MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
"""How a store of a version becomes one of the next."""
DEFINITIONS = "definitions"
"""Under what name the fingerprint of all definitions is kept."""
ROWS = 1_000
"""Rows that are looked at at once."""


class Known(NamedTuple):
    """Is a layout, and the text of which it was read."""

    layout: Layout
    written: str


class Schema:
    """Makes tables where they are missing, and knows those that are there."""

    def __init__(self, database: Database) -> None:
        """Bring a store to this program's version; raises InputError for one that is too new or damaged."""
        self._database = database
        self._known: dict[str, Known] = {}
        with database.writing() as connection:
            connection.lock("store")
            make_meta(connection, database.dialect)
            check_definitions(connection)
            migrate(connection)
            write_meta(connection, DEFINITIONS, connection.fingerprint())

    def layout(self, collection: Collection) -> Layout:
        """Return the layout of a collection, whose tables are made or extended if need be; raises InputError."""
        known = self._known.get(collection.name)
        if known is None or not covers(known.layout, collection):
            with self._database.writing() as connection:
                connection.lock(collection.name)
                known = self._extended(connection, collection)
            self._known[collection.name] = known
        return known.layout

    def current(self, connection: Connection, collection: Collection) -> Layout:
        """Return the layout within a transaction, also if another program has extended it meanwhile."""
        written = read_meta(connection, COLLECTION + collection.name)
        known = self._known[collection.name]
        if written is not None and written != known.written:
            known = self._known[collection.name] = known_as(collection.name, written, known.layout.is_listed)
        return known.layout

    def _extended(self, connection: Connection, collection: Collection) -> Known:
        written = read_meta(connection, COLLECTION + collection.name)
        if written is None:
            known = self._made(connection, collection)
        else:
            is_listed = read_meta(connection, LISTED + collection.name) is not None
            known = known_as(collection.name, written, is_listed)
        fields = joined_fields(known.layout, collection)
        if added := fields.keys() - known.layout.fields.keys():
            known = self._added(connection, replace(known.layout, fields=fields), sorted(added))
        return self._listed(connection, known) if collection.is_listed and not known.layout.is_listed else known

    def _made(self, connection: Connection, collection: Collection) -> Known:
        layout = Layout(collection.name, dict(collection.fields), collection.frequent)
        for statement in layout.statements(self._database.dialect):
            connection.run(statement)
        return remember(connection, layout)

    def _added(self, connection: Connection, layout: Layout, added: Iterable[str]) -> Known:
        for name in added:
            for statement in layout.additions(name, self._database.dialect):
                connection.run(statement)
        fill(connection, layout, added)
        return remember(connection, layout)

    def _listed(self, connection: Connection, known: Known) -> Known:
        """Make the table of what lists show; of older records that is made when they are written, or by a repair.

        Making it here would keep others from writing for minutes.
        """
        layout = replace(known.layout, is_listed=True)
        connection.run(layout.listing(self._database.dialect))
        write_meta(connection, LISTED + layout.collection, "all fields")
        return remember(connection, layout)


def migrate(connection: Connection) -> None:
    """Bring a store to this program's version, in the transaction that the connection is in; raises InputError."""
    version = int(read_meta(connection, "version") or VERSION)
    if version > VERSION + 1:
        raise InputError(
            f"the store has version {version}, and this program reads up to {VERSION + 1}",
            remedy="start the newer program, or restore the backup that was made before it",
        )
    for step in range(version, VERSION):
        MIGRATIONS[step](connection)
    if version <= VERSION:
        write_meta(connection, "version", str(VERSION))


def check_definitions(connection: Connection) -> None:
    """Raise InputError where definitions of tables are not as they were made."""
    written = read_meta(connection, DEFINITIONS)
    is_made = read_meta(connection, "version") is not None
    if (written != connection.fingerprint()) if is_made else connection.has_others():
        raise InputError("the definitions of tables are damaged", remedy=REPAIR)


def covers(layout: Layout, collection: Collection) -> bool:
    """Tell whether a layout has all fields of a collection, and what lists show of it."""
    has_fields = all(layout.fields.get(name) == kind for name, kind in collection.fields.items())
    return has_fields and layout.is_listed >= collection.is_listed


def joined_fields(layout: Layout, collection: Collection) -> dict[str, Kind]:
    """Return the fields of both, those of the store first; raises InputError for one that changed its kind."""
    for name, kind in collection.fields.items():
        if layout.fields.get(name, kind) != kind:
            remedy = "give a field with another meaning another name"
            raise InputError(f"is {layout.fields[name]} in the store, not {kind}", field=name, remedy=remedy)
    return {**layout.fields, **collection.fields}


def remember(connection: Connection, layout: Layout) -> Known:
    """Write down the fields of a collection, in the order that numbers them."""
    written = msgspec.json.encode((layout.fields, layout.frequent)).decode()
    write_meta(connection, COLLECTION + layout.collection, written)
    write_meta(connection, DEFINITIONS, connection.fingerprint())
    return Known(layout, written)


def known_as(name: str, written: str, is_listed: bool) -> Known:
    """Return the layout that was written down."""
    fields, frequent = msgspec.json.decode(written, type=tuple[dict[str, Kind], tuple[str, ...]])
    return Known(Layout(name, fields, frequent, is_listed), written)


def layouts(connection: Connection) -> list[Layout]:
    """Return the layouts of all collections of a store, by name; raises InputError."""
    listed = read_all(connection, LISTED)
    known = sorted(read_all(connection, COLLECTION).items())
    return [known_as(name, written, name in listed).layout for name, written in known]


def fill(connection: Connection, layout: Layout, added: Iterable[str]) -> None:
    """Fill columns and lists that were added from bodies; what does not fit or is damaged counts as missing."""
    fields = Layout(layout.collection, {name: layout.fields[name] for name in added})
    columns = ", ".join(f"{column(name)} = ?" for name in fields.columns)
    known = numbers(connection)
    for rows in batches(connection, layout):
        read = [(known.get(row.tenant, 0), row.id, decoded(row.body)) for row in rows]
        if columns:
            values = [(*fields.values(record, held_or_missing), tenant, identity) for tenant, identity, record in read]
            connection.run_many(f"UPDATE {layout.found} SET {columns} WHERE tenant = ? AND id = ?", values)
        texts = [
            (tenant, layout.lists[name], each, identity)
            for tenant, identity, record in read
            for name in fields.lists
            for each in held_or_missing(name, record.get(name), "texts")
        ]
        add_texts(connection, layout, texts)
        if layout.is_listed:
            whole = [(row, decoded(row.body)) for row in rows if row.is_whole(layout.collection)]
            list_parts(connection, layout, whole)


def batches(connection: Connection, layout: Layout) -> Iterator[list[Row]]:
    """Yield all rows of bodies, some at a time."""
    last = -1
    statement = f"SELECT {WHOLE} FROM {layout.records} r WHERE r.id > ? ORDER BY r.id LIMIT {ROWS}"
    while rows := [Row(*row) for row in connection.rows(statement, (last,))]:
        yield rows
        last = rows[-1].id
