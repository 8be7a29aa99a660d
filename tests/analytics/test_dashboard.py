from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import msgspec
import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.analytics.dashboard import HOUR, Hour, Share, Verdicts, activity, dashboard
from infraspectre.ports import Page, RecordStore, Stored
from infraspectre.records.detection import Detection, Evidence, Severity
from infraspectre.records.queries import Collection, Query
from infraspectre.records.tables import detection_frame
from infraspectre.records.times import NANOSECONDS
from table_rows import BEGIN, DAY, SetClock, flow_frame
from table_rows import answer_records as answer

INCIDENTS, VERDICTS = Collection("incidents"), Collection("verdicts")


class ListedRecords:
    """Answers from lists."""

    def __init__(self, records: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
        self.records = records

    def page(self, tenant: str, collection: Collection, query: Query) -> Page:
        keys = answer(self.records[collection.name], query)[: query.limit]
        return Page([self.stored(collection, key) for key in keys], None)

    def stored(self, collection: Collection, key: str) -> Stored:
        return Stored(key, 1, 0, msgspec.json.encode(self.records[collection.name][key]))

    def count(self, tenant: str, collection: Collection, query: Query, most: int = 10_000) -> int:
        return len(answer(self.records[collection.name], query))

    def get(self, tenant: str, collection: Collection, key: str) -> Stored | None:
        return self.stored(collection, key) if key in self.records[collection.name] else None


def incident(number: int, level: str, status: str) -> dict[str, Any]:
    at = BEGIN + number * 60 * NANOSECONDS
    return {"title": f"Case {number}", "level": level, "status": status, "value": 10.0 * number, "raised_at": at}


def test_figures_of_a_day(tmp_path: Path) -> None:
    incidents = {
        "a": incident(1, "low", "new"),
        "b": incident(2, "critical", "open"),
        "c": incident(3, "high", "closed"),
        "old": incident(-1, "critical", "new"),
    }
    minutes = 60 * NANOSECONDS
    verdicts = {
        "1": {"incident_id": "a", "at": BEGIN + 11 * minutes},
        "2": {"incident_id": "c", "at": BEGIN + 33 * minutes},
        "3": {"incident_id": "c", "at": BEGIN + 90 * minutes},
        "4": {"incident_id": "gone", "at": BEGIN + 90 * minutes},
    }
    records = cast("RecordStore", ListedRecords({"incidents": incidents, "verdicts": verdicts}))
    flows = flow_frame(700)
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", flows, "a")
        found = dashboard(records, tables, "t", INCIDENTS, VERDICTS, BEGIN, BEGIN + DAY)
    assert found.incidents == 3
    assert found.levels == {"informational": 0, "low": 1, "medium": 0, "high": 1, "critical": 1}
    assert found.statuses == {"new": 1, "open": 1, "closed": 1}
    assert [threat.incident_id for threat in found.top_threats] == ["c", "b", "a"]
    assert found.verdicts == Verdicts(2, 20 * 60.0, 20 * 60.0)
    assert found.flows == 700
    assert found.flows_per_s == pytest.approx(700 / 86_400)
    assert found.bytes == sum(flows["orig_bytes"].to_list()) + sum(flows["resp_bytes"].to_list())
    assert len(found.top_talkers) == 7
    assert [talker.bytes for talker in found.top_talkers] == sorted((t.bytes for t in found.top_talkers), reverse=True)
    assert found.protocols == [Share("tls", 234), Share("", 233), Share("dns", 233)]
    assert (found.detections, found.categories) == (0, [])
    assert msgspec.json.decode(msgspec.json.encode(found), type=type(found)) == found


def found_at(found: list[tuple[int, Severity]]) -> pl.DataFrame:
    """Return rows of detections of a severity at a time."""
    evidence = Evidence(summary="", measures={}, thresholds={})
    return detection_frame(
        Detection(str(place), at, "probe", "scan", severity, 0.5, 0.5, [1], None, None, [], evidence)
        for place, (at, severity) in enumerate(found)
    )


def test_hours_are_those_of_the_clock(tmp_path: Path) -> None:
    flows = flow_frame(700, step=10 * NANOSECONDS)
    late = BEGIN + 59 * 60 * NANOSECONDS
    with ParquetTables(tmp_path, SetClock()) as tables:
        tables.append("t", "flows", flows, "a")
        tables.append("t", "detections", found_at([(BEGIN, "low"), (late, "high"), (late, "high")]), "a")
        hours = activity(tables, "t", BEGIN + 7 * NANOSECONDS, BEGIN + 2 * HOUR + 1)
    assert [hour.start for hour in hours] == [BEGIN, BEGIN + HOUR, BEGIN + 2 * HOUR]
    assert [hour.flows for hour in hours] == [360, 340, 0]
    assert sum(hour.bytes for hour in hours) == sum(flows["orig_bytes"].to_list()) + sum(flows["resp_bytes"].to_list())
    assert hours[0].detections == {"informational": 0, "low": 1, "medium": 0, "high": 2, "critical": 0}
    assert hours[2] == Hour(BEGIN + 2 * HOUR, 0, 0.0, dict.fromkeys(hours[0].detections, 0))
