"""What a simulation leaves behind: the capture, its labels and the truth about every flow."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from infraspectre.files import make_folder, write_whole
from infraspectre.records.times import rfc3339
from infraspectre.simulation.capture import Behaviour, Capture, Flow
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.pcap import write_pcap

FLOW_COLUMNS = (
    "community_id", "orig_ip", "orig_port", "resp_ip", "resp_port", "protocol", "started_at", "ended_at",
    "orig_packets", "resp_packets", "orig_bytes", "resp_bytes", "label", "behaviour",
)  # fmt: skip
"""Columns of `flows.csv`; times are nanoseconds since the epoch, bytes are IP payload lengths."""


@dataclass(frozen=True)
class SimulationResult:
    """Tells where a simulated capture lies and how much is in it."""

    scenario: str
    capture: Path
    labels: Path
    flows_file: Path
    packets: int
    flows: int
    behaviours: tuple[str, ...]
    """Names of the behaviours shown, attacks and benign ones."""


def label(behaviour: Behaviour) -> tuple[str, str]:
    """Return the last two columns of a flow: its label and its behaviour's name."""
    return "attack" if behaviour.attack else "benign", behaviour.name


def flow_row(flow: Flow) -> tuple[object, ...]:
    """Return a flow as a row of the flow table."""
    ends = flow.orig.ip, flow.orig_port, flow.resp.ip, flow.resp_port
    counts = flow.orig_packets, flow.resp_packets, flow.orig_bytes, flow.resp_bytes
    times = flow.started_at, flow.ended_at
    return (flow.community_id, *ends, flow.protocol, *times, *counts, *label(flow.behaviour))


def write_flows(path: Path, rows: Iterable[tuple[object, ...]]) -> None:
    """Write rows of the flow table."""
    text = StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(FLOW_COLUMNS)
    writer.writerows(rows)
    write_whole(path, text.getvalue().encode())


@dataclass(frozen=True)
class Labels:
    """Says what a capture shows; its fields are those of `labels.json`, with times in RFC 3339."""

    scenario: str
    seed: int
    options: Mapping[str, object]
    started_at: str
    ended_at: str
    packets: int
    flows: int
    hosts: list[dict[str, str]]
    behaviours: list[dict[str, Any]]

    def write(self, out: Path) -> SimulationResult:
        """Write `labels.json` beside the capture and the flows, and tell where all of them lie."""
        path = out / "labels.json"
        write_whole(path, (json.dumps(asdict(self), indent=2) + "\n").encode())
        names = tuple(str(behaviour["name"]) for behaviour in self.behaviours)
        files = out / "capture.pcap", path, out / "flows.csv"
        return SimulationResult(self.scenario, *files, self.packets, self.flows, names)


def behaviour_label(behaviour: Behaviour, started_at: int, ended_at: int, flows: int) -> dict[str, Any]:
    """Describe a behaviour and the flows that show it."""
    return {
        "name": behaviour.name,
        "category": behaviour.category,
        "attack": behaviour.attack,
        "techniques": list(behaviour.techniques),
        "attackers": behaviour.attackers,
        "victims": behaviour.victims,
        "control_servers": behaviour.control_servers,
        "campaign": behaviour.campaign,
        "parameters": behaviour.parameters,
        "started_at": rfc3339(started_at),
        "ended_at": rfc3339(ended_at),
        "flows": flows,
    }


def host_label(host: Host) -> dict[str, str]:
    """Describe a host."""
    return {"ip": host.ip, "mac": host.mac.hex(":"), "name": host.name, "role": host.role}


def _behaviour_labels(capture: Capture) -> list[dict[str, Any]]:
    flows: dict[Behaviour, list[Flow]] = {behaviour: [] for behaviour in capture.behaviours}
    for flow in capture.flows:
        flows[flow.behaviour].append(flow)
    shown = ((behaviour, its) for behaviour, its in flows.items() if its)
    return [
        behaviour_label(behaviour, min(f.started_at for f in its), max(f.ended_at for f in its), len(its))
        for behaviour, its in shown
    ]


def write_result(
    capture: Capture, hosts: Iterable[Host], out: Path, scenario: str, seed: int, options: Mapping[str, object]
) -> SimulationResult:
    """Write `capture.pcap`, `flows.csv` and `labels.json` into a folder."""
    make_folder(out)
    packets = capture.packets()
    write_pcap(out / "capture.pcap", packets)
    write_flows(out / "flows.csv", map(flow_row, sorted(capture.flows, key=lambda flow: flow.started_at)))
    span = rfc3339(packets[0][0]), rfc3339(packets[-1][0])
    counts = len(packets), len(capture.flows)
    hosts_there = [host_label(host) for host in hosts]
    return Labels(scenario, seed, options, *span, *counts, hosts_there, _behaviour_labels(capture)).write(out)
