"""Outputs of repeated runs, on one core and on two, with and without reading ahead: they must be the same bytes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory

from benches import captures
from benches.process import COMMAND, checked
from benches.report import Figure, Report, Table
from infraspectre._core import FlowReader, ParquetWriter
from infraspectre.simulation import simulate

FILES = ("flows.parquet", "alerts.jsonl", "detections.jsonl", "incidents.jsonl")
CORES = ("0", "0,1", "0,1")
MIXED_PACKETS = 200_000


def measure() -> Report:
    """Compare the runs over a bulk capture and one that raises incidents."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        campaign = simulate("campaign", Path(folder)).capture.rename(Path(folder, "campaign.pcap"))
        rows = [row for capture in (campaign, captures.bulk("mixed", MIXED_PACKETS)) for row in compare(capture)]
    equal = sum(row[-1] == "yes" for row in rows)
    header = ("capture", "file", "bytes", "same in all runs")
    figure = Figure("outputs that are byte-identical", f"{equal} of {len(rows)}", "", "all")
    runs = f"`analyze` ran on cores {', then '.join(CORES)}; flows were read with and without reading ahead."
    return Report([figure], [Table("", header, rows)], [runs])


def compare(capture: Path) -> list[tuple[str, str, int, str]]:
    """Return one row for each file, and one for reading ahead."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as place:
        folder = Path(place)
        folders = [analyzed(capture, folder / str(number), cores) for number, cores in enumerate(CORES)]
        kinds = {name: [one / name for one in folders] for name in FILES}
        kinds["flows, read ahead or not"] = [
            flows(capture, folder / f"{ahead}.parquet", ahead) for ahead in (False, True)
        ]
        return [(capture.stem, name, paths[0].stat().st_size, same(paths)) for name, paths in kinds.items()]


def analyzed(capture: Path, out: Path, cores: str) -> Path:
    """Analyze a capture on the given cores; return the folder of the results."""
    checked([*COMMAND, "analyze", capture, "--out", out, "--quiet"], cores)
    return out


def flows(capture: Path, out: Path, read_ahead: bool) -> Path:
    """Write the flows of a capture; return the file."""
    writer = ParquetWriter(str(out))
    for batch in FlowReader([str(capture)], read_ahead=read_ahead):
        writer.write(batch)
    writer.close()
    return out


def same(paths: list[Path]) -> str:
    """Tell whether files hold the same bytes."""
    return "yes" if len({hashlib.sha256(path.read_bytes()).digest() for path in paths}) == 1 else "no"
