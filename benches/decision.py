"""From flows that reach the worker to the decision about them, as the feed tells it.

Batches of flows come at random times, as sensors send them; every other one holds the scan of a scanner that nobody
saw before at ports of its own, which needs no further flow to be found. Time is this process's processor time, moved
on where there is nothing to do: what others on the machine do changes little, and waits for disks are left out. The
same is measured by the clock on the wall.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import quantiles
from typing import NamedTuple

import msgspec
import polars as pl

from benches.report import Figure, Report, markdown
from infraspectre import app
from infraspectre.adapters.sensor_link.payloads import pack
from infraspectre.ports import Topic
from infraspectre.records.feed import FEED_TOPIC, FLOWS_TOPIC, FeedEvent
from infraspectre.records.flow_batches import FlowEnvelope, encode
from infraspectre.serving.opening import close_platform, open_platform
from infraspectre.serving.worker import Worker
from infraspectre.serving.working import Composition
from infraspectre.settings import DataSettings, Settings
from infraspectre.simulation import simulate

SEED = 7
BATCHES, WARM_UP = 240, 40
"""Batches, and the first ones whose times are not counted."""
MEAN_GAP_S = 0.1
FLOWS = 100
"""Flows of ordinary work in each batch."""
PORTS, FIRST_PORT = 60, 10_000
"""Ports of each scan, and the first of all: what many hosts try is taken for a service that is gone."""
SECOND = 1_000_000_000
PATIENT_S = 1.0
"""The patience with which the settings' own is compared."""
IDLE_S = 0.002
"""How often a worker with nothing to do looks whether something came."""


class Clock(NamedTuple):
    """Tells the time in seconds, and lets it pass."""

    now: Callable[[], float]
    rest: Callable[[float], None]


def processor_clock() -> Clock:
    """Return a clock that goes on while this process works, and where it is told to."""
    skipped = 0.0

    def rest(seconds: float) -> None:
        nonlocal skipped
        skipped += seconds

    return Clock(lambda: time.process_time() + skipped, rest)


class Arrival(NamedTuple):
    """Is a batch that comes so many seconds after the beginning; the scanner in it, if any."""

    at_s: float
    data: bytes
    scanner: str | None


def arrivals(folder: Path) -> Iterator[Arrival]:
    """Yield batches of flows, moved to the event time at which they come."""
    rng = random.Random(SEED)
    work = flows_of(folder / "work", "office", duration_s=600.0, hosts=24)
    scan = flows_of(folder / "scan", "port-scan", kind="vertical", ports=PORTS, hosts=4, background=False)
    scan = scan.filter(pl.col("orig_ip") == scan["orig_ip"].mode()[0])
    begin, at_s = int(work["ended_at"].max()), 0.0  # type: ignore[arg-type]
    for number in range(BATCHES):
        at_s += rng.expovariate(1 / MEAN_GAP_S)
        place = f"{number // 250}.{1 + number % 250}"
        scanner = f"198.18.{place}" if number % 2 else None
        parts = [work.sample(FLOWS, seed=SEED + number)]
        if scanner is not None:
            ports = (pl.int_range(pl.len()) + FIRST_PORT + number * PORTS).cast(pl.UInt16)
            parts.append(scan.with_columns(orig_ip=pl.lit(scanner), resp_ip=pl.lit(f"10.21.{place}"), resp_port=ports))
        ended_at = begin + round(at_s * SECOND)
        yield Arrival(at_s, entry(pl.concat([moved(each, ended_at) for each in parts]), number), scanner)


def flows_of(folder: Path, scenario: str, **options: object) -> pl.DataFrame:
    """Return the flows of a simulated capture."""
    result = simulate(scenario, folder, SEED, **options)
    return pl.concat([each.frame for each in app.flows(result.capture)], how="diagonal_relaxed")


def moved(flows: pl.DataFrame, ended_at: int) -> pl.DataFrame:
    """Return flows so that the last of them ends at a time."""
    by = ended_at - int(flows["ended_at"].max())  # type: ignore[arg-type]
    return flows.with_columns((pl.col(name) + by) for name in ("started_at", "ended_at"))


def entry(flows: pl.DataFrame, number: int) -> bytes:
    """Return flows as a sensor sends them."""
    first, last = int(flows["started_at"].min()), int(flows["ended_at"].max())  # type: ignore[arg-type]
    return encode(FlowEnvelope("default", "bench", "e1", number, len(flows), first, last), pack(flows))


