"""Chunks and parts: the immutable files of a table, for one day each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from infraspectre.adapters.column_store import blocks, dictionary, ranks
from infraspectre.adapters.column_store.durable import digest, digest_of, mapped, write_bytes
from infraspectre.adapters.column_store.manifest import Chunk, Part, Sealed
from infraspectre.files import make_folder, sync, write_durably
from infraspectre.records.tables import Table
from infraspectre.records.times import UNITS

CHUNK_ROWS = 65_536
"""Rows of a chunk, in one row group: what is decoded for one row with all its columns."""
LISTED_ROW_GROUP = 8_192
"""Rows of a row group of a part: what a filter cannot leave out is decoded by so many."""
TOPS = 1_024
"""Of so many highest numbers of a column, those above the last have their rows in a file of their own."""
CHUNK, ROW = "chunk_number", "chunk_row"
"""Columns of a part that say where all columns of a row lie."""


def write_chunk(folder: Path, number: int, day: str, frame: pl.DataFrame) -> Chunk:
    """Write rows of one day, sorted by time, with all their columns; raises OutputError."""
    sync(make_folder(folder / day).parent)
    chunk = Chunk(number, day, frame.height, column_list(frame.columns), Sealed(0, ""))
    return Chunk(
        number, day, frame.height, chunk.columns, write_parquet(folder / chunk.name, frame, "zstd", CHUNK_ROWS)
    )


def write_part(folder: Path, number: int, frame: pl.DataFrame, chunks: list[Chunk], table: Table) -> Part:
    """Write what makes rows quick to search; the frame has the columns of `listed_rows`. Raises OutputError."""
    rows = frame.sort(table.at, table.key)
    times = rows[table.at]
    span, nothing, bounds = (int(times[0]), int(times[-1])), Sealed(0, ""), bounds_of(rows, table)
    part = Part(number, chunks[0].day, rows.height, *span, chunks, nothing, nothing, nothing, nothing, bounds=bounds)
    tops = rows.filter(pl.any_horizontal([pl.col(name) > bound for name, bound in bounds.items()] or False))
    return msgspec.structs.replace(
        part,
        listed=write_parquet(folder / part.listed_name, rows, "lz4", LISTED_ROW_GROUP),
        names=write_sealed(folder / part.names_name, dictionary.encoded(rows, table)),
        ranks=write_sealed(folder / part.ranks_name, ranks.encoded(rows, table)),
        keys=write_hashes(folder / part.keys_name, rows[table.key]),
        tops=write_parquet(folder / part.tops_name, tops, "lz4", LISTED_ROW_GROUP) if bounds else None,
        blocks=write_blocks(folder, part, rows),
    )


def write_blocks(folder: Path, part: Part, rows: pl.DataFrame) -> Sealed:
    """Write the rows of a part in blocks; raises OutputError."""
    return write_sealed(folder / part.blocks_name, blocks.encoded(rows))


def bounds_of(rows: pl.DataFrame, table: Table) -> dict[str, float]:
    """Return, for each column whose highest numbers are asked for, what the highest of a part are above."""
    if rows.height <= TOPS:
        return {}
    known = {name: rows[name].drop_nulls() for name in table.ranked if name in rows.columns}
    return {name: float(values.top_k(TOPS).min()) if len(values) > TOPS else -1.0 for name, values in known.items()}  # type: ignore[arg-type]


def listed_rows(frame: pl.DataFrame, number: int, listed: Sequence[str]) -> pl.DataFrame:
    """Return the columns of lists of some rows, with the place of each in what has the number."""
    place = (pl.lit(number, pl.UInt32).alias(CHUNK), pl.int_range(pl.len(), dtype=pl.UInt32).alias(ROW))
    return frame.select(*(name for name in listed if name in frame.columns), *place)


def write_parquet(path: Path, frame: pl.DataFrame, compression: str, row_group: int) -> Sealed:
    """Write rows to a file durably, and return what it has to hold from now on; raises OutputError."""
    write_durably(
        path,
        lambda temporary: frame.write_parquet(
            temporary,
            compression=compression,  # type: ignore[arg-type]
            row_group_size=row_group,
            statistics=True,
        ),
    )
    return sealed(path)


def sealed(path: Path) -> Sealed:
    """Return what a file has to hold from now on."""
    return Sealed(path.stat().st_size, digest_of(path))


def write_sealed(path: Path, data: bytes) -> Sealed:
    """Write a file durably, and return what it has to hold from now on; raises OutputError."""
    write_bytes(path, data)
    return Sealed(len(data), digest(data))


def column_list(columns: Sequence[str]) -> str:
    """Return the digest of a list of columns."""
    return digest("\n".join(columns).encode())


def write_hashes(path: Path, keys: pl.Series) -> Sealed:
    """Write the hashes of keys durably, sorted; raises OutputError."""
    values = keys.unique()
    numbers = values.to_numpy() if values.dtype.is_integer() else np.array([hashed(text) for text in values], np.uint64)
    return write_sealed(path, np.sort(numbers.astype(np.uint64)).tobytes())


def hashed(value: str | float) -> int:
    """Return the hash of a value, equal in every version and process; an identity that is a number is its own."""
    if not isinstance(value, str):
        return int(value) % (1 << 64)
    return int.from_bytes(blake2b(value.encode(), digest_size=8).digest(), "little")


def may_name(path: Path, wanted: np.ndarray) -> bool:
    """Tell whether a part may hold one of some values, given as hashes."""
    known = mapped(path, np.uint64)
    places = np.searchsorted(known, wanted)
    inside = places < len(known)
    return bool((known[places[inside]] == wanted[inside]).any())


def by_day(frame: pl.DataFrame, table: Table) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield rows by their day, each sorted by time and key."""
    rows = frame.with_columns((pl.col(table.at) // UNITS["d"]).alias(".day")).sort(table.at, table.key)
    for group in rows.partition_by(".day", maintain_order=True):
        yield day_of(int(group[table.at][0])), group.drop(".day")


def day_of(at: int) -> str:
    """Return the folder of the day of a time, nanoseconds since the epoch."""
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=at // UNITS['d']):%Y-%m-%d}"
