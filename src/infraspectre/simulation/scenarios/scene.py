"""The scene of a day: a site with its calendar and internet, and the ways in which things happen again and again."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.scenarios.background import moments, ticks
from infraspectre.simulation.scenarios.calendar import Calendar, Span
from infraspectre.simulation.scenarios.internet import Internet
from infraspectre.simulation.site import Site

Act = Callable[[float], object]
"""Does something once, at a time."""


@dataclass
class Scene:
    """Holds what everything that happens in a day has in common."""

    site: Site
    calendar: Calendar
    internet: Internet
    extra: dict[str, Host] = field(default_factory=dict)
    """Servers that only a whole company has, by their names."""
    devices: list[Host] = field(default_factory=list)
    guests: list[Host] = field(default_factory=list)

    @property
    def duration_s(self) -> float:
        """Return how long the day lasts."""
        return self.calendar.duration_s

    @property
    def whole(self) -> list[Span]:
        """Return the whole day as the only span."""
        return [(0.0, self.duration_s)]

    @property
    def servers(self) -> list[Host]:
        """Return all servers."""
        return [*self.site.servers, *self.extra.values()]

    def at(self, behaviour: str, times: Iterator[float] | list[float], act: Act) -> None:
        """Do something at some times, as one benign behaviour."""
        with self.site.behaving(self.site.behaviour(behaviour)):
            for at in times:
                act(at)


def by_chance(rng: random.Random, spans: list[Span], mean_s: float) -> Iterator[float]:
    """Yield the times of events that happen at random within spans, a mean time apart."""
    for begin_s, end_s in spans:
        for at in moments(rng, end_s - begin_s, mean_s):
            yield begin_s + at


def regularly(rng: random.Random, spans: list[Span], period_s: float, jitter: float = 0.05) -> Iterator[float]:
    """Yield the times of events that happen regularly within spans, each late by up to a share of the period."""
    for begin_s, end_s in spans:
        for at in ticks(rng, end_s - begin_s, period_s, jitter):
            yield begin_s + at
