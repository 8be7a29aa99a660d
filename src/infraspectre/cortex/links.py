"""Links between entities, with a bounded degree, so that popular addresses do not glue unrelated stories together."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

Fan = tuple[str, str, str]
"""A side ("orig" or "resp"), an entity on that side, and the family of what it did or suffered."""


class Fans:
    """Counts, up to a bound, with how many others an entity was linked lately by one family of findings."""

    def __init__(self, widest: int, most: int, memory_ns: int) -> None:
        """Call a fan broad beyond `widest` others; remember the `most` recently used fans for `memory_ns`."""
        self._widest = widest
        self._most = most
        self._memory_ns = memory_ns
        self._fans: OrderedDict[Fan, tuple[int, set[str]]] = OrderedDict()

    def add(self, fan: Fan, other: str, at: int) -> None:
        """Link an entity with one more other; beyond the bound others are no longer kept."""
        used_at, others = self._fans.get(fan, (at, set()))
        others = others if at - used_at <= self._memory_ns else set()
        if len(others) <= self._widest:
            others.add(other)
        self._fans[fan] = (max(at, used_at), others)
        self._fans.move_to_end(fan)
        if len(self._fans) > self._most:
            self._fans.popitem(last=False)

    def degree(self, fan: Fan) -> int:
        """Return with how many others an entity was linked lately, up to one more than the bound."""
        return len(self._fans[fan][1]) if fan in self._fans else 0

    def is_broad(self, fan: Fan) -> bool:
        """Tell whether an entity is linked with so many others that the link says little."""
        return self.degree(fan) > self._widest

    def save(self) -> list[tuple[Fan, int, list[str]]]:
        """Return each fan with the time of its last use and the others, least recently used first."""
        return [(fan, used_at, sorted(others)) for fan, (used_at, others) in self._fans.items()]

    def load(self, saved: Iterable[tuple[Fan, int, list[str]]]) -> None:
        """Take over what was saved."""
        self._fans = OrderedDict((fan, (used_at, set(others))) for fan, used_at, others in saved)
