from __future__ import annotations

import asyncio
import builtins
import threading
from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as ProtoSpan

from collectors import Collected, collector, kept
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.errors import ConfigError
from infraspectre.records.delivery import Destination
from infraspectre.records.events import Position
from infraspectre.records.feed import FEED_TOPIC
from infraspectre.serving import tracing
from infraspectre.serving.destinations import Destinations, webhook_keys
from infraspectre.serving.metrics import Metrics
from infraspectre.serving.outboxes import Outboxes
from infraspectre.serving.platform import Platform
from infraspectre.serving.tracing import MOST_WAITING, SpanQueue, headers_of
from infraspectre.serving.worker import Worker
from infraspectre.settings import TelemetrySettings
from infraspectre.telemetry import Context, Span, span
from link_rooms import sending, serving, until
from receivers import LOOPBACK, Reply, receiver
from serving_fakes import compose, drain, limited, platform, sample_flows


def opened(folder: Path) -> Platform:
    one = platform(folder, limited(waiting_flows=10_000))
    return Platform(
        one.records, one.tables, one.log, one.settings, one.clock, outgoing=outgoing_client(LOOPBACK, ("http",))
    )


async def send(one: Platform, flows: pl.DataFrame, folder: Path) -> None:
    """Bring flows from a sensor's spool into the log, over a connection."""
    spool = Spool(folder / "spool", 1 << 26)
    async with serving(one.log, None) as (_, port), sending(spool, port) as link:
        spool.append(pack(flows), len(flows))
        await until(lambda: link.state.acknowledged == 1)
    spool.close()


def deliver(one: Platform, url: str) -> None:
    """Send a webhook what is on the feed about threats."""
    place = one.log.topic(FEED_TOPIC)
    destination = Destination(key="wh", kind="webhook", name="", url=url, created_at=0, channels=["threat"], batch=10)
    Destinations(one, "default").add(destination, str(webhook_keys()))
    Destinations(one, "default").replay("wh", Position(place.epoch, place.begin))
    sender = Outboxes(one)
    sender.look()
    sender.finish()


def from_sensor_to_receiver(folder: Path) -> list[dict[str, str]]:
    """Return the headers of what a webhook is sent after a sensor saw an attack."""
    one = opened(folder)
    with receiver() as there:
        asyncio.run(send(one, sample_flows(), folder))
        drain(Worker(one, compose, folder / "worker", now=count(step=1.0).__next__))
        deliver(one, there.url)
    one.records.close()
    return [each.headers for each in there.requests]


def ids(spans: list[Any]) -> set[bytes]:
    return {each.trace_id for each in spans}


def test_one_batch_leads_to_one_trace_from_the_sensor_to_the_webhook(tmp_path: Path) -> None:
    metrics = Metrics()
    with collector() as collected:
        chosen = TelemetrySettings(traces=collected.url, sample_ratio=1.0)
        with tracing.tracing(chosen, "test", metrics):
            headers = from_sensor_to_receiver(tmp_path)
    assert_one_trace(collected, headers)
    assert {each["service.name"] for each in collected.resources} == {"infraspectre-test"}
    exported = f'infraspectre_spans_total{{outcome="exported",process="test"}} {float(len(collected.spans))}'
    assert exported in metrics.exposition().decode()


def assert_one_trace(collected: Collected, headers: list[dict[str, str]]) -> None:
    """Follow the parents of each request back to the sensor's batch."""
    spans = {each.span_id: each for each in collected.spans}
    assert headers
    for each in headers:
        told = Context.of(each["traceparent"])
        assert told is not None and told.is_sampled
        way = [spans[told.span_id.to_bytes(8, "big")]]
        while way[-1].parent_span_id:
            way.append(spans[way[-1].parent_span_id])
        names = [step.name for step in reversed(way)]
        assert names == ["send flows", "receive flows", "process flows", "deliver webhook", "POST"]
        assert len(ids(way)) == 1
        assert all(step.start_time_unix_nano <= step.end_time_unix_nano for step in way)
    [trace] = ids(collected.named("send flows"))
    for stage in ("axon", "soma", "cortex", "reflex", "write flows", "write incidents"):
        assert trace in ids(collected.named(stage)), stage
    kinds = {each.name: ProtoSpan.SpanKind.Name(each.kind) for each in collected.spans}
    assert kinds["send flows"] == "SPAN_KIND_PRODUCER"
    assert kinds["process flows"] == "SPAN_KIND_CONSUMER"
    assert kinds["POST"] == "SPAN_KIND_CLIENT"


def test_an_incident_is_always_told_from_the_worker_on(tmp_path: Path) -> None:
    with kept(ratio=0.0) as spans:
        headers = from_sensor_to_receiver(tmp_path)
    names = {each.name for each in spans}
    assert {"process flows", "write incidents", "deliver webhook", "POST"} <= names
    assert not names & {"send flows", "receive flows"}
    raised = [each for each in spans if "infraspectre.incidents" in each.attributes]
    contexts = [Context.of(each["traceparent"]) for each in headers]
    assert {each.trace_id for each in contexts if each} <= {each.trace.trace_id for each in raised}
    assert all(each and each.is_sampled for each in contexts)


