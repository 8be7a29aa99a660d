"""Rows of a table, once it is known where they lie, and all rows of a span of time."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain, groupby, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from infraspectre.adapters.column_store.blocks import Blocks, picked
from infraspectre.adapters.column_store.dictionary import Dictionary, Rows
from infraspectre.adapters.column_store.manifest import Part
from infraspectre.adapters.column_store.parts import CHUNK, LISTED_ROW_GROUP, ROW
from infraspectre.adapters.column_store.view import Batch, View
from infraspectre.adapters.columns import dtype
from infraspectre.records.queries import Filter
from infraspectre.records.tables import ADDRESS, Table

if TYPE_CHECKING:
    from infraspectre.adapters.column_store.search import Hit

Found = dict[tuple[int, int], dict[str, Any]]
"""Rows by the number of their chunk or batch, and by their place in it."""
Places = tuple[Part, Rows | None]
"""A part with the numbers of its rows that may be wanted; None where that can be any."""
GROUPS_A_READ = 4
"""A read of some row groups costs as much as that many more row groups."""
READS_AT_ONCE = 16
PLACE = "file_row_number"
"""The number of a row in its part, as DuckDB calls it."""


class Frame:
    """Offers a polars frame to DuckDB, which else would look for pyarrow."""

    def __init__(self, frame: pl.DataFrame) -> None:
        """Wrap a frame."""
        self._frame = frame

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._frame.__arrow_c_stream__(requested_schema)


def fetch(view: View, hits: Sequence[Hit], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return the columns of rows that were found, in their order; without columns, all that there are."""
    rest = [hit for hit in hits if hit.shown is None]
    is_listed = bool(columns) and set(columns) <= set(view.table.listed)
    found = {(hit.chunk, hit.row): dict(zip(columns, hit.shown, strict=True)) for hit in hits if hit.shown is not None}
    found |= from_batches(view, [hit for hit in rest if hit.chunk < 0], columns)
    found |= from_parts(view, rest, columns) if is_listed else {}
    found |= from_chunks(view, [hit for hit in rest if hit.chunk >= 0 and (hit.chunk, hit.row) not in found], columns)
    unknown = dict.fromkeys(columns)
    return [unknown | found[hit.chunk, hit.row] for hit in hits]


def from_batches(view: View, hits: Sequence[Hit], columns: Sequence[str]) -> Found:
    """Return rows that lie in journals."""
    found: Found = {}
    for number, rows in by_chunk(hits):
        frame = batch_rows(view.batches[-1 - number], rows, columns)
        found |= zip([(number, row) for row in rows], frame.to_dicts(), strict=True)
    return found


def batch_rows(batch: Batch, rows: Sequence[int], columns: Sequence[str]) -> pl.DataFrame:
    """Return the columns of rows of a batch in a journal."""
    is_listed = bool(columns) and set(columns) <= set(batch.listed.columns)
    frame = batch.listed if is_listed else batch.record.frame(batch.path)
    return frame[list(rows)].select(name for name in columns or frame.columns if name in frame.columns)


def by_chunk(hits: Sequence[Hit]) -> Iterator[tuple[int, list[int]]]:
    """Yield the rows of each chunk in which some lie."""
    places = sorted((hit.chunk, hit.row) for hit in hits)
    for number, group in groupby(places, lambda place: place[0]):
        yield number, [row for _, row in group]


def from_parts(view: View, hits: Sequence[Hit], columns: Sequence[str]) -> Found:
    """Return the columns of lists of the rows whose place in a part is known."""
    owners = {chunk.number: part.number for part in view.manifest.parts for chunk in part.chunks}
    places: dict[int, set[int]] = {}
    for hit in hits:
        if hit.place is not None:
            places.setdefault(owners[hit.chunk], set()).add(hit.place)
    parts = [part for part in view.manifest.parts if part.number in places]
    if not parts:
        return {}
    frame = listed_frame(view, [(part, np.array(sorted(places[part.number]))) for part in parts], columns)
    shown = frame.select(name for name in columns if name in frame.columns).to_dicts()
    return dict(zip(frame.select(CHUNK, ROW).iter_rows(), shown, strict=True))


def listed_frame(view: View, places: Iterable[tuple[Part, Rows]], columns: Collection[str]) -> pl.DataFrame:
    """Return columns of lists of some rows of parts, whose numbers are ascending, and where each row lies."""
    alike: dict[bytes, list[tuple[Part, Blocks, Rows]]] = {}
    frames = []
    for part, rows in places:
        if part.blocks is None:
            frames.append(grouped(view, part, rows, placed(view, part, columns)).with_columns(pl.Series(PLACE, rows)))
        else:
            blocks = Blocks(view.path / part.blocks_name)
            alike.setdefault(blocks.schema, []).append((part, blocks, rows))
    for group in alike.values():
        found = picked([each[1:] for each in group], placed(view, group[0][0], columns))
        frames.append(found.with_columns(pl.Series(PLACE, np.concatenate([rows for *_, rows in group]))))
    return pl.concat(frames, how="diagonal_relaxed") if frames else pl.DataFrame()


