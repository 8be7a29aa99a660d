"""Detections: what one detector saw, when, between whom, how suspicious, and on which evidence."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

Severity = Literal["informational", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("informational", "low", "medium", "high", "critical")


class Technique(msgspec.Struct, frozen=True, order=True):
    """Names an ATT&CK technique, such as T1046 Network Service Discovery."""

    id: str
    name: str


class Evidence(msgspec.Struct, frozen=True, omit_defaults=True):
    """Holds what a detection rests on, so that an analyst can check it against the capture."""

    summary: str
    """One plain sentence with the figures, for example '1,000 ports of 10.0.0.9 tried in 4.2 s, 996 refused'."""
    measures: dict[str, float] = {}
    """The figures themselves, named with units, for example {'distinct_ports': 1000, 'duration_s': 4.2}."""
    thresholds: dict[str, float] = {}
    """The value each measure was compared with."""
    packets: list[int] = []
    """Numbers of a few telling packets in the capture, from 1."""
    examples: list[str] = []
    """A few telling values, such as host names, queries or paths."""


class Detection(msgspec.Struct, frozen=True):
    """Reports one suspicious behaviour found by one detector."""

    detection_id: str
    at: int
    """Event time at which the detector became sure, in nanoseconds since the epoch, UTC."""
    detector: str
    category: str
    severity: Severity
    score: float
    """How suspicious, 0 to 1; higher is more."""
    probability: float
    """How probable it is that this is what it says, 0 to 1."""
    flow_ids: list[int]
    """At most 64 telling flows; `evidence.measures['flows']` holds the full count."""
    orig: str | None
    resp: str | None
    techniques: list[Technique]
    evidence: Evidence
    first_seen: int = 0
    """Event time of the first flow behind it, nanoseconds since the epoch."""
    last_seen: int = 0

    @property
    def begin(self) -> int:
        """Return the event time at which the behaviour began, which is before its detector became sure."""
        return self.first_seen or self.at

    @property
    def end(self) -> int:
        """Return the event time at which the behaviour was last seen."""
        return max(self.last_seen, self.at)


def detection_id(detector: str, category: str, orig: str | None, resp: str | None, first_seen: int, *more: Any) -> str:
    """Derive a stable identity, equal for the same finding in every run over the same input."""
    text = "\x1f".join(str(part) for part in (detector, category, orig, resp, first_seen, *more))
    return hashlib.blake2b(text.encode(), digest_size=10).hexdigest()
