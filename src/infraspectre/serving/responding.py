"""Responding: the plan of an incident step by step, what people approve of it, and its end with its lease."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import structlog

from infraspectre.adapters.actions.dry_run import DryRun
from infraspectre.errors import ConflictError, InfraSpectreError, InputError
from infraspectre.files import make_folder
from infraspectre.ports import ActionRunner, Stored
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import RESPONSES
from infraspectre.records.feed import RESPONSES_TOPIC
from infraspectre.records.incident import ResponseStep
from infraspectre.records.queries import Filter, Query
from infraspectre.records.response import (
    MOST_ENTRIES,
    AuditEntry,
    NotedAction,
    StepRecord,
    StepState,
    step_id,
)
from infraspectre.records.tables import flows_table
from infraspectre.records.times import NANOSECONDS
from infraspectre.response import LEAST_CLIENTS, RELIED_ON, UNDOABLE, Known, Proposal, Response, service
from infraspectre.serving.opening import data_folder
from infraspectre.serving.platform import Platform
from infraspectre.serving.triage import tell

RETRY_NS = 600 * NANOSECONDS
"""After which what could not be undone is tried again."""
LEASE = "lease"
"""By whom is undone what has outlived its lease."""
MOST_DUE = 100
"""Steps of a tenant that are undone at once; the rest has its turn a minute later."""
MOST_LOOKED_AT = 1_000
"""Flows to an address by which it is known to be a server that the site relies on."""
IN_EFFECT: tuple[StepState, ...] = ("running", "done", "failed")
ENDED = "the service ended before it began"

log = structlog.get_logger(__name__)


class Evidence(msgspec.Struct, frozen=True):
    """Is the part of the evidence of a detection that says why a step is proposed."""

    summary: str


class Finding(msgspec.Struct, frozen=True):
    """Is the part of a detection by which the reason for a step is found."""

    orig: str | None
    resp: str | None
    score: float
    evidence: Evidence


class Told(msgspec.Struct, frozen=True):
    """Is the part of the record of an incident that answering it needs."""

    incident: Known
    detections: list[Finding] = []

    def why(self, target: str) -> str:
        """Return the reason for a step: what was found about its target, or what the incident is."""
        about = [each for each in self.detections if target and target in (each.orig, each.resp)]
        best = max(about, key=lambda each: each.score, default=None)
        return best.evidence.summary if best else self.incident.title


class Step(NamedTuple):
    """Is a step of a plan with what became of it."""

    step_id: str
    planned: ResponseStep
    kept: StepRecord | None
    why: str
    proposals: list[Proposal]
    """What would be done; empty for what people do themselves."""
    is_planned: bool = True
    """Whether the plan still has it."""
    revision: int = 0
    """That of the record of what became of it; 0 where there is none."""

    @property
    def state(self) -> StepState:
        """Return what became of it."""
        return self.kept.state if self.kept else "proposed"


TOLD = msgspec.json.Decoder(Told)
KEPT = msgspec.json.Decoder(StepRecord)


class Responses:
    """Answers the incidents of a tenant as people decide."""

    def __init__(self, platform: Platform, tenant: str) -> None:
        """Act within the settings: runners are the platform's own, so that for further tenants all is a dry run."""
        self._platform, self._tenant = platform, tenant
        chosen = platform.settings.response.runners
        self.runners: Sequence[str] = chosen if chosen and tenant == DEFAULT_TENANT else (DryRun.name,)
        self.is_dry_run = DryRun.name in self.runners

    def steps(self, stored: Stored) -> list[Step]:
        """Return the steps of an incident's plan, and those that are no longer in it but have an effect or a word.

        Raises InputError for a record that is damaged.
        """
        told, kept = told_of(stored), self._kept(stored.key)
        steps = [self._step(told, each, kept) for each in told.incident.response_plan.steps]
        gone = kept.keys() - {each.step_id for each in steps}
        return steps + [gone_step(*kept[each], told) for each in sorted(gone)]

    def decide(
        self, stored: Stored, chosen: str, by: str, *, approve: bool, comment: str = "", force: bool = False
    ) -> Step:
        """Approve or refuse a step, and carry out what is approved.

        Raises InputError for a step that there is not or that is refused, ConflictError where its state forbids it.
        """
        told, step = told_of(stored), self._chosen(stored, chosen)
        if step.state in IN_EFFECT or step.state == ("approved" if approve else "refused") or not step.is_planned:
            raise ConflictError(f"is {step.state}", field="step_id", remedy="undo it first")
        proposals = self._proposals(told.incident, step.planned, force=force) if approve else []
        if refused := next((each.refused for each in proposals if each.refused), None):
            raise InputError(f"is not acted against: it {refused}", field=step.planned.target)
        trail = self._claimed(stored.key, step, state_of(approve, proposals), by, comment)
        if proposals:
            self._response(trail).carry_out(proposals, by)
        return self._told(stored, trail, by)

    def undo(self, stored: Stored, chosen: str, by: str) -> Step:
        """Take back what was done about a step; raises InputError, and ConflictError where there is nothing to undo."""
        step = self._chosen(stored, chosen)
        if step.kept is None or step.state == "undone" or self._is_running(step.kept):
            raise ConflictError(f"is {step.state}", field="step_id", remedy="there is nothing to undo")
        trail = self._trail(stored.key, chosen)
        self._response(trail).undo(by)
        trail.settle(by, self._platform.clock.now())
        return self._told(stored, trail, by)

    def expire(self) -> int:
        """Undo what has outlived its lease, or was begun when the service ended; return how many steps that were.

        One that fails, as somebody else decides about it, does not keep others from being undone.
        """
        due = (Filter("due_at", ">", (0,)), Filter("due_at", "<=", (self._platform.clock.now(),)))
        rows = self._platform.records.page(self._tenant, RESPONSES, Query(due, limit=MOST_DUE)).rows
        return sum(map(self._ended, rows))

    def _ended(self, row: Stored) -> bool:
        """Undo a step whose lease has ended, and tell whether that was possible."""
        try:
            kept = KEPT.decode(row.body)
            trail = self._trail(kept.incident_id, kept.step_id)
            self._response(trail).undo(LEASE)
            trail.settle(LEASE, self._platform.clock.now())
        except (InfraSpectreError, OSError, msgspec.MsgspecError) as error:
            log.warning("a lease cannot end", tenant=self._tenant, record=row.key, reason=str(error))
            return False
        log.info(
            "a lease ended", tenant=self._tenant, incident=kept.incident_id, step=kept.step_id, state=trail.kept.state
        )
        return True

    def _chosen(self, stored: Stored, chosen: str) -> Step:
        found = next((each for each in self.steps(stored) if each.step_id == chosen), None)
        if found is None:
            raise InputError("there is no such step", field="step_id")
        return found

    def _step(self, told: Told, each: ResponseStep, kept: Mapping[str, tuple[StepRecord, int]]) -> Step:
        identity = step_id(told.incident.incident_id, each.title, each.kind, each.target)
        record, revision = kept.get(identity, (None, 0))
        proposals = self._proposals(told.incident, each)
        return Step(identity, each, record, told.why(each.target), proposals, revision=revision)

    def _proposals(self, incident: Known, step: ResponseStep, *, force: bool = False) -> list[Proposal]:
        """Return what would be done about a step; nothing where it is no action of ours."""
        if step.kind != "contain" or not step.target:
            return []
        return self._response(None).propose(incident, self.runners, [step.target], force=force)

    def _response(self, trail: Trail | None) -> Response:
        settings = self._platform.settings
        folder = settings.data.path / "responses"
        if trail is not None and not self.is_dry_run:
            data_folder(settings)
            make_folder(folder)
        runners: dict[str, ActionRunner] = {DryRun.name: DryRun()}
        now = self._platform.clock.now
        return Response(folder, settings.response, runners, trail or Nothing(), now, self._servers)

    def _servers(self, targets: Sequence[str]) -> dict[str, str]:
        """Return which addresses served several hosts lately with what a site cannot do without."""
        return dict(served for target in targets for served in self._served(target))

    def _served(self, target: str) -> Iterator[tuple[str, str]]:
        table = flows_table().name
        served = Filter("resp_port", "=", tuple(RELIED_ON)), Filter("resp_packets", ">", (0,))
        query = Query((Filter("resp_ip", "=", (target,)), *served), limit=MOST_LOOKED_AT)
        rows, _ = self._platform.tables.page(self._tenant, table, query, ("orig_ip", "resp_port"))
        for port in RELIED_ON:
            clients = {row["orig_ip"] for row in rows if row["resp_port"] == port}
            if len(clients) >= LEAST_CLIENTS:
                yield target, service(port, len(clients))

    def _kept(self, incident_id: str) -> dict[str, tuple[StepRecord, int]]:
        """Return what became of steps of an incident, with the revisions of their records."""
        own = Query((Filter("incident_id", "=", (incident_id,)),), limit=1_000)
        rows = self._platform.records.page(self._tenant, RESPONSES, own).rows
        found = ((KEPT.decode(row.body), row.revision) for row in rows)
        return {each.step_id: (each, revision) for each, revision in found}

    def _trail(self, incident_id: str, step: str) -> Trail:
        stored = self._platform.records.get(self._tenant, RESPONSES, key_of(incident_id, step))
        if stored is None:
            raise InputError("there is no such step", field="step_id")
        return Trail(self._platform, self._tenant, KEPT.decode(stored.body), stored.revision)

    def _claimed(self, incident_id: str, step: Step, state: StepState, by: str, comment: str) -> Trail:
        """Write down what was decided before anything is done, so that two who decide at once cannot both act."""
        now, before = self._platform.clock.now(), step.kept
        due = now + round(self._platform.settings.response.lease_s * NANOSECONDS) if state == "running" else 0
        of_step = {name: getattr(step.planned, name) for name in ("title", "kind", "target")}
        kept = StepRecord(
            incident_id=incident_id,
            step_id=step.step_id,
            state=state,
            by=by,
            at=now,
            comment=comment,
            due_at=due,
            entries=before.entries if before else [],
            **of_step,
        )
        trail = Trail(self._platform, self._tenant, kept, step.revision)
        trail.write(kept)
        return trail

    def _is_running(self, kept: StepRecord) -> bool:
        limit_ns = round(2 * self._platform.settings.response.deadline_s * NANOSECONDS)
        return kept.state == "running" and self._platform.clock.now() < kept.at + limit_ns

    def _told(self, stored: Stored, trail: Trail, by: str) -> Step:
        kept = trail.kept
        data = {"by": by, "step_id": kept.step_id, "title": kept.title, "target": kept.target, "comment": kept.comment}
        tell(self._platform, self._tenant, f"response.{kept.state}", stored.key, data | {"is_dry_run": self.is_dry_run})
        return self._chosen(stored, kept.step_id)


