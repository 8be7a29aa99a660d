"""How late events reach many clients of the stream, and whether any is lost where connections break at random.

A server process reads the log that this process writes; clients are a third process. All share the cores there are.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import random
import re
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from array import array
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from typing import IO, Any

from benches.process import ROOT
from benches.report import Figure, Report
from benches.stream_server import new_key
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.records.feed import FEED_TOPIC

CLIENTS, RATE, SECONDS = 1_000, 10_000, 20.0
GROUPS = 100
"""Each client selects the events of one of so many addresses, and so one in a hundred."""
STEP_S = 0.005
WARM_UP_S = 3.0
BREAKS, WANDERERS, KILLS, WANDER_RATE = 10_000, 100, 10, 200
"""Connections that break at random, of so many clients, with so many kills of the server and events a second."""
CONNECT_S, SETTLE_S = 30.0, 120.0
EVENT = (
    '{"tenant":"default","channel":"threat","kind":"detection.found","at":"2026-01-01T00:00:00Z",'
    '"subject":"case-%d","severity":"%s","entities":["10.0.0.%d","192.168.7.9"],"countries":["DE"],"relevance":0.5,'
    '"data":{"number":%d,"category":"scan","summary":"1,000 ports tried in 4.2 s, 996 refused","sent":%d}}'
)
SEVERITIES = ("informational", "low", "medium", "high", "critical")
STAMP = re.compile(rb'"number":(\d+),[^}]{1,80}"sent":(\d+)')
METHOD = (
    "A client reads the clock when it has a frame, and the oldest event of each frame counts: from when the log said "
    "that it is durable, and from when it was handed to the log, which signs and flushes it before anybody sees it. "
    "Publisher, server and clients share the cores of this machine; all clients are one loop that reads and stamps."
)


@dataclass
class Load:
    """Is what one measurement asks for."""

    clients: int = CLIENTS
    rate: int = RATE
    seconds: float = SECONDS
    stalled: int = 0
    """Clients beside the others that subscribe to everything and read nothing."""


class Server:
    """Runs the server process, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.key = new_key(folder)
        self.process: subprocess.Popen[str] | None = None
        self.logged: deque[str] = deque(maxlen=1_000)

    def start(self) -> None:
        command = [sys.executable, "-m", "benches.stream_server", str(self.folder), str(self.port)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the server did not start")
        threading.Thread(target=self.drain, args=(self.process.stdout,), daemon=True).start()

    def drain(self, output: IO[str]) -> None:
        """Take what the server logs, or it would wait for somebody who does."""
        for line in output:
            self.logged.append(line)

    def kill(self) -> None:
        assert self.process
        self.process.kill()
        self.process.wait()

    def cpu_s(self) -> float:
        """Return the processor time taken so far."""
        assert self.process
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_mib(self) -> float:
        """Return the highest memory so far."""
        assert self.process
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) / 1024


def free_port() -> int:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port: int = held.getsockname()[1]
        return port


@contextmanager
def site() -> Iterator[tuple[Server, LocalLog]]:
    """Give a log in a folder, and a server that reads it."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        log = LocalLog(Path(folder, "log"), SystemClock())
        log.topic(FEED_TOPIC).append([text(0)]).result(30)
        server = Server(Path(folder))
        server.start()
        try:
            yield server, log
        finally:
            server.kill()
            log.close()


def text(number: int) -> bytes:
    """Return the event of a number, sent now."""
    severity = SEVERITIES[number // GROUPS % 5]
    return (EVENT % (number % 50, severity, number % GROUPS, number, time.time_ns())).encode()


class Publisher(threading.Thread):
    """Appends events at a rate until it is told to stop."""

    def __init__(self, log: LocalLog, rate: int) -> None:
        super().__init__(daemon=True)
        self.topic = log.topic(FEED_TOPIC)
        self.rate = rate
        self.number = 1
        self.committed: list[tuple[int, int]] = []
        """Numbers of last events of what was handed over together, and when the log said that they are durable."""
        self.stopped = threading.Event()

    def run(self) -> None:
        begin, first = time.monotonic(), self.number
        last = None
        while not self.stopped.is_set():
            due = first + int((time.monotonic() - begin) * self.rate)
            if due > self.number:
                last = self.topic.append([text(number) for number in range(self.number, due)])
                last.add_done_callback(partial(self.note, due - 1))
                self.number = due
            time.sleep(STEP_S)
        if last:
            last.result(30)

    def note(self, number: int, _: object) -> None:
        self.committed.append((number, time.time_ns()))


def opened(port: int, key: str) -> socket.socket:
    """Return a connected WebSocket as a plain socket (RFC 6455 section 4)."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.sendall(handshake(key))
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += connection.recv(4096)
    if not answer.startswith(b"HTTP/1.1 101"):
        raise ConnectionError(answer[:100])
    return connection


