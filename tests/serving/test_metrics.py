from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from infraspectre.serving.metrics import (
    DETECTION_SECONDS,
    FLOWS,
    FLOWS_WAITING,
    LOG_SECONDS,
    SPANS,
    STAGE_SECONDS,
    Metrics,
)


def samples(metrics: Metrics) -> dict[tuple[str, tuple[str, ...]], float]:
    families = text_string_to_metric_families(metrics.exposition().decode())
    return {
        (each.name, tuple(sorted(each.labels.values()))): each.value for family in families for each in family.samples
    }


def test_what_another_process_counted_is_shown_beside_what_this_one_did() -> None:
    server, worker = Metrics(), Metrics()
    worker.add(FLOWS, "processed", count=7)
    worker.set(FLOWS_WAITING, value=0.3)
    worker.observe(STAGE_SECONDS, "axon", value=0.2)
    server.add(SPANS, "server", "exported")
    worker.add(SPANS, "worker", "exported", count=2)
    server.adopt("worker", worker.figures())
    found = samples(server)
    assert found["infraspectre_flows_total", ("processed",)] == 7
    assert found["infraspectre_backlog_fill_ratio", ()] == 0.3
    assert found["infraspectre_stage_duration_seconds_bucket", ("0.1", "axon")] == 0
    assert found["infraspectre_stage_duration_seconds_bucket", ("0.25", "axon")] == 1
    assert found["infraspectre_stage_duration_seconds_sum", ("axon",)] == 0.2
    assert found["infraspectre_spans_total", ("exported", "server")] == 1
    assert found["infraspectre_spans_total", ("exported", "worker")] == 2


def test_what_both_measured_is_one_sum() -> None:
    server, worker = Metrics(), Metrics()
    for metrics, seconds in ((server, 0.002), (worker, 0.2)):
        metrics.observe(LOG_SECONDS, value=seconds)
    server.adopt("worker", worker.figures())
    found = samples(server)
    assert found["infraspectre_log_append_duration_seconds_count", ()] == 2
    assert found["infraspectre_log_append_duration_seconds_bucket", ("0.0025",)] == 1
    assert found["infraspectre_log_append_duration_seconds_sum", ()] == 0.202


def test_later_figures_take_the_place_of_earlier_ones() -> None:
    server, worker = Metrics(), Metrics()
    for _ in range(3):
        worker.observe(DETECTION_SECONDS, value=1.0)
        server.adopt("worker", worker.figures())
    assert samples(server)["infraspectre_detection_latency_seconds_count", ()] == 3


def test_what_counted_nothing_tells_nothing() -> None:
    assert Metrics().figures() == {}


def test_figures_tell_what_was_adopted_too() -> None:
    first, second, third = Metrics(), Metrics(), Metrics()
    first.add(FLOWS, "processed")
    second.adopt("first", first.figures())
    third.adopt("second", second.figures())
    assert samples(third)["infraspectre_flows_total", ("processed",)] == 1
