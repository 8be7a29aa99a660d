"""What the log asks of a file system: few calls, so that tests can let each of them fail or forget."""

from __future__ import annotations

import os
from pathlib import Path

FILE_MODE, FOLDER_MODE = 0o600, 0o700


class Disk:
    """Writes files of this machine; what is written is on the disk once `sync` has returned."""

    def open(self, path: Path) -> int:
        """Open a file for writing at any place, and make it if need be; only its owner may read it."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)

    def write(self, file: int, data: bytes, offset: int) -> None:
        """Write bytes at a place in a file."""
        view = memoryview(data)
        while view:
            written = os.pwrite(file, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, file: int) -> None:
        """Wait until what was written to a file is on the disk."""
        os.fdatasync(file)

    def truncate(self, file: int, size: int) -> None:
        """Cut a file off."""
        os.ftruncate(file, size)

    def close(self, file: int) -> None:
        """Give a file back."""
        os.close(file)

    def rename(self, source: Path, target: Path) -> None:
        """Give a file another name, in place of what had it."""
        source.rename(target)

    def remove(self, path: Path) -> None:
        """Remove a file."""
        path.unlink()

    def make_folder(self, path: Path) -> None:
        """Make a folder with all above it; only their owner may look into them."""
        for missing in reversed([each for each in (path, *path.parents) if not each.exists()]):
            missing.mkdir(FOLDER_MODE, exist_ok=True)
            self.sync_folder(missing.parent)

    def sync_file(self, path: Path) -> None:
        """Wait until a file of others is on the disk."""
        file = self.open(path)
        try:
            self.sync(file)
        finally:
            self.close(file)

    def sync_folder(self, path: Path) -> None:
        """Wait until the names in a folder are on the disk."""
        file = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(file)
        finally:
            os.close(file)

    def write_whole(self, path: Path, data: bytes) -> None:
        """Write a file that appears whole or not at all, and is on the disk at the end."""
        part = path.with_name(f".{path.name}.{os.getpid()}.partial")
        file = self.open(part)
        try:
            self.truncate(file, 0)
            self.write(file, data, 0)
            self.sync(file)
        finally:
            self.close(file)
        self.rename(part, path)
        self.sync_folder(path.parent)
