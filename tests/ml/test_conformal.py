"""P-values are as rare as they say, and thresholds keep the false-positive rate that was wanted."""

from __future__ import annotations

import numpy as np
import pytest

from infraspectre.ml.anomaly import Ensemble
from infraspectre.ml.anomaly.conformal import MOST_KEPT, Conformal
from infraspectre.ml.anomaly.parts import copies
from infraspectre.ml.detector import Matrix
from infraspectre.ml.products import product


def test_p_values_count_calibration_scores_at_least_as_high() -> None:
    conformal = Conformal(np.array([1.0, 2.0, 2.0, 3.0]))
    assert conformal.p_values(np.array([0.0, 2.0, 3.0, 4.0])).tolist() == [1.0, 0.8, 0.4, 0.2]


def test_a_threshold_is_exceeded_exactly_where_the_p_value_allows_it() -> None:
    conformal = Conformal(np.random.default_rng(1).integers(0, 50, 999).astype(np.float64))
    scores = np.arange(0.0, 60.0)
    for rate in (0.001, 0.01, 0.1, 0.5):
        assert np.array_equal(scores > conformal.threshold(rate), conformal.p_values(scores) <= rate)


def test_too_few_calibration_scores_allow_no_alert() -> None:
    assert Conformal(np.arange(10.0)).threshold(0.01) == float("inf")


def test_surprise_goes_on_rising_beyond_calibration_scores_and_is_bounded() -> None:
    conformal = Conformal(np.random.default_rng(1).exponential(size=2_000))
    surprise = conformal.surprise(np.array([1.0, 5.0, 20.0, 22.0, 1e9]))
    assert (np.diff(surprise) > 0).all()
    assert np.isfinite(surprise).all()


@pytest.mark.parametrize("rate", [0.001, 0.01])
def test_of_many_calibration_scores_some_are_kept_and_rates_hold(rate: float) -> None:
    random = np.random.default_rng(2)
    conformal = Conformal(random.exponential(size=200_000))
    assert len(conformal.state().arrays["scores"]) == MOST_KEPT
    assert 0.8 * rate < (random.exponential(size=200_000) > conformal.threshold(rate)).mean() < 1.2 * rate


def rows(count: int, seed: int) -> Matrix:
    random = np.random.default_rng(seed)
    table = random.normal(size=(count, 6)) @ np.random.default_rng(0).normal(size=(6, 6))
    return np.exp(table).astype(np.float32)


def test_the_ensemble_keeps_the_rate_wanted_on_rows_not_learnt_from() -> None:
    """Real rates are .5 to 1.5 of those wanted; more often lower, as parts learn from more rows than in calibration."""
    ensemble = Ensemble()
    ensemble.learn(rows(6_000, 1))
    scores = ensemble.score(rows(6_000, 2))
    assert 0.005 < (scores > ensemble.threshold(0.01)).mean() < 0.015
    assert 0.025 < np.mean(ensemble.p_values(rows(6_000, 3)) <= 0.05) < 0.075


def test_copies_of_a_row_are_one_group_unknown_values_and_signed_zeros_included() -> None:
    table = np.array([[1, np.nan], [0.0, 2], [1, np.nan], [-0.0, 2], [1, 2]], dtype=np.float32)
    groups = copies(table)
    assert groups[0] == groups[2]
    assert groups[1] == groups[3]
    assert len(set(groups.tolist())) == 3


def test_products_are_those_of_exact_numbers_in_any_order_of_summation() -> None:
    random = np.random.default_rng(5)
    left, right = random.normal(size=(40, 5_000)), random.normal(size=(5_000, 30))
    order = random.permutation(4_096)
    assert np.allclose(product(left, right), left @ right, rtol=1e-4, atol=1e-3)
    few, other = left[:, :4_096], right[:4_096]
    assert np.array_equal(product(few, other), product(few[:, order], other[order]))
    assert np.array_equal(product(few[3:4], other), product(few, other)[3:4])
