"""What the first packets of each flow say one after another: sizes, turns, pace and repetition."""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.axon.window import Columns

PACKETS = 32
"""Packets whose sizes, gaps and flags the core keeps."""
MESSAGES = 4
"""Messages whose sizes are told; most protocols have shown by then what they are."""
PSH = 8
"""The flag by which TCP marks the end of what an application wrote (RFC 9293, 3.9.1)."""
BURST_GAP_US = 10_000
"""Most time between the packets of a burst: longer than most gaps within a transfer, shorter than a person's."""
LEAST_GAPS = 3
"""Fewest gaps, or intervals, whose regularity says something."""

Cells = NDArray[np.int64]
Mask = NDArray[np.bool_]
Numbers = NDArray[np.int64] | NDArray[np.float64]


def sequences(frame: pl.DataFrame) -> Columns:
    """Return the sequence features of each row; NaN where there were too few packets to tell."""
    sizes, known = padded(frame["packet_sizes"])
    gaps, _ = padded(frame["packet_gaps_us"])
    flags, _ = padded(frame["packet_flags"])
    is_tcp = (frame["protocol"] == "tcp").fill_null(value=False).to_numpy()
    later = known.copy()
    later[:, 0] = False
    any_known = known[:, 0]
    steps = np.where(gaps > 0, np.frexp(gaps.astype(np.float64))[1], 0).astype(np.int64)
    columns: Columns = _messages(sizes, known & (((flags & PSH) > 0) | ~is_tcp[:, None]))
    columns |= {
        "packet_direction_changes": _told(_turns(sizes, known).sum(axis=1), any_known),
        "packet_bytes_entropy_bits": _entropy(sizes, known),
        "packet_gap_entropy_bits": _entropy(steps, later),
        "packet_bursts": _told(_bursts(later & (gaps < BURST_GAP_US)), any_known),
        "packet_longest_run": _told(_longest_run(sizes, known), any_known),
        "packet_gap_regularity": _regularity(gaps, later),
        "packet_bytes_repetition": _repetition(sizes, known),
        "packet_orig_byte_share": _orig_share(sizes, known),
    }
    return columns


def padded(column: pl.Series) -> tuple[Cells, Mask]:
    """Return lists as (rows, PACKETS) numbers, 0 where there is none, and where there is one."""
    lengths = column.list.len().fill_null(0).clip(0, PACKETS).to_numpy().astype(np.int64)
    known = np.arange(PACKETS) < lengths[:, None]
    cells = np.zeros(known.shape, dtype=np.int64)
    cells[known] = column.filter(lengths > 0).list.head(PACKETS).explode().cast(pl.Int64).to_numpy()
    return cells, known


def regularity(count: Cells, total: Numbers, squares: Numbers) -> NDArray[np.float64]:
    """Return 1 / (1 + coefficient of variation) of times given by their number, sum and sum of squares.

    1 is clockwork, 0.5 is chance (of exponential times, the deviation equals the mean); NaN for fewer than LEAST_GAPS.
    """
    number = np.maximum(count, 1)
    mean = total / number
    deviation = np.sqrt(np.maximum(squares / number - mean**2, 0.0))
    told = np.where(mean > 0, mean / np.maximum(mean + deviation, 1e-300), 1.0)
    return _told(told, count >= LEAST_GAPS)


def _told(values: NDArray[np.float64] | Cells, is_known: Mask) -> NDArray[np.float64]:
    return np.where(is_known, values, np.nan)


def _messages(sizes: Cells, ends: Mask) -> Columns:
    numbers = ends.cumsum(axis=1)
    told: Columns = {}
    for number in range(1, MESSAGES + 1):
        is_it = ends & (numbers == number)
        told[f"message_{number}_bytes"] = _told((sizes * is_it).sum(axis=1), is_it.any(axis=1))
    return told


def _turns(sizes: Cells, known: Mask) -> Mask:
    return np.asarray(known[:, 1:] & ((sizes[:, 1:] < 0) != (sizes[:, :-1] < 0)))


def _entropy(values: Cells, known: Mask) -> NDArray[np.float64]:
    """Return the Shannon entropy in bits of the known values of each row; NaN where there are none."""
    rows, columns = known.shape
    unused = np.iinfo(np.int64).max
    ordered = np.sort(np.where(known, values, unused), axis=1)
    begins = np.ones((rows, columns), dtype=bool)
    begins[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    places = np.flatnonzero(begins)
    lengths = np.diff(places, append=rows * columns)
    lengths[ordered.ravel()[places] == unused] = 1
    weighted = np.bincount(places // columns, weights=lengths * np.log2(lengths), minlength=rows)
    count = known.sum(axis=1)
    number = np.maximum(count, 1)
    return _told(np.maximum(np.log2(number) - weighted / number, 0.0), count > 0)


def _bursts(close: Mask) -> Cells:
    """Return how many runs of at least two close gaps, which are three packets, each row has."""
    both = close[:, 1:] & close[:, :-1]
    begins = both.copy()
    begins[:, 1:] &= ~both[:, :-1]
    return np.asarray(begins.sum(axis=1), dtype=np.int64)


def _longest_run(sizes: Cells, known: Mask) -> Cells:
    turns = _turns(sizes, known)
    run = known[:, 0].astype(np.int64)
    longest = run
    for place in range(1, known.shape[1]):
        run = np.where(known[:, place], np.where(turns[:, place - 1], 1, run + 1), 0)
        longest = np.maximum(longest, run)
    return longest


def _regularity(gaps: Cells, later: Mask) -> NDArray[np.float64]:
    used = (gaps * later).astype(np.float64)  # squares of 32-bit numbers do not fit into 64 bits with a sign
    return regularity(later.sum(axis=1), used.sum(axis=1), (used**2).sum(axis=1))


def _repetition(sizes: Cells, known: Mask) -> NDArray[np.float64]:
    """Return the correlation of signed lengths with those two packets before; NaN for too few or equal ones."""
    both = known[:, 2:]
    count = np.maximum(both.sum(axis=1), 1)
    here, before = sizes[:, 2:] * both, sizes[:, :-2] * both
    products = count * (here * before).sum(axis=1) - here.sum(axis=1) * before.sum(axis=1)
    spreads = [count * (one**2).sum(axis=1) - one.sum(axis=1) ** 2 for one in (here, before)]
    scale = np.sqrt(spreads[0].astype(np.float64) * spreads[1])
    return _told(np.clip(products / np.maximum(scale, 1.0), -1.0, 1.0), (scale > 0) & (count >= LEAST_GAPS))


def _orig_share(sizes: Cells, known: Mask) -> NDArray[np.float64]:
    total = np.abs(sizes).sum(axis=1)
    return _told(np.maximum(sizes, 0).sum(axis=1) / np.maximum(total, 1), total > 0)
