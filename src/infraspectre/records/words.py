"""Counts and lists in writing."""

from __future__ import annotations

from collections.abc import Sequence


def plural(number: int, word: str) -> str:
    """Write a count with its word."""
    return f"{number:,} {word}" + ("" if number == 1 else "s")


def figure(number: float) -> str:
    """Write a measure shortly: whole if it is whole, else with four figures."""
    return f"{number:,.0f}" if float(number).is_integer() and abs(number) < 1e15 else f"{number:.4g}"


def listed(names: Sequence[str]) -> str:
    """Write names with commas between them, and an "and" before the last."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
