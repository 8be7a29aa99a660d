"""Conformal p-values are honest: as rare as they say on like rows, small on foreign ones."""

from __future__ import annotations

import numpy as np

from infraspectre.ml.prototypes import Prototypes


def test_p_values_of_like_rows_are_about_uniform_and_of_foreign_rows_minimal() -> None:
    random = np.random.default_rng(3)
    fitted = Prototypes(random.normal(size=(2_000, 4)), samples=4)
    like = fitted.p_values(fitted.distances(random.normal(size=(2_000, 4))))
    foreign = fitted.p_values(fitted.distances(np.full((3, 4), 12.0)))
    assert 0.03 < np.mean(like <= 0.05) < 0.08
    assert np.allclose(foreign, 1 / 1_025)


def test_constant_features_and_few_rows_are_fine() -> None:
    fitted = Prototypes(np.ones((4, 2)), samples=4)
    assert np.all(fitted.p_values(fitted.distances(np.ones((2, 2)))) == 1.0)
    assert np.all(np.isfinite(fitted.distances(np.full((1, 2), 1e300))))
