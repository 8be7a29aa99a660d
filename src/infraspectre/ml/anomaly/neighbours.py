"""Nearest prototypes: a row is suspicious that resembles nothing seen before."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import GRID, Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import product

PROTOTYPES = 4_096
"""Most prototypes kept; more cost time in proportion and gain little."""
NEIGHBOURS = 3
"""Prototypes whose distances are averaged: one alone may be a stray row."""
ROWS_AT_ONCE = 512
"""Rows compared with all prototypes in one step, so that memory stays bounded."""
SMALLEST = 1.0 / GRID
"""Added to distances before their logarithm is taken; no two different rows are closer."""


class NearestPrototypes:
    """Scores rows by the logarithm of their mean distance to the nearest distinct benign rows."""

    kind: ClassVar[str] = "nearest-prototypes"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides which rows become prototypes."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Keep distinct benign rows as prototypes; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        distinct = np.unique(self._scaling.deviations(rows), axis=0)
        random = np.random.default_rng(self._seed)
        chosen = random.permutation(len(distinct))[:PROTOTYPES]
        self._prototypes = distinct[np.sort(chosen)]

    def score(self, rows: Matrix) -> Vector:
        """Return the logarithm of the mean distance to the nearest prototypes, in deviations."""
        scaled = self._scaling.deviations(rows)
        parts = [self._near(scaled[at : at + ROWS_AT_ONCE]) for at in range(0, len(scaled), ROWS_AT_ONCE)]
        return np.concatenate(parts) if parts else np.empty(0)

    def _near(self, scaled: Vector) -> Vector:
        norms = (scaled**2).sum(axis=1)[:, None] + (self._prototypes**2).sum(axis=1)[None, :]
        squares = np.maximum(norms - 2.0 * product(scaled, self._prototypes.T), 0.0)
        count = min(NEIGHBOURS, squares.shape[1])
        nearest = np.sort(np.partition(squares, count - 1, axis=1)[:, :count], axis=1)
        logarithms: Vector = np.log(np.sqrt(nearest).mean(axis=1) + SMALLEST)
        return logarithms

    def state(self) -> State:
        """Return the prototypes."""
        return State(
            self.kind, {"seed": self._seed}, {"prototypes": self._prototypes}, {"scaling": self._scaling.state()}
        )

    @classmethod
    def restore(cls, state: State) -> NearestPrototypes:
        """Return the detector whose state it is."""
        detector = cls(state.values["seed"])
        detector._prototypes = state.arrays["prototypes"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector
