"""What metrics and traces cost: processor time of the worker for flows, and of the API for requests, with and without.

In each round the same work is done without both, with metrics, and with traces of one in twenty beside them, in an
order that changes; the figure is the median of the ratios of a round. Spans go to a collector in another process, and
the time of the thread that sends them counts. Requests are given to the application itself: beside what a server and a
connection cost, the same would be a smaller share.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import polars as pl

from benches.report import Figure, Report, Table
from infraspectre.serving.metrics import Family, Metrics
from infraspectre.settings import TelemetrySettings
from infraspectre.telemetry import Observe, Tracer, install

ROUNDS = 15
BATCHES, ROWS = 16, 1_000
READS, REQUESTS = 39, 500
RATIO = 0.05
SEED = 7
SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"
MODES = ("neither", "metrics", "both")
FLOOR, AIM = "< 5%", "< 2%"
Mode = str


class Silent(Metrics):
    """Counts nothing: the reference."""

    def add(self, family: Family, *labels: str, count: float = 1) -> None:
        """Count nothing."""

    def set(self, family: Family, *labels: str, value: float) -> None:
        """Set nothing."""

    def observe(self, family: Family, *labels: str, value: float) -> None:
        """Measure nothing."""


def measure() -> Report:
    """Run all rounds."""
    with collector() as url, api() as reading:
        told = Telling(url)
        rows = [
            *shares("API, one incident", reading(1), told, READS),
            *shares("API, page of 20", reading(20), told, READS),
            *shares("worker, per flow", worker_run, told, ROUNDS),
        ]
    figures = [Figure(f"{what}: {mode}", f"{share:+.1%}", "", FLOOR, AIM) for what, mode, share, _ in rows]
    table = Table(
        "Processor time beside that with neither, by round",
        ("what", "with", "median", "quartiles"),
        [(what, mode, f"{share:+.1%}", quartiles(rounds)) for what, mode, share, rounds in rows],
    )
    note = f"{READS} rounds of reads, {ROUNDS} of flows; traces of {RATIO:.0%}, and of all incidents and faults."
    return Report(figures, [table], [note])


def quartiles(ratios: list[float]) -> str:
    """Return between what the middle half of the rounds lies."""
    low, _, high = statistics.quantiles(ratios, n=4)
    return f"{low:+.1%} to {high:+.1%}"


def shares(
    what: str, run: Callable[[Mode, Telling], float], told: Telling, times: int
) -> Iterator[tuple[str, Mode, float, list[float]]]:
    """Yield how much more each mode takes than the reference of its round."""
    run("both", told)  # what is loaded at the first use is loaded
    rounds: list[dict[Mode, float]] = []
    for number in range(times):
        order = MODES[number % 3 :] + MODES[: number % 3]
        rounds.append({mode: run(mode, told) for mode in order})
    for mode in MODES[1:]:
        ratios = [each[mode] / each["neither"] - 1 for each in rounds]
        yield what, mode, statistics.median(ratios), ratios


class Telling:
    """Lets this process tell traces, stages, or neither; the collector is kept, as it is in a process that runs."""

    def __init__(self, url: str) -> None:
        """Send to a collector."""
        from infraspectre.serving.tracing import SpanQueue, sender

        chosen = TelemetrySettings(traces=url, sample_ratio=RATIO)
        self._queue = SpanQueue(sender(chosen, "bench"), Metrics(), "bench")
        self._tracer = Tracer(self._queue.take, RATIO)

    @contextmanager
    def telling(self, mode: Mode, observe: Observe | None = None) -> Iterator[None]:
        """Tell what a mode says while the block runs, and have all of it sent at its end."""
        install(self._tracer if mode == "both" else None, None if mode == "neither" else observe)
        try:
            yield
            self._queue.flush()
        finally:
            install()


def worker_run(mode: Mode, told: Telling) -> float:
    """Return the processor time of a worker for a number of flows."""
    from infraspectre.records.feed import FLOWS_TOPIC
    from infraspectre.serving.opening import close_platform, open_platform
    from infraspectre.serving.worker import Worker
    from infraspectre.serving.working import Composition
    from infraspectre.settings import DataSettings, DetectionSettings, Settings

    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data=DataSettings(folder), detection=DetectionSettings(patience_s=0.001))
        platform = quieted(open_platform(settings), mode)
        platform.log.topic(FLOWS_TOPIC).append(batches()).result()
        composition = Composition(settings)
        worker = Worker(platform, composition, Path(folder) / "worker")
        composition.measures = None if mode == "neither" else worker.measures
        gc.collect()
        begun = time.process_time()
        with told.telling(mode, worker.measures.stage):
            while worker.step() or worker.waits or any(len(queue) for queue in worker.queues):
                pass
        took = time.process_time() - begun
        worker.close()
        close_platform(platform)
    return took / (BATCHES * ROWS)


def quieted(platform: Any, mode: Mode) -> Any:
    """Return a platform whose metrics count nothing where neither is wanted."""
    return replace(platform, metrics=Silent()) if mode == "neither" else platform


def batches() -> list[bytes]:
    """Return entries of the log, as sensors that trace one in twenty send them."""
    from infraspectre import app
    from infraspectre.adapters.sensor_link.payloads import pack
    from infraspectre.records.flow_batches import FlowEnvelope, encode
    from infraspectre.telemetry import Context

    frame = pl.concat([each.frame for each in app.flows(SAMPLE)], how="diagonal_relaxed")
    found = []
    for number in range(BATCHES):
        rows = frame.sample(ROWS, with_replacement=True, seed=SEED + number)
        first, last = (int(rows[name].max()) for name in ("started_at", "ended_at"))  # type: ignore[arg-type]
        trace = str(Context(SEED + number + 1, number + 1, is_sampled=number % round(1 / RATIO) == 0))
        envelope = FlowEnvelope("default", "bench", "e", number, ROWS, first, last, trace=trace)
        found.append(encode(envelope, pack(rows)))
    return found


@contextmanager
def api() -> Iterator[Callable[[int], Callable[[Mode, Telling], float]]]:
    """Yield what gives, for a number of incidents, what asks one application for them and returns the time of it."""
    from benches.api_fuzz import FREE
    from benches.api_speed import fill
    from infraspectre.adapters.log.local import LocalLog
    from infraspectre.adapters.record_store import open_sqlite
    from infraspectre.adapters.system_clock import SystemClock
    from infraspectre.api.app import make_app
    from infraspectre.api.routes.keys import new_key
    from infraspectre.records.collections import INCIDENTS, KEYS
    from infraspectre.records.queries import Query
    from infraspectre.serving.platform import Platform
    from infraspectre.settings import Settings

    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        clock = SystemClock()
        records = open_sqlite(Path(folder) / "records.db", clock)
        log = LocalLog(Path(folder) / "log", clock)
        app = make_app(Platform(records, None, log, Settings(access=FREE)))  # type: ignore[arg-type]
        fill(records, Path(folder))
        key, record = new_key("default", "bench", "administrator", clock.now(), 0)
        records.put("default", KEYS, key.id, msgspec.to_builtins(record))
        one = records.page("default", INCIDENTS, Query(limit=1)).rows[0].key
        counts = {"neither": Silent(), "metrics": Metrics(), "both": Metrics()}

        def reading(page: int) -> Callable[[Mode, Telling], float]:
            path, query = (f"/api/v1/incidents/{one}", b"") if page == 1 else ("/api/v1/incidents", b"limit=20")

            def run(mode: Mode, told: Telling) -> float:
                app.state.metrics = counts[mode]
                gc.collect()
                begun = time.process_time()
                with told.telling(mode):
                    runner.run(ask(app, path, query, str(key)))
                return (time.process_time() - begun) / REQUESTS

            return run

        yield reading
        log.close()
        records.close()


async def ask(app: Any, path: str, query: bytes, key: str) -> None:
    """Ask many times; raises RuntimeError where an answer is none."""
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"host", b"localhost")]
    statuses: set[int] = set()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.add(message["status"])

    for _ in range(REQUESTS):
        scope = {
            "type": "http", "http_version": "1.1", "method": "GET", "path": path, "raw_path": path.encode(),
            "query_string": query, "headers": list(headers), "scheme": "http", "client": ("127.0.0.1", 1),
            "server": ("localhost", 80), "root_path": "", "asgi": {"version": "3.0"}, "state": {},
        }  # fmt: skip
        await app(scope, receive, send)
    if statuses != {200}:
        raise RuntimeError(f"answers were {sorted(statuses)}")


@contextmanager
def collector() -> Iterator[str]:
    """Run a collector in another process, and yield its address."""
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=collect, args=(there,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}/v1/traces"
    finally:
        process.kill()
        process.join()


def collect(connection: Connection) -> None:
    """Answer every request as a collector that took it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    connection.send(server.server_port)
    server.serve_forever()
