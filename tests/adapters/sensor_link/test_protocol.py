from __future__ import annotations

import asyncio
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infraspectre.adapters.sensor_link.protocol import (
    HEAD_BYTES,
    MOST_MESSAGE_BYTES,
    Ack,
    Batch,
    Goodbye,
    Heartbeat,
    Message,
    ProtocolError,
    Refusal,
    Report,
    Welcome,
    frame,
    read_frame,
)

EXAMPLES = int(os.environ.get("INFRASPECTRE_TEST_EXAMPLES", "150"))


def read(data: bytes) -> list[tuple[Message, bytes]]:
    """Read all frames of a connection that ends after some bytes."""

    async def run() -> list[tuple[Message, bytes]]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        found = []
        while (one := await read_frame(reader, 5)) is not None:
            found.append(one)
        return found

    return asyncio.run(run())


SAID: list[Message] = [
    Welcome(1, {"ab": 3}, 16), Batch("ab", 3, 1, {"shed": 2}, {"packets": 5}), Ack("ab", 3, 16), Heartbeat(),
    Refusal("ab", 4, "no flows"), Report({}, {"sent": 1}), Goodbye("enough", 1.5),
]  # fmt: skip


def test_frames_come_back_as_they_were() -> None:
    payloads = [b"flows" if isinstance(each, Batch) else b"" for each in SAID]
    data = b"".join(map(frame, SAID, payloads))
    assert read(data) == list(zip(SAID, payloads, strict=True))


@pytest.mark.parametrize("cut", range(1, len(frame(SAID[1], b"flows"))))
def test_a_frame_that_is_cut_off_is_none(cut: int) -> None:
    with pytest.raises(ProtocolError):
        read(frame(SAID[1], b"flows")[:cut])


def test_a_frame_too_large_is_refused_before_it_comes() -> None:
    with pytest.raises(ProtocolError, match="is none"):
        read((MOST_MESSAGE_BYTES + 1).to_bytes(4, "big") + bytes(4))
    with pytest.raises(ProtocolError, match="is none"):
        read((1).to_bytes(4, "big") + b"\xff\xff\xff\xff")


def test_silence_ends() -> None:
    async def run() -> None:
        await read_frame(asyncio.StreamReader(), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(run())


@pytest.mark.parametrize(
    "said",
    [
        b"{}", b"[]", b"null", b'{"type":"shell"}', b'{"type":"ack"}', b'{"type":"ack","epoch":"ab","sequence":-1}',
        b'{"type":"batch","epoch":"ab","sequence":0,"rows":0}', b'{"type":"batch","epoch":"","sequence":0,"rows":1}',
        b'{"type":"goodbye","reason":"\xff"}', b"[" * 10_000, b'{"type":"ack","epoch":"ab","sequence":1e99,"credit":1}',
    ],
)  # fmt: skip
def test_messages_that_are_none_are_refused(said: bytes) -> None:
    with pytest.raises(ProtocolError):
        read(len(said).to_bytes(4, "big") + bytes(4) + said)


@given(st.binary(max_size=200))
@settings(max_examples=EXAMPLES, deadline=None)
def test_any_bytes_are_frames_or_refused(data: bytes) -> None:
    try:
        found = read(data)
    except ProtocolError:
        return
    assert len(found) <= len(data) // HEAD_BYTES


@given(st.data())
@settings(max_examples=EXAMPLES, deadline=None)
def test_changed_frames_are_frames_or_refused(data: st.DataObject) -> None:
    said = bytearray(b"".join(map(frame, SAID)))
    for _ in range(data.draw(st.integers(1, 5))):
        said[data.draw(st.integers(0, len(said) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = read(bytes(said))
    except ProtocolError:
        return
    assert len(found) <= len(said) // HEAD_BYTES
