"""What it costs to keep packets in a ring beside metering them, and how soon a conversation is found in it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from statistics import median

from benches import captures
from benches.report import Figure, Report
from infraspectre._core import FlowReader
from infraspectre.capture.packets import EVER, conversation_of_flow
from infraspectre.capture.reader import CaptureSource
from infraspectre.capture.ring import PacketRing
from infraspectre.capture.settings import RingSettings

PACKETS = 400_000
ROUNDS = 5
MOST = 1 << 40


def measure() -> Report:
    """Measure by turns, in processor time of all threads, with the capture in the system's cache."""
    capture = captures.bulk("mixed", PACKETS)
    metering, keeping = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(ROUNDS):
            metering.append(metered(capture))
            keeping.append(recorded(capture, Path(folder) / str(number)))
        found = searched(capture, Path(folder) / "0")
    return Report(
        [
            Figure("keeping a packet against metering it, full features", median(keeping) / median(metering), "x"),
            Figure("metering", PACKETS / median(metering), "packets per CPU-second"),
            Figure("keeping, reading the capture included", PACKETS / median(keeping), "packets per CPU-second"),
            Figure("a conversation found in the whole ring", found * 1_000, "ms of CPU"),
        ],
        notes=[f"{PACKETS:,} packets, {capture.stat().st_size:,} bytes; the median of {ROUNDS} rounds by turns."],
    )


def metered(capture: Path) -> float:
    """Return the processor time that all flows take."""
    started = time.process_time()
    for _ in FlowReader([str(capture)], features="full", read_ahead=False):
        pass
    return time.process_time() - started


def recorded(capture: Path, folder: Path) -> float:
    """Return the processor time that keeping all packets takes."""
    ring = PacketRing(RingSettings(str(folder), bytes=4 * capture.stat().st_size + (16 << 20)))
    started = time.process_time()
    ring.copy([str(capture)])
    ring.close()
    return time.process_time() - started


def searched(capture: Path, folder: Path) -> float:
    """Return the processor time of looking for the packets of one flow."""
    row = next(iter(CaptureSource([str(capture)]))).frame.row(0, named=True)
    wanted = conversation_of_flow(row["orig_ip"], row["orig_port"], row["resp_ip"], row["resp_port"], row["protocol"])
    if wanted is None:
        raise AssertionError("the first flow has a protocol without a number")
    ring = PacketRing(RingSettings(str(folder), bytes=4 * capture.stat().st_size + (16 << 20)))
    started = time.process_time()
    for _ in ring.search([wanted], EVER, MOST):
        pass
    ring.close()
    return time.process_time() - started
