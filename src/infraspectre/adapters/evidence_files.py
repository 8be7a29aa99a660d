"""Packets behind incidents on disk: a file each, in a folder of each tenant, which their owner alone may read."""

from __future__ import annotations

import mmap
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path

from infraspectre.adapters.record_store.erasure import whole_word
from infraspectre.errors import InputError, OutputError
from infraspectre.files import sync, writing_to

FOLDER = "evidence"
SUFFIX = ".pcapng"
PARTIAL = ".partial"
NAME = re.compile(r"[0-9a-f]{32}\.pcapng")
PART_BYTES = 1 << 20


class EvidenceFile:
    """Takes packets; it appears whole or not at all."""

    def __init__(self, path: Path, most_bytes: int) -> None:
        """Take so many bytes at the most."""
        self.name = path.name
        self.bytes = 0
        self._path, self._most = path, most_bytes
        self._partial = path.with_name(path.name + PARTIAL)
        with writing_to(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = os.fdopen(os.open(self._partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")

    @property
    def room(self) -> int:
        """Return how many bytes it takes yet."""
        return self._most - self.bytes

    def write(self, data: bytes) -> None:
        """Take some bytes; raises OutputError."""
        if len(data) > self.room:
            raise OutputError("is too large", path=self._path)
        with writing_to(self._path):
            self._file.write(data)
        self.bytes += len(data)

    def back_to(self, size: int) -> None:
        """Forget what came beyond a size; raises OutputError."""
        with writing_to(self._path):
            self._file.flush()
            os.truncate(self._file.fileno(), size)
            self._file.seek(size)
        self.bytes = size

    def finish(self) -> str:
        """Bring it to the disk under its name, and return its hash (SHA-256); raises OutputError."""
        with writing_to(self._path):
            self._file.close()
            sync(self._partial)
            with self._partial.open("rb") as written:
                digest = file_digest(written, "sha256").hexdigest()
            self._partial.replace(self._path)
            sync(self._path.parent)
        return digest

    def discard(self) -> None:
        """Remove it unless it is finished."""
        self._file.close()
        self._partial.unlink(missing_ok=True)


class EvidenceFiles:
    """Keeps packets behind incidents."""

    def __init__(self, folder: Path) -> None:
        """Keep them in a folder, which is made with the first of them."""
        self._folder = folder

    @contextmanager
    def new(self, tenant: str, most_bytes: int) -> Iterator[EvidenceFile]:
        """Give a file to fill, which does not last unless it is finished; raises OutputError."""
        file = EvidenceFile(self._folder / tenant / f"{secrets.token_hex(16)}{SUFFIX}", most_bytes)
        try:
            yield file
        finally:
            file.discard()

    def read(self, tenant: str, name: str, digest: str) -> Iterator[bytes]:
        """Return a file in parts, once its hash was found right; raises InputError for one that is gone or changed."""
        path = self.path(tenant, name)
        try:
            file = path.open("rb")
            found = file_digest(file, "sha256")
        except OSError as error:
            raise InputError("the packets are gone", field=name) from error
        if found.hexdigest() != digest:
            file.close()
            raise InputError("the packets were changed on the disk", field=name)
        file.seek(0)

        def parts() -> Iterator[bytes]:
            with file:
                while part := file.read(PART_BYTES):
                    yield part

        return parts()

    def path(self, tenant: str, name: str) -> Path:
        """Return where a file of a tenant lies; raises InputError for what is no name of one."""
        if not NAME.fullmatch(name):
            raise InputError("is no name of a file of packets", field=name[:64])
        return self._folder / tenant / name

    def remove(self, tenant: str, name: str) -> None:
        """Remove a file, if it is there; raises OutputError."""
        path = self.path(tenant, name)
        with writing_to(path):
            path.unlink(missing_ok=True)

    def held_bytes(self) -> int:
        """Return how many bytes there are, of all tenants."""
        return sum(path.stat().st_size for path in self._folder.glob(f"*/*{SUFFIX}"))

    def tenants(self) -> list[str]:
        """Return the tenants that have some."""
        return sorted(path.name for path in self._folder.glob("*") if path.is_dir())

    def names(self, tenant: str, before: float) -> list[str]:
        """Return the files of a tenant that were written before a time (seconds since the epoch), unfinished, too."""
        found = (self._folder / tenant).glob(f"*{SUFFIX}*")
        return sorted(path.name for path in found if path.stat().st_mtime < before)

    def naming(self, tenant: str, entity: str) -> list[str]:
        """Return the files of a tenant in which the letters of a name or an address occur, as a word of their own."""
        pattern = re.compile(whole_word(entity).pattern.encode(), re.IGNORECASE)
        return [path.name for path in sorted((self._folder / tenant).glob(f"*{SUFFIX}")) if occurs(path, pattern)]


def occurs(path: Path, pattern: re.Pattern[bytes]) -> bool:
    """Tell whether a pattern occurs in a file."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as held:
            return pattern.search(held) is not None
