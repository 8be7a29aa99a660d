from __future__ import annotations

import polars as pl
import pytest

from infraspectre.errors import UsageError
from infraspectre.modelbook import OpenModel, drift_of, importance, open_model


@pytest.fixture(scope="module")
def model() -> OpenModel:
    return open_model("builtin:flow")


def test_importances_are_shares_of_all_columns(model: OpenModel) -> None:
    found = importance(model)
    assert sum(each.share for each in found) == pytest.approx(1.0)
    assert {each.column for each in found} == set(model.model.columns)
    assert [each.share for each in found] == sorted((each.share for each in found), reverse=True)


def test_rows_unlike_those_learnt_from_drift(model: OpenModel) -> None:
    from infraspectre.modelbook.looking import known_rows

    rows, labels = known_rows(model)
    benign = rows.filter(pl.Series(labels == 0))
    assert not any(each.has_moved for each in drift_of(model, benign))
    moved = benign.with_columns(pl.col("orig_packets") * 1_000 + 5)
    assert [each.column for each in drift_of(model, moved) if each.has_moved] == ["orig_packets"]


def test_a_model_that_keeps_no_rows_says_so() -> None:
    with pytest.raises(UsageError, match="keeps no rows"):
        importance(open_model("builtin:dga"))
