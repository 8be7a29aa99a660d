from __future__ import annotations

import numpy as np
import pytest

from infraspectre.analytics.forecasting import Settings, Smoothing, forecast
from infraspectre.errors import InputError

HOURS = np.arange(24 * 28)


def daily(seed: int, trend: float = 0.0) -> list[float]:
    """Counts of each hour of four weeks, with a night in each day."""
    chance = np.random.default_rng(seed)
    counts = chance.poisson(20 + 15 * np.sin(HOURS * 2 * np.pi / 24) + trend * HOURS)
    return [float(count) for count in counts]


def test_repeating_day_is_forecast_better_than_by_its_last_value() -> None:
    found = forecast(daily(1)[:-24], 24)
    truth = 20 + 15 * np.sin(HOURS[-24:] * 2 * np.pi / 24)
    assert np.abs([point.value for point in found.points] - truth).mean() < 2.5
    assert found.error < 0.5 * found.errors["naive"]
    assert found.method == "damped Holt-Winters 24"


def test_plain_repetition_is_forecast_exactly() -> None:
    found = forecast([1.0, 5.0, 2.0, 0.0] * 30, 8, 0.8, seasons=(4,))
    assert [point.value for point in found.points] == pytest.approx([1, 5, 2, 0] * 2, abs=1e-6)
    assert [point.high - point.low for point in found.points] == pytest.approx([0] * 8, abs=1e-5)


def test_trend_goes_on_and_is_damped() -> None:
    found = forecast([float(value) for value in range(200)], 20)
    values = [point.value for point in found.points]
    assert found.method == "damped trend"
    assert np.all(np.diff(values) > 0)
    assert 200 < values[-1] <= 219.5


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("trend", [0.0, 0.03])
def test_intervals_hold_as_often_as_they_say(level: float, trend: float) -> None:
    held = []
    for seed in range(12):
        series = daily(seed, trend)
        points = forecast(series[:-24], 24, level).points
        held += [point.low <= value <= point.high for point, value in zip(points, series[-24:], strict=True)]
    assert level - 0.06 < np.mean(held) < level + 0.07


def test_smoothing_is_that_of_the_book() -> None:
    alpha, beta, gamma, phi, season = 0.3, 0.2, 0.4, 0.9, 3
    values = np.array([3.0, 5.0, 1.0, 4.0, 6.0, 2.0, 7.0, 8.0])
    smoothing = Smoothing.begun(values, season, Settings(*(np.array([each]) for each in (alpha, beta, gamma, phi))))
    level, trend, pattern = values[:3].mean(), 0.0, list(values[:3] - values[:3].mean())
    for at in range(season, len(values)):
        before = level + phi * trend
        new = alpha * (values[at] - pattern[at - season]) + (1 - alpha) * before
        # The book smooths the season by what is left of the value less the level before: gamma* = gamma (1 - alpha).
        pattern.append(gamma * (1 - alpha) * (values[at] - before) + (1 - gamma * (1 - alpha)) * pattern[at - season])
        trend = beta * (new - level) + (1 - beta) * phi * trend
        level = new
        smoothing.take(values[at], at)
    expected = [level + phi * trend + pattern[-3], level + (phi + phi**2) * trend + pattern[-2]]
    assert smoothing.ahead(len(values), 2) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("series", "horizon", "level"),
    [([1.0] * 10, 5, 0.9), ([1.0] * 100, 0, 0.9), ([1.0] * 100, 5, 1.0), ([float("nan")] * 100, 5, 0.9), ([], 1, 0.5)],
)
def test_what_cannot_be_forecast(series: list[float], horizon: int, level: float) -> None:
    with pytest.raises(InputError):
        forecast(series, horizon, level)
