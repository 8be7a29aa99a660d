"""Facts: what formats of other systems need of an event, read once from its record, whatever that is."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

import msgspec

from infraspectre.records.delivery import Outgoing
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.feed import FeedEvent

MOST_TECHNIQUES = 64
VENDOR = PRODUCT = "InfraSpectre"


class Technique(msgspec.Struct, frozen=True):
    """Names a technique of ATT&CK."""

    id: str
    name: str = ""


class Summary(msgspec.Struct, frozen=True):
    """Is the sentence that says what happened."""

    summary: str = ""


class Score(msgspec.Struct, frozen=True):
    """Is the score of an incident, 0 to 100."""

    value: float = 0.0


class Body(msgspec.Struct, frozen=True):
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


class Facts(NamedTuple):
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
        return SEVERITIES.index(self.event.severity)

    @property
    def is_finding(self) -> bool:
        """Tell whether it is a detection or an incident."""
        return self.event.kind.startswith(("detection.", "incident."))


NOTHING = Body()
DECODER = msgspec.json.Decoder(Body)


def body_of(event: FeedEvent) -> Body:
    """Return what is known of the record of an event; nothing of one that others posted, which can hold anything."""
    if event.channel == "custom":
        return NOTHING
    try:
        return DECODER.decode(event.data)
    except msgspec.MsgspecError:
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
        (told.summary if told else "") or title,
        body.detector or event.kind,
        body.category or event.kind,
        several(body.orig),
        several(body.resp),
        body.techniques[:MOST_TECHNIQUES],
        round(risk or 100 * event.relevance, 2),
        round(100 * body.probability, 2),
        body.first_seen or event.at,
        body.last_seen or event.at,
        body.detection_count,
        body.campaign_id or "",
    )


def several(value: str | list[str] | None) -> list[str]:
    """Return one value or many as many."""
    return [] if value is None else [value] if isinstance(value, str) else value


@lru_cache(1 << 12)
def milliseconds(at: str) -> int:
    """Return a time in milliseconds since the epoch; 0 for what is none."""
    try:
        return int(datetime.fromisoformat(at).timestamp() * 1_000)
    except (ValueError, OverflowError):
        return 0
