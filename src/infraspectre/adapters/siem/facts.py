"""Facts: what formats of other systems need of an event, read once from its record, whatever that is."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_pton
from typing import Literal

import msgspec

from infraspectre.records.delivery import Outgoing
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.feed import FeedEvent

MOST_TECHNIQUES = 64
VENDOR = PRODUCT = "InfraSpectre"


class Technique(msgspec.Struct, frozen=True, gc=False):
    """Names a technique of ATT&CK."""

    id: str
    name: str = ""


class Summary(msgspec.Struct, frozen=True, gc=False):
    """Is the sentence that says what happened."""

    summary: str = ""


class Score(msgspec.Struct, frozen=True, gc=False):
    """Is the score of an incident, 0 to 100."""

    value: float = 0.0


class Body(msgspec.Struct, frozen=True, gc=False):
    """Is what is read of the record of a detection or an incident; all else in it is skipped."""

    title: str = ""
    detector: str = ""
    category: str = ""
    orig: str | list[str] | None = None
    resp: str | list[str] | None = None
    techniques: list[Technique] = []
    evidence: Summary | None = None
    explanation: Summary | None = None
    threat_score: Score | None = None
    score: float = 0.0
    probability: float = 0.0
    first_seen: str = ""
    last_seen: str = ""
    detection_count: int = 0
    campaign_id: str | None = ""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """Is an event as formats see it."""

    key: str
    event: FeedEvent
    title: str
    """What it is, in a few words."""
    message: str
    """What happened, in a sentence."""
    rule: str
    """What found it."""
    category: str
    orig: list[str]
    """Who acted."""
    resp: list[str]
    """Who was acted upon."""
    techniques: list[Technique]
    risk: float
    """0 to 100."""
    confidence: float
    """0 to 100."""
    first_seen: str
    last_seen: str
    detections: int
    campaign: str

    @property
    def rank(self) -> int:
        """Return how grave it is, 0 to 4."""
        return RANKS[self.event.severity]

    @property
    def is_finding(self) -> bool:
        """Tell whether it is a detection or an incident."""
        return self.event.kind.startswith(("detection.", "incident."))


RANKS = {severity: rank for rank, severity in enumerate(SEVERITIES)}
NOTHING = Body()
DECODER = msgspec.json.Decoder(Body)


FLOWS = b'"flow_ids":['
LARGE = 1 << 10
"""Bytes of a record from which on it pays to leave numbers of flows out."""


def without_flows(record: bytes) -> bytes:
    """Return a record without the numbers of flows in it: most of a large one, and no format tells them.

    To find the end of a list takes a fifth of what reading its numbers does; within texts, quotes are escaped.
    """
    head, *rest = record.split(FLOWS)
    return FLOWS.join([head, *[part[part.find(b"]") :] for part in rest]])


def body_of(event: FeedEvent) -> Body:
    """Return what is known of the record of an event; nothing of one that others posted, which can hold anything."""
    if event.channel == "custom":
        return NOTHING
    record: bytes | msgspec.Raw = event.data
    try:
        return DECODER.decode(without_flows(bytes(record)) if len(record) > LARGE else record)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return NOTHING


def facts_of(outgoing: Outgoing) -> Facts:
    """Return what formats need of an event."""
    event = outgoing.event
    body = body_of(event)
    title = body.title or (f"{body.category} ({body.detector})" if body.category else event.kind)
    told = body.evidence or body.explanation
    risk = body.threat_score.value if body.threat_score else 100 * body.score * body.probability
    return Facts(
        outgoing.key,
        event,
        title,
        (told and told.summary) or title,
        body.detector or event.kind,
        body.category or event.kind,
        several(body.orig),
        several(body.resp),
        body.techniques[:MOST_TECHNIQUES],
        round(risk or 100 * event.relevance, 2),
        100 * body.probability,
        body.first_seen or event.at,
        body.last_seen or event.at,
        body.detection_count,
        body.campaign_id or "",
    )


def several(value: str | list[str] | None) -> list[str]:
    """Return one value or many as many."""
    if isinstance(value, str):
        return [value]
    return value or []


LABEL = "[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
HOST = re.compile(rf"(?=.{{1,253}}\Z)(?:{LABEL}\.)*{LABEL}", re.IGNORECASE)
"""A name of a host (RFC 1123 section 2.1)."""
MOST_NAME = 1_023
"""Signs of the name of a host or technique; what is longer is cut."""
Family = Literal["ipv4", "ipv6", "host", "other"]


def family(who: str) -> Family:
    """Return what somebody who takes part is: formats have a field for each."""
    is_ipv6 = ":" in who
    try:
        inet_pton(AF_INET6 if is_ipv6 else AF_INET, who)
    except (OSError, ValueError):
        return "other" if is_ipv6 or len(who) > MOST_NAME else family_of_name(who)
    return "ipv6" if is_ipv6 else "ipv4"


@lru_cache(1 << 12)
def family_of_name(who: str) -> Family:
    """Return what a text of bounded length names that is no address."""
    return "host" if HOST.fullmatch(who) else "other"


INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.(\d{1,9}))?Z", re.ASCII)
"""A time as all records tell it (RFC 3339, UTC)."""
MOST_INSTANT = 31


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds(at: str) -> int:
    """Return a time (RFC 3339) in milliseconds since the epoch; 0 for what is none."""
    try:
        since = datetime.fromisoformat(at) - EPOCH
    except (ValueError, TypeError):  # no time, or one of no zone
        return 0
    return since.days * 86_400_000 + since.seconds * 1_000 + since.microseconds // 1_000
