"""Known examples are distinct training rows of each class; distances do not depend on what else is asked for."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from infraspectre.ml.detector import Matrix
from infraspectre.ml.examples import MOST_ROWS, Examples, plain
from infraspectre.ml.table import Table
from infraspectre.records.explanation import Value


def all_benign(rows: Matrix) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.ones(len(rows), dtype=bool)


def learnt(frame: pl.DataFrame, labels: list[int], seed: int = 0) -> tuple[Table, Examples]:
    table = Table.learn(frame)
    rows = table.encode(frame)
    return table, Examples.learn(table, frame, rows, np.array(labels, dtype=np.int32), all_benign, seed)


def many(rows: int) -> pl.DataFrame:
    random = np.random.default_rng(0)
    return pl.DataFrame({"x": random.normal(size=rows), "kind": random.choice(["a", "b"], size=rows)})


def test_one_half_is_benign_and_no_row_is_kept_twice() -> None:
    frame = pl.concat([many(2_000), many(2_000)])
    _, examples = learnt(frame, ([0] * 1_500 + [1] * 400 + [2] * 100) * 2)
    assert np.bincount(examples.labels).tolist() == [MOST_ROWS // 2, MOST_ROWS // 4, 100]
    assert len({each["x"] for each in examples.records}) == len(examples.records)


def test_rows_that_are_not_known_are_kept_once() -> None:
    frame = pl.DataFrame({"x": [None, None, 1.0, 2.0], "kind": ["a", "a", None, "b"]})
    _, examples = learnt(frame, [0, 0, 0, 1])
    assert sorted((each["x"] or 0, each["kind"] or "") for each in examples.records) == [(0, "a"), (1, ""), (2, "b")]


def test_benign_rows_that_look_hostile_are_not_kept() -> None:
    frame = many(500)
    table = Table.learn(frame)
    rows = table.encode(frame)
    examples = Examples.learn(table, frame, rows, np.zeros(500, dtype=np.int32), lambda some: some[:, 0] < 0, 0)
    assert all(isinstance(each["x"], float) and each["x"] < 0 for each in examples.records)


def test_the_nearest_differ_least_by_the_columns_told() -> None:
    frame = many(400)
    table, examples = learnt(frame, [0] * 200 + [1] * 200)
    asked = many(50)
    point = examples.locate(asked, table.encode(asked))
    places, distances = examples.nearest(point, 5)
    assert (np.diff(distances, axis=1) >= 0).all()
    for rank in range(5):
        squares = (examples.differences(point, places[:, rank]) ** 2).sum(axis=1)
        assert distances[:, rank] == pytest.approx(np.sqrt(squares / 2))
    benign, _ = examples.nearest(point, 5, benign=True)
    assert (examples.labels[benign] == 0).all()
    alone = examples.locate(asked[7:8], table.encode(asked[7:8]))
    assert np.array_equal(examples.nearest(alone, 5)[1], distances[7:8])


@pytest.mark.parametrize("columns", [["x"], ["kind"]])
def test_a_table_may_hold_numbers_or_texts_alone(columns: list[str]) -> None:
    frame = many(100).select(columns)
    table, examples = learnt(frame, [0] * 50 + [1] * 50)
    restored = Examples.restore(examples.state(), table)
    assert restored.records == examples.records
    point = restored.locate(frame, table.encode(frame))
    assert (restored.nearest(point, 1)[1] == 0.0).mean() > 0.9


@pytest.mark.parametrize(
    ("number", "value"), [(3.0, 3), (0.1, 0.1), (np.nan, None), (np.inf, None), (1e30, 1e30), (-2.5, -2.5)]
)
def test_numbers_of_single_precision_are_said_shortly(number: float, value: Value) -> None:
    assert plain(np.float32(number)) == value
