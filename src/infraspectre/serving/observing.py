"""Looks at what surrounds the platform, for its metrics: disks, certificates, the log, sensors and receivers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from infraspectre.errors import InfraSpectreError
from infraspectre.ports import EventLog
from infraspectre.records.feed import AUDIT_TOPIC, EVENTS_TOPIC, FEED_TOPIC, FLOWS_TOPIC, NOTICES_TOPIC, SENSORS_TOPIC
from infraspectre.records.times import NANOSECONDS, UNITS
from infraspectre.serving.metrics import (
    BETWEEN,
    CERTIFICATE_END,
    DISK_FREE,
    DISK_SIZE,
    LOG_ENTRIES,
    OUTBOX_AGE,
    OUTBOX_RECEIVERS,
    OUTBOX_WAITING,
    SENSOR_FLOWS,
    SENSOR_LOST,
    SENSOR_MISSING,
    SENSOR_OFFSET,
    SENSOR_REFUSED,
    SENSOR_RING_BYTES,
    SENSOR_RING_PACKETS,
    SENSOR_SILENCE,
    SENSORS,
    Metrics,
)
from infraspectre.settings import Settings

if TYPE_CHECKING:
    from infraspectre.adapters.sensor_link.listener import Listener, SensorState
    from infraspectre.records.delivery import Destination, Progress
    from infraspectre.serving.platform import Platform

SERVER_TOPICS = (FLOWS_TOPIC, SENSORS_TOPIC, EVENTS_TOPIC, NOTICES_TOPIC, AUDIT_TOPIC)
"""What the server process writes; the worker writes the feed."""
FORGOTTEN_NS = UNITS["d"]
"""A sensor that was not heard for so long is taken for one that was taken away."""
SILENT_NS = 60 * NANOSECONDS
"""A sensor that was not heard for twice the time in which it has to say something is silent."""
logger = structlog.get_logger(__name__)


def look_around(platform: Platform) -> None:
    """Set the metrics of disks, certificates and the log."""
    for name, path in folders(platform.settings).items():
        try:
            space = os.statvfs(path)
        except OSError as error:  # its figures stay as they were; all others are shown
            logger.warning("a disk cannot be looked at", folder=name, reason=error.strerror)
            continue
        platform.metrics.set(DISK_FREE, name, value=space.f_bavail * space.f_frsize)
        platform.metrics.set(DISK_SIZE, name, value=space.f_blocks * space.f_frsize)
    for use, path in certificate_files(platform.settings).items():
        if (end := expiry(path)) is not None:
            platform.metrics.set(CERTIFICATE_END, use, value=end)
    platform.metrics.adopt("log", log_figures(platform.log, SERVER_TOPICS))


def folders(settings: Settings) -> dict[str, Path]:
    """Return the folders of what lasts, as far as they are there."""
    data = settings.data.path
    named = {"data": data, "log": Path(settings.log.folder or data / "log")}
    named["store"] = Path(settings.store.folder or data / "store")
    return {name: path for name, path in named.items() if path.is_dir()}


def certificate_files(settings: Settings) -> dict[str, Path]:
    """Return the certificates that this server shows, by what for."""
    files = {"server": settings.server.certificate_file, "sensors": settings.sensors.certificate_file}
    return {use: Path(file) for use, file in files.items() if file}


def expiry(path: Path) -> float | None:
    """Return when a certificate ends, in seconds since the epoch; None where it cannot be read just now."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc.timestamp()
    except (OSError, ValueError) as error:
        logger.warning("a certificate cannot be read", path=str(path), error=type(error).__name__)
        return None


def log_figures(log: EventLog, topics: Iterable[str]) -> dict[str, dict[str, list[float]]]:
    """Return what became of entries that this process gave to topics, where the log counts it."""
    from infraspectre.adapters.log.local import LocalTopic

    children: dict[str, list[float]] = {}
    for name in topics:
        topic = log.topic(name)
        if isinstance(topic, LocalTopic):
            counts = topic.counts()
            for outcome in ("durable", "failed", "refused"):
                children[f"{name}{BETWEEN}{outcome}"] = [getattr(counts, outcome)]
    return {LOG_ENTRIES.name: children}


