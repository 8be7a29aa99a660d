"""Conformal p-values: how rare a score is among benign rows, without assumptions about its distribution."""

from __future__ import annotations

import math

import numpy as np

from infraspectre.ml.detector import State, Vector

MOST_KEPT = 16_384
"""Most calibration scores kept, as evenly spaced order statistics with the extremes among them."""
TAIL = 50
"""One in so many calibration scores, the highest, tells how scores fall off."""
MOST_EXCESS = 20.0
"""Most by which a score beyond all calibration scores is more surprising than the highest of them."""
PRIORS = (0.01, 0.1, 0.5)
"""Shares of hostile rows for the low end, the probability and the high end where no label says how many there are."""
TINY = 1e-6
"""Least mean excess, where calibration scores are all alike."""


def conformal_threshold(ordered: Vector, rate: float) -> float:
    """Return the score that at most this share of further benign rows exceeds, by rising scores of benign rows.

    Infinite for too few of them. Of n + 1 exchangeable rows at most floor(rate (n + 1)) lie above it: the split
    conformal quantile (Vovk et al., 2005).
    """
    above = int(rate * (len(ordered) + 1))
    return float(ordered[max(len(ordered) - above, 0)]) if above else math.inf


class Conformal:
    """Gives the p-value of a score among calibration scores (Vovk, Gammerman and Shafer, 2005)."""

    def __init__(self, scores: Vector) -> None:
        """Keep calibration scores, which must not come from rows that the detector has learnt."""
        ordered = np.sort(scores)
        if len(ordered) > MOST_KEPT:
            ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_KEPT).round().astype(np.int64)]
        self.scores = ordered
        self._highest = float(ordered[-1])
        self._tail = max(
            float(ordered[-max(1, len(ordered) // TAIL) :].mean() - np.quantile(ordered, 1 - 1 / TAIL)), TINY
        )

    def p_values(self, scores: Vector) -> Vector:
        """Return (1 + calibration scores at least as high) / (1 + calibration scores), in (0, 1]."""
        count = len(self.scores)
        higher = count - np.searchsorted(self.scores, scores, side="left")
        return np.asarray((1.0 + higher) / (1.0 + count), dtype=np.float64)

    def surprise(self, scores: Vector) -> Vector:
        """Return -log p, which goes on rising, as an exponential tail would, above the highest calibration score.

        A p-value is at least one over the number of calibration rows: all scores beyond theirs would be equal. Scores
        exceed a high threshold about exponentially (Pickands, 1975; here with shape 0); the rise is bounded.
        """
        excess = np.clip((scores - self._highest) / self._tail, 0.0, MOST_EXCESS)
        return np.asarray(excess - np.log(self.p_values(scores)), dtype=np.float64)

    def posterior(self, scores: Vector) -> tuple[Vector, Vector, Vector]:
        """Return the probability that rows are not benign, and its low and high end, for want of labels.

        The evidence of a p-value is at most 1 / (-e p ln p) (Sellke, Bayarri and Berger, 2001); how common hostile rows
        are is not known, so the ends are those for PRIORS.
        """
        p = np.minimum(self.p_values(scores), math.exp(-1.0))
        evidence = 1.0 / (-math.e * p * np.log(p))
        low, middle, high = (prior * evidence / (prior * evidence + 1.0 - prior) for prior in PRIORS)
        return middle, low, high

    def threshold(self, rate: float) -> float:
        """Return the score that benign rows exceed at most at this rate (0 to 1); infinity if too few are known."""
        return conformal_threshold(self.scores, rate)

    def state(self) -> State:
        """Return the calibration scores."""
        return State("conformal", arrays={"scores": self.scores})

    @classmethod
    def restore(cls, state: State) -> Conformal:
        """Return the calibration whose state it is."""
        return cls(state.arrays["scores"])
