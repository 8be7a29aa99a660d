"""Health: whether what the platform depends on works, how long that took, and since when it is so."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Literal

import msgspec

from infraspectre.errors import InfraSpectreError
from infraspectre.ports import Clock
from infraspectre.records.times import rfc3339

State = Literal["up", "down"]
FRESH_S = 1.0
"""A look is good for so long, so that many who ask cost as little as one."""


class Dependency(msgspec.Struct, frozen=True):
    """Is how a dependency is."""

    name: str
    state: State
    latency_ms: float
    """How long the last look took."""
    since: str
    """When it came to this state, RFC 3339, UTC."""
    reason: str = ""
    """Why it is down, in words that hold no secret."""
    is_needed: bool = True
    """Whether nothing goes on without it; what is left alone for a while, as a detector that failed, is not."""


def no_faults() -> dict[str, str]:
    """Return that nothing failed."""
    return {}


class Matrix:
    """Looks at dependencies, each by a function that raises where it does not work."""

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        clock: Clock,
        monotonic: Callable[[], float] = time.monotonic,
        faults: Callable[[], Mapping[str, str]] = no_faults,
    ) -> None:
        """Look by some functions, which have to be quick; they are called from threads, one at a time.

        `faults` tells what failed though all else goes on, and why; their names come from a small set.
        """
        self._faults = faults
        self._checks = dict(checks)
        self._clock = clock
        self._monotonic = monotonic
        self._known: dict[str, Dependency] = {}
        self._looked = float("-inf")
        self._lock = Lock()

    def look(self) -> list[Dependency]:
        """Return how all are now, or were a moment ago."""
        with self._lock:
            if self._monotonic() - self._looked >= FRESH_S:
                looked = {name: self._seen(name, check) for name, check in self._checks.items()}
                self._known = looked | self._failed(self._faults())
                self._looked = self._monotonic()
            return list(self._known.values())

    def _seen(self, name: str, check: Callable[[], object]) -> Dependency:
        began, reason = self._monotonic(), ""
        try:
            check()
        except InfraSpectreError as error:
            reason = error.problem
        except Exception as error:  # noqa: BLE001 - whatever it is, the dependency does not work
            reason = type(error).__name__
        return self._told(name, round((self._monotonic() - began) * 1_000, 3), reason)

    def _failed(self, faults: Mapping[str, str]) -> dict[str, Dependency]:
        """Return what failed, and what failed before and is up again."""
        names = dict.fromkeys([*(name for name in self._known if name not in self._checks), *faults])
        return {name: self._told(name, 0.0, faults.get(name, ""), is_needed=False) for name in names}

    def _told(self, name: str, latency_ms: float, reason: str, *, is_needed: bool = True) -> Dependency:
        state: State = "down" if reason else "up"
        before = self._known.get(name)
        since = before.since if before and before.state == state else rfc3339(self._clock.now())
        return Dependency(name, state, latency_ms, since, reason, is_needed)
