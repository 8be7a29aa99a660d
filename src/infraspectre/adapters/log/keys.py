"""The key of a log: made at its first use, kept for its owner's eyes alone."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.layout import KEY_FILE, NEXT_KEY_FILE
from infraspectre.adapters.signing import make_key, private_key
from infraspectre.files import writing_to

KEY_VARIABLE = "INFRASPECTRE_LOG_KEY"
"""Holds the private key as PEM text, for where there is no file."""


def log_key(folder: Path, path: Path | None = None) -> Ed25519PrivateKey:
    """Return the key from a file, from the environment, or from beside the log, where it is made at its first use."""
    if path is not None:
        return private_key(path)
    if os.environ.get(KEY_VARIABLE):
        return private_key(None, KEY_VARIABLE)
    own = folder / KEY_FILE
    if not own.exists():
        make_once(own, Disk())
    return private_key(own)


def waiting_key(folder: Path) -> list[Ed25519PrivateKey]:
    """Return the key of a rotation that was interrupted, if there is one."""
    path = folder / NEXT_KEY_FILE
    return [private_key(path)] if path.exists() else []


@contextmanager
def rotating(folder: Path, disk: Disk, new: Path | None) -> Iterator[Ed25519PrivateKey]:
    """Give the key that is to sign next, from a file or a new one, which takes the place of the old at the end.

    It waits beside the old key until then, so that what was interrupted goes on with the same.
    """
    if new is not None:
        yield private_key(new)
        return
    waiting, own = folder / NEXT_KEY_FILE, folder / KEY_FILE
    if not waiting.exists():
        make_once(waiting, disk)
    yield private_key(waiting)
    with writing_to(own):
        for source, target in ((waiting, own), (public_file(waiting), public_file(own))):
            disk.rename(source, target)
        disk.sync_folder(own.parent)


def public_file(path: Path) -> Path:
    """Return where the public key lies beside a private one."""
    return path.with_name(f"{path.name}.pub")


def make_once(path: Path, disk: Disk) -> None:
    """Make a key that is on the disk before it signs anything, unless another process is first."""
    with writing_to(path):
        disk.make_folder(path.parent)
        part = path.with_name(f"{secrets.token_hex(8)}.partial")
        public = make_key(part)
        disk.sync_file(part)
        with suppress(FileExistsError):
            os.link(part, path)
            public.replace(public_file(path))
        part.unlink()
        public.unlink(missing_ok=True)
        disk.sync_folder(path.parent)
