"""Listens for sensors: what they deliver goes into the log, and how each is, among the records and on the feed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from infraspectre.records.collections import SENSORS
from infraspectre.records.feed import NOTICES_TOPIC, FeedEvent
from infraspectre.records.times import rfc3339

if TYPE_CHECKING:
    from infraspectre.adapters.sensor_link.listener import Listener, SensorState
    from infraspectre.serving.platform import Platform


async def listening(platform: Platform, urls: dict[str, str]) -> Listener | None:
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
    listener = Listener(Intake(platform.log), credentials, platform.clock, SensorNotices(platform).tell)
    host, port = await listener.start(chosen.host, chosen.port)
    urls["sensors"] = f"{in_address(host)}:{port}"
    return listener


class SensorNotices:
    """Keeps how each sensor is among the records, and tells of it on the feed."""

    def __init__(self, platform: Platform) -> None:
        """Write into the records and the log of a platform."""
        self._platform = platform

    def tell(self, state: SensorState) -> None:
        """Take note that a sensor came or went."""
        word = "connected" if state.is_connected else "disconnected"
        record = {"name": state.name, "state": word, "seen_at": state.heard_at, "sensor": msgspec.to_builtins(state)}
        event = FeedEvent(
            state.tenant,
            "system",
            f"sensor.{word}",
            rfc3339(state.changed_at or self._platform.clock.now()),
            state.name,
            data=msgspec.Raw(msgspec.json.encode(state)),
        )
        self._platform.log.topic(NOTICES_TOPIC).append([msgspec.json.encode(event)])
        self._platform.records.put(state.tenant, SENSORS, state.name, record)


def in_address(host: str) -> str:
    """Return a host as it stands in a URL."""
    return f"[{host}]" if ":" in host else host
