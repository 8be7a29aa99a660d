"""Doubles of the four stages, which tell in which order they were called."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from infraspectre.records import (
    Decision,
    Detection,
    Evidence,
    Explanation,
    FlowBatch,
    Incident,
    ResponsePlan,
    ThreatScore,
)


def detection(name: str) -> Detection:
    """Return a detection with this identity."""
    return Detection(name, 5_000, "scan", "port-scan", "high", 0.9, 0.8, [1], "10.0.0.1", None, [], Evidence("seen"))


def incident(name: str) -> Incident:
    """Return an incident with this identity."""
    found = [detection(name)]
    return Incident(name, 1_000, 2_000, 3_000, f"Scan {name}", ["10.0.0.1"], ["10.0.0.1"], [], [], found)


def decision(name: str, value: float = 70.0) -> Decision:
    """Return a decision about an incident of this identity."""
    score = ThreatScore(value, value, value, "high")
    return Decision(incident(name), score, 0.5, Explanation("why", [], []), ResponsePlan("scan", "soon", []))


@dataclass
class Stages:
    """Stands for all four stages."""

    calls: list[str] = field(default_factory=list)

    def extract(self, flows: FlowBatch) -> Any:
        self.calls.append("extract")
        return flows

    def detect(self, flows: FlowBatch, features: Any) -> list[Detection]:
        assert features is flows
        self.calls.append("detect")
        return [detection("d1")]

    def settle(self) -> list[Detection]:
        self.calls.append("settle")
        return []

    def due(self) -> int | None:
        return None

    def turn(self, until: int) -> list[Any]:
        self.calls.append("turn")
        return []

    def correlate(self, detections: list[Detection]) -> list[Incident]:
        self.calls.append("correlate")
        return [incident(one.detection_id) for one in detections]

    def decide(self, incident: Incident) -> Decision:
        self.calls.append("decide")
        return decision(incident.incident_id)

    def doubt(self, decision: Decision, lost: float) -> Decision:
        self.calls.append("doubt")
        return decision


@dataclass
class Detecting(Stages):
    """Ends with one more detection."""

    def finish(self) -> list[Detection]:
        return [detection("d2")]


@dataclass
class Correlating(Stages):
    """Ends with one more incident."""

    def finish(self) -> list[Incident]:
        return [incident("open")]
