"""Ten times more than the worker can do, for a set time: memory, the account, and how long critical events wait.

    python benches/overload.py [--seconds 60] [--factor 10]

The worker runs as in `infraspectre serve`, in a process of its own; this process first measures how many flows it does
in a second, then puts so many times more into the log, and a critical event every 50 ms. The reference is the worker
itself without overload, in the same run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import polars as pl

from infraspectre import app
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.records.feed import EVENTS_TOPIC, FEED_TOPIC, FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, encode
from infraspectre.serving.control import Report, Start
from infraspectre.serving.opening import open_log
from infraspectre.settings import DataSettings, LimitSettings, Settings

SAMPLE = Path(__file__).parents[1] / "examples" / "sample.pcap.gz"
ROWS = 1_000
MOST_FLOWS = 100_000
EVENT_EVERY_S = 0.05
SEED = 7


def flows() -> pl.DataFrame:
    """Return a batch of flows drawn from the bundled capture."""
    frame = pl.concat([each.frame for each in app.flows(SAMPLE)], how="diagonal_relaxed")
    return frame.sample(ROWS, with_replacement=True, seed=SEED)


class Load:
    """Puts batches into the log, with event time that goes on."""

    def __init__(self, log: object, frame: pl.DataFrame) -> None:
        self.topic, self.sent, self._frame = log.topic(FLOWS_TOPIC), 0, frame  # type: ignore[attr-defined]
        self._payloads = [self._payload(number) for number in range(20)]

    def _payload(self, number: int) -> bytes:
        shift = number * 1_000_000_000
        changed = self._frame.with_columns(
            pl.col("started_at") + shift, pl.col("ended_at") + shift, pl.col("flow_id") + number
        )
        return pack(changed.with_columns(pl.col("flow_id").cast(pl.UInt64)))

    def send(self) -> None:
        payload = self._payloads[self.sent % len(self._payloads)]
        envelope = FlowEnvelope("default", "bench", "e", self.sent, ROWS, 0, 0)
        self.topic.append([encode(envelope, payload)]).result()
        self.sent += 1


class Running:
    """Is the worker process, and what it last reported."""

    def __init__(self, settings: Settings) -> None:
        self.report = Report("starting")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "infraspectre.api"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin
        self.process.stdin.write(msgspec.json.encode(Start("worker", settings)) + b"\n")
        self.process.stdin.flush()
        self.peak_bytes = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            report = msgspec.json.decode(line, type=Report)
            self.report = report if report.facts else self.report
            self.peak_bytes = max(self.peak_bytes, resident(self.process.pid))

    def done(self) -> float:
        return self.report.facts.get("flows", {}).get("done", 0.0)

    def stop(self) -> dict[str, float]:
        assert self.process.stdin
        self.process.stdin.write(b"stop\n")
        self.process.stdin.flush()
        self.process.wait(120)
        return self.report.facts["flows"]


def resident(process: int) -> int:
    """Return the resident memory of a process."""
    try:
        return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def capacity(load: Load, worker: Running, seconds: float) -> float:
    """Return how many flows the worker does in a second when it never waits, nor is overloaded."""
    begun, done = time.monotonic(), worker.done()
    while time.monotonic() - begun < seconds:
        if load.sent * ROWS - worker.done() < MOST_FLOWS // 5:
            load.send()
        else:
            time.sleep(0.01)
    return max(1.0, (worker.done() - done) / seconds)


def post(log: object, stopped: threading.Event, posted: dict[str, float]) -> None:
    """Post critical events among ten times as many others, and note when."""
    topic = log.topic(EVENTS_TOPIC)  # type: ignore[attr-defined]
    while not stopped.wait(EVENT_EVERY_S):
        name = f"critical-{len(posted)}"
        posted[name] = time.time()
        others = [{"tenant": "default", "id": f"{name}-{n}", "event": {"severity": "low"}} for n in range(10)]
        critical = {"tenant": "default", "id": name, "event": {"severity": "critical"}}
        topic.append([msgspec.json.encode(each) for each in (*others, critical)]).result()


def waited(log: object, posted: dict[str, float]) -> np.ndarray:
    """Return how long critical events took until they were durable on the feed, in seconds."""
    topic, at, found = log.topic(FEED_TOPIC), 0, []  # type: ignore[attr-defined]
    while at < topic.end:
        entries = topic.read(at, 5_000)
        for entry in entries:
            name = msgspec.json.decode(entry.data).get("subject", "")
            if name in posted:
                found.append(entry.at / 1e9 - posted[name])
        at += len(entries)
    return np.array(found)


def main() -> None:
    """Measure and print one JSON object."""
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=60.0)
    options.add_argument("--factor", type=float, default=10.0)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(
            data=DataSettings(folder), limits=LimitSettings(waiting_flows=MOST_FLOWS, waiting_bytes=1 << 28)
        )
        log = open_log(settings, SystemClock())
        load, worker = Load(log, flows()), Running(settings)
        while worker.report.state == "starting":
            time.sleep(0.05)
        usual = capacity(load, worker, min(20.0, given.seconds))
        calm_bytes = worker.peak_bytes
        posted: dict[str, float] = {}
        stopped = threading.Event()
        poster = threading.Thread(target=post, args=(log, stopped, posted))
        poster.start()
        begun, before = time.monotonic(), load.sent
        while (spent := time.monotonic() - begun) < given.seconds:
            if (load.sent - before) * ROWS < given.factor * usual * spent:
                load.send()
            else:
                time.sleep(0.001)
        stopped.set()
        poster.join()
        offered = (load.sent - before) * ROWS / given.seconds
        deadline = time.monotonic() + 120
        while worker.report.facts["waiting"][FLOWS_TOPIC] and time.monotonic() < deadline:
            time.sleep(0.2)
        time.sleep(1.5)
        account = worker.stop()
        waits = waited(log, posted)
        shed = sum(count for name, count in account.items() if name not in ("taken", "done", "queued"))
        print(
            json.dumps(
                {
                    "capacity_flows_s": round(usual),
                    "offered_flows_s": round(offered),
                    "factor": round(offered / usual, 1),
                    "account": account,
                    "sent": load.sent * ROWS,
                    "is_exact": load.sent * ROWS == account["taken"] == account["done"] + shed + account["queued"],
                    "peak_mib": worker.peak_bytes >> 20,
                    "peak_to_calm": round(worker.peak_bytes / max(1, calm_bytes), 2),
                    "critical": {"posted": len(posted), "told": len(waits)},
                    "critical_wait_s": {f"p{q}": round(float(np.percentile(waits, q)), 3) for q in (50, 99, 100)},
                    "load_average": os.getloadavg()[0],
                },
                indent=2,
            )
        )
        log.close()


if __name__ == "__main__":
    main()
