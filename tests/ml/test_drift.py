from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pytest

from infraspectre.ml.drift import ScoreWatch, drift, p_value_of

RANDOM = np.random.default_rng(7)


def table(**columns: Any) -> pl.DataFrame:
    return pl.DataFrame({name: pl.Series(values) for name, values in columns.items()})


def test_rows_of_one_source_do_not_drift() -> None:
    indexes = [drift(table(x=RANDOM.normal(size=2_000)), table(x=RANDOM.normal(size=2_000)))[0] for _ in range(50)]
    assert max(each.population_stability for each in indexes) < 0.1
    below = sum(1 for each in indexes if each.p_value is not None and each.p_value < 0.05)
    assert below <= 8


def test_a_shift_of_one_deviation_is_drift() -> None:
    (found,) = drift(table(x=RANDOM.normal(size=500)), table(x=RANDOM.normal(1.0, size=500)))
    assert found.has_moved
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert found.distance == pytest.approx(0.38, abs=0.08)


def test_a_frequent_value_that_goes_is_drift() -> None:
    before = np.where(RANDOM.random(1_000) < 0.8, 0.0, RANDOM.random(1_000))
    (found,) = drift(table(x=before), table(x=RANDOM.random(1_000)))
    assert found.has_moved


def test_texts_that_come_and_go_are_drift() -> None:
    before, now = ["tcp"] * 80 + ["udp"] * 20, ["tcp"] * 20 + ["quic"] * 80
    (found,) = drift(table(p=before), table(p=now))
    assert found.has_moved
    assert found.p_value is None


def test_what_became_unknown_is_told() -> None:
    (found,) = drift(table(x=[1.0, 2.0] * 50), table(x=[1.0, 2.0] * 25 + [None] * 50))
    assert (found.unknown_before, found.unknown_now) == (0.0, 0.5)


def test_few_values_say_nothing() -> None:
    assert drift(table(x=[1.0] * 29), table(x=[2.0] * 1_000)) == []
    assert drift(table(x=[[1.0]] * 100), table(x=[[2.0]] * 100)) == []


def test_columns_that_moved_most_come_first() -> None:
    before = table(a=RANDOM.normal(size=500), b=RANDOM.normal(size=500), other=[1.0] * 500)
    now = table(a=RANDOM.normal(0.1, size=500), b=RANDOM.normal(3.0, size=500))
    assert [each.column for each in drift(before, now)] == ["b", "a"]


@pytest.mark.parametrize(("scaled", "expected"), [(1.358, 0.05), (1.628, 0.01), (0.1, 1.0)])
def test_p_values_are_those_of_the_tables(scaled: float, expected: float) -> None:
    rows = 10**8
    assert p_value_of(scaled / np.sqrt(rows / 2), rows, rows) == pytest.approx(expected, rel=0.02)


def probabilities(alpha: float, beta: float, rows: int) -> np.ndarray:
    return RANDOM.beta(alpha, beta, rows)


def test_a_watch_tells_nothing_before_it_has_rows_to_compare() -> None:
    watch = ScoreWatch(1_000, 1_000)
    watch.add(probabilities(1, 20, 1_000))
    assert watch.population_stability is None
    watch.add(probabilities(1, 20, 50))
    assert watch.population_stability is None
    watch.add(probabilities(1, 20, 100))
    assert watch.population_stability is not None


def test_a_watch_tells_probabilities_that_moved_from_those_that_did_not() -> None:
    watch = ScoreWatch(2_000, 2_000)
    for _ in range(10):
        watch.add(probabilities(1, 20, 1_000))
    assert watch.population_stability is not None
    assert watch.population_stability < 0.1
    for _ in range(6):
        watch.add(probabilities(2, 4, 1_000))
    assert watch.population_stability > 0.25
    for _ in range(6):  # what moved is over once it is not among the last rows any more
        watch.add(probabilities(1, 20, 1_000))
    assert watch.population_stability < 0.1
