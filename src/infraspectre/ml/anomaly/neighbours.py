"""Nearest prototypes: a row is suspicious that resembles nothing seen before."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import whole_products

PROTOTYPES = 8_192
"""Most prototypes kept; time grows in proportion."""
SAMPLES = 5
"""Samples of prototypes in each of which the nearest is looked for; their mean is steadier (Ting et al., 2017)."""
LOCALITY = 0.5
"""How far distances are relative to those among the prototypes there: 0 not at all, 1 entirely.

What is far in a dense region is usual in a sparse one (Breunig et al., LOF, 2000); entirely relative distances forget
that sparse regions are themselves unusual.
"""
LEAST_DISTANCE = 0.05
"""Least usual distance among prototypes, in deviations."""
STEPS = 16.0
"""Steps of one deviation in which rows are compared: as whole numbers, small enough for exact products."""
ROWS_AT_ONCE = 32
"""Rows compared with all prototypes in one step, so that memory stays bounded and near the processor."""


class NearestPrototypes:
    """Scores rows by their distance to the nearest distinct benign rows, in part relative to what is usual there."""

    kind: ClassVar[str] = "nearest-prototypes"

    def __init__(self, seed: int = 0, prototypes: int = PROTOTYPES) -> None:
        """Start without knowledge; `seed` decides which rows become prototypes, at most so many."""
        self._seed, self._most = seed, prototypes

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Keep distinct benign rows as prototypes; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        distinct = np.unique(self._whole(rows), axis=0)
        kept = distinct[np.random.default_rng(self._seed).permutation(len(distinct))[: self._most]]
        self._keep(kept if len(kept) < SAMPLES else kept[: len(kept) - len(kept) % SAMPLES])
        self._usual = np.zeros(len(self._prototypes))
        apart, among = self._nearest(self._prototypes, apart=True)
        self._usual = np.log(np.maximum(apart.mean(axis=1), LEAST_DISTANCE))
        self.calibration = self._relative(apart, among)

    def _keep(self, prototypes: Matrix) -> None:
        self._prototypes = prototypes
        self._columns = np.ascontiguousarray(prototypes.T)
        self._half_norms = (prototypes**2).sum(axis=1) / 2

    def score(self, rows: Matrix) -> Vector:
        """Return the logarithm of the mean distance, in deviations, less LOCALITY times that of what is usual."""
        return self._relative(*self._nearest(self._whole(rows)))

    def cells(self, rows: Matrix) -> NDArray[np.int64]:
        """Return for each row the place of the prototype nearest to it."""
        distances, places = self._nearest(self._whole(rows))
        return np.asarray(places[np.arange(len(places)), distances.argmin(axis=1)])

    def _relative(self, distances: Vector, places: NDArray[np.int64]) -> Vector:
        return np.asarray(np.log(distances.mean(axis=1) + 1.0 / STEPS) - LOCALITY * self._usual[places].mean(axis=1))

    def _whole(self, rows: Matrix) -> Matrix:
        return np.rint(self._scaling.deviations(rows) * STEPS).astype(np.float32)

    def _nearest(self, whole: Matrix, *, apart: bool = False) -> tuple[Vector, NDArray[np.int64]]:
        """Return (rows, samples) distances to the nearest prototype of each sample, and the places of these.

        `apart` passes over prototypes that equal the row, as each prototype does itself.
        """
        parts = [self._compare(whole[at : at + ROWS_AT_ONCE], apart) for at in range(0, len(whole), ROWS_AT_ONCE)]
        if not parts:
            return np.empty((0, 1)), np.empty((0, 1), dtype=np.int64)
        return np.concatenate([one for one, _ in parts]), np.concatenate([other for _, other in parts])

    def _compare(self, whole: Matrix, apart: bool) -> tuple[Vector, NDArray[np.int64]]:
        """Compare halves of squared distances, less half the row's own norm, which is the same for all prototypes."""
        halves = whole_products(whole, self._columns)
        np.subtract(self._half_norms, halves, out=halves)
        own = (whole**2).sum(axis=1)[:, None] / 2
        if apart and halves.shape[1] > SAMPLES:
            halves[halves <= -own] = np.inf
        samples = SAMPLES if halves.shape[1] % SAMPLES == 0 else 1
        by_sample = halves.reshape(len(whole), samples, -1)
        places = by_sample.argmin(axis=2)
        nearest = np.take_along_axis(by_sample, places[:, :, None], axis=2)[:, :, 0]
        distances = np.sqrt(np.maximum(2.0 * (nearest + own), 0.0)).astype(np.float64) / STEPS
        return distances, places + np.arange(samples) * by_sample.shape[2]

    def state(self) -> State:
        """Return the prototypes."""
        return State(
            self.kind,
            {"seed": self._seed},
            {"prototypes": self._prototypes.astype(np.int16), "usual": self._usual},
            {"scaling": self._scaling.state()},
        )

    @classmethod
    def restore(cls, state: State) -> NearestPrototypes:
        """Return the detector whose state it is."""
        detector = cls(state.values["seed"])
        detector._keep(state.arrays["prototypes"].astype(np.float32))
        detector._usual = state.arrays["usual"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector
