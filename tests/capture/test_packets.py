"""The packets behind alerts: whose they are, and that they are whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infraspectre.capture import packets
from infraspectre.capture.packets import Conversations, conversation
from infraspectre.errors import CaptureError
from infraspectre.simulation import simulate
from signature_fakes import alert


def noted(*events: dict[str, Any]) -> Conversations:
    conversations = Conversations()
    conversations.note(b"".join(json.dumps(event).encode() + b"\n" for event in events))
    return conversations


def test_an_event_names_its_conversation() -> None:
    assert conversation(alert(7)) == ("10.0.0.1", 40000, "10.0.0.2", 9, 17)
    assert conversation(alert(7, proto="089")) == ("10.0.0.1", 40000, "10.0.0.2", 9, 89)
    assert conversation({"event_type": "alert", "proto": "ICMP", "src_ip": "::1", "dest_ip": "::2"}) == (
        "::1", 0, "::2", 0, 1,
    )  # fmt: skip
    assert conversation({"event_type": "alert", "proto": "UDP"}) is None
    assert conversation(alert(7, proto="?")) is None


def test_the_packets_of_a_conversation_are_picked_out(capture: Path) -> None:
    source = noted(alert(7)).packets([str(capture)])
    file = b"".join(source)
    assert source.packets == 1
    assert file.startswith(b"\x0a\x0d\x0d\x0a")
    assert capture.read_bytes()[-4:] in file
    other = noted(alert(7, dest_port=10)).packets([str(capture)])
    assert (len(b"".join(other)), other.packets) == (28, 0)


def test_what_was_picked_out_can_be_read_as_a_capture(tmp_path: Path) -> None:
    import infraspectre

    simulate("port-scan", tmp_path, 1)
    (whole,) = infraspectre.flows(tmp_path / "capture.pcap")
    rows = whole.frame.filter(whole.frame["protocol"] == "tcp")
    row = rows.row(len(rows) // 2, named=True)
    ends = {
        "src_ip": row["resp_ip"],
        "src_port": row["resp_port"],
        "dest_ip": row["orig_ip"],
        "dest_port": row["orig_port"],
    }
    pieces = noted(alert(7, proto="TCP", **ends)).packets([str(tmp_path / "capture.pcap")])
    (tmp_path / "picked.pcapng").write_bytes(b"".join(pieces))
    (picked,) = infraspectre.flows(tmp_path / "picked.pcapng")
    same = ["orig_ip", "orig_port", "resp_ip", "resp_port", "started_at", "ended_at", "orig_bytes", "resp_bytes"]
    assert picked.frame.select(same).row(0) == tuple(row[name] for name in same)


def test_remembered_conversations_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packets, "MOST_CONVERSATIONS", 2)
    assert noted(*(alert(7, dest_port=port) for port in (1, 2, 3, 1))).surplus == 1


def test_a_capture_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="absent"):
        noted(alert(7)).packets([str(tmp_path / "absent.pcap")])
