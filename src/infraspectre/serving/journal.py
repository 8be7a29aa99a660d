"""Remembers where the worker cut the log into groups, so that a restart repeats exactly what it did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import structlog

from infraspectre.errors import InputError
from infraspectre.files import make_folder, write_durably, writing_to
from infraspectre.ports import Topic
from infraspectre.records.events import Entry, GapError

logger = structlog.get_logger(__name__)


class Cut(msgspec.Struct, frozen=True, omit_defaults=True):
    """Is a group of entries that are worked on together; it may be empty, where what came before is looked at."""

    epoch: str
    begin: int
    end: int
    """The number behind the last entry."""
    level: int = 0
    """How much of them is shed."""
    settles: bool = False
    """Whether detectors then look at flows that would wait for more."""

    turns: dict[str, int] = {}
    """The event time to which some tenants go on, as no flows of theirs came for long."""

    @property
    def name(self) -> str:
        """Return what tables and the feed call it, the same however often it is written."""
        turned = f"@{max(self.turns.values())}" if self.turns else ""
        return f"{self.epoch}.{self.begin}-{self.end}{turned}"


class Journal:
    """Keeps the cuts since the last checkpoint in a file of JSON lines, each on the disk before its group is begun."""

    def __init__(self, path: Path) -> None:
        """Take up what is there; a line that a crash left unfinished was never begun, and goes."""
        self.path = path
        make_folder(path.parent)
        self.cuts = list(self._read())
        self._file = self._write(self.cuts)

    def add(self, cut: Cut) -> None:
        """Remember a cut durably; raises OutputError."""
        with writing_to(self.path):
            os.write(self._file, msgspec.json.encode(cut) + b"\n")
            os.fdatasync(self._file)
        self.cuts.append(cut)

    def forget(self, before: int) -> None:
        """Forget the cuts whose entries lie before a number, as a checkpoint holds what followed from them."""
        self.cuts = [cut for cut in self.cuts if cut.end > before]
        self.close()
        self._file = self._write(self.cuts)

    def close(self) -> None:
        """Release the file."""
        os.close(self._file)

    def _read(self) -> Iterator[Cut]:
        try:
            lines = self.path.read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return
        except OSError as error:
            raise InputError(error.strerror or str(error), path=self.path) from error
        for number, line in enumerate(lines, 1):
            try:
                yield msgspec.json.decode(line, type=Cut)
            except msgspec.DecodeError as error:
                if number == len(lines):
                    return
                remedy = "remove the file; what was learnt is then read from the log again"
                raise InputError(str(error), path=self.path, line=number, remedy=remedy) from error

    def _write(self, cuts: list[Cut]) -> int:
        """Write the file anew, and return it open for what comes."""
        lines = b"".join(msgspec.json.encode(cut) + b"\n" for cut in cuts)
        write_durably(self.path, lambda new: new.write_bytes(lines))
        with writing_to(self.path):
            return os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)


def open_journal(path: Path) -> Journal:
    """Open a journal; one that is damaged begins anew, and is kept beside it for people."""
    try:
        return Journal(path)
    except InputError as error:
        logger.warning("the journal is damaged; groups that were not finished may be told twice", reason=str(error))
        with writing_to(path):
            path.replace(path.with_name(f"{path.name}.damaged"))
        return Journal(path)


def read_over_gaps(topic: Topic, start: int, most: int, wait_s: float = 0.0) -> tuple[list[Entry], int]:
    """Return entries and the number behind them; none, and the next that can be read, where some are missing."""
    try:
        entries = topic.read(start, most, wait_s)
    except GapError as gap:
        logger.error("a part of the log cannot be read", begin=start, end=gap.after, reason=gap.problem)
        return [], min(max(gap.after, start + 1), start + most)
    return entries, start + len(entries)
