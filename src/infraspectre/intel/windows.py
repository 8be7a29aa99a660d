"""Times at which something is allowed: parts of the week, cron expressions with a duration, and single spans."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from infraspectre.records.times import NANOSECONDS

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 1_440
WEEK_MINUTES = 7 * DAY_MINUTES
CLOCK = r"([01]?\d|2[0-4]):([0-5]\d)"
DAY = rf"({'|'.join(DAYS)})[a-z]*"
DAILY = re.compile(rf"(?:daily|{DAY}(?:\s*-\s*{DAY})?)(?:\s+{CLOCK}\s*-\s*{CLOCK})?")
ACROSS = re.compile(rf"{DAY}\s+{CLOCK}\s*-\s*{DAY}\s+{CLOCK}")
CRON = re.compile(r"(\S+\s+\S+\s+\S+\s+\S+\s+\S+)\s+for\s+(\d+)\s*(m|h)[a-z]*")
SPAN = re.compile(r"(\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d)?)\s+to\s+(\d{4}-\d\d-\d\d[t ]\d\d:\d\d(?::\d\d)?)")
CRON_RANGES = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
"""Least and greatest value of each field of a cron expression: minute, hour, day, month and day of the week."""
FORMS = "write 'Mon-Fri 08:00-18:00', 'Sat 22:00-Sun 04:00', 'daily 01:00-05:00', '0 2 * * 6 for 4h' or '... to ...'"

Window = Callable[[datetime], bool]
"""Tells whether a local time lies within it."""


def zone_of(name: str) -> tzinfo:
    """Return the time zone of a name of the IANA database; raises ValueError if there is none."""
    if name.upper() in ("UTC", "Z", "ETC/UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"there is no time zone {name!r}; such names are Europe/Berlin and UTC") from error


def local_time(at: int, zone: tzinfo) -> datetime:
    """Return a time in nanoseconds since the epoch as clocks in a zone show it."""
    return datetime.fromtimestamp(at // NANOSECONDS, zone).replace(tzinfo=None)


def window_of(text: str) -> Window:
    """Return the window that a text writes; raises ValueError if it writes none."""
    plain = " ".join(text.lower().split())
    for pattern, make in FORMS_READ:
        if found := pattern.fullmatch(plain):
            return make(found)
    raise ValueError(f"{text!r} is no time; {FORMS}")


def _daily(found: re.Match[str]) -> Window:
    """Make a window on some days; one that ends before it begins goes on after midnight."""
    first, last, *clock = found.groups()
    begin = DAYS.index(first) if first else 0
    end = DAYS.index(last or first) if first else len(DAYS) - 1
    days = [(begin + each) % 7 for each in range((end - begin) % 7 + 1)]
    start, stop = (_minutes(*clock[:2]), _minutes(*clock[2:])) if clock[0] else (0, DAY_MINUTES)
    length = stop - start if stop > start else stop - start + DAY_MINUTES
    return _weekly([(day * DAY_MINUTES + start, length) for day in days])


def _across(found: re.Match[str]) -> Window:
    first, *clock, last, hour, minute = found.groups()
    start = DAYS.index(first) * DAY_MINUTES + _minutes(*clock)
    stop = DAYS.index(last) * DAY_MINUTES + _minutes(hour, minute)
    return _weekly([(start, (stop - start) % WEEK_MINUTES or WEEK_MINUTES)])


def _weekly(parts: list[tuple[int, int]]) -> Window:
    """Make a window of parts of the week, each with its first minute and its length."""

    def holds(at: datetime) -> bool:
        minute = at.weekday() * DAY_MINUTES + at.hour * 60 + at.minute
        return any((minute - start) % WEEK_MINUTES < length for start, length in parts)

    return holds


def _cron(found: re.Match[str]) -> Window:
    """Make a window that opens at the times of a cron expression and stays open for at most a day."""
    fields = [_field(text, *bounds) for text, bounds in zip(found[1].split(), CRON_RANGES, strict=True)]
    any_day, any_weekday = (found[1].split()[place].startswith("*") for place in (2, 4))
    length = int(found[2]) * (60 if found[3] == "h" else 1)
    if not 0 < length <= DAY_MINUTES:
        raise ValueError("a window that cron opens lasts a minute to a day")

    def opens(at: datetime) -> bool:
        minute, hour, day, month, weekday = fields
        on_day, on_weekday = at.day in day, at.isoweekday() % 7 in {each % 7 for each in weekday}
        # POSIX crontab: where both are restricted, either is enough
        is_day = on_day and on_weekday if any_day or any_weekday else on_day or on_weekday
        return at.minute in minute and at.hour in hour and at.month in month and is_day

    def holds(at: datetime) -> bool:
        return any(opens(at - timedelta(minutes=back)) for back in range(length))

    return holds


def _field(text: str, least: int, greatest: int) -> set[int]:
    """Return the values of a field of a cron expression."""
    values: set[int] = set()
    for part in text.split(","):
        found = re.fullmatch(r"(?:\*|(\d+)(?:-(\d+))?)(?:/(\d+))?", part)
        if not found or found[3] == "0":
            raise ValueError(f"{text!r} is no field of a cron expression")
        first = int(found[1]) if found[1] else least
        last = int(found[2]) if found[2] else first if found[1] and not found[3] else greatest
        if not least <= first <= last <= greatest:
            raise ValueError(f"{text!r} is not within {least} to {greatest}")
        values.update(range(first, last + 1, int(found[3] or 1)))
    return values


def _span(found: re.Match[str]) -> Window:
    first, last = (datetime.fromisoformat(each.replace("t", "T")) for each in found.groups())
    if last <= first:
        raise ValueError("it ends before it begins")
    return lambda at: first <= at < last


def _minutes(hour: str, minute: str) -> int:
    return int(hour) * 60 + int(minute)


FORMS_READ = ((ACROSS, _across), (DAILY, _daily), (CRON, _cron), (SPAN, _span))
