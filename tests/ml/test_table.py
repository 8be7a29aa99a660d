"""Tables become numbers as learnt, and what names rows or repeats the answer is left out."""

from __future__ import annotations

import datetime
import math

import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.table import Table

TRAINING = pl.DataFrame(
    {
        "id": list(range(300)),
        "amount": [float(i % 97) for i in range(300)],
        "kind": ["a", "b", "b"] * 100,
        "copy": [i % 2 for i in range(300)],
        "class": ["x", "y"] * 150,
        "classnum": [5] * 300,
        "seen": [datetime.datetime(2026, 1, 1)] * 300,
        "orig_ip": ["10.0.0.1"] * 300,
    }
)


def learnt() -> Table:
    return Table.learn(TRAINING, pl.Series(TRAINING["class"] == "y"), answer_name="class")


def test_what_names_rows_or_repeats_the_answer_is_left_out_and_named() -> None:
    table = learnt()
    assert table.columns == ["amount", "kind"]
    assert set(table.left_out) == {"id", "copy", "classnum", "seen", "orig_ip"}


def test_random_numbers_are_left_out_and_measured_ones_are_not() -> None:
    random = np.random.default_rng(1)
    frame = pl.DataFrame(
        {
            "sequence": np.where(random.random(4_000) < 0.4, 0, random.integers(1, 2**32, size=4_000)),
            "bytes": random.lognormal(12, 2, size=4_000).astype(np.int64),
            "port": random.integers(1_024, 4_000, size=4_000),
        }
    )
    table = Table.learn(frame)
    assert table.left_out == {"sequence": "holds random numbers"}
    assert Table.learn(frame[:900]).left_out == {}


def test_a_column_that_agrees_with_most_answers_only_is_kept() -> None:
    mixed = TRAINING.with_columns(pl.when(pl.col("id") == 7).then(0).otherwise(pl.col("copy")).alias("copy"))
    assert "copy" in Table.learn(mixed, pl.Series(mixed["class"] == "y"), answer_name="class").columns


def test_unseen_values_and_what_is_no_number_are_fine() -> None:
    later = pl.DataFrame({"amount": [math.nan, math.inf, 1e300], "kind": ["new", None, "a"], "extra": [1, 2, 3]})
    rows = learnt().encode(later)
    assert rows.shape == (3, 4)
    assert np.isnan(rows[:2, 0]).all()
    assert np.isfinite(rows[2]).all()
    assert rows[0, 1:3].tolist() == [0, 0]
    assert rows[0, 3] > rows[2, 3]
    assert np.isnan(rows[1, 3])


def test_rows_are_encoded_the_same_alone_and_after_restoring() -> None:
    table = learnt()
    restored = Table.restore(table.state())
    rows = table.encode(TRAINING)
    assert np.array_equal(rows[17:18], restored.encode(TRAINING[17:18]))
    assert table.features == restored.features == ["amount", "kind=b", "kind=a", "rarity of kind"]


def test_texts_that_are_numbers_are_taken_and_others_are_named() -> None:
    assert learnt().encode(pl.DataFrame({"amount": [" 2.5"], "kind": ["a"]}))[0, 0] == 2.5
    with pytest.raises(InputError, match=r"amount: row 1 holds 'many', not a number"):
        learnt().encode(pl.DataFrame({"amount": ["1", "many"], "kind": ["a", "b"]}))


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pl.DataFrame({"amount": [1.0]}), "kind"),
        (pl.DataFrame({"amount": [[1.0]], "kind": ["a"]}), "amount: is List"),
        (pl.DataFrame({"amount": [1.0], "kind": [datetime.date(2026, 1, 1)]}), "kind: is Date"),
    ],
)
def test_missing_and_wrong_columns_are_named(frame: pl.DataFrame, message: str) -> None:
    with pytest.raises(InputError, match=message):
        learnt().encode(frame)


def test_a_table_of_identities_alone_cannot_be_learnt() -> None:
    with pytest.raises(InputError, match=r"id .is named as an identity"):
        Table.learn(TRAINING.select("id"))


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize("dtype", [pl.Int64, pl.Float64])
def test_times_since_the_epoch_are_left_out_whatever_they_are_called(unit: int, dtype: type[pl.DataType]) -> None:
    moments = (1_700_000_000 * unit + pl.int_range(300) * 977 % 1_000).cast(dtype)
    frame = pl.DataFrame({"amount": np.arange(300) % 7}).with_columns(ts=moments)
    assert Table.learn(frame).left_out == {"ts": "holds times"}


def test_columns_named_as_moments_are_left_out_and_those_named_alike_are_not() -> None:
    values = pl.Series([0.5, 1.5, 0.25] * 100)
    frame = pl.DataFrame(dict.fromkeys(("started_at", "endedAt", "at", "heat", "format", "response_time"), values))
    assert set(Table.learn(frame).left_out) == {"started_at", "endedAt"}


def test_large_counts_are_no_times() -> None:
    numbers = np.random.default_rng(0).integers(0, 2**32, 300)
    assert not Table.learn(pl.DataFrame({"bytes": numbers, "few": [1_700_000_000] * 5 + [3] * 295})).left_out


def test_columns_may_have_any_name() -> None:
    frame = pl.DataFrame({"rows": ["a", "b"] * 30, "value": ["x"] * 60})
    assert Table.learn(frame).columns == ["rows", "value"]
