"""Windows hold at the times that they write, in the zone that is named."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.intel.windows import local_time, window_of, zone_of

MONDAY = "2026-01-05T"


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        ("Mon-Fri 08:00-18:00", "2026-01-05T08:00", "2026-01-05T18:00"),
        ("Mon-Fri 08:00-18:00", "2026-01-09T12:00", "2026-01-10T12:00"),
        ("Sat 22:00-Sun 04:00", "2026-01-11T03:59", "2026-01-11T04:00"),
        ("Sun 22:00-Mon 04:00", "2026-01-05T01:00", "2026-01-06T01:00"),
        ("Fri-Mon", "2026-01-10T00:00", "2026-01-08T23:59"),
        ("daily 23:00-01:00", "2026-01-05T00:30", "2026-01-05T01:00"),
        ("Friday 22:00-02:00", "2026-01-10T01:00", "2026-01-11T01:00"),
        ("0 2 * * 6 for 4h", "2026-01-10T05:59", "2026-01-10T06:00"),
        ("*/30 1 1-7 * 1 for 10m", "2026-01-12T01:39", "2026-01-13T01:00"),
        ("2026-01-05T08:00 to 2026-01-05T09:00", "2026-01-05T08:30", "2026-01-05T09:00"),
    ],
)
def test_a_window_holds_at_its_times_alone(window: str, inside: str, outside: str) -> None:
    holds = window_of(window)
    assert holds(datetime.fromisoformat(inside))
    assert not holds(datetime.fromisoformat(outside))


@pytest.mark.parametrize(
    "text",
    ["", "Fri 25:00-26:00", "always", "0 2 * * for 4h", "99 2 * * 6 for 4h", "0 2 * * 6 for 90h", "*/0 * * * * for 1h"],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        window_of(text)


def test_times_are_those_of_clocks_in_the_zone() -> None:
    at = int(datetime(2026, 7, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000_000
    assert (local_time(at, zone_of("Europe/Berlin")).hour, local_time(at, zone_of("UTC")).hour) == (14, 12)
    with pytest.raises(ValueError, match="no time zone"):
        zone_of("../../etc/passwd")


@given(st.text(alphabet="MonTueSat0123456789:-*/ forhmdailyt,", max_size=40))
def test_any_text_is_a_window_or_refused(text: str) -> None:
    try:
        window_of(text)(datetime(2026, 1, 5))
    except ValueError as error:
        assert str(error)