class Trail:
    """Keeps what became of the actions of one step: signed in the event log, and then in its record."""

    def __init__(self, platform: Platform, tenant: str, kept: StepRecord, revision: int) -> None:
        """Go on from a record at a revision."""
        self._platform, self._tenant, self._revision = platform, tenant, revision
        self.kept = kept

    def append(self, entry: AuditEntry) -> None:
        """Add an entry, durable on return; raises OutputError, and ConflictError where somebody else decided."""
        noted = NotedAction(self._tenant, self.kept.step_id, entry)
        self._platform.log.topic(RESPONSES_TOPIC).append([msgspec.json.encode(noted)]).result()
        others = [each for each in self.kept.entries if each.action.action_id != entry.action.action_id]
        entries = [*others, entry][-MOST_ENTRIES:]
        self.write(msgspec.structs.replace(self.kept, entries=entries, said=entry.said, **self._outcome(entries)))

    def entries(self) -> list[AuditEntry]:
        """Return the last entry of each action."""
        return list(self.kept.entries)

    def write(self, kept: StepRecord) -> None:
        """Write the record; raises ConflictError where somebody else has."""
        key = key_of(kept.incident_id, kept.step_id)
        record = msgspec.to_builtins(kept)
        self._revision = self._platform.records.put(self._tenant, RESPONSES, key, record, self._revision).revision
        self.kept = kept

    def settle(self, by: str, now: int) -> None:
        """Write down that nothing has an effect any more, unless it could not be undone."""
        if any(each.state in UNDOABLE for each in self.kept.entries):
            return
        said = self.kept.said or (ENDED if self.kept.state == "running" else "")
        self.write(msgspec.structs.replace(self.kept, state="undone", by=by, at=now, said=said, due_at=0))

    def _outcome(self, entries: Sequence[AuditEntry]) -> dict[str, Any]:
        """Return the state that follows from actions, and when what they changed has to be undone."""
        states = {each.state for each in entries}
        held = [each.action.expires_at for each in entries if each.state in UNDOABLE]
        due = min(held, default=0)
        if "not undone" in states:
            due = max(due, self._platform.clock.now() + RETRY_NS)
        state: StepState = (
            "running"
            if "begun" in states
            else "failed"
            if states & {"failed", "not undone"}
            else "done"
            if held
            else "undone"
        )
        return {"state": state, "due_at": due}


