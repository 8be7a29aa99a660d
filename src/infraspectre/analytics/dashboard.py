"""Figures of the day: what is open, what is worst, who talks most, and how fast verdicts are given."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median
from typing import Any

import msgspec
import polars as pl

from infraspectre.ports import RecordStore, TableStore
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.queries import Collection, Filter, Order, Query
from infraspectre.records.times import NANOSECONDS, UNITS

HOUR = UNITS["h"]
STATUSES = ("new", "open", "closed")
TOP = 10
MOST_COUNTED = 100_000
MOST_VERDICTS = 1_000
"""Verdicts whose time is measured, the last ones."""


class Threat(msgspec.Struct, frozen=True):
    """Names an incident of the span with the highest scores."""

    incident_id: str
    title: str
    level: str
    value: float
    raised_at: int


class Talker(msgspec.Struct, frozen=True):
    """Says how much a host began and moved."""

    address: str
    flows: int
    bytes: float


class Share(msgspec.Struct, frozen=True):
    """Counts what is of one kind."""

    name: str
    count: int


class Verdicts(msgspec.Struct, frozen=True):
    """Says how long incidents waited for their verdict, in seconds; None without any."""

    count: int
    mean_s: float | None
    median_s: float | None


class Hour(msgspec.Struct, frozen=True):
    """Holds the figures of a whole hour."""

    start: int
    flows: int
    bytes: float
    detections: dict[str, int]
    """By severity."""


class Dashboard(msgspec.Struct, frozen=True):
    """Holds the figures of a span of time."""

    start: int
    end: int
    incidents: int
    levels: dict[str, int]
    statuses: dict[str, int]
    top_threats: list[Threat]
    top_talkers: list[Talker]
    categories: list[Share]
    """Detections by what they found, the most frequent first."""
    protocols: list[Share]
    """Flows by application protocol; the empty name is unknown."""
    flows: int
    bytes: float
    flows_per_s: float
    detections: int
    detections_per_hour: float
    verdicts: Verdicts
    activity: list[Hour]
    """Every hour that the span touches, in order of time, each as a whole."""


def dashboard(
    records: RecordStore,
    tables: TableStore,
    tenant: str,
    incidents: Collection,
    verdicts: Collection,
    start: int,
    end: int,
) -> Dashboard:
    """Return the figures of a span, in nanoseconds; incidents and verdicts are the collections that hold them."""
    span = (Filter("raised_at", ">=", (start,)), Filter("raised_at", "<", (end,)))

    def counted(*more: Filter) -> int:
        return records.count(tenant, incidents, Query((*span, *more)), MOST_COUNTED)

    protocols = tables.totals(tenant, "flows", start, end, ("app_protocol",), 0)
    categories = tables.totals(tenant, "detections", start, end, ("category",), 0)
    talkers = tables.totals(tenant, "flows", start, end, ("orig_ip",), 0, TOP)
    flows, found = int(protocols["rows"].sum()), int(categories["rows"].sum())
    seconds = max(end - start, 1) / NANOSECONDS
    return Dashboard(
        start,
        end,
        counted(),
        {level: counted(Filter("level", "=", (level,))) for level in SEVERITIES},
        {status: counted(Filter("status", "=", (status,))) for status in STATUSES},
        top_threats(records, tenant, incidents, span),
        [Talker(str(name), rows, total) for _, name, rows, total in talkers.iter_rows()],
        shares(categories, "category"),
        shares(protocols, "app_protocol"),
        flows,
        float(protocols["bytes"].sum()),
        flows / seconds,
        found,
        found / seconds * 3_600,
        time_to_verdict(records, tenant, incidents, verdicts, (start, end)),
        activity(tables, tenant, start, end),
    )


def activity(tables: TableStore, tenant: str, start: int, end: int) -> list[Hour]:
    """Return what each hour that a span touches carried, and what was found in it."""
    first = start // HOUR * HOUR  # so that the hours are those of the clock
    flows = tables.totals(tenant, "flows", first, end, (), HOUR)
    moved = {bucket: (rows, total) for bucket, rows, total in flows.select("bucket", "rows", "bytes").iter_rows()}
    nothing: dict[str, int] = dict.fromkeys(SEVERITIES, 0)
    found: dict[int, dict[str, int]] = {}
    detections = tables.totals(tenant, "detections", first, end, ("severity",), HOUR)
    for bucket, severity, rows in detections.select("bucket", "severity", "rows").iter_rows():
        found.setdefault(bucket, nothing.copy())[severity] = rows
    return [Hour(at, *moved.get(at, (0, 0.0)), found.get(at, nothing)) for at in range(first, end, HOUR)]


def top_threats(records: RecordStore, tenant: str, incidents: Collection, span: Sequence[Filter]) -> list[Threat]:
    """Return the incidents with the highest scores."""
    page = records.page(tenant, incidents, Query(tuple(span), Order("value", descending=True), TOP))
    bodies: list[tuple[str, dict[str, Any]]] = [(row.key, msgspec.json.decode(row.body)) for row in page.rows]
    return [
        Threat(key, str(body["title"]), str(body["level"]), float(body["value"]), int(body["raised_at"]))
        for key, body in bodies
    ]


def shares(counts: pl.DataFrame, name: str) -> list[Share]:
    """Return counts by their names, the greatest first."""
    rows = counts.sort("rows", name, descending=[True, False]).select(name, "rows").iter_rows()
    return [Share(each or "", count) for each, count in rows]


def time_to_verdict(
    records: RecordStore, tenant: str, incidents: Collection, verdicts: Collection, span: tuple[int, int]
) -> Verdicts:
    """Return how long incidents waited for the first verdict that was given in a span."""
    asked = (Filter("at", ">=", (span[0],)), Filter("at", "<", (span[1],)))
    page = records.page(tenant, verdicts, Query(asked, Order("at", descending=True), MOST_VERDICTS))
    given: dict[str, int] = {}
    for row in page.rows:
        verdict = msgspec.json.decode(row.body)
        given[verdict["incident_id"]] = verdict["at"]
    waits = []
    for incident_id, at in given.items():
        stored = records.get(tenant, incidents, incident_id)
        if stored is not None:
            waits.append(max(at - msgspec.json.decode(stored.body)["raised_at"], 0) / NANOSECONDS)
    return Verdicts(len(waits), fmean(waits) if waits else None, median(waits) if waits else None)
