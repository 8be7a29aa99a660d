"""The worker follows what tenants switch and import while it works."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infraspectre.records.collections import RULES
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.serving.following import Following, detectors_of
from infraspectre.serving.intelligence import keep, remove
from infraspectre.serving.platform import Platform
from infraspectre.serving.worker import Worker
from infraspectre.serving.working import Composition, spent
from infraspectre.settings import DetectionSettings, Settings
from infraspectre.soma.intelligence import Intelligence
from serving_fakes import drain, entry, platform, sample_flows

OWN = "rules:\n- {id: resolver-used, title: A resolver is asked, severity: high, when: resp_port == 53}\n"


class Site:
    """A platform with a rule, its worker, and what it follows."""

    def __init__(self, folder: Path) -> None:
        rules = folder / "own.yaml"
        rules.write_text(OWN)
        chosen = DetectionSettings(rules=(str(rules),), patience_s=1e-6)
        self.folder = folder
        self.composition = Composition(Settings(detection=chosen))
        plain = platform(folder, Settings(detection=chosen))
        self.platform: Platform = replace(plain, intelligence=self.composition.intel)
        self.following = Following(self.platform)
        self.worker = self.restarted()
        self.sent = 0

    def restarted(self) -> Worker:
        return Worker(self.platform, self.composition, self.folder / "worker")

    def work(self, tenant: str = "default") -> set[str]:
        """Let the worker meet the tenant, follow, and look at the capture; return which detectors found anything."""
        flows = sample_flows()
        for number, frame in enumerate((flows[:1], flows[1:])):
            self.following.read()
            self.following.apply(self.worker.learnt.pipelines)
            self.platform.log.topic(FLOWS_TOPIC).append([entry(frame, self.sent + number, tenant)]).result()
            drain(self.worker)
        self.sent += 2
        rows = self.platform.tables.rows("detections", tenant)  # type: ignore[attr-defined]
        return set(rows["detector"]) if len(rows) else set()

    def indexes(self) -> list[int]:
        """Return how many indicators the detectors of each tenant know."""
        found = [each for one in self.worker.learnt.pipelines.values() for each in detectors_of(one)]
        return [len(each._index) for each in found if isinstance(each, Intelligence)]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_rule_that_is_switched_off_finds_nothing_for_its_tenant(site: Site) -> None:
    switch = {"kind": "own", "name": "resolver-used", "is_enabled": False, "by": "ada", "at": 1}
    site.platform.records.put("default", RULES, "own-resolver-used", switch)
    assert "rule:resolver-used" not in site.work()
    assert "rule:resolver-used" in site.work("other")


def test_what_a_tenant_imports_is_looked_for_without_a_restart(site: Site) -> None:
    server = str(sample_flows()["resp_ip"].drop_nulls()[-1])
    keep(site.platform, "default", "ada", "list", f"{server}\n".encode())
    assert "intelligence" in site.work()
    assert "intelligence" not in site.work("other")
    assert site.indexes() == [1, 0]
    remove(site.platform, "default", "list")
    site.following.read()
    site.following.apply(site.worker.learnt.pipelines)
    assert site.indexes() == [0, 0]


def test_what_was_met_outlives_a_restart_and_a_new_index(site: Site) -> None:
    server = str(sample_flows()["resp_ip"].drop_nulls()[-1])
    keep(site.platform, "default", "ada", "list", f"203.0.113.1\n{server}\n".encode())
    site.work()
    site.worker.close()
    keep(site.platform, "default", "ada", "list", f"{server}\n".encode())
    site.worker = site.restarted()
    assert site.indexes() == [0]
    site.following.read()
    site.following.apply(site.worker.learnt.pipelines)
    assert site.indexes() == [1]
    assert site.worker.learnt.pipelines["default"].soma.finish() is not None


def test_the_cost_of_detectors_is_told(site: Site) -> None:
    site.work()
    told = spent(site.composition.costs)
    assert {"own_rules", "scan", "intelligence"} <= told.keys()
    assert sum(told.values()) > 0
