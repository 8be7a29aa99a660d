"""Matching: which rules hold between a detection and what the graph remembers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from string import Template
from typing import NamedTuple

from infraspectre.cortex.graph import (
    MEDIUM,
    Graph,
    Mention,
    Node,
    crowd_nodes,
    fans_of,
    finding_nodes,
    indicators,
    is_weak,
    node,
    server_nodes,
    shared,
    targets,
)
from infraspectre.cortex.rules import By, Makes, Rule, Rules
from infraspectre.cortex.story import Story
from infraspectre.intel.families import FAMILIES, OTHER, Family, family
from infraspectre.records import Detection, Join
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import NANOSECONDS

FAMILY = {each.name: each for each in (*FAMILIES, OTHER)}


class Way(NamedTuple):
    """Says at which node a finding would share what a rule asks for."""

    at: Node
    is_first: bool = False
    """Whether the detection in hand would be the first of both, which was reported late."""


class Match(NamedTuple):
    """Is a rule that holds between a detection and a story."""

    rule: Rule
    way: Way
    mention: Mention

    @property
    def story(self) -> int:
        """Return the number of the story."""
        return self.mention.story

    def join(self, detection: Detection, other: str | None = None) -> Join:
        """Return the reason that it gives; `other` is the incident that was joined or tied."""
        what = shared(self.way.at)
        why = Template(self.rule.says).safe_substitute(shared=what, gap=_in_words(_gap(self.mention, detection)))
        return Join(self.rule.id, why, what, detection.at, detection.detection_id, other)


class Matcher:
    """Looks up what rules say about a detection."""

    def __init__(self, rules: Rules, graph: Graph, stories: Mapping[int, Story]) -> None:
        """Look into a graph that mentions stories."""
        self._rules = rules
        self._graph = graph
        self._stories = stories

    def matches(self, makes: Makes, detection: Detection) -> Iterator[Match]:
        """Yield what holds, in the order of the rules."""
        kin = family(detection.category)
        for rule in self._rules.of(makes, kin):
            for way in ways(rule.by, detection):
                for mention in list(self._graph.mentions(way.at)):
                    if self._holds(rule, way, mention, detection, kin):
                        yield Match(rule, way, mention)

    def ways_in(self, match: Match, before: int) -> list[Mention]:
        """Return what hit the host of a chain before a time, of those that the rule calls a way in."""
        known = self._graph.mentions(node("target", shared(match.way.at)))
        return [each for each in known if each.first <= before and match.rule.earlier.fits(FAMILY[each.family])]

    def acts(self, match: Match) -> list[Mention]:
        """Return what that host did in minutes; what calls home all day may have done so before it was broken into."""
        known = self._graph.mentions(node("actor", shared(match.way.at)))
        return [each for each in known if not FAMILY[each.family].slow and each.severity >= MEDIUM]

    def stories_at(self, way: Way) -> int:
        """Count the stories at a node."""
        return len({each.story for each in self._graph.mentions(way.at)})

    def _holds(self, rule: Rule, way: Way, mention: Mention, detection: Detection, kin: Family) -> bool:
        return (
            _gap(mention, detection) <= rule.within_ns
            and self._is_severe(rule, way, mention, detection)
            and _allows(rule, way, mention, detection, kin)
            and rule.takes(is_weak(detection), self._stories[mention.story].is_weak)
            and (rule.by not in ("target", "victim-then-actor") or self._is_narrow(rule, way, mention, detection))
        )

    def _is_severe(self, rule: Rule, way: Way, mention: Mention, detection: Detection) -> bool:
        """Tell whether both are severe enough; for a campaign the earlier incident as a whole is to be so."""
        least = SEVERITIES.index(rule.severity)
        if rule.makes == "campaign":
            return (mention.severity if way.is_first else self._stories[mention.story].severity) >= least
        return min(mention.severity, SEVERITIES.index(detection.severity)) >= least

    def _is_narrow(self, rule: Rule, way: Way, mention: Mention, detection: Detection) -> bool:
        """Tell whether whoever suffered is one of few: not swept with many others, not attacked by everybody."""
        fans = self._graph.fans
        if way.is_first:
            return self._graph.is_narrow(detection) and fans.degree(fans_of(detection)[0]) <= rule.most_victims
        swept, popular = ("orig", mention.by, mention.family), ("resp", shared(way.at), mention.family)
        return not fans.is_broad(swept) and not fans.is_broad(popular) and fans.degree(swept) <= rule.most_victims


def ways(by: By, detection: Detection) -> list[Way]:
    """Return the nodes at which a rule looks for what a detection shares."""
    if by == "victim-then-actor":
        victim = [Way(node("target", detection.orig))] if detection.orig else []
        return victim + [Way(node("actor", each), is_first=True) for each in targets(detection)]
    return [Way(each) for each in NODES[by](detection)]


NODES: dict[By, Callable[[Detection], list[Node]]] = {
    "finding": finding_nodes,
    "actor": lambda detection: [node("actor", detection.orig)] if detection.orig else [],
    "target": lambda detection: [node("target", detection.resp)] if detection.resp else [],
    "crowd": crowd_nodes,
    "server": server_nodes,
    "indicator": indicators,
}
"""The nodes at which both findings are mentioned, by what a rule asks them to share."""


def _allows(rule: Rule, way: Way, mention: Mention, detection: Detection, kin: Family) -> bool:
    """Tell whether a rule is about such findings, in this order where order counts."""
    other = FAMILY[mention.family]
    if rule.by != "victim-then-actor":
        return rule.allows(kin, other) or rule.allows(other, kin)
    if way.is_first:
        return detection.begin <= mention.first and rule.allows(other, kin)
    return mention.first <= detection.begin and rule.allows(kin, other)


def _gap(mention: Mention, detection: Detection) -> int:
    """Return the time between two activities; it is not above zero if they overlap."""
    return max(detection.begin - mention.last, mention.first - detection.end)


def _in_words(gap_ns: int) -> str:
    seconds = gap_ns / NANOSECONDS
    if seconds < 1:
        return "a moment"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
