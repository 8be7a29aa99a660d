"""Characters, words and shapes of texts, and the models that judge by them."""

from __future__ import annotations

import random

import numpy as np
import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.ml.ngrams import Corpus, Ngrams
from infraspectre.ml.shapes import shape_names, shapes
from infraspectre.ml.text import Calibration, Sample, TextModel, TextSettings, _threshold
from infraspectre.ml.words import Vocabulary

SYLLABLES = ("ma", "ri", "no", "sel", "ta", "lo", "pen", "ka")
SETTINGS = TextSettings(folds=3, rounds=30, table_bits=12, words=50)


def texts(seed: int, count: int = 600) -> Sample:
    """Texts of syllables, and hostile ones of random letters in six groups."""
    draw = random.Random(seed)
    benign = ["".join(draw.choices(SYLLABLES, k=draw.randint(2, 4))) for _ in range(count)]
    hostile = ["".join(draw.choices("abcdefghijklmnopqrstuvwxyz", k=draw.randint(7, 12))) for _ in range(count)]
    labels = np.repeat(np.array([0, 1], np.int32), count)
    groups = np.concatenate((np.zeros(count, np.int64), np.arange(count) % 6 + 1))
    return Sample([*benign, *hostile], labels, groups)


@pytest.fixture(scope="module")
def model() -> TextModel:
    return TextModel.learn(["benign", "hostile"], texts(1), SETTINGS)


def frame(sample: Sample) -> pl.DataFrame:
    return pl.DataFrame({"text": list(sample.texts)})


def test_texts_never_seen_are_told_apart(model: TextModel) -> None:
    sample = texts(2)
    called = np.array(model.judge(frame(sample)).labels) == "hostile"
    assert called[sample.labels == 1].mean() > 0.95
    assert called[sample.labels == 0].mean() < 0.03


def test_permuted_labels_teach_nothing() -> None:
    sample = texts(1)
    permuted = Sample(sample.texts, np.random.default_rng(3).permutation(sample.labels), np.arange(1200) % 60)
    unseen = texts(2)
    scores = TextModel.learn(["benign", "hostile"], permuted, SETTINGS).judge(frame(unseen)).scores
    assert abs(scores[unseen.labels == 1].mean() - scores[unseen.labels == 0].mean()) < 0.2


def test_a_saved_model_judges_exactly_alike(model: TextModel) -> None:
    again = TextModel.restore(model.state())
    first, second = model.judge(frame(texts(2))), again.judge(frame(texts(2)))
    assert first.labels == second.labels
    for field in ("scores", "probabilities", "low", "high"):
        assert np.array_equal(getattr(first, field), getattr(second, field))


def test_learning_twice_gives_the_same_model(model: TextModel) -> None:
    again = TextModel.learn(["benign", "hostile"], texts(1), SETTINGS)
    assert np.array_equal(again.state().arrays["trees"], model.state().arrays["trees"])


def test_a_judgement_does_not_depend_on_the_other_rows(model: TextModel) -> None:
    rows = frame(texts(2))
    whole = model.judge(rows).scores
    assert np.array_equal(model.judge(rows.reverse()).scores[::-1], whole)
    assert np.array_equal(model.judge(rows[7:8]).scores, whole[7:8])


def test_intervals_hold_their_probability(model: TextModel) -> None:
    judged = model.judge(frame(texts(2)))
    assert ((judged.low >= 0) & (judged.low <= judged.probabilities)).all()
    assert ((judged.probabilities <= judged.high) & (judged.high <= 1)).all()


@pytest.mark.parametrize("text", ["", " ", "\x00\x02\x03", "é" * 5_000, "\ud800", "👾.com", "a" * 100_000])
def test_hostile_texts_are_judged(model: TextModel, text: str) -> None:
    judged = TextModel.judge(model, pl.DataFrame({"text": [text.encode("utf-8", "replace").decode(), None]}))
    assert np.isfinite(judged.scores).all()


def test_no_rows_give_no_judgement(model: TextModel) -> None:
    assert model.judge(pl.DataFrame({"text": []}, schema={"text": pl.String})).labels == []


def test_a_missing_column_is_named(model: TextModel) -> None:
    with pytest.raises(InputError, match="text: the column is missing; the table has name"):
        model.judge(pl.DataFrame({"name": ["a"]}))


def test_a_column_of_numbers_is_refused(model: TextModel) -> None:
    with pytest.raises(InputError, match="text: this column holds Int64"):
        model.judge(pl.DataFrame({"text": [1]}))


def test_one_side_alone_is_refused() -> None:
    sample = texts(1)
    with pytest.raises(InputError, match="one side"):
        TextModel.learn(["benign", "hostile"], sample.part(sample.labels == 0), SETTINGS)


def test_folds_keep_groups_of_hostile_texts_together() -> None:
    sample = texts(1)
    folds = sample.folds(3, seed=1)
    for group in range(1, 7):
        assert len(set(folds[sample.groups == group])) == 1
    assert set(folds[sample.labels == 0]) == {0, 1, 2}


