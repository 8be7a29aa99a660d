"""Correlations in the stream: what several matched events have in common within a window of capture time."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import fsum
from operator import eq, ge, gt, le, lt, ne
from typing import Any, NamedTuple

from infraspectre.ml.bounded import trim
from infraspectre.records.times import earliest
from infraspectre.soma.sigma.rule import TEMPORAL, Correlation, Every, Not, Seen, Some, Test, parts

COMPARISONS = {"lt": lt, "lte": le, "gt": gt, "gte": ge, "eq": eq, "neq": ne}
CAPACITY = 8_192
"""Groups of which each correlation remembers events; beyond it, the one silent for longest is forgotten."""
MAX_EVENTS = 4_096
"""Events that a group remembers, or twice the count waited for; beyond it, the oldest is forgotten."""

Value = Any
Group = tuple[Value, ...]


class Hit(NamedTuple):
    """States that a rule matched an event."""

    at: int
    """When, in nanoseconds since the epoch."""
    rule: str
    fields: Mapping[str, Value]
    """The values of those fields that correlations ask for."""
    evidence: Any = None
    """Whatever the caller wants back."""


class Match(NamedTuple):
    """States that a correlation found what it looks for."""

    correlation: Correlation
    group: Group
    hits: tuple[Hit, ...]
    measure: float
    """The count or value that was compared."""


class Correlator:
    """Gathers matched events by correlation and group; memory is bounded, and what is forgotten is counted."""

    def __init__(self, correlations: Sequence[Correlation]) -> None:
        """Take correlations, those on which others build first."""
        self._asking: dict[str, list[Gathering]] = defaultdict(list)
        self._gatherings = [Gathering(correlation) for correlation in correlations]
        for gathering in self._gatherings:
            for rule in gathering.correlation.rules:
                self._asking[rule].append(gathering)
        self._clock = 0

    @property
    def forgotten(self) -> int:
        """Return how many events had to be forgotten before their window was over."""
        return sum(gathering.forgotten for gathering in self._gatherings)

    def take(self, hits: Iterable[Hit], clock: int) -> list[Match]:
        """Return what matched events make certain; `clock` is the latest time of all events, matched or not."""
        found = [match for hit in sorted(hits, key=lambda hit: hit.at) for match in self._add(hit)]
        self._clock = max(self._clock, clock)
        return found + self._closed(self._clock)

    def due(self) -> int | None:
        """Return when the first window is over whose end decides, None where there is none."""
        return earliest(gathering.due() for gathering in self._gatherings)

    def finish(self) -> list[Match]:
        """Return what the end of the input makes certain: windows that are still open end with it."""
        return self._closed(None)

    def _closed(self, clock: int | None) -> list[Match]:
        return [each for one in self._gatherings for match in one.close(clock) for each in self._chained(match)]

    def _add(self, hit: Hit) -> Iterator[Match]:
        for gathering in self._asking.get(hit.rule, ()):
            for match in gathering.add(hit):
                yield from self._chained(match)

    def _chained(self, match: Match) -> Iterator[Match]:
        """Yield a match and what it leads to: to other correlations it is the event that completed it."""
        yield match
        last = match.hits[-1]
        yield from self._add(last._replace(rule=match.correlation.head.key))


class Window:
    """Holds the events of one group in the order of time, and the most that their count or sum can be."""

    def __init__(self, correlation: Correlation) -> None:
        """Start with no event."""
        self.hits: list[Hit] = []
        self._correlation = correlation
        self._distinct: Counter[Value] = Counter()
        self._total = 0.0
        self._order = {rule: number for number, rule in enumerate(correlation.rules)}

    def add(self, hit: Hit) -> None:
        """Put an event in its place."""
        insort(self.hits, hit, key=lambda known: (known.at, self._order[known.rule]))
        self._count(hit, 1)

    def forget(self, number: int) -> None:
        """Leave out the oldest events."""
        for hit in self.hits[:number]:
            self._count(hit, -1)
        del self.hits[:number]

    def _count(self, hit: Hit, times: int) -> None:
        kind = self._correlation.kind
        if kind == "value_sum":
            self._total += times * fsum(numbers(self._correlation, hit))
        elif kind != "event_count":
            key = hit.rule if kind in TEMPORAL else values(self._correlation, hit)
            self._distinct[key] += times
            if not self._distinct[key]:
                del self._distinct[key]

    def at_most(self) -> float:
        """Return what no exact count or sum exceeds, without a look at each event."""
        if self._correlation.kind == "event_count":
            return len(self.hits)
        return self._total if self._correlation.kind == "value_sum" else len(self._distinct)


class Gathering:
    """Holds the events of one correlation, by group.

    A count that must be reached is compared at each event, over the timespan that ends with it. Whatever may cease to
    hold when further events come is compared when its window is over, which begins with the first event of a group.
    """

    def __init__(self, correlation: Correlation) -> None:
        """Start with no event."""
        self.correlation = correlation
        self.forgotten = 0
        self._is_sliding = is_sliding(correlation)
        self._windows: OrderedDict[Group, Window] = OrderedDict()
        counted = max(correlation.bounds.values(), default=0) if correlation.kind.endswith("_count") else 0
        self._most = max(MAX_EVENTS, 2 * int(counted))

    def add(self, hit: Hit) -> list[Match]:
        """Add an event; return what it completes."""
        group = self._group(hit)
        if group is None:
            return []
        window = self._windows.get(group)
        is_over = window is not None and not self._is_sliding and hit.at >= self._end(window)
        done = self._judged(group) if is_over else []
        window = self._windows.setdefault(group, Window(self.correlation))
        window.add(hit)
        self._windows.move_to_end(group)
        excess = max(0, len(window.hits) - self._most)
        window.forget(excess)
        self.forgotten += excess + trim(self._windows, CAPACITY)
        return self._slid(group, window) if self._is_sliding else done

    def _slid(self, group: Group, window: Window) -> list[Match]:
        """Return what the timespan that ends with the latest event amounts to."""
        begin = window.hits[-1].at - self.correlation.timespan
        window.forget(bisect_right(window.hits, begin, key=lambda known: known.at))
        is_possible = self.correlation.condition is not None or is_bounded(self.correlation, window.at_most())
        return self._judged(group, is_final=False) if is_possible else []

    def close(self, clock: int | None) -> Iterator[Match]:
        """Yield what windows that are over at a time amount to, or all windows without a time."""
        if self._is_sliding:
            return
        for group in [group for group, window in self._windows.items() if clock is None or self._end(window) <= clock]:
            yield from self._judged(group)

    def due(self) -> int | None:
        """Return when the first window is over, None where none waits for its end."""
        return None if self._is_sliding else min(map(self._end, self._windows.values()), default=None)

    def _end(self, window: Window) -> int:
        return window.hits[0].at + self.correlation.timespan

    def _group(self, hit: Hit) -> Group | None:
        """Return the values that events must share; None for an event that lacks one."""
        aliases = self.correlation.aliases
        names = [aliases.get(name, {}).get(hit.rule, name) for name in self.correlation.group_by]
        values = tuple(hit.fields.get(name) for name in names)
        return None if None in values else values

    def _judged(self, group: Group, *, is_final: bool = True) -> list[Match]:
        """Return what the events of a group amount to, after which they count no more."""
        measures = measured(self.correlation, self._windows[group].hits)
        found = [Match(self.correlation, group, tuple(hits), size) for hits, size in measures]
        if found or is_final:
            del self._windows[group]
        return found


def is_sliding(correlation: Correlation) -> bool:
    """Tell whether what a correlation looks for can no longer cease to hold once it holds."""
    if correlation.condition is not None:
        return not any(isinstance(test, Not) for test in tree(correlation.condition))
    return correlation.kind not in ("value_avg", "value_percentile") and set(correlation.bounds) <= {"gt", "gte"}


def tree(test: Test) -> Iterator[Test]:
    """Yield a test and all tests inside it."""
    yield test
    for part in parts(test):
        yield from tree(part)


def measured(correlation: Correlation, window: Sequence[Hit]) -> Iterator[tuple[Sequence[Hit], float]]:
    """Yield the events of a window that are what a correlation looks for, with their count or value."""
    if correlation.kind == "value_percentile" and correlation.percentile is None:
        yield from rare(correlation, window)
        return
    size = measure(correlation, window)
    if size is not None and (is_bounded(correlation, size) if correlation.condition is None else size > 0):
        yield window, size


def is_bounded(correlation: Correlation, size: float) -> bool:
    """Tell whether a count or value is within the bounds of a correlation."""
    return all(COMPARISONS[operator](size, bound) for operator, bound in correlation.bounds.items())


def measure(correlation: Correlation, window: Sequence[Hit]) -> float | None:
    """Return the count or value that a correlation compares; None where no event has the value."""
    match correlation.kind:
        case "event_count":
            return len(window)
        case "value_count":
            return len({value for hit in window if None not in (value := values(correlation, hit))})
        case "temporal" | "temporal_ordered":
            return in_time(correlation, window)
    known = sorted(number for hit in window for number in numbers(correlation, hit))
    if not known:
        return None
    if correlation.kind == "value_sum":
        return fsum(known)
    return (
        fsum(known) / len(known) if correlation.kind == "value_avg" else percentile(known, correlation.percentile or 0)
    )


def values(correlation: Correlation, hit: Hit) -> tuple[Value, ...]:
    """Return the values of the fields that a correlation counts."""
    return tuple(hit.fields.get(name) for name in correlation.fields)


def numbers(correlation: Correlation, hit: Hit) -> list[float]:
    """Return the value of the field that a correlation adds up, if it is a number."""
    try:
        return [float(value) for value in values(correlation, hit) if value is not None]
    except ValueError:
        return []


def percentile(ascending: Sequence[float], wanted: float) -> float:
    """Return a percentile of numbers, between two of them by their distance; the 50th is the median."""
    place = (len(ascending) - 1) * wanted / 100
    below = int(place)
    above = min(below + 1, len(ascending) - 1)
    return ascending[below] + (ascending[above] - ascending[below]) * (place - below)


def rare(correlation: Correlation, window: Sequence[Hit]) -> Iterator[tuple[Sequence[Hit], float]]:
    """Yield the events of each value whose share of all events, in percent, is within the bounds."""
    by_value: dict[Value, list[Hit]] = defaultdict(list)
    for hit in window:
        if None not in (value := values(correlation, hit)):
            by_value[value].append(hit)
    total = sum(map(len, by_value.values()))
    for hits in by_value.values():
        share = 100 * len(hits) / total
        if is_bounded(correlation, share):
            yield hits, share


def in_time(correlation: Correlation, window: Sequence[Hit]) -> float:
    """Return how many rules matched, in the order of the correlation if that counts; 0 where its condition fails."""
    seen = {hit.rule for hit in window}
    if correlation.condition is not None and not holds(correlation.condition, seen):
        return 0
    if correlation.kind == "temporal":
        return len(seen)
    in_order = longest_run(correlation, window)
    return in_order if correlation.condition is None or in_order == len(seen) else 0


def longest_run(correlation: Correlation, window: Sequence[Hit]) -> int:
    """Return how many different rules matched one after another in the order in which the correlation names them."""
    place = {rule: number for number, rule in enumerate(correlation.rules)}
    ends: list[int] = []
    for hit in window:
        number = place[hit.rule]
        at = bisect_left(ends, number)
        ends[at : at + 1] = [number]
    return len(ends)


def holds(test: Test, seen: set[str]) -> bool:
    """Tell whether a condition holds when these rules have matched."""
    match test:
        case Seen():
            return test.rule in seen
        case Every():
            return all(holds(part, seen) for part in test.parts)
        case Some():
            return any(holds(part, seen) for part in test.parts)
        case Not():
            return not holds(test.part, seen)
    raise TypeError(f"{test!r} does not ask for rules")
