"""The audit of a tenant, for its administrators: what was changed, and what was refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import QueryParameter

from infraspectre.api.given import GivenPlatform, GivenPrincipal
from infraspectre.api.pages import PageOf
from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.errors import InputError
from infraspectre.ports import Topic
from infraspectre.records.access import AuditEvent
from infraspectre.records.events import Entry, Position
from infraspectre.records.feed import AUDIT_TOPIC
from infraspectre.serving.journal import read_over_gaps

STEP = 500
GONE = RefusedError(
    "not-found", "there is no such page of the audit", [Flaw("is no place in it, or one that is gone", "after")]
)
MOST_LOOKED_AT = 20_000
"""Entries that one page looks at, whomever they concern; a page may so have fewer than asked for, and a next one."""


@get("/api/v1/audit", opt={"permission": "administer", "statuses": (404,)}, sync_to_thread=True)
def list_audit(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000, description="Events at the most.")] = 100,
    after: Annotated[str | None, QueryParameter(max_length=64, description="The `next` of the page before.")] = None,
    subject: Annotated[str | None, QueryParameter(max_length=64, description="Who asked.")] = None,
    operation: Annotated[str | None, QueryParameter(max_length=64, description="What was asked for.")] = None,
) -> PageOf[AuditEvent]:
    """List what was changed and what was refused in the tenant, the latest first."""
    topic = platform.log.topic(AUDIT_TOPIC)
    before = place(topic, after) if after else topic.end
    wanted = {"tenant": principal.tenant, "subject": subject, "operation": operation}
    asked = {name: value for name, value in wanted.items() if value is not None}
    found: list[AuditEvent] = []
    least = max(topic.begin, before - MOST_LOOKED_AT)
    while before > least and len(found) < limit:
        start = max(least, before - STEP)
        before, events = latest(topic, start, before, asked, limit - len(found))
        found += events
    return PageOf(found, str(Position(topic.epoch, before)) if before > topic.begin else None)


def latest(topic: Topic, start: int, end: int, asked: Mapping[str, str], most: int) -> tuple[int, list[AuditEvent]]:
    """Return the latest events of a part of the audit that are as asked, and the number before which to go on."""
    found: list[AuditEvent] = []
    for entry in reversed(entries_between(topic, start, end)):
        event = msgspec.json.decode(entry.data, type=AuditEvent)
        if all(getattr(event, name) == value for name, value in asked.items()):
            found.append(event)
            if len(found) == most:
                return entry.sequence, found
    return start, found


def entries_between(topic: Topic, start: int, end: int) -> list[Entry]:
    """Return the entries of a part of a topic: a read ends with its segment, and before what is damaged."""
    found: list[Entry] = []
    while start < end:
        entries, start = read_over_gaps(topic, start, end - start)
        found += entries
    return found


def place(topic: Topic, after: str) -> int:
    """Return the number before which to go on; raises RefusedError where that is no place in the topic any more."""
    try:
        position = Position.of(after)
    except InputError as error:
        raise GONE from error
    if position.epoch != topic.epoch or not topic.begin <= position.sequence <= topic.end:
        raise GONE
    return position.sequence


HANDLERS = [list_audit]
