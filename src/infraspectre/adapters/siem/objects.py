"""Formats that are JSON objects: our own, Elastic Common Schema, OCSF and EVE."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_type_hints

import msgspec

from infraspectre import __version__
from infraspectre.adapters.siem.facts import PRODUCT, VENDOR, Facts, Family, Technique, family, milliseconds
from infraspectre.records.delivery import Told
from infraspectre.records.feed import FeedEvent

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
encoded = msgspec.json.Encoder().encode
Object = dict[str, Any]
Part = msgspec.Raw
"""A part that is the same in all events, encoded once."""


def prepared(value: object) -> Part:
    """Return a part, encoded."""
    return Part(encoded(value))


PLAIN = {
    told: msgspec.defstruct("Plain", [("event_id", str), *get_type_hints(told).items()], frozen=True, gc=False)
    for told in (FeedEvent, Told)
}
"""An event as it is, with its identity: of the feed, and with its place there."""


def plain(facts: Facts) -> msgspec.Struct:
    """Return an event as it is."""
    return plain_of(facts.key, facts.event)


def plain_of(key: str, event: FeedEvent) -> msgspec.Struct:
    """Return an event as it is, its record not looked at."""
    return PLAIN[type(event)](key, *msgspec.structs.astuple(event))


ALERT, NO_ALERT = prepared(["intrusion_detection"]), prepared(["network"])
INFO = prepared(["info"])
ECS = prepared({"version": ECS_VERSION})
OBSERVER = prepared({"vendor": VENDOR, "product": PRODUCT, "type": "ids", "version": __version__})


class EcsEvent(msgspec.Struct, frozen=True, gc=False):
    """Is the set of fields `event` of ECS."""

    id: str
    kind: str
    category: Part
    type: Part
    action: str
    module: str
    dataset: str
    provider: str
    severity: int
    risk_score: float
    start: str
    end: str


class Ecs(msgspec.Struct, frozen=True, gc=False):
    """Is an event in the Elastic Common Schema."""

    at: str = msgspec.field(name="@timestamp")
    ecs: Part
    message: str
    event: EcsEvent
    observer: Part
    organization: Object
    rule: Object
    related: Object
    infraspectre: Object
    source: Object | msgspec.UnsetType
    destination: Object | msgspec.UnsetType
    threat: Object | msgspec.UnsetType


def ecs(facts: Facts) -> msgspec.Struct:
    """Return an event in the Elastic Common Schema."""
    event, is_finding = facts.event, facts.is_finding
    return Ecs(
        at=event.at,
        ecs=ECS,
        message=facts.message,
        event=EcsEvent(
            id=facts.key,
            kind="alert" if is_finding else "event",
            category=ALERT if is_finding else NO_ALERT,
            type=INFO,
            action=event.kind,
            module="infraspectre",
            dataset=f"infraspectre.{event.channel}",
            provider=PRODUCT,
            severity=ECS_SEVERITY[facts.rank],
            risk_score=facts.risk,
            start=facts.first_seen,
            end=facts.last_seen,
        ),
        observer=OBSERVER,
        organization={"id": event.tenant},
        rule={"name": facts.rule, "category": facts.category},
        related={"hosts": event.entities},
        infraspectre={"title": facts.title, "subject": event.subject, "severity": event.severity},
        source=ecs_side(facts.orig),
        destination=ecs_side(facts.resp),
        threat=ecs_threat(facts.techniques) if facts.techniques else msgspec.UNSET,
    )


def ecs_side(who: Sequence[str]) -> Object | msgspec.UnsetType:
    """Return who takes part, as ECS does; nothing where there is nobody."""
    if not who:
        return msgspec.UNSET
    name = ECS_NAMES.get(family(who[0]))
    return {"address": who[0], name: who[0]} if name else {"address": who[0]}


def ecs_threat(techniques: Sequence[Technique]) -> Object:
    """Return techniques as ECS does."""
    ids, names = [each.id for each in techniques], [each.name for each in techniques]
    return {"framework": "MITRE ATT&CK", "technique": {"id": ids, "name": names}}


OCSF_PRODUCT = prepared({"name": PRODUCT, "vendor_name": VENDOR, "version": __version__})


class OcsfMetadata(msgspec.Struct, frozen=True, gc=False):
    """Says of which version and whose an event of OCSF is."""

    version: str
    uid: str
    tenant_uid: str
    event_code: str
    product: Part


class Observable(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Is somebody or something that an event of OCSF names."""

    name: str = "entity"
    type_id: int = 0
    value: str


class OcsfTechnique(msgspec.Struct, frozen=True, gc=False):
    """Is a technique of ATT&CK."""

    uid: str
    name: str


class OcsfAttack(msgspec.Struct, frozen=True, gc=False):
    """Says that an event shows a technique."""

    technique: OcsfTechnique


class OcsfFinding(msgspec.Struct, frozen=True, gc=False):
    """Is what OCSF says of a finding itself."""

    uid: str
    title: str
    desc: str
    types: list[str]
    analytic: Object
    created_time: int
    first_seen_time: int
    last_seen_time: int
    attacks: list[OcsfAttack]


