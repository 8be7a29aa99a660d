"""Packets, captures and names, against published examples."""

from __future__ import annotations

from ipaddress import ip_address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.simulation import packets
from infraspectre.simulation.community import community_id
from infraspectre.simulation.protocols import der
from infraspectre.simulation.stamps import DST, DST_PORT, SEQUENCE, split, stamp

SRC, TARGET = bytes((192, 0, 2, 1)), bytes((198, 51, 100, 7))


def slow_checksum(data: bytes) -> int:
    """Add words one by one with end-around carry (RFC 1071, 4.1)."""
    total = 0
    for position in range(0, len(data), 2):
        total += int.from_bytes(data[position : position + 2].ljust(2, b"\x00"), "big")
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def test_checksum_of_the_published_example() -> None:
    assert packets.checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0x220D  # RFC 1071, 3: the sum is ddf2


@given(st.binary(max_size=100))
def test_checksum_equals_the_slow_way(data: bytes) -> None:
    assert packets.checksum(data) == slow_checksum(data)


@given(st.binary(min_size=0, max_size=60), st.integers(0, 0xFFFFFFFF), st.integers(0, 0xFFFF), st.booleans())
def test_a_stamped_copy_equals_a_packet_built_anew(data: bytes, address: int, port: int, is_tcp: bool) -> None:
    def build(dst: bytes, dst_port: int) -> bytes:
        if is_tcp:
            payload = packets.tcp(SRC, dst, (1000, dst_port), 7, 0, packets.Flag.SYN, 1024, data)
        else:
            payload = packets.udp(SRC, dst, (1000, dst_port), data)
        return packets.ethernet(bytes(6), bytes(6), 0x0800, packets.ip(SRC, dst, 6 if is_tcp else 17, payload, 64, 5))

    words = split(np.array([address], np.uint32), DST) | {DST_PORT: np.array([port], np.uint16)}
    (copy,) = stamp(build(TARGET, 80), 1, words)
    assert bytes(copy) == build(address.to_bytes(4, "big"), port)


def test_stamping_keeps_other_copies_apart() -> None:
    frame = packets.ethernet(
        bytes(6), bytes(6), 0x0800, packets.ip(SRC, TARGET, 6, packets.tcp(SRC, TARGET, (1, 2), 0, 0, 2, 9), 64)
    )
    copies = stamp(frame, 3, split(np.array([0, 1, 0xFFFFFFFF], np.uint32), SEQUENCE))
    assert bytes(copies[0]) == frame
    assert [bytes(copy[38:42]).hex() for copy in copies] == ["00000000", "00000001", "ffffffff"]


@pytest.mark.parametrize(
    ("orig", "resp", "protocol", "ports", "expected"),
    [
        ("128.232.110.120", "66.35.250.204", 6, (34855, 80), "1:LQU9qZlK+B5F3KDmev6m5PMibrg="),
        ("192.168.1.52", "8.8.8.8", 17, (54585, 53), "1:d/FP5EW3wiY1vCndhwleRRKHowQ="),
        ("192.168.0.89", "192.168.0.1", 1, (8, 0), "1:X0snYXpgwiv9TZtqg64sgzUn6Dk="),
    ],
)
def test_community_id_of_the_published_examples(
    orig: str, resp: str, protocol: int, ports: tuple[int, int], expected: str
) -> None:
    ends = ip_address(orig).packed, ip_address(resp).packed
    assert community_id(*ends, protocol, *ports) == expected
    assert community_id(*ends[::-1], protocol, *ports[::-1]) == expected


def test_one_way_messages_keep_their_order() -> None:
    there, back = (community_id(one, other, 1, 3, 3, one_way=True) for one, other in ((SRC, TARGET), (TARGET, SRC)))
    assert there != back


def test_short_frames_are_padded_and_ipv6_has_no_header_checksum() -> None:
    assert len(packets.ethernet(bytes(6), bytes(6), 0x0800, b"x")) == 60
    packet = packets.ip(bytes(16), bytes(16), 17, b"data", 64)
    assert (len(packet), packet[0] >> 4, packet[6]) == (44, 6, 17)


def test_distinguished_encoding() -> None:
    assert der.integer(128).hex() == "02020080"
    assert der.oid("1.2.840.113549").hex() == "06062a864886f70d"
    assert der.sequence(bytes(200)).hex().startswith("3081c8")
