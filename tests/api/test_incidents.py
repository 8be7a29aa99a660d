from __future__ import annotations

from typing import Any

import msgspec
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.records.feed import NOTICES_TOPIC, FeedEvent
from infraspectre.serving.platform import Platform

PATH = "/api/v1/incidents"


def changes(stored: Platform) -> list[FeedEvent]:
    topic = stored.log.topic(NOTICES_TOPIC)
    return [msgspec.json.decode(each.data, type=FeedEvent) for each in topic.read(topic.begin)]


def test_incidents_are_listed_in_the_order_asked_for(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    answer = asking.get(PATH, params={"order": "-value", "limit": 1}, headers=of(stored, "viewer")).json()
    values = sorted((each["threat_score"]["value"] for each in incidents), reverse=True)
    assert [each["value"] for each in answer["items"]] == values[:1]
    assert answer["items"][0]["first_seen"].endswith("Z")
    rest = asking.get(PATH, params={"order": "-value", "after": answer["next"]}, headers=of(stored, "viewer")).json()
    assert [each["value"] for each in rest["items"]] == values[1:]


def test_an_incident_of_another_tenant_is_not_there(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, stranger = f"{PATH}/{incidents[0]['incident_id']}", of(stored, "administrator", "other")
    assert asking.get(path, headers=stranger).status_code == 404
    assert asking.post(f"{path}/verdicts", json={"verdict": "benign"}, headers=stranger).status_code == 404
    assert asking.get(PATH, headers=stranger).json()["items"] == []


def test_a_change_needs_the_revision_that_was_read(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(stored)
    read = asking.get(path, headers=headers)
    assert read.json()["incident"] == incidents[0]
    assert asking.patch(path, json={"status": "open"}, headers=headers).status_code == 428
    fresh = headers | {"if-match": read.headers["etag"]}
    changed = asking.patch(path, json={"status": "open", "assignee": "ada"}, headers=fresh)
    assert changed.json()["summary"]["assignee"] == "ada"
    assert asking.patch(path, json={"status": "closed"}, headers=fresh).status_code == 412
    assert [(each.kind, each.subject) for each in changes(stored)] == [
        ("incident.changed", incidents[0]["incident_id"])
    ]


def test_a_sure_verdict_closes_an_incident_and_is_told(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    identity, headers = incidents[0]["incident_id"], of(stored)
    given = asking.post("/api/v1/feedback", json={"incident_id": identity, "verdict": "unsure"}, headers=headers)
    assert given.status_code == 201
    summary = asking.get(f"{PATH}/{identity}", headers=headers).json()["summary"]
    assert (summary["verdict"], summary["status"]) == ("unsure", "new")
    asking.post(f"{PATH}/{identity}/verdicts", json={"verdict": "benign", "comment": "our scanner"}, headers=headers)
    summary = asking.get(f"{PATH}/{identity}", headers=headers).json()["summary"]
    assert (summary["verdict"], summary["status"]) == ("benign", "closed")
    kept = asking.get(f"{PATH}/{identity}/verdicts", params={"order": "at"}, headers=headers).json()["items"]
    assert [(each["verdict"], each["by"]) for each in kept] == [
        ("unsure", "analyst-of-default"), ("benign", "analyst-of-default"),
    ]  # fmt: skip
    assert [each.kind for each in changes(stored)] == ["verdict.given", "verdict.given"]


def test_a_verdict_is_withdrawn_as_if_it_had_not_been_given(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(stored)

    def decided() -> tuple[str, str]:
        summary = asking.get(path, headers=headers).json()["summary"]
        return summary["verdict"], summary["status"]

    given = [
        asking.post(f"{path}/verdicts", json={"verdict": verdict}, headers=headers).json()["verdict_id"]
        for verdict in ("true_positive", "benign")
    ]
    other = f"{PATH}/{incidents[1]['incident_id']}/verdicts/{given[1]}"
    assert asking.delete(other, headers=headers).status_code == 404
    assert asking.delete(f"{path}/verdicts/{given[1]}", headers=of(stored, "viewer")).status_code == 403
    assert asking.delete(f"{path}/verdicts/{given[1]}", headers=headers).status_code == 204
    assert decided() == ("true_positive", "closed")
    assert asking.delete(f"{path}/verdicts/{given[1]}", headers=headers).status_code == 404
    assert asking.delete(f"{path}/verdicts/{given[0]}", headers=headers).status_code == 204
    assert decided() == ("", "new")
    assert asking.get(f"{path}/verdicts", headers=headers).json()["items"] == []
    assert [each.kind for each in changes(stored)][2:] == ["verdict.withdrawn", "verdict.withdrawn"]


def test_a_verdict_that_is_withdrawn_does_not_open_what_others_decided(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(stored)
    first, _ = (
        asking.post(f"{path}/verdicts", json={"verdict": verdict}, headers=headers).json()["verdict_id"]
        for verdict in ("true_positive", "benign")
    )
    asking.delete(f"{path}/verdicts/{first}", headers=headers)
    summary = asking.get(path, headers=headers).json()["summary"]
    assert (summary["verdict"], summary["status"]) == ("benign", "closed")


def test_a_viewer_decides_nothing(asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]) -> None:
    path, headers = f"{PATH}/{incidents[0]['incident_id']}", of(stored, "viewer")
    assert asking.post(f"{path}/verdicts", json={"verdict": "benign"}, headers=headers).status_code == 403
    assert asking.patch(path, json={"status": "open"}, headers=headers).status_code == 403


def test_many_are_changed_at_once_and_what_failed_is_named(
    asking: TestClient[Api], stored: Platform, incidents: list[dict[str, Any]]
) -> None:
    names = [each["incident_id"] for each in incidents]
    body = {"operation": "classify", "incident_ids": [*names, "none"], "parameters": {"verdict": "true_positive"}}
    answer = asking.post(f"{PATH}/bulk-operations", json=body, headers=of(stored)).json()
    assert answer == {"changed": names, "failed": {"none": "there is no such incident"}}
    listed = asking.get(PATH, params={"filter": "verdict=true_positive"}, headers=of(stored)).json()["items"]
    assert {each["incident_id"] for each in listed} == set(names)


def test_an_operation_without_its_parameter_is_refused(asking: TestClient[Api], stored: Platform) -> None:
    body = {"operation": "assign", "incident_ids": ["one"], "parameters": {"status": "open"}}
    answer = asking.post(f"{PATH}/bulk-operations", json=body, headers=of(stored))
    assert answer.status_code == 422
    assert "parameters.assignee" in answer.json()["detail"]
