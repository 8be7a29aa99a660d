"""The calendar: when a simulated day begins, and when its people are there."""

from __future__ import annotations

import random
from dataclasses import dataclass

HOUR_S, DAY_S = 3600.0, 86_400.0
NANOSECONDS = 1_000_000_000
EPOCH_MONDAY = 1_767_571_200
"""2026-01-05T00:00:00Z, a Monday, in seconds since the epoch."""
WEEKS = 40
SHORT_DAY_S = 12 * HOUR_S
"""Captures shorter than this mostly begin while people work: nobody records a short night."""

Span = tuple[float, float]
"""Begin and end in seconds since the start of the capture."""


@dataclass(frozen=True)
class Calendar:
    """Tells when a capture begins, how long it lasts, and where midnight is."""

    started_at_s: int
    """Start in seconds since the epoch."""
    duration_s: float
    utc_offset_s: float
    """What local clocks are ahead of UTC."""

    @classmethod
    def drawn(cls, rng: random.Random, duration_s: float) -> Calendar:
        """Draw a date, a time of day and a time zone; five in six captures begin on a working day."""
        weekday = rng.randrange(5) if rng.random() < 0.83 else rng.randrange(5, 7)
        date = EPOCH_MONDAY + (rng.randrange(WEEKS) * 7 + weekday) * int(DAY_S)
        hour = rng.uniform(6.5, 16.0) if duration_s < SHORT_DAY_S else rng.uniform(0.0, 24.0)
        offset_s = rng.randrange(-8, 10) * HOUR_S
        return cls(int(date + hour * HOUR_S - offset_s), duration_s, offset_s)

    @property
    def started_at(self) -> int:
        """Return the start in nanoseconds since the epoch."""
        return self.started_at_s * NANOSECONDS

    def midnights(self) -> list[tuple[float, bool]]:
        """Return the local midnights around the capture, and whether the day after each is one of work."""
        local = self.started_at_s + self.utc_offset_s
        first = -(local % DAY_S)
        count = int((self.duration_s - first) // DAY_S) + 1
        days = [first + number * DAY_S for number in range(-1, count)]
        return [(at, (local + at - EPOCH_MONDAY) // DAY_S % 7 < 5) for at in days]

    def cut(self, begin_s: float, end_s: float) -> list[Span]:
        """Return the part of a span that lies in the capture, if any."""
        begin_s, end_s = max(begin_s, 0.0), min(end_s, self.duration_s)
        return [(begin_s, end_s)] if begin_s < end_s else []

    def presence(self, rng: random.Random) -> list[Span]:
        """Draw when one person works: from the morning on, with a break at noon; few at night and at the weekend."""
        arrives, stays = rng.gauss(8.6, 0.8), rng.gauss(8.8, 0.9)
        spans: list[Span] = []
        for midnight, is_working_day in self.midnights():
            if rng.random() < (0.92 if is_working_day else 0.06):
                spans += self._working_day(rng, midnight, arrives + rng.gauss(0.0, 0.3), stays)
            if rng.random() < 0.04:
                late = midnight + rng.uniform(19.0, 25.0) * HOUR_S
                spans += self.cut(late, late + rng.uniform(0.2, 1.5) * HOUR_S)
        return spans

    def _working_day(self, rng: random.Random, midnight: float, arrives: float, stays: float) -> list[Span]:
        leaves = arrives + stays + rng.gauss(0.0, 0.4)
        noon = max(arrives + 1.0, rng.gauss(12.3, 0.35))
        back = noon + rng.uniform(0.4, 1.1)
        spans = ((arrives, noon), (back, max(leaves, back + 0.5)))
        return [cut for one, other in spans for cut in self.cut(midnight + one * HOUR_S, midnight + other * HOUR_S)]

    def nightly(self, hour: float) -> list[float]:
        """Return when a local hour of the day comes within the capture."""
        times = (midnight + hour * HOUR_S for midnight, _ in self.midnights())
        return [at for at in times if 0.0 <= at < self.duration_s]
