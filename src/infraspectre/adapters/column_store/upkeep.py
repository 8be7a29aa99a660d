"""Upkeep of a table: journals become parts, small parts become large ones, and what nothing needs is removed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Sequence
from hashlib import blake2b
from pathlib import Path

import msgspec
import polars as pl

from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.durable import digest, locked, write_bytes
from infraspectre.adapters.column_store.journal import JournalFile, journal_path
from infraspectre.adapters.column_store.manifest import Chunk, Garbage, Manifest, Part
from infraspectre.adapters.column_store.parts import (
    CHUNK,
    CHUNK_ROWS,
    ROW,
    by_day,
    day_of,
    listed_rows,
    write_blocks,
    write_chunk,
    write_part,
)
from infraspectre.adapters.column_store.view import Batch, TableFolder
from infraspectre.files import make_folder, writing_to
from infraspectre.records.times import UNITS

GRACE = 60 * UNITS["s"]
"""For so long, files that nothing needs stay for questions that began before."""
KEPT_NAMES = 65_536
"""Names of batches that are remembered once they left the journal; a batch is given again soon, or never."""
NAME_BYTES = 8
MERGED_ROWS = 1_048_576
"""Rows of a part at the most."""
FAN_IN = 8
"""So many small parts of a day are merged; those of a day that is over as soon as there are two."""


class Draft:
    """Collects files of new parts until a manifest names them."""

    def __init__(self, folder: TableFolder) -> None:
        """Begin with the numbers that are free."""
        self._folder = folder
        self._number = folder.manifest.next_number
        self.columns: dict[str, list[str]] = {}
        self.parts: list[Part] = []

    def chunk(self, day: str, rows: pl.DataFrame) -> tuple[Chunk, pl.DataFrame]:
        """Write a chunk, and return it with its rows as a part holds them."""
        chunk = write_chunk(self._folder.path, self._take(), day, rows)
        self.columns[chunk.columns] = rows.columns
        return chunk, listed_rows(rows, chunk.number, self._folder.table.listed)

    def part(self, chunks: list[Chunk], listed: Sequence[pl.DataFrame]) -> None:
        """Write a part of some chunks; without rows there is none."""
        rows = pl.concat(listed, how="diagonal_relaxed") if listed else pl.DataFrame()
        if rows.height:
            self.parts.append(write_part(self._folder.path, self._take(), rows, chunks, self._folder.table))

    def _take(self) -> int:
        self._number += 1
        return self._number - 1

    def commit(self, replaced: Iterable[Part], now: int, *files: str, damaged_rows: int = 0, **changes: object) -> None:
        """Let the manifest name the new parts in place of others; files that nothing needs then are garbage."""
        before = self._folder.manifest
        replaced = list(replaced)
        gone = {part.number for part in replaced}
        came = {part.day: part.came_at for part in sorted(replaced, key=lambda part: part.came_at)}
        fresh = [msgspec.structs.replace(part, came_at=came.get(part.day, now)) for part in self.parts]
        parts = [*(part for part in before.parts if part.number not in gone), *fresh]
        needed = {name for part in parts for name in part.files}
        unneeded = [*files, *(name for part in before.parts for name in part.files if name not in needed)]
        after = msgspec.structs.replace(
            before,
            generation=before.generation + 1,
            next_number=self._number,
            parts=sorted(parts, key=lambda part: (part.first, part.number)),
            columns=before.columns | self.columns,
            garbage=[*before.garbage, *(Garbage(name, now) for name in unneeded)],
            damaged_rows=before.damaged_rows + damaged_rows,
            **changes,
        )
        manifests.save(self._folder.path, after)
        self._folder.refresh()


def compact(folder: TableFolder, now: int) -> int:
    """Turn all journals into parts, and return how many rows they had; the upkeep lock is held. Raises OutputError."""
    with locked(folder.lock):
        batches = folder.refresh().batches
        if not any(journal.end for journal in folder.journals.values()):
            return 0
        following = folder.manifest.journal + len(folder.journals)
        JournalFile(journal_path(folder.path, following)).close()
        journals = dict(folder.journals)
    for path in (path for path, journal in journals.items() if journal.damaged_rows or journal.damaged_bytes):
        shutil.copy(path, make_folder(folder.path / "damaged"))
    draft = Draft(folder)
    for group in groups(batches):
        frame = pl.concat([batch.record.frame(batch.path) for batch in group], how="diagonal_relaxed")
        for day, rows in by_day(frame, folder.table):
            chunk, listed = draft.chunk(day, rows)
            draft.part([chunk], [listed])
    names = kept_names(folder, [name for journal in journals.values() for name in journal.names])
    name = f"batches-{following:08}"
    write_bytes(folder.path / name, names)
    files = [*(path.name for path in journals), *([folder.manifest.batches] * bool(folder.manifest.batches))]
    damaged = sum(journal.damaged_rows for journal in journals.values())
    draft.commit((), now, *files, damaged_rows=damaged, journal=following, batches=name, batches_digest=digest(names))
    return sum(part.rows for part in draft.parts)


def groups(batches: Sequence[Batch]) -> Iterator[list[Batch]]:
    """Yield batches in groups that make a chunk each, for a day."""
    group: list[Batch] = []
    rows = 0
    for batch in batches:
        if group and rows + batch.record.rows > CHUNK_ROWS:
            yield group
            group, rows = [], 0
        group.append(batch)
        rows += batch.record.rows
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


def merge(folder: TableFolder, now: int) -> int:
    """Join small parts of the same day, and return how many were replaced; the upkeep lock is held."""
    replaced = 0
    for parts in list(mergeable(folder.refresh().manifest, day_of(now))):
        draft = Draft(folder)
        chunks, listed = together(folder, draft, parts)
        draft.part(chunks, listed)
        draft.commit(parts, now)
        replaced += len(parts)
    return replaced


def convert(folder: TableFolder, now: int) -> int:
    """Give the newest part of an earlier version its blocks, and return how many parts had none; the lock is held."""
    old = [part for part in folder.refresh().manifest.parts if part.blocks is None]
    if old:
        draft = Draft(folder)
        blocks = write_blocks(folder.path, old[-1], pl.read_parquet(folder.path / old[-1].listed_name))
        draft.parts.append(msgspec.structs.replace(old[-1], blocks=blocks))
        draft.commit(old[-1:], now)
    return len(old)


def mergeable(manifest: Manifest, today: str) -> Iterator[list[Part]]:
    """Yield parts of a day that should be one, in order of time."""
    for day in sorted({part.day for part in manifest.parts}):
        group: list[Part] = []
        for part in [*(part for part in manifest.parts if part.day == day and part.rows < MERGED_ROWS), None]:
            if part is None or sum(each.rows for each in group) + part.rows > MERGED_ROWS:
                if len(group) >= (FAN_IN if part is None and day >= today else 2):
                    yield group
                group = []
            if part is not None:
                group.append(part)


def together(folder: TableFolder, draft: Draft, parts: Sequence[Part]) -> tuple[list[Chunk], list[pl.DataFrame]]:
    """Return the chunks of parts, and their rows as a part holds them; small chunks become one."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    small = [chunk for chunk in chunks if chunk.rows <= CHUNK_ROWS // 2]
    kept = [chunk for chunk in chunks if chunk not in small]
    listed = [kept_rows(folder, part, {chunk.number for chunk in kept}) for part in parts]
    for group in chunk_groups(small):
        frames = [pl.read_parquet(folder.path / chunk.name) for chunk in group]
        rows = pl.concat(frames, how="diagonal_relaxed").sort(folder.table.at, folder.table.key)
        chunk, rows_listed = draft.chunk(group[0].day, rows)
        kept.append(chunk)
        listed.append(rows_listed)
    return kept, listed


