"""What all anomaly detectors do to rows first: check them, fill gaps, and give all features one scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.detector import Matrix, State, Vector

CLIP = 12.0
"""Most deviations that one feature may show, so that no single one decides alone."""
LEAST_SPREAD = 0.05
"""Least spread of a logarithmic feature; a constant one still shows what differs from it, within CLIP."""
GRID = 1_024.0
"""Steps of one deviation. Values on a grid this coarse have squares and products that a double holds exactly."""


def check_rows(rows: Matrix, features: int | None = None) -> None:
    """Raise `InputError` unless rows are a table of finite or unknown numbers with as many features as were learnt."""
    if rows.ndim != 2:
        raise InputError(f"rows have {rows.ndim} dimensions", remedy="give a table of rows by features")
    if features is None and rows.size == 0:
        raise InputError("there is nothing to learn from", remedy="give at least one row and one feature")
    if features is not None and rows.shape[1] != features:
        raise InputError(
            f"rows have {rows.shape[1]} features, but {features} were learnt",
            remedy="give the columns of the training data",
        )
    infinite = np.argwhere(np.isinf(rows))
    if len(infinite):
        row, column = infinite[0].tolist()
        raise InputError(
            f"the value is infinite in row {row}", field=f"feature {column}", remedy="write NaN for unknown"
        )


class Scaling:
    """Turns features into deviations from what is usual: signed logarithm, centred, divided by spread, clipped.

    The logarithm makes heavy-tailed amounts comparable and leaves shares between 0 and 1 nearly as they are. An unknown
    value becomes the centre, which is usual by definition; that it is unknown is a feature of its own.
    """

    def __init__(self, centre: Vector, spread: Vector, unknown: Vector) -> None:
        """Take centre and spread of each feature's signed logarithm, and its share of unknown values."""
        self._centre, self._spread, self._unknown = centre, spread, unknown
        self._gappy = np.flatnonzero(unknown)

    @classmethod
    def fit(cls, rows: Matrix) -> Scaling:
        """Measure rows; raise `InputError` if there are none, or infinite values."""
        check_rows(rows)
        known = ~np.isnan(rows)
        counts = np.maximum(known.sum(axis=0), 1)
        logarithms = np.where(known, _signed_log(rows), 0.0)
        centre = logarithms.sum(axis=0) / counts
        squares = np.where(known, (logarithms - centre) ** 2, 0.0).sum(axis=0)
        return cls(centre, np.maximum(np.sqrt(squares / counts), LEAST_SPREAD), 1.0 - known.mean(axis=0))

    @property
    def features(self) -> int:
        """Return the number of features that rows must have."""
        return len(self._centre)

    @property
    def owners(self) -> NDArray[np.int64]:
        """Return the number of the feature that each column of `deviations` is of."""
        return np.asarray(np.r_[np.arange(self.features), self._gappy], dtype=np.int64)

    def deviations(self, rows: Matrix) -> Vector:
        """Return (rows, features and more): deviations within CLIP, on a grid, then how unusual each gap is.

        Only features that had gaps when they were measured have more. Raises `InputError` if rows have another number
        of features than those fitted, or infinite values.
        """
        check_rows(rows, self.features)
        unknown = np.isnan(rows)
        scaled = np.where(unknown, 0.0, (_signed_log(rows) - self._centre) / self._spread)
        shares = self._unknown[self._gappy]
        gaps = (unknown[:, self._gappy] - shares) / np.sqrt(np.maximum(shares * (1.0 - shares), LEAST_SPREAD))
        both = np.concatenate([scaled, gaps], axis=1)
        on_grid: Vector = np.rint(np.clip(both, -CLIP, CLIP) * GRID) / GRID
        return on_grid

    def state(self) -> State:
        """Return what was measured."""
        return State("scaling", arrays={"centre": self._centre, "spread": self._spread, "unknown": self._unknown})

    @classmethod
    def restore(cls, state: State) -> Scaling:
        """Return the scaling whose state it is."""
        return cls(state.arrays["centre"], state.arrays["spread"], state.arrays["unknown"])


def _signed_log(rows: Matrix) -> Vector:
    values = rows.astype(np.float64)
    logarithms: Vector = np.copysign(np.log1p(np.abs(values)), values)
    return logarithms
