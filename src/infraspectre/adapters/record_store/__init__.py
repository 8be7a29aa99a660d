"""Records of tenants in an SQL database: SQLite beside the program, or a PostgreSQL server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from infraspectre.lazy import lazy

if TYPE_CHECKING:
    from infraspectre.adapters.record_store.postgres import open_postgres
    from infraspectre.adapters.record_store.sqlite import open_sqlite
    from infraspectre.adapters.record_store.store import SqlRecordStore

__all__ = ["SqlRecordStore", "open_postgres", "open_sqlite"]

__getattr__ = lazy(__name__, {"SqlRecordStore": "store", "open_postgres": "postgres", "open_sqlite": "sqlite"})
