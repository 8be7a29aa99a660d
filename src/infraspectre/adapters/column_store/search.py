"""Searching a table: parts are left out as far as possible, the rest is asked by DuckDB."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import polars as pl

from infraspectre.adapters.column_store.manifest import Part
from infraspectre.adapters.column_store.parts import CHUNK, ROW, hashed, may_name, places
from infraspectre.adapters.column_store.questions import Place, Question, quoted, written
from infraspectre.adapters.column_store.rows import Frame, fetch
from infraspectre.adapters.column_store.totals import totals
from infraspectre.adapters.column_store.view import View
from infraspectre.errors import OverloadError
from infraspectre.records.queries import Filter, Query
from infraspectre.records.tables import ADDRESS

TIMEOUT_S = 10.0
"""A question that takes longer is given up."""


MOST_TIMES, QUIET_PARTS = 128, 16
"""Times of rows that are looked up in a part, and parts that are asked at once for theirs."""


class Hit(NamedTuple):
    """Is a row that was found: what sorts it, and where it lies."""

    value: Any
    key: Any
    at: int
    chunk: int
    """The number of its chunk; of its batch, below 0, in a journal."""
    row: int
    is_top: bool = False
    """Whether its row is among the highest numbers of its part, too."""


class Source(NamedTuple):
    """Is what stands behind FROM, with its parameters and the columns that it has."""

    text: str
    parameters: tuple[Any, ...]
    present: Collection[str]


def settings(root: Path, threads: int, memory_bytes: int) -> list[str]:
    """Return the settings of the database, in the order in which they can be made."""
    folder = str(root.resolve()).replace("'", "''")
    return [
        f"threads = {threads:d}",
        f"memory_limit = '{memory_bytes // (1 << 20)}MiB'",
        "temp_directory = ''",
        "parquet_metadata_cache = true",
        "autoload_known_extensions = false",
        "autoinstall_known_extensions = false",
        f"allowed_directories = ['{folder}']",
        "enable_external_access = false",
        "lock_configuration = true",
    ]


class Search:
    """Asks DuckDB, which runs in this process with bounds on threads, memory and time."""

    def __init__(self, root: Path, threads: int, memory_bytes: int) -> None:
        """Start an empty database in memory, which reads files below a folder alone, and writes none."""
        self._connection = duckdb.connect(":memory:")
        for setting in settings(root, threads, memory_bytes):
            self._connection.execute(f"SET {setting}")

    def close(self) -> None:
        """Release the database."""
        self._connection.close()

    def page(self, view: View, query: Query, columns: Sequence[str]) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of rows, and where the next one begins; raises InputError and OverloadError."""
        question = Question.of(view.table, query)
        with self.cursor() as cursor:
            hits = find(cursor, view, question, query.limit + 1)
            rows = fetch(cursor, view, hits[: query.limit], columns)
        if len(hits) <= query.limit:
            return rows, None
        last = hits[query.limit - 1]
        return rows, written(Place(last.value, last.key), question.order)

    def totals(self, view: View, start: int, end: int, by: Sequence[str], every: int, most: int) -> pl.DataFrame:
        """Return counts of rows and sums of bytes; raises InputError and OverloadError."""
        with self.cursor() as cursor:
            return totals(cursor, view, (start, end), by, every, most)

    @contextmanager
    def cursor(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """Give a cursor whose questions end in time; foreign errors are translated."""
        cursor = self._connection.cursor()
        timer = threading.Timer(TIMEOUT_S, interrupted, (cursor,))
        timer.start()
        try:
            yield cursor
        except (duckdb.InterruptException, duckdb.OutOfMemoryException) as error:
            remedy = "ask for a shorter span of time, or by an address"
            raise OverloadError(
                f"needs more than {TIMEOUT_S:.0f} s or than memory", field="query", remedy=remedy
            ) from error
        finally:
            timer.cancel()
            cursor.close()


def interrupted(cursor: duckdb.DuckDBPyConnection) -> None:
    """End what a cursor is doing, unless it is done."""
    with suppress(duckdb.Error):
        cursor.interrupt()


def find(cursor: duckdb.DuckDBPyConnection, view: View, question: Question, limit: int) -> list[Hit]:
    """Return the first rows that pass, in order."""
    hits = in_journals(cursor, view, question, limit)
    for group in part_groups(view, question):
        if len(hits) >= limit and not may_precede(group, hits[limit - 1], question):
            break
        hits += in_parts(cursor, view, group, question, limit)
        hits = sorted(hits, key=sort_key, reverse=question.order.descending)[:limit]
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


def part_groups(view: View, question: Question) -> Iterator[list[Part]]:
    """Yield parts that may have rows, those first that come first in order of time; groups grow."""
    parts = [part for part in view.manifest.parts if may_hold(view.path, part, question)]
    if question.order.field != question.table.at:
        yield from [parts] * bool(parts)
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
        if asked.operator == "=" and asked.field == table.key and not may_name(folder / part.keys_name, wanted(asked)):
            return False
    if times_in(folder, part, question) == set():
        return False
    if question.after is None or question.order.field != table.at or question.after.value is None:
        return True
    return in_span(part, "<=" if question.order.descending else ">=", (question.after.value,))


def wanted(asked: Filter) -> np.ndarray:
    """Return the hashes of what a filter asks for."""
    return np.array([hashed(value) for value in asked.values], np.uint64)


def times_in(folder: Path, part: Part, question: Question) -> set[int] | None:
    """Return the times of the rows of a part that may pass, as far as its addresses tell; None for any time."""
    found = None
    for asked in question.filters:
        if asked.operator == "=" and asked.field in (ADDRESS, *question.table.addresses) and "" not in asked.values:
            times = places(folder / part.addresses_name, wanted(asked))
            found = times if found is None else found if times is None else found & times
    return found


def in_span(part: Part, operator: str, values: Sequence[Any]) -> bool:
    """Tell whether a part may have a row whose time compares so."""
    match operator:
        case "=":
            return any(part.first <= value <= part.last for value in values)
        case "<":
            return bool(part.first < values[0])
        case "<=":
            return bool(part.first <= values[0])
        case ">":
            return bool(part.last > values[0])
        case ">=":
            return bool(part.last >= values[0])
    return True


def in_journals(cursor: duckdb.DuckDBPyConnection, view: View, question: Question, limit: int) -> list[Hit]:
    """Return the first rows that pass among those in journals."""
    if not view.batches:
        return []
    frame = view.pending if question.names <= set(question.table.listed) else view.pending_with(question.names)
    cursor.register("pending", Frame(frame))
    hits = ask(cursor, Source("pending", (), frame.columns), question, limit)
    cursor.unregister("pending")
    return [hit._replace(chunk=-1 - hit.chunk) for hit in hits]


def in_parts(
    cursor: duckdb.DuckDBPyConnection, view: View, parts: Sequence[Part], question: Question, limit: int
) -> list[Hit]:
    """Return the first rows that pass among those of some parts."""
    is_listed = question.names <= set(question.table.listed)
    if not is_listed:
        return asked_whole(cursor, chunk_source(view, parts), question, limit)
    if hits := in_tops(cursor, view, parts, question, limit):
        return hits
    times = {part.number: times_in(view.path, part, question) for part in parts}
    busy = [part for part in parts if (known := times[part.number]) is None or len(known) > MOST_TIMES]
    quiet = [part for part in parts if part not in busy]
    for some in (quiet[at : at + QUIET_PARTS] for at in range(0, len(quiet), QUIET_PARTS)):
        moments = sorted(set().union(*(times[part.number] or () for part in some)))
        hits += ask(cursor, listed_source(view, some), replace(question, times=tuple(moments)), limit)
    return hits + (asked_whole(cursor, listed_source(view, busy), question, limit) if busy else [])


def asked_whole(cursor: duckdb.DuckDBPyConnection, source: Source, question: Question, limit: int) -> list[Hit]:
    """Ask a source for the first rows that pass, reading first what sorts them alone."""
    if question.order.field != question.table.at:
        question = bounded(cursor, source, question, limit)
    return ask(cursor, source, question, limit)


def in_tops(
    cursor: duckdb.DuckDBPyConnection, view: View, parts: Sequence[Part], question: Question, limit: int
) -> list[Hit]:
    """Return the first rows if all of them are among the highest numbers of parts, else none."""
    order = question.order
    bounds = [part.bounds.get(order.field) for part in parts if part.bounds]
    known = [bound for bound in bounds if bound is not None]
    if not order.descending or order.field not in question.table.ranked or not known or len(known) < len(bounds):
        return []
    source = listed_source(view, parts)
    files = [str(view.path / part.tops_name) for part in parts]
    hits = ask(cursor, source._replace(parameters=(files,)), question, limit)
    is_enough = len(hits) == limit and hits[-1].value is not None and hits[-1].value > max(known)
    return [hit._replace(is_top=True) for hit in hits] if is_enough else []


def listed_source(view: View, parts: Sequence[Part]) -> Source:
    """Return the rows of parts with the columns of lists."""
    files = [str(view.path / part.listed_name) for part in parts]
    return Source("read_parquet(?, union_by_name = true)", (files,), view.listed(parts))


def chunk_source(view: View, parts: Sequence[Part]) -> Source:
    """Return the rows of parts with all columns."""
    chunks = [chunk for part in parts for chunk in part.chunks]
    text = (
        f"(SELECT *, parse_filename(filename, true)::UINTEGER AS {CHUNK}, file_row_number AS {ROW} "  # noqa: S608
        "FROM read_parquet(?, union_by_name = true, filename = true, file_row_number = true))"
    )
    return Source(text, ([str(view.path / chunk.name) for chunk in chunks],), view.present(chunks))


def bounded(cursor: duckdb.DuckDBPyConnection, source: Source, question: Question, limit: int) -> Question:
    """Return the question with a bound on what sorts, found by reading that alone: most row groups are left out."""
    name, where = question.column(question.order.field, source.present), question.where(source.present)
    way = "DESC NULLS LAST" if question.order.descending else "ASC NULLS FIRST"
    statement = f"SELECT {name} FROM {source.text} WHERE {where.text} ORDER BY 1 {way} LIMIT 1 OFFSET {limit - 1:d}"  # noqa: S608
    found = cursor.execute(statement, [*source.parameters, *where.parameters]).fetchone()
    return question if found is None or found[0] is None else replace(question, bound=found[0])


def ask(cursor: duckdb.DuckDBPyConnection, source: Source, question: Question, limit: int) -> list[Hit]:
    """Ask one source for the first rows that pass."""
    where, present = question.where(source.present), source.present
    names = (
        f"{question.column(question.order.field, present)}, {quoted(question.table.key)}, {quoted(question.table.at)}"
    )
    # Only numbers and names that the table has stand in the text; all values are parameters.
    statement = (
        f"SELECT {names}, {CHUNK}, {ROW} FROM {source.text} WHERE {where.text} "  # noqa: S608
        f"ORDER BY {question.sort(present)} LIMIT {limit:d}"
    )
    return [Hit(*row) for row in cursor.execute(statement, [*source.parameters, *where.parameters]).fetchall()]
