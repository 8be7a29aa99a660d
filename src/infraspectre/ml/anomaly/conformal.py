"""Conformal p-values: how rare a score is among benign rows, without assumptions about its distribution."""

from __future__ import annotations

import numpy as np

from infraspectre.ml.detector import State, Vector

MOST_KEPT = 16_384
"""Most calibration scores kept, as evenly spaced order statistics with the extremes among them."""


class Conformal:
    """Gives the p-value of a score among calibration scores (Vovk, Gammerman and Shafer, 2005)."""

    def __init__(self, scores: Vector) -> None:
        """Keep calibration scores, which must not come from rows that the detector has learnt."""
        ordered = np.sort(scores)
        if len(ordered) > MOST_KEPT:
            ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_KEPT).round().astype(np.int64)]
        self._scores = ordered

    def p_values(self, scores: Vector) -> Vector:
        """Return (1 + calibration scores at least as high) / (1 + calibration scores), in (0, 1]."""
        count = len(self._scores)
        higher = count - np.searchsorted(self._scores, scores, side="left")
        shares: Vector = (1.0 + higher) / (1.0 + count)
        return shares

    def threshold(self, rate: float) -> float:
        """Return the score that benign rows exceed at most at this rate (0 to 1); infinity if too few are known."""
        count = len(self._scores)
        allowed = int(np.floor(rate * (count + 1))) - 1
        if allowed < 0:
            return float("inf")
        return float(self._scores[max(count - 1 - allowed, 0)])

    def state(self) -> State:
        """Return the calibration scores."""
        return State("conformal", arrays={"scores": self._scores})

    @classmethod
    def restore(cls, state: State) -> Conformal:
        """Return the calibration whose state it is."""
        return cls(state.arrays["scores"])
