"""Finds rule files and unpacks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from infraspectre._core import unpacked
from infraspectre.errors import InputError
from infraspectre.intel.rule_files import files_in

STATE_FILE = "infraspectre-rules.yaml"
"""The file beside rules that holds what was decided about them."""
TEST_SUFFIX = ".expect.yaml"
"""How the names of tests of rules end."""
SUFFIXES = (".rules", ".rules.gz", ".rules.zst")
MAGICS = (b"\x1f\x8b", b"\x28\xb5\x2f\xfd")
"""How gzip (RFC 1952) and Zstandard (RFC 8878) begin."""
MOST_BYTES = 1 << 28
"""Bytes of a rule file after unpacking; all rules of Emerging Threats are a tenth of it."""
MOST_FILES = 10_000


def rule_files(paths: Sequence[Path]) -> dict[Path, Path]:
    """Return the files that paths name: themselves, and those in and below folders in the order of their names.

    Beside each stands the folder that was named, or in which the named file lies. Raises InputError for a path that is
    not there and for a folder without rules.
    """
    found: dict[Path, Path] = {}
    for path in paths:
        files = list(files_in(path, SUFFIXES)) if path.is_dir() else [path]
        if not path.exists():
            raise InputError("no such file or folder", path=path)
        if not files:
            raise InputError("holds no rules", path=path, remedy=f"name a folder with files in {', '.join(SUFFIXES)}")
        found |= dict.fromkeys(files, home_of(path)) | found
        if len(found) > MOST_FILES:
            raise InputError(f"holds more than {MOST_FILES} files", path=path)
    return found


def home_of(path: Path) -> Path:
    """Return the folder that a path names, or in which the named file lies."""
    return path if path.is_dir() else path.parent


def is_plain(path: Path) -> bool:
    """Tell whether a path is a file on disk that is not packed; raises InputError naming it."""
    if not path.is_file():
        return False
    with reading(path), path.open("rb") as file:
        return not file.read(len(MAGICS[1])).startswith(MAGICS)


def read_rules(path: Path) -> bytes:
    """Return the text of a rule file or stream, unpacked; raises InputError naming it."""
    with reading(path), path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError(f"is larger than {MOST_BYTES} bytes", path=path)
        return unpacked(data, MOST_BYTES)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Translate failures of the file system into InputError naming the file."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", path=path) from error
