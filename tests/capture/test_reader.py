"""What a capture loses, as its reader accounts for it."""

from __future__ import annotations

from pathlib import Path

from infraspectre.capture import CaptureSource
from infraspectre.simulation.packets import arp, ethernet
from infraspectre.simulation.pcap import write_pcap

MOST_WAITING = 1 << 17
"""Claims for which the core has room."""


def test_claims_that_nobody_takes_are_not_lost(tmp_path: Path) -> None:
    mac = b"\2\0\0\0\0\7"
    frame = ethernet(bytes(6), mac, 0x0806, arp(2, mac, bytes([10, 0, 0, 7]), bytes(6), bytes([10, 0, 0, 9])))
    write_pcap(tmp_path / "a.pcap", ((n, frame) for n in range(MOST_WAITING + 3)))
    source = CaptureSource([str(tmp_path / "a.pcap")])
    assert not list(source)
    assert not source.account().has_losses
    assert len(source.claims()) == MOST_WAITING
    assert source.account().shed["address_claims"] == 3
