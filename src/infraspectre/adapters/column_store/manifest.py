"""The manifest of a table: which parts there are, and where the journal goes on."""

from __future__ import annotations

from pathlib import Path

import msgspec

from infraspectre.adapters.column_store.durable import digest, write_bytes
from infraspectre.errors import InputError

VERSION = 1
MANIFEST = "manifest.json"
COPY = "manifest.copy.json"


class Sealed(msgspec.Struct, frozen=True):
    """Says what an immutable file has to hold."""

    bytes: int
    digest: str


class Chunk(msgspec.Struct, frozen=True):
    """Describes a file with all columns of some rows of a day."""

    number: int
    day: str
    rows: int
    columns: str
    """Which of the manifest's lists of columns it has."""
    file: Sealed

    @property
    def name(self) -> str:
        """Return the name of its file in the folder of the table."""
        return f"{self.day}/{self.number:08}.parquet"


class Part(msgspec.Struct, frozen=True):
    """Describes files that make the rows of some chunks of a day quick to search."""

    number: int
    day: str
    rows: int
    first: int
    """The earliest event time of its rows, and the latest."""
    last: int
    chunks: list[Chunk]
    listed: Sealed
    names: Sealed
    ranks: Sealed
    keys: Sealed
    tops: Sealed | None = None
    """The rows with the highest numbers, None where there are few rows."""
    blocks: Sealed | None = None
    """The rows once more, for reading a few; None in a part of an earlier version."""
    bounds: dict[str, float] = {}
    """All rows with a higher number in such a column are among `tops`."""
    came_at: int = 0
    """When the last of its rows came in; a capture that is replayed is older than that."""

    @property
    def tops_name(self) -> str:
        """Return the name of the file with the highest numbers; of that with all rows where there is none."""
        return f"{self.day}/{self.number:08}.tops.parquet" if self.bounds else self.listed_name

    @property
    def listed_name(self) -> str:
        """Return the name of the file with the columns of lists."""
        return f"{self.day}/{self.number:08}.listed.parquet"

    @property
    def names_name(self) -> str:
        """Return the name of the file with its dictionary."""
        return f"{self.day}/{self.number:08}.names"

    @property
    def ranks_name(self) -> str:
        """Return the name of the file with the times and ranks of its rows."""
        return f"{self.day}/{self.number:08}.ranks"

    @property
    def keys_name(self) -> str:
        """Return the name of the file with the hashes of keys."""
        return f"{self.day}/{self.number:08}.keys"

    @property
    def blocks_name(self) -> str:
        """Return the name of the file with its rows in blocks."""
        return f"{self.day}/{self.number:08}.blocks"

    @property
    def files(self) -> dict[str, Sealed]:
        """Return all its files, those of chunks first."""
        own = {self.listed_name: self.listed, self.names_name: self.names, self.ranks_name: self.ranks}
        perhaps = {self.tops_name: self.tops, self.blocks_name: self.blocks}
        some = {name: file for name, file in perhaps.items() if file is not None}
        return {chunk.name: chunk.file for chunk in self.chunks} | own | {self.keys_name: self.keys} | some


class Garbage(msgspec.Struct, frozen=True):
    """Names a file that nothing needs any more, and since when."""

    name: str
    since: int


class Manifest(msgspec.Struct, frozen=True):
    """Says all that a table consists of beside the journal's open end."""

    version: int = VERSION
    generation: int = 0
    next_number: int = 1
    journal: int = 1
    """The first journal whose rows are in no part yet."""
    parts: list[Part] = []
    columns: dict[str, list[str]] = {}
    """Lists of columns, by their digest."""
    batches: str = ""
    """The file of the names of batches, and its digest."""
    batches_digest: str = ""
    garbage: list[Garbage] = []
    damaged_rows: int = 0
    """Rows of parts that were set aside as damaged."""


def load(folder: Path) -> Manifest:
    """Return the manifest of a table, from its copy where it is damaged; raises InputError where both are."""
    problems = []
    for path in (folder / MANIFEST, folder / COPY):
        try:
            return decoded(path.read_bytes(), path)
        except FileNotFoundError:
            continue
        except InputError as error:
            problems.append(error)
    if problems:
        raise problems[0]
    return Manifest()


def decoded(data: bytes, path: Path) -> Manifest:
    """Return a manifest from its file; raises InputError for one that is damaged or newer than this program."""
    told, _, body = data.partition(b"\n")
    if told.decode("ascii", "replace") != digest(body):
        raise InputError("is damaged: its digest differs", path=path, remedy="restore it from a backup")
    try:
        manifest = msgspec.json.decode(body, type=Manifest)
    except msgspec.DecodeError as error:
        raise InputError(f"cannot be read: {error}", path=path) from error
    if manifest.version > VERSION:
        raise InputError(f"has version {manifest.version}, which is newer than this program", path=path)
    return manifest


def save(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest durably, its copy first; raises OutputError."""
    body = msgspec.json.encode(manifest)
    data = digest(body).encode() + b"\n" + body
    for name in (COPY, MANIFEST):
        write_bytes(folder / name, data)
