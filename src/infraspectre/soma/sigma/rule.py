"""Sigma rules as data: what a rule looks for in one event, as a tree of tests, and what it says about its finds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple, TypeAlias

import msgspec

from infraspectre.records import Severity, Technique

START, END = "\ufdd0", "\ufdd1"
"""Stand before and after every value that is searched, so that anchored texts are found like all others.

Unicode keeps these two code points out of text (The Unicode Standard, 23.7 Noncharacters).
"""
BORDER = "\x1e"
"""Stands between the fields of an event where all of them are one text: ASCII's separator of records."""


class LogSource(NamedTuple):
    """Names where events come from; a rule leaves open what it does not mind."""

    category: str | None = None
    product: str | None = None
    service: str | None = None

    def covers(self, events: LogSource) -> bool:
        """Tell whether a rule for this log source looks at those events."""
        return all(asked in (None, given) for asked, given in zip(self, events, strict=True))

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self._asdict().items() if value) or "any log source"


class Text(msgspec.Struct, frozen=True):
    """Asks whether a value holds one of some texts; START and END in a text stand for those of the value."""

    field: str | None
    """None stands for every field of the event."""
    texts: frozenset[str]
    """In lower case, unless `cased`."""
    cased: bool = False


class Pattern(msgspec.Struct, frozen=True):
    """Asks whether a regular expression, in the syntax of the Rust crate regex, matches somewhere in a value."""

    field: str | None
    regex: str


class Within(msgspec.Struct, frozen=True):
    """Asks whether a value is an address of a network in CIDR notation."""

    field: str | None
    network: str


Operator = Literal["lt", "lte", "gt", "gte", "eq"]
Part = Literal["minute", "hour", "day", "week", "month", "year"]


class Compare(msgspec.Struct, frozen=True):
    """Asks how a number, or a part of a time, compares with another number."""

    field: str | None
    operator: Operator
    number: float
    part: Part | None = None


class Present(msgspec.Struct, frozen=True):
    """Asks whether the event has the field at all."""

    field: str | None


class Reference(msgspec.Struct, frozen=True):
    """Asks whether a value equals that of another field, or begins or ends with it, or holds it."""

    field: str
    other: str
    at_start: bool = True
    at_end: bool = True
    cased: bool = False


class Every(msgspec.Struct, frozen=True):
    """Holds when all of its parts hold."""

    parts: tuple[Test, ...]


class Some(msgspec.Struct, frozen=True):
    """Holds when at least one of its parts holds."""

    parts: tuple[Test, ...]


class Not(msgspec.Struct, frozen=True):
    """Holds when its part does not."""

    part: Test


class Seen(msgspec.Struct, frozen=True):
    """Asks, in the condition of a correlation, whether a rule has matched."""

    rule: str


Test: TypeAlias = Text | Pattern | Within | Compare | Present | Reference | Every | Some | Not | Seen


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Holds what rules and correlations say about themselves."""

    title: str
    id: str | None
    name: str | None
    level: Severity
    techniques: tuple[Technique, ...]
    falsepositives: tuple[str, ...]
    path: str
    line: int

    @property
    def key(self) -> str:
        """Return what tells it from all others: its identity, else its name, else its place."""
        return self.id or self.name or f"{self.path}:{self.line}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Describes single events that are worth a look."""

    head: Head
    source: LogSource
    test: Test


Kind = Literal[
    "event_count", "value_count", "temporal", "temporal_ordered", "value_sum", "value_avg", "value_percentile"
]
TEMPORAL: tuple[Kind, ...] = ("temporal", "temporal_ordered")


class Correlation(msgspec.Struct, frozen=True, kw_only=True):
    """Describes what several events that other rules match must have in common to be worth a look."""

    head: Head
    kind: Kind
    rules: tuple[str, ...]
    """Identities or names of rules or other correlations."""
    group_by: tuple[str, ...]
    timespan: int
    """In nanoseconds."""
    bounds: dict[str, float]
    """What the count or value is compared with, by operator; empty for temporal ones that have a condition."""
    condition: Test | None = None
    """Which rules must have matched, where a temporal one says so in words."""
    fields: tuple[str, ...] = ()
    """The fields whose values are counted or summed."""
    percentile: float | None = None
    """Which percentile of the values is compared; without it, the share of an event's value in percent."""
    aliases: dict[str, dict[str, str]] = {}
    """What a field of `group_by` is called in the events of which rule."""
    generate: bool = False
    """Tells whether the rules it refers to also speak for themselves."""


def parts(test: Test) -> tuple[Test, ...]:
    """Return the tests that a test is made of; none if it looks at the event itself."""
    match test:
        case Every() | Some():
            return test.parts
        case Not():
            return (test.part,)
    return ()


def leaves(test: Test) -> list[Test]:
    """Return the tests of a tree that look at the event itself."""
    inner = parts(test)
    return [leaf for part in inner for leaf in leaves(part)] if inner else [test]


def looked_at(leaf: Test) -> tuple[str | None, ...]:
    """Return the fields at which a test looks by itself; None stands for all of the event."""
    match leaf:
        case Reference():
            return leaf.field, leaf.other
        case Text() | Pattern() | Within() | Compare() | Present():
            return (leaf.field,)
    return ()


def fields_of(test: Test) -> set[str]:
    """Return the fields that a test names."""
    return {field for leaf in leaves(test) for field in looked_at(leaf) if field is not None}


def mapped(test: Test, change: Callable[[Test], Test]) -> Test:
    """Return a tree with changed leaves."""
    match test:
        case Every() | Some():
            return type(test)(tuple(mapped(part, change) for part in test.parts))
        case Not():
            return Not(mapped(test.part, change))
    return change(test)


def with_names(test: Test, names: Mapping[str, str]) -> Test:
    """Return a test that calls its fields by other names."""

    def renamed(leaf: Test) -> Test:
        told = {name: getattr(leaf, name, None) for name in ("field", "other")}
        return msgspec.structs.replace(leaf, **{name: names[field] for name, field in told.items() if field})

    return mapped(test, renamed)
