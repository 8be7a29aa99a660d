"""Deliveries: where events of the feed are sent to, how far each receiver has come, and what became of a try."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from infraspectre.records.feed import Channel, FeedEvent

Platform = Literal["splunk", "qradar", "sentinel", "elastic", "syslog", "slack", "teams", "email"]
Format = Literal["cef", "leef", "json", "ecs", "ocsf", "eve", "stix"]
Kind = Literal["webhook", "splunk", "qradar", "sentinel", "elastic", "syslog", "slack", "teams", "email"]
Program = Literal["webhook", "splunk", "qradar", "sentinel", "elastic", "syslog"]
"""Receivers that read each event by a program."""
PEOPLE: frozenset[Kind] = frozenset({"slack", "teams", "email"})
"""Receivers who read: many events are one message to them, and not often."""


class Outgoing(NamedTuple):
    """Is an event on its way to a receiver."""

    key: str
    """Identifies it: the same for every try, and for every receiver."""
    event: FeedEvent
    text: str
    """The event as JSON, as streams tell it."""


class Failure(NamedTuple):
    """Says why a receiver takes nothing now."""

    problem: str
    retry_after_s: float = 0.0
    """Seconds for which the receiver wants to be left alone; 0 where it said nothing."""
    is_gone: bool = False
    """Whether it asked for nothing more, ever."""


class Receipt(NamedTuple):
    """Says what became of events that were handed to a receiver, in their order."""

    answered: int
    """Of how many, from the first on, it is known what became of them."""
    refused: Mapping[int, str] = {}
    """Why some among those were not taken, by their index; all others arrived."""
    failure: Failure | None = None
    """Why no more were answered."""


class Destination(msgspec.Struct, frozen=True, kw_only=True):
    """Is a receiver as it is kept."""

    key: str
    kind: Kind
    name: str
    url: str
    created_at: int
    """Nanoseconds since the epoch, UTC."""
    channels: list[Channel] = []
    """All, where none is named."""
    filters: list[str] = []
    """Conditions on events, of which all must hold (feed/selection.py)."""
    format: Format = "json"
    batch: int = 1
    """Events sent together, at the most."""
    pause_s: int = 0
    """Seconds between what is sent; what happens meanwhile is sent together."""
    template: str = ""
    """By which messages to people are written; empty for the default one."""
    options: dict[str, str] = {}
    """What the platform needs beside, such as the name of an index."""
    secret: str = ""
    """What it signs or authenticates with, sealed."""
    public_key: str = ""
    """By which signatures of a webhook can be verified (`whpk_`)."""

    @property
    def is_for_people(self) -> bool:
        """Tell whether events become messages, each taken or refused as a whole."""
        return self.kind in PEOPLE


class Retry(msgspec.Struct, frozen=True):
    """Is an event that a receiver refused while it took others."""

    position: str
    """The place in the feed before it."""
    attempts: int
    due_at: int
    """Not to be tried before, nanoseconds since the epoch, UTC, as all times here."""
    problem: str


class Progress(msgspec.Struct, frozen=True):
    """Says how far a receiver has come; one record, so that figures are exact whatever ends the sender.

    `taken` is always `delivered` and `dead` and those that wait in `retrying` together.
    """

    position: str
    """The place in the feed from which events are still to be sent."""
    taken: int = 0
    """Events selected for it so far; one that is replayed counts again."""
    delivered: int = 0
    dead: int = 0
    """Events that were refused until the end of the schedule."""
    lost: int = 0
    """Entries of the feed that could not be read any more when it was their turn."""
    retrying: list[Retry] = []
    failures: int = 0
    """Tries in a row that failed as a whole."""
    failing_since: int = 0
    """0 while it works."""
    due_at: int = 0
    """Not to be tried before."""
    delivered_at: int = 0
    problem: str = ""
    """Why the last try failed."""
    disabled: str = ""
    """Why nothing is sent; empty while it is."""


class DeadLetter(msgspec.Struct, frozen=True):
    """Is an event that was given up, until somebody has it sent again."""

    destination: str
    position: str
    attempts: int
    at: int
    """When it was given up."""
    problem: str

    @property
    def key(self) -> str:
        """Return the key of its record."""
        return f"{self.destination}.{self.position}"


class Told(FeedEvent, frozen=True, omit_defaults=True):
    """Is an event with the place behind it, as streams and pages tell it."""

    position: str = ""
