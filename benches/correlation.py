"""What one detection costs the correlation when millions share a value, and what many of them leave in memory."""

from __future__ import annotations

import itertools
import resource
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from benches.report import Figure, Report, Table
from infraspectre.cortex import Cortex, CortexSettings
from infraspectre.records import Detection, Evidence, Severity, Technique

COUNT = 3_000
"""Detections of one flood. They come in quarters: if memory is bounded, later ones leave nothing more."""
SCALED = CortexSettings(
    most_nodes=512, most_fans=512, most_stories=32, most_kept=512, most_nodes_of_story=8, most_detections=32
)
"""A fraction of the usual bounds, for memory: the first quarter fills them."""
WARM = 500
"""Detections before the first is timed."""
MOST, LONGEST_S, BATCH = 10_000_000, 30.0, 1000
"""The long run ends after so many detections or so much processor time, whichever comes first."""
FILLED = 100_000
"""Detections of the long run after which all bounds have been reached."""
START = 1_763_640_000_000_000_000
MILLISECOND = 1e-3
Share = Callable[[int], tuple[str, str]]
SHARES: dict[str, tuple[Share, str, Severity]] = {
    "one pair": (lambda _: ("10.0.0.9", "203.0.113.9"), "beacon", "medium"),
    "one actor": (lambda n: ("10.0.0.9", address(n)), "port_scan", "medium"),
    "one target": (lambda n: (address(n), "10.0.0.9"), "syn_flood", "high"),
    "one control server": (lambda n: (address(n), "203.0.113.9"), "beacon", "medium"),
    "one target, low value": (lambda n: (address(n), "10.0.0.9"), "weak_cipher", "low"),
    "one domain": (lambda n: (address(n), "10.0.0.53"), "dns_tunnel", "high"),
}


METHOD = (
    f"Every detection is a batch of its own, in processor time; {COUNT:,} of each kind after {WARM:,}. Memory is "
    "measured with a fraction of the usual bounds, which the first quarter fills. The long run has the usual bounds "
    f"and floods one target in batches of {BATCH:,} for {LONGEST_S:.0f} s of processor time; its memory is that of the "
    f"process, at the end against after {FILLED:,}."
)


def address(number: int) -> str:
    """Return one of 16 million addresses."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def detections(share: Share, category: str, severity: Severity) -> Iterator[Detection]:
    """Yield detections a tenth of a second apart that share one value."""
    evidence = Evidence("seen", {"flows": 1.0}, examples=["x.t.evil.example"])
    for number in itertools.count():
        orig, resp = share(number)
        at = START + number * 100_000_000
        yield Detection(
            detection_id=f"{number:020}", at=at, detector=category, category=category, severity=severity, score=0.6,
            probability=0.6, flow_ids=[number], orig=orig, resp=resp, techniques=[Technique("T1071", "T1071")],
            evidence=evidence, first_seen=at, last_seen=at,
        )  # fmt: skip


def measure() -> Report:
    """Insert as many as time allows, then one by one, and compare with inserting ones that share nothing."""
    count, rate, flat = lasting(*SHARES["one target"])
    apart = inserted(lambda n: (address(n), address(n + (1 << 23))), "web_attack", "medium")
    rows = [(name, *inserted(*share)) for name, share in SHARES.items()]
    growth = {name: grown(*share) for name, share in SHARES.items()}
    slowest, largest = max(row[2] for row in rows), max(growth.values())
    shown = [
        (name, f"{middle:.3f}", f"{high:.3f}", f"{high / apart[1]:.1f}", f"{growth[name]:.2f}")
        for name, middle, high in rows
    ]
    return Report(
        [
            Figure("p99 of an insert, ms", f"{slowest:.3f}", "", "1"),
            Figure("the same against detections that share nothing", f"{slowest / apart[1]:.1f}", "times"),
            Figure("memory after four times as many detections", f"{largest:.2f}", "times", "1.1"),
            Figure("detections of the long run that share one value", f"{count:,}"),
            Figure("the same, a second", f"{rate:,.0f}"),
            Figure("10 million at this rate, minutes", f"{MOST / rate / 60:.0f}"),
            Figure("memory at the end of the long run", f"{flat:.2f}", "times", "1.1"),
        ],
        [Table("By what is shared", ("shared", "p50 ms", "p99 ms", "p99 against apart", "memory"), shown)],
        [METHOD],
    )


def inserted(share: Share, category: str, severity: Severity) -> tuple[float, float]:
    """Return median and 99th percentile of an insert in ms."""
    cortex, stream = Cortex(), detections(share, category, severity)
    cortex.correlate(list(itertools.islice(stream, WARM)))
    took = []
    for each in itertools.islice(stream, COUNT):
        start = time.process_time()
        cortex.correlate([each])
        took.append(time.process_time() - start)
    return float(np.median(took)) / MILLISECOND, float(np.quantile(took, 0.99)) / MILLISECOND


def lasting(share: Share, category: str, severity: Severity) -> tuple[int, float, float]:
    """Return how many detections were inserted, how many a second, and how memory grew once bounds were reached."""
    cortex, stream = Cortex(), detections(share, category, severity)
    count, took, filled = 0, 0.0, 0
    while count < MOST and (took < LONGEST_S or count <= FILLED):
        batch = list(itertools.islice(stream, BATCH))
        start = time.process_time()
        cortex.correlate(batch)
        took += time.process_time() - start
        count += BATCH
        filled = resident_bytes() if count == FILLED else filled
    return count, count / took, resident_bytes() / filled


def resident_bytes() -> int:
    """Return the memory of this process that is in use now (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def grown(share: Share, category: str, severity: Severity) -> float:
    """Return the memory after all detections against that after the first quarter."""
    tracemalloc.start()
    cortex, stream = Cortex(SCALED), detections(share, category, severity)
    sizes = []
    for _ in range(4):
        cortex.correlate(list(itertools.islice(stream, COUNT // 4)))
        sizes.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    return sizes[-1] / sizes[0]
