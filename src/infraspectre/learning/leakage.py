"""What in a table gives the answer away: columns that alone tell the label, identities, rows on both sides."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import polars as pl

from infraspectre.learning.splitting import Rows, common, held_out, near_hashes, row_hashes, wide
from infraspectre.ml.table import holds_moments, names_identity

NEARLY_ALL = 0.95
"""From this share of the uncertainty about the label that one column alone takes away, it is suspicious."""
QUANTILES = 64
MIN_ROWS = 100
"""Fewest rows on which a relation is taken for more than chance."""
MANY = 0.9
"""Share of distinct values from which a text names rows."""


class Leak(msgspec.Struct, frozen=True):
    """Says what may flatter a model, and by which column."""

    kind: str
    column: str | None
    text: str


def leaks(frame: pl.DataFrame, label: str) -> list[Leak]:
    """Return everything suspicious in a table with labels."""
    found = [*shortcuts(frame, label), *identities(frame, label)]
    alike = frame.drop({leak.column for leak in found if leak.column is not None})
    return [*found, *contradictions(alike, label)]


def shortcuts(frame: pl.DataFrame, label: str) -> Iterator[Leak]:
    """Yield each column that alone tells nearly everything about the label, on rows it was not learnt from."""
    if len(frame) < MIN_ROWS or frame[label].n_unique() < 2:
        return
    tested = held_out(frame, label, parts=2)
    answers = frame[label].cast(pl.String).fill_null("")
    most = (answers == most_frequent(answers)).cast(pl.String)
    for name in frame.columns:
        if name == label or frame[name].dtype.is_nested():  # a list says many things, not one
            continue
        codes = coded(frame[name])
        told = max(gain(codes, answers, tested), gain(codes, most, tested))
        if told >= NEARLY_ALL:
            yield Leak("shortcut", name, f"column {name} alone tells {told:.1%} of what is to be learnt about {label}")


def coded(column: pl.Series) -> pl.Series:
    """Return the values of a column as texts; of many numbers, the quantile in which each lies; of lists, a hash."""
    if column.dtype.is_nested():
        return column.to_frame().hash_rows().cast(pl.String)
    if not column.dtype.is_numeric() or column.n_unique() <= QUANTILES:
        return column.cast(pl.String, strict=False).fill_null("")
    numbers = column.cast(pl.Float64).fill_nan(None).fill_null(-np.inf).to_numpy()
    known = numbers[np.isfinite(numbers)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, QUANTILES + 1)[1:-1])) if len(known) else known
    return pl.Series(column.name, np.searchsorted(edges, numbers, side="right")).cast(pl.String)


def gain(codes: pl.Series, answers: pl.Series, tested: Rows) -> float:
    """Return by how much of its errors a guess is improved by a column: Goodman and Kruskal's lambda (1954).

    The most frequent answer of each value is learnt from one half of the rows; errors are counted on the other.
    """
    pairs = pl.DataFrame({"code": codes, "answer": answers})
    learnt, judged = pairs.filter(~tested), pairs.filter(tested)
    if not len(learnt) or not len(judged):
        return 0.0
    usual = most_frequent(learnt["answer"])
    best = (
        learnt.group_by("code", "answer")
        .len()
        .sort(["len", "answer"], descending=[True, False])
        .unique("code", keep="first")
    )
    guesses = judged.join(best.select("code", guess="answer"), on="code", how="left")["guess"].fill_null(usual)
    errors = int((judged["answer"] != usual).sum())
    left = int((judged["answer"] != guesses).sum())
    return 1.0 - left / errors if errors else 0.0


def most_frequent(answers: pl.Series) -> str:
    """Return the most frequent text, of several the first in the alphabet."""
    counts = (
        pl.DataFrame({"answer": answers}).group_by("answer").len().sort(["len", "answer"], descending=[True, False])
    )
    return str(counts["answer"][0])


def identities(frame: pl.DataFrame, label: str) -> Iterator[Leak]:
    """Yield each column that names rows, hosts or moments rather than kinds of behaviour."""
    for column in frame.drop(label, strict=False):
        name, distinct = column.name, column.n_unique()
        if names_identity(column):
            yield Leak("identity", name, f"column {name} is named as an identity, which does not recur elsewhere")
        elif holds_moments(column):
            yield Leak("identity", name, f"column {name} holds times, which do not recur elsewhere")
        elif len(frame) < MIN_ROWS:
            continue
        elif column.dtype == pl.String and distinct > MANY * len(frame):
            yield Leak("identity", name, f"column {name} has {distinct:,} distinct texts in {len(frame):,} rows")
        elif column.dtype.is_integer() and distinct == len(frame) and column.is_sorted():
            yield Leak("identity", name, f"column {name} numbers the rows")


def contradictions(frame: pl.DataFrame, label: str) -> Iterator[Leak]:
    """Yield how many rows repeat others, and how many of those carry another label than their likes."""
    rows = pl.DataFrame({"hash": row_hashes(frame, label), "label": frame[label]})
    groups = rows.group_by("hash").agg(pl.len(), pl.col("label").n_unique().alias("labels"))
    repeated = len(rows) - len(groups)
    if repeated:
        share = repeated / len(rows)
        yield Leak("duplicate", None, f"{repeated:,} rows ({share:.1%}) repeat others: a random split flatters")
    torn = int(groups.filter(pl.col("labels") > 1)["len"].sum())
    if torn:
        text = (
            f"{torn:,} rows ({torn / len(rows):.1%}) are equal to others with another label: no model tells them apart"
        )
        yield Leak("contradiction", None, text)


class Overlap(msgspec.Struct, frozen=True):
    """Counts rows that are judged and equal to rows that were learnt, exactly and with numbers rounded."""

    exact: int
    near: int
    of: int


def overlap(learnt: pl.DataFrame, judged: pl.DataFrame, label: str) -> Overlap:
    """Compare the rows of two tables over the columns they share, but for the label."""
    shared = [name for name in learnt.columns if name in judged.columns and name != label]
    same = {name: wide(learnt[name].dtype) for name in shared}
    ours, theirs = (
        each.select(pl.col(name).cast(kind, strict=False) for name, kind in same.items()) for each in (learnt, judged)
    )
    if not shared:
        return Overlap(0, 0, len(judged))
    exact, near = (int(common(hashes(theirs), hashes(ours)).sum()) for hashes in (row_hashes, near_hashes))
    return Overlap(exact, near, len(judged))
