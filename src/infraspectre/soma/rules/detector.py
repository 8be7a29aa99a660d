"""The detector of own rules: judges all conditions of a block at once, and keeps what windows and sequences need."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Generic

import polars as pl

from infraspectre.records import Detection
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, SEVERITY_FLOORS, Case, Casebook, CaseT, Finding, gathered, in_seconds
from infraspectre.soma.rules.rule import PAIR, Rule
from infraspectre.soma.rules.values import with_numbers
from infraspectre.soma.rules.windows import Event, EventCase, SequenceCase, WindowCase

PREFIX = "rule:"
"""What stands before a rule's identity in the name of the detector that its detections carry."""
CAPACITY = 8_192
"""Keys that each rule remembers."""
MOST_HELD = 200_000
"""Recent flows that all rules together remember: 170 MB, measured, if each has texts, a sum and values to tell apart.

Beyond it, the rule that remembers most forgets the key that it has not seen for the longest."""
CASE_WEIGHT = 4
"""Recent flows that take as much memory as the evidence of a key."""
SHOWN = 8
"""Telling values taken from each group of flows."""

Key = tuple[Any, ...]


class OwnRules:
    """Finds what the rules of a network's owner describe."""

    name = "own_rules"
    columns = frozenset[str]()

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Start with nothing seen; a rule stays silent on flows that lack one of its columns."""
        self._off = frozenset[str]()
        self._watches: list[Watch[Any]] = [FlowWatch(rule) if _is_plain(rule) else EventWatch(rule) for rule in rules]
        self.helpful = frozenset[str]().union(*(rule.columns for rule in rules))

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what came true with these flows."""
        known = set(frame.columns)
        watches = [each for each in self._watches if each.rule.columns <= known and each.rule.id not in self._off]
        steps = [step for watch in watches for step in watch.rule.steps]
        numbered = with_numbers(frame, frozenset[str]().union(*(step.when.addresses for step in steps)))
        holds = iter(numbered.select(step.when.compute.alias(str(place)) for place, step in enumerate(steps)))
        found: list[Detection] = []
        for watch in watches:
            told = [next(holds) for _ in watch.rule.steps]
            if any(each.any() for each in told):
                found += watch.look([frame.filter(each) for each in told])
        self._forget()
        return found

    def switch(self, off: Mapping[str, frozenset[str]]) -> None:
        """Leave out those of its rules that are off from now on."""
        self._off = off.get("own", frozenset())

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return [found for watch in self._watches if watch.rule.id not in self._off for found in watch.close()]

    def _forget(self) -> None:
        excess = sum(watch.held for watch in self._watches) - MOST_HELD
        while excess > 0:
            excess -= max(self._watches, key=lambda watch: watch.held).forget_oldest()


def _is_plain(rule: Rule) -> bool:
    return rule.window is None and len(rule.steps) == 1


class Watch(ABC, Generic[CaseT]):
    """Watches for what one rule describes."""

    def __init__(self, rule: Rule, make: Callable[[], CaseT]) -> None:
        """Start with no case."""
        self.rule = rule
        self.held = 0
        """How much is remembered, counted in recent flows."""
        self._book: Casebook[Key, CaseT] = Casebook(f"{PREFIX}{rule.id}", CAPACITY, make, self._judge)

    def look(self, matches: Sequence[pl.DataFrame]) -> list[Detection]:
        """Return cases that came true, or grew tenfold, with the flows that fulfil each step."""
        touched = self._absorb(matches)
        self.held = sum(self._weigh(case) for _, case in self._book.cases.items())
        return self._book.review(touched)

    def close(self) -> list[Detection]:
        """Return cases that grew since their last report."""
        return self._book.close()

    def forget_oldest(self) -> int:
        """Forget the case that was touched least recently; return how much it held."""
        freed = self._weigh(self._book.cases.forget_oldest())
        self.held -= freed
        return freed

    @abstractmethod
    def _absorb(self, matches: Sequence[pl.DataFrame]) -> Iterable[Key]: ...

    @abstractmethod
    def _weigh(self, case: CaseT) -> int: ...

    @abstractmethod
    def _judge(self, key: Key, case: CaseT) -> Finding | None: ...


