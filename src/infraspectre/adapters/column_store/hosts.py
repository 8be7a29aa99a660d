"""Hosts of a span of time: what each sent and received, whichever end of a row it was."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import duckdb
import polars as pl

from infraspectre.adapters.column_store.questions import Piece, joined, quoted
from infraspectre.adapters.column_store.rows import Frame
from infraspectre.adapters.column_store.totals import MOST_GROUPS
from infraspectre.adapters.column_store.view import View
from infraspectre.errors import InputError
from infraspectre.records.tables import Table

SCHEMA = {
    "address": pl.String(), "rows": pl.Int64(), "sent": pl.Float64(), "received": pl.Float64(),
    "first": pl.Int64(), "last": pl.Int64(),
}  # fmt: skip


def hosts(cursor: duckdb.DuckDBPyConnection, view: View, span: tuple[int, int], most: int) -> pl.DataFrame:
    """Return what each address of a span sent and received, those with most bytes first; raises InputError."""
    if not 0 < most <= MOST_GROUPS:
        raise InputError(f"is not between 1 and {MOST_GROUPS:,}", field="most")
    source = joined(" UNION ALL ", sources(cursor, view, span))
    # Only numbers and names that the table has stand in the text; all values are parameters.
    statement = (
        "SELECT address, count(*) AS rows, sum(sent) AS sent, sum(received) AS received, min(moment), max(moment) "  # noqa: S608
        f"FROM ({source.text}) WHERE address IS NOT NULL GROUP BY address "
        f"ORDER BY sum(sent) + sum(received) DESC, rows DESC, address LIMIT {most:d}"
    )
    rows = cursor.execute(statement, source.parameters).fetchall() if source.text else []
    return pl.DataFrame(rows, SCHEMA, orient="row")


def sources(cursor: duckdb.DuckDBPyConnection, view: View, span: tuple[int, int]) -> list[Piece]:
    """Return the statements that give rows of a span as each of their ends sees them."""
    table, parts, pieces = view.table, view.parts(*span), list[Piece]()
    if parts:
        files = [str(view.path / part.listed_name) for part in parts]
        pieces += seen(table, "read_parquet(?, union_by_name = true)", (files,), view.listed(parts), span)
    if view.batches:
        frame = view.pending_with({table.at, *table.addresses, *table.amounts})
        cursor.register("pending", Frame(frame))
        pieces += seen(table, "pending", (), frame.columns, span)
    return pieces


def seen(
    table: Table, source: str, parameters: tuple[Any, ...], present: Sequence[str], span: tuple[int, int]
) -> list[Piece]:
    """Return the statements that give the rows of one source from each end; one that both ends share counts once."""
    sent = [amount(table, number, present) for number in range(len(table.addresses))]
    where = f"{quoted(table.at)} >= ? AND {quoted(table.at)} < ?"
    pieces = []
    for number, name in enumerate(table.addresses):
        if name not in present:
            continue
        earlier = [each for each in table.addresses[:number] if each in present]
        others = "".join(f" AND {quoted(name)} IS DISTINCT FROM {quoted(each)}" for each in earlier)
        received = " + ".join(sent[:number] + sent[number + 1 :])
        columns = (
            f"{quoted(name)} AS address, {quoted(table.at)} AS moment, {sent[number]} AS sent, {received} AS received"
        )
        pieces.append(Piece(f"SELECT {columns} FROM {source} WHERE {where}{others}", (*parameters, *span)))  # noqa: S608
    return pieces


def amount(table: Table, number: int, present: Sequence[str]) -> str:
    """Return what the end of a number sent: the amount that stands in the same place as its address."""
    name = table.amounts[number] if number < len(table.amounts) else ""
    return f"coalesce({quoted(name)}, 0)::DOUBLE" if name in present else "0.0::DOUBLE"
