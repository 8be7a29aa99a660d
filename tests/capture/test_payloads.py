"""Payloads of captures: which there are, when they come, and what is wrong with captures that give none."""

from __future__ import annotations

from pathlib import Path

import pytest

from infraspectre import flows
from infraspectre.capture.payloads import ALL_PACKETS, CapturedPayloads
from infraspectre.errors import CaptureError
from talks import CLIENT, MARKER, SERVER, captured, download


def test_a_download_comes_when_its_packets_are_due(tmp_path: Path) -> None:
    source = CapturedPayloads([str(captured(tmp_path / "one.pcap", download))], {}, 1 << 20)
    assert list(source.payloads()) == []
    source.due = 20
    assert list(source.payloads()) == []
    assert source.account().packets == 20
    source.due = ALL_PACKETS
    (payload,) = source.payloads()
    assert list(source.payloads()) == []
    (content,) = payload.chunks
    assert (payload.kind, payload.name, len(content)) == ("http_body", "/tools/tool.bin", 400_000 + len(MARKER))
    assert (payload.orig, payload.resp) == (CLIENT.ip, SERVER.ip)
    (flow,) = next(flows(tmp_path / "one.pcap")).frame.to_dicts()
    assert payload.flow_id == flow["flow_id"]
    assert flow["started_at"] < payload.started_at < payload.ended_at <= flow["ended_at"]
    assert payload.packet is not None
    assert 4 < payload.packet < source.account().packets


def test_settings_reach_the_core(tmp_path: Path) -> None:
    path = captured(tmp_path / "one.pcap", download)
    spoilt = bytearray(path.read_bytes())
    at = spoilt.index(b"GET /tools")
    spoilt[at : at + 3] = b"PUT"
    path.write_bytes(spoilt)
    names = []
    for checksums in ("all", "none"):
        source = CapturedPayloads([str(path)], {"checksums": checksums}, 1 << 20)
        source.due = ALL_PACKETS
        names.append([payload.name for payload in source.payloads()])
    assert "/tools/tool.bin" not in names[0]
    assert "/tools/tool.bin" in names[1]


def test_what_cannot_be_opened_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match=r"none\.pcap"):
        CapturedPayloads([str(tmp_path / "none.pcap")], {}, 1 << 20)
