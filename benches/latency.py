"""From the packet that ends a flow to the flow's row in Python, measured over a pipe as live traffic would come."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory

from benches import captures
from benches.report import Figure, Report
from infraspectre._core import FlowReader

FLOWS = 2_000
WARM_UP = 100
PAUSE_S = 0.001
"""Between packets, so that each finds the reader waiting."""
LONG_SILENCE_NS = 120_000_000_000
"""Longer than the idle timeouts for opening segments and datagrams, so that each packet ends the flow before it."""
METHOD = (
    f"{FLOWS:,} packets are written into a pipe one by one; each ends the flow before it. The time is that from the "
    "write to the moment when the row, with full features, is in Python (batches of one row)."
)


def measure() -> Report:
    """Measure many flows of one packet each, with and without the thread that reads ahead."""
    return Report(
        [figure for read_ahead in (False, True) for figure in figures(read_ahead)],
        notes=[METHOD],
    )


def figures(read_ahead: bool) -> list[Figure]:
    """Return the middle and the upper end of the delays."""
    delays_ms = delays(read_ahead)[WARM_UP:]
    mode = f"read ahead {'on' if read_ahead else 'off'}"
    return [
        Figure(f"packet to feature row, {mode}, median", median(delays_ms), "ms", "10 ms", "1 ms"),
        Figure(
            f"packet to feature row, {mode}, 99th percentile", quantiles(delays_ms, n=100)[98], "ms", "10 ms", "1 ms"
        ),
    ]


def delays(read_ahead: bool) -> list[float]:
    """Return, for each packet, the milliseconds until the row of the flow that it ended."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        pipe = Path(folder, "pipe.pcap")
        os.mkfifo(pipe)
        written: list[int] = []
        writer = threading.Thread(target=write, args=(pipe, written))
        writer.start()
        # The first packet ends no flow, and the end of the pipe ends the last one.
        reader = FlowReader([str(pipe)], features="full", batch_rows=1, read_ahead=read_ahead)
        seen = [time.perf_counter_ns() for _ in reader]
        writer.join()
    return [(row - packet) / 1e6 for packet, row in zip(written[1:], seen, strict=False)]


def write(pipe: Path, written: list[int]) -> None:
    """Write packets far apart in capture time, and note when."""
    with pipe.open("wb", buffering=0) as file:
        file.write(captures.HEADER)
        for packet in packets():
            time.sleep(PAUSE_S)
            written.append(time.perf_counter_ns())
            file.write(packet)


def packets() -> Iterator[bytes]:
    """Yield opening segments of a scan, in records of their own."""
    frames = captures.records(captures.bulk("scan", FLOWS))
    for index, (_, frame) in enumerate(frames):
        yield captures.record(captures.STARTED_AT + index * LONG_SILENCE_NS, frame)
