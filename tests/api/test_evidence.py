"""The packets behind an incident over the API: who may ask, who may have them, and who is told of it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar.testing import TestClient

from api_platform import fill, of
from evidence_rooms import HEAD, Sensors, collected, filled
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform
from log_fakes import SetClock

Room = tuple[Platform, SetClock, TestClient[Api], str]


@pytest.fixture
def room(tmp_path: Path, analyzed: Path) -> Iterator[Room]:
    with filled(tmp_path / "store", analyzed) as (platform, clock, incidents), TestClient(make_app(platform)) as client:
        yield platform, clock, client, f"/api/v1/incidents/{incidents[0]}/evidence"


def test_packets_are_asked_for_shown_and_downloaded(room: Room) -> None:
    platform, clock, client, path = room
    nobody = client.get(path, headers=of(platform, "viewer")).json()
    assert (nobody["state"], nobody["packets"], nobody["asked_at"]) == ("none", 0, None)
    asked = client.post(path, headers=of(platform))
    assert (asked.status_code, asked.headers["location"], asked.json()["state"]) == (202, path, "waiting")
    assert client.get(f"/api/v1/jobs/{asked.json()['job_id']}", headers=of(platform)).json()["kind"] == "evidence"
    collected(platform, clock, Sensors(tap=[b"what ", b"was said"]))
    shown = client.get(path, headers=of(platform, "viewer")).json()
    assert (shown["state"], shown["packets"], shown["bytes"]) == ("complete", 2, 17)
    assert shown["sensors"] == [{"sensor": "tap", "packets": 2, "bytes": 17, "remarks": []}]
    assert shown["first"] < shown["last"] < shown["expires_at"]
    answer = client.get(f"{path}/packets", headers=of(platform))
    assert (answer.status_code, answer.content) == (200, HEAD + b"what was said")
    assert answer.headers["content-type"] == "application/vnd.tcpdump.pcap"
    assert answer.headers["content-disposition"].endswith('.pcapng"')
    digest = answer.headers["repr-digest"].removeprefix("sha-256=:").removesuffix(":")
    assert b64decode(digest).hex() == shown["sha256"]


def test_who_had_the_packets_is_in_the_audit_and_who_may_not_is_too(room: Room) -> None:
    platform, clock, client, path = room
    client.post(path, headers=of(platform))
    collected(platform, clock, Sensors(tap=[b"x"]))
    assert client.get(f"{path}/packets", headers=of(platform, "viewer")).status_code == 403
    assert client.post(path, headers=of(platform, "viewer")).status_code == 403
    assert client.get(f"{path}/packets", headers=of(platform, "analyst")).status_code == 200
    audit = client.get("/api/v1/audit?operation=download_packets", headers=of(platform, "administrator")).json()
    assert [(each["role"], each["outcome"]) for each in audit["items"]] == [("analyst", 200), ("viewer", 403)]


def test_there_is_nothing_to_have_of_others_or_before_it_was_collected(room: Room) -> None:
    platform, clock, client, path = room
    client.post(path, headers=of(platform))
    assert client.get(f"{path}/packets", headers=of(platform)).status_code == 404
    collected(platform, clock, Sensors(tap=[b"x"]))
    stranger = of(platform, "administrator", "other")
    for answer in (
        client.get(path, headers=stranger),
        client.post(path, headers=stranger),
        client.get(f"{path}/packets", headers=stranger),
        client.get("/api/v1/incidents/none/evidence", headers=of(platform)),
    ):
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


def test_the_same_incident_of_two_tenants_has_packets_of_its_own(room: Room, analyzed: Path) -> None:
    platform, clock, client, path = room
    fill(platform, analyzed, "other")
    client.post(path, headers=of(platform))
    collected(platform, clock, Sensors(tap=[b"ours"]))
    assert client.get(path, headers=of(platform, "analyst", "other")).json()["state"] == "none"
    assert client.get(f"{path}/packets", headers=of(platform, "analyst", "other")).status_code == 404
