"""Application fields gathered from log records: which field of which log becomes which column, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infraspectre.adapters.columns import MAX_LIST

DIGITS = 20
"""Digits of the largest number that 64 bits hold."""
Row = dict[str, Any]
Keep = Callable[[Row, str, Any], None]


def first(row: Row, column: str, value: Any) -> None:
    """Keep the first value."""
    row.setdefault(column, value)


def each(row: Row, column: str, value: Any) -> None:
    """Keep the values in order of appearance, as many as a list column holds."""
    kept = row.setdefault(column, [])
    kept.extend((value if isinstance(value, list) else [value])[: MAX_LIST - len(kept)])


def total(row: Row, column: str, value: Any) -> None:
    """Keep the sum."""
    row[column] = row.get(column, 0) + value


def count(row: Row, column: str, value: Any) -> None:
    """Keep how many times there was a value."""
    row[column] = row.get(column, 0) + 1


@dataclass(frozen=True)
class Rule:
    """Says which field of a record becomes which column."""

    field: str
    """Dotted path of the field; of a list on the way, each element counts."""
    column: str
    keep: Keep = first
    convert: Callable[[Any], Any] | None = None
    """Translates a value into the column's words; None means that there is none."""


def gather(row: Row, record: Mapping[str, Any], rules: Iterable[Rule]) -> None:
    """Add what the rules take from a record to a row."""
    for rule in rules:
        value = reach(record, rule.field)
        if value is not None and rule.convert:
            value = rule.convert(value)
        if value is not None:
            rule.keep(row, rule.column, value)


def reach(record: Any, path: str) -> Any:
    """Return the value at a dotted path; a field whose own name holds the dots comes first; None if there is none."""
    if isinstance(record, list):
        found = [value for value in (reach(element, path) for element in record) if value is not None]
        return found or None
    if not isinstance(record, Mapping):
        return None
    if path in record:
        return record[path]
    head, dot, rest = path.partition(".")
    return reach(record.get(head), rest) if dot else None


def text(value: Any) -> str | None:
    """Return a text, or None for what is none."""
    return value if isinstance(value, str) and value else None


def texts(value: Any) -> list[str] | None:
    """Return a list of texts."""
    values = value if isinstance(value, list) else [value]
    return [str(element) for element in values if element is not None] or None


def number(value: Any) -> int | None:
    """Return a count as an integer; None for what is none or is negative."""
    if isinstance(value, str):
        return int(value) if value.isdecimal() and len(value) <= DIGITS else None
    return int(value) if isinstance(value, int | float) and 0 <= value < 2**64 else None


def numbers(value: Any) -> list[int] | None:
    """Return a list of counts."""
    values = value if isinstance(value, list) else [value]
    return [known for known in map(number, values) if known is not None] or None


def name(value: Any) -> str | None:
    """Return a domain name in lower case without the final dot (RFC 1035)."""
    return value.lower().rstrip(".") if isinstance(value, str) and value else None


def size(value: Any) -> int | None:
    """Return the length of a text."""
    return len(value) if isinstance(value, str) else None


def flag(value: Any) -> int | None:
    """Return a truth value as 1 or 0."""
    return int(value) if isinstance(value, bool) else None
