"""Writes a platform that runs into one file."""

from __future__ import annotations

import os
from pathlib import Path

import infraspectre
from infraspectre.adapters.log.keys import log_key
from infraspectre.adapters.log.layout import topics_in
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.config import data_folder as user_folder
from infraspectre.errors import InputError, UsageError
from infraspectre.files import sync, whole_file, writing_to
from infraspectre.records import SCHEMA_VERSION
from infraspectre.records.times import rfc3339
from infraspectre.serving.backup.archive import FORMAT, Head, Manifest, Source, Writer, packed
from infraspectre.serving.backup.snapshot import Place, held
from infraspectre.settings import Settings


def back_up(settings: Settings, out: Path) -> Manifest:
    """Copy all that a platform keeps into a file, while it runs, and return what the file holds.

    Keys outside the data folder are not copied. Raises UsageError where records are in PostgreSQL, InputError and
    OutputError.
    """
    place = place_of(settings)
    check(settings, place, out.absolute())
    key = log_key(place.log, Path(settings.log.signing_key_file) if settings.log.signing_key_file else None)
    head = Head(FORMAT, infraspectre.__version__, SCHEMA_VERSION, rfc3339(SystemClock().now()))
    is_plain = out.is_file() or not out.exists()
    with held(place) as pieces, whole_file(out) as file, writing_to(out):
        if is_plain:
            os.fchmod(file.file.fileno(), 0o600)
        with packed(file.file) as stream:
            writer = Writer(stream, head)
            for piece in pieces:
                writer.add(Source(*piece))
            manifest = writer.end(key)
        file.file.flush()
        if is_plain:
            os.fsync(file.file.fileno())
    sync(out.absolute().parent)
    return manifest


def place_of(settings: Settings) -> Place:
    """Return where the parts of a platform lie."""
    data = settings.data.path
    registry = settings.models.registry
    return Place(
        data,
        Path(settings.log.folder) if settings.log.folder else data / "log",
        Path(settings.store.folder) if settings.store.folder else data / "store",
        None if registry.startswith("mlflow:") else Path(registry) if registry else user_folder() / "registry",
    )


def check(settings: Settings, place: Place, out: Path) -> None:
    """Raise UsageError or InputError for what cannot be copied, or not there."""
    if settings.store.postgres_file:
        remedy = "stop the platform, use pg_dump for the database, and copy the data folder (docs/guides/backup.md)"
        raise UsageError("the records are in PostgreSQL, which is not copied", remedy=remedy)
    if not topics_in(place.log) and not (place.store / "records.sqlite").exists():
        raise InputError("holds no platform", path=place.data, remedy="name its data folder with --data")
    for folder in place:
        if folder is not None and out.is_relative_to(folder.absolute()):
            raise UsageError("lies in what is copied", path=out, remedy="name a file elsewhere")
