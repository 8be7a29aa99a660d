"""The live graph: what hosts, findings and indicators have to do with which story; joins are found by looking here.

A node is who acted, who was acted upon, an outside server, a finding or an indicator; an edge is a `Mention` of the
node in a story. Nodes forget the least telling mention beyond a bound, the graph forgets the node unused for longest,
and what is older than the longest window is gone.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from infraspectre.cortex.links import Fan, Fans
from infraspectre.intel.families import family, normal
from infraspectre.records import Detection
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import UNITS

Node = str
"""A kind of node and what it is about, as a JSON array: no two are written alike, whatever traffic calls itself."""
RELAYED = frozenset({"dga", "ticket_theft"})
"""Families whose target only serves whoever asks, as a resolver or a domain controller does: it says nothing about who
is behind, and is not taken over. What is done by DNS is of this kind, too."""
NAMING = frozenset({"tunnel", "beacon", "exfiltration", "rare_protocol"})
"""Families whose examples name the far end; those of downloads are files, generated domains are drawn by lot."""
HALF_LIFE_NS = 6 * UNITS["h"]
"""In this time a mention loses as much as one level of severity is worth: of a working day the serious is kept."""
MEDIUM = SEVERITIES.index("medium")
MOST_INDICATORS = 8
NAME = re.compile(r"^(?=.{4,253}$)(?:[a-z0-9_](?:[a-z0-9_-]{0,62})\.)+[a-z][a-z0-9-]{1,62}$")
DIGEST = re.compile(r"^(?:[0-9a-f]{32}|[0-9a-f]{40}|[0-9a-f]{64})$|^[tqd][0-9a-z]{9}_[0-9a-f]{12}_[0-9a-f]{12}$")
"""MD5 (JA3 too), SHA-1 and SHA-256 in hexadecimal, and JA4 (FoxIO, JA4+ technical details)."""


def is_weak(detection: Detection) -> bool:
    """Tell whether a detection alone is not worth reading."""
    return SEVERITIES.index(detection.severity) < MEDIUM


@lru_cache(maxsize=256)
def node(kind: str, *about: object) -> Node:
    """Name a node; one detection is looked for at each of its nodes again and again."""
    return json.dumps((kind, *about))


def shared(at: Node) -> str:
    """Return what a node is about, for people."""
    kind, *about = json.loads(at)
    return f"{about[1].replace('_', ' ')}" if kind in ("finding", "case") else str(about[0])


def finding_nodes(detection: Detection) -> list[Node]:
    """Return what stays the same while a detector reports growth: who and whom, or who and since when."""
    who = (detection.detector, detection.category, detection.orig)
    if not detection.orig and not detection.resp:
        return []
    return [node("finding", *who, detection.resp), node("case", *who, detection.resp if not detection.orig else None,
                                                       detection.begin)]  # fmt: skip


@lru_cache(maxsize=1024)
def is_relayed(category: str) -> bool:
    """Tell whether the target of such a finding only passes on what it gets."""
    return family(category).name in RELAYED or "dns" in normal(category).split("_")


def targets(detection: Detection) -> list[str]:
    """Return who was acted upon: the target, or the first hosts that a finding about many names as examples."""
    if detection.resp:
        return [detection.resp]
    return [each for each in detection.evidence.examples if parse_address(each) is not None]


def crowd_nodes(detection: Detection) -> list[Node]:
    """Return the target of an activity, whoever else may act upon it."""
    return [node("crowd", detection.resp)] if detection.resp and not is_relayed(detection.category) else []


def server_nodes(detection: Detection) -> list[Node]:
    """Return the outside server that a host talked to; a resolver is none."""
    outside = detection.resp and not is_relayed(detection.category) and not is_inside(detection.resp)
    return [node("server", detection.resp)] if outside else []


def indicators(detection: Detection) -> list[Node]:
    """Return domains, fingerprints and hashes among the examples of a detection, at most MOST_INDICATORS."""
    digests = [text for text in _examples(detection) if DIGEST.match(text)]
    found = dict.fromkeys([*digests, *far_names(detection)])
    return [node("indicator", text) for text in list(found)[:MOST_INDICATORS]]


def far_names(detection: Detection) -> list[str]:
    """Return the domains that the examples of a detection give for the far end, those of a tunnel as registered."""
    known = family(detection.category).name
    if known not in NAMING:
        return []
    names = (text for text in _examples(detection) if NAME.match(text) and parse_address(text) is None)
    return list(dict.fromkeys(registered(name) if known == "tunnel" else name for name in names))


def _examples(detection: Detection) -> list[str]:
    return [each.strip().lower().rstrip(".") for each in detection.evidence.examples]


def registered(name: str) -> str:
    """Return what was probably registered: two labels, or three below a short label of a country such as co.uk."""
    labels = name.split(".")
    size = 3 if len(labels) > 2 and len(labels[-1]) == 2 and len(labels[-2]) <= 3 else 2
    return ".".join(labels[-size:])


class Mention(msgspec.Struct):
    """Says that a node plays its part in a story, by findings of one family, since when and until when."""

    story: int
    family: str
    severity: int
    first: int
    last: int
    by: str
    """Who acted, the last to do so."""

    @property
    def rank(self) -> float:
        """Return how telling it is; comparisons do not depend on the time at which they are made."""
        return self.severity + self.last / HALF_LIFE_NS


class Graph:
    """Remembers, within bounds, who has lately to do with which story."""

    def __init__(self, fans: Fans, most_nodes: int, most_mentions: int, memory_ns: int) -> None:
        """Remember the `most_nodes` nodes used last, the `most_mentions` most telling mentions of each."""
        self.fans = fans
        self._most_nodes = most_nodes
        self._most_mentions = most_mentions
        self._memory_ns = memory_ns
        self._nodes: OrderedDict[Node, list[Mention]] = OrderedDict()

    def add(self, detection: Detection, story: int, nodes: Iterable[Node]) -> None:
        """Mention a story at some nodes of a detection, and count its link."""
        for each in nodes:
            self._mention(each, detection, story)
        by_actor, by_target = fans_of(detection)
        for each in targets(detection):
            self.fans.add(by_actor, each, detection.at)
        if detection.resp:
            self.fans.add(by_target, detection.orig or "", detection.at)

    def nodes_of(self, detection: Detection) -> Iterator[Node]:
        """Yield the nodes by which a detection may be found."""
        yield from finding_nodes(detection)
        if detection.orig:
            yield node("actor", detection.orig)
        if self.is_narrow(detection):
            yield from (node("target", each) for each in targets(detection))
        yield from crowd_nodes(detection)
        yield from server_nodes(detection)
        yield from indicators(detection)

    def mentions(self, at: Node) -> list[Mention]:
        """Return what is mentioned at a node."""
        return self._nodes.get(at, [])

    def is_narrow(self, detection: Detection) -> bool:
        """Tell whether the link between actor and target says something about both."""
        return not is_relayed(detection.category) and not any(map(self.fans.is_broad, fans_of(detection)))

    def move(self, nodes: Iterable[Node], old: int, new: int) -> None:
        """Let mentions of one story be of another."""
        for at in nodes:
            for mention in self.mentions(at):
                if mention.story == old:
                    mention.story = new

    def forget(self, nodes: Iterable[Node], story: int) -> None:
        """Drop all mentions of a story."""
        for at in nodes:
            left = [mention for mention in self.mentions(at) if mention.story != story]
            if left:
                self._nodes[at] = left
            else:
                self._nodes.pop(at, None)

    def save(self) -> list[tuple[Node, list[Mention]]]:
        """Return the mentions of all nodes, least recently used first."""
        return list(self._nodes.items())

    def load(self, saved: Iterable[tuple[Node, list[Mention]]]) -> None:
        """Take over what was saved."""
        self._nodes = OrderedDict(saved)

    def _mention(self, at: Node, detection: Detection, story: int) -> None:
        kept = [each for each in self._nodes.get(at, ()) if each.last >= detection.begin - self._memory_ns]
        self._nodes[at] = kept
        self._nodes.move_to_end(at)
        name, severity = family(detection.category).name, SEVERITIES.index(detection.severity)
        known = next((each for each in kept if each.story == story and each.family == name), None)
        if known is None:
            kept.append(Mention(story, name, severity, detection.begin, detection.end, detection.orig or ""))
        else:
            known.severity = max(known.severity, severity)
            known.first, known.last = min(known.first, detection.begin), max(known.last, detection.end)
            known.by = detection.orig or known.by
        if len(kept) > self._most_mentions:
            kept.remove(min(kept, key=lambda each: (each.rank, each.story)))
        if len(self._nodes) > self._most_nodes:
            self._nodes.popitem(last=False)


def fans_of(detection: Detection) -> tuple[Fan, Fan]:
    """Return the fans of actor and target in the family of a detection."""
    name = family(detection.category).name
    return ("orig", detection.orig or "", name), ("resp", detection.resp or "", name)
