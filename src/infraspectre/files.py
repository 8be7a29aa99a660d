"""Files that appear whole or not at all."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from infraspectre.errors import OutputError


class WholeFile:
    """Collects bytes under a temporary name beside the file and gives it its name on `close`."""

    def __init__(self, path: Path) -> None:
        """Open the temporary file; a device or pipe is written directly. Raises OutputError when that fails."""
        self.path = path
        with writing_to(path):
            self._is_special = path.exists() and not path.is_file()
            self._temporary = path if self._is_special else path.with_name(f".{path.name}.partial")
            self.file: IO[bytes] = self._temporary.open("wb")

    def write(self, data: bytes) -> None:
        """Append bytes."""
        with writing_to(self.path):
            self.file.write(data)

    def close(self) -> None:
        """Finish the file; after a failure nothing of it remains."""
        try:
            with writing_to(self.path):
                self.file.close()
                if not self._is_special:
                    self._temporary.replace(self.path)
        except OutputError:
            self.discard()
            raise

    def discard(self) -> None:
        """Remove what was written so far."""
        try:
            self.file.close()
        except OSError:
            os.close(self.file.fileno()) if not self.file.closed else None
        if not self._is_special:
            self._temporary.unlink(missing_ok=True)


REMEDIES = {
    errno.ENOENT: "make the folder first",
    errno.ENOTDIR: "name a folder, not a file, to write into",
    errno.EISDIR: "name a file instead of a folder",
    errno.ENOSPC: "free some space or name another place",
    errno.EDQUOT: "free some space or name another place",
    errno.EACCES: "name a place where you may write",
    errno.EPERM: "name a place where you may write",
    errno.EROFS: "name a place where you may write",
    errno.ENAMETOOLONG: "choose a shorter name",
}
"""What to do about a failure of the file system."""


@contextmanager
def writing_to(path: Path) -> Iterator[None]:
    """Translate failures of the file system into OutputError naming the file."""
    try:
        yield
    except OSError as error:
        number = error_number(error)
        reason = os.strerror(number) if number else str(error)
        raise OutputError(f"cannot be written: {reason}", path=path, remedy=REMEDIES.get(number)) from error


def error_number(error: OSError) -> int:
    """Return the system's number of an error, which the core gives in its text alone; 0 if there is none."""
    import re

    told = re.search(r"\(os error (\d+)\)$", str(error))
    return error.errno or (int(told[1]) if told else 0)


@contextmanager
def whole_file(path: Path) -> Iterator[WholeFile]:
    """Give a file to write to that appears when the block ends, and not at all when it fails."""
    file = WholeFile(path)
    try:
        yield file
    except BaseException:
        file.discard()
        raise
    file.close()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all."""
    with whole_file(path) as file:
        file.write(data)


def write_durably(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a file that appears whole, once it and its name are on the disk; raises OutputError."""
    temporary = path.with_name(f".{path.name}.partial")
    with writing_to(path):
        write(temporary)
        sync(temporary)
        temporary.replace(path)
        sync(path.parent)


def sync(path: Path) -> None:
    """Put what a file or folder holds on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path) -> Path:
    """Make a folder for results unless it is there; raises OutputError when that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError("is a file", path=folder, remedy="name a folder") from error
    except OSError as error:
        remedy = REMEDIES.get(error_number(error))
        raise OutputError(f"cannot be made: {error.strerror}", path=folder, remedy=remedy) from error
    return folder
