"""Sensors: which there are, whether they are heard, and what came from them and was lost on the way."""

from __future__ import annotations

from typing import Literal

import msgspec
from litestar import get
from msgspec.structs import asdict

from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import RefusedError
from infraspectre.ports import Stored
from infraspectre.records.collections import SENSORS
from infraspectre.records.queries import Kind
from infraspectre.records.times import NANOSECONDS, rfc3339

SILENT_S = 180.0
"""A sensor that is connected speaks every few seconds, and its record is written once a minute: later it is silent."""
REVOKED = "the certificate is revoked"
"""Why the listener turns away who holds a revoked certificate."""
RING = "ring_"
"""Begins the names of counts of the ring of packets."""
FIELDS: dict[str, Kind] = {"name": "text", "seen_at": "integer"}
State = Literal["connected", "silent", "disconnected", "revoked"]


class SensorFigures(msgspec.Struct, frozen=True):
    """Is what the listener counted of a sensor since the server began, as its record holds it."""

    address: str = ""
    program: str = ""
    changed_at: int = 0
    heard_at: int = 0
    clock_ahead_ns: int = 0
    connections: int = 0
    batches: int = 0
    flows: int = 0
    duplicates: int = 0
    refused: int = 0
    missing: int = 0
    lost: dict[str, int] = {}
    capture: dict[str, int] = {}
    spool: dict[str, int] = {}
    reason: str = ""
    keeps_packets: bool = False


class SensorRecord(msgspec.Struct, frozen=True):
    """Is a sensor as it is kept."""

    name: str
    state: Literal["connected", "disconnected"]
    seen_at: int
    sensor: SensorFigures


class SensorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Is a sensor as it is shown; what is counted is counted since the server began."""

    name: str
    state: State
    """Silent is one that is connected and was not heard for three minutes."""
    reason: str
    """Why it is not connected; empty while it is."""
    seen_at: str | None
    """When it was heard last."""
    since: str | None
    """When it came or went."""
    addresses: list[str]
    """From where it connected last."""
    version: str
    """Its program and version, as it says."""
    connections: int
    batches: int
    flows: int
    bytes: int | None
    """Bytes of the packets that it captured, as it says."""
    packets: int | None
    duplicates: int
    """Batches that came again, and were known."""
    refused: int
    """Batches that were none."""
    missing: int
    """Batches that never came."""
    lost: dict[str, int]
    """Flows that it lost, by reason, as it says."""
    shed: dict[str, int]
    """What its capture dropped, by reason, as it says."""
    queued: int | None
    """Flows that wait in its spool."""
    clock_ahead_s: float
    """How much later its clock was than the server's when it came."""
    keeps_packets: bool
    """Whether it can be asked for the packets behind an incident."""
    ring: dict[str, int]
    """What became of the packets that it offered to its ring since it began, and what this holds, as it says."""


def shown(stored: Stored, now: int) -> SensorStatus:
    """Return a sensor as it is shown."""
    record = msgspec.json.decode(stored.body, type=SensorRecord)
    known = record.sensor
    same = ("connections", "batches", "flows", "duplicates", "refused", "missing", "lost", "reason")
    return SensorStatus(
        **{name: getattr(known, name) for name in same},
        name=record.name,
        state=state_of(record, max(stored.changed_at, record.seen_at), now),
        seen_at=time_of(record.seen_at),
        since=time_of(known.changed_at),
        addresses=[known.address] if known.address else [],
        version=known.program,
        bytes=known.capture.get("bytes"),
        packets=known.capture.get("packets"),
        shed={name: count for name, count in known.capture.items() if name.startswith("shed_") and count},
        queued=known.spool.get("queued"),
        clock_ahead_s=known.clock_ahead_ns / NANOSECONDS,
        keeps_packets=known.keeps_packets,
        ring={name.removeprefix(RING): count for name, count in known.capture.items() if name.startswith(RING)},
    )


def state_of(record: SensorRecord, written_at: int, now: int) -> State:
    """Return how a sensor is; a record that nobody writes any more says nothing about now."""
    if record.state == "connected":
        return "silent" if now - written_at > SILENT_S * NANOSECONDS else "connected"
    return "revoked" if record.sensor.reason == REVOKED else "disconnected"


def time_of(at: int) -> str | None:
    """Return a time as in RFC 3339; None where it is not known."""
    return rfc3339(at) if at else None


@get(
    "/api/v1/sensors",
    opt={"permission": "read"},
    dependencies={"question": asked(FIELDS, SensorStatus.__struct_fields__)},
    sync_to_thread=True,
)
def list_sensors(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[SensorStatus]:
    """List the sensors that ever connected."""
    page = platform.records.page(principal.tenant, SENSORS, question.query)
    now = platform.clock.now()
    answer: PageOf[SensorStatus] = question.page((asdict(shown(row, now)) for row in page.rows), page.next)
    return answer


@get("/api/v1/sensors/{name:str}", opt={"permission": "read"}, sync_to_thread=True)
def show_sensor(platform: GivenPlatform, principal: GivenPrincipal, name: InPath) -> SensorStatus:
    """Show a sensor."""
    stored = platform.records.get(principal.tenant, SENSORS, name)
    if stored is None:
        raise RefusedError("not-found", "there is no such sensor")
    return shown(stored, platform.clock.now())


HANDLERS = [list_sensors, show_sensor]
