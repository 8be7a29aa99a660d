"""How fast the cascade judges feature rows on one core, with the built-in model of flows."""

from __future__ import annotations

import time

import numpy as np
import polars as pl

from benches import captures
from benches.report import Figure, Report, Table
from infraspectre import modelbook
from infraspectre.learning.labelled_captures import flows_of
from infraspectre.ml.cascade import Cascade, Staged

PACKETS = 200_000
ROWS = 100_000
SIZES = (64, 256, 512, 1_024)


def measure() -> Report:
    """Judge rows of mixed real captures in micro-batches of several sizes."""
    model = modelbook.open_model("builtin:flow").model
    if not isinstance(model, Staged):
        raise TypeError("builtin:flow has no stages")
    flows = flows_of(captures.diverse(PACKETS)).select(model.columns)
    frame = pl.concat([flows] * -(-ROWS // len(flows)))[:ROWS].rechunk()
    rows = [(size, *speed(model, frame, size)) for size in SIZES]
    fastest = max(rows, key=lambda row: row[1])
    return Report(
        [
            Figure("flows a second, one core", f"{fastest[1]:,.0f}", "", "20,000 (aim 60,000)"),
            Figure("p99 of a micro-batch of 1,024 rows, ms", f"{rows[-1][3]:.1f}", "", "25 (aim 10)"),
        ],
        [Table("By size of micro-batch", ("rows", "flows/s", "p50 ms", "p99 ms", "suspicious"), [*map(shown, rows)])],
        ["From feature rows to verdicts with classes, in processor time; explanations are not asked for."],
    )


def shown(row: tuple[int, float, float, float, float]) -> tuple[int, str, str, str, str]:
    """Return a row of the table."""
    size, per_second, median, high, share = row
    return size, f"{per_second:,.0f}", f"{median:.2f}", f"{high:.2f}", f"{share:.1%}"


def speed(model: Staged, frame: pl.DataFrame, size: int) -> tuple[float, float, float, float]:
    """Return flows per CPU-second, median and 99th percentile in ms, and the share that reached the second stage."""
    cascade: Cascade[str] = Cascade(model)
    took, suspicious = [], 0
    cascade.judge(frame[:size])
    begun = time.process_time()
    for part in frame.iter_slices(size):
        start = time.process_time()
        verdicts = cascade.judge(part)
        took.append(1e3 * (time.process_time() - start))
        suspicious += int((verdicts.stages > 1).sum())
    seconds = time.process_time() - begun
    return len(frame) / seconds, float(np.median(took)), float(np.quantile(took, 0.99)), suspicious / len(frame)
