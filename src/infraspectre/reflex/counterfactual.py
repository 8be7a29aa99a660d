"""What would change the verdict: which finding it hangs on, and what more would raise it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from infraspectre.records import Asset, Detection, Incident, Level, Statement
from infraspectre.records.address import parse_address
from infraspectre.records.detection import SEVERITIES

Judge = Callable[[Incident, Sequence[Detection]], Level]
"""Gives the level of an incident by some of its detections, as the score does."""
MOST_PROOFS = 64
"""Detections to which one sentence points."""


def changes(incident: Incident, judge: Judge) -> list[Statement]:
    """Say without which findings the level would be lower, and what would raise it; judged by the score itself."""
    level = judge(incident, incident.detections)
    hangs_on = list(_without_a_detector(incident, judge, level))
    if not hangs_on:
        hangs_on = [Statement(f"The level would stay {level} without what any one detector found.")]
    return [*hangs_on, *_with_importance(incident, judge, level)]


def _without_a_detector(incident: Incident, judge: Judge, level: Level) -> Iterator[Statement]:
    detectors = list(dict.fromkeys(each.detector for each in incident.detections))
    for name in detectors:
        its = [each for each in incident.detections if each.detector == name]
        others = [each for each in incident.detections if each.detector != name]
        reached = judge(incident, others) if others else None
        if reached is None:
            yield _statement(f"If what {name} found is wrong, nothing is left of this incident.", its)
        elif _rank(reached) < _rank(level):
            yield _statement(f"Without what {name} found, the level would be {reached}.", its)


def _with_importance(incident: Incident, judge: Judge, level: Level) -> Iterator[Statement]:
    """Say what it would mean if a host of which nobody said how important it is were critical."""
    unknown = [each for each in incident.entities if parse_address(each) and not _criticality(incident, each)]
    if not unknown:
        return
    named = incident.assets | {unknown[0]: Asset(unknown[0], criticality="critical")}
    reached = judge(msgspec.structs.replace(incident, assets=named), incident.detections)
    if _rank(reached) > _rank(level):
        yield Statement(f"If {unknown[0]} were an asset of critical importance, the level would be {reached}.")


def _criticality(incident: Incident, entity: str) -> Level | None:
    return incident.assets[entity].criticality if entity in incident.assets else None


def _rank(level: Level) -> int:
    return SEVERITIES.index(level)


def _statement(text: str, proofs: Sequence[Detection]) -> Statement:
    return Statement(text, detection_ids=[each.detection_id for each in proofs][:MOST_PROOFS])
