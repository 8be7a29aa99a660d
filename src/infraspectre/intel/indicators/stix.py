"""Reads indicators in bundles of STIX 2.1 and 2.0, and in envelopes of TAXII 2.1."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from infraspectre.intel.indicators.findings import Findings, moment, tlp_in, words
from infraspectre.intel.indicators.patterns import values_of
from infraspectre.records.indicators import About, IndicatorKind, ThreatReport

TLP_MARKINGS = {
    "marking-definition--613f2e26-407d-48c7-9eca-b8e91df99dc9": "clear",
    "marking-definition--34098fce-860f-48ae-8e50-ebd3cc5e41da": "green",
    "marking-definition--f88d31f6-486f-44da-b317-01333bde0b82": "amber",
    "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed": "red",
    "marking-definition--94868c89-83c2-464b-929b-a1a8aa3c8487": "clear",
    "marking-definition--bab4a63c-aed9-4cf5-a766-dfca5abac2bb": "green",
    "marking-definition--55d920b0-5e8b-4f79-9ee9-91f868d9b421": "amber",
    "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003": "amber+strict",
    "marking-definition--e828b379-4e03-4974-9ac4-e53a884c97c1": "red",
}
"""Identities that STIX 2.1 (7.2.1.4) and the extension for TLP 2.0 reserve."""
REPORTS = ("report", "grouping")
ACTORS = ("threat-actor", "intrusion-set", "campaign")
MALWARE = ("malware", "tool")
MOST_TITLE = 500
"""Signs of a title that are kept."""
THREATS = ("malware", "threat-actor", "intrusion-set", "campaign", "tool", "infrastructure")


class KillChainPhase(msgspec.Struct):
    """Reads where in a kill chain something belongs."""

    phase_name: str = ""


class Reference(msgspec.Struct):
    """Reads how others call an object."""

    source_name: str = ""
    external_id: str = ""


class StixObject(msgspec.Struct, gc=False):
    """Reads those properties of any object that indicators need."""

    type: str
    id: str = ""
    name: str | None = None
    pattern: str | None = None
    pattern_type: str = "stix"
    created_by_ref: str | None = None
    modified: datetime | None = None
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    confidence: float | None = None
    revoked: bool = False
    labels: list[str] | None = None
    indicator_types: list[str] | None = None
    kill_chain_phases: list[KillChainPhase] | None = None
    external_references: list[Reference] | None = None
    object_marking_refs: list[str] | None = None
    definition: dict[str, Any] | None = None
    relationship_type: str = ""
    source_ref: str = ""
    target_ref: str = ""
    published: datetime | None = None
    object_refs: list[str] | None = None


class Meaning(NamedTuple):
    """Holds what indicators mean: names and techniques of what they are related to, by identity of the indicator."""

    names: dict[str, str]
    threats: dict[str, list[str]]
    techniques: dict[str, list[str]]
    markings: dict[str, str]


def read_stix(objects: msgspec.Raw, findings: Findings, source: str) -> None:
    """Add the indicators among objects."""
    known = latest(findings.records(objects, StixObject))
    meaning = meaning_of(known)
    values: dict[str, list[tuple[IndicatorKind, str]]] = {}
    for each in known:
        if each.type == "indicator":
            start = len(findings.indicators)
            read_indicator(each, meaning, findings, source)
            values[each.id] = findings.since(start)
        elif each.type not in REPORTS:
            findings.skip(f"is no indicator but of type {each.type[:64]}")
    parts = {each.id: each for each in known}
    for report in (each for each in known if each.type in REPORTS and not each.revoked):
        within = [each for each in report.object_refs or () if each in parts]
        named = [value for each in within for value in values.get(each, ())]
        findings.report(report_of(report, [parts[each] for each in within], meaning, source), named)


def report_of(found: StixObject, parts: Sequence[StixObject], meaning: Meaning, source: str) -> ThreatReport:
    """Return a report with what its parts are; those that stand elsewhere are not known."""
    return ThreatReport(
        report_id=found.id[:120],
        title=(found.name or found.id)[:MOST_TITLE],
        source=meaning.names.get(found.created_by_ref or "") or source,
        published=moment(found.published) or moment(found.modified),
        actors=words([each.name for each in parts if each.type in ACTORS]),
        malware=words([each.name for each in parts if each.type in MALWARE]),
        techniques=words([technique for each in parts for technique in techniques_of(each)]),
        indicators=(),
        indicator_count=0,
        tlp=tlp_of(found, meaning),
    )


def latest(objects: Iterable[StixObject]) -> list[StixObject]:
    """Return each object in its last version."""
    newest: dict[str, StixObject] = {}
    for number, each in enumerate(objects):
        key = each.id or str(number)
        if key not in newest or _modified(each) >= _modified(newest[key]):
            newest[key] = each
    return list(newest.values())


def _modified(found: StixObject) -> int:
    return moment(found.modified) or 0


def read_indicator(found: StixObject, meaning: Meaning, findings: Findings, source: str) -> None:
    """Add the values of one indicator."""
    if found.revoked:
        return findings.skip("is revoked")
    if found.pattern_type != "stix":
        return findings.skip(f"is a pattern in the language {found.pattern_type[:32]}")
    if "benign" in (found.indicator_types or ()):
        return findings.skip("says what is benign")
    if not found.pattern:
        return findings.refuse("has no pattern", found.id)
    try:
        values = values_of(found.pattern)
    except ValueError as error:
        reason = str(error)
        return findings.skip(reason) if reason.startswith("has a pattern") else findings.refuse(reason, found.id)
    about = about_of(found, meaning, source)
    for kind, value in values:
        findings.add(kind, value, about)
    return None


def about_of(found: StixObject, meaning: Meaning, source: str) -> About:
    """Return what an indicator says about itself."""
    phases = [each.phase_name for each in found.kill_chain_phases or ()]
    valid_from, modified = moment(found.valid_from), moment(found.modified)
    return About(
        sources=(meaning.names.get(found.created_by_ref or "") or source,),
        confidence=None if found.confidence is None else min(max(found.confidence / 100, 0.0), 1.0),
        first_seen=valid_from,
        last_seen=max(valid_from or 0, modified or 0) or None,
        valid_until=moment(found.valid_until),
        labels=words([*(found.labels or ()), *(found.indicator_types or ()), *phases]),
        threats=words(meaning.threats.get(found.id, [])),
        techniques=words(techniques_of(found) + meaning.techniques.get(found.id, [])),
        tlp=tlp_of(found, meaning),
        reference=found.id[:120],
    )


def techniques_of(found: StixObject) -> list[str]:
    """Return the ATT&CK identities among the references of an object."""
    references = found.external_references or ()
    return [
        each.external_id for each in references if each.source_name.startswith("mitre-") and each.external_id[:1] == "T"
    ]


def tlp_of(found: StixObject, meaning: Meaning) -> str | None:
    """Return the Traffic Light Protocol under which an object was given."""
    if not found.object_marking_refs:
        return None
    marks = (TLP_MARKINGS.get(each) or meaning.markings.get(each) for each in found.object_marking_refs)
    return next((each for each in marks if each), None)


def meaning_of(objects: Iterable[StixObject]) -> Meaning:
    """Return what objects mean to the indicators related with them."""
    meaning = Meaning({}, {}, {}, {})
    techniques: dict[str, list[str]] = {}
    related = []
    for each in objects:
        if each.type == "relationship":
            related.append(each)
        elif each.type == "marking-definition":
            stated = tlp_in([each.name or "", *((each.definition or {}).values())])
            meaning.markings.update({each.id: stated} if stated else {})
        elif each.type != "indicator":
            meaning.names[each.id] = each.name or ""
            techniques[each.id] = techniques_of(each)
    for each in related:
        kind = each.target_ref.partition("--")[0]
        if each.source_ref.startswith("indicator--") and kind in THREATS:
            meaning.threats.setdefault(each.source_ref, []).append(meaning.names.get(each.target_ref, ""))
        if each.source_ref.startswith("indicator--"):
            meaning.techniques.setdefault(each.source_ref, []).extend(techniques.get(each.target_ref, []))
    return meaning
