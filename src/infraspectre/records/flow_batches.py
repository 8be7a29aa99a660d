"""Batches of flows as the topic `flows` holds them: an envelope that says whose they are, then an Arrow IPC stream."""

from __future__ import annotations

import re

import msgspec

from infraspectre.errors import InputError

MAGIC = b"ISF\x01"
"""Begins an entry, and numbers the version of its form."""
HEAD_BYTES = len(MAGIC) + 4
MOST_ENVELOPE_BYTES = 128 << 10
NAME = re.compile(r"\A[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?\Z")
"""Names of tenants and sensors, which stand in certificates and file names."""


class Sensor(msgspec.Struct, frozen=True, order=True):
    """Names a sensor of a tenant."""

    tenant: str
    name: str

    def __str__(self) -> str:
        return f"{self.tenant}/{self.name}"


class FlowEnvelope(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says where a batch of flows comes from, and what is missing before it.

    A sensor numbers its batches from 0 in each epoch, which begins when its spool is opened; a consumer that has seen
    (tenant, sensor, epoch, sequence) before drops the batch.
    """

    tenant: str
    sensor: str
    epoch: str
    sequence: int
    rows: int
    first_at: int
    """When the first flow began, nanoseconds since the epoch, UTC."""
    last_at: int
    """When the last flow ended, nanoseconds since the epoch, UTC."""
    missing: int = 0
    """Batches of the epoch that lie between the one before and this, and that never came."""
    lost: dict[str, int] = {}
    """Flows that the sensor lost since the batch before, by reason."""
    capture: dict[str, int] = {}
    """What the sensor's capture counted since it began, such as packets, and packets dropped by reason."""
    trace: str = ""
    """The traceparent of what brought the batch into the log; empty where nothing is traced."""


def encode(envelope: FlowEnvelope, payload: bytes | memoryview) -> bytes:
    """Return an entry of the topic `flows`."""
    head = msgspec.json.encode(envelope)
    return b"".join((MAGIC, len(head).to_bytes(4, "big"), head, payload))


def decode(data: bytes) -> tuple[FlowEnvelope, memoryview]:
    """Return the envelope and the Arrow IPC stream of an entry; raises InputError for what is none."""
    size = int.from_bytes(data[len(MAGIC) : HEAD_BYTES], "big")
    end = HEAD_BYTES + size
    if data[: len(MAGIC)] != MAGIC or size > MOST_ENVELOPE_BYTES or end > len(data):
        raise InputError("is no batch of flows", remedy="read it with the version of InfraSpectre that wrote it")
    try:
        envelope = msgspec.json.decode(data[HEAD_BYTES:end], type=FlowEnvelope)
    except ValueError as error:
        raise InputError(f"has a broken envelope: {error}") from error
    return envelope, memoryview(data)[end:]
