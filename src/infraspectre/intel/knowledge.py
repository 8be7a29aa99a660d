"""The knowledge graph as a projection: what ATT&CK and incidents say, in the founding schema."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any

from infraspectre.intel.attack import tactics
from infraspectre.intel.attack_bundle import AttackBundle, Object, external_id
from infraspectre.intel.families import family
from infraspectre.records import Decision, Detection, Incident
from infraspectre.records.address import parse_address
from infraspectre.records.knowledge import Kind, Knowledge, Node
from infraspectre.records.times import NANOSECONDS, rfc3339

KINDS: dict[str, Kind] = {
    "attack-pattern": "Technique",
    "intrusion-set": "Actor",
    "campaign": "Campaign",
    "malware": "Threat",
    "tool": "Threat",
}
"""What the objects of ATT&CK are in the founding schema."""
MOST_INDICATORS = 256
"""Hosts of one incident that become indicators."""
DESCRIBED = 500
"""Characters of a description that are kept."""
DAY_NS = 86_400 * NANOSECONDS

DOMAIN = re.compile(
    r"(?=.{4,253}$)([a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]", re.IGNORECASE
)
"""A domain name of at least two labels (RFC 1035, 2.3.1; underscores as in use)."""

Key = tuple[Kind, str]


def empty() -> Knowledge:
    """Return a graph in which nothing is known."""
    return Knowledge({}, {})


def add_attack(graph: Knowledge, bundle: AttackBundle) -> None:
    """Add the groups, campaigns, software and techniques of ATT&CK, and who uses what.

    A group's techniques that no named campaign shows hang on a campaign that stands for the rest of its activity, since
    the schema joins actors to techniques by campaigns alone.
    """
    for each in bundle.objects.values():
        if each["type"] in KINDS:
            graph.add(Node(KINDS[each["type"]], _identity(each), _properties(each, bundle)))
    for relation in bundle.relationships:
        start, end = (bundle.objects[relation[f"{side}_ref"]] for side in ("source", "target"))
        _relate(graph, relation.get("relationship_type"), start, end)


def _relate(graph: Knowledge, relation: Any, start: Object, end: Object) -> None:
    if start["type"] not in KINDS or end["type"] not in KINDS:
        return
    source, target = _key(start), _key(end)
    match relation, source[0], target[0]:
        case "uses", "Campaign" | "Threat", "Technique":
            graph.join("USES", source, target)
        case "uses", "Actor", "Technique":
            graph.join("USES", _other_activity(graph, start, source), target)
        case "uses", "Actor", "Threat":
            graph.join("ASSOCIATED_WITH", source, target)
        case "attributed-to", "Campaign", "Actor":
            graph.join("CONDUCTS", target, source)


def _other_activity(graph: Knowledge, actor: Object, key: Key) -> Key:
    name = f"{actor['name']}: activity of no named campaign"
    campaign = graph.add(Node("Campaign", f"{key[1]}-activity", {"name": name, "start_date": None, "end_date": None}))
    graph.join("CONDUCTS", key, campaign)
    return campaign


def _properties(item: Object, bundle: AttackBundle) -> dict[str, Any]:
    first, last = item.get("first_seen"), item.get("last_seen")
    match KINDS[item["type"]]:
        case "Technique":
            identity = external_id(item) or ""
            name, served = bundle.table.techniques.get(identity, (item["name"], []))
            return {
                "mitre_id": identity, "name": name, "tactic": ", ".join(served),
                "description": str(item.get("description", ""))[:DESCRIBED],
            }  # fmt: skip
        case "Actor":
            aliases = [str(each) for each in item.get("aliases", [])]
            return {
                "name": item["name"],
                "aliases": aliases,
                "origin": None,
                "motivation": item.get("primary_motivation"),
            }
        case "Campaign":
            return {"name": item["name"], "start_date": first, "end_date": last}
        case _:
            told = {"name": item["name"], "type": item["type"], "severity": None}
            return told | {"first_seen": first, "last_seen": last}


def _identity(item: Object) -> str:
    return external_id(item) or str(item["id"])


def _key(item: Object) -> Key:
    return KINDS[item["type"]], _identity(item)


def add_incidents(graph: Knowledge, decisions: Iterable[Decision]) -> None:
    """Add incidents as threats with their hosts, techniques and campaigns, in the order of their time."""
    ordered = sorted(decisions, key=lambda each: (each.incident.first_seen, each.incident.incident_id))
    campaigns: dict[str, list[tuple[Incident, Key]]] = defaultdict(list)
    for decision in ordered:
        threat = _add_incident(graph, decision)
        if decision.incident.campaign_id:
            campaigns[decision.incident.campaign_id].append((decision.incident, threat))
    for identity, members in campaigns.items():
        _add_campaign(graph, identity, members)


def _add_incident(graph: Knowledge, decision: Decision) -> Key:
    incident = decision.incident
    times = {"first_seen": rfc3339(incident.first_seen), "last_seen": rfc3339(incident.last_seen)}
    told = {"name": incident.title, "type": "incident", "severity": decision.threat_score.level}
    threat = graph.add(Node("Threat", incident.incident_id, told | times))
    for name in incident.entities[:MOST_INDICATORS]:
        graph.join("CONTAINS", threat, _indicator(graph, name, decision.probability))
    for each in incident.detections:
        if each.orig in incident.entities and each.resp in incident.entities and each.orig != each.resp:
            start, end = (_indicator(graph, str(host), decision.probability) for host in (each.orig, each.resp))
            graph.join("RELATED_TO", start, end)
        for name in domains_of(each):
            domain = _indicator(graph, name, decision.probability)
            graph.join("CONTAINS", threat, domain)
            if each.orig in incident.entities:
                graph.join("RELATED_TO", _indicator(graph, str(each.orig), decision.probability), domain)
    steps = list(_steps(graph, incident))
    for technique in steps:
        graph.join("USES", threat, technique)
    for before, after in pairwise(steps):
        graph.join("PRECEDED_BY", before, after)
    return threat


def domains_of(found: Detection) -> list[str]:
    """Return the names that a finding about command and control shows as examples."""
    if family(found.category).tactic != "command-and-control":
        return []
    return [each.lower() for each in found.evidence.examples if DOMAIN.fullmatch(each)]


def _indicator(graph: Knowledge, value: str, probability: float) -> Key:
    kind = "domain" if parse_address(value) is None else "ip"
    return graph.add(
        Node(
            "Indicator",
            f"{kind}:{value}",
            {"type": kind, "value": value, "confidence": probability, "source": "infraspectre"},
        )
    )


def _steps(graph: Knowledge, incident: Incident) -> Iterator[Key]:
    """Yield the techniques of an incident in the order in which they were first seen, each once."""
    shown = {each.id: each for each in incident.techniques}
    findings = sorted(incident.detections, key=lambda each: (each.begin, each.detection_id))
    seen = dict.fromkeys(each.id for found in findings for each in found.techniques if each.id in shown)
    for identity in [*seen, *(each for each in shown if each not in seen)]:
        told = {"mitre_id": identity, "name": shown[identity].name, "tactic": ", ".join(tactics(identity))}
        yield graph.add(Node("Technique", identity, told | {"description": None}))


def _add_campaign(graph: Knowledge, identity: str, members: list[tuple[Incident, Key]]) -> None:
    """Add a campaign with what its incidents show; they follow one another."""
    first, last = members[0][0], max((each for each, _ in members), key=lambda each: each.last_seen)
    dates = {"start_date": rfc3339(first.first_seen), "end_date": rfc3339(last.last_seen)}
    campaign = graph.add(Node("Campaign", identity, {"name": first.title} | dates))
    steps = [list(_steps(graph, incident)) for incident, _ in members]
    for technique in chain.from_iterable(steps):
        graph.join("USES", campaign, technique)
    for earlier, later in pairwise(each for each in steps if each):
        if earlier[-1] != later[0]:
            graph.join("PRECEDED_BY", earlier[-1], later[0])
    for incident, _ in members:
        for name in incident.resp[:MOST_INDICATORS]:
            target = graph.add(Node("Target", name, {"name": name, "sector": None, "region": None}))
            graph.join("TARGETS", campaign, target)
    for (before, start), (after, end) in pairwise(members):
        graph.join("PRECEDED_BY", start, end, (after.first_seen - before.first_seen) // DAY_NS)
