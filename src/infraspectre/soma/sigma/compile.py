"""Rules compiled together: all texts that they look for in a field are searched at once in each batch of events."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import lru_cache, reduce
from ipaddress import ip_network
from math import nan
from operator import or_

import msgspec
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
    looked_at,
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


class Search:
    """Gathers which texts are looked for in a field, and in the events of which log sources."""

    def __init__(self) -> None:
        """Look for nothing yet."""
        self.sources: set[LogSource] = set()
        self.texts: dict[bool, set[str]] = defaultdict(set)


class RuleSet:
    """Holds rules whose tests are in the order of their cost, and all texts that they look for."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Put rules together."""
        self.rules = [msgspec.structs.replace(rule, test=ordered(rule.test)) for rule in rules]
        self._searches: dict[str | None, Search] = defaultdict(Search)
        for rule in self.rules:
            for leaf in leaves(rule.test):
                for field in looked_at(leaf):
                    self._searches[field].sources.add(rule.source)
                if isinstance(leaf, Text):
                    self._searches[leaf.field].texts[leaf.cased].update(leaf.texts)

    def matches(self, events: Events, sources: Mapping[LogSource, Rows] | None = None) -> Iterator[tuple[Rule, Rows]]:
        """Yield each rule that matches, with the rows; `sources` says which rows are of which log source.

        Without `sources`, every rule looks at every event.
        """
        batch = Batch(events)
        asked = {rule.source for rule in self.rules}
        meant = {source: events.all if sources is None else covered(source, sources) for source in asked}
        for field, search in self._searches.items():
            column = events.take(field, reduce(or_, (meant[source] for source in search.sources)))
            for cased, texts in search.texts.items():
                column.search(texts, cased=cased)
        for rule in self.rules:
            if (within := meant[rule.source]) and (rows := batch.holding(rule.test, within)):
                yield rule, rows


def covered(source: LogSource, sources: Mapping[LogSource, Rows]) -> Rows:
    """Return the rows at which a rule for a log source looks."""
    return reduce(or_, (rows for known, rows in sources.items() if source.covers(known)), 0)


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
                chosen = holds(test, [column.values[code] for code in codes])
                return column.holding(codes[chosen]) & within
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


def holds(test: Pattern | Within | Compare, values: list[str]) -> NDArray[np.bool_]:
    """Tell for each value whether a test holds."""
    match test:
        case Pattern():
            return pl.Series(values, dtype=pl.String).str.contains(test.regex).to_numpy()
        case Within():
            return np.array([is_within(value, test.network) for value in values], dtype=np.bool_)
    numbers = [number_of(value) if test.part is None else part_of(value, test.part) for value in values]
    return COMPARISONS[test.operator](np.array(numbers, dtype=np.float64), test.number)


def is_within(text: str, network: str) -> bool:
    """Tell whether a text is an address of a network."""
    address, known = address_of(text), network_of(network)
    return address is not None and address.version == known.version and address in known


address_of = lru_cache(maxsize=65_536)(parse_address)
network_of = lru_cache(maxsize=65_536)(ip_network)


def number_of(text: str) -> float:
    """Return the number that a text writes; not a number for what is none."""
    try:
        return float(text)
    except ValueError:
        return nan


def part_of(text: str, part: Part) -> float:
    """Return a part of a time, ISO 8601 or seconds since the epoch, as it is written; no time zone is applied."""
    try:
        at = datetime.fromtimestamp(float(text), UTC) if NUMBER.fullmatch(text) else datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return nan
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
