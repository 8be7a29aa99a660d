"""How far a row lies from the nearest rows that are usual."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import squared_distances

SAMPLES = 2
"""Samples of usual rows among which the nearest is looked for; the mean over them is steadier than one."""
USUAL_ROWS = 256
"""Usual rows in all samples: more find little more and cost in proportion."""
ROWS_AT_ONCE = 1_024
CLIP = 6.0
"""Most deviations one feature may add, so that no single feature decides alone."""


class Neighbours:
    """Judges rows by the distance to the nearest usual row, averaged over samples (Ting et al., 2017)."""

    kind: ClassVar[str] = "neighbours"

    def __init__(self, *, seed: int = 0, usual_rows: int = USUAL_ROWS) -> None:
        """Prepare to learn; `seed` draws the samples, of `usual_rows` in all."""
        self._seed, self._rows = seed, usual_rows
        self._centre = self._spread = self._usual = np.empty(0, dtype=np.float32)

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Learn from the benign rows; without labels from all."""
        usual = _flattened(rows if labels is None else rows[labels == 0])
        if not len(usual):
            raise ValueError("there is no usual row to learn from")
        self._centre, self._spread = usual.mean(axis=0), np.maximum(usual.std(axis=0), 1e-3)
        size = min(self._rows, len(usual) - len(usual) % SAMPLES or len(usual))
        drawn = np.random.default_rng(self._seed).choice(len(usual), size=size, replace=False)
        self._usual = self._scaled(usual[drawn])

    def score(self, rows: Matrix) -> Vector:
        """Return the mean distance to the nearest row of each sample, in standard deviations per feature."""
        scaled = self._scaled(_flattened(rows))
        parts = [self._near(scaled[start : start + ROWS_AT_ONCE]) for start in range(0, len(scaled), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _near(self, rows: Matrix) -> Vector:
        samples = SAMPLES if len(self._usual) % SAMPLES == 0 else 1
        nearest = np.sqrt(squared_distances(rows, self._usual).reshape(len(rows), samples, -1).min(axis=2))
        return np.asarray(nearest.mean(axis=1) / np.sqrt(max(1, rows.shape[1])), dtype=np.float64)

    def nearest(self, rows: Matrix) -> NDArray[np.int64]:
        """Return for each row the place of the nearest usual row."""
        scaled = self._scaled(_flattened(rows))
        parts = [
            squared_distances(scaled[i : i + ROWS_AT_ONCE], self._usual).argmin(axis=1)
            for i in range(0, len(scaled), ROWS_AT_ONCE)
        ]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _scaled(self, flattened: Matrix) -> Matrix:
        scaled = np.clip((flattened - self._centre) / self._spread, -CLIP, CLIP)
        return np.asarray(np.nan_to_num(scaled, copy=False, nan=0.0), dtype=np.float32)

    def state(self) -> State:
        """Return what was learnt."""
        return State(self.kind, {}, {"centre": self._centre, "spread": self._spread, "usual": self._usual})

    @classmethod
    def restore(cls, state: State) -> Neighbours:
        """Return the detector whose state it is."""
        neighbours = cls()
        neighbours._centre, neighbours._spread, neighbours._usual = (
            np.asarray(state.arrays[name], dtype=np.float32) for name in ("centre", "spread", "usual")
        )
        return neighbours


def _flattened(rows: Matrix) -> NDArray[np.float32]:
    """Return the signed logarithm of each value, which draws in the long tails of amounts."""
    clean = np.nan_to_num(rows, nan=0.0)
    return np.asarray(np.sign(clean) * np.log1p(np.abs(clean)), dtype=np.float32)
