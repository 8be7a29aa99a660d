"""Gradient-boosted trees: how probable each class is, kept as plain bytes."""

from __future__ import annotations

import json
import warnings
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import xgboost
from numpy.typing import NDArray

from infraspectre.ml.detector import Labels, Matrix, State, Vector

Device = Literal["cpu", "cuda"]


class Shape(msgspec.Struct, frozen=True):
    """Says how trees are grown; the defaults prefer many weak trees on parts of the features to few strong ones."""

    rounds: int = 300
    depth: int = 6
    learning_rate: float = 0.15
    features_per_tree: float = 0.6
    rows_per_tree: float = 0.8
    min_child_weight: float = 2.0
    l2: float = 2.0
    device: Device = "cpu"
    """Where trees are grown; they are asked on processors alone."""
    bins: int = 64
    """Most intervals into which the values of a feature are cut."""
    shared_trees: bool = False
    """One tree a round for all classes, with a vector in each leaf, in place of one tree for each class."""


def has_gpu() -> bool:
    """Tell whether trees can be grown on a GPU: this build of XGBoost knows how, and there is one."""
    if not xgboost.build_info().get("USE_CUDA"):
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # XGBoost goes on without a GPU, and warns
        data = xgboost.DMatrix(np.zeros((2, 1), dtype=np.float32), np.array([0, 1]), nthread=1)
        tried = xgboost.train({"device": "cuda", "verbosity": 0}, data, 1)
    device: str = json.loads(tried.save_config())["learner"]["generic_param"]["device"]
    return device.startswith("cuda")


class Boosting:
    """Tells classes apart by boosted trees (Chen and Guestrin, XGBoost, 2016)."""

    kind: ClassVar[str] = "boosting"

    def __init__(self, classes: int = 2, shape: Shape | None = None, *, seed: int = 0) -> None:
        """Prepare to tell `classes` classes apart, 0 of them benign."""
        self._classes = classes
        self._shape = shape or Shape()
        self._seed = seed
        self._trees: xgboost.Booster | None = None

    def learn(self, rows: Matrix, labels: Labels | None = None, *, weights: Vector | None = None) -> None:
        """Learn from rows with labels, of which each may weigh more or less."""
        if labels is None:
            raise ValueError("boosted trees learn from labels")
        data = xgboost.DMatrix(rows, labels, weight=weights, nthread=1)
        self._trees = xgboost.train(self._parameters(), data, self._shape.rounds)

    def _parameters(self) -> dict[str, Any]:
        shape = self._shape
        many = self._classes > 2
        return {
            "objective": "multi:softprob" if many else "binary:logistic",
            **({"num_class": self._classes} if many else {}),
            **({"multi_strategy": "multi_output_tree"} if many and shape.shared_trees else {}),
            "eval_metric": "mlogloss" if many else "logloss",
            "tree_method": "hist",
            "max_bin": shape.bins,
            "max_depth": shape.depth,
            "eta": shape.learning_rate,
            "subsample": shape.rows_per_tree,
            "colsample_bytree": shape.features_per_tree,
            "min_child_weight": shape.min_child_weight,
            "lambda": shape.l2,
            "device": shape.device,
            "seed": self._seed,
            # Sums are rounded differently with the number of threads: one makes the trees the same everywhere.
            "nthread": 1,
            "verbosity": 0,
        }

    def score(self, rows: Matrix) -> Vector:
        """Return the logarithm of the odds that each row is not benign, as learnt (not calibrated)."""
        margins = self._predict(rows, "margin")
        if self._classes == 2:
            return margins
        probabilities = np.clip(self.probabilities(rows)[:, 0], 1e-12, 1 - 1e-12)
        return np.asarray(np.log1p(-probabilities) - np.log(probabilities))

    def probabilities(self, rows: Matrix) -> NDArray[np.float64]:
        """Return how probable each class is (rows, classes), as learnt (not calibrated)."""
        values = self._predict(rows, "value")
        return values if self._classes > 2 else np.stack([1.0 - values, values], axis=1)

    def contributions(self, rows: Matrix) -> NDArray[np.float64]:
        """Return what each feature adds to the logarithm of the odds, and last what all rows begin with.

        (rows, features + 1); each row sums to its score. These are exact Shapley values of the trees (Lundberg et al.,
        From local explanations to global understanding with explainable AI for trees, 2020). Two classes only.
        """
        if self._trees is None or self._classes != 2:
            raise ValueError("learn or restore before, and tell two classes apart")
        if not len(rows):
            return np.empty((0, rows.shape[1] + 1))
        values = self._trees.predict(xgboost.DMatrix(rows, nthread=1), pred_contribs=True)
        return np.asarray(values, dtype=np.float64)

    def _predict(self, rows: Matrix, what: str) -> NDArray[np.float64]:
        if self._trees is None:
            raise ValueError("learn or restore before scoring")
        if not len(rows):
            return np.empty((0, self._classes) if self._classes > 2 else 0)
        return np.asarray(self._trees.inplace_predict(rows, predict_type=what), dtype=np.float64)

    def state(self) -> State:
        """Return what was learnt; the trees as UBJSON bytes."""
        if self._trees is None:
            raise ValueError("learn before saving")
        trees = np.frombuffer(bytes(self._trees.save_raw("ubj")), dtype=np.uint8)
        return State(self.kind, {"classes": self._classes}, {"trees": trees})

    @classmethod
    def restore(cls, state: State) -> Boosting:
        """Return trees that score exactly as those whose state it is."""
        boosting = cls(int(state.values["classes"]))
        boosting._trees = xgboost.Booster({"nthread": 1})
        boosting._trees.load_model(bytearray(state.arrays["trees"].tobytes()))
        return boosting


def class_weights(labels: Labels, power: float = 0.5) -> Vector:
    """Return a weight for each row: its class's share to the power of `-power`, 1 on average."""
    counts = np.bincount(labels)
    weights = np.power(np.maximum(counts, 1) / len(labels), -power)[labels]
    return np.asarray(weights / weights.mean(), dtype=np.float64)
