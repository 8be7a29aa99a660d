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

from infraspectre.adapters.column_store.candidates import MOST_AT_ONCE, MOST_WALKED, Candidates, Trail, candidates
from infraspectre.adapters.column_store.hosts import hosts
from infraspectre.adapters.column_store.manifest import Part
from infraspectre.adapters.column_store.parts import CHUNK, ROW, hashed, may_name
from infraspectre.adapters.column_store.questions import Place, Question, quoted, written
from infraspectre.adapters.column_store.rows import PLACE, Frame, fetch, listed_frame
from infraspectre.adapters.column_store.totals import totals
from infraspectre.adapters.column_store.view import View
from infraspectre.errors import OverloadError
from infraspectre.records.queries import MOST_ROWS, Filter, Query

TIMEOUT_S = 10.0
"""A question that takes longer is given up."""


class Hit(NamedTuple):
    """Is a row that was found: what sorts it, and where it lies."""

    value: Any
    key: Any
    chunk: int
    """The number of its chunk; of its batch, below 0, in a journal."""
    row: int
    place: int | None
    """The number of its row in its part, where that is known."""
    shown: tuple[Any, ...] | None = None
    """The columns asked for, where they were read already."""


class Source(NamedTuple):
    """Is what stands behind FROM, with its parameters and the columns that it has."""

    text: str
    parameters: tuple[Any, ...]
    present: Collection[str]
    place: str = "NULL"
    """The number of a row in its part, where that is known."""
    is_small: bool = False
    """Whether the columns of a page are read at once: there are hardly more rows than a page has."""


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
        shown = tuple(columns) if set(columns) <= set(view.table.listed) else ()
        question = replace(Question.of(view.table, query), shown=shown)
        with self.cursor() as cursor:
            hits = find(cursor, view, question, query.limit + 1)
            rows = fetch(view, hits[: query.limit], columns)
        if len(hits) <= query.limit:
            return rows, None
        last = hits[query.limit - 1]
        return rows, written(Place(last.value, last.key), question.order)

    def totals(self, view: View, start: int, end: int, by: Sequence[str], every: int, most: int) -> pl.DataFrame:
        """Return counts of rows and sums of bytes; raises InputError and OverloadError."""
        with self.cursor() as cursor:
            return totals(cursor, view, (start, end), by, every, most)

    def hosts(self, view: View, start: int, end: int, most: int) -> pl.DataFrame:
        """Return what addresses sent and received; raises InputError and OverloadError."""
        with self.cursor() as cursor:
            return hosts(cursor, view, (start, end), most)

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


def may_precede(group: Sequence[Candidates], hit: Hit, question: Question) -> bool:
    """Tell whether a part could have rows before one that was found."""
    if question.order.field != question.table.at:
        return True
    if question.order.descending:
        return bool(max(each.part.last for each in group) >= hit.value)
    return bool(min(each.part.first for each in group) <= hit.value)


def part_groups(view: View, question: Question) -> Iterator[list[Candidates]]:
    """Yield parts that may have rows, those first that come first in order of time.

    A group has as many candidates as pages have rows; where these are not known, groups grow.
    """
    parts = [part for part in view.manifest.parts if may_hold(view.path, part, question)]
    by_time, down = question.order.field == question.table.at, question.order.descending
    parts.sort(key=lambda part: -part.last if down else part.first)
    group: list[Candidates] = []
    size = 1
    for part in parts:
        found = candidates(view.path, part, question)
        if found.size:
            group.append(found)
            if by_time and is_enough(group, size):
                yield group
                group, size = [], 2 * size
    if group:
        yield group


def is_enough(group: Sequence[Candidates], size: int) -> bool:
    """Tell whether a group has so many parts, or candidates for a page."""
    if any(each.rows is None for each in group):
        return len(group) >= size
    return sum(each.size for each in group) >= MOST_ROWS // 4


def may_hold(folder: Path, part: Part, question: Question) -> bool:
    """Tell whether a part may have rows that pass, by its times and keys."""
    table = question.table
    for asked in question.filters:
        if asked.field == table.at and not in_span(part, asked.operator, asked.values):
            return False
        if asked.operator == "=" and asked.field == table.key and not may_name(folder / part.keys_name, wanted(asked)):
            return False
    if question.after is None or question.order.field != table.at or question.after.value is None:
        return True
    return in_span(part, "<=" if question.order.descending else ">=", (question.after.value,))


