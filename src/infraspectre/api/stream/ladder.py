"""The ladder of throttling: what a client gets that cannot take everything, step by step, and back up."""

from __future__ import annotations

from bisect import bisect_right
from enum import IntEnum


class Level(IntEnum):
    """Is a step of the ladder; each includes those before it."""

    FULL = 0
    """Everything, as it happens."""
    COALESCE = 1
    """Everything, in fewer and larger messages."""
    SAMPLE = 2
    """Of informational and low severity one event in ten; how many are left out is told."""
    AGGREGATE = 3
    """Summaries by subject; urgent subscriptions are left as they are."""
    CLOSE = 4
    """Nothing: the client may come back and resume."""


FILLS = (0.25, 0.5, 0.75, 1.0)
"""How full the queue is when the next step is taken."""
DELAYS_S = (1.0, 5.0, 15.0, 120.0)
"""How long what waits would take at the measured rate when the next step is taken."""
CALM_S = 5.0
"""A step is taken back once fill and delay have been below half of what led to it for so long."""
MOST_CALM_S = 60.0
"""Whoever comes down and has to go up again within this time waits twice as long, up to this."""


class Ladder:
    """Decides how much a client gets, from how much waits for it and how fast it takes it."""

    def __init__(self) -> None:
        """Begin with everything."""
        self.level = Level.FULL
        self._calm_since: float | None = None
        self._calm_s = CALM_S
        self._lowered_at = float("-inf")

    def judge(self, fill: float, delay_s: float, now: float) -> Level:
        """Return the level for a queue filled so far, whose content would take so long to send."""
        if not (self.level or fill or delay_s):  # as it is for nearly all clients, nearly always
            self._calm_since = None
            return self.level
        wanted = max(steps(fill, FILLS), steps(delay_s, DELAYS_S))
        if wanted > self.level:
            self._raise(Level(wanted), now)
        elif max(steps(2 * fill, FILLS), steps(2 * delay_s, DELAYS_S)) >= self.level:
            self._calm_since = None
        elif self._calm_since is None:
            self._calm_since = now
        elif now - self._calm_since >= self._calm_s:
            self._lower(now)
        return self.level

    def _raise(self, level: Level, now: float) -> None:
        is_relapse = now - self._lowered_at < MOST_CALM_S
        self._calm_s = min(self._calm_s * 2, MOST_CALM_S) if is_relapse else CALM_S
        self._calm_since = None
        self.level = level

    def _lower(self, now: float) -> None:
        if self.level > Level.FULL:
            self.level = Level(self.level - 1)
            self._lowered_at = now
        self._calm_since = now


def steps(value: float, thresholds: tuple[float, ...]) -> int:
    """Return how many thresholds, which grow, a value has reached."""
    return bisect_right(thresholds, value)
