"""What a process knows of a table on disk, brought up to date before each use."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import polars as pl

from infraspectre.adapters.column_store import manifest as manifests
from infraspectre.adapters.column_store.journal import Record, look, numbered
from infraspectre.adapters.column_store.manifest import Chunk, Manifest, Part
from infraspectre.adapters.column_store.parts import listed_rows
from infraspectre.errors import InputError
from infraspectre.records.tables import Table


class Batch(NamedTuple):
    """Is a batch in a journal, with the columns of lists of its rows."""

    path: Path
    record: Record
    listed: pl.DataFrame


class Journal:
    """Follows a journal as it grows."""

    def __init__(self, path: Path, table: Table) -> None:
        """Begin with nothing read."""
        self.path = path
        self.end = 0
        self.batches: list[Batch] = []
        self.names: set[bytes] = set()
        self.rows = 0
        self.damaged_bytes = 0
        self.damaged_rows = 0
        self._table = table

    def refresh(self) -> bool:
        """Read what was appended, and tell whether anything was; what is damaged is counted."""
        if self.path.stat().st_size <= self.end:
            return False
        found = look(self.path, self.end)
        self.end = found.end
        self.damaged_bytes += found.damaged_bytes
        for record in found.records:
            self._take(record)
        return bool(found.records)

    def _take(self, record: Record) -> None:
        self.names.add(record.name)
        try:
            frame = record.frame(self.path)
        except InputError:
            self.damaged_rows += record.rows
            return
        listed = frame.select(name for name in self._table.listed if name in frame.columns)
        self.rows += record.rows
        self.batches.append(Batch(self.path, record, listed))


@dataclass(frozen=True)
class View:
    """Is a table at one moment."""

    path: Path
    table: Table
    manifest: Manifest
    batches: tuple[Batch, ...]
    """What lies in journals."""

    def parts(self, start: int, end: int) -> list[Part]:
        """Return the parts that may have rows of a span of time, in order of time."""
        return [part for part in self.manifest.parts if part.first < end and part.last >= start]

    def listed(self, parts: Iterable[Part]) -> tuple[str, ...]:
        """Return which columns of lists some parts have between them."""
        present = self.present(chunk for part in parts for chunk in part.chunks)
        return tuple(name for name in self.table.listed if name in present)

    def present(self, chunks: Iterable[Chunk]) -> set[str]:
        """Return which columns some chunks have between them."""
        return {name for columns in {chunk.columns for chunk in chunks} for name in self.manifest.columns[columns]}

    @cached_property
    def pending(self) -> pl.DataFrame:
        """Return the columns of lists of all rows in journals; the place of a row begins with its batch."""
        frames = [listed_rows(batch.listed, number, batch.listed.columns) for number, batch in enumerate(self.batches)]
        return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()

    def pending_with(self, columns: Collection[str]) -> pl.DataFrame:
        """Return some columns of all rows in journals, like `pending`."""
        names = list(columns)
        frames = [listed_rows(frame, number, names) for number, frame in enumerate(self.frames())]
        return pl.concat(frames, how="diagonal_relaxed")

    def frames(self) -> Iterator[pl.DataFrame]:
        """Read all columns of all rows in journals, batch by batch."""
        for batch in self.batches:
            yield batch.record.frame(batch.path)


class TableFolder:
    """Follows a table in its folder; its methods are called by one thread at a time."""

    def __init__(self, path: Path, table: Table) -> None:
        """Begin with nothing read."""
        self.path = path
        self.table = table
        self.journals: dict[Path, Journal] = {}
        self._signature: tuple[int, int, int] | None = None
        self._view = View(path, table, Manifest(), ())

    @property
    def manifest(self) -> Manifest:
        """Return the manifest as it was last read."""
        return self._view.manifest

    @property
    def lock(self) -> Path:
        """Return the file that is locked by whoever appends, or begins a new journal."""
        return self.path / "append.lock"

    @property
    def upkeep_lock(self) -> Path:
        """Return the file that is locked by whoever replaces the manifest."""
        return self.path / "upkeep.lock"

    def refresh(self) -> View:
        """Read the manifest if it was replaced, and what was appended to journals; raises InputError."""
        manifest, signature = self.manifest, self._signed()
        if signature != self._signature:
            manifest, self._signature = manifests.load(self.path), signature
        known = self.journals
        there = [path for _, path in numbered(self.path, manifest.journal)]
        self.journals = {path: known.get(path) or Journal(path, self.table) for path in there}
        grown = [journal.refresh() for journal in self.journals.values()]
        if any(grown) or manifest is not self.manifest or known.keys() != self.journals.keys():
            batches = (batch for journal in self.journals.values() for batch in journal.batches)
            self._view = View(self.path, self.table, manifest, tuple(batches))
        return self._view

    def _signed(self) -> tuple[int, int, int] | None:
        """Return what tells one manifest from another, None where there is none."""
        try:
            state = (self.path / manifests.MANIFEST).stat()
        except FileNotFoundError:
            return None
        return state.st_ino, state.st_mtime_ns, state.st_size

    def holds(self, name: bytes) -> bool:
        """Tell whether a batch lies in a journal."""
        return any(name in journal.names for journal in self.journals.values())

    @property
    def pending_rows(self) -> int:
        """Return how many rows lie in journals."""
        return sum(journal.rows for journal in self.journals.values())

    @property
    def damaged_rows(self) -> int:
        """Return how many rows are known to be lost."""
        return self.manifest.damaged_rows + sum(journal.damaged_rows for journal in self.journals.values())
