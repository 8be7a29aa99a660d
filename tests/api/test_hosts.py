"""Hosts over the API: the list, its pages and bounds, and what is told of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
from litestar.testing import TestClient
from msgspec.structs import replace as changed

from api_platform import of
from infraspectre.api import directories
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.records.collections import ASSETS
from infraspectre.serving.platform import Platform
from infraspectre.settings import DetectionSettings

PATH = "/api/v1/hosts"
VICTIM = "10.20.0.13"
Incidents = list[dict[str, Any]]


def hosts(asking: TestClient[Api], stored: Platform, tenant: str = "default", **query: Any) -> Any:
    answer = asking.get(PATH, params=query, headers=of(stored, "viewer", tenant))
    assert answer.status_code == 200, answer.text
    return answer.json()


def named(asking: TestClient[Api], stored: Platform, **query: Any) -> list[str]:
    return [each["address"] for each in hosts(asking, stored, **query)["items"]]


def test_hosts_are_listed_worst_first(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    page = hosts(asking, stored)
    values = [-1 if each["value"] is None else each["value"] for each in page["items"]]
    assert values == sorted(values, reverse=True)
    assert page["items"][0]["level"] == "critical"
    assert (page["incidents"], page["is_whole"], page["hosts"]) == (2, True, len(page["items"]))
    victim = next(each for each in page["items"] if each["address"] == VICTIM)
    assert (victim["name"], victim["roles"], victim["incidents"]) == ("INTRANET", ["web-server"], 2)
    assert victim["place"] == "inside"
    assert victim["bytes"] == victim["bytes_in"] + victim["bytes_out"] > 0
    assert page["start"] < victim["first_seen"] <= victim["last_seen"] <= page["end"]


def test_pages_show_every_host_once(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    for query in ({}, *({"order": order} for order in ("-bytes", "last_seen", "name", "-level", "incidents"))):
        whole, found = named(asking, stored, limit=1_000, **query), list[str]()
        after: dict[str, str] = {}
        while True:
            page = hosts(asking, stored, limit=20, **query, **after)
            found += [each["address"] for each in page["items"]]
            if page["next"] is None:
                break
            after = {"after": page["next"]}
        assert found == whole, query
        assert len(set(whole)) == len(whole) > 30


def test_hosts_are_found_by_filters(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    assert named(asking, stored, filter="role=web-server") == [VICTIM]
    assert named(asking, stored, filter="name~intra") == [VICTIM]
    assert set(named(asking, stored, filter=["address~10.20.0.", "level=critical"])) >= {VICTIM}
    outside = hosts(asking, stored, filter="place=outside", fields="address,place")["items"]
    assert {each["place"] for each in outside} == {"outside"}
    assert all(set(each) == {"address", "place"} for each in outside)
    assert named(asking, stored, filter="bytes>1000000000") == []


def test_what_no_list_can_be_asked_for_is_refused(
    asking: TestClient[Api], stored: Platform, incidents: Incidents
) -> None:
    place = hosts(asking, stored, limit=1)["next"]
    for query, status in (
        ({"filter": "secret=1"}, 400),
        ({"order": "role"}, 400),
        ({"limit": 1_001}, 400),
        ({"after": "x"}, 404),
        ({"after": place, "order": "-bytes"}, 404),
        ({"after": "WyJ2YWx1ZSIsdHJ1ZSwieCIsIngiXQ"}, 404),
    ):
        assert asking.get(PATH, params=query, headers=of(stored)).status_code == status, query


def test_hosts_of_another_tenant_are_not_there(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    assert hosts(asking, stored, "other")["items"] == []
    assert asking.get(f"{PATH}/{VICTIM}", headers=of(stored, tenant="other")).status_code == 404


def test_one_host_is_told_as_the_list_tells_it(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    victim = next(each for each in hosts(asking, stored)["items"] if each["address"] == VICTIM)
    told = asking.get(f"{PATH}/{VICTIM}", headers=of(stored, "viewer")).json()
    assert told["summary"] | {"last_seen": ""} == victim | {"last_seen": ""}
    activity = told["activity"]
    assert activity["flows"] == victim["flows"] == sum(each["flows"] for each in activity["hours"])
    assert sum(each["bytes_in"] for each in activity["hours"]) == victim["bytes_in"]
    assert activity["baseline"] == []
    assert not any(each["is_new"] for each in activity["peers"])
    assert told["day"]["flows"] == victim["flows"]
    assert (told["day_before"], told["changes"]) == (None, [])
    assert {each["incident_id"] for each in told["incidents"]} == {each["incident_id"] for each in incidents}
    assert all(VICTIM in (each["orig"], each["resp"]) for each in told["detections"])
    assert 0 < len(told["detections"]) <= 20
    assert activity["names"][0]["name"] == "intranet.corp.example"


def test_a_host_that_nobody_saw_is_not_found(asking: TestClient[Api], stored: Platform, incidents: Incidents) -> None:
    for address in ("192.0.2.250", "nobody", "10.20.0.13%20", "::1"):
        assert asking.get(f"{PATH}/{address}", headers=of(stored)).status_code == 404


def test_assets_name_hosts(stored: Platform, incidents: Incidents, tmp_path: Path) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(f"assets:\n- {{network: 10.20.0.0/16, name: lan}}\n- {{network: {VICTIM}, name: filed}}\n")
    settings = changed(stored.settings, detection=DetectionSettings(assets=str(site)))
    own = {"network": VICTIM, "name": "web", "criticality": "high", "roles": ["shop"], "owner": "ada", "note": "n"}
    stored.records.put("default", ASSETS, VICTIM, own)
    with TestClient(make_app(replace(stored, settings=settings))) as asking:
        known = {each["address"]: each for each in hosts(asking, stored)["items"]}
        assert (known[VICTIM]["name"], known[VICTIM]["criticality"]) == ("web", "high")
        assert known["10.20.0.53"]["name"] == "lan"
        told = asking.get(f"{PATH}/{VICTIM}", headers=of(stored)).json()
        assert (told["summary"]["roles"], told["owner"]) == (["shop"], "ada")


def test_the_list_is_made_anew(
    asking: TestClient[Api], stored: Platform, incidents: Incidents, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert hosts(asking, stored)["incidents"] == 2
    body = {"operation": "update_status", "parameters": {"status": "closed"}}
    ids = {"incident_ids": [each["incident_id"] for each in incidents]}
    assert asking.post("/api/v1/incidents/bulk-operations", json=body | ids, headers=of(stored)).status_code == 200
    assert hosts(asking, stored)["incidents"] == 2
    monkeypatch.setattr(directories, "STALE_S", 0.0)
    again = hosts(asking, stored)
    assert again["incidents"] == 0
    assert {each["value"] for each in again["items"]} == {None}


def test_nobody_waits_for_a_list_that_is_made_anew(stored: Platform, incidents: Incidents) -> None:
    time_s = [0.0]
    kept = directories.Directories(stored, lambda: time_s[0])
    first = kept.of("default")
    time_s[0] = directories.FRESH_S - 1
    assert kept.of("default") is first
    time_s[0] += 1
    assert kept.of("default") is first
    deadline = monotonic() + 30
    while kept.of("default") is first and monotonic() < deadline:
        sleep(0.01)
    assert kept.of("default") is not first
    assert kept.of("other").hosts == []
