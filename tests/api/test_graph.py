"""The graph over the API: around a node, and as a whole."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.records.collections import INCIDENTS
from infraspectre.serving import exploring
from infraspectre.serving.intelligence import keep
from infraspectre.serving.platform import Platform

PATH = "/api/v1/graph"
NOW = "2026-01-06T07:00:00Z"


def put(
    platform: Platform, key: str, entities: list[str], technique: str, campaign: str = "", tenant: str = "default"
) -> None:
    at = platform.clock.now() - 3_600 * 10**9
    record = {"first_seen": at, "last_seen": at, "raised_at": at, "level": "high", "value": 70.0, "low": 0.0,
              "high": 100.0, "probability": 0.9, "status": "new", "verdict": "", "assignee": "", "title": key,
              "entities": entities, "techniques": [technique], "categories": [], "campaign_id": campaign,
              "sensor": ""}  # fmt: skip
    platform.records.put(tenant, INCIDENTS, key, record)


@pytest.fixture
def site(stored: Platform) -> Platform:
    """Two incidents share a host, a third a technique with the second, a fourth nothing."""
    put(stored, "one", ["10.0.0.1", "203.0.113.1"], "T1046", "camp")
    put(stored, "two", ["10.0.0.1", "evil.example"], "T1071")
    put(stored, "three", ["10.0.0.3"], "T1071")
    put(stored, "four", ["10.0.0.4"], "T1110")
    put(stored, "strange", ["10.0.0.1"], "T1046", tenant="other")
    return stored


def asked(client: TestClient[Api], platform: Platform, tenant: str = "default", **given: Any) -> Any:
    answer = client.get(PATH, params=given, headers=of(platform, "viewer", tenant))
    assert answer.status_code == 200, answer.text
    return answer.json()


def names(graph: Any) -> set[str]:
    assert {edge[end] for edge in graph["edges"] for end in ("source", "target")} <= {e["id"] for e in graph["nodes"]}
    return {each["id"] for each in graph["nodes"]}


def test_the_whole_picture_joins_all_that_incidents_name(asking: TestClient[Api], site: Platform) -> None:
    graph = asked(asking, site)
    assert names(graph) == {
        "incident:one", "incident:two", "incident:three", "incident:four", "host:10.0.0.1", "host:10.0.0.3",
        "host:10.0.0.4", "address:203.0.113.1", "name:evil.example", "technique:T1046", "technique:T1071",
        "technique:T1110", "campaign:camp",
    }  # fmt: skip
    kinds = {(each["source"], each["target"]): each["kind"] for each in graph["edges"]}
    assert kinds["incident:one", "campaign:camp"] == "part of"
    assert kinds["incident:two", "technique:T1071"] == "shows"
    assert kinds["incident:one", "address:203.0.113.1"] == "named"
    shared = next(each for each in graph["nodes"] if each["id"] == "host:10.0.0.1")
    assert (shared["count"], shared["level"], graph["incidents"], graph["is_whole"]) == (2, "high", 4, True)


@pytest.mark.parametrize(
    ("depth", "found"),
    [
        (1, {"host:10.0.0.1", "incident:one", "incident:two"}),
        (2, {"address:203.0.113.1", "name:evil.example", "technique:T1046", "technique:T1071", "campaign:camp"}),
        (3, {"incident:three"}),
    ],
)
def test_steps_lead_from_a_node_to_incidents_and_on(
    asking: TestClient[Api], site: Platform, depth: int, found: set[str]
) -> None:
    graph = asked(asking, site, node="host:10.0.0.1", depth=depth)
    assert found <= names(graph)
    assert "incident:four" not in names(graph)
    assert graph["nodes"][0]["id"] == "host:10.0.0.1"
    if depth == 1:
        assert names(graph) == found


@pytest.mark.parametrize("node", ["incident:one", "technique:T1046", "campaign:camp", "address:203.0.113.1"])
def test_any_kind_of_node_leads_to_its_incident(asking: TestClient[Api], site: Platform, node: str) -> None:
    graph = asked(asking, site, node=node, depth=1)
    assert {"incident:one", node} <= names(graph)
    assert "incident:three" not in names(graph)


def test_what_intelligence_names_is_an_indicator(asking: TestClient[Api], site: Platform) -> None:
    keep(site, "default", "anna", "list", b"evil.example\n")
    graph = asked(asking, site, node="indicator:evil.example", depth=2)
    assert {"indicator:evil.example", "name:evil.example", "incident:two"} <= names(graph)
    assert ("name:evil.example", "indicator:evil.example", "matches") in {
        (each["source"], each["target"], each["kind"]) for each in graph["edges"]
    }


def test_bounds_are_told(asking: TestClient[Api], site: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = asked(asking, site, limit=3)
    assert (len(graph["nodes"]), graph["left_out"]["nodes"]) == (3, 10)
    assert graph["left_out"]["edges"] > 0
    monkeypatch.setattr(exploring, "MOST_INCIDENTS", 2)
    graph = asked(asking, site)
    assert (graph["incidents"], graph["is_whole"]) == (2, False)
    monkeypatch.setattr(exploring, "LONGEST_S", 0.0)
    assert asked(asking, site)["is_whole"] is False


def test_tenants_see_their_own_and_wrong_nodes_are_told(asking: TestClient[Api], site: Platform) -> None:
    assert names(asked(asking, site, "other", node="host:10.0.0.1")) == {
        "host:10.0.0.1", "incident:strange", "technique:T1046",
    }  # fmt: skip
    headers = of(site, "viewer", "other")
    for node, status in (("host:10.0.0.4", 404), ("incident:one", 404), ("city:berlin", 400), ("host:", 400)):
        assert asking.get(PATH, params={"node": node}, headers=headers).status_code == status
    assert asking.get(PATH, params={"depth": 4}, headers=headers).status_code == 400


def test_old_incidents_are_not_shown(asking: TestClient[Api], site: Platform) -> None:
    stored = site.records.get("default", INCIDENTS, "four")
    assert stored is not None
    old = msgspec.json.decode(stored.body) | {"last_seen": 1}
    site.records.put("default", INCIDENTS, "four", old)
    assert "incident:four" not in names(asked(asking, site, days=1))
