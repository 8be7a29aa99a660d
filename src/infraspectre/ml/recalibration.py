"""Thresholds that keep their rate of alerts over time, without labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.detector import State, Vector

MOST_DRIFT = 2.0
"""Most that the threshold may move from where it was fixed, in robust spreads of the upper half of scores."""
STEP = 0.05
"""Share of the distance to the newly measured middle and spread that one window moves the threshold."""
WINDOW = 1_024
"""Scores that are judged together before the threshold may move."""
SPREAD_FACTOR = 2.0
"""Most that the measured spread may grow or shrink."""


class Recalibration:
    """Follows the drift of usual scores and moves the threshold with them.

    A threshold that chased the wanted rate of alerts would rise with every burst of attacks until they are silent. This
    one looks only at the quartiles of scores, which no attack moves that makes up less than a quarter of a window: the
    threshold keeps its place relative to median and distance to the upper quartile. Each window moves it by a small
    share of the difference, and never farther from where it was fixed than MOST_DRIFT allows, so that even attacks that
    are the majority for long cannot carry it away.
    """

    def __init__(self, scores: Vector, threshold: float) -> None:
        """Take benign scores, not learnt from, and the threshold fixed on them; raise `InputError` if none is known."""
        if not len(scores) or not np.isfinite(scores).all():
            raise InputError("scores are missing or not finite", remedy="give scores of benign rows")
        self._middle, self._spread = _middle_and_spread(scores)
        self._first = threshold
        self._threshold = threshold
        self._waiting = np.empty(0)

    @property
    def threshold(self) -> float:
        """Return the score above which rows are alerts now."""
        return self._threshold

    def alerts(self, scores: Vector) -> NDArray[np.bool_]:
        """Tell which scores are alerts, in their order; each is judged before the threshold moves by it."""
        flags = np.zeros(len(scores), dtype=np.bool_)
        done = 0
        while done < len(scores):
            room = WINDOW - len(self._waiting)
            some = scores[done : done + room]
            flags[done : done + room] = some > self._threshold
            self._waiting = np.concatenate([self._waiting, some])
            done += len(some)
            if len(self._waiting) == WINDOW:
                self._move()
        return flags

    def _move(self) -> None:
        middle, spread = _middle_and_spread(self._waiting)
        spread = min(max(spread, self._spread / SPREAD_FACTOR), self._spread * SPREAD_FACTOR)
        wanted = middle + (self._first - self._middle) * spread / self._spread
        moved = self._threshold + STEP * (wanted - self._threshold)
        bound = MOST_DRIFT * self._spread
        self._threshold = min(max(moved, self._first - bound), self._first + bound)
        self._waiting = np.empty(0)

    def state(self) -> State:
        """Return the threshold, what it is relative to, and the scores of the window that is not full."""
        values = {"middle": self._middle, "spread": self._spread, "first": self._first, "threshold": self._threshold}
        return State("recalibration", values, {"waiting": self._waiting})

    @classmethod
    def restore(cls, state: State) -> Recalibration:
        """Return the recalibration whose state it is."""
        restored = cls.__new__(cls)
        restored._middle, restored._spread = state.values["middle"], state.values["spread"]
        restored._first, restored._threshold = state.values["first"], state.values["threshold"]
        restored._waiting = state.arrays["waiting"]
        return restored


def _middle_and_spread(scores: Vector) -> tuple[float, float]:
    """Return the median and the distance from it to the upper quartile, at least a little."""
    middle, upper = np.quantile(scores, (0.5, 0.75)).tolist()
    return middle, max(upper - middle, 1e-9)