def chunk_groups(chunks: Sequence[Chunk]) -> Iterator[list[Chunk]]:
    """Yield small chunks in groups that make one chunk each."""
    group: list[Chunk] = []
    for chunk in chunks:
        if sum(each.rows for each in group) + chunk.rows > CHUNK_ROWS:
            yield group
            group = []
        group.append(chunk)
    if group:
        yield group


def kept_rows(folder: TableFolder, part: Part, chunks: Iterable[int]) -> pl.DataFrame:
    """Return the rows of some chunks as a part holds them."""
    rows = pl.read_parquet(folder.path / part.listed_name)
    return rows.filter(pl.col(CHUNK).is_in(list(chunks)))


def sweep(folder: TableFolder, now: int, grace: int = GRACE) -> None:
    """Remove files that nothing needs any more, also those that a crash left behind; the upkeep lock is held."""
    manifest = folder.refresh().manifest
    kept = [each for each in manifest.garbage if now - each.since < grace]
    for each in manifest.garbage:
        if each not in kept:
            remove(folder.path / each.name)
    if len(kept) < len(manifest.garbage):
        manifests.save(folder.path, msgspec.structs.replace(manifest, generation=manifest.generation + 1, garbage=kept))
    needed = (
        {name for part in manifest.parts for name in part.files} | {each.name for each in kept} | {manifest.batches}
    )
    for path in strays(folder.path, needed):
        remove(path)


