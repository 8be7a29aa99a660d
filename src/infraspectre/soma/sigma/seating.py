"""Decides where in flows Sigma rules can look, and says which see nothing there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import PathLike
from typing import NamedTuple

from infraspectre.errors import InputError
from infraspectre.soma.sigma.fields import STREAMS, Stream, View
from infraspectre.soma.sigma.loading import Loaded, read_rules, refusal
from infraspectre.soma.sigma.matching import Placeholders
from infraspectre.soma.sigma.rule import Correlation, Rule, fields_of


class Seat(NamedTuple):
    """Says in which stream a rule looks, and what it calls the columns there."""

    rule: Rule
    stream: Stream
    names: Mapping[str, str]


class SigmaRules:
    """Holds Sigma rules that look at flows, and says which others there are."""

    def __init__(self, loaded: Loaded) -> None:
        """Give rules their `seats`; `refused` says which cannot be used, and `unseen` which see nothing in flows."""
        self.refused = loaded.refused
        self.unseen: list[InputError] = []
        self.seats = [seat for rule in loaded.rules for seat in self._seats(rule)]
        self.correlations = self._usable(loaded.correlations)

    def __len__(self) -> int:
        return len({seat.rule.head.key for seat in self.seats}) + len(self.correlations)

    def __repr__(self) -> str:
        return f"SigmaRules: {len(self):,} see flows, {len(self.unseen):,} do not, {len(self.refused):,} refused"

    def _seats(self, rule: Rule) -> Iterator[Seat]:
        """Yield where a rule looks; note what is lacking where it can look nowhere."""
        views = [(stream, view) for stream in STREAMS for view in stream.views if rule.source.covers(view.source)]
        able = {id(stream): Seat(rule, stream, view.fields) for stream, view in views if knows(view, rule)}
        if not able:
            self.unseen.append(refusal(rule, lack(rule, [view for _, view in views])))
        yield from able.values()

    def _usable(self, correlations: list[Correlation]) -> list[Correlation]:
        """Return the correlations all of whose rules look at flows that have the fields asked for."""
        usable: list[Correlation] = []
        known = {seat.rule.head.key for seat in self.seats}
        for correlation in correlations:
            lacking = [rule for rule in correlation.rules if rule not in known]
            unknown = [name for rule in correlation.rules for name in self._unknown(correlation, rule)]
            if lacking:
                self.unseen.append(refusal(correlation, "builds on rules that see nothing in flows"))
            elif unknown:
                self.unseen.append(refusal(correlation, f"asks for the field {unknown[0]!r}, which flows do not have"))
            else:
                usable.append(correlation)
                known.add(correlation.head.key)
        return usable

    def _unknown(self, correlation: Correlation, rule: str) -> Iterator[str]:
        for seat in self.seats:
            if seat.rule.head.key == rule:
                yield from (name for name in fields_for(correlation, rule) if name not in seat.names)


def load_sigma(paths: Iterable[str | PathLike[str]], placeholders: Placeholders | None = None) -> SigmaRules:
    """Read the Sigma rules in files and folders; `placeholders` gives values to what stands between percent signs."""
    return SigmaRules(read_rules(paths, placeholders))


def knows(view: View, rule: Rule) -> bool:
    """Tell whether a view has all fields of a rule."""
    return fields_of(rule.test) <= view.fields.keys()


def lack(rule: Rule, views: list[View]) -> str:
    """Say what a rule asks for that flows do not have."""
    if not views:
        return f"looks at {rule.source}, which is not seen in network traffic"
    missing = min((sorted(fields_of(rule.test) - view.fields.keys()) for view in views), key=len)
    return f"asks for {', '.join(missing)}, which network traffic does not tell"


def fields_for(correlation: Correlation, rule: str) -> set[str]:
    """Return the fields that a correlation asks for in the events of a rule."""
    grouping = {correlation.aliases.get(name, {}).get(rule, name) for name in correlation.group_by}
    return grouping | set(correlation.fields)
