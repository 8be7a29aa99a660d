"""The composition root of responses: incidents and a person's word in; actions with a lease and an audit trail out."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from infraspectre.errors import InfraSpectreError, InputError, UsageError
from infraspectre.ports import ActionRunner, AuditTrail
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.incident import Asset, Level, ResponsePlan
from infraspectre.records.response import Action, AuditEntry, Identity, State, action_id
from infraspectre.records.times import NANOSECONDS, rfc3339
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.reflex.guard import Guard

AUDIT_FILE = "actions.jsonl"
SECRET_VARIABLE = "INFRASPECTRE_WEBHOOK_SECRET"  # noqa: S105 - the name of the variable, not what it holds
RUNNERS = ("blocklist", "nftables", "webhook")
RELIED_ON = {53: "names", 67: "addresses", 123: "the time", 853: "names"}
"""Ports of what a site cannot do without, and what is served there."""
LEAST_CLIENTS = 3
"""Hosts that are served before a site is said to rely on a server: one or two may be set up by malware."""
UNDOABLE = frozenset({"begun", "done", "failed", "not undone"})
"""States after which an action may have changed something."""


class Score(msgspec.Struct, frozen=True):
    """Is the score of an incident, as far as answering it needs."""

    value: float
    low: float
    high: float
    level: Level


class Known(msgspec.Struct, frozen=True):
    """Is an incident as `analyze` wrote it, as far as answering it needs."""

    incident_id: Identity
    title: str
    raised_at: str
    threat_score: Score
    probability: float
    response_plan: ResponsePlan
    assets: dict[str, Asset] = {}

    @property
    def targets(self) -> list[str]:
        """Return the addresses that its plan proposes to contain, each once."""
        steps = (each for each in self.response_plan.steps if each.kind == "contain" and each.target)
        return list(dict.fromkeys(each.target for each in steps))


class Proposal(msgspec.Struct, frozen=True):
    """Is an action that could be carried out: what exactly it would do, or why it is refused."""

    action: Action
    preview: str
    refused: str | None = None


class Outcome(NamedTuple):
    """Says what became of an action."""

    action: Action
    state: State
    said: str


class Response:
    """Answers the incidents of one folder of results."""

    def __init__(
        self,
        folder: Path,
        settings: ResponseSettings | None = None,
        runners: dict[str, ActionRunner] | None = None,
        audit: AuditTrail | None = None,
        now: Callable[[], int] = time.time_ns,
        servers: Callable[[Sequence[str]], Mapping[str, str]] | None = None,
    ) -> None:
        """Take the folder that `analyze` wrote; runners and the audit trail are those of the settings by default.

        `servers` says which of some addresses the site relies on, and why; by default the flows in the folder do.
        """
        from infraspectre.adapters.audit_log import AuditLog

        self.folder = folder
        self.settings = settings or ResponseSettings()
        self._runners = runners or {}
        self._audit = audit or AuditLog(folder / AUDIT_FILE)
        self._now = now
        self._servers = servers or (lambda _: dict(relied_on(folder / "flows.parquet")))

    def incidents(self) -> list[Known]:
        """Return the incidents, the most threatening first; raises InputError naming file and line."""
        path = self.folder / "incidents.jsonl"
        try:
            lines = path.read_bytes().splitlines()
        except OSError as error:
            remedy = "name the folder that 'infraspectre analyze --out' wrote"
            raise InputError(f"cannot be read: {error.strerror}", path=path, remedy=remedy) from error
        return [_incident(path, number, line) for number, line in enumerate(lines, start=1)]

    def incident(self, name: str) -> Known:
        """Return the incident whose identity begins with a text; raises UsageError unless it is exactly one."""
        found = [each for each in self.incidents() if each.incident_id.startswith(name)]
        if len(found) != 1 or not name:
            problem = "no incident" if not found else f"{len(found)} incidents"
            raise UsageError(f"{problem} with the identity {name!r}", remedy="'infraspectre respond FOLDER' lists them")
        return found[0]

    def propose(
        self, incident: Known, runners: Sequence[str], targets: Sequence[str] = (), *, force: bool = False
    ) -> list[Proposal]:
        """Return what runners would do about an incident; raises UsageError for too many targets."""
        chosen = list(dict.fromkeys(targets)) or incident.targets
        if len(chosen) > self.settings.most_targets:
            remedy = "name those that matter with --target"
            raise UsageError(f"{len(chosen)} targets are too many at a time", remedy=remedy)
        guard = Guard(self.settings.protected, incident.assets.keys(), self._servers(chosen))
        return [
            self._proposal(incident, runner, target, guard, force)
            for runner in dict.fromkeys(runners)
            for target in chosen
        ]

    def is_automatic(self, incident: Known) -> bool:
        """Tell whether actions about an incident need no approval: by its level, and only if it is surely an attack."""
        least, score = self.settings.automatic_from, incident.threat_score
        return bool(least) and SEVERITIES.index(score.level) >= SEVERITIES.index(least) and score.low > 0

    def carry_out(self, proposals: Iterable[Proposal], by: str) -> list[Outcome]:
        """Carry out what is not refused, each action noted before it begins; undo those whose lease has ended."""
        self.expire(by)
        return [self._carried_out(each.action, by) for each in proposals if each.refused is None]

    def undo(self, by: str, incident_id: str | None = None, runners: Sequence[str] = ()) -> list[Outcome]:
        """Undo the actions that may still have an effect: of an incident, by some runners, or all."""
        return [
            self._undone(entry.action, by)
            for entry in self.open()
            if incident_id in (None, entry.action.incident_id) and (not runners or entry.action.runner in runners)
        ]

    def expire(self, by: str) -> list[Outcome]:
        """Undo the actions whose lease has ended."""
        now = self._now()
        return [self._undone(each.action, by) for each in self.open() if each.action.expires_at <= now]

    def open(self) -> list[AuditEntry]:
        """Return the last entry of each action that may still have an effect."""
        latest = {entry.action.action_id: entry for entry in self._audit.entries()}
        return [entry for entry in latest.values() if entry.state in UNDOABLE]

    def _proposal(self, incident: Known, runner: str, target: str, guard: Guard, force: bool) -> Proposal:
        now, level = self._now(), incident.threat_score.level
        action = Action(
            action_id=action_id(incident.incident_id, runner, target, now),
            incident_id=incident.incident_id,
            runner=runner,
            target=target,
            reason=incident.title,
            level=level,
            requested_at=now,
            expires_at=now + int(self.settings.lease_s * NANOSECONDS),
            deadline_s=self.settings.deadline_s,
        )
        refused = guard.refusal(target)
        if refused and not (force and guard.can_be_forced(target)):
            return Proposal(action, "", refused)
        return Proposal(action, self._runner(runner).preview(action))

    def _carried_out(self, action: Action, by: str) -> Outcome:
        runner = self._runner(action.runner)
        self._note(action, "begun", by, runner.preview(action))
        return self._tried(action, by, runner.run, "done", "failed")

    def _undone(self, action: Action, by: str) -> Outcome:
        return self._tried(action, by, lambda each: self._runner(each.runner).undo(each), "undone", "not undone")

    def _tried(self, action: Action, by: str, do: Callable[[Action], str], well: State, badly: State) -> Outcome:
        """Do something and note what became of it; a failure is noted, and does not keep others from being tried."""
        try:
            outcome = Outcome(action, well, do(action))
        except InfraSpectreError as error:
            outcome = Outcome(action, badly, str(error))
        self._note(action, outcome.state, by, outcome.said)
        return outcome

    def _note(self, action: Action, state: State, by: str, said: str) -> None:
        self._audit.append(AuditEntry(rfc3339(self._now()), state, by, said, action))

    def _runner(self, name: str) -> ActionRunner:
        if name not in self._runners:
            self._runners[name] = make_runner(name, self.folder, self.settings, self._now)
        return self._runners[name]


def _incident(path: Path, number: int, line: bytes) -> Known:
    try:
        return msgspec.json.decode(line, type=Known)
    except msgspec.MsgspecError as error:
        raise InputError(f"is no incident: {error}", path=path, line=number) from error


def relied_on(flows: Path) -> Iterator[tuple[str, str]]:
    """Yield the addresses that served several hosts with what a site cannot do without, and what that was."""
    if not flows.exists():
        return
    import polars as pl

    served = pl.scan_parquet(flows).filter(pl.col("resp_port").is_in(list(RELIED_ON)), pl.col("resp_packets") > 0)
    counted = served.group_by("resp_ip", "resp_port").agg(clients=pl.col("orig_ip").n_unique())
    for row in (
        counted.filter(pl.col("clients") >= LEAST_CLIENTS).sort("resp_ip", "resp_port").collect().iter_rows(named=True)
    ):
        yield row["resp_ip"], service(row["resp_port"], row["clients"])


def service(port: int, clients: int) -> str:
    """Say what a server does that the site relies on."""
    return f"serves {RELIED_ON[port]} to {clients} hosts"


def make_runner(
    name: str, folder: Path, settings: ResponseSettings, now: Callable[[], int] = time.time_ns
) -> ActionRunner:
    """Return a runner as the settings describe it; raises UsageError or ConfigError where they do not."""
    if name == "blocklist":
        from infraspectre.adapters.actions.blocklist import Blocklist

        return Blocklist(Path(settings.blocklist) if settings.blocklist else folder / "blocklist.txt", now)
    if name == "nftables":
        from infraspectre.adapters.actions.nftables import Nftables

        return Nftables(folder / "actions", loads=settings.nftables.load, command=settings.nftables.command, now=now)
    if name != "webhook":
        raise UsageError(f"there is no action {name!r}", remedy=f"there are {', '.join(RUNNERS)}")
    from infraspectre.adapters.actions.webhook import Webhook

    if not settings.webhook.url:
        raise UsageError("no address for the webhook", remedy="set response.webhook.url in the settings")
    return Webhook(settings.webhook.url, os.environ.get(SECRET_VARIABLE, ""), allow_http=settings.webhook.allow_http)


def outcome_object(outcome: Outcome) -> dict[str, Any]:
    """Return what became of an action as it is published."""
    return {"state": outcome.state, "said": outcome.said} | action_object(outcome.action)


def action_object(action: Action) -> dict[str, Any]:
    """Return an action as it is published: times as in RFC 3339."""
    moments = {name: rfc3339(getattr(action, name)) for name in ("requested_at", "expires_at")}
    return msgspec.structs.asdict(action) | moments
