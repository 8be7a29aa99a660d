"""Totals of a span of time: rows counted and bytes summed, by columns and buckets of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import duckdb
import polars as pl

from infraspectre.adapters.column_store.questions import quoted
from infraspectre.adapters.column_store.search import Frame, dtype_of
from infraspectre.adapters.column_store.view import View
from infraspectre.errors import InputError
from infraspectre.records.tables import Table

MOST_COLUMNS = 4
MOST_GROUPS = 100_000


def totals(
    cursor: duckdb.DuckDBPyConnection,
    folder: Path,
    view: View,
    table: Table,
    span: tuple[int, int],
    by: Sequence[str],
    every: int,
) -> pl.DataFrame:
    """Return rows and bytes by bucket (`bucket`, its beginning) and columns; raises InputError."""
    checked(table, by, every)
    parts = [part for part in view.manifest.parts if part.first < span[1] and part.last >= span[0]]
    sources: list[tuple[str, list[object]]] = []
    if parts:
        files = [str(folder / part.listed_name) for part in parts]
        sources.append(("read_parquet(?, union_by_name = true)", [files]))
    if view.batches:
        cursor.register("pending", Frame(view.pending_with({table.at, *by, *table.amounts})))
        sources.append(("pending", []))
    frames = [counted(cursor, table, source, parameters, span, by, every) for source, parameters in sources]
    rows = pl.concat([pl.DataFrame(schema=schema_of(table, by)), *frames])
    return rows.group_by("bucket", *by).agg(pl.col("rows", "bytes").sum()).sort("bucket", *by)


def checked(table: Table, by: Sequence[str], every: int) -> None:
    """Raise InputError for what cannot be counted by."""
    for name in by:
        if name not in table.listed or table.fields[name] == "texts":
            choices = sorted(name for name in table.listed if table.fields[name] != "texts")
            raise InputError("cannot be counted by", field=name[:64], remedy=f"choose one of {', '.join(choices)}")
    if len(set(by)) != len(by) or len(by) > MOST_COLUMNS:
        raise InputError(f"names a column twice, or more than {MOST_COLUMNS}", field="by")
    if every < 0:
        raise InputError("is below 0", field="every")


def counted(
    cursor: duckdb.DuckDBPyConnection,
    table: Table,
    source: str,
    parameters: Sequence[object],
    span: tuple[int, int],
    by: Sequence[str],
    every: int,
) -> pl.DataFrame:
    """Return the totals of one source."""
    at, start = quoted(table.at), span[0]
    bucket = f"{start:d} + ({at} - {start:d}) // {every:d} * {every:d}" if every else f"{start:d}"
    amount = " + ".join(f"coalesce({quoted(name)}, 0)" for name in table.amounts) or "0"
    names = ", ".join(map(quoted, by))
    # Only numbers and names that the table has stand in the text; all values are parameters.
    statement = (
        f"SELECT {bucket} AS bucket{', ' * bool(by)}{names}, count(*), sum({amount})::DOUBLE FROM {source} "  # noqa: S608
        f"WHERE {at} >= ? AND {at} < ? GROUP BY ALL LIMIT {MOST_GROUPS + 1:d}"
    )
    rows = cursor.execute(statement, [*parameters, *span]).fetchall()
    if len(rows) > MOST_GROUPS:
        raise InputError(f"has more than {MOST_GROUPS:,} totals", field="by", remedy="ask for less at once")
    return pl.DataFrame(rows, schema=schema_of(table, by), orient="row")


def schema_of(table: Table, by: Sequence[str]) -> dict[str, pl.DataType]:
    """Return the columns of totals."""
    columns = {name: dtype_of(table, name) for name in by}
    return {"bucket": pl.Int64()} | columns | {"rows": pl.Int64(), "bytes": pl.Float64()}
