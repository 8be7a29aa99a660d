"""The composite threat score: evidence channels combined so that more evidence never lowers it.

Each detection has a strength from 0 to 1: its severity chooses the band between two thresholds, its score the place in
the band. Each channel has a value from 0 to 1:

- signatures, anomalies: the strength of the strongest detection of that kind;
- correlation: 1 - prod(1 - s/2), over every further independent detector and every further tactic (s: its strongest
  detection), and lifted halfway to 1 if a victim became an actor;
- context: how critical the most critical known asset is.

    value = 100 * max over lead in {signatures, anomalies} of
            1 - (1 - v_lead) * product over the other channels c of (1 - v_c) ** w_c

This is the noisy-or (Pearl 1988) with weights as exponents. The leading channel counts in full, so a behavioural
finding reaches its own level where there are no signatures; a channel without evidence is unknown, and leaves its
factor at one instead of pulling the value down. Every term grows with every strength, and so does the maximum.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence

import msgspec

from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident, Level, ThreatScore
from infraspectre.records.detection import SEVERITIES

CONTEXT_OF_CRITICALITY: dict[Level, float] = {
    "informational": 0.0,
    "low": 0.1,
    "medium": 0.3,
    "high": 0.6,
    "critical": 0.8,
}
"""How much a known criticality counts; below 1, since an important host alone is no finding."""
LARGEST_VALUE = 0.999
"""No channel is certain, so that every channel keeps a finite share."""
LEADS = ("signatures", "anomalies")
"""The channels that are findings; the others only support them."""
FOLLOW_UP = 0.5
"""A victim that acts is strong evidence that the step before succeeded."""
CORROBORATION = 0.5
"""A further detector counts half, since detectors see the same packets and are not quite independent."""
Z_90 = 1.6449
"""Two-sided 90% quantile of the normal distribution."""


class Weights(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how much each channel adds to the leading one."""

    signatures: float = 0.3
    anomalies: float = 0.25
    correlation: float = 0.25
    context: float = 0.2


class Thresholds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets the value from which each level begins."""

    low: float = 30.0
    medium: float = 60.0
    high: float = 85.0
    critical: float = 95.0

    def level(self, value: float) -> Level:
        """Return the level of a value."""
        return SEVERITIES[sum(value >= start for start in (self.low, self.medium, self.high, self.critical))]

    def band(self, level: Level) -> tuple[float, float]:
        """Return where a level begins and ends."""
        edges = (0.0, self.low, self.medium, self.high, self.critical, 100.0)
        place = SEVERITIES.index(level)
        return edges[place], edges[place + 1]


class ReflexSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Sets how incidents are judged."""

    weights: Weights = Weights()
    thresholds: Thresholds = Thresholds()
    largest_probability: float = 0.99


def strength(detection: Detection, thresholds: Thresholds) -> float:
    """Place a detection between 0 and 1 by its severity and score."""
    start, end = thresholds.band(detection.severity)
    return (start + (end - start) * min(max(detection.score, 0.0), 1.0)) / 100


def channels(incident: Incident, detections: Sequence[Detection], thresholds: Thresholds) -> dict[str, float]:
    """Return the value of each channel that has evidence."""
    strengths = [strength(each, thresholds) for each in detections]
    kinds = ["signatures" if family(each.category).name == "signature" else "anomalies" for each in detections]
    values = {kind: max(s for s, k in zip(strengths, kinds, strict=True) if k == kind) for kind in sorted(set(kinds))}
    values["correlation"] = _correlation(detections, strengths)
    values["context"] = _context(incident)
    return {name: min(value, LARGEST_VALUE) for name, value in values.items() if value > 0 or name in LEADS}


def threat_score(incident: Incident, detections: Sequence[Detection], settings: ReflexSettings) -> ThreatScore:
    """Score an incident by some of its detections."""
    values = channels(incident, detections, settings.thresholds)
    parts = _parts(values, msgspec.structs.asdict(settings.weights))
    value = round(sum(parts.values()), 1)
    low, high = interval(value, detections, settings.thresholds)
    return ThreatScore(value, low, high, settings.thresholds.level(value), parts)


