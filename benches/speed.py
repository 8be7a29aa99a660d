"""Packets per CPU-second with full features, beside NFStream on the same captures in the same run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import geometric_mean, median
from tempfile import TemporaryDirectory

from benches import captures
from benches.process import COMMAND, checked, peer_python, read
from benches.report import Figure, Report, Table, UnavailableError

ROUNDS = 5
"""Both programs take turns, so that what else happens on the machine meets both."""
CAPTURES: dict[str, Callable[[], Path]] = {
    "mixed": lambda: captures.bulk("mixed", 1_000_000),
    "scan": lambda: captures.bulk("scan", 200_000),
    "elephant": lambda: captures.bulk("elephant", 400_000),
    "diverse": lambda: captures.diverse(1_000_000),
}
RATES = {"mixed": (1_000_000, 3_000_000), "scan": (0, 4_000_000), "diverse": (0, 5_000_000)}
"""Packets per second on one core asked for, and aimed at."""
METHOD = (
    f"Each capture is read {ROUNDS} times by each program in turn, on one core; the median counts. A round before is "
    "left out: on a virtual machine it also pays for memory that the host took back meanwhile. 'Command' is "
    "`infraspectre flows X --out Y.parquet --features full` from start to exit against the whole NFStream process; "
    "'in process' is iterating over `infraspectre.flows(X)` against iterating over `NFStreamer(X)` "
    "(`statistical_analysis=True, n_dissections=0, n_meters=1`), without start-up. NFStream's time on scans grows with "
    "the square of the flows, so the scan has 200,000 of them."
)


@dataclass(frozen=True)
class Round:
    """Holds the seconds that one round took; the peer's are None where it is absent."""

    command_cpu_s: float
    inside_cpu_s: float
    inside_wall_s: float
    peer_command_cpu_s: float | None = None
    peer_inside_cpu_s: float | None = None


@dataclass(frozen=True)
class Speed:
    """Holds what was measured on one capture."""

    name: str
    packets: int
    rounds: list[Round]

    def rate(self, seconds: Callable[[Round], float]) -> float:
        """Return packets per second."""
        return self.packets / median(map(seconds, self.rounds))

    @property
    def ratios(self) -> tuple[float, float] | None:
        """Return how many times longer the peer took: as a command and in process."""
        pairs = [
            (one.peer_command_cpu_s / one.command_cpu_s, one.peer_inside_cpu_s / one.inside_cpu_s)
            for one in self.rounds
            if one.peer_command_cpu_s is not None and one.peer_inside_cpu_s is not None
        ]
        return (median(pair[0] for pair in pairs), median(pair[1] for pair in pairs)) if pairs else None

    def row(self) -> list[str | int | float]:
        """Return the row of the table."""
        rates = [self.rate(seconds) for seconds in (lambda one: one.command_cpu_s, lambda one: one.inside_cpu_s)]
        return [self.name, self.packets, *rates, self.rate(lambda one: one.inside_wall_s), *(self.ratios or ("-", "-"))]


def measure() -> Report:
    """Measure all captures."""
    notes = [METHOD]
    try:
        peer: Path | None = peer_python()
    except UnavailableError as reason:
        peer = None
        notes.append(f"NFStream was left out: {reason}.")
    speeds = [measure_one(name, make(), peer) for name, make in CAPTURES.items()]
    header = (
        "capture", "packets", "packets/CPU-s, command", "packets/CPU-s, in process", "packets/s, in process",
        "ratio, command", "ratio, in process",
    )  # fmt: skip
    return Report(
        ratio_figures(speeds) + rate_figures(speeds), [Table("", header, [one.row() for one in speeds])], notes
    )


def measure_one(name: str, capture: Path, peer: Path | None) -> Speed:
    """Measure one capture."""
    take_turns(capture, peer)
    return Speed(name, count_packets(capture), [take_turns(capture, peer) for _ in range(ROUNDS)])


def count_packets(capture: Path) -> int:
    """Return the packets of a capture; the file is in the page cache afterwards."""
    from infraspectre.capture import CaptureSource

    source = CaptureSource([str(capture)], "base")
    for _ in source:
        pass
    return source.account().packets


def take_turns(capture: Path, peer: Path | None) -> Round:
    """Let the programs read the capture, one after the other."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        out = Path(folder, "flows.parquet")
        command = checked([*COMMAND, "flows", capture, "--out", out, "--features", "full", "--quiet"])
    inside, _ = read(sys.executable, "infraspectre_reader", capture)
    ours = command.cpu_s, inside["cpu_s"], inside["wall_s"]
    if peer is None:
        return Round(*ours)
    peer_inside, peer_command = read(peer, "nfstream_reader", capture)
    return Round(*ours, max(peer_command.cpu_s, peer_inside["cpu_s"]), peer_inside["cpu_s"])


def ratio_figures(speeds: list[Speed]) -> list[Figure]:
    """Return the means of the ratios, and the least of them."""
    ratios = [one.ratios for one in speeds if one.ratios]
    if not ratios:
        return []
    figures = []
    for index, way in enumerate(("command", "in process")):
        values = [ratio[index] for ratio in ratios]
        figures.append(
            Figure(
                f"CPU time of NFStream over ours, geometric mean, {way}", geometric_mean(values), "x", "15 x", "40 x"
            )
        )
        figures.append(Figure(f"the same, least of the captures, {way}", min(values), "x", "6 x", "15 x"))
    return figures


def rate_figures(speeds: list[Speed]) -> list[Figure]:
    """Return the packets per second on one core, by the clock on the wall."""
    figures = []
    for one in speeds:
        floor, aim = RATES.get(one.name, (0, 0))
        marks = [f"{mark:,}" if mark else "" for mark in (floor, aim)]
        figures.append(
            Figure(f"packets per second on one core, {one.name}", one.rate(lambda r: r.inside_wall_s), "", *marks)
        )
    return figures
