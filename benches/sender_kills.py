"""A sender of events that is killed again and again while its receiver is down for three days of its clock.

The sender is a process of its own, on a real log and store; it is ended by SIGKILL before or after the receiver
answers. Time is that of a clock that jumps to the next try.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import msgspec

from benches.report import Figure, Report
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.errors import InfraSpectreError
from infraspectre.records.collections import WEBHOOKS
from infraspectre.records.delivery import Destination, Progress
from infraspectre.records.feed import FEED_TOPIC, FeedEvent
from infraspectre.records.times import NANOSECONDS
from infraspectre.serving.destinations import Destinations, outbox_of, webhook_keys
from infraspectre.serving.outbox import Courier, Schedule
from infraspectre.serving.platform import Platform

START = 1_767_225_600 * NANOSECONDS
DOWN_S = 72 * 3_600
LOOPBACK = ("127.0.0.0/8",)
KEY, TOKEN_KEY = "wh_1", b"k" * 32
LIMIT_S = 600
EVENTS, KILLS = 2_000, 100


class KeptClock:
    """Tells a time that is kept in a file, so that it goes on where it was when its process was killed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def now(self) -> int:
        return int(self._path.read_text()) if self._path.exists() else START

    def go(self, time: int) -> None:
        written = self._path.with_suffix(".new")
        written.write_text(str(max(time, self.now())))
        written.replace(self._path)


def open_all(folder: Path) -> tuple[Platform, KeptClock]:
    """Open the platform of a folder."""
    clock = KeptClock(folder / "clock")
    records = open_sqlite(folder / "records.db", clock)
    log, outgoing = LocalLog(folder / "log", clock), outgoing_client(LOOPBACK, ("http",))
    platform = Platform(records, None, log, clock=clock, token_key=TOKEN_KEY, outgoing=outgoing)  # type: ignore[arg-type]
    return platform, clock


def prepare(folder: Path, url: str, events: int) -> None:
    """Register a receiver, and have something happen."""
    platform, _ = open_all(folder)
    destination = Destination(key=KEY, kind="webhook", name="", url=url, created_at=0, batch=20)
    Destinations(platform, "default").add(destination, str(webhook_keys()))
    told = [
        msgspec.json.encode(FeedEvent("default", "threat", "incident.raised", "2026-01-01T00:00:00Z", f"i-{number}"))
        for number in range(events)
    ]
    platform.log.topic(FEED_TOPIC).append(told).result()
    platform.log.close()
    platform.records.close()


def send_all(folder: Path, events: int) -> None:
    """Send until all is delivered; the clock goes on to the next try whenever there is nothing to do before."""
    platform, clock = open_all(folder)
    known = Destinations(platform, "default")
    destination = known.find(WEBHOOKS, KEY)
    courier = Courier(platform.records, platform.log, clock, Schedule(1))
    outbox = outbox_of(platform, "default", destination)
    while known.progress(KEY).delivered < events:
        receipt = courier.step("default", destination, outbox)
        if receipt.failure or not receipt.answered:
            clock.go(known.progress(KEY).due_at)
    platform.log.close()
    platform.records.close()


@dataclass
class Site:
    """Is the receiver, and what ends the sender."""

    events: int
    kills: int
    random: random.Random
    arrived: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    killed: int = 0
    sender: subprocess.Popen[bytes] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, key: str, at_s: int) -> int:
        """Return the status of a request."""
        with self.lock:
            if at_s * NANOSECONDS < START + DOWN_S * NANOSECONDS:
                self.refused += 1
                return 503
            self.arrived[key] += 1
            return 204

    def kill(self) -> None:
        """End the sender now and then, as long as there are kills left; more often towards the end."""
        with self.lock:
            left = self.events - len(self.arrived)
            chance = min(1.0, 0.75 * (self.kills - self.killed) / max(left, 1)) if self.arrived else 0.3
            if self.sender and self.killed < self.kills and self.random.random() < chance:
                self.killed += 1
                sender, self.sender = self.sender, None
                sender.kill()


class Outcome(NamedTuple):
    """Is what became of all events."""

    events: int
    killed: int
    refused: int
    missing: int
    strange: int
    """Identities that are of no event."""
    repeated: int
    """Events that arrived more than once, under one identity."""
    progress: Progress


def run(events: int, kills: int, seed: int = 1) -> Outcome:
    """Send events through kills, and return what became of them."""
    site = Site(events, kills, random.Random(seed))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            before = site.random.random() < 0.5
            status = site.answer(self.headers["webhook-id"], int(self.headers["webhook-timestamp"]))
            if before:
                site.kill()
            with suppress(OSError):
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()
                self.wfile.flush()
            if not before:
                site.kill()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with tempfile.TemporaryDirectory() as folder, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            prepare(Path(folder), f"http://127.0.0.1:{server.server_port}", events)
            until_sent(site, Path(folder))
        finally:
            server.shutdown()
            thread.join()
        return outcome(site, Path(folder))


def until_sent(site: Site, folder: Path) -> None:
    """Start the sender as often as it is killed; raises InfraSpectreError where it ends otherwise."""
    status = -9
    while status == -9:
        command = [sys.executable, "-m", "benches.sender_kills", str(folder), str(site.events)]
        process = subprocess.Popen(command)
        with site.lock:
            site.sender = process
        try:
            status = process.wait(LIMIT_S)
        finally:
            process.kill()
            process.wait()
    if status:
        raise InfraSpectreError(f"the sender ended with status {status}")


def outcome(site: Site, folder: Path) -> Outcome:
    """Compare what arrived with what happened."""
    platform, _ = open_all(folder)
    epoch = platform.log.topic(FEED_TOPIC).epoch
    progress = Destinations(platform, "default").progress(KEY)
    platform.log.close()
    platform.records.close()
    wanted = {f"evt_{epoch}_{number}" for number in range(site.events)}
    arrived = set(site.arrived)
    repeated = sum(count > 1 for count in site.arrived.values())
    missing, strange = len(wanted - arrived), len(arrived - wanted)
    return Outcome(site.events, site.killed, site.refused, missing, strange, repeated, progress)


def measure() -> Report:
    """Kill a sender a hundred times."""
    found = run(EVENTS, KILLS)
    return Report(
        [
            Figure("times the sender was killed", found.killed, "", "100"),
            Figure("tries refused in 72 hours", found.refused),
            Figure("events", found.events),
            Figure("events lost", found.missing, "", "0"),
            Figure("identities of no event", found.strange, "", "0"),
            Figure("events that arrived more than once", found.repeated),
        ]
    )


if __name__ == "__main__":
    send_all(Path(sys.argv[1]), int(sys.argv[2]))
