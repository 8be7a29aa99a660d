"""SQLite as the database of records: one file, which several programs may use at once."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

from infraspectre.adapters.record_store.database import LONGEST_S, Dialect, Rows
from infraspectre.adapters.record_store.meta import REPAIR
from infraspectre.adapters.record_store.pool import Pool
from infraspectre.adapters.record_store.salvage import saved
from infraspectre.adapters.record_store.store import SqlRecordStore
from infraspectre.errors import InfraSpectreError, InputError, OutputError, OverloadError
from infraspectre.ports import Clock

APPLICATION = 0x49535243
"""Marks files of this store (`PRAGMA application_id`): "ISRC"."""
WAIT_S = 30.0
"""Seconds to wait for another program that writes."""
STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock: less than a millisecond."""
CACHE_KIB = 65_536
MAPPED_BYTES = 2**31
"""So much of the file is read in the system's cache of it, without copying it: half the time of a question."""
SQLITE = Dialect(
    text="TEXT",
    integer="INTEGER",
    real="REAL",
    blob="BLOB",
    least_real="-9e999",
    suffix=" WITHOUT ROWID",
    like="LIKE",
    identity="INTEGER PRIMARY KEY",
    fresh="WITH RECURSIVE counted(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM counted LIMIT ?) "
    "SELECT number + (SELECT coalesce(max(id), 0) FROM {table}) FROM counted",
    is_local=True,
    is_planned=True,
)


def open_sqlite(path: Path, clock: Clock, wait_s: float = WAIT_S) -> SqlRecordStore:
    """Open the store in a file, which is made if need be, and wait so long for others who write.

    Raises InputError and OutputError.
    """
    return SqlRecordStore(SqliteDatabase(path, wait_s), clock)


def back_up(path: Path, out: Path) -> None:
    """Copy a store as it is at one moment, while others use it; raises InputError and OutputError."""
    with pinned(path) as copy:
        copy(out)


@contextmanager
def pinned(path: Path) -> Iterator[Callable[[Path], None]]:
    """Hold a store as it is at this moment, while others use it, and give what copies it then into a file.

    Both raise InputError and OutputError. A transaction that was begun before is what SQLite's backup copies from.
    """
    if not path.is_file():
        raise InputError("there is no such file", path=path)
    with closing(SqliteConnection(path, is_reading=True)) as source:
        with errors_of(path):
            source.run("BEGIN")
            source.rows("SELECT count(*) FROM sqlite_schema")

        def copy(out: Path) -> None:
            with errors_of(out):
                with closing(sqlite3.connect(out)) as target:
                    source.copy_to(target)
                out.chmod(0o600)

        yield copy


def rebuild_sqlite(path: Path, clock: Clock) -> int:
    """Make a damaged file anew from all rows that are whole, and return how many; the damaged one is kept beside it.

    No other program may have it open. Raises InputError where nothing can be saved, and OutputError.
    """
    fresh = path.with_name(f"{path.name}.rebuilt")
    with errors_of(path):
        said, rows = saved(path)
        remove_files(fresh)
        with closing(open_sqlite(fresh, clock)) as store:
            count = store.restore(said, rows)
        if not count:
            remove_files(fresh)
            raise InputError("holds no record that is whole", path=path, remedy="restore a backup")
        keep_files(path, path.with_name(f"{path.name}.damaged-{clock.now()}"))
        fresh.replace(path)
    return count


def remove_files(path: Path) -> None:
    """Remove a file with what SQLite keeps beside it."""
    for each in (path, *beside(path)):
        each.unlink(missing_ok=True)


def keep_files(path: Path, kept: Path) -> None:
    """Give a file another name too, and what is beside it another one alone, so that nothing is without its file."""
    kept.hardlink_to(path)
    for old, new in zip(beside(path), beside(kept), strict=True):
        if old.exists():
            old.rename(new)


def beside(path: Path) -> tuple[Path, Path]:
    """Return the files that SQLite keeps beside another."""
    return path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


