"""Circuit breakers: what fails again and again is left alone for a while, and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

import polars as pl

from infraspectre.records import Detection
from infraspectre.soma.detector import Patient

State = Literal["closed", "open", "half-open"]
MOST_ERROR_SIGNS = 300
"""Length of the last error that is kept for people."""


class Breaker:
    """Opens after some failures in a row, and lets one call through after a wait that doubles each time.

    Source: Nygard, Release It! (2007), chapter 5.
    """

    def __init__(
        self,
        name: str,
        failures: int = 3,
        wait_s: float = 1.0,
        longest_s: float = 300.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin closed; it opens after so many failures in a row."""
        self.name = name
        self.state: State = "closed"
        self.failures = 0
        self.skipped = 0
        self.error = ""
        self._limit = failures
        self._first_s, self._wait_s, self._longest_s = wait_s, wait_s, longest_s
        self._now = now
        self._in_a_row = 0
        self._since = now()

    def allows(self) -> bool:
        """Tell whether a call may be made; one that may not is counted."""
        if self.state == "open" and self._now() - self._since >= self._wait_s:
            self._enter("half-open")
        self.skipped += self.state == "open"
        return self.state != "open"

    @property
    def waits_s(self) -> float:
        """Return for how many seconds no call may be made."""
        return max(0.0, self._since + self._wait_s - self._now()) if self.state == "open" else 0.0

    def succeeded(self) -> None:
        """Take note that a call went well."""
        self._in_a_row, self._wait_s = 0, self._first_s
        if self.state != "closed":
            self._enter("closed")

    def failed(self, error: Exception) -> None:
        """Take note that a call failed."""
        self.failures += 1
        self._in_a_row += 1
        self.error = f"{type(error).__name__}: {error}"[:MOST_ERROR_SIGNS]
        if self.state == "half-open":
            self._wait_s = min(2 * self._wait_s, self._longest_s)
            self._enter("open")
        elif self._in_a_row >= self._limit:
            self._enter("open")

    def _enter(self, state: State) -> None:
        self.state, self._since = state, self._now()


class Detector(Protocol):
    """Finds one kind of suspicious behaviour in blocks of flows."""

    @property
    def name(self) -> str:
        """Name the detector."""
        ...

    @property
    def columns(self) -> frozenset[str]:
        """Name the columns without which it stays silent."""
        ...

    @property
    def helpful(self) -> frozenset[str]:
        """Name further columns that it uses where they are known."""
        ...

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what became certain with this block."""
        ...

    def finish(self) -> list[Detection]:
        """Return what the end of the input adds."""
        ...


class Cost:
    """Counts the processor time of a detector."""

    def __init__(self, name: str) -> None:
        """Begin with none."""
        self.name = name
        self.cpu_s = 0.0


class GuardedDetector:
    """Switches a detector off for a while after it failed; what it would have seen meanwhile it does not see."""

    def __init__(
        self,
        detector: Detector,
        breaker: Breaker | None = None,
        watched: Callable[[str], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Stand before a detector; by default the first failure switches it off for a minute.

        Each call of it is made while what `watched` returns for its name is entered.
        """
        self.detector = detector
        self._watched = watched
        self.breaker = breaker or Breaker(f"detector {detector.name}", failures=1, wait_s=60.0, longest_s=3_600.0)
        self.name, self.columns, self.helpful = detector.name, detector.columns, detector.helpful
        self.cost = Cost(detector.name)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what became certain with this block, nothing if the detector fails or is off."""
        return self._called(lambda: self.detector.detect(frame))

    def due(self) -> int | None:
        """Return when the detector has something to tell even if no flow comes; nothing while it is off."""
        if self.breaker.waits_s or not isinstance(self.detector, Patient):
            return None
        return self.detector.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what event time makes certain that goes on without flows."""
        detector = self.detector
        return self._called(lambda: detector.turn(until)) if isinstance(detector, Patient) else []

    def finish(self) -> list[Detection]:
        """Return what the end of the input adds."""
        return self._called(self.detector.finish)

    def _called(self, call: Callable[[], list[Detection]]) -> list[Detection]:
        if not self.breaker.allows():
            return []
        begun = time.thread_time()
        try:
            with self._watched(self.name):
                found = call()
        except Exception as error:  # noqa: BLE001 - a detector may be anybody's; whatever it raises concerns it alone
            self.breaker.failed(error)
            return []
        finally:
            self.cost.cpu_s += time.thread_time() - begun
        self.breaker.succeeded()
        return found
