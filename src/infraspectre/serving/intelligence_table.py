"""The table of indicators: what is known of each, as columns that are filtered and sorted at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import polars as pl

from infraspectre.intel.indicators import Collection
from infraspectre.intel.indicators.index import ALWAYS, DAY, HALF_LIFE_DAYS, LARGEST, TRUST, UNSTATED
from infraspectre.records.indicators import Indicator
from infraspectre.records.queries import Filter, Kind, Query

FIELDS: Mapping[str, Kind] = {
    "value": "text", "kind": "text", "sources": "texts", "labels": "texts", "threats": "texts", "techniques": "texts",
    "tlp": "text", "confidence": "real", "first_seen": "integer", "last_seen": "integer", "valid_until": "integer",
}  # fmt: skip
"""By which indicators are found; times are nanoseconds since the epoch."""
LISTS = ("sources", "labels", "threats", "techniques")
NUMBERS = ("first_seen", "last_seen", "valid_until")
SCHEMA: dict[str, Any] = {
    "value": pl.String, "kind": pl.String, "tlp": pl.String, "warning": pl.String, "worth": pl.Float64,
    **dict.fromkeys(NUMBERS, pl.Int64), **dict.fromkeys(LISTS, pl.List(pl.String)),
}  # fmt: skip
ROWS_AT_ONCE = 100_000
Comparison = Callable[[pl.Expr, Any], pl.Expr]
COMPARISONS: Mapping[str, Comparison] = {
    "=": lambda column, values: column.is_in(values),
    "!=": lambda column, values: column.is_in(values),
    "<": lambda column, values: column < values[0],
    "<=": lambda column, values: column <= values[0],
    ">": lambda column, values: column > values[0],
    ">=": lambda column, values: column >= values[0],
    "~": lambda column, values: column.str.to_lowercase().str.contains(values[0].lower(), literal=True),
    "^": lambda column, values: column.str.starts_with(values[0]),
}


@lru_cache(maxsize=4)
def table(collection: Collection) -> pl.DataFrame:
    """Return all indicators of a collection, with what they are worth before they age."""
    index = collection.index
    parts = [
        pl.DataFrame(
            [
                row_of(each, warning.reason) | {"worth": worth(each, warning.factor)}
                for each, warning in zip(index.indicators[at:end], index.warnings[at:end], strict=True)
            ],
            schema=SCHEMA,
        )
        for at in range(0, len(index), ROWS_AT_ONCE)
        for end in [at + ROWS_AT_ONCE]
    ]
    return pl.concat(parts) if parts else pl.DataFrame(schema=SCHEMA)


def row_of(indicator: Indicator, warning: str) -> dict[str, Any]:
    """Return what is known of an indicator as a row."""
    about = indicator.about
    told = {name: list(getattr(about, name)) for name in LISTS} | {name: getattr(about, name) for name in NUMBERS}
    return told | {"value": indicator.value, "kind": indicator.kind, "tlp": about.tlp or "", "warning": warning}


def worth(indicator: Indicator, factor: float) -> float:
    """Return the confidence of an indicator before it ages."""
    stated = indicator.about.confidence
    return (UNSTATED if stated is None else stated) * factor * TRUST.get(indicator.kind, 1.0)


def aged(at: int) -> pl.Expr:
    """Return the confidence of indicators at a time, as `IndicatorIndex.confidence` does."""
    told_at = pl.coalesce("last_seen", "first_seen")
    days = ((at - told_at).clip(lower_bound=0) / DAY).fill_null(0.0)
    lives = pl.col("kind").replace_strict(HALF_LIFE_DAYS, return_dtype=pl.Float64)
    return (pl.col("worth") * 0.5 ** (days / lives)).clip(upper_bound=LARGEST).round(4)


def find(collection: Collection, query: Query, start: int, at: int) -> tuple[list[dict[str, Any]], bool]:
    """Return the indicators that pass all filters from one on, as of a time, and whether there are more."""
    frame = table(collection).with_columns(confidence=aged(at), expired=pl.col("valid_until").fill_null(ALWAYS) < at)
    for each in query.filters:
        frame = frame.filter(condition(each, FIELDS[each.field]))
    if (order := query.order) is not None:
        frame = frame.sort(order.field, descending=order.descending, nulls_last=order.descending, maintain_order=True)
    part = frame.slice(start, query.limit + 1)
    return part.head(query.limit).to_dicts(), len(part) > query.limit


def condition(asked: Filter, kind: Kind) -> pl.Expr:
    """Return the condition of a filter, which means what `Filter.fits` says."""
    values = asked.asked(kind)
    column = pl.element() if kind == "texts" else pl.col(asked.field)
    fits = COMPARISONS[asked.operator](column, values)
    if kind == "texts":
        fits = pl.col(asked.field).list.eval(fits).list.any()
    return ~fits.fill_null(False) if asked.operator == "!=" else fits.fill_null(False)
