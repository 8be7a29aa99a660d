"""What tests of evidence share: a platform with incidents in a folder, and sensors that have packets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import msgspec

from api_platform import close_platform, fill, open_platform
from infraspectre.adapters.sensor_link.protocol import PacketEnd, PacketOrder
from infraspectre.errors import InputError
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.flow_batches import Sensor
from infraspectre.serving.collecting import PacketSensors, collect
from infraspectre.serving.evidence import COLLECTING, Evidence
from infraspectre.serving.platform import Platform
from infraspectre.serving.tasks import Tasks
from infraspectre.settings import EvidenceSettings, Settings, StoreSettings
from log_fakes import SetClock

HEAD = b"\x0a\x0d\x0d\x0a"


@contextmanager
def filled(folder: Path, analyzed: Path, **evidence: object) -> Iterator[tuple[Platform, SetClock, list[str]]]:
    """A platform with its packets in a folder, its clock, and the identities of its incidents."""
    clock = SetClock()
    folder.mkdir()
    opened = open_platform(folder, clock)
    settings = Settings(
        store=StoreSettings(folder=str(folder)),
        evidence=EvidenceSettings(**evidence),  # type: ignore[arg-type]
    )
    platform = replace(opened, settings=settings)
    incidents = [each["incident_id"] for each in fill(platform, analyzed)]
    first = platform.records.get("default", INCIDENTS, incidents[0])
    assert first is not None
    platform.records.put("default", INCIDENTS, "third", msgspec.json.decode(first.body))
    yield platform, clock, [*incidents, "third"]
    close_platform(platform)


class Sensors(PacketSensors):
    """Are sensors that each give what a test says: packets, or why there are none."""

    def __init__(self, **given: list[bytes] | str) -> None:
        super().__init__()
        self.given = given
        self.orders: list[PacketOrder] = []

    def keepers(self, tenant: str) -> list[Sensor]:
        return [Sensor(tenant, name) for name in self.given]

    def fetch(self, sensor: Sensor, order: PacketOrder, write: Callable[[bytes], object]) -> PacketEnd:
        self.orders.append(order)
        parts = self.given[sensor.name]
        write(HEAD)
        if isinstance(parts, str):
            raise InputError(parts)
        for part in parts:
            write(part)
        return PacketEnd(order.order, len(parts), [] if len(parts) < 3 else ["the ring is short"])


def keep_packets(platform: Platform, incident_id: str) -> None:
    """Have packets of an incident, as if a sensor had given them."""
    Evidence(platform, "default").ask(incident_id, "ada")
    sensors = Sensors(tap=[b"what ", b"was said"])
    assert Tasks(platform, {COLLECTING: lambda *given: collect(sensors, *given)}).step()


def collected(platform: Platform, clock: SetClock, sensors: PacketSensors) -> None:
    """Do all jobs that wait, and those that are tried again."""
    tasks = Tasks(platform, {COLLECTING: lambda *given: collect(sensors, *given)})
    for _ in range(3):
        while tasks.step():
            pass
        clock.time += 60 * 10**9
