"""Rules compiled together: every text that a rule of a log source looks for is searched once in each batch of events."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import ip_network

import numpy as np
import polars as pl
from numpy.typing import NDArray

from infraspectre.records.address import parse_address
from infraspectre.soma.sigma.events import Events, Rows, numbers_of, rows_of
from infraspectre.soma.sigma.rule import (
    Compare,
    Every,
    LogSource,
    Not,
    Part,
    Pattern,
    Present,
    Reference,
    Rule,
    Seen,
    Some,
    Test,
    Text,
    Within,
    leaves,
    parts,
)

NUMBER = re.compile(r"\d+(?:\.\d*)?")

COMPARISONS = {
    "lt": np.less,
    "lte": np.less_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
    "eq": np.equal,
}


class RuleSet:
    """Matches rules against batches of events."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Take the rules; those for a log source are put together when events of it first come."""
        self.rules = tuple(rules)
        self._compiled: dict[LogSource | None, Compiled] = {}

    def matches(self, events: Events, source: LogSource | None = None) -> Iterator[tuple[Rule, Rows]]:
        """Yield each rule that matches events of a log source, with their rows; without a source, of any rule."""
        compiled = self._compiled.get(source)
        if compiled is None:
            rules = [rule for rule in self.rules if source is None or rule.source.covers(source)]
            compiled = self._compiled[source] = Compiled(rules)
        return compiled.matches(events)


class Compiled:
    """Holds rules whose tests are in the order of their cost, and all texts that they look for."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Put rules together."""
        self._rules = [(rule, ordered(rule.test)) for rule in rules]
        self._texts: dict[tuple[str | None, bool], set[str]] = defaultdict(set)
        for _, test in self._rules:
            for leaf in leaves(test):
                if isinstance(leaf, Text):
                    self._texts[leaf.field, leaf.cased].update(leaf.texts)
        self._searches = {place: sorted(texts) for place, texts in self._texts.items()}

    def matches(self, events: Events) -> Iterator[tuple[Rule, Rows]]:
        """Yield each rule that matches, with the rows."""
        for (field, cased), texts in self._searches.items():
            events.column(field).search(texts, cased=cased)
        batch = Batch(events)
        for rule, test in self._rules:
            if rows := batch.holding(test, events.all):
                yield rule, rows


class Batch:
    """Finds the rows of a batch for which tests hold; texts are looked up in what was searched at once."""

    def __init__(self, events: Events) -> None:
        """Take the events."""
        self._events = events
        self._known: dict[Text, Rows] = {}

    def holding(self, test: Test, within: Rows) -> Rows:
        """Return which of some rows hold a test; what comes first leaves fewer rows to what costs more."""
        match test:
            case Text():
                return self._texts(test) & within
            case Every():
                for part in test.parts:
                    within = self.holding(part, within) if within else 0
                return within
            case Some():
                found = 0
                for part in test.parts:
                    found |= self.holding(part, within & ~found)
                return found
            case Not():
                return within & ~self.holding(test.part, within)
        return self._leaf(test, within) if within else 0

    def _texts(self, test: Text) -> Rows:
        rows = self._known.get(test)
        if rows is None:
            rows = self._events.column(test.field).containing(test.texts, cased=test.cased)
            self._known[test] = rows
        return rows

    def _leaf(self, test: Test, within: Rows) -> Rows:
        match test:
            case Present():
                return self._events.column(test.field).present & within
            case Reference():
                return self._referring(test, within)
            case Pattern() | Within() | Compare():
                column = self._events.column(test.field)
                codes = column.codes(within)
                return column.where(codes, holds(test, column.values.gather(codes))) & within
        raise TypeError(f"{test!r} does not look at events")

    def _referring(self, test: Reference, within: Rows) -> Rows:
        left, right = (self._events.column(name) for name in (test.field, test.other))
        chosen = np.zeros(len(self._events), dtype=np.bool_)
        for row in numbers_of(within & left.present & right.present, len(self._events)):
            chosen[row] = any(refers(test, one, other) for one in left.at(row) for other in right.at(row))
        return rows_of(chosen)


def refers(test: Reference, value: str, other: str) -> bool:
    """Tell whether a value stands to another one as a test asks."""
    if not test.cased:
        value, other = value.lower(), other.lower()
    if test.at_start and test.at_end:
        return value == other
    if test.at_start:
        return value.startswith(other)
    return value.endswith(other) if test.at_end else other in value


def holds(test: Pattern | Within | Compare, values: pl.Series) -> NDArray[np.bool_]:
    """Tell for each value whether a test holds."""
    match test:
        case Pattern():
            return values.str.contains(test.regex).to_numpy()
        case Within():
            return np.fromiter((is_within(value, test.network) for value in values), np.bool_, len(values))
    numbers = values.cast(pl.Float64, strict=False) if test.part is None else parts_of(values, test.part)
    return COMPARISONS[test.operator](numbers.fill_null(float("nan")).to_numpy(), test.number)


def is_within(text: str, network: str) -> bool:
    """Tell whether a text is an address of a network."""
    address, known = address_of(text), network_of(network)
    return address is not None and address.version == known.version and address in known


address_of = lru_cache(maxsize=65_536)(parse_address)
network_of = lru_cache(maxsize=65_536)(ip_network)


def parts_of(values: pl.Series, part: Part) -> pl.Series:
    """Return a part of each time: ISO 8601, or seconds since the epoch; null for what is no time."""
    return pl.Series([part_of(value, part) for value in values], dtype=pl.Float64)


def part_of(text: str, part: Part) -> float | None:
    """Return a part of a time as it is written; no time zone is applied."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if NUMBER.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return float(at.isocalendar().week if part == "week" else getattr(at, part))


def ordered(test: Test) -> Test:
    """Return a test whose parts that must all hold come in the order of their cost."""
    match test:
        case Every():
            inner = [ordered(part) for part in test.parts]
            flat = [each for part in inner for each in (part.parts if isinstance(part, Every) else (part,))]
            return Every(tuple(sorted(flat, key=cost)))
        case Some():
            return Some(tuple(sorted((ordered(part) for part in test.parts), key=cost)))
        case Not():
            return Not(ordered(test.part))
    return test


def cost(test: Test) -> tuple[int, int, int]:
    """Return what orders tests: texts come first, rare ones before frequent ones, and negations last."""
    if isinstance(test, Text):
        return 0, len(test.texts), -min(map(len, test.texts))
    inner = parts(test)
    return COSTS[type(test)] + max((cost(part)[0] for part in inner), default=0), len(inner), 0


COSTS = {Present: 1, Some: 1, Every: 1, Compare: 2, Pattern: 3, Within: 4, Reference: 5, Not: 10, Seen: 0}
