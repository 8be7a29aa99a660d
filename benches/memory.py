"""Peak memory of a scan of a million flows, all of which are open at once."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from benches import captures
from benches.process import COMMAND, checked, read
from benches.report import Figure, Report, UnavailableError

FLOWS, FEW = 1_000_000, 1_000
MIB = 1 << 20


def measure() -> Report:
    """Measure while flows are read and dropped, beside a scan of few flows, written, and analyzed."""
    if not Path("/proc/self/status").exists():
        raise UnavailableError("the peak memory of a process is read from /proc, which is not here")
    many, few = captures.bulk("scan", FLOWS), captures.bulk("scan", FEW)
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        _, written_peak = flows_and_peak(many, str(Path(folder, "flows.parquet")))
        analyzed = json.loads(checked([*COMMAND, "analyze", many, "--out", folder, "--json"]).out)
    found, peak = flows_and_peak(many)
    few_found, base = flows_and_peak(few)
    return Report(
        [
            Figure("flows found", found, "", f"{FLOWS:,}"),
            Figure("peak memory, flows read and dropped", peak / MIB, "MiB", "512 MiB"),
            Figure("peak memory, flows written as Parquet", written_peak / MIB, "MiB", "512 MiB"),
            Figure("peak memory, analyzed with report", analyzed["peak_rss_bytes"] / MIB, "MiB", "512 MiB"),
            Figure("flows analyzed per CPU-second", found / analyzed["cpu_s"], ""),
            Figure("bytes per flow", (peak - base) / (found - few_found), "", "", "320"),
        ],
        notes=[f"Bytes per flow are counted above the {base / MIB:.0f} MiB that the process takes for {FEW:,} flows."],
    )


def flows_and_peak(capture: Path, *out: str) -> tuple[int, int]:
    """Return the flows of a capture and the peak memory, in bytes, of a process that reads or writes them."""
    found, _ = read(sys.executable, "infraspectre_reader", capture, *out)
    return found["flows"], found["peak_rss_bytes"]
