"""The key of a log: made at its first use, kept for its owner's eyes alone."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.signing import make_key, private_key
from infraspectre.files import writing_to

KEY_VARIABLE = "INFRASPECTRE_LOG_KEY"
"""Holds the private key as PEM text, for where there is no file."""
KEY_FILE = "keys/signing.pem"


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


def make_once(path: Path, disk: Disk) -> None:
    """Make a key that is on the disk before it signs anything, unless another process is first."""
    with writing_to(path):
        disk.make_folder(path.parent)
        part = path.with_name(f"{secrets.token_hex(8)}.partial")
        public = make_key(part)
        disk.sync_file(part)
        with suppress(FileExistsError):
            os.link(part, path)
            public.replace(path.with_name(f"{path.name}.pub"))
        part.unlink()
        public.unlink(missing_ok=True)
        disk.sync_folder(path.parent)
