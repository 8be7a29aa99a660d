from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store.sqlite import open_sqlite
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.records.access import Role
from infraspectre.records.collections import INCIDENTS, incident_record
from infraspectre.records.feed import CHANGES_TOPIC, FeedEvent
from infraspectre.serving.platform import Platform, SystemClock

PATH = "/api/v1/incidents"


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    clock = SystemClock()
    records, log = open_sqlite(tmp_path / "records.db", clock), LocalLog(tmp_path / "log", clock)
    yield Platform(records, None, log, clock=clock)  # type: ignore[arg-type]
    log.close()
    records.close()


@pytest.fixture
def client(platform: Platform) -> Iterator[TestClient[Api]]:
    with TestClient(make_app(platform)) as client:
        yield client


@pytest.fixture
def incidents(platform: Platform, analyzed: Path) -> list[dict[str, Any]]:
    """Those of the bundled capture, in the store of the default tenant."""
    lines = (analyzed / "incidents.jsonl").read_bytes().splitlines()
    found = [msgspec.json.decode(line) for line in lines]
    for incident in found:
        platform.records.put("default", INCIDENTS, incident["incident_id"], incident_record(incident))
    return found


def of(platform: Platform, role: Role = "analyst", tenant: str = "default") -> dict[str, str]:
    return bearer(key_of(platform, role, tenant))


def changes(platform: Platform) -> list[FeedEvent]:
    topic = platform.log.topic(CHANGES_TOPIC)
    return [msgspec.json.decode(each.data, type=FeedEvent) for each in topic.read(topic.begin)]


def test_incidents_are_listed_in_the_order_asked_for(
    client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]
) -> None:
    answer = client.get(PATH, params={"order": "-value", "limit": 1}, headers=of(platform, "viewer")).json()
    values = sorted((each["threat_score"]["value"] for each in incidents), reverse=True)
    assert [each["value"] for each in answer["items"]] == values[:1]
    assert answer["items"][0]["first_seen"].endswith("Z")
    rest = client.get(PATH, params={"order": "-value", "after": answer["next"]}, headers=of(platform, "viewer")).json()
    assert [each["value"] for each in rest["items"]] == values[1:]


def test_an_incident_of_another_tenant_is_not_there(
    client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, stranger = f"{PATH}/{incidents[0]['incident_id']}", of(platform, "administrator", "other")
    assert client.get(path, headers=stranger).status_code == 404
    assert client.post(f"{path}/verdicts", json={"verdict": "benign"}, headers=stranger).status_code == 404
    assert client.get(PATH, headers=stranger).json()["items"] == []


def test_a_change_needs_the_revision_that_was_read(
    client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(platform)
    read = client.get(path, headers=headers)
    assert read.json()["incident"] == incidents[0]
    assert client.patch(path, json={"status": "open"}, headers=headers).status_code == 428
    fresh = headers | {"if-match": read.headers["etag"]}
    changed = client.patch(path, json={"status": "open", "assignee": "ada"}, headers=fresh)
    assert changed.json()["summary"]["assignee"] == "ada"
    assert client.patch(path, json={"status": "closed"}, headers=fresh).status_code == 412
    assert [(each.kind, each.subject) for each in changes(platform)] == [
        ("incident.changed", incidents[0]["incident_id"])
    ]


def test_a_sure_verdict_closes_an_incident_and_is_told(
    client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]
) -> None:
    identity, headers = incidents[0]["incident_id"], of(platform)
    given = client.post("/api/v1/feedback", json={"incident_id": identity, "verdict": "unsure"}, headers=headers)
    assert given.status_code == 201
    summary = client.get(f"{PATH}/{identity}", headers=headers).json()["summary"]
    assert (summary["verdict"], summary["status"]) == ("unsure", "new")
    client.post(f"{PATH}/{identity}/verdicts", json={"verdict": "benign", "comment": "our scanner"}, headers=headers)
    summary = client.get(f"{PATH}/{identity}", headers=headers).json()["summary"]
    assert (summary["verdict"], summary["status"]) == ("benign", "closed")
    kept = client.get(f"{PATH}/{identity}/verdicts", params={"order": "at"}, headers=headers).json()["items"]
    assert [(each["verdict"], each["by"]) for each in kept] == [
        ("unsure", "analyst-of-default"), ("benign", "analyst-of-default"),
    ]  # fmt: skip
    assert [each.kind for each in changes(platform)] == ["verdict.given", "verdict.given"]


def test_a_viewer_decides_nothing(client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(platform, "viewer")
    assert client.post(f"{path}/verdicts", json={"verdict": "benign"}, headers=headers).status_code == 403
    assert client.patch(path, json={"status": "open"}, headers=headers).status_code == 403


def test_many_are_changed_at_once_and_what_failed_is_named(
    client: TestClient[Api], platform: Platform, incidents: list[dict[str, Any]]
) -> None:
    names = [each["incident_id"] for each in incidents]
    body = {"operation": "classify", "incident_ids": [*names, "none"], "parameters": {"verdict": "true_positive"}}
    answer = client.post(f"{PATH}/bulk-operations", json=body, headers=of(platform)).json()
    assert answer == {"changed": names, "failed": {"none": "there is no such incident"}}
    listed = client.get(PATH, params={"filter": "verdict=true_positive"}, headers=of(platform)).json()["items"]
    assert {each["incident_id"] for each in listed} == set(names)


def test_an_operation_without_its_parameter_is_refused(client: TestClient[Api], platform: Platform) -> None:
    body = {"operation": "assign", "incident_ids": ["one"], "parameters": {"status": "open"}}
    answer = client.post(f"{PATH}/bulk-operations", json=body, headers=of(platform))
    assert answer.status_code == 422
    assert "parameters.assignee" in answer.json()["detail"]
