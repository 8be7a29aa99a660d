"""Verification of a table: each file is compared with its digest, and what is damaged is set aside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import polars as pl

from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.durable import digest, digest_of, locked
from infraspectre.adapters.column_store.manifest import Chunk, Part, Sealed
from infraspectre.adapters.column_store.parts import CHUNK, ROW
from infraspectre.adapters.column_store.upkeep import Draft, stored_names
from infraspectre.adapters.column_store.view import TableFolder
from infraspectre.errors import InputError
from infraspectre.files import make_folder
from infraspectre.ports import Verification


def verify(folder: TableFolder, now: int) -> Verification:
    """Compare all files with their digests, and set aside what is damaged; the upkeep lock is held.

    A chunk that is damaged keeps the columns of lists, which its part has too; a part is made again from its chunks.
    Rows are lost where both are damaged. Raises OutputError.
    """
    copies = manifest_files(folder)
    with locked(folder.lock):
        folder.refresh()
        journals = [told for path in folder.journals if (told := damage_of(folder, path))]
    parts = folder.manifest.parts
    damaged = {part.number: broken(folder, part) for part in parts}
    lost = mend(folder, [part for part in parts if damaged[part.number]], damaged, now)
    names = names_file(folder, now)
    found = (*copies, *(name for each in damaged.values() for name in each), *names, *journals)
    files = sum(len(part.files) for part in parts) + len(folder.journals)
    return Verification(files, found, lost, folder.damaged_rows)


def damage_of(folder: TableFolder, path: Path) -> str:
    """Return what is damaged of a journal, nothing where all is well."""
    journal = folder.journals[path]
    stray = journal.damaged_bytes + path.stat().st_size - journal.end
    return f"{path.name}: {journal.damaged_rows} rows, {stray} stray bytes" * bool(stray or journal.damaged_rows)


def manifest_files(folder: TableFolder) -> list[str]:
    """Return which copy of the manifest is damaged, once it is whole again; raises InputError where both are."""
    damaged = []
    for name in (manifests.MANIFEST, manifests.COPY):
        try:
            manifests.decoded((folder.path / name).read_bytes(), folder.path / name)
        except FileNotFoundError:
            continue
        except InputError:
            damaged.append(name)
    if damaged:
        manifests.save(folder.path, manifests.load(folder.path))
    return damaged


def broken(folder: TableFolder, part: Part) -> list[str]:
    """Return the files of a part that are not as they were written."""
    return [name for name, file in part.files.items() if not is_whole(folder, name, file)]


def is_whole(folder: TableFolder, name: str, file: Sealed) -> bool:
    """Tell whether a file is as it was written."""
    path = folder.path / name
    try:
        return path.stat().st_size == file.bytes and digest_of(path) == file.digest
    except OSError:
        return False


def mend(folder: TableFolder, parts: Sequence[Part], damaged: dict[int, list[str]], now: int) -> int:
    """Write parts anew from what is whole of them, and return how many rows are lost."""
    if not parts:
        return 0
    draft, lost = Draft(folder), 0
    for part in parts:
        lost += part.rows - mended(folder, draft, part, damaged[part.number])
    for name in (name for part in parts for name in damaged[part.number]):
        if (folder.path / name).exists():
            (folder.path / name).replace(make_folder(folder.path / "damaged") / name.replace("/", "-"))
    draft.commit(parts, now, damaged_rows=lost)
    return lost


def mended(folder: TableFolder, draft: Draft, part: Part, damaged: Sequence[str]) -> int:
    """Write a part anew from what is whole of it, and return how many rows it has."""
    listed = None if part.listed_name in damaged else pl.read_parquet(folder.path / part.listed_name)
    written = [
        draft.chunk(chunk.day, rows)
        for chunk in part.chunks
        if (rows := rows_of(folder, chunk, chunk.name not in damaged, listed)) is not None
    ]
    draft.part([chunk for chunk, _ in written], [rows for _, rows in written])
    return sum(chunk.rows for chunk, _ in written)


def rows_of(folder: TableFolder, chunk: Chunk, is_whole: bool, listed: pl.DataFrame | None) -> pl.DataFrame | None:
    """Return the rows of a chunk as far as they are known, None where nothing is."""
    if is_whole:
        return pl.read_parquet(folder.path / chunk.name)
    if listed is None:
        return None
    return listed.filter(pl.col(CHUNK) == chunk.number).sort(ROW).drop(CHUNK, ROW)


def names_file(folder: TableFolder, now: int) -> list[str]:
    """Return the file of the names of batches if it is damaged; it is taken as it is, one name may be lost."""
    try:
        names = stored_names(folder)
    except OSError:
        names = b""
    if not folder.manifest.batches or digest(names) == folder.manifest.batches_digest:
        return []
    name = folder.manifest.batches
    Draft(folder).commit((), now, batches=name if names else "", batches_digest=digest(names))
    return [name]