class Stream:
    """Gives batches to a worker as they come, and notes when each scanner was told of."""

    def __init__(self, folder: Path, clock: Clock, patience_s: float | None = None) -> None:
        """Open a platform in a folder; patience is as the settings have it unless given."""
        settings = Settings(data=DataSettings(str(folder)))
        if patience_s is not None:
            detection = msgspec.structs.replace(settings.detection, patience_s=patience_s)
            settings = msgspec.structs.replace(settings, detection=detection)
        self._platform = open_platform(settings)
        self._worker = Worker(self._platform, Composition(settings), folder / "worker", now=clock.now)
        self._clock = clock
        self._feed: Topic = self._platform.log.topic(FEED_TOPIC)
        self._read = self._feed.end
        self.told: dict[str, float] = {}

    def play(self, coming: deque[Arrival]) -> dict[str, float]:
        """Return, for each scanner that was told of, the seconds from its batch to the feed."""
        begun = self._clock.now()
        due = {each.scanner: begun + each.at_s for each in coming if each.scanner}
        until = begun + coming[-1].at_s + 5.0
        while self._clock.now() < until and not due.keys() <= self.told.keys():
            while coming and begun + coming[0].at_s <= self._clock.now():
                self._platform.log.topic(FLOWS_TOPIC).append([coming.popleft().data]).result()
            if not self._worker.step():
                self._clock.rest(IDLE_S)
            self._note()
        return {scanner: self.told[scanner] - at for scanner, at in due.items() if scanner in self.told}

    def _note(self) -> None:
        for found in self._feed.read(self._read):
            self._read = found.sequence + 1
            for entity in msgspec.json.decode(found.data, type=FeedEvent).entities:
                self.told.setdefault(entity, self._clock.now())

    def close(self) -> None:
        """Close the platform."""
        self._worker.close()
        close_platform(self._platform)


def delays(clock: Clock, patience_s: float | None = None) -> tuple[list[float], int, float]:
    """Return the seconds to each decision, how many scans there were, and the processor time of the whole."""
    with tempfile.TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        coming = deque(arrivals(Path(folder)))
        scanners = [each.scanner for each in list(coming)[WARM_UP:] if each.scanner]
        stream = Stream(Path(folder, "data"), clock, patience_s)
        begun = time.process_time()
        found = stream.play(coming)
        cpu_s = time.process_time() - begun
        stream.close()
    return [found[each] for each in scanners if each in found], len(scanners), cpu_s


def figures(name: str, clock: Clock, patience_s: float | None = None) -> list[Figure]:
    """Return the middle and the upper end of the delays by a clock."""
    found, scans, cpu_s = delays(clock, patience_s)
    hundredths = quantiles([1000 * each for each in found], n=100)
    return [
        Figure(f"flow to decision, {name}, p50", round(hundredths[49], 1), "ms"),
        Figure(f"flow to decision, {name}, p99", round(hundredths[98], 1), "ms", "100 ms", "50 ms"),
        Figure(f"scans told, {name}", f"{len(found)} of {scans}"),
        Figure(f"processor time, {name}", round(cpu_s, 1), "s"),
    ]


METHOD = (
    f"{BATCHES} batches of {FLOWS} flows, {MEAN_GAP_S * 1000:.0f} ms apart on average; every other one holds a scan of "
    f"{PORTS} ports by a new scanner. From the time at which a batch comes to that at which the feed tells of it."
)


def measure() -> Report:
    """Measure by both clocks."""
    wall = Clock(time.monotonic, time.sleep)
    chosen = figures("processor time", processor_clock())
    patient = figures(f"processor time, patience of {PATIENT_S:g} s", processor_clock(), PATIENT_S)
    return Report([*chosen, *patient, *figures("wall", wall)], notes=[METHOD])


def main() -> int:
    """Measure by processor time with a patience of one's own choice."""
    parser = argparse.ArgumentParser(prog="python -m benches.decision", description=__doc__)
    parser.add_argument("--patience", type=float, help="seconds; as the settings have it by default")
    chosen = parser.parse_args()
    print(markdown("decision", "", Report(figures("processor time", processor_clock(), chosen.patience))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
