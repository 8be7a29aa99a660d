"""Explanations: every sentence about an incident points to what proves it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from infraspectre.intel.attack import tactic_name
from infraspectre.intel.families import noun
from infraspectre.records import Attribution, Detection, Explanation, Incident, Statement, ThreatScore
from infraspectre.records.words import listed, plural
from infraspectre.reflex.evidence import distinct_flows, follow_up

MOST_STEPS = 20
"""Findings told one by one; the weaker rest is told in one sentence."""
MOST_PROOFS = 64
"""Flow ids and packet numbers of one sentence."""
CHANNELS = {
    "signatures": "signatures that matched",
    "anomalies": "suspicious behaviour",
    "correlation": "findings that support each other",
    "likelihood": "likelihood learnt from labelled traffic",
    "context": "importance of the hosts concerned",
}


def explain(incident: Incident, score: ThreatScore) -> Explanation:
    """Explain an incident: a summary, its findings in time order, and what the score is made of."""
    told, rest = _most_telling(incident.detections)
    steps = [_finding(each) for each in told]
    steps += _chain(incident) + _stakes(incident) + _remainder(rest, incident)
    return Explanation(_summary(incident, score), steps, _attributions(score))


def clock(at: int) -> str:
    """Write an event time as hours, minutes and seconds, UTC."""
    return datetime.fromtimestamp(at // 1_000_000_000, UTC).strftime("%H:%M:%S")


def _most_telling(detections: Sequence[Detection]) -> tuple[list[Detection], list[Detection]]:
    ranked = sorted(detections, key=lambda each: (-each.score * evidence_weight(each), each.at, each.detection_id))
    told = {each.detection_id for each in ranked[:MOST_STEPS]}
    return [d for d in detections if d.detection_id in told], [d for d in detections if d.detection_id not in told]


def evidence_weight(detection: Detection) -> float:
    """Weigh a detection by its severity, for ranking only."""
    return {"informational": 1.0, "low": 2.0, "medium": 4.0, "high": 8.0, "critical": 16.0}[detection.severity]


def _finding(detection: Detection) -> Statement:
    text = detection.evidence.summary.rstrip(". ") or f"{noun(detection.category)} was seen"
    return _statement(f"{clock(detection.begin)}: {text}.", [detection])


def _statement(text: str, proofs: Sequence[Detection]) -> Statement:
    flows = [flow for each in proofs for flow in each.flow_ids]
    packets = [packet for each in proofs for packet in each.evidence.packets]
    ids = [each.detection_id for each in proofs]
    return Statement(text, _first(flows), _first(packets), ids[:MOST_PROOFS])


def _first(numbers: list[int]) -> list[int]:
    return sorted(set(numbers))[:MOST_PROOFS]


def _chain(incident: Incident) -> list[Statement]:
    """Say that a victim became an actor."""
    found = follow_up(incident.detections)
    if found is None:
        return []
    before, after = found
    what = f"{after.orig} was first a target ({noun(before.category)}) and then acted itself ({noun(after.category)})"
    return [_statement(f"{what}, which suggests that the first step succeeded.", found)]


def _stakes(incident: Incident) -> list[Statement]:
    """Say which known assets are concerned."""
    return [
        _statement(f"{entity} is {_described(incident, entity)}.", _about(incident, entity))
        for entity in incident.assets
        if _about(incident, entity)
    ]


def _described(incident: Incident, entity: str) -> str:
    asset = incident.assets[entity]
    name = asset.name or f"in {asset.network}"
    owner = f", owned by {asset.owner}" if asset.owner else ""
    return name + owner + (f", of {asset.criticality} importance" if asset.criticality else "")


def _about(incident: Incident, entity: str) -> list[Detection]:
    return [each for each in incident.detections if entity in (each.orig, each.resp)]


def _remainder(rest: Sequence[Detection], incident: Incident) -> list[Statement]:
    if not rest:
        return []
    lost = incident.detection_count - len(incident.detections)
    more = f", and {lost:,} repetitions or weaker ones were counted only" if lost > 0 else ""
    return [_statement(f"{len(rest):,} further findings belong to this incident{more}.", rest)]


def _summary(incident: Incident, score: ThreatScore) -> str:
    seconds = (incident.last_seen - incident.first_seen) / 1e9
    flows = distinct_flows(incident.detections)
    detectors = len({each.detector for each in incident.detections})
    findings = plural(max(incident.detection_count, len(incident.detections)), "finding")
    told = f"{findings} by {plural(detectors, 'detector')}, resting on {plural(flows, 'flow')} within "
    told += f"{_duration(seconds)}, give the level {score.level}"
    tactics = list(dict.fromkeys(tactic_name(each.tactic) for each in incident.techniques))
    aims = "the aim is" if len(tactics) == 1 else "the aims are"
    return f"{told}; {aims} {listed(tactics)}." if tactics else f"{told}."


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"


def _attributions(score: ThreatScore) -> list[Attribution]:
    """Name the parts of the score, the largest first."""
    parts = sorted(score.parts.items(), key=lambda item: (-item[1], item[0]))
    return [Attribution(CHANNELS[name], points) for name, points in parts]
