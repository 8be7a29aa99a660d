"""Reads a capture with NFStream and prints what it found and took, its worker process included."""

from __future__ import annotations

import json
import resource
import sys
import time

from nfstream import NFStreamer  # type: ignore[import-not-found]


def cpu_s() -> float:
    """Return the processor time of this process and of its finished workers."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def main() -> None:
    """Read the capture named first."""
    started_s, started_cpu_s = time.perf_counter(), cpu_s()
    flows = packets = 0
    for flow in NFStreamer(source=sys.argv[1], statistical_analysis=True, n_dissections=0, n_meters=1):
        flows += 1
        packets += flow.bidirectional_packets
    cost = {"wall_s": time.perf_counter() - started_s, "cpu_s": cpu_s() - started_cpu_s}
    print(json.dumps({"flows": flows, "packets": packets, **cost}))


if __name__ == "__main__":
    main()
