"""The incident in depth: timeline, graph, flows and comparable incidents."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.records.collections import INCIDENTS
from infraspectre.serving.platform import Platform

PATH = "/api/v1/incidents"
PARTS = ("timeline", "graph", "similar", "flows")


def asked(asking: TestClient[Api], stored: Platform, incident: dict[str, Any], part: str, **given: Any) -> Any:
    answer = asking.get(f"{PATH}/{incident['incident_id']}/{part}", params=given, headers=of(stored, "viewer"))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_timeline_tells_detections_in_order_of_time(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    incident = max(incidents, key=lambda each: len(each["detections"]))
    told = asked(asking, stored, incident, "timeline")
    assert {each["detection_id"] for each in told["items"]} == {each["detection_id"] for each in incident["detections"]}
    assert [each["at"] for each in told["items"]] == sorted(each["at"] for each in told["items"])
    assert told["detections"] >= len(told["items"]) > 1
    assert all(each["summary"] and each["flow_ids"] for each in told["items"])
    assert all(isinstance(flow, str) for each in told["items"] for flow in each["flow_ids"])


def test_detections_that_a_record_does_not_hold_are_read_from_their_table(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    before = asked(asking, stored, incidents[0], "timeline")
    kept = stored.records.get("default", INCIDENTS, incidents[0]["incident_id"])
    assert kept is not None
    stored.records.put("default", INCIDENTS, kept.key, msgspec.json.decode(kept.body) | {"detections": []})
    assert asked(asking, stored, incidents[0], "timeline") == before


def test_a_graph_joins_who_did_what_to_whom(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    graph = asked(asking, stored, incidents[0], "graph")
    nodes = {each["id"]: each for each in graph["nodes"]}
    assert {each["kind"] for each in graph["nodes"]} >= {"host", "detection", "technique"}
    assert {edge[end] for edge in graph["edges"] for end in ("source", "target")} <= nodes.keys()
    assert {f"technique:{each['id']}" for each in incidents[0]["techniques"]} <= nodes.keys()
    assert {"acted", "talked", "shows"} <= {each["kind"] for each in graph["edges"]}
    assert all(each["bytes"] > 0 for each in graph["edges"] if each["kind"] == "talked")
    assert graph["left_out"] == {"nodes": 0, "edges": 0}


def test_the_flows_behind_an_incident_come_in_pages(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    incident = max(incidents, key=lambda each: sum(len(one["flow_ids"]) for one in each["detections"]))
    wanted = {str(flow) for each in incident["detections"] for flow in each["flow_ids"]}
    seen, after, pages = [], None, 0
    while after is not None or not pages:
        page = asked(asking, stored, incident, "flows", limit=7, **({"after": after} if after else {}))
        seen += [each["flow_id"] for each in page["items"]]
        after, pages = page["next"], pages + 1
    assert sorted(seen) == sorted(wanted)
    assert pages == -(-len(wanted) // 7)
    some = asked(asking, stored, incident, "flows", limit=1, fields="orig_ip,resp_ip")["items"]
    assert {*some[0]} == {"orig_ip", "resp_ip"}


@pytest.mark.parametrize("after", ["-1", "x", "9999999999", "٣"])
def test_a_page_that_is_none_is_not_found(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]], after: str
) -> None:
    path = f"{PATH}/{incidents[0]['incident_id']}/flows"
    assert asking.get(path, params={"after": after}, headers=of(stored)).status_code == 404
    assert asking.get(path, params={"fields": "nothing"}, headers=of(stored)).status_code == 400


def test_the_same_again_is_similar_and_says_what_people_said_of_it(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    kept = stored.records.get("default", INCIDENTS, incidents[0]["incident_id"])
    assert kept is not None
    record = msgspec.json.decode(kept.body)
    stored.records.put("default", INCIDENTS, "before", record | {"verdict": "benign", "status": "closed"})
    stored.records.put("other", INCIDENTS, "strange", record)
    told = asked(asking, stored, incidents[0], "similar")
    first = told["items"][0]
    assert (first["incident_id"], first["similarity"], first["verdict"]) == ("before", 1.0, "benign")
    assert first["shared_entities"] == record["entities"]
    assert first["shared_techniques"] == record["techniques"]
    assert "strange" not in {each["incident_id"] for each in told["items"]}
    assert told["compared"] >= 1


@pytest.mark.parametrize("part", PARTS)
def test_what_is_behind_an_incident_of_another_tenant_is_not_there(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]], part: str
) -> None:
    path = f"{PATH}/{incidents[0]['incident_id']}/{part}"
    assert asking.get(path, headers=of(stored, "administrator", "other")).status_code == 404
    assert asking.get(path, headers=of(stored, "sensor")).status_code == 403
