"""A story: the detections of one live incident, bounded, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from infraspectre.cortex.graph import MEDIUM, far_names, finding_nodes, is_weak
from infraspectre.cortex.title import title
from infraspectre.intel.assets import Assets
from infraspectre.intel.attack import in_tactic, kill_chain_position
from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident, Join, Progress, TacticTechnique
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import earliest

T = TypeVar("T")
MOST_NAMED = 8
"""Actors and targets that an incident names, each: who names everybody says nothing. The rest is counted."""
MOST_DOMAINS = 2
"""Names of far ends that an incident names: behind a resolver there is no address of whoever controls."""
MOST_TECHNIQUES = 12
MOST_JOINS = 32
"""Reasons kept for one incident."""


class Bounds(NamedTuple):
    """Says how much one story may hold."""

    detections: int
    nodes: int
    actors: int


def weight(detection: Detection) -> tuple[int, float, int, str]:
    """Order detections by how telling they are; among equals the earlier, then the smaller identity, counts more."""
    return (SEVERITIES.index(detection.severity), detection.score, -detection.at, detection.detection_id)


class Story(msgspec.Struct):
    """Grows detection by detection, in bounded memory; all of it is plain data."""

    key: int
    """Stories are numbered as they begin."""
    incident_id: str
    first: int
    last: int
    """From when to when its telling findings go: those of medium severity or above, where there are any."""
    open_until: int
    severity: int = -1
    """Its highest, as a position in SEVERITIES."""
    telling_at: int | None = None
    """When its first finding of medium severity or above was sure; None while it is weak."""
    count: int = 0
    families: dict[str, None] = {}
    actors: dict[str, None] = {}
    kept: dict[str, Detection] = {}
    """The most telling report of each finding."""
    nodes: dict[str, None] = {}
    joins: list[Join] = []
    reached: dict[str, Progress] = {}
    """The first evidence of each tactic."""
    campaign: int | None = None
    is_told: bool = False

    @property
    def is_weak(self) -> bool:
        """Tell whether nothing in it is of medium severity or above."""
        return self.severity < MEDIUM

    def admit(self, nodes: Iterable[str], bounds: Bounds) -> list[str]:
        """Return the nodes at which it may be found: as long as there are few, new ones too."""
        wanted = list(nodes)
        _fill(self.nodes, wanted, bounds.nodes)
        return [each for each in wanted if each in self.nodes]

    def add(self, detection: Detection, window_ns: int, bounds: Bounds) -> bool:
        """Take in one detection and stay open for its window; return whether it says something new."""
        severity, known = SEVERITIES.index(detection.severity), family(detection.category).name
        is_news = severity >= MEDIUM and (severity > self.severity or known not in self.families)
        self._stretch(detection.begin, detection.end, severity)
        self.count += 1
        self.open_until = max(self.open_until, detection.end + window_ns)
        if severity >= MEDIUM:
            self.telling_at = earliest((self.telling_at, detection.at))
            _fill(self.actors, [detection.orig] if detection.orig else [], bounds.actors)
            self.families[known] = None
            self._reach([self._progress(detection, each) for each in tactics_of(detection)])
        self._keep(detection, bounds.detections)
        return is_news

    def absorb(self, other: Story, bounds: Bounds) -> None:
        """Take over everything from a later story."""
        self._stretch(other.first, other.last, other.severity)
        self.telling_at = earliest((self.telling_at, other.telling_at))
        self.count += other.count
        self.open_until = max(self.open_until, other.open_until)
        _fill(self.actors, other.actors, bounds.actors)
        self.families |= other.families
        self.joins = [*self.joins, *other.joins][:MOST_JOINS]
        self._reach([msgspec.structs.replace(each, incident_id=self.incident_id) for each in other.reached.values()])
        for detection in other.kept.values():
            self._keep(detection, bounds.detections)

    def explain(self, join: Join) -> None:
        """Keep the reason of a join, each rule and entity once."""
        known = {(each.rule, each.shared, each.incident_id) for each in self.joins}
        if len(self.joins) < MOST_JOINS and (join.rule, join.shared, join.incident_id) not in known:
            self.joins.append(join)

    def incident(self, assets: Assets, most_detections: int, is_raised: bool = False) -> Incident:
        """Tell the story so far; where `is_raised`, what is of low severity counts as medium."""
        kept = _most_telling(self.kept.values(), most_detections)
        told = sorted(map(raised, kept) if is_raised else kept, key=_in_time)
        telling = [each for each in told if not is_weak(each)] or told
        orig, resp = by_count(each.orig for each in telling), by_count(each.resp for each in telling)
        domains = by_count(name for each in telling for name in far_names(each))[:MOST_DOMAINS]
        entities = list(dict.fromkeys([*orig[:MOST_NAMED], *resp[:MOST_NAMED], *domains]))
        return Incident(
            incident_id=self.incident_id,
            first_seen=self.first,
            last_seen=self.last,
            raised_at=max(told, key=weight).at,
            title=title(told),
            entities=entities,
            orig=orig[:MOST_NAMED],
            resp=resp[:MOST_NAMED],
            techniques=techniques(telling),
            detections=told,
            detection_count=self.count,
            assets={entity: asset for entity in entities if (asset := assets.find(entity)) is not None},
            entity_count=len({*orig, *resp}),
            joins=list(self.joins),
            detected_at=self.telling_at,
        )

    def lasts_with(self, first: int, last: int) -> tuple[int, int]:
        """Return how long it would last with an activity, and how much of that the shorter of both lasts."""
        return max(self.last, last) - min(self.first, first), min(self.last - self.first, last - first)

    def lasts_like(self, detection: Detection) -> bool:
        """Tell whether it and a detection share at least half of the time that both together last."""
        whole, shorter = self.lasts_with(detection.begin, detection.end)
        return 2 * shorter >= whole

    def _stretch(self, first: int, last: int, severity: int) -> None:
        """Extend the span; weak findings do not stretch that of telling ones."""
        if severity >= MEDIUM > self.severity:
            self.first, self.last = first, last
        elif severity >= MEDIUM or self.is_weak:
            self.first, self.last = min(self.first, first), max(self.last, last)
        self.severity = max(self.severity, severity)

    def _progress(self, detection: Detection, tactic: str) -> Progress:
        return Progress(tactic, detection.begin, self.incident_id, detection.detection_id)

    def _reach(self, found: Iterable[Progress]) -> None:
        merge_progress(self.reached, found)

    def _keep(self, detection: Detection, most: int) -> None:
        """Keep the most telling report of a finding; one that grew without becoming graver was as sure before."""
        identity = _finding(detection)
        known = self.kept.get(identity)
        if known is None or weight(detection) > weight(known):
            is_as_sure = known and known.severity == detection.severity
            self.kept[identity] = msgspec.structs.replace(detection, at=known.at) if known and is_as_sure else detection
        if len(self.kept) > 2 * most:
            self.kept = {_finding(each): each for each in _most_telling(self.kept.values(), most)}


def raised(detection: Detection) -> Detection:
    """Return a detection of low severity as one of medium severity, others as they are."""
    if detection.severity != "low":
        return detection
    return msgspec.structs.replace(detection, severity="medium")


def merge_progress(reached: dict[str, Progress], found: Iterable[Progress]) -> bool:
    """Keep the earliest evidence of each tactic; return whether something is new."""
    better = [each for each in found if each.tactic not in reached or each.at < reached[each.tactic].at]
    reached.update((each.tactic, each) for each in better)
    return bool(better)


def in_order(reached: Iterable[Progress]) -> list[Progress]:
    """Return tactics in order of their first evidence."""
    return sorted(reached, key=lambda each: (each.at, kill_chain_position(each.tactic)))


def tactics_of(detection: Detection) -> list[str]:
    """Return the tactics that a detection is evidence of; that of its family where it names no technique."""
    preferred = family(detection.category).tactic
    return list(dict.fromkeys(in_tactic(each, preferred).tactic for each in detection.techniques)) or [preferred]


def techniques(detections: Sequence[Detection]) -> list[TacticTechnique]:
    """List the techniques of the most telling detections in kill-chain order, each once, with the tactic it serves."""
    found: dict[TacticTechnique, None] = {}
    for detection in _most_telling(detections, len(detections)):
        preferred = family(detection.category).tactic
        _fill(found, (in_tactic(each, preferred) for each in detection.techniques), MOST_TECHNIQUES)
    return sorted(found, key=lambda each: (kill_chain_position(each.tactic), each.id))


def by_count(entities: Iterable[str | None]) -> list[str]:
    """Return entities, the most frequent first, and of equals the first named first."""
    return [entity for entity, _ in Counter(each for each in entities if each).most_common()]


def _fill(held: dict[T, None], more: Iterable[T], most: int) -> None:
    """Add keys to a dictionary as long as it holds fewer than `most`."""
    for each in more:
        if len(held) >= most and each not in held:
            return
        held[each] = None


def _in_time(detection: Detection) -> tuple[int, int, str]:
    return (detection.begin, detection.at, detection.detection_id)


def _finding(detection: Detection) -> str:
    nodes = finding_nodes(detection)
    return nodes[0] if nodes else detection.detection_id


def _most_telling(detections: Iterable[Detection], most: int) -> list[Detection]:
    return sorted(detections, key=weight, reverse=True)[:most]
