"""Flows and detections: what was seen, and what was found in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import get

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.records.queries import Filter, Query
from infraspectre.records.tables import Table, detection_object, detections_table, flows_table, row_object

FLOWS, DETECTIONS = flows_table(), detections_table()
Row = dict[str, Any]


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
    answer: PageOf[Row] = question.page(map(row_object, rows), after)
    return answer


@get("/api/v1/flows/{flow_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_flow(platform: GivenPlatform, principal: GivenPrincipal, flow_id: InPath) -> Row:
    """Show a flow with all its columns that are known."""
    if not (flow_id.isascii() and flow_id.isdecimal() and len(flow_id) <= 20):
        raise RefusedError("not-found", "there is no such flow")
    query = Query((Filter(FLOWS.key, "=", (int(flow_id),)),), limit=1)
    rows, _ = platform.tables.page(principal.tenant, FLOWS.name, query, list(FLOWS.columns))
    if not rows:
        raise RefusedError("not-found", "there is no such flow")
    return {name: value for name, value in row_object(rows[0]).items() if value is not None}


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
    answer: PageOf[Row] = question.page(map(detection_object, rows), after)
    return answer


@get("/api/v1/detections/{detection_id:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_detection(platform: GivenPlatform, principal: GivenPrincipal, detection_id: InPath) -> Row:
    """Show a detection with its evidence."""
    query = Query((Filter("detection_id", "=", (detection_id,)),), limit=1)
    rows, _ = platform.tables.page(principal.tenant, DETECTIONS.name, query, list(DETECTIONS.columns))
    if not rows:
        raise RefusedError("not-found", "there is no such detection")
    return detection_object(rows[0])


HANDLERS = [list_flows, show_flow, list_detections, show_detection]
