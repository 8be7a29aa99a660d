"""From scores to probabilities that hold, learnt on rows that the scores were not learnt from."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression

from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.detector import State, Vector

BINS = 256
"""Most bins of scores that the isotonic curve is drawn through."""
RATE = 0.01
"""Share of benign rows that may be called hostile unless another is wanted."""
SOFTNESS = 4.0
"""Makes scores from 0 to 1 of logarithms of odds without many of them ending at 1."""
NEWTON_STEPS = 50
RIDGE = 1e-3
"""Penalty on squared weights: keeps them finite where scores separate the classes."""
CERTAIN = 40.0
"""Largest logarithm of odds; the probability beyond is 1 in double precision."""


def logistic(values: Vector) -> Vector:
    """Return the logistic function of each value, without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * values)), dtype=np.float64)


def shown(scores: Vector, threshold: float) -> Vector:
    """Return scores as models show them: from 0 to 1, and one half at the threshold."""
    return logistic((scores - threshold) / SOFTNESS)


def fit_logistic(features: NDArray[np.float64], outcomes: Vector, weights: Vector | None = None) -> Vector:
    """Return intercept and weights of a logistic regression, by Newton's method with a small ridge.

    `features` is rows by features; outcomes lie from 0 to 1.
    """
    design = np.column_stack([np.ones(len(features)), features])
    importance = np.ones(len(features)) if weights is None else weights
    beta = np.zeros(design.shape[1])
    penalty = RIDGE * np.eye(len(beta))
    for _ in range(NEWTON_STEPS):
        fitted = logistic(np.einsum("ij,j->i", design, beta))
        slope = np.einsum("ij,i->j", design, importance * (outcomes - fitted)) - RIDGE * beta
        curve = np.einsum("ij,i,ik->jk", design, importance * fitted * (1 - fitted), design) + penalty
        step = np.linalg.solve(curve, slope)
        # A step is halved where it would be wild: separable scores let Newton's method run away.
        step *= min(1.0, 5.0 / max(1e-12, float(np.abs(step).max())))
        beta = beta + step
        if np.abs(step).max() < 1e-8:
            break
    return beta


class Calibration:
    """Maps scores to the probability of the outcome, and to an interval that holds the outcome as often as stated.

    The probability is the mean of Platt's curve (Platt, 1999), which is smooth, and the isotonic one (Zadrozny and
    Elkan, 2002), which takes any shape. The interval is the split conformal one of the outcome, 0 or 1, by the size of
    the residual (Vovk et al., 2005): it holds for rows like those it was learnt from, on average over them.
    """

    kind: ClassVar[str] = "calibration"

    def __init__(self, platt: Vector, curve: NDArray[np.float64], width: float) -> None:
        """Use Platt's intercept and slope, an isotonic curve (2, points) and half the width of intervals."""
        self._platt, self._curve, self._width = platt, curve, width

    @classmethod
    def learn(cls, scores: Vector, outcomes: Vector, *, confidence: float = 0.9) -> Calibration:
        """Learn from scores of rows that they were not learnt from, and whether each outcome is 1 or 0."""
        even = np.arange(len(scores)) % 2 == 0
        width = 0.0
        if even.sum() >= 2:
            part = cls(*_curves(scores[even], outcomes[even]), 0.0)
            residuals = np.abs(outcomes[~even] - part.probabilities(scores[~even]))
            width = conformal_quantile(residuals, confidence, highest=1.0)
        return cls(*_curves(scores, outcomes), width)

    def probabilities(self, scores: Vector) -> Vector:
        """Return the probability of each score."""
        smooth = logistic(np.clip(self._platt[0] + self._platt[1] * scores, -CERTAIN, CERTAIN))
        return np.asarray((smooth + np.interp(scores, self._curve[0], self._curve[1])) / 2.0)

    def interval(self, probabilities: Vector) -> tuple[Vector, Vector]:
        """Return the ends of the interval of each probability."""
        return np.maximum(probabilities - self._width, 0.0), np.minimum(probabilities + self._width, 1.0)

    def state(self) -> State:
        """Return what was learnt."""
        return State(self.kind, {"width": self._width}, {"platt": self._platt, "curve": self._curve})

    @classmethod
    def restore(cls, state: State) -> Calibration:
        """Return the calibration whose state it is."""
        return cls(state.arrays["platt"], state.arrays["curve"], float(state.values["width"]))


