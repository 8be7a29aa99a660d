"""Threat intelligence over the API: imported, listed, looked up, and told of in reports."""

from __future__ import annotations

from typing import Any

import pytest
from litestar.testing import TestClient

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.records.collections import INTELLIGENCE
from infraspectre.serving import intelligence
from infraspectre.serving.platform import Platform

PATH, REPORTS = "/api/v1/indicators", "/api/v1/threat-reports"
ADDRESS = "203.0.113.77"
STIX = {
    "type": "bundle",
    "id": "bundle--1",
    "objects": [
        {"type": "indicator", "id": "indicator--1", "pattern": f"[ipv4-addr:value = '{ADDRESS}']", "confidence": 80,
         "valid_from": "2026-01-01T00:00:00Z", "valid_until": "2030-01-01T00:00:00Z", "labels": ["c2"]},
        {"type": "indicator", "id": "indicator--2", "pattern": "[domain-name:value = 'evil.example']"},
        {"type": "malware", "id": "malware--1", "name": "Badger"},
        {"type": "intrusion-set", "id": "intrusion-set--1", "name": "Quiet Group"},
        {"type": "attack-pattern", "id": "attack-pattern--1", "name": "Web",
         "external_references": [{"source_name": "mitre-attack", "external_id": "T1071.001"}]},
        {"type": "relationship", "id": "relationship--1", "relationship_type": "indicates",
         "source_ref": "indicator--1", "target_ref": "malware--1"},
        {"type": "report", "id": "report--1", "name": "What Badger does", "published": "2026-01-02T00:00:00Z",
         "object_refs": ["indicator--1", "malware--1", "intrusion-set--1", "attack-pattern--1", "indicator--9"]},
    ],
}  # fmt: skip
MISP = {"Event": {"uuid": "misp-1", "info": "A campaign", "date": "2026-01-03", "Orgc": {"name": "CERT"},
                  "Attribute": [{"type": "ip-dst", "value": "203.0.113.78", "to_ids": True}]}}  # fmt: skip
OTX = {"id": "otx-1", "name": "A pulse", "created": "2026-01-04T00:00:00", "adversary": "Loud Group",
       "indicators": [{"indicator": "203.0.113.79", "type": "IPv4"}]}  # fmt: skip


class Desk:
    """Imports and asks as somebody of a tenant."""

    def __init__(self, client: TestClient[Api], platform: Platform) -> None:
        self.client, self.platform = client, platform

    def give(self, name: str, content: Any, role: Any = "engineer", tenant: str = "default") -> Any:
        body = {"name": name, "content": content}
        return self.client.post(f"{PATH}/import", json=body, headers=of(self.platform, role, tenant))

    def get(self, path: str = PATH, tenant: str = "default", **given: Any) -> Any:
        answer = self.client.get(path, params=given, headers=of(self.platform, "viewer", tenant))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def values(self, tenant: str = "default", **given: Any) -> list[str]:
        return [each["value"] for each in self.get(tenant=tenant, **given)["items"]]


@pytest.fixture
def desk(asking: TestClient[Api], stored: Platform) -> Desk:
    return Desk(asking, stored)


def test_what_is_imported_is_found_by_its_tenant_alone(desk: Desk) -> None:
    told = desk.give("feed", STIX).json()
    assert (told["summary"]["indicators"], told["summary"]["reports"], told["refused"]) == (
        {"domain": 1, "ip": 1},
        1,
        [],
    )
    (found,) = desk.get(filter="kind=ip")["items"]
    assert (found["value"], found["threats"], found["labels"], found["expired"]) == (ADDRESS, ["Badger"], ["c2"], False)
    assert 0.5 < found["confidence"] < 0.8
    assert desk.values("other") == []
    enriched = {"values": [ADDRESS]}
    for tenant, count in (("default", 1), ("other", 0)):
        answer = desk.client.post("/api/v1/enrich", json=enriched, headers=of(desk.platform, "viewer", tenant))
        assert len(answer.json()["values"][0]["indicators"]) == count
    stranger = of(desk.platform, "administrator", "other")
    assert desk.client.get(f"{PATH}/{ADDRESS}", headers=stranger).status_code == 404
    assert desk.client.get(f"{REPORTS}/report--1", headers=stranger).status_code == 404
    assert desk.client.delete(f"{PATH}/imports/feed", headers=stranger).status_code == 404


