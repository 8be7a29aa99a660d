"""Rows as programs send them, made the table that a model judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from infraspectre.errors import InputError
from infraspectre.modelbook.tables import columns_in

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.modelbook.opening import OpenModel
    from infraspectre.records.models import ColumnKind

Rows = Sequence[Mapping[str, Any]]
MOST_LIST = 10_000
"""Numbers in a cell that holds a list."""
PLAIN: dict[str, set[type]] = {"number": {int, float, type(None)}, "text": {str, type(None)}}
"""Types of which every value fits."""
MOST_MISSING = 8
"""Missing columns that are named."""


def require_columns(model: OpenModel, rows: Rows) -> None:
    """Raise InputError naming the columns that a model needs and no row has."""
    names = set().union(*rows)
    missing = [name for name in columns_in(model, list(names)) if name not in names]
    if missing:
        others = f" and {len(missing) - MOST_MISSING} more" if len(missing) > MOST_MISSING else ""
        remedy = "null says that a value is not known"
        raise InputError(f"columns are missing: {', '.join(missing[:MOST_MISSING])}{others}", remedy=remedy)


def frame_of(model: OpenModel, rows: Rows) -> pl.DataFrame:
    """Return rows as a table with the columns that a model needs; what a row does not have is not known.

    Raises InputError naming the row and column of a value of another kind.
    """
    import polars as pl

    wanted = columns_in(model, list(dict.fromkeys(chain.from_iterable(rows))))
    columns = zip(*(map(row.get, wanted) for row in rows), strict=True)
    for (name, kind), values in zip(wanted.items(), columns, strict=False):  # without rows there are no columns
        check_column(name, kind, values)
    types = {name: pl.Float64() if kind == "number" else pl.String() for name, kind in wanted.items() if kind != "list"}
    try:
        frame = pl.from_dicts(rows, schema=types) if types else pl.DataFrame()
    except OverflowError as error:
        raise InputError("a number is too large", remedy="null says that a value is not known") from error
    lists = [list_column(name, rows) for name, kind in wanted.items() if kind == "list"]
    return frame.with_columns(lists).select(list(wanted)) if lists else frame


def list_column(name: str, rows: Rows) -> pl.Series:
    """Return a column of lists of numbers, whole ones among them."""
    import polars as pl

    return pl.Series(name, [row.get(name) for row in rows], dtype=pl.List(pl.Float64()), strict=False)


def check_column(name: str, kind: ColumnKind, values: Sequence[Any]) -> None:
    """Raise InputError naming the row of a value that does not fit its column."""
    if kind != "list" and set(map(type, values)) <= PLAIN[kind]:
        return
    for number, value in enumerate(values):
        if value is not None and not fits(value, kind):
            raise InputError(f"is no {kind} in row {number}", field=name)


def fits(value: object, kind: ColumnKind) -> bool:
    """Tell whether a value is one of a kind."""
    if kind == "list":
        return isinstance(value, list) and len(value) <= MOST_LIST and all(fits(each, "number") for each in value)
    return isinstance(value, str) if kind == "text" else isinstance(value, int | float)
