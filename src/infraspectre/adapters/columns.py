"""Frames of imported flows, with the very columns of the core; what a log does not say is null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl

from infraspectre._core import feature_schema
from infraspectre.records.flows import FlowBatch

BATCH_ROWS = 8192
MAX_LIST = 32
"""Most values that a list column keeps, as in the core."""

DTYPES: Mapping[str, pl.DataType] = {
    "u8": pl.UInt8(), "u16": pl.UInt16(), "u32": pl.UInt32(), "u64": pl.UInt64(),
    "i8": pl.Int8(), "i16": pl.Int16(), "i32": pl.Int32(), "i64": pl.Int64(),
    "f32": pl.Float32(), "f64": pl.Float64(), "bool": pl.Boolean(), "str": pl.String(),
}  # fmt: skip


def dtype(name: str) -> pl.DataType:
    """Return the polars type for a type of the feature schema, such as `u16` or `list<str>`."""
    if name.startswith("list<"):
        return pl.List(dtype(name.removeprefix("list<").removesuffix(">")))
    return DTYPES[name]


@cache
def columns(features: str = "full") -> dict[str, pl.DataType]:
    """Return the columns of a feature set with their types."""
    return {row["name"]: dtype(row["dtype"]) for row in feature_schema() if features in row["sets"]}


def batch(rows: Sequence[Mapping[str, Any]], features: str = "full") -> FlowBatch:
    """Return rows as a batch of flows; what no row names, or its column cannot hold, is null."""
    named = set().union(*rows)
    unknown = [None] * len(rows)
    frame = pl.DataFrame(
        pl.Series(name, [row.get(name) for row in rows] if name in named else unknown, dtype=kind, strict=False)
        for name, kind in columns(features).items()
    )
    return FlowBatch(frame)
