"""Evaluates the checks of suricata-verify on EVE events: dotted keys, indexes, and a few words for what is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

MISSING = object()
"""What a key that is not there holds; nothing equals it."""
Event = Mapping[str, Any]

ASKED: dict[str, Callable[[Any, Any], bool]] = {
    "__len": lambda value, expected: hasattr(value, "__len__") and len(value) == int(expected),
    "__contains": lambda value, expected: hasattr(value, "__contains__") and expected in value,
    "__startswith": lambda value, expected: isinstance(value, str) and value.startswith(expected),
    "__endswith": lambda value, expected: isinstance(value, str) and value.endswith(expected),
}
"""What the last part of a key may ask, instead of equality."""


def failures(checks: Iterable[Mapping[str, Any]], events: Sequence[Event]) -> list[str]:
    """Return what each check that does not hold expected, and what it got."""
    counts = [(check, sum(matches(check["match"], event) for event in events)) for check in checks]
    return [
        f"expected {check['count']} of {dict(check['match'])}, got {count}"
        for check, count in counts
        if count != int(check["count"])
    ]


def matches(pattern: Mapping[str, Any], event: Event) -> bool:
    """Tell whether an event has all that a pattern names."""
    return all(holds(key, expected, event) for key, expected in pattern.items())


def holds(key: str, expected: Any, event: Event) -> bool:
    """Tell whether one entry of a pattern holds."""
    if key == "has-key":
        return find(expected, event) is not MISSING
    if key == "not-has-key":
        return find(expected, event) is MISSING
    path, _, last = key.rpartition(".")
    if last in ASKED:
        return ASKED[last](find(path, event), expected)
    value = find(key, event)
    return value is not MISSING and type(value) is type(expected) and bool(value == expected)


def find(key: str, event: Any) -> Any:
    """Return the value at a key such as alert.signature_id or files[0].filename, or MISSING; null counts as absent."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", key):
        event = step(event, name, index)
    return MISSING if event is None else event


def step(value: Any, name: str, index: str) -> Any:
    """Return the member of this name, or the item of this index."""
    if name:
        return value.get(name, MISSING) if isinstance(value, Mapping) else MISSING
    return value[int(index)] if isinstance(value, list) and int(index) < len(value) else MISSING
