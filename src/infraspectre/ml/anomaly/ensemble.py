"""Several detectors fused into one, whose thresholds are given as false-positive rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.autoencoder import Autoencoder
from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.anomaly.distance import Mahalanobis, MedianDeviations
from infraspectre.ml.anomaly.forest import IsolationForest
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.anomaly.parts import benign, copies, folds
from infraspectre.ml.detector import Detector, Labels, Matrix, State, Vector

Part = type[NearestPrototypes] | type[Autoencoder] | type[IsolationForest] | type[MedianDeviations] | type[Mahalanobis]
PARTS: dict[str, Part] = {
    part.kind: part for part in (NearestPrototypes, Autoencoder, IsolationForest, MedianDeviations, Mahalanobis)
}
"""What can be fused, or asked alone."""
USUAL_PARTS = (NearestPrototypes.kind, Autoencoder.kind)
"""The detectors that are fused unless others are named.

Measured on UNSW-NB15 and NSL-KDD, these two find different attacks; isolation forest, medians and Mahalanobis distances
find none that these miss, and more weight for them costs up to .04 of AUC.
"""
WEIGHTS = {NearestPrototypes.kind: 2.0}
"""How much a detector counts, if not once."""
FOLDS = 5
"""Parts of the rows, each of which is calibrated by detectors that learnt from the others."""
MOST_CALIBRATED = 8_192
"""Most rows of a fold that calibrate, evenly spaced; of all folds, enough for rates below one in ten thousand."""


class Ensemble:
    """Scores rows by the weighted mean of -log p over its parts, each p conformal (after Fisher's method).

    Parts depend on one another, so that Fisher's distribution would not hold: the fused score is calibrated itself.
    Calibration scores are out of fold, those of later rows come from parts that learnt from all folds (cross-conformal
    prediction, Vovk, 2015): all rows serve both, at the price of rates that are a little lower than those wanted.
    """

    kind: ClassVar[str] = "ensemble"

    def __init__(self, seed: int = 0, parts: Sequence[str] = USUAL_PARTS) -> None:
        """Start without knowledge; `seed` decides the calibration rows, and is that of all `parts`, named in PARTS."""
        self._seed, self._kinds = seed, tuple(parts)

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Let parts learn from benign rows and calibrate them by others; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        scores = self._out_of_fold(rows, folds(copies(rows), FOLDS, self._seed))
        self._parts = self._learnt(rows)
        self._conformal = [Conformal(one) for one in scores]
        self._fused = Conformal(self._fuse(scores))

    def score(self, rows: Matrix) -> Vector:
        """Return the weighted mean over parts of -log p: about 1 in the mean of benign rows."""
        return self._fuse([part.score(rows) for part in self._parts])

    @property
    def calibration(self) -> Vector:
        """Return scores of benign rows, each by parts that had not learnt from it, in rising order."""
        return self._fused.scores

    def p_values(self, rows: Matrix) -> Vector:
        """Return how probable a score at least as high is among benign rows."""
        return self._fused.p_values(self.score(rows))

    def threshold(self, rate: float) -> float:
        """Return the score that benign rows exceed at this rate (0 to 1); infinite if too few rows calibrate it."""
        return self._fused.threshold(rate)

    def _learnt(self, rows: Matrix) -> list[Detector]:
        parts: list[Detector] = [_made(kind, self._seed) for kind in self._kinds]
        for part in parts:
            part.learn(rows)
        return parts

    def _out_of_fold(self, rows: Matrix, fold_of: NDArray[np.int64]) -> list[Vector]:
        """Return each part's scores of rows that it has not learnt from; of rows all alike, there are none such."""
        scores: list[list[Vector]] = []
        for fold in np.unique(fold_of).tolist():
            others = fold_of != fold
            parts = self._learnt(rows[others] if others.any() else rows)
            held = np.flatnonzero(~others)
            if len(held) > MOST_CALIBRATED:
                held = held[np.linspace(0, len(held) - 1, MOST_CALIBRATED).astype(np.int64)]
            scores.append([part.score(rows[held]) for part in parts])
        return [np.concatenate(of_part) for of_part in zip(*scores, strict=True)]

    def _fuse(self, scores: list[Vector]) -> Vector:
        logs = [one.surprise(score) for one, score in zip(self._conformal, scores, strict=True)]
        return np.asarray(np.average(logs, axis=0, weights=[WEIGHTS.get(kind, 1.0) for kind in self._kinds]))

    def state(self) -> State:
        """Return what parts have learnt, and how they are calibrated."""
        parts = {"fused": self._fused.state()}
        for part, conformal in zip(self._parts, self._conformal, strict=True):
            parts[part.kind] = part.state()
            parts[f"{part.kind} calibration"] = conformal.state()
        return State(self.kind, {"seed": self._seed, "parts": list(self._kinds)}, parts=parts)

    @classmethod
    def restore(cls, state: State) -> Ensemble:
        """Return the ensemble whose state it is."""
        ensemble = cls(state.values["seed"], state.values["parts"])
        ensemble._parts = [PARTS[kind].restore(state.parts[kind]) for kind in ensemble._kinds]
        ensemble._conformal = [Conformal.restore(state.parts[f"{kind} calibration"]) for kind in ensemble._kinds]
        ensemble._fused = Conformal.restore(state.parts["fused"])
        return ensemble


def _made(kind: str, seed: int) -> Detector:
    part = PARTS[kind]
    return part(seed) if issubclass(part, NearestPrototypes | Autoencoder | IsolationForest) else part()
