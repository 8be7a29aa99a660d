"""Measures the API on loopback: `python -m benches.api_speed` reads, asks for predictions and posts events.

Names such as "page of 20 incidents" measure these alone.

Beside the API, the same server answers with constant bytes, so that each figure can be told as a ratio to what server
and client take without it. A server process answers with the stores of the platform; this process sends at the times
that the rate says, whether or not earlier answers have come, and counts from those times, so that a server that stalls
cannot hide it. It shares the processors with the server, so it does as little as can be: a fixed number of connections,
requests that are made before, and callbacks in place of tasks; what it takes for each request is printed, too.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import uvloop

from infraspectre.serving.supervisor import THREADS

CONNECTIONS = 32
BACKLOG = 1_024
INCIDENTS = 1_000
MODEL = "builtin:flow"
ROWS = 100
EVENT = b'{"kind":"login","user":"ada","from":"192.0.2.7","at":"2026-01-01T00:00:00Z","outcome":"failed","n":%d}\n'
LINES = 1_000
RATES = (500, 1_000, 2_000, 5_000)
KEPT_UP = 0.8
"""Rates beyond this share of what can be answered at the most are not tried: a queue would be all that is measured."""
RAW = "/raw"
SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"


def serve(folder: Path) -> None:
    """Answer on a port that the system chooses, and print it with a key."""
    from granian.constants import Interfaces
    from granian.server.embed import Server

    from benches.api_fuzz import FREE
    from infraspectre.adapters.log.local import LocalLog
    from infraspectre.adapters.record_store import open_sqlite
    from infraspectre.adapters.system_clock import SystemClock
    from infraspectre.api.app import make_app
    from infraspectre.api.routes.keys import new_key
    from infraspectre.records.collections import KEYS
    from infraspectre.serving.platform import Platform
    from infraspectre.settings import Settings

    clock = SystemClock()
    records = open_sqlite(folder / "records.db", clock)
    platform = Platform(records, None, LocalLog(folder / "log", clock), Settings(access=FREE))  # type: ignore[arg-type]
    fill(platform.records, folder)
    key, record = new_key("default", "speed", "administrator", clock.now(), 0)
    records.put("default", KEYS, key.id, msgspec.to_builtins(record))
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
        print(port, key, flush=True)
        print(msgspec.json.encode(row_of(platform.scoring.model(MODEL))).decode(), flush=True)
        app = beside_raw(make_app(platform))
        server = Server(app, port=port, interface=Interfaces.ASGI, log_enabled=False, backlog=BACKLOG)
        gc.freeze()
        uvloop.run(server.serve())


def fill(records: Any, folder: Path) -> None:
    """Write incidents as large as those that an analysis of the bundled capture finds, under identities of our own."""
    import infraspectre
    from infraspectre.records.collections import INCIDENTS as KIND
    from infraspectre.records.collections import incident_record

    infraspectre.analyze(SAMPLE, out=folder)
    lines = {name: (folder / f"{name}.jsonl").read_bytes().splitlines() for name in ("incidents", "detections")}
    found = [msgspec.json.decode(line) for line in lines["incidents"]]
    detections = {each["detection_id"]: each for each in map(msgspec.json.decode, lines["detections"])}
    own = [[detections[each["detection_id"]] for each in one["detections"]] for one in found]
    kinds = [incident_record(one) | {"detections": several} for one, several in zip(found, own, strict=True)]
    records.put_many("default", KIND, {incident_id(n): kinds[n % len(kinds)] for n in range(INCIDENTS)})


def incident_id(number: int) -> str:
    return f"incident{number:05d}"


def row_of(model: Any) -> dict[str, Any]:
    """Return a row that a model takes."""
    return {name: 1.0 if kind == "number" else "tcp" for name, kind in model.manifest.columns.items()}


def beside_raw(api: Any) -> Any:
    """Return the API beside a path that is answered with constant bytes."""
    head = {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]}
    body = {"type": "http.response.body", "body": b"{}", "more_body": False}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == RAW:
            await send(head)
            await send(body)
            return
        await api(scope, receive, send)

    return app


class Connection(asyncio.Protocol):
    """Sends requests and reads answers, one after another, and calls for each that came; no task waits for it."""

    def __init__(self, answered: Callable[[Connection], None], over: asyncio.Future[None]) -> None:
        self.due = 0.0
        self._answered = answered
        self._over = over
        self._read = b""

    def connection_made(self, transport: Any) -> None:
        self.close, self._write = transport.close, transport.write

    def ask(self, request: bytes, due: float = 0.0) -> None:
        self.due = due
        self._write(request)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, end, body = self._read.partition(b"\r\n\r\n")
        if not end or len(body) < length_of(head):
            return
        self._read = b""
        if head.startswith(b"HTTP/1.1 200 "):
            self._answered(self)
        elif not self._over.done():
            self._over.set_exception(AssertionError(head[:200] + body[:500]))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._over.done():
            self._over.set_exception(ConnectionError("the server closed a connection"))


def length_of(head: bytes) -> int:
    return int(head.lower().partition(b"content-length: ")[2].split(b"\r\n", 1)[0] or 0)


async def connected(
    port: int, connections: int, answered: Callable[[Connection], None], over: asyncio.Future[None]
) -> list[Connection]:
    """Open connections, once the server listens."""
    loop = asyncio.get_running_loop()
    opened: list[Connection] = []
    for _ in range(1_000):
        try:
            while len(opened) < connections:
                _, connection = await loop.create_connection(lambda: Connection(answered, over), "127.0.0.1", port)
                opened.append(connection)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            return opened
    raise TimeoutError("the server does not listen")


async def at_rate(port: int, rate: float, seconds: float, request_of: Callable[[int], bytes]) -> list[float]:
    """Send requests at a rate, and return how late each answer came, in seconds."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    late: list[float] = []
    waiting: deque[int] = deque()
    total = int(rate * seconds)

    def answered(connection: Connection) -> None:
        late.append(time.perf_counter() - connection.due)
        free.append(connection)
        send()
        if len(late) == total:
            over.set_result(None)

    def send() -> None:
        while waiting and free:
            number = waiting.popleft()
            free.pop().ask(request_of(number), began + number / rate)

    free = await connected(port, CONNECTIONS, answered, over)
    everyone, began = list(free), time.perf_counter()
    for number in range(total):
        await asyncio.sleep(max(0.0, began + number / rate - time.perf_counter()))
        waiting.append(number)
        send()
    await over
    for connection in everyone:
        connection.close()
    return sorted(late)