def handshake(key: str) -> bytes:
    nonce = base64.b64encode(bytes(16)).decode()
    return (
        f"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\nUpgrade: websocket\r\n"
        f"Connection: Upgrade\r\nSec-WebSocket-Key: {nonce}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


def frame(message: dict[str, Any]) -> bytes:
    """Return a masked text frame; a mask of zeros is one too."""
    data = json.dumps(message).encode()
    length = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack(">H", len(data))
    return b"\x81" + length + bytes(4) + data


def follow(port: int, key: str, load: Load, results: Any) -> None:
    """Be all the clients: count what they get, and how old it is."""
    connections = [opened(port, key) for _ in range(load.clients + load.stalled)]
    poll = select.epoll()
    by_number: dict[int, tuple[socket.socket, int]] = {}
    for number, connection in enumerate(connections):
        is_stalled = number >= load.clients
        filters = [] if is_stalled else [f"entities=10.0.0.{number % GROUPS}"]
        connection.sendall(frame({"type": "subscribe", "id": "a", "filters": filters}))
        if not is_stalled:
            connection.setblocking(False)
            by_number[connection.fileno()] = (connection, number)
            poll.register(connection.fileno(), select.EPOLLIN)
    results.put("following")
    results.put(watched(poll, by_number, load))
    for connection in connections:
        connection.close()


def watched(poll: select.epoll, connections: dict[int, tuple[socket.socket, int]], load: Load) -> dict[str, Any]:
    """Read for as long as asked, and return counts, and of the oldest event of each read its number and times."""
    buffer = bytearray(1 << 18)
    stamps = array("q")
    counts: Counter[str] = Counter()
    cpu_s, begin = time.process_time(), time.monotonic()
    end = begin + WARM_UP_S + load.seconds
    while (now := time.monotonic()) < end:
        is_measured = now - begin > WARM_UP_S
        for number, _ in poll.poll(0.2):
            with suppress(BlockingIOError):
                size = connections[number][0].recv_into(buffer)
                if is_measured and (first := STAMP.search(buffer, 0, size)):
                    stamps.extend((int(first[1]), int(first[2]), time.time_ns()))
                counts["events"] += buffer.count(b'"sent":', 0, size)
                counts["frames"] += buffer.count(b'[{"type":', 0, size)
                counts["throttled"] += buffer.count(b'"type":"throttle"', 0, size)
                if not size:
                    counts["closed"] += 1
                    poll.unregister(number)
    cpu_s = time.process_time() - cpu_s
    return {"stamps": stamps, "counts": counts, "cpu_s": cpu_s, "elapsed_s": time.monotonic() - begin}


def loaded(load: Load) -> Report:
    """Measure how late events reach clients."""
    with site() as (server, log):
        context = multiprocessing.get_context("spawn")
        results: Any = context.Queue()
        client = context.Process(target=follow, args=(server.port, server.key, load, results))
        client.start()
        results.get(timeout=120)
        publisher = Publisher(log, load.rate)
        cpu_s, first, begin = server.cpu_s(), publisher.number, time.monotonic()
        publisher.start()
        result = results.get(timeout=load.seconds + 120)
        cpu_s, elapsed_s = server.cpu_s() - cpu_s, time.monotonic() - begin
        publisher.stopped.set()
        publisher.join()
        client.join()
        peak_mib = server.peak_mib()
    result["ages"] = ages_of(result["stamps"], publisher.committed)
    return told(load, result, (publisher.number - first) / elapsed_s, cpu_s / elapsed_s, peak_mib)


def ages_of(stamps: Sequence[int], committed: list[tuple[int, int]]) -> tuple[list[float], list[float]]:
    """Return how old events were since they were durable, and since they were handed over, in milliseconds."""
    durable = [committed[bisect_left(committed, (number, 0))][1] for number in stamps[::3]]
    received = stamps[2::3]
    return ages_since(durable, received), ages_since(stamps[1::3], received)


def ages_since(times: Sequence[int], received: Sequence[int]) -> list[float]:
    return [(end - begin) / 1e6 for begin, end in zip(times, received, strict=True)]


def told(load: Load, result: dict[str, Any], rate: float, cpus: float, peak_mib: float) -> Report:
    (ages, older), counts = result["ages"], result["counts"]
    frames = counts["frames"] / result["elapsed_s"]
    name = f"{load.clients:,} clients" + (f" beside {load.stalled} that read nothing" if load.stalled else "")
    cut, older_cut = quantiles(ages, n=1000), quantiles(older, n=1000)
    return Report(
        [
            Figure(f"{name}: commit to client, median", round(median(ages), 1), "ms"),
            Figure(f"{name}: commit to client, 99th percentile", round(cut[989], 1), "ms", "100 ms", "25 ms"),
            Figure(f"{name}: commit to client, 99.9th percentile", round(cut[998], 1), "ms"),
            Figure(f"{name}: handed to the log to client, median", round(median(older), 1), "ms"),
            Figure(f"{name}: handed to the log to client, 99th percentile", round(older_cut[989], 1), "ms"),
            Figure(f"{name}: events a second in", round(rate)),
            Figure(f"{name}: events a second out", round(counts["events"] / result["elapsed_s"])),
            Figure(f"{name}: messages a second out", round(frames)),
            Figure(f"{name}: cores that the server took", round(cpus, 2)),
            Figure(f"{name}: processor time of the server by messages", round(cpus / frames * 1e6), "us"),
            Figure(f"{name}: cores that the clients took", round(result["cpu_s"] / result["elapsed_s"], 2)),
            Figure(f"{name}: clients throttled, closed", f"{counts['throttled']}, {counts['closed']}"),
            Figure(f"{name}: highest memory of the server", round(peak_mib), "MiB"),
            Figure("load average", os.getloadavg()[0]),
        ],
        notes=[METHOD],
    )


@dataclass
class Follower:
    """Is a client whose connection breaks at random, and who goes on from what it received last."""

    group: int
    position: str | None = None
    next: int | None = None
    """The number that comes next: those of a group are so many apart as there are groups."""
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, message: dict[str, Any]) -> None:
        """Check a message against what came before; an event's number is that of its entry in the log."""
        if self.next is None and message["type"] == "subscribed":
            start = sequence(message["position"])
            self.next = start + (self.group - start) % GROUPS
        for each in message.get("events", []):
            self.check(each["data"]["number"], each["position"])
        self.counts["shed"] += sum(message.get("shed", {}).values())
        self.counts["gaps"] += message["type"] == "gap"
        self.position = message.get("position", self.position)

    def check(self, number: int, position: str) -> None:
        if self.next is None or number < self.next:
            self.counts["doubled" if sequence(position) <= sequence(self.position or position) else "disordered"] += 1
        else:
            self.counts["events"] += 1
            self.counts["lost"] += (number - self.next) // GROUPS
            self.next = number + GROUPS
        self.position = position


