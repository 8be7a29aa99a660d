"""Serves the stream from a folder with a log, as one process beside that which writes the log."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
from pathlib import Path

import msgspec
import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.api.access.credentials import Credential
from infraspectre.api.app import make_app
from infraspectre.api.server import search_seldom
from infraspectre.records.access import KeyRecord
from infraspectre.records.collections import KEYS
from infraspectre.serving.platform import Platform
from infraspectre.settings import AccessSettings, Settings

MOST_CONNECTIONS = 20_000


def new_key(folder: Path, tenant: str = "default") -> str:
    """Give a reader of a tenant a key, before the server starts."""
    key = Credential.new("isk", tenant)
    records = open_sqlite(folder / "records.db", SystemClock())
    records.put(tenant, KEYS, key.id, msgspec.to_builtins(KeyRecord(key.id, "bench", "viewer", key.digest, 0)))
    records.close()
    return str(key)


def main(folder: Path, port: int) -> None:
    """Serve until told to stop."""
    clock = SystemClock()
    settings = Settings(access=AccessSettings(requests_per_s=100_000.0))
    records = open_sqlite(folder / "records.db", clock)
    log = LocalLog(folder / "log", clock)
    platform = Platform(records, None, log, settings, clock)  # type: ignore[arg-type]
    search_seldom()
    uvloop.run(serve(platform, port))
    log.close()
    records.close()


async def serve(platform: Platform, port: int) -> None:
    """Run the server in this loop, and say when it listens."""
    server = Server(
        make_app(platform),
        address="127.0.0.1",
        port=port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=True,
        log_enabled=False,
        backlog=4096,
        backpressure=MOST_CONNECTIONS,
    )
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
    running = asyncio.ensure_future(server.serve())
    while not is_open(port) and not running.done():
        await asyncio.sleep(0.02)
    print("ready", flush=True)
    await running


def is_open(port: int) -> bool:
    """Tell whether somebody listens."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
