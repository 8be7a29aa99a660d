"""Rules over the API: as their files say, what they found, switched and tried."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from litestar.testing import TestClient

from api_platform import close_platform, fill, of, open_platform
from findings import finding
from infraspectre.api.app import make_app
from infraspectre.records.tables import detection_frame
from infraspectre.serving import rule_trial
from infraspectre.serving.following import Following
from infraspectre.serving.metrics import DETECTOR_CPU
from infraspectre.settings import DetectionSettings, Settings

OWN = """\
rules:
- id: resolver-used
  title: A resolver is asked
  severity: high
  techniques: [T1071.004]
  when: resp_port == 53
- id: broken
  title: A broken rule
  severity: low
  when: nothing_such == 5
- id: off-here
  title: Off in its file
  severity: low
  when: resp_port == 1
  enabled: false
"""
SIGMA = """\
title: A name is asked for
id: 3f9f0c2e-0a51-4f3b-9a5e-0e5cfb2b7a10
level: medium
logsource: {category: dns}
detection:
  some: {query|contains: '.'}
  condition: some
"""
PATH = "/api/v1/rules"
RESOLVER, NAME = "own-resolver-used", "sigma-3f9f0c2e-0a51-4f3b-9a5e-0e5cfb2b7a10"


class Site:
    """A platform with rules, and who asks."""

    def __init__(self, folder: Path, analyzed: Path) -> None:
        rules = folder / "rules"
        rules.mkdir()
        self.own = rules / "own.yaml"
        self.own.write_text(OWN)
        (rules / "sigma.yaml").write_text(SIGMA)
        (rules / "refused.yaml").write_text(
            "title: Nothing\ndetection: {condition: some}\nlogsource: {category: dns}\n"
        )
        chosen = Settings(detection=DetectionSettings(rules=(str(rules),)))
        self.platform = replace(open_platform(folder), settings=chosen)
        fill(self.platform, analyzed)
        self.client = TestClient(make_app(self.platform))

    def get(self, path: str = PATH, tenant: str = "default", **given: Any) -> Any:
        answer = self.client.get(path, params=given, headers=of(self.platform, "viewer", tenant))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def switch(self, rule: str, enabled: bool, role: Any = "engineer", tenant: str = "default") -> Any:
        headers = of(self.platform, role, tenant)
        return self.client.patch(f"{PATH}/{rule}", json={"enabled": enabled}, headers=headers)

    def attempt(self, **body: Any) -> Any:
        return self.client.post(f"{PATH}/test", json=body, headers=of(self.platform, "engineer"))


@pytest.fixture
def site(tmp_path: Path, analyzed: Path) -> Iterator[Site]:
    made = Site(tmp_path, analyzed)
    yield made
    close_platform(made.platform)


def test_rules_of_all_kinds_are_listed_with_their_state_and_reason(site: Site) -> None:
    rules = {each["rule_id"]: each for each in site.get(limit=1000)["items"]}
    states = {name: each["state"] for name, each in rules.items() if each["kind"] != "correlation"}
    refused = next(each for each in rules.values() if each["file"] == "refused.yaml")
    assert states == {
        RESOLVER: "on", "own-broken": "refused", "own-off-here": "off", NAME: "on", refused["rule_id"]: "refused",
    }  # fmt: skip
    assert rules[RESOLVER]["techniques"] == ["T1071.004"]
    assert ("nothing_such" in rules["own-broken"]["reason"], rules["own-broken"]["line"]) == (True, 10)
    assert all("/" not in each["file"] for each in rules.values())
    assert {"joined", "campaign"} & {each["about"] for each in [site.get(f"{PATH}/correlation-campaign-actor")]}
    severe = site.get(filter="state=refused", order="name", limit=1)
    assert severe["items"][0]["state"] == "refused"
    assert site.get(filter="state=refused", order="name", after=severe["next"])["next"] is None


def test_a_rule_has_its_text_hits_and_cost(site: Site) -> None:
    now = site.platform.clock.now()
    found = [finding(1, at=now // 10**9 - 60), finding(2, at=now // 10**9 - 600)]
    frame = detection_frame(found).with_columns(detector=pl.lit("rule:resolver-used"), at=now - 60 * 10**9)
    site.platform.tables.append("default", "detections", frame, "hits")
    site.platform.metrics.set(DETECTOR_CPU, "own_rules", value=0.25)
    site.platform.metrics.set(DETECTOR_CPU, "scan", value=0.75)
    detail = site.get(f"{PATH}/{RESOLVER}")
    assert "when: resp_port == 53" in detail["text"]
    assert (detail["summary"]["hits"], detail["summary"]["cost"]) == (2, {"cpu_ms": 250.0, "share": 0.25})
    assert detail["summary"]["last_hit"].startswith("2026-01-06T07:59")
    assert site.get(f"{PATH}/{RESOLVER}", "other")["summary"]["hits"] == 0
    assert site.get(f"{PATH}/{NAME}")["text"] == SIGMA.strip()
    assert "within: 3 d" in site.get(f"{PATH}/correlation-campaign-actor")["text"]
    assert site.client.get(f"{PATH}/none", headers=of(site.platform)).status_code == 404


def test_rules_are_listed_though_there_are_too_many_hits_to_count_by_the_minute(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = site.platform.clock.now()
    frame = detection_frame([finding(number) for number in range(39)])
    each_minute = now - pl.int_range(1, 40) * 60 * 10**9
    frame = frame.with_columns(detector=pl.lit("rule:resolver-used"), at=each_minute)
    site.platform.tables.append("default", "detections", frame, "hits")
    monkeypatch.setattr("infraspectre.adapters.column_store.totals.MOST_GROUPS", 30)
    assert site.get(f"{PATH}/{RESOLVER}")["summary"]["hits"] == 39


def test_a_rule_is_switched_for_its_tenant_alone(site: Site) -> None:
    switched = site.switch(RESOLVER, enabled=False).json()
    assert (switched["summary"]["state"], switched["switched_by"]) == ("off", "engineer-of-default")
    assert site.get(f"{PATH}/{RESOLVER}")["summary"]["state"] == "off"
    assert site.get(f"{PATH}/{RESOLVER}", "other")["summary"]["state"] == "on"
    following = Following(site.platform)
    following.read()
    assert following.wanted("default").off == {"own": frozenset({"resolver-used"})}
    assert following.wanted("other").off == {}
    assert site.switch(RESOLVER, enabled=True).json()["summary"]["state"] == "on"
    following.read()
    assert following.wanted("default").off == {}


@pytest.mark.parametrize("rule", ["own-broken", "own-off-here", "correlation-campaign-actor"])
def test_what_its_file_says_is_not_switched(site: Site, rule: str) -> None:
    assert site.switch(rule, enabled=True).status_code == 409
    assert site.switch(rule, enabled=True, role="analyst").status_code == 403


def test_a_changed_file_is_read_again(site: Site) -> None:
    assert site.get(f"{PATH}/{RESOLVER}")["summary"]["severity"] == "high"
    site.own.write_text(OWN.replace("severity: high", "severity: critical"))
    assert site.get(f"{PATH}/{RESOLVER}")["summary"]["severity"] == "critical"


@pytest.mark.parametrize(("text", "kind"), [(OWN.split("- id: broken")[0], "own"), (SIGMA, "sigma")])
def test_a_rule_is_tried_on_flows(site: Site, text: str, kind: str) -> None:
    told = site.attempt(text=text, hours=48).json()
    assert (told["is_valid"], told["kind"], told["rules"], told["errors"]) == (True, kind, 1, [])
    assert (told["is_whole"], told["flows"] > 100) == (True, True)
    assert told["matches"] >= len(told["first"]) > 0
    assert all(each["summary"] and each["flow_ids"] for each in told["first"])
    assert site.get(filter="name=resolver-used")["items"][0]["hits"] == 0


def test_what_is_wrong_with_a_rule_is_said_with_its_line(site: Site) -> None:
    told = site.attempt(text=OWN).json()
    assert (told["is_valid"], told["matches"], told["flows"]) == (False, 0, 0)
    assert [(each["line"], "nothing_such" in each["reason"]) for each in told["errors"]] == [(10, True)]
    assert site.attempt(text="a: [").json()["errors"][0]["line"] == 2
    assert site.attempt(text=SIGMA.replace("some\n", "none\n"), kind="sigma").json()["errors"]
    assert site.attempt(text="").status_code == 400
    assert site.attempt(text=SIGMA, hours=1_000).status_code == 400
    headers = of(site.platform, "analyst")
    assert site.client.post(f"{PATH}/test", json={"text": SIGMA}, headers=headers).status_code == 403


def test_a_trial_ends_with_its_bounds_and_one_runs_at_a_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rule_trial, "MOST_ROWS", 1)
    assert site.attempt(text=SIGMA, hours=48).json()["is_whole"] is False
    with rule_trial.TRYING:
        assert site.attempt(text=SIGMA).status_code == 503
