"""Packets per CPU-second with 31,232 rules and EVE output, beside NFStream, and Suricata where it is installed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benches import captures, suricata
from benches.process import COMMAND, checked, peer_python, read
from benches.report import Cell, Figure, Report, Table, UnavailableError
from benches.speed import CAPTURES
from infraspectre.simulation.pcap import write_pcap

ROUNDS = 3
MIB = 1 << 20
RULES = Path("rules", "et-open-2024-09", "et.rules.zst")
"""31,232 rules in one file; it says itself what they were put together from."""
SURICATA_RATES = {"mixed": 240_000, "diverse": 261_000, "elephant": 545_000, "scan": 100_000}
NFSTREAM_RATE = 150_000
"""Packets per CPU-second of Suricata 8.0.7 with these rules, and of NFStream on the mixed capture, on one machine."""
FLOOR, AIM = "2.5 x", "5 x"
SETTINGS = ("--set", "vars.address-groups.HOME_NET=any", "--set", "vars.address-groups.EXTERNAL_NET=any")
METHOD = (
    f"Each capture is read {ROUNDS} times by each program in turn, on one core, after a round that is left out; the "
    "median counts. Matching is what a process takes for a capture once the rules are loaded, with the alerts written "
    "as EVE; the command is `infraspectre alerts` from start to exit, loading included. NFStream reads the same "
    "captures (`statistical_analysis=True, n_dissections=0, n_meters=1`). Where Suricata is not installed, its rates "
    "on another machine are scaled by NFStream's on the mixed capture, there and here: it reads that in every round, "
    "for the speed of a machine changes within minutes, and the median of the rounds counts."
)


@dataclass(frozen=True)
class Round:
    """Holds what one round over a capture took."""

    found: dict[str, Any]
    command_cpu_s: float
    nfstream_cpu_s: float | None
    suricata_cpu_s: float | None
    scale: float | None
    """NFStream's rate on the mixed capture over what it is on the machine of Suricata's rates."""


@dataclass(frozen=True)
class Speed:
    """Holds the rounds over one capture."""

    name: str
    rounds: list[Round]

    @property
    def packets(self) -> int:
        """Return the packets of the capture."""
        return int(self.rounds[0].found["packets"])

    def rate(self, seconds: Iterable[float | None]) -> float | None:
        """Return packets per second of the median round."""
        known = [one for one in seconds if one]
        return self.packets / median(known) if known else None

    @property
    def matching(self) -> float:
        """Return packets per CPU-second once the rules are loaded."""
        return self.packets / median(float(one.found["cpu_s"]) for one in self.rounds)

    @property
    def nfstream(self) -> float | None:
        """Return packets per CPU-second of NFStream."""
        return self.rate(one.nfstream_cpu_s for one in self.rounds)

    @property
    def scaled(self) -> float | None:
        """Return our rate over Suricata's on another machine, by the median round."""
        theirs = [(run, SURICATA_RATES[self.name] * run.scale) for run in self.rounds if run.scale]
        ours = [self.packets / float(run.found["cpu_s"]) / rate for run, rate in theirs]
        return median(ours) if ours else None

    @property
    def suricata(self) -> float | None:
        """Return packets per CPU-second of Suricata, loading apart."""
        return self.rate(one.suricata_cpu_s for one in self.rounds)


def measure() -> Report:
    """Measure all captures."""
    suricata.require_engine()
    notes = [METHOD]
    peer = None
    try:
        peer = peer_python()
    except UnavailableError as reason:
        notes.append(f"NFStream was left out: {reason}.")
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        bench = Bench(Path(folder), peer)
        speeds = [bench.measure(name, make()) for name, make in CAPTURES.items()]
        loads = [bench.load() for _ in range(ROUNDS)]
    return Report([*load_figures(loads), *ratio_figures(speeds)], [table(speeds)], notes)


