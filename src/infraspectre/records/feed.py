"""The feed: what happened, as one envelope for streams, webhooks and other systems."""

from __future__ import annotations

from typing import Literal

import msgspec

from infraspectre.records.detection import Severity

Channel = Literal["threat", "behaviour", "network", "system", "custom"]
CHANNELS: tuple[Channel, ...] = ("threat", "behaviour", "network", "system", "custom")
FEED_TOPIC = "feed"
EVENTS_TOPIC = "events"
"""Raw events that others post: one JSON object each, within an envelope `{"tenant", "id", "event"}`."""
FLOWS_TOPIC = "flows"
"""Batches of flows that sensors send: Arrow IPC streams behind an envelope."""
SENSORS_TOPIC = "sensors"
"""How far sensors had come, from time to time: so that a start does not read the whole topic of flows."""
NOTICES_TOPIC = "notices"
"""Events of the feed that others than the worker have to tell; it alone writes the feed, and relays them."""
AUDIT_TOPIC = "audit"
"""Who asked for what, and whether it was done."""
RESPONSES_TOPIC = "responses"
"""What became of the actions that people approved, each noted before it begins."""


class FeedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """Says that something happened; the feed topic holds each as JSON."""

    tenant: str
    channel: Channel
    kind: str
    """What happened, such as incident.raised, incident.updated, incident.merged, detection.found, verdict.given,
    verdict.withdrawn, sensor.connected, model.promoted or health.changed."""
    at: str
    """RFC 3339, UTC: event time where traffic says it, else the time of the clock."""
    subject: str = ""
    """The identity of what it is about, such as an incident's; events about the same are equal for deduplication."""
    severity: Severity = "informational"
    entities: list[str] = []
    countries: list[str] = []
    relevance: float = 0.0
    """How much it is worth an analyst's time, 0 to 1."""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    """The record itself, as JSON."""
    source: str = ""
    """From which part of the log it follows, so that a worker that is started again tells nothing twice."""
    trace: str = ""
    """The traceparent of what led to it (W3C Trace Context); empty where nothing is traced."""
