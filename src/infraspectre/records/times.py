"""Times in writing: nanoseconds since the epoch as people and other tools read them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache

UNITS = {"ns": 1, "us": 1_000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9, "d": 86_400 * 10**9}
"""Nanoseconds in each unit of time."""
NANOSECONDS = UNITS["s"]
"""Nanoseconds in a second."""
LATEST = 2**63 - 1
"""The last time that 64 bits hold, in the year 2262."""


def rfc3339(at: int) -> str:
    """Return a time in nanoseconds since the epoch as RFC 3339 in UTC, to the microsecond."""
    seconds, rest = divmod(at, NANOSECONDS)
    return f"{_second(seconds)}.{rest // 1000:06}Z"


@lru_cache(4_096)
def _second(at: int) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%S}"


def from_datetime(at: datetime) -> int:
    """Return a time as nanoseconds since the epoch; one without a zone is taken as UTC."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return (round(aware.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond) * 1000


def earliest(times: Iterable[int | None]) -> int | None:
    """Return the first of some times, None where none of them is known."""
    return min((at for at in times if at is not None), default=None)


def bounded(at: int) -> int:
    """Return a time in nanoseconds since the epoch; raises ValueError when 64 bits do not hold it."""
    if not -LATEST <= at <= LATEST:
        raise ValueError(f"a time of {at} ns is out of range")
    return at
