"""Probabilities hold, intervals hold the outcome as often as stated, and thresholds let through what they promise."""

from __future__ import annotations

import numpy as np
import pytest

from infraspectre.ml.anomaly.conformal import Conformal
from infraspectre.ml.calibration import Calibration, Thresholds, conformal_quantile, logistic


def drawn(seed: int, size: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.normal(size=size) * 4
    return scores, (random.random(size) < logistic(1.5 * scores - 1)).astype(np.float64)


def test_probabilities_and_intervals_hold_on_rows_that_were_not_learnt() -> None:
    calibration = Calibration.learn(*drawn(1))
    scores, outcomes = drawn(2)
    probabilities = calibration.probabilities(scores)
    low, high = calibration.interval(probabilities)
    assert 0.88 <= np.mean((low <= outcomes) & (outcomes <= high)) <= 0.92
    assert np.abs(probabilities - logistic(1.5 * scores - 1)).mean() < 0.02
    ordered = calibration.probabilities(np.sort(scores))
    assert np.all(np.diff(ordered) >= 0)


def test_restored_calibration_is_equal() -> None:
    calibration = Calibration.learn(*drawn(1))
    scores = drawn(3)[0]
    assert np.array_equal(
        Calibration.restore(calibration.state()).probabilities(scores), calibration.probabilities(scores)
    )


@pytest.mark.parametrize("rate", [0.01, 0.001])
def test_thresholds_are_exceeded_as_rarely_as_wanted(rate: float) -> None:
    random = np.random.default_rng(5)
    rates = [
        np.mean(random.normal(size=20_000) > Conformal(random.normal(size=20_000)).threshold(rate)) for _ in range(9)
    ]
    assert 0.7 * rate < np.mean(rates) < 1.3 * rate


def test_caution_is_taken_only_where_it_is_almost_free() -> None:
    random = np.random.default_rng(6)
    near, far = random.normal(size=5_000), random.normal(size=5_000) + 3
    apart = Thresholds.learn(near, far, random.normal(size=5_000) + 30)
    close = Thresholds.learn(near, far, random.normal(size=5_000) + 3)
    assert apart.at(0.01) == Conformal(far).threshold(0.01)
    assert Conformal(near).threshold(0.01) <= close.at(0.01) < Conformal(near).threshold(0.01) + 0.2
    assert Thresholds.restore(close.state()).at(0.001) == close.at(0.001)


def test_too_few_values_give_the_highest() -> None:
    assert conformal_quantile(np.arange(5.0), 0.9, highest=7.0) == 7.0
    assert conformal_quantile(np.arange(19.0), 0.9) == 17.0
