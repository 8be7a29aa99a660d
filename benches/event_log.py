"""How fast the event log signs, appends, reads, verifies and opens again, beside SQLite and single signatures."""

from __future__ import annotations

import os
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from benches.log_crashes import HastyDisk
from benches.process import CACHE
from benches.report import Figure, Report
from infraspectre.adapters.log.frames import FIRST, Place, Signer, group
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.verifying import verify
from infraspectre.adapters.system_clock import SystemClock

ENTRY_BYTES = 200
GROUP = 500
APPENDED = 200_000
KEPT = 10_000_000
KEPT_BYTES = 64
TOPIC = "events"
WAIT_S = 600
RATE = 10_000
"""Entries a second at which the share of signatures is told."""


def measure() -> Report:
    """Measure everything in a folder beside the sources, so that it is a disk and not memory."""
    CACHE.mkdir(exist_ok=True)
    data = entries(GROUP, ENTRY_BYTES)
    signed = per_second(lambda: sign_group(data), GROUP, time.process_time)
    single = per_second(lambda: KEY.sign(data[0]), 1, time.process_time)
    with tempfile.TemporaryDirectory(dir=CACHE) as place:
        appended, read, verified = appends(Path(place) / "log", data)
        peer = sqlite_rate(Path(place) / "peer.db", data)
        opened = restart(Path(place) / "large")
    return Report(
        [
            Figure("entries signed per CPU-second", f"{signed:,.0f}", "", "100,000", "500,000"),
            Figure("the same, against one signature each", f"{signed / single:.1f}", "x"),
            Figure(f"share of a core for signatures of {RATE:,} entries/s", f"{RATE / signed:.1%}", "", "", "2%"),
            Figure("entries/s appended and synced", f"{appended:,.0f}", "", "", "100,000"),
            Figure("the same, against SQLite", f"{appended / peer:.1f}", "x"),
            Figure("entries/s read", f"{read:,.0f}"),
            Figure("entries/s verified", f"{verified:,.0f}"),
            *opened,
        ],
        notes=[
            f"Entries have {ENTRY_BYTES} bytes, and come in appends of {GROUP}; those of the large log {KEPT_BYTES}.",
            "SQLite writes the same, unsigned, in transactions of as many, with full synchronisation.",
            f"Load average: {os.getloadavg()[0]:.1f}.",
            "Crashes and damage are tried by `python -m benches.log_crashes` and `python -m benches.log_damage`.",
        ],
    )


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIGNER = Signer(TOPIC, KEY)


def entries(count: int, size: int) -> list[bytes]:
    """Return random entries, the same each time."""
    generator = random.Random(1)
    return [generator.randbytes(size) for _ in range(count)]


def sign_group(data: Sequence[bytes]) -> None:
    """Make the signed frame of a group."""
    SIGNER.frame(*group(Place(b"12345678", 0, 0, FIRST), data))


def per_second(work: Callable[[], object], count: int, clock: Callable[[], float], least_s: float = 1.0) -> float:
    """Return how many of what a piece of work does so many of are done in a second."""
    done, begun = 0, clock()
    while clock() - begun < least_s:
        work()
        done += count
    return done / (clock() - begun)


def appends(folder: Path, data: Sequence[bytes]) -> tuple[float, float, float]:
    """Return entries appended, read and verified a second."""
    log = LocalLog(folder, SystemClock())
    topic = log.topic(TOPIC)
    topic.append(data).result(WAIT_S)
    begun = time.perf_counter()
    for _ in range(APPENDED // (40 * GROUP)):
        for future in [topic.append(data) for _ in range(40)]:
            future.result(WAIT_S)
    appended = APPENDED / (time.perf_counter() - begun)
    begun, place = time.perf_counter(), 0
    while place < topic.end:
        place += len(topic.read(place))
    read = place / (time.perf_counter() - begun)
    log.close()
    begun = time.perf_counter()
    (verdict,) = verify(folder)
    if not verdict.is_sound:
        raise RuntimeError(f"the log is not sound: {verdict.findings[:1]}")
    return appended, read, verdict.end / (time.perf_counter() - begun)


def sqlite_rate(path: Path, data: Sequence[bytes]) -> float:
    """Return entries a second that SQLite writes with the same promises, unsigned."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    database.execute("CREATE TABLE entries (number INTEGER PRIMARY KEY, at INTEGER, data BLOB)")

    def write() -> None:
        database.execute("BEGIN")
        database.executemany("INSERT INTO entries (at, data) VALUES (0, ?)", [(each,) for each in data])
        database.execute("COMMIT")

    found = per_second(write, len(data), time.perf_counter, 2.0)
    database.close()
    return found


def restart(folder: Path) -> list[Figure]:
    """Return how long a large log takes to be ready: to append, and to read where it never read before."""
    log = LocalLog(folder, SystemClock(), disk=HastyDisk())
    data = entries(4_000, KEPT_BYTES)
    for _ in range(KEPT // (10 * len(data))):
        for future in [log.topic(TOPIC).append(data) for _ in range(10)]:
            future.result(WAIT_S)
    log.close()
    usual = ready_s(folder)
    (folder / "topics" / TOPIC / "mark").unlink()
    lost = ready_s(folder)
    return [
        Figure(f"until a log of {KEPT:,} entries takes and gives entries", f"{usual:.3f}", "s", "10", "3"),
        Figure("the same after a loss of power", f"{lost:.3f}", "s", "10", "3"),
    ]


def ready_s(folder: Path) -> float:
    """Return the time to open a log, append to it and read in its middle."""
    begun = time.perf_counter()
    log = LocalLog(folder, SystemClock())
    topic = log.topic(TOPIC)
    topic.append([b"ready"]).result(WAIT_S)
    if len(topic.read(topic.end // 2 + 17, 100)) != 100:
        raise RuntimeError("the log lacks entries")
    took = time.perf_counter() - begun
    log.close()
    return took
