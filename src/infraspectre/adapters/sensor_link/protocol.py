"""What sensors and the server say to each other: frames of a JSON message and, for batches and packets, a payload.

A frame is the size of the message and the size of the payload, 32 bits each, most significant byte first; then both.
The sensor says `hello` and is told `welcome`; then batches go one way and acknowledgements the other. At most as many
batches are under way as the last `welcome` or `ack` granted. Either side sends `heartbeat` when it has nothing to say.

A sensor whose `hello` says that it keeps packets may be given a `packet_order`; it answers with pieces of a pcapng
file, between its batches, and with `packet_end`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from infraspectre.adapters.sensor_link.payloads import MOST_BYTES, MOST_ROWS
from infraspectre.errors import InputError

VERSIONS = (1,)
"""Versions of the protocol that this program speaks."""
HEAD_BYTES = 8
MOST_MESSAGE_BYTES = 64 << 10
MOST_IN_FLIGHT = 16
"""Batches under way at the most; a spool keeps so many until it is known what became of them."""
HEARTBEAT_S = 10.0
SILENCE_S = 30.0
"""Who says nothing for so long is gone."""
GREETING_S = 10.0
"""How long a connection may take until both have greeted."""
MOST_CONVERSATIONS = 500
"""Conversations of an order for packets."""
MOST_ORDERS = 4
"""Orders for packets that a sensor has at once."""
PIECE_BYTES = 1 << 20
KEPT_EPOCHS = 16
"""Epochs of a sensor that the server remembers."""

Count = Annotated[int, Meta(ge=0, le=(1 << 63) - 1)]
Text = Annotated[str, Meta(max_length=256)]
Epoch = Annotated[str, Meta(pattern=r"\A[0-9a-f]{1,32}\Z")]
Moment = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
NetworkPort = Annotated[int, Meta(ge=0, le=65_535)]
Conversation = tuple[Text, NetworkPort, Text, NetworkPort, Annotated[int, Meta(ge=0, le=255)]]
"""Address, port, address, port, and the number of the protocol."""
Counters = Annotated[dict[Text, Count], Meta(max_length=256)]


class Hello(msgspec.Struct, frozen=True, tag="hello"):
    """Is the sensor's greeting."""

    versions: Annotated[list[int], Meta(max_length=64)]
    sensor: Text
    schema: int
    """Version of the core's feature schema."""
    program: Text
    """Version of the sensor's program."""
    at: int
    """What the sensor's clock says, nanoseconds since the epoch."""
    epoch: Epoch
    first: Count
    """Epoch and number of the first batch that the sensor holds."""
    keeps_packets: bool = False
    """Whether it takes orders for packets."""


class Welcome(msgspec.Struct, frozen=True, tag="welcome"):
    """Is the server's greeting."""

    version: int
    known: Annotated[dict[Epoch, Count], Meta(max_length=KEPT_EPOCHS)]
    """The number of the batch that comes next in each epoch; all before it are durable, or known to be lost."""
    credit: Annotated[int, Meta(ge=0, le=MOST_IN_FLIGHT)]


class Batch(msgspec.Struct, frozen=True, tag="batch", omit_defaults=True):
    """Announces the flows in the payload."""

    epoch: Epoch
    sequence: Count
    rows: Annotated[int, Meta(ge=1, le=MOST_ROWS)]
    lost: Counters = {}
    """Flows lost since the batch before, by reason."""
    capture: Counters = {}
    """What the capture counted since it began."""
    trace: Text = ""
    """The traceparent of its sending."""


class Report(msgspec.Struct, frozen=True, tag="report"):
    """Tells how the sensor is, also while it has no flows to send."""

    capture: Counters
    spool: Counters


class Ack(msgspec.Struct, frozen=True, tag="ack"):
    """Says that a batch and all before it are durable, and how many may be under way from now on."""

    epoch: Epoch
    sequence: Count
    credit: Annotated[int, Meta(ge=0, le=MOST_IN_FLIGHT)]


