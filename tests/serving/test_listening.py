"""How sensors are written down: when they come and go, and every minute while they are there."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec.structs import replace

from infraspectre.adapters.sensor_link.listener import SensorState
from infraspectre.records.collections import SENSORS
from infraspectre.serving.listening import SensorNotices
from serving_fakes import platform


def test_a_sensor_that_stays_is_written_down_again(tmp_path: Path) -> None:
    one = platform(tmp_path)
    notices, state = SensorNotices(one), SensorState("a", "tap", is_connected=True, changed_at=5, heard_at=5)

    def kept() -> tuple[str, int]:
        stored = one.records.get("a", SENSORS, "tap")
        assert stored is not None
        record = msgspec.json.decode(stored.body)
        return record["state"], record["sensor"]["flows"]

    notices.tell(state)
    assert kept() == ("connected", 0)
    notices.follow(lambda: [replace(state, flows=7)])
    notices.keep()
    assert kept() == ("connected", 7)
    notices.tell(replace(state, is_connected=False, changed_at=9, flows=8))
    notices.keep()  # which had asked before the sensor went
    assert kept() == ("disconnected", 8)
    assert one.records.get("b", SENSORS, "tap") is None
