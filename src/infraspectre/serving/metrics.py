"""Every metric of the platform, defined once with unit and help, and served in the format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

Kind = Literal["counter", "gauge", "histogram"]
Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""What another process counted: by metric, and by its label values with `BETWEEN` between them, a value, or of a
histogram those of its buckets, then count and sum."""
BETWEEN = "\x1f"
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


LONG_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0)
"""The same for what waits for more traffic."""
REQUEST_SECONDS = Family(
    "http_server_request_duration_seconds",
    "histogram",
    "Time from a request to its answer (OpenTelemetry semantic conventions); the route is empty where there is none.",
    ("http_request_method", "http_route", "http_response_status_code"),
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
DETECTOR_CPU = Family(
    "infraspectre_worker_detector_cpu_seconds",
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
OUTBOX_WAITING = Family(
    "infraspectre_outbox_waiting_entries",
    "gauge",
    "Entries of the feed that the receiver furthest behind has not come to, by kind of receiver.",
    ("kind",),
)
OUTBOX_AGE = Family(
    "infraspectre_outbox_oldest_seconds",
    "gauge",
    "How long the oldest entry waits that a receiver has not come to, by kind of receiver.",
    ("kind",),
)
OUTBOX_RECEIVERS = Family(
    "infraspectre_outbox_receivers", "gauge", "Receivers by kind, and by whether they work.", ("kind", "state")
)
STAGE_SECONDS = Family(
    "infraspectre_stage_duration_seconds", "histogram", "Time that a stage of the worker took for a group.", ("stage",)
)
DETECTOR_SECONDS = Family(
    "infraspectre_detector_duration_seconds", "histogram", "Time that a detector took for a block.", ("detector",)
)
MODEL_SECONDS = Family(
    "infraspectre_model_inference_duration_seconds",
    "histogram",
    "Time that a model of the worker took to judge a block, what is made of its verdicts included.",
    ("model",),
)
MODEL_ROWS = Family(
    "infraspectre_model_rows_total", "counter", "Flows or texts that a model of the worker judged.", ("model",)
)
MODEL_DRIFT = Family(
    "infraspectre_model_score_drift_ratio",
    "gauge",
    "Population stability index of a model's scores: the last ones against the first since the worker was started.",
    ("model",),
)
FLOWS = Family(
    "infraspectre_flows_total",
    "counter",
    "Flows that the worker is done with since it was started, by outcome: processed, or why they were shed.",
    ("outcome",),
)
FLOWS_WAITING = Family(
    "infraspectre_backlog_fill_ratio", "gauge", "How full the queue of the worker is; from .5 on flows are shed."
)
DETECTIONS = Family("infraspectre_detections_total", "counter", "What detectors found.", ("detector",))
INCIDENTS = Family("infraspectre_incidents_total", "counter", "Incidents that were raised, by level.", ("level",))
DETECTION_SECONDS = Family(
    "infraspectre_detection_latency_seconds",
    "histogram",
    "From the last packet of a live batch to the incident that it raised being told.",
    (),
    LONG_S,
)
ARRIVAL_SECONDS = Family(
    "infraspectre_arrival_latency_seconds",
    "histogram",
    "From the last packet of a live batch to the log.",
    (),
    LONG_S,
)
LOG_SECONDS = Family(
    "infraspectre_log_append_duration_seconds", "histogram", "Time until entries of the event log are durable."
)
LOG_ENTRIES = Family(
    "infraspectre_log_entries_total",
    "counter",
    "Entries for the event log, by topic, and by what became of them: durable, failed, or refused.",
    ("topic", "outcome"),
)
DISK_FREE = Family("infraspectre_disk_free_bytes", "gauge", "Space that is left where a folder lies.", ("folder",))
DISK_SIZE = Family("infraspectre_disk_size_bytes", "gauge", "Space in all where a folder lies.", ("folder",))
CERTIFICATE_END = Family(
    "infraspectre_certificate_expiry_timestamp_seconds",
    "gauge",
    "When a certificate of this server ends, in seconds since the epoch.",
    ("use",),
)
PROCESS_UP = Family("infraspectre_process_up", "gauge", "Whether a process is ready, as 1 or 0.", ("process",))
SENSORS = Family(
    "infraspectre_sensors", "gauge", "Sensors of all tenants that came since the start, by state.", ("state",)
)
SENSOR_SILENCE = Family(
    "infraspectre_sensor_silence_seconds",
    "gauge",
    "How long the sensor was not heard of which that is longest, among those that came in the last day.",
)
SENSOR_OFFSET = Family(
    "infraspectre_sensor_clock_offset_seconds", "gauge", "By how much the clock of the sensor furthest off is wrong."
)
SENSOR_FLOWS = Family("infraspectre_sensor_flows_total", "counter", "Flows that came from sensors, and are durable.")
SENSOR_LOST = Family(
    "infraspectre_sensor_lost_flows_total", "counter", "Flows that sensors said they lost before they were sent."
)
SENSOR_MISSING = Family(
    "infraspectre_sensor_missing_batches_total", "counter", "Batches of sensors that never came, whatever the reason."
)
SENSOR_RING_PACKETS = Family(
    "infraspectre_sensor_ring_packets_total",
    "counter",
    "Packets for the rings of sensors, by what became of them: written, left_out (the disk was too slow) or failed.",
    ("outcome",),
)
SENSOR_RING_BYTES = Family("infraspectre_sensor_ring_bytes", "gauge", "Bytes of packets that rings of sensors hold.")
SENSOR_REFUSED = Family(
    "infraspectre_sensor_turned_away_total", "counter", "Connections of sensors that were not accepted."
)
SPANS = Family(
    "infraspectre_spans_total",
    "counter",
    "Spans that were to be told, by process, and by what became of them: exported, failed, or dropped.",
    ("process", "outcome"),
)
FAMILIES: tuple[Family, ...] = (
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
    DETECTOR_CPU,
    BREAKER_OPEN,
    BREAKER_SKIPPED,
    FAILURES,
    PROCESS_RESTARTS,
    OUTBOX_EVENTS,
    OUTBOX_FAILURES,
    OUTBOX_WAITING,
    OUTBOX_AGE,
    OUTBOX_RECEIVERS,
    STAGE_SECONDS,
    DETECTOR_SECONDS,
    MODEL_SECONDS,
    MODEL_ROWS,
    MODEL_DRIFT,
    FLOWS,
    FLOWS_WAITING,
    DETECTIONS,
    INCIDENTS,
    DETECTION_SECONDS,
    ARRIVAL_SECONDS,
    LOG_SECONDS,
    LOG_ENTRIES,
    DISK_FREE,
    DISK_SIZE,
    CERTIFICATE_END,
    PROCESS_UP,
    SENSORS,
    SENSOR_SILENCE,
    SENSOR_OFFSET,
    SENSOR_FLOWS,
    SENSOR_LOST,
    SENSOR_MISSING,
    SENSOR_RING_PACKETS,
    SENSOR_RING_BYTES,
    SENSOR_REFUSED,
    SPANS,
)
"""All of them; whoever adds one adds it here, and the reference names it."""


class Metrics:
    """Counts and measures what a process does; label values come from small fixed sets, so that memory is bounded."""

    def __init__(self, families: Sequence[Family] = FAMILIES) -> None:
        """Begin with nothing counted."""
        self._registry = CollectorRegistry()
        self._families = {family.name: family for family in families}
        self._made: dict[str, Any] = {family.name: made(family, self._registry) for family in families}
        self._bound: dict[tuple[str, ...], Any] = {}
        self._adopted: dict[str, Figures] = {}

    def add(self, family: Family, *labels: str, count: float = 1) -> None:
        """Count up."""
        self._of(family, *labels).inc(count)

    def set(self, family: Family, *labels: str, value: float) -> None:
        """Set a gauge."""
        self._of(family, *labels).set(value)

    def observe(self, family: Family, *labels: str, value: float) -> None:
        """Add a measured value to a histogram."""
        self._of(family, *labels).observe(value)

    def _of(self, family: Family, *labels: str) -> Any:
        """Return the metric of some labels, which are looked up once."""
        found = self._bound.get((family.name, *labels))
        if found is None:
            metric = self._made[family.name]
            found = self._bound[family.name, *labels] = metric.labels(*labels) if labels else metric
        return found

    def values(self, family: Family) -> dict[str, float]:
        """Return the values of a gauge by its one label."""
        samples = (sample for metric in self._made[family.name].collect() for sample in metric.samples)
        return {sample.labels[family.labels[0]]: sample.value for sample in samples}

    def adopt(self, source: str, figures: Figures) -> None:
        """Show what somebody else counted, in place of what the same source counted before."""
        self._adopted[source] = figures

    def figures(self) -> dict[str, dict[str, list[float]]]:
        """Return what was counted here, for the process that shows it; what is still 0 is left out."""
        found: dict[str, dict[str, list[float]]] = {}
        for metric, family in zip(self.collect(), self._families.values(), strict=True):
            children: dict[str, list[float]] = {}
            for sample in metric.samples:
                if not sample.name.endswith("_created"):
                    key = BETWEEN.join(sample.labels[name] for name in family.labels)
                    children.setdefault(key, []).append(sample.value)
            if sounding := {key: values for key, values in children.items() if any(values)}:
                found[family.name] = sounding
        return found

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics, with what was adopted added; what two sources have counted alike is one sum."""
        for metric, family in zip(self._registry.collect(), self._families.values(), strict=True):
            adopted = [figures[family.name] for figures in list(self._adopted.values()) if family.name in figures]
            yield added(metric, family, adopted) if adopted else metric

    def exposition(self) -> bytes:
        """Return all values in the text format of Prometheus."""
        return generate_latest(self)


def added(metric: Metric, family: Family, adopted: Sequence[Mapping[str, Sequence[float]]]) -> Metric:
    """Return a metric with what others have counted."""
    values = {(sample.name, tuple(sample.labels.items())): sample.value for sample in metric.samples}
    for children in adopted:
        for key, figures in children.items():
            labels = tuple(zip(family.labels, key.split(BETWEEN), strict=True)) if family.labels else ()
            for (name, further), value in zip(parts(family), figures, strict=True):
                place = (name, labels + further)
                values[place] = values.get(place, 0.0) + value
    found = Metric(metric.name, metric.documentation, metric.type)
    for (name, held), value in values.items():
        found.add_sample(name, dict(held), value)
    return found


def parts(family: Family) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield the samples of one child of a metric: their names, and the labels beside its own."""
    if family.kind != "histogram":
        yield family.name, ()
        return
    for bound in [*family.buckets, float("inf")]:
        yield f"{family.name}_bucket", (("le", floatToGoString(bound)),)  # type: ignore[no-untyped-call]
    yield f"{family.name}_count", ()
    yield f"{family.name}_sum", ()


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
