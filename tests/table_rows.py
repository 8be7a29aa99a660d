"""Rows of tables for tests, and what a table would answer if it were a list."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from infraspectre.records.queries import Filter, Query
from infraspectre.records.tables import ADDRESS, flows_table
from infraspectre.records.times import UNITS

DAY = UNITS["d"]
BEGIN = 20_000 * DAY
"""2024-10-04"""


class SetClock:
    """Tells the time it was set to."""

    def __init__(self, at: int = BEGIN) -> None:
        self.at = at

    def now(self) -> int:
        return self.at


def flow_frame(count: int, first: int = 0, step: int = UNITS["s"], features: bool = True) -> pl.DataFrame:
    """Flows from a number on, one each `step`; without features as an older version would have written them."""
    ids = range(first, first + count)
    frame = pl.DataFrame(
        {
            "flow_id": pl.Series([(i * 7_919) % 1_000_003 for i in ids], dtype=pl.UInt64),
            "started_at": pl.Series([BEGIN + i * step for i in ids], dtype=pl.Int64),
            "orig_ip": [f"10.0.0.{i % 7}" for i in ids],
            "resp_ip": [f"192.0.2.{i % 11}" for i in ids],
            "resp_port": pl.Series([(443, 53, 80)[i % 3] for i in ids], dtype=pl.UInt16),
            "app_protocol": [("tls", "dns", None)[i % 3] for i in ids],
            "orig_bytes": pl.Series([(i * 7_919) % 100 for i in ids], dtype=pl.UInt64),
            "resp_bytes": pl.Series([i % 13 for i in ids], dtype=pl.UInt64),
            "http_hosts": [[f"Host{i % 5}.example"] if i % 2 else None for i in ids],
        }
    )
    if not features:
        return frame
    return frame.with_columns(
        pl.Series("syn_rtt_ms", [None if i % 2 else float(i % 17) for i in ids], dtype=pl.Float32),
        pl.Series("dns_answers", [[f"198.51.100.{i % 3}"] if i % 3 else [] for i in ids]),
    )


COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def fits(row: Mapping[str, Any], asked: Filter) -> bool:
    """Tell plainly whether a row passes a filter."""
    names = flows_table().addresses if asked.field == ADDRESS else (asked.field,)
    kind = flows_table().fields[asked.field]
    values = [value for name in names for value in listed(row.get(name), kind)]
    match asked.operator:
        case "=":
            return any(value in asked.values for value in values)
        case "!=":
            return not any(value in asked.values for value in values)
        case "~":
            return any(str(asked.values[0]).lower() in value.lower() for value in values)
        case "^":
            return any(value.startswith(asked.values[0]) for value in values)
        case _:
            return any(COMPARISONS[asked.operator](value, asked.values[0]) for value in values)


def listed(value: Any, kind: str) -> list[Any]:
    """What a field holds; a text that is missing is empty."""
    if value is None:
        return [""] if kind == "text" else []
    return value if isinstance(value, list) else [value]


def answer(rows: Sequence[Mapping[str, Any]], query: Query) -> list[Any]:
    """The keys that a query asks for, in order, of all its pages."""
    order = query.order
    name, down = (order.field, order.descending) if order else ("started_at", True)
    passing = [row for row in rows if all(fits(row, asked) for asked in query.filters)]
    passing.sort(key=lambda row: (row.get(name) is not None, row.get(name) or 0, row["flow_id"]), reverse=down)
    return [row["flow_id"] for row in passing]


def answer_records(records: Mapping[str, Mapping[str, Any]], query: Query) -> list[str]:
    """The keys of records that a query asks for, in order; filters compare numbers and texts."""
    comparisons = COMPARISONS | {"=": operator.eq}
    passing = [
        key
        for key, record in records.items()
        if all(comparisons[asked.operator](record[asked.field], asked.values[0]) for asked in query.filters)
    ]
    if query.order is None:
        return sorted(passing)
    name = query.order.field
    return sorted(passing, key=lambda key: (records[key][name], key), reverse=query.order.descending)
