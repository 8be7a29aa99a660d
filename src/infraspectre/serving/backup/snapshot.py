"""A platform as it is at one moment, held by hard links while it goes on.

What the worker repeats after a crash has the same names as before, and is known by them. So a copy may be of several
moments, as long as each part is not older than what relies on it: first the checkpoint and how far consumers have come,
then the tables, the records and the feed, then the cuts of the worker, and at last all else in the log.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from infraspectre.adapters.column_store.copying import copy_table, tables_in
from infraspectre.adapters.evidence_files import FOLDER as EVIDENCE
from infraspectre.adapters.log.copying import copy_cursors, copy_topic
from infraspectre.adapters.log.layout import CURSORS, TOPICS, topics_in
from infraspectre.adapters.record_store.sqlite import pinned
from infraspectre.errors import ConflictError, UsageError
from infraspectre.files import writing_to
from infraspectre.records.feed import FEED_TOPIC

STAGE = ".backup"
"""Holds the links, in each folder of which something is copied."""
TRIES = 10
SMALL_BYTES = 1 << 16
"""Smaller files are copied at once: some are changed in place."""
LEFT_OUT = ("serve.lock", "spool", "log", "store", "worker", STAGE)
"""What of the data folder is not copied, or in a way of its own."""


class Place(NamedTuple):
    """Says where the parts of a platform lie."""

    data: Path
    log: Path
    store: Path
    registry: Path | None
    """The folder of models, None where they lie elsewhere."""


class Piece(NamedTuple):
    """Is a file of the copy, under the name that it has in the data folder."""

    name: str
    path: Path
    size: int


class Stage:
    """Keeps files as they are now in a folder beside them, by hard links where there can be some."""

    def __init__(self, root: Path, name: str) -> None:
        """Keep files of a folder that is called so in the copy; what an earlier copy left there is removed."""
        self.root, self.name = root, name
        self.folder = root / STAGE
        self.pieces: list[Piece] = []
        self._count = 0
        self.clear()
        with writing_to(self.folder):
            self.folder.mkdir(mode=0o700)

    def take(self, path: Path, size: int | None = None) -> Path:
        """Keep so many bytes of a file, None for all that it holds now; raises FileNotFoundError and OutputError."""
        kept = self.place(path)
        now = path.stat().st_size
        if now < SMALL_BYTES:
            kept.write_bytes(path.read_bytes())
        else:
            link(path, kept)
        size = min(kept.stat().st_size, now if size is None else size)
        self.pieces.append(Piece(self.called(path), kept, size))
        return kept

    def place(self, path: Path) -> Path:
        """Return where to keep a file."""
        self._count += 1
        return self.folder / f"{self._count:08}"

    def called(self, path: Path) -> str:
        """Return how a file is called in the copy."""
        return (Path(self.name) / path.relative_to(self.root)).as_posix()

    def clear(self) -> None:
        """Remove what was kept."""
        shutil.rmtree(self.folder, ignore_errors=True)


def link(path: Path, kept: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no such thing."""
    try:
        kept.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, kept)