def probability(detections: Sequence[Detection], largest: float) -> float:
    """Return the probability that at least one finding is true: 1 - prod(1 - p) over independent detectors, capped."""
    doubt = math.prod(1 - p for p in _strongest(detections, [each.probability for each in detections], _detector))
    return round(min(1 - doubt, largest), 4)


def interval(value: float, detections: Sequence[Detection], thresholds: Thresholds) -> tuple[float, float]:
    """Return a 90% interval around a value, by how much evidence there is; it is not yet calibrated on labels.

    It is the score interval of Wilson (1927) for a share of value/100 seen in n trials, where
    n = detectors * (1 + log2(1 + flows)) / (1 + 10 * spread): more independent detectors and more flows narrow it,
    disagreement (the standard deviation of the detectors' strengths) widens it.
    """
    strengths = _strongest(detections, [strength(each, thresholds) for each in detections], _detector)
    mean = sum(strengths) / len(strengths)
    spread = math.sqrt(sum((each - mean) ** 2 for each in strengths) / len(strengths))
    flows = distinct_flows(detections)
    return _wilson(value / 100, len(strengths) * (1 + math.log2(1 + flows)) / (1 + 10 * spread))


def evidence_flows(detection: Detection) -> int:
    """Return how many flows are behind a detection."""
    counted = detection.evidence.measures.get("flows", 0.0)
    return max(len(detection.flow_ids), int(counted) if math.isfinite(counted) else 0)


def distinct_flows(detections: Sequence[Detection]) -> int:
    """Return how many flows are behind some detections; one that several list counts once."""
    listed = {flow for each in detections for flow in each.flow_ids}
    return len(listed) + sum(evidence_flows(each) - len(each.flow_ids) for each in detections)


def _wilson(share: float, trials: float) -> tuple[float, float]:
    z2 = Z_90 * Z_90
    centre = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = Z_90 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials * trials))
    low, high = 100 * max(centre - half, 0.0), 100 * min(centre + half, 1.0)
    return round(min(low, 100 * share), 1), round(max(high, 100 * share), 1)


def _parts(values: dict[str, float], weights: dict[str, float]) -> dict[str, float]:
    """Share the value among the channels by their part in the sum of -e * ln(1 - v); the shares add up to the value."""
    leads = [name for name in LEADS if name in values]
    lead = max(leads, key=lambda name: sum(_terms(values, weights, name).values()))
    terms = _terms(values, weights, lead)
    total = sum(terms.values())
    value = round(-100 * math.expm1(-total), 1)
    others = {name: round(value * term / total, 1) for name, term in terms.items() if name != lead and total > 0}
    return {lead: round(value - sum(others.values()), 1), **others}


def _terms(values: dict[str, float], weights: dict[str, float], lead: str) -> dict[str, float]:
    return {name: -math.log1p(-v) * (1.0 if name == lead else weights[name]) for name, v in values.items()}


def _correlation(detections: Sequence[Detection], strengths: Sequence[float]) -> float:
    further = _strongest(detections, strengths, _detector)[1:] + _strongest(detections, strengths, _tactic)[1:]
    apart = math.prod(1 - CORROBORATION * each for each in further)
    return 1 - apart * (1 - FOLLOW_UP if follow_up(detections) else 1)


def _context(incident: Incident) -> float:
    known = [asset.criticality for asset in incident.assets.values() if asset.criticality]
    return max((CONTEXT_OF_CRITICALITY[each] for each in known), default=0.0)


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


def _strongest(
    detections: Sequence[Detection], strengths: Sequence[float], group: Callable[[Detection], Hashable]
) -> list[float]:
    """Return the largest strength of each group, the largest first."""
    best: dict[Hashable, float] = {}
    for detection, value in zip(detections, strengths, strict=True):
        best[group(detection)] = max(best.get(group(detection), 0.0), value)
    return sorted(best.values(), reverse=True)


def _detector(detection: Detection) -> str:
    return detection.detector


def _tactic(detection: Detection) -> str:
    return family(detection.category).tactic
