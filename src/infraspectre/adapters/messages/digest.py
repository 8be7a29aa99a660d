"""Digests: many events as few entries, the gravest first, so that people read what matters and are not flooded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from infraspectre.adapters.siem.facts import Facts, facts_of
from infraspectre.records.delivery import Outgoing
from infraspectre.records.detection import SEVERITIES, Severity
from infraspectre.security import printable

MOST_ENTRIES = 10
"""Entries of a message; of more it is told how many there are."""
MOST_HOSTS = 8
MOST_VALUE = 500
"""Signs of a value."""
MOST_TOLD = 10_000
"""Incidents of which it is remembered that people were told."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Is an incident, or a campaign of several, as templates see it; no value holds signs that do not print."""

    id: str
    title: str
    summary: str
    severity: Severity
    score: float
    """0 to 100."""
    hosts: list[str]
    techniques: list[str]
    at: str
    kind: str
    tenant: str
    incidents: int
    """How many incidents of its campaign are told of together."""


class Digest(NamedTuple):
    """Is what one message tells."""

    entries: list[Entry]
    more: int
    """Entries beyond those."""

    @property
    def subject(self) -> str:
        """Return the line above a message."""
        first = self.entries[0]
        rest = len(self.entries) - 1 + self.more
        return f"[{first.severity}] {first.title}" + (f" and {rest} more" if rest else "")


def digest_of(events: Iterable[Outgoing]) -> Digest:
    """Return events grouped by campaign, else by what they are about, the gravest first."""
    groups: dict[tuple[str, str], list[Facts]] = {}
    for facts in map(facts_of, events):
        groups.setdefault((facts.event.tenant, facts.campaign or facts.event.subject or facts.key), []).append(facts)
    entries = sorted(map(entry_of, groups.values()), key=lambda one: (SEVERITIES.index(one.severity), one.score))
    entries.reverse()
    return Digest(entries[:MOST_ENTRIES], len(entries[MOST_ENTRIES:]))


def entry_of(group: Sequence[Facts]) -> Entry:
    """Return what is told of events that belong together: the gravest of them, and of those the latest."""
    facts = max(reversed(group), key=lambda one: one.rank)
    return Entry(
        shown(facts.event.subject or facts.key),
        shown(facts.title),
        shown(facts.message),
        facts.event.severity,
        facts.risk,
        [shown(each) for each in facts.event.entities[:MOST_HOSTS]],
        [shown(each.id) for each in facts.techniques],
        shown(facts.event.at),
        shown(facts.event.kind),
        shown(facts.event.tenant),
        len({each.event.subject for each in group}),
    )


def shown(value: str) -> str:
    """Return a value as people may be shown it: on one line, of bounded length."""
    return printable(value[:MOST_VALUE])


class Memory:
    """Remembers how grave incidents were when people were told, so that they are told again only of what grew worse."""

    def __init__(self) -> None:
        """Know of nothing."""
        self._told: dict[tuple[str, str], int] = {}

    def news(self, events: Sequence[Outgoing]) -> list[Outgoing]:
        """Return the events that say something new."""
        return [each for each in events if not self._is_known(each)]

    def keep(self, events: Iterable[Outgoing]) -> None:
        """Remember that people were told; the oldest is forgotten first."""
        for each in events:
            name = (each.event.tenant, each.event.subject)
            self._told[name] = max(rank_of(each), self._told.pop(name, 0))
            if len(self._told) > MOST_TOLD:
                self._told.pop(next(iter(self._told)))

    def _is_known(self, outgoing: Outgoing) -> bool:
        event = outgoing.event
        known = self._told.get((event.tenant, event.subject), -1)
        return event.kind.startswith("incident.") and rank_of(outgoing) <= known


def rank_of(outgoing: Outgoing) -> int:
    """Return how grave an event is, 0 to 4."""
    return SEVERITIES.index(outgoing.event.severity)
