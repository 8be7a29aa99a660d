"""Incidents: what there is, what people decide about it, and what stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta

from infraspectre.api.etags import tagged
from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, GivenRevision, InPath
from infraspectre.api.pages import PageOf, Question, asked
from infraspectre.api.problems import RefusedError
from infraspectre.api.reading import soon
from infraspectre.errors import InputError
from infraspectre.ports import Stored
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS, VERDICTS
from infraspectre.records.detection import Severity
from infraspectre.records.times import rfc3339
from infraspectre.serving.platform import Platform
from infraspectre.serving.triage import Status, Triage, Verdict

PATH = "/api/v1/incidents"
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Comment = Annotated[str, Meta(max_length=4_000)]


class IncidentSummary(msgspec.Struct, frozen=True):
    """Is an incident as lists show it."""

    incident_id: str
    title: str
    level: Severity
    value: float
    """The threat score, 0 to 100; `low` and `high` are the ends of its 90% interval."""
    low: float
    high: float
    probability: float
    status: Status
    verdict: str
    """What people said of it; empty until somebody did."""
    assignee: str
    first_seen: str
    """RFC 3339, as are all times."""
    last_seen: str
    raised_at: str
    entities: list[str]
    techniques: list[str]
    categories: list[str]
    campaign_id: str
    sensor: str
    revision: int
    """Its ETag is this number in quotes."""


class IncidentDetail(msgspec.Struct, frozen=True):
    """Is an incident with all that is known of it."""

    summary: IncidentSummary
    incident: dict[str, Any]
    """As a line of `incidents.jsonl`: story, explanation, response plan."""
    detections: list[dict[str, Any]]
    """Its most telling detections, as lines of `detections.jsonl`."""


class IncidentChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what shall be otherwise; what is left out stays."""

    status: Status | msgspec.UnsetType = msgspec.UNSET
    assignee: Annotated[str, Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    """The name of a user; empty for nobody."""


class NewVerdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what an analyst found an incident to be."""

    verdict: Verdict
    comment: Comment = ""


class Feedback(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what an analyst found an incident to be, from which the models learn."""

    incident_id: Name
    verdict: Verdict
    comment: Comment = ""


class GivenVerdict(msgspec.Struct, frozen=True):
    """Is a verdict as it is kept."""

    verdict_id: str
    incident_id: str
    verdict: Verdict
    comment: str
    by: str
    at: str


class Parameters(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Holds what the operation needs: a status to update, a user to assign to, or a verdict to classify with."""

    status: Status | msgspec.UnsetType = msgspec.UNSET
    assignee: Annotated[str, Meta(max_length=200)] | msgspec.UnsetType = msgspec.UNSET
    verdict: Verdict | msgspec.UnsetType = msgspec.UNSET
    comment: Comment = ""


class BulkOperation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Does the same with many incidents."""

    operation: Literal["update_status", "assign", "classify"]
    incident_ids: Annotated[list[str], Meta(min_length=1, max_length=1_000)]
    parameters: Parameters


class BulkResult(msgspec.Struct, frozen=True):
    """Says what became of each incident."""

    changed: list[str]
    failed: dict[str, str]
    """Why, by the identity of the incident."""


REMEMBERED = 1_000
RAW = msgspec.field(default=msgspec.Raw(b"[]"))
Fields = msgspec.defstruct("Fields", [(name, Any, None) for name in INCIDENTS.fields])
Whole = msgspec.defstruct(
    "Whole", [("incident", msgspec.Raw), ("detections", msgspec.Raw, RAW)], bases=(Fields,), kw_only=True
)
"""A record, of which only the fields are decoded: the rest is told as it is kept."""
LISTED = msgspec.json.Decoder(Fields)
WHOLE = msgspec.json.Decoder(Whole)


def summary_of(stored: Stored) -> dict[str, Any]:
    """Return what lists show of a record, or of the part that lists read, as an `IncidentSummary` has it."""
    return as_summary(stored, msgspec.structs.asdict(LISTED.decode(stored.body)))


remembered_summary = lru_cache(REMEMBERED)(summary_of)
"""The same, made once for each revision, as first pages are asked for again and again; nobody may change it."""


def as_summary(stored: Stored, listed: Mapping[str, Any]) -> dict[str, Any]:
    """Return what lists show of a record, given its fields."""
    first, last, raised = listed["first_seen"], listed["last_seen"], listed["raised_at"]
    times = {"first_seen": rfc3339(first), "last_seen": rfc3339(last), "raised_at": rfc3339(raised)}
    return {"incident_id": stored.key, **listed, **times, "revision": stored.revision}


def detail_of(stored: Stored) -> IncidentDetail:
    """Return all that a record holds; what is told as it is kept is not decoded."""
    whole: Any = WHOLE.decode(stored.body)
    listed = {name: getattr(whole, name) for name in INCIDENTS.fields}
    return IncidentDetail(IncidentSummary(**as_summary(stored, listed)), whole.incident, whole.detections)


def found(platform: Platform, principal: Principal, incident_id: str) -> Stored:
    """Return the record of an incident; raises RefusedError where the tenant has none."""
    stored = platform.records.get(principal.tenant, INCIDENTS, incident_id)
    if stored is None:
        raise RefusedError("not-found", "there is no such incident")
    return stored


def incidents_of(platform: Platform, tenant: str, question: Question) -> PageOf[IncidentSummary]:
    """Return a page of the incidents of a tenant."""
    page = platform.records.page(tenant, INCIDENTS, question.query, is_listed=True)
    answer: PageOf[IncidentSummary] = question.page(map(remembered_summary, page.rows), page.next)
    return answer


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(INCIDENTS.fields, IncidentSummary.__struct_fields__)},
)
async def list_incidents(
    platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion
) -> PageOf[IncidentSummary]:
    """List incidents, in the order asked for."""
    return await soon(platform.records, question.is_short, incidents_of, platform, principal.tenant, question)


