"""Reads indicators in pulses of AlienVault OTX, and in its plain lists of indicators."""

from __future__ import annotations

from typing import Any

import msgspec

from infraspectre.intel.indicators.findings import Findings, moment, tlp_in, words
from infraspectre.records.indicators import About, IndicatorKind, ThreatReport

KINDS: dict[str, IndicatorKind] = {
    "ipv4": "ip",
    "ipv6": "ip",
    "cidr": "cidr",
    "domain": "domain",
    "hostname": "domain",
    "url": "url",
    "filehash-md5": "md5",
    "filehash-sha1": "sha1",
    "filehash-sha256": "sha256",
    "sslcertfingerprint": "sha1",
    "ja3": "ja3",
}
"""Types of OTX's indicators that flows can show."""


class OtxIndicator(msgspec.Struct, gc=False):
    """Reads an indicator of a pulse."""

    indicator: str
    type: str
    id: str | int = ""
    created: str | None = None
    expiration: str | None = None
    is_active: bool | None = None
    title: str | None = None
    role: str | None = None


class Pulse(msgspec.Struct):
    """Reads a pulse."""

    indicators: msgspec.Raw = msgspec.Raw(b"[]")
    id: str | int = ""
    name: str = ""
    author_name: str = ""
    author: Any = None
    created: str | None = None
    modified: str | None = None
    tlp: str | None = None
    TLP: str | None = None
    tags: list[str] | None = None
    adversary: str | None = None
    malware_families: list[Any] | None = None
    attack_ids: list[Any] | None = None


def read_pulses(pulses: msgspec.Raw, findings: Findings, source: str) -> None:
    """Add the indicators of a list of pulses."""
    for pulse in findings.records(pulses, Pulse):
        about, start = about_pulse(pulse, source), len(findings.indicators)
        read_list(pulse.indicators, findings, about)
        if pulse.name:
            findings.report(report_of(pulse, about), findings.since(start))


def report_of(pulse: Pulse, about: About) -> ThreatReport:
    """Return a pulse as a report."""
    return ThreatReport(
        report_id=about.reference or pulse.name[:120],
        title=pulse.name[:500],
        source=about.sources[0],
        published=moment(pulse.created) or moment(pulse.modified),
        actors=words([pulse.adversary or ""]),
        malware=words(names(pulse.malware_families)),
        techniques=about.techniques,
        indicators=(),
        indicator_count=0,
        tlp=about.tlp,
    )


def read_list(indicators: msgspec.Raw, findings: Findings, about: About) -> None:
    """Add the indicators of a list."""
    for each in findings.records(indicators, OtxIndicator):
        kind = KINDS.get(each.type.lower())
        if kind is None:
            findings.skip(f"is of type {each.type[:64]}")
        elif each.is_active is False:
            findings.skip("is not active any more")
        else:
            findings.take(kind, each.indicator, about_indicator(each, about))


def about_indicator(found: OtxIndicator, pulse: About) -> About:
    """Return what an indicator says, on top of its pulse."""
    return msgspec.structs.replace(
        pulse,
        first_seen=moment(found.created),
        last_seen=max(filter(None, (moment(found.created), pulse.last_seen)), default=None),
        valid_until=moment(found.expiration),
        labels=words([*pulse.labels, found.role]) if found.role else pulse.labels,
        reference=f"{pulse.reference} {found.indicator}".strip()[:120],
    )


def about_pulse(pulse: Pulse, source: str) -> About:
    """Return what a pulse says about all of its indicators."""
    author = pulse.author.get("username") if isinstance(pulse.author, dict) else None
    return About(
        sources=(pulse.author_name or str(author or "") or source,),
        last_seen=moment(pulse.modified) or moment(pulse.created),
        labels=words(pulse.tags),
        threats=words([*names(pulse.malware_families), pulse.adversary or ""]),
        techniques=words(names(pulse.attack_ids)),
        tlp=tlp_in([pulse.TLP or pulse.tlp or ""]),
        reference=str(pulse.id)[:120],
    )


def names(values: list[Any] | None) -> list[str]:
    """Return the names in a list of texts or of objects with a name."""
    dictionaries = [each if isinstance(each, dict) else {"id": each} for each in values or ()]
    return [str(each.get("display_name") or each.get("name") or each.get("id") or "") for each in dictionaries]
