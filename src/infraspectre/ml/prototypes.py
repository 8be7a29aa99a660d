"""Outlyingness by distance to prototypes, with conformal p-values that need no assumption about shape."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.products import squared_distances
from infraspectre.ml.robust import Vector, centre_and_spread

Matrix = NDArray[np.float64]

ROWS_AT_ONCE = 1_024
"""Rows compared with all prototypes in one step, so that memory stays bounded."""
MAX_PROTOTYPES = 128
"""Most prototypes: enough to outline what is usual, few enough to compare every row with."""
MAX_CALIBRATION = 1_024
"""Most calibration rows: p-values as small as one in a thousand."""
CLIP = 20.0
"""Most robust deviations one feature may add, so that no single feature decides alone."""


class Scaling(msgspec.Struct, frozen=True):
    """Holds centre and spread of each feature."""

    centre: list[float]
    spread: list[float]

    @classmethod
    def fit(cls, values: Matrix, floor: float = 0.25) -> Scaling:
        """Measure centre and spread; a spread under `floor` (in feature units) is raised to it."""
        centre, spread = centre_and_spread(values)
        return cls(centre.tolist(), np.maximum(spread, floor).tolist())

    def deviations(self, values: Matrix) -> Matrix:
        """Return robust deviations (values minus centre, over spread), clipped to plus or minus CLIP."""
        return np.asarray(np.clip((values - np.asarray(self.centre)) / np.asarray(self.spread), -CLIP, CLIP))


class Prototypes:
    """Judges rows by their distance to the nearest prototype, averaged over several samples of prototypes.

    The score is that of a nearest neighbour ensemble (Ting et al., 2017); the p-value is the split conformal one,
    (1 + calibration distances at least as large) / (1 + calibration rows) (Vovk et al., 2005).
    """

    def __init__(self, points: Matrix, samples: int) -> None:
        """Take the first half of the points, or MAX_PROTOTYPES, as prototypes, and later points to calibrate."""
        self.scaling = Scaling.fit(points)
        scaled = self.scaling.deviations(points)
        half = min(MAX_PROTOTYPES, (len(scaled) + 1) // 2)
        self._samples = min(samples, half)
        self._prototypes = scaled[: half - half % self._samples]
        self._calibration = np.sort(self._distances(scaled[half : half + MAX_CALIBRATION]))

    def p_values(self, distances: Vector) -> Vector:
        """Return for each distance how probable one at least as large is among rows like the fitted ones."""
        below = np.searchsorted(self._calibration, distances, side="left")
        larger = len(self._calibration) - below
        return np.asarray((1.0 + larger) / (1.0 + len(self._calibration)), dtype=np.float64)

    def distances(self, values: Matrix) -> Vector:
        """Return the mean distance of each row to the nearest prototype of each sample, in robust deviations."""
        return self._distances(self.scaling.deviations(values))

    def usual_distance(self, share: float) -> float:
        """Return the distance that this share of the calibration rows does not exceed, at least half a deviation."""
        return max(0.5, float(np.quantile(self._calibration, share))) if len(self._calibration) else math.inf

    def _distances(self, scaled: Matrix) -> Vector:
        parts = [self._near(scaled[start : start + ROWS_AT_ONCE]) for start in range(0, len(scaled), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _near(self, rows: Matrix) -> Vector:
        squared = squared_distances(rows, self._prototypes)
        nearest = squared.reshape(len(rows), self._samples, -1).min(axis=2)
        return np.asarray(np.sqrt(nearest).mean(axis=1), dtype=np.float64)