def test_an_indicator_says_in_which_incidents_and_reports_it_is(desk: Desk, incidents: list[dict[str, Any]]) -> None:
    entity = next(each for each in incidents[0]["entities"] if each[0].isdigit())
    desk.give("feed", STIX)
    desk.give("list", f"{entity}\n")
    (found,) = desk.get(filter=f"value={entity}")["items"]
    named = [each["incident_id"] for each in incidents if entity in {*each["entities"], *each["orig"], *each["resp"]}]
    assert found["seen"] == len(named)
    assert set(desk.get(f"{PATH}/{entity}")["incidents"]) == set(named)
    detail = desk.get(f"{PATH}/{ADDRESS}")
    assert detail["reports"] == [{"report_id": "report--1", "title": "What Badger does"}]
    assert detail["indicators"][0]["threats"] == ["Badger"]
    assert desk.client.get(f"{PATH}/192.0.2.55", headers=of(desk.platform)).status_code == 404


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("value~EVIL", ["evil.example"]),
        ("value^203", [ADDRESS]),
        ("threats=Badger", [ADDRESS]),
        ("threats!=Badger", ["evil.example"]),
        ("labels~C", [ADDRESS]),
        ("confidence>=0.6", [ADDRESS]),
        ("valid_until>2026-06-01T00:00:00Z", [ADDRESS]),
        ("valid_until!=5", [ADDRESS, "evil.example"]),
        ("kind=domain|url", ["evil.example"]),
    ],
)
def test_indicators_are_filtered_as_everything_is(desk: Desk, asked: str, found: list[str]) -> None:
    desk.give("feed", STIX)
    assert desk.values(filter=asked, order="value") == found


def test_indicators_come_in_pages_and_in_order(desk: Desk) -> None:
    desk.give("feed", STIX)
    first = desk.get(order="-confidence", limit=1)
    assert [each["value"] for each in first["items"]] == [ADDRESS]
    last = desk.get(order="-confidence", limit=1, after=first["next"])
    assert ([each["value"] for each in last["items"]], last["next"]) == (["evil.example"], None)
    assert desk.client.get(PATH, params={"after": "x"}, headers=of(desk.platform)).status_code == 404


def test_reports_of_all_forms_are_told(desk: Desk) -> None:
    for name, content in (("stix", STIX), ("misp", MISP), ("otx", OTX)):
        assert desk.give(name, content).json()["summary"]["reports"] == 1
    told = {each["report_id"]: each for each in desk.get(REPORTS, order="-published")["items"]}
    assert list(told) == ["otx-1", "misp-1", "report--1"]
    stix = told["report--1"]
    assert (stix["actors"], stix["malware"], stix["techniques"]) == (["Quiet Group"], ["Badger"], ["T1071.001"])
    assert (told["misp-1"]["source"], told["otx-1"]["actors"]) == ("CERT", ["Loud Group"])
    assert told["otx-1"]["published"].startswith("2026-01-04")
    assert [each["report_id"] for each in desk.get(REPORTS, filter="malware=Badger")["items"]] == ["report--1"]
    named = desk.get(f"{REPORTS}/report--1")["indicators"]
    assert named == [{"kind": "ip", "value": ADDRESS, "seen": 0}]


def test_an_import_replaces_what_was_under_its_name_and_can_be_removed(desk: Desk) -> None:
    desk.give("list", "203.0.113.1\n203.0.113.2\nnot one\n")
    told = desk.give("list", "value,confidence\n203.0.113.3,90\n").json()
    assert (told["summary"]["by"], desk.values()) == ("engineer-of-default", ["203.0.113.3"])
    assert [each["name"] for each in desk.get(f"{PATH}/imports")] == ["list"]
    engineer = of(desk.platform, "engineer")
    assert desk.client.delete(f"{PATH}/imports/list", headers=engineer).status_code == 204
    assert desk.client.delete(f"{PATH}/imports/list", headers=engineer).status_code == 404
    assert desk.values() == []


def test_an_import_that_comes_after_a_removed_one_of_its_name_is_read(desk: Desk) -> None:
    desk.give("mine", "198.51.100.1\n")
    assert desk.values() == ["198.51.100.1"]
    gone = desk.client.delete(f"{PATH}/imports/mine", headers=of(desk.platform, "engineer"))
    assert gone.status_code == 204
    desk.give("mine", "198.51.100.2\n")
    assert desk.values() == ["198.51.100.2"]


def test_what_holds_nothing_or_too_much_is_refused(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = desk.give("list", "no indicator at all\n")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "content")
    assert desk.give("broken", '{"objects": [').status_code == 422
    assert desk.give("../../x", "203.0.113.1").status_code == 400
    assert desk.give("feed", STIX, role="analyst").status_code == 403
    some = desk.give("some", "203.0.113.1\nnothing at all\n").json()
    assert [each["line"] for each in some["refused"]] == [2]
    monkeypatch.setattr(intelligence, "MOST_BYTES", 20)
    assert desk.give("more", "203.0.113.2\n").status_code == 503
    assert [row.key for row in intelligence.imports(desk.platform, "default")] == ["some"]
    assert desk.platform.records.get("default", INTELLIGENCE, "more") is None
