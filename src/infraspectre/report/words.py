"""How figures, times and lists are written in the report."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import groupby

from infraspectre.records import TacticTechnique
from infraspectre.records.times import NANOSECONDS

UNITS = ("B", "kB", "MB", "GB", "TB")


def count(number: float) -> str:
    """Write a whole number with separators."""
    return f"{number:,.0f}"


def volume(number: float) -> str:
    """Write bytes in decimal units, with three figures."""
    power = min(max(len(str(int(number * 1.0005))) - 1, 0) // 3, len(UNITS) - 1)
    scaled = number / 1000**power
    return f"{scaled:.0f} {UNITS[power]}" if power == 0 or scaled >= 999.5 else f"{scaled:.3g} {UNITS[power]}"


def moment(at: int) -> str:
    """Write an event time as date and time to the second, UTC; one outside the calendar as a number."""
    try:
        return datetime.fromtimestamp(at // NANOSECONDS, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{at} ns"


def duration(nanoseconds: int) -> str:
    """Write a span of time in its two largest units."""
    seconds = max(nanoseconds, 0) / NANOSECONDS
    if seconds < 60:
        return f"{seconds:.3g} s"
    units = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))
    whole, parts = int(seconds), []
    for name, size in units:
        amount, whole = divmod(whole, size)
        parts += [f"{amount} {name}"] if amount else []
    return " ".join(parts[:2])


def numbers(values: Sequence[int], most: int = 8) -> str:
    """List a few numbers and count the rest."""
    shown = ", ".join(str(value) for value in values[:most])
    return f"{shown} and {len(values) - most} more" if len(values) > most else shown


def by_tactic(techniques: Sequence[TacticTechnique]) -> list[tuple[str, list[TacticTechnique]]]:
    """Group techniques, which come in kill-chain order, by tactic."""
    groups = groupby(techniques, key=lambda each: each.tactic)
    return [(tactic.replace("-", " "), list(members)) for tactic, members in groups]
