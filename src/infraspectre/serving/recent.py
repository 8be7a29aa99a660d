"""The rows of the last hours as a model needs them: columns of flows, their context, or feature vectors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import polars as pl

from infraspectre.axon import VECTOR, Axon, Vectors
from infraspectre.ports import TableStore
from infraspectre.records.flows import FlowBatch
from infraspectre.records.models import Manifest
from infraspectre.records.tables import flows_table
from infraspectre.soma.models import part_of, texts_of

MOST_FLOWS = 50_000


def recent_rows(tables: TableStore, tenant: str, manifest: Manifest, start: int, end: int) -> pl.DataFrame:
    """Return the rows of at most `MOST_FLOWS` flows of a span of time, in nanoseconds; none is an empty table.

    What context says of a host's last minutes begins with the span.
    """
    wanted = list(manifest.columns)
    is_plain = {*wanted} <= {*flows_table().columns}
    frames = list(bounded(tables.scan(tenant, "flows", start, end, wanted if is_plain else [])))
    if not frames:
        return pl.DataFrame()
    rows = pl.concat(frames, how="diagonal_relaxed")
    return rows if is_plain else in_context(FlowBatch(rows.sort("ended_at", "flow_id")), wanted)


def in_context(flows: FlowBatch, wanted: list[str]) -> pl.DataFrame:
    """Return columns that flows have only beside one another, or texts in them, as detectors give them to models."""
    part = part_of(wanted)
    if part is not None:
        return texts_of(flows.frame, part, wanted[0]).select(wanted)
    context = Axon().extract(flows)
    if {*wanted} <= {*VECTOR.names}:
        return Vectors().extract(flows, context).select(wanted)
    return flows.frame.hstack(context.frame).select(wanted)


def bounded(frames: Iterable[pl.DataFrame]) -> Iterator[pl.DataFrame]:
    """Yield frames until they hold enough flows."""
    left = MOST_FLOWS
    for frame in frames:
        yield frame.head(left)
        left -= len(frame)
        if left <= 0:
            return
