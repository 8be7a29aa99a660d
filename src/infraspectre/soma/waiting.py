"""Patience: what looks alike at first, such as a sweep and the first round of a monitor, is judged after a while."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Generic, TypeVar

import polars as pl

from infraspectre.ml.bounded import trim
from infraspectre.soma.detector import SECOND

Key = TypeVar("Key")


class Waiting(Generic[Key]):
    """Remembers which cases are to be judged again once their time has come, in event time and bounded memory."""

    def __init__(self, patience_s: float, capacity: int) -> None:
        """Let a case wait for `patience_s`, and at most `capacity` cases."""
        self._patience = int(patience_s * SECOND)
        self._capacity = capacity
        self._clock = 0
        self._until: OrderedDict[Key, int] = OrderedDict()

    def turn(self, frame: pl.DataFrame) -> list[Key]:
        """Let time go on to the end of these flows and return the cases whose time has come."""
        return self.turn_to(int(frame["ended_at"].max() or 0))  # type: ignore[arg-type]

    def turn_to(self, until: int) -> list[Key]:
        """Let time go on, as it does without flows, and return the cases whose time has come."""
        self._clock = max(self._clock, until)
        due = [key for key, until in self._until.items() if until <= self._clock]
        for key in due:
            del self._until[key]
        return due

    def due(self) -> int | None:
        """Return when the time of the first case comes, None where none waits."""
        return min(self._until.values(), default=None)

    def is_over(self, key: Key, since: int) -> bool:
        """Tell whether a case has waited for long enough since a time in nanoseconds; else let it wait."""
        if since + self._patience <= self._clock:
            return True
        self._until[key] = since + self._patience
        trim(self._until, self._capacity)
        return False

    def end(self) -> None:
        """Let the end of the input end all waiting."""
        self._clock = sys.maxsize
