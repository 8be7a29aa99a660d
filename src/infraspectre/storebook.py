"""The composition root of stores of records: where one is in; the store, and what is wrong with it, out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from infraspectre.errors import InputError, UsageError
from infraspectre.ports import Damage, RecordStore, every

if TYPE_CHECKING:
    from infraspectre.adapters.evidence_files import EvidenceFiles

ADDRESS = ".dsn"
"""Ends the names of files that hold the connection string of a PostgreSQL database, which stands nowhere else."""
MOST_BYTES = 4_096


class Repair(NamedTuple):
    """Says what a repair did."""

    moved: list[Damage]
    """Records that were moved aside."""
    rebuilt: int | None
    """Whole records that the file was made anew of; None where it could stay."""


def open_records(place: Path) -> RecordStore:
    """Open the store in a file of SQLite, or at the address in a file NAME.dsn; raises InputError and OutputError."""
    from infraspectre.adapters.record_store import open_postgres, open_sqlite
    from infraspectre.adapters.system_clock import SystemClock

    if place.suffix == ADDRESS:
        return open_postgres(read_address(place), SystemClock())
    return open_sqlite(place, SystemClock())


def read_address(path: Path) -> str:
    """Return the connection string in a file; raises InputError, in which it does not occur."""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read as a connection string", path=path) from error
    if not text.strip() or len(text) > MOST_BYTES:
        raise InputError("is no connection string", path=path, remedy="write one such as host=HOST dbname=NAME")
    return text.strip()


def verify(place: Path) -> list[Damage]:
    """Look at everything in a store, and return what is damaged."""
    with existing(place) as store:
        return store.verify()


def repair(place: Path) -> Repair:
    """Move damaged records aside; a file whose structure is damaged is made anew of the whole records in it."""
    if place.suffix != ADDRESS and is_broken(place):
        from infraspectre.adapters.record_store.sqlite import rebuild_sqlite
        from infraspectre.adapters.system_clock import SystemClock

        return Repair([], rebuild_sqlite(place, SystemClock()))
    with existing(place) as store:
        return Repair(store.repair(), None)


def is_broken(place: Path) -> bool:
    """Tell whether more than records is damaged in a file."""
    try:
        return any(not damage.collection for damage in verify(place))
    except InputError:
        if not place.is_file():
            raise
        return True


def back_up(place: Path, out: Path) -> None:
    """Copy a file of SQLite while it is used; raises UsageError for another store."""
    from infraspectre.adapters.record_store.sqlite import back_up as copy

    if place.suffix == ADDRESS:
        raise UsageError("only files of SQLite are copied", remedy="use pg_dump or pg_basebackup")
    copy(place, out)


class Erasure(NamedTuple):
    """Says what was erased."""

    records: int
    captures: int
    """Files of packets behind incidents: those that hold an entity are removed, as packets bear no pseudonym."""


def erase(place: Path, tenant: str, entity: str, pseudonym: str | None, evidence: Path | None = None) -> Erasure:
    """Remove records that name an entity, or write a pseudonym in its place, and packets that hold it.

    Packets lie in a folder beside the file of the store, unless it is named. Raises InputError and OutputError.
    """
    from infraspectre.adapters.evidence_files import FOLDER, EvidenceFiles

    files = EvidenceFiles(evidence or place.parent / FOLDER)
    with existing(place) as store:
        captures = erase_packets(store, files, tenant, entity)
        return Erasure(store.erase(tenant, entity, pseudonym), captures)


def erase_packets(store: RecordStore, files: EvidenceFiles, tenant: str, entity: str) -> int:
    """Remove the packets of an entity, or in which its letters occur; return how many files there were."""
    from infraspectre.records.collections import EVIDENCE
    from infraspectre.records.evidence import evidence_of

    removed = set(files.naming(tenant, entity))
    for row in list(every(store, tenant, EVIDENCE)):
        record = evidence_of(row.body)
        if record.file and (entity.lower() in record.hosts or record.file in removed):
            removed.add(record.file)
            store.put(tenant, EVIDENCE, row.key, msgspec.to_builtins(record.erased()))
    for name in removed:
        files.remove(tenant, name)
    return len(removed)


@contextmanager
def existing(place: Path) -> Iterator[RecordStore]:
    """Open a store that is there already; raises InputError."""
    if not place.is_file():
        raise InputError("there is no such file", path=place)
    store = open_records(place)
    try:
        yield store
    finally:
        store.close()