def wanted(asked: Filter) -> np.ndarray:
    """Return the hashes of what a filter asks for."""
    return np.array([hashed(value) for value in asked.values], np.uint64)


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
    hits = ask(cursor, offered(cursor, frame), question, limit)
    return [hit._replace(chunk=-1 - hit.chunk) for hit in hits]


def in_parts(
    cursor: duckdb.DuckDBPyConnection, view: View, group: Sequence[Candidates], question: Question, limit: int
) -> list[Hit]:
    """Return the first rows that pass among those of some parts."""
    parts = [each.part for each in group]
    if not question.names <= set(question.table.listed):
        return asked_whole(cursor, chunk_source(view, parts), question, limit)
    known = [each for each in group if each.rows is not None]
    is_few = len(known) == len(group) and sum(each.size for each in known) <= MOST_WALKED
    if not is_few and (hits := in_tops(cursor, view, parts, question, limit)):
        return hits
    walked = walk(cursor, view, known, question, limit)
    if walked is None:
        return asked_whole(cursor, listed_source(view, parts), question, limit)
    rest = [each.part for each in group if each.rows is None]
    return walked + (asked_whole(cursor, listed_source(view, rest), question, limit) if rest else [])


def walk(
    cursor: duckdb.DuckDBPyConnection, view: View, known: Sequence[Candidates], question: Question, limit: int
) -> list[Hit] | None:
    """Return the first rows that pass, looking at those that may, the first first; None if that takes too many."""
    trail = Trail.of(view, known, question)
    found: dict[tuple[int, int], Hit] = {}
    at, size = 0, limit + limit // 4
    while at < trail.length:
        if at + size > MOST_WALKED < trail.length:
            return None
        frame = listed_frame(view, trail.step(at, at + size), question.names)
        hits = ask(cursor, offered(cursor, frame, PLACE), question, limit)
        found |= {(hit.chunk, hit.row): hit for hit in hits}
        at, size = at + size, min(2 * size, MOST_AT_ONCE)
        best = sorted(found.values(), key=sort_key, reverse=question.order.descending)[:limit]
        if len(best) == limit and trail.is_behind(at, best[-1].value):
            return best
    return list(found.values())


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
    hits = ask(cursor, source._replace(parameters=(files,), place="NULL", is_small=True), question, limit)
    is_enough = len(hits) == limit and hits[-1].value is not None and hits[-1].value > max(known)
    return hits if is_enough else []


def listed_source(view: View, parts: Sequence[Part]) -> Source:
    """Return the rows of parts with the columns of lists."""
    files = [str(view.path / part.listed_name) for part in parts]
    is_alike = len({chunk.columns for part in parts for chunk in part.chunks}) == 1
    text = f"read_parquet(?, union_by_name = {not is_alike}, {PLACE} = true)"
    return Source(text, (files,), view.listed(parts), PLACE)


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


def offered(cursor: duckdb.DuckDBPyConnection, frame: pl.DataFrame, place: str = "NULL") -> Source:
    """Return rows that were read already as a source, the only one of its cursor."""
    cursor.register("known_rows", Frame(frame))
    return Source("known_rows", (), frame.columns, place)


def ask(cursor: duckdb.DuckDBPyConnection, source: Source, question: Question, limit: int) -> list[Hit]:
    """Ask one source for the first rows that pass."""
    where, present = question.where(source.present), source.present
    shown = question.shown if source.is_small else ()
    sorting = (question.column(question.order.field, present), quoted(question.table.key))
    names = ", ".join([*sorting, CHUNK, ROW, source.place, *(question.column(name, present) for name in shown)])
    # Only numbers and names that the table has stand in the text; all values are parameters.
    statement = (
        f"SELECT {names} FROM {source.text} WHERE {where.text} "  # noqa: S608
        f"ORDER BY {question.sort(present)} LIMIT {limit:d}"
    )
    rows = cursor.execute(statement, [*source.parameters, *where.parameters]).fetchall()
    return [Hit(*row[:5])._replace(shown=row[5:] if shown else None) for row in rows]
