"""The audit trail of actions: a file of JSON lines, each on disk before anything else happens."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from infraspectre.errors import InputError
from infraspectre.files import writing_to
from infraspectre.records.response import AuditEntry


class AuditLog:
    """Appends entries to a file and forces each onto the disk."""

    def __init__(self, path: Path) -> None:
        """Use a file, which is made by the first entry."""
        self.path = path

    def append(self, entry: AuditEntry) -> None:
        """Add an entry; a line that a crash cut off stays where it is, on a line of its own."""
        with writing_to(self.path), open(self.path, "ab+", opener=_for_owner) as file:
            file.seek(-1 if file.tell() else 0, os.SEEK_END)
            torn = file.read(1) not in (b"", b"\n")
            file.write((b"\n" if torn else b"") + msgspec.json.encode(entry) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> list[AuditEntry]:
        """Return all entries; a line that is cut off is no entry, and any other broken one is an InputError."""
        if not self.path.exists():
            return []
        lines = self.path.read_bytes().split(b"\n")
        numbered = [(number, line) for number, line in enumerate(lines, start=1) if line]
        return [entry for number, line in numbered if (entry := self._entry(number, line)) is not None]

    def _entry(self, number: int, line: bytes) -> AuditEntry | None:
        try:
            return msgspec.json.decode(line, type=AuditEntry)
        except msgspec.DecodeError as error:
            if "truncated" in str(error):
                return None
            remedy = "restore the file: what was done cannot be known without it"
            raise InputError(f"is no audit entry: {error}", path=self.path, line=number, remedy=remedy) from error


def _for_owner(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
