"""Logistic regression in which no feature ever lowers the probability."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from infraspectre.ml.calibration import logistic
from infraspectre.ml.detector import Vector


def fit_monotone(features: NDArray[np.float64], outcomes: Vector, centre: Vector, ridge: float) -> Vector:
    """Return intercept and weights, none of these negative, of a logistic regression.

    `features` is rows by features; `ridge` penalises squared distances from `centre`, intercept first, to which few
    rows leave the result. Found by L-BFGS-B (Byrd et al., 1995), which needs no random start.
    """
    design = np.column_stack([np.ones(len(features)), features])

    def loss(beta: Vector) -> tuple[float, Vector]:
        odds = design @ beta
        away = beta - centre
        cost = float(np.sum(np.logaddexp(0.0, odds) - outcomes * odds)) + ridge * float(away @ away)
        return cost, design.T @ (logistic(odds) - outcomes) + 2 * ridge * away

    bounds = [(None, None)] + [(0.0, None)] * features.shape[1]
    found = minimize(loss, np.maximum(centre, [-np.inf] + [0.0] * features.shape[1]), jac=True, bounds=bounds)
    return np.asarray(found.x, dtype=np.float64)
