"""Flows a second from a sensor's spool into the server's log, over mutual TLS on one machine, against the log alone."""

from __future__ import annotations

import asyncio
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import polars as pl

from benches.process import ROOT
from benches.report import Figure, Report
from infraspectre.adapters.certificates import Authority
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.sensor_link.client import Link
from infraspectre.adapters.sensor_link.credentials import Credentials
from infraspectre.adapters.sensor_link.intake import Intake
from infraspectre.adapters.sensor_link.listener import Listener
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.capture import CaptureSource
from infraspectre.records.feed import FLOWS_TOPIC

HOST = "127.0.0.1"
CLOCK = SystemClock()
ROWS = 4_096
BATCHES = 60
ROUNDS = 3
SMALL_ROUNDS = 200


def measure() -> Report:
    """Measure both ways in turns, and how long one small batch takes until it is acknowledged."""
    frame = flows()
    payload, small = pack(frame), pack(frame.head(20))
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        authority = Authority.create(place / "ca", CLOCK)
        authority.issue("server", "server", hosts=[HOST])
        authority.issue("probe")
        over_link, alone = [], []
        for number in range(ROUNDS):
            over_link.append(linked(place / f"link-{number}", authority.folder, payload))
            alone.append(appended(place / f"log-{number}", payload))
        waits = sorted(acknowledged(place / "small", authority.folder, small))
    rate = ROWS * BATCHES / median(over_link)
    figures = [
        Figure("flows a second, spool to durable", round(rate), "flows/s"),
        Figure("share of the log alone", median(alone) / median(over_link)),
        Figure("a batch of 20 flows until acknowledged, median", waits[len(waits) // 2] * 1e3, "ms"),
        Figure("the same, 99th percentile", waits[len(waits) * 99 // 100] * 1e3, "ms"),
    ]
    about = (
        f"{BATCHES} batches of {ROWS:,} flows with all columns, {len(payload):,} bytes each; sensor and server share"
    )
    return Report(figures, notes=[f"{about} one process, so one interpreter; median of {ROUNDS} rounds."])


def flows() -> pl.DataFrame:
    """Return flows of the bundled capture, as often as it takes."""
    frame = pl.concat(batch.frame for batch in CaptureSource([str(ROOT / "examples" / "sample.pcap.gz")]))
    return pl.concat([frame] * (ROWS // len(frame) + 1)).head(ROWS).rechunk()


def credentials(folder: Path, name: str) -> Credentials:
    """Return what one side shows and trusts."""
    paths = (folder / f"{name}.pem", folder / f"{name}.key", folder / "ca.pem", folder / "revoked.pem")
    return Credentials(*paths, "server" if name == "server" else "sensor", CLOCK)


@contextmanager
def server(folder: Path, certificates: Path) -> Iterator[int]:
    """Listen in a thread of its own, and give the port."""
    loop, started, port = asyncio.new_event_loop(), threading.Event(), 0

    async def serve() -> None:
        nonlocal port
        listener = Listener(Intake(LocalLog(folder, CLOCK)), credentials(certificates, "server"), CLOCK)
        _, port = await listener.start(HOST, 0)
        started.set()
        await ended.wait()
        await listener.stop()

    ended = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()


@contextmanager
def spool_of(folder: Path) -> Iterator[Spool]:
    """Open a spool and leave it in the end."""
    spool = Spool(folder / "spool", 1 << 30)
    try:
        yield spool
    finally:
        spool.close()


def linked(folder: Path, certificates: Path, payload: bytes) -> float:
    """Return how long all batches take from the spool into the log."""
    with spool_of(folder) as spool, server(folder / "log", certificates) as port:
        for _ in range(BATCHES):
            spool.append(payload, ROWS)

        async def send() -> float:
            link = Link(spool, "probe", (HOST, port), credentials(certificates, "probe"), dict, CLOCK, random.Random(1))
            began = time.perf_counter()
            running = asyncio.create_task(link.run())
            assert await link.flush(60)
            took = time.perf_counter() - began
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return took

        return asyncio.run(send())


def appended(folder: Path, payload: bytes) -> float:
    """Return how long the log takes for the same batches, sixteen at once."""
    log = LocalLog(folder, CLOCK)
    began = time.perf_counter()
    for start in range(0, BATCHES, 16):
        futures = [log.topic(FLOWS_TOPIC).append([payload]) for _ in range(start, min(start + 16, BATCHES))]
        for future in futures:
            future.result(60)
    took = time.perf_counter() - began
    log.close()
    return took


def acknowledged(folder: Path, certificates: Path, payload: bytes) -> list[float]:
    """Return how long single small batches take from the spool until they are acknowledged."""
    with spool_of(folder) as spool, server(folder / "log", certificates) as port:

        async def send() -> list[float]:
            link = Link(spool, "probe", (HOST, port), credentials(certificates, "probe"), dict, CLOCK, random.Random(1))
            running = asyncio.create_task(link.run())
            waits = []
            for number in range(SMALL_ROUNDS):
                began = time.perf_counter()
                spool.append(payload, 20)
                while link.state.acknowledged <= number:
                    await asyncio.sleep(0)
                waits.append(time.perf_counter() - began)
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            return waits

        return asyncio.run(send())
