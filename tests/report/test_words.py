from __future__ import annotations

import pytest

from infraspectre.report.words import duration, moment, numbers, volume

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1 kB"), (999_900, "1 MB"), (1.5e9, "1.5 GB"), (5e15, "5000 TB")],
)
def test_volumes(number: float, text: str) -> None:
    assert volume(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (4.25, "4.25 s"), (60, "1 min"), (3725, "1 h 2 min"), (90_000, "1 d 1 h"), (-5, "0 s")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(int(seconds * SECOND)) == text


def test_moments_outside_the_calendar_are_numbers() -> None:
    assert moment(0) == "1970-01-01 00:00:00"
    assert moment(2**80) == f"{2**80} ns"


def test_lists_are_cut_and_counted() -> None:
    assert numbers([1, 2, 3], 2) == "1, 2 and 1 more"
    assert numbers([]) == ""
