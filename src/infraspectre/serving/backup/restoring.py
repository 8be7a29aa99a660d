"""Makes the folder of a platform out of a backup: all of it, or nothing."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infraspectre.adapters.signing import public_key
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.files import REMEDIES, make_folder, sync, writing_to
from infraspectre.serving.backup.archive import HEAD, MANIFEST, SIGNATURE, Manifest, Member, examine, members, sealed
from infraspectre.serving.opening import RESTORING

PRIVATE = 0o700
IGNORED = {"lost+found"}
"""What a fresh file system holds."""


def restore(backup: Path, folder: Path, key: Path | None = None) -> Manifest:
    """Put a platform into an empty folder, once all of the backup was verified, and return what it held.

    `key` is a file with the public key that must have signed it. A failure leaves the folder as it was.
    Raises UsageError for a folder that is in use or not empty, InputError and OutputError.
    """
    check_empty(folder)
    manifest = examine(backup, None if key is None else public_key(key))
    with unfinished(folder) as stage:
        check_space(folder, manifest)
        unpack(backup, stage, manifest)
        for each in sorted(stage.iterdir()):
            with writing_to(folder / each.name):
                each.rename(folder / each.name)
    return manifest


def check_empty(folder: Path) -> None:
    """Raise UsageError unless a folder is empty, or not there."""
    if folder.exists() and not folder.is_dir():
        raise UsageError("is no folder", path=folder, remedy="name another one")
    if folder.is_dir() and {each.name for each in folder.iterdir()} - IGNORED:
        raise UsageError("is not empty", path=folder, remedy="name a new folder, or move away what is there")


def check_space(folder: Path, manifest: Manifest) -> None:
    """Raise OutputError where what is to be restored does not fit."""
    if manifest.bytes > shutil.disk_usage(folder).free:
        raise OutputError(f"has no room for {manifest.bytes:,} bytes", path=folder, remedy=REMEDIES[errno.ENOSPC])


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Give a folder within another for what is not whole yet; after a failure nothing is left of either.

    While it is there no platform starts on the folder.
    """
    is_new = not folder.exists()
    make_folder(folder)
    before = {each.name for each in folder.iterdir()}
    stage = folder / RESTORING
    try:
        with writing_to(stage):
            folder.chmod(PRIVATE)
            stage.mkdir(mode=PRIVATE)
        yield stage
        with writing_to(folder):
            stage.rmdir()
            sync(folder)
    except BaseException:
        for each in folder.iterdir():
            if each.name not in before:
                shutil.rmtree(each) if each.is_dir() else each.unlink()
        if is_new:
            folder.rmdir()
        raise


def unpack(backup: Path, stage: Path, manifest: Manifest) -> None:
    """Write all files durably; raises InputError where the backup is another than was verified."""
    wanted = {each.name: each for each in manifest.files}
    with members(backup) as each:
        for member in each:
            if member.name in (HEAD, MANIFEST, SIGNATURE):
                for _ in member.chunks:
                    pass
            elif write(stage / member.name, member) != wanted.pop(member.name, None):
                raise InputError("was changed while it was restored")
    if wanted:
        raise InputError("was changed while it was restored", path=backup, remedy="try again")
    for folder in [stage, *(path for path in stage.rglob("*") if path.is_dir())]:
        folder.chmod(PRIVATE)
        sync(folder)


def write(path: Path, member: Member) -> object:
    """Write one file, and return what was written."""
    with writing_to(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
            found = sealed(member, file.write)
            file.flush()
            os.fsync(file.fileno())
    return found
