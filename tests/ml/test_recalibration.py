"""A threshold follows slow drift without labels, and a burst of attacks does not carry it away."""

from __future__ import annotations

import numpy as np
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.detector import Vector
from infraspectre.ml.recalibration import MOST_DRIFT, WINDOW, Recalibration

RATE = 0.01


def benign(count: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Vector:
    return np.random.default_rng(seed).exponential(scale, count) + shift


def started() -> Recalibration:
    scores = benign(20_000, 1)
    return Recalibration(scores, float(np.quantile(scores, 1 - RATE)))


def test_without_drift_the_rate_stays() -> None:
    rate = started().alerts(benign(100_000, 2)).mean()
    assert 0.8 * RATE < rate < 1.25 * RATE


def test_drift_is_followed_until_the_rate_is_the_wanted_one_again() -> None:
    later = benign(400_000, 2, shift=0.4, scale=1.2)
    following = started()
    unmoved = (later > following.threshold).mean()
    flags = following.alerts(later)
    assert unmoved > 2 * RATE
    assert 0.5 * RATE < flags[-100_000:].mean() < 1.5 * RATE


def test_a_burst_of_attacks_is_still_alerted_on_and_forgotten() -> None:
    following = started()
    before = following.threshold
    burst = np.where(np.random.default_rng(3).random(50_000) < 0.2, 50.0, benign(50_000, 2))
    flags = following.alerts(burst)
    assert flags[burst == 50.0].all()
    assert following.threshold < 1.6 * before
    following.alerts(benign(200_000, 4))
    assert following.threshold == pytest.approx(before, rel=0.1)


def test_attacks_that_are_all_there_is_for_long_move_the_threshold_no_farther_than_bounded() -> None:
    following = started()
    before = following.threshold
    assert following.alerts(np.full(1_000_000, 50.0)).all()
    assert following.threshold - before <= MOST_DRIFT * following.state().values["spread"] + 1e-9


def test_batches_may_be_cut_anywhere() -> None:
    scores = benign(5 * WINDOW + 17, 2, shift=0.3)
    whole, parts = started(), started()
    flags = whole.alerts(scores)
    cut = np.concatenate([parts.alerts(some) for some in np.split(scores, [1, 700, WINDOW, 4_000])])
    assert np.array_equal(flags, cut)
    assert whole.threshold == parts.threshold


def test_a_restored_recalibration_goes_on_where_the_other_was() -> None:
    following = started()
    following.alerts(benign(3_000, 2, shift=0.3))
    restored = Recalibration.restore(following.state())
    assert np.array_equal(restored.alerts(benign(9_000, 3)), following.alerts(benign(9_000, 3)))
    assert restored.threshold == following.threshold


def test_equal_scores_keep_the_threshold() -> None:
    following = Recalibration(np.zeros(10), 0.5)
    assert not following.alerts(np.zeros(10_000)).any()
    assert following.threshold == pytest.approx(0.5)


def test_without_scores_or_with_unknown_ones_nothing_starts() -> None:
    for scores in (np.empty(0), np.array([1.0, np.nan])):
        with pytest.raises(InputError, match="scores"):
            Recalibration(scores, 0.5)
