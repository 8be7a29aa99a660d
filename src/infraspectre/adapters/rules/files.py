"""Finds rule files and unpacks them."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from infraspectre.errors import InputError

SUFFIXES = (".rules", ".rules.gz", ".rules.zst")
GZIP = b"\x1f\x8b"
MOST_BYTES = 1 << 28
"""Bytes of a rule file after unpacking; all rules of Emerging Threats are a tenth of it."""
MOST_FILES = 10_000


def rule_files(paths: Sequence[Path]) -> list[Path]:
    """Return the files that paths name: themselves, and those in and below folders in the order of their names.

    Raises InputError for a path that is not there and for a folder without rules.
    """
    found: dict[Path, None] = {}
    for path in paths:
        files = [path] if not path.is_dir() else list(files_in(path))
        if not path.exists():
            raise InputError("no such file or folder", path=path)
        if not files:
            raise InputError("holds no rules", path=path, remedy=f"name a folder with files in {', '.join(SUFFIXES)}")
        found.update(dict.fromkeys(files))
        if len(found) > MOST_FILES:
            raise InputError(f"holds more than {MOST_FILES} files", path=path)
    return list(found)


def files_in(folder: Path) -> Iterator[Path]:
    """Yield the rule files in a folder and below it; what begins with a dot is hidden."""
    entries = sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
    for entry in entries:
        if entry.is_dir() and not is_loop(entry):
            yield from files_in(entry)
        elif entry.name.endswith(SUFFIXES) and entry.is_file():
            yield entry


def is_loop(folder: Path) -> bool:
    """Tell whether a folder is a link that leads to one of those above it."""
    return folder.is_symlink() and Path(os.path.realpath(folder)) in Path(os.path.abspath(folder)).parents  # noqa: PTH100


def read_rules(path: Path) -> bytes:
    """Return the text of a rule file, unpacked; raises InputError naming the file."""
    try:
        with path.open("rb") as file:
            head = file.read(len(GZIP))
            file.seek(0)
            text = (gzip.GzipFile(fileobj=file) if head == GZIP else file).read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path=path) from error
    if len(text) > MOST_BYTES:
        raise InputError(f"is larger than {MOST_BYTES} bytes", path=path)
    return text
