"""Evidence: the packets behind an incident, as far as sensors keep packets."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator, Iterator

import msgspec
from litestar import Response, get, post
from litestar.response import Stream

from infraspectre.api.given import GivenHeavy, GivenPlatform, GivenPrincipal, InPath
from infraspectre.api.problems import RefusedError
from infraspectre.api.routes.exports import disposition
from infraspectre.api.routes.incidents import PATH, found
from infraspectre.errors import InputError
from infraspectre.records.access import Principal
from infraspectre.records.evidence import Contribution, EvidenceRecord, EvidenceState
from infraspectre.records.times import rfc3339
from infraspectre.serving.evidence import Evidence
from infraspectre.serving.platform import Platform

ONE = PATH + "/{incident_id:str}/evidence"
PCAPNG = "application/vnd.tcpdump.pcap"
"""The media type of captures (IANA); pcapng has none of its own."""


class EvidenceStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Says which packets there are of an incident."""

    incident_id: str
    state: EvidenceState
    """none: nobody asked; waiting: sensors are asked; complete: all that they were asked for; partial: some may be
    missing; missing: no sensor has any; failed: they could not be had."""
    asked_by: str
    """`platform` where it asked by itself."""
    asked_at: str | None
    job_id: str
    collected_at: str | None
    expires_at: str | None
    """When the packets are removed."""
    first: str | None
    last: str | None
    """The time span that was asked for."""
    flows: int
    """Flows behind the incident that were asked for."""
    packets: int
    bytes: int
    sha256: str
    """Of the file of packets; empty where there is none."""
    sensors: list[Contribution]
    reasons: list[str]
    """Why packets are or may be missing."""


def status_of(incident_id: str, record: EvidenceRecord) -> EvidenceStatus:
    """Return what is shown of what is known."""
    times = ("asked_at", "collected_at", "expires_at", "first", "last")
    shown = {name: getattr(record, name) for name in EvidenceStatus.__struct_fields__ if name != "incident_id"}
    shown |= {name: rfc3339(shown[name]) if shown[name] else None for name in times}
    return EvidenceStatus(incident_id=incident_id, **shown)


@post(ONE, opt={"permission": "triage"}, status_code=202, sync_to_thread=True)
def collect_evidence(
    platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath
) -> Response[EvidenceStatus]:
    """Ask sensors for the packets behind an incident, unless they are being asked: a job."""
    found(platform, principal, incident_id)
    asked = Evidence(platform, principal.tenant).ask(incident_id, principal.subject)
    where = {"location": f"{PATH}/{incident_id}/evidence"}
    return Response(status_of(incident_id, asked), status_code=202, headers=where)


@get(ONE, opt={"permission": "read"}, sync_to_thread=True)
def show_evidence(platform: GivenPlatform, principal: GivenPrincipal, incident_id: InPath) -> EvidenceStatus:
    """Show which packets there are of an incident, and why not more."""
    found(platform, principal, incident_id)
    return status_of(incident_id, Evidence(platform, principal.tenant).known(incident_id))


@get(ONE + "/packets", opt={"permission": "triage", "audit": True, "produces": (PCAPNG,), "time_limit_s": 0})
async def download_packets(
    platform: GivenPlatform, heavy: GivenHeavy, principal: GivenPrincipal, incident_id: InPath
) -> Stream:
    """Download the packets behind an incident as pcapng; who did is in the audit."""
    record, parts = await heavy.run(packets_of, platform, principal, incident_id)
    digest = b64encode(bytes.fromhex(record.sha256)).decode()
    headers = disposition(f"{incident_id}.pcapng") | {"repr-digest": f"sha-256=:{digest}:"}  # RFC 9530
    return Stream(in_turn(parts), media_type=PCAPNG, headers=headers)


async def in_turn(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield parts that are read in threads."""
    while part := await asyncio.to_thread(next, parts, b""):
        yield part


def packets_of(platform: Platform, principal: Principal, incident_id: str) -> tuple[EvidenceRecord, Iterator[bytes]]:
    """Return the packets of an incident in parts; raises RefusedError where there are none."""
    found(platform, principal, incident_id)
    evidence = Evidence(platform, principal.tenant)
    record = evidence.known(incident_id)
    try:
        return record, evidence.parts(record)
    except InputError as error:
        raise RefusedError("not-found", error.problem) from error


HANDLERS = [collect_evidence, show_evidence, download_packets]
