"""Parts of texts: they are the whole text, their contributions add up, and those named are the fewest to remove."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl
import pytest

from infraspectre import modelbook
from infraspectre.ml.detector import Explains, Vector
from infraspectre.ml.text_explanation import MOST_PARTS, explain_text, shapley, text_parts
from infraspectre.ml.words import Vocabulary

TEXTS = {
    "dga": ("domain", ["google.com", "xjwqpzkvbnm.com", "a8f3k2qmz91.info", "table-window.net", "", "ü.de"]),
    "dns-tunnel": ("query", ["mail.google.com", "dGhpcyBpcyBhIHRlc3Qgb2Y.x9f8a7b6c5d4e3.t.example.com"]),
    "http-parameters": ("payload", ["hello world", "1' union select password from users--", "../../../etc/passwd"]),
}


@pytest.mark.parametrize(
    "text", ["", "google", "1' union select", "a" * 500, "x" * 9 + "7.7.7.7.7.7.7.7.7", " ", "ü_ß9"]
)
@pytest.mark.parametrize("vocabulary", [None, Vocabulary({"goo": 3, "union": 9, "aaaa": 1})])
def test_parts_are_few_and_together_the_text(text: str, vocabulary: Vocabulary | None) -> None:
    parts = text_parts(text, vocabulary)
    assert "".join(parts) == text
    assert len(parts) <= MOST_PARTS
    assert all(parts)


def test_words_stay_whole() -> None:
    assert text_parts("1' union select", None) == ["1", "'", " union", " select"]
    assert text_parts("windowtable", Vocabulary({"window": 3, "table": 3})) == ["window", "table"]


def test_values_are_those_of_shapley() -> None:
    # The glove game: two hold a left glove, one a right one; a pair is worth 1 (Shapley values 1/6, 1/6, 4/6).
    worth = np.array([float(bool(each & 4) and bool(each & 3)) for each in range(8)])
    assert np.allclose(shapley(worth, 3), [1 / 6, 1 / 6, 4 / 6])


def counted(texts: Sequence[str]) -> Vector:
    return np.array([2.0 * text.count("!") - text.count(".") - 1.0 for text in texts])


def test_the_fewest_parts_are_removed() -> None:
    told = explain_text("text", "loud", ["a", "!", "b", "!!", "c"], counted, is_benign=False)
    assert [(each.value, each.contribution) for each in told.attributions[:2]] == [("!!", 4.0), ("!", 2.0)]
    assert [(each.before, each.after) for each in told.counterfactual] == [("!", ""), ("!!", "")]
    assert (
        told.words
        == "Called hostile (loud) mostly because of '!!' (+4.00), '!' (+2.00). It would be benign without '!' and '!!'."
    )
    assert (told.base, told.margin) == (-1.0, 5.0)


def test_nothing_is_removed_where_only_the_empty_text_is_benign() -> None:
    assert explain_text("text", "loud", ["!"], counted, is_benign=False).counterfactual == []
    assert (
        explain_text("text", "calm", ["a."], counted, is_benign=True).words
        == "Called calm mostly because of 'a.' (-1.00)."
    )


@pytest.mark.parametrize("name", TEXTS)
def test_texts_are_explained_by_models_that_come_with_the_package(name: str) -> None:
    column, texts = TEXTS[name]
    model, frame = modelbook.open_model(f"builtin:{name}").model, pl.DataFrame({column: texts})
    assert isinstance(model, Explains)
    labels = model.judge(frame).labels
    for label, told in zip(labels, model.explain(frame), strict=True):
        assert told.base + sum(each.contribution for each in told.attributions) == pytest.approx(told.margin, abs=1e-5)
        assert (told.margin > 0) == (label != "benign")
        assert {each.column for each in told.attributions} <= {column}
        assert bool(told.counterfactual) <= (label != "benign")
    assert set(labels) != {"benign"}


def test_a_text_without_the_parts_named_is_benign_and_with_fewer_removed_it_is_not() -> None:
    model = modelbook.open_model("builtin:http-parameters").model
    assert isinstance(model, Explains)
    (told,) = model.explain(pl.DataFrame({"payload": ["q'or/**/1=1;exec xp_cmdshell"]}))
    parts = text_parts("q'or/**/1=1;exec xp_cmdshell", None)
    removed = [each.before for each in told.counterfactual]
    assert removed
    kept = "".join(part for part in parts if part not in removed)
    assert model.judge(pl.DataFrame({"payload": [kept]})).labels == ["benign"]
    for left_out in combinations(range(len(parts)), len(removed) - 1):
        text = "".join(part for place, part in enumerate(parts) if place not in left_out)
        assert model.judge(pl.DataFrame({"payload": [text]})).labels != ["benign"]


def test_features_of_texts_add_up_to_the_margin() -> None:
    model = modelbook.open_model("builtin:dga").model
    assert isinstance(model, Explains)
    frame = pl.DataFrame({"domain": TEXTS["dga"][1]})
    told = model.contributions(frame)
    margins = [each.margin for each in model.explain(frame)]
    assert told.base + told.values.sum(axis=1) == pytest.approx(np.array(margins), abs=1e-4)
    assert "entropy_bits" in told.names
