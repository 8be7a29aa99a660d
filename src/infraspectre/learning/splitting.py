"""Splits that do not flatter: rows that are alike stay on one side, and the same seed gives the same sides."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.errors import InputError

Rows = NDArray[np.bool_]
Hashes = NDArray[np.uint64]

TRIAL_PARTS = 5
"""Parts of a table of which the last one is held out of a trial."""
NEARLY_FIGURES = 2
"""Significant figures to which numbers are rounded before rows are compared for nearness."""


class Split(msgspec.Struct, frozen=True):
    """Says what keeps rows together: a column of groups, a column of times, or nothing but their likeness."""

    group: str | None = None
    """Rows with the same value, such as a capture or a campaign, are never on both sides."""
    time: str | None = None
    """What is judged is later than what is learnt from."""

    @property
    def columns(self) -> list[str]:
        """Name the columns that split, and are not learnt from."""
        return list(dict.fromkeys(name for name in (self.group, self.time) if name is not None))


class Fold(NamedTuple):
    """Tells which rows are learnt from and which are judged; some may be neither."""

    learnt: Rows
    judged: Rows


def row_hashes(frame: pl.DataFrame, label: str = "", seed: int = 0) -> Hashes:
    """Return a hash of what each row says besides its label; rows that say the same have the same."""
    return frame.drop(label, strict=False).hash_rows(seed=seed).to_numpy()


def near_hashes(frame: pl.DataFrame, label: str = "", seed: int = 0) -> Hashes:
    """Return a hash of what each row says besides its label with numbers rounded to two significant figures.

    Rows with the same one are near duplicates. Two numbers that are close, but rounded apart, are not found alike, and
    lists are compared as they are.
    """
    rounded = frame.drop(label, strict=False).with_columns(
        pl.col(name).cast(pl.Float64).round_sig_figs(NEARLY_FIGURES)
        for name, dtype in frame.schema.items()
        if name != label and dtype.is_numeric()
    )
    return row_hashes(rounded, seed=seed)


def wide(dtype: pl.DataType) -> pl.DataType:
    """Return the type in which columns of like types are compared."""
    if dtype.is_nested():
        return dtype
    return pl.Float64() if dtype.is_numeric() else pl.String()


def common(hashes: Hashes, others: Hashes) -> Rows:
    """Tell which hashes are among others."""
    return np.asarray(np.isin(hashes, others))


def held_out(frame: pl.DataFrame, label: str, parts: int = 5, seed: int = 0) -> Rows:
    """Tell which rows belong to one of so many parts, on which no row has an equal on the other side."""
    return np.asarray(row_hashes(frame, label, seed) % np.uint64(parts) == 0)


def trial_fold(frame: pl.DataFrame, label: str, split: Split, seed: int = 0) -> Fold:
    """Return the fold in which a fifth of the rows is judged, or of the groups, or the latest fifth."""
    return folds(frame, label, split, TRIAL_PARTS - 1 if split.time else TRIAL_PARTS, seed)[-1]


def folds(frame: pl.DataFrame, label: str, split: Split, count: int, seed: int = 0) -> list[Fold]:
    """Return so many folds; no row that is learnt from has a near duplicate, or one of its group, among those judged.

    By time, each fold learns from all that lies before what it judges, so that the first rows are never judged.
    Raises InputError for a column that is not there, has gaps or too few groups or times.
    """
    for name in split.columns:
        require_column(frame, name)
    near = near_hashes(frame.drop(split.columns), label, seed)
    kin: list[NDArray[Any]] = [near]
    if split.group is not None:
        groups = frame[split.group].cast(pl.String).to_numpy()
        kin.append(np.unique(groups, return_inverse=True)[1])
    if split.time is not None:
        parts = blocks_of_time(frame[split.time], count + 1)
        sides = [(parts < place, parts == place) for place in range(1, count + 1)]
    else:
        parts = dealt(kin[1], count, split.group, seed) if split.group else (near % np.uint64(count)).astype(np.int64)
        sides = [(parts != place, parts == place) for place in range(count)]
    return [Fold(apart(learnt, judged, kin), judged) for learnt, judged in sides]


def apart(learnt: Rows, judged: Rows, kin: Sequence[NDArray[Any]]) -> Rows:
    """Return the rows that are learnt from without those that are kin to a row that is judged."""
    for each in kin:
        learnt = learnt & ~np.isin(each, each[judged])
    return learnt


def require_column(frame: pl.DataFrame, name: str) -> None:
    """Raise InputError unless the column is there and has a value in each row."""
    if name not in frame.columns:
        raise InputError("there is no such column to split by", field=name, remedy="name a column of the table")
    missing = frame[name].is_null().arg_true()
    if len(missing):
        raise InputError(f"row {int(missing[0])} has no value to split by", field=name, remedy="fill it in")


def dealt(groups: NDArray[np.int64], count: int, name: str, seed: int) -> NDArray[np.int64]:
    """Return the part of each row: groups are dealt to parts, the largest first, each to the part with fewest rows."""
    sizes = np.bincount(groups)
    if len(sizes) < count:
        remedy = f"give rows of {count} groups at least, or ask for fewer folds"
        raise InputError(f"there are {len(sizes)} groups for {count} parts", field=name, remedy=remedy)
    order = np.random.default_rng(seed).permutation(len(sizes))
    part_of, filled = np.zeros(len(sizes), dtype=np.int64), np.zeros(count, dtype=np.int64)
    for group in order[np.argsort(-sizes[order], kind="stable")]:
        part_of[group] = filled.argmin()
        filled[part_of[group]] += sizes[group]
    return np.asarray(part_of[groups])


def blocks_of_time(times: pl.Series, count: int) -> NDArray[np.int64]:
    """Return the block of each row, from the earliest to the latest; blocks have about as many rows each."""
    moments = as_moments(times)
    edges = np.quantile(moments, np.linspace(0, 1, count + 1)[1:-1], method="higher")
    if len(np.unique(edges)) < count - 1 or edges[0] == moments.min():
        raise InputError(f"has too few different times for {count} parts", field=times.name, remedy="ask for fewer")
    return np.asarray(np.searchsorted(edges, moments, side="right"))


def as_moments(times: pl.Series) -> NDArray[np.int64] | NDArray[np.float64]:
    """Return times as numbers in their order; raises InputError for a value that is none."""
    if times.dtype == pl.String:
        read = moments_in(times)
    elif times.dtype.is_temporal():
        read = times
    elif times.dtype.is_numeric():
        read = times.cast(pl.Float64).fill_nan(None) if times.dtype.is_float() else times.cast(pl.Int64, strict=False)
    else:
        raise InputError(f"is {times.dtype}, not a time", field=times.name, remedy="name a column of times")
    wrong = read.is_null().arg_true()
    if len(wrong):
        row = int(wrong[0])
        raise InputError(f"row {row} holds {str(times[row])[:40]!r}, not a time", field=times.name)
    return read.to_physical().to_numpy()


def moments_in(texts: pl.Series) -> pl.Series:
    """Return what texts say: numbers if all do, else dates; null for what is neither."""
    for kind in (pl.Int64(), pl.Float64()):  # nanoseconds since the epoch are not exact as floating point numbers
        numbers = texts.cast(kind, strict=False)
        if not numbers.has_nulls():
            return numbers.fill_nan(None) if numbers.dtype.is_float() else numbers
    return texts.str.to_datetime(strict=False, time_unit="us", time_zone="UTC")


def sample(frame: pl.DataFrame, most: int, seed: int = 0) -> pl.DataFrame:
    """Return at most so many rows, drawn at random without repetition, in their order."""
    if len(frame) <= most:
        return frame
    chosen = np.random.default_rng(seed).choice(len(frame), most, replace=False)
    return frame[np.sort(chosen)]
