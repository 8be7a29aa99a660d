"""The packets behind an incident as they are kept: what was asked for, what there is, and why not more."""

from __future__ import annotations

from typing import Literal

import msgspec

EvidenceState = Literal["none", "waiting", "complete", "partial", "missing", "failed"]
"""none: nobody asked; waiting: sensors are asked; complete: all that they were asked for; partial: some may be missing;
missing: no sensor has any; failed: they could not be had."""


class Contribution(msgspec.Struct, frozen=True):
    """Says what one sensor had."""

    sensor: str
    packets: int = 0
    bytes: int = 0
    remarks: list[str] = []
    """Why packets may be missing."""


class EvidenceRecord(msgspec.Struct, frozen=True):
    """Is what is known of the packets behind an incident; its key is that of the incident.

    Times are nanoseconds since the epoch, UTC.
    """

    state: EvidenceState = "none"
    asked_by: str = ""
    asked_at: int = 0
    job_id: str = ""
    collected_at: int = 0
    expires_at: int = 0
    """When the packets are removed; 0 where there are none."""
    first: int = 0
    last: int = 0
    """The time span that was asked for."""
    flows: int = 0
    """Flows behind the incident that were asked for."""
    hosts: list[str] = []
    """Whose packets they are."""
    packets: int = 0
    bytes: int = 0
    sha256: str = ""
    file: str = ""
    """Where they lie in the folder of the tenant."""
    sensors: list[Contribution] = []
    reasons: list[str] = []
    """Why packets are or may be missing."""

    def erased(self) -> EvidenceRecord:
        """Return what is said once the packets are erased."""
        return EvidenceRecord(
            "missing", self.asked_by, self.asked_at, self.job_id, self.collected_at, reasons=["they were erased"]
        )


def evidence_of(body: bytes) -> EvidenceRecord:
    """Return what the body of a record says."""
    return msgspec.json.decode(body, type=EvidenceRecord)
