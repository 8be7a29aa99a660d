"""A platform on real stores in a folder, with the incidents, detections and flows of the bundled capture."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from api_fakes import bearer, key_of
from infraspectre.adapters.column_store.store import ParquetTables
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store.sqlite import open_sqlite
from infraspectre.adapters.results import detection_of
from infraspectre.ports import Clock
from infraspectre.records.access import Role
from infraspectre.records.collections import INCIDENTS, incident_record
from infraspectre.records.tables import detection_frame
from infraspectre.records.times import from_datetime
from infraspectre.serving.platform import Platform


def close_platform(platform: Platform) -> None:
    """Close the parts of a platform."""
    for part in (platform.log, platform.records, platform.tables, platform.scoring):
        part.close()


class SampleClock:
    """Says that the bundled capture was taken a day ago."""

    def now(self) -> int:
        return from_datetime(datetime(2026, 1, 6, 8, tzinfo=UTC))


def open_platform(folder: Path, clock: Clock | None = None) -> Platform:
    clock = clock or SampleClock()
    records = open_sqlite(folder / "records.db", clock)
    return Platform(records, ParquetTables(folder / "tables", clock), LocalLog(folder / "log", clock), clock=clock)


def objects(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def fill(platform: Platform, analyzed: Path, tenant: str = "default") -> list[dict[str, Any]]:
    """Give a tenant what an analysis found; return its incidents."""
    incidents, detections = (objects(analyzed / f"{name}.jsonl") for name in ("incidents", "detections"))
    for incident in incidents:
        own = [each["detection_id"] for each in incident["detections"]]
        record = incident_record(incident) | {"detections": [one for one in detections if one["detection_id"] in own]}
        platform.records.put(tenant, INCIDENTS, incident["incident_id"], record)
    platform.tables.append(tenant, "flows", pl.read_parquet(analyzed / "flows.parquet"), "one")
    platform.tables.append(tenant, "detections", detection_frame(map(detection_of, detections)), "one")
    return incidents


def of(platform: Platform, role: Role = "analyst", tenant: str = "default") -> dict[str, str]:
    """Return the headers of somebody of a tenant."""
    return bearer(key_of(platform, role, tenant))
