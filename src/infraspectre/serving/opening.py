"""Opens what the platform keeps, as the settings say: the event log, the records and the tables."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.errors import ConfigError, UsageError
from infraspectre.files import make_folder
from infraspectre.ports import Clock, RecordStore
from infraspectre.settings import Settings

if TYPE_CHECKING:
    from infraspectre.adapters.column_store import ParquetTables
    from infraspectre.adapters.log.local import LocalLog
    from infraspectre.serving.platform import Platform

PRIVATE = 0o700
DAY_S = 86_400
RESTORING = ".restoring"
"""Is in a data folder while a backup is being put there."""
WAIT_S = 30.0
"""How long a change of records waits for others that change some."""


def data_folder(settings: Settings) -> Path:
    """Return the folder of what lasts, which is made for its owner alone; raises OutputError.

    Raises UsageError for one into which only a part of a backup was put.
    """
    folder = settings.data.path
    if (folder / RESTORING).exists():
        raise UsageError("holds a part of a backup", path=folder, remedy="empty it, and restore again")
    if not folder.exists():
        make_folder(folder).chmod(PRIVATE)
    return folder


def open_platform(settings: Settings, wait_s: float = WAIT_S) -> Platform:
    """Open log, records and tables; raises OutputError or InputError for what cannot be.

    A change of records waits so long for other processes that change some.
    """
    from infraspectre.adapters.outgoing import outgoing_client
    from infraspectre.adapters.system_clock import SystemClock
    from infraspectre.modelbook import open_model
    from infraspectre.serving.key_file import secret_key
    from infraspectre.serving.platform import Platform
    from infraspectre.serving.scoring import Scoring

    clock = SystemClock()
    log, records = open_log(settings, clock), open_records(settings, clock, wait_s)
    tables = open_tables(settings, clock)
    key = settings.access.token_key_file
    token_key = secret_key(Path(key) if key else data_folder(settings) / "token.key")
    outgoing = outgoing_client(settings.access.outgoing_networks)
    scoring = Scoring(lambda name: open_model(name, settings.models))
    return Platform(records, tables, log, settings, clock, scoring, token_key=token_key, outgoing=outgoing)


def open_log(settings: Settings, clock: Clock) -> LocalLog:
    """Open the event log."""
    from infraspectre.adapters.log.local import LocalLog
    from infraspectre.adapters.log.writing import Limits

    chosen = settings.log
    folder = Path(chosen.folder) if chosen.folder else data_folder(settings) / "log"
    key = Path(chosen.signing_key_file) if chosen.signing_key_file else None
    keep_s = chosen.retention_days * DAY_S
    limits = Limits(segment_bytes=chosen.segment_bytes, keep_s=keep_s, keep_bytes=chosen.retention_bytes)
    return LocalLog(folder, clock, limits, key)


def store_folder(settings: Settings) -> Path:
    """Return the folder of records and tables."""
    return make_folder(Path(settings.store.folder) if settings.store.folder else data_folder(settings) / "store")


def open_records(settings: Settings, clock: Clock, wait_s: float = WAIT_S) -> RecordStore:
    """Open the records, in PostgreSQL where settings name a file with its connection string."""
    if settings.store.postgres_file:
        from infraspectre.adapters.record_store import open_postgres

        return open_postgres(read_secret(Path(settings.store.postgres_file)), clock)
    from infraspectre.adapters.record_store import open_sqlite

    return open_sqlite(store_folder(settings) / "records.sqlite", clock, wait_s)


def read_secret(path: Path) -> str:
    """Return the secret in a file; raises ConfigError naming the file alone."""
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError("cannot be read", path=path, remedy="name a text file that the service may read") from error


def open_tables(settings: Settings, clock: Clock) -> ParquetTables:
    """Open the tables of flows and detections."""
    from infraspectre.adapters.column_store import ParquetTables

    return ParquetTables(store_folder(settings) / "tables", clock)


def close_platform(platform: Platform) -> None:
    """Make durable what waits, and release everything."""
    platform.log.close()
    platform.records.close()
    platform.tables.close()