class Ocsf(msgspec.Struct, frozen=True, gc=False):
    """Is a Detection Finding of OCSF, or a Base Event, which has fewer fields."""

    activity_id: int
    category_uid: int
    class_uid: int
    severity_id: int
    severity: str
    time: int
    message: str
    metadata: OcsfMetadata
    observables: list[Observable]
    type_uid: int
    confidence_score: int | msgspec.UnsetType = msgspec.UNSET
    risk_score: int | msgspec.UnsetType = msgspec.UNSET
    finding_info: OcsfFinding | msgspec.UnsetType = msgspec.UNSET
    evidences: list[Object] | msgspec.UnsetType = msgspec.UNSET


def ocsf(facts: Facts) -> msgspec.Struct:
    """Return a detection or an incident as a Detection Finding of OCSF, anything else as a Base Event."""
    event, at = facts.event, milliseconds(facts.event.at)
    metadata = OcsfMetadata(OCSF_VERSION, facts.key, event.tenant, event.kind, OCSF_PRODUCT)
    observables = [Observable(value=each) for each in event.entities]
    rank, message = facts.rank + 1, facts.message
    if not facts.is_finding:
        return Ocsf(99, 0, 0, rank, event.severity, at, message, metadata, observables, 99)
    activity = OCSF_ACTIVITY.get(event.kind, 1)
    return Ocsf(
        activity_id=activity,
        category_uid=OCSF_CATEGORY,
        class_uid=OCSF_FINDING,
        severity_id=rank,
        severity=event.severity,
        time=at,
        message=message,
        metadata=metadata,
        observables=observables,
        type_uid=OCSF_FINDING * 100 + activity,
        confidence_score=round(facts.confidence),
        risk_score=round(facts.risk),
        finding_info=finding(facts, at),
        evidences=[evidence(facts)] if facts.orig or facts.resp else [],
    )


def finding(facts: Facts, at: int) -> OcsfFinding:
    """Return what OCSF says of a finding itself, told at a time in milliseconds since the epoch."""
    return OcsfFinding(
        uid=facts.event.subject,
        title=facts.title,
        desc=facts.message,
        types=[facts.category],
        analytic={"uid": facts.rule, "name": facts.rule, "type_id": 1},
        created_time=at,
        first_seen_time=milliseconds(facts.first_seen),
        last_seen_time=at if facts.last_seen == facts.event.at else milliseconds(facts.last_seen),
        attacks=[OcsfAttack(OcsfTechnique(each.id, each.name)) for each in facts.techniques],
    )


def evidence(facts: Facts) -> Object:
    """Return who acted upon whom, as OCSF does."""
    told: Object = {}
    if facts.orig:
        told["src_endpoint"] = {OCSF_NAMES[family(facts.orig[0])]: facts.orig[0]}
    if facts.resp:
        told["dst_endpoint"] = {OCSF_NAMES[family(facts.resp[0])]: facts.resp[0]}
    return told


class EveAlert(msgspec.Struct, frozen=True, gc=False):
    """Is what EVE says of an alert."""

    signature: str
    category: str
    severity: int
    metadata: Object


class EveEvent(msgspec.Struct, frozen=True, gc=False):
    """Is what EVE has no field for."""

    event_id: str
    kind: str
    subject: str
    message: str


class Eve(msgspec.Struct, frozen=True, gc=False):
    """Is an alert of EVE."""

    timestamp: str
    event_type: str
    alert: EveAlert
    infraspectre: EveEvent
    src_ip: str | msgspec.UnsetType
    dest_ip: str | msgspec.UnsetType


def eve(facts: Facts) -> msgspec.Struct | Object:
    """Return an event as an alert of EVE; what others posted as EVE passes as it came."""
    event = facts.event
    if event.channel == "custom":
        posted = posted_object(event.data)
        if {"timestamp", "event_type"} <= posted.keys():
            return posted
    techniques = {"mitre_technique_id": [each.id for each in facts.techniques]}
    return Eve(
        timestamp=eve_time(event.at),
        event_type="alert" if facts.is_finding else "infraspectre",
        alert=EveAlert(facts.title, facts.category, EVE_SEVERITY[facts.rank], techniques),
        infraspectre=EveEvent(facts.key, event.kind, event.subject, facts.message),
        src_ip=facts.orig[0] if facts.orig else msgspec.UNSET,
        dest_ip=facts.resp[0] if facts.resp else msgspec.UNSET,
    )


def eve_time(at: str) -> str:
    """Return a time as Suricata writes it: microseconds and an offset; anything else than one of UTC as it is."""
    return f"{at[:19]}.{at[20:-1][:6]:0<6}+0000" if at.endswith("Z") else at


def posted_object(data: msgspec.Raw) -> Object:
    """Return what others posted; an empty object for anything else, however deeply it is nested."""
    try:
        return msgspec.json.decode(data, type=Object)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return {}


OBJECTS: dict[str, Callable[[Facts], msgspec.Struct | Object]] = {"json": plain, "ecs": ecs, "ocsf": ocsf, "eve": eve}
