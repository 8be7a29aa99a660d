"""The detector of own rules: judges all conditions of a block at once, and keeps what windows and sequences need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import polars as pl

from infraspectre.records import Detection
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.words import plural
from infraspectre.soma.detector import IDENTITY, SEVERITY_FLOORS, Case, Casebook, Finding, gathered, in_seconds
from infraspectre.soma.rules.rule import PAIR, Rule
from infraspectre.soma.rules.values import with_numbers
from infraspectre.soma.rules.windows import Event, EventCase, SequenceCase, WindowCase

PREFIX = "rule:"
"""What stands before a rule's identity in the name of the detector that its detections carry."""
CAPACITY = 8_192
"""Keys that each rule remembers."""
MOST_EVENTS = 200_000
"""Recent flows that all rules together remember: 170 MB, measured, if each has texts, a sum and values to tell apart.

Beyond it, the rule that remembers most forgets the key that it has not seen for the longest."""
SHOWN = 8
"""Telling values taken from each group of flows."""

Key = tuple[Any, ...]


class OwnRules:
    """Finds what the rules of a network's owner describe."""

    name = "own_rules"
    columns = frozenset[str]()

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Start with nothing seen; a rule stays silent on flows that lack one of its columns."""
        self._watches = [FlowWatch(rule) if _is_plain(rule) else EventWatch(rule) for rule in rules]
        self.helpful = frozenset[str]().union(*(rule.columns for rule in rules))

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what came true with these flows."""
        watches = [watch for watch in self._watches if watch.rule.columns <= set(frame.columns)]
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

    def finish(self) -> list[Detection]:
        """Return what grew since its last report."""
        return [found for watch in self._watches for found in watch.close()]

    def _forget(self) -> None:
        watches = [watch for watch in self._watches if isinstance(watch, EventWatch)]
        excess = sum(watch.held for watch in watches) - MOST_EVENTS
        while excess > 0:
            excess -= max(watches, key=lambda watch: watch.held).forget_oldest()


def _is_plain(rule: Rule) -> bool:
    return rule.window is None and len(rule.steps) == 1


class FlowWatch:
    """Watches for single flows; those of the same two hosts are one case."""

    def __init__(self, rule: Rule) -> None:
        """Start with no case."""
        self.rule = rule
        self._book: Casebook[Key, Case] = Casebook(_name(rule), CAPACITY, Case, self._judge)

    def look(self, matches: Sequence[pl.DataFrame]) -> list[Detection]:
        """Return cases newly seen or grown tenfold."""
        return self._book.review([key for frame in matches for key in self._absorb(frame)])

    def close(self) -> list[Detection]:
        """Return cases that grew since their last report."""
        return self._book.close()

    def _absorb(self, frame: pl.DataFrame) -> Iterator[Key]:
        shown = _shown(self.rule, frame)
        telling = {name: pl.col(name).drop_nulls().head(SHOWN) for name in shown}
        for row in gathered(frame, list(PAIR), **telling):
            key = tuple(row[name] for name in PAIR)
            self._book[key].absorb(row)
            self._book[key].show(text for name in shown for text in _texts(row[name]))
            yield key

    def _judge(self, key: Key, case: Case) -> Finding:
        orig, resp = key
        return _finding(self.rule, case, orig, resp, {}, {})


class EventWatch:
    """Watches for what flows of the same key amount to in a window, or fulfil in order."""

    def __init__(self, rule: Rule) -> None:
        """Start with no case."""
        self.rule = rule
        self.held = 0
        """Recent flows that are remembered."""
        self._book: Casebook[Key, EventCase] = Casebook(_name(rule), CAPACITY, self._make, self._judge)

    def look(self, matches: Sequence[pl.DataFrame]) -> list[Detection]:
        """Return cases that came true, or grew tenfold, with the flows that fulfil each step."""
        events: dict[Key, list[Event]] = {}
        for place in reversed(range(len(matches))):  # the last step first: no flow follows itself
            for key, event in self._events(place, matches[place]):
                events.setdefault(key, []).append(event)
        for key, fresh in events.items():
            self._book[key].take(fresh)
        if events:
            self.held = sum(len(case.recent) for _, case in self._book.cases.items())
        return self._book.review(events)

    def close(self) -> list[Detection]:
        """Return cases that grew since their last report."""
        return self._book.close()

    def forget_oldest(self) -> int:
        """Forget the case that was touched least recently; return how many recent flows it held."""
        freed = len(self._book.cases.forget_oldest().recent)
        self.held -= freed
        return freed

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


def _name(rule: Rule) -> str:
    return f"{PREFIX}{rule.id}"


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