def placed(view: View, part: Part, columns: Collection[str]) -> list[str]:
    """Return which of some columns a part has, with those that say where each row lies."""
    return [*(name for name in view.listed([part]) if name in columns), CHUNK, ROW]


def grouped(view: View, part: Part, rows: Rows, columns: Sequence[str]) -> pl.DataFrame:
    """Return columns of some rows of a part that an earlier version wrote, read by whole row groups."""
    whole = pl.scan_parquet(view.path / part.listed_name).select(columns)
    reads = [
        whole.slice(first, count).collect()[rows[(rows >= first) & (rows < first + count)] - first]
        for first, count in row_groups(part, rows)
    ]
    return pl.concat(reads)


def from_chunks(view: View, hits: Sequence[Hit], columns: Sequence[str]) -> Found:
    """Return rows with any columns."""
    chunks = {chunk.number: chunk for part in view.manifest.parts for chunk in part.chunks}
    found: Found = {}
    for number, rows in by_chunk(hits):
        present = view.manifest.columns[chunks[number].columns]
        names = [name for name in columns or present if name in present]
        part = pl.scan_parquet(view.path / chunks[number].name).select(names).slice(rows[0], rows[-1] - rows[0] + 1)
        frame = part.collect()[[row - rows[0] for row in rows]]
        found |= zip([(number, row) for row in rows], frame.to_dicts(), strict=True)
    return found


def scan(view: View, start: int, end: int, columns: Sequence[str], address: str = "") -> Iterator[pl.DataFrame]:
    """Yield the rows of a span of time, or those of an address in it, chunk by chunk; what a chunk lacks is null."""
    at, named = view.table.at, view.table.addresses if address else ()
    read = dict.fromkeys([*columns, at, *named] if columns else ())
    wanted = pl.col(at).is_between(start, end, closed="left")
    if address:
        wanted &= pl.any_horizontal(pl.col(each).cast(pl.String) == address for each in named)
    looked_up = [(part, rows_of(view, part, address)) for part in view.parts(start, end)]
    parts = [(part, rows) for part, rows in looked_up if rows is None or len(rows)]
    if address and columns and set(read) <= set(view.table.listed):
        found = listed_frames(view, parts, list(read), wanted)
    else:
        found = (frame.filter(wanted) for frame in chunk_frames(view, parts, list(read)))
    for rows in chain(found, (frame.filter(wanted) for frame in view.frames())):
        if rows.height:
            lacking = [name for name in columns if name not in rows.columns]
            yield rows.with_columns(empty(view.table, name) for name in lacking).select(columns or rows.columns)


def chunk_frames(view: View, parts: Sequence[Places], columns: Sequence[str]) -> Iterator[pl.DataFrame]:
    """Yield the rows of parts, chunk by chunk, with as many of some columns as each has, or with all."""
    for chunk in (chunk for part, _ in parts for chunk in part.chunks):
        present = view.present([chunk])
        yield pl.read_parquet(view.path / chunk.name, columns=[name for name in columns if name in present] or None)


def listed_frames(
    view: View, parts: Sequence[Places], columns: Sequence[str], wanted: pl.Expr
) -> Iterator[pl.DataFrame]:
    """Yield the rows that are wanted of each part, from what lists read: a twentieth of what chunks have."""
    reads = listed_reads(view, parts, columns, wanted)
    while some := list(islice(reads, READS_AT_ONCE)):
        yield from pl.collect_all(some)


def listed_reads(
    view: View, parts: Sequence[Places], columns: Sequence[str], wanted: pl.Expr
) -> Iterator[pl.LazyFrame]:
    """Yield what is to be read of each part: the row groups in which rows may be wanted."""
    for part, rows in parts:
        present = view.listed([part])
        whole = pl.scan_parquet(view.path / part.listed_name)
        names = [name for name in columns if name in present]
        for first, count in row_groups(part, rows):
            yield whole.slice(first, count).filter(wanted).select(names)


def row_groups(part: Part, rows: np.ndarray | None) -> list[tuple[int, int]]:
    """Return where row groups begin that have some rows, and how many rows they have; all where these are many."""
    groups = -(-part.rows // LISTED_ROW_GROUP)
    needed = np.arange(groups) if rows is None else np.unique(rows // LISTED_ROW_GROUP)
    runs = np.split(needed, np.flatnonzero(np.diff(needed) > 1) + 1)
    if GROUPS_A_READ * len(runs) + len(needed) >= groups:
        return [(0, part.rows)]
    return [(int(run[0]) * LISTED_ROW_GROUP, len(run) * LISTED_ROW_GROUP) for run in runs]


def rows_of(view: View, part: Part, address: str) -> np.ndarray | None:
    """Return the rows of a part that may have an address, None where that can be any."""
    if not address:
        return None
    return Dictionary(view.path / part.names_name, view.table).rows(Filter(ADDRESS, "=", (address,)))


def empty(table: Table, name: str) -> pl.Expr:
    """Return a column without values."""
    return pl.lit(None, dtype(table.columns[name])).alias(name)