def look_at_sensors(listener: Listener, metrics: Metrics) -> None:
    """Set the metrics of sensors: of all tenants together, as metrics are read by people of any."""
    now = listener.clock.now()
    states = [each for each in listener.sensors() if each.is_connected or now - each.heard_at < FORGOTTEN_NS]
    silences = [now - each.heard_at for each in states if each.heard_at]
    connected = sum(each.is_connected for each in states)
    metrics.set(SENSORS, "connected", value=connected)
    metrics.set(SENSORS, "disconnected", value=len(states) - connected)
    metrics.set(SENSORS, "silent", value=sum(silence > SILENT_NS for silence in silences))
    metrics.set(SENSOR_SILENCE, value=max(silences, default=0) / NANOSECONDS)
    offsets = (abs(each.clock_ahead_ns) for each in states if each.is_connected)
    metrics.set(SENSOR_OFFSET, value=max(offsets, default=0) / NANOSECONDS)
    every = listener.sensors()
    totals = {
        SENSOR_FLOWS: sum(each.flows for each in every),
        SENSOR_LOST: sum(sum(each.lost.values()) for each in every),
        SENSOR_MISSING: sum(each.missing for each in every),
        SENSOR_REFUSED: listener.turned_away.total(),
    }
    children = {family.name: {"": [float(count)]} for family, count in totals.items()}
    rings = {outcome: [float(in_rings(every, outcome))] for outcome in ("written", "left_out", "failed")}
    metrics.adopt("sensors", children | {SENSOR_RING_PACKETS.name: rings})
    metrics.set(SENSOR_RING_BYTES, value=in_rings(states, "held_bytes"))


def in_rings(states: Iterable[SensorState], name: str) -> int:
    """Sum up a count of the rings of sensors."""
    return sum(each.capture.get(f"ring_{name}", 0) for each in states)


def look_at_receivers(platform: Platform, receivers: Sequence[tuple[Destination, Progress]]) -> None:
    """Set the metrics of receivers, by kind: how far the last of each is behind, and how many do not work.

    A kind whose last receiver was removed is told, too, lest what was told of it before stay for good.
    """
    told = {name.split(BETWEEN)[0] for name in platform.metrics.figures().get(OUTBOX_RECEIVERS.name, ())}
    for kind in told.union(destination.kind for destination, _ in receivers):
        found = [progress for destination, progress in receivers if destination.kind == kind]
        states = {"disabled": 0, "failing": 0, "working": 0}
        for each in found:
            states["disabled" if each.disabled else "failing" if each.failures else "working"] += 1
        for state, count in states.items():
            platform.metrics.set(OUTBOX_RECEIVERS, kind, state, value=count)
        starts = list(positions(platform, (each for each in found if not each.disabled)))
        topic = platform.log.topic(FEED_TOPIC)
        platform.metrics.set(OUTBOX_WAITING, kind, value=max((topic.end - start for start in starts), default=0))
        platform.metrics.set(OUTBOX_AGE, kind, value=age_s(platform, min(starts, default=topic.end)))


def positions(platform: Platform, found: Iterable[Progress]) -> Iterator[int]:
    """Yield the entry of the feed at which each receiver is."""
    from infraspectre.records.events import Position

    topic = platform.log.topic(FEED_TOPIC)
    for each in found:
        place = Position.of(each.position)
        yield min(max(place.sequence, topic.begin), topic.end) if place.epoch == topic.epoch else topic.begin


def age_s(platform: Platform, start: int) -> float:
    """Return for how long an entry of the feed has been there; 0 where there is none."""
    topic = platform.log.topic(FEED_TOPIC)
    if start >= topic.end:
        return 0.0
    try:
        entries = topic.read(start, 1)
    except InfraSpectreError:  # it is damaged: what reads it next says so
        return 0.0
    return max(platform.clock.now() - entries[0].at, 0) / NANOSECONDS if entries else 0.0
