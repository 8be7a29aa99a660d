"""Which class a hostile row belongs to: two kinds of boosted trees, and a choice that does rare classes justice."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from infraspectre.ml.anomaly.conformal import conformal_threshold
from infraspectre.ml.anomaly.neighbours import NearestPrototypes
from infraspectre.ml.anomaly.parts import copies, folds
from infraspectre.ml.boosting import Boosting, Shape
from infraspectre.ml.detector import Labels, Matrix, State, Vector

Choice = NDArray[np.int64]
"""The number of the class that each row is said to be of."""

FAMILIES = Shape(rounds=60, min_child_weight=0.05, bins=256)
"""A class of some twenty rows weighs next to nothing at the start: with the usual least weight of a leaf no tree would
ever part it from others."""
SHARED_LEARNING_RATE = 0.25
"""Of the ensemble with one tree for all classes: it and that with a tree for each class err on different rows."""
FOLDS, FEW_FOLDS = 5, 2
MUCH = 500_000
"""Rows times classes above which rows are judged apart in few folds, to save time."""
PASSES = 6
"""Most rounds over all classes; the choice is hardly ever improved after four."""
WIDE_STEPS = np.exp(np.linspace(-3.0, 3.0, 49))
FINE_STEPS = np.exp(np.linspace(-0.6, 0.6, 25))
"""Factors tried for a multiplier, in the first round over the classes and in later ones."""
KNOWN_ROWS = 128
"""Rows of a class to which others are compared."""
NOVEL_RATE = 0.05
"""Share of rows of a known class that may be called unlike all of it."""


class Families:
    """Names the class of rows that are hostile, by the mean of two ensembles of trees and a factor for each class."""

    kind: ClassVar[str] = "families"

    def __init__(self, shape: Shape = FAMILIES, *, seed: int = 0) -> None:
        """Prepare to learn; `seed` draws folds, trees and rows."""
        self._shapes = shape, replace(shape, learning_rate=SHARED_LEARNING_RATE, shared_trees=True)
        self._seed = seed
        self._trees: list[Boosting] = []
        self._factors: Vector = np.ones(0)
        self._likeness = Likeness([], np.empty(0))

    def learn(self, rows: Matrix, labels: Labels) -> None:
        """Learn from hostile rows with the number of each row's class, counted from 0."""
        classes = max(2, int(labels.max()) + 1)
        count = FOLDS if len(rows) * classes <= MUCH else FEW_FOLDS
        fold_of = folds(copies(rows), count, self._seed)
        apart = np.zeros((len(rows), classes))
        for fold in range(count):
            held = fold_of == fold
            if held.any() and not held.all():
                apart[held] = _mean(self._grown(rows[~held], labels[~held], classes), rows[held])
        self._factors = fair_factors(apart, labels)
        self._trees = self._grown(rows, labels, classes)
        self._likeness = Likeness.learn(rows, labels, fold_of == 0, classes, self._seed)

    def _grown(self, rows: Matrix, labels: Labels, classes: int) -> list[Boosting]:
        # Two classes are told apart by one tree a round in either shape.
        trees = [Boosting(classes, shape, seed=self._seed) for shape in self._shapes[: 2 if classes > 2 else 1]]
        for each in trees:
            each.learn(rows, labels)
        return trees

    def probabilities(self, rows: Matrix) -> NDArray[np.float64]:
        """Return how probable each class is (rows, classes), as learnt."""
        return _mean(self._trees, rows)

    def choose(self, rows: Matrix) -> Choice:
        """Return the class that each row is said to be of."""
        return np.asarray((self.probabilities(rows) * self._factors).argmax(axis=1), dtype=np.int64)

    def novel(self, rows: Matrix, chosen: Choice) -> NDArray[np.bool_]:
        """Tell which rows are unlike those of the class that they are said to be of."""
        return self._likeness.missing(rows, chosen)

    def state(self) -> State:
        """Return what was learnt."""
        parts = {f"trees{place}": each.state() for place, each in enumerate(self._trees)}
        parts["likeness"] = self._likeness.state()
        return State(self.kind, {"trees": len(self._trees)}, {"factors": self._factors}, parts)

    @classmethod
    def restore(cls, state: State) -> Families:
        """Return families that choose exactly as those whose state it is."""
        families = cls()
        families._trees = [Boosting.restore(state.parts[f"trees{place}"]) for place in range(state.values["trees"])]
        families._factors = state.arrays["factors"]
        families._likeness = Likeness.restore(state.parts["likeness"])
        return families


