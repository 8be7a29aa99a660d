"""Searching a table: parts are left out as far as possible, the rest is asked by DuckDB."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, groupby
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl

from infraspectre.adapters.column_store.manifest import Part
from infraspectre.adapters.column_store.parts import CHUNK, ROW, hashed, may_name
from infraspectre.adapters.column_store.questions import Place, Question, quoted, written
from infraspectre.adapters.column_store.view import Batch, View
from infraspectre.adapters.columns import dtype
from infraspectre.errors import InputError, OverloadError
from infraspectre.records.queries import Query
from infraspectre.records.tables import ADDRESS, Table

TIMEOUT_S = 10.0
"""A question that takes longer is given up."""


class Hit(NamedTuple):
    """Is a row that was found: what sorts it, and where it lies."""

    value: Any
    key: Any
    chunk: int
    """The number of its chunk; of its batch, below 0, in a journal."""
    row: int


class Search:
    """Asks DuckDB, which runs in this process with bounds on threads, memory and time."""

    def __init__(self, threads: int, memory_bytes: int) -> None:
        """Start an empty database in memory."""
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": threads,
            "memory_limit": f"{memory_bytes // (1 << 20)}MiB",
        }
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("SET parquet_metadata_cache = true")

    def close(self) -> None:
        """Release the database."""
        self._connection.close()

    def page(
        self, folder: Path, view: View, table: Table, query: Query, columns: Sequence[str]
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of rows, and where the next one begins; raises InputError and OverloadError."""
        question = Question.of(table, query)
        known(table, columns)
        with self.cursor() as cursor:
            hits = find(cursor, folder, view, question, query.limit + 1)
            rows = fetch(folder, view, table, hits[: query.limit], columns)
        if len(hits) <= query.limit:
            return rows, None
        last = hits[query.limit - 1]
        return rows, written(Place(last.value, last.key), question.order)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor whose questions end in time; foreign errors are translated."""
        cursor = self._connection.cursor()
        timer = threading.Timer(TIMEOUT_S, cursor.interrupt)
        timer.start()
        try:
            yield cursor
        except duckdb.InterruptException as error:
            remedy = "ask for a shorter span of time, or by an address"
            raise OverloadError(f"took longer than {TIMEOUT_S:.0f} s", field="query", remedy=remedy) from error
        except (duckdb.ConversionException, duckdb.BinderException, duckdb.InvalidInputException) as error:
            raise InputError(f"cannot be answered: {str(error).splitlines()[0][:200]}", field="query") from error
        finally:
            timer.cancel()
            cursor.close()


def known(table: Table, columns: Sequence[str]) -> None:
    """Raise InputError for what is no column of a table."""
    for name in columns:
        if name not in table.columns:
            raise InputError("is no column", field=name[:64])


def find(cursor: duckdb.DuckDBPyConnection, folder: Path, view: View, question: Question, limit: int) -> list[Hit]:
    """Return the first rows that pass, in order."""
    hits = in_journals(cursor, view, question, limit)
    for group in part_groups(folder, view, question):
        if len(hits) >= limit and not may_precede(group, hits[limit - 1], question):
            break
        found = in_parts(cursor, folder, view, group, question, limit)
        hits = sorted([*hits, *found], key=sort_key, reverse=question.order.descending)[:limit]
    return hits


def sort_key(hit: Hit) -> tuple[bool, Any, Any]:
    """Return what sorts a row: no value comes before any."""
    return (hit.value is not None, 0 if hit.value is None else hit.value, hit.key)


def may_precede(group: Sequence[Part], hit: Hit, question: Question) -> bool:
    """Tell whether a part could have rows before one that was found."""
    if question.order.field != question.table.at:
        return True
    if question.order.descending:
        return bool(max(part.last for part in group) >= hit.value)
    return bool(min(part.first for part in group) <= hit.value)


def part_groups(folder: Path, view: View, question: Question) -> Iterator[list[Part]]:
    """Yield parts that may have rows, those first that come first in order of time; groups grow."""
    parts = [part for part in view.manifest.parts if may_hold(folder, part, question)]
    if question.order.field != question.table.at:
        if parts:
            yield parts
        return
    down = question.order.descending
    parts.sort(key=lambda part: -part.last if down else part.first)
    size = 1
    while parts:
        yield parts[:size]
        parts = parts[size:]
        size *= 2


def may_hold(folder: Path, part: Part, question: Question) -> bool:
    """Tell whether a part may have rows that pass, by its times and addresses."""
    table = question.table
    for asked in question.filters:
        if asked.field == table.at and not in_span(part, asked.operator, asked.values):
            return False
        if asked.operator == "=" and asked.field in (ADDRESS, *table.addresses) and "" not in asked.values:
            wanted = np.array([hashed(str(value)) for value in asked.values], np.uint64)
            if not may_name(folder / part.addresses_name, wanted):
                return False
    if question.after is None or question.order.field != table.at or question.after.value is None:
        return True
    return in_span(part, "<=" if question.order.descending else ">=", (question.after.value,))


def in_span(part: Part, operator: str, values: Sequence[Any]) -> bool:
    """Tell whether a part may have a row whose time compares so."""
    match operator:
        case "=":
            return any(part.first <= value <= part.last for value in values)
        case "<" | "<=":
            return bool(part.first <= values[0])
        case ">" | ">=":
            return bool(part.last >= values[0])
    return True


class Frame:
    """Offers a polars frame to DuckDB, which else would look for pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame."""
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def in_journals(cursor: duckdb.DuckDBPyConnection, view: View, question: Question, limit: int) -> list[Hit]:
    """Return the first rows that pass among those in journals."""
    if not view.batches:
        return []
    frame = view.pending if question.names <= set(question.table.listed) else view.pending_with(question.names)
    cursor.register("pending", Frame(frame))
    hits = ask(cursor, "pending", (), set(frame.columns), question, limit)
    cursor.unregister("pending")
    return [hit._replace(chunk=-1 - hit.chunk) for hit in hits]


def in_parts(
    cursor: duckdb.DuckDBPyConnection, folder: Path, view: View, parts: Sequence[Part], question: Question, limit: int
) -> list[Hit]:
    """Return the first rows that pass among those of some parts."""
    if question.names <= set(question.table.listed):
        files = [str(folder / part.listed_name) for part in parts]
        present = set(question.table.listed)
        return ask(cursor, "read_parquet(?, union_by_name = true)", (files,), present, question, limit)
    chunks = [chunk for part in parts for chunk in part.chunks]
    files = [str(folder / chunk.name) for chunk in chunks]
    present = set().union(*(view.manifest.columns[chunk.columns] for chunk in chunks))
    source = (
        f"(SELECT *, parse_filename(filename, true)::UINTEGER AS {CHUNK}, file_row_number AS {ROW} "
        "FROM read_parquet(?, union_by_name = true, filename = true, file_row_number = true))"
    )
    return ask(cursor, source, (files,), present, question, limit)


def ask(
    cursor: duckdb.DuckDBPyConnection,
    source: str,
    parameters: tuple[Any, ...],
    present: set[str],
    question: Question,
    limit: int,
) -> list[Hit]:
    """Ask one source for the first rows that pass."""
    where = question.where(present)
    statement = (
        f"SELECT {question.column(question.order.field, present)}, {quoted(question.table.key)}, {CHUNK}, {ROW} "
        f"FROM {source} WHERE {where.text} ORDER BY {question.sort(present)} LIMIT {limit:d}"
    )
    return [Hit(*row) for row in cursor.execute(statement, [*parameters, *where.parameters]).fetchall()]


def fetch(folder: Path, view: View, table: Table, hits: Sequence[Hit], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of rows that were found, in their order."""
    chunks = {chunk.number: chunk for part in view.manifest.parts for chunk in part.chunks}
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for number, group in groupby(sorted(hits, key=lambda hit: (hit.chunk, hit.row)), lambda hit: hit.chunk):
        rows = [hit.row for hit in group]
        if number < 0:
            frame = batch_rows(view.batches[-1 - number], rows, columns)
        else:
            chunk = chunks[number]
            frame = chunk_rows(folder / chunk.name, view.manifest.columns[chunk.columns], rows, columns)
        found |= zip([(number, row) for row in rows], frame.to_dicts(), strict=True)
    unknown = dict.fromkeys(columns)
    return [unknown | found[hit.chunk, hit.row] for hit in hits]


