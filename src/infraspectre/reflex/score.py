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
from collections.abc import Sequence
from typing import Literal

import msgspec

from infraspectre.intel.calibration import calibration
from infraspectre.intel.families import family
from infraspectre.records import Detection, Incident, Level, ThreatScore
from infraspectre.records.detection import SEVERITIES
from infraspectre.reflex.evidence import follow_up, largest_by
from infraspectre.reflex.likelihood import interval, probability

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
LEADS = ("signatures", "anomalies", "likelihood")
"""The channels that are findings; the others only support them."""
FOLLOW_UP = 0.5
"""A victim that acts is strong evidence that the step before succeeded."""
CORROBORATION = 0.5
"""A further detector counts half, since detectors see the same packets and are not quite independent."""


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

    scorer: Literal["composite", "learned"] = "composite"
    """What gives the score: channels of evidence with weights, or the likelihood learnt from labelled traffic."""
    playbooks: str = ""
    """Folder of own playbooks, which come before those of the package."""
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


def parts_of(incident: Incident, detections: Sequence[Detection], settings: ReflexSettings) -> dict[str, float]:
    """Return the points of each channel of an incident's score by some of its detections; they add up to the score."""
    if settings.scorer == "learned":
        likely = min(probability(detections, calibration()), settings.largest_probability)
        values = {"likelihood": likely, "context": _context(incident)}
    else:
        values = channels(incident, detections, settings.thresholds)
    return _parts(values, msgspec.structs.asdict(settings.weights))


def level_of(parts: dict[str, float], thresholds: Thresholds) -> Level:
    """Return the level of a score that is given by its parts."""
    return thresholds.level(value_of(parts))


def value_of(parts: dict[str, float]) -> float:
    """Return the score from 0 to 100 that is given by its parts."""
    return round(sum(parts.values()), 1)


def threat_score(
    incident: Incident, detections: Sequence[Detection], settings: ReflexSettings, lost: float = 0.0
) -> ThreatScore:
    """Score an incident by some of its detections, where a share of the traffic was lost."""
    parts = parts_of(incident, detections, settings)
    value, level = value_of(parts), level_of(parts, settings.thresholds)
    likely = probability(detections, calibration())
    low, high = interval(value, likely, detections, level, calibration(), lost)
    return ThreatScore(value, low, high, level, parts)


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
    return {name: -math.log1p(-v) * (1.0 if name == lead else weights.get(name, 0.0)) for name, v in values.items()}


def _correlation(detections: Sequence[Detection], strengths: Sequence[float]) -> float:
    further = (
        largest_by(zip(map(_detector, detections), strengths, strict=True))[1:]
        + largest_by(zip(map(_tactic, detections), strengths, strict=True))[1:]
    )
    apart = math.prod(1 - CORROBORATION * each for each in further)
    return 1 - apart * (1 - FOLLOW_UP if follow_up(detections) else 1)


def _context(incident: Incident) -> float:
    known = [asset.criticality for asset in incident.assets.values() if asset.criticality]
    return max((CONTEXT_OF_CRITICALITY[each] for each in known), default=0.0)


def _detector(detection: Detection) -> str:
    return detection.detector


def _tactic(detection: Detection) -> str:
    return family(detection.category).tactic