class Likeness:
    """Tells whether a row is as near to known rows of a class as others of that class are."""

    kind: ClassVar[str] = "likeness"

    def __init__(self, known: list[NearestPrototypes | None], limits: Vector) -> None:
        """Compare with known rows of each class; `limits` are the distances within which most others of it lie."""
        self._known, self._limits = known, limits

    @classmethod
    def learn(cls, rows: Matrix, labels: Labels, aside: NDArray[np.bool_], classes: int, seed: int) -> Likeness:
        """Learn what rows of each class look like; the limit is fixed on rows set aside.

        It is the label-conditional conformal quantile (Vovk et al., 2005), which is infinite for too few rows: such a
        class is like anything.
        """
        known: list[NearestPrototypes | None] = [None] * classes
        limits = np.full(classes, np.inf)
        for kind in range(classes):
            ours, others = rows[(labels == kind) & ~aside], rows[(labels == kind) & aside]
            if len(ours) and len(others):
                found = NearestPrototypes(seed, KNOWN_ROWS)
                found.learn(ours)
                known[kind], limits[kind] = found, conformal_threshold(np.sort(found.score(others)), NOVEL_RATE)
        return cls(known, limits)

    def missing(self, rows: Matrix, chosen: Choice) -> NDArray[np.bool_]:
        """Tell which rows lie further from known ones of their class than all but few others of it."""
        far = np.zeros(len(rows), dtype=bool)
        for kind in np.unique(chosen).tolist():
            known, ours = self._known[kind], chosen == kind
            if known is not None:
                far[ours] = known.score(rows[ours]) > self._limits[kind]
        return far

    def state(self) -> State:
        """Return what was learnt."""
        parts = {str(kind): each.state() for kind, each in enumerate(self._known) if each is not None}
        return State(self.kind, {}, {"limits": self._limits}, parts)

    @classmethod
    def restore(cls, state: State) -> Likeness:
        """Return the likeness whose state it is."""
        limits, parts = state.arrays["limits"], state.parts
        kinds = map(str, range(len(limits)))
        return cls([NearestPrototypes.restore(parts[kind]) if kind in parts else None for kind in kinds], limits)


def _mean(trees: list[Boosting], rows: Matrix) -> NDArray[np.float64]:
    return np.asarray(np.mean([each.probabilities(rows) for each in trees], axis=0), dtype=np.float64)


def fair_factors(probabilities: NDArray[np.float64], labels: Labels) -> Vector:
    """Return a factor for each class's probability, with which the most probable class has the best macro-F1.

    `probabilities` (rows, classes) must come from trees that did not learn these rows. Found by coordinate ascent, as
    thresholds that maximise F1 are (Lipton et al., Optimal Thresholding of Classifiers to Maximize F1 Measure, 2014).
    """
    factors = np.ones(probabilities.shape[1])
    best = _macro_f1(labels, probabilities.argmax(axis=1), len(factors))
    for turn in range(PASSES):
        before = best
        for kind in range(len(factors)):
            others = probabilities * factors
            others[:, kind] = -1.0
            rival, needed = others.argmax(axis=1), others.max(axis=1) / np.maximum(probabilities[:, kind], 1e-12)
            for factor in factors[kind] * (FINE_STEPS if turn else WIDE_STEPS):
                found = _macro_f1(labels, np.where(needed < factor, kind, rival), len(factors))
                if found > best:
                    best, factors[kind] = found, factor
        if best == before:
            break
    return factors


def _macro_f1(truth: Labels, chosen: Choice, classes: int) -> float:
    right = np.bincount(truth[truth == chosen], minlength=classes)
    named = np.bincount(truth, minlength=classes) + np.bincount(chosen, minlength=classes)
    return float(np.mean(2 * right / np.maximum(1, named)))
