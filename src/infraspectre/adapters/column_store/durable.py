"""Files that stay: written whole, and on the disk before they have their name."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from mmap import ACCESS_READ, mmap
from pathlib import Path

import numpy as np

from infraspectre.files import write_durably

BLOCK_BYTES = 1 << 20


def digest(data: bytes) -> str:
    """Return the digest of bytes, BLAKE2b with 16 bytes (RFC 7693), in hexadecimal."""
    return blake2b(data, digest_size=16).hexdigest()


def digest_of(path: Path) -> str:
    """Return the digest of a file."""
    state = blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(BLOCK_BYTES):
            state.update(block)
    return state.hexdigest()


def write_bytes(path: Path, data: bytes) -> None:
    """Write a file durably that appears whole; raises OutputError."""
    write_durably(path, lambda temporary: temporary.write_bytes(data))


def mapped(path: Path, kind: type[np.unsignedinteger] = np.uint8) -> np.ndarray:
    """Return the numbers of a file without reading it; raises OSError for one that has none, or half a one."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0 or size % np.dtype(kind).itemsize:
            raise OSError(f"{path} is damaged")
        return np.frombuffer(mmap(file.fileno(), size, access=ACCESS_READ), kind)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for, against other threads and processes."""
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
