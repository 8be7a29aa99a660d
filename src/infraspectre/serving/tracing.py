"""Hands the spans of a process to a collector (OTLP over HTTP), or writes them as lines of JSON for trying.

Spans wait in a bounded queue, so that a collector that is slow or away costs neither time nor memory; all are counted:
ended = exported + dropped + failed + waiting.
"""

from __future__ import annotations

import os
import secrets
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import structlog

from infraspectre import __version__
from infraspectre.errors import ConfigError
from infraspectre.files import writing_to
from infraspectre.security import is_loopback, target_of
from infraspectre.serving.metrics import SPANS, Metrics
from infraspectre.settings import TelemetrySettings
from infraspectre.telemetry import Observe, Span, Tracer, install

MOST_WAITING = 8_192
"""Spans that wait to be sent; beyond it they are dropped, and counted."""
AT_ONCE = 512
EVERY_S = 1.0
"""Spans are sent so often, or once there are as many as go at once."""
TIMEOUT_S = 5.0
"""How long the collector may take for one batch, all tries together."""
FAREWELL_S = 3.0
MOST_FILE_BYTES = 64 << 20
"""A file of spans grows no further: it is for trying, and nobody turns its pages."""
CONSOLE, FILE = "console", "file:"

Send = Callable[[Sequence[Span]], bool]
"""Sends spans, and tells whether they arrived."""
logger = structlog.get_logger(__name__)


