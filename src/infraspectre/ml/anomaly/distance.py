"""Robust statistics: how far from the middle a row lies, feature by feature and all together."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import product
from infraspectre.ml.robust import centre_and_spread

LEAST_SPREAD = 0.25
"""Least robust spread of a feature, in standard deviations: most rows agree in many features, and spread would be 0."""
KEPT = 0.95
"""Share of rows, those nearest to the middle, from which the covariance is estimated a second time."""


class MedianDeviations:
    """Scores rows by their mean deviation from the median in median absolute deviations, each taken as a logarithm."""

    kind: ClassVar[str] = "median-deviations"

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Measure median and spread of benign rows; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        self._centre, spread = centre_and_spread(self._scaling.deviations(rows))
        self._spread = np.maximum(spread, LEAST_SPREAD)

    def score(self, rows: Matrix) -> Vector:
        """Return the mean over features of log(1 + absolute deviation)."""
        deviations = np.abs(self._scaling.deviations(rows) - self._centre) / self._spread
        means: Vector = np.log1p(deviations).mean(axis=1)
        return means

    def state(self) -> State:
        """Return median and spread."""
        arrays = {"centre": self._centre, "spread": self._spread}
        return State(self.kind, arrays=arrays, parts={"scaling": self._scaling.state()})

    @classmethod
    def restore(cls, state: State) -> MedianDeviations:
        """Return the detector whose state it is."""
        detector = cls()
        detector._centre, detector._spread = state.arrays["centre"], state.arrays["spread"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector


class Mahalanobis:
    """Scores rows by their distance from the middle in units of what features do together.

    The covariance is shrunk (Ledoit and Wolf, 2004), estimated once from all rows and once more without the farthest.
    """

    kind: ClassVar[str] = "mahalanobis"

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Estimate middle and covariance of benign rows; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        scaled = self._scaling.deviations(rows)
        self._fit(scaled)
        distances = self._distances(scaled)
        self._fit(scaled[distances <= np.quantile(distances, KEPT)])

    def score(self, rows: Matrix) -> Vector:
        """Return the logarithm of one plus the squared distance."""
        scores: Vector = np.log1p(self._distances(self._scaling.deviations(rows)))
        return scores

    def _fit(self, scaled: Vector) -> None:
        self._centre = scaled.mean(axis=0)
        values, axes = np.linalg.eigh(_shrunk_covariance(scaled - self._centre))
        self._whitening = axes / np.sqrt(np.maximum(values, 1e-6))

    def _distances(self, scaled: Vector) -> Vector:
        squares: Vector = (product(scaled - self._centre, self._whitening) ** 2).sum(axis=1)
        return squares

    def state(self) -> State:
        """Return middle and axes."""
        arrays = {"centre": self._centre, "whitening": self._whitening}
        return State(self.kind, arrays=arrays, parts={"scaling": self._scaling.state()})

    @classmethod
    def restore(cls, state: State) -> Mahalanobis:
        """Return the detector whose state it is."""
        detector = cls()
        detector._centre, detector._whitening = state.arrays["centre"], state.arrays["whitening"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector


def _shrunk_covariance(centred: Vector) -> Vector:
    """Mix the covariance with a multiple of the identity (Ledoit and Wolf, 2004, section 3.3)."""
    count, features = centred.shape
    covariance = product(centred.T, centred) / count
    mean = float(np.trace(covariance)) / features
    unlike = float(((covariance - mean * np.eye(features)) ** 2).sum())
    wavering = float(((centred**2).sum(axis=1) ** 2).sum()) / count - float((covariance**2).sum())
    share = min(1.0, wavering / count / unlike) if unlike > 0 else 1.0
    shrunk: Vector = (1.0 - share) * covariance + max(share * mean, 1e-6) * np.eye(features)
    return shrunk
