"""Splits that do not flatter: rows that are alike stay on one side, and the same seed gives the same sides."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

Rows = NDArray[np.bool_]
Hashes = NDArray[np.uint64]


def row_hashes(frame: pl.DataFrame, label: str, seed: int = 0) -> Hashes:
    """Return a hash of what each row says besides its label; rows that say the same have the same."""
    return frame.drop(label, strict=False).hash_rows(seed=seed).to_numpy()


def held_out(frame: pl.DataFrame, label: str, parts: int = 5, seed: int = 0) -> Rows:
    """Tell which rows belong to one of so many parts, on which no row has an equal on the other side."""
    return np.asarray(row_hashes(frame, label, seed) % np.uint64(parts) == 0)


def sample(frame: pl.DataFrame, most: int, seed: int = 0) -> pl.DataFrame:
    """Return at most so many rows, drawn at random without repetition, in their order."""
    if len(frame) <= most:
        return frame
    chosen = np.random.default_rng(seed).choice(len(frame), most, replace=False)
    return frame[np.sort(chosen)]
