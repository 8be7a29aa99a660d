"""Attempts in one span of time: how many, how alike in size, and how regular, in constant memory."""

from __future__ import annotations

import math

import polars as pl

from infraspectre.soma.detector import SECOND, Row


class Moments:
    """Keeps count, sum and sum of squares of values that come in groups."""

    __slots__ = ("count", "squares", "total")

    def __init__(self) -> None:
        """Start with no value."""
        self.count, self.total, self.squares = 0.0, 0.0, 0.0

    def add(self, count: float, total: float, squares: float) -> None:
        """Add a group of values by their count, sum and sum of squares."""
        self.count, self.total, self.squares = self.count + count, self.total + total, self.squares + squares

    @property
    def variation(self) -> float:
        """Return the coefficient of variation, standard deviation over mean; infinite without a value."""
        if not self.count or self.total <= 0:
            return math.inf
        mean = self.total / self.count
        return math.sqrt(max(0.0, self.squares / self.count - mean * mean)) / mean


class Attempts:
    """Sums up attempts: how many, of how many answers, and the spread of their sizes and of the gaps between them."""

    __slots__ = ("answers", "count", "flows", "gaps", "last_start", "received", "sent")

    def __init__(self) -> None:
        """Start with none."""
        self.count, self.flows, self.answers = 0, 0, 0
        self.last_start = 0
        self.sent, self.received, self.gaps = Moments(), Moments(), Moments()

    def add(self, row: Row) -> None:
        """Add a group of flows with the measures of `MEASURES`, attempts and, where known, answers."""
        self.count += row["attempts"]
        self.answers += row.get("answers", 0)
        self.flows += row["flows"]
        for moments, name in ((self.sent, "sent"), (self.received, "received")):
            moments.add(row["flows"], row[f"{name}_total"] or 0.0, row[f"{name}_squares"] or 0.0)
        self.gaps.add(row["flows"] - 1, row["gaps_total"] or 0.0, row["gaps_squares"] or 0.0)
        if self.last_start:
            gap = abs(row["first_start"] - self.last_start) / SECOND
            self.gaps.add(1, gap, gap * gap)
        self.last_start = max(self.last_start, row["last_start"])

    @property
    def size_variation(self) -> float:
        """Return how much the sizes vary, of the side that varies more."""
        return max(self.sent.variation, self.received.variation)


def _moments(name: str, values: pl.Expr) -> dict[str, pl.Expr]:
    return {f"{name}_total": values.sum(), f"{name}_squares": (values * values).sum()}


MEASURES: dict[str, pl.Expr] = {
    "attempts": pl.col("attempts").sum(),
    "first_start": pl.col("started_at").min(),
    "last_start": pl.col("started_at").max(),
    **_moments("sent", pl.col("orig_payload_bytes").cast(pl.Float64)),
    **_moments("received", pl.col("resp_payload_bytes").cast(pl.Float64)),
    **_moments("gaps", pl.col("started_at").sort().diff().cast(pl.Float64) / SECOND),
}
"""What `Attempts` takes of a group of flows with a column `attempts`."""