class SpanQueue:
    """Keeps spans until a thread of its own has sent them."""

    def __init__(self, send: Send, metrics: Metrics, process: str) -> None:
        """Send from now on."""
        self._send, self._metrics, self._process = send, metrics, process
        self._waiting: deque[Span] = deque()
        self._news = threading.Condition()
        self._is_closed = self._is_hurried = False
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)
        self._thread.start()

    def take(self, spans: Sequence[Span], dropped: int = 0) -> None:
        """Take spans that ended, as far as there is room; `dropped` more had none before."""
        with self._news:
            room = max(MOST_WAITING - len(self._waiting), 0)
            self._waiting.extend(spans[:room])
            if len(self._waiting) >= AT_ONCE:
                self._news.notify()
        self._count("dropped", dropped + max(len(spans) - room, 0))

    def flush(self) -> None:
        """Have sent what waits, before its time."""
        with self._news:
            self._is_hurried = True
            self._news.notify()
            self._news.wait_for(lambda: not self._is_hurried, FAREWELL_S)

    def close(self) -> None:
        """Send what waits, within a few seconds; what is left then is dropped."""
        with self._news:
            self._is_closed = True
            self._news.notify()
        self._thread.join(FAREWELL_S)
        self._count("dropped", len(self._waiting))

    def _run(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(self._is_due, EVERY_S)
                is_last, is_hurried = self._is_closed, self._is_hurried
            while self._waiting:
                batch = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
                self._count("exported" if self._is_sent(batch) else "failed", len(batch))
            with self._news:
                self._is_hurried = self._is_hurried and not is_hurried
                self._news.notify_all()
            if is_last:
                return

    def _is_due(self) -> bool:
        return self._is_closed or self._is_hurried or len(self._waiting) >= AT_ONCE

    def _is_sent(self, batch: Sequence[Span]) -> bool:
        try:
            return self._send(batch)
        except Exception as error:  # noqa: BLE001 - whatever a collector or its library does, it must not end the telling
            logger.warning("spans cannot be sent", error=type(error).__name__)
            return False

    def _count(self, outcome: str, count: int) -> None:
        if count:
            self._metrics.add(SPANS, self._process, outcome, count=count)


@contextmanager
def tracing(
    chosen: TelemetrySettings, process: str, metrics: Metrics, observe: Observe | None = None
) -> Iterator[None]:
    """Let this process tell its spans as the settings say, and its stages to `observe`, while the block runs.

    Raises ConfigError for a collector that cannot be told anything, OutputError for a file that cannot be written.
    """
    queue = SpanQueue(sender(chosen, process), metrics, process) if chosen.traces else None
    tracer = None
    if queue is not None:
        tracer = Tracer(
            queue.take, chosen.sample_ratio, shows_addresses=chosen.show_addresses,
            follows_callers=chosen.follow_callers,
        )  # fmt: skip
    install(tracer, observe)
    try:
        yield
    finally:
        install()
        if queue is not None:
            queue.close()


def sender(chosen: TelemetrySettings, process: str) -> Send:
    """Return what sends spans; raises ConfigError and OutputError."""
    resource = resource_of(process, shows_addresses=chosen.show_addresses)
    if chosen.traces == CONSOLE:
        return lambda spans: bool(sys.stderr.write("".join(lines(spans, resource))))
    if chosen.traces.startswith(FILE):
        return SpanFile(Path(chosen.traces.removeprefix(FILE)), resource).write
    return collector(chosen, resource)


def resource_of(process: str, *, shows_addresses: bool) -> dict[str, str]:
    """Return what spans of this process have in common (OpenTelemetry semantic conventions, resources)."""
    found = {
        "service.namespace": "infraspectre",
        "service.name": f"infraspectre-{process}",
        "service.version": __version__,
        "service.instance.id": secrets.token_hex(16),
    }
    return found | ({"host.name": os.uname().nodename} if shows_addresses else {})


def lines(spans: Sequence[Span], resource: Mapping[str, str]) -> Iterator[str]:
    """Yield spans as lines of JSON."""
    for each in spans:
        told = {
            "trace_id": f"{each.trace.trace_id:032x}",
            "span_id": f"{each.span_id:016x}",
            "parent_span_id": f"{each.parent_id:016x}" if each.parent_id else "",
            "name": each.name,
            "kind": each.kind,
            "start_time_unix_nano": each.began,
            "end_time_unix_nano": each.ended,
            "status": "error" if each.error else "unset",
            "attributes": each.attributes,
            "links": [str(link) for link in each.links],
            "resource": resource,
        }
        yield msgspec.json.encode(told).decode() + "\n"


class SpanFile:
    """Appends spans to a file, up to a bound."""

    def __init__(self, path: Path, resource: Mapping[str, str]) -> None:
        """Open the file for its owner alone; raises OutputError."""
        self._path, self._resource = path, resource
        with writing_to(path):
            self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def write(self, spans: Sequence[Span]) -> bool:
        """Append spans; tell whether there was room."""
        data = "".join(lines(spans, self._resource)).encode()
        if os.fstat(self._file).st_size + len(data) > MOST_FILE_BYTES:
            return False
        with writing_to(self._path):
            return os.write(self._file, data) == len(data)


def collector(chosen: TelemetrySettings, resource: Mapping[str, str]) -> Send:
    """Return what sends spans to a collector; raises ConfigError."""
    headers = headers_of(chosen)
    try:
        import logging

        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import SpanExportResult
    except ImportError as error:
        remedy = "pip install 'infraspectre[telemetry]', or set telemetry.traces to console or a file"
        raise ConfigError("needs the extra telemetry", field="telemetry.traces", remedy=remedy) from error
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what fails is counted, and told here
    authority = chosen.authority_file or None
    exporter = OTLPSpanExporter(chosen.traces, certificate_file=authority, headers=headers, timeout=TIMEOUT_S)
    convert = converter(resource)
    return lambda spans: exporter.export([convert(each) for each in spans]) is SpanExportResult.SUCCESS


def headers_of(chosen: TelemetrySettings) -> dict[str, str]:
    """Return what the collector is told beside spans; raises ConfigError where that would cross a network in plain."""
    field = "telemetry.traces"
    target = checked_target(chosen.traces)
    if not chosen.headers_file:
        return {}
    if target.scheme != "https" and not is_loopback(target.host):
        raise ConfigError("would send its headers in plain text", field=field, remedy="give an https: address")
    path = Path(chosen.headers_file)
    try:
        written = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        remedy = "name a text file that the service may read"
        raise ConfigError("cannot be read", path=path, field="telemetry.headers_file", remedy=remedy) from error
    found = {}
    for number, line in enumerate(written, 1):
        name, colon, value = line.partition(":")
        if line.strip() and not (colon and name.strip()):
            raise ConfigError("is no header", path=path, line=number, remedy="write NAME: VALUE")
        if line.strip():
            found[name.strip().lower()] = value.strip()
    return found


def checked_target(url: str) -> Any:
    """Return where a URL leads; raises ConfigError for one that is none."""
    from infraspectre.errors import AccessError

    try:
        return target_of(url, ("http", "https"))
    except AccessError as error:
        remedy = "give https://HOST:4318/v1/traces, file: and a path, or console"
        raise ConfigError(f"leads nowhere: it {error.problem}", field="telemetry.traces", remedy=remedy) from error


def converter(resource: Mapping[str, str]) -> Callable[[Span], Any]:
    """Return what makes of a span one of the OpenTelemetry SDK, which the exporter takes."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope
    from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

    about = Resource(dict(resource))
    scope = InstrumentationScope("infraspectre", __version__)
    failed, unset = Status(StatusCode.ERROR), Status()

    def named(trace_id: int, span_id: int, *, is_remote: bool) -> SpanContext:
        return SpanContext(trace_id, span_id, is_remote, TraceFlags(TraceFlags.SAMPLED))

    def convert(span: Span) -> ReadableSpan:
        trace_id = span.trace.trace_id
        parent = named(trace_id, span.parent_id, is_remote=span.is_first) if span.parent_id else None
        return ReadableSpan(
            span.name,
            named(trace_id, span.span_id, is_remote=False),
            parent,
            about,
            span.attributes,
            links=[Link(named(each.trace_id, each.span_id, is_remote=True)) for each in span.links],
            kind=SpanKind[span.kind.upper()],
            status=failed if span.error else unset,
            start_time=span.began,
            end_time=span.ended,
            instrumentation_scope=scope,
        )

    return convert
