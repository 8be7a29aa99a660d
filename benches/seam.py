"""From flow batches to numpy, polars and Arrow arrays in Python: the price of crossing the seam."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from benches import captures
from benches.report import Figure, Report
from infraspectre._core import FlowReader

COLUMNS = 100
PACKETS = 400_000
ROUNDS = 9


def measure() -> Report:
    """Measure each way for the same batches."""
    capture = captures.bulk("mixed", PACKETS)
    batches = list(FlowReader([str(capture)], features="full"))
    flows = sum(map(len, batches))
    names = numeric_columns(batches[0])
    ways: dict[str, Callable[[Any], object]] = {
        "Arrow record batch, all columns": pa.record_batch,
        "polars frame, all columns": pl.DataFrame,
        f"numpy, {len(names)} columns": lambda batch: to_numpy(batch, names),
        f"numpy matrix, {len(names)} columns, with copy": lambda batch: np.column_stack(to_numpy(batch, names)),
    }
    figures = [
        Figure(f"flow batch to {name}", microseconds(convert, batches) / flows, "us per flow", "1 us", "0.2 us")
        for name, convert in ways.items()
    ]
    return Report(figures, notes=[f"{flows:,} flows in batches of {len(batches[0]):,}; the median of {ROUNDS} rounds."])


def numeric_columns(batch: Any) -> list[str]:
    """Return the first numeric columns."""
    fields = pa.record_batch(batch).schema
    return [field.name for field in fields if pa.types.is_integer(field.type) or pa.types.is_floating(field.type)][
        :COLUMNS
    ]


def to_numpy(batch: Any, names: list[str]) -> list[Any]:
    """Return columns as numpy arrays; those without nulls share the core's memory."""
    columns = pa.record_batch(batch)
    return [columns.column(name).to_numpy(zero_copy_only=False) for name in names]


def microseconds(convert: Callable[[Any], object], batches: list[Any]) -> float:
    """Return the time that converting all batches takes."""
    rounds = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        for batch in batches:
            convert(batch)
        rounds.append(time.perf_counter() - started)
    return median(rounds) * 1e6
