"""Robust statistics agree with hand-worked values and shrug off outliers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from infraspectre.ml.robust import (
    centre_and_spread,
    entropy_bits,
    log_ramp,
    logistic,
    quartile_skewness,
    relative_spread,
)


def test_spread_estimates_sigma_and_ignores_outliers() -> None:
    values = np.random.default_rng(1).normal(10.0, 2.0, 20_000)
    values[:2_000] = 1e9
    centre, spread = centre_and_spread(values)
    assert centre == pytest.approx(10.0, abs=0.5)
    assert spread == pytest.approx(2.0, rel=0.3)


def test_relative_spread_of_a_metronome_is_zero_and_of_nothing_infinite() -> None:
    assert relative_spread(np.full(9, 60.0)) == 0.0
    assert math.isinf(relative_spread(np.zeros(9)))


def test_quartile_skewness_has_the_sign_of_the_long_tail() -> None:
    assert quartile_skewness(np.array([1.0, 2.0, 3.0, 4.0, 5.0])) == 0.0
    assert quartile_skewness(np.array([1.0, 1.0, 1.1, 5.0, 9.0])) > 0.8


def test_log_ramp_is_monotone_and_clipped() -> None:
    assert [log_ramp(value, 10, 1_000) for value in (1, 10, 100, 1_000, 10_000)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_logistic_survives_extremes() -> None:
    assert [logistic(value) for value in (-1e9, 0.0, 1e9)] == [0.0, 0.5, 1.0]


def test_entropy_of_known_texts() -> None:
    assert entropy_bits("") == 0.0
    assert entropy_bits("aaaa") == 0.0
    assert entropy_bits("abcdefgh") == pytest.approx(3.0)
