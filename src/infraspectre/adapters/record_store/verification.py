"""Whether a store is as it was written: its bodies by their checksums, and what is found by them made once more."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from infraspectre.adapters.record_store.database import Connection
from infraspectre.adapters.record_store.layout import Layout, column, decoded, held_or_missing
from infraspectre.adapters.record_store.meta import numbers
from infraspectre.adapters.record_store.rows import PARTS, Row, part_of
from infraspectre.adapters.record_store.schema import batches, layouts
from infraspectre.errors import InputError
from infraspectre.ports import Damage


def damages(connection: Connection) -> Iterator[Damage]:
    """Yield what is damaged, in one state of the store; what the database itself cannot read is raised by it."""
    yield from (Damage(problem=problem) for problem in connection.structure())
    try:
        known, all_layouts = numbers(connection), layouts(connection)
    except InputError as error:
        yield Damage(problem=error.message)
        return
    for layout in all_layouts:
        yield from _of_collection(connection, layout, known)


def _of_collection(connection: Connection, layout: Layout, known: Mapping[str, int]) -> Iterator[Damage]:
    whole, texts, parts = 0, 0, 0
    for rows in batches(connection, layout):
        there, listed = _columns(connection, layout, known, rows), _parts(connection, layout, rows)
        parts += len(listed)
        for row in rows:
            problem = _problem(layout, known, row, there) or _problem_of_part(layout, row, listed.get(row.id))
            if problem is not None:
                yield Damage(layout.collection, str(row.tenant), str(row.key), problem)
            record = decoded(row.body)
            number = known.get(row.tenant, 0)
            texts += _sum((number, *each, row.id) for each in layout.texts_of(record, held_or_missing))
        whole += len(rows)
    found = connection.rows(f"SELECT count(*) FROM {layout.found}")[0][0]
    if found != whole:
        yield Damage(layout.collection, problem=f"{found:,} rows of columns stand for {whole:,} records")
    if texts != _sum(_all_texts(connection, layout)):
        yield Damage(layout.collection, problem="texts of lists are not those of the records")
    if layout.is_listed and parts != connection.rows(f"SELECT count(*) FROM {layout.listed}")[0][0]:
        yield Damage(layout.collection, problem="what lists show is of records that are not there")


def _problem(
    layout: Layout, known: Mapping[str, int], row: Row, there: Mapping[tuple[int, int], tuple[Any, ...]]
) -> str | None:
    """Return what is wrong with a row, None if nothing is."""
    if not row.is_whole(layout.collection):
        return "its checksum does not fit"
    number = known.get(row.tenant)
    if number is None:
        return "its tenant has no number"
    expected = (row.key, *layout.values(decoded(row.body), held_or_missing))
    return None if there.get((number, row.id)) == expected else "its columns are not those of its body"


def _problem_of_part(layout: Layout, row: Row, part: Row | None) -> str | None:
    """Return what is wrong with what lists show of a row; one of an earlier revision is not shown."""
    if part is None:
        return None
    is_right = part.is_whole(layout.listed)
    if is_right and part.revision == row.revision:
        is_right = part == part_of(layout, row, decoded(row.body))
    return None if is_right else "what lists show is not of its body"


def _parts(connection: Connection, layout: Layout, rows: list[Row]) -> dict[int, Row]:
    """Return what lists show of rows, by their identities."""
    if not layout.is_listed:
        return {}
    statement = f"SELECT {', '.join(PARTS)} FROM {layout.listed} WHERE id BETWEEN ? AND ?"
    whole = {row.id: row for row in rows}
    found = connection.rows(statement, (rows[0].id, rows[-1].id))
    named = (dict(zip(PARTS, part, strict=True)) for part in found)
    return {each["id"]: whole[each["id"]]._replace(**each) for each in named if each["id"] in whole}


def _columns(
    connection: Connection, layout: Layout, known: Mapping[str, int], rows: list[Row]
) -> dict[tuple[int, int], tuple[Any, ...]]:
    """Return the columns of rows by number of tenant and identity."""
    names = "".join(f", {column(name)}" for name in layout.columns)
    statement = f"SELECT id, key{names} FROM {layout.found} WHERE tenant = ? AND id BETWEEN ? AND ?"
    return {
        (number, identity): tuple(values)
        for number in sorted({known.get(row.tenant, 0) for row in rows})
        for identity, *values in connection.rows(statement, (number, rows[0].id, rows[-1].id))
    }


def _all_texts(connection: Connection, layout: Layout) -> Iterator[tuple[Any, ...]]:
    place: tuple[Any, ...] = (-1, -1, "", -1)
    statement = (
        f"SELECT tenant, field, value, id FROM {layout.texts} "
        f"WHERE (tenant, field, value, id) > (?, ?, ?, ?) ORDER BY tenant, field, value, id LIMIT 10000"
    )
    while rows := connection.rows(statement, place):
        yield from rows
        place = rows[-1]


def _sum(rows: Iterable[tuple[Any, ...]]) -> int:
    """Return a number that tells sets of rows from others, whatever their order."""
    return sum(zlib.crc32(repr(row).encode(errors="surrogatepass")) for row in rows)
