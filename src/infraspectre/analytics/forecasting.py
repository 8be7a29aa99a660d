"""Forecasts of counts: the method that did best so far, with intervals as wide as its errors were.

Formulas: Hyndman and Athanasopoulos, Forecasting: Principles and Practice, 3rd edition, sections 5.2, 5.10 and 8.3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from math import ceil
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from infraspectre.errors import InputError

Values = npt.NDArray[np.float64]
MOST_VALUES = 5_000
MOST_HORIZON = 1_000
MOST_ORIGINS = 400
"""Times in the past from which each method has to forecast, the last ones."""
MOST_FITTED = 1_000
"""Values to which parameters are fitted, the last ones."""
LEVELS = (0.05, 0.1, 0.3, 0.6, 0.9)
TRENDS = (0.0, 0.05, 0.2)
SEASONS = (0.05, 0.2, 0.5)
DAMPING = (0.8, 0.9, 0.98)
"""The grid of parameters; alpha of the level, beta of the trend, gamma of the season, phi of damping."""


class Point(msgspec.Struct, frozen=True):
    """Is one value to come, with its interval."""

    value: float
    low: float
    high: float


class Forecast(msgspec.Struct, frozen=True):
    """Says what values are likely to come, and how well the method did on those that were."""

    method: str
    level: float
    """The share of values that should lie in their interval."""
    points: list[Point]
    error: float
    """Mean absolute error of the method from all origins."""
    errors: dict[str, float]
    """The same of all methods that were tried."""
    origins: int
    """Times in the past from which it had to forecast."""


class Method(NamedTuple):
    """Is a way to forecast: from each origin of a series, so many values."""

    name: str
    least: int
    """Values that it needs before its first origin."""
    forecasts: Callable[[Values, int, int], Values]
    """Takes the series, the first origin and the horizon; an origin is the number of values known."""


def forecast(series: Sequence[float], horizon: int, level: float = 0.9, seasons: Sequence[int] = (24,)) -> Forecast:
    """Forecast values that cannot be below 0, the seasons being lengths of what may repeat.

    The method is chosen by its errors from rolling origins; intervals are split conformal: each half width is the
    quantile of the absolute errors at that distance. Raises InputError for a series that is too short.
    """
    values = checked(series, horizon, level)
    first = first_origin(values, horizon, level)
    methods = [method for method in candidates(seasons) if method.least <= first]
    errors = {method.name: rolling_errors(method, values, first, horizon) for method in methods}
    means = {name: float(np.nanmean(np.abs(each))) for name, each in errors.items()}
    best = min(methods, key=lambda method: means[method.name])
    points = best.forecasts(values, len(values), horizon)[0]
    widths = half_widths(np.abs(errors[best.name]), level)
    return Forecast(
        best.name,
        level,
        [interval(value, width) for value, width in zip(points, widths, strict=True)],
        means[best.name],
        means,
        len(errors[best.name]),
    )


def checked(series: Sequence[float], horizon: int, level: float) -> Values:
    """Return the last values as an array; raises InputError."""
    values = np.asarray(series, np.float64)[-MOST_VALUES:]
    if not 1 <= horizon <= MOST_HORIZON:
        raise InputError(f"is not between 1 and {MOST_HORIZON}", field="horizon")
    if not 0.5 <= level <= 0.99:
        raise InputError("is not between 0.5 and 0.99", field="level")
    if not np.isfinite(values).all():
        raise InputError("has values that are no numbers", field="series")
    return values


def first_origin(values: Values, horizon: int, level: float) -> int:
    """Return from when on methods are tried: a quantile of errors needs 1 / (1 - level) of them at each distance."""
    needed = ceil(1 / (1 - level)) + horizon
    first = max(len(values) // 2, len(values) - MOST_ORIGINS - horizon)
    if len(values) - first < needed or first < 2:
        remedy = f"give at least {2 * needed} values, or ask for a shorter horizon or a lower level"
        raise InputError(f"has {len(values)} values, which are too few", field="series", remedy=remedy)
    return first


def candidates(seasons: Sequence[int]) -> list[Method]:
    """Return the methods that are tried."""
    longer = [season for season in seasons if season > 1]
    return [
        Method("naive", 1, lambda values, first, horizon: repeated(values, first, horizon, 1)),
        Method("damped trend", 8, lambda values, first, horizon: smoothed(values, first, horizon, 1)),
        *(Method(f"seasonal naive {season}", season, seasonal(repeated, season)) for season in longer),
        *(Method(f"damped Holt-Winters {season}", 2 * season, seasonal(smoothed, season)) for season in longer),
    ]


def seasonal(forecasts: Callable[[Values, int, int, int], Values], season: int) -> Callable[[Values, int, int], Values]:
    """Return a method for one season."""
    return lambda values, first, horizon: forecasts(values, first, horizon, season)


def rolling_errors(method: Method, values: Values, first: int, horizon: int) -> Values:
    """Return the errors from each origin on, by distance; beyond the end they are not numbers."""
    origins = range(first, len(values))
    forecasts = method.forecasts(values, first, horizon)[: len(origins)]
    padded = np.concatenate([values, np.full(horizon, np.nan)])
    actual = np.lib.stride_tricks.sliding_window_view(padded, horizon)[first : len(values)]
    return np.asarray(actual - forecasts)


def half_widths(errors: Values, level: float) -> list[float]:
    """Return the half width of the interval at each distance, which never shrinks with it."""
    widths = []
    for column in errors.T:
        known = np.sort(column[~np.isnan(column)])
        rank = min(ceil((len(known) + 1) * level), len(known))
        widths.append(float(known[rank - 1]))
    return [float(width) for width in np.maximum.accumulate(widths)]


def interval(value: float, width: float) -> Point:
    """Return a value with its interval; counts are never below 0."""
    return Point(max(float(value), 0.0), max(float(value) - width, 0.0), max(float(value) + width, 0.0))


def repeated(values: Values, first: int, horizon: int, season: int) -> Values:
    """Forecast that the last season comes again (section 5.2), from each origin on; one row for each."""
    places = np.arange(first, len(values) + 1)[:, None] - season + np.arange(horizon)[None, :] % season
    return np.asarray(values[places])


class Settings(NamedTuple):
    """Holds the parameters of exponential smoothing; each field has one value for each setting."""

    alpha: Values
    beta: Values
    gamma: Values
    phi: Values


@dataclass
class Smoothing:
    """Follows a series by additive Holt-Winters with damped trend, under many settings at once."""

    settings: Settings
    level: Values
    trend: Values
    season: Values
    """One row for each place in the season, one column for each setting."""

    @classmethod
    def begun(cls, values: Values, season: int, settings: Settings) -> Self:
        """Begin with the first season: its mean is the level, what is left of each value its season."""
        count, level = len(settings.alpha), float(values[:season].mean())
        pattern = np.repeat((values[:season] - level)[:, None] * (season > 1), count, axis=1)
        return cls(settings, np.full(count, level), np.zeros(count), pattern)

    def take(self, value: float, at: int) -> Values:
        """Follow the series by the value at a place, and return by how much each setting missed it."""
        alpha, beta, gamma, phi = self.settings
        place, before = at % len(self.season), self.level + phi * self.trend
        error = value - before - self.season[place]
        level = before + alpha * error
        self.trend = beta * (level - self.level) + (1 - beta) * phi * self.trend
        self.level = level
        self.season[place] = self.season[place] + gamma * (1 - alpha) * error
        return np.asarray(error)

    def ahead(self, at: int, horizon: int) -> Values:
        """Return the values that come at a place and behind it, under the first setting."""
        damping = np.cumsum(self.settings.phi[0] ** np.arange(1, horizon + 1))
        cycle = self.season[(at + np.arange(horizon)) % len(self.season), 0]
        return np.asarray(self.level[0] + damping * self.trend[0] + cycle)


def smoothed(values: Values, first: int, horizon: int, season: int) -> Values:
    """Forecast by Holt-Winters with additive seasons and damped trend (section 8.3), from each origin on.

    The parameters are those with the smallest errors one step ahead, before the first origin.
    """
    smoothing = Smoothing.begun(values, season, best_settings(values[:first], season))
    forecasts = []
    for at in range(season, len(values)):
        if at >= first:
            forecasts.append(smoothing.ahead(at, horizon))
        smoothing.take(values[at], at)
    return np.asarray([*forecasts, smoothing.ahead(len(values), horizon)])


def best_settings(values: Values, season: int) -> Settings:
    """Return the setting with the smallest squared errors one step ahead, among those of a grid."""
    known = values[-max(MOST_FITTED, 2 * season) :]
    grid = np.array(list(product(LEVELS, TRENDS, SEASONS if season > 1 else (0.0,), DAMPING))).T
    smoothing = Smoothing.begun(known, season, Settings(*grid))
    errors = sum((smoothing.take(known[at], at) ** 2 for at in range(season, len(known))), np.zeros(grid.shape[1]))
    return Settings(*grid[:, [int(np.argmin(errors))]])
