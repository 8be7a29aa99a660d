"""Reads a capture with InfraSpectre and prints what it found and took."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import infraspectre
from infraspectre.app import write_flows


def count(capture: str, out: str | None = None) -> int:
    """Return the number of flows after reading them all, or writing them to a file."""
    return write_flows([capture], out).flows if out else sum(len(batch) for batch in infraspectre.flows(capture))


def peak_rss_bytes() -> int | None:
    """Return the peak memory of this program; getrusage(2) would include that of the one that started it."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def main() -> None:
    """Read the capture named first; write its flows to the file named second, if there is one."""
    started_s, started_cpu_s = time.perf_counter(), time.process_time()
    flows = count(*sys.argv[1:])
    cost = {"wall_s": time.perf_counter() - started_s, "cpu_s": time.process_time() - started_cpu_s}
    print(json.dumps({"flows": flows, **cost, "peak_rss_bytes": peak_rss_bytes()}))


if __name__ == "__main__":
    main()