def test_folds_by_source_keep_groups_of_benign_texts_together() -> None:
    labels = np.array([0] * 100 + [1] * 20, np.int32)
    groups = np.repeat(np.arange(6), (50, 20, 20, 10, 10, 10))
    folds = Sample([""] * 120, labels, groups).folds(3, seed=1, by_source=True)
    assert all(len(set(folds[groups == group])) == 1 for group in range(6))
    assert sorted(np.bincount(folds[labels == 0])) == [20, 30, 50]
    with pytest.raises(InputError, match="4 sources cannot be left out in 5 parts"):
        Sample([""] * 120, labels, groups).folds(5, seed=1, by_source=True)


def test_a_threshold_by_source_heeds_small_sources() -> None:
    scores = np.concatenate((np.linspace(0, 0.5, 20_000), np.linspace(0.5, 1, 1_000), [1.0]))
    labels = np.array([0] * 21_000 + [1], np.int32)
    groups = np.array([0] * 20_000 + [1] * 1_000 + [2])
    sample = Sample([""] * 21_001, labels, groups)
    assert _threshold(scores, sample, TextSettings()) == pytest.approx(0.895, abs=0.01)
    assert _threshold(scores, sample, TextSettings(by_source=True)) == pytest.approx(0.99, abs=0.01)


def test_contexts_count_beside_texts() -> None:
    class Placed(TextModel):
        @classmethod
        def read(cls, text: str) -> str:
            return text.partition(".")[0]

        @classmethod
        def context(cls, text: str) -> str:
            return text.partition(".")[2]

    draw = random.Random(1)
    names = ["".join(draw.choices(SYLLABLES, k=3)) for _ in range(800)]
    labels = np.repeat(np.array([0, 1], np.int32), 400)
    contexts = [*(["org"] * 400), *(["biz"] * 400)]
    groups = np.concatenate((np.zeros(400, np.int64), np.arange(400) % 6 + 1))
    model = Placed.learn(["benign", "hostile"], Sample(names, labels, groups, contexts), SETTINGS)
    rows = pl.DataFrame({"text": ["marino.org", "marino.biz", "marino"]})
    benign, hostile, _ = model.judge(rows).scores
    assert benign < 0.2 < 0.8 < hostile
    again = Placed.restore(model.state())
    assert np.array_equal(again.judge(rows).scores, model.judge(rows).scores)


@pytest.mark.parametrize("names", [["id", "HOST"], ["host", "qname"], ["Query", "host"]])
def test_a_column_is_found_by_the_names_it_goes_by(names: list[str]) -> None:
    class Named(TextModel):
        column = "query"
        also = ("host", "qname")

    assert Named.column_in(names) == {"HOST": "HOST", "qname": "host", "host": "Query"}[names[1]]


def test_groups_weigh_alike_whatever_their_size() -> None:
    labels = np.array([0] * 500 + [1] * 1200, np.int32)
    groups = np.array([0] * 500 + [1] * 200 + [2] * 1000, np.int64)
    weights = Sample([""] * 1700, labels, groups).weights()
    assert weights[groups == 1].sum() == pytest.approx(weights[groups == 2].sum())
    assert weights[labels == 1].sum() == pytest.approx(500)


def test_probabilities_of_characters_follow_counts() -> None:
    ngrams = Ngrams.learn(Corpus(["ab"] * 99 + ["ac"]), order=2, bits=12)
    bits = ngrams.log2_probabilities(Corpus(["ab", "ac", "zz"]))[1]
    assert bits[1] == pytest.approx(0, abs=0.2)
    assert bits[4] == pytest.approx(np.log2(1 / 100), abs=1.5)
    assert bits[7] < bits[4]


def test_windows_stay_within_their_text() -> None:
    corpus = Corpus(["a", "bbb"])
    values = np.array([5.0, 5.0, 1.0, 2.0, 3.0, 9.0])
    assert corpus.least_window(values, 3).tolist() == [5.0, 2.0]
    assert corpus.means(values).tolist() == [5.0, 3.75]


def test_words_are_learnt_from_texts_without_spaces() -> None:
    draw = random.Random(4)
    joined = ["".join(draw.sample(("river", "stone", "market", "green"), 2)) for _ in range(300)]
    vocabulary = Vocabulary.learn(joined, size=10)
    assert vocabulary.cut("greenriver").words == ["green", "river"]
    assert vocabulary.cut("qqgreen").words == ["green"]
    assert vocabulary.cut("").words == []


def test_shapes_measure_what_they_name() -> None:
    row = dict(zip(shape_names(), shapes(Corpus(["x", "aa12bcd9"]))[1].tolist(), strict=True))
    assert row["length"] == 8
    assert row["digits_share"] == pytest.approx(3 / 8)
    assert row["consonants_run"] == 3
    assert row["repeats_share"] == pytest.approx(1 / 8)
    assert row["changes_share"] == pytest.approx(3 / 8)
    assert row["others_share"] == 0


def test_calibration_rises_and_says_shares() -> None:
    scores = np.repeat([0.1, 0.5, 0.9], 100)
    hostile = np.concatenate([np.arange(100) < share for share in (5, 60, 95)])
    probabilities, low, high = Calibration.learn(scores, hostile, np.ones(300))(np.array([0.0, 0.1, 0.6, 1.0]))
    assert probabilities.tolist() == [0.05, 0.05, 0.6, 0.95]
    assert (low < probabilities).all()
    assert (high > probabilities).all()
