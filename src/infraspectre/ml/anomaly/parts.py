"""What anomaly detectors share: benign rows, no more than memory allows, and folds that keep copies together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from infraspectre.errors import InputError
from infraspectre.ml.anomaly.scaling import check_rows
from infraspectre.ml.detector import Labels, Matrix

MOST_ROWS = 200_000
"""Most rows learnt from; of more, as many evenly spaced ones, so that no time is left out."""


def benign(rows: Matrix, labels: Labels | None) -> Matrix:
    """Return the rows to learn from: the benign ones of labelled rows, else all; raise `InputError` if none is left."""
    check_rows(rows)
    if labels is not None:
        if len(labels) != len(rows):
            raise InputError(
                f"there are {len(labels)} labels for {len(rows)} rows", remedy="give one label for each row"
            )
        rows = rows[labels == 0]
        if not len(rows):
            raise InputError("no row is benign", remedy="anomaly detection learns from benign rows: give some")
    if len(rows) > MOST_ROWS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_ROWS).astype(np.int64)]
    return rows


def folds(groups: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Return one of `count` folds for each row, the same for all rows of a group, drawn by the seed."""
    drawn = np.random.default_rng(seed).permutation(int(groups.max()) + 1) % count
    return np.asarray(drawn[groups], dtype=np.int64)


def copies(rows: Matrix) -> NDArray[np.int64]:
    """Return for each row the number of its group of identical rows."""
    plain = np.ascontiguousarray(np.where(np.isnan(rows), np.float32(np.nan), rows + np.float32(0.0)))
    keys = plain.view(np.dtype((np.void, plain.dtype.itemsize * plain.shape[1]))).ravel()
    return np.unique(keys, return_inverse=True)[1].reshape(-1).astype(np.int64)
