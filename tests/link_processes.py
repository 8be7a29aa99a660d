"""A server and a sensor as processes of their own, so that tests can kill them: python link_processes.py ROLE ..."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool
from link_rooms import CLOCK, hurry, payload, sending, serving


async def serve(folder: str, port: str) -> None:
    """Listen in plain text with a log in a folder, and say at which port."""
    log = LocalLog(Path(folder), CLOCK)
    async with serving(log, None, int(port)) as (_, chosen):
        print(chosen, flush=True)
        await asyncio.sleep(60)


async def send(folder: str, port: str, first: str) -> None:
    """Send batches that are numbered from `first` on, and say each number once it is in the spool."""
    spool = Spool(Path(folder), 64 * LEAST_BYTES)
    async with sending(spool, int(port)):
        for number in range(int(first), int(first) + 100_000):
            spool.append(payload(number), 1)
            print(number, flush=True)
            await asyncio.sleep(0.001)


async def drain(folder: str, port: str) -> None:
    """Send what is in a spool, and say whether the server has it."""
    spool = Spool(Path(folder), 64 * LEAST_BYTES)
    async with sending(spool, int(port)) as link:
        print(await link.flush(20), flush=True)


class Quick:
    """Changes what is waited for, for good."""

    def setattr(self, place: object, name: str, value: object) -> None:
        setattr(place, name, value)


if __name__ == "__main__":
    hurry(Quick())
    role, folder, *rest = sys.argv[1:]
    asyncio.run(send(folder, *rest) if role == "send" else (serve if role == "serve" else drain)(folder, *rest))
