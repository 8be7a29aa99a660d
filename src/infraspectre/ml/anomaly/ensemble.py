"""Several detectors fused into one, whose thresholds are given as false-positive rates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from infraspectre.ml.anomaly.autoencoder import Autoencoder
from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.anomaly.distance import Mahalanobis, MedianDeviations
from infraspectre.ml.anomaly.forest import IsolationForest
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.anomaly.parts import benign, copies
from infraspectre.ml.detector import Detector, Labels, Matrix, State, Vector

PARTS: dict[str, type[Detector]] = {
    part.kind: part for part in (NearestPrototypes, IsolationForest, Autoencoder, MedianDeviations, Mahalanobis)
}
"""The detectors that are fused."""
CALIBRATION_SHARE = 0.4
"""Share of groups of identical rows that parts do not learn from, and that calibrate them."""


class Ensemble:
    """Scores rows by the mean of -log p over its parts, each p conformal (Fisher's method, without its null)."""

    kind: ClassVar[str] = "ensemble"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides the calibration rows, and is that of all parts."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Let parts learn from benign rows and calibrate them by others; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        held = self._held_out(rows)
        self._parts = [_part(kind, self._seed) for kind in PARTS]
        for part in self._parts:
            part.learn(rows[~held])
        scores = [part.score(rows[held]) for part in self._parts]
        self._conformal = [Conformal(one) for one in scores]
        self._fused = Conformal(self._fuse(scores))

    def score(self, rows: Matrix) -> Vector:
        """Return the mean over parts of -log p: 1 in the mean of benign rows."""
        return self._fuse([part.score(rows) for part in self._parts])

    def p_values(self, rows: Matrix) -> Vector:
        """Return how probable a score at least as high is among benign rows."""
        return self._fused.p_values(self.score(rows))

    def threshold(self, rate: float) -> float:
        """Return the score that benign rows exceed at this false-positive rate (0 to 1); infinite if too few are known."""
        return self._fused.threshold(rate)

    def _held_out(self, rows: Matrix) -> Vector: 
        groups = copies(rows)
        return np.random.default_rng(self._seed).random(groups.max() + 1)[groups] < CALIBRATION_SHARE

    def _fuse(self, scores: list[Vector]) -> Vector:
        logs = [-np.log(one.p_values(score)) for one, score in zip(self._conformal, scores, strict=True)]
        return np.asarray(np.mean(logs, axis=0))
