from __future__ import annotations

import struct
from collections import Counter
from pathlib import Path

import pytest
from benches import evasions
from benches.evasions import ATTACK, POLICIES, Case, reassembled

from infraspectre import _core
from infraspectre.simulation.packets import checksum
from infraspectre.simulation.pcap import write_pcap

SPOILED = "bad checksum", "bad IP checksum"
"""Names of the faults that are wrong checksums."""


@pytest.fixture(scope="module")
def attacks() -> list[Case]:
    return evasions.attacks()


def test_there_are_many_cases_and_none_twice(attacks: list[Case]) -> None:
    assert sum(one.is_attack for one in attacks) >= 500
    assert max(Counter((one.way, one.name) for one in attacks).values()) == 1
    assert len({tuple(one.frames) for one in attacks}) == len(attacks)


def test_twins_hold_no_attack(attacks: list[Case]) -> None:
    twins = evasions.twins()
    assert [one.name for one in twins] == [one.name for one in attacks]
    assert not any(one.is_attack for one in twins)
    assert not any(ATTACK in frame for one in twins for _, frame in one.frames)


@pytest.mark.parametrize(
    ("policy", "early", "late"),
    [("first", b"abcdZZ", b"YabcdZ"), ("last", b"abZZZZ", b"YYYYdZ"), ("bsd", b"abcdZZ", b"YYYYdZ")],
)
def test_receivers_resolve_overlaps_in_their_way(policy: str, early: bytes, late: bytes) -> None:
    behind = [(1, b"abcd"), (3, b"ZZZZ")]
    assert reassembled(behind, POLICIES[policy]) == early
    before = [(1, b"abcd"), (0, b"YYYY"), (5, b"Z")]
    assert reassembled(before, POLICIES[policy]) == late


def test_only_those_checksums_are_wrong_that_are_meant_to_be(attacks: list[Case]) -> None:
    for one in attacks:
        wrong = sum(has_wrong_checksum(frame[14:]) for _, frame in one.frames)
        assert wrong == any(fault in one.name for fault in SPOILED), one.name


def has_wrong_checksum(packet: bytes) -> bool:
    """Tell whether a checksum of a packet is wrong; those of fragments are left out."""
    if packet[0] >> 4 == 4:
        size, end = (packet[0] & 15) * 4, int.from_bytes(packet[2:4], "big")
        kind, source, target, payload = packet[9], packet[12:16], packet[16:20], packet[size:end]
        if checksum(packet[:size]):
            return True
        is_fragment = bool(int.from_bytes(packet[6:8], "big") & 0x3FFF)
    else:
        kind, source, target, payload = packet[6], packet[8:24], packet[24:40], packet[40:]
        payload = payload[: int.from_bytes(packet[4:6], "big")]
        is_fragment = kind == 44
        if kind == 0:  # hop-by-hop options
            kind, payload = payload[0], payload[8:]
    if is_fragment or (kind == 17 and payload[6:8] == bytes(2)):
        return False
    return checksum(source + target + struct.pack("!IHH", len(payload), 0, kind) + payload) != 0


def test_packets_are_sound_otherwise(attacks: list[Case], tmp_path: Path) -> None:
    capture = tmp_path / "all.pcap"
    frames = [frame for one in attacks[::7] for _, frame in one.frames]
    write_pcap(capture, list(enumerate(frames)))
    reader = _core.FlowReader([str(capture)], features="base")
    assert sum(len(batch) for batch in reader) > 0
    assert reader.summary()["malformed"] == {}
