"""Sensors over the API: how each is, as its record tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.adapters.sensor_link import credentials
from infraspectre.adapters.sensor_link.listener import SensorState
from infraspectre.api.frame import Api
from infraspectre.api.routes.sensors import REVOKED, SILENT_S
from infraspectre.serving.listening import SensorNotices
from infraspectre.serving.platform import Platform
from log_fakes import SetClock

PATH = "/api/v1/sensors"
SECOND = 1_000_000_000


def state(clock: SetClock, **other: Any) -> SensorState:
    known: dict[str, Any] = {
        "address": "192.0.2.7:5100", "program": "infraspectre 1.0", "is_connected": True, "changed_at": clock.time,
        "heard_at": clock.time, "clock_ahead_ns": -2 * SECOND, "flows": 70, "batches": 7, "lost": {"spool": 3},
        "capture": {"packets": 900, "bytes": 80_000, "shed_full": 4, "shed_none": 0}, "spool": {"queued": 12},
    }  # fmt: skip
    return SensorState("default", "tap", **known | other)


def told(client: TestClient[Api], platform: Platform) -> Any:
    answer = client.get(f"{PATH}/tap", headers=bearer(key_of(platform, "viewer")))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_sensor_is_told_as_it_is(client: TestClient[Api], platform: Platform, clock: SetClock) -> None:
    SensorNotices(platform).tell(state(clock))
    sensor = told(client, platform)
    assert sensor["state"] == "connected"
    assert (sensor["flows"], sensor["bytes"], sensor["packets"], sensor["queued"]) == (70, 80_000, 900, 12)
    assert (sensor["lost"], sensor["shed"]) == ({"spool": 3}, {"shed_full": 4})
    assert (sensor["addresses"], sensor["version"]) == (["192.0.2.7:5100"], "infraspectre 1.0")
    assert sensor["clock_ahead_s"] == -2
    assert sensor["since"] == sensor["seen_at"]
    listed = client.get(PATH, headers=bearer(key_of(platform, "viewer"))).json()["items"]
    assert listed == [sensor]


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ({"is_connected": False, "reason": "the connection ended"}, "disconnected"),
        ({"is_connected": False, "reason": REVOKED}, "revoked"),
    ],
)
def test_who_is_gone_says_why(
    client: TestClient[Api], platform: Platform, clock: SetClock, other: dict[str, Any], expected: str
) -> None:
    SensorNotices(platform).tell(state(clock, **other))
    sensor = told(client, platform)
    assert (sensor["state"], sensor["reason"]) == (expected, other["reason"])


def test_who_is_not_heard_is_silent(client: TestClient[Api], platform: Platform, clock: SetClock) -> None:
    notices = SensorNotices(platform)
    notices.tell(state(clock))
    clock.time += int(SILENT_S + 1) * SECOND
    assert told(client, platform)["state"] == "silent"
    notices.follow(lambda: [state(clock)])
    notices.keep()
    assert told(client, platform)["state"] == "connected"


def test_the_reason_of_the_listener_is_the_one_looked_for() -> None:
    assert f'"{REVOKED}"' in Path(credentials.__file__).read_text()


def test_sensors_of_another_tenant_are_not_there(client: TestClient[Api], platform: Platform, clock: SetClock) -> None:
    SensorNotices(platform).tell(state(clock))
    strange = bearer(key_of(platform, "administrator", "other"))
    assert client.get(PATH, headers=strange).json()["items"] == []
    assert client.get(f"{PATH}/tap", headers=strange).status_code == 404
    assert client.get(PATH, headers=bearer(key_of(platform, "sensor"))).status_code == 403
