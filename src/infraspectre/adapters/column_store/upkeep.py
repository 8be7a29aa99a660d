"""Upkeep of a table: journals become parts, small parts become large ones, and what nothing needs is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
import polars as pl

from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.durable import digest, locked, write_durably
from infraspectre.adapters.column_store.journal import JournalFile, numbered
from infraspectre.adapters.column_store.manifest import Garbage, Manifest, Part
from infraspectre.adapters.column_store.parts import ROW_GROUP, by_day, listed_rows, write_chunk, write_part
from infraspectre.adapters.column_store.view import Batch, TableFolder
from infraspectre.files import writing_to
from infraspectre.records.times import UNITS

GRACE = 60 * UNITS["s"]
"""For so long, files that nothing needs stay for questions that began before."""
KEPT_NAMES = 65_536
"""Names of batches that are remembered once they left the journal; a batch is given again soon, or never."""
NAME_BYTES = 8


def compact(folder: TableFolder, now: int) -> int:
    """Turn all journals into parts, and return how many rows they had; raises OutputError."""
    with locked(folder.upkeep_lock):
        sweep(folder, now)
        with locked(folder.lock):
            folder.refresh()
            batches = [batch for journal in folder.journals.values() for batch in journal.batches]
            if not folder.journals or not any(journal.end for journal in folder.journals.values()):
                return 0
            first, following = folder.manifest.journal, next_journal(folder)
        rows = take_over(folder, batches, following, now)
    folder.refresh()
    return rows


def next_journal(folder: TableFolder) -> int:
    """Begin a new journal, and return its number."""
    following = max(number for number, _ in numbered(folder.path, folder.manifest.journal)) + 1
    JournalFile(journal_path(folder.path, following)).close()
    return following


def journal_path(folder: Path, number: int) -> Path:
    """Return the file of a journal."""
    return folder / f"journal-{number:08}"


def take_over(folder: TableFolder, batches: Sequence[Batch], following: int, now: int) -> int:
    """Write parts of the rows in journals before one, and let the manifest say so."""
    before = folder.manifest
    number = before.next_number
    parts: list[Part] = []
    columns: dict[str, list[str]] = {}
    for group in groups(batches):
        frame = pl.concat([batch.record.frame(batch.path) for batch in group], how="diagonal_relaxed")
        for day, rows in by_day(frame, folder.table):
            chunk = write_chunk(folder.path, number, day, rows)
            listed = listed_rows(rows, number, folder.table.listed)
            parts.append(write_part(folder.path, number + 1, listed, [chunk], folder.table))
            columns[chunk.columns] = rows.columns
            number += 2
    names = kept_names(folder, [name for journal in folder.journals.values() for name in journal.names])
    batches_name = f"batches-{following:08}"
    write_durably(folder.path / batches_name, lambda path: path.write_bytes(names) and None)
    gone = [path.name for path in folder.journals] + [before.batches] * bool(before.batches)
    manifests.save(
        folder.path,
        msgspec.structs.replace(
            before,
            generation=before.generation + 1,
            next_number=number,
            journal=following,
            parts=sorted([*before.parts, *parts], key=lambda part: (part.first, part.number)),
            columns=before.columns | columns,
            batches=batches_name,
            batches_digest=digest(names),
            garbage=[*before.garbage, *(Garbage(name, now) for name in gone)],
            damaged_rows=folder.damaged_rows,
        ),
    )
    return sum(part.rows for part in parts)


def groups(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Yield batches in groups that make a chunk each."""
    group: list[Batch] = []
    for batch in batches:
        if group and sum(each.record.rows for each in group) + batch.record.rows > ROW_GROUP:
            yield group
            group = []
        group.append(batch)
    if group:
        yield group


def kept_names(folder: TableFolder, names: Sequence[bytes]) -> bytes:
    """Return the hashes of the last names of batches."""
    fresh = b"".join(name_hash(name) for name in names)
    return (stored_names(folder) + fresh)[-KEPT_NAMES * NAME_BYTES :]


def name_hash(name: bytes) -> bytes:
    """Return the hash of the name of a batch."""
    return blake2b(name, digest_size=NAME_BYTES).digest()


def stored_names(folder: TableFolder) -> bytes:
    """Return the hashes of names that the manifest holds."""
    return (folder.path / folder.manifest.batches).read_bytes() if folder.manifest.batches else b""


def sweep(folder: TableFolder, now: int, grace: int = GRACE) -> None:
    """Remove files that nothing needs any more, also those that a crash left behind."""
    folder.refresh()
    manifest = folder.manifest
    due = [each for each in manifest.garbage if now - each.since >= grace]
    for each in due:
        remove(folder.path / each.name)
    if due:
        kept = [each for each in manifest.garbage if each not in due]
        manifests.save(folder.path, msgspec.structs.replace(manifest, generation=manifest.generation + 1, garbage=kept))
        folder.refresh()
    needed = {name for part in manifest.parts for name in part.files} | {each.name for each in manifest.garbage}
    for path in strays(folder.path, needed, manifest):
        remove(path)


def strays(folder: Path, needed: set[str], manifest: Manifest) -> list[Path]:
    """Return files that a crash left behind: written, but named by no manifest."""
    beside = [path for path in folder.glob("batches-*") if path.name not in needed | {manifest.batches}]
    partial = [*folder.glob(".*.partial"), *folder.glob("????-??-??/.*.partial")]
    within = [path for path in folder.glob("????-??-??/*") if str(path.relative_to(folder)) not in needed]
    return [*beside, *partial, *within]


def remove(path: Path) -> None:
    """Remove a file, and its folder once that is empty."""
    with writing_to(path):
        path.unlink(missing_ok=True)
        if path.parent.name.count("-") == 2 and not any(path.parent.iterdir()):
            path.parent.rmdir()
