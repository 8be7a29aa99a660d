"""Disks that fail as a test wants it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from infraspectre.adapters.log.disk import Disk


class QuickDisk(Disk):
    """Waits for nothing, since no test loses power."""

    def sync(self, file: int) -> None:
        pass

    def sync_folder(self, path: Path) -> None:
        pass


class FailingDisk(QuickDisk):
    """Fails at what is named, as long as it is named; a write leaves half of its bytes behind."""

    def __init__(self, *names: str, number: int = errno.ENOSPC) -> None:
        self.failing = set(names)
        self.number = number

    def _check(self, name: str) -> None:
        if name in self.failing:
            raise OSError(self.number, os.strerror(self.number))

    def write(self, file: int, data: bytes, offset: int) -> None:
        if "write" in self.failing:
            super().write(file, data[: len(data) // 2], offset)
        self._check("write")
        super().write(file, data, offset)

    def sync(self, file: int) -> None:
        self._check("sync")

    def truncate(self, file: int, size: int) -> None:
        self._check("truncate")
        super().truncate(file, size)
