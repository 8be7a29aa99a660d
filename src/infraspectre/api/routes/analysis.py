"""Analysis on request: detection in flows that are sent, behaviour of a host, state of the network, enrichment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from ipaddress import ip_address
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.analytics import behaviour as behaviours
from infraspectre.analytics import network as networks
from infraspectre.analytics.behaviour import Behaviour
from infraspectre.analytics.network import Network
from infraspectre.api.bodies import MOST_ROWS_BODY
from infraspectre.api.given import GivenHeavy, GivenPlatform, GivenPrincipal
from infraspectre.api.problems import about_content
from infraspectre.api.routes import assets
from infraspectre.errors import InputError
from infraspectre.intel.attack import attack_table
from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.records import Asset
from infraspectre.records.access import Principal
from infraspectre.records.address import parse_address
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.indicators import FoundIndicator
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.times import LATEST, UNITS, from_datetime
from infraspectre.serving.detecting import MOST_FLOWS, detect
from infraspectre.serving.intelligence import intelligence_of
from infraspectre.serving.platform import Platform

DAY = UNITS["d"]
MOST_SPAN = 31 * DAY
MOST_NAMED = 100
Cell = str | int | float | bool | None | list[str | int | float | None]
Time = Annotated[datetime, Meta(tz=True)]


class DetectRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds finished flows, with the columns that `infraspectre features` lists; times in RFC 3339 or nanoseconds."""

    flows: Annotated[list[dict[str, Cell]], Meta(min_length=1, max_length=MOST_FLOWS)]


class Detected(msgspec.Struct, frozen=True):
    """Is what was found in flows."""

    flows: int
    detections: list[dict[str, Any]]
    """As lines of `detections.jsonl`."""
    incidents: list[dict[str, Any]]
    """As lines of `incidents.jsonl`, the most threatening first."""


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Is a span of time, at most 31 days; the last day by default."""

    start: Time | None = None
    end: Time | None = None


class BehaviourRequest(Span, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Asks what a host did."""

    entity: Annotated[str, Meta(min_length=2, max_length=45)]
    """Its address."""


class BehaviourAnswer(msgspec.Struct, frozen=True):
    """Is what a host did, what of it is new, and what was found."""

    behaviour: Behaviour
    asset: Asset | None
    incidents: list[str]
    """The incidents of the span in which it takes part."""


class NetworkAnswer(msgspec.Struct, frozen=True):
    """Is what the network carried, and how many incidents there were, by level."""

    network: Network
    incidents: dict[str, int]


class EnrichRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Names what somebody wants to know about: addresses, networks, domains, URLs, hashes, techniques."""

    values: Annotated[list[str], Meta(min_length=1, max_length=MOST_NAMED)]


class Enriched(msgspec.Struct, frozen=True):
    """Is what is known about a value."""

    value: str
    indicators: list[FoundIndicator]
    asset: Asset | None
    technique: str | None
    """The name of the ATT&CK technique, if it is one's identity."""
    incidents: list[str]
    """The latest incidents in which it takes part, at most 10."""


class Enrichment(msgspec.Struct, frozen=True):
    """Is what is known about values, in their order."""

    values: list[Enriched]


@post("/api/v1/detect", opt={"permission": "read"}, status_code=200, request_max_body_size=MOST_ROWS_BODY)
async def detect_in_flows(
    platform: GivenPlatform, principal: GivenPrincipal, heavy: GivenHeavy, data: JSONBody[DetectRequest]
) -> Detected:
    """Find detections and incidents in flows; nothing is kept."""
    with about_content():
        return await heavy.run(detected, platform, principal.tenant, data.flows)


def detected(platform: Platform, tenant: str, flows: list[dict[str, Any]]) -> Detected:
    """Return what the pipeline finds in flows, with all that the tenant knows."""
    return Detected(len(flows), *detect(flows, platform.settings, intelligence_of(platform, tenant)))