def test_without_tracing_nothing_names_a_trace(tmp_path: Path) -> None:
    headers = from_sensor_to_receiver(tmp_path)
    assert headers
    assert not any("traceparent" in each for each in headers)


def test_spans_hold_no_address_unless_a_setting_says_so(tmp_path: Path) -> None:
    with kept() as spans:
        from_sensor_to_receiver(tmp_path)
    texts = [str(value) for each in spans for value in each.attributes.values()]
    assert spans
    assert not any("127.0.0.1" in text or "10.0.0." in text for text in texts)


def traced(count: int) -> list[Span]:
    with kept() as spans:
        for number in range(count):
            span(f"s{number}").end()
    return spans


def count_of(metrics: Metrics, outcome: str) -> int:
    figures = metrics.figures().get("infraspectre_spans_total", {})
    return int(figures.get(f"test\x1f{outcome}", [0])[0])


def test_spans_that_find_no_room_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    free, metrics, sent = threading.Event(), Metrics(), []

    def send(spans: Any) -> bool:
        free.wait(20)
        sent.extend(spans)
        return True

    queue = SpanQueue(send, metrics, "test")
    spans = traced(100) * (2 * MOST_WAITING // 100)
    queue.take(spans, dropped=3)
    free.set()
    queue.close()
    assert count_of(metrics, "exported") == len(sent) > 0
    assert count_of(metrics, "exported") + count_of(metrics, "dropped") == len(spans) + 3


def test_what_waits_is_sent_at_once_where_that_is_asked_for() -> None:
    sent: list[Span] = []
    metrics = Metrics()

    def send(spans: Sequence[Span]) -> bool:
        sent.extend(spans)
        return True

    queue = SpanQueue(send, metrics, "test")
    queue.take(traced(3))
    queue.flush()
    assert [each.name for each in sent] == ["s0", "s1", "s2"]
    assert count_of(metrics, "exported") == 3
    queue.close()


@pytest.mark.parametrize("status", [503, 400])
def test_a_collector_that_takes_nothing_costs_spans_and_no_more(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracing, "TIMEOUT_S", 0.2)
    metrics = Metrics()
    with collector(lambda: Reply(status)) as collected:
        with tracing.tracing(TelemetrySettings(traces=collected.url, sample_ratio=1.0), "test", metrics):
            span("one").end()
        assert not collected.spans
    assert count_of(metrics, "failed") + count_of(metrics, "dropped") == 1


def test_the_collector_is_told_the_headers_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text("Authorization: Bearer abc\n\nX-Scope: red\n")
    with collector() as collected:
        chosen = TelemetrySettings(traces=collected.url, headers_file=str(path), sample_ratio=1.0)
        with tracing.tracing(chosen, "test", Metrics()):
            span("one").end()
    assert collected.headers[0]["authorization"] == "Bearer abc"
    assert collected.headers[0]["x-scope"] == "red"


@pytest.mark.parametrize(
    ("url", "text", "problem"),
    [
        ("https://collector.example/v1/traces", "no header", "line 1"),
        ("http://collector.example/v1/traces", "a: b", "plain text"),
        ("ftp://collector.example/", "a: b", "begins with ftp"),
        ("https://user:pass@collector.example/", "a: b", "plain address"),
    ],
)
def test_a_collector_that_cannot_be_is_an_error(url: str, text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "headers"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        headers_of(TelemetrySettings(traces=url, headers_file=str(path)))
    told = str(caught.value) + caught.value.message
    assert problem in told or str(path) in told
    assert "pass@" not in told


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    chosen = TelemetrySettings(traces="http://127.0.0.1:4318/v1/traces")
    with pytest.raises(ConfigError, match="extra telemetry"), tracing.tracing(chosen, "test", Metrics()):
        pass


def test_spans_go_to_a_file_as_lines_up_to_a_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, metrics = tmp_path / "spans.jsonl", Metrics()
    chosen = TelemetrySettings(traces=f"file:{path}", sample_ratio=1.0)
    with tracing.tracing(chosen, "test", metrics), span("outer", attributes={"n": 1}):
        span("inner").end("broken")
    inner, outer = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
    assert (inner["name"], inner["status"], inner["parent_span_id"]) == ("inner", "error", outer["span_id"])
    assert (outer["attributes"], outer["resource"]["service.name"]) == ({"n": 1}, "infraspectre-test")
    assert path.stat().st_mode & 0o077 == 0
    monkeypatch.setattr(tracing, "MOST_FILE_BYTES", 10)
    with tracing.tracing(chosen, "test", metrics):
        span("late").end()
    assert count_of(metrics, "failed") == 1
