"""The incident in depth: its timeline and graph, the flows behind it, and incidents like it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.params import QueryParameter

from infraspectre.api.given import GivenPlatform, GivenPrincipal, InPath
from infraspectre.api.pages import PageOf, any_of, begin_of, checked_fields
from infraspectre.api.routes.incidents import PATH, found
from infraspectre.api.routes.tables import FLOWS, Row, columns_of
from infraspectre.records.access import Principal
from infraspectre.records.detection import Severity, Technique
from infraspectre.records.graph import Graph
from infraspectre.records.queries import MOST_ALTERNATIVES
from infraspectre.records.tables import row_object
from infraspectre.records.times import rfc3339
from infraspectre.serving.investigation import MOST_FLOWS, Investigation, Likeness
from infraspectre.serving.platform import Platform

ONE = PATH + "/{incident_id:str}"
MOST_FLOW_IDS = 50
"""Flows that an entry of a timeline names; `/flows` has all."""
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ALTERNATIVES, description="Items at the most.")]
After = Annotated[str | None, QueryParameter(max_length=4_096, description="The `next` of the page before.")]
Fields = Annotated[
    str | None,
    QueryParameter(
        schema_extra={"pattern": f"^({any_of(FLOWS.columns)})(,({any_of(FLOWS.columns)}))*$"},
        description="Columns of flows that items shall have; those of lists by default.",
    ),
]


class TimelineEntry(msgspec.Struct, frozen=True):
    """Is a detection as it happened."""

    at: str
    first_seen: str
    last_seen: str
    detection_id: str
    detector: str
    category: str
    severity: Severity
    score: float
    probability: float
    orig: str | None
    resp: str | None
    techniques: list[Technique]
    summary: str
    flow_ids: list[str]
    """At most 50, as text: identities have 64 bits."""
    flows: int
    """How many flows are behind it in all, as far as its detector counted them."""


class Timeline(msgspec.Struct, frozen=True):
    """Is what happened in an incident, in order of time."""

    items: list[TimelineEntry]
    detections: int
    """All that were joined; beyond those told here, the least telling are no longer kept with the incident."""


class SimilarIncident(msgspec.Struct, frozen=True):
    """Is another incident that shows much of the same."""

    incident_id: str
    title: str
    level: Severity
    value: float
    similarity: float
    """Index of Jaccard of the families of findings and the techniques of both, 0 to 1."""
    shared_techniques: list[str]
    shared_categories: list[str]
    shared_entities: list[str]
    verdict: str
    """What people said of it; empty until somebody did."""
    status: str
    last_seen: str


class SimilarIncidents(msgspec.Struct, frozen=True):
    """Holds the incidents that are most like one, the most like first."""

    items: list[SimilarIncident]
    compared: int
    """The latest that share a technique, a category or a host, of which these are the most alike."""


def behind(platform: Platform, principal: Principal, incident_id: str) -> Investigation:
    """Return what looks behind an incident; raises RefusedError where the tenant has none."""
    return Investigation(platform, principal.tenant, found(platform, principal, incident_id))


def entry_of(detection: dict[str, Any]) -> TimelineEntry:
    """Return an entry of a timeline of a line of `detections.jsonl`."""
    evidence = detection["evidence"]
    kept = {name: detection[name] for name in TimelineEntry.__struct_fields__ if name in detection}
    flow_ids = list(map(str, detection["flow_ids"]))
    told = {
        "techniques": msgspec.convert(detection["techniques"], list[Technique]),
        "summary": evidence["summary"],
        "flow_ids": flow_ids[:MOST_FLOW_IDS],
        "flows": max(int(evidence.get("measures", {}).get("flows", 0)), len(flow_ids)),
    }
    return TimelineEntry(**kept | told)


def similar_of(each: Likeness) -> SimilarIncident:
    """Return what is shown of a comparable incident."""
    looks = each.looks
    told = {name: getattr(looks, name) for name in ("title", "level", "value", "verdict", "status")}
    return SimilarIncident(
        incident_id=each.incident_id,
        similarity=each.similarity,
        shared_techniques=each.techniques,
        shared_categories=each.categories,
        shared_entities=each.entities,
        last_seen=rfc3339(looks.last_seen),
        **told,
    )


@get(ONE + "/timeline", opt={"permission": "read"}, sync_to_thread=True)
def show_timeline(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath) -> Timeline:
    """Show the detections of an incident in order of time."""
    investigation = behind(platform, principal, incident_id)
    return Timeline(list(map(entry_of, investigation.detections())), investigation.joined)


@get(ONE + "/graph", opt={"permission": "read"}, sync_to_thread=True)
def show_incident_graph(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath) -> Graph:
    """Show who did what to whom in an incident, at most 500 nodes, and what flowed between them."""
    return behind(platform, principal, incident_id).graph()


@get(ONE + "/similar", opt={"permission": "read"}, sync_to_thread=True)
def list_similar_incidents(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath) -> SimilarIncidents:
    """List the incidents of the tenant that are most like one, with what people said of them."""
    near, compared = behind(platform, principal, incident_id).similar()
    return SimilarIncidents(list(map(similar_of, near)), compared)


@get(ONE + "/flows", opt={"permission": "read"}, sync_to_thread=True)
def list_incident_flows(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    incident_id: InPath,
    limit: Limit = 100,
    after: After = None,
    fields: Fields = None,
) -> PageOf[Row]:
    """List the flows behind an incident, those of its first detections first; what retention removed is missing."""
    investigation = behind(platform, principal, incident_id)
    chosen = checked_fields(frozenset() if fields is None else frozenset(fields.split(",")), frozenset(FLOWS.columns))
    every, start = investigation.flow_ids(), begin_of(after, MOST_FLOWS)
    rows = map(row_object, investigation.flows(every[start : start + limit], columns_of(FLOWS, chosen)))
    end = start + limit
    return PageOf(list(rows), str(end) if end < len(every) else None)


HANDLERS = [show_timeline, show_incident_graph, list_similar_incidents, list_incident_flows]
