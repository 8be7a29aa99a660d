"""What webhooks and integrations have in common in the API: how far they are, trials, replays and dead letters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.api.pages import Question
from infraspectre.api.problems import Flaw, RefusedError, about_content
from infraspectre.errors import AccessError, InfraSpectreError, InputError
from infraspectre.feed.selection import MOST_FILTERS, Selection
from infraspectre.records.access import Principal
from infraspectre.records.delivery import Destination, Progress
from infraspectre.records.events import Position
from infraspectre.records.feed import Channel
from infraspectre.records.queries import Collection
from infraspectre.records.times import rfc3339
from infraspectre.security import target_of
from infraspectre.serving.destinations import Destinations, destination_of
from infraspectre.serving.platform import Platform

MOST_FILTER = 8_192
"""Signs of a filter; the framework describes no bounds of what lists hold, so that routes check them."""
SWITCHED_OFF = "somebody disabled it"
Url = Annotated[str, Meta(min_length=8, max_length=2_048, description="Where to; redirects are not followed.")]
ReceiverName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$", description="In small letters.")]
Channels = Annotated[list[Channel], Meta(max_length=5, description="All, where none is named.")]
Filters = Annotated[
    list[str],
    Meta(max_length=MOST_FILTERS, description="Fields compared with values, such as severity>=high; all must hold."),
]


class Standing(msgspec.Struct, frozen=True):
    """Says how far a receiver has come: what is taken is delivered, or dead, or waits to be tried again."""

    state: Literal["active", "failing", "disabled"]
    position: str
    """The place in the feed from which events are still to be sent."""
    taken: int
    delivered: int
    retrying: int
    dead: int
    lost: int
    """Entries of the feed that were dropped from the log before it was their turn."""
    failures: int
    """Tries in a row that failed as a whole."""
    next_try_at: str | None
    delivered_at: str | None
    problem: str


class Attempted(msgspec.Struct, frozen=True):
    """Is an event that a receiver refused."""

    event_id: str
    """As `webhook-id` names it."""
    state: Literal["retrying", "dead"]
    attempts: int
    problem: str
    at: str
    """When it is tried again, or was given up."""


class Deliveries(msgspec.Struct, frozen=True):
    """Tells of the deliveries to a receiver; those that arrived are counted alone."""

    standing: Standing
    items: list[Attempted]


class Trial(msgspec.Struct, frozen=True):
    """Says what came of a test."""

    delivered: bool
    problem: str


class Replay(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says what is to be sent again."""

    after: Annotated[str, Meta(max_length=64, description="A place in the feed: all events behind it.")] | None = None
    dead_letters: bool = False
    """Those that were given up."""


class Switch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says whether anything is sent to a receiver; its events wait while nothing is."""

    is_enabled: bool


def receivers_of(platform: Platform, principal: Principal) -> Destinations:
    """Return the receivers of the tenant of whoever asks."""
    return Destinations(platform, principal.tenant)


def listed(
    platform: Platform,
    principal: Principal,
    collection: Collection,
    question: Question,
    shown: Callable[[Destination, Progress], msgspec.Struct],
) -> Any:
    """Return a page of receivers, each with how far it has come."""
    page = platform.records.page(principal.tenant, collection, question.query)
    kept, known = map(destination_of, page.rows), receivers_of(platform, principal)
    return question.page((asdict(shown(each, known.progress(each.key))) for each in kept), page.next)


def standing_of(progress: Progress) -> Standing:
    """Return what is shown of how far a receiver has come."""
    return Standing(
        "disabled" if progress.disabled else "failing" if progress.failures else "active",
        progress.position,
        progress.taken,
        progress.delivered,
        len(progress.retrying),
        progress.dead,
        progress.lost,
        progress.failures,
        rfc3339(progress.due_at) if progress.due_at and not progress.disabled else None,
        rfc3339(progress.delivered_at) if progress.delivered_at else None,
        progress.disabled or progress.problem,
    )


def check_receiver(
    tenant: str, url: str, channels: list[Channel], filters: list[str], schemes: tuple[str, ...]
) -> None:
    """Refuse what can never be sent, or select nothing; raises RefusedError."""
    if any(len(each) > MOST_FILTER for each in filters):
        raise RefusedError("not-valid", "filters: one is too long", [Flaw("is too long", "filters")])
    with about_content():
        Selection.of(tenant, channels, filters)
    try:
        target_of(url, schemes)
    except AccessError as error:
        flaw = Flaw(error.problem, "url", 0, error.remedy or "")
        raise RefusedError("not-valid", f"url: {error.problem}", [flaw]) from error


def found(destinations: Destinations, collection: Collection, key: str) -> Destination:
    """Return a receiver of the tenant; raises RefusedError."""
    try:
        return destinations.find(collection, key)
    except InputError as error:
        raise RefusedError("not-found", "there is no such receiver") from error


def tried(destinations: Destinations, destination: Destination) -> Trial:
    """Send a test, and say what came of it."""
    try:
        receipt = destinations.try_out(destination)
    except InfraSpectreError as error:
        return Trial(False, error.problem)
    problem = receipt.failure.problem if receipt.failure else receipt.refused.get(0, "")
    return Trial(not problem, problem)


def switched(destinations: Destinations, key: str, switch: Switch) -> Standing:
    """Enable or disable a receiver."""
    after = destinations.enable(key) if switch.is_enabled else destinations.disable(key, SWITCHED_OFF)
    return standing_of(after)


def replayed(destinations: Destinations, key: str, replay: Replay) -> Standing:
    """Have events sent again; raises RefusedError for a place that is not kept any more."""
    if replay.after is not None:
        with about_content():
            destinations.replay(key, Position.of(replay.after))
    if replay.dead_letters:
        destinations.revive(key)
    return standing_of(destinations.progress(key))


def deliveries_of(destinations: Destinations, key: str, limit: int) -> Deliveries:
    """Return how a receiver stands, and what it refused: what is tried again first, then the newest dead letters."""
    progress = destinations.progress(key)
    waiting = [
        Attempted(event_id(each.position), "retrying", each.attempts, each.problem, rfc3339(each.due_at))
        for each in progress.retrying
    ]
    dead = [
        Attempted(event_id(each.position), "dead", each.attempts, each.problem, rfc3339(each.at))
        for each in destinations.letters(key, limit)
    ]
    return Deliveries(standing_of(progress), [*waiting, *dead][:limit])


def event_id(position: str) -> str:
    """Return the identity of the event behind a place, as receivers are told it."""
    return f"evt_{position.replace('.', '_')}"
