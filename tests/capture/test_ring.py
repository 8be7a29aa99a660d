"""The ring of a sensor: what it keeps of a capture or an interface, and what is found in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from infraspectre.capture import CaptureSource, LiveSource
from infraspectre.capture.packets import EVER, Conversation, conversation_of_flow
from infraspectre.capture.replay import Replay
from infraspectre.capture.ring import PacketRing
from infraspectre.capture.settings import RingSettings
from infraspectre.errors import CaptureError, OutputError, UsageError
from infraspectre.simulation.packets import ethernet, ip, udp
from namespaces import INSIDE, namespace

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"
MOST = 1 << 30


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[PacketRing]:
    opened = PacketRing(RingSettings(str(tmp_path / "ring"), 16 << 20))
    yield opened
    opened.close()


def flow_of_sample() -> tuple[Conversation, int, int, int]:
    """A flow of the bundled capture: between whom, how many packets, and its times."""
    row = next(iter(CaptureSource([str(SAMPLE)]))).frame.row(0, named=True)
    found = conversation_of_flow(row["orig_ip"], row["orig_port"], row["resp_ip"], row["resp_port"], row["protocol"])
    assert found is not None
    return found, row["orig_packets"] + row["resp_packets"], row["started_at"], row["ended_at"]


def written(folder: Path, pieces: Iterator[bytes]) -> list[str]:
    path = folder / "found.pcapng"
    path.write_bytes(b"".join(pieces))
    return [str(path)]


def test_the_packets_of_a_flow_come_back(ring: PacketRing, tmp_path: Path) -> None:
    conversation, packets, started, ended = flow_of_sample()
    Replay(CaptureSource([str(SAMPLE)]), 0, [str(SAMPLE)]).record(ring)
    found = ring.search([conversation], EVER, MOST)
    (flow,) = (batch.frame for batch in CaptureSource(written(tmp_path, iter(found))))
    assert found.packets == packets == int((flow["orig_packets"] + flow["resp_packets"]).sum())
    assert (flow["started_at"][0], flow["ended_at"][-1]) == (started, ended)
    assert found.remarks == ["its ring does not reach back to the beginning"]
    since = ring.counters()["ring_since"]
    assert not ring.search([conversation], (since, ended), MOST).remarks
    counters = ring.counters()
    assert (counters["ring_offered"], counters["ring_left_out"], counters["ring_failed"]) == (10_750, 0, 0)


def test_a_search_is_bounded_in_time_and_in_bytes(ring: PacketRing) -> None:
    conversation, packets, started, ended = flow_of_sample()
    ring.copy([str(SAMPLE)])
    early = ring.search([conversation], (started, started), MOST)
    assert b"".join(early)
    assert early.packets == 1
    cut = ring.search([conversation], (started, ended), 400)
    assert 0 < len(b"".join(cut)) <= 400
    assert 0 < cut.packets < packets
    assert "there are more packets than were asked for" in cut.remarks
    nothing = ring.search([conversation], (0, 1), MOST)
    assert len(b"".join(nothing)) < 100  # the head of a file
    assert nothing.packets == 0


def test_a_ring_is_gone_on_with_after_its_end(tmp_path: Path) -> None:
    settings = RingSettings(str(tmp_path / "ring"), 16 << 20)
    first = PacketRing(settings)
    first.copy([str(SAMPLE)])
    first.close()
    again = PacketRing(settings)
    found = again.search([flow_of_sample()[0]], EVER, MOST)
    assert b"".join(found)
    assert found.packets == flow_of_sample()[1]
    again.close()


def test_a_segment_that_was_changed_is_told(ring: PacketRing) -> None:
    ring.copy([str(SAMPLE)])
    ring.recorder.close()
    for path in ring.folder.iterdir():
        whole = bytearray(path.read_bytes())
        whole[24 + 8 + 3] ^= 0x80  # the length of the first packet
        path.write_bytes(whole)
    found = ring.search([flow_of_sample()[0]], EVER, MOST)
    assert not b"".join(found).count(b"\x06\0\0\0")
    assert any("cannot be read to their end" in remark for remark in found.remarks)


def test_others_may_not_read_and_no_other_sensor_writes(tmp_path: Path) -> None:
    settings = RingSettings(str(tmp_path / "ring"))
    with pytest.raises(UsageError, match="another sensor"):
        opened = PacketRing(settings)
        try:
            PacketRing(settings)
        finally:
            opened.close()
    Path(settings.folder).chmod(0o755)
    with pytest.raises(UsageError, match="others may read"):
        PacketRing(settings)


def test_what_cannot_be_is_said(ring: PacketRing, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError):
        PacketRing(RingSettings(str(tmp_path / "file")))
    with pytest.raises(CaptureError, match="nothing to read"):
        ring.copy([str(tmp_path / "nothing.pcap")])


def test_what_is_captured_is_kept(ring: PacketRing, tmp_path: Path) -> None:
    ends = bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])
    frames = [
        ethernet(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 0x0800, ip(*ends, 17, udp(*ends, (port, 53), b"hello"), ttl=64))
        for port in (1, 2, 2)
    ]
    with namespace() as network:
        with network.entered():
            source = LiveSource(INSIDE)
        source.record(ring)
        network.send(frames)
        source.stop()
        list(source)
    ring.recorder.close()
    found = ring.search([("10.0.0.2", 53, "10.0.0.1", 2, 17)], EVER, MOST)
    rows = next(iter(CaptureSource(written(tmp_path, iter(found))))).frame
    assert (found.packets, rows["orig_packets"].to_list()) == (2, [2])
    assert ring.counters()["ring_written"] == 3
