"""Looking into models: which columns count, and how far today's rows are from those they learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from infraspectre.errors import UsageError
from infraspectre.modelbook.judging import explaining

if TYPE_CHECKING:
    import polars as pl

    from infraspectre.ml.detector import Labels
    from infraspectre.ml.drift import Drift
    from infraspectre.modelbook.opening import OpenModel


class Importance(msgspec.Struct, frozen=True):
    """Says how much a column counts over rows that a model learnt from."""

    column: str
    share: float
    """The mean size of its contribution, as a share of that of all columns."""
    contribution: float
    """The mean of its contribution on hostile rows less that on benign ones, in the units of the margin."""


def known_rows(model: OpenModel) -> tuple[pl.DataFrame, Labels]:
    """Return the rows of training that a model keeps; raises UsageError for one that keeps none."""
    from infraspectre.ml.detector import KnowsRows

    rows, labels = model.model.known_rows() if isinstance(model.model, KnowsRows) else (None, None)
    if rows is None or labels is None or not len(rows):
        raise UsageError(f"a {model.manifest.kind} model keeps no rows of its training", remedy="ask a council")
    return rows, labels


def importance(model: OpenModel) -> list[Importance]:
    """Return how much each column counts, the most important first; raises UsageError for models that keep no rows.

    The measure is the mean absolute Shapley value (Lundberg et al. 2020) over the rows kept.
    """
    import numpy as np

    rows, labels = known_rows(model)
    told = explaining(model).contributions(rows)
    sizes, hostile = np.abs(told.values).mean(axis=0), labels > 0
    shares = sizes / max(float(sizes.sum()), 1e-12)
    sides = [told.values[side].mean(axis=0) if side.any() else np.zeros(len(sizes)) for side in (hostile, ~hostile)]
    found = zip(told.names, shares.tolist(), (sides[0] - sides[1]).tolist(), strict=True)
    return sorted((Importance(*each) for each in found), key=lambda each: (-each.share, each.column))


def drift_of(model: OpenModel, now: pl.DataFrame) -> list[Drift]:
    """Return how far rows lie from the benign ones that a model learnt from; raises UsageError as `importance` does."""
    import polars as pl

    from infraspectre.ml.drift import drift

    rows, labels = known_rows(model)
    return drift(rows.filter(pl.Series(labels == 0)), now)
