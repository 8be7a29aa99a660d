"""Questions to stores: filters, order and pages, in one small language for REST, streams and webhooks."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self, cast

from infraspectre.errors import InputError
from infraspectre.records.times import from_datetime

Kind = Literal["text", "integer", "real", "texts"]
"""What a field holds; `texts` is a list of texts, of which a filter asks whether one fits."""
Operator = Literal["=", "!=", "<", "<=", ">", ">=", "~", "^"]
"""`~` asks for a part of a text, whatever the case of its letters A to Z, `^` for its beginning, exactly."""
Value = str | int | float
OPERATORS: dict[Kind, tuple[Operator, ...]] = {
    "text": ("=", "!=", "<", "<=", ">", ">=", "~", "^"),
    "integer": ("=", "!=", "<", "<=", ">", ">="),
    "real": ("=", "!=", "<", "<=", ">", ">="),
    "texts": ("=", "!=", "~", "^"),
}
"""How a field of each kind can be compared."""
NUMBERS: tuple[Kind, ...] = ("integer", "real")
LEAST: dict[Kind, Value] = {"text": "", "integer": -(2**63), "real": -math.inf}
"""What a field without a value is held as: it comes first in order. A missing number passes no filter but `!=`."""
MOST_ALTERNATIVES = 100
MOST_ROWS = 1_000
"""Rows of a page at the most."""
MOST_SIGNS = 400
"""So much of a text is compared: what indexes of every store can hold."""
MOST_TEXTS = 1_000
"""Texts of a list at the most."""
NAME = re.compile(r"[a-z][a-z0-9_.]{0,63}")
"""How a field is called."""
WRITTEN = re.compile(rf"\A({NAME.pattern})\s*(!=|<=|>=|=|<|>|~|\^)\s*(.{{0,1000}})\Z", re.DOTALL)
UNKEPT = re.compile("[\0\ud800-\udfff]")
"""Signs that not every store can hold; they are compared as U+FFFD."""


class Filter(NamedTuple):
    """Asks that a field compare so with one of some values."""

    field: str
    operator: Operator
    values: tuple[Value, ...]

    @classmethod
    def of(cls, text: str, fields: Mapping[str, Kind]) -> Self:
        """Read a filter such as `level=high|critical` or `value>=60`; raises InputError naming the field.

        Alternatives stand between `|` after `=` and `!=`; there, a backslash takes the next sign as it is.
        """
        written = WRITTEN.match(text)
        if written is None:
            raise InputError(
                "is no filter", field=text[:80], remedy="write FIELD, an operator (= != < <= > >= ~ ^), VALUE"
            )
        name, asked, value = written[1], cast("Operator", written[2]), written[3]
        kind = _kind(name, fields)
        several = split(value) if asked in ("=", "!=") else [value]
        return cls(name, asked, tuple(converted(name, each, kind) for each in several)).checked(fields)

    def checked(self, fields: Mapping[str, Kind]) -> Self:
        """Return the filter if its field can be compared so; raises InputError naming the field."""
        kind = _kind(self.field, fields)
        if self.operator not in OPERATORS[kind]:
            remedy = f"choose one of {' '.join(OPERATORS[kind])}"
            raise InputError(f"cannot be compared by {self.operator}", field=self.field, remedy=remedy)
        if not self.values:
            raise InputError("is compared with nothing", field=self.field)
        most = MOST_ALTERNATIVES if self.operator in ("=", "!=") else 1
        if len(self.values) > most:
            raise InputError(f"has more than {most} alternatives", field=self.field, remedy="ask twice")
        self.asked(kind)
        return self

    def asked(self, kind: Kind) -> list[Value]:
        """Return the values as a field of a kind holds them; raises InputError for what it cannot hold."""
        return [each for value in self.values for each in held(self.field, value, kind)]

    def fits(self, value: Any, kind: Kind) -> bool:
        """Tell whether a field's value passes: the reference for what every store answers."""
        kept, asked = held(self.field, value, kind), self.asked(kind)
        if self.operator == "!=":
            return not any(each in asked for each in kept)
        compare = COMPARISONS[self.operator]
        known = [each for each in kept if kind not in NUMBERS or each != LEAST[kind]]
        return any(compare(each, one) for each in known for one in asked)


def lowered(text: Any) -> str:
    """Return a text with the letters A to Z as small ones, which is what stores compare alike."""
    return str(text).translate(_LOWERED)


_LOWERED = {number: number + 32 for number in range(ord("A"), ord("Z") + 1)}
COMPARISONS: dict[Operator, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": lambda kept, part: lowered(part) in lowered(kept),
    "^": lambda kept, start: bool(kept.startswith(start)),
}


