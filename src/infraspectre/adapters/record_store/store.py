"""The store of records on any SQL database."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from infraspectre.adapters.record_store import planning
from infraspectre.adapters.record_store.cursors import Cursors, secret
from infraspectre.adapters.record_store.database import Connection, Database
from infraspectre.adapters.record_store.erasure import erase
from infraspectre.adapters.record_store.layout import Layout, decoded, encoded
from infraspectre.adapters.record_store.meta import COLLECTION, LISTED, REPAIR, number_of, numbered, numbers
from infraspectre.adapters.record_store.repair import repair, restore
from infraspectre.adapters.record_store.rows import Row, Tenant, remove, select, write
from infraspectre.adapters.record_store.schema import Schema, known_as, layouts
from infraspectre.adapters.record_store.statements import Question
from infraspectre.adapters.record_store.verification import damages
from infraspectre.errors import ConflictError, InputError
from infraspectre.ports import Clock, Damage, Page, Stored
from infraspectre.records.queries import UNKEPT, Collection, Query

MOST_KEY_BYTES = 256
MOST_TENANT_BYTES = 64


class SqlRecordStore:
    """Keeps records in tables of a database, one set of tables for each collection."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Make or extend what is missing; raises InputError for a database that holds something else."""
        self._database = database
        self._clock = clock
        self._schema = Schema(database)
        with database.writing() as connection:
            self._cursors = Cursors(secret(connection))

    @property
    def is_local(self) -> bool:
        """Tell whether what reads a few rows is answered at once, since no other program is asked."""
        return self._database.dialect.is_local

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
        with self._database.reading(is_one_state=False) as connection:
            number = number_of(connection, tenant)  # which stays what it is
            rows = select(connection, layout, Tenant(number or 0, tenant), [key])
        return stored(layout, tenant, rows[key], key) if key in rows else None

    def delete(self, tenant: str, collection: Collection, key: str, expected: int | None = None) -> bool:
        """Remove a record and tell whether there was one; raises ConflictError as `put` does."""
        self._schema.layout(collection)
        check_name(key, "key", MOST_KEY_BYTES)
        with self._database.writing() as connection:
            layout, owner = self._locked(connection, tenant, collection)
            row = select(connection, layout, owner, [key]).get(key)
            check_revision(layout, key, row.revision if row else 0, expected)
            if row is not None:
                remove(connection, layout, owner, row)
        return row is not None

    def page(self, tenant: str, collection: Collection, query: Query, is_listed: bool = False) -> Page:
        """Return records that pass all filters, in order; raises InputError, also for a damaged record.

        Those of a list have in their bodies what the collection's fields name, and no more.
        """
        layout = self._schema.layout(collection)
        query.checked(collection.fields)
        with self._database.reading(is_one_state=bool(query.filters)) as connection:
            question = self._question(connection, layout, tenant, query)
            question = replace(question, is_listed=is_listed and layout.is_listed)
            rows = planning.page(connection, question, query.limit + 1)
        read = listed if is_listed else stored
        found = [read(layout, tenant, Row(*row)) for _, *row in rows[: query.limit]]
        if len(rows) <= query.limit:
            return Page(found, None)
        place, identity = rows[query.limit - 1][:2]
        return Page(found, self._cursors.write(tenant, collection.name, query, place, identity))

    def count(self, tenant: str, collection: Collection, query: Query, most: int = 10_000) -> int:
        """Count the records that pass all filters, up to a number."""
        layout = self._schema.layout(collection)
        query.checked(collection.fields)
        with self._database.reading() as connection:
            question = self._question(connection, layout, tenant, replace(query, order=None, after=None))
            return planning.count(connection, question, most)

    def tenants(self, collection: Collection) -> list[str]:
        """Return the tenants that have records."""
        layout = self._schema.layout(collection)
        statement = f"SELECT 1 FROM {layout.found} WHERE tenant = ? LIMIT 1"
        with self._database.reading() as connection:
            return sorted(name for name, number in numbers(connection).items() if connection.rows(statement, (number,)))

    def verify(self) -> list[Damage]:
        """Look at everything, and return what is damaged."""
        with self._database.reading(math.inf) as connection:
            return list(damages(connection))

    def repair(self) -> list[Damage]:
        """Move damaged records aside, make again what the others are found by, and return what was moved."""
        with self._database.writing() as connection:
            return repair(connection)

    def restore(self, said: Mapping[str, str], rows: Iterable[Row]) -> int:
        """Take in rows as another store held them, with what it said of itself, and return how many were whole."""
        for name, written in said.items():
            if name.startswith(COLLECTION):
                collection = name.removeprefix(COLLECTION)
                layout = known_as(collection, written, LISTED + collection in said).layout
                self._schema.layout(Collection(collection, layout.fields, layout.frequent, layout.is_listed))
        with self._database.writing() as connection:
            return restore(connection, layouts(connection), rows)

    def erase(self, tenant: str, entity: str, pseudonym: str | None = None) -> int:
        """Remove all records that name an address, or write a pseudonym in its place, and return how many there were.

        What was there is overwritten on the disk as well. Raises InputError for an empty name.
        """
        check_name(entity, "entity", MOST_KEY_BYTES)
        with self._database.writing() as connection:
            number = number_of(connection, tenant)
            owner = Tenant(number or 0, tenant)
            count = 0 if number is None else erase(connection, owner, entity, pseudonym, self._clock.now())
        self._database.forget()
        return count

    def close(self) -> None:
        """Close all connections."""
        self._database.close()

    def _question(self, connection: Connection, layout: Layout, tenant: str, query: Query) -> Question:
        after = self._cursors.read(tenant, layout.collection, query)
        number = number_of(connection, tenant) or 0
        return Question(layout, self._database.dialect, number, query.filters, query.order, after)

    def _write(
        self,
        connection: Connection,
        tenant: str,
        collection: Collection,
        records: Mapping[str, Mapping[str, Any]],
        expected: int | None = None,
    ) -> list[Stored]:
        check_name(tenant, "tenant", MOST_TENANT_BYTES)
        for key in records:
            check_name(key, "key", MOST_KEY_BYTES)
        layout, owner = self._locked(connection, tenant, collection)
        there = select(connection, layout, owner, list(records))
        for key in records if expected is not None else ():
            check_revision(layout, key, there[key].revision if key in there else 0, expected)
        rows = write(connection, layout, owner, records, there, self._clock.now())
        return [Stored(row.key, row.revision, row.changed_at, row.body) for row in rows]

    def _locked(self, connection: Connection, tenant: str, collection: Collection) -> tuple[Layout, Tenant]:
        connection.lock(collection.name, is_shared=True)
        connection.lock(f"{collection.name} {tenant}")
        return self._schema.current(connection, collection), Tenant(numbered(connection, tenant), tenant)


