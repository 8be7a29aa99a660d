"""Reads indicators in events of MISP (core format, draft-dulaunoy-misp-core-format)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from infraspectre.intel.indicators.findings import Findings, moment, tlp_in, words
from infraspectre.intel.indicators.values import endpoint, pack
from infraspectre.records.indicators import About, IndicatorKind, ThreatReport

KINDS: dict[str, IndicatorKind] = {
    "ip-src": "ip",
    "ip-dst": "ip",
    "domain": "domain",
    "hostname": "domain",
    "url": "url",
    "link": "url",
    "uri": "url",
    "md5": "md5",
    "sha1": "sha1",
    "sha256": "sha256",
    "x509-fingerprint-md5": "md5",
    "x509-fingerprint-sha1": "sha1",
    "x509-fingerprint-sha256": "sha256",
    "ja3-fingerprint-md5": "ja3",
    "ja4": "ja4",
    "hassh-md5": "hassh",
    "hasshserver-md5": "hassh_server",
}
"""Types of attributes that flows can show; a type joined by | with another has one of these among its parts."""
ENDPOINTS = ("ip-src|port", "ip-dst|port")
CONFIDENCE = {
    'misp:confidence-level="completely-confident"': 1.0,
    'misp:confidence-level="usually-confident"': 0.75,
    'misp:confidence-level="fairly-confident"': 0.5,
    'misp:confidence-level="rarely-confident"': 0.25,
    'misp:confidence-level="unconfident"': 0.05,
    'admiralty-scale:source-reliability="a"': 1.0,
    'admiralty-scale:source-reliability="b"': 0.75,
    'admiralty-scale:source-reliability="c"': 0.5,
    'admiralty-scale:source-reliability="d"': 0.25,
    'admiralty-scale:source-reliability="e"': 0.05,
}
"""What tags say of confidence: numerical values of the taxonomies misp and admiralty-scale, but never none at all."""
NOT_FOR_DETECTION = 0.3
"""Most confidence of an attribute whose to_ids is not set: whoever wrote it thought it unfit for detection alone."""
GALAXY_TAG = re.compile(r'misp-galaxy:([\w-]+)="([^"]{1,200})"')
THREATS = {"threat-actor", "malpedia", "ransomware", "tool", "banker", "rat", "stealer", "botnet", "backdoor"}
THREATS |= {"mitre-intrusion-set", "mitre-malware", "mitre-tool", "microsoft-activity-group"}
"""Galaxies of malware and actors."""
ACTORS = {"threat-actor", "mitre-intrusion-set", "microsoft-activity-group"}
"""Those of actors alone."""
MOST_TITLE = 500
"""Signs of a title that are kept."""
TECHNIQUE = re.compile(r"\bT\d{4}(?:\.\d{3})?\b")


class Named(msgspec.Struct):
    """Reads a tag or an organisation."""

    name: str = ""


class Attribute(msgspec.Struct, gc=False):
    """Reads an attribute."""

    type: str
    value: str = ""
    uuid: str = ""
    to_ids: bool = False
    deleted: bool = False
    timestamp: str | int | None = None
    first_seen: str | None = None
    last_seen: str | None = None
    comment: str | None = None
    Tag: list[Named] | None = None


class Collected(msgspec.Struct):
    """Reads an object, which collects attributes."""

    Attribute: msgspec.Raw = msgspec.Raw(b"[]")
    deleted: bool = False


class Cluster(msgspec.Struct):
    """Reads a cluster of a galaxy."""

    value: str = ""
    meta: Any = None


class Galaxy(msgspec.Struct):
    """Reads a galaxy with its clusters."""

    type: str = ""
    GalaxyCluster: list[Cluster] = []


class Event(msgspec.Struct):
    """Reads an event."""

    uuid: str = ""
    info: str = ""
    date: str | None = None
    timestamp: str | int | None = None
    Orgc: Named | None = None
    Tag: list[Named] | None = None
    Galaxy: list[Galaxy] | None = None
    Attribute: msgspec.Raw = msgspec.Raw(b"[]")
    Object: msgspec.Raw = msgspec.Raw(b"[]")


class Wrapped(msgspec.Struct):
    """Reads an event as MISP exports it."""

    Event: Event


def read_events(events: msgspec.Raw, findings: Findings, source: str) -> None:
    """Add the indicators of a list of events."""
    for each in findings.records(events, Wrapped):
        read_event(each.Event, findings, source)


def read_event(event: Event, findings: Findings, source: str) -> None:
    """Add the indicators of an event."""
    about, start = about_event(event, source), len(findings.indicators)
    for attribute in attributes_of(event, findings):
        if attribute.deleted:
            findings.skip("is deleted")
        else:
            read_attribute(attribute, about, findings)
    if event.info:
        findings.report(report_of(event, about), findings.since(start))


def report_of(event: Event, about: About) -> ThreatReport:
    """Return an event as a report."""
    tags, galaxies = told_by(event)
    named = list(clusters(tags, galaxies))
    return ThreatReport(
        report_id=event.uuid[:120] or event.info[:120],
        title=event.info[:MOST_TITLE],
        source=about.sources[0],
        published=moment(event.date) or moment(event.timestamp),
        actors=words([value for galaxy, value in named if galaxy in ACTORS]),
        malware=words([value for galaxy, value in named if galaxy in THREATS - ACTORS]),
        techniques=about.techniques,
        indicators=(),
        indicator_count=0,
        tlp=about.tlp,
    )


def told_by(event: Event) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the tags of an event, and the clusters of its galaxies."""
    tags = [each.name for each in event.Tag or ()]
    return tags, [(each.type, cluster.value) for each in event.Galaxy or () for cluster in each.GalaxyCluster]


