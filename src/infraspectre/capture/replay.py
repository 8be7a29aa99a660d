"""Flows of captures at the pace at which they ended, as if they were seen now."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event
from time import monotonic
from typing import TYPE_CHECKING

from infraspectre.ports import Account, Alerts, FlowSource
from infraspectre.records.flows import FlowBatch
from infraspectre.records.times import NANOSECONDS

if TYPE_CHECKING:
    import polars as pl

STEP_S = 0.1
"""Flows that end within so much of the time of the replay are given together."""


class Replay:
    """Gives the batches of another source again, each piece when its flows have ended."""

    def __init__(self, source: FlowSource, speed: float) -> None:
        """Play a source so many times as fast as it was recorded; 0 is as fast as possible."""
        self._source = source
        self._speed = speed
        self._stopped = Event()

    def __iter__(self) -> Iterator[FlowBatch]:
        begun, first = monotonic(), None
        for batch in self._source:
            for at, piece in pieces(batch.frame, self._speed) if self._speed else [(0, batch.frame)]:
                first = at if first is None else first
                due = begun + (at - first) / NANOSECONDS / (self._speed or 1.0)
                if self._stopped.wait(max(due - monotonic(), 0.0)):
                    return
                yield FlowBatch(piece)

    def stop(self) -> None:
        """End the replay early; any thread may say so."""
        self._stopped.set()

    def account(self) -> Account:
        """Return what was read and lost so far."""
        return self._source.account()

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; 0 in all where that is unknown."""
        return self._source.progress()

    def alerts(self) -> Alerts:
        """Return the alerts that came with the flows so far."""
        return self._source.alerts()


def pieces(frame: pl.DataFrame, speed: float) -> Iterator[tuple[int, pl.DataFrame]]:
    """Yield flows in their order, cut where time goes on, each piece with when the last of its flows had ended."""
    import polars as pl

    step = max(int(STEP_S * speed * NANOSECONDS), 1)
    steps = frame.select(at=pl.col("ended_at").cum_max(), step=pl.col("ended_at").cum_max() // step)
    ends = changes(steps["step"])
    for start, end in zip([0, *ends], [*ends, len(frame)], strict=True):
        yield int(steps["at"][end - 1]), frame.slice(start, end - start)


def changes(numbers: pl.Series) -> list[int]:
    """Return where a number differs from the one before it."""
    return (numbers.diff().fill_null(0) != 0).arg_true().to_list()
