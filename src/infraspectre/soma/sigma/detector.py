"""The detector for Sigma rules: what rules and correlations match becomes detections that say what the rules say."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import msgspec
import polars as pl

from infraspectre.intel.families import normal
from infraspectre.records import Detection, Severity
from infraspectre.records.words import plural
from infraspectre.soma.detector import Case, Casebook, Finding, Row, gathered_parts
from infraspectre.soma.sigma.compile import RuleSet
from infraspectre.soma.sigma.correlation import Correlator, Hit, Match
from infraspectre.soma.sigma.events import Events, Rows, numbers_of
from infraspectre.soma.sigma.fields import STREAMS, Stream
from infraspectre.soma.sigma.rule import Correlation, Head, Rule, fields_of, leaves, looked_at, with_names
from infraspectre.soma.sigma.seating import Seat, SigmaRules, fields_for

SCORES: dict[Severity, float] = {"informational": 0.15, "low": 0.35, "medium": 0.55, "high": 0.75, "critical": 0.95}
"""Scores that lie within the severities that the levels of rules are called like."""
CAPACITY = 8_192
"""Cases kept."""
FLOWS = ("flow_id", "first_packet", "started_at", "ended_at", "orig_ip", "resp_ip", "resp_port")
EXAMPLES = 3
"""Events of a block from which a case takes examples."""


class Scope(NamedTuple):
    """Identifies what a rule or correlation found: between whom."""

    key: str
    orig: str
    resp: str


class SigmaDetector:
    """Finds what Sigma rules and correlations describe in flows and the application records in them."""

    name = "sigma"
    columns = frozenset[str]()

    def __init__(self, rules: SigmaRules) -> None:
        """Start with nothing seen."""
        self._off = frozenset[str]()
        self._asked = asked_fields(rules.correlations)
        self._silent = silent_rules(rules.correlations)
        heads = [seat.rule.head for seat in rules.seats] + [correlation.head for correlation in rules.correlations]
        self._heads = {head.key: head for head in heads}
        self._sets = [
            (self._picked(stream, here), {seat.rule.head.key: seat for seat in here}, RuleSet(map(placed, here)))
            for stream in STREAMS
            if (here := [seat for seat in rules.seats if seat.stream is stream])
        ]
        self._correlator = Correlator(rules.correlations)
        self._book: Casebook[Scope, Case] = Casebook(self.name, CAPACITY, Case, self._judge)
        self.helpful = frozenset(name for stream, _, _ in self._sets for name in stream.inputs)

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        """Return what rules newly match, or match ten times as often."""
        hits: list[Hit] = []
        touched: list[Scope] = []
        for stream, here, rules in self._sets:
            if stream.inputs <= set(frame.columns):
                events = stream.events(frame)
                flows = frame.select(FLOWS)[events["flow"]]
                for seat, rows, seen in found(rules, here, Events(events.drop("flow"))):
                    touched += self._absorb(seat, rows, seen, flows)
                    hits += self._hits(seat, rows, seen, flows)
        matches = self._correlator.take(hits, int(frame["started_at"].to_numpy().max(initial=0)))
        return self._book.review(touched + self._gathered(matches))

    def due(self) -> int | None:
        """Return when the first correlation is judged whose end decides."""
        return self._correlator.due()

    def turn(self, until: int) -> list[Detection]:
        """Return what correlations amount to that are over by a time up to which no flow came."""
        return self._book.review(self._gathered(self._correlator.take([], until)))

    def switch(self, off: Mapping[str, frozenset[str]]) -> None:
        """Leave out those of its rules that are off from now on; correlations of others still see their events."""
        self._off = off.get("sigma", frozenset())

    def finish(self) -> list[Detection]:
        """Return what the end of the input adds."""
        self._gathered(self._correlator.finish())
        return self._book.close()

    def _gathered(self, matches: Iterable[Match]) -> list[Scope]:
        """Add what may speak of some matches to its cases."""
        return [self._gather(match) for match in matches if self._speaks(match)]

    def _picked(self, stream: Stream, seats: list[Seat]) -> Stream:
        """Return a stream with those columns at which rules and correlations look: all of them for keywords."""
        if any(None in looked_at(leaf) for seat in seats for leaf in leaves(seat.rule.test)):
            return stream
        asked = [(seat, fields_of(seat.rule.test) | self._asked.get(seat.rule.head.key, set())) for seat in seats]
        return stream.picked({seat.names[name] for seat, names in asked for name in names if name in seat.names})

    def _absorb(self, seat: Seat, rows: Rows, events: Events, flows: pl.DataFrame) -> list[Scope]:
        """Add matched events to the cases of their rule."""
        key = seat.rule.head.key
        if key in self._silent or key in self._off:
            return []
        numbers = numbers_of(rows, len(events))
        scopes = [self._case(key, row) for row in gathered_parts(flows[numbers], ["orig_ip", "resp_ip"])]
        for number in numbers[:EXAMPLES]:
            scope = Scope(key, *flows["orig_ip", "resp_ip"].row(int(number)))
            self._book[scope].show(told(seat, events, int(number)))
        return scopes

    def _case(self, key: str, row: Row) -> Scope:
        scope = Scope(key, row["orig_ip"], row["resp_ip"])
        self._book[scope].absorb(row)
        return scope

    def _hits(self, seat: Seat, rows: Rows, events: Events, flows: pl.DataFrame) -> Iterator[Hit]:
        """Yield matched events with the fields that correlations ask for."""
        key = seat.rule.head.key
        if key not in self._asked:
            return
        columns = {name: events.column(seat.names[name]) for name in self._asked[key] if name in seat.names}
        numbers = numbers_of(rows, len(events))
        for number, flow in zip(numbers, flows[numbers].iter_rows(named=True), strict=True):
            values = {name: next(iter(column.at(number)), None) for name, column in columns.items()}
            yield Hit(flow["started_at"], key, values, flow)

    def _speaks(self, match: Match) -> bool:
        key = match.correlation.head.key
        return key not in self._silent and key not in self._off

    def _gather(self, match: Match) -> Scope:
        """Add the events of a correlation to its case."""
        flows = pl.DataFrame([hit.evidence for hit in match.hits])
        last = match.hits[-1].evidence
        ends = {name: pl.lit(last[name]) for name in ("orig_ip", "resp_ip")}
        (row,) = gathered_parts(flows.with_columns(**ends), list(ends))
        scope = self._case(match.correlation.head.key, row)
        shared = zip(match.correlation.group_by, match.group, strict=True)
        self._book[scope].show([f"{name}={value}" for name, value in shared])
        return scope

    def _judge(self, scope: Scope, case: Case) -> Finding | None:
        head = self._heads[scope.key]
        return Finding(
            category=normal(head.title),
            techniques=head.techniques,
            score=SCORES[head.level],
            orig=scope.orig,
            resp=scope.resp,
            summary=summary(head, scope, case),
            size=case.flows,
            measures={},
            thresholds={"flows": 1},
        )


def placed(seat: Seat) -> Rule:
    """Return a rule that calls the columns of its stream by their names."""
    return msgspec.structs.replace(seat.rule, test=with_names(seat.rule.test, seat.names))


def found(rules: RuleSet, seats: Mapping[str, Seat], events: Events) -> Iterator[tuple[Seat, Rows, Events]]:
    """Yield the rules that match events."""
    for rule, rows in rules.matches(events):
        yield seats[rule.head.key], rows, events


def told(seat: Seat, events: Events, row: int) -> list[str]:
    """Return what an event says in the fields at which a rule looks."""
    names = sorted(fields_of(seat.rule.test))
    return [f"{name}={value}" for name in names for value in events.column(seat.names[name]).at(row)]


def summary(head: Head, scope: Scope, case: Case) -> str:
    """Say in a sentence what a rule matched, and when that is harmless."""
    harmless = [each.rstrip(".") for each in head.falsepositives if each.lower() not in ("unknown", "unlikely", "none")]
    said = (
        f"Sigma rule '{head.title}' ({head.key}) matched {plural(case.flows, 'flow')} of {scope.orig} with {scope.resp}"
    )
    return f"{said}; harmless if: {'; '.join(harmless)}" if harmless else said


def asked_fields(correlations: list[Correlation]) -> dict[str, set[str]]:
    """Return the fields asked for in the events of each rule, by those correlations too that build on others."""
    asked: dict[str, set[str]] = defaultdict(set)
    for correlation in reversed(correlations):
        above = asked.get(correlation.head.key, set())
        for rule in correlation.rules:
            asked[rule] |= fields_for(correlation, rule) | above
    return dict(asked)


def silent_rules(correlations: list[Correlation]) -> set[str]:
    """Return the rules that only serve correlations."""
    serving = {rule for correlation in correlations for rule in correlation.rules}
    return serving - {rule for correlation in correlations if correlation.generate for rule in correlation.rules}
