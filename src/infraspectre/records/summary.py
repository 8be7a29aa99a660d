"""The account of one run: what went in, what came out, what was lost and what it cost."""

from __future__ import annotations

import msgspec


class Summary(msgspec.Struct, frozen=True):
    """Accounts for one analysis; its fields are the public contract of `summary.json`."""

    packets: int
    bytes: int
    flows: int
    without_flow: dict[str, int]
    """Sound packets that belong to no flow, by kind."""
    malformed: dict[str, int]
    unreadable: dict[str, str]
    shed: dict[str, int]
    ambiguous_fragment_bytes: int
    """Bytes of overlapping IP fragments that contradict those that came first, which were kept."""
    alerts: int
    detections: int
    incidents: int
    capture_start: str | None
    capture_end: str | None
    elapsed_s: float
    cpu_s: float
    peak_rss_bytes: int
    version: str
    schema_version: int
    indicators: dict[str, int] = {}
    """Distinct indicators that were looked for, by kind, and how many are vetoed, unusable and refused."""
