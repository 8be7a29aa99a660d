"""Questions to stores: filters, order and pages, in one small language for REST, streams and webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Self

from infraspectre.errors import InputError

Kind = Literal["text", "integer", "real", "texts"]
"""What a field holds; `texts` is a list of texts, of which a filter asks whether one fits."""
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "^"]
"""`~` asks for a part of a text, `^` for its beginning."""
Value = str | int | float
MOST_ALTERNATIVES = 100
MOST_ROWS = 1_000
"""Rows of a page at the most."""
WRITTEN = re.compile(r"\A([a-z][a-z0-9_.]{0,63})\s*(!=|<=|>=|=|<|>|~|\^)\s*(.{0,1000})\Z", re.DOTALL)


class Filter(NamedTuple):
    """Asks that a field compare so with one of some values."""

    field: str
    operator: Operator
    values: tuple[Value, ...]

    @classmethod
    def of(cls, text: str, fields: Mapping[str, Kind]) -> Self:
        """Read a filter such as `level=high|critical` or `value>=60`; raises InputError naming the field.

        Alternatives stand between `|` after `=` and `!=`; a backslash takes the next sign as it is.
        """
        written = WRITTEN.match(text)
        if written is None:
            raise InputError(
                "is no filter", field=text[:80], remedy="write FIELD, an operator (= != < <= > >= ~ ^), VALUE"
            )
        name, operator, value = written[1], written[2], written[3]
        if name not in fields:
            raise InputError("cannot be filtered by", field=name, remedy=f"choose one of {', '.join(sorted(fields))}")
        several = split(value) if operator in ("=", "!=") else [value]
        if len(several) > MOST_ALTERNATIVES:
            raise InputError(f"has more than {MOST_ALTERNATIVES} alternatives", field=name, remedy="ask twice")
        return cls(name, operator, tuple(converted(name, each, fields[name]) for each in several))  # type: ignore[arg-type]


def split(text: str) -> list[str]:
    """Return the alternatives of a value."""
    parts = re.findall(r"((?:[^|\\]|\\.|\\$)*)(?:\||$)", text, re.DOTALL)
    return [re.sub(r"\\(.)", r"\1", part, flags=re.DOTALL) for part in (parts[:-1] if text else parts[:1])]


def converted(name: str, text: str, kind: Kind) -> Value:
    """Return a value as its field holds it; raises InputError."""
    try:
        return int(text) if kind == "integer" else float(text) if kind == "real" else text
    except ValueError as error:
        raise InputError(f"is no number: {text[:40]}", field=name) from error


class Order(NamedTuple):
    """Sorts by a field; equal rows are sorted by their key, so that every order is total."""

    field: str
    descending: bool = False

    @classmethod
    def of(cls, text: str, fields: Mapping[str, Kind]) -> Self:
        """Read an order such as `-value`, where `-` puts the highest first; raises InputError."""
        name = text.removeprefix("-")
        if fields.get(name) in (None, "texts"):
            sortable = sorted(each for each, kind in fields.items() if kind != "texts")
            raise InputError("cannot be sorted by", field=name[:64], remedy=f"choose one of {', '.join(sortable)}")
        return cls(name, text.startswith("-"))


@dataclass(frozen=True)
class Query:
    """Asks for a page of rows."""

    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    """None is the order of keys."""
    limit: int = 100
    after: str | None = None
    """The `next` of the page before; pages stay in order and show nothing twice while rows are written."""


@dataclass(frozen=True)
class Collection:
    """Describes a kind of record in a store: its name, and the fields by which it is found and sorted."""

    name: str
    fields: Mapping[str, Kind] = field(default_factory=dict)