class Refusal(msgspec.Struct, frozen=True, tag="refusal"):
    """Says that a batch is never taken; the connection ends."""

    epoch: Epoch
    sequence: Count
    reason: Text


class Heartbeat(msgspec.Struct, frozen=True, tag="heartbeat"):
    """Says that its sender is alive."""


class Goodbye(msgspec.Struct, frozen=True, tag="goodbye"):
    """Ends the connection, and says why."""

    reason: Text
    retry_s: float = 0.0
    """How long to wait at least before the next attempt."""


class PacketOrder(msgspec.Struct, frozen=True, tag="packet_order"):
    """Asks for the packets of conversations within a time span."""

    order: Text
    """Names the order in what is answered."""
    conversations: Annotated[list[Conversation], Meta(min_length=1, max_length=MOST_CONVERSATIONS)]
    first: Moment
    last: Moment
    """Times of the first and last packet, nanoseconds since the epoch."""
    most_bytes: Count


class PacketPiece(msgspec.Struct, frozen=True, tag="packet_piece"):
    """Announces the next part of a pcapng file in the payload."""

    order: Text


class PacketEnd(msgspec.Struct, frozen=True, tag="packet_end"):
    """Says that an order is done, or why it is not."""

    order: Text
    packets: Count = 0
    remarks: Annotated[list[Text], Meta(max_length=16)] = []
    """Why packets may be missing."""
    problem: Text = ""
    """Why there are none."""


Message = Hello | Welcome | Batch | Report | Ack | Refusal | Heartbeat | Goodbye | PacketOrder | PacketPiece | PacketEnd
DECODER: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Message)
ENCODER = msgspec.json.Encoder()


class ProtocolError(InputError):
    """Says that the other side of a link does not keep to the protocol."""


def frame(message: Message, payload: bytes = b"") -> bytes:
    """Return a frame."""
    written = ENCODER.encode(message)
    return b"".join((len(written).to_bytes(4, "big"), len(payload).to_bytes(4, "big"), written, payload))


Admission = Callable[[int], Awaitable[None]]
"""Waits until there is room for so many bytes."""


async def read_frame(
    reader: asyncio.StreamReader, silence_s: float = SILENCE_S, admit: Admission | None = None
) -> tuple[Message, bytes] | None:
    """Return the next message with its payload, None at the end of the connection.

    Raises ProtocolError for what is no frame, before much of it is read, and TimeoutError for one that does not come.
    """
    head = await read_exactly(reader, HEAD_BYTES, silence_s)
    if head is None:
        return None
    size, payload_size = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
    if not 0 < size <= MOST_MESSAGE_BYTES or payload_size > MOST_BYTES:
        raise ProtocolError(f"a frame of {size} and {payload_size} bytes is none")
    message = parse(await read_rest(reader, size, silence_s))
    if not payload_size:
        return message, b""
    if not isinstance(message, Batch | PacketPiece):
        raise ProtocolError("a message that is no batch and no packets has a payload")
    if admit is not None:
        await admit(payload_size)
    return message, await read_rest(reader, payload_size, silence_s)


async def read_rest(reader: asyncio.StreamReader, size: int, silence_s: float) -> bytes:
    """Return so many bytes of a frame that has begun; raises ProtocolError."""
    found = await read_exactly(reader, size, silence_s)
    if found is None:
        raise ProtocolError("a frame is cut off")
    return found


async def read_exactly(reader: asyncio.StreamReader, size: int, silence_s: float) -> bytes | None:
    """Return so many bytes, None where the connection ended before them; raises ProtocolError where it ends in them."""
    try:
        async with asyncio.timeout(silence_s):
            return await reader.readexactly(size)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise ProtocolError("a frame is cut off") from error
        return None


def parse(data: bytes) -> Message:
    """Return a message; raises ProtocolError."""
    try:
        return DECODER.decode(data)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"a message is none: {str(error)[:200]}") from error
