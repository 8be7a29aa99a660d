"""Isolation forest: a row is suspicious that few random cuts set apart."""

from __future__ import annotations

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector

TREES = 128
SAMPLE = 256
"""Rows that each tree sees: enough for the shape of what is usual, and few enough that anomalies stand out."""
DEPTH = 8
"""Cuts in a row: the logarithm of SAMPLE, where usual rows are still together."""
EULER = 0.5772156649015329


class IsolationForest:
    """Scores rows by how few random cuts isolate them (Liu, Ting and Zhou, Isolation Forest, 2008)."""

    kind: ClassVar[str] = "isolation-forest"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides samples and cuts."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Grow trees over benign rows; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        random = np.random.default_rng(self._seed)
        size = min(SAMPLE, len(rows))
        nodes = 2 ** (DEPTH + 1) - 1
        self._features = np.zeros((TREES, nodes), dtype=np.int32)
        self._cuts = np.full((TREES, nodes), np.inf)
        self._lengths = np.zeros((TREES, nodes))
        for tree in range(TREES):
            chosen = np.sort(random.choice(len(rows), size, replace=False))
            self._grow(tree, 0, 0, self._scaling.deviations(rows[chosen]), random)
        self._usual = max(_unfinished(size), 1.0)

    def score(self, rows: Matrix) -> Vector:
        """Return 2 to the power of minus the mean path length over its expectation: about .5 is usual, 1 the most."""
        scaled = self._scaling.deviations(rows)
        lengths = np.zeros(len(scaled))
        for features, cuts, leaves in zip(self._features, self._cuts, self._lengths, strict=True):
            lengths += leaves[_leaves(scaled, features, cuts)]
        scores: Vector = np.exp2(-lengths / (TREES * self._usual))
        return scores

    def _grow(self, tree: int, node: int, depth: int, rows: Vector, random: np.random.Generator) -> None:
        low, high = (rows.min(axis=0), rows.max(axis=0)) if len(rows) else (np.empty(0), np.empty(0))
        varied = np.flatnonzero(high > low)
        if depth == DEPTH or not len(varied):
            self._fill(tree, node, depth, depth + _unfinished(len(rows)))
            return
        feature = int(random.choice(varied))
        cut = random.uniform(low[feature], high[feature])
        self._features[tree, node], self._cuts[tree, node] = feature, cut
        right = rows[:, feature] > cut
        self._grow(tree, 2 * node + 1, depth + 1, rows[~right], random)
        self._grow(tree, 2 * node + 2, depth + 1, rows[right], random)

    def _fill(self, tree: int, node: int, depth: int, length: float) -> None:
        """Give a leaf's length to the one descendant at full depth that its rows reach: always the left one."""
        for _ in range(depth, DEPTH):
            node = 2 * node + 1
        self._lengths[tree, node] = length

    def state(self) -> State:
        """Return the trees."""
        return State(
            self.kind,
            {"seed": self._seed, "usual": self._usual},
            {"features": self._features, "cuts": self._cuts, "lengths": self._lengths},
            {"scaling": self._scaling.state()},
        )

    @classmethod
    def restore(cls, state: State) -> IsolationForest:
        """Return the forest whose state it is."""
        forest = cls(state.values["seed"])
        forest._usual = state.values["usual"]
        forest._features, forest._cuts, forest._lengths = (
            state.arrays[name] for name in ("features", "cuts", "lengths")
        )
        forest._scaling = Scaling.restore(state.parts["scaling"])
        return forest


def _leaves(scaled: Vector, features: NDArray[np.int32], cuts: Vector) -> NDArray[np.int64]:
    at = np.arange(len(scaled))
    nodes = np.zeros(len(scaled), dtype=np.int64)
    for _ in range(DEPTH):
        nodes = 2 * nodes + 1 + (scaled[at, features[nodes]] > cuts[nodes])
    return nodes


def _unfinished(rows: int) -> float:
    """Return the mean path length in a tree of so many rows (Liu et al., equation 1)."""
    if rows <= 2:
        return float(max(rows - 1, 0))
    return 2.0 * (math.log(rows - 1) + EULER) - 2.0 * (rows - 1) / rows
