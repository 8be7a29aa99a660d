"""Why a model judged a row as it did: what counts, the nearest known rows, and what would have to be otherwise."""

from __future__ import annotations

from typing import Literal

import msgspec

Value = str | int | float | bool | None
"""A cell of a table; None where it is not known."""
Bound = Literal["exactly", "at most", "at least"]


class Attribution(msgspec.Struct, frozen=True):
    """Holds what a column, or a part of a text, adds to the margin; a negative contribution speaks for benign."""

    column: str
    value: Value
    contribution: float
    unusual: float = 0.0
    """How much of the contribution is for lying far from what is benign; the rest is for likeness to known attacks."""


class Example(msgspec.Struct, frozen=True):
    """Holds a row of the training table that is among the nearest ones."""

    label: str
    distance: float
    """Root mean square over columns of the differences in standard deviations; texts that differ count as one."""
    differs: list[str]
    """The columns in which it differs most from the row that is explained, the largest difference first."""
    values: dict[str, Value]


class Change(msgspec.Struct, frozen=True):
    """Holds what a column would have to hold."""

    column: str
    before: Value
    after: Value
    bound: Bound = "exactly"
    """Whether values beyond `after` were tried and do as well."""


class Explanation(msgspec.Struct, frozen=True):
    """Holds why a row is called what it is called.

    `base` and all contributions sum to `margin`, which is above 0 where the score is above the threshold.
    """

    margin: float
    base: float
    attributions: list[Attribution]
    """The largest contribution first, whatever its sign."""
    examples: list[Example]
    """The nearest training rows, and the nearest benign one; none where the model keeps no examples."""
    counterfactual: list[Change]
    """The changes with which the row would be benign, of which none is superfluous; none where it is benign."""
    words: str