class FlowWatch(Watch[Case]):
    """Watches for single flows; those of the same two hosts are one case."""

    def __init__(self, rule: Rule) -> None:
        """Start with no case."""
        super().__init__(rule, Case)

    def _absorb(self, matches: Sequence[pl.DataFrame]) -> Iterable[Key]:
        (frame,) = matches
        shown = _shown(self.rule, frame)
        telling = {name: pl.col(name).drop_nulls().head(SHOWN) for name in shown}
        touched = []
        for row in gathered(frame, list(PAIR), **telling):
            touched.append(tuple(row[name] for name in PAIR))
            case = self._book[touched[-1]]
            case.absorb(row)
            case.show(text for name in shown for text in _texts(row[name]))
        return touched

    def _weigh(self, case: Case) -> int:
        return CASE_WEIGHT

    def _judge(self, key: Key, case: Case) -> Finding:
        orig, resp = key
        return _finding(self.rule, case, orig, resp, {}, {})


class EventWatch(Watch[EventCase]):
    """Watches for what flows of the same key amount to in a window, or fulfil in order."""

    def __init__(self, rule: Rule) -> None:
        """Start with no case."""
        super().__init__(rule, self._make)

    def _absorb(self, matches: Sequence[pl.DataFrame]) -> Iterable[Key]:
        events: dict[Key, list[Event]] = {}
        for place in reversed(range(len(matches))):  # the last step first: no flow follows itself
            for key, event in self._events(place, matches[place]):
                events.setdefault(key, []).append(event)
        for key, fresh in events.items():
            self._book[key].take(fresh)
        return events

    def _weigh(self, case: EventCase) -> int:
        return CASE_WEIGHT + len(case.recent)

    def _make(self) -> EventCase:
        rule = self.rule
        return WindowCase(rule.window) if rule.window else SequenceCase(len(rule.steps), rule.within_ns)

    def _events(self, place: int, frame: pl.DataFrame) -> Iterator[tuple[Key, Event]]:
        by, window = self.rule.steps[place].by, self.rule.window
        distinct, sums = (list(window.distinct), list(window.sums)) if window else ([], [])
        shown = [*(name for name in by if name not in PAIR), *_shown(self.rule, frame)]
        marks = [pl.col(name).hash().alias(_mark(name)) for name in distinct]
        wanted = dict.fromkeys([*IDENTITY, *by, *sums, *shown, *map(_mark, distinct)])
        told = frame.drop_nulls([*by, *distinct, *sums]).with_columns(marks).select(*wanted)
        for row in told.iter_rows(named=True):
            texts = (text for name in shown for text in _texts(row[name])[:SHOWN])
            values = (row[_mark(name)] for name in distinct)
            yield tuple(row[name] for name in by), Event(row, place, values, (float(row[name]) for name in sums), texts)

    def _judge(self, _: Key, case: EventCase) -> Finding | None:
        if not case.flows:
            return None
        window = self.rule.window
        return _finding(self.rule, case, *case.ends, case.measures, window.least() if window else {})


def _mark(name: str) -> str:
    return f"hash of {name}"


def _shown(rule: Rule, frame: pl.DataFrame) -> list[str]:
    """Name the fields of texts that the conditions are about, whose values tell what happened."""
    named = sorted(frozenset[str]().union(*(step.when.columns for step in rule.steps)).difference(IDENTITY))
    return [name for name in named if frame.schema[name] in (pl.String, pl.List(pl.String))]


def _texts(value: Any) -> list[str]:
    """Return the texts in a field's value: one, several, or several lists of them."""
    if isinstance(value, list | pl.Series):
        return [text for item in value for text in _texts(item)]
    return [] if value is None else [str(value)]


def _finding(
    rule: Rule,
    case: Case,
    orig: str | None,
    resp: str | None,
    measures: dict[str, float],
    thresholds: dict[str, float],
) -> Finding:
    who = f"{orig or 'several hosts'} to {resp or 'several hosts'}"
    return Finding(
        category=rule.category,
        techniques=rule.techniques,
        score=_score(rule),
        orig=orig,
        resp=resp,
        summary=f"{who}: {rule.title}, {plural(case.flows, 'flow')} in {in_seconds(case.duration_s)}",
        size=case.flows,
        measures=measures,
        thresholds=thresholds,
        probability=rule.probability,
    )


def _score(rule: Rule) -> float:
    """Place the rule's confidence between the least score of its severity and that of the next."""
    floors = {name: floor for floor, name in SEVERITY_FLOORS}
    place = SEVERITIES.index(rule.severity)
    ceiling = floors[SEVERITIES[place + 1]] if place + 1 < len(SEVERITIES) else 1.0
    return floors[rule.severity] + 0.99 * rule.probability * (ceiling - floors[rule.severity])
