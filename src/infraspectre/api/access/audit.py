"""The audit: every change and every refused attempt is durable in the event log before it is answered."""

from __future__ import annotations

import asyncio

import msgspec

from infraspectre.ports import Clock, EventLog
from infraspectre.records.access import AuditEvent
from infraspectre.records.feed import AUDIT_TOPIC
from infraspectre.records.times import rfc3339

MOST_TEXT = 200


class Audit:
    """Writes down who asked for what, and what came of it."""

    def __init__(self, log: EventLog, clock: Clock) -> None:
        """Append to the audit topic."""
        self._log = log
        self._clock = clock

    async def append(
        self, who: tuple[str, str, str], operation: str, target: str, outcome: int, request_id: str, address: str
    ) -> None:
        """Make an event durable, of somebody's tenant, name and role; raises OutputError or OverloadError."""
        tenant, subject, role = who
        event = AuditEvent(
            tenant=tenant,
            at=rfc3339(self._clock.now()),
            subject=subject,
            role=role,
            operation=operation,
            target=target[:MOST_TEXT],
            outcome=outcome,
            request_id=request_id,
            address=address,
        )
        await asyncio.wrap_future(self._log.topic(AUDIT_TOPIC).append([msgspec.json.encode(event)]))
