"""Doubles of a collector: a small HTTP server that reads OTLP, and spans kept in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from infraspectre.telemetry import Span, Tracer, install
from receivers import Reply, Request, receiver


@dataclass
class Collected:
    """Is what a collector was sent."""

    url: str
    resources: list[dict[str, str]] = field(default_factory=list)
    spans: list[ProtoSpan] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def named(self, name: str) -> list[ProtoSpan]:
        return [each for each in self.spans if each.name == name]


@contextmanager
def collector(answer: Callable[[], Reply] = Reply) -> Iterator[Collected]:
    """Listen on loopback for OTLP over HTTP."""
    collected = Collected("")

    def take(request: Request) -> Reply:
        reply = answer()
        if reply.status == 200:
            collected.headers.append(request.headers)
            for each in ExportTraceServiceRequest.FromString(request.body).resource_spans:
                about = {one.key: one.value.string_value for one in each.resource.attributes}
                collected.resources.append(about)
                collected.spans += [span for scope in each.scope_spans for span in scope.spans]
        return reply

    with receiver(take) as there:
        collected.url = f"{there.url}/v1/traces"
        yield collected


@contextmanager
def kept(ratio: float = 1.0, **options: bool) -> Iterator[list[Span]]:
    """Trace this process, and keep what is told."""
    spans: list[Span] = []

    def take(ended: Sequence[Span], _: int) -> None:
        spans.extend(ended)

    install(Tracer(take, ratio, **options))
    try:
        yield spans
    finally:
        install()
