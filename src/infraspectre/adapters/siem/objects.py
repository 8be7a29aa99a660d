"""Formats that are JSON objects: our own, Elastic Common Schema, OCSF and EVE."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from infraspectre import __version__
from infraspectre.adapters.siem.facts import PRODUCT, VENDOR, Facts, Family, family, milliseconds

ECS_VERSION = "8.17.0"
OCSF_VERSION = "1.3.0"
ECS_SEVERITY = (0, 21, 47, 73, 99)
"""Of each rank, as rules of Elastic Security write them."""
OCSF_FINDING, OCSF_CATEGORY = 2004, 2
OCSF_ACTIVITY = {"incident.updated": 2, "incident.merged": 3}
"""Update and close; everything else is created."""
OCSF_NAMES: Mapping[Family, str] = {"ipv4": "ip", "ipv6": "ip", "host": "hostname", "other": "name"}
ECS_NAMES: Mapping[Family, str] = {"ipv4": "ip", "ipv6": "ip", "host": "domain"}
"""The field of who takes part, by what it is, beside the one that all have."""
EVE_SEVERITY = (4, 3, 3, 2, 1)
Object = dict[str, Any]


def prepared(value: Object) -> msgspec.Raw:
    """Return a part that is the same in all events, encoded once."""
    return msgspec.Raw(msgspec.json.encode(value))


ECS = prepared({"version": ECS_VERSION})
OBSERVER = prepared({"vendor": VENDOR, "product": PRODUCT, "type": "ids", "version": __version__})
OCSF_PRODUCT = prepared({"name": PRODUCT, "vendor_name": VENDOR, "version": __version__})


def plain(facts: Facts) -> Object:
    """Return an event as it is."""
    event = facts.event
    return {"event_id": facts.key} | {name: getattr(event, name) for name in event.__struct_fields__}


def ecs(facts: Facts) -> Object:
    """Return an event in the Elastic Common Schema."""
    event = facts.event
    told: Object = {
        "@timestamp": event.at,
        "ecs": ECS,
        "message": facts.message,
        "event": {
            "id": facts.key,
            "kind": "alert" if facts.is_finding else "event",
            "category": ["intrusion_detection" if facts.is_finding else "network"],
            "type": ["info"],
            "action": event.kind,
            "module": "infraspectre",
            "dataset": f"infraspectre.{event.channel}",
            "provider": PRODUCT,
            "severity": ECS_SEVERITY[facts.rank],
            "risk_score": facts.risk,
            "start": facts.first_seen,
            "end": facts.last_seen,
        },
        "observer": OBSERVER,
        "organization": {"id": event.tenant},
        "rule": {"name": facts.rule, "category": facts.category},
        "related": {"hosts": event.entities},
        "infraspectre": {"title": facts.title, "subject": event.subject, "severity": event.severity},
    }
    for side, who in (("source", facts.orig), ("destination", facts.resp)):
        if who:
            told[side] = {"address": who[0]}
            if name := ECS_NAMES.get(family(who[0])):
                told[side][name] = who[0]
    if facts.techniques:
        ids, names = [each.id for each in facts.techniques], [each.name for each in facts.techniques]
        told["threat"] = {"framework": "MITRE ATT&CK", "technique": {"id": ids, "name": names}}
    return told


def ocsf(facts: Facts) -> Object:
    """Return a detection or an incident as a Detection Finding of OCSF, anything else as a Base Event."""
    event = facts.event
    base: Object = {
        "activity_id": OCSF_ACTIVITY.get(event.kind, 1),
        "category_uid": OCSF_CATEGORY,
        "class_uid": OCSF_FINDING,
        "severity_id": facts.rank + 1,
        "severity": event.severity,
        "time": milliseconds(event.at),
        "message": facts.message,
        "metadata": {
            "version": OCSF_VERSION,
            "uid": facts.key,
            "tenant_uid": event.tenant,
            "event_code": event.kind,
            "product": OCSF_PRODUCT,
        },
        "observables": [{"name": "entity", "type_id": 0, "value": each} for each in event.entities],
    }
    if not facts.is_finding:
        return base | {"activity_id": 99, "category_uid": 0, "class_uid": 0, "type_uid": 99}
    return base | {
        "type_uid": OCSF_FINDING * 100 + base["activity_id"],
        "confidence_score": round(facts.confidence),
        "risk_score": round(facts.risk),
        "finding_info": finding(facts),
        "evidences": [evidence(facts)] if facts.orig or facts.resp else [],
    }


def finding(facts: Facts) -> Object:
    """Return what OCSF says of a finding itself."""
    return {
        "uid": facts.event.subject,
        "title": facts.title,
        "desc": facts.message,
        "types": [facts.category],
        "analytic": {"uid": facts.rule, "name": facts.rule, "type_id": 1},
        "created_time": milliseconds(facts.event.at),
        "first_seen_time": milliseconds(facts.first_seen),
        "last_seen_time": milliseconds(facts.last_seen),
        "attacks": [{"technique": {"uid": each.id, "name": each.name}} for each in facts.techniques],
    }


def evidence(facts: Facts) -> Object:
    """Return who acted upon whom, as OCSF does."""
    sides = (("src_endpoint", facts.orig), ("dst_endpoint", facts.resp))
    return {side: {OCSF_NAMES[family(who[0])]: who[0]} for side, who in sides if who}


def eve(facts: Facts) -> Object:
    """Return an event as an alert of EVE; what others posted as EVE passes as it came."""
    event = facts.event
    if event.channel == "custom":
        posted = posted_object(event.data)
        if {"timestamp", "event_type"} <= posted.keys():
            return posted
    told: Object = {
        "timestamp": event.at,
        "event_type": "alert" if facts.is_finding else "infraspectre",
        "alert": {
            "signature": facts.title,
            "category": facts.category,
            "severity": EVE_SEVERITY[facts.rank],
            "metadata": {"mitre_technique_id": [each.id for each in facts.techniques]},
        },
        "infraspectre": {"event_id": facts.key, "kind": event.kind, "subject": event.subject, "message": facts.message},
    }
    sides = (("src_ip", facts.orig), ("dest_ip", facts.resp))
    return told | {side: who[0] for side, who in sides if who}


def posted_object(data: msgspec.Raw) -> Object:
    """Return what others posted; an empty object for anything else, however deeply it is nested."""
    try:
        return msgspec.json.decode(data, type=Object)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}


OBJECTS: dict[str, Callable[[Facts], Object]] = {"json": plain, "ecs": ecs, "ocsf": ocsf, "eve": eve}
