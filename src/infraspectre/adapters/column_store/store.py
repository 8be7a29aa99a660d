"""The table store: what is asked of tables of tenants, answered from Parquet by DuckDB."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self, TypeVar
from urllib.parse import quote, unquote

import duckdb
import polars as pl

from infraspectre.adapters.column_store.durable import locked, write_bytes
from infraspectre.adapters.column_store.journal import JournalFile, encoded, is_torn, journal_path
from infraspectre.adapters.column_store.rows import scan
from infraspectre.adapters.column_store.search import Search
from infraspectre.adapters.column_store.totals import checked
from infraspectre.adapters.column_store.upkeep import (
    NAME_BYTES,
    compact,
    convert,
    erase,
    merge,
    name_hash,
    retain,
    stored_names,
    sweep,
)
from infraspectre.adapters.column_store.verification import verify
from infraspectre.adapters.column_store.view import TableFolder, View
from infraspectre.errors import ConflictError, InputError, OverloadError
from infraspectre.files import make_folder
from infraspectre.ports import Clock, Verification
from infraspectre.records.queries import MOST_ROWS, Query
from infraspectre.records.tables import TABLES, Table, table_named

MOST_PENDING = 1_048_576
"""Rows that may wait in journals; more are refused until compaction has taken them over."""
MOST_NAME_BYTES = 256
ATTEMPTS = 3
Result = TypeVar("Result")


class ParquetTables:
    """Keeps tables in folders of Parquet files."""

    def __init__(self, root: Path, clock: Clock, *, threads: int = 2, memory_bytes: int = 1 << 30) -> None:
        """Open the store in a folder, which is made if need be; raises OutputError."""
        self._root = make_folder(root).resolve()
        self._clock = clock
        self._folders: dict[tuple[str, str], TableFolder] = {}
        self._names: dict[tuple[str, str], tuple[str, set[bytes]]] = {}
        self._lock = threading.RLock()
        self._search = Search(root, threads, memory_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Release what is held."""
        self._search.close()

    def append(self, tenant: str, table: str, frame: pl.DataFrame, batch: str) -> None:
        """Add rows durably, once for each name of a batch; raises InputError, OutputError and OverloadError."""
        name = batch.encode()
        if not 0 < len(name) <= MOST_NAME_BYTES:
            raise InputError(f"is no name of 1 to {MOST_NAME_BYTES} bytes", field="batch")
        described = table_named(table)
        rows, first, last = accepted(frame, described)
        record = encoded(rows, name, first, last)
        make_folder(self._path(tenant, described))
        folder = self._folder(tenant, described)
        with self._lock, locked(folder.lock):
            folder.refresh()
            if folder.holds(name) or name_hash(name) in self._taken(folder):
                return
            if folder.pending_rows + frame.height > MOST_PENDING:
                raise OverloadError(f"has {MOST_PENDING:,} rows that wait for compaction", field=table)
            write_record(folder, record)

    def _taken(self, folder: TableFolder) -> set[bytes]:
        """Return the hashes of the names of batches that left the journal."""
        key = (str(folder.path), folder.table.name)
        known = self._names.get(key)
        if known is None or known[0] != folder.manifest.batches:
            data = stored_names(folder)
            hashes = {data[at : at + NAME_BYTES] for at in range(0, len(data), NAME_BYTES)}
            known = self._names[key] = folder.manifest.batches, hashes
        return known[1]

    def page(
        self, tenant: str, table: str, query: Query, columns: Sequence[str] = ()
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return rows that pass all filters, in order, and where the next page begins; raises InputError."""
        if not 0 < query.limit <= MOST_ROWS:
            raise InputError(f"is not between 1 and {MOST_ROWS}", field="limit")
        described = table_named(table)
        known(described, columns)
        return self._answered(tenant, described, lambda view: self._search.page(view, query, columns))

    def _answered(self, tenant: str, table: Table, answer: Callable[[View], Result]) -> Result:
        """Return an answer, asked again where files were replaced meanwhile, or damaged and now set aside."""
        for _ in range(ATTEMPTS):
            view = self._view(tenant, table)
            try:
                return answer(view)
            except (duckdb.Error, pl.exceptions.PolarsError, OSError) as error:
                failed = error
            if self._view(tenant, table).manifest is view.manifest:
                self.verify(tenant, table.name)
        raise InputError(f"cannot be read: {str(failed)[:200]}", field=table.name) from failed

    def scan(
        self, tenant: str, table: str, start: int, end: int, columns: Sequence[str] = (), address: str = ""
    ) -> Iterator[pl.DataFrame]:
        """Yield the rows of a span of time, or those of an address in it, in frames of at most a chunk or batch.

        Raises InputError for a column that there is not, and for a damaged file, and ConflictError where files were
        rewritten so long ago that they are gone.
        """
        described = table_named(table)
        known(described, columns)
        try:
            yield from scan(self._view(tenant, described), start, end, columns, address)
        except FileNotFoundError as error:
            raise ConflictError("was rewritten meanwhile", path=error.filename, remedy="ask again") from error
        except (pl.exceptions.PolarsError, OSError) as error:
            self.verify(tenant, table)
            raise InputError(
                "is damaged; what cannot be read is set aside now", field=table, remedy="ask again"
            ) from error

    def totals(
        self, tenant: str, table: str, start: int, end: int, by: Sequence[str], every: int, most: int = 0
    ) -> pl.DataFrame:
        """Count rows and sum bytes of a span of time by columns, in buckets of so many nanoseconds; 0 is one bucket.

        Columns: bucket (its beginning), those of `by`, rows, bytes; `most` asks for the largest alone, largest first.
        Raises InputError and OverloadError.
        """
        described = table_named(table)
        checked(described, by, every, most)
        return self._answered(tenant, described, lambda view: self._search.totals(view, start, end, by, every, most))

    def hosts(self, tenant: str, table: str, start: int, end: int, most: int) -> pl.DataFrame:
        """Sum up the rows of a span of time by the addresses at either end, those with the most bytes first.

        Columns: address, rows, sent, received, first, last; a row counts for both of its ends.
        Raises InputError and OverloadError.
        """
        described = table_named(table)
        return self._answered(tenant, described, lambda view: self._search.hosts(view, start, end, most))

    def verify(self, tenant: str, table: str) -> Verification:
        """Compare all files with their digests, and set aside what is damaged; raises OutputError."""
        with self._upkeep(tenant, table) as folder:
            return verify(folder, self._clock.now())

    def tenants(self, table: str) -> list[str]:
        """Return the tenants that have rows, or had."""
        return sorted(unquote(path.parent.name) for path in self._root.glob(f"*/{table_named(table).name}"))

    def _view(self, tenant: str, table: Table) -> View:
        with self._lock:
            return self._folder(tenant, table).refresh()

    def compact(self, tenant: str, table: str) -> int:
        """Turn what was appended into sorted parts, join small ones, and return how many rows were appended."""
        now = self._clock.now()
        with self._upkeep(tenant, table) as folder:
            sweep(folder, now)
            rows = compact(folder, now)
            merge(folder, now)
            convert(folder, now)
        return rows

    def erase(self, tenant: str, entity: str) -> int:
        """Remove all rows of an address for good, and return how many there were; raises OutputError."""
        erased = 0
        for table in TABLES:
            with self._upkeep(tenant, table) as folder:
                erased += erase(folder, entity, self._clock.now())
        return erased

    def retain(self, tenant: str, table: str, start: int) -> int:
        """Remove whole days that lie before a time and came in before it; returns the rows. Raises OutputError."""
        with self._upkeep(tenant, table) as folder:
            return retain(folder, start, self._clock.now())

    @contextmanager
    def _upkeep(self, tenant: str, table: str) -> Iterator[TableFolder]:
        """Give a table whose manifest nobody else replaces meanwhile."""
        described = table_named(table)
        path = make_folder(self._path(tenant, described))
        folder = TableFolder(path, described)
        with locked(folder.upkeep_lock):
            folder.refresh()
            yield folder

    def _folder(self, tenant: str, table: Table) -> TableFolder:
        key = (tenant, table.name)
        if key not in self._folders:
            self._folders[key] = TableFolder(self._path(tenant, table), table)
        return self._folders[key]

    def _path(self, tenant: str, table: Table) -> Path:
        return self._root / tenant_folder(tenant) / table.name


def tenant_folder(tenant: str) -> str:
    """Return the folder of a tenant, one for each; raises InputError for what cannot be one."""
    name = quote(tenant, safe="").replace(".", "%2E")
    if not 0 < len(name) <= 200:
        raise InputError("is no name of a tenant", field=tenant[:64])
    return name


def known(table: Table, columns: Sequence[str]) -> None:
    """Raise InputError for what is no column of a table."""
    for name in columns:
        if name not in table.columns:
            raise InputError("is no column", field=name[:64])


def accepted(frame: pl.DataFrame, table: Table) -> tuple[pl.DataFrame, int, int]:
    """Return rows as they are kept, with their first and last event time; raises InputError."""
    for name in (table.key, table.at):
        if name not in frame.columns or frame[name].null_count():
            raise InputError("is missing in a row", field=f"{table.name}.{name}")
    if frame.is_empty():
        raise InputError("is an empty batch", field=table.name)
    first, last = frame[table.at].min(), frame[table.at].max()
    rows = frame.with_columns(pl.selectors.float().fill_nan(None))
    return rows, int(first), int(last)  # type: ignore[arg-type]


def write_record(folder: TableFolder, record: bytes) -> None:
    """Append a batch to the last journal; what a crash left of another is removed, and what is none is set aside."""
    path = next(reversed(folder.journals), journal_path(folder.path, folder.manifest.journal))
    with JournalFile(path) as journal:
        end = folder.journals[path].end if path in folder.journals else 0
        if journal.end > end and not is_torn(rest := journal.cut(end)):
            write_bytes(make_folder(folder.path / "damaged") / f"{path.name}-{end}", rest)
        journal.append(record)
