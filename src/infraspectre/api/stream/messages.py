"""Messages of the stream: what clients may send, and how the server writes what it sends."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import msgspec

from infraspectre.errors import InputError
from infraspectre.feed.batches import Piece
from infraspectre.feed.reader import Gap
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.events import Position

Priority = Literal["urgent", "normal", "background"]
PRIORITIES: tuple[Priority, ...] = ("urgent", "normal", "background")
Name = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9_.:-]{1,64}\Z")]
MOST_AGGREGATE_S = 3_600.0


class Incoming(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="type", tag=str.lower):
    """Is a message from a client."""


class Subscribe(Incoming, frozen=True):
    """Asks for events of channels that pass all filters, live or from a position on."""

    id: Name
    channels: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    filters: Annotated[list[str], msgspec.Meta(max_length=16)] = []
    priority: Priority = "normal"
    aggregate_s: Annotated[float, msgspec.Meta(ge=0, le=MOST_AGGREGATE_S)] = 0.0
    window: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """Events that may be unacknowledged before the server waits; None never waits."""
    resume: Annotated[str, msgspec.Meta(max_length=64)] | None = None


class Unsubscribe(Incoming, frozen=True):
    """Ends a subscription."""

    id: Name


class Ack(Incoming, frozen=True):
    """Says that all before a position arrived."""

    id: Name
    position: Annotated[str, msgspec.Meta(max_length=64)]


class Ping(Incoming, frozen=True):
    """Asks for a sign of life."""

    note: Annotated[str, msgspec.Meta(max_length=64)] = ""


Request = Subscribe | Unsubscribe | Ack | Ping
DECODER: msgspec.json.Decoder[Request] = msgspec.json.Decoder(Request)


def read(data: str | bytes, most: int) -> Request:
    """Read a message from a client; raises InputError."""
    if len(data) > most:
        raise InputError(f"has more than {most} bytes", field="message", remedy="send less at once")
    try:
        return DECODER.decode(data)
    except msgspec.ValidationError as error:
        raise InputError(str(error), field="message", remedy="see the guide to the stream") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InputError("is no JSON object", field="message", remedy="send one message as one JSON object") from error


def message(kind: str, **fields: Any) -> str:
    """Write a message of the server."""
    return msgspec.json.encode({"type": kind, **fields}).decode()


def events_message(subscription: str, piece: Piece, epoch: str) -> str:
    """Write events that are ready, and what was shed among them."""
    told = f'"shed":{msgspec.json.encode(by_severity(piece.shed)).decode()},' if any(piece.shed) else ""
    return (
        f'{{"type":"events","subscription":"{subscription}","events":[{piece.text}],{told}'
        f'"position":"{epoch}.{piece.end}"}}'
    )


def by_severity(counts: Iterable[int]) -> Mapping[str, int]:
    """Name the counts that are not 0."""
    return {severity: count for severity, count in zip(SEVERITIES, counts, strict=True) if count}


def summary_message(subscription: str, members: str, start: Position, end: Position) -> str:
    """Write a summary of what was selected between two positions."""
    return f'{{"type":"summary","subscription":"{subscription}","from":"{start}",{members},"position":"{end}"}}'


def gap_message(subscription: str, gap: Gap) -> str:
    """Write that a part of the feed cannot be had."""
    return message(
        "gap",
        subscription=subscription,
        **{"from": str(gap.start), "to": str(gap.end)},
        reason=gap.reason,
        position=str(gap.end),
    )
