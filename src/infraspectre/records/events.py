"""Entries of the event log, and places in it to which a reader can return."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

from infraspectre.errors import InputError


class Entry(NamedTuple):
    """Is one entry of a topic, as it was appended."""

    sequence: int
    """Its number in the topic, from 0; numbers have no gaps."""
    at: int
    """When it was appended, nanoseconds since the epoch, UTC."""
    data: bytes


class GapError(InputError):
    """Says that an entry is not there any more: it was dropped for its age or is damaged; others behind it are."""

    def __init__(self, problem: str, after: int, **where: Any) -> None:
        """Describe the problem; `after` is the number of the next entry that can be read, or the end."""
        super().__init__(problem, remedy=f"go on with entry {after}", **where)
        self.after = after


class Position(NamedTuple):
    """Names the place behind an entry: the same in REST, WebSocket, server-sent events and webhooks."""

    epoch: str
    """The incarnation of the topic; a topic that begins anew has another one, so that numbers are never mistaken."""
    sequence: int
    """The number of the entry that comes next."""

    def __str__(self) -> str:
        return f"{self.epoch}.{self.sequence}"

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a position as it is written; raises InputError."""
        epoch, _, sequence = text.rpartition(".")
        if not (epoch.isalnum() and sequence.isdecimal() and sequence.isascii()) or len(text) > 64:
            raise InputError("is no position", field=text[:64], remedy="give one that a stream or page has returned")
        return cls(epoch, int(sequence))
