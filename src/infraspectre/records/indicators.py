"""Indicators: values by which threats are known, and what their sources say about them."""

from __future__ import annotations

from typing import Literal

import msgspec

from infraspectre.records.rules import Refusal

IndicatorKind = Literal[
    "ip", "endpoint", "cidr", "domain", "url", "md5", "sha1", "sha256", "ja3", "ja3s", "ja4", "hassh", "hassh_server"
]
"""An endpoint is an address with a port; what a hash is of, a file or a certificate, it does not say itself."""


class About(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Says what sources know about an indicator; None and empty are unknown. Times are nanoseconds since the epoch."""

    sources: tuple[str, ...]
    confidence: float | None = None
    """How sure the sources are, 0 to 1."""
    first_seen: int | None = None
    last_seen: int | None = None
    valid_until: int | None = None
    labels: tuple[str, ...] = ()
    threats: tuple[str, ...] = ()
    """Malware, actors and campaigns."""
    techniques: tuple[str, ...] = ()
    """Identities in ATT&CK."""
    tlp: str | None = None
    """Traffic Light Protocol: clear, green, amber, amber+strict or red."""
    reference: str = ""
    """Identity of the object that says it, in its source."""


class Indicator(msgspec.Struct, frozen=True, gc=False):
    """Holds one value in its canonical form, and what is known about it."""

    kind: IndicatorKind
    value: str
    about: About


class ThreatReport(msgspec.Struct, frozen=True):
    """Is what somebody published about a threat: a STIX report, a MISP event or an OTX pulse."""

    report_id: str
    title: str
    source: str
    published: int | None
    """Nanoseconds since the epoch; None where it is not said."""
    actors: tuple[str, ...]
    malware: tuple[str, ...]
    techniques: tuple[str, ...]
    """Identities in ATT&CK."""
    indicators: tuple[tuple[IndicatorKind, str], ...]
    """At most 1,000 of them."""
    indicator_count: int
    tlp: str | None = None


class IndicatorCheck(msgspec.Struct, frozen=True):
    """Says what sources of indicators hold: how much of each kind, and what cannot be used for which reasons."""

    files: int
    indicators: dict[str, int]
    """Distinct ones by kind."""
    warninglists: int
    vetoed: int
    """Indicators that a warninglist names, which are not matched."""
    weakened: int
    """Indicators within what a warninglist names, which count less."""
    unusable: dict[str, int]
    """Sound entries that say nothing about network traffic, by reason."""
    refused: list[Refusal]
    """Broken entries with file, line or identity, and reason."""


class FoundIndicator(msgspec.Struct, frozen=True):
    """Says what is known about a value that somebody looks up."""

    indicator: Indicator
    confidence: float
    """After ageing and warninglists, 0 to 1."""
    expired: bool
    warning: str
    """The warninglist that vetoes or weakens it; empty if none does."""