def strays(folder: Path, needed: set[str]) -> list[Path]:
    """Return files that a crash left behind: no manifest names them."""
    written = [*folder.glob("batches-*"), *folder.glob(".*.partial"), *folder.glob("????-??-??/*")]
    return [path for path in written if str(path.relative_to(folder)) not in needed]


def remove(path: Path) -> None:
    """Remove a file, and the folder of its day once that is empty."""
    with writing_to(path):
        path.unlink(missing_ok=True)
        if path.parent.name.count("-") == 2 and not any(path.parent.iterdir()):
            path.parent.rmdir()


def erase(folder: TableFolder, entity: str, now: int) -> int:
    """Remove all rows of an address for good, and return how many there were; the upkeep lock is held."""
    compact(folder, now)
    draft = Draft(folder)
    replaced, erased = [], 0
    for part in folder.manifest.parts:
        named = named_rows(folder, part, entity)
        if named.height:
            rewrite(folder, draft, part, named)
            replaced.append(part)
            erased += named.height
    if replaced:
        draft.commit(replaced, now)
    sweep(folder, now, grace=0)
    return erased


def named_rows(folder: TableFolder, part: Part, entity: str) -> pl.DataFrame:
    """Return the places of the rows of a part that are of an address."""
    rows = pl.scan_parquet(folder.path / part.listed_name)
    present = [name for name in folder.table.addresses if name in rows.collect_schema()]
    return rows.filter(pl.any_horizontal(pl.col(present) == entity)).select(CHUNK, ROW).collect()


def rewrite(folder: TableFolder, draft: Draft, part: Part, left_out: pl.DataFrame) -> None:
    """Write a part anew without the rows at some places."""
    touched = set(left_out[CHUNK].unique())
    kept = [chunk for chunk in part.chunks if chunk.number not in touched]
    listed = [kept_rows(folder, part, {chunk.number for chunk in kept})]
    for chunk in (chunk for chunk in part.chunks if chunk.number in touched):
        gone = left_out.filter(pl.col(CHUNK) == chunk.number)[ROW]
        rows = pl.read_parquet(folder.path / chunk.name).with_row_index(ROW).filter(~pl.col(ROW).is_in(gone.implode()))
        if rows.height:
            fresh, fresh_listed = draft.chunk(chunk.day, rows.drop(ROW))
            kept.append(fresh)
            listed.append(fresh_listed)
    draft.part(kept, listed)


def retain(folder: TableFolder, start: int, now: int) -> int:
    """Remove what is of days before a time and came in before it, and return how many rows; the upkeep lock is held."""
    compact(folder, now)
    over = [part for part in folder.manifest.parts if part.day < day_of(start) and part.came_at < start]
    if over:
        Draft(folder).commit(over, now)
    return sum(part.rows for part in over)
