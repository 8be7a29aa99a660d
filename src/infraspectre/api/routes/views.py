"""Saved views: questions to lists that people keep under a name, for themselves or for all of their tenant."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from litestar import Response, delete, get, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import MOST_FILTER, MOST_FILTERS, PageOf, asked, checked_fields, collected
from infraspectre.api.problems import RefusedError, about_content
from infraspectre.api.routes.hosts import HOST_FIELDS, HostSummary
from infraspectre.api.routes.incidents import IncidentSummary
from infraspectre.api.routes.tables import DETECTIONS, FLOWS
from infraspectre.errors import InputError
from infraspectre.ports import Stored
from infraspectre.records.access import Principal
from infraspectre.records.collections import INCIDENTS, SAVED_VIEWS
from infraspectre.records.queries import Filter, Kind, Order, Query
from infraspectre.records.times import rfc3339

PATH = "/api/v1/views"
MOST_VIEWS = 100
"""Views of one user."""
MOST_FIELDS = 300
EVERYONE = "*"
"""Stands among the readers of a view that is shared; no user can be called so."""
ListName = Literal["incidents", "flows", "hosts", "detections"]


class Asked(NamedTuple):
    """Says what a list can be asked for."""

    filters: Mapping[str, Kind]
    shown: Iterable[str]


LISTS: Mapping[ListName, Asked] = {
    "incidents": Asked(INCIDENTS.fields, IncidentSummary.__struct_fields__),
    "flows": Asked(FLOWS.fields, FLOWS.columns),
    "hosts": Asked(HOST_FIELDS, HostSummary.__struct_fields__),
    "detections": Asked(DETECTIONS.fields, DETECTIONS.columns),
}


class ViewQuestion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is what a view asks of its list."""

    filters: Annotated[list[str], Meta(max_length=MOST_FILTERS)] = []
    """As the parameter `filter` of the list."""
    order: Annotated[str, Meta(max_length=100, description="As the parameter of the list; empty for its own.")] = ""
    fields: Annotated[list[str], Meta(max_length=MOST_FIELDS)] = []
    """The fields that are shown, in order; those of the list where none is named."""


class NewView(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is a view to be saved."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    page: ListName
    question: ViewQuestion = msgspec.field(default_factory=ViewQuestion)
    shared: bool = False
    """Whether all of the tenant see it, which needs the permission engineer."""


class SavedView(msgspec.Struct, frozen=True, kw_only=True):
    """Is a view as it is shown."""

    view_id: str
    owner: str
    name: str
    page: ListName
    question: ViewQuestion
    shared: bool
    created_at: str


def shown(stored: Stored) -> SavedView:
    """Return a view as it is shown."""
    kept = msgspec.json.decode(stored.body)
    kept.pop("readers")
    kept["created_at"] = rfc3339(kept["created_at"])
    return msgspec.convert(kept | {"view_id": stored.key}, SavedView)


def check_question(page: ListName, question: ViewQuestion) -> None:
    """Raise InputError for what the list of a view cannot be asked for."""
    known = LISTS[page]
    if any(len(each) > MOST_FILTER for each in question.filters):
        raise InputError(f"is longer than {MOST_FILTER} signs", field="question.filters")
    collected(question.filters, known.filters)
    checked_fields(frozenset(question.fields), frozenset(known.shown))
    if question.order:
        Order.of(question.order, known.filters)


def readable_by(principal: Principal) -> Filter:
    """Return the filter of the views that somebody sees."""
    return Filter("readers", "=", (principal.subject, EVERYONE))


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked({"owner": "text", "name": "text", "page": "text"}, SavedView.__struct_fields__)},
    sync_to_thread=True,
)
def list_views(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[SavedView]:
    """List one's own views, and those that are shared."""
    asked_for = question.query
    query = Query((*asked_for.filters, readable_by(principal)), asked_for.order, asked_for.limit, asked_for.after)
    page = platform.records.page(principal.tenant, SAVED_VIEWS, query)
    answer: PageOf[SavedView] = question.page((asdict(shown(row)) for row in page.rows), page.next)
    return answer


@post(PATH, opt={"permission": "read", "audit": True}, sync_to_thread=True)
def add_view(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewView]) -> Response[SavedView]:
    """Save a view; a shared one needs the permission engineer."""
    if data.shared and not principal.may("engineer"):
        raise RefusedError("forbidden", f"the role {principal.role} may not share views")
    with about_content():
        check_question(data.page, data.question)
    own = Query((Filter("owner", "=", (principal.subject,)),))
    if platform.records.count(principal.tenant, SAVED_VIEWS, own, MOST_VIEWS) >= MOST_VIEWS:
        raise RefusedError("not-valid", f"nobody has more than {MOST_VIEWS} views: remove one first")
    record: dict[str, Any] = msgspec.to_builtins(data) | {
        "owner": principal.subject,
        "readers": [principal.subject, *([EVERYONE] if data.shared else [])],
        "created_at": platform.clock.now(),
    }
    view_id = secrets.token_hex(8)
    made = platform.records.put(principal.tenant, SAVED_VIEWS, view_id, record, 0)
    return Response(shown(made), status_code=201, headers={"location": f"{PATH}/{view_id}"})


@delete(PATH + "/{view_id:str}", opt={"permission": "read", "audit": True}, sync_to_thread=True)
def remove_view(platform: GivenPlatform, principal: GivenPrincipal, view_id: InPath) -> None:
    """Remove one of one's own views; engineers remove shared ones, too."""
    stored = platform.records.get(principal.tenant, SAVED_VIEWS, view_id)
    view = shown(stored) if stored else None
    if view is None or not (view.owner == principal.subject or (view.shared and principal.may("engineer"))):
        raise RefusedError("not-found", "there is no such view of yours")
    platform.records.delete(principal.tenant, SAVED_VIEWS, view_id)


HANDLERS = [list_views, add_view, remove_view]
