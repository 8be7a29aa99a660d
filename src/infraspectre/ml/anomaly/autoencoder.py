"""Autoencoder: a row is suspicious that cannot be rebuilt from a few numbers."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar

import numpy as np

from infraspectre.ml.anomaly.parts import benign
from infraspectre.ml.anomaly.scaling import Scaling
from infraspectre.ml.detector import Labels, Matrix, State, Vector
from infraspectre.ml.products import product

WIDTHS = (32, 8, 32)
"""Units of the hidden layers; the narrow one forces the network to learn what features have to do with one another."""
MOST_STEPS = 3_000
"""Most steps of training, whatever the number of rows: time stays bounded."""
EPOCHS = 60
"""Most times that each row is learnt from in the mean."""
BATCH = 128
RATE = 3e-3
"""Step length at first; it falls to zero along half a cosine."""
FIRST_DECAY, SECOND_DECAY, TINY = 0.9, 0.999, 1e-8
"""The constants of Adam (Kingma and Ba, 2015)."""
LEAST_ERROR = 0.05
"""Least usual error of a feature, in deviations."""


class Autoencoder:
    """Scores rows by how badly a small network, trained on benign rows, rebuilds them."""

    kind: ClassVar[str] = "autoencoder"

    def __init__(self, seed: int = 0) -> None:
        """Start without knowledge; `seed` decides first weights and the order of rows."""
        self._seed = seed

    def learn(self, rows: Matrix, labels: Labels | None = None) -> None:
        """Train on benign rows; raise `InputError` if there are none."""
        rows = benign(rows, labels)
        self._scaling = Scaling.fit(rows)
        scaled = self._scaling.deviations(rows)
        random = np.random.default_rng(self._seed)
        sizes = (scaled.shape[1], *WIDTHS, scaled.shape[1])
        self._weights = [random.normal(0.0, fan_in**-0.5, (fan_in, fan_out)) for fan_in, fan_out in pairwise(sizes)]
        self._offsets = [np.zeros(size) for size in sizes[1:]]
        self._train(scaled, random)
        self._errors = np.maximum(np.abs(self._rebuilt(scaled) - scaled).mean(axis=0), LEAST_ERROR)

    def score(self, rows: Matrix) -> Vector:
        """Return the mean over features of log(1 + error over usual error)."""
        scaled = self._scaling.deviations(rows)
        scores: Vector = np.log1p(np.abs(self._rebuilt(scaled) - scaled) / self._errors).mean(axis=1)
        return scores

    def _rebuilt(self, scaled: Vector) -> Vector:
        return self._layers(scaled)[-1]

    def _layers(self, scaled: Vector) -> list[Vector]:
        """Return what each layer gives, the rows themselves first; the last layer is linear."""
        values = [scaled]
        for weights, offsets in zip(self._weights[:-1], self._offsets[:-1], strict=True):
            values.append(np.tanh(product(values[-1], weights) + offsets))
        return [*values, product(values[-1], self._weights[-1]) + self._offsets[-1]]

    def _train(self, scaled: Vector, random: np.random.Generator) -> None:
        parameters = [*self._weights, *self._offsets]
        first, second = ([np.zeros_like(one) for one in parameters] for _ in range(2))
        steps = min(MOST_STEPS, -(-EPOCHS * len(scaled) // BATCH))
        for step in range(1, steps + 1):
            gradients = self._gradients(scaled[random.integers(0, len(scaled), BATCH)])
            rate = RATE * 0.5 * (1.0 + np.cos(np.pi * step / steps))
            for one, gradient, mean, square in zip(parameters, gradients, first, second, strict=True):
                mean += (1.0 - FIRST_DECAY) * (gradient - mean)
                square += (1.0 - SECOND_DECAY) * (gradient**2 - square)
                length = np.sqrt(square / (1.0 - SECOND_DECAY**step)) + TINY
                one -= rate * mean / (1.0 - FIRST_DECAY**step) / length

    def _gradients(self, batch: Vector) -> list[Vector]:
        """Return the gradient of Huber's loss (bounded by one, so that contamination has little say)."""
        values = self._layers(batch)
        slope = np.clip(values[-1] - batch, -1.0, 1.0) / len(batch)
        weights: list[Vector] = []
        offsets: list[Vector] = []
        for layer in range(len(self._weights) - 1, -1, -1):
            weights.insert(0, product(values[layer].T, slope))
            offsets.insert(0, slope.sum(axis=0))
            slope = product(slope, self._weights[layer].T) * (1.0 - values[layer] ** 2)
        return weights + offsets

    def state(self) -> State:
        """Return the weights."""
        arrays = {f"weights_{layer}": one for layer, one in enumerate(self._weights)}
        arrays |= {f"offsets_{layer}": one for layer, one in enumerate(self._offsets)}
        return State(
            self.kind, {"seed": self._seed}, {**arrays, "errors": self._errors}, {"scaling": self._scaling.state()}
        )

    @classmethod
    def restore(cls, state: State) -> Autoencoder:
        """Return the detector whose state it is."""
        detector = cls(state.values["seed"])
        layers = range(len(WIDTHS) + 1)
        detector._weights = [state.arrays[f"weights_{layer}"] for layer in layers]
        detector._offsets = [state.arrays[f"offsets_{layer}"] for layer in layers]
        detector._errors = state.arrays["errors"]
        detector._scaling = Scaling.restore(state.parts["scaling"])
        return detector
