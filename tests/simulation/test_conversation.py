"""TCP conversations obey TCP: sequence numbers, segments, acknowledgements, retransmissions and ends."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

import pytest

from infraspectre.simulation.capture import Behaviour, Capture
from infraspectre.simulation.conversation import LONGEST_PAUSE_S, MAX_DATAGRAM_BYTES, TcpConversation, UdpConversation
from infraspectre.simulation.hosts import LINUX, WINDOWS, Host

CLIENT = Host("client", "10.0.0.1", bytes(6), "workstation", WINDOWS)
SERVER = Host("server", "192.0.2.9", bytes(6), "internet server", LINUX, 0.05, hops=9)


class Table:
    """Starts conversations in a capture of their own and reads their segments back."""

    def __init__(self) -> None:
        self.capture = Capture()

    def tcp(self, loss: float = 0.0) -> TcpConversation:
        with self.capture.behaving(Behaviour("test")):
            return TcpConversation(self.capture, random.Random(1), (CLIENT, SERVER), (50000, 80), 0.0, loss)

    def segments(self) -> list[tuple[bool, int, int, int, bytes]]:
        """Return direction, sequence, acknowledgement, flags and payload of each segment."""
        return [self._segment(frame) for _, frame in self.capture.packets()]

    @staticmethod
    def _segment(frame: bytes) -> tuple[bool, int, int, int, bytes]:
        (length,) = struct.unpack_from("!H", frame, 16)
        segment = frame[34 : 14 + length]
        seq, ack, offset, flags = struct.unpack_from("!IIBB", segment, 4)
        return frame[26:30] == CLIENT.address, seq, ack, flags, segment[(offset >> 4) * 4 :]


@pytest.fixture
def table() -> Table:
    return Table()


def test_handshake_and_end(table: Table) -> None:
    talk = table.tcp()
    talk.connect()
    talk.close()
    flags = [(from_orig, flags) for from_orig, _, _, flags, _ in table.segments()]
    assert flags == [(True, 2), (False, 18), (True, 16), (True, 17), (False, 17), (True, 16)]


@pytest.mark.parametrize("size", [1, 1460, 1461, 100_000])
def test_data_arrives_whole_in_segments_that_follow_each_other(table: Table, size: int) -> None:
    data = random.Random(2).randbytes(size)
    talk = table.tcp()
    talk.connect()
    talk.request(data)
    talk.close()
    sent = [(seq, payload) for from_orig, seq, _, _, payload in table.segments() if from_orig and payload]
    assert b"".join(payload for _, payload in sent) == data
    assert all(len(payload) <= 1460 for _, payload in sent)
    assert all((seq + len(payload)) & 0xFFFFFFFF == after for (seq, payload), (after, _) in pairwise(sent))


def test_acknowledgements_never_run_ahead_of_the_data(table: Table) -> None:
    talk = table.tcp()
    talk.connect()
    talk.request(bytes(50_000))
    talk.respond(bytes(9_000))
    talk.close()
    reached = {True: 0, False: 0}
    for from_orig, seq, ack, flags, payload in table.segments():
        if flags & 16:
            assert (reached[not from_orig] - ack) & 0xFFFFFFFF < 1 << 31
        reached[from_orig] = (seq + len(payload) + bool(flags & 3)) & 0xFFFFFFFF


def test_a_lost_segment_is_sent_again(table: Table) -> None:
    talk = table.tcp(loss=1.0)
    talk.connect()
    talk.request(b"once")
    data = [(seq, payload) for _, seq, _, _, payload in table.segments() if payload]
    assert len(data) == 2 and data[0] == data[1]


def test_hops_take_from_the_ttl_and_the_far_side_answers_later(table: Table) -> None:
    table.tcp().connect()
    (first, syn), (second, answer), (third, _) = table.capture.packets()
    assert (syn[22], answer[22]) == (128, 64 - 9)
    assert second - first > 10 * (third - second)


def test_end_points_are_never_reused(table: Table) -> None:
    table.tcp()
    with pytest.raises(ValueError, match="used before"):
        table.tcp()


def test_pauses_and_datagrams_are_bounded(table: Table) -> None:
    talk = table.tcp()
    talk.wait(1e6)
    assert talk.now == LONGEST_PAUSE_S
    with table.capture.behaving(Behaviour("test")):
        datagrams = UdpConversation(table.capture, random.Random(1), (CLIENT, SERVER), (1, 2), 0.0)
    with pytest.raises(ValueError, match="fragments"):
        datagrams.request(bytes(MAX_DATAGRAM_BYTES + 1))
