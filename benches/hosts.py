"""How soon the console sees hosts: lists and details over the API, with many incidents and millions of flows.

`python -m benches.hosts FOLDER` fills a folder that stays, and asks it; a folder that is filled is only asked.
"""

from __future__ import annotations

import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import numpy as np
from litestar.testing import TestClient

from benches import tables
from benches.api_fuzz import FREE
from benches.records import incidents
from benches.report import Figure, Report
from infraspectre import analyze
from infraspectre.adapters.column_store import ParquetTables
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.record_store import open_sqlite
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.api.routes.keys import new_key
from infraspectre.records.access import DEFAULT_TENANT
from infraspectre.records.collections import INCIDENTS, KEYS, incident_record
from infraspectre.serving.platform import Platform
from infraspectre.settings import Settings

COUNT = int(os.environ.get("INFRASPECTRE_BENCH_INCIDENTS", "100_000"))
FLOWS = int(os.environ.get("INFRASPECTRE_BENCH_FLOWS", "2_000_000"))
BATCH, ROUNDS, SEED, FLOOR_MS = 10_000, 30, 3, 250
SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"
Asked = Callable[[random.Random], str]


def measure() -> Report:
    """Fill a platform in a temporary folder, and ask it."""
    with TemporaryDirectory(prefix="hosts-") as folder:
        fill(Path(folder))
        return asked(Path(folder))


def fill(folder: Path) -> None:
    """Write flows and incidents; the open ones, whose records are read, are as large as those of an analysis."""
    tables.fill(folder / "tables", FLOWS)
    whole = bodies(folder / "found")
    records, rows = open_sqlite(folder / "records.db", SystemClock()), sized(whole)
    while batch := dict(islice(rows, BATCH)):
        records.put_many(DEFAULT_TENANT, INCIDENTS, batch)
    records.close()


def bodies(folder: Path) -> list[dict[str, Any]]:
    """Return the records of the incidents of the bundled capture, with their detections."""
    analyze(SAMPLE, out=folder)
    found, detections = (
        [msgspec.json.decode(line) for line in (folder / f"{name}.jsonl").read_bytes().splitlines()]
        for name in ("incidents", "detections")
    )
    return [incident_record(each) | {"detections": detections} for each in found]


def sized(whole: list[dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield records of which those that count are as large as real ones."""
    for number, (key, record) in enumerate(incidents(COUNT)):
        if record["status"] != "closed":
            part = whole[number % len(whole)]
            record |= {"incident": part["incident"], "detections": part["detections"]}
        yield key, record


def asked(folder: Path) -> Report:
    """Return the 95th percentiles of kinds of questions."""
    clock = SystemClock()
    records, store = open_sqlite(folder / "records.db", clock), ParquetTables(folder / "tables", clock)
    platform = Platform(records, store, LocalLog(folder / "log", clock), Settings(access=FREE), clock)
    key, record = new_key(DEFAULT_TENANT, "bench", "viewer", clock.now(), 0)
    records.put(DEFAULT_TENANT, KEYS, key.id, msgspec.to_builtins(record))
    headers = {"authorization": f"Bearer {key}"}
    with TestClient(make_app(platform)) as client:
        figures = list(figures_of(client, headers))
    for part in (platform.log, records, store, platform.scoring):
        part.close()
    slow = [each.name for each in figures if each.floor and float(each.value) > FLOOR_MS]
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    return Report(figures, notes=[f"{COUNT:,} incidents, {FLOWS:,} flows; {ROUNDS} of each kind; {load}.",
                                  f"Above 250 ms: {', '.join(slow) or 'none'}."])  # fmt: skip


def figures_of(client: TestClient[Api], headers: dict[str, str]) -> Iterator[Figure]:
    """Yield what each kind of question takes; the first one of all makes the directory, and no list does afterwards."""
    client.get("/api/v1/me?x=1", headers=headers)  # the parameters of all operations are learnt once
    wall, cpu = timed(client, headers, "/api/v1/hosts")
    yield Figure("the directory, made once", cpu, "ms of a processor")
    for name, path in questions(client, headers).items():
        draw = random.Random(SEED)
        taken = np.array([timed(client, headers, path(draw)) for _ in range(ROUNDS)])
        wall, cpu = (float(each) for each in np.percentile(taken, 95, axis=0))
        print(f"{name}: {wall:.0f} ms, of a processor {cpu:.0f} ms", file=sys.stderr, flush=True)
        yield Figure(name, cpu, "ms of a processor, p95", "250 ms", "150 ms")
        yield Figure(f"{name}, by the clock", wall, "ms, p95")


def questions(client: TestClient[Api], headers: dict[str, str]) -> dict[str, Asked]:
    """Return the paths of kinds of questions; the hosts that are asked for occur."""
    page = client.get("/api/v1/hosts?limit=1000&order=-bytes", headers=headers).json()
    known = [each["address"] for each in page["items"]]
    after = client.get("/api/v1/hosts?limit=100", headers=headers).json()["next"]
    return {
        "hosts, the worst": lambda _: "/api/v1/hosts?limit=100",
        "hosts, the next page": lambda _: f"/api/v1/hosts?limit=100&after={after}",
        "hosts, by bytes": lambda _: "/api/v1/hosts?limit=100&order=-bytes",
        "hosts by part of an address": lambda draw: f"/api/v1/hosts?filter=address~.{draw.randrange(250)}.",
        "hosts of a level inside": lambda _: "/api/v1/hosts?filter=level=high|critical&filter=place=inside",
        "one of the busiest hosts": lambda draw: f"/api/v1/hosts/{draw.choice(known[:10])}",
        "one host of many": lambda draw: f"/api/v1/hosts/{draw.choice(known[100:])}",
        "the ATT&CK matrix": lambda _: "/api/v1/attack",
    }


def timed(client: TestClient[Api], headers: dict[str, str], path: str) -> tuple[float, float]:
    """Return the milliseconds that an answer takes, by the clock and of the processor, which others disturb less."""
    wall, cpu = time.perf_counter(), time.process_time()
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return (time.perf_counter() - wall) * 1e3, (time.process_time() - cpu) * 1e3


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if not where.exists():
        fill(where)
    print(asked(where))
