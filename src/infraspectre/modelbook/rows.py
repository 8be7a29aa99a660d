"""Rows as programs send them, made the table that a model judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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

    wanted = columns_in(model, list(dict.fromkeys(name for row in rows for name in row)))
    return pl.DataFrame([column(name, kind, rows) for name, kind in wanted.items()])


def column(name: str, kind: ColumnKind, rows: Rows) -> pl.Series:
    """Return a column of rows; raises InputError naming the row of a value that does not fit."""
    import polars as pl

    dtype = {"number": pl.Float64(), "text": pl.String(), "list": pl.List(pl.Float64())}[kind]
    values = [row.get(name) for row in rows]
    for number, value in enumerate(values):
        if value is not None and not fits(value, kind):
            raise InputError(f"is no {kind} in row {number}", field=name)
    return pl.Series(name, values, dtype=dtype, strict=False)


def fits(value: object, kind: ColumnKind) -> bool:
    """Tell whether a value is one of a kind."""
    if kind == "list":
        return isinstance(value, list) and len(value) <= MOST_LIST and all(fits(each, "number") for each in value)
    return isinstance(value, str) if kind == "text" else isinstance(value, int | float)