def batch_rows(batch: Batch, rows: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    """Return the columns of rows of a batch in a journal."""
    is_listed = bool(columns) and set(columns) <= set(batch.listed.columns)
    frame = batch.listed if is_listed else batch.record.frame(batch.path)
    return frame[list(rows)].select(name for name in columns or frame.columns if name in frame.columns)


def chunk_rows(path: Path, present: Sequence[str], rows: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    """Return the columns of rows of a chunk."""
    wanted = [name for name in columns or present if name in present]
    frame = pl.scan_parquet(path).select(wanted).slice(rows[0], rows[-1] - rows[0] + 1).collect()
    return frame[[row - rows[0] for row in rows]]


def dtype_of(table: Table, name: str) -> pl.DataType:
    """Return the type of a column of a table."""
    return dtype(table.columns[name])


def scan(
    folder: Path, view: View, table: Table, span: tuple[int, int], columns: Sequence[str]
) -> Iterator[pl.DataFrame]:
    """Yield the rows of a span of time, chunk by chunk; columns that a chunk lacks are null."""
    names = [*columns, *({table.at} - set(columns))]
    parts = [part for part in view.manifest.parts if part.first < span[1] and part.last >= span[0]]
    frames = (
        pl.read_parquet(folder / chunk.name, columns=wanted(view.manifest.columns[chunk.columns], names, columns))
        for part in parts
        for chunk in part.chunks
    )
    for frame in chain(frames, view.frames()):
        rows = frame.filter(pl.col(table.at).is_between(*span, closed="left"))
        if rows.height:
            lacking = (pl.lit(None, dtype_of(table, name)).alias(name) for name in columns if name not in frame.columns)
            yield rows.with_columns(*lacking).select(columns or rows.columns)


def wanted(present: Sequence[str], names: Sequence[str], columns: Sequence[str]) -> list[str]:
    """Return the columns to read from a chunk: those asked for, or all."""
    return [name for name in (names if columns else present) if name in present]
