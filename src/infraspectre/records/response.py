"""Responses: actions upon addresses, each with a lease and a deadline, and the entries of their audit trail."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

State = Literal["begun", "done", "failed", "undone", "not undone"]
Identity = Annotated[str, Meta(pattern=r"\A[\w-]{1,64}\Z")]
"""An identity that may stand in names of files and in lists, whoever wrote what it is read from."""
Address = Annotated[str, Meta(pattern=r"\A[0-9A-Fa-f:.]{2,45}\Z")]
"""The signs of an address without a zone, which may stand in commands."""


class Action(msgspec.Struct, frozen=True):
    """Describes one action of one runner upon one address, because of an incident."""

    action_id: Identity
    incident_id: Identity
    runner: str
    target: Address
    reason: str
    level: str
    requested_at: int
    """Nanoseconds since the epoch, UTC."""
    expires_at: int
    """When its lease ends: what it changed is undone by then."""
    deadline_s: float
    """Seconds that carrying it out may take, retries included."""


class AuditEntry(msgspec.Struct, frozen=True):
    """Says what became of an action, when, on whose word, and what was done in detail."""

    at: str
    """RFC 3339, UTC."""
    state: State
    by: str
    said: str
    action: Action


StepState = Literal["proposed", "approved", "running", "done", "undone", "failed", "refused"]
"""approved: a person is to do it; refused: somebody said no; failed: it may have changed something all the same."""
MOST_ENTRIES = 20
"""Actions of one step that are remembered in its record; the event log has all."""


class StepRecord(msgspec.Struct, frozen=True):
    """Is a step of a response plan as it is kept once somebody decided about it; times are nanoseconds."""

    incident_id: str
    step_id: str
    title: str
    kind: str
    target: str
    state: StepState
    by: str
    at: int
    comment: str = ""
    said: str = ""
    """What was done, or why not."""
    due_at: int = 0
    """When what it changed has to be undone, or that has to be tried again; 0 where nothing has."""
    entries: list[AuditEntry] = []
    """The last entry of each of its actions."""


class NotedAction(msgspec.Struct, frozen=True):
    """Is an entry of the audit trail as the event log holds it."""

    tenant: str
    step_id: str
    entry: AuditEntry


def step_id(incident_id: str, title: str, kind: str, target: str) -> str:
    """Derive the identity of a step, which stays while its incident grows."""
    return _digest(incident_id, title, kind, target)


def action_id(incident_id: str, runner: str, target: str, requested_at: int) -> str:
    """Derive the identity of an action; asking again later is another action."""
    return _digest(incident_id, runner, target, str(requested_at))


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=10).hexdigest()
