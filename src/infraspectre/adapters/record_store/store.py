"""The store of records on any SQL database."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infraspectre.adapters.record_store.cursors import read_cursor, write_cursor
from infraspectre.adapters.record_store.database import Connection, Database
from infraspectre.adapters.record_store.layout import Layout
from infraspectre.adapters.record_store.rows import Row, remove, select, write
from infraspectre.adapters.record_store.schema import Schema
from infraspectre.adapters.record_store.statements import Question
from infraspectre.errors import ConflictError, InputError
from infraspectre.ports import Clock, Page, Stored
from infraspectre.records.queries import LEAST, UNKEPT, Collection, Query, held

MOST_KEY_BYTES = 256
MOST_TENANT_BYTES = 64


class SqlRecordStore:
    """Keeps records in tables of a database, one set of tables for each collection."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Make or extend what is missing; raises InputError for a database that holds something else."""
        self._database = database
        self._clock = clock
        self._schema = Schema(database)

    def put(
        self, tenant: str, collection: Collection, key: str, record: Mapping[str, Any], expected: int | None = None
    ) -> Stored:
        """Write a record durably; raises ConflictError where the revision is not the expected one, and InputError."""
        self._schema.layout(collection)
        with self._database.writing() as connection:
            return self._write(connection, tenant, collection, {key: record}, expected)[0]

    def put_many(self, tenant: str, collection: Collection, records: Mapping[str, Mapping[str, Any]]) -> None:
        """Write many records in one transaction; raises InputError, and then none is written."""
        self._schema.layout(collection)
        with self._database.writing() as connection:
            self._write(connection, tenant, collection, records)

    def get(self, tenant: str, collection: Collection, key: str) -> Stored | None:
        """Return a record; raises InputError for one that is damaged."""
        layout = self._schema.layout(collection)
        check_name(key, "key", MOST_KEY_BYTES)
        with self._database.reading() as connection:
            rows = select(connection, layout, tenant, [key])
        return stored(layout, rows[0], key) if rows else None

    def delete(self, tenant: str, collection: Collection, key: str, expected: int | None = None) -> bool:
        """Remove a record and tell whether there was one; raises ConflictError as `put` does."""
        self._schema.layout(collection)
        check_name(key, "key", MOST_KEY_BYTES)
        with self._database.writing() as connection:
            layout = self._locked(connection, tenant, collection)
            rows = select(connection, layout, tenant, [key])
            check_revision(layout, key, rows[0].revision if rows else 0, expected)
            for row in rows:
                remove(connection, layout, row)
        return bool(rows)

    def page(self, tenant: str, collection: Collection, query: Query) -> Page:
        """Return records that pass all filters, in order; raises InputError, also for a damaged record."""
        question = self._question(tenant, collection, query)
        statement = question.page(query.limit + 1)
        with self._database.reading() as connection:
            rows = connection.rows(*statement)
        found = [stored(question.layout, Row(*row[2:]), row[0]) for row in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(found, None)
        key, place = rows[query.limit - 1][:2]
        value = None if place in LEAST.values() or query.order is None else place
        return Page(found, write_cursor(tenant, collection.name, query, value, key))

    def count(self, tenant: str, collection: Collection, query: Query, most: int = 10_000) -> int:
        """Count the records that pass all filters, up to a number."""
        statement = self._question(tenant, collection, query).count(most)
        with self._database.reading() as connection:
            return int(connection.rows(*statement)[0][0])

    def tenants(self, collection: Collection) -> list[str]:
        """Return the tenants that have records."""
        layout = self._schema.layout(collection)
        found: list[str] = []
        with self._database.reading() as connection:
            statement = f"SELECT min(tenant) FROM {layout.records} WHERE tenant > ?"
            while (tenant := connection.rows(statement, (found[-1] if found else "",))[0][0]) is not None:
                found.append(tenant)
        return found

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _question(self, tenant: str, collection: Collection, query: Query) -> Question:
        query.checked(collection.fields)
        after = read_cursor(tenant, collection.name, query)
        if after is not None and query.order is not None:
            name = query.order.field
            after = held(name, after[0], collection.fields[name])[0], after[1]
        layout = self._schema.layout(collection)
        return Question(layout, self._database.dialect, tenant, query.filters, query.order, after)

    def _write(
        self,
        connection: Connection,
        tenant: str,
        collection: Collection,
        records: Mapping[str, Mapping[str, Any]],
        expected: int | None = None,
    ) -> list[Stored]:
        layout = self._locked(connection, tenant, collection)
        check_name(tenant, "tenant", MOST_TENANT_BYTES)
        for key in records:
            check_name(key, "key", MOST_KEY_BYTES)
        there = {row.key: row for row in select(connection, layout, tenant, list(records))}
        for key in records if expected is not None else ():
            check_revision(layout, key, there[key].revision if key in there else 0, expected)
        rows = write(connection, layout, tenant, records, there, self._clock.now())
        return [Stored(row.key, row.revision, row.changed_at, row.body) for row in rows]

    def _locked(self, connection: Connection, tenant: str, collection: Collection) -> Layout:
        connection.lock(collection.name, is_shared=True)
        connection.lock(f"{collection.name} {tenant}")
        return self._schema.current(connection, collection)


def stored(layout: Layout, row: Row, key: str) -> Stored:
    """Return a record as it was written; raises InputError for one that is damaged."""
    if not row.is_whole or row.key != key:
        remedy = "'infraspectre store repair' moves it aside"
        raise InputError("the record is damaged", field=f"{layout.collection} {key}", remedy=remedy)
    return Stored(row.key, row.revision, row.changed_at, row.body)


def check_revision(layout: Layout, key: str, revision: int, expected: int | None) -> None:
    """Raise ConflictError where a record, 0 for none, is not of the revision that somebody expects."""
    if expected is not None and revision != expected:
        problem = f"has revision {revision}, not {expected}" if revision else "is not there"
        raise ConflictError(problem, field=f"{layout.collection} {key}", remedy="read it again, and change that")


def check_name(name: str, field: str, most: int) -> None:
    """Refuse a key or tenant that stores cannot tell from others; raises InputError."""
    if not name or UNKEPT.search(name) or len(name.encode()) > most:
        raise InputError(f"is empty, longer than {most} bytes, or has signs that cannot be kept", field=field)
