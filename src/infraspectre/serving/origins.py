"""Knows from which batches the flows come that are still looked at, so that what they lead to is traced to them."""

from __future__ import annotations

from collections import deque

from infraspectre.records.events import Entry
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope
from infraspectre.records.times import UNITS
from infraspectre.serving.outlets import Found
from infraspectre.telemetry import MOST_LINKS, UNTRACED, Span, Untraced, Value, chosen_parent, is_traced, span

LIVE_NS = UNITS["h"]
"""A batch that came within so long of its last packet is live; others are history, and no measure of latency."""


class Origins:
    """Remembers the batches of each tenant since detectors looked at all that waited, the last ones where many are."""

    def __init__(self) -> None:
        """Begin with none."""
        self._traces: dict[str, deque[str]] = {}
        self._packets: dict[str, int] = {}

    def add(self, envelope: FlowEnvelope, entry: Entry) -> None:
        """Take note of a batch that is worked on."""
        if is_traced():
            self._traces.setdefault(envelope.tenant, deque(maxlen=MOST_LINKS)).append(envelope.trace)
        if entry.at - envelope.last_at <= LIVE_NS:
            self._packets[envelope.tenant] = max(envelope.last_at, self._packets.get(envelope.tenant, 0))

    def traced(self, tenant: str, found: Found) -> Span | Untraced:
        """Begin the span of the work for a tenant, within the trace of a batch and linked with all others.

        OpenTelemetry semantic conventions, messaging: one span processes what many have sent.
        """
        found.packet_at = self._packets.get(tenant, 0)
        batches = self._traces.get(tenant)
        if batches is None:
            return UNTRACED
        traces = [each for each in batches if each]
        about: dict[str, Value] = {
            "messaging.system": "infraspectre",
            "messaging.operation.type": "process",
            "messaging.destination.name": FLOWS_TOPIC,
            "messaging.batch.message_count": len(batches),
            "infraspectre.tenant": tenant,
        }
        return span("process flows", "consumer", about, parent=chosen_parent(traces), links=traces)

    def settled(self) -> None:
        """Forget all, as detectors have looked at what waited."""
        self._traces.clear()
        self._packets.clear()
