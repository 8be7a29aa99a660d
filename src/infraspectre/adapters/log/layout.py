"""Where things lie in the folder of a log, and what names may be."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from pathlib import Path

from infraspectre.adapters.log.disk import Disk
from infraspectre.errors import InputError, UsageError

TOPICS, CURSORS, QUARANTINE = "topics", "cursors", "quarantine"
EPOCH, MARK, WRITER, OPENING = "epoch", "mark", "writer", "opening"
KEY_FILE, NEXT_KEY_FILE = "keys/signing.pem", "keys/next.pem"
NAME = re.compile(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,127}\Z")
EPOCH_BYTES = 8


def checked(name: str) -> str:
    """Return the name of a topic or consumer; raises UsageError unless it can be one."""
    if not NAME.match(name):
        raise UsageError(f"{name[:64]!r} cannot be a name", remedy="use letters, digits and . _ -")
    return name


def topics_in(folder: Path) -> list[str]:
    """Return the names of all topics in the folder of a log."""
    return sorted(path.name for path in (folder / TOPICS).glob("*") if NAME.match(path.name) and path.is_dir())


def made_epoch(path: Path, disk: Disk) -> str:
    """Return the epoch in a file, which is made unless it is there; raises InputError."""
    with suppress(FileNotFoundError):
        return epoch_in(path)
    disk.write_whole(path, epoch_line(secrets.token_hex(EPOCH_BYTES)))
    return epoch_in(path)


def epoch_in(path: Path) -> str:
    """Return the epoch in a file; raises InputError and FileNotFoundError."""
    data = path.read_bytes()
    text = data[:-1].decode("ascii", "replace")
    if not re.fullmatch(f"[0-9a-f]{{{2 * EPOCH_BYTES}}}", text) or data != epoch_line(text):
        raise InputError("holds no epoch", path=path, remedy="'infraspectre log repair' takes it from the entries")
    return text


def epoch_line(epoch: str) -> bytes:
    """Return an epoch as its file holds it."""
    return f"{epoch}\n".encode()
