"""STIX 2.1: an incident as a bundle of what was seen, by whom, and which techniques it shows.

What follows from a name alone, such as a host or a technique, is made and encoded once.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha1
from typing import Any, NamedTuple

import msgspec

from infraspectre.adapters.siem.facts import INSTANT, MOST_INSTANT, MOST_NAME, PRODUCT, Facts, Family, family

OBSERVABLES = uuid.UUID("00abedb4-aa42-466c-9c01-fed23315a9b7").bytes
"""The namespace from which identities of observables follow (STIX 2.1 section 2.9)."""
OURS = uuid.uuid5(uuid.NAMESPACE_DNS, "infraspectre.invalid").bytes
BEGINNING = "2026-01-01T00:00:00.000Z"
MOST_ENTITIES = 256
Object = dict[str, Any]


OBSERVED: Mapping[Family, str] = {"ipv4": "ipv4-addr", "ipv6": "ipv6-addr", "host": "domain-name"}


class Made(NamedTuple):
    """Is an object with its identity."""

    id: str
    encoded: msgspec.Raw


def made(value: Object) -> Made:
    """Return an object, encoded."""
    return Made(value["id"], msgspec.Raw(msgspec.json.encode(value)))


def bundle(facts: Facts) -> Object:
    """Return an event as a bundle; the same event gives the same identities."""
    entities = dict.fromkeys([*facts.event.entities, *facts.orig, *facts.resp])
    seen = [entity_of(each[:MOST_NAME]) for each in list(entities)[:MOST_ENTITIES]]
    patterns = {each.id: pattern(each.id[:MOST_NAME], each.name[:MOST_NAME]) for each in facts.techniques}
    first, last = sorted((instant(facts.first_seen), instant(facts.last_seen)))
    about = incident(facts, first, last)
    observed_ids = [each.id for each in seen if not each.id.startswith("identity")]
    observations = [observed(facts, first, last, observed_ids)] if observed_ids else []
    targets = [each.id for each in patterns.values()] + [each["id"] for each in observations]
    targets += [each.id for each in seen if each.id.startswith("identity")]
    objects = [
        SOURCE.encoded,
        about,
        *[each.encoded for each in patterns.values()],
        *[each.encoded for each in seen],
        *observations,
        *[relationship(about["id"], each, first, last) for each in targets],
    ]
    return {"type": "bundle", "id": named("bundle", facts.key), "objects": objects}


def named(kind: str, name: str) -> str:
    """Return the identity of an object that follows from a name."""
    return identified(kind, OURS, f"{kind} {name}")


def identified(kind: str, namespace: bytes, name: str) -> str:
    """Return an identity that follows from a name within a namespace (RFC 9562 section 5.5)."""
    digits = sha1(namespace + name.encode("utf-8", "backslashreplace"), usedforsecurity=False).hexdigest()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{kind}--{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:32]}"


def common(kind: str, name: str, created: str, modified: str) -> Object:
    """Return what all objects of a domain have."""
    return {
        "type": kind, "spec_version": "2.1", "id": named(kind, name), "created": created, "modified": modified,
    }  # fmt: skip


SOURCE = made(common("identity", PRODUCT, BEGINNING, BEGINNING) | {"name": PRODUCT, "identity_class": "system"})
"""Who says all this."""


@lru_cache(1 << 12)
def instant(at: str) -> str:
    """Return a time to the millisecond, in UTC (STIX 2.1 section 2.16); the beginning for what is none."""
    written = INSTANT.fullmatch(at[:MOST_INSTANT])
    return f"{at[:19]}.{(written[1] or '').ljust(3, '0')[:3]}Z" if written else BEGINNING


def incident(facts: Facts, first: str, last: str) -> Object:
    """Return the event itself."""
    event = facts.event
    return common("incident", f"{event.tenant} {event.subject or facts.key}", first, last) | {
        "created_by_ref": SOURCE.id,
        "name": facts.title,
        "description": facts.message,
        "labels": [f"severity:{event.severity}", event.kind],
    }


@lru_cache(1 << 10)
def pattern(technique: str, name: str) -> Made:
    """Return a technique of ATT&CK."""
    reference = {"source_name": "mitre-attack", "external_id": technique}
    told = common("attack-pattern", technique, BEGINNING, BEGINNING)
    return made(told | {"created_by_ref": SOURCE.id, "name": name or technique, "external_references": [reference]})


@lru_cache(1 << 12)
def entity_of(entity: str) -> Made:
    """Return a host or domain as an observable, whose identity is the same for all who see it; else as an identity."""
    kind = OBSERVED.get(family(entity))
    if kind is None:
        told = common("identity", f"entity {entity}", BEGINNING, BEGINNING)
        return made(told | {"created_by_ref": SOURCE.id, "name": entity, "identity_class": "system"})
    key = identified(kind, OBSERVABLES, msgspec.json.encode({"value": entity}).decode())
    return made({"type": kind, "spec_version": "2.1", "id": key, "value": entity})


def observed(facts: Facts, first: str, last: str, seen: list[str]) -> Object:
    """Return that something was seen, and when."""
    return common("observed-data", facts.key, first, first) | {
        "created_by_ref": SOURCE.id,
        "first_observed": first,
        "last_observed": last,
        "number_observed": min(max(facts.detections, 1), 999_999_999),
        "object_refs": seen,
    }


def relationship(about: str, target: str, created: str, modified: str) -> Object:
    """Return that an incident has to do with something."""
    return common("relationship", f"{about} {target}", created, modified) | {
        "created_by_ref": SOURCE.id,
        "relationship_type": "related-to",
        "source_ref": about,
        "target_ref": target,
    }
