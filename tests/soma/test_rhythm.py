"""A timer is told from chance and from people, however it is shaken."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from infraspectre.ml.robust import Vector
from infraspectre.soma.rhythm import rhythm_of

Draw = Callable[[np.random.Generator, int], Vector]


def verdicts(draw: Draw, count: int) -> float:
    """Return how often gaps are taken for those of a timer."""
    random = np.random.default_rng(7)
    rhythms = [rhythm_of(np.cumsum(draw(random, count)), 2.0) for _ in range(200)]
    return float(np.mean([each is not None and each.is_timer for each in rhythms]))


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.95])
def test_a_timer_is_one_whatever_its_jitter(jitter: float) -> None:
    assert verdicts(lambda random, n: 300.0 * (1.0 + random.uniform(-jitter, jitter, n)), 40) > 0.9


def test_a_timer_that_skips_calls_and_sleeps_at_night_is_one() -> None:
    def gaps(random: np.random.Generator, n: int) -> Vector:
        shaken = 300.0 * random.geometric(0.75, n) * (1.0 + random.uniform(-0.3, 0.3, n))
        return np.where(np.arange(n) % 60 == 59, 40_000.0, shaken)

    assert verdicts(gaps, 120) > 0.9


def test_chance_and_people_are_hardly_ever_timers() -> None:
    assert verdicts(lambda random, n: random.exponential(300.0, n), 100) < 0.12
    assert verdicts(lambda random, n: random.lognormal(4.0, 1.5, n), 100) < 0.05


def test_few_or_simultaneous_calls_have_no_rhythm() -> None:
    assert rhythm_of(np.array([0.0, 60.0, 120.0]), 2.0) is None
    assert rhythm_of(np.zeros(50), 2.0) is None
    assert rhythm_of(np.empty(0), 2.0) is None