def sequence(position: str) -> int:
    return int(position.rpartition(".")[2])


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Return what the next frame holds (RFC 6455 section 5.2); servers do not mask."""
    head = await reader.readexactly(2)
    length = head[1] & 0x7F
    if length == 126:
        length = struct.unpack(">H", await reader.readexactly(2))[0]
    elif length == 127:
        length = struct.unpack(">Q", await reader.readexactly(8))[0]
    data = await reader.readexactly(length)
    if head[0] & 0x0F == 8:
        raise ConnectionError("closed")
    return data


async def visit(follower: Follower, server: Server, seconds: float) -> None:
    """Follow until the connection is broken off after some seconds; raises TimeoutError, OSError and EOFError.

    The seconds begin once there is a connection: where the machine is busy, most would break before they are any.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1 << 22)
    try:
        async with asyncio.timeout(CONNECT_S):
            writer.write(handshake(server.key))
            await reader.readuntil(b"\r\n\r\n")
        follower.counts["connections"] += 1
        async with asyncio.timeout(seconds):
            asked = {"type": "subscribe", "id": "a", "filters": [f"entities=10.0.0.{follower.group}"]}
            writer.write(frame(asked | ({"resume": follower.position} if follower.position else {})))
            while True:
                for message in json.loads(await read_frame(reader)):
                    follower.take(message)
    finally:
        writer.transport.abort()


