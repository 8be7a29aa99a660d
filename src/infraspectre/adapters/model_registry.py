"""The registry of models on this machine: directories named by their content, and an SQLite file that names them."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec

from infraspectre.adapters.models import CARD, MANIFEST, REPORTS, load_manifest, load_model
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.files import make_folder, writing_to
from infraspectre.records.models import DataFile, Manifest, Move, Stage, Version

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
DATABASE = "registry.sqlite"
MODELS = "models"
WAIT_S = 30
"""Longest that one process waits for another to finish a change."""
SCHEMA = """
CREATE TABLE IF NOT EXISTS versions (
    name TEXT NOT NULL, version INTEGER NOT NULL, content_id TEXT NOT NULL, parent TEXT,
    data TEXT NOT NULL, metrics TEXT NOT NULL, PRIMARY KEY (name, version), UNIQUE (name, content_id)
);
CREATE TABLE IF NOT EXISTS moves (
    place INTEGER PRIMARY KEY, name TEXT NOT NULL, version INTEGER NOT NULL, stage TEXT NOT NULL, at TEXT NOT NULL
);
"""


class LocalStore:
    """Keeps models in a folder."""

    def __init__(self, root: Path) -> None:
        """Remember the folder, which is made when something is registered."""
        self._root = root

    def register(self, folder: Path, name: str, stage: Stage, at: str) -> Version:
        """Keep a copy of a model directory as the next version of a name."""
        require_name(name)
        manifest, _ = load_model(folder)
        make_folder(self._root)
        with self._changing() as database:
            self._copy(folder, manifest)
            found = database.execute(
                "SELECT version FROM versions WHERE name = ? AND content_id = ?", (name, manifest.content_id)
            ).fetchone()
            version = found[0] if found else add(database, name, manifest)
            move(database, name, version, stage, at)
        return self.version(name, version)

    def promote(self, name: str, version: int, stage: Stage, at: str) -> Version:
        """Move a version to a stage."""
        self.version(name, version)
        with self._changing() as database:
            move(database, name, version, stage, at)
        return self.version(name, version)

    def names(self) -> list[str]:
        """Return the names that have versions, sorted."""
        if not (self._root / DATABASE).is_file():
            return []
        with self._changing() as database:
            return [name for (name,) in database.execute("SELECT DISTINCT name FROM versions ORDER BY name")]

    def history(self, name: str) -> list[Version]:
        """Return the versions of a name, the first one first."""
        require_name(name)
        found: list[Version] = []
        if (self._root / DATABASE).is_file():
            with self._changing() as database:
                found = list(versions(database, name))
        if not found:
            remedy = f"register one: infraspectre models register DIR --name {name}"
            raise UsageError(f"no model is registered as {name!r}", remedy=remedy)
        return found

    def version(self, name: str, version: int) -> Version:
        """Return one version of a name; raises UsageError for one that is not there."""
        return chosen(self.history(name), version)

    def folder(self, name: str, version: int) -> Path:
        """Return the directory of a version."""
        wanted = self.version(name, version)
        folder = self._root / MODELS / wanted.content_id
        require_same(folder, wanted)
        return folder

    @contextmanager
    def _changing(self) -> Iterator[sqlite3.Connection]:
        """Give the database for one transaction, which happens as a whole or not at all."""
        path = self._root / DATABASE
        try:
            with closing(sqlite3.connect(path, timeout=WAIT_S, isolation_level=None)) as database:
                database.executescript(SCHEMA)
                database.execute("BEGIN IMMEDIATE")
                try:
                    yield database
                except BaseException:
                    database.execute("ROLLBACK")
                    raise
                database.execute("COMMIT")
        except sqlite3.Error as error:
            remedy = "see that you may write there and that it is a registry, or name another in the settings"
            raise OutputError(f"cannot be used: {error}", path=path, remedy=remedy) from error

    def _copy(self, folder: Path, manifest: Manifest) -> None:
        """Copy what a manifest names, under another name until all of it is there; one that is there gives way."""
        place = self._root / MODELS / manifest.content_id
        unfinished = place.with_name(f".{place.name}.partial")
        shutil.rmtree(unfinished, ignore_errors=True)
        with writing_to(place):
            for name in (*manifest.files, MANIFEST, *([CARD] if (folder / CARD).is_file() else [])):
                target = unfinished / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(folder / name, target)
            for report in place.glob(REPORTS):
                shutil.copyfile(report, unfinished / report.name)
        load_model(unfinished)  # what was copied is what was checked, whatever happened to it in between
        with writing_to(place):
            if place.exists() and not place.samefile(folder):
                shutil.rmtree(place)
            if place.exists():
                shutil.rmtree(unfinished)
            else:
                unfinished.replace(place)


def require_name(name: str) -> None:
    """Raise UsageError for a name that cannot be one of a registry."""
    if not NAME.fullmatch(name):
        remedy = "use up to 128 letters, digits, dots, dashes and underscores"
        raise UsageError(f"{name[:80]!r} cannot be the name of a model", remedy=remedy)


def require_same(folder: Path, wanted: Version) -> None:
    """Raise InputError unless a directory says that it is the model that was registered."""
    if load_manifest(folder).content_id != wanted.content_id:
        remedy = "register the model again"
        raise InputError("holds another model than was registered", path=folder, remedy=remedy)


def chosen(found: list[Version], version: int) -> Version:
    """Return the version with a number; raises UsageError if there is none."""
    for each in found:
        if each.version == version:
            return each
    name, last = found[0].name, found[-1].version
    raise UsageError(f"{name} has no version {version}", remedy=f"choose from 1 to {last}")


def add(database: sqlite3.Connection, name: str, manifest: Manifest) -> int:
    """Write down a model as the next version of a name and return its number."""
    before = database.execute(
        "SELECT version, content_id FROM versions WHERE name = ? ORDER BY version DESC LIMIT 1", (name,)
    ).fetchone()
    number, parent = (before[0] + 1, before[1]) if before else (1, None)
    told = (msgspec.json.encode(each).decode() for each in (manifest.data, manifest.metrics))
    database.execute(
        "INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?)", (name, number, manifest.content_id, parent, *told)
    )
    return int(number)


def move(database: sqlite3.Connection, name: str, version: int, stage: Stage, at: str) -> None:
    """Write down that a version came to a stage; one that comes to production sends the one before to the archive."""
    moves = [(name, version, stage, at)]
    if stage == "production":
        others = [
            each.version
            for each in versions(database, name)
            if each.version != version and each.moves and each.stage == "production"
        ]
        moves = [*((name, other, "archived", at) for other in others), *moves]
    database.executemany("INSERT INTO moves (name, version, stage, at) VALUES (?, ?, ?, ?)", moves)


def versions(database: sqlite3.Connection, name: str) -> Iterator[Version]:
    """Yield the versions of a name, the first one first."""
    rows = database.execute(
        "SELECT version, content_id, parent, data, metrics FROM versions WHERE name = ? ORDER BY version", (name,)
    ).fetchall()
    for number, content_id, parent, data, metrics in rows:
        moves = database.execute(
            "SELECT stage, at FROM moves WHERE name = ? AND version = ? ORDER BY place", (name, number)
        )
        yield Version(
            name,
            number,
            content_id,
            parent,
            msgspec.json.decode(data, type=list[DataFile]),
            msgspec.json.decode(metrics, type=dict[str, float]),
            [Move(*each) for each in moves],
        )