def stored(layout: Layout, tenant: str, row: Row, key: str | None = None) -> Stored:
    """Return a record as it was written; raises InputError for one that is damaged or another."""
    is_right = row.is_whole(layout.collection) and row.tenant == tenant and key in (None, row.key)
    if not is_right:
        raise InputError("the record is damaged", field=f"{layout.collection} {key or row.key}", remedy=REPAIR)
    return Stored(row.key, row.revision, row.changed_at, row.body)


def listed(layout: Layout, tenant: str, row: Row) -> Stored:
    """Return what lists show of a record, made of the whole where the store has that; raises InputError as `stored`."""
    if layout.is_listed and row.is_whole(layout.listed) and row.tenant == tenant:
        return Stored(row.key, row.revision, row.changed_at, row.body)
    whole = stored(layout, tenant, row)
    return whole._replace(body=encoded(layout.part(decoded(whole.body))))


def check_revision(layout: Layout, key: str, revision: int, expected: int | None) -> None:
    """Raise ConflictError where a record, 0 for none, is not of the revision that somebody expects."""
    if expected is not None and revision != expected:
        problem = f"has revision {revision}, not {expected}" if revision else "is not there"
        raise ConflictError(problem, field=f"{layout.collection} {key}", remedy="read it again, and change that")


def check_name(name: str, field: str, most: int) -> None:
    """Refuse a key or tenant that stores cannot tell from others; raises InputError."""
    if not name or UNKEPT.search(name) or len(name.encode()) > most:
        raise InputError(f"is empty, longer than {most} bytes, or has signs that cannot be kept", field=field)
