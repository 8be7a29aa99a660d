"""Detection on request: flows that a program sends, through the whole pipeline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from infraspectre.app import as_told, compose, ranked
from infraspectre.errors import InputError
from infraspectre.intel.indicators import Collection
from infraspectre.records.times import from_datetime
from infraspectre.settings import Settings

if TYPE_CHECKING:
    import polars as pl

MOST_FLOWS = 10_000
"""Flows of one request."""
NEEDED = ("orig_ip", "resp_ip", "resp_port", "protocol")
"""Columns without which nothing can be said."""
TIMES = ("started_at", "ended_at")


def detect(
    rows: Sequence[Mapping[str, Any]], settings: Settings | None = None, intelligence: Collection | None = None
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return what is found in flows, and the incidents, the most threatening first, as the files of an analysis do.

    Raises InputError naming row and column.
    """
    from infraspectre.adapters.columns import batch
    from infraspectre.adapters.results import detection_object, incident_object

    known = intelligence if intelligence and len(intelligence.index) else None
    pipeline = compose(settings=settings, intel=known, on_platform=True)
    decisions = pipeline.process(batch(flows_of(rows)))
    found = ranked(decisions + pipeline.finish())
    told = as_told(pipeline.detections, found)
    return [detection_object(each) for each in told], [incident_object(each) for each in found]


def flows_of(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return rows as the pipeline takes them, each with an identity; raises InputError naming row and column."""
    from infraspectre.adapters.columns import columns

    kinds = columns()
    flows = [{"flow_id": number + 1, **row, **times_of(number, row)} for number, row in enumerate(rows)]
    for name in dict.fromkeys(name for row in rows for name in row):
        if name not in kinds:
            remedy = "'infraspectre features' lists the columns"
            raise InputError("there is no such column of flows", field=name[:64], remedy=remedy)
        check_column(name, kinds[name], flows)
    for name in NEEDED:
        if (missing := next((number for number, flow in enumerate(flows) if flow.get(name) is None), None)) is not None:
            raise InputError(f"is missing in row {missing}", field=name)
    return flows


def check_column(name: str, kind: pl.DataType, flows: Sequence[Mapping[str, Any]]) -> None:
    """Raise InputError naming the first row whose value a column cannot hold."""
    import polars as pl

    def is_sound(part: Sequence[Mapping[str, Any]]) -> bool:
        try:
            pl.Series(name, [flow.get(name) for flow in part], dtype=kind, strict=True)
        except (TypeError, OverflowError, ValueError, pl.exceptions.PolarsError):
            return False
        return True

    if not is_sound(flows):
        number = next(number for number in range(len(flows)) if not is_sound(flows[number : number + 1]))
        raise InputError(f"cannot hold the value of row {number}", field=name, remedy=f"it is of type {kind}")


def times_of(number: int, row: Mapping[str, Any]) -> dict[str, int]:
    """Return the times of a row."""
    return {name: nanoseconds(name, row.get(name), number) for name in TIMES}


def nanoseconds(name: str, value: object, number: int) -> int:
    """Return a time given in RFC 3339 or as nanoseconds; raises InputError."""
    from datetime import datetime

    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    try:
        return from_datetime(datetime.fromisoformat(str(value)))
    except (ValueError, OverflowError) as error:
        remedy = "give RFC 3339, or nanoseconds since the epoch"
        raise InputError(f"is no time in row {number}", field=name, remedy=remedy) from error
