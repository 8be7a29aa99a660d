"""Flows of captures at the pace at which they ended, as if they were seen now."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from infraspectre.ports import Account, FlowSource
from infraspectre.records.flows import FlowBatch
from infraspectre.records.times import NANOSECONDS

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.capture.ring import PacketRing

STEP_S = 0.1
"""Flows that end within so much of the time of the replay are given together."""


class Replay:
    """Gives the flows of another source again, each when it has ended; it is read as an interface is."""

    def __init__(self, source: FlowSource, speed: float, paths: Sequence[str] = ()) -> None:
        """Play a source so many times as fast as it was recorded; 0 is as fast as possible. It is made of captures."""
        self.is_done = False
        self._source, self._paths = source, paths
        self._stopped = Event()
        self._pieces = pieces(source, speed)
        self._begun = monotonic()
        self._waiting: tuple[float, FlowBatch] | None = None

    def read(self, timeout_s: float = 1.0) -> FlowBatch | None:
        """Return the next flows; None when the time is over, or when there are no more: then `is_done` is set."""
        self._waiting = self._waiting or next(self._pieces, None)
        if self._waiting is None:
            self.is_done = True
            return None
        after_s, batch = self._waiting
        left_s = max(self._begun + after_s - monotonic(), 0.0)
        if self._stopped.wait(min(left_s, timeout_s)):
            self.is_done = True
            return None
        if left_s > timeout_s:
            return None
        self._waiting = None
        return batch

    def record(self, ring: PacketRing) -> None:
        """Keep the packets of the captures in a ring; raises CaptureError where these cannot be opened."""
        ring.copy(self._paths)

    def stop(self) -> None:
        """End the replay early; any thread may say so."""
        self._stopped.set()

    def account(self) -> Account:
        """Return what was read and lost so far."""
        return self._source.account()


def pieces(source: FlowSource, speed: float) -> Iterator[tuple[float, FlowBatch]]:
    """Yield flows in their order, each piece with when it is due, in seconds from the first one."""
    first = None
    for batch in source:
        if not speed:
            yield 0.0, batch
            continue
        for at, frame in cut(batch.frame, max(int(STEP_S * speed * NANOSECONDS), 1)):
            first = at if first is None else first
            yield (at - first) / NANOSECONDS / speed, FlowBatch(frame)


def cut(frame: pl.DataFrame, step: int) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield flows in their order, cut wherever so much time has gone on, each piece with when its last flow ended."""
    ended = frame["ended_at"].cum_max()
    ends = ((ended // step).diff().fill_null(0) != 0).arg_true().to_list()
    for start, end in zip([0, *ends], [*ends, len(frame)], strict=True):
        yield int(ended[end - 1]), frame.slice(start, end - start)
