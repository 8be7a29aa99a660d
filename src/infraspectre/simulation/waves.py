"""Captures too large for memory: packets and flows are made, sorted and written wave by wave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from infraspectre.records.times import rfc3339
from infraspectre.simulation import pcap
from infraspectre.simulation.capture import Behaviour
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.results import (
    FLOW_COLUMNS,
    Labels,
    SimulationResult,
    behaviour_label,
    host_label,
    write_flows,
)
from infraspectre.simulation.stamps import Frames

Times = npt.NDArray[np.int64]
Block = tuple[Times, Frames]
"""Times in nanoseconds since the epoch, and as many frames of one length."""
Row = tuple[object, ...]
_STARTED_AT = FLOW_COLUMNS.index("started_at")


@dataclass(frozen=True)
class Wave:
    """Holds packets that all come before those of the next wave, and the rows of their flows."""

    blocks: list[Block]
    rows: list[Row]


@dataclass
class Bulk:
    """Writes waves of one behaviour as they come, and counts them."""

    behaviour: Behaviour
    hosts: list[Host]
    """Hosts worth naming; the many others are only in the flow table."""
    waves: Iterator[Wave]
    packets: int = 0
    flows: int = 0
    started_at: int = 0
    ended_at: int = 0

    def write(self, out: Path, scenario: str, seed: int, options: Mapping[str, object]) -> SimulationResult:
        """Write the capture and its truth into a folder."""
        out.mkdir(parents=True, exist_ok=True)
        with (out / "capture.pcap").open("wb") as file:
            file.write(pcap.HEADER)
            write_flows(out / "flows.csv", self._rows(file))
        behaviour = behaviour_label(self.behaviour, self.started_at, self.ended_at, self.flows)
        facts = rfc3339(self.started_at), rfc3339(self.ended_at), self.packets, self.flows
        return Labels(scenario, seed, options, *facts, [host_label(host) for host in self.hosts], [behaviour]).write(
            out
        )

    def _rows(self, file: BinaryIO) -> Iterator[Row]:
        for wave in self.waves:
            file.write(records(wave.blocks))
            self._count(wave)
            yield from sorted(wave.rows, key=lambda row: str(row[_STARTED_AT]))

    def _count(self, wave: Wave) -> None:
        self.packets += sum(len(times) for times, _ in wave.blocks)
        self.flows += len(wave.rows)
        first = min(int(times.min()) for times, _ in wave.blocks)
        self.started_at = self.started_at or first
        self.ended_at = max(int(times.max()) for times, _ in wave.blocks)


def records(blocks: list[Block]) -> bytes:
    """Lay out frames as pcap records in order of time."""
    times = np.concatenate([times for times, _ in blocks])
    lengths = np.concatenate([np.full(len(frames), frames.shape[1], np.int64) for _, frames in blocks])
    order = np.argsort(times, kind="stable")
    starts = np.empty(len(times), np.int64)
    sizes = lengths[order] + pcap.RECORD_BYTES
    starts[order] = np.cumsum(sizes) - sizes
    out = np.zeros(int(sizes.sum()), np.uint8)
    first = 0
    for block_times, frames in blocks:
        rows = np.concatenate([_headers(block_times, frames.shape[1]), frames], axis=1)
        out[starts[first : first + len(rows), None] + np.arange(rows.shape[1])] = rows
        first += len(rows)
    return out.tobytes()


def _headers(times: Times, length: int) -> Frames:
    fields = np.empty((len(times), 4), "<u4")
    fields[:, 0], fields[:, 1] = times // 1_000_000_000, times % 1_000_000_000
    fields[:, 2:] = length
    return fields.view(np.uint8)
