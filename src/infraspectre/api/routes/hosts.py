"""Hosts: how each stands, what it did, and what of that is not usual."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import polars as pl
from litestar import get

from infraspectre.analytics import behaviour as behaviours
from infraspectre.analytics.behaviour import BehaviourChange, Measures
from infraspectre.analytics.hosts import (
    DAY,
    UNDECIDED,
    Activity,
    Host,
    HostIncident,
    Past,
    activity,
    host_of,
    newest,
    past,
)
from infraspectre.api.given import GivenDirectories, GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import asked
from infraspectre.api.problems import RefusedError
from infraspectre.api.routes.assets import asset_of
from infraspectre.api.routes.incidents import IncidentSummary, detail_of
from infraspectre.api.routes.tables import DETECTIONS, Row
from infraspectre.api.rows import page_of_rows
from infraspectre.ports import Stored
from infraspectre.records import Asset
from infraspectre.records.address import parse_address
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.detection import Severity
from infraspectre.records.queries import Filter, Kind, Order, Query
from infraspectre.records.tables import ADDRESS, detection_object
from infraspectre.records.times import rfc3339
from infraspectre.serving.platform import Platform

PATH = "/api/v1/hosts"
MOST_LATEST = 20
"""Incidents and detections of a host that are shown."""
MOST_COUNTED = 10_000
NO_HOST = "there is no such host"
HOST_FIELDS: dict[str, Kind] = {
    "address": "text", "name": "text", "role": "texts", "criticality": "text", "place": "text", "level": "text",
    "value": "real", "incidents": "integer", "first_seen": "integer", "last_seen": "integer", "flows": "integer",
    "bytes": "integer", "bytes_in": "integer", "bytes_out": "integer",
}  # fmt: skip
"""By which hosts are found; `role` asks for one of its roles."""
WORST_FIRST = Order("value", descending=True)


class HostSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Is a host as lists show it; flows and bytes are those of the span that the answer names."""

    address: str
    name: str
    """As assets say, else as it called itself; empty where neither is known."""
    roles: list[str]
    criticality: Severity | None
    place: Literal["inside", "outside"]
    incidents: int
    """Open ones in which it takes part."""
    level: Severity | None
    """That of the worst of them."""
    value: float | None
    """The highest threat score of them."""
    first_seen: str | None
    """Within the span, or the open incidents."""
    last_seen: str | None
    flows: int
    bytes: int
    bytes_in: int
    bytes_out: int


class PageOfHosts(msgspec.Struct, frozen=True, kw_only=True):
    """Is a part of the list of hosts."""

    items: list[HostSummary]
    next: str | None
    """Give it as `after` for the page that follows; null on the last page."""
    start: str
    """Flows and bytes are counted from here on: the last 24 hours for which there are flows."""
    end: str
    hosts: int
    """Hosts that are known: those with the most bytes, at most 10,000, and those in incidents."""
    incidents: int
    """Open incidents that were counted: those with the highest scores, at most 5,000."""
    is_whole: bool
    """Whether these are all hosts of the span, and all open incidents."""


class HostDetail(msgspec.Struct, frozen=True, kw_only=True):
    """Is a host with what it did, and what of that is not usual."""

    summary: HostSummary
    owner: str
    """As assets say; empty where that is not known."""
    activity: Activity
    day: Measures
    """What it did in the last day of the span."""
    day_before: Measures | None
    """What it did in the day before; null where that was not looked at."""
    changes: list[BehaviourChange]
    """Measures that became at least three times as large or as small from day to day."""
    incidents: list[IncidentSummary]
    """The latest 20."""
    detections: list[Row]
    """The latest 20."""


def summary_shown(host: Host) -> HostSummary:
    """Return a host as it is shown."""
    same = (
        "address", "name", "roles", "criticality", "incidents", "level", "value", "flows", "bytes", "bytes_in",
        "bytes_out",
    )  # fmt: skip
    return HostSummary(
        **{name: getattr(host, name) for name in same},
        place=place_of(host),
        first_seen=rfc3339(host.first_seen) if host.last_seen else None,
        last_seen=rfc3339(host.last_seen) if host.last_seen else None,
    )


def place_of(host: Host) -> Literal["inside", "outside"]:
    """Return whether a host belongs to the site."""
    return "inside" if host.inside else "outside"