@contextmanager
def held(place: Place) -> Iterator[list[Piece]]:
    """Hold a platform as it is now, and give its files.

    Raises UsageError while another copy is made, ConflictError where it changes too fast, InputError and OutputError.
    """
    with alone(place.data):
        for _ in range(TRIES):
            with ExitStack() as stack:
                stages = Stages(place, stack)
                if stages.fill():
                    yield stages.pieces()
                    return
        raise ConflictError("changes too fast to be copied", path=place.data, remedy="try again")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold the lock of copies of a folder; raises UsageError where another holds it."""
    with writing_to(folder):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise UsageError("is being copied already", path=folder, remedy="wait for that backup") from None
    finally:
        os.close(handle)


class Stages:
    """Fills the stages of a copy, in the order in which its parts rely on one another."""

    def __init__(self, place: Place, stack: ExitStack) -> None:
        """Begin with nothing; all is removed when the stack ends."""
        self._place, self._stack = place, stack
        named = {place.data: "", place.log: "log", place.store: "store"} | (
            {place.registry: "registry"} if place.registry else {}
        )
        self._of: dict[Path, Stage] = {}
        for root, name in named.items():
            if root.is_dir():
                self._of[root] = stage = Stage(root, name)
                stack.callback(stage.clear)

    def fill(self) -> bool:
        """Keep everything; tell whether that is one platform, which it is not where files were replaced meanwhile."""
        try:
            before = identity(self._cuts)
            self._worker()
            self._log(copy_cursors)
            copy_records = self._store()
            self._topics(lambda name: name == FEED_TOPIC)
            if identity(self._cuts) != before:
                return False
            if before:
                self._of[self._place.data].take(self._cuts)
            self._topics(lambda name: name != FEED_TOPIC)
            self._others()
            copy_records()
        except FileNotFoundError:
            return False
        return True

    def pieces(self) -> list[Piece]:
        """Return all that was kept, in order."""
        return sorted(piece for stage in self._of.values() for piece in stage.pieces)

    @property
    def _cuts(self) -> Path:
        return self._place.data / "worker" / "cuts.jsonl"

    def _worker(self) -> None:
        """Keep what the worker has learnt: older than what consumers have read, so that it can be gone on from."""
        for path in plain_files(self._place.data / "worker"):
            if path != self._cuts:
                self._of[self._place.data].take(path)

    def _log(self, copy: Callable[[Path, Callable[[Path, int | None], Path]], None]) -> None:
        if self._place.log in self._of:
            copy(self._place.log, self._of[self._place.log].take)

    def _topics(self, is_meant: Callable[[str], bool]) -> None:
        for name in filter(is_meant, topics_in(self._place.log)):
            copy_topic(self._place.log, name, self._of[self._place.log].take)

    def _store(self) -> Callable[[], None]:
        """Keep the tables, and hold the records; what is returned copies these once nothing has to be quick."""
        root = self._place.store
        for folder in tables_in(root / "tables"):
            copy_table(folder, self._of[root].take)
        path = root / "records.sqlite"
        if not path.exists():
            return lambda: None
        copy, stage = self._stack.enter_context(pinned(path)), self._of[root]
        for packets in plain_files(root / EVIDENCE):  # records that are held now name no others
            stage.take(packets)

        def copy_records() -> None:
            kept = stage.place(path)
            copy(kept)
            stage.pieces.append(Piece(stage.called(path), kept, kept.stat().st_size))

        return copy_records

    def _others(self) -> None:
        """Keep all else: keys, what was approved, and models."""
        data, log, registry = self._place.data, self._place.log, self._place.registry
        apart = {root for root in self._of if root != data}
        for each in sorted(data.iterdir()):
            if each.name not in LEFT_OUT and each not in apart:
                self._all(data, each)
        for each in sorted(log.iterdir()) if log in self._of else ():
            if each.name not in (TOPICS, CURSORS, STAGE):
                self._all(log, each)
        if registry in self._of:
            for each in sorted(registry.iterdir()):
                self._all(registry, each)

    def _all(self, root: Path, path: Path) -> None:
        for file in plain_files(path) if path.is_dir() else [path] * is_plain(path):
            self._of[root].take(file)


def plain_files(folder: Path) -> list[Path]:
    """Return the files in a folder, links and unfinished ones left out."""
    return sorted(path for path in folder.rglob("*") if is_plain(path) and STAGE not in path.parts)


def is_plain(path: Path) -> bool:
    """Tell whether a file is one that lasts."""
    return path.is_file() and not path.is_symlink() and not path.name.endswith(".partial")


def identity(path: Path) -> int:
    """Return what names a file apart from its path, 0 where there is none."""
    try:
        return path.stat().st_ino
    except FileNotFoundError:
        return 0