MOST_HOSTILE = 4_096
"""Most scores of hostile rows kept, evenly spaced."""
RECALL_SPENT = 0.002
"""Most recall that a more cautious threshold may cost."""


class Thresholds:
    """Fixes thresholds on benign rows that were judged by members that had not learnt them.

    `near` holds scores by members that had learnt like rows, as of later data of the same kind; `far` by members that
    had not, as of data that has drifted. Thresholds rise from the near one to the far one as far as that costs hardly
    any recall: caution is taken where it is almost free.
    """

    kind: ClassVar[str] = "thresholds"

    def __init__(self, near: Conformal, far: Conformal, hostile: Vector) -> None:
        """Use the ranks of benign scores, and ascending scores of hostile rows, of which there may be none."""
        self.near, self._far, self._hostile = near, far, hostile

    @classmethod
    def learn(cls, near: Vector, far: Vector, hostile: Vector) -> Thresholds:
        """Learn from benign scores of both kinds and scores of hostile rows; of these, evenly spaced ones are kept."""
        ordered = np.sort(hostile)
        places = np.linspace(0, len(ordered) - 1, min(MOST_HOSTILE, len(ordered))).astype(np.int64)
        return cls(Conformal(near), Conformal(far), ordered[places])

    def at(self, rate: float) -> float:
        """Return the score above which a later benign row lies with at most this probability; never infinite.

        Where too few rows are known for the rate, it is the highest of their scores.
        """
        low, high = (min(each.threshold(rate), float(each.scores[-1])) for each in (self.near, self._far))
        if high <= low or not len(self._hostile):
            return low
        missed = int(np.searchsorted(self._hostile, low, side="right")) + int(RECALL_SPENT * len(self._hostile))
        free = float(self._hostile[missed]) if missed < len(self._hostile) else high
        return max(low, min(high, free))

    def state(self) -> State:
        """Return what was learnt."""
        return State(self.kind, {}, {"hostile": self._hostile}, {"near": self.near.state(), "far": self._far.state()})

    @classmethod
    def restore(cls, state: State) -> Thresholds:
        """Return the thresholds whose state it is."""
        return cls(
            Conformal.restore(state.parts["near"]), Conformal.restore(state.parts["far"]), state.arrays["hostile"]
        )


def conformal_quantile(values: Vector, share: float, *, highest: float = math.inf) -> float:
    """Return what the next value exceeds with a probability of at most 1 - `share`.

    It is the ceil((n + 1) share)-th smallest of n, which corrects for small n (Vovk et al., 2005), or `highest` where
    there are too few.
    """
    place = math.ceil((len(values) + 1) * share)
    return float(np.partition(values, place - 1)[place - 1]) if place <= len(values) else highest


def _curves(scores: Vector, outcomes: Vector) -> tuple[Vector, NDArray[np.float64]]:
    platt = fit_logistic(scores[:, None], outcomes)
    order = np.argsort(scores, kind="stable")
    bins = np.array_split(order, min(BINS, max(1, len(order) // 2)))
    centres = np.array([scores[part].mean() for part in bins])
    # One more outcome of either kind in each bin (Laplace): no bin is certain.
    shares = np.array([(outcomes[part].sum() + 0.5) / (len(part) + 1.0) for part in bins])
    fitted = isotonic_regression(shares, weights=np.array([len(part) for part in bins], dtype=np.float64)).x
    return platt, np.stack([centres, fitted])
