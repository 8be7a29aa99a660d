"""A reader of captures written on its own, so that the writer is not checked by its own mistakes."""

from __future__ import annotations

import csv
import json
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from infraspectre.simulation import SimulationResult, simulate

COUNTERPARTS = {1: {8: 0, 0: 8}, 58: {128: 129, 129: 128, 135: 136, 136: 135}}
NAMES = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6"}


@dataclass
class SeenFlow:
    """Counts what was seen of one flow."""

    first: tuple[str, int, str, int]
    times: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=lambda: [0, 0, 0, 0])
    payload: tuple[bytearray, bytearray] = field(default_factory=lambda: (bytearray(), bytearray()))
    flags: list[tuple[bool, int]] = field(default_factory=list)


@dataclass
class Seen:
    """Holds all that an independent reading of a capture found."""

    times: list[int]
    frames: list[bytes]
    flows: dict[tuple[str, frozenset[tuple[str, int]]], SeenFlow]
    bad_checksums: int


def ones_sum(data: bytes) -> int:
    """Add 16-bit words with end-around carry, one by one (RFC 1071)."""
    total = 0
    for high, low in zip(data[::2], data[1::2] + b"\x00" * (len(data) % 2), strict=True):
        total += high << 8 | low
        total = (total & 0xFFFF) + (total >> 16)
    return total


def pcap_records(path: Path) -> Iterator[tuple[int, bytes]]:
    """Read the records of a little-endian nanosecond pcap."""
    data = path.read_bytes()
    assert struct.unpack_from("<IHH", data) == (0xA1B23C4D, 2, 4)
    at = 24
    while at < len(data):
        seconds, nanoseconds, stored, wire = struct.unpack_from("<IIII", data, at)
        assert stored == wire and nanoseconds < 1_000_000_000
        yield seconds * 1_000_000_000 + nanoseconds, data[at + 16 : at + 16 + stored]
        at += 16 + stored


def ip_parts(frame: bytes) -> tuple[bytes, bytes, int, bytes, bool]:
    """Return source, destination, protocol, payload and whether the header's checksum is right."""
    if frame[12:14] == b"\x86\xdd":
        length, protocol = struct.unpack_from("!HB", frame, 18)
        return frame[22:38], frame[38:54], protocol, frame[54 : 54 + length], True
    (length,) = struct.unpack_from("!H", frame, 16)
    return frame[26:30], frame[30:34], frame[23], frame[34 : 14 + length], ones_sum(frame[14:34]) == 0xFFFF


def transport_is_right(src: bytes, dst: bytes, protocol: int, payload: bytes) -> bool:
    """Verify the transport checksum."""
    pseudo = b"" if protocol == 1 else src + dst + struct.pack("!II", len(payload), protocol)
    return ones_sum(pseudo + payload) == 0xFFFF


def ports_of(protocol: int, payload: bytes) -> tuple[int, int]:
    if protocol in COUNTERPARTS:
        kind, code = payload[0], payload[1]
        return kind, COUNTERPARTS[protocol].get(kind, code)
    source, target = struct.unpack_from("!HH", payload)
    return source, target


def application_bytes(protocol: int, payload: bytes) -> bytes:
    return payload[(payload[12] >> 4) * 4 :] if protocol == 6 else payload[8:]


def read_capture(path: Path, verify: bool = True) -> Seen:
    """Read a capture into flows keyed by protocol and both ends."""
    seen = Seen([], [], {}, 0)
    for at, frame in pcap_records(path):
        seen.times.append(at)
        seen.frames.append(frame)
        if frame[12:14] != b"\x08\x06":
            _see(seen, at, frame, verify)
    return seen


def _see(seen: Seen, at: int, frame: bytes, verify: bool) -> None:
    src, dst, protocol, payload, header_is_right = ip_parts(frame)
    if verify:
        seen.bad_checksums += not (header_is_right and transport_is_right(src, dst, protocol, payload))
    ports = ports_of(protocol, payload)
    source, target = (str(ip_address(src)), ports[0]), (str(ip_address(dst)), ports[1])
    flow = seen.flows.setdefault((NAMES[protocol], frozenset((source, target))), SeenFlow((*source, *target)))
    from_orig = source == flow.first[:2]
    flow.times.append(at)
    flow.counts[0 if from_orig else 1] += 1
    flow.counts[2 if from_orig else 3] += len(payload)
    flow.payload[not from_orig].extend(application_bytes(protocol, payload))
    if protocol == 6:
        flow.flags.append((from_orig, payload[13]))


@pytest.fixture(scope="session")
def read() -> Callable[[Path], Seen]:
    """Read captures back that were not made by a scenario."""
    return read_capture


@dataclass
class Made:
    """Holds a simulated capture with everything written beside it."""

    result: SimulationResult
    labels: dict[str, Any]
    rows: list[dict[str, str]]
    seen: Seen

    def attacks(self) -> list[dict[str, Any]]:
        return [behaviour for behaviour in self.labels["behaviours"] if behaviour["attack"]]

    def rows_of(self, behaviour: str) -> list[dict[str, str]]:
        return [row for row in self.rows if row["behaviour"] == behaviour]

    def payloads(self, behaviour: str) -> list[tuple[bytes, bytes]]:
        """Return what both sides of each flow of a behaviour said."""
        return [(bytes(flow.payload[0]), bytes(flow.payload[1])) for flow in map(self.flow_of, self.rows_of(behaviour))]

    def flow_of(self, row: dict[str, str]) -> SeenFlow:
        return self.seen.flows[key_of(row)]


def key_of(row: dict[str, str]) -> tuple[str, frozenset[tuple[str, int]]]:
    ends = (row["orig_ip"], int(row["orig_port"])), (row["resp_ip"], int(row["resp_port"]))
    return row["protocol"], frozenset(ends)


Make = Callable[..., Made]


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Simulate once per scenario, seed and options, and read back what was written."""
    known: dict[str, Made] = {}

    def made(scenario: str, seed: int = 0, verify: bool = True, **options: object) -> Made:
        key = repr((scenario, seed, sorted(options.items())))
        if key not in known:
            result = simulate(scenario, tmp_path_factory.mktemp(scenario), seed, **options)
            with result.flows_file.open(newline="") as file:
                rows = list(csv.DictReader(file))
            known[key] = Made(result, json.loads(result.labels.read_text()), rows, read_capture(result.capture, verify))
        return known[key]

    return made
