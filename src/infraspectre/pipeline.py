"""The detect loop: a batch of flows goes in, decisions about incidents come out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from infraspectre.records import Decision, Detection, FlowBatch, Incident
from infraspectre.records.times import earliest
from infraspectre.telemetry import stage


class Axon(Protocol):
    """Turns flows into features in context."""

    def extract(self, flows: FlowBatch) -> Any:
        """Return the features of each flow."""
        ...


class Soma(Protocol):
    """Finds suspicious behaviour."""

    def detect(self, flows: FlowBatch, features: Any) -> list[Detection]:
        """Return what became certain with this batch."""
        ...

    def settle(self) -> list[Detection]:
        """Return what flows that still wait make certain, as nothing may come behind them for long."""
        ...

    def due(self) -> int | None:
        """Return the event time at which something is to be told even if no flow comes, None where there is none."""
        ...

    def turn(self, until: int) -> list[Detection]:
        """Return what event time makes certain that goes on without flows."""
        ...

    def finish(self) -> list[Detection]:
        """Return what the end of the input makes certain."""
        ...


class Cortex(Protocol):
    """Joins detections into incidents."""

    def correlate(self, detections: list[Detection]) -> list[Incident]:
        """Return the incidents that these detections complete."""
        ...

    def due(self) -> int | None:
        """Return the event time at which the first incident that has changed is over, None where there is none."""
        ...

    def turn(self, until: int) -> list[Incident]:
        """Return the incidents that are over once event time goes on without detections."""
        ...

    def finish(self) -> list[Incident]:
        """Return the incidents still open."""
        ...


class Reflex(Protocol):
    """Judges incidents."""

    def decide(self, incident: Incident) -> Decision:
        """Return how bad an incident is, why, and what to do."""
        ...

    def doubt(self, decision: Decision, lost: float) -> Decision:
        """Return a decision that is less sure, since a share of the traffic was lost."""
        ...


@dataclass
class Pipeline:
    """Carries batches of flows through the four stages and keeps what was detected on the way."""

    axon: Axon
    soma: Soma
    cortex: Cortex
    reflex: Reflex
    detections: list[Detection] = field(default_factory=list)

    def process(self, flows: FlowBatch) -> list[Decision]:
        """Return the decisions that a batch of flows leads to."""
        with stage("axon"):
            features = self.axon.extract(flows)
        with stage("soma"):
            detections = self.soma.detect(flows, features)
        return self._follow(detections)

    def settle(self) -> list[Decision]:
        """Return the decisions that flows lead to which still wait for more."""
        with stage("soma"):
            detections = self.soma.settle()
        return self._follow(detections)

    def due(self) -> int | None:
        """Return the event time at which something is to be told even if no flow comes, None where there is none."""
        return earliest((self.soma.due(), self.cortex.due()))

    def turn(self, until: int) -> list[Decision]:
        """Return the decisions that event time leads to which goes on without flows."""
        decisions = self._follow(self.soma.turn(until))
        return decisions + [self.reflex.decide(incident) for incident in self.cortex.turn(until)]

    def _follow(self, detections: list[Detection]) -> list[Decision]:
        """Return the decisions that detections lead to."""
        self.detections += detections
        with stage("cortex"):
            incidents = self.cortex.correlate(detections)
        with stage("reflex"):
            return [self.reflex.decide(incident) for incident in incidents]

    def finish(self) -> list[Decision]:
        """Return the decisions about all that was still open at the end of the input."""
        detections = self.soma.finish()
        self.detections += detections
        incidents = self.cortex.correlate(detections) + self.cortex.finish()
        return [self.reflex.decide(incident) for incident in incidents]
