from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

import polars as pl
import pytest

from collectors import kept
from infraspectre.records import Detection
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope
from infraspectre.serving.breakers import GuardedDetector
from infraspectre.serving.measuring import MOST_NAMES, Measures, WatchedCall
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.worker import Worker
from infraspectre.telemetry import span
from log_fakes import MemoryLog, SetClock
from serving_fakes import compose, drain, entry, limited, platform, sample_flows

HOUR_NS = 3_600 * 10**9


class Quick:
    name = "quick"
    columns = helpful = frozenset[str]()

    def detect(self, frame: pl.DataFrame) -> list[Detection]:
        return []

    def finish(self) -> list[Detection]:
        return []


def measures() -> tuple[Measures, Metrics]:
    metrics = Metrics()
    return Measures(metrics, SetClock()), metrics


def total(metrics: Metrics, name: str) -> float:
    """The sum of a counter, or how often a histogram was told something."""
    children = metrics.figures().get(name, {})
    return sum(values[0] if len(values) == 1 else values[-2] for values in children.values())


def test_a_worker_tells_what_became_of_flows_and_what_it_found(tmp_path: Path) -> None:
    one, flows = platform(tmp_path, limited(waiting_flows=10_000)), sample_flows()
    worker = Worker(one, compose, tmp_path / "worker", now=count(step=1.0).__next__)
    one.log.topic(FLOWS_TOPIC).append([entry(flows, 0), entry(flows, 0), b"garbage"])
    drain(worker)
    figures = one.metrics.figures()
    outcomes = {name: values[0] for name, values in figures["infraspectre_flows_total"].items()}
    assert outcomes == {"processed": len(flows), "repeated": len(flows)}
    assert total(one.metrics, "infraspectre_incidents_total") > 0
    assert total(one.metrics, "infraspectre_detections_total") > 0


def test_what_is_worked_on_again_after_a_start_is_not_counted_again(tmp_path: Path) -> None:
    one, flows = platform(tmp_path, limited(waiting_flows=10_000)), sample_flows()
    one.log.topic(FLOWS_TOPIC).append([entry(flows, 0)])
    drain(Worker(one, compose, tmp_path / "worker", now=count(step=1.0).__next__))
    before = total(one.metrics, "infraspectre_flows_total"), total(one.metrics, "infraspectre_incidents_total")
    again = Worker(one, compose, tmp_path / "worker", now=count(step=1.0).__next__)
    assert again.is_learning
    drain(again)
    after = total(one.metrics, "infraspectre_flows_total"), total(one.metrics, "infraspectre_incidents_total")
    assert after == before


@pytest.mark.parametrize(("age_ns", "measured"), [(10**9, 1), (2 * HOUR_NS, 0)])
def test_latency_is_that_of_live_traffic_alone(age_ns: int, measured: int, tmp_path: Path) -> None:
    one = platform(tmp_path, limited(waiting_flows=10_000))
    worker = Worker(one, compose, tmp_path / "worker", now=count(step=1.0).__next__)
    shift = one.clock.now() - age_ns - int(sample_flows()["ended_at"].max())  # type: ignore[arg-type]
    flows = sample_flows().with_columns(pl.col("started_at", "ended_at") + shift)
    one.log.topic(FLOWS_TOPIC).append([entry(flows, 0)])
    drain(worker)
    raised = total(one.metrics, "infraspectre_incidents_total")
    assert raised > 0
    assert total(one.metrics, "infraspectre_arrival_latency_seconds") == measured
    assert total(one.metrics, "infraspectre_detection_latency_seconds") == measured * raised


def test_rules_without_number_are_counted_together() -> None:
    found, metrics = measures()
    for number in range(2 * MOST_NAMES):
        found.detector(f"rule {number}", 0.001, is_model=False)
    names = metrics.figures()["infraspectre_detector_duration_seconds"]
    assert len(names) == MOST_NAMES + 1
    assert names["others"][-2] == MOST_NAMES


def test_a_detector_is_measured_and_has_a_span_only_if_it_took_long_or_failed() -> None:
    found, metrics = measures()
    frame = pl.DataFrame({"a": [1]})
    with kept() as spans, span("work"):
        for least_s in (60.0, 0.0):
            watched = partial(WatchedCall, found, least_s=least_s, is_model=True)
            GuardedDetector(Quick(), watched=watched).detect(frame)
        with pytest.raises(ValueError, match="no"), WatchedCall(found, "faulty", 60.0, is_model=False):
            raise ValueError("no")
    assert [(each.name, each.error) for each in spans] == [
        ("detector quick", ""),
        ("detector faulty", "ValueError"),
        ("work", ""),
    ]
    assert total(metrics, "infraspectre_detector_duration_seconds") == 3
    assert total(metrics, "infraspectre_model_inference_duration_seconds") == 2


def test_how_long_batches_take_to_the_log_is_measured_by_their_last_packet() -> None:
    found, metrics = measures()
    log = MemoryLog()
    log.topic(FLOWS_TOPIC).append([b"x"])
    envelope = FlowEnvelope("default", "s", "e", 0, 1, 0, log.clock.now() - 10**9)
    found.arrived(envelope, log.topic(FLOWS_TOPIC).read(0)[0])
    [values] = metrics.figures()["infraspectre_arrival_latency_seconds"].values()
    assert values[-1] == 1.0
