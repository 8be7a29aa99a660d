"""Hosts that claim addresses of others are found; failover, new leases, docking and a doubled address are not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from flow_rows import SECOND, START, flow, frame
from infraspectre import analyze
from infraspectre.records import Detection, FlowBatch
from infraspectre.simulation.pcap import write_pcap
from infraspectre.soma import ArpPoisoning, Soma

GATEWAY, VICTIM, POISONER = "02:00:00:00:00:01", "02:00:00:00:00:05", "02:00:00:00:00:66"
SCHEMA: dict[str, Any] = {
    "packet": pl.UInt64, "at": pl.Int64, "vlan": pl.UInt16, "address": pl.String, "mac": pl.String,
    "target": pl.String, "is_reply": pl.Boolean,
}  # fmt: skip
Said = tuple[float, str, str, bool]
"""When, which address, which hardware address, and whether it is an answer."""


class Told:
    """Hands over claims once."""

    def __init__(self, said: list[Said]) -> None:
        rows = [
            {"packet": n, "at": START + round(at * SECOND), "address": address, "mac": mac, "target": "10.0.0.9",
             "is_reply": is_reply}
            for n, (at, address, mac, is_reply) in enumerate(sorted(said), start=1)
        ]  # fmt: skip
        self._frame = pl.DataFrame(rows, schema=SCHEMA)

    def claims(self) -> pl.DataFrame:
        told, self._frame = self._frame, self._frame.clear()
        return told


def usual(until_s: float = 900.0) -> Iterator[Said]:
    """Give what a quiet network says: each host asks now and then."""
    for at in range(0, round(until_s), 60):
        yield at, "10.0.0.1", GATEWAY, False
        yield at + 7, "10.0.0.5", VICTIM, False
    yield 3, "10.0.0.66", POISONER, False


def poisoned(begin_s: float = 120.0, until_s: float = 600.0, every_s: float = 5.0) -> Iterator[Said]:
    """Give what a host says that sits between the gateway and a victim."""
    for turn in range(round((until_s - begin_s) / every_s)):
        yield begin_s + turn * every_s, "10.0.0.1", POISONER, True
        yield begin_s + turn * every_s + 0.1, "10.0.0.5", POISONER, True


def found_in(said: list[Said], rows: list[dict[str, Any]] | None = None, size: int = 99) -> list[Detection]:
    soma = Soma([ArpPoisoning(Told(said))])
    flows = frame(rows or [flow()])
    found = [each for part in flows.iter_slices(size) for each in soma.detect(FlowBatch(part))]
    return found + soma.finish()


def test_a_host_between_two_others_is_found() -> None:
    found = found_in([*usual(), *poisoned()])
    assert [(each.category, each.severity, each.orig) for each in found[:1]] == [
        ("arp_poisoning", "critical", "10.0.0.66")
    ]
    assert found[0].resp in ("10.0.0.1", "10.0.0.5")
    assert [each.id for each in found[0].techniques] == ["T1557.002"]


def test_who_poisons_from_the_first_packet_on_is_named_all_the_same() -> None:
    late = [(at + 30, address, mac, is_reply) for at, address, mac, is_reply in usual()]
    found = found_in([*late, (0.0, "10.0.0.66", POISONER, False), *poisoned(begin_s=1.0)])
    assert {each.orig for each in found} == {"10.0.0.66"}


def test_a_host_that_never_asks_is_named_by_its_flows() -> None:
    said = [each for each in usual() if each[2] != POISONER]
    found = found_in([*said, *poisoned()], [flow(orig_ip="10.0.0.66", orig_mac=POISONER)])
    assert {each.orig for each in found} == {"10.0.0.66"}


def test_batches_leave_no_trace() -> None:
    rows = [flow(n, orig_mac=VICTIM, orig_packets=1, resp_packets=0) for n in range(40)]
    said = [*usual(), *poisoned()]
    assert found_in(said, rows, 1) == found_in(said, rows, 40)


@pytest.mark.parametrize(
    "other",
    [
        [(at, "10.0.0.1", f"00:00:5e:00:01:{router:02x}", True) for at in range(100, 800, 10) for router in (1, 2)],
        [(at, "10.0.0.7", VICTIM, False) for at in range(0, 900, 30)]
        + [(at, "10.0.0.7", POISONER, False) for at in range(2_000, 2_900, 30)],
        [(at, "10.0.0.66", "02:00:00:00:00:77", False) for at in range(100, 800, 10)],
        [(100.0, "10.0.0.1", POISONER, True), (101.0, "10.0.0.1", POISONER, True)],
    ],
    ids=["failover", "lease given to another", "docking", "a slip"],
)  # fmt: skip
def test_other_claims_are_quiet(other: list[Said]) -> None:
    assert found_in([*usual(), *other]) == []


def test_two_hosts_with_one_address_are_of_low_severity() -> None:
    double = [(at + 0.5, "10.0.0.5", "02:00:00:00:00:77", False) for at in range(100, 800, 20)]
    assert {each.severity for each in found_in([*usual(), *double])} == {"low"}


def arp(mac: str, address: str, is_reply: bool) -> bytes:
    sender = bytes.fromhex(mac.replace(":", "")) + bytes(map(int, address.split(".")))
    head = bytes.fromhex("0001080006040002" if is_reply else "0001080006040001")
    return b"\xff" * 6 + sender[:6] + b"\x08\x06" + head + sender + bytes(6) + bytes([10, 0, 0, 9])


def test_captures_are_read(tmp_path: Path) -> None:
    path = tmp_path / "arp.pcap"
    said = sorted([*usual(), *poisoned()])
    write_pcap(path, ((START + round(at * SECOND), arp(mac, address, reply)) for at, address, mac, reply in said))
    found = analyze(path).detections
    assert [(each.category, each.orig) for each in found[:1]] == [("arp_poisoning", "10.0.0.66")]


def test_a_host_whose_address_nobody_knows_is_not_named_by_that_of_another() -> None:
    said = [each for each in usual() if each[2] != POISONER]
    third = [(at + 0.2, "10.0.0.7", POISONER, True) for at in range(120, 600, 5)]
    owner = [(100.0, "10.0.0.7", "02:00:00:00:00:07", False)]
    found = found_in([*said, *poisoned(), *third, *owner])
    assert {each.orig for each in found} == {None}
    assert POISONER in found[0].evidence.summary