class SqliteConnection:
    """Runs statements on a connection."""

    dialect = SQLITE

    def __init__(self, path: Path, is_reading: bool, wait_s: float = WAIT_S) -> None:
        """Open a file."""
        self._path = path
        self.longest_s = LONGEST_S
        self._deadline, self._left = 0.0, 0
        with errors_of(path):
            self._raw = sqlite3.connect(path, timeout=wait_s, isolation_level=None, check_same_thread=False)
            self._raw.execute("PRAGMA synchronous = FULL")
            self._raw.execute("PRAGMA secure_delete = ON")
            self._raw.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            if is_reading:
                self._raw.execute("PRAGMA query_only = ON")
                self._raw.execute(f"PRAGMA mmap_size = {MAPPED_BYTES}")
                self._raw.set_progress_handler(self._is_late, STEPS)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Rows:
        """Run a statement and return all its rows."""
        self._deadline, self._left = time.monotonic() + self.longest_s, sys.maxsize
        return self._raw.execute(statement, parameters).fetchall()

    def rows_within(self, steps: int, statement: str, parameters: Sequence[Any] = ()) -> Rows | None:
        """Run a statement and return all its rows, or None if that takes more steps than so many."""
        self._deadline, self._left = time.monotonic() + self.longest_s, steps
        try:
            return self._raw.execute(statement, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if code_of(error) != sqlite3.SQLITE_INTERRUPT or self._left > 0:
                raise
            return None

    def run(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement and return how many rows it changed."""
        return self._raw.execute(statement, parameters).rowcount

    def run_many(self, statement: str, parameters: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of parameters."""
        self._raw.executemany(statement, parameters)

    def structure(self) -> list[str]:
        """Return what SQLite finds wrong with the file (`PRAGMA integrity_check`)."""
        return [str(problem) for (problem,) in self.rows("PRAGMA integrity_check(100)") if problem != "ok"]

    def fingerprint(self) -> str:
        """Return the checksum of all definitions."""
        definitions = self.rows("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")
        return f"{zlib.crc32(repr(definitions).encode(errors='surrogatepass')):08x}"

    def has_others(self) -> bool:
        """Tell whether the file has tables beside that of what the store says of itself."""
        names = {name for (name,) in self.rows("SELECT tbl_name FROM sqlite_schema")}
        return not names <= {"store_meta", "store_damaged"}

    def lock(self, name: str, is_shared: bool = False) -> None:
        """Do nothing: whoever writes is alone."""

    def copy_to(self, target: sqlite3.Connection) -> None:
        """Copy the whole file."""
        self._raw.set_progress_handler(None, 0)
        self._raw.backup(target)

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()

    def _is_late(self) -> bool:
        self._left -= STEPS
        return self._left <= 0 or time.monotonic() > self._deadline


class SqliteDatabase:
    """Gives connections to a file."""

    dialect = SQLITE

    def __init__(self, path: Path, wait_s: float = WAIT_S) -> None:
        """Open a file, or make one for the owner alone; raises InputError and OutputError."""
        self._path = path
        self._lock = threading.Lock()
        with errors_of(path):
            path.touch(mode=0o600)
        self._writer = SqliteConnection(path, is_reading=False, wait_s=wait_s)
        self._readers = Pool(lambda: SqliteConnection(path, is_reading=True))
        try:
            with errors_of(path):
                self._mark()
        except InfraSpectreError:
            self._writer.close()
            raise

    def _mark(self) -> None:
        marked = self._writer.rows("PRAGMA application_id")[0][0]
        is_new = not self._writer.rows("SELECT 1 FROM sqlite_schema LIMIT 1")
        if marked != APPLICATION and not (marked == 0 and is_new):
            raise InputError("is no store of records", path=self._path, remedy="name another file")
        self._writer.rows("PRAGMA journal_mode = WAL")
        self._writer.run("PRAGMA journal_size_limit = 67108864")
        if marked != APPLICATION:
            self._writer.run(f"PRAGMA application_id = {APPLICATION}")

    @contextmanager
    def reading(self, longest_s: float = LONGEST_S, is_one_state: bool = True) -> Iterator[SqliteConnection]:
        """Lend a connection that sees one state of the file if need be; a question may take so many seconds."""
        with errors_of(self._path), self._readers.lent() as connection:
            connection.longest_s = longest_s
            if is_one_state:
                connection.run("BEGIN")
            yield connection
            if is_one_state:
                connection.run("COMMIT")

    @contextmanager
    def writing(self) -> Iterator[SqliteConnection]:
        """Lend the connection that writes, in a transaction."""
        with self._lock, errors_of(self._path):
            self._writer.run("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.run("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._writer.run("ROLLBACK")
                raise

    def forget(self) -> None:
        """Empty the write-ahead log, in which older pages are; freed pages are overwritten as they are freed."""
        with self._lock, errors_of(self._path):
            self._writer.rows("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close all connections."""
        self._readers.close()
        with self._lock:
            self._writer.close()


@contextmanager
def errors_of(path: Path) -> Iterator[None]:
    """Translate what SQLite and the system report of a file."""
    try:
        yield
    except sqlite3.Error as error:
        raise translated(error, path) from error
    except UnicodeDecodeError as error:
        raise InputError("is damaged: a text is no UTF-8", path=path, remedy=REPAIR) from error
    except OSError as error:
        raise OutputError(error.strerror or str(error), path=path) from error


def translated(error: sqlite3.Error, path: Path) -> InfraSpectreError:
    """Return what SQLite reports as an error of ours."""
    match code_of(error):
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            return OverloadError("is being written by another program", path=path, remedy="try again")
        case sqlite3.SQLITE_INTERRUPT:
            return OverloadError("took too long", path=path, remedy="ask for less")
        case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN:
            return OutputError(f"cannot be written: {error}", path=path)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            return InputError(f"is damaged: {error}", path=path, remedy=REPAIR)
    return InputError(f"cannot be used: {error}", path=path)


def code_of(error: sqlite3.Error) -> int:
    """Return SQLite's number of an error, 0 for one of the Python module, such as a text that is no UTF-8."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
