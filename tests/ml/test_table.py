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
