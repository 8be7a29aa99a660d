from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.adapters.log.frames import (
    FIRST,
    HEADER_BYTES,
    BrokenFrameError,
    Kind,
    Place,
    Signer,
    check_body,
    entries_of,
    group,
    header_of,
    is_signed,
    notice,
    root_in,
)
from infraspectre.adapters.log.merkle import root_of

SIGNER = Signer("events", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
PLACE = Place(b"12345678", 7, 1_767_225_600_000_000_000, FIRST)
FRAME, DIGEST = SIGNER.frame(*group(PLACE, [b"a", b"", b"ccc"]))


def plain_root(data: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, as it is written."""
    if not data:
        return sha256().digest()
    if len(data) == 1:
        return sha256(b"\x00" + data[0]).digest()
    half = 1
    while half * 2 < len(data):
        half *= 2
    return sha256(b"\x01" + plain_root(data[:half]) + plain_root(data[half:])).digest()


@given(st.lists(st.binary(max_size=4), max_size=70))
def test_a_root_is_that_of_the_standard(data: list[bytes]) -> None:
    assert root_of(data) == plain_root(data)


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=20))
def test_entries_come_back(data: list[bytes]) -> None:
    frame, digest = SIGNER.frame(*group(PLACE, data))
    header, body = header_of(frame), frame[HEADER_BYTES:]
    check_body(header, body)
    assert entries_of(header, body) == data
    assert entries_of(header, body, 1, 3) == data[1:4]
    assert (header.size, header.end, header.digest) == (len(frame), 7 + len(data), digest)
    assert root_in(header, body) == header.root
    assert is_signed(header, "events")


def test_a_signature_is_for_one_topic() -> None:
    assert not is_signed(header_of(FRAME), "feed")


def test_what_a_notice_says_is_signed() -> None:
    frame, _ = SIGNER.frame(*notice(Kind.DROPPED, PLACE, b"{}"))
    header = header_of(frame)
    assert root_in(header, b"{}") == header.root != root_in(header, b"[]")
    assert header.end == header.first


def test_any_flipped_bit_is_found() -> None:
    for bit in range(8 * len(FRAME)):
        data = bytearray(FRAME)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BrokenFrameError):
            check_body(header_of(bytes(data)), bytes(data[HEADER_BYTES:]))


@given(st.binary(max_size=400))
def test_bytes_are_a_frame_or_broken(data: bytes) -> None:
    for candidate in (data, FRAME[: len(data)], FRAME[:HEADER_BYTES] + data):
        try:
            header = header_of(candidate)
            check_body(header, candidate[HEADER_BYTES:])
        except BrokenFrameError:
            continue
        assert candidate[: header.size] == FRAME
