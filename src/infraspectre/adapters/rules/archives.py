"""Takes rules out of archives and folders: in bounded memory, and nothing but the files that go with rules."""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from infraspectre import _core
from infraspectre.errors import InputError

SUFFIXES = (".rules", ".config", ".map", ".lst", ".list", ".csv", ".txt")
"""What is taken: rules, classes, references, message maps, and data sets."""
LEGAL = ("LICENSE", "COPYING", "NOTICE")
"""How the names of files begin that say on which terms rules may be used; they stay with the rules."""
MOST_BYTES = 1 << 29
"""Bytes after unpacking; an archive that is more, or claims to be, is refused before it fills memory."""
MOST_MEMBERS = 20_000
ZIP = b"PK\x03\x04"
TAR = b"ustar"
TAR_AT = slice(257, 257 + len(TAR))
"""Where a tar archive says what it is (POSIX.1-2017, pax: ustar header)."""

Member = tuple[str, int, Callable[[], IO[bytes] | None]]
"""The name of a file in an archive, its size, and how to open it."""


def unpacked(data: bytes, name: str) -> dict[PurePosixPath, bytes]:
    """Return the files in a tar or zip archive, or data that is none as one rule file; raises InputError.

    Links, devices and what does not go with rules are passed over; names that lead out of the archive are refused.
    """
    try:
        plain = _core.unpacked(data, MOST_BYTES)
        if plain.startswith(ZIP):
            with zipfile.ZipFile(BytesIO(plain)) as archive:
                return collected(zip_members(archive), name)
        if plain[TAR_AT] == TAR:
            with tarfile.open(fileobj=BytesIO(plain), mode="r:") as tar:
                return collected(tar_members(tar), name)
    except BROKEN as error:
        raise InputError(f"cannot be unpacked: {error}", path=name) from error
    stem, _, _ = PurePosixPath(name).name.partition(".")
    return {PurePosixPath(f"{stem}.rules"): plain}


BROKEN = (OSError, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""What the readers of archives raise; the last two of encrypted ones and of unknown methods."""


def zip_members(archive: zipfile.ZipFile) -> Iterator[Member]:
    """Yield the files in a zip archive."""
    for member in archive.infolist():
        if not member.is_dir():
            yield member.filename, member.file_size, partial(archive.open, member)


def tar_members(archive: tarfile.TarFile) -> Iterator[Member]:
    """Yield the files in a tar archive."""
    for member in archive:
        if member.isfile():
            yield member.name, member.size, partial(archive.extractfile, member)


def collected(members: Iterator[Member], name: str) -> dict[PurePosixPath, bytes]:
    """Return the members of an archive that go with rules."""
    files: dict[PurePosixPath, bytes] = {}
    total = 0
    for count, (member, size, opened) in enumerate(members, start=1):
        total += size
        if count > MOST_MEMBERS or total > MOST_BYTES:
            raise InputError(f"holds more than {MOST_MEMBERS} files or {MOST_BYTES} bytes", path=name)
        path = PurePosixPath(member)
        if path.is_absolute() or ".." in path.parts or "\\" in member:
            raise InputError(f"holds a name that leads elsewhere: {member}", path=name)
        file = opened() if is_needed(path) else None
        if file is not None:
            with file:
                files[path] = file.read(size)
    return files


def is_needed(path: PurePosixPath) -> bool:
    """Tell whether a file goes with rules, and neither it nor a folder on the way to it is hidden."""
    is_hidden = any(part.startswith(".") for part in path.parts)
    return not is_hidden and (path.name.endswith(SUFFIXES) or path.name.startswith(LEGAL))


def folder_files(folder: Path) -> dict[PurePosixPath, bytes]:
    """Return what goes with rules of the files in and below a folder; raises InputError like `unpacked`."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    members = ((str(path.relative_to(folder)), path.stat().st_size, partial(open_file, path)) for path in files)
    return collected(members, str(folder))


def open_file(path: Path) -> IO[bytes]:
    """Open a file on disk."""
    return path.open("rb")