def value_of(host: Host, field: str) -> Any:
    """Return what a host is filtered and sorted by."""
    if field == "place":
        return place_of(host)
    return getattr(host, "roles" if field == "role" else field)


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(HOST_FIELDS, HostSummary.__struct_fields__)},
    sync_to_thread=True,
)
def list_hosts(principal: GivenPrincipal, directories: GivenDirectories, question: GivenQuestion) -> PageOfHosts:
    """List hosts with their open incidents and the traffic of the last day of data; the worst come first."""
    found = directories.of(principal.tenant)
    query = question.query
    wanted = Query(query.filters, query.order or WORST_FIRST, query.limit, query.after)
    rows, after = page_of_rows(found.hosts, wanted, HOST_FIELDS, value_of, "address")
    page = question.page((msgspec.structs.asdict(summary_shown(each)) for each in rows), after)
    span = {"start": rfc3339(found.start), "end": rfc3339(found.end)}
    counted = {"hosts": len(found.hosts), "incidents": found.incidents, "is_whole": found.is_whole}
    answer: PageOfHosts = page | span | counted
    return answer


@get(PATH + "/{address:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_host(
    platform: GivenPlatform, principal: GivenPrincipal, directories: GivenDirectories, address: InPath
) -> HostDetail:
    """Show a host: what it did beside its days before, its peers, services, incidents and detections."""
    parsed = parse_address(address)
    if parsed is None:
        raise RefusedError("not-found", NO_HOST)
    name, tenant = str(parsed), principal.tenant
    known = past(platform.tables, tenant, name, newest(platform.tables, tenant, platform.clock.now()))
    latest = latest_incidents(platform, tenant, name)
    asset = asset_of(platform.records, tenant, parsed) or directories.site(tenant).find(name)
    if not known.flows.height and not latest and asset is None:
        raise RefusedError("not-found", NO_HOST)
    recent = known.flows.filter(pl.col("started_at") >= known.end - 2 * DAY)
    found = behaviours.behaviour(name, [recent], known.end - DAY, known.end)
    is_comparable = known.start <= known.end - 2 * DAY
    return HostDetail(
        summary=summary_shown(judged(platform, tenant, described(name, latest, asset), known, found.now)),
        owner=(asset.owner if asset else None) or "",
        activity=activity(known, name),
        day=found.now,
        day_before=found.before if is_comparable else None,
        changes=found.changes if is_comparable else [],
        incidents=[detail_of(each).summary for each in latest],
        detections=latest_detections(platform, tenant, name),
    )


def described(address: str, latest: Sequence[Stored], asset: Asset | None) -> Host:
    """Return a host as its latest incidents and its owner call it."""
    host = host_of(address)
    for each in latest:
        told = msgspec.json.decode(each.body, type=HostIncident).incident.assets.get(address)
        if told is not None:
            host.called(told)
    host.own(asset)
    return host


def latest_incidents(platform: Platform, tenant: str, address: str) -> list[Stored]:
    """Return the latest incidents in which a host takes part, the last one first."""
    query = Query((Filter("entities", "=", (address,)),), Order("last_seen", descending=True), MOST_LATEST)
    return platform.records.page(tenant, INCIDENTS, query).rows


def latest_detections(platform: Platform, tenant: str, address: str) -> list[Row]:
    """Return the latest detections that name a host, the last one first."""
    query = Query((Filter(ADDRESS, "=", (address,)),), limit=MOST_LATEST)
    rows, _ = platform.tables.page(tenant, DETECTIONS.name, query, DETECTIONS.listed)
    return [detection_object(row) for row in rows]


def judged(platform: Platform, tenant: str, host: Host, known: Past, day: Measures) -> Host:
    """Count the open incidents of a host, note the worst, and what it carried in the last day."""
    asked_for = (Filter("entities", "=", (host.address,)), Filter("status", "=", UNDECIDED))
    for row in platform.records.page(tenant, INCIDENTS, Query(asked_for, WORST_FIRST, 1)).rows:
        host.take_part(msgspec.json.decode(row.body, type=HostIncident))
        host.incidents = platform.records.count(tenant, INCIDENTS, Query(asked_for), MOST_COUNTED)
    host.flows, host.bytes_in, host.bytes_out = day.flows, day.received_bytes, day.sent_bytes
    times = known.flows["started_at"].filter(known.flows["started_at"] >= known.end - DAY)
    if len(times):
        host.seen(int(times.min()), int(times.max()))  # type: ignore[arg-type]
    return host


HANDLERS = [list_hosts, show_host]
