from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from findings import correlated, finding
from infraspectre.adapters.audit_log import AuditLog
from infraspectre.adapters.results import incident_object, write_lines
from infraspectre.errors import InputError, OutputError, UsageError
from infraspectre.records import Level
from infraspectre.records.response import Action
from infraspectre.reflex import Reflex
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.response import AUDIT_FILE, Known, Response, make_runner, relied_on

NOW = 1_800_000_000 * 10**9
ACTOR = "203.0.113.9"


class FakeRunner:
    """Notes what it is asked, and fails when told."""

    name = "blocklist"

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.fails = False

    def preview(self, action: Action) -> str:
        return f"block {action.target}"

    def run(self, action: Action) -> str:
        return self._do("run", action)

    def undo(self, action: Action) -> str:
        return self._do("undo", action)

    def _do(self, what: str, action: Action) -> str:
        self.calls.append((what, action.target))
        if self.fails:
            raise OutputError("no way")
        return what


class Desk:
    """Holds a folder of results with one incident, and what answers it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        found = correlated([finding(1, ACTOR, "10.0.0.5", category="ssh_brute_force", severity="high", score=0.9)])
        write_lines(folder / "incidents.jsonl", [incident_object(Reflex().decide(each)) for each in found])
        self.now = NOW
        self.runner = FakeRunner()
        self.folder = folder
        self.response = Response(folder, ResponseSettings(**settings), {"blocklist": self.runner}, now=lambda: self.now)
        (self.incident,) = self.response.incidents()

    def states(self) -> list[str]:
        return [each.state for each in AuditLog(self.folder / AUDIT_FILE).entries()]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_dry_run_does_nothing(desk: Desk) -> None:
    (proposal,) = desk.response.propose(desk.incident, ["blocklist"])
    assert (proposal.action.target, proposal.preview, proposal.refused) == (ACTOR, f"block {ACTOR}", None)
    assert desk.runner.calls == []
    assert not (desk.folder / AUDIT_FILE).exists()


def test_an_approved_action_is_noted_before_and_after_and_can_be_undone(desk: Desk) -> None:
    (done,) = desk.response.carry_out(desk.response.propose(desk.incident, ["blocklist"]), "ana")
    assert (done.state, done.action.expires_at - done.action.requested_at) == ("done", 3_600 * 10**9)
    assert desk.states() == ["begun", "done"]
    assert [each.state for each in desk.response.undo("ana", desk.incident.incident_id)] == ["undone"]
    assert desk.response.undo("ana") == []
    assert desk.runner.calls == [("run", ACTOR), ("undo", ACTOR)]


def test_nothing_outlives_its_lease(desk: Desk) -> None:
    desk.response.carry_out(desk.response.propose(desk.incident, ["blocklist"]), "ana")
    assert desk.response.expire("timer") == []
    desk.now += 3_600 * 10**9
    assert [each.state for each in desk.response.expire("timer")] == ["undone"]
    assert desk.states() == ["begun", "done", "undone"]


def test_what_failed_or_never_ended_may_have_had_an_effect_and_is_undone(desk: Desk) -> None:
    desk.runner.fails = True
    (failed,) = desk.response.carry_out(desk.response.propose(desk.incident, ["blocklist"]), "ana")
    assert (failed.state, failed.said) == ("failed", "no way")
    assert [each.state for each in desk.response.undo("ana")] == ["not undone"]
    desk.runner.fails = False
    assert [each.state for each in desk.response.undo("ana")] == ["undone"]


def test_own_infrastructure_is_refused_unless_forced(desk: Desk) -> None:
    (refused,) = desk.response.propose(desk.incident, ["blocklist"], ["10.0.0.1"])
    assert refused.refused == "belongs to the own network"
    assert desk.response.carry_out([refused], "ana") == []
    (forced,) = desk.response.propose(desk.incident, ["blocklist"], ["10.0.0.1"], force=True)
    assert forced.refused is None
    (never,) = desk.response.propose(desk.incident, ["blocklist"], ["224.0.0.1"], force=True)
    assert never.refused


def test_servers_that_the_site_relies_on_are_known_from_its_flows(desk: Desk) -> None:
    rows = [(f"10.0.0.{n}", "9.9.9.9", 53, 1) for n in range(3)] + [
        ("10.0.0.1", ACTOR, 53, 1),
        ("10.0.0.1", "9.9.9.8", 53, 0),
    ]
    frame = pl.DataFrame(rows, ["orig_ip", "resp_ip", "resp_port", "resp_packets"], orient="row")
    frame.write_parquet(desk.folder / "flows.parquet")
    assert dict(relied_on(desk.folder / "flows.parquet")) == {"9.9.9.9": "serves names to 3 hosts"}
    (proposal,) = desk.response.propose(desk.incident, ["blocklist"], ["9.9.9.9"])
    assert proposal.refused == "serves names to 3 hosts"


@pytest.mark.parametrize(
    ("least", "low", "is_automatic"),
    [("", 90.0, False), ("high", 90.0, True), ("high", 0.0, False), ("critical", 90.0, False)],
)
def test_nothing_is_automatic_by_default(tmp_path: Path, least: Level, low: float, is_automatic: bool) -> None:
    desk = Desk(tmp_path, automatic_from=least)
    score = msgspec.structs.replace(desk.incident.threat_score, low=low, level="high")
    assert desk.response.is_automatic(msgspec.structs.replace(desk.incident, threat_score=score)) == is_automatic


def test_many_targets_at_a_time_are_refused(desk: Desk) -> None:
    with pytest.raises(UsageError, match="too many"):
        desk.response.propose(desk.incident, ["blocklist"], [f"203.0.113.{n}" for n in range(17)])


def test_incidents_are_found_by_the_beginning_of_their_identity(desk: Desk) -> None:
    assert desk.response.incident(desk.incident.incident_id[:19]) == desk.incident
    for name in ("", "nothing"):
        with pytest.raises(UsageError):
            desk.response.incident(name)


def test_broken_results_are_named(desk: Desk, tmp_path: Path) -> None:
    path = desk.folder / "incidents.jsonl"
    path.write_bytes(path.read_bytes() + b'{"incident_id": 5}\n')
    with pytest.raises(InputError, match="is no incident") as caught:
        desk.response.incidents()
    assert caught.value.line == 2
    with pytest.raises(InputError, match="infraspectre analyze"):
        Response(tmp_path / "none").incidents()


def test_runners_are_made_from_settings(tmp_path: Path) -> None:
    names = [make_runner(name, tmp_path, ResponseSettings()).name for name in ("blocklist", "nftables")]
    assert names == ["blocklist", "nftables"]
    with pytest.raises(UsageError, match="webhook"):
        make_runner("webhook", tmp_path, ResponseSettings())
    with pytest.raises(UsageError, match="no action"):
        make_runner("reboot", tmp_path, ResponseSettings())


@pytest.mark.parametrize("settings", [{"lease_s": 0}, {"deadline_s": 1e9}, {"protected": ["x"]}, {"most_targets": 0}])
def test_settings_that_cannot_be_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(settings, ResponseSettings)


def test_what_answering_needs_is_in_the_results(desk: Desk) -> None:
    assert isinstance(desk.incident, Known)
    assert desk.incident.targets == [ACTOR]


def test_an_action_that_cannot_be_undone_keeps_no_other_from_being_undone(desk: Desk) -> None:
    desk.response.carry_out(desk.response.propose(desk.incident, ["blocklist"]), "ana")
    lost = msgspec.structs.replace(desk.response.open()[0].action, action_id="0", runner="webhook")
    log = AuditLog(desk.folder / AUDIT_FILE)
    log.append(msgspec.structs.replace(log.entries()[0], action=lost))
    assert [each.state for each in desk.response.undo("ana")] == ["undone", "not undone"]


@pytest.mark.parametrize("name", ["x\n8.8.8.8", "../../etc/x", ""])
def test_an_identity_from_a_foreign_folder_gets_into_no_list_and_no_path(desk: Desk, name: str) -> None:
    path = desk.folder / "incidents.jsonl"
    path.write_bytes(path.read_bytes().replace(desk.incident.incident_id.encode(), msgspec.json.encode(name)[1:-1]))
    with pytest.raises(InputError, match="is no incident"):
        desk.response.incidents()


@pytest.mark.parametrize(
    ("field", "value"), [("target", "fe80::1%a } ; flush ruleset"), ("target", "1.2.3.4\n"), ("action_id", "../../x")]
)
def test_a_foreign_audit_trail_gets_into_no_command_and_no_path(desk: Desk, field: str, value: str) -> None:
    desk.response.carry_out(desk.response.propose(desk.incident, ["blocklist"]), "ana")
    path = desk.folder / AUDIT_FILE
    entry = msgspec.json.decode(path.read_bytes().splitlines()[0])
    path.write_bytes(msgspec.json.encode(entry | {"action": entry["action"] | {field: value}}))
    with pytest.raises(InputError, match="is no audit entry"):
        desk.response.undo("ana")
