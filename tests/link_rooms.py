"""What tests of the link share: an authority, flows, and a server and sensor in this process."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import polars as pl

from infraspectre.adapters.certificates import Authority
from infraspectre.adapters.sensor_link import client
from infraspectre.adapters.sensor_link.client import Link
from infraspectre.adapters.sensor_link.credentials import Credentials, Side
from infraspectre.adapters.sensor_link.intake import Intake
from infraspectre.adapters.sensor_link.listener import Listener
from infraspectre.adapters.sensor_link.packets import Ring
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.sensor_link.spool import Spool
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.ports import Clock, EventLog
from infraspectre.records.feed import FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, decode

HOST = "127.0.0.1"
CLOCK = SystemClock()


def flow_rows(first: int, rows: int = 1) -> pl.DataFrame:
    """Flows of which the identities are numbers from `first` on."""
    at = [1_700_000_000_000_000_000 + number for number in range(first, first + rows)]
    return pl.DataFrame(
        {
            "flow_id": pl.Series(range(first, first + rows), dtype=pl.UInt64),
            "orig_ip": ["10.0.0.1"] * rows,
            "orig_port": pl.Series([40_000] * rows, dtype=pl.UInt16),
            "resp_ip": ["192.0.2.1"] * rows,
            "resp_port": pl.Series([443] * rows, dtype=pl.UInt16),
            "protocol": ["tcp"] * rows,
            "started_at": pl.Series(at, dtype=pl.Int64),
            "ended_at": pl.Series(at, dtype=pl.Int64),
        }
    )


@cache
def payload(number: int) -> bytes:
    return pack(flow_rows(number))


def make_authority(folder: Path, clock: Clock = CLOCK) -> Authority:
    """An authority with the certificates of a server and a sensor."""
    authority = Authority.create(folder, clock)
    authority.issue("server", "server", hosts=[HOST])
    authority.issue("probe")
    return authority


def credentials(folder: Path, name: str, side: Side, authority: Path | None = None) -> Credentials:
    trusted = authority or folder
    revoked = trusted / "revoked.pem" if side == "server" else None
    return Credentials(folder / f"{name}.pem", folder / f"{name}.key", trusted / "ca.pem", revoked, side, CLOCK)


@asynccontextmanager
async def serving(log: EventLog, folder: Path | None, port: int = 0) -> AsyncIterator[tuple[Listener, int]]:
    """Listen, with the certificate in a folder, in plain text without."""
    listener = Listener(Intake(log), credentials(folder, "server", "server") if folder else None, CLOCK)
    _, port = await listener.start(HOST, port)
    try:
        yield listener, port
    finally:
        await listener.stop()


@asynccontextmanager
async def sending(
    spool: Spool, port: int, own: Credentials | None = None, name: str = "probe", ring: Ring | None = None
) -> AsyncIterator[Link]:
    """Send what is in a spool, and packets of a ring."""
    link = Link(spool, name, (HOST, port), own, lambda: {"packets": 7}, CLOCK, random.Random(0), ring)
    running = asyncio.create_task(link.run())
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(condition: Callable[[], object], within_s: float = 8.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.005)


def delivered(log: EventLog) -> Iterator[tuple[FlowEnvelope, int]]:
    """Yield the envelope of each batch in a log, and the identity of its first flow."""
    topic = log.topic(FLOWS_TOPIC)
    for entry in topic.read(topic.begin, 1_000_000) if topic.end > topic.begin else []:
        envelope, rows = decode(entry.data)
        yield envelope, int(pl.read_ipc_stream(bytes(rows))["flow_id"][0])


def numbers(log: EventLog) -> list[int]:
    return [number for _, number in delivered(log)]


def hurry(monkeypatch: object) -> None:
    """Let sensors connect again at once."""
    monkeypatch.setattr(client, "LEAST_WAIT_S", 0.001)  # type: ignore[attr-defined]
    monkeypatch.setattr(client, "MOST_WAIT_S", 0.004)  # type: ignore[attr-defined]