@get(PATH + "/{incident_id:str}", opt={"permission": "read"})
async def show_incident(
    platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath
) -> Response[IncidentDetail]:
    """Show an incident with its story, explanation, detections and response plan."""
    stored = await soon(platform.records, True, found, platform, principal, incident_id)
    return tagged(detail_of(stored), stored)


@patch(PATH + "/{incident_id:str}", opt={"permission": "triage"}, sync_to_thread=True)
def change_incident(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    incident_id: InPath,
    data: JSONBody[IncidentChange],
    expected: GivenRevision,
) -> Response[IncidentDetail]:
    """Change whose an incident is and how far it is worked on."""
    found(platform, principal, incident_id)
    changes = {name: value for name, value in msgspec.structs.asdict(data).items() if value is not msgspec.UNSET}
    stored = Triage(platform, principal).change(incident_id, changes, expected)
    return tagged(detail_of(stored), stored)


@post(PATH + "/{incident_id:str}/verdicts", opt={"permission": "triage"}, sync_to_thread=True)
def give_verdict(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    incident_id: InPath,
    data: JSONBody[NewVerdict],
) -> GivenVerdict:
    """Say what an incident was; the last word counts, all are kept."""
    found(platform, principal, incident_id)
    return GivenVerdict(**Triage(platform, principal).judge(incident_id, data.verdict, data.comment))


@get(
    PATH + "/{incident_id:str}/verdicts",
    opt={"permission": "read"},
    dependencies={"question": asked(VERDICTS.fields, GivenVerdict.__struct_fields__)},
    sync_to_thread=True,
)
def list_verdicts(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    incident_id: InPath,
    question: GivenQuestion,
) -> PageOf[GivenVerdict]:
    """List what people said of an incident."""
    found(platform, principal, incident_id)
    rows, after = Triage(platform, principal).verdicts(incident_id, question.query)
    answer: PageOf[GivenVerdict] = question.page(rows, after)
    return answer


@delete(
    PATH + "/{incident_id:str}/verdicts/{verdict_id:str}",
    opt={"permission": "triage"},
    status_code=204,
    sync_to_thread=True,
)
def withdraw_verdict(
    platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath, verdict_id: InPath
) -> None:
    """Take a verdict back, as if it had never been given: the one before it counts again, or none."""
    found(platform, principal, incident_id)
    try:
        Triage(platform, principal).withdraw(incident_id, verdict_id)
    except InputError as error:
        raise RefusedError("not-found", error.problem) from error


@post("/api/v1/feedback", opt={"permission": "triage", "statuses": (404,)}, sync_to_thread=True)
def give_feedback(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[Feedback]) -> GivenVerdict:
    """Say what an incident was, by its identity in the body."""
    found(platform, principal, data.incident_id)
    return GivenVerdict(**Triage(platform, principal).judge(data.incident_id, data.verdict, data.comment))


@post(PATH + "/bulk-operations", opt={"permission": "triage"}, status_code=200, sync_to_thread=True)
def change_many(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[BulkOperation]) -> BulkResult:
    """Update the status of many incidents, assign them, or classify them."""
    field = {"update_status": "status", "assign": "assignee", "classify": "verdict"}[data.operation]
    value = getattr(data.parameters, field)
    if value is msgspec.UNSET:
        raise RefusedError("not-valid", f"parameters.{field} is missing: {data.operation} needs it")
    triage = Triage(platform, principal)
    if data.operation == "classify":
        changed, failed = triage.judge_many(data.incident_ids, value, data.parameters.comment)
    else:
        changed, failed = triage.change_many(data.incident_ids, {field: value})
    return BulkResult(changed, failed)


HANDLERS = [
    list_incidents, show_incident, change_incident, give_verdict, list_verdicts, withdraw_verdict, give_feedback,
    change_many,
]  # fmt: skip
