"""The report card tells what judgements are worth, and nothing in it flatters."""

from __future__ import annotations

import polars as pl
import pytest

from infraspectre.errors import InputError
from infraspectre.learning import training
from infraspectre.learning.report_card import ReportCard, Subject, report_card
from infraspectre.learning.retraining import left_out, retrained
from infraspectre.ml.council import CouncilSettings
from infraspectre.records.models import Threshold
from model_fakes import Line, rows

SUBJECT = Subject("line", "0" * 64, "kind", "benign", [])


def card(frame: pl.DataFrame, *thresholds: Threshold) -> ReportCard:
    return report_card(frame, Line().judge(frame), SUBJECT, thresholds)


def test_figures_are_those_of_the_rows() -> None:
    frame = pl.DataFrame({"x": [0.1, 0.2, 0.6, 0.7, 0.9, 0.3], "kind": ["benign"] * 3 + ["attack"] * 3})
    found = card(frame, Threshold(0.01, 0.65))
    assert (found.accuracy.count, found.accuracy.of) == (4, 6)
    assert (found.decision.true_positives.count, found.decision.false_positives.count) == (2, 1)
    (point,) = found.operating_points
    assert (point.true_positives.count, point.false_positives.count, point.ratio) == (2, 0, 0.0)
    assert found.confusion == {"benign": {"benign": 2, "attack": 1}, "attack": {"attack": 2, "benign": 1}}
    assert [row.name for row in found.classes] == ["benign", "attack"]
    assert found.ranking.area_under_curve == pytest.approx(8 / 9)


def test_the_real_rate_of_false_positives_stands_beside_the_wanted() -> None:
    frame = rows(20_000)
    (point,) = card(frame, Threshold(0.01, 0.8)).operating_points
    # Benign rows have the density 2 (1 - x): above .8 lie .2 squared of them.
    assert point.false_positives.share == pytest.approx(0.04, abs=0.005)
    assert point.ratio == pytest.approx(4, abs=0.5)
    assert point.precision["0.001"] < point.precision["0.01"] < 0.2


def test_trivial_guesses_stand_beside_the_model() -> None:
    majority, feature, model = card(rows(4_000, seed=3)).baselines
    assert majority.accuracy == pytest.approx(0.5, abs=0.05)
    assert feature.name == "one feature: x"
    assert feature.area_under_curve == pytest.approx(model.area_under_curve, abs=0.02)


@pytest.mark.parametrize("kind", ["benign", "attack"])
def test_rows_of_one_kind_are_refused(kind: str) -> None:
    with pytest.raises(InputError, match=r"kind: every row is (benign|hostile)"):
        card(rows(50).with_columns(kind=pl.lit(kind)))


def test_the_order_of_rows_does_not_matter() -> None:
    frame = rows(1_000)
    turned = frame.reverse()
    one, other = card(frame), card(turned)
    assert (one.ranking, one.classes, one.confusion) == (other.ranking, other.classes, other.confusion)


def test_training_tries_on_rows_it_did_not_learn_from() -> None:
    sizes = []

    def learn(frame: pl.DataFrame, _: CouncilSettings) -> Line:
        sizes.append(len(frame))
        return Line()

    trained = training.train(rows(1_000), "kind", learn)
    assert sizes == [1_000 - trained.metrics["rows"], 1_000]
    assert [each.score for each in trained.thresholds] == [0.999, 0.99]


def test_labels_are_required_of_every_row() -> None:
    with pytest.raises(InputError, match="kindly: there is no such column; choose from x, y, kind"):
        training.train(rows(10), "kindly", lambda *_: Line())
    holed = rows(10).with_columns(kind=pl.when(pl.int_range(10) == 4).then(None).otherwise(pl.col("kind")))
    with pytest.raises(InputError, match="kind: row 4 has no label"):
        training.train(holed, "kind", lambda *_: Line())


def test_an_attack_left_out_is_never_learnt() -> None:
    frame = pl.concat([rows(600), rows(600, seed=1).with_columns(kind=pl.col("kind").replace("attack", "other"))])
    seen: list[set[str]] = []

    def learn(learnt: pl.DataFrame, seed: int) -> Line:
        seen.append(set(learnt["kind"]))
        return Line()

    assert [each.attack for each in left_out(frame, frame, "kind", "benign", learn)] == ["attack", "other"]
    assert seen == [{"benign", "other"}, {"benign", "attack"}]
    names = [each.name for each in retrained(frame, frame, "kind", learn)]
    assert names == [*(f"seed {seed}" for seed in range(5)), "random split"]
