"""Doubles for tests of the stream: a clock, connections that take what and when a test wants, and events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec

from infraspectre.records.detection import Severity
from infraspectre.records.feed import Channel, FeedEvent


@dataclass
class Seconds:
    """Is a clock that a test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Outcome:
    is_done: bool = False

    def done(self) -> bool:
        return self.is_done


@dataclass
class Wire:
    """Takes messages at once, or only when a test says so."""

    is_quick: bool = True
    taken: list[dict[str, Any]] = field(default_factory=list)
    pending: list[tuple[Outcome, list[str]]] = field(default_factory=list)
    handed: list[list[str]] = field(default_factory=list)
    """What was sent, as it was handed over."""

    @staticmethod
    def wrap(messages: list[str]) -> list[str]:
        return messages

    def send(self, messages: list[str]) -> Outcome:
        assert not self.pending, "one send at a time"
        outcome = Outcome()
        self.pending.append((outcome, messages))
        self.handed.append(messages)
        if self.is_quick:
            self.take()
        return outcome

    def take(self) -> None:
        """Let what is on its way arrive."""
        for outcome, messages in self.pending:
            outcome.is_done = True
            self.taken += [msgspec.json.decode(text) for text in messages]
        self.pending.clear()

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.taken if message["type"] == kind]


def event(
    number: int = 0,
    severity: Severity = "medium",
    channel: Channel = "threat",
    tenant: str = "default",
    kind: str = "incident.raised",
    subject: str = "",
    entities: tuple[str, ...] = (),
    relevance: float = 0.0,
    **data: Any,
) -> bytes:
    at = f"2026-01-01T00:{number // 60 % 60:02}:{number % 60:02}Z"
    return msgspec.json.encode(
        FeedEvent(
            tenant,
            channel,
            kind,
            at,
            subject,
            severity,
            list(entities),
            [],
            relevance,
            msgspec.Raw(msgspec.json.encode({"number": number, **data})),
        )
    )