@post("/api/v1/behaviour", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def analyze_behaviour(
    platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[BehaviourRequest]
) -> BehaviourAnswer:
    """Say what a host did in a span of time, beside the span before."""
    with about_content():
        (start, end), entity = span_of(platform, data), address_of(data.entity)
    frames = platform.tables.scan(principal.tenant, "flows", 2 * start - end, end, behaviours.COLUMNS, entity)
    found = behaviours.behaviour(entity, frames, start, end)
    return BehaviourAnswer(
        found, asset_of(platform, principal, entity), incidents_of(platform, principal, entity, start)
    )


@post("/api/v1/network", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def monitor_network(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[Span]) -> NetworkAnswer:
    """Say what the network carried in a span of time."""
    with about_content():
        start, end = span_of(platform, data)
    frames = platform.tables.scan(principal.tenant, "flows", start, end, networks.COLUMNS)
    return NetworkAnswer(networks.network(frames, start, end), levels_of(platform, principal, start))


@post("/api/v1/enrich", opt={"permission": "read"}, status_code=200, sync_to_thread=True)
def enrich(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[EnrichRequest]) -> Enrichment:
    """Say what threat intelligence, assets, ATT&CK and incidents know about values."""
    known = intelligence_of(platform, principal.tenant).index
    return Enrichment([enriched(platform, principal, known, value) for value in data.values])


def enriched(platform: Platform, principal: Principal, index: IndicatorIndex, value: str) -> Enriched:
    """Return what is known about a value."""
    try:
        indicators = index.find(value, platform.clock.now())
    except ValueError:  # nothing that an indicator could be
        indicators = []
    known = attack_table().techniques.get(value)
    incidents = incidents_of(platform, principal, value, 0, 10)
    return Enriched(value, indicators, asset_of(platform, principal, value), known[0] if known else None, incidents)


def span_of(platform: Platform, span: Span, usual: int = DAY, most: int = MOST_SPAN) -> tuple[int, int]:
    """Return the ends of a span in nanoseconds, by default the last so many; raises InputError for no sound one."""
    end = platform.clock.now() if span.end is None else from_datetime(span.end)
    start = end - usual if span.start is None else from_datetime(span.start)
    if not 0 < end - start <= most or not 0 <= start <= end <= LATEST:
        remedy = "choose a start before the end, both from 1970 on"
        raise InputError(f"is no span of at most {most // DAY} days", field="start", remedy=remedy)
    return start, end


def address_of(text: str) -> str:
    """Return an address in its normal form; raises InputError."""
    try:
        return str(ip_address(text))
    except ValueError as error:
        raise InputError("is no address", field="entity") from error


def asset_of(platform: Platform, principal: Principal, value: str) -> Asset | None:
    """Return what the owner said about an address, or about the smallest network around it."""
    address = parse_address(value)
    return None if address is None else assets.asset_of(platform.records, principal.tenant, address)


def incidents_of(
    platform: Platform, principal: Principal, entity: str, start: int, most: int = MOST_NAMED
) -> list[str]:
    """Return the latest incidents since a time in which somebody takes part."""
    filters = (Filter("entities", "=", (entity,)), Filter("last_seen", ">=", (start,)))
    query = Query(filters, Order("last_seen", descending=True), most)
    return [row.key for row in platform.records.page(principal.tenant, INCIDENTS, query, is_listed=True).rows]


def levels_of(platform: Platform, principal: Principal, start: int) -> dict[str, int]:
    """Count the incidents since a time by level."""
    from infraspectre.records.detection import SEVERITIES

    def filters(level: str) -> Sequence[Filter]:
        return Filter("level", "=", (level,)), Filter("last_seen", ">=", (start,))

    return {
        level: platform.records.count(principal.tenant, INCIDENTS, Query(tuple(filters(level)))) for level in SEVERITIES
    }


HANDLERS = [detect_in_flows, analyze_behaviour, monitor_network, enrich]
