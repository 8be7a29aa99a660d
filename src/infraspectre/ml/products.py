"""Matrix products and distances with the same bits at any number of cores."""

from __future__ import annotations

from functools import reduce
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.detector import Vector

Real = TypeVar("Real", np.float32, np.float64)

BITS = 20
"""Bits kept of each factor: a sum of INNER products of two fits the 53 bits of a double without rounding."""
INNER = 4_096
"""Most products summed at once."""
WHOLE_INNER = 256
"""Most products of whole numbers summed at once."""


def product(left: Vector, right: Vector) -> Vector:
    """Return the matrix product of two arrays of finite numbers, each rounded to BITS bits beforehand.

    A BLAS sums in an order that depends on cores and shapes. Here no sum is rounded, so no order matters: a row of
    `left` gives the same result alone as among others.
    """
    whole = np.zeros((left.shape[0], right.shape[1]))
    for start in range(0, left.shape[1], INNER):
        whole += _round_rows(left[:, start : start + INNER]) @ _round_rows(right[start : start + INNER].T).T
    return whole


def whole_products(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the matrix product of two arrays of whole numbers from -256 to 256.

    Sums of WHOLE_INNER such products fit the 24 bits of a single without rounding: no order of summing matters.
    """
    parts = (
        left[:, start : start + WHOLE_INNER] @ right[start : start + WHOLE_INNER]
        for start in range(0, left.shape[1], WHOLE_INNER)
    )
    return reduce(np.add, parts)


def squared_distances(left: NDArray[Real], right: NDArray[Real]) -> NDArray[Real]:
    """Return the squared Euclidean distance of each row of `left` to each of `right`, in their own precision."""
    norms = (left**2).sum(axis=1)[:, None] + (right**2).sum(axis=1)[None, :]
    # Not `@`: a BLAS splits the work among cores, and rounds differently with their number.
    squares: NDArray[Real] = np.maximum(norms - 2.0 * np.einsum("ij,kj->ik", left, right), 0.0)
    return squares


def _round_rows(values: Vector) -> Vector:
    """Round each row to multiples of a power of two that is 2**-BITS of its largest value."""
    largest = np.abs(values).max(axis=1, initial=0.0, keepdims=True)
    steps = np.ldexp(1.0, np.frexp(largest)[1] - BITS)
    rounded: Vector = np.rint(values / steps) * steps
    return rounded
