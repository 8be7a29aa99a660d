"""Which class a hostile row belongs to: boosted trees, and a choice that does every class justice, rare ones too."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.anomaly.parts import copies, folds
from infraspectre.ml.boosting import Boosting, Shape, class_weights
from infraspectre.ml.detector import Labels, Matrix, State, Vector

FOLDS = 5
SHAPE = Shape(rounds=60, depth=6)
WEIGHT_POWER = 0.25
"""A class weighs its share to the power of minus this, so that trees are also grown for the rare ones."""
PASSES = 6
"""Most rounds over all classes; the choice is hardly ever improved after four."""
WIDE_STEPS = np.exp(np.linspace(-3.0, 3.0, 49))
FINE_STEPS = np.exp(np.linspace(-0.6, 0.6, 25))
"""Factors tried for a multiplier, in the first round over the classes and later ones."""


class Families:
    """Names the class of rows that are hostile; learns what the others of its kind do not look like."""

    kind: ClassVar[str] = "families"

    def __init__(self, *, seed: int = 0) -> None:
        """Prepare to learn; `seed` draws folds and trees."""
        self._seed = seed
        self._trees = Boosting()
        self._multipliers: Vector = np.ones(0)

    def learn(self, rows: Matrix, labels: Labels) -> None:
        """Learn from hostile rows with the number of each row's class, counted from 0."""
        classes = max(2, int(labels.max()) + 1)
        fold_of = folds(copies(rows), FOLDS, self._seed)
        apart = np.zeros((len(rows), classes))
        for fold in range(FOLDS):
            held = fold_of == fold
            if held.any() and not held.all():
                apart[held] = self._grown(rows[~held], labels[~held], classes).probabilities(rows[held])
        self._multipliers = fair_multipliers(apart, labels)
        self._trees = self._grown(rows, labels, classes)

    def _grown(self, rows: Matrix, labels: Labels, classes: int) -> Boosting:
        trees = Boosting(classes, SHAPE, seed=self._seed)
        trees.learn(rows, labels, weights=class_weights(labels, WEIGHT_POWER))
        return trees

    def probabilities(self, rows: Matrix) -> NDArray[np.float64]:
        """Return how probable each class is (rows, classes)."""
        return self._trees.probabilities(rows)

    def choose(self, rows: Matrix) -> NDArray[np.int64]:
        """Return the number of the class that each row is said to be of."""
        return np.asarray((self.probabilities(rows) * self._multipliers).argmax(axis=1), dtype=np.int64)

    def state(self) -> State:
        """Return what was learnt."""
        return State(self.kind, {}, {"multipliers": self._multipliers}, {"trees": self._trees.state()})

    @classmethod
    def restore(cls, state: State) -> Families:
        """Return families that choose exactly as those whose state it is."""
        families = cls()
        families._trees = Boosting.restore(state.parts["trees"])
        families._multipliers = state.arrays["multipliers"]
        return families


def fair_multipliers(probabilities: NDArray[np.float64], labels: Labels) -> Vector:
    """Return a factor for each class's probability, with which the most probable class has the best macro-F1.

    `probabilities` (rows, classes) must come from trees that did not learn these rows. Found by coordinate ascent, as
    per-class thresholds that maximise F1 are (Lipton et al., Optimal Thresholding of Classifiers, 2014).
    """
    factors = np.ones(probabilities.shape[1])
    best = macro_f1(labels, probabilities.argmax(axis=1), len(factors))
    for turn in range(PASSES):
        before = best
        for kind in range(len(factors)):
            others = probabilities * factors
            others[:, kind] = -1.0
            rival, needed = others.argmax(axis=1), others.max(axis=1) / np.maximum(probabilities[:, kind], 1e-12)
            for factor in factors[kind] * (FINE_STEPS if turn else WIDE_STEPS):
                found = macro_f1(labels, np.where(needed < factor, kind, rival), len(factors))
                if found > best:
                    best, factors[kind] = found, factor
        if best == before:
            break
    return factors


def macro_f1(truth: Labels, chosen: NDArray[np.int64], classes: int) -> float:
    """Return the mean over classes of the harmonic mean of precision and recall; a class never seen counts 0."""
    right = np.bincount(truth[truth == chosen], minlength=classes)
    named = np.bincount(truth, minlength=classes) + np.bincount(chosen, minlength=classes)
    return float(np.mean(2 * right / np.maximum(1, named)))
