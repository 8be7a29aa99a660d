"""Packets over the link: a sensor answers orders from its ring, and the server takes what it ordered, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

import structlog

from infraspectre.adapters.sensor_link.protocol import (
    MOST_ORDERS,
    PIECE_BYTES,
    Conversation,
    PacketEnd,
    PacketOrder,
    PacketPiece,
    frame,
)
from infraspectre.errors import InfraSpectreError, InputError, OutputError, OverloadError

MAGIC = b"\x0a\x0d\x0d\x0a"
"""With this a pcapng file begins (draft-ietf-opsawg-pcapng section 4.1)."""
BUSY = "the sensor has too many orders for packets already"
logger = structlog.get_logger(__name__)
Send = Callable[[bytes], object]


class Search(Protocol):
    """Gives packets as parts of a pcapng file, and says afterwards how many there were and what is missing."""

    @property
    def packets(self) -> int:
        """Return how many packets were given."""
        ...

    @property
    def remarks(self) -> list[str]:
        """Return why packets may be missing."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Ring(Protocol):
    """Keeps packets for a while."""

    def search(self, conversations: Sequence[Conversation], span: tuple[int, int], most_bytes: int) -> Search:
        """Look for the packets of conversations; raises InfraSpectreError."""
        ...


class Orders:
    """Answers the orders of a server, one after the other, beside all else that is sent."""

    def __init__(self, ring: Ring) -> None:
        """Answer from a ring."""
        self._ring = ring
        self._waiting: asyncio.Queue[PacketOrder] = asyncio.Queue(MOST_ORDERS)

    def take(self, order: PacketOrder, writer: asyncio.StreamWriter) -> None:
        """Queue an order, or say that there are too many."""
        try:
            self._waiting.put_nowait(order)
        except asyncio.QueueFull:
            writer.write(frame(PacketEnd(order.order, problem=BUSY)))

    async def answer(self, writer: asyncio.StreamWriter) -> None:
        """Answer orders until cancelled; those of an earlier connection are forgotten."""
        while not self._waiting.empty():
            self._waiting.get_nowait()
        while True:
            order = await self._waiting.get()
            writer.write(frame(await self._answered(order, writer)))
            await writer.drain()

    async def _answered(self, order: PacketOrder, writer: asyncio.StreamWriter) -> PacketEnd:
        """Send the packets of an order, and return how it ends."""
        span, conversations = (order.first, order.last), order.conversations
        try:
            found = await asyncio.to_thread(self._ring.search, conversations, span, order.most_bytes)
            async for piece in pieces(iter(found)):
                writer.write(frame(PacketPiece(order.order), piece))
                await writer.drain()  # batches have their turn between pieces
        except InfraSpectreError as error:
            return PacketEnd(order.order, problem=error.problem[:256])
        return PacketEnd(order.order, found.packets, [each[:256] for each in found.remarks])


async def pieces(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Yield what is read in a thread in pieces of bounded size."""
    while (part := await asyncio.to_thread(next, parts, None)) is not None:
        for start in range(0, len(part), PIECE_BYTES):
            yield part[start : start + PIECE_BYTES]


class Delivery:
    """Is an order under way, at the server."""

    def __init__(self, order: PacketOrder, write: Send) -> None:
        """Write what comes, as much as was ordered."""
        self.ended: asyncio.Future[PacketEnd] = asyncio.get_running_loop().create_future()
        self._order, self._write = order, write
        self._bytes = 0

    async def take(self, piece: bytes) -> None:
        """Write a piece; one that was not ordered ends the delivery."""
        if self.ended.done():
            return
        self._bytes += len(piece)
        if self._bytes > self._order.most_bytes:
            self.fail(InputError("sent more packets than were asked for"))
        elif self._bytes == len(piece) and not piece.startswith(MAGIC):
            self.fail(InputError("sent what is no pcapng file"))
        else:
            await self._keep(piece)

    async def _keep(self, piece: bytes) -> None:
        try:
            await asyncio.to_thread(self._write, piece)
        except OutputError as error:
            self.fail(error)

    def end(self, end: PacketEnd) -> None:
        """Take note that nothing more comes."""
        with suppress(asyncio.InvalidStateError):
            self.ended.set_result(end)

    def fail(self, error: Exception) -> None:
        """Give up."""
        with suppress(asyncio.InvalidStateError):
            self.ended.set_exception(error)


class Deliveries:
    """Holds the orders that one sensor has, at the server."""

    def __init__(self, send: Callable[[PacketOrder], None]) -> None:
        """Send orders so."""
        self._send = send
        self._under_way: dict[str, Delivery] = {}

    async def fetch(self, order: PacketOrder, write: Send, within_s: float) -> PacketEnd:
        """Order packets and have them written until the sensor says that these were all.

        Raises InputError for an answer that is none, OutputError, OverloadError where the sensor has too many orders,
        and TimeoutError.
        """
        if len(self._under_way) >= MOST_ORDERS:
            raise OverloadError(BUSY, remedy="try again later")
        delivery = self._under_way[order.order] = Delivery(order, write)
        try:
            self._send(order)
            async with asyncio.timeout(within_s):
                return await delivery.ended
        finally:
            del self._under_way[order.order]
            delivery.ended.cancel()

    async def take(self, message: PacketPiece | PacketEnd, payload: bytes) -> None:
        """Take what a sensor sends; what nobody waits for any more is passed over."""
        delivery = self._under_way.get(message.order)
        if delivery is None:
            return
        if isinstance(message, PacketPiece):
            await delivery.take(payload)
        else:
            delivery.end(message)

    def abandon(self) -> None:
        """Give up all, since the connection has ended."""
        for each in self._under_way.values():
            each.fail(InputError("the connection ended"))
