"""Kills the worker at random points under load, and compares what is in the log with what came of it.

    python benches/worker_crashes.py [--rounds 50] [--seed 7]

Nothing may be lost: each flow of the log is in the table, and each detection. Nothing may be doubled: no flow, no
detection and no event of the feed is there twice. The reference is a worker that nobody kills, on the same log.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections import Counter

import msgspec
import polars as pl

from benches.overload import SAMPLE, Running
from infraspectre import app
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC
from infraspectre.records.flow_batches import FlowEnvelope, encode
from infraspectre.serving.opening import open_log, open_tables
from infraspectre.serving.outlets import CONSUMER
from infraspectre.settings import DataSettings, DetectionSettings, Settings

HOUR = 3_600 * 10**9
SIZE = 100
LONGEST_S = 2.0
ONCE = ("detection.found", "incident.raised")
"""Events that are told once of each subject."""


def batches(rounds: int) -> list[bytes]:
    """Return the flows of the bundled capture, again for each round, an hour later each time."""
    frame = pl.concat([each.frame for each in app.flows(SAMPLE)], how="diagonal_relaxed").sort("ended_at")
    found: list[bytes] = []
    for number in range(rounds):
        later = frame.with_columns(
            pl.col("started_at", "ended_at") + number * HOUR, pl.col("flow_id") * 1_000 + number
        ).with_columns(pl.col("flow_id").cast(pl.UInt64))
        for start in range(0, len(later), SIZE):
            part = later[start : start + SIZE]
            envelope = FlowEnvelope("default", "bench", "e", len(found), len(part), 0, 0)
            found.append(encode(envelope, pack(part)))
    return found


def play(folder: str, sent: list[bytes], kills: random.Random | None) -> dict[str, object]:
    """Work on batches, killed again and again if asked to, and return what came of it."""
    settings = Settings(data=DataSettings(folder), detection=DetectionSettings(checkpoint_s=1.0, patience_s=3_600))
    log = open_log(settings, SystemClock())
    topic, killed, rest = log.topic(FLOWS_TOPIC), 0, list(sent)
    worker = Running(settings)
    while rest or log.cursor(CONSUMER, FLOWS_TOPIC) != topic.end:
        is_working = bool(worker.report.facts)
        if rest and is_working:
            topic.append([rest.pop(0)]).result()
        time.sleep(kills.random() * LONGEST_S if kills and is_working else 0.05)
        if kills and rest and is_working:
            worker.process.kill()
            worker.process.wait()
            killed, worker = killed + 1, Running(settings)
    time.sleep(2.0)
    worker.stop()
    tables = open_tables(settings, SystemClock())
    flows = [flow for part in tables.scan("default", "flows", 0, 1 << 62, ["flow_id"]) for flow in part["flow_id"]]
    names = ["detection_id"]
    found = [name for part in tables.scan("default", "detections", 0, 1 << 62, names) for name in part["detection_id"]]
    told, at, feed = Counter[tuple[str, str]](), 0, log.topic(FEED_TOPIC)
    while at < feed.end:
        entries = feed.read(at, 5_000)
        events = [msgspec.json.decode(each.data) for each in entries]
        told.update((each["kind"], each["subject"]) for each in events if each["kind"] in ONCE)
        at += len(entries)
    tables.close()
    log.close()
    doubled = sum(n - 1 for n in (*Counter(flows).values(), *Counter(found).values(), *told.values()))
    return {
        "killed": killed,
        "flows": len(flows),
        "detections": sorted(found),
        "doubled": doubled,
        "told": sorted(told),
    }


def main() -> None:
    """Measure and print one JSON object."""
    options = argparse.ArgumentParser()
    options.add_argument("--rounds", type=int, default=50)
    options.add_argument("--seed", type=int, default=7)
    given = options.parse_args()
    sent = batches(max(1, given.rounds // 6))
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        killed = play(one, sent, random.Random(given.seed))
        whole = play(other, sent, None)
    result = {
        "kills": killed["killed"],
        "flows_sent": whole["flows"],
        "lost": whole["flows"] - killed["flows"],  # type: ignore[operator]
        "doubled": killed["doubled"],
        "detections": len(whole["detections"]),  # type: ignore[arg-type]
        "same_detections": whole["detections"] == killed["detections"],
        "same_events": whole["told"] == killed["told"],
        "load_average": os.getloadavg()[0],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
