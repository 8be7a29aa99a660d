"""Contexts: how usual what stands beside a text is among benign ones, and how much more so among hostile ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from infraspectre.ml.detector import Labels, Matrix, State, Vector

UNSEEN_TEXTS = 20.0
"""Texts that a context is taken to have been seen with beforehand, in the proportion of both sides together: few texts
move its ratio little."""
FEATURES = ["context_bits", "context_ratio"]


class Contexts:
    """Knows the share of each context among benign and among hostile texts; "" stands for one that is not known."""

    kind = "contexts"

    def __init__(self, benign: Mapping[str, float], hostile: Mapping[str, float]) -> None:
        """Take over the weight of texts of each side in each context."""
        self._benign, self._hostile = dict(benign), dict(hostile)
        self._totals = sum(benign.values()) or 1.0, sum(hostile.values()) or 1.0

    @classmethod
    def learn(cls, contexts: Sequence[str], labels: Labels, weights: Vector) -> Contexts:
        """Sum up weights by context and side; rare contexts are left to the prior."""
        sides: tuple[dict[str, float], dict[str, float]] = {}, {}
        for context, label, weight in zip(contexts, labels.tolist(), weights.tolist(), strict=True):
            if context:
                side = sides[label > 0]
                side[context] = side.get(context, 0.0) + weight
        return cls(*({context: round(side[context], 3) for context in sorted(side)} for side in sides))

    def features(self, contexts: Sequence[str]) -> Matrix:
        """Return log2 of the share among benign texts, and of the ratio of shares; NaN where nothing is known."""
        known = {context: self._row(context) for context in set(contexts)}
        return np.array([known[context] for context in contexts], np.float32).reshape(-1, len(FEATURES))

    def _row(self, context: str) -> tuple[float, float]:
        if not context:
            return np.nan, np.nan
        all_benign, all_hostile = self._totals
        benign, hostile = self._benign.get(context, 0.0), self._hostile.get(context, 0.0)
        prior = (benign + hostile + 1.0) / (all_benign + all_hostile)
        benign_share = (benign + UNSEEN_TEXTS * prior) / (all_benign + UNSEEN_TEXTS)
        hostile_share = (hostile + UNSEEN_TEXTS * prior) / (all_hostile + UNSEEN_TEXTS)
        return float(np.log2(benign_share)), float(np.log2(hostile_share / benign_share))

    def state(self) -> State:
        """Return the weights."""
        return State(self.kind, {"benign": self._benign, "hostile": self._hostile})

    @classmethod
    def restore(cls, state: State) -> Contexts:
        """Return the contexts of a state."""
        return cls(state.values["benign"], state.values["hostile"])
