from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.analytics.trends import aligned, discovery_bound, judged, mann_kendall, trends
from infraspectre.errors import InputError
from infraspectre.records.tables import DETECTION_COLUMNS
from infraspectre.records.times import UNITS
from table_rows import BEGIN, SetClock

DAY, HOUR = UNITS["d"], UNITS["h"]


def test_score_is_that_of_all_pairs() -> None:
    values = np.random.default_rng(2).integers(0, 9, 40)
    plain = sum(int(np.sign(values[j] - values[i])) for i in range(40) for j in range(i + 1, 40))
    assert mann_kendall(values, 1)[0] == plain


def test_test_agrees_with_the_literature() -> None:
    # Ten rising values: S = 45, variance 125, z = 44 / 11.18 (Gilbert 1987, section 16.4).
    score, p_value = mann_kendall(np.arange(10), 1)
    assert score == 45
    assert p_value == pytest.approx(8.3e-5, rel=0.02)


def test_chance_is_seldom_called_a_trend() -> None:
    chance = np.random.default_rng(4)
    night = 10 + 8 * np.sin(np.arange(24 * 14) * 2 * np.pi / 24)
    p_values = [mann_kendall(chance.poisson(night), 24)[1] for _ in range(300)]
    assert 0.01 < np.mean(np.array(p_values) < 0.05) < 0.09


def test_rising_category_is_told_among_steady_ones() -> None:
    chance = np.random.default_rng(5)
    hours = np.arange(24 * 14)
    series = {f"steady {number}": chance.poisson(10, len(hours)) for number in range(20)}
    series["rising"] = chance.poisson(8 + hours * 0.02)
    series["falling"] = chance.poisson(16 - hours * 0.02)
    found = {trend.category: trend for trend in judged(series, 24)}
    assert {name for name, trend in found.items() if trend.direction == "rising"} == {"rising"}
    assert {name for name, trend in found.items() if trend.direction == "falling"} == {"falling"}
    assert found["rising"].slope == pytest.approx(0.02, abs=0.006)
    assert 0.15 < (found["rising"].change or 0) < 0.5


def test_no_p_value_is_no_discovery() -> None:
    assert discovery_bound([]) == -1
    assert discovery_bound([0.01, 0.02, 0.9]) == 0.02


def test_weeks_begin_on_mondays() -> None:
    assert aligned(BEGIN + 5 * HOUR, "week") == BEGIN - 4 * DAY  # 2024-10-04 is a Friday
    assert aligned(BEGIN + 5 * HOUR + 7, "hour") == BEGIN + 5 * HOUR


def detections(times: list[int], category: str) -> pl.DataFrame:
    rows = [{"detection_id": f"{category}{at}", "at": at, "category": category} for at in times]
    kinds = {"detection_id": pl.String, "at": pl.Int64, "category": pl.String}
    assert set(kinds) <= set(DETECTION_COLUMNS)
    return pl.DataFrame(rows, schema=kinds)


def test_trends_of_a_table(tmp_path: Path) -> None:
    with ParquetTables(tmp_path, SetClock()) as store:
        times = [BEGIN + day * DAY + number for day in range(14) for number in range(day)]
        store.append("t", "detections", detections(times, "scan"), "a")
        store.append("t", "detections", detections([BEGIN + 1], "beacon"), "b")
        store.append("other", "detections", detections([BEGIN + 1], "beacon"), "b")
        found = trends(store, "t", BEGIN + 5, BEGIN + 14 * DAY, "day")
        assert [trend.category for trend in found.trends] == ["scan", "beacon"]
        assert found.trends[0].counts == list(range(14))
        assert found.trends[1].counts == [1, *([0] * 13)]
        asked = trends(store, "t", BEGIN, BEGIN + 14 * DAY, "day", ["beacon", "exfiltration"])
        assert {trend.category: trend.total for trend in asked.trends} == {"beacon": 1, "exfiltration": 0}
        for end in (BEGIN, BEGIN + 100_000 * DAY):
            with pytest.raises(InputError):
                trends(store, "t", BEGIN, end, "day")
