"""Collecting: the packets behind an incident, from the rings of all sensors of its tenant into one file."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as LateError
from itertools import starmap
from typing import Any, NamedTuple

import structlog
from msgspec.structs import replace

from infraspectre.adapters.evidence_files import EvidenceFile, EvidenceFiles
from infraspectre.adapters.sensor_link.listener import Listener
from infraspectre.adapters.sensor_link.protocol import MOST_CONVERSATIONS, PacketEnd, PacketOrder
from infraspectre.capture.packets import Conversation, conversation_of_flow
from infraspectre.errors import InfraSpectreError, InputError, OutputError
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.evidence import Contribution, EvidenceRecord, EvidenceState
from infraspectre.records.flow_batches import Sensor
from infraspectre.records.times import NANOSECONDS, UNITS
from infraspectre.serving.evidence import Evidence, files_of
from infraspectre.serving.investigation import Investigation
from infraspectre.serving.jobs import Job
from infraspectre.serving.platform import Platform
from infraspectre.serving.triage import tell

ENDS = ("orig_ip", "orig_port", "resp_ip", "resp_port", "protocol")
COLUMNS = (*ENDS, "started_at", "ended_at")
WITHIN_S = 120.0
"""A sensor has so long to answer an order."""
LEAST_ROOM = 4_096
"""With less room than this nothing is ordered."""
logger = structlog.get_logger(__name__)
Write = Callable[[bytes], object]


class PacketSensors:
    """Reaches the sensors that keep packets, from any thread."""

    def __init__(self) -> None:
        """Reach none before `follow`."""
        self._listener: Listener | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(self, listener: Listener | None) -> None:
        """Reach those that are connected to a listener of the loop that runs; None is none."""
        self._listener, self._loop = listener, asyncio.get_running_loop()

    def keepers(self, tenant: str) -> list[Sensor]:
        """Return the sensors of a tenant that are connected and keep packets."""
        return self._listener.keepers(tenant) if self._listener else []

    def fetch(self, sensor: Sensor, order: PacketOrder, write: Write) -> PacketEnd:
        """Have packets written; raises InfraSpectreError where that cannot be."""
        if self._listener is None or self._loop is None:
            raise InputError("no sensor can be reached")
        call = self._listener.fetch(sensor, order, write, WITHIN_S)
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result(2 * WITHIN_S)
        except (TimeoutError, LateError) as error:
            raise InputError(f"did not answer within {WITHIN_S:g} s") from error


class Wanted(NamedTuple):
    """Says which packets are behind an incident."""

    conversations: list[Conversation]
    hosts: list[str]
    span: tuple[int, int]
    flows: int
    missing: int
    """Flows behind it that are no longer kept."""


def collect(sensors: PacketSensors, platform: Platform, job: Job, is_lost: threading.Event) -> str:
    """Collect the packets behind an incident; return its identity. Raises InfraSpectreError where that cannot be."""
    incident_id = str(job.arguments["incident_id"])
    evidence = Evidence(platform, job.tenant)
    known = evidence.known(incident_id)
    wanted = wanted_of(platform, job.tenant, incident_id)
    asked = sensors.keepers(job.tenant)
    if not asked:
        raise InputError("no sensor that keeps packets is connected", remedy="start sensors with --ring")
    now, chosen = platform.clock.now(), platform.settings.evidence
    with room(platform).new(job.tenant, chosen.incident_bytes) as file:
        given = [contribution(sensors, each, wanted, file, f"{job.key}-{job.attempts}", is_lost) for each in asked]
        found = summary(known, wanted, given, now)
        if file.bytes:
            ends = now + chosen.days * UNITS["d"]
            found = replace(found, bytes=file.bytes, sha256=file.finish(), file=file.name, expires_at=ends)
    evidence.put(incident_id, better(known, found))
    tell(platform, job.tenant, "evidence.collected", incident_id, {"state": found.state, "packets": found.packets})
    return incident_id


def room(platform: Platform) -> EvidenceFiles:
    """Return where packets lie; raises OutputError where there is no room for those of another incident."""
    files, chosen = files_of(platform), platform.settings.evidence
    if files.held_bytes() + chosen.incident_bytes > chosen.total_bytes:
        raise OutputError("there is no room for more packets", field="evidence.total_bytes", remedy="raise it")
    return files


def wanted_of(platform: Platform, tenant: str, incident_id: str) -> Wanted:
    """Return which packets are behind an incident; raises InputError where no flow behind it is kept."""
    stored = platform.records.get(tenant, INCIDENTS, incident_id)
    if stored is None:
        raise InputError("there is no such incident", field="incident_id")
    investigation = Investigation(platform, tenant, stored)
    ids = investigation.flow_ids()
    rows = investigation.flows(ids, COLUMNS)
    found = dict.fromkeys(each for each in starmap(conversation_of_flow, map(ends_of, rows)) if each is not None)
    if not found:
        raise InputError("no flow behind the incident is kept any more", field="incident_id")
    margin = int(platform.settings.evidence.margin_s * NANOSECONDS)
    first, last = min(row["started_at"] for row in rows), max(row["ended_at"] for row in rows)
    hosts = sorted({address for each in found for address in (each[0], each[2])})
    return Wanted(list(found), hosts, (first - margin, last + margin), len(rows), len(ids) - len(rows))


def ends_of(row: dict[str, Any]) -> tuple[Any, ...]:
    """Return between whom a flow was; what has no ports has 0."""
    return tuple(row[name] or 0 if name.endswith("port") else row[name] for name in ENDS)


def contribution(
    sensors: PacketSensors, sensor: Sensor, wanted: Wanted, file: EvidenceFile, name: str, is_lost: threading.Event
) -> Contribution:
    """Add to a file what a sensor has; where it fails, nothing of its own stays."""
    begin, packets, remarks = file.bytes, 0, list[str]()
    try:
        for order in orders(wanted, name):
            if is_lost.is_set() or file.room < LEAST_ROOM:
                remarks.append("there was no room for its packets" if file.room < LEAST_ROOM else "it was given up")
                break
            before = file.bytes
            end = sensors.fetch(sensor, replace(order, most_bytes=file.room), file.write)
            if end.problem:
                raise InputError(end.problem)
            if not end.packets:
                file.back_to(before)
            packets += end.packets
            remarks += end.remarks
    except InfraSpectreError as error:
        logger.warning("packets cannot be had", tenant=sensor.tenant, sensor=sensor.name, reason=error.problem)
        file.back_to(begin)
        return Contribution(sensor.name, remarks=[error.problem])
    return Contribution(sensor.name, packets, file.bytes - begin, list(dict.fromkeys(remarks)))


def orders(wanted: Wanted, name: str) -> Iterator[PacketOrder]:
    """Yield orders for all packets that are wanted."""
    for start in range(0, len(wanted.conversations), MOST_CONVERSATIONS):
        some = wanted.conversations[start : start + MOST_CONVERSATIONS]
        yield PacketOrder(f"{name}-{start}", some, *wanted.span, most_bytes=0)


def summary(known: EvidenceRecord, wanted: Wanted, given: Sequence[Contribution], now: int) -> EvidenceRecord:
    """Return what is to be said of what sensors gave."""
    packets = sum(each.packets for each in given)
    reasons = [f"{each.sensor}: {remark}" for each in given for remark in each.remarks]
    if wanted.missing:
        reasons.append(f"{wanted.missing} of the flows behind the incident are no longer kept")
    state: EvidenceState = "missing" if not packets else "partial" if reasons else "complete"
    return EvidenceRecord(
        state, known.asked_by, known.asked_at, known.job_id, now, 0, *wanted.span, wanted.flows, wanted.hosts, packets,
        sensors=list(given), reasons=reasons,
    )  # fmt: skip


def better(known: EvidenceRecord, found: EvidenceRecord) -> EvidenceRecord:
    """Return what is kept: packets that are there do not go because sensors have fewer by now."""
    if found.packets >= known.packets or not known.file:
        return found
    reasons = [*known.reasons, "sensors were asked again, and had fewer packets than before"]
    return replace(known, state="partial", reasons=list(dict.fromkeys(reasons)))
