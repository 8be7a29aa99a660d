"""Flows and detections: what was seen, and what was found in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import get

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.records.queries import Filter, Query
from infraspectre.records.tables import Table, detections_table, flows_table
from infraspectre.records.times import rfc3339

FLOWS, DETECTIONS = flows_table(), detections_table()
TIMES = ("started_at", "ended_at", "at", "first_seen", "last_seen")
FLOW_ID = "flow_id"
Row = dict[str, Any]


def shown(row: Mapping[str, Any]) -> Row:
    """Return a row as people and programs read it.

    Times are RFC 3339, and the identity of a flow is text: it has 64 bits, of which numbers in JSON may keep 53.
    """
    told = {name: rfc3339(value) if name in TIMES and value is not None else value for name, value in row.items()}
    if FLOW_ID in told:
        told[FLOW_ID] = str(told[FLOW_ID])
    return told


def detection_shown(row: Mapping[str, Any]) -> Row:
    """Return a row of detections as a line of `detections.jsonl`."""
    told = shown(row)
    if "technique_names" in told:
        names = told.pop("technique_names")
        told["techniques"] = [{"id": each, "name": name} for each, name in zip(told["techniques"], names, strict=True)]
    if "evidence" in told:
        told.pop("summary", None)
        told["evidence"] = msgspec.json.decode(told["evidence"])
    return told


def columns_of(table: Table, fields: frozenset[str]) -> Sequence[str]:
    """Return which columns are read for the fields asked for."""
    return table.listed if not fields else [name for name in table.columns if name in fields]


@get(
    "/api/v1/flows",
    opt={"permission": "read"},
    dependencies={"question": asked(FLOWS.fields, FLOWS.columns)},
    sync_to_thread=True,
)
def list_flows(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[Row]:
    """List flows; without `fields`, with those that lists show."""
    columns = columns_of(FLOWS, question.fields)
    rows, after = platform.tables.page(principal.tenant, FLOWS.name, question.query, columns)
    answer: PageOf[Row] = question.page(map(shown, rows), after)
    return answer


@get("/api/v1/flows/{flow_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_flow(platform: GivenPlatform, principal: GivenPrincipal, flow_id: InPath) -> Row:
    """Show a flow with all its columns that are known."""
    if not (flow_id.isascii() and flow_id.isdecimal() and len(flow_id) <= 20):
        raise RefusedError("not-found", "there is no such flow")
    query = Query((Filter(FLOW_ID, "=", (int(flow_id),)),), limit=1)
    rows, _ = platform.tables.page(principal.tenant, FLOWS.name, query, list(FLOWS.columns))
    if not rows:
        raise RefusedError("not-found", "there is no such flow")
    return {name: value for name, value in shown(rows[0]).items() if value is not None}


@get(
    "/api/v1/detections",
    opt={"permission": "read"},
    dependencies={"question": asked(DETECTIONS.fields, DETECTIONS.columns)},
    sync_to_thread=True,
)
def list_detections(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[Row]:
    """List detections; without `fields`, with all but their evidence."""
    columns = columns_of(DETECTIONS, question.fields)
    rows, after = platform.tables.page(principal.tenant, DETECTIONS.name, question.query, columns)
    answer: PageOf[Row] = question.page(map(detection_shown, rows), after)
    return answer


@get("/api/v1/detections/{detection_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_detection(platform: GivenPlatform, principal: GivenPrincipal, detection_id: InPath) -> Row:
    """Show a detection with its evidence."""
    query = Query((Filter("detection_id", "=", (detection_id,)),), limit=1)
    rows, _ = platform.tables.page(principal.tenant, DETECTIONS.name, query, list(DETECTIONS.columns))
    if not rows:
        raise RefusedError("not-found", "there is no such detection")
    return detection_shown(rows[0])


HANDLERS = [list_flows, show_flow, list_detections, show_detection]
