"""STIX 2.1: an incident as a bundle of what was seen, by whom, and which techniques it shows."""

from __future__ import annotations

import uuid
from ipaddress import ip_address
from typing import Any

import msgspec

from infraspectre.adapters.siem.facts import PRODUCT, Facts

OBSERVABLES = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7")
"""The namespace from which identities of observables follow (STIX 2.1 section 2.9)."""
OURS = uuid.uuid5(uuid.NAMESPACE_DNS, "infraspectre.invalid")
BEGINNING = "2026-01-01T00:00:00.000Z"
MOST_ENTITIES = 256
Object = dict[str, Any]


def bundle(facts: Facts) -> Object:
    """Return an event as a bundle; the same event gives the same identities."""
    source = identity()
    observables = [observable(each) for each in dict.fromkeys([*facts.event.entities, *facts.orig, *facts.resp])]
    observables = observables[:MOST_ENTITIES]
    about = incident(facts, source["id"])
    patterns = [pattern(each.id, each.name, source["id"]) for each in facts.techniques]
    related = [relationship(about, each["id"]) for each in patterns]
    seen = [observed(facts, about, [each["id"] for each in observables])] if observables else []
    related += [relationship(about, each["id"]) for each in seen]
    objects = [source, about, *patterns, *observables, *seen, *related]
    return {"type": "bundle", "id": named("bundle", facts.key), "objects": objects}


def named(kind: str, name: str) -> str:
    """Return the identity of an object that follows from a name."""
    return f"{kind}--{uuid.uuid5(OURS, f'{kind} {name}')}"


def identity() -> Object:
    """Return who says all this."""
    return common("identity", PRODUCT, BEGINNING, BEGINNING) | {"name": PRODUCT, "identity_class": "system"}


def common(kind: str, name: str, created: str, modified: str) -> Object:
    """Return what all objects of a domain have."""
    times = {"created": instant(created), "modified": instant(modified)}
    return {"type": kind, "spec_version": "2.1", "id": named(kind, name), **times}


def instant(at: str) -> str:
    """Return a time to the millisecond, in UTC (STIX 2.1 section 2.16)."""
    return f"{at[:19]}{at[19:23] if at[19:20] == '.' else '.000'}".rstrip("Z").ljust(23, "0") + "Z"


def incident(facts: Facts, source: str) -> Object:
    """Return the event itself."""
    created, modified = sorted((instant(facts.first_seen), instant(facts.last_seen)))
    told = common("incident", f"{facts.event.tenant} {facts.event.subject or facts.key}", created, modified)
    labels = [f"severity:{facts.event.severity}", facts.event.kind]
    return told | {"created_by_ref": source, "name": facts.title, "description": facts.message, "labels": labels}


def pattern(technique: str, name: str, source: str) -> Object:
    """Return a technique of ATT&CK."""
    reference = {"source_name": "mitre-attack", "external_id": technique}
    told = common("attack-pattern", technique, BEGINNING, BEGINNING)
    return told | {"created_by_ref": source, "name": name or technique, "external_references": [reference]}


def observable(entity: str) -> Object:
    """Return a host or domain; its identity follows from its value, so that all who see it call it the same."""
    try:
        kind = f"ipv{ip_address(entity).version}-addr"
    except ValueError:
        kind = "domain-name"
    identified = uuid.uuid5(OBSERVABLES, msgspec.json.encode({"value": entity}).decode())
    return {"type": kind, "spec_version": "2.1", "id": f"{kind}--{identified}", "value": entity}


def observed(facts: Facts, about: Object, seen: list[str]) -> Object:
    """Return that something was seen, and when."""
    first, last = sorted((instant(facts.first_seen), instant(facts.last_seen)))
    told = common("observed-data", facts.key, facts.first_seen, facts.first_seen)
    return told | {
        "created_by_ref": about["created_by_ref"],
        "first_observed": first,
        "last_observed": last,
        "number_observed": max(facts.detections, 1),
        "object_refs": seen,
    }


def relationship(about: Object, target: str) -> Object:
    """Return that an incident has to do with something."""
    told = common("relationship", f"{about['id']} {target}", about["created"], about["modified"])
    ends = {"source_ref": about["id"], "target_ref": target}
    return told | {"created_by_ref": about["created_by_ref"], "relationship_type": "related-to", **ends}