class Bench:
    """Lets the programs read captures by turns."""

    def __init__(self, folder: Path, peer: Path | None) -> None:
        """Unpack the rules into a folder; `peer` is the Python that has NFStream."""
        self._folder = folder
        self._peer = peer
        self._suricata = shutil.which("suricata")
        self._rules = folder / "et.rules"
        self._rules.write_bytes(unpacked(captures.test_data() / RULES))
        self._nothing = folder / "nothing.pcap"
        write_pcap(self._nothing, [])
        self._suricata_load_s = self._suricata_cpu_s(self._nothing) or 0.0

    def measure(self, name: str, capture: Path) -> Speed:
        """Measure one capture; the first round warms the caches."""
        return Speed(name, [self._round(capture) for _ in range(ROUNDS + 1)][1:])

    def _round(self, capture: Path) -> Round:
        found = self._inside(capture)
        out = self._folder / "eve.jsonl"
        command: list[str | Path] = [*COMMAND, "alerts", capture, "--rules", self._rules, "--out", out]
        ours = checked([*command, *SETTINGS, "--set", "checksums=none", "--quiet"])
        theirs = self._nfstream(capture)
        mixed = CAPTURES["mixed"]()
        yardstick = theirs if capture == mixed else self._nfstream(mixed)
        scale = yardstick["packets"] / yardstick["cpu_s"] / NFSTREAM_RATE if yardstick else None
        whole = self._suricata_cpu_s(capture)
        alone = whole - self._suricata_load_s if whole else None
        return Round(found, ours.cpu_s, theirs["cpu_s"] if theirs else None, alone, scale)

    def _nfstream(self, capture: Path) -> dict[str, Any] | None:
        return read(self._peer, "nfstream_reader", capture)[0] if self._peer else None

    def _inside(self, capture: Path) -> dict[str, Any]:
        return read(sys.executable, "alerts_reader", capture, str(self._rules), str(self._folder / "eve.jsonl"))[0]

    def load(self) -> dict[str, Any]:
        """Load the rules and read a capture without packets."""
        return self._inside(self._nothing)

    def _suricata_cpu_s(self, capture: Path) -> float | None:
        if not self._suricata:
            return None
        options = ("-S", self._rules, "-l", self._folder, "-k", "none", "--runmode=single", *SETTINGS)
        return checked([self._suricata, "-r", capture, *options]).cpu_s


def unpacked(path: Path) -> bytes:
    """Return the content of a file compressed with Zstandard."""
    import pyarrow

    with pyarrow.input_stream(path, compression="zstd") as stream:
        return bytes(stream.read())


def load_figures(loads: list[dict[str, Any]]) -> list[Figure]:
    """Return what the rules take before the first packet."""
    rules, refused = loads[0]["rules"], loads[0]["refused"]
    accepted = f"{rules:,} of {rules + refused:,} ({rules / (rules + refused):.2%})"
    memory = max(one["peak_rss_bytes"] for one in loads)
    return [
        Figure("rules loaded", accepted, "", "99%", "100%"),
        Figure("loading, CPU time", median(one["load_cpu_s"] for one in loads), "s", "3 s", "1.5 s"),
        Figure("peak memory with the rules loaded", memory / MIB, "MiB"),
    ]


def ratio_figures(speeds: list[Speed]) -> list[Figure]:
    """Return our rate over Suricata's, measured or scaled, and the greatest peak of memory."""
    figures = []
    for one in speeds:
        over = one.matching / one.suricata if one.suricata else one.scaled
        how = "" if one.suricata else " (scaled)"
        if over:
            figures.append(Figure(f"rate over Suricata's{how}, {one.name}", over, "x", FLOOR, AIM))
    peak = max(run.found["peak_rss_bytes"] for one in speeds for run in one.rounds)
    return [*figures, Figure("peak memory, any capture", peak / MIB, "MiB", "400 MB", "250 MB")]


def table(speeds: list[Speed]) -> Table:
    """Return all rates."""
    header = (
        "capture", "packets", "alerts", "packets/CPU-s, matching", "packets/CPU-s, command", "NFStream", "Suricata",
        "over NFStream",
    )  # fmt: skip
    return Table("", header, [row(one) for one in speeds])


def row(one: Speed) -> list[Cell]:
    """Return the rates of one capture."""
    command = one.rate(run.command_cpu_s for run in one.rounds) or 0.0
    over = one.matching / one.nfstream if one.nfstream else "-"
    alerts = int(one.rounds[0].found["alerts"])
    return [one.name, one.packets, alerts, one.matching, command, one.nfstream or "-", one.suricata or "-", over]
