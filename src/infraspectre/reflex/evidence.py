"""What detections of an incident have in common: which is strongest, what followed from what, how long it went."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence

from infraspectre.intel.families import family
from infraspectre.records import Detection
from infraspectre.records.detection import SEVERITIES


def strongest(detections: Iterable[Detection]) -> Detection:
    """Return the severest detection; among equals that with the highest score, then the earliest."""
    return min(detections, key=lambda d: (-SEVERITIES.index(d.severity), -d.score, d.at, d.detection_id))


def strongest_by(detections: Iterable[Detection], group: Callable[[Detection], Hashable]) -> list[float]:
    """Return the largest probability of each group, the largest first."""
    return largest_by((group(each), each.probability) for each in detections)


def largest_by(values: Iterable[tuple[Hashable, float]]) -> list[float]:
    """Return the largest value of each key, the largest first."""
    best: dict[Hashable, float] = {}
    for key, value in values:
        best[key] = max(best.get(key, 0.0), value)
    return sorted(best.values(), reverse=True)


def span_s(detections: Iterable[Detection]) -> float:
    """Return the seconds of event time that the longest-lasting finding went on; none where a log's time goes back."""
    return max(0.0, *((each.last_seen - begin(each)) / 1e9 for each in detections))


def evidence_flows(detection: Detection) -> int:
    """Return how many flows are behind a detection."""
    counted = detection.evidence.measures.get("flows", 0.0)
    return max(len(detection.flow_ids), int(counted) if math.isfinite(counted) else 0)


def distinct_flows(detections: Sequence[Detection]) -> int:
    """Return how many flows are behind some detections; one that several list counts once."""
    listed = {flow for each in detections for flow in each.flow_ids}
    return len(listed) + sum(evidence_flows(each) - len(each.flow_ids) for each in detections)


def follow_up(detections: Iterable[Detection]) -> tuple[Detection, Detection] | None:
    """Find a victim that became an actor: what hit it, and another family of activity that it began after that."""
    suffered: dict[str, dict[str, Detection]] = {}
    for detection in sorted(detections, key=lambda each: (begin(each), each.at, each.detection_id)):
        kind = family(detection.category).name
        before = [
            each
            for name, each in suffered.get(detection.orig or "", {}).items()
            if name != kind and begin(each) < begin(detection)
        ]
        if before:
            return before[0], detection
        if detection.resp and detection.severity not in ("informational", "low"):
            suffered.setdefault(detection.resp, {}).setdefault(kind, detection)
    return None


def begin(detection: Detection) -> int:
    """Return the event time at which the behaviour began, which is before its detector became sure."""
    return detection.first_seen or detection.at