def attributes_of(event: Event, findings: Findings) -> Iterator[Attribute]:
    """Yield the attributes of an event and of its objects."""
    yield from findings.records(event.Attribute, Attribute)
    for collected in findings.records(event.Object, Collected):
        if not collected.deleted:
            yield from findings.records(collected.Attribute, Attribute)


def about_event(event: Event, source: str) -> About:
    """Return what an event says about all of its attributes."""
    tags, galaxies = told_by(event)
    return About(
        sources=((event.Orgc.name if event.Orgc else "") or source,),
        confidence=stated_confidence(tags),
        last_seen=moment(event.timestamp) or moment(event.date),
        labels=words(plain(tags)),
        threats=threats_in(tags, galaxies),
        techniques=techniques_in(tags, galaxies),
        tlp=tlp_in(tags),
    )


def read_attribute(attribute: Attribute, event: About, findings: Findings) -> None:
    """Add what flows can show of an attribute."""
    part = next((place for place, kind in enumerate(attribute.type.split("|")) if kind in KINDS), None)
    if part is None:
        return findings.skip(f"is of type {attribute.type[:64]}")
    about = about_attribute(attribute, event)
    parts = attribute.value.split("|")
    text = parts[part] if part < len(parts) else attribute.value
    if attribute.type in ENDPOINTS and len(parts) > 1 and parts[1].isdigit() and pack(parts[0]) is not None:
        return findings.take("endpoint", endpoint(parts[0], parts[1]), about)
    if attribute.type == "uri":
        return findings.skip("is a path without its host")
    if attribute.type == "link":
        return findings.skip("is a link to a report")
    return findings.take(KINDS[attribute.type.split("|")[part]], text, about)


def about_attribute(attribute: Attribute, event: About) -> About:
    """Return what an attribute says, on top of its event."""
    tags = [each.name for each in attribute.Tag or ()]
    confidence = stated_confidence(tags) or event.confidence
    if not attribute.to_ids:
        confidence = min(confidence or 1.0, NOT_FOR_DETECTION)
    return msgspec.structs.replace(
        event,
        confidence=confidence,
        first_seen=moment(attribute.first_seen),
        last_seen=moment(attribute.last_seen) or moment(attribute.timestamp) or event.last_seen,
        labels=words([*event.labels, *plain(tags)]) if tags else event.labels,
        threats=words([*event.threats, *threats_in(tags, ())]) if tags else event.threats,
        techniques=words([*event.techniques, *techniques_in(tags, ())]) if tags else event.techniques,
        tlp=tlp_in(tags) or event.tlp,
        reference=attribute.uuid[:120],
    )


def stated_confidence(tags: Sequence[str]) -> float | None:
    """Return the confidence that tags state."""
    return next((CONFIDENCE[tag] for tag in tags if tag in CONFIDENCE), None)


def plain(tags: Sequence[str]) -> list[str]:
    """Return the tags that are no galaxies."""
    return [tag for tag in tags if not tag.startswith("misp-galaxy:")]


def clusters(tags: Sequence[str], galaxies: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Yield galaxy and cluster of tags and galaxies."""
    yield from (found.group(1, 2) for tag in tags if (found := GALAXY_TAG.match(tag)))  # type: ignore[misc]
    yield from galaxies


def threats_in(tags: Sequence[str], galaxies: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the names of malware and actors."""
    return words([value for galaxy, value in clusters(tags, galaxies) if galaxy in THREATS])


def techniques_in(tags: Sequence[str], galaxies: Sequence[tuple[str, str]]) -> tuple[str, ...]:
    """Return the ATT&CK identities of attack patterns."""
    found = (TECHNIQUE.search(value) for galaxy, value in clusters(tags, galaxies) if "attack-pattern" in galaxy)
    return words([each[0] for each in found if each])
