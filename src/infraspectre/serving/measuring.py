"""Counts and measures what the worker does, for the metrics that the server shows."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable

from infraspectre.ports import Clock
from infraspectre.records.events import Entry
from infraspectre.records.flow_batches import FlowEnvelope
from infraspectre.records.times import NANOSECONDS
from infraspectre.serving.metrics import (
    ARRIVAL_SECONDS,
    DETECTION_SECONDS,
    DETECTIONS,
    DETECTOR_SECONDS,
    FLOWS,
    INCIDENTS,
    LOG_SECONDS,
    MODEL_DRIFT,
    MODEL_ROWS,
    MODEL_SECONDS,
    STAGE_SECONDS,
    Metrics,
)
from infraspectre.serving.origins import LIVE_NS
from infraspectre.serving.outlets import Group
from infraspectre.serving.shedding import Account
from infraspectre.soma.models import ModelDetector
from infraspectre.telemetry import LOG_APPEND, note

MOST_NAMES = 100
"""Detectors that are counted apart, so that rules of others cannot make metrics without number."""
OTHERS = "others"


class Measures:
    """Measures one worker."""

    def __init__(self, metrics: Metrics, clock: Clock) -> None:
        """Count from now on."""
        self._metrics, self._clock = metrics, clock
        self._names: set[str] = set()
        self._seen = Account()

    def began(self, account: Account) -> None:
        """Take what was counted before as counted already."""
        self._seen = Account(account.taken, account.done, dict(account.shed))

    def worked(self, account: Account) -> None:
        """Count the flows that the worker is done with since the last call."""
        self._add("processed", account.done - self._seen.done)
        for reason, flows in account.shed.items():
            self._add(reason, flows - self._seen.shed.get(reason, 0))
        self.began(account)

    def arrived(self, envelope: FlowEnvelope, entry: Entry) -> None:
        """Measure how long the flows of a live batch took to the log."""
        if 0 <= (took := entry.at - envelope.last_at) <= LIVE_NS:
            self._metrics.observe(ARRIVAL_SECONDS, value=took / NANOSECONDS)

    def told(self, group: Group) -> None:
        """Count what a group led to, and measure how long that took, once all of it was told."""
        for found in group.found.values():
            for detection in found.detections:
                self._metrics.add(DETECTIONS, self._name(detection.detector))
            levels = {each.incident.incident_id: each.threat_score.level for each in found.decisions}
            for key in found.raised:
                self._metrics.add(INCIDENTS, levels[key])
                if found.packet_at:
                    took = max(self._clock.now() - found.packet_at, 0)
                    self._metrics.observe(DETECTION_SECONDS, value=took / NANOSECONDS)

    def stage(self, name: str, seconds: float) -> None:
        """Measure a stage, or an append to the log."""
        if name == LOG_APPEND:
            self._metrics.observe(LOG_SECONDS, value=seconds)
        else:
            self._metrics.observe(STAGE_SECONDS, name, value=seconds)

    def detector(self, name: str, seconds: float, *, is_model: bool) -> None:
        """Measure a detector; one that asks a model is measured as such, too."""
        self._metrics.observe(DETECTOR_SECONDS, self._name(name), value=seconds)
        if is_model:
            self._metrics.observe(MODEL_SECONDS, self._name(name), value=seconds)

    def models(self, detectors: Iterable[ModelDetector]) -> None:
        """Show how many rows models have judged, and how far what they say has moved; of several tenants the worst."""
        rows: Counter[str] = Counter()
        drifts: dict[str, float] = {}
        for each in detectors:
            name = self._name(each.name)
            rows[name] += each.watch.rows
            if (drift := each.watch.population_stability) is not None:
                drifts[name] = max(drift, drifts.get(name, 0.0))
        for name, drift in drifts.items():
            self._metrics.set(MODEL_DRIFT, name, value=drift)
        self._metrics.adopt("models", {MODEL_ROWS.name: {name: [count] for name, count in rows.items()}})

    def _add(self, outcome: str, flows: int) -> None:
        if flows > 0:
            self._metrics.add(FLOWS, outcome, count=flows)

    def _name(self, name: str) -> str:
        if name in self._names or len(self._names) < MOST_NAMES:
            self._names.add(name)
            return name
        return OTHERS


class WatchedCall:
    """Measures a call of a detector while it is entered; one that took long or failed has a span of its own."""

    def __init__(self, measures: Measures, name: str, least_s: float, *, is_model: bool) -> None:
        """Prepare to measure; a span is told from so many seconds on."""
        self._measures, self._name, self._least_s, self._is_model = measures, name, least_s, is_model

    def __enter__(self) -> None:
        self._began_at, self._began = time.time_ns(), time.perf_counter()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        took = time.perf_counter() - self._began
        self._measures.detector(self._name, took, is_model=self._is_model)
        if took >= self._least_s or kind is not None:
            note(f"detector {self._name}", self._began_at, error=kind.__name__ if kind else "")
