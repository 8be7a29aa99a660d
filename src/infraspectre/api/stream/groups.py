"""Who follows what: subscriptions of the same selection are one group, for which each batch is matched once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from infraspectre.api.stream.lanes import Lane
from infraspectre.feed.batches import Batch, Happening, Match
from infraspectre.feed.selection import Selection
from infraspectre.records.feed import FeedEvent

Lanes = dict[Lane, None]
"""In the order in which they came."""
NOBODY: dict[Selection, Lanes] = {}


@dataclass
class Audience:
    """Holds the groups of one tenant: those that ask for a value are found by it, the others look at everything."""

    open: dict[Selection, Lanes] = field(default_factory=dict)
    keyed: dict[str, dict[str, dict[Selection, Lanes]]] = field(default_factory=dict)
    """By field and value."""

    def places(self, selection: Selection) -> list[dict[Selection, Lanes]]:
        """Return where a selection is found."""
        if selection.keys is None:
            return [self.open]
        return [self.keyed.setdefault(name, {}).setdefault(value, {}) for name, value in selection.keys]

    def add(self, lane: Lane) -> None:
        """Let a lane follow."""
        for place in self.places(lane.selection):
            place.setdefault(lane.selection, {})[lane] = None

    def remove(self, lane: Lane) -> None:
        """Let a lane follow no more."""
        for place in self.places(lane.selection):
            lanes = place.get(lane.selection, {})
            lanes.pop(lane, None)
            if not lanes:
                place.pop(lane.selection, None)
        for name, value in lane.selection.keys or ():
            if not self.keyed[name][value]:
                del self.keyed[name][value]
            if not self.keyed[name]:
                del self.keyed[name]

    def matches(self, batch: Batch, tenant: str) -> Iterator[tuple[Lanes, Match]]:
        """Yield what each group gets of a batch, where that is anything."""
        for selection, lanes in self.open.items():
            yield lanes, batch.match(selection)
        found: dict[Selection, tuple[Lanes, list[Happening]]] = {}
        if self.keyed:
            for happening in batch.of(tenant):
                self._find(happening, found)
        for selection, (lanes, happenings) in found.items():
            yield lanes, batch.keep(selection, happenings)

    def _find(self, happening: Happening, found: dict[Selection, tuple[Lanes, list[Happening]]]) -> None:
        for name, groups in self.keyed.items():
            for value in values_of(happening.event, name):
                for selection, lanes in groups.get(value, NOBODY).items():
                    if selection.takes(happening):
                        happenings = found.setdefault(selection, (lanes, []))[1]
                        if not happenings or happenings[-1] is not happening:
                            happenings.append(happening)


def values_of(event: FeedEvent, name: str) -> Sequence[str]:
    """Return the values of a field by which groups are found."""
    return event.entities if name == "entities" else (event.subject if name == "subject" else event.kind,)


class Groups:
    """Holds all lanes that are live."""

    def __init__(self) -> None:
        """Begin without any."""
        self._audiences: dict[str, Audience] = {}
        self._lanes: Lanes = {}

    def __iter__(self) -> Iterator[Lane]:
        return iter(list(self._lanes))

    def add(self, lane: Lane) -> None:
        """Let a lane follow what happens."""
        self._lanes[lane] = None
        self._audiences.setdefault(lane.selection.tenant, Audience()).add(lane)

    def remove(self, lane: Lane) -> None:
        """Let a lane follow no more."""
        if self._lanes.pop(lane, False) is not None:
            return
        audience = self._audiences[lane.selection.tenant]
        audience.remove(lane)
        if not (audience.open or audience.keyed):
            del self._audiences[lane.selection.tenant]

    def __contains__(self, lane: Lane) -> bool:
        return lane in self._lanes

    def matches(self, batch: Batch) -> Iterator[tuple[Lanes, Match]]:
        """Yield what each group gets of a batch; a group belongs to one tenant, and gets nothing of another."""
        for tenant, audience in self._audiences.items():
            if batch.of(tenant):
                yield from ((lanes, match) for lanes, match in audience.matches(batch, tenant) if match.happenings)
