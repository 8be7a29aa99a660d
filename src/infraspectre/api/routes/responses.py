"""Responses: the steps of an incident's plan, and what people approve, refuse and take back of them."""

from __future__ import annotations

from datetime import datetime

import msgspec
from litestar import get, post
from litestar.params import JSONBody

from infraspectre.api.given import GivenPlatform, GivenPrincipal, InPath
from infraspectre.api.problems import RefusedError, about_content
from infraspectre.api.routes.incidents import PATH, Comment, found
from infraspectre.ports import Stored
from infraspectre.records.incident import Escalation
from infraspectre.records.response import StepState
from infraspectre.records.times import NANOSECONDS, from_datetime, rfc3339
from infraspectre.serving.responding import Responses, Step, told_of

ONE = PATH + "/{incident_id:str}/response"
TIME_LIMIT_S = 660.0
"""What runs has `response.deadline_s`, which is at most 600 s."""


class PlanStep(msgspec.Struct, frozen=True):
    """Is a step of a response plan, and what became of it."""

    step_id: str
    action: str
    kind: str
    """investigate, contain, eradicate, recover, or notify."""
    target: str
    why: str
    command: str
    """What a person would run; nothing here runs it."""
    queries: dict[str, str]
    """The question of the command for other tools."""
    is_automated: bool
    """Whether approval makes the platform act; other steps are left to people."""
    reversible: bool
    needs_approval: bool
    state: StepState
    by: str
    at: str | None
    comment: str
    said: str
    """What was done, or why it failed."""
    lease_until: str | None
    """When what was done is undone."""
    deadline_at: str
    """By when it should be done."""
    preview: str
    """What exactly approval would do."""
    refusal: str | None
    """Why the platform does not act against the target unless an engineer forces it."""
    is_planned: bool
    """Whether the plan still proposes it: an incident that grows has another."""


class Plan(msgspec.Struct, frozen=True):
    """Is the response plan of an incident."""

    playbook: str
    priority: str
    escalations: list[Escalation]
    runners: list[str]
    """What acts: dry-run, blocklist, nftables, webhook."""
    is_dry_run: bool
    """Whether approval changes nothing, since no runner is set."""
    steps: list[PlanStep]


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says whether a step shall be done."""

    approve: bool
    comment: Comment = ""
    force: bool = False
    """Whether to act also against protected addresses; for engineers alone."""


def step_of(step: Step, raised_at: int) -> PlanStep:
    """Return a step as it is shown."""
    kept, planned, proposals = step.kept, step.planned, step.proposals
    is_in_effect = kept is not None and kept.due_at > 0
    return PlanStep(
        step_id=step.step_id,
        action=planned.title,
        kind=planned.kind,
        target=planned.target,
        why=step.why,
        command=planned.command,
        queries=planned.queries,
        is_automated=bool(proposals),
        reversible=bool(proposals) or is_in_effect,
        needs_approval=bool(proposals),
        state=step.state,
        by=kept.by if kept else "",
        at=rfc3339(kept.at) if kept else None,
        comment=kept.comment if kept else "",
        said=kept.said if kept else "",
        lease_until=rfc3339(kept.due_at) if kept and is_in_effect else None,
        deadline_at=rfc3339(raised_at + planned.deadline_s * NANOSECONDS),
        preview="\n".join(each.preview for each in proposals if not each.refused),
        refusal=next((each.refused for each in proposals if each.refused), None),
        is_planned=step.is_planned,
    )


def plan_of(responses: Responses, stored: Stored) -> Plan:
    """Return the plan of an incident as it is shown."""
    incident = told_of(stored).incident
    plan, raised_at = incident.response_plan, from_datetime(datetime.fromisoformat(incident.raised_at))
    steps = [step_of(each, raised_at) for each in responses.steps(stored)]
    return Plan(plan.playbook, plan.priority, plan.escalations, list(responses.runners), responses.is_dry_run, steps)


def shown(plan: Plan, step_id: str) -> PlanStep:
    """Return a step of a plan; raises RefusedError where it has none such."""
    step = next((each for each in plan.steps if each.step_id == step_id), None)
    if step is None:
        raise RefusedError("not-found", "there is no such step")
    return step


@get(ONE, opt={"permission": "read"}, sync_to_thread=True)
def show_response(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath) -> Plan:
    """Show the response plan of an incident: what each step would do, and what became of it."""
    return plan_of(Responses(platform, principal.tenant), found(platform, principal, incident_id))


@post(
    ONE + "/{step_id:str}/approval",
    opt={"permission": "respond", "time_limit_s": TIME_LIMIT_S},
    status_code=200,
    sync_to_thread=True,
)
def decide_step(
    platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath, step_id: InPath, data: JSONBody[Decision]
) -> PlanStep:
    """Approve a step of a response plan, which carries it out, or refuse it."""
    if data.force and not principal.may("engineer"):
        raise RefusedError("forbidden", "to force an action, the permission engineer is needed")
    stored, responses = found(platform, principal, incident_id), Responses(platform, principal.tenant)
    shown(plan_of(responses, stored), step_id)
    with about_content():
        responses.decide(
            stored, step_id, principal.subject, approve=data.approve, comment=data.comment, force=data.force
        )
    return shown(plan_of(responses, stored), step_id)


@post(
    ONE + "/{step_id:str}/undo",
    opt={"permission": "respond", "time_limit_s": TIME_LIMIT_S},
    status_code=200,
    sync_to_thread=True,
)
def undo_step(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath, step_id: InPath) -> PlanStep:
    """Take back what was done or decided about a step."""
    stored, responses = found(platform, principal, incident_id), Responses(platform, principal.tenant)
    shown(plan_of(responses, stored), step_id)
    responses.undo(stored, step_id, principal.subject)
    return shown(plan_of(responses, stored), step_id)


HANDLERS = [show_response, decide_step, undo_step]
