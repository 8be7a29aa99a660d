"""A story: the detections of one live incident, bounded, and what they have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from infraspectre.cortex.links import Fan
from infraspectre.cortex.title import title
from infraspectre.intel.assets import Assets
from infraspectre.intel.attack import in_tactic, kill_chain_position
from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident, TacticTechnique
from infraspectre.records.detection import SEVERITIES

SECOND_NS = 1_000_000_000

Finding = tuple[str, str, str | None, str | None]
"""Detector, category, actor and target: what stays the same while a detector reports growth."""


def finding(detection: Detection) -> Finding:
    """Name what a detection is about."""
    return (detection.detector, detection.category, detection.orig, detection.resp)


def begins(detection: Detection) -> int:
    """Return the event time at which the behaviour began."""
    return detection.first_seen or detection.at


def ends(detection: Detection) -> int:
    """Return the event time at which the behaviour was last seen."""
    return max(detection.last_seen, detection.at)


def weight(detection: Detection) -> tuple[int, float, int, str]:
    """Order detections by how telling they are; among equals the earlier, then the smaller identity, counts more."""
    return (SEVERITIES.index(detection.severity), detection.score, -detection.at, detection.detection_id)


class Story:
    """Grows detection by detection, in bounded memory."""

    def __init__(self, first: Detection, most_detections: int, most_entities: int) -> None:
        """Begin with one detection; keep the `most_detections` most telling findings and `most_entities` entities."""
        self.count = 0
        self.first_seen = begins(first)
        self.last_seen = ends(first)
        self.open_until = 0
        self.actors: Counter[str] = Counter()
        self.targets: dict[str, set[Fan]] = {}
        self._most_detections = most_detections
        self._most_entities = most_entities
        self._target_counts: Counter[str] = Counter()
        self._kept: dict[Finding, Detection] = {}

    def add(self, detection: Detection, window_ns: int) -> None:
        """Take in one detection and stay open for its window."""
        self.count += 1
        self._extend(begins(detection), ends(detection), ends(detection) + window_ns)
        if detection.orig and (detection.orig in self.actors or not self.is_full):
            self.actors[detection.orig] += 1
        self._keep(detection)

    def add_target(self, target: str, why: Fan | None) -> None:
        """Take in a target, unless the story is full; a narrow link, if there is one, lets others join by it."""
        if target not in self.targets and self.is_full:
            return
        self._target_counts[target] += 1
        self.targets.setdefault(target, set()).update(() if why is None else (why,))

    def is_joined_by(self, entity: str) -> bool:
        """Tell whether others may join by an entity."""
        return entity in self.actors or bool(self.targets.get(entity))

    def has_room_for(self, other: Story) -> bool:
        """Tell whether another story fits in."""
        return self._size + other._size <= self._most_entities

    def absorb(self, other: Story) -> None:
        """Take over everything from another story."""
        self.count += other.count
        self._extend(other.first_seen, other.last_seen, other.open_until)
        self.actors.update(other.actors)
        self._target_counts.update(other._target_counts)
        for target, why in other.targets.items():
            self.targets.setdefault(target, set()).update(why)
        for detection in other._kept.values():
            self._keep(detection)

    @property
    def is_full(self) -> bool:
        """Tell whether no further entities are taken in."""
        return self._size >= self._most_entities

    @property
    def entities(self) -> Iterator[str]:
        """Yield everyone who takes part."""
        yield from self.actors
        yield from (target for target in self.targets if target not in self.actors)

    @property
    def detections(self) -> list[Detection]:
        """Return the kept detections in time order."""
        return sorted(self._most_telling(), key=lambda each: (begins(each), each.at, each.detection_id))

    def incident(self, assets: Assets) -> Incident:
        """Tell the story so far as an incident."""
        told = self.detections
        orig, resp = _by_count(self.actors), _by_count(self._target_counts)
        entities = list(dict.fromkeys(orig + resp))
        return Incident(
            incident_id=told[0].detection_id,
            first_seen=self.first_seen,
            last_seen=self.last_seen,
            raised_at=max(told, key=weight).at,
            title=title(told),
            entities=entities,
            orig=orig,
            resp=resp,
            techniques=techniques(told),
            detections=told,
            detection_count=self.count,
            assets={entity: asset for entity in entities if (asset := assets.find(entity)) is not None},
        )

    @property
    def _size(self) -> int:
        return len(self.actors) + len(self.targets)

    def _extend(self, first_seen: int, last_seen: int, open_until: int) -> None:
        self.first_seen = min(self.first_seen, first_seen)
        self.last_seen = max(self.last_seen, last_seen)
        self.open_until = max(self.open_until, open_until)

    def _keep(self, detection: Detection) -> None:
        known = self._kept.get(finding(detection))
        if known is None or weight(detection) > weight(known):
            self._kept[finding(detection)] = detection
        if len(self._kept) >= 2 * self._most_detections:
            self._kept = {finding(each): each for each in self._most_telling()}

    def _most_telling(self) -> list[Detection]:
        return sorted(self._kept.values(), key=weight, reverse=True)[: self._most_detections]


def techniques(detections: Iterable[Detection]) -> list[TacticTechnique]:
    """List the techniques of some detections in kill-chain order, each once, with the tactic it serves here."""
    found = {
        in_tactic(technique, family(detection.category).tactic)
        for detection in detections
        for technique in detection.techniques
    }
    return sorted(found, key=lambda each: (kill_chain_position(each.tactic), each.id))


def _by_count(counts: Counter[str]) -> list[str]:
    return [entity for entity, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
