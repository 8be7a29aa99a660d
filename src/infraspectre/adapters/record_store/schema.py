"""The version of a store's tables, and the layout of each collection as it grew; changes go forward only."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from infraspectre.adapters.record_store.database import Connection, Database
from infraspectre.adapters.record_store.layout import Layout, column, decoded, held_or_missing
from infraspectre.errors import InputError
from infraspectre.records.queries import Collection, Kind

VERSION = 1
"""What this program writes. Each version may only add, so that the program before can still read and write."""
MIGRATIONS: dict[int, Callable[[Connection], None]] = {}
"""How a store of a version becomes one of the next."""
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
        self._lock = threading.Lock()
        with database.writing() as connection:
            connection.lock("store")
            integer, text = database.dialect.integer, database.dialect.text
            connection.run(
                f"CREATE TABLE IF NOT EXISTS store_meta "
                f"(name {text} PRIMARY KEY, value {text} NOT NULL, checksum {integer} NOT NULL)"
            )
            migrate(connection)

    def layout(self, collection: Collection) -> Layout:
        """Return the layout of a collection, whose tables are made or extended if need be; raises InputError."""
        known = self._known.get(collection.name)
        if known is None or not covers(known.layout, collection):
            with self._database.writing() as connection:
                connection.lock(collection.name)
                known = self._extended(connection, collection)
            with self._lock:
                self._known[collection.name] = known
        return known.layout

    def current(self, connection: Connection, collection: Collection) -> Layout:
        """Return the layout within a transaction, also if another program has extended it meanwhile."""
        known = self._known[collection.name]
        written = read_meta(connection, f"collection {collection.name}")
        if written is not None and written != known.written:
            known = self._known[collection.name] = known_as(collection.name, written)
        return known.layout

    def names(self, connection: Connection) -> list[str]:
        """Return the names of all collections that the store has."""
        rows = connection.rows("SELECT name FROM store_meta WHERE name LIKE 'collection %' ORDER BY name")
        return [str(name).removeprefix("collection ") for (name,) in rows]

    def _extended(self, connection: Connection, collection: Collection) -> Known:
        written = read_meta(connection, f"collection {collection.name}")
        before = Layout(collection.name, {}) if written is None else known_as(collection.name, written).layout
        fields = joined_fields(before, collection)
        layout = Layout(collection.name, fields)
        if written is None:
            for statement in layout.statements(self._database.dialect):
                connection.run(statement)
        else:
            added = {name: kind for name, kind in fields.items() if name not in before.fields}
            self._add(connection, layout, added)
        written = msgspec.json.encode(fields).decode()
        write_meta(connection, f"collection {collection.name}", written)
        return Known(layout, written)

    def _add(self, connection: Connection, layout: Layout, added: Mapping[str, Kind]) -> None:
        for name, kind in added.items():
            if kind != "texts":
                for statement in layout.column(name, self._database.dialect):
                    connection.run(statement)
        fill(connection, layout, Layout(layout.collection, added))


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


def covers(layout: Layout, collection: Collection) -> bool:
    """Tell whether a layout has all fields of a collection."""
    return all(layout.fields.get(name) == kind for name, kind in collection.fields.items())


def joined_fields(layout: Layout, collection: Collection) -> dict[str, Kind]:
    """Return the fields of both; raises InputError for one that changed its kind."""
    for name, kind in collection.fields.items():
        if layout.fields.get(name, kind) != kind:
            remedy = "give a field with another meaning another name"
            raise InputError(f"is {layout.fields[name]} in the store, not {kind}", field=name, remedy=remedy)
    return {**layout.fields, **collection.fields}


def known_as(name: str, written: str) -> Known:
    """Return the layout that was written."""
    return Known(Layout(name, msgspec.json.decode(written, type=dict[str, Kind])), written)


def read_meta(connection: Connection, name: str) -> str | None:
    """Return what the store says of itself under a name; raises InputError if it is damaged."""
    rows = connection.rows("SELECT value, checksum FROM store_meta WHERE name = ?", (name,))
    if not rows:
        return None
    value, checksum = rows[0]
    if checksum != meta_checksum(name, value):
        raise InputError("is damaged", field=f"store_meta {name}", remedy="restore the store from a backup")
    return str(value)


def write_meta(connection: Connection, name: str, value: str) -> None:
    """Say something of the store."""
    connection.run(
        "INSERT INTO store_meta (name, value, checksum) VALUES (?, ?, ?) "
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value, checksum = excluded.checksum",
        (name, value, meta_checksum(name, value)),
    )


def meta_checksum(name: str, value: Any) -> int:
    """Return the checksum of what the store says of itself."""
    return zlib.crc32(f"{name}\n{value}".encode(errors="surrogatepass"))


def fill(connection: Connection, layout: Layout, added: Layout) -> None:
    """Fill columns and lists that were added from bodies; what does not fit or is damaged counts as missing."""
    last = -1
    while rows := connection.rows(
        f"SELECT id, tenant, body FROM {layout.records} WHERE id > ? ORDER BY id LIMIT {ROWS}", (last,)
    ):
        found = [(identity, tenant, decoded(body)) for identity, tenant, body in rows]
        if added.columns:
            settings = ", ".join(f"{column(name)} = ?" for name in added.columns)
            values = [(*added.values(record, held_or_missing), identity) for identity, _, record in found]
            connection.run_many(f"UPDATE {layout.found} SET {settings} WHERE id = ?", values)
        add_texts(connection, layout, ((each[0], each[1], added.texts_of(each[2], held_or_missing)) for each in found))
        last = rows[-1][0]


def add_texts(
    connection: Connection, layout: Layout, rows: Iterable[tuple[int, str, Iterable[tuple[str, str]]]]
) -> None:
    """Add texts of lists, given by identity and tenant."""
    connection.run_many(
        f"INSERT INTO {layout.texts} (tenant, field, value, id) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(tenant, name, value, identity) for identity, tenant, texts in rows for name, value in sorted(texts)],
    )