class Nothing:
    """Is the trail of what is only proposed."""

    def append(self, entry: AuditEntry) -> None:
        """Refuse: what is proposed is not done."""
        raise AssertionError("unreachable")

    def entries(self) -> list[AuditEntry]:
        """Return no entries."""
        return []


def told_of(stored: Stored) -> Told:
    """Return what answering an incident needs; raises InputError for a record that is damaged."""
    try:
        return TOLD.decode(stored.body)
    except msgspec.MsgspecError as error:
        raise InputError(f"is no whole incident: {error}", field="incident") from error


def gone_step(kept: StepRecord, revision: int, told: Told) -> Step:
    """Return a step that is no longer in the plan."""
    planned = ResponseStep(kept.title, kept.kind, kept.target)
    return Step(kept.step_id, planned, kept, told.why(kept.target), [], is_planned=False, revision=revision)


def state_of(approve: bool, proposals: Sequence[Proposal]) -> StepState:
    """Return the state that a decision leads to: what is no action of ours is left to people."""
    return "refused" if not approve else "running" if proposals else "approved"


def key_of(incident_id: str, step: str) -> str:
    """Return the key of what became of a step."""
    return f"{incident_id}.{step}"


def response_tasks(platform: Platform) -> dict[str, Callable[[], object]]:
    """Return what is to be done about responses: leases end, also those that ran while the service was down."""

    def expire() -> None:
        for tenant in platform.records.tenants(RESPONSES):
            Responses(platform, tenant).expire()

    return {"responses": expire}
