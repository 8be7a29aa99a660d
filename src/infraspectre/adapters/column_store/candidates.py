"""Candidates: the rows of parts that may pass, as dictionaries tell, in the order in which they are looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np

from infraspectre.adapters.column_store.dictionary import Dictionary, Rows, field_number
from infraspectre.adapters.column_store.manifest import Part
from infraspectre.adapters.column_store.questions import Question
from infraspectre.adapters.column_store.ranks import Ranks, rank
from infraspectre.adapters.column_store.view import View
from infraspectre.records.queries import COMPARISONS, Operator

MOST_WALKED = 16_384
"""Candidates that are looked at one by one, the first first; of more, all rows of their parts are."""
MOST_AT_ONCE = 1_024
"""Candidates that are read at once."""


class Candidates(NamedTuple):
    """Are the rows of a part that may pass; None where that can be any."""

    part: Part
    rows: Rows | None

    @property
    def size(self) -> int:
        """Return how many there are, all rows where that is not known."""
        return self.part.rows if self.rows is None else len(self.rows)


def candidates(folder: Path, part: Part, question: Question) -> Candidates:
    """Return the rows of a part that may pass; raises OSError where its dictionary is damaged."""
    table, found = question.table, None
    asked = [each for each in question.filters if field_number(each.field, table) is not None]
    if asked:
        names = Dictionary(folder / part.names_name, table)
        for rows in (names.rows(each) for each in asked):
            if rows is not None:
                found = rows if found is None else np.intersect1d(found, rows)
    return Candidates(part, found)


@dataclass(frozen=True)
class Trail:
    """Is a way through candidates of parts, the first in order first."""

    parts: Sequence[Part]
    owners: np.ndarray
    """The place of each candidate's part."""
    rows: Rows
    """The number of each candidate in its part."""
    ranks: np.ndarray
    """What is known of each candidate's value: below 0 where the highest come first, so that the least is first."""
    question: Question

    @classmethod
    def of(cls, view: View, known: Sequence[Candidates], question: Question) -> Self:
        """Order candidates; of each part only so many as can be looked at."""
        owners, rows, ranks = [np.zeros(0, np.int64)], [np.zeros(0, np.uint32)], [np.zeros(0, np.int64)]
        for number, each in enumerate(known):
            if each.rows is not None:
                part_rows, part_ranks = first(view, each.part, each.rows, question)
                owners.append(np.full(len(part_rows), number))
                rows.append(part_rows)
                ranks.append(part_ranks)
        least = soonest(joined := np.concatenate(ranks))
        all_owners, all_rows, joined = np.concatenate(owners)[least], np.concatenate(rows)[least], joined[least]
        order = np.argsort(joined, kind="stable")
        return cls([each.part for each in known], all_owners[order], all_rows[order], joined[order], question)

    @property
    def length(self) -> int:
        """Return how many candidates there are."""
        return len(self.ranks)

    def step(self, start: int, end: int) -> list[tuple[Part, Rows]]:
        """Return some candidates by their parts."""
        owners, rows = self.owners[start:end], self.rows[start:end]
        return [(self.parts[number], np.sort(rows[owners == number])) for number in np.unique(owners)]

    def is_behind(self, at: int, value: Any) -> bool:
        """Tell whether all candidates from one on come behind a value."""
        return at >= self.length or bool(self.ranks[at] > rank_of(value, self.question))


def first(view: View, part: Part, rows: Rows, question: Question) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers and ranks of the first candidates of a part, without those that time or place leave out."""
    known = Ranks(view.path / part.ranks_name, view.table, part.rows)
    ranks, kept = known.of(question.order.field, rows), np.ones(len(rows), bool)
    for asked in question.filters:
        if asked.field == view.table.at:
            kept &= in_time(known.times(rows), asked.operator, asked.values)
    signed = -ranks if question.order.descending else ranks
    if question.after is not None:
        kept &= signed >= rank_of(question.after.value, question)
    rows, signed = rows[kept], signed[kept]
    least = soonest(signed)
    return rows[least], signed[least]


def soonest(ranks: np.ndarray) -> np.ndarray | slice:
    """Return where the lowest ranks stand, of as many as can be looked at, and of one more."""
    return np.argpartition(ranks, MOST_WALKED)[: MOST_WALKED + 1] if len(ranks) > MOST_WALKED + 1 else slice(None)


def in_time(times: np.ndarray, operator: Operator, values: Sequence[Any]) -> np.ndarray:
    """Tell which times compare so."""
    if operator in ("=", "!="):
        return np.isin(times, values, invert=operator == "!=")
    return np.asarray(COMPARISONS[operator](times, values[0]))


def rank_of(value: Any, question: Question) -> int:
    """Return the rank of a value of what sorts, below 0 where the highest come first."""
    table, order = question.table, question.order
    if order.field == table.at:
        number = 0 if value is None else int(value)
    elif order.field in table.ranked:
        number = int(rank(np.nan if value is None else value)[0])
    else:
        number = 0
    return -number if order.descending else number
