"""Reads every capture of the test data with `infraspectre flows`: none may crash it, hang it or lose packets."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from benches import captures
from benches.report import Figure, Report, Table
from benches.workers import Ended, do_all
from infraspectre import cli
from infraspectre._core import FlowReader
from infraspectre.errors import EXIT_DONE, EXIT_LOSSES

SUFFIXES = (".pcap", ".pcapng", ".cap", ".pcap.gz", ".pcap.zst")
LONGEST_S = 10.0
SLOWEST_SHOWN = 5


@dataclass(frozen=True)
class Outcome:
    """Holds how reading one capture ended; a status of None is a hang, and a negative one a signal."""

    path: Path
    status: int | None
    seconds: float
    packets: int = 0
    unaccounted: int = 0
    """Packets that are in no flow and in no count of what is no flow."""

    @property
    def is_good(self) -> bool:
        """Tell whether it ended as it must."""
        return self.status in (EXIT_DONE, EXIT_LOSSES) and self.seconds < LONGEST_S and not self.unaccounted


def measure() -> Report:
    """Read all captures."""
    outcomes = list(survey(all_captures()))
    statuses = [sum(one.status == status for one in outcomes) for status in (EXIT_DONE, EXIT_LOSSES)]
    bad = [row(one) for one in outcomes if not one.is_good]
    slowest = sorted(outcomes, key=lambda one: -one.seconds)[:SLOWEST_SHOWN]
    return Report(
        [
            Figure("captures", len(outcomes)),
            Figure("packets", sum(one.packets for one in outcomes)),
            Figure("ended well (exit status 0)", statuses[0]),
            Figure("ended well with reported losses (exit status 3)", statuses[1]),
            Figure("crashed, hung, refused, or lost packets", len(bad), "", "0"),
            Figure("slowest capture", slowest[0].seconds, "s", "10 s"),
        ],
        [
            Table("Captures that did not end well", HEADER, bad),
            Table("Slowest captures", HEADER, list(map(row, slowest))),
        ],
    )


HEADER = ("capture", "exit status", "seconds", "packets", "unaccounted")


def row(one: Outcome) -> tuple[str, str, float, int, int]:
    """Return an outcome as a row of the table."""
    status = "hung" if one.status is None else str(one.status)
    return str(one.path.relative_to(captures.test_data())), status, one.seconds, one.packets, one.unaccounted


def all_captures() -> list[Path]:
    """Return every labelled capture and whatever else has the name of one."""
    root = captures.test_data()
    named = {path for path in root.rglob("*") if path.name.lower().endswith(SUFFIXES) and path.is_file()}
    return sorted(named | {row["path"] for row in captures.labelled()})


def survey(paths: list[Path]) -> Iterator[Outcome]:
    """Read captures in a process of its own, which is replaced whenever it dies or hangs."""
    for path, outcome in zip(paths, do_all(read, paths, LONGEST_S), strict=True):
        yield Outcome(path, outcome.status, outcome.seconds) if isinstance(outcome, Ended) else outcome


def read(path: Path) -> Outcome:
    """Read one capture twice: as a command, and to count its packets."""
    with TemporaryDirectory(prefix="infraspectre-bench-") as folder:
        started = time.monotonic()
        status = cli.run(["flows", str(path), "--out", str(Path(folder, "flows.parquet")), "--quiet"])
        seconds = time.monotonic() - started
    if status not in (EXIT_DONE, EXIT_LOSSES):
        return Outcome(path, status, seconds)
    return Outcome(path, status, seconds, *conservation(path))


def conservation(path: Path) -> tuple[int, int]:
    """Return the packets of a capture, and how many of them are in no flow and in no count of what is no flow."""
    reader = FlowReader([str(path)], features="base")
    frames = (pl.DataFrame(batch).select("orig_packets", "resp_packets") for batch in reader)
    in_flows = sum(int(frame.select(pl.sum_horizontal(pl.all().sum().cast(pl.Int64))).item()) for frame in frames)
    summary = reader.summary()
    aside = sum(summary["without_flow"].values()) + sum(summary["malformed"].values())
    return summary["packets"], summary["packets"] - in_flows - aside
