"""Callers: how few hosts talk to a place, counted no further than it matters."""

from __future__ import annotations

from infraspectre.ml.bounded import BoundedTable


class Callers:
    """Remembers who called each place, until more than a few did."""

    def __init__(self, few: int, capacity: int) -> None:
        """Count up to one beyond `few` callers of a place, for the `capacity` places used last."""
        self._few = few
        self._hosts: BoundedTable[str, dict[str, None]] = BoundedTable(capacity, dict)

    def note(self, place: str, caller: str) -> None:
        """Note that a host called a place."""
        hosts = self._hosts[place]
        if len(hosts) <= self._few:
            hosts[caller] = None

    def are_few(self, place: str) -> bool:
        """Tell whether no more than a few hosts called a place."""
        return len(self._hosts[place]) <= self._few