async def wander(follower: Follower, server: Server, visits: int, chance: random.Random) -> None:
    """Follow again and again."""
    while follower.counts["connections"] < visits:
        before = follower.counts["connections"]
        with suppress(TimeoutError, OSError, EOFError):
            await visit(follower, server, chance.expovariate(1 / 0.15) + 0.02)
        if follower.counts["connections"] == before:
            await asyncio.sleep(0.05)


async def settle(follower: Follower, server: Server, last: int) -> None:
    """Follow until the last event has come, or too much time has passed."""
    visiting = asyncio.ensure_future(visit(follower, server, SETTLE_S))
    while not visiting.done() and (follower.next is None or follower.next <= last):
        await asyncio.sleep(0.05)
    visiting.cancel()
    with suppress(asyncio.CancelledError, TimeoutError, OSError, EOFError):
        await visiting


async def haunt(server: Server, publisher: Publisher, followers: list[Follower], visits: int, kills: int) -> None:
    """Break connections and kill the server at random, then let everybody catch up."""
    chance = random.Random(2026)
    wandering = [asyncio.ensure_future(wander(each, server, visits, chance)) for each in followers]
    done = 0
    while not all(task.done() for task in wandering):
        await asyncio.sleep(chance.uniform(0.5, 3.0))
        total = sum(follower.counts["connections"] for follower in followers)
        print(f"{total:,} connections, {done} kills, {publisher.number:,} events", file=sys.stderr)
        if done < kills and total >= (done + 0.5) * visits * len(followers) / kills:
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            done += 1
    publisher.stopped.set()
    await asyncio.to_thread(publisher.join)
    await asyncio.gather(*(settle(each, server, publisher.number - 1) for each in followers))


def chaos(disconnects: int, clients: int, kills: int, rate: int) -> Report:
    """Count what is lost, doubled or out of order where connections break and the server is killed."""
    followers = [Follower(number % GROUPS) for number in range(clients)]
    with site() as (server, log):
        publisher = Publisher(log, rate)
        publisher.start()
        begin = time.monotonic()
        asyncio.run(haunt(server, publisher, followers, -(-disconnects // clients), kills))
        elapsed_s = time.monotonic() - begin
        print("".join(server.logged), file=sys.stderr)
    counts = sum((follower.counts for follower in followers), Counter[str]())
    behind = sum(follower.next is None or follower.next <= publisher.number - 1 for follower in followers)
    return Report(
        [
            Figure("connections that broke", counts["connections"], "", "10,000"),
            Figure("kills of the server", kills),
            Figure("events received", counts["events"]),
            Figure("events lost", counts["lost"] + counts["shed"], "", "0"),
            Figure("events out of order", counts["disordered"], "", "0"),
            Figure("events doubled, told by their position", counts["doubled"]),
            Figure("gaps told", counts["gaps"]),
            Figure("clients that did not reach the last event", behind, "", "0"),
            Figure("seconds", round(elapsed_s)),
        ]
    )


def measure() -> Report:
    """Measure lateness and losses."""
    one, two = loaded(Load()), chaos(BREAKS, WANDERERS, KILLS, WANDER_RATE)
    return Report(one.figures + two.figures, notes=[METHOD])


def main() -> None:
    """Measure what the command line asks for, and print it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, help=f"{CLIENTS}, or {WANDERERS} with --disconnects")
    parser.add_argument("--rate", type=int, help=f"{RATE} events a second, or {WANDER_RATE} with --disconnects")
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--stalled", type=int, default=0)
    parser.add_argument("--disconnects", type=int, default=0, help="break connections instead, so often")
    parser.add_argument("--kills", type=int, default=KILLS)
    given = parser.parse_args()
    if given.disconnects:
        report = chaos(given.disconnects, given.clients or WANDERERS, given.kills, given.rate or WANDER_RATE)
    else:
        report = loaded(Load(given.clients or CLIENTS, given.rate or RATE, given.seconds, given.stalled))
    print(json.dumps({figure.name: figure.value for figure in report.figures}, indent=1))


if __name__ == "__main__":
    main()