async def as_fast_as_can_be(port: int, seconds: float, request: bytes, connections: int) -> float:
    """Return how many requests are answered in a second, over so many connections."""
    over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    done, running = 0, connections

    def answered(connection: Connection) -> None:
        nonlocal done, running
        done += 1
        if time.perf_counter() < end:
            connection.ask(request)
            return
        running -= 1
        if not running:
            over.set_result(None)

    everyone = await connected(port, connections, answered, over)
    began = time.perf_counter()
    end = began + seconds
    for connection in everyone:
        connection.ask(request)
    await over
    taken = time.perf_counter() - began
    for connection in everyone:
        connection.close()
    return done / taken


def request(method: str, path: str, key: str, body: bytes = b"", content_type: str = "") -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\n"
    head += f"content-length: {len(body)}\r\n" + (f"content-type: {content_type}\r\n" if content_type else "")
    return head.encode() + b"\r\n" + body


def asked(key: str, row: bytes) -> dict[str, Callable[[int], bytes]]:
    """Return what is asked for, by its name."""
    one, many = b'{"row":%s}' % row, b'{"rows":[%s]}' % b",".join([row] * ROWS)
    json = "application/json"
    return {
        "one incident": lambda n: request("GET", f"/api/v1/incidents/{incident_id(n % INCIDENTS)}", key),
        "page of 20 incidents": lambda _: request("GET", "/api/v1/incidents?limit=20&order=-value", key),
        "prediction of a row": lambda _: request("POST", "/api/v1/predict", key, one, json),
        f"prediction of {ROWS} rows": lambda _: request("POST", "/api/v1/predict/batch", key, many, json),
    }


async def measured(port: int, server: int, name: str, request_of: Callable[[int], bytes]) -> float:
    """Print how fast something is answered, and return the processor time for each, in seconds."""
    began, own, seconds = cpu_s(server), time.process_time(), 3.0
    most = await as_fast_as_can_be(port, seconds, request_of(1), CONNECTIONS)
    each, here = (
        (now - before) / (seconds * most) for now, before in ((cpu_s(server), began), (time.process_time(), own))
    )
    costs = f"{1e6 * each:,.0f} us of a processor for each, and {1e6 * here:,.0f} us here"
    print(f"{name}: {most:,.0f}/s at the most, {costs}", flush=True)
    for rate in RATES:
        if rate > KEPT_UP * most:
            print(f"{name} at {rate}/s: more than is answered here", flush=True)
            break
        late = await at_rate(port, rate, seconds, request_of)
        p50, p95, p99 = (1_000 * late[int(len(late) * share)] for share in (0.5, 0.95, 0.99))
        print(f"{name} at {rate}/s: p50 {p50:.1f} ms, p95 {p95:.1f} ms, p99 {p99:.1f} ms", flush=True)
    return each


def cpu_s(pid: int) -> float:
    """Return the processor time that a process has taken, which tells more than rates where others run beside it."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(port: int, key: str, server: int, row: bytes, wanted: list[str]) -> None:
    """Print what is measured: all, or what is named."""
    await as_fast_as_can_be(port, 1, request("GET", RAW, key), CONNECTIONS)
    raw = await measured(port, server, RAW, lambda _: request("GET", RAW, key))
    possible = asked(key, row)
    for name, request_of in {name: possible[name] for name in wanted or possible}.items():
        await as_fast_as_can_be(port, 0.5, request_of(1), 1)  # the first one opens models and fills caches
        each = await measured(port, server, name, request_of)
        print(f"{name}: {each / raw:.1f} times the processor time of constant bytes", flush=True)
    if not wanted:
        await measure_events(port, key)


async def measure_events(port: int, key: str) -> None:
    """Print how many events are taken, few and many in a request."""
    for lines in (1, 100, LINES, 10 * LINES):
        body = b"".join(EVENT % number for number in range(lines))
        post = request("POST", "/api/v1/events", key, body, "application/x-ndjson")
        for connections in (1, 8):
            most = await as_fast_as_can_be(port, 4, post, connections)
            print(f"{lines} events a request, {connections} at once: {most * lines:,.0f} events/s", flush=True)


def main() -> None:
    """Start a server on new stores, and measure it."""
    if sys.argv[1:2] == ["serve"]:
        serve(Path(sys.argv[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benches.api_speed", "serve", folder]
        environment = {**THREADS, **os.environ}  # as the supervisor starts a server
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            assert server.stdout
            port, key = server.stdout.readline().split()
            row = server.stdout.readline().strip().encode()
            try:
                print(f"load average {os.getloadavg()[0]:.1f}", flush=True)
                uvloop.run(measure(int(port), key, server.pid, row, sys.argv[1:]))
            finally:
                server.kill()


if __name__ == "__main__":
    main()
