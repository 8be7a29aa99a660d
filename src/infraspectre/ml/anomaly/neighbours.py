"""Nearest prototypes: a row is suspicious that resembles nothing seen before."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import GRID, Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import product

PROTOTYPES = 8_192
"""Most prototypes kept; time grows in proportion."""
LOCALITY = 0.5
"""How far distances are relative to those among the prototypes there: 0 not at all, 1 entirely.

What is far in a dense region is usual in a sparse one (Breunig et al., LOF, 2000); entirely relative distances forget
that sparse regions are themselves unusual.
"""
LEAST_DISTANCE = 0.05
"""Least usual distance among prototypes, in deviations."""
NEIGHBOURS = 5
"""Prototypes whose distances are averaged: one alone may be a stray row."""
ROWS_AT_ONCE = 512
"""Rows compared with all prototypes in one step, so that memory stays bounded."""
SMALLEST = 1.0 / GRID
"""Added to distances before their logarithm is taken; no two different rows are closer."""


class NearestPrototypes:
    """Scores rows by their distance to the nearest distinct benign rows, in part relative to what is usual there."""

    kind: ClassVar[str] = "nearest-prototypes"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides which rows become prototypes."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Keep distinct benign rows as prototypes; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        distinct = np.unique(self._scaling.deviations(rows), axis=0)
        chosen = np.random.default_rng(self._seed).permutation(len(distinct))[:PROTOTYPES]
        self._prototypes = distinct[np.sort(chosen)]
        self._usual = np.zeros(len(self._prototypes))
        among = self._nearest(self._prototypes, NEIGHBOURS + 1)[0][:, 1:]
        usual = among.mean(axis=1) if among.shape[1] else np.zeros(1)
        self._usual = np.log(np.maximum(usual, LEAST_DISTANCE))

    def score(self, rows: Matrix) -> Vector:
        """Return the logarithm of the mean distance, in deviations, less LOCALITY times that of what is usual."""
        distances, usual = self._nearest(self._scaling.deviations(rows), NEIGHBOURS)
        scores: Vector = np.log(distances.mean(axis=1) + SMALLEST) - LOCALITY * usual.mean(axis=1)
        return scores

    def _nearest(self, scaled: Vector, count: int) -> tuple[Vector, Vector]:
        """Return (rows, count) distances to the nearest prototypes, in order, and what is usual for each of these."""
        parts = [self._compare(scaled[at : at + ROWS_AT_ONCE], count) for at in range(0, len(scaled), ROWS_AT_ONCE)]
        if not parts:
            return np.empty((0, count)), np.empty((0, count))
        return np.concatenate([one for one, _ in parts]), np.concatenate([other for _, other in parts])

    def _compare(self, scaled: Vector, count: int) -> tuple[Vector, Vector]:
        norms = (scaled**2).sum(axis=1)[:, None] + (self._prototypes**2).sum(axis=1)[None, :]
        squares = np.maximum(norms - 2.0 * product(scaled, self._prototypes.T), 0.0)
        count = min(count, squares.shape[1])
        chosen = np.argpartition(squares, count - 1, axis=1)[:, :count]
        nearest = np.take_along_axis(squares, chosen, axis=1)
        usual = self._usual[chosen]
        order = np.lexsort((usual, nearest), axis=1)
        return np.sqrt(np.take_along_axis(nearest, order, axis=1)), np.take_along_axis(usual, order, axis=1)

    def state(self) -> State:
        """Return the prototypes."""
        arrays = {"prototypes": self._prototypes, "usual": self._usual}
        return State(self.kind, {"seed": self._seed}, arrays, {"scaling": self._scaling.state()})

    @classmethod
    def restore(cls, state: State) -> NearestPrototypes:
        """Return the detector whose state it is."""
        detector = cls(state.values["seed"])
        detector._prototypes, detector._usual = state.arrays["prototypes"], state.arrays["usual"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector
