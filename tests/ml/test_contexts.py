"""Contexts: shares and ratios follow what was seen, and unknown contexts say nothing."""

from __future__ import annotations

import numpy as np
import pytest

from infraspectre.ml.contexts import FEATURES, Contexts

PLACES = ["org"] * 900 + ["biz"] * 100 + ["biz"] * 900 + ["org"] * 100
LABELS = np.repeat(np.array([0, 1], np.int32), 1_000)


@pytest.fixture
def contexts() -> Contexts:
    return Contexts.learn(PLACES, LABELS, np.ones(2_000))


def test_ratios_tell_on_which_side_a_context_is_usual(contexts: Contexts) -> None:
    rows = contexts.features(["org", "biz"])
    assert rows.shape == (2, len(FEATURES))
    assert rows[0, 0] == pytest.approx(np.log2(0.9), abs=0.05)
    assert rows[:, 1].tolist() == pytest.approx([-np.log2(9), np.log2(9)], abs=0.2)


def test_a_context_that_is_new_or_rare_has_hardly_a_ratio(contexts: Contexts) -> None:
    rows = contexts.features(["new"])
    assert abs(rows[0, 1]) < 0.1
    assert rows[0, 0] < -10
    once = Contexts.learn([*PLACES, "tk"], np.append(LABELS, np.int32(1)), np.ones(2_001))
    assert 0 < once.features(["tk"])[0, 1] < 6


def test_an_unknown_context_says_nothing(contexts: Contexts) -> None:
    assert np.isnan(contexts.features([""])).all()
    assert contexts.features([]).shape == (0, len(FEATURES))
    assert np.isnan(Contexts.learn([""], np.zeros(1, np.int32), np.ones(1)).features([""])).all()


def test_saved_contexts_say_the_same(contexts: Contexts) -> None:
    again = Contexts.restore(contexts.state())
    assert np.array_equal(again.features(["org", "biz", "new"]), contexts.features(["org", "biz", "new"]))
