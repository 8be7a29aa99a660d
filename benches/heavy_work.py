"""How soon incidents are listed while long work floods the API: `python -m benches.heavy_work [--seconds 8]`.

A server process answers with the stores of the platform. This process lists incidents at a steady rate, first alone,
then while more clients than there is room for ask for detection in flows, again and again. The reference is the same
server with threads for all of them.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import uvloop

from benches import api_speed
from infraspectre.api import app, heavy

RATE = 50.0
CLIENTS = 24
FLOWS = 300
ALL = 40
"""Threads and places of the reference."""


def flows() -> list[dict[str, Any]]:
    """Return flows to look at."""
    return [
        {
            "orig_ip": f"10.0.0.{number % 50}",
            "resp_ip": f"192.0.2.{number % 99}",
            "resp_port": 443,
            "protocol": "tcp",
            "started_at": 1_767_600_000_000_000_000 + number * 10**9,
            "ended_at": 1_767_600_000_500_000_000 + number * 10**9,
        }
        for number in range(FLOWS)
    ]


async def flood(url: str, headers: dict[str, str], stopped: asyncio.Event, answers: Counter[int]) -> None:
    """Ask for detection until told to stop; a client that is refused waits as long as it is told."""
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60.0) as client:
        while not stopped.is_set():
            answer = await client.post("/api/v1/detect", json={"flows": flows()})
            answers[answer.status_code] += 1
            await asyncio.sleep(float(answer.headers.get("retry-after", 0)))


async def measure(port: int, key: str, seconds: float) -> dict[str, Any]:
    """Return the 95th percentile of lists in milliseconds, alone and flooded, and how the flood was answered."""
    url, headers = f"http://127.0.0.1:{port}", {"authorization": f"Bearer {key}"}
    listed = api_speed.request("GET", "/api/v1/incidents?limit=20&filter=level%3Dhigh", key)
    await api_speed.at_rate(port, RATE, 1.0, lambda _: listed)
    alone = await api_speed.at_rate(port, RATE, seconds, lambda _: listed)
    stopped, answers = asyncio.Event(), Counter[int]()
    flooding = [asyncio.create_task(flood(url, headers, stopped, answers)) for _ in range(CLIENTS)]
    await asyncio.sleep(1.0)
    under = await api_speed.at_rate(port, RATE, seconds, lambda _: listed)
    stopped.set()
    await asyncio.gather(*flooding)
    quiet_ms, flooded_ms = (round(1_000 * percentile(each), 1) for each in (alone, under))
    return {"alone_p95_ms": quiet_ms, "flooded_p95_ms": flooded_ms, "answers": dict(answers)}


def percentile(times: list[float]) -> float:
    """Return the 95th percentile."""
    return sorted(times)[int(0.95 * (len(times) - 1))]


def main() -> None:
    """Measure with the bounded room and without, and print one JSON object."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=8.0)
    options.add_argument("--serve", nargs=3)
    given = options.parse_args()
    if given.serve:
        folder, threads, waiting = given.serve
        room = partial(heavy.HeavyPool, threads=int(threads), most_waiting=int(waiting))
        with patch.object(app, "HeavyPool", room):
            api_speed.serve(Path(folder))
        return
    found = {}
    for name, room in {"bounded": (heavy.THREADS, heavy.MOST_WAITING), "unbounded": (ALL, ALL)}.items():
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, "-m", "benches.heavy_work", "--serve", folder, *map(str, room)]
            with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
                assert server.stdout
                port, key = server.stdout.readline().split()
                server.stdout.readline()
                try:
                    found[name] = uvloop.run(measure(int(port), key, given.seconds))
                finally:
                    server.kill()
    print(json.dumps(found | {"load_average": round(os.getloadavg()[0], 1)}, indent=2))


if __name__ == "__main__":
    main()
