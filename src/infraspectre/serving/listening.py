"""Listens for sensors: what they deliver goes into the log, and how each is, among the records and on the feed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infraspectre.records.collections import SENSORS
from infraspectre.records.feed import NOTICES_TOPIC, FeedEvent
from infraspectre.records.times import rfc3339

if TYPE_CHECKING:
    from infraspectre.adapters.sensor_link.listener import Listener, SensorState
    from infraspectre.serving.platform import Platform


async def listening(platform: Platform, urls: dict[str, str], notices: SensorNotices) -> Listener | None:
    """Listen for sensors, and add the address; None where the settings say not to."""
    chosen = platform.settings.sensors
    if not chosen.listen:
        return None
    from infraspectre.adapters.sensor_link.credentials import Credentials
    from infraspectre.adapters.sensor_link.intake import Intake
    from infraspectre.adapters.sensor_link.listener import Listener

    credentials = None
    if chosen.certificate_file:
        revoked = Path(chosen.revocation_file) if chosen.revocation_file else None
        credentials = Credentials(
            Path(chosen.certificate_file), Path(chosen.key_file), Path(chosen.authority_file), revoked, "server",
            platform.clock,
        )  # fmt: skip
    listener = Listener(Intake(platform.log), credentials, platform.clock, notices.tell)
    notices.follow(listener.sensors)
    host, port = await listener.start(chosen.host, chosen.port)
    urls["sensors"] = f"{in_address(host)}:{port}"
    return listener


class SensorNotices:
    """Keeps how each sensor is among the records, and tells of it on the feed."""

    def __init__(self, platform: Platform) -> None:
        """Write into the records and the log of a platform."""
        self._platform = platform
        self._sensors: Callable[[], list[SensorState]] = list
        self._changed: dict[tuple[str, str], int] = {}
        self._lock = threading.Lock()

    def follow(self, sensors: Callable[[], list[SensorState]]) -> None:
        """Ask from now on how all sensors are."""
        self._sensors = sensors

    def tell(self, state: SensorState) -> None:
        """Take note that a sensor came or went."""
        word = word_of(state)
        event = FeedEvent(
            state.tenant,
            "system",
            f"sensor.{word}",
            rfc3339(state.changed_at or self._platform.clock.now()),
            state.name,
            data=msgspec.Raw(msgspec.json.encode(state)),
        )
        self._platform.log.topic(NOTICES_TOPIC).append([msgspec.json.encode(event)])
        self._keep(state)

    def keep(self) -> None:
        """Write down how those are that are connected, to be called every minute."""
        for state in self._sensors():
            if state.is_connected:
                self._keep(state)

    def _keep(self, state: SensorState) -> None:
        """Write down how a sensor is, unless somebody wrote already what came after."""
        record = {
            "name": state.name,
            "state": word_of(state),
            "seen_at": state.heard_at,
            "sensor": msgspec.to_builtins(state),
        }
        sensor = state.tenant, state.name
        with self._lock:
            if state.changed_at >= self._changed.get(sensor, 0):
                self._changed[sensor] = state.changed_at
                self._platform.records.put(state.tenant, SENSORS, state.name, record)


def word_of(state: SensorState) -> str:
    """Return the state of a sensor as a word."""
    return "connected" if state.is_connected else "disconnected"


def in_address(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
