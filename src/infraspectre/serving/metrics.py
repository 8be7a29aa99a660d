"""Every metric of the platform, defined once with unit and help, and served in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

Kind = Literal["counter", "gauge", "histogram"]
CONTENT_TYPE = "text/plain; version=1.0.0"
"""The text format 1.0.0 of Prometheus."""
FAST_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the buckets of answers, in seconds; the aims of the platform are among them."""


class Family(NamedTuple):
    """Describes a metric; its name ends in its unit (OpenMetrics 1.0)."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: Sequence[float] = FAST_S


REQUESTS = Family(
    "infraspectre_http_requests_total", "counter", "Requests that were answered.", ("operation", "status")
)
REQUEST_SECONDS = Family(
    "infraspectre_http_request_seconds", "histogram", "Time from a request to its answer.", ("operation",)
)
REFUSED = Family("infraspectre_http_refused_total", "counter", "Requests that were refused, by reason.", ("reason",))
EVENTS_ACCEPTED = Family("infraspectre_events_accepted_total", "counter", "Posted events that are durable.")
EVENTS_SHED = Family(
    "infraspectre_events_shed_bytes_total", "counter", "Posted bytes that were refused since too many waited."
)
EVENTS_WAITING = Family("infraspectre_events_waiting_bytes", "gauge", "Posted bytes that wait to be durable.")
DEPENDENCY_UP = Family("infraspectre_dependency_up", "gauge", "Whether a dependency works, as 1 or 0.", ("dependency",))
DEPENDENCY_SECONDS = Family(
    "infraspectre_dependency_seconds", "gauge", "How long the last look at a dependency took.", ("dependency",)
)
STREAM_CLIENTS = Family("infraspectre_stream_clients", "gauge", "Clients that follow the stream now.")
STREAM_COUNTS = Family(
    "infraspectre_stream_counts",
    "gauge",
    "What the stream did since the server was started, by what.",
    ("what",),
)
WORKER_FLOWS = Family(
    "infraspectre_worker_flows", "gauge", "Flows by what became of them; taken is all others together.", ("state",)
)
WORKER_WAITING = Family(
    "infraspectre_worker_waiting_entries", "gauge", "Entries of the log that wait for the worker.", ("topic",)
)
WORKER_SECONDS = Family(
    "infraspectre_worker_stage_seconds", "gauge", "Time that a stage took since the worker was started.", ("stage",)
)
DETECTOR_SECONDS = Family(
    "infraspectre_worker_detector_seconds",
    "gauge",
    "Processor time of a detector since the worker was started; all rules of a kind are one.",
    ("detector",),
)
BREAKER_OPEN = Family(
    "infraspectre_breaker_open", "gauge", "Whether something is left alone since it failed, as 1 or 0.", ("name",)
)
BREAKER_SKIPPED = Family(
    "infraspectre_breaker_skipped", "gauge", "Calls that were not made while something was left alone.", ("name",)
)
FAILURES = Family("infraspectre_worker_failures", "gauge", "Failures since the worker was started.", ("name",))
PROCESS_RESTARTS = Family(
    "infraspectre_process_restarts", "gauge", "How often a process was started again.", ("process",)
)
OUTBOX_EVENTS = Family(
    "infraspectre_outbox_events_total",
    "counter",
    "Answers of receivers about events, by kind of receiver; one that is refused is tried again.",
    ("kind", "outcome"),
)
OUTBOX_FAILURES = Family(
    "infraspectre_outbox_failures_total", "counter", "Tries at which a receiver took nothing more.", ("kind",)
)
FAMILIES: tuple[Family, ...] = (
    REQUESTS,
    REQUEST_SECONDS,
    REFUSED,
    EVENTS_ACCEPTED,
    EVENTS_SHED,
    EVENTS_WAITING,
    DEPENDENCY_UP,
    DEPENDENCY_SECONDS,
    STREAM_CLIENTS,
    STREAM_COUNTS,
    WORKER_FLOWS,
    WORKER_WAITING,
    WORKER_SECONDS,
    DETECTOR_SECONDS,
    BREAKER_OPEN,
    BREAKER_SKIPPED,
    FAILURES,
    PROCESS_RESTARTS,
    OUTBOX_EVENTS,
    OUTBOX_FAILURES,
)
"""All of them; whoever adds one adds it here, and the reference names it."""


class Metrics:
    """Counts and measures what a process does; label values come from small fixed sets, so that memory is bounded."""

    def __init__(self, families: Sequence[Family] = FAMILIES) -> None:
        """Begin with nothing counted."""
        self._registry = CollectorRegistry()
        self._made: dict[str, Any] = {family.name: made(family, self._registry) for family in families}

    def add(self, family: Family, *labels: str, count: float = 1) -> None:
        """Count up."""
        metric = self._made[family.name]
        (metric.labels(*labels) if labels else metric).inc(count)

    def set(self, family: Family, *labels: str, value: float) -> None:
        """Set a gauge."""
        metric = self._made[family.name]
        (metric.labels(*labels) if labels else metric).set(value)

    def observe(self, family: Family, *labels: str, value: float) -> None:
        """Add a measured value to a histogram."""
        metric = self._made[family.name]
        (metric.labels(*labels) if labels else metric).observe(value)

    def values(self, family: Family) -> dict[str, float]:
        """Return the values of a gauge by its one label."""
        samples = (sample for metric in self._made[family.name].collect() for sample in metric.samples)
        return {sample.labels[family.labels[0]]: sample.value for sample in samples}

    def exposition(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self._registry)


def made(family: Family, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    """Return the metric of a family."""
    match family.kind:
        case "counter":
            return Counter(family.name, family.help, family.labels, registry=registry)
        case "gauge":
            return Gauge(family.name, family.help, family.labels, registry=registry)
        case "histogram":
            return Histogram(family.name, family.help, family.labels, registry=registry, buckets=family.buckets)


def markdown() -> str:
    """Return the reference page of all metrics."""
    rows = [
        f"| `{each.name}` | {each.kind} | {', '.join(each.labels) or 'none'} | {each.help} |"
        for each in sorted(FAMILIES)
    ]
    head = "# Metrics\n\nAt `/metrics`, in the text format of Prometheus; names end in the unit.\n\n"
    return head + "\n".join(["| metric | kind | labels | what |", "|---|---|---|---|", *rows]) + "\n"
