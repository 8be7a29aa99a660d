"""Lines of log files: bounded, decompressed, numbered, with errors that name file and line."""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar, cast

import msgspec

from infraspectre.errors import InputError

MAX_LINE_BYTES = 1 << 22
GZIP = b"\x1f\x8b"

Item = TypeVar("Item")


class LineFile:
    """Reads the lines of a text file, which gzip may have packed, and knows how far it is."""

    def __init__(self, path: Path) -> None:
        """Look at the file; raises InputError when it cannot be opened."""
        self.path = path
        self.line = 0
        self.read_bytes = 0
        """How many bytes of the file were read; they are fewer than its lines have when it is packed."""
        self.loss: InputError | None = None
        """What ended the reading early."""
        try:
            with path.open("rb") as file:
                self._is_packed = file.read(2) == GZIP
                self.size = path.stat().st_size
        except OSError as error:
            raise InputError(f"cannot be opened: {error.strerror or error}", path=path) from error

    def __iter__(self) -> Iterator[str]:
        with self.path.open("rb") as file:
            lines = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if self._is_packed else file
            while line := self._next(lines):
                self.line += 1
                self.read_bytes = file.tell()
                if len(line) >= MAX_LINE_BYTES:
                    raise self.error(f"is longer than {MAX_LINE_BYTES} bytes")
                text = line.removeprefix(codecs.BOM_UTF8) if self.line == 1 else line
                yield text.rstrip(b"\r\n").decode("utf-8", "backslashreplace")

    def _next(self, lines: BinaryIO) -> bytes:
        try:
            return lines.readline(MAX_LINE_BYTES)
        except (OSError, EOFError, zlib.error) as error:
            raise self.error(f"cannot be read further: {error}") from error

    def error(self, problem: str, field: str | None = None) -> InputError:
        """Return an error about the current line."""
        return InputError(problem, path=self.path, line=self.line or None, field=field)

    def json(self, line: str) -> dict[str, Any]:
        """Return the JSON object on the current line."""
        try:
            value = msgspec.json.decode(line)
        except (msgspec.DecodeError, RecursionError) as error:
            raise self.error(f"is not valid JSON: {error}") from error
        if not isinstance(value, dict):
            raise self.error("is not a JSON object")
        return value


def as_far_as_readable(file: LineFile, items: Iterable[Item]) -> Iterator[Item]:
    """Yield what is read from a file up to the first thing that does not fit, which becomes the file's loss."""
    try:
        yield from items
    except InputError as error:
        file.loss = error
