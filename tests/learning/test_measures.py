"""Measures agree with their definitions, counted plainly."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.learning import measures
from infraspectre.ml.detector import Judgement


@st.composite
def judged(draw: st.DrawFn) -> tuple[list[int], list[bool]]:
    count = draw(st.integers(2, 30))
    scores = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    hostile = draw(st.lists(st.booleans(), min_size=count - 2, max_size=count - 2))
    return scores, [True, False, *hostile]


@given(judged())
def test_the_area_is_the_share_of_pairs_in_order(rows: tuple[list[int], list[bool]]) -> None:
    scores, hostile = rows
    pairs = [
        1.0 if bad > good else 0.5 if bad == good else 0.0
        for bad, is_bad in zip(scores, hostile, strict=True)
        if is_bad
        for good, is_also in zip(scores, hostile, strict=True)
        if not is_also
    ]
    found = measures.area_under_curve(np.array(scores, dtype=float), np.array(hostile))
    assert found == pytest.approx(sum(pairs) / len(pairs))


@given(judged())
def test_average_precision_adds_up_the_steps_of_recall(rows: tuple[list[int], list[bool]]) -> None:
    scores, hostile = np.array(rows[0], dtype=float), np.array(rows[1])
    total, before = 0.0, 0.0
    for threshold in sorted(set(rows[0]), reverse=True):
        flagged = scores >= threshold
        recall = (flagged & hostile).sum() / hostile.sum()
        total += (recall - before) * (flagged & hostile).sum() / flagged.sum()
        before = recall
    assert measures.average_precision(scores, hostile) == pytest.approx(total)


def test_wilson_agrees_with_published_values() -> None:
    # Newcombe (1998), table I: 81 of 263, and 0 of 20.
    some, none = measures.rate(81, 263), measures.rate(0, 20)
    assert (round(some.low, 4), round(some.high, 4)) == (0.2553, 0.3662)
    assert (round(none.low, 4), round(none.high, 4)) == (0.0, 0.1611)
    assert math.isnan(measures.rate(0, 0).share)


def test_a_threshold_holds_on_rows_not_seen() -> None:
    draws = np.random.default_rng(0)
    real = [(draws.random(2_000) > measures.threshold_for(draws.random(500), 0.01)).mean() for _ in range(400)]
    assert 0.008 < float(np.mean(real)) <= 0.0105


def test_too_few_rows_give_no_threshold() -> None:
    assert measures.threshold_for(np.arange(98.0), 0.01) == math.inf
    assert measures.threshold_for(np.arange(99.0), 0.01) == 98.0


def test_precision_falls_with_the_base_rate() -> None:
    assert measures.precision_at(0.001, 0.9, 0.01) == pytest.approx(0.0009 / (0.0009 + 0.00999))


def judgement(probabilities: np.ndarray, width: float) -> Judgement:
    low, high = np.maximum(probabilities - width, 0), np.minimum(probabilities + width, 1)
    return Judgement([""] * len(probabilities), probabilities, probabilities, low, high)


def test_honest_probabilities_are_calibrated_and_others_are_not() -> None:
    draws = np.random.default_rng(1)
    told = draws.random(20_000)
    hostile = draws.random(20_000) < told
    good = measures.reliability(judgement(told, 0.1), hostile)
    bad = measures.reliability(judgement(np.sqrt(told), 0.1), hostile)
    assert measures.calibration_error(good) < 0.02
    assert measures.calibration_error(bad) == pytest.approx(2 / 3 - 1 / 2, abs=0.02)
    assert measures.brier_score(told, hostile) == pytest.approx(1 / 6, abs=0.01)


def test_an_interval_covers_a_row_where_it_holds_its_outcome() -> None:
    told = judgement(np.array([0.05, 0.5, 0.9, 0.95]), 0.1)
    assert measures.coverage(told, np.array([False, True, True, False])) == 0.5
