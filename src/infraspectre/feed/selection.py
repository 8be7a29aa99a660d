"""What somebody wants to see of the feed: channels and filters, compiled once to one test."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

from infraspectre.errors import InputError
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.feed import CHANNELS, Channel
from infraspectre.records.queries import Filter, Kind

if TYPE_CHECKING:
    from infraspectre.feed.batches import Happening

FIELDS: Mapping[str, Kind] = {
    "kind": "text",
    "at": "text",
    "subject": "text",
    "severity": "text",
    "entities": "texts",
    "countries": "texts",
    "relevance": "real",
}
"""Fields of the envelope by which events are selected; `data.NAME.NAME` selects by what a record holds."""
MOST_FILTERS = 16
INSIDE = re.compile(r"\Adata(\.[a-z0-9_]+){1,4}\s*(!=|<=|>=|=|<|>|~|\^)", re.ASCII)
RANK = {severity: rank for rank, severity in enumerate(SEVERITIES)}
Test = Callable[["Happening"], bool]
COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": operator.contains,
    "^": str.startswith,
}


@dataclass(frozen=True)
class Selection:
    """Selects events of one tenant; equal selections share all work done for them."""

    tenant: str
    channels: frozenset[Channel] = frozenset(CHANNELS)
    filters: tuple[Filter, ...] = ()

    @classmethod
    def of(cls, tenant: str, channels: Iterable[str] = (), filters: Iterable[str] = ()) -> Self:
        """Read channels (all, where none is named) and filters, of which all must hold; raises InputError."""
        named, written = frozenset(channels), tuple(filters)
        unknown = sorted(named.difference(CHANNELS))
        if unknown:
            raise InputError(
                f"is no channel: {unknown[0][:40]}", field="channels", remedy=f"choose from {', '.join(CHANNELS)}"
            )
        if len(written) > MOST_FILTERS:
            raise InputError(f"has more than {MOST_FILTERS} filters", field="filters", remedy="use fewer")
        read = sorted({selector(text) for text in written}, key=repr)
        return cls(tenant, named or frozenset(CHANNELS), tuple(read))  # type: ignore[arg-type]

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.tenant, self.channels, self.filters))

    @cached_property
    def tests(self) -> tuple[Test, ...]:
        """Return what an event must pass beside its channel, cheap tests first."""
        return tuple(test(each) for each in sorted(self.filters, key=lambda each: each.field.startswith("data.")))

    @cached_property
    def keys(self) -> tuple[tuple[str, str], ...] | None:
        """Return (field, value) pairs of which an event must have one, None where any event may pass."""
        for field in ("entities", "subject", "kind"):
            for each in self.filters:
                if each.field == field and each.operator == "=":
                    return tuple((field, str(value)) for value in each.values)
        return None

    def takes(self, happening: Happening) -> bool:
        """Tell whether an event of the tenant is selected."""
        if happening.event.channel not in self.channels:
            return False
        return all(passes(happening) for passes in self.tests)


def selector(text: str) -> Filter:
    """Read one filter on the feed; raises InputError naming the field."""
    inside = INSIDE.match(text)
    if inside is None:
        return checked(Filter.of(text, FIELDS))
    name = inside[0].removesuffix(inside[2]).rstrip()
    return Filter.of(text, {**FIELDS, name: "real" if inside[2] in ("<", "<=", ">", ">=") else "text"})


def checked(read: Filter) -> Filter:
    """Return a filter whose values can be compared so; raises InputError."""
    if read.field == "severity":
        unknown = [value for value in read.values if value not in RANK]
        if unknown or read.operator in ("~", "^"):
            raise InputError(
                f"cannot be compared so: {read.operator}{(unknown or read.values)[0]}"[:80],
                field="severity",
                remedy=f"compare (= != < <= > >=) with one of {', '.join(SEVERITIES)}",
            )
    if read.field == "relevance" and read.operator in ("~", "^"):
        raise InputError("is a number", field="relevance", remedy="compare it, as in relevance>=0.5")
    if read.field in ("entities", "countries") and read.operator in ("<", "<=", ">", ">="):
        raise InputError("has no order", field=read.field, remedy="use = != ~ ^")
    return read


def test(asked: Filter) -> Test:
    """Compile a filter to a test of events."""
    if asked.field == "severity":
        return severity_test(asked)
    if asked.field.startswith("data."):
        return data_test(asked)
    fits = comparison(asked)
    if asked.field == "relevance":
        return lambda happening: fits(happening.relevance)
    get = operator.attrgetter(asked.field)
    if FIELDS[asked.field] == "texts":
        return texts_test(get, asked, fits)
    return lambda happening: fits(get(happening.event))


def severity_test(asked: Filter) -> Test:
    """Compile a filter on severity, which has an order of its own."""
    ranks = [RANK[str(value)] for value in asked.values]  # type: ignore[index]
    if asked.operator in ("=", "!="):
        allowed = {rank for rank in RANK.values() if (rank in ranks) == (asked.operator == "=")}
    else:
        allowed = {rank for rank in RANK.values() if COMPARISONS[asked.operator](rank, ranks[0])}
    return lambda happening: happening.rank in allowed


def texts_test(get: Callable[[Any], list[str]], asked: Filter, fits: Callable[[Any], bool]) -> Test:
    """Compile a filter on a list of texts: one must fit, or with != none may be equal."""
    if asked.operator == "=":
        wanted = frozenset(asked.values)
        return lambda happening: not wanted.isdisjoint(get(happening.event))
    if asked.operator == "!=":
        return lambda happening: all(map(fits, get(happening.event)))
    return lambda happening: any(map(fits, get(happening.event)))


def data_test(asked: Filter) -> Test:
    """Compile a filter on the record within an event; what it does not hold is unequal to everything."""
    path = asked.field.split(".")[1:]
    fits, ordered, missing = comparison(asked), asked.operator in ("<", "<=", ">", ">="), asked.operator == "!="

    def passes(happening: Happening) -> bool:
        value = within(happening.data, path)
        if ordered:
            return isinstance(value, int | float) and not isinstance(value, bool) and fits(value)
        return missing if value is None else fits(written(value))

    return passes


def within(value: Any, path: list[str]) -> Any:
    """Return what lies at a path of members, None where there is nothing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def written(value: Any) -> str:
    """Return a value of JSON as it is compared with text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


def comparison(asked: Filter) -> Callable[[Any], bool]:
    """Compile the comparison of a filter."""
    if asked.operator == "=":
        return frozenset(asked.values).__contains__
    if asked.operator == "!=":
        unwanted = frozenset(asked.values)
        return lambda value: value not in unwanted
    compare, wanted = COMPARISONS[asked.operator], asked.values[0]
    return lambda value: compare(value, wanted)
