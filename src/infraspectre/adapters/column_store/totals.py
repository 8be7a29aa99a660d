"""Totals of a span of time: rows counted and bytes summed, by columns and buckets of time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from infraspectre.adapters.column_store.questions import Piece, joined, quoted, typed_null
from infraspectre.adapters.column_store.rows import Frame
from infraspectre.adapters.column_store.view import View
from infraspectre.adapters.columns import dtype
from infraspectre.errors import InputError
from infraspectre.records.tables import Table

MOST_COLUMNS = 4
MOST_GROUPS = 100_000


def checked(table: Table, by: Sequence[str], every: int, most: int) -> None:
    """Raise InputError for what cannot be counted by."""
    for name in by:
        if name not in table.listed or table.fields.get(name) in (None, "texts"):
            choices = sorted(each for each in table.listed if table.fields[each] != "texts")
            raise InputError("cannot be counted by", field=name[:64], remedy=f"choose one of {', '.join(choices)}")
    if len(set(by)) != len(by) or len(by) > MOST_COLUMNS:
        raise InputError(f"names a column twice, or more than {MOST_COLUMNS}", field="by")
    if every < 0 or not 0 <= most <= MOST_GROUPS:
        raise InputError(f"is not between 0 and {MOST_GROUPS:,}", field="every" if every < 0 else "most")


def totals(
    cursor: duckdb.DuckDBPyConnection, view: View, span: tuple[int, int], by: Sequence[str], every: int, most: int
) -> pl.DataFrame:
    """Return rows and bytes by bucket (`bucket`, its beginning) and columns; raises InputError for too many."""
    table, start = view.table, span[0]
    source = joined(" UNION ALL ", sources(cursor, view, span, by))
    bucket = f"{start:d} + (moment - {start:d}) // {every:d} * {every:d}" if every else f"{start:d}"
    names = "".join(f"{quoted(name)}, " for name in by)
    largest = f"ORDER BY bytes DESC, rows DESC, {names}bucket" if most else ""
    # Only numbers and names that the table has stand in the text; all values are parameters.
    statement = (
        f"SELECT {bucket} AS bucket, {names}count(*) AS rows, sum(amount)::DOUBLE AS bytes FROM ({source.text}) "  # noqa: S608
        f"GROUP BY ALL {largest} LIMIT {most or MOST_GROUPS + 1:d}"
    )
    rows = cursor.execute(statement, source.parameters).fetchall() if source.text else []
    if len(rows) > MOST_GROUPS:
        raise InputError(f"has more than {MOST_GROUPS:,} totals", field="by", remedy="ask for the largest alone")
    frame = pl.DataFrame(rows, schema_of(table, by), orient="row")
    return frame if most else frame.sort("bucket", *by)


def sources(cursor: duckdb.DuckDBPyConnection, view: View, span: tuple[int, int], by: Sequence[str]) -> list[Piece]:
    """Return the statements that give time, amount and columns of the rows of a span."""
    parts, pieces = view.parts(*span), []
    if parts:
        files = [str(view.path / part.listed_name) for part in parts]
        pieces.append(
            taken(view.table, "read_parquet(?, union_by_name = true)", (files,), view.listed(parts), span, by)
        )
    if view.batches:
        frame = view.pending_with({view.table.at, *by, *view.table.amounts})
        cursor.register("pending", Frame(frame))
        pieces.append(taken(view.table, "pending", (), frame.columns, span, by))
    return pieces


def taken(
    table: Table,
    source: str,
    parameters: tuple[Any, ...],
    present: Sequence[str],
    span: tuple[int, int],
    by: Sequence[str],
) -> Piece:
    """Return the statement that gives time, amount and columns of the rows of one source."""
    amounts = [f"coalesce({quoted(name)}, 0)::DOUBLE" for name in table.amounts if name in present]
    names = [quoted(name) if name in present else f"{typed_null(table, name)} AS {quoted(name)}" for name in by]
    columns = ", ".join([f"{quoted(table.at)} AS moment", f"{' + '.join(amounts) or '0.0'} AS amount", *names])
    where = f"{quoted(table.at)} >= ? AND {quoted(table.at)} < ?"
    return Piece(f"SELECT {columns} FROM {source} WHERE {where}", (*parameters, *span))  # noqa: S608


def schema_of(table: Table, by: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the columns of totals."""
    columns = {name: dtype(table.columns[name]) for name in by}
    return {"bucket": pl.Int64()} | columns | {"rows": pl.Int64(), "bytes": pl.Float64()}
