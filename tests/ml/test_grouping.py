"""Running sums per group equal a plain loop."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from infraspectre.ml.grouping import Groups, mix


def test_running_sums_equal_a_plain_loop() -> None:
    random = np.random.default_rng(5)
    keys = random.integers(0, 9, 500).astype(np.uint64)
    steps = random.integers(0, 100, (500, 2))
    groups = Groups(keys)
    before = np.array([[key, 2 * key] for key in groups.keys], dtype=np.int64)
    sums: defaultdict[int, NDArray[np.int64]] = defaultdict(lambda: np.zeros(2, dtype=np.int64))
    expected = []
    for key, step in zip(keys.tolist(), steps, strict=True):
        sums[key] = sums[key] + step
        expected.append(sums[key] + [key, 2 * key])
    assert np.array_equal(groups.running(steps, before), expected)
    assert np.array_equal(groups.totals(steps, before), [sums[key] + [key, 2 * key] for key in groups.keys])


def test_groups_are_in_order_of_appearance() -> None:
    groups = Groups(np.array([7, 3, 7, 5], dtype=np.uint64))
    assert groups.keys == [7, 3, 5]
    assert groups.flag_first([True, False, True]).tolist() == [1, 0, 0, 1]


def test_mix_depends_on_every_part_and_on_their_order() -> None:
    one, two = np.array([1], dtype=np.uint64), np.array([2], dtype=np.uint64)
    assert len({mix(one, two)[0], mix(two, one)[0], mix(one, one)[0], mix(one)[0]}) == 4
