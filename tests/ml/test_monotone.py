from __future__ import annotations

import numpy as np

from infraspectre.ml.monotone import fit_monotone

RNG = np.random.default_rng(7)


def test_weights_are_found_and_never_negative() -> None:
    features = RNG.normal(size=(4_000, 2))
    odds = -0.5 + 2.0 * features[:, 0] - 1.0 * features[:, 1]
    outcomes = (RNG.random(4_000) < 1 / (1 + np.exp(-odds))).astype(np.float64)
    found = fit_monotone(features, outcomes, np.zeros(3), 0.1)
    assert abs(found[1] - 1.8) < 0.4
    assert found[2] == 0.0


def test_without_rows_the_centre_is_kept() -> None:
    centre = np.array([-3.3, 6.0])
    assert np.allclose(fit_monotone(np.empty((0, 1)), np.empty(0), centre, 1.0), centre)


def test_rows_that_separate_give_finite_weights() -> None:
    found = fit_monotone(np.array([[0.0], [1.0]]), np.array([0.0, 1.0]), np.zeros(2), 0.1)
    assert np.isfinite(found).all()