def _kind(name: str, fields: Mapping[str, Kind]) -> Kind:
    if name not in fields:
        remedy = f"choose one of {', '.join(sorted(fields))}" if fields else None
        raise InputError("cannot be filtered by", field=name[:64], remedy=remedy)
    return fields[name]


def split(text: str) -> list[str]:
    """Return the alternatives of a value."""
    parts = [""]
    for sign in re.findall(r"\\.|.", text, re.DOTALL):
        if sign == "|":
            parts.append("")
        else:
            parts[-1] += sign[-1]
    return parts


def converted(name: str, text: str, kind: Kind) -> Value:
    """Return a value as its field holds it, a time in RFC 3339 as its nanoseconds; raises InputError."""
    try:
        if kind == "integer" and "T" in text:
            return from_datetime(datetime.fromisoformat(text))
        return int(text) if kind == "integer" else float(text) if kind == "real" else text
    except (ValueError, OverflowError) as error:
        raise InputError(f"is neither a number nor a time: {text[:40]}", field=name) from error


def held(name: str, value: Any, kind: Kind) -> list[Value]:
    """Return a field's value as stores hold it: one for a text or number, any for texts; raises InputError."""
    if kind == "texts":
        several = [] if value is None else [value] if isinstance(value, str) else value
        if not isinstance(several, list | tuple) or len(several) > MOST_TEXTS:
            raise InputError(f"is no list of at most {MOST_TEXTS} texts", field=name)
        return list(dict.fromkeys(_text(name, each) for each in several))
    if value is None:
        return [LEAST[kind]]
    return [_text(name, value) if kind == "text" else _number(name, value, kind)]


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"is no text: {str(value)[:40]}", field=name)
    if value.isascii() and len(value) <= MOST_SIGNS and "\0" not in value:
        return value
    return UNKEPT.sub("\ufffd", value[:MOST_SIGNS])


def _number(name: str, value: Any, kind: Kind) -> int | float:
    if not isinstance(value, int if kind == "integer" else int | float):
        raise InputError(f"is no {kind} number: {str(value)[:40]}", field=name)
    if abs(value) >= 2**63 if kind == "integer" else not math.isfinite(value):
        raise InputError("is a number that no store holds", field=name)
    return int(value) if kind == "integer" else float(value)


class Order(NamedTuple):
    """Sorts by a field; equal rows by when they were first written, in the same direction, so that it is total."""

    field: str
    descending: bool = False

    @classmethod
    def of(cls, text: str, fields: Mapping[str, Kind]) -> Self:
        """Read an order such as `-value`, where `-` puts the highest first; raises InputError."""
        return cls(text.removeprefix("-"), text.startswith("-")).checked(fields)

    def checked(self, fields: Mapping[str, Kind]) -> Self:
        """Return the order if its field can be sorted by; raises InputError naming the field."""
        if fields.get(self.field) in (None, "texts"):
            sortable = sorted(each for each, kind in fields.items() if kind != "texts")
            raise InputError(
                "cannot be sorted by", field=self.field[:64], remedy=f"choose one of {', '.join(sortable)}"
            )
        return self


@dataclass(frozen=True)
class Query:
    """Asks for a page of rows."""

    filters: tuple[Filter, ...] = ()
    order: Order | None = None
    """None is the order of keys."""
    limit: int = 100
    after: str | None = None
    """The `next` of the page before; pages stay in order and show nothing twice while rows are written."""

    def checked(self, fields: Mapping[str, Kind]) -> Self:
        """Return the query if it can be answered of such fields; raises InputError naming the field."""
        for each in self.filters:
            each.checked(fields)
        if self.order is not None:
            self.order.checked(fields)
        if not 0 < self.limit <= MOST_ROWS:
            raise InputError(f"is not between 1 and {MOST_ROWS}", field="limit")
        return self


@dataclass(frozen=True)
class Collection:
    """Describes a kind of record in a store: its name, and the fields by which it is found and sorted."""

    name: str
    fields: Mapping[str, Kind] = field(default_factory=dict)
    frequent: tuple[str, ...] = ()
    """Fields of short values by which most is asked: stores may let the index of each hold them all, so that questions
    of them read nothing else. Rows of one text are sorted by the first number among them."""
    is_listed: bool = False
    """Whether records are large and mostly seen in lists, which show what the fields name: stores keep that beside
    each record, so that a page reads nothing else."""

    def __post_init__(self) -> None:
        """Refuse names that no store can use; raises InputError."""
        for name in (self.name, *self.fields):
            if NAME.fullmatch(name) is None:
                raise InputError("is no name of a collection or field", field=name[:64])
