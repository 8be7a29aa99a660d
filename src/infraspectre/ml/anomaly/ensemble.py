"""Several detectors fused into one, whose thresholds are given as false-positive rates."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.autoencoder import Autoencoder
from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.anomaly.parts import benign, copies
from infraspectre.ml.detector import Detector, Labels, Matrix, State, Vector

PARTS: tuple[type[NearestPrototypes] | type[Autoencoder], ...] = (NearestPrototypes, Autoencoder)
"""The detectors that are fused.

Measured on UNSW-NB15 and NSL-KDD, these two find different attacks; isolation forest, medians and Mahalanobis distances
find none that these miss, and more weight for them costs up to .04 of AUC.
"""
WEIGHTS = (2.0, 1.0)
"""How much each counts."""
CALIBRATION_SHARE = 0.3
"""Share of groups of identical rows that parts do not learn from, and that calibrate them."""


class Ensemble:
    """Scores rows by the weighted mean of -log p over its parts, each p conformal (after Fisher's method).

    Parts depend on one another, so that Fisher's distribution would not hold: the fused score is calibrated itself.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides the calibration rows, and is that of all parts."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Let parts learn from benign rows and calibrate them by others; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        held = self._held_out(rows)
        learnt = rows if held.all() else rows[~held]
        self._parts: list[Detector] = [part(self._seed) for part in PARTS]
        for part in self._parts:
            part.learn(learnt)
        scores = [part.score(rows[held]) for part in self._parts]
        self._conformal = [Conformal(one) for one in scores]
        self._fused = Conformal(self._fuse(scores))

    def score(self, rows: Matrix) -> Vector:
        """Return the weighted mean over parts of -log p: about 1 in the mean of benign rows."""
        return self._fuse([part.score(rows) for part in self._parts])

    def p_values(self, rows: Matrix) -> Vector:
        """Return how probable a score at least as high is among benign rows."""
        return self._fused.p_values(self.score(rows))

    def threshold(self, rate: float) -> float:
        """Return the score that benign rows exceed at this rate (0 to 1); infinite if too few rows calibrate it."""
        return self._fused.threshold(rate)

    def _held_out(self, rows: Matrix) -> NDArray[np.bool_]:
        """Choose groups of identical rows to calibrate with; of fewer than two groups, all rows do both."""
        groups = copies(rows)
        count = int(groups.max()) + 1
        if count < 2:
            return np.ones(len(rows), dtype=bool)
        order = np.random.default_rng(self._seed).permutation(count)
        held: NDArray[np.bool_] = (order < max(1, round(count * CALIBRATION_SHARE)))[groups]
        return held

    def _fuse(self, scores: list[Vector]) -> Vector:
        logs = [one.surprise(score) for one, score in zip(self._conformal, scores, strict=True)]
        return np.asarray(np.average(logs, axis=0, weights=WEIGHTS))

    def state(self) -> State:
        """Return what parts have learnt, and how they are calibrated."""
        parts = {"fused": self._fused.state()}
        for part, conformal in zip(self._parts, self._conformal, strict=True):
            parts[part.kind] = part.state()
            parts[f"{part.kind} calibration"] = conformal.state()
        return State(self.kind, {"seed": self._seed}, parts=parts)

    @classmethod
    def restore(cls, state: State) -> Ensemble:
        """Return the ensemble whose state it is."""
        ensemble = cls(state.values["seed"])
        ensemble._parts = [part.restore(state.parts[part.kind]) for part in PARTS]
        ensemble._conformal = [Conformal.restore(state.parts[f"{part.kind} calibration"]) for part in PARTS]
        ensemble._fused = Conformal.restore(state.parts["fused"])
        return ensemble
