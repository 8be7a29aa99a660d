"""Robust statistics: centre, spread and outlyingness that a few wild values cannot move."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

MAD_TO_SIGMA = 1.4826
"""Makes the median absolute deviation estimate the standard deviation of normal data (Rousseeuw and Croux, 1993)."""


def centre_and_spread(values: Vector) -> tuple[Vector, Vector]:
    """Return median and scaled median absolute deviation along the first axis."""
    centre = np.median(values, axis=0)
    return centre, MAD_TO_SIGMA * np.median(np.abs(values - centre), axis=0)


def relative_spread(values: Vector) -> float:
    """Return scaled median absolute deviation over median, the robust coefficient of variation; infinite at zero."""
    centre, spread = centre_and_spread(values)
    return float(spread / centre) if centre > 0 else math.inf


def quartile_skewness(values: Vector) -> float:
    """Return Bowley's quartile skewness, -1 to 1, 0 for symmetric values (Bowley, 1901)."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    return float((high + low - 2 * middle) / (high - low)) if high > low else 0.0


def log_ramp(value: float, low: float, high: float) -> float:
    """Map a value to 0 at `low` and 1 at `high`, linear in its logarithm and clipped; needs 0 < low < high."""
    if value <= low:
        return 0.0
    return min(1.0, math.log(value / low) / math.log(high / low))


def logistic(value: float) -> float:
    """Return the logistic function, without overflow."""
    return 0.5 * (1.0 + math.tanh(0.5 * value))


def entropy_bits(text: str) -> float:
    """Return Shannon's entropy of a text's characters in bits per character (Shannon, 1948)."""
    if not text:
        return 0.0
    shares = [text.count(character) / len(text) for character in sorted(set(text))]
    return -sum(share * math.log2(share) for share in shares)
