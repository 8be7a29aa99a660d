"""Responses over the API: the plan, what people approve of it, and how it ends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from api_platform import close_platform, fill, of, open_platform
from findings import correlated, finding
from infraspectre.api.app import make_app
from infraspectre.intel.families import FAMILIES
from infraspectre.records.collections import INCIDENTS, RESPONSES
from infraspectre.records.feed import NOTICES_TOPIC, RESPONSES_TOPIC
from infraspectre.reflex.actions import ResponseSettings
from infraspectre.reflex.playbooks import Playbooks, builtin_playbooks
from infraspectre.serving.responding import Responses
from infraspectre.settings import DataSettings, Settings
from log_fakes import SetClock

ACTOR = "203.0.113.9"
BLOCK = {"title": "Propose to block the outside counterpart", "kind": "contain", "target": ACTOR, "deadline_s": 60}
ISOLATE = {"title": "Propose to isolate the host", "kind": "contain", "target": "10.0.0.9", "deadline_s": 60}
READ = {"title": "Read the flows", "kind": "investigate", "command": "look", "deadline_s": 60}
PLAN = {"playbook": "A playbook", "priority": "P1", "steps": [READ, BLOCK, ISOLATE]}


class Site:
    """A platform with an incident whose plan blocks somebody, and who asks."""

    def __init__(self, folder: Path, analyzed: Path, runners: tuple[Any, ...]) -> None:
        self.clock = SetClock()
        chosen = Settings(data=DataSettings(str(folder / "data")), response=ResponseSettings(runners))
        self.platform = replace(open_platform(folder, self.clock), settings=chosen)
        self.blocklist = folder / "data" / "responses" / "blocklist.txt"
        self.incidents = {tenant: self.incident(analyzed, tenant) for tenant in ("default", "other")}
        self.client = TestClient(make_app(self.platform))

    def incident(self, analyzed: Path, tenant: str) -> str:
        key = str(fill(self.platform, analyzed, tenant)[0]["incident_id"])
        stored = self.platform.records.get(tenant, INCIDENTS, key)
        assert stored is not None
        record = msgspec.json.decode(stored.body)
        record["incident"]["response_plan"] |= PLAN
        self.platform.records.put(tenant, INCIDENTS, key, record)
        return key

    def plan(self, tenant: str = "default") -> Any:
        path = f"/api/v1/incidents/{self.incidents[tenant]}/response"
        answer = self.client.get(path, headers=of(self.platform, "viewer", tenant))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def step(self, target: str = ACTOR, tenant: str = "default") -> Any:
        (found,) = [each for each in self.plan(tenant)["steps"] if each["target"] == target]
        return found

    def ask(self, what: str, target: str = ACTOR, role: Any = "analyst", tenant: str = "default", **body: Any) -> Any:
        path = f"/api/v1/incidents/{self.incidents[tenant]}/response/{self.step(target, tenant)['step_id']}/{what}"
        return self.client.post(path, headers=of(self.platform, role, tenant), json=body or None)

    def noted(self) -> list[str]:
        topic = self.platform.log.topic(RESPONSES_TOPIC)
        return [msgspec.json.decode(each.data)["entry"]["state"] for each in topic.read(topic.begin)]

    def told(self) -> list[str]:
        topic = self.platform.log.topic(NOTICES_TOPIC)
        return [msgspec.json.decode(each.data)["kind"] for each in topic.read(topic.begin)]


@pytest.fixture
def site(tmp_path: Path, analyzed: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    made = Site(tmp_path, analyzed, getattr(request, "param", ("blocklist",)))
    yield made
    close_platform(made.platform)


def test_a_plan_says_what_each_step_would_do_and_why(site: Site) -> None:
    plan = site.plan()
    assert (plan["playbook"], plan["runners"], plan["is_dry_run"]) == ("A playbook", ["blocklist"], False)
    read, block, isolate = plan["steps"]
    assert (read["is_automated"], read["state"], read["why"]) == (False, "proposed", read["why"])
    assert block["preview"].endswith("Z") and ACTOR in block["preview"] and block["refusal"] is None
    assert (block["reversible"], block["needs_approval"], block["lease_until"]) == (True, True, None)
    assert isolate["refusal"] == "belongs to the own network"
    assert not site.blocklist.exists()


def test_what_is_approved_is_done_noted_told_and_undone(site: Site) -> None:
    done = site.ask("approval", approve=True, comment="go").json()
    assert (done["state"], done["by"], done["comment"]) == ("done", "analyst-of-default", "go")
    assert done["lease_until"] > done["at"]
    assert ACTOR in site.blocklist.read_text()
    assert site.ask("approval", approve=True).status_code == 409
    undone = site.ask("undo").json()
    assert (undone["state"], undone["lease_until"]) == ("undone", None)
    assert ACTOR not in site.blocklist.read_text()
    assert site.ask("undo").status_code == 409
    assert site.noted() == ["begun", "done", "undone"]
    assert site.told() == ["response.done", "response.undone"]
    assert site.ask("approval", approve=True).json()["state"] == "done"


def test_a_lease_ends_also_after_a_restart(site: Site) -> None:
    site.ask("approval", approve=True)
    again = Responses(site.platform, "default")
    assert again.expire() == 0
    site.clock.time += 3_601 * 10**9
    assert again.expire() == 1
    step = site.step()
    assert (step["state"], step["by"], step["lease_until"]) == ("undone", "lease", None)
    assert ACTOR not in site.blocklist.read_text()
    assert again.expire() == 0


def test_a_lease_ends_though_the_record_of_another_is_damaged(site: Site) -> None:
    site.ask("approval", approve=True)
    site.platform.records.put("default", RESPONSES, "0.0", {"incident_id": "0", "state": "running", "due_at": 1})
    site.clock.time += 3_601 * 10**9
    assert Responses(site.platform, "default").expire() == 1
    assert site.step()["state"] == "undone"


def test_what_cannot_be_done_is_said_and_can_be_undone(site: Site) -> None:
    site.blocklist.parent.mkdir(parents=True)
    site.blocklist.mkdir()
    failed = site.ask("approval", approve=True).json()
    assert failed["state"] == "failed" and failed["said"]
    assert site.ask("undo").json()["state"] == "failed"
    site.blocklist.rmdir()
    site.clock.time += 3_601 * 10**9
    assert Responses(site.platform, "default").expire() == 1
    assert site.step()["state"] == "undone"


def test_own_hosts_are_acted_against_only_where_an_engineer_insists(site: Site) -> None:
    refused = site.ask("approval", "10.0.0.9", approve=True)
    assert (refused.status_code, "own network" in refused.json()["detail"]) == (422, True)
    assert site.ask("approval", "10.0.0.9", approve=True, force=True).status_code == 403
    assert site.ask("approval", "10.0.0.9", "engineer", approve=True, force=True).json()["state"] == "done"
    assert "10.0.0.9" in site.blocklist.read_text()


def test_a_refusal_is_kept_and_can_be_taken_back(site: Site) -> None:
    assert site.ask("approval", approve=False, comment="no").json()["state"] == "refused"
    assert site.ask("approval", approve=False).status_code == 409
    assert site.ask("approval", approve=True).json()["state"] == "done"
    assert site.ask("approval", "", approve=True).json()["state"] == "approved"
    assert site.ask("undo", "").json()["state"] == "undone"
    assert site.ask("approval", role="viewer", approve=True).status_code == 403


@pytest.mark.parametrize("site", [()], indirect=True)
def test_without_a_runner_an_approval_is_a_dry_run_and_says_so(site: Site) -> None:
    assert (site.plan()["is_dry_run"], site.plan()["runners"]) == (True, ["dry-run"])
    assert "a dry run" in site.step()["preview"]
    done = site.ask("approval", approve=True).json()
    assert (done["state"], done["said"]) == ("done", f"a dry run: nothing was changed about {ACTOR}")
    assert not (site.blocklist.parent).exists()


def test_runners_of_the_platform_act_for_its_first_tenant_alone(site: Site) -> None:
    assert site.plan("other")["is_dry_run"]
    assert "a dry run" in site.ask("approval", tenant="other", approve=True).json()["said"]
    assert site.step()["state"] == "proposed"
    assert not site.blocklist.exists()


def test_steps_of_another_tenant_are_not_there(site: Site) -> None:
    path = f"/api/v1/incidents/{site.incidents['default']}/response"
    stranger = of(site.platform, "administrator", "third")
    assert site.client.get(path, headers=stranger).status_code == 404
    chosen = site.step()["step_id"]
    assert site.client.post(f"{path}/{chosen}/approval", json={"approve": True}, headers=stranger).status_code == 404
    assert site.client.post(f"{path}/none/undo", headers=of(site.platform)).status_code == 404


def test_a_step_that_was_acted_upon_is_shown_when_the_plan_has_another(site: Site) -> None:
    site.ask("approval", approve=True)
    stored = site.platform.records.get("default", INCIDENTS, site.incidents["default"])
    assert stored is not None
    record = msgspec.json.decode(stored.body)
    record["incident"]["response_plan"]["steps"] = [READ]
    site.platform.records.put("default", INCIDENTS, stored.key, record)
    gone = site.step()
    assert (gone["is_planned"], gone["state"], gone["reversible"]) == (False, "done", True)
    assert site.ask("undo").json()["state"] == "undone"
    assert site.ask("approval", approve=True).status_code == 409


def test_of_two_who_approve_at_once_one_acts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = site.platform.records.get("default", INCIDENTS, site.incidents["default"])
    assert stored is not None
    plain, chosen, calls = Responses._proposals, site.step()["step_id"], [0]

    def slow(responses: Responses, *given: Any, force: bool | None = None) -> Any:
        calls[0] += force is not None
        if force is not None and calls[0] == 1:  # between the look at the state and the claim
            Responses(site.platform, "default").decide(stored, chosen, "other", approve=True)
        return plain(responses, *given, force=bool(force))

    monkeypatch.setattr(Responses, "_proposals", slow)
    assert site.ask("approval", approve=True).status_code == 409
    monkeypatch.undo()
    assert site.step()["by"] == "other"
    assert site.noted() == ["begun", "done"]


def test_plans_on_a_platform_ask_it_for_rows_and_are_answered(site: Site) -> None:
    books = Playbooks(builtin_playbooks(), on_platform=True)
    key, asked = site.incidents["default"], set[str]()
    for category in [each.keywords[0] for each in FAMILIES]:
        (story,) = correlated([finding(1, ACTOR, "10.0.0.5", category=category)])
        steps = books.plan(msgspec.structs.replace(story, incident_id=key), "critical").steps
        assert not [each for each in steps if "flows.parquet" in each.command]
        asked |= {each.command for each in steps if each.command.startswith("/")}
    assert len(asked) > 5
    for path in asked:
        assert site.client.get(path, headers=of(site.platform)).status_code == 200, path
